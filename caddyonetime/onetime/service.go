package onetime

import (
	"context"
	"io"
	"time"
)

// Config is what a Service is made of.
type Config struct {
	Store  Store
	Signer *Signer
	Homes  Homes

	// Now is the clock; time.Now when nil. Rand is crypto/rand.Reader when nil.
	Now  func() time.Time
	Rand io.Reader

	// Observe is told of each entry of the log after it is on disk. It is
	// called in order, off the guest's path, and must not block.
	Observe func(Entry)
}

// Service is the one way to do anything with actions and tokens, whoever asks:
// page, API or command. It is safe for concurrent use.
type Service struct{ cfg Config }

// New makes a Service and recovers what was cut off (see the package's
// documentation). It owns the store from then on.
func New(ctx context.Context, cfg Config) (*Service, error) { panic("") }

// Close waits for redemptions under way until ctx ends, then closes the store.
func (s *Service) Close(ctx context.Context) error { panic("") }

// --- the guest's side

// Open verifies a link's last segment, as a person may have typed it, and
// returns its token. ErrNotFound for a link that is not genuine, without
// touching the store, as for one whose token is gone.
func (s *Service) Open(ctx context.Context, code string) (*View, error) { panic("") }

// View is a token as it stands at one moment, with all that a page shows.
type View struct {
	Token   *Token
	Status  Status
	Now     time.Time
	Actions []ActionView // in the token's order; actions that are gone are left out
	Paused  bool         // by the switch for all links
}

// ActionView is one action of a View.
type ActionView struct {
	Action    *Action
	Kind      Kind
	Confirm   Confirm // never ConfirmDerived
	Left      *int
	Use       ActionUse
	Reachable bool // its home is connected
	TimeZone  *time.Location
}

// RedeemRequest asks for one use of one action.
type RedeemRequest struct {
	Code   string // the link's last segment
	Action string // may be empty where the token has one action
	Key    string // of idempotency; may be empty
	Client string // the guest's address, for the log
}

// Redeem spends a use. It returns when the outcome is settled, or after 20 s
// with OutcomeRunning; the redemption itself runs to its end on its own clock,
// also when ctx ends before. Errors: ErrNotFound, *Refused, *BadInput,
// *StoreError (nothing was spent), ctx.Err().
func (s *Service) Redeem(ctx context.Context, r RedeemRequest) (*Redemption, error) { panic("") }

// Attempt returns an attempt of the token, for the page that shows its result.
// An attempt that is still under way has OutcomeRunning.
func (s *Service) Attempt(ctx context.Context, token string, seq uint64) (*Attempt, error) {
	panic("")
}

// --- the host's side: rights are the caller's to check

// Actions returns all actions by name.
func (s *Service) Actions(ctx context.Context) ([]*Action, error) { panic("") }

// Action returns one action, or ErrNotFound.
func (s *Service) Action(ctx context.Context, name string) (*Action, error) { panic("") }

// CheckAction asks the home about an action without saving it; see Home.Check.
func (s *Service) CheckAction(ctx context.Context, a *Action) (warnings []string, err error) {
	panic("")
}

// SaveAction checks an action with its home and creates or replaces it.
// revision is the one that the caller has seen; 0 says nothing, and another
// than the current one is ErrConflict.
func (s *Service) SaveAction(ctx context.Context, by Person, a *Action, revision uint64) (saved *Action, warnings []string, err error) {
	panic("")
}

// DeleteAction deletes an action. Where live tokens use it: *InUse, unless
// revoke says to revoke them with it.
func (s *Service) DeleteAction(ctx context.Context, by Person, name string, revoke bool) error {
	panic("")
}

// TryAction runs an action now, as the host. Key as in RedeemRequest.
func (s *Service) TryAction(ctx context.Context, by Person, name, client string) (*Redemption, error) {
	panic("")
}

// TokenSpec is a new token.
type TokenSpec struct {
	Actions        []string
	Guest, Comment string
	UsesMax        *int // nil: any number
	NotBefore      *time.Time
	Expires        *time.Time
}

// CreateToken makes a token. Errors: *BadInput naming the API's field.
func (s *Service) CreateToken(ctx context.Context, by Person, spec TokenSpec) (*Token, error) {
	panic("")
}

// Token returns a token by its id as a View, or ErrNotFound.
func (s *Service) Token(ctx context.Context, id string) (*View, error) { panic("") }

// TokenQuery selects tokens, newest first.
type TokenQuery struct {
	After  string // the id of the last one seen
	Limit  int    // at most; 0 is 100
	Live   bool   // only those that may still open something
	By     string // only those made by the person with this id
	Search string // in guest, comment, id, action names and titles; any case
}

// Tokens lists tokens. next is the After of the next page, "" at the end.
func (s *Service) Tokens(ctx context.Context, q TokenQuery) (views []*View, next string, err error) {
	panic("")
}

// TokenChange changes what is set in it.
type TokenChange struct {
	Actions        *[]string
	Guest, Comment *string
	UsesMax        **int
	NotBefore      **time.Time
	Expires        **time.Time
	Revoked        *bool
}

// ChangeToken changes a token. revision as in SaveAction.
func (s *Service) ChangeToken(ctx context.Context, by Person, id string, c TokenChange, revision uint64) (*View, error) {
	panic("")
}

// Replenish sets what is left of each action to uses, or back to the token's
// limit when uses is nil; it forgets failures and lets in a token that is held.
func (s *Service) Replenish(ctx context.Context, by Person, id string, uses *int) (*View, error) {
	panic("")
}

// Code is the last segment of the token's link.
func (s *Service) Code(t *Token) string { panic("") }

// LogQuery selects entries of the log, newest first.
type LogQuery struct {
	Before uint64 // entries older than the one with this Seq; 0: from the newest
	Limit  int    // at most; 0 is 100
	Token  string // only of this token
	By     string // only of tokens made by this person, and what they did
}

// Log lists the log. next is the Before of the next page, 0 at the end.
func (s *Service) Log(ctx context.Context, q LogQuery) (entries []Entry, next uint64, err error) {
	panic("")
}

// EntriesAfter returns up to limit entries with a Seq above after, oldest first.
func (s *Service) EntriesAfter(ctx context.Context, after uint64, limit int) ([]Entry, error) {
	panic("")
}

// Changed returns a channel that is closed at the next entry of the log.
func (s *Service) Changed() <-chan struct{} { panic("") }

// Paused reports whether all links are paused; SetPaused switches it.
func (s *Service) Paused(ctx context.Context) (bool, error)                    { panic("") }
func (s *Service) SetPaused(ctx context.Context, by Person, paused bool) error { panic("") }

// Prune forgets what ended more than retention ago: entries of the log, settled
// attempts and dead tokens. Ids are never forgotten.
func (s *Service) Prune(ctx context.Context, retention time.Duration) error { panic("") }

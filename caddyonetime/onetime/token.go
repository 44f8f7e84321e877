package onetime

import (
	"slices"
	"time"
)

// Token is the right to run actions.
type Token struct {
	// ID names the token in public: it is half of the link, and worth
	// nothing alone.
	ID string `json:"id"`

	// Class says where the token was taken over from. Empty: it was made
	// here, and its only link is the one that Signer makes.
	Class string `json:"class,omitempty"`

	// Foreign is the link from elsewhere that goes on working beside the
	// token's own; nil where there is none.
	Foreign *Foreign `json:"foreign,omitempty"`

	// Actions are the names of the actions it may run, in the host's order.
	Actions []string `json:"actions"`

	Guest   string `json:"guest,omitempty"`
	Comment string `json:"comment,omitempty"`

	// UsesMax limits how often each action may be run; nil is any number.
	UsesMax *int `json:"uses_max"`

	// Uses counts by action. An action that was never pressed has no entry.
	Uses map[string]ActionUse `json:"uses,omitempty"`

	NotBefore *time.Time `json:"not_before,omitempty"`
	Expires   *time.Time `json:"expires,omitempty"`

	CreatedAt time.Time  `json:"created_at"`
	CreatedBy Person     `json:"created_by"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	RevokedBy *Person    `json:"revoked_by,omitempty"`

	// Held says that the token came from a backup and its uses cannot be
	// trusted: it waits until the host lets it in, by replenishing it.
	Held bool `json:"held,omitempty"`

	// Revision grows by one with each change that a host makes.
	Revision uint64 `json:"revision"`
}

// ActionUse is what has become of one action of one token.
type ActionUse struct {
	// Used is how many uses are spent.
	Used int `json:"used"`

	// Failures is how many failed attempts gave their use back.
	Failures int `json:"failures,omitempty"`

	// Epoch grows by one when a host replenishes: a use spent before that is
	// not given back after it.
	Epoch int `json:"epoch,omitempty"`

	// LastDone is when it last succeeded.
	LastDone *time.Time `json:"last_done,omitempty"`

	// Last is what came of the newest attempt that began, and when it began.
	Last   Outcome    `json:"last,omitempty"`
	LastAt *time.Time `json:"last_at,omitempty"`
}

// Has reports whether the token may run the action at all.
func (t *Token) Has(action string) bool { return slices.Contains(t.Actions, action) }

// Left is how many uses of the action are left; nil is any number.
func (t *Token) Left(action string) *int {
	if t.UsesMax == nil {
		return nil
	}
	left := max(0, *t.UsesMax-t.Uses[action].Used)
	return &left
}

// UsedUp reports whether none of its actions can be run any more.
func (t *Token) UsedUp() bool {
	if t.UsesMax == nil {
		return false
	}
	for _, a := range t.Actions {
		if t.Uses[a].Used < *t.UsesMax {
			return false
		}
	}
	return true
}

// Status is what a token is good for at a moment.
type Status string

const (
	StatusReady     Status = "ready"
	StatusScheduled Status = "scheduled" // not_before is ahead
	StatusExpired   Status = "expired"
	StatusUsedUp    Status = "used_up"
	StatusRevoked   Status = "revoked"
	StatusPaused    Status = "paused" // the host has paused all links, or holds this one
)

// Status says what the token is good for at the moment now; see Standing.Status.
func (t *Token) Status(now time.Time, paused bool) Status { return t.Standing().Status(now, paused) }

// Live reports whether the token may still open something, now or later.
func (t *Token) Live(now time.Time) bool { return t.Status(now, false).live() }

package host

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// tokenJSON is a token as the API answers it: what the guest's side answers,
// and what only hosts know.
type tokenJSON struct {
	ID string `json:"id"`

	// URL is the whole link; null where public_url is not configured.
	URL *string `json:"url"`

	// Class and OldURL are of tokens that were taken over from elsewhere. The
	// old link is missing once it was switched off.
	Class  string  `json:"class,omitempty"`
	OldURL *string `json:"old_url,omitempty"`

	Status    onetime.Status  `json:"status"`
	Guest     string          `json:"guest"`
	Comment   string          `json:"comment"`
	Actions   []tokenAction   `json:"actions"`
	UsesMax   *int            `json:"uses_max"`
	UsesLeft  *int            `json:"uses_left"`
	NotBefore *time.Time      `json:"not_before"`
	Expires   *time.Time      `json:"expires"`
	CreatedAt time.Time       `json:"created_at"`
	CreatedBy onetime.Person  `json:"created_by"`
	Revoked   bool            `json:"revoked"`
	RevokedAt *time.Time      `json:"revoked_at,omitempty"`
	RevokedBy *onetime.Person `json:"revoked_by,omitempty"`
	Held      bool            `json:"held"`
	Revision  uint64          `json:"revision"`
}

type tokenAction struct {
	Name     string          `json:"name"`
	Title    string          `json:"title"`
	Kind     onetime.Kind    `json:"kind"`
	Confirm  onetime.Confirm `json:"confirm"`
	UsesMax  *int            `json:"uses_max"`
	UsesLeft *int            `json:"uses_left"`
	LastDone *time.Time      `json:"last_done"`

	// LastOutcome and LastAt are of the newest press that began; Failures is
	// how many presses failed and gave their use back.
	LastOutcome *onetime.Outcome `json:"last_outcome"`
	LastAt      *time.Time       `json:"last_at"`
	Failures    int              `json:"failures"`
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func (r *request) tokenJSON(v *onetime.View) *tokenJSON {
	t := v.Token
	j := &tokenJSON{
		ID: t.ID, Class: t.Class, Status: v.Status, Guest: t.Guest, Comment: t.Comment,
		Actions: make([]tokenAction, len(v.Actions)), UsesMax: t.UsesMax,
		NotBefore: utc(t.NotBefore), Expires: utc(t.Expires),
		CreatedAt: t.CreatedAt.UTC(), CreatedBy: t.CreatedBy,
		Revoked: t.RevokedAt != nil, RevokedAt: utc(t.RevokedAt), RevokedBy: t.RevokedBy,
		Held: t.Held, Revision: t.Revision,
	}
	if link, err := r.h.cfg.Link(r.svc.Code(t)); err == nil {
		j.URL = &link
	}
	if old, ok := r.svc.ForeignCode(t); ok {
		if link, err := r.h.cfg.Link(old); err == nil {
			j.OldURL = &link
		}
	}
	for i, a := range v.Actions {
		j.Actions[i] = tokenAction{
			Name: a.Action.Name, Title: a.Action.Title, Kind: a.Kind, Confirm: a.Confirm,
			UsesMax: t.UsesMax, UsesLeft: a.Left, LastDone: utc(a.Use.LastDone),
			Failures: a.Use.Failures,
		}
		if a.Use.LastAt != nil {
			last := onetime.Outcome(outcomeKey(a.Use.Last))
			j.Actions[i].LastOutcome, j.Actions[i].LastAt = &last, utc(a.Use.LastAt)
		}
	}
	if len(t.Actions) == 1 {
		j.UsesLeft = t.Left(t.Actions[0])
	}
	return j
}

// token finds a token that the visitor may see. For others it is not there.
func (r *request) token(id string) (*onetime.View, error) {
	v, err := r.svc.Token(r.Context(), strings.ToUpper(id))
	if err != nil {
		return nil, err
	}
	if mine := r.mine(); mine != "" && v.Token.CreatedBy.ID != mine {
		return nil, onetime.ErrNotFound
	}
	return v, nil
}

// Bounds of how many records one answer lists.
const (
	defaultPage = 100
	maxPage     = 1000
)

func (r *request) listTokens() error {
	q := r.query()
	limit := int(q.number("limit", 1, maxPage))
	after := strings.ToUpper(q.text("after"))
	live := q.boolean("live")
	status := onetime.Status(q.text("status"))
	search := q.text("q")
	if err := q.end(); err != nil {
		return err
	}
	if limit == 0 {
		limit = defaultPage
	}
	switch status {
	case "", onetime.StatusReady, onetime.StatusScheduled, onetime.StatusExpired, onetime.StatusUsedUp, onetime.StatusRevoked, onetime.StatusPaused:
	default:
		return badField("status", "must be one of ready, scheduled, expired, used_up, revoked, paused.")
	}
	views, next, err := r.tokens(tokenFilter{live: live, status: status, search: search}, after, limit)
	if err != nil {
		return err
	}
	list := make([]*tokenJSON, len(views))
	for i, v := range views {
		list[i] = r.tokenJSON(v)
	}
	var more *string
	if next != "" {
		more = &next
	}
	return r.reply(http.StatusOK, map[string]any{"tokens": list, "next": more})
}

// tokenFilter chooses among the tokens that the visitor may see.
type tokenFilter struct {
	live   *bool
	status onetime.Status
	held   bool
	search string
	action string // its name
	maker  string // the id of who made it; only for those who see everybody's
}

func (r *request) tokens(f tokenFilter, after string, limit int) (views []*onetime.View, next string, err error) {
	q := onetime.TokenQuery{
		After: after, Limit: limit, Status: f.status, Held: f.held,
		By: cmp.Or(r.mine(), f.maker), Action: f.action, Search: f.search,
	}
	if f.live != nil {
		q.Live, q.Ended = *f.live, !*f.live
	}
	return r.svc.Tokens(r.Context(), q)
}

// tokenInput is what POST and PATCH have in common.
type tokenInput struct {
	actions            []string
	actionsSet         bool
	guest, comment     string
	guestSet, comSet   bool
	usesMax            *int
	usesSet            bool
	notBefore, expires *time.Time
	fromSet, untilSet  bool
}

func (m *members) token() (t tokenInput) {
	t.actions, t.actionsSet = m.texts("actions")
	t.guest, t.guestSet = m.text("guest", onetime.MaxGuest)
	t.comment, t.comSet = m.text("comment", onetime.MaxComment)
	t.usesMax, t.usesSet = m.count("uses_max", 1, onetime.MaxUses, true)
	t.notBefore, t.fromSet = m.time("not_before")
	t.expires, t.untilSet = m.time("expires")
	return t
}

// spec is what POST makes a token of.
func (m *members) spec() (onetime.TokenSpec, error) {
	t := m.token()
	if err := m.end(); err != nil {
		return onetime.TokenSpec{}, err
	}
	if !t.actionsSet {
		return onetime.TokenSpec{}, badField("actions", "is missing: a list of the names of the actions that the link may run.")
	}
	spec := onetime.TokenSpec{
		Actions: t.actions, Guest: t.guest, Comment: t.comment,
		UsesMax: t.usesMax, NotBefore: t.notBefore, Expires: t.expires,
	}
	if !t.usesSet {
		one := 1
		spec.UsesMax = &one
	}
	return spec, nil
}

// TokenSpec reads what the API's POST /api/tokens takes, for those who come
// another way. Its error is a *onetime.BadInput, or says that it is no JSON.
func TokenSpec(body []byte) (onetime.TokenSpec, error) {
	in, err := parseMembers(body)
	if err != nil {
		return onetime.TokenSpec{}, err
	}
	return in.spec()
}

func (r *request) createToken() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	in, err := r.body(false)
	if err != nil {
		return err
	}
	spec, err := in.spec()
	if err != nil {
		return err
	}
	v, err := r.newToken(spec)
	if err != nil {
		return err
	}
	r.w.Header().Set("Location", "tokens/"+v.Token.ID)
	r.setETag(v.Token.Revision)
	return r.reply(http.StatusCreated, r.tokenJSON(v))
}

// newToken makes a token, unless nobody could be sent its link.
func (r *request) newToken(spec onetime.TokenSpec) (*onetime.View, error) {
	if _, err := r.h.cfg.Link(""); err != nil {
		return nil, &problem{Status: http.StatusServiceUnavailable, Code: "no_public_url", Detail: err.Error()}
	}
	if err := r.mayShare(spec.Actions); err != nil {
		return nil, err
	}
	t, err := r.svc.CreateToken(r.Context(), r.visitor.Person, spec)
	if err != nil {
		return nil, err
	}
	return r.svc.Token(r.Context(), t.ID)
}

func (r *request) getToken() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	v, err := r.token(r.params["id"])
	if err != nil {
		return err
	}
	r.setETag(v.Token.Revision)
	return r.reply(http.StatusOK, r.tokenJSON(v))
}

func (r *request) patchToken() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	v, err := r.token(r.params["id"])
	if err != nil {
		return err
	}
	in, err := r.body(false)
	if err != nil {
		return err
	}
	t := in.token()
	revoked, revokedSet := in.boolean("revoked")
	if err := in.end(); err != nil {
		return err
	}
	var c onetime.TokenChange
	if t.actionsSet {
		if err := r.mayShare(t.actions); err != nil {
			return err
		}
		c.Actions = &t.actions
	}
	if t.guestSet {
		c.Guest = &t.guest
	}
	if t.comSet {
		c.Comment = &t.comment
	}
	if t.usesSet {
		c.UsesMax = &t.usesMax
	}
	if t.fromSet {
		c.NotBefore = &t.notBefore
	}
	if t.untilSet {
		c.Expires = &t.expires
	}
	if revokedSet {
		if err := r.mayRevoke(v.Token, revoked); err != nil {
			return err
		}
		c.Revoked = &revoked
	}
	rev, err := r.ifMatch(func() (uint64, error) { return v.Token.Revision, nil })
	if err != nil {
		return err
	}
	v, err = r.svc.ChangeToken(r.Context(), r.visitor.Person, v.Token.ID, c, rev)
	if err != nil {
		return err
	}
	r.setETag(v.Token.Revision)
	return r.reply(http.StatusOK, r.tokenJSON(v))
}

// mayRevoke returns why the visitor may not switch the token off or on: what a
// manager has switched off stays off for those who only share.
func (r *request) mayRevoke(t *onetime.Token, revoked bool) error {
	if revoked || r.visitor.Manage || t.RevokedBy == nil || t.RevokedBy.ID == r.visitor.ID {
		return nil
	}
	return &problem{Status: http.StatusForbidden, Code: "forbidden", Field: "revoked", key: "host.problem.switched_off",
		Detail: "Somebody else has switched this link off, and only who manages the links may switch it on again."}
}

func (r *request) revokeToken() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	v, err := r.token(r.params["id"])
	if err != nil {
		return err
	}
	rev, err := r.ifMatch(func() (uint64, error) { return v.Token.Revision, nil })
	if err != nil {
		return err
	}
	yes := true
	if _, err := r.svc.ChangeToken(r.Context(), r.visitor.Person, v.Token.ID, onetime.TokenChange{Revoked: &yes}, rev); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (r *request) replenishToken() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	v, err := r.token(r.params["id"])
	if err != nil {
		return err
	}
	in, err := r.body(true)
	if err != nil {
		return err
	}
	uses, _ := in.count("uses", 1, onetime.MaxUses, false)
	if err := in.end(); err != nil {
		return err
	}
	rev, err := r.ifMatch(func() (uint64, error) { return v.Token.Revision, nil })
	if err != nil {
		return err
	}
	v, err = r.svc.ReplenishAt(r.Context(), r.visitor.Person, v.Token.ID, uses, rev)
	if err != nil {
		return err
	}
	r.setETag(v.Token.Revision)
	return r.reply(http.StatusOK, r.tokenJSON(v))
}

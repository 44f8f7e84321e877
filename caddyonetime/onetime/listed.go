package onetime

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// Listed is what lists choose tokens by. A store keeps it beside the token, so
// that looking through thousands of them reads none of the rest.
type Listed struct {
	ID      string
	Actions []string
	Maker   string // the id of who made it
	Standing

	// Text is what a search looks through beside the id and the actions:
	// the guest's name and the comment, in lower case. Of one that a store
	// hands over it is only good during that call.
	Text []byte
}

// Standing is what a token's status depends on.
type Standing struct {
	Revoked   bool
	UsedUp    bool
	Held      bool
	NotBefore time.Time // zero: none
	Expires   time.Time // zero: none
}

// Listed returns what lists choose the token by.
func (t *Token) Listed() *Listed {
	return &Listed{
		ID: t.ID, Actions: t.Actions, Maker: t.CreatedBy.ID, Standing: t.Standing(),
		Text: []byte(strings.ToLower(t.Guest) + "\n" + strings.ToLower(t.Comment)),
	}
}

// Standing returns what the token's status depends on.
func (t *Token) Standing() Standing {
	s := Standing{Revoked: t.RevokedAt != nil, UsedUp: t.UsedUp(), Held: t.Held}
	if t.NotBefore != nil {
		s.NotBefore = *t.NotBefore
	}
	if t.Expires != nil {
		s.Expires = *t.Expires
	}
	return s
}

// Status says what the token is good for at the moment now. What has ended for
// good comes before what will pass: paused says nothing about an expired token.
func (s Standing) Status(now time.Time, paused bool) Status {
	switch {
	case s.Revoked:
		return StatusRevoked
	case !s.Expires.IsZero() && !now.Before(s.Expires):
		return StatusExpired
	case s.UsedUp:
		return StatusUsedUp
	case paused || s.Held:
		return StatusPaused
	case !s.NotBefore.IsZero() && now.Before(s.NotBefore):
		return StatusScheduled
	}
	return StatusReady
}

// live reports whether a token that stands so may still open something, now or
// later.
func (s Status) live() bool { return s != StatusRevoked && s != StatusExpired && s != StatusUsedUp }

// filter is a TokenQuery, made ready to be held against many tokens.
type filter struct {
	TokenQuery
	now    time.Time
	paused bool
	search []byte // in lower case
	id     string // the search as ids are written
	named  []string
}

// filter reads what q needs of the store.
func (q TokenQuery) filter(tx Tx, now time.Time) (*filter, error) {
	f := &filter{TokenQuery: q, now: now}
	search := strings.TrimSpace(q.Search)
	f.search, f.id = []byte(strings.ToLower(search)), strings.ToUpper(search)
	var err error
	if f.paused, err = tx.Paused(); err != nil || search == "" {
		return f, err
	}
	actions, err := tx.Actions()
	for _, a := range actions {
		titles := a.Title
		for _, t := range a.Translations {
			titles += "\n" + t.Title
		}
		if strings.Contains(strings.ToLower(titles), string(f.search)) {
			f.named = append(f.named, a.Name)
		}
	}
	return f, err
}

func (f *filter) takes(l *Listed) bool {
	if f.By != "" && l.Maker != f.By || f.Action != "" && !slices.Contains(l.Actions, f.Action) || f.Held && !l.Held {
		return false
	}
	if f.Live || f.Ended || f.Status != "" {
		status := l.Status(f.now, f.paused)
		if f.Live && !status.live() || f.Ended && status.live() || f.Status != "" && f.Status != status {
			return false
		}
	}
	return len(f.search) == 0 || f.finds(l)
}

func (f *filter) finds(l *Listed) bool {
	return strings.Contains(l.ID, f.id) || bytes.Contains(l.Text, f.search) ||
		slices.ContainsFunc(l.Actions, func(a string) bool {
			return strings.Contains(a, string(f.search)) || slices.Contains(f.named, a)
		})
}

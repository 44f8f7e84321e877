package onetime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

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
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	t := &Token{
		Actions: slices.Clone(spec.Actions), Guest: strings.TrimSpace(spec.Guest), Comment: spec.Comment,
		UsesMax: spec.UsesMax, NotBefore: utc(spec.NotBefore), Expires: utc(spec.Expires),
		CreatedBy: by, Revision: 1,
	}
	err := s.store.Update(func(tx Tx) error {
		t.CreatedAt = s.now().UTC()
		if t.Expires != nil && !t.CreatedAt.Before(*t.Expires) {
			return (&BadInput{Field: "expires", Message: "is in the past"}).Says("past")
		}
		if err := t.check(tx); err != nil {
			return err
		}
		id, err := s.newID(tx)
		if err != nil {
			return err
		}
		t.ID = id
		if err := tx.PutToken(t); err != nil {
			return err
		}
		return s.tokenEntry(tx, HappenedTokenCreated, by, t)
	})
	if err != nil {
		return nil, err
	}
	s.follower.grown()
	return t, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// check looks at what a host can set.
func (t *Token) check(tx Tx) error {
	if err := checkText("guest", t.Guest, MaxGuest, false); err != nil {
		return err
	}
	if err := checkText("comment", t.Comment, MaxComment, true); err != nil {
		return err
	}
	switch {
	case len(t.Actions) == 0:
		return (&BadInput{Field: "actions", Message: "name at least one action"}).Says("one_action")
	case len(t.Actions) > MaxActions:
		return (&BadInput{Field: "actions", Message: fmt.Sprintf("a link has at most %d actions", MaxActions)}).Says("too_many", "n", MaxActions)
	case t.UsesMax != nil && (*t.UsesMax < 1 || *t.UsesMax > MaxUses):
		return (&BadInput{Field: "uses_max", Message: fmt.Sprintf("is a whole number from 1 to %d, or null for any number", MaxUses)}).Says("range", "min", 1, "max", MaxUses)
	case t.NotBefore != nil && t.Expires != nil && !t.NotBefore.Before(*t.Expires):
		return (&BadInput{Field: "expires", Message: "is not after not_before: the link would never be valid"}).Says("order")
	}
	for _, when := range []struct {
		field string
		t     *time.Time
	}{{"not_before", t.NotBefore}, {"expires", t.Expires}} {
		// RFC 3339 has four digits for the year.
		if when.t != nil && (when.t.Year() < 2000 || when.t.Year() > 9999) {
			return (&BadInput{Field: when.field, Message: "is not a year that a link can live in"}).Says("when")
		}
	}
	for i, name := range t.Actions {
		if slices.Contains(t.Actions[:i], name) {
			return (&BadInput{Field: "actions", Message: fmt.Sprintf("%q stands there twice", name)}).Says("twice", "name", name)
		}
		if !ValidActionName(name) {
			return (&BadInput{Field: "actions", Message: fmt.Sprintf("%.70q is no action's name", name)}).Says("choose")
		}
	}
	return t.checkActions(tx)
}

// checkActions looks whether its actions are there.
func (t *Token) checkActions(tx Tx) error {
	for _, name := range t.Actions {
		switch _, err := tx.Action(name); {
		case errors.Is(err, ErrNotFound):
			return (&BadInput{Field: "actions", Message: fmt.Sprintf("there is no action %q", name)}).Says("gone", "name", name)
		case err != nil:
			return err
		}
	}
	return nil
}

// newID draws an id that was never given to any token.
func (s *Service) newID(tx Tx) (string, error) {
	for range 100 {
		var random [4]byte
		if _, err := io.ReadFull(s.rand, random[:]); err != nil {
			return "", fmt.Errorf("drawing a random id: %w", err)
		}
		id := encode(random[:], idLength)
		taken, err := tx.IDTaken(id)
		if err != nil || !taken {
			return id, err
		}
	}
	return "", errors.New("drawing a random id: the source of randomness repeats itself")
}

func (s *Service) tokenEntry(tx Tx, what Happening, by Person, t *Token) error {
	e := &Entry{At: s.now().UTC(), What: what, By: by}
	e.of(t)
	if len(t.Actions) == 1 {
		e.Action = t.Actions[0]
		if a, err := tx.Action(e.Action); err == nil {
			e.Title, e.Home = a.Title, a.Home
		}
		e.UsesLeft = t.Left(e.Action)
	}
	return tx.AppendEntry(e)
}

// TokenQuery selects tokens, newest first.
type TokenQuery struct {
	After  string // the id of the last one seen
	Limit  int    // at most; 0 is 100
	Live   bool   // only those that may still open something
	Ended  bool   // only those that may not
	Status Status // only those that stand so; "": any
	Held   bool   // only those that came from a backup and wait for the host
	By     string // only those made by the person with this id
	Action string // only those that may run the action of this name
	Search string // in guest, comment, id, action names and titles; any case
}

// pageLimit is how many there are on a page when nobody says.
const pageLimit = 100

// Tokens lists tokens. next is the After of the next page, "" at the end.
func (s *Service) Tokens(ctx context.Context, q TokenQuery) (views []*View, next string, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, "", err
	}
	if q.Limit <= 0 {
		q.Limit = pageLimit
	}
	err = s.store.View(func(tx Tx) error {
		f, err := q.filter(tx, s.now())
		if err != nil {
			return err
		}
		var found []string
		err = tx.Listed(q.After, func(l *Listed) bool {
			if f.takes(l) {
				found = append(found, l.ID)
			}
			return len(found) <= q.Limit && ctx.Err() == nil
		})
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(found) > q.Limit {
			found = found[:q.Limit]
			next = found[q.Limit-1]
		}
		for _, id := range found {
			t, err := tx.Token(id)
			if err != nil {
				return err
			}
			v, err := s.view(tx, t, f.paused)
			if err != nil {
				return err
			}
			views = append(views, v)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return views, next, nil
}

// TokenChange says what to change; nil leaves as it is.
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
	return s.change(ctx, id, func(tx Tx, t *Token) error {
		if revision != 0 && revision != t.Revision {
			return ErrConflict
		}
		what := HappenedTokenChanged
		if c.Actions != nil {
			t.Actions = slices.Clone(*c.Actions)
		}
		if c.Guest != nil {
			t.Guest = strings.TrimSpace(*c.Guest)
		}
		if c.Comment != nil {
			t.Comment = *c.Comment
		}
		if c.UsesMax != nil {
			t.UsesMax = *c.UsesMax
		}
		if c.NotBefore != nil {
			t.NotBefore = utc(*c.NotBefore)
		}
		if c.Expires != nil {
			t.Expires = utc(*c.Expires)
		}
		if c != (TokenChange{Revoked: c.Revoked}) {
			if err := t.check(tx); err != nil {
				return err
			}
		}
		if c.Revoked != nil && *c.Revoked != (t.RevokedAt != nil) {
			if *c.Revoked {
				now := s.now().UTC()
				t.RevokedAt, t.RevokedBy = &now, &by
				what = HappenedTokenRevoked
			} else {
				// An action that was deleted with it does not come back.
				if err := t.check(tx); err != nil {
					return err
				}
				t.RevokedAt, t.RevokedBy = nil, nil
				what = HappenedTokenRestored
			}
		} else if c.Revoked != nil && c == (TokenChange{Revoked: c.Revoked}) {
			return nil // revoking twice is revoking
		}
		t.Revision++
		return s.tokenEntry(tx, what, by, t)
	})
}

// Replenish sets what is left of each action to uses, or back to the token's
// limit when uses is nil; it forgets failures and lets in a token that is held.
func (s *Service) Replenish(ctx context.Context, by Person, id string, uses *int) (*View, error) {
	return s.ReplenishAt(ctx, by, id, uses, 0)
}

// ReplenishAt is Replenish where the token is still at this revision, as in
// SaveAction.
func (s *Service) ReplenishAt(ctx context.Context, by Person, id string, uses *int, revision uint64) (*View, error) {
	if uses != nil && (*uses < 1 || *uses > MaxUses) {
		return nil, (&BadInput{Field: "uses", Message: fmt.Sprintf("is a whole number from 1 to %d", MaxUses)}).Says("range", "min", 1, "max", MaxUses)
	}
	return s.change(ctx, id, func(tx Tx, t *Token) error {
		if revision != 0 && revision != t.Revision {
			return ErrConflict
		}
		// An action may be deleted while only used links have it.
		if err := t.checkActions(tx); err != nil {
			return err
		}
		if uses != nil && (t.UsesMax == nil || *uses > *t.UsesMax) {
			n := *uses
			t.UsesMax = &n
		}
		for _, name := range t.Actions {
			use := t.Uses[name]
			use.Used, use.Failures = 0, 0
			if uses != nil {
				use.Used = *t.UsesMax - *uses
			}
			use.Epoch++
			t.setUse(name, use)
		}
		t.Held = false
		t.Revision++
		return s.tokenEntry(tx, HappenedReplenished, by, t)
	})
}

// change applies fn to a token and returns it as it is then.
func (s *Service) change(ctx context.Context, id string, fn func(Tx, *Token) error) (*View, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	err := s.store.Update(func(tx Tx) error {
		t, err := tx.Token(id)
		if err != nil {
			return err
		}
		if err := fn(tx, t); err != nil {
			return err
		}
		return tx.PutToken(t)
	})
	if err != nil {
		return nil, err
	}
	s.follower.grown()
	return s.Token(ctx, id)
}

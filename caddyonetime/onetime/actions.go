package onetime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
)

// Actions returns all actions by name.
func (s *Service) Actions(ctx context.Context) ([]*Action, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var actions []*Action
	err := s.store.View(func(tx Tx) (err error) {
		actions, err = tx.Actions()
		return err
	})
	return actions, err
}

// Action returns one action, or ErrNotFound.
func (s *Service) Action(ctx context.Context, name string) (*Action, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var a *Action
	err := s.store.View(func(tx Tx) (err error) {
		a, err = tx.Action(name)
		return err
	})
	return a, err
}

// LiveTokens counts the live tokens that may run the action.
func (s *Service) LiveTokens(ctx context.Context, action string) (n int, err error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	now := s.now()
	err = s.store.View(func(tx Tx) error {
		return tx.TokensOf(action, func(t *Token) bool {
			if t.Live(now) {
				n++
			}
			return true
		})
	})
	return n, err
}

var iconName = regexp.MustCompile(`^[a-z0-9-]{0,64}$`)

// CheckAction asks the home about an action without saving it; see Home.Check.
// It fills in what may be left out: the title and the home.
func (s *Service) CheckAction(ctx context.Context, a *Action) (warnings Warnings, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	def, err := a.written()
	if err != nil {
		return nil, err
	}
	home, release, err := s.homes.Acquire(a.Home)
	if errors.Is(err, ErrNoHome) {
		return nil, noSuchHome(a.Home)
	}
	if err != nil {
		return nil, err
	}
	defer release()
	return home.Check(ctx, def)
}

func noSuchHome(name string) error {
	return (&BadInput{Field: "home", Message: fmt.Sprintf("the configuration has no home %q", name)}).Says("no_home", "name", name)
}

// written looks at what can be told without the home, and fills in what may be
// left out.
func (a *Action) written() (*Definition, error) {
	if !ValidActionName(a.Name) {
		return nil, (&BadInput{Field: "name", Message: "a name has 1 to 64 characters out of a to z, 0 to 9 and _"}).Says("name", "n", 64, "allowed", "a–z 0–9 _")
	}
	if a.Home == "" {
		a.Home = DefaultHome
	}
	if a.Title = strings.TrimSpace(a.Title); a.Title == "" {
		a.Title = titleOf(a.Name)
	}
	for _, text := range []struct {
		field, value string
		max          int
	}{{"title", a.Title, MaxTitle}, {"done", a.Done, MaxDone}} {
		if err := checkText(text.field, text.value, text.max, false); err != nil {
			return nil, err
		}
	}
	if err := a.translated(); err != nil {
		return nil, err
	}
	switch a.Confirm {
	case ConfirmDerived, ConfirmAsk, ConfirmTap:
	default:
		return nil, (&BadInput{Field: "confirm", Message: `is "ask" (press twice), "tap" (press once), or left out`}).Says("choose")
	}
	if !iconName.MatchString(a.Icon) {
		return nil, (&BadInput{Field: "icon", Message: "an icon's name has at most 64 characters out of a to z, 0 to 9 and -"}).Says("choose")
	}
	return Parse(a.Definition)
}

// titleOf makes a title of a name: "open_front_door" is "Open front door".
func titleOf(name string) string {
	words := strings.TrimSpace(strings.ReplaceAll(name, "_", " "))
	if words == "" {
		return name
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// Absent, as the revision that a caller has seen, says that there was none yet.
const Absent = math.MaxUint64

// SaveAction checks an action with its home and creates or replaces it.
// revision is the one that the caller has seen; 0 says nothing, and another
// than the current one is ErrConflict, as is Absent where there is one.
func (s *Service) SaveAction(ctx context.Context, by Person, a *Action, revision uint64) (saved *Action, warnings Warnings, err error) {
	next := *a
	warnings, err = s.CheckAction(ctx, &next)
	if err != nil {
		return nil, nil, err
	}
	err = s.store.Update(func(tx Tx) error {
		old, err := tx.Action(next.Name)
		switch {
		case errors.Is(err, ErrNotFound):
			if revision != 0 && revision != Absent {
				return ErrConflict
			}
			next.Revision, next.CreatedAt = 1, s.now().UTC()
		case err != nil:
			return err
		case revision != 0 && revision != old.Revision:
			return ErrConflict
		default:
			next.Revision, next.CreatedAt = old.Revision+1, old.CreatedAt
			next.Origin = old.Origin
		}
		next.UpdatedAt, next.UpdatedBy = s.now().UTC(), by
		if err := tx.PutAction(&next); err != nil {
			return err
		}
		return tx.AppendEntry(&Entry{
			At: next.UpdatedAt, What: HappenedActionSaved,
			Action: next.Name, Title: next.Title, Home: next.Home, By: by,
		})
	})
	if err != nil {
		return nil, nil, err
	}
	s.follower.grown()
	return &next, warnings, nil
}

// DeleteAction deletes an action. Where live tokens use it: *InUse, unless
// revoke says to revoke them with it. revision as in SaveAction.
func (s *Service) DeleteAction(ctx context.Context, by Person, name string, revoke bool, revision uint64) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	err := s.store.Update(func(tx Tx) error {
		a, err := tx.Action(name)
		if err != nil {
			return err
		}
		if revision != 0 && revision != a.Revision {
			return ErrConflict
		}
		now := s.now().UTC()
		var live []*Token
		err = tx.TokensOf(name, func(t *Token) bool {
			if t.Live(now) {
				live = append(live, t)
			}
			return true
		})
		if err != nil {
			return err
		}
		if len(live) > 0 && !revoke {
			return &InUse{Action: name, Tokens: len(live)}
		}
		for _, t := range live {
			t.RevokedAt, t.RevokedBy = &now, &by
			t.Revision++
			if err := tx.PutToken(t); err != nil {
				return err
			}
			e := &Entry{At: now, What: HappenedTokenRevoked, By: by}
			e.of(t)
			if err := tx.AppendEntry(e); err != nil {
				return err
			}
		}
		if err := tx.DeleteAction(name); err != nil {
			return err
		}
		return tx.AppendEntry(&Entry{
			At: now, What: HappenedActionDeleted,
			Action: name, Title: a.Title, Home: a.Home, By: by,
		})
	})
	if err == nil {
		s.follower.grown()
	}
	return err
}

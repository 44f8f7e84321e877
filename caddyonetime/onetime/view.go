package onetime

import (
	"context"
	"errors"
	"time"
)

// View is a token as it stands at one moment, with all that a page shows.
type View struct {
	Token   *Token
	Status  Status
	Now     time.Time
	Actions []ActionView // in the token's order; actions that are gone are left out
	Paused  bool         // by the switch for all links

	// Reachable and TimeZone are the default home's where there is no action
	// left that has one.
	Reachable bool
	TimeZone  *time.Location
}

// ActionView is one action of a View.
type ActionView struct {
	Action    *Action
	Kind      Kind
	Confirm   Confirm // never ConfirmDerived
	Left      *int
	Use       ActionUse
	Reachable bool // its home is connected

	// Seen stands for the action as it is now: a press that carries it runs
	// this and nothing else. Only Open fills it in.
	Seen     string
	TimeZone *time.Location
}

// Open verifies a link's last segment, as a person may have typed it, and
// returns its token. One from elsewhere has to be exact; see ShapedForeign. ErrNotFound for a link that is not genuine, without
// touching the store, as for one whose token is gone.
func (s *Service) Open(ctx context.Context, code string) (*View, error) {
	id, err := s.genuine(code)
	if err != nil {
		return nil, err
	}
	v, err := s.Token(ctx, id)
	if err != nil {
		return nil, err
	}
	for i := range v.Actions {
		v.Actions[i].Seen = s.seen(v.Actions[i].Action)
	}
	return v, nil
}

// genuine returns the id in a link's last segment, or ErrNotFound.
func (s *Service) genuine(code string) (string, error) {
	signer := s.signer.Load()
	if normal, ok, _ := Normalize(code); ok {
		if id, ok := signer.Verify(normal); ok {
			return id, nil
		}
		return "", ErrNotFound
	}
	if id, ok := s.foreign.find(signer, code); ok {
		return id, nil
	}
	return "", ErrNotFound
}

// Code is the last segment of the token's link.
func (s *Service) Code(t *Token) string { return s.signer.Load().Code(t.ID) }

// Token returns a token by its id as a View, or ErrNotFound.
func (s *Service) Token(ctx context.Context, id string) (*View, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var v *View
	err := s.store.View(func(tx Tx) error {
		t, paused, err := standing(tx, id)
		if err != nil {
			return err
		}
		v, err = s.view(tx, t, paused)
		return err
	})
	if err != nil {
		return nil, err
	}
	return v, nil
}

// token returns a token as it is in the store, and whether all are paused.
func (s *Service) token(ctx context.Context, id string) (t *Token, paused bool, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, false, err
	}
	err = s.store.View(func(tx Tx) error {
		t, paused, err = standing(tx, id)
		return err
	})
	return t, paused, err
}

// standing reads what a token's status follows from.
func standing(tx Tx, id string) (*Token, bool, error) {
	t, err := tx.Token(id)
	if err != nil {
		return nil, false, err
	}
	paused, err := tx.Paused()
	return t, paused, err
}

func (s *Service) view(tx Tx, t *Token, paused bool) (*View, error) {
	now := s.now()
	v := &View{Token: t, Now: now, Paused: paused, Status: t.Status(now, paused)}
	for _, name := range t.Actions {
		a, err := tx.Action(name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		av := ActionView{
			Action:   a,
			Kind:     KindAny,
			Confirm:  a.Confirm,
			Left:     t.Left(name),
			Use:      t.Uses[name],
			TimeZone: time.UTC,
		}
		if def, err := s.definitions.of(a); err == nil {
			av.Kind = def.Kind
			if av.Confirm == ConfirmDerived {
				av.Confirm = def.Confirm
			}
		}
		if av.Confirm == ConfirmDerived {
			av.Confirm = ConfirmAsk
		}
		av.Reachable, av.TimeZone = s.homeNow(a.Home)
		v.Actions = append(v.Actions, av)
	}
	if len(v.Actions) == 0 {
		v.Reachable, v.TimeZone = s.homeNow(DefaultHome)
	}
	return v, nil
}

// homeNow is how a home stands; where there is none of that name, it is not
// reachable, and somewhere.
func (s *Service) homeNow(name string) (reachable bool, zone *time.Location) {
	home, release, err := s.homes.Acquire(name)
	if err != nil {
		return false, time.UTC
	}
	defer release()
	return home.Reachable(), home.TimeZone()
}

// Describe says what a definition means to a guest: its kind, and how
// deliberate a press must be when the host says nothing.
func (s *Service) Describe(a *Action) (Kind, Confirm) {
	def, err := s.definitions.of(a)
	switch {
	case err != nil:
		return KindAny, ConfirmAsk
	case a.Confirm != ConfirmDerived:
		return def.Kind, a.Confirm
	}
	return def.Kind, def.Confirm
}

// usable returns why nothing can be asked any more, or nil.
func (s *Service) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return ErrClosed
	default:
		return nil
	}
}

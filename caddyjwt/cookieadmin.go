package caddyjwt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// NewToken says what token to make for a user of a home.
type NewToken struct {
	Home     string              `json:"home,omitempty"` // empty: the one without a name
	User     string              `json:"user"`           // the name they log in with, or the id
	Lifetime time.Duration       `json:"lifetime,omitempty"`
	Claims   map[string][]string `json:"claims,omitempty"` // further ones
}

// MadeToken is a token that was made on demand.
type MadeToken struct {
	Token   string    `json:"token"`
	ID      string    `json:"jti"`
	User    string    `json:"user"` // the id
	Expires time.Time `json:"expires"`
}

// BadToken is why a token cannot be made as it was asked for.
type BadToken struct {
	Field string // of NewToken, as JSON has it
	Err   error
}

func (e *BadToken) Error() string { return e.Field + ": " + e.Err.Error() }
func (e *BadToken) Unwrap() error { return e.Err }

// ErrUsersUnknown: a home does not tell who its users are.
var ErrUsersUnknown = errNoUsers

// MakeToken makes a token of a user with the roles that the home says they have now. It
// is of no session: it ends when its lifetime does, when its user is deactivated, demoted
// or removed, and when no key counts any more that it was signed with.
func (a *LoginApp) MakeToken(ctx context.Context, want NewToken) (MadeToken, error) {
	r, err := a.running(want.Home)
	if err != nil {
		return MadeToken{}, err
	}
	m := r.minters[0]
	lifetime := want.Lifetime
	if lifetime == 0 {
		lifetime = m.lifetime
	}
	if lifetime < time.Second || lifetime > maxSession {
		return MadeToken{}, &BadToken{"lifetime", fmt.Errorf("%s: it must be between 1s and 400d", lifetime)}
	}
	for _, name := range slices.Sorted(maps.Keys(want.Claims)) {
		if err := checkClaim(name, want.Claims[name]); err != nil {
			return MadeToken{}, &BadToken{"claims", err}
		}
	}
	users, err := r.freshAccounts(ctx)
	if err != nil {
		if users = r.accounts.Load(); users == nil {
			return MadeToken{}, errNoUsers
		}
	}
	who, err := users.named(want.User)
	if err != nil {
		if errors.Is(err, errNoUser) {
			err = fmt.Errorf("%w %q: give the name they log in with, or the id (Settings, People, Users)", err, want.User)
		}
		return MadeToken{}, &BadToken{"user", err}
	}
	at := now()
	token, err := m.Mint(residentOf(who), "", at, claimValues(want.Claims, func(s string) string { return s }), lifetime)
	if err != nil {
		return MadeToken{}, err
	}
	made := MadeToken{Token: token, ID: tokenID(token), User: who.ID, Expires: at.Add(lifetime).UTC().Truncate(time.Second)}
	return made, nil
}

package caddyjwt

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-hass/caddy-hass/hassapp"
)

// KeyInfo is a signing key as its owner is told of it.
type KeyInfo struct {
	ID    string    `json:"kid"`
	Signs time.Time `json:"signs"` // when it begins to sign
}

// RotateKeys makes another signing key for a home (empty: the one without a name). It is
// published at once and signs ten minutes later, and nobody notices. Where the keys are no longer to be
// trusted, alone makes it the only one at once: every cookie is worthless then,
// and everybody logs in once more.
func (a *LoginApp) RotateKeys(ctx context.Context, home string, alone bool) (KeyInfo, error) {
	r, err := a.running(home)
	if err != nil {
		return KeyInfo{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.changeKeys(ctx, func(ring *ring) (bool, error) { return true, ring.rotate(now(), alone) })
	if err != nil {
		return KeyInfo{}, err
	}
	keys := r.ring.Load().Keys
	k := keys[len(keys)-1]
	return KeyInfo{ID: k.ID, Signs: k.Signs}, nil
}

// PublicKeys returns a home's public keys: as a JWK Set, or as PEM with the one that
// signs first.
func (a *LoginApp) PublicKeys(home string, jwks bool) ([]byte, error) {
	r, err := a.running(home)
	if err != nil {
		return nil, err
	}
	ring := r.ring.Load()
	switch {
	case ring == nil:
		return nil, errNoKeys
	case jwks:
		return ring.jwks()
	}
	return ring.pem(now()), nil
}

// running returns the realm of a home of this configuration once it has started.
func (a *LoginApp) running(home string) (*heldRealm, error) {
	select {
	case <-a.started:
	default:
		return nil, errNotStarted
	}
	if home == "" {
		home = hassapp.DefaultHome
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.realms[home]
	if !ok || len(r.minters) == 0 {
		return nil, fmt.Errorf("there is no hass_login for the home %q in the configuration", home)
	}
	return r, nil
}

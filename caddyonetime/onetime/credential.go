package onetime

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Credential lets a program, such as an automation in Home Assistant, share: make
// links from actions, and see, change and revoke those it made. It can do
// nothing else.
type Credential struct {
	// ID is public. It is never given twice.
	ID string `json:"id"`

	// Name says whose it is: "Automations".
	Name string `json:"name"`

	// Actions are those that its links may run; none: all.
	Actions []string `json:"actions,omitempty"`

	// Hash is the secret's HMAC-SHA-256 with the link key: of no use to
	// whoever has only the store.
	Hash []byte `json:"hash"`

	CreatedAt time.Time  `json:"created_at"`
	CreatedBy Person     `json:"created_by"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// CredentialPrefix is how every credential begins, so that people and scanners
// of leaked secrets know it.
const CredentialPrefix = "chk_"

const (
	credentialLabel  = "caddy-hass credential v1\n"
	credentialSecret = 32 // characters of 5 bits
	credentialLength = len(CredentialPrefix) + idLength + credentialSecret

	// MaxCredentials bounds those that are good at once.
	MaxCredentials = 100
)

// Person is who a credential acts as. No resident has such an id.
func (c *Credential) Person() Person { return Person{ID: "credential:" + c.ID, Name: c.Name} }

// MayRun reports whether its links may run the action.
func (c *Credential) MayRun(action string) bool {
	return len(c.Actions) == 0 || slices.Contains(c.Actions, action)
}

// CreateCredential makes one. secret is what its holder sends; it is kept
// nowhere.
func (s *Service) CreateCredential(ctx context.Context, by Person, name string, actions []string) (c *Credential, secret string, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, "", err
	}
	name = strings.TrimSpace(name)
	if name == "" {
		return nil, "", (&BadInput{Field: "name", Message: "is needed: say who will use it"}).Says("needed")
	}
	if err := checkText("name", name, MaxGuest, false); err != nil {
		return nil, "", err
	}
	random := make([]byte, credentialSecret*5/8)
	if _, err := io.ReadFull(s.rand, random); err != nil {
		return nil, "", fmt.Errorf("making a credential: %w", err)
	}
	c = &Credential{Name: name, Actions: slices.Clone(actions), CreatedBy: by}
	err = s.store.Update(func(tx Tx) error {
		all, err := tx.Credentials()
		if err != nil {
			return err
		}
		live := 0
		for _, other := range all {
			if other.RevokedAt == nil {
				live++
			}
		}
		if live >= MaxCredentials {
			return (&BadInput{Field: "name", Message: fmt.Sprintf("there are %d credentials already: revoke those that nobody uses", MaxCredentials)}).Says("full", "n", MaxCredentials)
		}
		for _, a := range c.Actions {
			if _, err := tx.Action(a); errors.Is(err, ErrNotFound) {
				return (&BadInput{Field: "actions", Message: fmt.Sprintf("there is no action %q", a)}).Says("gone", "name", a)
			} else if err != nil {
				return err
			}
		}
		if c.ID, err = s.newCredentialID(tx); err != nil {
			return err
		}
		secret = CredentialPrefix + c.ID + encode(random, credentialSecret)
		sum := s.signer.Load().mac(credentialLabel, secret)
		c.Hash, c.CreatedAt = sum[:], s.now().UTC()
		if err := tx.PutCredential(c); err != nil {
			return err
		}
		return tx.AppendEntry(&Entry{At: c.CreatedAt, What: HappenedCredentialCreated, Title: c.Name, By: by})
	})
	if err != nil {
		return nil, "", err
	}
	s.follower.grown()
	return c, secret, nil
}

func (s *Service) newCredentialID(tx Tx) (string, error) {
	var b [4]byte
	for range 100 {
		if _, err := io.ReadFull(s.rand, b[:]); err != nil {
			return "", fmt.Errorf("making a credential: %w", err)
		}
		id := encode(b[:], idLength)
		if _, err := tx.Credential(id); errors.Is(err, ErrNotFound) {
			return id, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", errors.New("making a credential: the source of random numbers repeats itself")
}

// Credentials are all there were, the newest first.
func (s *Service) Credentials(ctx context.Context) (all []*Credential, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	err = s.store.View(func(tx Tx) (err error) {
		all, err = tx.Credentials()
		return err
	})
	slices.SortFunc(all, func(a, b *Credential) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all, err
}

// RevokeCredential ends one for good. Links that were made with it stay.
func (s *Service) RevokeCredential(ctx context.Context, by Person, id string) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	err := s.store.Update(func(tx Tx) error {
		c, err := tx.Credential(id)
		if err != nil || c.RevokedAt != nil {
			return err
		}
		now := s.now().UTC()
		c.RevokedAt = &now
		if err := tx.PutCredential(c); err != nil {
			return err
		}
		return tx.AppendEntry(&Entry{At: now, What: HappenedCredentialRevoked, Title: c.Name, By: by})
	})
	if err == nil {
		s.follower.grown()
	}
	return err
}

// Authenticate finds the credential of a secret: ErrNotFound for one that is not
// genuine or was revoked.
func (s *Service) Authenticate(ctx context.Context, secret string) (*Credential, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if len(secret) != credentialLength || !strings.HasPrefix(secret, CredentialPrefix) {
		return nil, ErrNotFound
	}
	sum := s.signer.Load().mac(credentialLabel, secret)
	var c *Credential
	err := s.store.View(func(tx Tx) (err error) {
		c, err = tx.Credential(secret[len(CredentialPrefix) : len(CredentialPrefix)+idLength])
		return err
	})
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(sum[:], c.Hash) || c.RevokedAt != nil {
		return nil, ErrNotFound
	}
	return c, nil
}

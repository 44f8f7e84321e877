package caddyjwt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// minterSettings are how a hass_login mints, as another Caddy on the same storage has
// to know to renew its cookies.
type minterSettings struct {
	Cookie   string   `json:"cookie"`
	Issuer   string   `json:"issuer"`
	Audience []string `json:"audience"`
	Domain   string   `json:"domain,omitempty"`
	Lifetime int64    `json:"lifetime"` // seconds
	Session  int64    `json:"session"`  // seconds
}

// tell writes down how this Caddy mints, for others on the same storage.
func (r *realm) tell(minters []*Minter) error {
	ctx, cancel := context.WithTimeout(context.Background(), storageWithin)
	defer cancel()
	list := make([]minterSettings, len(minters))
	for i, m := range minters {
		list[i] = minterSettings{m.cookie, m.issuer, m.audience, m.domain, int64(m.lifetime / time.Second), int64(m.session / time.Second)}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	name := r.name("login.json")
	storage := r.storage.Current()
	if old, err := storage.Load(ctx, name); err == nil && string(old) == string(text) {
		return nil
	}
	if err := storage.Store(ctx, name, text); err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	return nil
}

// readElsewhere takes over how others mint. r.mu is held.
func (r *realm) readElsewhere(ctx context.Context) error {
	name := r.name("login.json")
	info, changed, err := r.changed(ctx, name, r.elsewhereSeen)
	if err != nil || !changed {
		return err
	}
	text, err := r.storage.Current().Load(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		r.elsewhereSeen = info
		r.elsewhere.Store(nil)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var list []minterSettings
	if json.Unmarshal(text, &list) != nil {
		return fmt.Errorf("%s: it is damaged; reload the Caddy that has hass_login", name)
	}
	minters := make([]*Minter, 0, len(list))
	for _, s := range list {
		minters = append(minters, &Minter{
			realm: r, cookie: s.Cookie, issuer: s.Issuer, audience: s.Audience, domain: s.Domain,
			lifetime: time.Duration(s.Lifetime) * time.Second, session: time.Duration(s.Session) * time.Second,
		})
	}
	r.elsewhereSeen = info
	r.elsewhere.Store(&minters)
	return nil
}

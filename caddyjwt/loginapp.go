package caddyjwt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-hass/caddy-hass/hassapp"
)

func init() {
	caddy.RegisterModule(new(LoginApp))
}

// startWithin is how long a request waits for the app to start.
const startWithin = 5 * time.Second

// errNotStarted: the app could not start, or not yet.
var errNotStarted = errors.New("the signing keys have not been read from Caddy's storage; the log says why")

// LoginApp is what the hass_login and hass_jwt handlers of a configuration share: the
// keys of their homes, and the sessions. It has no settings and need not be
// configured: the handlers bring it along. It reads and makes keys when Caddy
// starts it, so that `caddy validate` does neither.
type LoginApp struct {
	storage certmagic.Storage
	homes   *hassapp.App // nil: none in the configuration
	log     *slog.Logger
	started chan struct{}

	// cookies has the names of all that are minted or taken here. It is written to by Provision only.
	cookies map[string]bool

	mu     sync.Mutex
	realms map[string]*heldRealm
	letGo  []func() // from Start until Cleanup
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// heldRealm is a realm that this configuration uses.
type heldRealm struct {
	*realm
	release func()
	minters []*Minter
	checked bool // a hass_jwt checks tokens with its keys
}

// CaddyModule returns the Caddy module information.
func (*LoginApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "hass_login", New: func() caddy.Module { return new(LoginApp) }}
}

// Provision opens and writes nothing.
func (a *LoginApp) Provision(ctx caddy.Context) error {
	a.storage = ctx.Storage()
	a.log = ctx.Slogger()
	a.started = make(chan struct{})
	a.realms = make(map[string]*heldRealm)
	a.cookies = make(map[string]bool)
	app, err := ctx.AppIfConfigured("hass")
	switch {
	case errors.Is(err, caddy.ErrNotConfigured):
		return nil
	case err != nil:
		return err
	}
	a.homes = app.(*hassapp.App)
	return nil
}

// hold returns the realm of a home.
func (a *LoginApp) hold(home string) (*heldRealm, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r, ok := a.realms[home]; ok {
		return r, nil
	}
	r, release, err := acquireRealm(a.storage, home)
	if err != nil {
		return nil, err
	}
	held := &heldRealm{realm: r, release: release}
	a.realms[home] = held
	return held, nil
}

// minterFor returns who mints the cookie of a name that reaches a host; nil: nobody
// in this configuration.
func (h *heldRealm) minterFor(host, cookie, issuer string) *Minter {
	var found *Minter
	for _, m := range h.all() {
		switch {
		case m.cookie != cookie || m.issuer != issuer:
		case m.covers(host):
			return m
		case m.domain == "" && found == nil:
			found = m // of this host alone, or it would not have come here
		}
	}
	return found
}

// all is who mints here, or, where nobody does, elsewhere on the same storage.
func (h *heldRealm) all() []*Minter {
	if list := h.elsewhere.Load(); len(h.minters) == 0 && list != nil {
		return *list
	}
	return h.minters
}

// longest is the longest session of this configuration.
func (h *heldRealm) longest() time.Duration {
	longest := time.Duration(0)
	for _, m := range h.minters {
		longest = max(longest, m.session)
	}
	return longest
}

// Start reads the keys, and makes those that are missing.
func (a *LoginApp) Start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	for home, held := range a.realms {
		stop, err := held.start(a.storage, a.log, len(held.minters) > 0)
		if err != nil {
			return fmt.Errorf("home %q: %w", home, err)
		}
		a.letGo = append(a.letGo, stop)
		if len(held.minters) > 0 {
			if err := held.tell(held.minters); err != nil {
				return fmt.Errorf("home %q: %w", home, err)
			}
		}
		if held.checked && len(held.minters) == 0 && held.ring.Load() == nil {
			a.log.Warn("nobody is let in by hass_jwt yet: there is no hass_login for this home in this configuration, and Caddy's storage has no keys of one. "+
				"Add hass_login in front of Home Assistant, or say where the keys are: key file <pem> or key jwks <url>", "home", home)
		}
		if a.homes == nil {
			continue
		}
		client, release, err := a.homes.Acquire(home)
		if errors.Is(err, hassapp.ErrNoHome) {
			continue
		}
		if err != nil {
			return err
		}
		a.wg.Go(func() {
			defer release()
			defer held.clients.Push(client)()
			held.watch(ctx, client)
		})
	}
	close(a.started)
	return nil
}

// Stop does nothing: requests that have come under this configuration are still
// to be answered, and Cleanup comes after it.
func (a *LoginApp) Stop() error { return nil }

// Cleanup lets go of the realms.
func (a *LoginApp) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cancel != nil {
		a.cancel()
	}
	a.wg.Wait()
	for _, letGo := range a.letGo {
		letGo()
	}
	for _, held := range a.realms {
		held.release()
	}
	a.realms, a.letGo = nil, nil
	return nil
}

// wait waits until the app has started, but not for ever.
func (a *LoginApp) wait(r *http.Request) error {
	select {
	case <-a.started:
		return nil
	default:
	}
	timer := time.NewTimer(startWithin)
	defer timer.Stop()
	select {
	case <-a.started:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	case <-timer.C:
		return errNotStarted
	}
}

// Interface guards
var (
	_ caddy.App          = (*LoginApp)(nil)
	_ caddy.Provisioner  = (*LoginApp)(nil)
	_ caddy.CleanerUpper = (*LoginApp)(nil)
	_ KeySource          = (*realm)(nil)
)

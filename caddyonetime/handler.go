package caddyonetime

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// appOf returns the app hass_onetime, with its defaults where the configuration
// does not speak of it.
func appOf(ctx caddy.Context) (*App, error) {
	app, err := ctx.App("hass_onetime")
	if err != nil {
		return nil, err
	}
	return app.(*App), nil
}

// heldKey is the key of a request's *held in its context.
type heldKey struct{}

// held is the engine as one request has it.
type held struct {
	engine *engine
	err    error
}

// withEngine returns the request with an engine in it that stays open until
// release is called. What is wrong with the engine is told by serviceOf.
func (a *App) withEngine(r *http.Request) (_ *http.Request, e *engine, release func()) {
	e, release, err := a.hold(r.Context())
	if err != nil {
		release = func() {}
	}
	return r.WithContext(context.WithValue(r.Context(), heldKey{}, held{e, err})), e, release
}

// serviceOf returns the service of the engine that a request holds.
func serviceOf(ctx context.Context) (*onetime.Service, error) {
	h, ok := ctx.Value(heldKey{}).(held)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: the request holds no store", onetime.ErrClosed)
	case h.err != nil:
		return nil, h.err
	}
	return h.engine.service, nil
}

// clientIP is the client's address as Caddy has found it, minding
// trusted_proxies.
func clientIP(r *http.Request) netip.Addr {
	s, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// perEngine makes one T for each engine it meets, which is one until a backup
// of configurations takes another store.
type perEngine[T any] struct {
	mu   sync.Mutex
	of   *engine
	made T
	make func(*engine) T
}

func (p *perEngine[T]) get(e *engine) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of != e {
		p.of, p.made = e, p.make(e)
	}
	return p.made
}

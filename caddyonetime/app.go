package caddyonetime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassapp"
)

func init() {
	caddy.RegisterModule(new(App))
}

const (
	// startWithin is how long a request waits for an app that has yet to
	// start: Caddy starts its apps in no particular order.
	startWithin = 5 * time.Second

	// finishWithin is how long an ending process waits for redemptions under
	// way. The outcome of those that take longer will be unknown.
	finishWithin = 20 * time.Second

	defaultRetention = 365 * 24 * time.Hour

	// minRetention keeps what a host has just seen from vanishing under their eyes.
	minRetention = time.Hour
)

// App is what a configuration says about one-time links. It emits the events
// hass_redemption, hass_refusal, hass_paused and hass_resumed for handlers of
// the global option events.
type App struct {
	// BaseURL is where guests reach this Caddy's hass_onetime handler, such
	// as https://guests.example.com. Links begin with it; it may have a path.
	// It is needed as soon as a link is made.
	BaseURL string `json:"public_url,omitempty"`

	// StoreRaw is where actions, tokens and the log are kept. Default: bbolt,
	// in the file onetime.db in Caddy's data folder.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=hass_onetime.stores inline_key=module"`

	// House is what guests read on top of their page, "12 Hill Street".
	House string `json:"house,omitempty"`

	// Contacts are whom guests can turn to. The first is their host.
	Contacts []Contact `json:"contacts,omitempty"`

	// Notify says who is told when a link was pressed. Default: a persistent
	// notification in the home whose action it was.
	Notify []*Notify `json:"notify,omitempty"`

	// NotifyOff says that nobody is told.
	NotifyOff bool `json:"notify_off,omitempty"`

	// EventsOff says that no event is fired in a home, and none that is fired
	// there makes a link or pauses all of them.
	EventsOff bool `json:"events_off,omitempty"`

	// Retention is for how long the log and dead links are kept, an hour at
	// least. Default: a year.
	Retention caddy.Duration `json:"retention,omitempty"`

	// Addresses says how much of a client's address the log keeps: "full",
	// "short" (the first 24 bits of IPv4, 48 of IPv6) or "none". It is about
	// the log of links and all that is made of it: pages, API, table. Caddy's
	// access log has filters of its own. Default: full.
	Addresses string `json:"addresses,omitempty"`

	store    Store
	key      string // the store's, resolved
	settings *settings
	log      *slog.Logger

	started chan struct{} // closed when it has started

	mu     sync.Mutex
	held   *engine // from Start until Cleanup
	forget func()
	events *listener
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "hass_onetime", New: func() caddy.Module { return new(App) }}
}

// Provision reads and checks the settings. It opens nothing and writes nothing.
func (a *App) Provision(ctx caddy.Context) error {
	a.log = ctx.Slogger()
	a.started = make(chan struct{})

	if err := a.provisionTexts(); err != nil {
		return err
	}
	if a.Retention == 0 {
		a.Retention = caddy.Duration(defaultRetention)
	}
	if time.Duration(a.Retention) < minRetention {
		return fmt.Errorf("retention: %v is no time of at least an hour", time.Duration(a.Retention))
	}

	if err := checkAddresses(a.Addresses); err != nil {
		return err
	}

	if len(a.StoreRaw) == 0 {
		a.StoreRaw = caddyconfig.JSONModuleObject(new(BoltStore), "module", "bbolt", nil)
	}
	mod, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	a.store = mod.(Store)

	homes, err := homesOf(ctx)
	if err != nil {
		return err
	}
	if homes == nil {
		a.log.Warn("there is no home in the configuration, so no link can do anything: " +
			"add the global option hass { url …; token … }")
	}
	notify, err := a.provisionNotify(homes)
	if err != nil {
		return err
	}
	if err := metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	emitter, err := newEmitter(ctx)
	if err != nil {
		return err
	}
	a.settings = &settings{
		homes:     homes,
		notify:    notify,
		retention: time.Duration(a.Retention),
		addresses: a.Addresses,
		house:     a.House,
		link:      a.Link,
		eventsOff: a.EventsOff,
		emitter:   emitter,
		storage:   ctx.Storage(),
		log:       a.log,
	}
	return nil
}

// homesOf returns the app with the configuration's homes; nil where it has none.
func homesOf(ctx caddy.Context) (*hassapp.App, error) {
	app, err := ctx.AppIfConfigured("hass")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return app.(*hassapp.App), nil
}

// Start opens the store, unless another configuration has it open already, and
// makes the store use this configuration's homes, notifications and logs.
func (a *App) Start() error {
	ctx, cancel := context.WithTimeout(context.Background(), 4*startWithin)
	defer cancel()

	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.open(ctx); err != nil {
		return err
	}
	close(a.started)
	warnIfLost(a.log, a.store)
	return nil
}

// open takes the app's own reference to the engine; a.mu is held.
func (a *App) open(ctx context.Context) error {
	key, err := a.store.Resolve()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	e, err := engines.hold(key, func(e *engine) error { return e.openStore(ctx, a.store, a.settings) })
	if err != nil {
		return err
	}
	if err := e.linkKey.follow(ctx, a.settings.storage, e.store.ID(), e.log); err != nil {
		engines.letGo(e)
		return err
	}
	a.key, a.held, a.forget = key, e, e.settings.Push(a.settings)
	a.events = e.listen(a.settings)
	return nil
}

// Stop does nothing: requests that have come under this configuration are still
// to be answered, and Cleanup comes after it.
func (a *App) Stop() error { return nil }

// Cleanup lets go of the engine. It closes when the last redemption under way
// has ended and no other configuration uses it. A process that ends waits for
// that a while.
func (a *App) Cleanup() error {
	a.mu.Lock()
	e, forget, events := a.held, a.forget, a.events
	a.held, a.forget, a.events = nil, nil, nil
	a.mu.Unlock()
	if e == nil {
		return nil
	}
	events.close()
	forget()
	if engines.drop(e) {
		e.close()
	}
	if caddy.Exiting() {
		select {
		case <-e.closed:
		case <-time.After(finishWithin):
			a.log.Warn("redemptions were still under way when the process had to end: their outcome will be unknown")
		}
	}
	return nil
}

// hold returns the engine for as long as a request takes. It waits until the app
// has started, but at most startWithin. A request that was accepted under this
// configuration is served by its engine even if the configuration has gone.
func (a *App) hold(ctx context.Context) (*engine, func(), error) {
	select {
	case <-a.started:
	default:
		timer := time.NewTimer(startWithin)
		defer timer.Stop()
		select {
		case <-a.started:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-timer.C:
			return nil, nil, fmt.Errorf("%w: the store is not open after %v; the log says why", onetime.ErrClosed, startWithin)
		}
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	e, err := engines.hold(a.key, func(e *engine) error {
		return e.openStore(context.WithoutCancel(ctx), a.store, a.settings)
	})
	if err != nil {
		return nil, nil, err
	}
	return e, sync.OnceFunc(func() { engines.letGo(e) }), nil
}

// Service returns the service, waiting for at most 5 s until the app has
// started. The error is or wraps onetime.ErrClosed if it has not.
func (a *App) Service(ctx context.Context) (*onetime.Service, error) {
	e, release, err := a.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return e.service, nil
}

// StorePath is the store's file, as it was resolved, or "" before Start and for
// a store that is no file.
func (a *App) StorePath() string {
	if f, ok := a.store.(interface{ FilePath() string }); ok {
		return f.FilePath()
	}
	return ""
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)

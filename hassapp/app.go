// Package hassapp is Caddy's app "hass": the homes of a configuration and their
// live connections, which outlive the configuration.
//
// A connection to a home is opened when an app starts, never by provisioning,
// so that caddy validate and caddy adapt open none. All configurations of a
// process that name the same home with the same token and the same TLS
// settings share one connection, and so do those that follow each other in a
// reload: it is closed when the last one that uses it is done with it.
package hassapp

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/hassclient"
)

func init() {
	caddy.RegisterModule(new(App))
}

// DefaultHome is the name of the home that has none in the configuration.
const DefaultHome = "default"

// ErrNoHome is returned where the configuration has no home of that name.
var ErrNoHome = errors.New("no such home in the configuration")

// App is the Home Assistants of a configuration.
type App struct {
	// Homes by name. The one without a name in a Caddyfile is "default".
	Homes map[string]*Home `json:"homes,omitempty"`

	log *slog.Logger

	mu    sync.Mutex
	letGo []func() // the app's own references, from Start until Cleanup
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "hass", New: func() caddy.Module { return new(App) }}
}

// Provision reads and checks the homes. It opens no connection.
func (a *App) Provision(ctx caddy.Context) error {
	a.log = ctx.Slogger()
	for _, name := range a.Names() {
		h := a.Homes[name]
		if h == nil {
			return fmt.Errorf("home %q has no settings: give it a url and a token", name)
		}
		if !validName(name) {
			return fmt.Errorf("%q is no name for a home: use 1 to 64 of a-z, 0-9, _ and -", name)
		}
		if err := h.provision(ctx, name, a.log); err != nil {
			return fmt.Errorf("home %q: %w", name, err)
		}
	}
	return nil
}

// Start opens a connection to each home that has none yet. It does not wait for
// a home: a Caddy starts whether or not its homes do.
func (a *App) Start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range a.Names() {
		h := a.Homes[name]
		conn, key, err := h.connect()
		if err != nil {
			return fmt.Errorf("home %q: %w", name, err)
		}
		// A home that refused its token is otherwise asked again only every
		// ten minutes; a reload says that somebody has done something.
		if conn.client.Status().State == hassclient.StateRefused {
			conn.client.Retry()
		}
		forget := conn.loggers.Push(a.log.With("home", name))
		a.letGo = append(a.letGo, func() {
			forget()
			release(key)
		})
	}
	return nil
}

// Stop does nothing: requests that have come under this configuration are still
// to be answered, and Cleanup comes after it.
func (a *App) Stop() error { return nil }

// Cleanup lets go of the connections. Those that the next configuration uses
// as well, or that somebody has acquired, stay open.
func (a *App) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, letGo := range a.letGo {
		letGo()
	}
	a.letGo = nil
	return nil
}

// Acquire returns the connection to a home, whatever its state, and a function
// that lets go of it. The connection stays open until that is called, whatever
// is reloaded meanwhile. Acquire must not be called before Caddy starts its
// apps. The error is ErrNoHome where there is no such home.
func (a *App) Acquire(name string) (*hassclient.Client, func(), error) {
	h, ok := a.Homes[name]
	if !ok {
		return nil, nil, fmt.Errorf("%w: %q", ErrNoHome, name)
	}
	conn, key, err := h.connect()
	if err != nil {
		return nil, nil, fmt.Errorf("home %q: %w", name, err)
	}
	return conn.client, sync.OnceFunc(func() { release(key) }), nil
}

// Names lists the homes of the configuration, sorted.
func (a *App) Names() []string {
	return slices.Sorted(maps.Keys(a.Homes))
}

// URL is the address of a home as the configuration says it, or "".
func (a *App) URL(name string) string {
	if h, ok := a.Homes[name]; ok {
		return h.url
	}
	return ""
}

// ClientConfig is how to reach a home: address, TLS settings and timeout, without
// its token. false: there is no such home in the configuration.
func (a *App) ClientConfig(name string) (hassclient.Config, bool) {
	h, ok := a.Homes[name]
	if !ok {
		return hassclient.Config{}, false
	}
	return hassclient.Config{URL: h.url, TLS: h.tls, Timeout: time.Duration(h.Timeout)}, true
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)

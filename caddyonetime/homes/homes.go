// Package homes is the domain's way to Home Assistant: it checks, readies and runs
// definitions over the connections of hassclient.
package homes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	_ "time/tzdata" // a home's time zone is known in a container without one, too

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

const (
	// checkTimeout bounds what a host waits for when an action is saved.
	checkTimeout = 15 * time.Second

	// readyTimeout bounds what a guest waits for before the home is asked.
	readyTimeout = 5 * time.Second

	// startGrace is how long a home that was never tried is waited for: a
	// press right after a start is not turned away.
	startGrace = 2 * time.Second

	// startPatience is how long a home is waited for that is connected, and
	// still starting. It leaves time to look at states before readyTimeout.
	startPatience = 4 * time.Second

	// verifyTimeout bounds the question what became of a script.
	verifyTimeout = 5 * time.Second
)

// New returns the homes that acquire knows, which is (*hassapp.App).Acquire.
func New(acquire func(name string) (*hassclient.Client, func(), error)) onetime.Homes {
	return &homes{acquire: acquire, homes: map[string]*home{}}
}

type homes struct {
	acquire func(name string) (*hassclient.Client, func(), error)

	mu    sync.Mutex
	homes map[string]*home
}

// Acquire returns the home of that name. Its error is ErrNoHome where the
// configuration has none.
func (hs *homes) Acquire(name string) (onetime.Home, func(), error) {
	client, release, err := hs.acquire(name)
	if err != nil {
		if !errors.Is(err, onetime.ErrNoHome) {
			err = fmt.Errorf("%w: %w", onetime.ErrNoHome, err)
		}
		return nil, nil, err
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.homes[name]
	if h == nil || h.client != client {
		h = &home{client: client, now: time.Now, startPatience: startPatience}
		hs.homes[name] = h
	}
	return h, release, nil
}

// home is one home; what it remembers lasts as long as its client.
type home struct {
	client        *hassclient.Client
	now           func() time.Time
	startPatience time.Duration

	resolved resolveCache

	mu       sync.Mutex
	zoneName string
	zone     *time.Location
}

// Reachable implements onetime.Home.
func (h *home) Reachable() bool { return h.client.Connected() }

// TimeZone implements onetime.Home.
func (h *home) TimeZone() *time.Location {
	config, ok := h.client.Home()
	if !ok || config.TimeZone == "" {
		return time.UTC
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.zone == nil || h.zoneName != config.TimeZone {
		zone, err := time.LoadLocation(config.TimeZone)
		if err != nil {
			zone = time.UTC
		}
		h.zoneName, h.zone = config.TimeZone, zone
	}
	return h.zone
}

// connected waits a moment where the first attempt to connect is still under way,
// and says why there is no connection otherwise.
func (h *home) connected(ctx context.Context) error {
	if h.client.Connected() {
		return nil
	}
	s := h.client.Status()
	if s.State == hassclient.StateConnecting && s.Err == nil && s.Version == "" {
		ctx, cancel := context.WithTimeout(ctx, startGrace)
		defer cancel()
		return h.client.Wait(ctx)
	}
	if s.Err != nil {
		return fmt.Errorf("%w: %w", hassclient.ErrNotConnected, s.Err)
	}
	return hassclient.ErrNotConnected
}

// unreachable makes onetime.ErrUnreachable of the reason why a home did not
// answer. A CommandError is an answer, and stays what it is.
func unreachable(err error) error {
	var ce *hassclient.CommandError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ce):
		return fmt.Errorf("the home could not be asked: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: it is connected, but does not answer", onetime.ErrUnreachable)
	}
	return fmt.Errorf("%w: %w", onetime.ErrUnreachable, err)
}

package hassclient

import (
	"context"
	"fmt"
	"time"
)

// ConnState is how a Client stands with its home, in a word.
type ConnState string

const (
	StateConnecting ConnState = "connecting" // trying, or waiting to try again
	StateConnected  ConnState = "connected"
	StateRefused    ConnState = "refused" // the home does not take the token
	StateClosed     ConnState = "closed"
)

// Status is how a Client stands with its home.
type Status struct {
	State ConnState
	Since time.Time // when State began

	// Err is why there is no connection: the last attempt's error. It names
	// the home's address, and never a token. nil while connected, and
	// before the first attempt has ended.
	Err error

	// Version is Home Assistant's, such as "2026.11.0". Like User and
	// Config, it is of the present connection, or of the last one.
	Version string
	User    *User
	Config  *HomeConfig
}

// User is whom a token belongs to (auth/current_user).
type User struct {
	ID      string `json:"id"`
	Name    string `json:"name"` // empty where the home has none
	IsAdmin bool   `json:"is_admin"`
	IsOwner bool   `json:"is_owner"`
}

// HomeConfig is what a home says about itself (get_config).
type HomeConfig struct {
	LocationName string `json:"location_name"`
	TimeZone     string `json:"time_zone"` // IANA, such as "Europe/Berlin"
	Version      string `json:"version"`
	Language     string `json:"language"` // BCP 47, such as "de"
	Country      string `json:"country"`  // ISO 3166; may be empty

	// State is "RUNNING" when the home has started. Before that it answers
	// already, but not all its services and entities are there yet.
	State string `json:"state"`
}

// Running reports whether the home has finished starting.
func (h HomeConfig) Running() bool { return h.State == "RUNNING" }

// Starting reports whether the home is on its way there.
func (h HomeConfig) Starting() bool { return h.State == "NOT_RUNNING" || h.State == "STARTING" }

// Status returns the present status.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	if s.User != nil {
		u := *s.User
		s.User = &u
	}
	if s.Config != nil {
		h := *s.Config
		s.Config = &h
	}
	return s
}

// Changed returns a channel that is closed at the next change of Status. Take it
// before looking at Status, or a change may be missed.
func (c *Client) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Connected reports, without waiting, whether calls can be sent.
func (c *Client) Connected() bool { return c.conn.Load() != nil }

// User returns whom the token belongs to, while connected.
func (c *Client) User() (User, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.State != StateConnected || c.status.User == nil {
		return User{}, false
	}
	return *c.status.User, true
}

// Home returns what the home says about itself; false if it was never reached.
// While not connected it is what was said last.
func (c *Client) Home() (HomeConfig, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.Config == nil {
		return HomeConfig{}, false
	}
	return *c.status.Config, true
}

// Wait waits until the home is connected. Its error, when ctx ends first, wraps
// ErrNotConnected, the context's error and why there is no connection. A refused
// token is not waited for: the error wraps ErrRefused.
func (c *Client) Wait(ctx context.Context) error {
	for {
		changed := c.Changed()
		s := c.Status()
		switch s.State {
		case StateConnected:
			return nil
		case StateClosed:
			return ErrClosed
		case StateRefused:
			return s.Err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if s.Err != nil {
				return fmt.Errorf("%w (%w): %w", ErrNotConnected, ctx.Err(), s.Err)
			}
			return fmt.Errorf("%w (%w)", ErrNotConnected, ctx.Err())
		}
	}
}

// update changes the status, unless the Client is closed, and wakes those who wait.
func (c *Client) update(change func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() == nil {
		c.set(change)
	}
}

// set is update with the lock held.
func (c *Client) set(change func(*Status)) {
	before := c.status.State
	change(&c.status)
	if c.status.State != before {
		c.status.Since = c.cfg.Now()
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// notConnected is ErrNotConnected with the reason, as far as it is known.
func (c *Client) notConnected() error {
	s := c.Status()
	switch {
	case s.State == StateClosed:
		return fmt.Errorf("%w: %w", ErrNotConnected, ErrClosed)
	case s.Err != nil:
		return fmt.Errorf("%w: %w", ErrNotConnected, s.Err)
	}
	return ErrNotConnected
}

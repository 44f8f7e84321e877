// Package onetimetest has a home that does what a test tells it, for tests of
// what stands on [github.com/caddy-hass/caddy-hass/caddyonetime/onetime].
package onetimetest

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Home is an onetime.Home. Its zero value is reachable and does at once what it
// is asked.
type Home struct {
	mu       sync.Mutex
	ran      int
	done     int
	zone     *time.Location
	notReady *onetime.NotReady
	answers  []onetime.Answer
	bad      error
	warnings onetime.Warnings

	// OnRun, where set, is called for each run before it answers.
	OnRun func(ctx context.Context, d *onetime.Definition)
}

// Answer makes the home give these answers to its next runs.
func (h *Home) Answer(answers ...onetime.Answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers = append(h.answers, answers...)
}

// NotReady makes the home not ready, or ready again with nil.
func (h *Home) NotReady(why *onetime.NotReady) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notReady = why
}

// Find makes Check find this.
func (h *Home) Find(warnings []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.warnings, h.bad = nil, err
	for _, text := range warnings {
		h.warnings = append(h.warnings, &onetime.BadInput{Message: text})
	}
}

// In puts the home into a time zone.
func (h *Home) In(zone *time.Location) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.zone = zone
}

// Ran is how often it was asked; Done is how often it said that it is done.
func (h *Home) Ran() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ran
}

func (h *Home) Done() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.done
}

func (h *Home) Reachable() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.notReady == nil || h.notReady.Cause != onetime.CauseUnreachable
}

func (h *Home) TimeZone() *time.Location {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.zone == nil {
		return time.UTC
	}
	return h.zone
}

func (h *Home) Check(context.Context, *onetime.Definition) (onetime.Warnings, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.warnings, h.bad
}

func (h *Home) Ready(context.Context, *onetime.Definition) *onetime.NotReady {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.notReady
}

func (h *Home) Run(ctx context.Context, d *onetime.Definition) onetime.Answer {
	h.mu.Lock()
	h.ran++
	onRun := h.OnRun
	answer := onetime.Answer{Outcome: onetime.OutcomeDone}
	if len(h.answers) > 0 {
		answer, h.answers = h.answers[0], h.answers[1:]
	}
	h.mu.Unlock()
	if onRun != nil {
		onRun(ctx, d)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if answer.Outcome == onetime.OutcomeDone {
		h.done++
	}
	return answer
}

// Homes is an onetime.Homes by name.
type Homes map[string]onetime.Home

func (h Homes) Acquire(name string) (onetime.Home, func(), error) {
	home, ok := h[name]
	if !ok {
		return nil, nil, onetime.ErrNoHome
	}
	return home, func() {}, nil
}

// Clock is a clock that stands until it is moved.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []timer
}

type timer struct {
	at time.Time
	c  chan time.Time
}

// NewClock returns a clock that stands at now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now is where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After is time.After on this clock.
func (c *Clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := timer{c.now.Add(d), make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	return t.c
}

// Move moves the clock and fires what is due.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	kept := c.timers[:0]
	for _, t := range c.timers {
		if t.at.After(c.now) {
			kept = append(kept, t)
			continue
		}
		t.c <- c.now
	}
	c.timers = kept
}

var _ onetime.Home = (*Home)(nil)

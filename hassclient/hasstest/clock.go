package hasstest

import (
	"sync"
	"time"
)

// Clock is the time a home lives in: its devices, delays, tokens and time
// stamps. Without [WithClock] it is the computer's.
type Clock interface {
	Now() time.Time
	// After returns a channel on which the time is sent once d has passed.
	After(d time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// ManualClock is a Clock that moves only when told to.
type ManualClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []manualTimer
	waits  chan struct{} // closed and renewed whenever a timer is added
}

type manualTimer struct {
	at time.Time
	c  chan time.Time
}

// NewManualClock returns a clock that stands at now.
func NewManualClock(now time.Time) *ManualClock {
	return &ManualClock{now: now, waits: make(chan struct{})}
}

// Now returns the time at which the clock stands.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After implements [Clock].
func (c *ManualClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	if d <= 0 {
		ch <- c.now
		return ch
	}
	c.timers = append(c.timers, manualTimer{at: c.now.Add(d), c: ch})
	close(c.waits)
	c.waits = make(chan struct{})
	return ch
}

// Advance moves the clock by d and lets everything pass that was due by then.
func (c *ManualClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	rest := c.timers[:0]
	for _, t := range c.timers {
		if t.at.After(c.now) {
			rest = append(rest, t)
			continue
		}
		t.c <- c.now
	}
	c.timers = rest
}

// BlockUntil waits until n timers are pending: until what is to be waited for
// has begun to wait.
func (c *ManualClock) BlockUntil(n int) {
	for {
		c.mu.Lock()
		pending, waits := len(c.timers), c.waits
		c.mu.Unlock()
		if pending >= n {
			return
		}
		<-waits
	}
}

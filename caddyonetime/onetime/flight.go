package onetime

import (
	"context"
	"sync"
	"time"
)

// twin names requests that are one: the same token and the same key.
type twin struct{ token, key string }

// flight is a redemption under way.
type flight struct {
	token  string // its id; empty when a host tries an action
	action string
	key    string
	seen   string
	client string
	by     Person

	timer <-chan time.Time // fires once, AnswerWithin after the first request
	late  chan struct{}    // closed when it has fired
	once  sync.Once        // closes late
	done  chan struct{}    // closed when it has ended

	mu      sync.Mutex
	attempt *Attempt // set when it is reserved, replaced when it is settled
	replay  bool     // the attempt is an earlier one's
	err     error
}

func (f *flight) reserved(a Attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attempt = &a
}

func (f *flight) state() (a *Attempt, replay bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attempt != nil {
		copied := *f.attempt
		a = &copied
	}
	return a, f.replay, f.err
}

// answer waits for the end of the flight, but not for ever: a redemption that is
// asked and still without answer is running. For all but the one who began the
// flight it is a replay.
func (f *flight) answer(ctx context.Context, other bool) (*Redemption, error) {
	late := f.late
	for {
		select {
		case <-f.done:
			a, replay, err := f.state()
			if err != nil {
				return nil, err
			}
			return &Redemption{Attempt: *a, Replayed: replay || other}, nil
		case <-f.timer:
			f.once.Do(func() { close(f.late) })
		case <-late:
			late = nil
			// Before it is reserved nothing can be said but "wait".
			if a, _, _ := f.state(); a != nil {
				return &Redemption{Attempt: a.running(), Replayed: other}, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// running is the attempt as those see it who do not wait for its end.
func (a *Attempt) running() Attempt {
	r := *a
	r.Outcome, r.Cause, r.Retry = OutcomeRunning, CauseNone, false
	return r
}

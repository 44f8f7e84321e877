package onetime

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// How long a redemption waits.
const (
	// AnswerWithin is when whoever pressed hears that it is still running.
	AnswerWithin = 20 * time.Second

	// GiveUpAfter is when an answer of the home is no longer waited for.
	GiveUpAfter = 10 * time.Minute

	// readyWithin bounds the question whether the home can be asked at all.
	readyWithin = 5 * time.Second
)

// Config is what a Service is made of.
type Config struct {
	Store  Store
	Signer *Signer
	Homes  Homes

	// Now is the clock; time.Now when nil. After is time.After when nil. Rand
	// is crypto/rand.Reader when nil.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
	Rand  io.Reader

	// Address says what the log keeps, and shows, of a client's address; nil:
	// all of it. What it says of its own answer is the same.
	Address func(client string) string

	// Observe is told of each entry of the log after it is on disk. It is
	// called in order, off the guest's path, and must not block for long.
	Observe func(Entry)

	// Fault is told what went wrong where nobody waits for an answer any
	// more, such as an outcome that could not be written down.
	Fault func(msg string, err error)
}

// Service is the one way to do anything with actions and tokens, whoever asks:
// page, API or command. It is safe for concurrent use.
type Service struct {
	store  Store
	homes  Homes
	now    func() time.Time
	after  func(time.Duration) <-chan time.Time
	rand   io.Reader
	client func(string) string
	fault  func(string, error)
	signer atomic.Pointer[Signer]

	definitions definitions
	foreign     foreignIndex
	follower    *follower

	// restoring keeps redemptions from being reserved, and old links from
	// being hashed, while a backup and its link key are loaded.
	restoring sync.RWMutex

	mu      sync.Mutex
	closed  bool
	twins   map[twin]*flight
	flights map[uint64]*flight // by attempt
	memory  memory             // what was written down a moment ago
	under   sync.WaitGroup     // redemptions under way

	ended chan struct{} // closed by Close
}

// New makes a Service and recovers what was cut off (see the package's
// documentation). It owns the store from then on.
func New(ctx context.Context, cfg Config) (*Service, error) {
	s := &Service{
		store:   cfg.Store,
		homes:   cfg.Homes,
		now:     cfg.Now,
		after:   cfg.After,
		rand:    cfg.Rand,
		client:  cfg.Address,
		fault:   cfg.Fault,
		twins:   make(map[twin]*flight),
		flights: make(map[uint64]*flight),
		ended:   make(chan struct{}),
	}
	s.signer.Store(cfg.Signer)
	if s.now == nil {
		s.now = time.Now
	}
	if s.after == nil {
		s.after = time.After
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.client == nil {
		s.client = func(client string) string { return client }
	}
	if s.fault == nil {
		s.fault = func(string, error) {}
	}

	var last uint64
	err := s.store.View(func(tx Tx) (err error) {
		if last, err = tx.LastEntry(); err != nil {
			return err
		}
		s.foreign.ids, err = readForeign(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, err
	}
	s.follower = follow(s.store, last, cfg.Observe, s.fault)
	return s, nil
}

// Close refuses new redemptions, waits for those under way until ctx ends, then
// closes the store. What is still under way then is recovered at the next start.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.ended)
	s.mu.Unlock()

	idle := make(chan struct{})
	go func() { s.under.Wait(); close(idle) }()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = errors.New("redemptions were still under way: their outcome will be unknown")
	}
	s.follower.close()
	return errors.Join(err, s.store.Close())
}

// Ended is closed when the Service is: what streams from it ends then.
func (s *Service) Ended() <-chan struct{} { return s.ended }

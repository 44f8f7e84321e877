package onetime

import "sync"

// follower reads the log as it grows and tells observers of it, in order,
// off everybody's path.
type follower struct {
	store   Store
	observe func(Entry)
	fault   func(string, error)

	wake chan struct{}
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	changed chan struct{}
	last    uint64
}

func follow(store Store, last uint64, observe func(Entry), fault func(string, error)) *follower {
	f := &follower{
		store: store, observe: observe, fault: fault, last: last,
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
	}
	go f.run()
	f.grown()
	return f
}

// grown says that the log may have grown.
func (f *follower) grown() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// jump goes on at another place of the log: after a backup was loaded.
func (f *follower) jump(last uint64) {
	f.mu.Lock()
	f.last = last
	f.mu.Unlock()
	f.grown()
}

func (f *follower) run() {
	defer close(f.done)
	for {
		select {
		case <-f.wake:
			f.catchUp()
		case <-f.stop:
			f.catchUp()
			return
		}
	}
}

// followerPage bounds how long a read transaction stays open.
const followerPage = 256

func (f *follower) catchUp() {
	for {
		f.mu.Lock()
		from := f.last
		f.mu.Unlock()
		var page []Entry
		err := f.store.View(func(tx Tx) error {
			return tx.EntriesAfter(from, func(e *Entry) bool {
				page = append(page, *e)
				return len(page) < followerPage
			})
		})
		if err != nil {
			f.fault("the log could not be read for notifications", err)
			return
		}
		if len(page) == 0 {
			return
		}
		f.mu.Lock()
		if f.last == from {
			f.last = page[len(page)-1].Seq
		}
		close(f.changed)
		f.changed = make(chan struct{})
		f.mu.Unlock()
		if f.observe != nil {
			for _, e := range page {
				f.observe(e)
			}
		}
	}
}

func (f *follower) close() {
	close(f.stop)
	<-f.done
}

// Changed returns a channel that is closed at the next entry of the log.
func (s *Service) Changed() <-chan struct{} {
	s.follower.mu.Lock()
	defer s.follower.mu.Unlock()
	return s.follower.changed
}

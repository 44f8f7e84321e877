package onetime

import "time"

// memory remembers for a short while that something has been written down, so
// that whoever repeats a request fills neither disk nor log.
type memory struct {
	seen map[string]remembered
}

type remembered struct {
	at  time.Time
	seq uint64 // of the attempt that was written down
}

const (
	memoryFor  = time.Minute
	memorySize = 4096
)

// recall returns what was remembered of it within the last minute.
func (m *memory) recall(what string, now time.Time) (seq uint64, ok bool) {
	r, ok := m.seen[what]
	if !ok || now.Before(r.at) || now.Sub(r.at) >= memoryFor {
		return 0, false
	}
	return r.seq, true
}

func (m *memory) remember(what string, seq uint64, now time.Time) {
	if m.seen == nil || len(m.seen) >= memorySize {
		m.seen = make(map[string]remembered)
	}
	m.seen[what] = remembered{now, seq}
}

func (s *Service) recall(what string) (seq uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory.recall(what, s.now())
}

func (s *Service) remember(what string, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.remember(what, seq, s.now())
}

// Package reload is for what outlives a configuration of Caddy. A connection or
// a store that several configurations share, one after the other, takes its
// settings and its logger from the newest of them that is still there.
package reload

import "sync"

// Stack holds one value for each configuration that uses a shared thing. The
// zero Stack is empty and ready. It is safe for concurrent use.
type Stack[T any] struct {
	mu     sync.RWMutex
	values []*T
	last   T
}

// Push makes v the current value until it is removed. When a configuration that
// could not start is taken back, removing its value brings back the one before.
func (s *Stack[T]) Push(v T) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &v
	s.values = append(s.values, p)
	s.last = v

	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, q := range s.values {
			if q == p {
				s.values = append(s.values[:i:i], s.values[i+1:]...)
				break
			}
		}
		if n := len(s.values); n > 0 {
			s.last = *s.values[n-1]
		}
	}
}

// Current is the newest value that has not been removed. When all have been, it
// is the one that went last: what is still under way finishes with it.
func (s *Stack[T]) Current() T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.last
}

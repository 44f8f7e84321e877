package caddyjwt

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// limitTries is how many tries a client has in a limitWindow. Home
	// Assistant bans after five where it is set up to.
	limitTries  = 4
	limitWindow = time.Minute
	limitKept   = 4096
)

// limiter counts tries by client: an IPv4 address or an IPv6 /64. The zero value is
// ready.
type limiter struct {
	window time.Duration // zero: limitWindow

	mu    sync.Mutex
	began time.Time
	tries map[netip.Prefix]int
}

func clientPrefix(ip string) netip.Prefix {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// allow counts a try and says whether there was one left.
func (l *limiter) allow(ip string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	window := l.window
	if window == 0 {
		window = limitWindow
	}
	if l.tries == nil || now.Sub(l.began).Abs() >= window || len(l.tries) >= limitKept {
		l.tries, l.began = make(map[netip.Prefix]int), now
	}
	p := clientPrefix(ip)
	if l.tries[p] >= limitTries {
		return false
	}
	l.tries[p]++
	return true
}

// forgive takes a try back that was a good one.
func (l *limiter) forgive(ip string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := clientPrefix(ip); l.tries[p] > 0 {
		l.tries[p]--
	}
}

// reset takes back all tries.
func (l *limiter) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries = nil
}

// clear takes back all tries of a client.
func (l *limiter) clear(ip string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tries, clientPrefix(ip))
}

package caddyjwt

import (
	"maps"
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
	tries map[netip.Prefix]tries
}

type tries struct {
	n     int
	began time.Time
}

// maxUnknownLogins is how many logouts of logins that are not known here are written down in
// an hour: a household has a few in a month.
const maxUnknownLogins = 60

// quota bounds what many clients together may do in an hour. The zero value is ready.
type quota struct {
	mu    sync.Mutex
	began time.Time
	n     int
}

// take says whether there is one left, and if not, whether that was said before.
func (q *quota) take(now time.Time) (ok, said bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.began).Abs() >= time.Hour {
		q.began, q.n = now, 0
	}
	q.n++
	return q.n <= maxUnknownLogins, q.n > maxUnknownLogins+1
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
	over := func(_ netip.Prefix, t tries) bool { return now.Sub(t.began).Abs() >= window }
	if len(l.tries) >= limitKept {
		maps.DeleteFunc(l.tries, over)
	}
	if l.tries == nil || len(l.tries) >= limitKept {
		l.tries = make(map[netip.Prefix]tries)
	}
	p := clientPrefix(ip)
	t, counted := l.tries[p]
	if !counted || over(p, t) {
		t = tries{began: now}
	}
	if t.n >= limitTries {
		return false
	}
	t.n++
	l.tries[p] = t
	return true
}

// forgive takes a try back that was a good one.
func (l *limiter) forgive(ip string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := clientPrefix(ip)
	if t, counted := l.tries[p]; counted && t.n > 0 {
		t.n--
		l.tries[p] = t
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

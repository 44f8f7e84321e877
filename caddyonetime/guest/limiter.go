package guest

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Bounds of a Limiter: how many wrong codes a network may show at once, how
// often one more, and how many networks are remembered.
const (
	wrongBurst   = 20
	wrongEvery   = 20 * time.Second
	wrongTracked = 16384
)

// Limiter counts wrong codes per network: an IPv4 address or an IPv6 /64. It
// is a token bucket with a bounded memory, which forgets the networks that
// were quiet for the longest time.
type Limiter struct {
	now func() time.Time

	mu    sync.Mutex
	nets  map[netip.Prefix]*list.Element
	order *list.List // of *bucket, the most recent first
}

// bucket is full when the time full has come.
type bucket struct {
	net  netip.Prefix
	full time.Time
}

// NewLimiter makes a Limiter; now is time.Now when nil.
func NewLimiter(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{now: now, nets: make(map[netip.Prefix]*list.Element), order: list.New()}
}

// Allow counts a wrong code from addr. When it is one too many, ok is false and
// wait is how long to wait before the next. Refused tries do not count.
func (l *Limiter) Allow(addr netip.Addr) (wait time.Duration, ok bool) {
	net := network(addr)
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.nets[net]
	if e == nil {
		if l.order.Len() >= wrongTracked {
			oldest := l.order.Back()
			l.order.Remove(oldest)
			delete(l.nets, oldest.Value.(*bucket).net)
		}
		e = l.order.PushFront(&bucket{net: net, full: now})
		l.nets[net] = e
	} else {
		l.order.MoveToFront(e)
	}
	b := e.Value.(*bucket)
	full := b.full
	// A clock that was set back must not shut anybody out for longer than
	// an empty bucket does.
	if most := now.Add(wrongBurst * wrongEvery); full.After(most) {
		full = most
	}
	if full.Before(now) {
		full = now
	}
	full = full.Add(wrongEvery)
	if over := full.Sub(now) - wrongBurst*wrongEvery; over > 0 {
		return over, false
	}
	b.full = full
	return 0, true
}

// network is what counts as one client. Whoever has an IPv6 address has the
// whole /64 around it.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the address is not known: all such are one
	}
	return p
}

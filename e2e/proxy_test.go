package e2e

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// proxy is a cable between Caddy and the home, which a test can cut.
type proxy struct {
	t      *testing.T
	target string
	addr   string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	taken    int  // connections so far
	muted    bool // nothing comes back from the home any more
	idle     sync.WaitGroup
}

// newProxy makes a cable to a home that is not plugged in yet.
func newProxy(t *testing.T, h *home) *proxy {
	t.Helper()
	u, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, target: u.Host, addr: freeport.Addr(t), conns: make(map[net.Conn]bool)}
	t.Cleanup(p.unplug)
	return p
}

func (p *proxy) url() string { return "http://" + p.addr }

// plug lets connections through.
func (p *proxy) plug() {
	p.t.Helper()
	ln, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.listener, p.muted = ln, false
	p.mu.Unlock()
	p.idle.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", p.target)
			if err != nil {
				near.Close()
				continue
			}
			p.mu.Lock()
			p.conns[near], p.conns[far] = true, true
			p.taken++
			p.mu.Unlock()
			p.idle.Go(func() { p.carry(far, near, false) })
			p.idle.Go(func() { p.carry(near, far, true) })
		}
	})
}

// carry copies until either side ends. answers says that it is from the home.
func (p *proxy) carry(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		muted := p.muted && answers
		p.mu.Unlock()
		if n > 0 && !muted {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// mute keeps back what the home says, on connections that stand.
func (p *proxy) mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.muted = true
}

// unplug cuts all connections and takes no new ones.
func (p *proxy) unplug() {
	p.mu.Lock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
	p.mu.Unlock()
	p.idle.Wait()
}

// connections is how many connections to the home were made so far.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

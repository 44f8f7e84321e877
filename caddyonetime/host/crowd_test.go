package host

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// pipes is a listener whose connections buffer nothing: who does not read holds up who
// writes at the first byte.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// TestOpenDashboardsHoldUpNobody presses links while 200 dashboards follow what
// happens, half of which take nothing of it.
func TestOpenDashboardsHoldUpNobody(t *testing.T) {
	const dashboards, presses = 200, 20
	w := newWorld(t)
	w.actions()
	var ids []string
	for range presses {
		ids = append(ids, w.link(anna, `{"actions":["front_door"]}`))
	}

	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	var open atomic.Int32
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		open.Add(1)
		defer open.Add(-1)
		w.h.ServeHTTP(rw, r)
	})}
	go srv.Serve(p)
	t.Cleanup(func() { srv.Close() })
	for i := range dashboards {
		client, server := net.Pipe()
		t.Cleanup(func() { client.Close() })
		p.conns <- server
		if _, err := fmt.Fprintf(client, "GET /api/events HTTP/1.1\r\nHost: keys\r\nTest-User: anna\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			go io.Copy(io.Discard, client)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); open.Load() < dashboards; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d dashboards are open", open.Load())
		}
	}

	others := w.events(anna, "/api/events")
	for _, id := range ids {
		if red := w.press(id); red.Outcome != onetime.OutcomeDone {
			t.Fatalf("%+v", red)
		}
	}
	if n := open.Load(); n < dashboards {
		t.Errorf("only %d dashboards are still open", n)
	}
	for seen := 0; seen < presses; {
		e, ok := others.next()
		if !ok {
			t.Fatalf("the stream has ended after %d presses", seen)
		}
		if e.name == string(onetime.HappenedRedemption) {
			seen++
		}
	}
}

package hassclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestNewRefusesWhatIsNoHome(t *testing.T) {
	token := func() (string, error) { return testToken, nil }
	for url, want := range map[string]string{
		"":                           "is missing",
		"192.168.1.10:8123":          "", // net/url's own words
		"homeassistant:8123":         "must begin with http",
		"ws://ha:8123":               "must begin with http",
		"http://":                    "has no host",
		"http://u:hunter2@ha:8123":   "user name or password",
		"http://ha:8123/?x=1":        "has a ? or #",
		"http://ha:8123/#x":          "has a ? or #",
		"http://ha:81 23":            "is not an address",
		"http://u:hunter2@ha:81 23/": "is not an address",
	} {
		_, err := New(Config{URL: url, Token: token})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", url, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats the password: %v", url, err)
		}
	}
	if _, err := New(Config{URL: "http://ha:8123"}); err == nil {
		t.Error("no Token is taken")
	}
	c, err := New(Config{URL: "http://supervisor/core/", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.base.JoinPath("api/websocket").String(); got != "http://supervisor/core/api/websocket" {
		t.Error("the path is not kept:", got)
	}
}

func TestNothingIsOpenedBeforeStart(t *testing.T) {
	home := newScriptedHome(t, kind)
	c, err := New(Config{URL: home.URL, Token: func() (string, error) {
		t.Error("the token is read")
		return "", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.CallAction(testContext(t), unlock); r.Outcome != NotSent || r.Code != CodeNotConnected || !errors.Is(r.Err, ErrNotConnected) {
		t.Errorf("%+v", r)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	c.Start()
	if s := c.Status(); s.State != StateClosed || home.conns.Load() != 0 {
		t.Error(s, home.conns.Load())
	}
}

func TestStatusOfAConnection(t *testing.T) {
	home := newScriptedHome(t, kind)
	c := newTestClient(t, home.URL, nil).connected(t)
	s := c.Status()
	if s.State != StateConnected || s.Err != nil || s.Since.IsZero() || s.Version != "2026.11.0" {
		t.Errorf("%+v", s)
	}
	if u, ok := c.User(); !ok || u != (User{ID: "u1", IsAdmin: true}) {
		t.Errorf("%+v %t", u, ok)
	}
	if h, ok := c.Home(); !ok || h.TimeZone != "Europe/Berlin" || h.Language != "de" || !h.Running() {
		t.Errorf("%+v %t", h, ok)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.User(); ok || c.Connected() || c.Status().State != StateClosed {
		t.Errorf("after Close: %+v", c.Status())
	}
	if err := c.Wait(testContext(t)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// A home that is starting is asked until it has started.
func TestHomeThatIsStarting(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letInAs(true, "STARTING")
		for _, state := range []string{"STARTING", "NOT_RUNNING", "RUNNING"} {
			in, _ := s.next()
			s.sendConfig(in.ID, state)
		}
		if _, ok := s.next(); ok {
			t.Error("it is asked on after it has started")
		}
	})
	c := newTestClient(t, home.URL, nil)
	c.until(t, func(s Status) bool { return s.Config != nil && s.Config.Running() })
}

// Promise 9: a token that the home refuses is tried again only every ten minutes,
// or when somebody says so.
func TestRefusedTokenRestsTenMinutes(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.send(`{"type":"auth_required","ha_version":"2026.11.0"}`)
		s.next()
		// Home Assistant repeats what it could not read.
		s.send(`{"type":"auth_invalid","message":"Invalid access token: got '` + testToken + `'"}`)
	})
	waits, end := make(chan time.Duration), make(chan struct{})
	c := newTestClient(t, home.URL, func(cfg *Config) {
		cfg.Sleep = func(ctx context.Context, d time.Duration) error {
			select {
			case waits <- d:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case <-end:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
	})
	for n := int32(1); n <= 3; n++ {
		s := c.until(t, func(s Status) bool { return s.State == StateRefused })
		if d := <-waits; d != 10*time.Minute {
			t.Fatal("waits", d)
		}
		if got := home.conns.Load(); got != n {
			t.Fatalf("attempt %d, want %d", got, n)
		}
		if !errors.Is(s.Err, ErrRefused) || strings.Contains(s.Err.Error(), testToken) ||
			!strings.Contains(s.Err.Error(), home.URL) || !strings.Contains(s.Err.Error(), "Long-lived access tokens") {
			t.Fatal(s.Err)
		}
		if err := c.Wait(testContext(t)); !errors.Is(err, ErrRefused) {
			t.Fatal("Wait waits for a refused token:", err)
		}
		if err := c.Get(testContext(t), "/api/config", nil); !errors.Is(err, ErrRefused) {
			t.Fatal("a refused token is shown over REST:", err)
		}
		if n == 1 {
			end <- struct{}{}
		} else {
			c.Retry()
		}
	}
}

func TestTokenIsAskedAnewForEachConnection(t *testing.T) {
	home := newScriptedHome(t, func(s *session) { s.letIn() }, kind)
	var asked atomic.Int32
	c := newTestClient(t, home.URL, func(cfg *Config) {
		cfg.Token = func() (string, error) {
			switch asked.Add(1) {
			case 1:
				return "", errors.New("no such file")
			case 2:
				return " \n", nil
			}
			return testToken, nil
		}
	})
	eventually(t, "the second connection", func() bool { return home.conns.Load() == 2 })
	c.connected(t)
	if n := asked.Load(); n != 4 {
		t.Error("asked", n, "times, want 4")
	}
}

func TestConnectionErrorsSayWhatToDo(t *testing.T) {
	answer := func(status int, header ...string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/websocket" {
				t.Error("it was followed to", r.URL)
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("the token is in a header")
			}
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	nxdomain := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}}
	}
	for name, tt := range map[string]struct {
		url   string
		dial  func(context.Context, string, string) (net.Conn, error)
		state ConnState
		want  string
	}{
		"banned":     {url: answer(403), state: StateRefused, want: "banned"},
		"redirected": {url: answer(301, "Location", "https://ha.example.com/x"), state: StateConnecting, want: "redirects to https://ha.example.com:"},
		"no home":    {url: answer(404), state: StateConnecting, want: "no Home Assistant"},
		"other":      {url: answer(502), state: StateConnecting, want: "answers 502"},
		"hangs":      {url: "http://" + silent.Addr().String(), state: StateConnecting, want: "did not answer within"},
		"mDNS":       {url: "http://homeassistant.local:8123", dial: nxdomain, state: StateConnecting, want: "IP address instead"},
		"DNS":        {url: "http://homeassistant.lan:8123", dial: nxdomain, state: StateConnecting, want: "cannot be reached: "},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, tt.url, func(cfg *Config) {
				cfg.Dial = tt.dial
				cfg.Sleep = func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
				if name == "hangs" {
					cfg.Timeout = 20 * time.Millisecond
				}
			})
			s := c.until(t, func(s Status) bool { return s.Err != nil })
			if s.State != tt.state || !strings.Contains(s.Err.Error(), tt.want) || !strings.Contains(s.Err.Error(), tt.url) {
				t.Errorf("%s: %v", s.State, s.Err)
			}
		})
	}
}

func TestBackoffGrowsAndVaries(t *testing.T) {
	for _, jitter := range []float64{0, 0.5, 0.999} {
		cfg := Config{Jitter: func() float64 { return jitter }}
		last := time.Duration(0)
		for n := range 100 {
			d := cfg.backoff(n)
			if d < last || d > maxBackoff || d < maxBackoff/2 && n > 20 {
				t.Fatalf("attempt %d with %v: %s after %s", n, jitter, d, last)
			}
			last = d
		}
		if first := cfg.backoff(0); first > 500*time.Millisecond {
			t.Error("the first retry is not quick:", first)
		}
	}
}

// A home that takes connections and drops them is not asked in a tight loop; one
// that stood for long is asked again at once.
func TestBackoffIsResetOnlyByAConnectionThatStood(t *testing.T) {
	var clock atomic.Int64
	var stands atomic.Bool
	var begun atomic.Int32 // waits
	hangUp := make(chan struct{})
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		if stands.Load() {
			<-hangUp
		}
	})
	waits := make(chan time.Duration)
	c := newTestClient(t, home.URL, func(cfg *Config) {
		cfg.Jitter = func() float64 { return 0 }
		cfg.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
		cfg.Sleep = func(ctx context.Context, d time.Duration) error {
			if d > maxBackoff {
				<-ctx.Done()
				return ctx.Err()
			}
			begun.Add(1)
			select {
			case waits <- d:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
	})
	var first, last time.Duration
	for i := range 30 {
		d := <-waits
		if i == 0 {
			first = d
		}
		if d < last {
			t.Fatalf("wait %d is %s, after %s", i, d, last)
		}
		last = d
	}
	if last < 10*first {
		t.Errorf("waits grow from %s to %s only", first, last)
	}
	eventually(t, "it waits", func() bool { return begun.Load() == 31 })
	stands.Store(true)
	<-waits
	c.connected(t)
	clock.Add(int64(settled / time.Second))
	close(hangUp)
	if d := <-waits; d != first {
		t.Errorf("after a connection that stood, the wait is %s, not %s", d, first)
	}
}

// Threat 29: garbage and 10 MB end the connection, not the process, and the next
// connection works.
func TestThreat29_GarbageEndsOnlyTheConnection(t *testing.T) {
	text := func(b string) script {
		return func(s *session) {
			s.letIn()
			s.next()
			_ = s.ws.Write(s.ctx, websocket.MessageText, []byte(b))
			s.next()
		}
	}
	for name, bad := range map[string]script{
		"not JSON": text("\x00\xff{\"id\":1,]<html>"),
		"cut off":  text(`{"id":4,"type":"result","success":true,"result":{"con`),
		"a number": text(`17`),
		"list":     text(`[{"id":4,"type":"result"},17]`),
		"no type":  text(`{"id":4}`),
		"negative": text(`{"id":-4,"type":"result"}`),
		"deep":     text(strings.Repeat("[", 100_000)),
		"12 MB":    text(strings.Repeat("garbage ", 12<<17)),
		"40 MB":    text(`{"id":4,"type":"result","success":true,"result":"` + strings.Repeat("x", 40<<20) + `"}`),
		"binary": func(s *session) {
			s.letIn()
			s.next()
			_ = s.ws.Write(s.ctx, websocket.MessageBinary, []byte("{}"))
			s.next()
		},
		"hangs up":   func(s *session) { s.letIn(); s.next() },
		"says bye":   func(s *session) { s.letIn(); s.next(); _ = s.ws.Close(websocket.StatusGoingAway, "bye") },
		"no auth_ok": func(s *session) { s.send(`{"type":"auth_required"}`); s.next(); s.send(`{"type":"pong"}`) },
		"big hello":  func(s *session) { s.send(`{"type":"auth_required","x":%q}`, strings.Repeat("x", 1<<20)); s.next() },
	} {
		t.Run(name, func(t *testing.T) {
			home := newScriptedHome(t, bad, kind)
			c := newTestClient(t, home.URL, nil).connected(t)
			if home.conns.Load() == 1 {
				r := c.CallAction(testContext(t), unlock)
				if r.Outcome != Unknown || r.Code != CodeConnectionLost || !errors.Is(r.Err, ErrConnectionLost) {
					t.Errorf("%+v", r)
				}
				eventually(t, "a second connection", func() bool { return home.conns.Load() == 2 })
				c.connected(t)
			}
			calls := home.calls.Load()
			if r := c.CallAction(testContext(t), unlock); r.Outcome != Done || r.ContextID != "01CTX" {
				t.Errorf("on the next connection: %+v", r)
			}
			if got := home.calls.Load(); got != calls+1 {
				t.Errorf("%d calls reached the home, want %d", got, calls+1)
			}
		})
	}
}

// A peer that is gone without a word is noticed by a ping.
func TestDeadPeerIsNoticed(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		<-s.ctx.Done() // reads no more, so answers no ping
	}, kind)
	pings := make(chan struct{}, 1)
	c := newTestClient(t, home.URL, func(cfg *Config) {
		cfg.Timeout = 50 * time.Millisecond
		sleep := cfg.Sleep
		cfg.Sleep = func(ctx context.Context, d time.Duration) error {
			if d != cfg.PingInterval {
				return sleep(ctx, d)
			}
			select {
			case <-pings:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
	}).connected(t)
	pings <- struct{}{}
	if r := c.CallAction(testContext(t), unlock); r.Outcome != Unknown || r.Code != CodeConnectionLost ||
		!strings.Contains(r.Message, "ping") {
		t.Errorf("%+v", r)
	}
}

// An https home with a certificate of its own, for a name of its own.
func TestHomeWithTLS(t *testing.T) {
	home := &scriptedHome{}
	home.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/config" {
			_, _ = w.Write([]byte("{}"))
			return
		}
		if ws, err := websocket.Accept(w, r, nil); err == nil {
			defer ws.CloseNow()
			kind(&session{home: home, ws: ws, ctx: r.Context()})
		}
	}))
	defer home.Close()
	home.Config.ErrorLog = log.New(io.Discard, "", 0)
	roots := x509.NewCertPool()
	roots.AddCert(home.Certificate())

	stranger := newTestClient(t, home.URL, nil)
	s := stranger.until(t, func(s Status) bool { return s.Err != nil })
	if !strings.Contains(s.Err.Error(), "certificate") {
		t.Error(s.Err)
	}
	_ = stranger.Close()
	c := newTestClient(t, home.URL, func(cfg *Config) {
		cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com"}
	}).connected(t)
	if r := c.CallAction(testContext(t), unlock); r.Outcome != Done {
		t.Errorf("%+v", r)
	}
	if err := c.Get(testContext(t), "/api/config", nil); err != nil {
		t.Error(err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	arrived := make(chan struct{})
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		s.next()
		close(arrived)
		s.next()
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	results := make(chan Result)
	go func() { results <- c.CallAction(context.Background(), unlock) }()
	<-arrived
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if r := <-results; r.Outcome != Unknown || r.Code != CodeConnectionLost || !errors.Is(r.Err, ErrClosed) {
		t.Errorf("%+v", r)
	}
	if err := c.Close(); err != nil {
		t.Error("second Close:", err)
	}
	if r := c.CallAction(testContext(t), unlock); r.Outcome != NotSent || !errors.Is(r.Err, ErrClosed) {
		t.Errorf("after Close: %+v", r)
	}
}

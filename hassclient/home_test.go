package hassclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const testToken = "eyJ.secret-of-the-home.sig"

// scriptedHome is a home whose connections each follow a script: the nth the nth,
// those after the last the last.
type scriptedHome struct {
	*httptest.Server
	conns atomic.Int32
	calls atomic.Int32 // call_service commands that arrived
}

type script func(*session)

func newScriptedHome(tb testing.TB, scripts ...script) *scriptedHome {
	tb.Helper()
	h := &scriptedHome{}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/websocket", func(w http.ResponseWriter, r *http.Request) {
		n := int(h.conns.Add(1))
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ws.SetReadLimit(8 << 20)
		scripts[min(n, len(scripts))-1](&session{home: h, ws: ws, ctx: r.Context()})
	})
	h.Server = httptest.NewServer(mux)
	tb.Cleanup(h.Server.Close)
	return h
}

// session is the home's end of one connection.
type session struct {
	home    *scriptedHome
	ws      *websocket.Conn
	ctx     context.Context
	waiting []incoming
}

type incoming struct {
	ID           uint64
	Type         string
	Domain       string
	Service      string
	EntityIDs    []string `json:"entity_ids"`
	EventType    string   `json:"event_type"`
	AccessToken  string   `json:"access_token"`
	Subscription uint64
	ItemID       string `json:"item_id"`
	RunID        string `json:"run_id"`
}

func (s *session) send(format string, args ...any) {
	_ = s.ws.Write(s.ctx, websocket.MessageText, fmt.Appendf(nil, format, args...))
}

// next is the next command; ok is false when the connection has ended.
func (s *session) next() (in incoming, ok bool) {
	for len(s.waiting) == 0 {
		_, b, err := s.ws.Read(s.ctx)
		if err != nil {
			return in, false
		}
		if b[0] != '[' {
			b = fmt.Appendf(nil, "[%s]", b)
		}
		if json.Unmarshal(b, &s.waiting) != nil {
			return in, false
		}
	}
	in, s.waiting = s.waiting[0], s.waiting[1:]
	if in.Type == "call_service" {
		s.home.calls.Add(1)
	}
	return in, true
}

// letIn authenticates and answers what the client asks first.
func (s *session) letIn() { s.letInAs(true, "RUNNING") }

func (s *session) letInAs(admin bool, state string) {
	s.send(`{"type":"auth_required","ha_version":"2026.11.0"}`)
	if in, ok := s.next(); !ok || in.AccessToken != testToken {
		s.send(`{"type":"auth_invalid","message":"Invalid access token or password"}`)
		return
	}
	s.send(`{"type":"auth_ok","ha_version":"2026.11.0"}`)
	for range 3 {
		in, _ := s.next()
		switch in.Type {
		case "auth/current_user":
			s.send(`{"id":%d,"type":"result","success":true,"result":{"id":"u1","name":null,"is_admin":%t,"is_owner":false}}`, in.ID, admin)
		case "get_config":
			s.sendConfig(in.ID, state)
		default:
			s.ok(in.ID, "null")
		}
	}
}

func (s *session) sendConfig(id uint64, state string) {
	s.ok(id, fmt.Sprintf(`{"location_name":"Test","time_zone":"Europe/Berlin","version":"2026.11.0","language":"de","state":%q}`, state))
}

func (s *session) ok(id uint64, result string) {
	s.send(`{"id":%d,"type":"result","success":true,"result":%s}`, id, result)
}

func (s *session) event(id uint64, event string) {
	s.send(`{"id":%d,"type":"event","event":%s}`, id, event)
}

const doneResult = `{"context":{"id":"01CTX","parent_id":null,"user_id":"u1"}}`

// serve answers everything with success.
func (s *session) serve() {
	for {
		in, ok := s.next()
		if !ok {
			return
		}
		s.ok(in.ID, doneResult)
	}
}

// kind is a home without faults.
func kind(s *session) { s.letIn(); s.serve() }

// testClient is a Client of a scripted home, with its log.
type testClient struct {
	*Client
	log *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newTestClient starts a client that reconnects at once, and looks at the end for
// the token in its log and for goroutines that it left behind.
func newTestClient(tb testing.TB, url string, change func(*Config)) *testClient {
	tb.Helper()
	log := &lockedBuffer{}
	cfg := Config{
		URL:          url,
		Token:        func() (string, error) { return testToken + "\n", nil },
		Timeout:      20 * time.Second,
		PingInterval: time.Hour,
		Logger:       slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Sleep: func(ctx context.Context, d time.Duration) error {
			if d > maxBackoff { // a ping's turn, or a refused token's
				<-ctx.Done()
			}
			return ctx.Err()
		},
	}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	openClients.Add(1)
	c.Start()
	tb.Cleanup(func() {
		_ = c.Close()
		if strings.Contains(log.String(), testToken) {
			tb.Error("the token stands in the log")
		}
		if openClients.Add(-1) > 0 {
			return
		}
		if left := goroutines(); left != "" {
			tb.Errorf("goroutines are left after Close:\n%s", left)
		}
	})
	return &testClient{c, log}
}

// connected waits for the connection.
func (c *testClient) connected(tb testing.TB) *testClient {
	tb.Helper()
	if err := c.Wait(testContext(tb)); err != nil {
		tb.Fatal(err)
	}
	return c
}

// until waits for a status.
func (c *testClient) until(tb testing.TB, ok func(Status) bool) Status {
	tb.Helper()
	ctx := testContext(tb)
	for {
		changed := c.Changed()
		s := c.Status()
		if ok(s) {
			return s
		}
		select {
		case <-changed:
		case <-ctx.Done():
			tb.Fatalf("the status stays at %+v", s)
		}
	}
}

// testContext ends only when something hangs.
func testContext(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

// eventually polls for what nothing announces.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatal("never: " + what)
		}
	}
}

// openClients counts the clients of the tests that run now.
var openClients atomic.Int32

// goroutines returns the stacks that are still in a client's methods.
func goroutines() string {
	buf := make([]byte, 1<<20)
	var left []string
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		for _, fn := range []string{"hassclient.(*Client).run", "hassclient.(*conn).", "hassclient.(*Subscription).dispatch", "hassclient.(*watch)."} {
			if strings.Contains(stack, fn) {
				left = append(left, stack)
				break
			}
		}
	}
	return strings.Join(left, "\n\n")
}

var unlock = ServiceCall{Domain: "lock", Service: "unlock", Target: map[string]any{"entity_id": "lock.front_door"}}

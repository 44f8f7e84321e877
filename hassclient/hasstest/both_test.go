package hasstest_test

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// update records the answers in testdata anew, from the real home.
var update = flag.Bool("update", false, "record testdata from the home at HASS_URL")

// aHome is a home that the table runs against: the one in memory, or the real
// one at HASS_URL.
type aHome struct {
	url, admin, user string
	memory           *hasstest.Home // nil: the real home
}

// both runs a test against the home in memory and, where HASS_URL, HASS_TOKEN
// and HASS_TOKEN_USER are set, against that real one.
func both(t *testing.T, test func(t *testing.T, h aHome)) {
	t.Run("memory", func(t *testing.T) {
		h := hasstest.New(hasstest.WithClock(&hurried{}))
		t.Cleanup(h.Close)
		test(t, aHome{url: h.URL(), admin: h.Token(), user: h.UserToken(), memory: h})
	})
	t.Run("real", func(t *testing.T) {
		h := aHome{url: os.Getenv("HASS_URL"), admin: os.Getenv("HASS_TOKEN"), user: os.Getenv("HASS_TOKEN_USER")}
		if h.url == "" || h.admin == "" || h.user == "" {
			t.Skip("HASS_URL, HASS_TOKEN and HASS_TOKEN_USER are not set: no real home to compare with")
		}
		test(t, h)
	})
}

// hurried is a clock on which every wait is over at once.
type hurried struct {
	mu     sync.Mutex
	passed time.Duration
}

func (c *hurried) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.passed)
}

func (c *hurried) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	c.passed += d
	c.mu.Unlock()
	ch := make(chan time.Time, 1)
	ch <- c.Now()
	return ch
}

func (h aHome) token(as string) string {
	if as == "user" {
		return h.user
	}
	return h.admin
}

// socket is an open WebSocket of a home.
type socket struct {
	t   *testing.T
	ctx context.Context
	ws  *websocket.Conn
	id  int
}

func (h aHome) dial(t *testing.T) *socket {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), h.url+"/api/websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &socket{t: t, ctx: t.Context(), ws: ws}
}

// login opens a WebSocket and shows a token.
func (h aHome) login(t *testing.T, as string) *socket {
	t.Helper()
	s := h.dial(t)
	s.read()
	s.send(map[string]any{"type": "auth", "access_token": h.token(as)})
	if m := s.read(); m["type"] != "auth_ok" {
		t.Fatalf("auth: %v", m)
	}
	return s
}

func (s *socket) send(v any) {
	s.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sendRaw(string(b))
}

func (s *socket) sendRaw(text string) {
	s.t.Helper()
	if err := s.ws.Write(s.ctx, websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) read() map[string]any {
	s.t.Helper()
	_, b, err := s.ws.Read(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		s.t.Fatalf("%v: %s", err, b)
	}
	return m
}

// ask sends a command and returns its answer and the events before it.
func (s *socket) ask(command string) (answer map[string]any, events []any) {
	s.t.Helper()
	s.id++
	s.sendRaw(strings.Replace(command, "{", `{"id":`+itoa(s.id)+`,`, 1))
	return s.await(s.id)
}

// await reads until the answer to the command with this id.
func (s *socket) await(id int) (answer map[string]any, events []any) {
	s.t.Helper()
	for {
		m := s.read()
		if m["type"] == "event" {
			events = append(events, m)
			continue
		}
		if n, _ := m["id"].(float64); int(n) != id {
			s.t.Fatalf("an answer to another command: %v", m)
		}
		delete(m, "id")
		return m, events
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

var (
	ulidRE  = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`)
	hexRE   = regexp.MustCompile(`[0-9a-f]{32,128}`)
	timeRE  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)`)
	jwtRE   = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)
	gotRE   = regexp.MustCompile(`(?s)Got \{.*\}$`)
	aURLRE  = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	timesRE = regexp.MustCompile(`^(lc|lu|created_at|modified_at|expires|cleaned_area)$`)
)

// normal takes out of an answer what differs from home to home and from time
// to time: ids, times, tokens, the order of sets.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			switch {
			case timesRE.MatchString(k):
				out[k] = "<varies>"
			case ulidRE.MatchString(k):
				out["<context>"] = normal(x)
			default:
				out[k] = normal(x)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		texts := true
		for i, x := range v {
			out[i] = normal(x)
			_, text := out[i].(string)
			texts = texts && text
		}
		if texts {
			sort.Slice(out, func(i, j int) bool { return out[i].(string) < out[j].(string) })
		}
		return out
	case string:
		if ulidRE.MatchString(v) {
			return "<context>"
		}
		v = jwtRE.ReplaceAllString(v, "<token>")
		v = hexRE.ReplaceAllString(v, "<id>")
		v = timeRE.ReplaceAllString(v, "<time>")
		v = aURLRE.ReplaceAllString(v, "<url>")
		return gotRE.ReplaceAllString(v, "Got {…}")
	}
	return v
}

// golden compares answers with those that the real home once gave.
type golden struct {
	home aHome
	path string
	want map[string]any
}

func openGolden(t *testing.T, h aHome, name string) *golden {
	t.Helper()
	g := &golden{home: h, path: filepath.Join("testdata", name+".json"), want: map[string]any{}}
	b, err := os.ReadFile(g.path)
	if err == nil {
		err = json.Unmarshal(b, &g.want)
	}
	recording := *update && h.memory == nil
	if err != nil && !recording {
		t.Fatal(err)
	}
	if recording {
		g.want = map[string]any{}
		t.Cleanup(func() {
			b, _ := json.MarshalIndent(g.want, "", " ")
			if err := os.WriteFile(g.path, append(b, '\n'), 0o644); err != nil {
				t.Error(err)
			}
		})
	}
	return g
}

func (g *golden) check(t *testing.T, name string, got any) {
	t.Helper()
	got = plainJSON(t, normal(plainJSON(t, got)))
	if *update && g.home.memory == nil {
		g.want[name] = got
		return
	}
	want, ok := g.want[name]
	if !ok {
		t.Errorf("testdata has no answer for this: record it by -update from a real home")
		return
	}
	a, b := indent(got), indent(want)
	if a != b {
		t.Errorf("got %s\nwant, as the real home once answered, %s", a, b)
	}
}

func plainJSON(t *testing.T, v any) (out any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func indent(v any) string { b, _ := json.MarshalIndent(v, "", " "); return string(b) }

// headers are those of an answer that clients go by.
func headers(h http.Header) map[string]any {
	out := map[string]any{}
	for _, k := range []string{"Content-Type", "Www-Authenticate", "Cache-Control", "Access-Control-Allow-Origin", "Allow"} {
		if v := h.Get(k); v != "" {
			out[k] = v
		}
	}
	return out
}

package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime/onetimetest"
)

var (
	anna  = onetime.Person{ID: "u1", Name: "Anna"}
	start = time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC) // 2:00 pm in Berlin
)

// world is a Handler on a real Service and store, with a home and a clock of
// the test's.
type world struct {
	t       testing.TB
	service *onetime.Service
	home    *onetimetest.Home
	clock   *onetimetest.Clock
	store   *faultyStore
	handler *Handler
	cfg     Config

	// Of the server for browsers.
	failPosts   atomic.Bool  // the line breaks at each press
	loseAnswers atomic.Int32 // the line breaks after so many presses
	noStyle     bool
	lang        string

	mu   sync.Mutex
	log  bytes.Buffer
	last *Trace
}

// faultyStore is a store that fails when it is told to.
type faultyStore struct {
	onetime.Store
	mu   sync.Mutex
	view error
	upd  error
}

func (f *faultyStore) fail(view, update error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view, f.upd = view, update
}

func (f *faultyStore) View(fn func(onetime.Tx) error) error {
	f.mu.Lock()
	err := f.view
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.Store.View(fn)
}

func (f *faultyStore) Update(fn func(onetime.Tx) error) error {
	f.mu.Lock()
	err := f.upd
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.Store.Update(fn)
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, home: &onetimetest.Home{}, clock: onetimetest.NewClock(start)}
	w.home.In(berlin)
	store, err := boltstore.Open(filepath.Join(t.TempDir(), "onetime.db"))
	if err != nil {
		t.Fatal(err)
	}
	w.store = &faultyStore{Store: store}
	w.service, err = onetime.New(context.Background(), onetime.Config{
		Store: w.store, Signer: onetime.NewSigner(bytes.Repeat([]byte{7}, onetime.LinkKeyLength)),
		Homes: onetimetest.Homes{onetime.DefaultHome: w.home},
		Now:   w.clock.Now, After: w.clock.After,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.store.fail(nil, nil)
		w.service.Close(context.Background())
	})
	w.cfg = Config{
		Service:  func(context.Context) (*onetime.Service, error) { return w.service, nil },
		House:    "12 Hill Street",
		Contacts: []Contact{{Name: "Anna", URL: "tel:+4930123456"}},
		Logger:   slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:      w.clock.Now,
		Limiter:  NewLimiter(w.clock.Now),
	}
	w.handler = New(w.cfg)
	w.action(onetime.Action{Name: "front_door", Title: "Open the front door", Done: "Push hard, the door sticks.",
		Definition: "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"})
	w.action(onetime.Action{Name: "light", Title: "Turn on the light", Icon: "light",
		Definition: "action: light.turn_on\ntarget:\n  entity_id: light.hall\n"})
	return w
}

// configure makes the handler anew with a changed configuration.
func (w *world) configure(change func(*Config)) {
	change(&w.cfg)
	w.handler = New(w.cfg)
}

func (w *world) action(a onetime.Action) {
	w.t.Helper()
	if _, _, err := w.service.SaveAction(context.Background(), anna, &a, 0); err != nil {
		w.t.Fatal(err)
	}
}

// link makes a token and returns its code.
func (w *world) link(spec onetime.TokenSpec) (code string, t *onetime.Token) {
	w.t.Helper()
	if spec.Actions == nil {
		spec.Actions = []string{"front_door"}
	}
	t, err := w.service.CreateToken(context.Background(), anna, spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.service.Code(t), t
}

func times(n int) *int                         { return &n }
func (w *world) in(d time.Duration) *time.Time { t := w.clock.Now().Add(d); return &t }

// ask sends a request to the handler. headers are pairs.
func (w *world) ask(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	r.RemoteAddr = "192.0.2.7:4711"
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	trace := &Trace{}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r.WithContext(WithTrace(r.Context(), trace)))
	w.mu.Lock()
	w.last = trace
	w.mu.Unlock()
	return rec
}

const (
	asBrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	form      = "application/x-www-form-urlencoded"
)

// page is what a browser gets.
func (w *world) page(target string) string {
	w.t.Helper()
	return w.ask("GET", target, "", "Accept", asBrowser).Body.String()
}

// press is a browser's press of the form without a script: it follows the
// redirect and returns the address it led to, and the page.
func (w *world) press(code, fields string, headers ...string) (location, page string) {
	w.t.Helper()
	rec := w.ask("POST", "/"+code, fields, append([]string{"Accept", asBrowser, "Content-Type", form}, headers...)...)
	if rec.Code != http.StatusSeeOther {
		w.t.Fatalf("POST: %d\n%s", rec.Code, rec.Body)
	}
	location = rec.Header().Get("Location")
	return location, w.page("/" + strings.TrimPrefix(location, "./"))
}

// object is an answer's JSON.
func object(t testing.TB, rec *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil {
		t.Fatalf("%d %q: %v", rec.Code, rec.Body, err)
	}
	return m
}

var (
	tags    = regexp.MustCompile(`(?s)<(script|style|title)\b.*?</(script|style|title)>|<[^>]*>`)
	inline  = regexp.MustCompile(`</?(bdi|time|b)\b[^>]*>`)
	spaces  = regexp.MustCompile(`\s+`)
	unquote = strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&amp;", "&", "&lt;", "<", "&gt;", ">")
)

// text is what a person reads of a page without its zones.
func text(page string) string {
	page = inline.ReplaceAllString(strings.ReplaceAll(page, "<span> (Europe/Berlin)</span>", ""), "")
	return strings.TrimSpace(spaces.ReplaceAllString(unquote.Replace(tags.ReplaceAllString(page, " ")), " "))
}

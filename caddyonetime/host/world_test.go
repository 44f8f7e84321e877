package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime/onetimetest"
)

var (
	anna  = Visitor{Person: onetime.Person{ID: "u-anna", Name: "Anna"}, Manage: true}
	ben   = Visitor{Person: onetime.Person{ID: "u-ben", Name: "Ben"}}
	carla = Visitor{Person: onetime.Person{ID: "u-carla", Name: "Carla"}}
	nob   = Visitor{}

	visitors = map[string]Visitor{"anna": anna, "ben": ben, "carla": carla}
)

const (
	publicURL = "https://guests.example.com/"
	doorYAML  = "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"
	lightYAML = "action: light.turn_on\ntarget:\n  entity_id: light.hall\n"
)

// world is the host's side on a real service and a real store, over real HTTP.
type world struct {
	t     testing.TB
	svc   *onetime.Service
	home  *onetimetest.Home
	clock *onetimetest.Clock
	cfg   Config
	h     *Handler
	srv   *httptest.Server
	logs  *bytes.Buffer
	api   *description // where set, every answer of the API is held to it

	down     bool // the service cannot be had
	noPublic bool // public_url is missing
	status   []HomeStatus
}

func newWorld(t testing.TB) *world {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, home: &onetimetest.Home{}, logs: &bytes.Buffer{},
		clock:  onetimetest.NewClock(time.Date(2026, 11, 20, 13, 10, 0, 0, time.UTC)),
		status: []HomeStatus{{Name: onetime.DefaultHome, Connected: true, TimeZone: berlin}},
	}
	w.home.In(berlin)
	store, err := boltstore.Open(filepath.Join(t.TempDir(), "onetime.db"))
	if err != nil {
		t.Fatal(err)
	}
	w.svc, err = onetime.New(context.Background(), onetime.Config{
		Store: store, Signer: onetime.NewSigner(bytes.Repeat([]byte{7}, onetime.LinkKeyLength)),
		Homes: onetimetest.Homes{onetime.DefaultHome: w.home}, Now: w.clock.Now, After: w.clock.After,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.svc.Close(context.Background()) })
	w.cfg = Config{
		Service: func(context.Context) (*onetime.Service, error) {
			if w.down {
				return nil, errors.New("not started")
			}
			return w.svc, nil
		},
		Link: func(code string) (string, error) {
			if w.noPublic {
				return "", errors.New("no link can be made without its address: set public_url in the global options, hass_onetime { public_url https://… }")
			}
			return publicURL + code, nil
		},
		Who: func(r *http.Request) (Visitor, bool) {
			v, ok := visitors[r.Header.Get("Test-User")]
			return v, ok
		},
		House:  "12 Hill Street",
		Homes:  func() []HomeStatus { return w.status },
		Logger: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:    w.clock.Now,
	}
	w.serve("")
	return w
}

// serve serves under a prefix, as handle_path does.
func (w *world) serve(prefix string) {
	if w.srv != nil {
		w.h.Close()
		w.srv.Close()
	}
	w.h = New(w.cfg)
	w.srv = httptest.NewServer(http.StripPrefix(prefix, w.h))
	w.srv.URL += prefix
	srv, h := w.srv, w.h
	w.t.Cleanup(func() { h.Close(); srv.Close() })
}

// answer is an answer of the handler.
type answer struct {
	t    testing.TB
	what string
	*http.Response
	body []byte
}

// want ends the test unless the answer has this status.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("%s: %d, want %d: %s", a.what, a.StatusCode, status, a.body)
	}
	return a
}

func (a *answer) json() map[string]any {
	a.t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	return m
}

// code ends the test unless the answer is this problem.
func (a *answer) code(status int, code string) map[string]any {
	a.t.Helper()
	a.want(status)
	if ct := a.Header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Fatalf("%s: Content-Type %q", a.what, ct)
	}
	m := a.json()
	if m["code"] != code {
		a.t.Fatalf("%s: code %v, want %s: %s", a.what, m["code"], code, a.body)
	}
	return m
}

// field ends the test unless the answer refuses this member.
func (a *answer) field(name string) map[string]any {
	a.t.Helper()
	m := a.code(http.StatusUnprocessableEntity, "bad_input")
	if m["field"] != name || m["detail"] == "" {
		a.t.Fatalf("%s: field %v, want %s: %s", a.what, m["field"], name, a.body)
	}
	return m
}

// do sends a request. body is JSON as text, url.Values of a form, an
// io.Reader, or anything to be encoded as JSON. header are pairs.
func (w *world) do(who Visitor, method, path string, body any, header ...string) *answer {
	w.t.Helper()
	var reader io.Reader
	contentType := ""
	switch b := body.(type) {
	case nil:
	case string:
		reader, contentType = strings.NewReader(b), "application/json"
	case url.Values:
		reader, contentType = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	case io.Reader:
		reader, contentType = b, "application/json"
	default:
		enc, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		reader, contentType = bytes.NewReader(enc), "application/json"
	}
	req, err := http.NewRequest(method, w.srv.URL+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for name, v := range visitors {
		if v.ID == who.ID {
			req.Header.Set("Test-User", name)
		}
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	a := &answer{t: w.t, what: fmt.Sprintf("%s %s by %s", method, path, who.Name), Response: resp}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		w.t.Fatal(err)
	}
	if w.api != nil {
		w.api.hold(a)
	}
	return a
}

func (w *world) get(who Visitor, path string, header ...string) *answer {
	w.t.Helper()
	return w.do(who, http.MethodGet, path, nil, header...)
}

// actions defines a door and a light.
func (w *world) actions() {
	w.t.Helper()
	w.do(anna, "PUT", "/api/actions/front_door", map[string]any{"title": "Open the front door", "definition": doorYAML}).want(http.StatusCreated)
	w.do(anna, "PUT", "/api/actions/light", map[string]any{"title": "Switch the light on", "definition": lightYAML}).want(http.StatusCreated)
}

// link makes a link and returns its id.
func (w *world) link(who Visitor, spec string) string {
	w.t.Helper()
	return w.do(who, "POST", "/api/tokens", spec).want(http.StatusCreated).json()["id"].(string)
}

// press redeems a link as its guest does.
func (w *world) press(id string) *onetime.Redemption {
	w.t.Helper()
	v, err := w.svc.Token(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	red, err := w.svc.Redeem(context.Background(), onetime.RedeemRequest{Code: w.svc.Code(v.Token), Action: v.Token.Actions[0], Client: "192.0.2.7"})
	if err != nil {
		w.t.Fatal(err)
	}
	return red
}

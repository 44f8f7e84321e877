package caddyonetime

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// rig is a Caddy in this process, with a home in memory.
type rig struct {
	t    *testing.T
	home *hasstest.Home
	dir  string
	addr string // of the site
	host *http.Client
}

// newRig makes a rig that is not running yet. The home's token is in the
// environment, as HASS_TOKEN.
func newRig(t *testing.T, opts ...hasstest.Option) *rig {
	t.Helper()
	home := hasstest.New(append([]hasstest.Option{hasstest.WithoutDelays()}, opts...)...)
	r := &rig{t: t, home: home, dir: t.TempDir(), addr: freeport.Addr(t), host: &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Setenv("HASS_TOKEN", home.Token())
	autosave := caddy.ConfigAutosavePath
	caddy.ConfigAutosavePath = filepath.Join(r.dir, "autosave.json")
	t.Cleanup(func() {
		r.host.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		caddy.ConfigAutosavePath = autosave
		home.Close()
	})
	return r
}

// caddyfile is a configuration with everything in the rig's folder. onetime goes
// into the global option hass_onetime, global beside it, site behind the
// handlers of the one site.
func (r *rig) caddyfile(onetime, global, site string) string {
	return fmt.Sprintf(`{
	admin off
	auto_https off
	storage file_system %[1]s/storage
	log default {
		output file %[1]s/caddy.log
		format json
		level DEBUG
	}
	hass {
		url %[2]s
		token {env.HASS_TOKEN}
	}
	hass_onetime {
		public_url http://%[3]s
		store bbolt %[1]s/onetime.db
		%[4]s
	}
	%[5]s
}
http://%[3]s {
	log {
		output file %[1]s/access.log
		format json
	}
	%[6]s
	handle_path /keys/* {
		request_header Remote-User anna
		hass_onetime dashboard {
			user {http.request.header.Remote-User}
		}
	}
	hass_onetime
}
`, r.dir, r.home.URL(), r.addr, onetime, global, site)
}

// load runs a Caddyfile, in place of the one before.
func (r *rig) load(caddyfile string) error {
	r.t.Helper()
	body, err := adapt(r.t, caddyfile)
	if err != nil {
		r.t.Fatal(err)
	}
	return caddy.Load(body, true)
}

// run runs a Caddyfile and waits until the home is connected.
func (r *rig) run(caddyfile string) {
	r.t.Helper()
	if err := r.load(caddyfile); err != nil {
		r.t.Fatal(err)
	}
	client, release, err := r.app().settings.homes.Acquire("default")
	if err != nil {
		r.t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if err := client.Wait(ctx); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) app() *App {
	r.t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("hass_onetime")
	if err != nil {
		r.t.Fatal(err)
	}
	return app.(*App)
}

func (r *rig) service() *onetime.Service {
	r.t.Helper()
	s, err := r.app().Service(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// link makes an action, if it has none of that name, and a token for it.
func (r *rig) link(action, definition, guest string, uses int) (id, code string) {
	r.t.Helper()
	s := r.service()
	by := onetime.Person{ID: "anna"}
	if _, err := s.Action(r.t.Context(), action); err != nil {
		if _, _, err := s.SaveAction(r.t.Context(), by, &onetime.Action{
			Name: action, Title: "Open the front door", Home: "default", Definition: definition,
		}, 0); err != nil {
			r.t.Fatal(err)
		}
	}
	spec := onetime.TokenSpec{Actions: []string{action}, Guest: guest}
	if uses > 0 {
		spec.UsesMax = &uses
	}
	token, err := s.CreateToken(r.t.Context(), by, spec)
	if err != nil {
		r.t.Fatal(err)
	}
	return token.ID, s.Code(token)
}

const openFrontDoor = "action: script.open_front_door"

// request sends a request to the site and returns status and body.
func (r *rig) request(method, path string, header ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.addr+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.host.Do(req)
	for try := 0; err != nil && try < 10 && (method == "GET" || req.Header.Get("Idempotency-Key") != ""); try++ {
		// A reload ends connections that nobody has accepted yet.
		res, err = r.host.Do(req)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// file is what a file of the rig holds; nothing where there is none.
func (r *rig) file(name string) string {
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	return string(b)
}

// accessLines are the lines of the access log, when there are n.
func (r *rig) accessLines(n int) []map[string]any {
	r.t.Helper()
	var lines []map[string]any
	eventually(r.t, fmt.Sprintf("%d lines in the access log", n), func() bool {
		lines = nil
		for line := range strings.Lines(r.file("access.log")) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) != nil {
				return false
			}
			lines = append(lines, entry)
		}
		return len(lines) >= n
	})
	if len(lines) != n {
		r.t.Fatalf("%d lines in the access log, want %d: %v", len(lines), n, lines)
	}
	return lines
}

// eventually waits until something holds that nobody can wait for otherwise.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var discard = slog.New(slog.DiscardHandler)

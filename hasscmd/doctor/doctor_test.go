package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hasscmd/doctor"
)

// expect is what must be found: for each check, its level and a part of its
// text or advice.
type expect map[string]struct {
	level doctor.Level
	text  string
}

func examine(t *testing.T, s doctor.Subject, want expect) doctor.Report {
	t.Helper()
	r := doctor.Examine(t.Context(), s)
	seen := map[string]bool{}
	for _, f := range r.Findings {
		name := strings.TrimSpace(f.Check + " " + f.Subject)
		seen[name] = true
		translated(t, f)
		w, ok := want[name]
		if !ok {
			continue
		}
		if f.Level != w.level || !strings.Contains(f.Text+"\n"+f.Advice, w.text) {
			t.Errorf("%s: %s %q → %q\nwant %s with %q", name, f.Level, f.Text, f.Advice, w.level, w.text)
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("%s was not checked; the report is:\n%s", name, r)
		}
	}
	return r
}

func TestNothingConfigured(t *testing.T) {
	r := examine(t, doctor.Subject{}, expect{
		"home":  {doctor.Fail, "hass {"},
		"links": {doctor.Warn, "hass_onetime"},
	})
	if r.OK {
		t.Error("a Caddy without a home is called well")
	}
}

// links is a configuration with links that are well, to be made ill by tests.
func links(t *testing.T) *doctor.OneTime {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "onetime.db")
	key := filepath.Join(dir, "key")
	for _, name := range []string{path, key} {
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &doctor.OneTime{
		Actions:      func(context.Context) ([]*onetime.Action, error) { return nil, nil },
		StorePath:    path,
		GuestsServed: true,
		PublicURL:    "http://127.0.0.1:1",
		LinkKey: doctor.LinkKey{
			Find: func(context.Context) (bool, error) { return true, nil },
			Path: func(context.Context) (string, error) { return key, nil },
		},
	}
}

func TestActions(t *testing.T) {
	o := links(t)
	o.Actions = func(context.Context) ([]*onetime.Action, error) {
		return []*onetime.Action{
			{Name: "good", Title: "Good", Home: "x"}, {Name: "flat", Home: "x"}, {Name: "bad", Home: "x"},
			{Name: "homeless", Home: "y"}, {Name: "broken", Home: "x"}, {Name: "away", Home: "x"},
		}, nil
	}
	o.CheckAction = func(_ context.Context, a *onetime.Action) (onetime.Warnings, error) {
		switch a.Name {
		case "flat":
			return onetime.Warnings{{Message: "lock.front_door is unavailable right now."}}, nil
		case "bad":
			return nil, &onetime.BadInput{Field: "definition", Line: 3, Message: "there is no lock.back_door"}
		case "homeless":
			return nil, onetime.ErrNoHome
		case "broken":
			return nil, errors.New("a surprise")
		case "away":
			return nil, onetime.ErrUnreachable
		}
		return nil, nil
	}
	r := examine(t, doctor.Subject{OneTime: o, Homes: []doctor.Home{{Name: "x", Err: errors.New("no")}}}, expect{
		"action good":     {doctor.OK, "can be done now"},
		"action flat":     {doctor.Warn, "unavailable"},
		"action bad":      {doctor.Fail, "line 3: there is no lock.back_door"},
		"action homeless": {doctor.Fail, `"y"`},
		"action broken":   {doctor.Fail, "a surprise"},
		"actions x":       {doctor.Warn, "1 not checked"},
	})
	for _, f := range r.Findings {
		if f.Subject == "away" {
			t.Errorf("an action whose home is away has a finding of its own: %v", f)
		}
	}
}

func TestStore(t *testing.T) {
	t.Run("well", func(t *testing.T) {
		o := links(t)
		examine(t, doctor.Subject{OneTime: o}, expect{
			"store":    {doctor.OK, o.StorePath},
			"link_key": {doctor.OK, "0600"},
		})
		left, err := os.ReadDir(filepath.Dir(o.StorePath))
		if err != nil || len(left) != 2 {
			t.Errorf("the check left something in the store's folder: %v, %v", left, err)
		}
	})
	t.Run("does not run", func(t *testing.T) {
		o := links(t)
		o.Err = errors.New("the store is held by process 4711")
		examine(t, doctor.Subject{OneTime: o}, expect{"store": {doctor.Fail, "4711"}})
	})
	t.Run("gone from its folder", func(t *testing.T) {
		o := links(t)
		os.Remove(o.StorePath)
		examine(t, doctor.Subject{OneTime: o}, expect{"store": {doctor.Fail, "caddy hass backup"}})
	})
	t.Run("key readable by others", func(t *testing.T) {
		o := links(t)
		path, _ := o.LinkKey.Path(t.Context())
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		examine(t, doctor.Subject{OneTime: o}, expect{"link_key": {doctor.Fail, "chmod 600"}})
	})
	t.Run("key gone", func(t *testing.T) {
		o := links(t)
		o.LinkKey.Find = func(context.Context) (bool, error) { return false, nil }
		examine(t, doctor.Subject{OneTime: o}, expect{"link_key": {doctor.Fail, "backup now"}})
	})
	t.Run("storage fails", func(t *testing.T) {
		o := links(t)
		o.LinkKey.Find = func(context.Context) (bool, error) { return false, errors.New("no network") }
		examine(t, doctor.Subject{OneTime: o}, expect{"link_key": {doctor.Fail, "no network"}})
	})
}

func TestPublicURL(t *testing.T) {
	proof := func(nonce string) string { return "proof of " + nonce }
	// echo answers as the guests' side does.
	echo := func(answer func(nonce string) map[string]string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			nonce, ok := strings.CutPrefix(r.URL.Path, "/guests/"+doctor.WellKnown)
			if !ok {
				http.NotFound(w, r)
				return
			}
			json.NewEncoder(w).Encode(answer(nonce))
		})
	}
	well := func(nonce string) map[string]string {
		return map[string]string{"nonce": nonce, "proof": proof(nonce), "client": "192.168.1.5"}
	}
	tests := []struct {
		name    string
		handler http.Handler
		tls     bool
		untrust bool
		change  func(*doctor.Subject)
		want    expect
	}{
		{name: "comes back", handler: echo(well), tls: true, want: expect{
			"public_url":             {doctor.OK, "comes back"},
			"public_url.certificate": {doctor.OK, "valid until"},
			"public_url.client":      {doctor.OK, "192.168.1.5"},
		}},
		{name: "without https", handler: echo(well), want: expect{
			"public_url":             {doctor.OK, "comes back"},
			"public_url.certificate": {doctor.Warn, "Fine for a try"},
		}},
		{name: "certificate ends soon", handler: echo(well), tls: true, change: func(s *doctor.Subject) {
			s.Now = func() time.Time { return time.Date(2084, 1, 28, 0, 0, 0, 0, time.UTC) }
		}, want: expect{"public_url.certificate": {doctor.Warn, "29 January 2084"}}},
		{name: "certificate not trusted", handler: echo(well), tls: true, untrust: true, want: expect{
			"public_url": {doctor.Fail, "not one that phones trust"},
		}},
		{name: "another Caddy", handler: echo(func(nonce string) map[string]string {
			return map[string]string{"nonce": nonce, "proof": "another", "client": "192.168.1.5"}
		}), want: expect{"public_url": {doctor.Fail, "another Caddy"}}},
		{name: "another server", handler: http.NotFoundHandler(), want: expect{"public_url": {doctor.Fail, "somebody else (HTTP 404)"}}},
		{name: "a page for everything", handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }),
			want: expect{"public_url": {doctor.Fail, "somebody else (HTTP 200)"}}},
		{name: "a login in front", handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }),
			want: expect{"public_url": {doctor.Fail, "Guests have no account"}}},
		{name: "a redirect", handler: http.RedirectHandler("https://login.example.com/?next=x", http.StatusFound),
			want: expect{"public_url": {doctor.Fail, "redirects to https://login.example.com\n"}}},
		{name: "another proxy in front", handler: echo(func(nonce string) map[string]string {
			return map[string]string{"nonce": nonce, "proof": proof(nonce), "client": "172.18.0.1", "forwarded": "ignored"}
		}), want: expect{"public_url.client": {doctor.Warn, "trusted_proxies static 172.18.0.1"}}},
		{name: "missing", handler: echo(well), change: func(s *doctor.Subject) { s.OneTime.PublicURL = "" },
			want: expect{"public_url": {doctor.Fail, "public_url https://"}}},
		{name: "no site", handler: echo(well), change: func(s *doctor.Subject) { s.OneTime.GuestsServed = false },
			want: expect{"public_url.site": {doctor.Fail, "hass_onetime"}}},
		{name: "no such name", handler: echo(well), change: func(s *doctor.Subject) {
			s.OneTime.PublicURL = "https://guests.example.com"
			s.LookupHost = func(context.Context, string) ([]string, error) { return nil, errors.New("no such host") }
		}, want: expect{"public_url.dns": {doctor.Fail, "DNS record"}}},
		{name: "nothing listens", handler: echo(well), change: func(s *doctor.Subject) { s.OneTime.PublicURL = "http://127.0.0.1:1" },
			want: expect{"public_url": {doctor.Fail, "hairpin NAT"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(tt.handler)
			srv.Config.ErrorLog = nil
			if tt.tls {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			client := srv.Client()
			if tt.untrust {
				client = &http.Client{}
			}
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			o := links(t)
			o.PublicURL = srv.URL + "/guests"
			o.Proof = proof
			s := doctor.Subject{OneTime: o, HTTP: client}
			if tt.change != nil {
				tt.change(&s)
			}
			examine(t, s, tt.want)
		})
	}
}

func TestDashboards(t *testing.T) {
	// answering answers with a status, or with another where a header comes.
	answering := func(status int, header string, with int) func(context.Context, http.Header) (*httptest.ResponseRecorder, error) {
		return func(_ context.Context, h http.Header) (*httptest.ResponseRecorder, error) {
			rec := httptest.NewRecorder()
			if header != "" && h.Get(header) != "" {
				status = with
			}
			rec.WriteHeader(status)
			return rec, nil
		}
	}
	tests := []struct {
		name      string
		dashboard doctor.Dashboard
		level     doctor.Level
		text      string
	}{
		{"open", doctor.Dashboard{Ask: answering(200, "", 0)}, doctor.Fail, "lets everybody in"},
		{"guarded", doctor.Dashboard{Ask: answering(401, "", 0), Authenticated: true}, doctor.OK, "HTTP 401"},
		{"sent to a login", doctor.Dashboard{Ask: answering(302, "", 0), Authenticated: true}, doctor.OK, "HTTP 302"},
		{"nothing in front", doctor.Dashboard{Ask: answering(403, "", 0)}, doctor.Warn, "nobody can get in"},
		{"believes a header", doctor.Dashboard{Ask: answering(403, "Remote-User", 200), UserHeader: "Remote-User", Authenticated: true}, doctor.Fail, "Remote-User"},
		{"not to be found", doctor.Dashboard{Ask: answering(404, "", 0)}, doctor.Warn, "could not be found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.dashboard.Address = "x"
			examine(t, doctor.Subject{OneTime: links(t), Dashboards: []doctor.Dashboard{tt.dashboard}},
				expect{"dashboard x": {tt.level, tt.text}})
		})
	}
}

func TestNotifications(t *testing.T) {
	o := links(t)
	var tested bool
	o.Notify = func(_ context.Context, send bool) ([]doctor.Notification, error) {
		tested = send
		return []doctor.Notification{
			{Name: "notify.phone"}, {Name: "notify.gone", Err: errors.New("Action notify.gone not found")},
			{Name: "cabin:notify.phone", Err: onetime.ErrUnreachable}, {Name: "notify.told", Sent: true},
		}, nil
	}
	want := expect{
		"notify notify.phone":       {doctor.OK, "exists"},
		"notify notify.gone":        {doctor.Fail, "not found"},
		"notify cabin:notify.phone": {doctor.Warn, "cannot be asked"},
		"notify notify.told":        {doctor.OK, "should have arrived"},
	}
	examine(t, doctor.Subject{OneTime: o}, want)
	if tested {
		t.Error("a test was sent that nobody has asked for")
	}
	examine(t, doctor.Subject{OneTime: o, SendTest: true}, want)
	if !tested {
		t.Error("no test was sent")
	}
}

// A check that hangs where no context reaches does not hold up the report.
func TestBounded(t *testing.T) {
	o := links(t)
	release := make(chan struct{})
	defer close(release)
	o.Actions = func(context.Context) ([]*onetime.Action, error) { <-release; return nil, nil }
	examine(t, doctor.Subject{OneTime: o, Timeout: 10 * time.Millisecond}, expect{
		"actions": {doctor.Fail, "did not end"},
		"store":   {doctor.OK, ""},
	})
}

func TestReportString(t *testing.T) {
	r := doctor.Report{Findings: []doctor.Finding{
		{Check: "home.reachable", Subject: "default", Level: doctor.OK, Text: "http://192.168.1.10:8123 answers"},
		{Check: "link_key", Level: doctor.Fail, Text: "it is gone", Advice: "Make a backup now."},
	}}
	const want = `ok    home.reachable default: http://192.168.1.10:8123 answers
fail  link_key: it is gone
      → Make a backup now.
`
	if got := r.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

package caddyonetime

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime/host"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func TestWhoMayDoWhat(t *testing.T) {
	admin := &Claim{Name: "roles", Values: []string{"admin", "owner"}}
	for name, c := range map[string]struct {
		handler DashboardHandler
		set     map[string]string
		header  string
		want    host.Visitor
		ok      bool
	}{
		"nobody":                        {set: nil},
		"an empty id":                   {set: map[string]string{"id": ""}},
		"an id of spaces":               {set: map[string]string{"id": "  "}},
		"basic_auth knows no roles":     {set: map[string]string{"id": "anna"}, want: host.Visitor{Person: onetime.Person{ID: "anna", Name: "anna"}, Manage: true}, ok: true},
		"a resident":                    {set: map[string]string{"id": "a1", "name": "Anna", "roles": "user"}, want: host.Visitor{Person: onetime.Person{ID: "a1", Name: "Anna"}}, ok: true},
		"an administrator":              {set: map[string]string{"id": "a1", "name": "Anna", "roles": "user,admin"}, want: host.Visitor{Person: onetime.Person{ID: "a1", Name: "Anna"}, Manage: true}, ok: true},
		"roles known, and none":         {set: map[string]string{"id": "a1", "name": "", "roles": ""}, want: host.Visitor{Person: onetime.Person{ID: "a1", Name: "a1"}}, ok: true},
		"a role that only sounds so":    {set: map[string]string{"id": "a1", "roles": "administrator, notadmin"}, want: host.Visitor{Person: onetime.Person{ID: "a1", Name: "a1"}}, ok: true},
		"manage says who":               {handler: DashboardHandler{Manage: admin}, set: map[string]string{"id": "a1", "roles": "owner"}, want: host.Visitor{Person: onetime.Person{ID: "a1", Name: "a1"}, Manage: true}, ok: true},
		"manage says who, and not they": {handler: DashboardHandler{Manage: admin}, set: map[string]string{"id": "a1"}, want: host.Visitor{Person: onetime.Person{ID: "a1", Name: "a1"}}, ok: true},
		"another claim": {handler: DashboardHandler{Manage: &Claim{Name: "sub", Values: []string{"a1"}}}, set: map[string]string{"id": "a1", "sub": "a1", "roles": "user"},
			want: host.Visitor{Person: onetime.Person{ID: "a1", Name: "a1"}, Manage: true}, ok: true},
		"another source": {handler: DashboardHandler{User: "{http.request.header.Remote-User}"}, header: "tom",
			want: host.Visitor{Person: onetime.Person{ID: "tom", Name: "tom"}, Manage: true}, ok: true},
		"another source, and nobody there": {handler: DashboardHandler{User: "{http.request.header.Remote-User}"}, set: map[string]string{"id": "anna"}},
		"a source that does not exist":     {handler: DashboardHandler{User: "{no.such.placeholder}"}, set: map[string]string{"id": "anna"}},
	} {
		repl := caddy.NewEmptyReplacer()
		for k, v := range c.set {
			repl.Set("http.auth.user."+k, v)
		}
		if c.header != "" {
			repl.Set("http.request.header.Remote-User", c.header)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r = r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl))
		got, ok := c.handler.who(r)
		if ok != c.ok || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}

func TestThreat31_DashboardWithoutAuthentication(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", "handle_path /open/* {\nhass_onetime dashboard\n}\n"+
		"handle_path /framed/* {\nrequest_header Remote-User anna\nhass_onetime dashboard {\nuser {http.request.header.Remote-User}\nframe_ancestors https://ha.example.com\n}\n}"))

	if status, body := r.request("GET", "/open/api/actions", "Remote-User", "anna"); status != 403 {
		t.Errorf("without a login: %d %s", status, body)
	}
	eventually(t, "the log says what to put in front of it", func() bool { return strings.Contains(r.file("caddy.log"), "hass_jwt") })

	if status, body := r.request("GET", "/keys/api/actions"); status != 200 {
		t.Errorf("with a login: %d %s", status, body)
	}
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
	} {
		if status, body := r.request("PUT", "/keys/api/pause", header...); status != 403 {
			t.Errorf("%v: %d %s", header, status, body)
		}
	}

	for path, want := range map[string]string{"/keys/": "frame-ancestors 'none'", "/framed/": "frame-ancestors https://ha.example.com"} {
		res, err := r.host.Get("http://" + r.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, want) {
			t.Errorf("%s: %q", path, csp)
		}
	}
}

// A stream of events does not hold up the server that a reload replaces.
func TestEventStreamEndsWithItsConfiguration(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	res, err := r.host.Get("http://" + r.addr + "/keys/api/events")
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	defer res.Body.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 4096)
		for {
			if _, err := res.Body.Read(b); err != nil {
				return
			}
		}
	}()
	if err := r.load(r.caddyfile("house Other", "", "")); err != nil {
		t.Fatal(err)
	}
	<-ended
}

// A host chooses from the home that the configuration names.
func TestDashboardPicksFromTheHome(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	if status, body := r.request("GET", "/keys/pick?q=openable"); status != 200 || !strings.Contains(body, "entity=lock.openable_lock") || strings.Contains(body, "lock.front_door") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := r.request("GET", "/keys/action?entity=lock.openable_lock&do=lock.open"); status != 200 || !strings.Contains(body, "action: lock.open\ntarget:\n  entity_id: lock.openable_lock\n") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := r.request("GET", "/keys/look"); status != 200 || !strings.Contains(body, "preview?") {
		t.Errorf("%d %s", status, body)
	}
}

func TestDashboardShowsWhatTheDoctorFinds(t *testing.T) {
	before := examine.Load()
	t.Cleanup(func() { examine.Store(before) })
	RegisterDoctor(func(context.Context) (*host.Findings, error) {
		return &host.Findings{List: []host.Finding{{Level: "fail", Text: "the moon is in the way"}}}, nil
	})
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	if status, body := r.request("GET", "/keys/doctor"); status != 200 || !strings.Contains(body, "the moon is in the way") {
		t.Errorf("%d %s", status, body)
	}
}

// A credential needs no login in front, and passes for nobody's but its own.
func TestCredentialPastTheLogin(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", "handle_path /machine/* {\nhass_onetime dashboard\n}"))
	_, secret, err := r.service().CreateCredential(t.Context(), onetime.Person{ID: "anna"}, "Automations", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := r.request("GET", "/machine/api/tokens", "Authorization", "Bearer "+secret); status != 200 {
		t.Errorf("a credential: %d %s", status, body)
	}
	for _, header := range [][]string{{}, {"Authorization", "Bearer " + secret[:41]}, {"Authorization", "Bearer chk_"}, {"Authorization", "Bearer x"}, {"Authorization", secret}} {
		if status, body := r.request("GET", "/machine/api/tokens", header...); status != 401 && status != 403 {
			t.Errorf("%d headers: %d %s", len(header), status, body)
		}
	}
	if status, _ := r.request("GET", "/machine/", "Authorization", "Bearer "+secret); status != 403 {
		t.Errorf("a page: %d", status)
	}
	for _, name := range []string{"caddy.log", "access.log"} {
		if strings.Contains(r.file(name), secret) {
			t.Errorf("%s has the credential", name)
		}
	}
}

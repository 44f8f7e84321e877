package hasscmd

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/hasscmd/doctor"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// serve adds sites to a configuration: the guests' side at a free address,
// which becomes the public URL, and what else the routes say, before it.
func serve(t *testing.T, routes ...object) func(*testCaddy, object) {
	return func(_ *testCaddy, cfg object) {
		address := freeport.Addr(t)
		apps := cfg["apps"].(object)
		apps["hass_onetime"].(object)["public_url"] = "http://" + address
		apps["http"] = object{
			"grace_period": "1s",
			"servers": object{"x": object{
				"listen":          []string{address},
				"automatic_https": object{"disable": true},
				"routes":          append(routes, object{"handle": []object{{"handler": "hass_onetime"}}}),
			}},
		}
	}
}

// dashboard is a route with the host's side at /host/, after other handlers.
func dashboard(user string, before ...object) object {
	side := object{"handler": "hass_onetime_dashboard"}
	if user != "" {
		side["user"] = user
	}
	handlers := append(before, object{"handler": "rewrite", "strip_path_prefix": "/host"}, side)
	return object{"match": []object{{"path": []string{"/host/*"}}}, "handle": []object{{"handler": "subroute", "routes": []object{{"handle": handlers}}}}, "terminal": true}
}

var basicAuth = object{"handler": "authentication", "providers": object{"http_basic": object{"accounts": []object{
	{"username": "anna", "password": "$2a$04$m8nmVRvSQYJWA9Yd9iKgaeLrDQIeTjQ2j8tcNwSjVZhi4UdRSiX6W"},
}}}}

func (c *testCaddy) examine() (doctor.Report, result) {
	c.t.Helper()
	r := c.run("", "doctor", "--json")
	var report doctor.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		c.t.Fatalf("%v: %v\n%s", r.failed, err, r.out)
	}
	return report, r
}

func find(t *testing.T, r doctor.Report, check string) doctor.Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("%s was not checked:\n%s", check, r)
	return doctor.Finding{}
}

// A Caddy that is well is called well, in every respect, by exit status, too.
func TestDoctorWell(t *testing.T) {
	c := startCaddy(t, serve(t, dashboard("", basicAuth)))
	c.defineDoor()
	report, r := c.examine()
	if r.failed != nil || !report.OK {
		t.Errorf("%v:\n%s", r.failed, report)
	}
	for _, check := range []string{
		"home.reachable", "home.version", "home.token", "home.time_zone", "home.clock", "home.trusted_proxies",
		"store", "link_key", "action", "public_url", "public_url.client", "notify", "dashboard",
	} {
		if f := find(t, report, check); f.Level != doctor.OK {
			t.Errorf("%s: %s %s", check, f.Level, f.Text)
		}
	}
	if at := find(t, report, "dashboard").Subject; !regexp.MustCompile(`^localhost:\d+/host/$`).MatchString(at) {
		t.Errorf("the dashboard is said to be at %s", at)
	}
	text := c.must("", "doctor")
	if !strings.Contains(text, "ok    home.reachable default: "+c.home.URL()+" answers\n") {
		t.Errorf("printed:\n%s", text)
	}
}

func TestDoctorFails(t *testing.T) {
	t.Run("home down", func(t *testing.T) {
		c := startCaddy(t, serve(t))
		c.defineDoor()
		c.home.Stop()
		report, r := c.examine()
		if r.failed == nil || report.OK {
			t.Error("it says all is well")
		}
		if f := find(t, report, "home.reachable"); f.Level != doctor.Fail {
			t.Errorf("found %+v", f)
		}
		if f := find(t, report, "actions"); f.Level != doctor.Warn {
			t.Errorf("found %+v", f)
		}
		if f := find(t, report, "public_url"); f.Level != doctor.OK {
			t.Errorf("the public address is not well while the home is down: %+v", f)
		}
	})
	t.Run("door's battery flat", func(t *testing.T) {
		c := startCaddy(t, serve(t))
		c.defineDoor()
		c.home.FlatBattery("lock.front_door")
		report, r := c.examine()
		if f := find(t, report, "action"); f.Level != doctor.Warn || r.failed != nil {
			t.Errorf("found %+v, %v", f, r.failed)
		}
	})
	t.Run("door gone", func(t *testing.T) {
		c := startCaddy(t, serve(t))
		c.defineDoor()
		c.home.Remove("lock.front_door")
		report, _ := c.examine()
		if f := find(t, report, "action"); f.Level != doctor.Fail || f.Subject != "front_door" {
			t.Errorf("found %+v", f)
		}
	})
	t.Run("link key readable by others", func(t *testing.T) {
		c := startCaddy(t, serve(t))
		keys, _ := filepath.Glob(filepath.Join(c.dir, "storage/hass_onetime/link_keys/*"))
		if len(keys) != 1 {
			t.Fatalf("link keys: %v", keys)
		}
		if err := os.Chmod(keys[0], 0o644); err != nil {
			t.Fatal(err)
		}
		report, _ := c.examine()
		if f := find(t, report, "link_key"); f.Level != doctor.Fail || f.Advice != "chmod 600 "+keys[0] {
			t.Errorf("found %+v", f)
		}
	})
	t.Run("no guests' side", func(t *testing.T) {
		c := startCaddy(t, nil)
		report, _ := c.examine()
		if f := find(t, report, "public_url.site"); f.Level != doctor.Fail {
			t.Errorf("found %+v", f)
		}
	})
	t.Run("notification to nobody", func(t *testing.T) {
		c := startCaddy(t, func(c *testCaddy, cfg object) {
			serve(t)(c, cfg)
			cfg["apps"].(object)["hass_onetime"].(object)["notify"] = []object{{"action": "notify.annas_phone"}}
		})
		c.waitForHome()
		report, _ := c.examine()
		if f := find(t, report, "notify"); f.Level != doctor.Fail || f.Subject != "notify.annas_phone" {
			t.Errorf("found %+v", f)
		}
	})
	t.Run("no onetime", func(t *testing.T) {
		c := startCaddy(t, func(_ *testCaddy, cfg object) { delete(cfg["apps"].(object), "hass_onetime") })
		c.waitForHome()
		report, r := c.examine()
		if f := find(t, report, "links"); f.Level != doctor.Warn || r.failed != nil {
			t.Errorf("found %+v, %v", f, r.failed)
		}
	})
}

// Who can get to the host's side is found out by trying, not by reading.
func TestDoctorDashboard(t *testing.T) {
	tests := []struct {
		name  string
		route object
		level doctor.Level
		text  string
	}{
		{"basic_auth", dashboard("", basicAuth), doctor.OK, "HTTP 401"},
		{"nothing", dashboard(""), doctor.Warn, "nobody can get in"},
		{"a header", dashboard("{http.request.header.Remote-User}"), doctor.Fail, "Remote-User"},
		{"a site within a wildcard", object{
			"match": []object{{"host": []string{"*.example.com"}}},
			"handle": []object{{"handler": "subroute", "routes": []object{{
				"match":  []object{{"host": []string{"keys.example.com"}}},
				"handle": []object{{"handler": "subroute", "routes": []object{dashboard("", basicAuth)}}},
			}}}},
			"terminal": true,
		}, doctor.OK, "HTTP 401"},
		{"everybody", dashboard("{http.vars.user}", object{"handler": "vars", "user": "anna"}), doctor.Fail, "everybody"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := startCaddy(t, serve(t, tt.route))
			report, _ := c.examine()
			if f := find(t, report, "dashboard"); f.Level != tt.level || !strings.Contains(f.Text, tt.text) {
				t.Errorf("found %+v", f)
			}
		})
	}
}

func TestDoctorSendTest(t *testing.T) {
	c := startCaddy(t, serve(t))
	c.waitForHome()
	c.must("", "doctor")
	if n := c.home.Runs("persistent_notification.create"); n != 0 {
		t.Fatalf("%d notifications were sent that nobody has asked for", n)
	}
	text := c.must("", "doctor", "--send-test")
	if n := c.home.Runs("persistent_notification.create"); n != 1 {
		t.Errorf("%d notifications were sent:\n%s", n, text)
	}
}

// The endpoint takes no other requests than its own.
func TestAdminUnknown(t *testing.T) {
	c := startCaddy(t, nil)
	cl := &client{address: c.address}
	for _, tt := range []struct{ method, uri string }{
		{http.MethodGet, "/hass/doctor"}, {http.MethodGet, "/hass/"}, {http.MethodPost, "/hass/backup"}, {http.MethodGet, "/hass/api/nope"},
	} {
		if _, err := cl.call(tt.method, tt.uri, nil, nil, nil); err == nil {
			t.Errorf("%s %s is answered", tt.method, tt.uri)
		}
	}
}

package e2e

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// drawn is the Caddyfile of the documentation, with all that a home has: Home Assistant itself, a
// service, the guests' side and the host's. It is to work as it stands.
const drawn = `{
	hass {                                      # a second home: hass <name> { … }
		url   http://192.168.1.10:8123          # the inside address
		token {env.HASS_TOKEN}                  # or {file./run/secrets/hass_token}
	}
	hass_onetime {
		public_url https://guests.example.com   # links begin with it
		house      "12 Hill Street"
		contact    Anna tel:+4930123456         # whom a guest can turn to
		notify     notify.send_message {
			target notify.annas_phone
		}
	}
}

ha.example.com {                                # Home Assistant itself: log in as always
	hass_login {
		domain example.com                      # the cookie serves every subdomain
	}
	reverse_proxy 192.168.1.10:8123 {
		stream_close_delay 5m
	}
}

grafana.example.com {                           # any other service: residents only
	hass_jwt {
		login https://ha.example.com
		allow roles user
	}
	reverse_proxy 192.168.1.20:3000 {
		header_up X-Webauth-User {http.auth.user.id}
	}
}

guests.example.com {                            # the guests' side: a host name of its own
	hass_onetime
}

keys.example.com {                              # the host's side
	hass_jwt {
		login https://ha.example.com
	}
	hass_onetime dashboard
}
`

// fetch asks something of the site that is shown, as its own pages do, and returns the status and the body.
func (p *phone) fetch(method, path, body string) (status, text string) {
	p.t.Helper()
	options := `{method: ` + quote(method)
	if body != "" {
		options += `, headers: {"Content-Type": "application/json"}, body: ` + "`" + body + "`"
	}
	p.eval(`(window.fetched = undefined, fetch(` + quote(path) + `, ` + options + `}).then(async (r) => { window.fetched = r.status + " " + await r.text(); }), "")`)
	p.until(method+" "+path+" is answered", `window.fetched !== undefined`)
	status, text, _ = strings.Cut(p.eval(`window.fetched`), " ")
	return status, text
}

// Everything as drawn: a stranger is sent to log in and comes back, an administrator manages, an ordinary resident shares, a
// guest opens the door, and logging out shuts the host's side.
func TestCaddyfileAsDrawn(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	_, port, _ := net.SplitHostPort(freeport.Addr(t))
	at := func(name string) string { return "https://" + name + ".home.localhost:" + port }
	ha, grafana, guests, keys := at("ha"), at("grafana"), at("guests"), at("keys")
	s.env = []string{"HASS_TOKEN=" + h.admin}
	s.whole = strings.NewReplacer(
		"{\n\thass {", "{\n\tadmin "+s.admin+"\n\tskip_install_trust\n\tlocal_certs\n\tdefault_bind 127.0.0.1\n\thttps_port "+port+
			"\n\tauto_https disable_redirects\n\tlog default {\n\t\toutput file "+s.dir+"/caddy.log\n\t\tlevel DEBUG\n\t}\n\thass {",
		"https://guests.example.com", guests, "https://ha.example.com", ha, "example.com", "home.localhost",
		"192.168.1.10:8123", strings.TrimPrefix(h.url, "http://"), "192.168.1.20:3000", newService(t),
		"notify.annas_phone", "notify.notifier",
	).Replace(drawn)
	s.begin()
	eventually(t, 30*time.Second, "Caddy runs", func() bool {
		res, err := admin.Get("http://" + s.admin + "/config/")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	})
	s.awaitHome()
	for _, f := range s.examine().Findings {
		if f.Level == "error" {
			t.Errorf("the doctor: %+v", f)
		}
	}
	person := func() *phone {
		t.Helper()
		chromium, _ := browserOf(t, t.TempDir(), anyCertificate)
		return newPhone(t, chromium, true)
	}
	edit := `{"title": "Open the front door", "definition": "action: script.open_front_door"}`

	// An administrator, from the pages down to the last right.
	owner := person()
	owner.open(keys + "/action")
	owner.homeLogin("owner", "owner-pass-1")
	owner.at(keys + "/action")
	owner.eval(`(document.querySelector("#title").value = "Open the front door", document.querySelector("#definition").value = "action: script.open_front_door", "")`)
	owner.tap(`#edit button[value=save]`)
	owner.until("it is saved", `!document.querySelector("[name=new]")`)
	if status, text := owner.fetch("GET", "/api/actions/open_the_front_door", ""); status != "200" {
		t.Errorf("the action: %s %s", status, text)
	}
	if status, text := owner.fetch("POST", "/api/tokens", `{"actions": ["open_the_front_door"], "guest": "Olga"}`); status != "201" {
		t.Errorf("an administrator makes a link: %s %s", status, text)
	}

	// An ordinary resident makes a link with two taps, and has no say beyond.
	resident := person()
	resident.open(keys + "/")
	resident.homeLogin("resident", "resident-pass-1")
	resident.at(keys + "/")
	for _, page := range []string{"action", "actions", "pick"} {
		if resident.eval(`!!document.querySelector('a[href^="`+page+`"]')`) == "true" {
			t.Errorf("a link to %s, which is the administrators'", page)
		}
		if status, _ := resident.fetch("GET", "/"+page, ""); status != "403" {
			t.Errorf("%s for a resident: %s", page, status)
		}
	}
	for _, try := range [][3]string{
		{"PUT", "/api/actions/other", edit}, {"DELETE", "/api/actions/open_the_front_door", ""}, {"PUT", "/api/pause", `{"paused": true}`},
		{"POST", "/api/actions/open_the_front_door/run", ""},
	} {
		if status, _ := resident.fetch(try[0], try[1], try[2]); status != "403" {
			t.Errorf("%s %s by a resident: %s", try[0], try[1], status)
		}
	}
	if _, text := resident.fetch("GET", "/api/tokens", ""); strings.Contains(text, "Olga") {
		t.Error("a resident sees somebody else's link")
	}
	resident.tap(`.tiles a[href="new?action=open_the_front_door"]`)
	resident.until("the form is there", `!!document.querySelector("#make")`)
	resident.tap("#go")
	resident.until("the link is there", `!!document.querySelector("#url")`)
	address := resident.eval(`document.querySelector("#url").value`)
	if !strings.HasPrefix(address, guests+"/") {
		t.Fatalf("the link is %q", address)
	}

	// The guest.
	const pressed = `document.body.innerText.includes("done")`
	if resident.eval(pressed) == "true" {
		t.Error("a press is shown that has not been")
	}
	guest := person()
	before := h.opens()
	guest.open(address)
	guest.state("ready")
	guest.tap(".ask summary")
	guest.until("the second step is open", `document.querySelector(".ask").open`)
	guest.rest()
	guest.tap(".ask form .go")
	guest.state("done")
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
	guest.open(keys + "/")
	guest.loginPage()

	// Who made it sees the press live, and the administrator everything.
	resident.until("the press is seen", pressed)
	if _, text := owner.fetch("GET", "/api/tokens", ""); strings.Count(text, `"open_the_front_door"`) < 2 {
		t.Errorf("an administrator sees %s", text)
	}

	// The service knows who they are, by the same login.
	id := h.resident("resident").ID
	resident.open(grafana + "/d/1")
	resident.seesWho(id)

	// Out at Home Assistant is out at the host's side.
	resident.open(ha + "/")
	resident.inside()
	resident.logOut()
	resident.open(keys + "/")
	resident.loginPage()
	if log := s.file("caddy.log"); strings.Contains(log, strings.TrimPrefix(address, guests+"/")) {
		t.Error("the link is in the log")
	}
}

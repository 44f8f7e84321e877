package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Promise 5: whatever happens, no secret is in any log at DEBUG, in the access
// log, in the configuration as served or saved, in the store, in an event or a
// notification of the home. And a guest's request is one line in the access log,
// with the id in the link's place.
func TestPromise5_NoSecretAnywhere(t *testing.T) {
	h := realHome(t)
	everything := h.listen("") // all events of the home
	key := newSigningKey(t)
	s := newServer(t, h)
	s.oneTime = "notify script.notify_host"
	s.hostGuard = fmt.Sprintf(`@residents header_regexp Cookie jwt_access_token=
	@others not header_regexp Cookie jwt_access_token=
	basic_auth @others {
		anna %s
	}
	hass_jwt @residents {
		login http://127.0.0.1:1
		key file %s
	}`, passwordHash, key.path)
	s.start()
	s.awaitHome()
	jwt := key.cookie(t, "u1", "admin")

	ok := s.link(openFrontDoor, 2)
	broken := s.link(brokenDoor, 1)
	requests := 0
	for _, l := range []link{ok, broken} {
		l.get().is(t, 200)
		l.page().is(t, 200)
		l.press("key-1")
		l.press("key-1")
		l.press("")
		l.press("")
		send(http1, "GET", "http://"+s.guests+"/"+strings.ToLower(l.code), "", "Referer", l.url, "Cookie", "last="+l.code)
		send(http1, "DELETE", l.url, "")
		send(http1, "POST", l.url, `{"action": 7}`, "Content-Type", "application/json")
		requests += 9
	}
	send(http2, "GET", ok.secureURL(), "").is(t, 200)
	send(http1, "GET", "http://"+s.guests+"/?token="+ok.code, "").is(t, 303)
	send(http1, "GET", "http://"+s.guests+"/"+ok.code+"x", "")
	other := "Z" // than the right one
	if strings.HasSuffix(ok.code, other) {
		other = "Y"
	}
	send(http1, "GET", "http://"+s.guests+"/"+ok.code[:23]+other, "")
	requests += 4
	send(http1, "GET", "http://"+s.hosts+"/api/tokens", "", "Cookie", "jwt_access_token="+jwt).is(t, 200)
	send(http1, "GET", "http://"+s.hosts+"/api/tokens", "", "Cookie", "jwt_access_token="+jwt+"x").is(t, 401)
	send(http1, "GET", "http://"+s.hosts+"/?jwt="+ok.id, "", "Cookie", "jwt_access_token="+jwt, "Accept", "text/html")
	s.examine()
	s.run("hass", "doctor", "--send-test", "--address", s.admin)
	s.run("hass", "token", "list", "--address", s.admin)
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	config := s.ask("/config/")
	metrics := s.ask("/metrics")
	eventually(t, 20*time.Second, "the home has heard of it", func() bool { return everything.count("host_notified") >= 5 })
	s.stop()

	places := map[string]string{"/config/": config, "/metrics": metrics, "stderr": s.stderr.String()}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(s.dir, path)
		places[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var events strings.Builder
	for _, e := range everything.all() {
		events.WriteString(e.raw + "\n")
	}
	places["the home's events"] = events.String()
	for _, name := range []string{"/config/", "config/caddy/autosave.json", "caddy.log", "access.log", "access-host.log", "data/caddy/onetime.db", "the home's events"} {
		if len(places[name]) < 100 {
			t.Errorf("%s is empty: nothing was looked at", name)
		}
	}

	secrets := map[string]string{
		"the home's token": h.admin, "its signature": h.admin[strings.LastIndexByte(h.admin, '.')+1:],
		"the JWT's signature": jwt[strings.LastIndexByte(jwt, '.')+1:], "the JWT's claims": strings.Split(jwt, ".")[1],
		"anna's password": password, "anna's header": basicAuth(),
	}
	for what, l := range map[string]link{"a link": ok, "another link": broken} {
		secrets[what] = l.code
		secrets[what+"'s secret half"] = l.code[6:]
		secrets[what+"'s secret half, less one"] = l.code[6:23]
	}
	for name, text := range places {
		lower := strings.ToLower(text)
		for what, secret := range secrets {
			if at := strings.Index(lower, strings.ToLower(secret)); at >= 0 {
				t.Errorf("%s is in %s: …%s…", what, name, strings.ToValidUTF8(text[max(0, at-200):min(len(text), at+40)], "?"))
			}
		}
	}
	if !strings.Contains(config, "{env.HASS_E2E_TOKEN}") {
		t.Error("the configuration does not name the token's variable")
	}

	lines, byID := 0, 0
	for line := range strings.Lines(places["access.log"]) {
		var entry struct {
			Request struct{ URI string }
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Request.URI == "/" || strings.HasPrefix(entry.Request.URI, "/.well-known/") {
			continue // of waiting for Caddy, and of the doctor
		}
		lines++
		if entry.Request.URI == "/"+ok.id || entry.Request.URI == "/"+broken.id {
			byID++
		}
	}
	// One named its link in the query, and two were wrong.
	if lines != requests-1 || byID != requests-3 {
		t.Errorf("%d lines in the access log, %d with the link's id, for %d requests", lines, byID, requests)
	}
}

// Promise 4: the database alone opens no door.
func TestPromise4_DatabaseAloneOpensNothing(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	l := s.link(openFrontDoor, 5)
	l.press("").is(t, 200, "done").left(t, 4)
	s.stop()
	before := h.opens()

	// A thief has the database, and a Caddy of their own.
	thief := newServer(t, h)
	if err := os.MkdirAll(filepath.Dir(thief.storePath()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(thief.storePath(), []byte(s.file("data/caddy/onetime.db")), 0o600); err != nil {
		t.Fatal(err)
	}
	thief.start()
	thief.awaitHome()
	stolen := link{s: thief, id: l.id, code: l.code, url: "http://" + thief.guests + "/" + l.code}
	stolen.get().is(t, 404)
	stolen.press("").is(t, 404)
	thief.stop()
	if n := h.opens() - before; n != 0 {
		t.Errorf("opened %d times", n)
	}
	// And the other way round: what the thief's Caddy makes of the stolen
	// database opens nothing here.
	keys, err := filepath.Glob(filepath.Join(s.dir, "data", "caddy", "hass_onetime", "link_keys", "*"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("link keys: %v %v", keys, err)
	}
	if mode := must(os.Stat(keys[0])).Mode().Perm(); mode != 0o600 {
		t.Errorf("the link key's mode is %v", mode)
	}
	if strings.Contains(s.file("data/caddy/onetime.db"), string(must(os.ReadFile(keys[0])))) {
		t.Error("the link key is in the database")
	}
	s.start()
	s.awaitHome()
	l.press("").is(t, 200, "done").left(t, 3)
}

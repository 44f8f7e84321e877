package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Codes as One Time Service draws them.
const (
	oldDoor   = "kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi"
	oldScript = "ZbtyMXwNCSrfhGjeWqARTikUovLIdpQa"
	oldShed   = "QaZbtyMXwNCSrfhGjeWqARTikUovLIdp"
)

// oldHouse writes the database of One Time Service, as its version 0.4.0 does.
func oldHouse(t *testing.T) (file string) {
	t.Helper()
	now := time.Now()
	text, err := json.MarshalIndent(object{
		"service_calls": object{
			"Haustür öffnen":  object{"service": "lock.unlock", "data": object{"entity_id": []string{"lock.front_door"}}},
			"Open everything": object{"service": "script.open_front_door", "data": object{}},
			"Light":           object{"service": "light.turn_on", "data": object{"entity_id": "light.bed_light", "brightness": 200}},
			"Shed":            object{"service": "lock.unlock", "data": object{"entity_id": "lock.shed"}},
		},
		"tokens": object{
			oldDoor:   object{"service_call_name": "Haustür öffnen", "created": now, "expires": nil, "uses_max": 3, "uses_left": 2, "comment": "For Svenja"},
			oldScript: object{"service_call_name": "Open everything", "created": now, "expires": now.Add(time.Hour), "uses_max": 1, "uses_left": 1, "comment": nil},
			oldShed:   object{"service_call_name": "Shed", "created": now, "expires": nil, "uses_max": 1, "uses_left": 1, "comment": nil},
		},
	}, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "db.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// A host moves in from One Time Service: looks first, imports, and the link that
// a guest has had for weeks opens the door, in a browser, over a restart.
func TestImportOneTimeService(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	file := oldHouse(t)

	dry := s.hass("import", "one-time-service", file, "--dry-run")
	for _, want := range []string{"haustur_offnen", "Haustür öffnen", "2 of 3", "would take over 3 actions and 2 links", "Refused: 1 action and 1 link"} {
		if !strings.Contains(dry, want) {
			t.Errorf("the dry run says nothing of %q:\n%s", want, dry)
		}
	}
	old := func(code string) link { return link{s: s, code: code, url: "http://" + s.guests + "/" + code} }
	old(oldDoor).get().is(t, 404)
	done := s.hass("import", "one-time-service", file)
	if !strings.Contains(done, "Taken over: 3 actions and 2 links.") || strings.Contains(done, oldDoor) {
		t.Errorf("import printed\n%s", done)
	}
	old(oldShed).get().is(t, 404)
	old(strings.ToLower(oldDoor)).get().is(t, 404)
	old(oldDoor).get().is(t, 200).left(t, 2)

	before := h.opens()
	old(oldScript).press("a").is(t, 200, "done").left(t, 0)
	if a := old(oldScript).press("b").is(t, 410); a.Code != "used_up" {
		t.Errorf("pressed twice: %s", a.body)
	}
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
	s.stop()
	s.start()
	s.awaitHome()
	if again := s.hass("import", "one-time-service", file); !strings.Contains(again, "Taken over: no actions and no links.") {
		t.Errorf("a second import printed\n%s", again)
	}
	if a := old(oldScript).press("c").is(t, 410); a.Code != "used_up" {
		t.Errorf("after a restart and a second import: %s", a.body)
	}

	// The link as One Time Service has sent it, on a phone.
	h.lock("lock.front_door")
	p := newPhone(t, browser(t), true)
	p.open("http://" + s.guests + "/?token=" + oldDoor)
	p.state("ready")
	if text := p.eval(`document.body.innerText`); !strings.Contains(text, "For Svenja") || !strings.Contains(text, "Haustür öffnen") {
		t.Errorf("the page says:\n%s", text)
	}
	p.tap(".ask summary")
	p.until("the second step is open", `document.querySelector(".ask").open`)
	p.rest()
	p.tap(".ask form .go")
	p.state("done")
	if now := h.state("lock.front_door"); now != "unlocked" {
		t.Errorf("the page says done, but the lock is %s", now)
	}
	old(oldDoor).get().is(t, 200).left(t, 1)

	s.stop()
	for _, name := range []string{"access.log", "caddy.log"} {
		if log := s.file(name); log == "" || strings.Contains(log, oldDoor) || strings.Contains(log, oldScript) {
			t.Errorf("%s is empty or has an old link", name)
		}
	}
}

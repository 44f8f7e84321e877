package e2e

import (
	"strings"
	"testing"
)

// The main job, whole: a host defines an action and makes a link, the guest reads
// what it does and presses, the lock of the real home turns, and the next press
// finds the link used up.
func TestGuestOpensTheDoorOfARealHome(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	for _, door := range []struct{ lock, definition, state string }{
		{"lock.front_door", frontDoor, "unlocked"},
		{"lock.garden_gate", gardenGate, "unlocked"},
		{"lock.openable_lock", openableLock, "open"},
	} {
		t.Run(door.lock, func(t *testing.T) {
			h.lock(door.lock)
			l := s.link(door.definition, 1, object{"comment": "The blue door."})

			token := l.get().is(t, 200).left(t, 1)
			if token.Status != "ready" || token.ID != l.id || token.Guest != "Tom" || token.House != "12 Hill Street" ||
				token.Host != "Anna" || token.Home != "reachable" || len(token.Actions) != 1 {
				t.Errorf("the token: %s", token.body)
			}
			page := l.page().is(t, 200)
			for _, text := range []string{"The blue door.", "Welcome, Tom", "12 Hill Street", token.Actions[0].Title, "Nothing happens before that", "tel:+4930123456"} {
				if !strings.Contains(page.body, text) {
					t.Errorf("the page lacks %q", text)
				}
			}
			for _, secret := range []string{"lock.", h.admin, "Home Assistant"} {
				if strings.Contains(page.body, secret) {
					t.Errorf("the page tells %q", secret)
				}
			}
			if h.state(door.lock) != "locked" {
				t.Fatal("looking has opened the door")
			}

			l.press("").is(t, 200, "done").left(t, 0)
			if now := h.state(door.lock); now != door.state {
				t.Errorf("done, but the lock is %s", now)
			}
			h.lock(door.lock)
			if a := l.press("").is(t, 410); a.Code != "used_up" {
				t.Errorf("code %q", a.Code)
			}
			if now := h.state(door.lock); now != "locked" {
				t.Errorf("a used link has turned the lock: it is %s", now)
			}
			l.page().is(t, 200).shows(t, "This link has been used")
		})
	}
}

// Threat 24: looking at a link spends nothing, whoever does it and however.
func TestThreat24_LookingSpendsNothing(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	before := h.opens()
	l := s.link(openFrontDoor, 1)
	for _, agent := range []string{"WhatsApp/2.23", "facebookexternalhit/1.1", "TelegramBot (like TwitterBot)", "Slackbot-LinkExpanding 1.0", "Mozilla/5.0"} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			for _, purpose := range []string{"", "prefetch", "prefetch;prerender", "preview"} {
				if a := send(http1, method, l.url, "", "User-Agent", agent, "Sec-Purpose", purpose, "Purpose", purpose); a.status >= 400 {
					t.Errorf("%s as %s: %d", method, agent, a.status)
				}
			}
		}
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		send(http1, method, l.url, "").is(t, 405)
	}
	l.get().left(t, 1)
	if n := h.opens() - before; n != 0 {
		t.Errorf("opened %d times", n)
	}
	l.press("").is(t, 200, "done")
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
}

// A host sees what a script's failure was; a guest is only told what to do.
func TestBrokenDoor(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	l := s.link(brokenDoor, 1)
	if a := l.press("a").is(t, 502, "failed").left(t, 1); !a.Retry || strings.Contains(a.body, "jammed") || strings.Contains(a.body, "script") {
		t.Errorf("the first: %s", a.body)
	}
	// The key is free again: nothing was spent.
	l.press("a").is(t, 502, "failed").left(t, 1)
	if a := l.press("a").is(t, 502, "failed").left(t, 0); a.Retry {
		t.Errorf("the third: %s", a.body)
	}
	if a := l.press("a").is(t, 502, "failed").left(t, 0); !a.Replayed {
		t.Errorf("the same key as the third: %s", a.body)
	}
	if a := l.press("").is(t, 410); a.Code != "used_up" {
		t.Errorf("the fourth: %s", a.body)
	}
	l.page().shows(t, "It still didn’t work", "We stopped after three tries. Anna has been told.")
	s.api("POST", "/api/tokens/"+l.id+"/replenish", nil).is(t, 200).left(t, 1)
	l.press("").is(t, 502, "failed").left(t, 1)
	if log := s.api("GET", "/api/log?token="+l.id, nil); log.Entries[0].Outcome != "failed" || log.Entries[0].Message == "" {
		t.Errorf("the log: %s", log.body)
	}
}

// What the home refuses before it acts gives the use back, and trying again is no
// use until the host has repaired it.
func TestRejectedBeforeActing(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	l := s.link("action: homeassistant.check_config", 1)
	// The home's token is exchanged for one that may less.
	s.stop()
	s.token = h.user
	s.start()
	s.awaitHome()
	if a := l.press("a").is(t, 502, "rejected").left(t, 1); a.Retry || strings.Contains(a.body, "nauthorized") {
		t.Errorf("the guest reads: %s", a.body)
	}
	l.submit("b").shows(t, "This can’t work right now", "Anna has to repair something first and has been told. Nothing was used up.", "tel:+4930123456")
	if log := s.api("GET", "/api/log?token="+l.id, nil); len(log.Entries) == 0 || !strings.Contains(log.Entries[0].Message, "nauthorized") {
		t.Errorf("the host does not read why: %s", log.body)
	}
}

// Section 5: pasted sequences need an administrator's token; with an ordinary
// user's they are refused when they are saved, and scripts are not.
func TestLeastPrivilege(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	s.token = h.user
	s.start()
	s.awaitHome()
	const advice = "Save this sequence as a script in Home Assistant and use `action: script.<name>`: no administrator needed."
	if a := s.put("sequence", "- "+openFrontDoor+"\n- delay: 1\n").is(t, 422); !strings.Contains(a.Detail, advice) || a.Field != "definition" {
		t.Errorf("refused by: %s", a.body)
	}
	s.api("GET", "/api/actions/sequence", nil).is(t, 404)
	before := h.opens()
	events := h.listen("caddy_hass_onetime")
	s.link(openFrontDoor, 1).press("").is(t, 200, "done")
	h.lock("lock.front_door")
	s.link(frontDoor, 1).press("").is(t, 200, "done")
	if h.opens() != before+1 || h.state("lock.front_door") != "unlocked" {
		t.Error("not everything was opened")
	}
	// Only administrators may fire events.
	s.stop()
	if n := len(events.all()); n != 0 {
		t.Errorf("%d events, want none", n)
	}

	s.token = h.admin
	s.start()
	s.awaitHome()
	before = h.opens()
	l := s.link("- "+openFrontDoor+"\n- delay: 1\n- "+openFrontDoor+"\n", 1)
	l.press("").is(t, 200, "done").left(t, 0)
	if n := h.opens() - before; n != 2 {
		t.Errorf("the sequence opened %d times, want 2", n)
	}
}

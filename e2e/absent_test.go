package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Promise 3: the connection breaks after the call was sent. Nobody knows, the use
// stays spent, the host is told, and nothing is asked twice.
func TestConnectionBreaksInTheMiddle(t *testing.T) {
	h := realHome(t)
	p := newProxy(t, h)
	p.plug()
	s := newServer(t, h)
	s.homeURL, s.oneTime = p.url(), "notify script.notify_host"
	s.start()
	s.awaitHome()
	told := h.listen("host_notified")

	l := s.link(slowDoor, 2)
	before := h.opens()
	answered := make(chan answer, 1)
	go func() { answered <- l.press("k") }()
	eventually(t, 10*time.Second, "the script has begun", func() bool { return h.opens() > before })
	p.unplug()
	first := (<-answered).is(t, 504, "unknown").left(t, 1)
	if first.Code != "unknown" && first.Code == "" {
		t.Errorf("code: %s", first.body)
	}
	// While it is away, another press is not sent, and the page says so.
	away := l.press("").is(t, 503, "not_sent").left(t, 1)
	if away.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if token := l.get().is(t, 200); token.Home != "unreachable" {
		t.Errorf("the token: %s", token.body)
	}

	p.plug()
	s.awaitHome()
	if again := l.press("k").is(t, 504, "unknown").left(t, 1); !again.Replayed {
		t.Errorf("the same key: %s", again.body)
	}
	eventually(t, 20*time.Second, "the host is told", func() bool {
		return told.count("nobody knows whether it happened") == 1
	})
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
	// The host looks at the door, and gives the use back.
	s.api("POST", "/api/tokens/"+l.id+"/replenish", object{"uses": 2}).is(t, 200).left(t, 2)
	l.press("").is(t, 200, "done").left(t, 1)
	if n := h.opens() - before; n != 2 {
		t.Errorf("opened %d times, want 2", n)
	}
}

// Promise 3: Home Assistant itself restarts in the middle.
func TestHomeRestartsInTheMiddle(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	l := s.link(openAndRelock, 1)
	before := h.opens()
	answered := make(chan answer, 1)
	go func() { answered <- l.press("k") }()
	eventually(t, 10*time.Second, "the script has begun", func() bool { return h.opens() > before })
	wait := h.restart()
	// A home that shuts down in good order may still answer for its scripts.
	first := <-answered
	if first.err != nil || first.status != 504 || first.Outcome != "unknown" {
		t.Errorf("answered %d %v %s", first.status, first.err, first.body)
	}
	wait()
	s.awaitHome()
	if again := l.press("k"); again.status != 504 || !again.Replayed {
		t.Errorf("the same key: %d %s", again.status, again.body)
	}
	l.press("").is(t, 410)
	if n := h.opens() - before; n > 1 {
		t.Errorf("opened %d times", n)
	}
	// The connection came back by itself. A moment later Caddy knows, too, that the
	// home has started, and saves actions again.
	eventually(t, 30*time.Second, "actions are saved again", func() bool { return s.put("saved_again", openFrontDoor).status == 201 })
	next := h.opens()
	s.link(openFrontDoor, 1).press("").is(t, 200, "done")
	if n := h.opens() - next; n != 1 {
		t.Errorf("after the restart it opened %d times", n)
	}
}

// Promise 9: a start does not need the home; the page says that it is away, and
// works as soon as it is there.
func TestHomeAbsentAtStart(t *testing.T) {
	h := realHome(t)
	// The action and the link are made while the home is there.
	s := start(t, h)
	l := s.link(openFrontDoor, 1)
	s.stop()

	p := newProxy(t, h) // not plugged in
	s.homeURL = p.url()
	s.start()
	before := h.opens()
	if token := l.get().is(t, 200).left(t, 1); token.Home != "unreachable" || token.Status != "ready" {
		t.Errorf("the token: %s", token.body)
	}
	l.page().is(t, 200).shows(t, "The home isn’t answering at the moment. You can still try.")
	if a := l.press("k").is(t, 503, "not_sent").left(t, 1); a.header.Get("Retry-After") == "" || !a.Retry {
		t.Errorf("not sent: %s", a.body)
	}
	l.submit("k").shows(t, "The home isn’t answering", "Nothing was sent and nothing was used up. It is often back within a minute.", "Try again")
	// Nothing can be checked now, so nothing is saved.
	if a := s.put("another", openFrontDoor); a.status < 400 {
		t.Errorf("an action was saved unchecked: %d", a.status)
	}

	p.plug()
	eventually(t, 40*time.Second, "the page finds the home", func() bool { return l.get().Home == "reachable" })
	l.press("k").is(t, 200, "done").left(t, 0)
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
}

// Promise 9: a home that takes calls and never answers keeps nobody longer than 20
// seconds, and others do not wait for it.
func TestHangingHome(t *testing.T) {
	h := realHome(t)
	p := newProxy(t, h)
	p.plug()
	s := newServer(t, h)
	s.homeURL = p.url()
	s.start()
	s.awaitHome()
	l := s.link(openFrontDoor, 1)
	before := h.opens()
	p.mute()
	begun := time.Now()
	a := l.press("k")
	took := time.Since(begun)
	switch {
	case a.status == 504 && a.Outcome == "unknown", a.status == 202 && a.Outcome == "running":
		a.left(t, 0)
	case a.status == 503 && a.Outcome == "not_sent":
		a.left(t, 1)
	default:
		t.Errorf("answered %d %v %s", a.status, a.err, a.body)
	}
	if took > 30*time.Second {
		t.Errorf("answered after %v", took)
	}
	l.page().is(t, 200)
	s.api("GET", "/api/tokens", nil).is(t, 200)
	p.unplug()
	p.plug()
	s.awaitHome()
	if n := h.opens() - before; n > 1 {
		t.Errorf("opened %d times", n)
	}
}

// Promise 9: a token that the home refuses is not shown again and again, and the
// doctor says what it is; a new one is read from its file at the next reload.
func TestPromise9_RefusedTokenIsLeftAlone(t *testing.T) {
	h := realHome(t)
	p := newProxy(t, h)
	p.plug()
	s := newServer(t, h)
	file := filepath.Join(s.dir, "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.homeURL, s.tokenFrom = p.url(), "{file."+file+"}"
	write(h.user[:len(h.user)-8] + "AAAAAAAA")
	s.start()
	eventually(t, 20*time.Second, "the doctor says that the token is refused", func() bool {
		return s.examine().level("home.token") == "fail"
	})
	n := p.connections()
	for range 5 {
		s.examine()
		s.put("front_door", openFrontDoor)
	}
	if more := p.connections() - n; more > 0 {
		t.Errorf("the home was asked %d times more", more)
	}
	write(h.admin)
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	s.awaitHome()
	eventually(t, 10*time.Second, "actions are saved", func() bool { return s.put("front_door", openFrontDoor).status/100 == 2 })
	s.link(openFrontDoor, 1).press("").is(t, 200, "done")
}

// Promise 10: Home Assistant reports success for a lock with a flat battery, and
// for one that does not exist. Here neither is "done".
func TestPromise10_FlatBattery(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	s.oneTime = "notify script.notify_host"
	s.start()
	s.awaitHome()
	told := h.listen("host_notified")
	h.lock("lock.garden_gate")
	before := h.opens()
	l := s.link(gardenGate, 1)

	t.Cleanup(func() { h.call("input_boolean.turn_on", "input_boolean.gate_battery") })
	h.call("input_boolean.turn_off", "input_boolean.gate_battery")
	h.awaitState("lock.garden_gate", "unavailable")
	if a := l.press("k").is(t, 503, "not_sent").left(t, 1); a.header.Get("Retry-After") == "" || strings.Contains(a.body, "garden_gate") {
		t.Errorf("not sent: %s", a.body)
	}
	l.submit("k").shows(t, "The door isn’t answering", "Its battery may be empty. Nothing was sent and nothing was used up.", "Anna has been told.", "Try again")
	eventually(t, 20*time.Second, "the host is told", func() bool { return told.count("Its battery may be empty") >= 1 })
	// An action on it can still be saved: with a warning.
	if a := s.api("PUT", "/api/actions/gate_again", object{"title": "Open the gate", "definition": gardenGate}).is(t, 201); len(a.Warnings) == 0 {
		t.Errorf("saved without a warning: %s", a.body)
	}

	h.call("input_boolean.turn_on", "input_boolean.gate_battery")
	h.awaitState("lock.garden_gate", "locked")
	l.press("k").is(t, 200, "done").left(t, 0)
	h.awaitState("lock.garden_gate", "unlocked")
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
	// One message for the flat battery, however often it was pressed, and one
	// for the door.
	eventually(t, 20*time.Second, "the host is told", func() bool { return told.count("done") >= 1 })
	if n := len(told.all()); n != 2 {
		t.Errorf("%d notifications, want 2", n)
	}
}

// Promises 8 and 10: what the home does not have is found when it is saved.
func TestActionsAreChecked(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	for name, bad := range map[string]struct{ definition, says string }{
		"no entity":     {"action: lock.unlock\ntarget:\n  entity_id: lock.front_dor\n", "lock.front_dor"},
		"no service":    {"action: lock.unlok\ntarget:\n  entity_id: lock.front_door\n", "lock.unlok"},
		"no script":     {"action: script.open_frontdoor", "open_frontdoor"},
		"unknown field": {"action: lock.unlock\ntarget:\n  entity_id: lock.front_door\ndata:\n  colour: red\n", "colour"},
		"no target":     {"action: lock.unlock", "target"},
		"no YAML":       {"action: [lock.unlock", "line"},
		"nothing":       {"", "definition"},
	} {
		a := s.api("PUT", "/api/actions/bad", object{"title": "Bad", "definition": bad.definition})
		if a.status != 422 || a.Field != "definition" || !strings.Contains(a.body, bad.says) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	s.api("GET", "/api/actions/bad", nil).is(t, 404)
}

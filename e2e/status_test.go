package e2e

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Each status of a link: what the guest reads, what a press is answered, and that
// it opens nothing.
func TestEveryStatusOfALink(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	before := h.opens()
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	refused := func(t *testing.T, l link, status string, code int, texts ...string) {
		t.Helper()
		if token := l.get().is(t, 200); token.Status != status {
			t.Errorf("the status is %q, want %q", token.Status, status)
		}
		l.page().is(t, 200).shows(t, texts...)
		if a := l.press("k").is(t, code); a.Code != status || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("the problem: %s %s", a.header.Get("Content-Type"), a.body)
		}
		l.submit("k").is(t, code).shows(t, texts...)
	}

	scheduled := s.link(openFrontDoor, 1, object{"not_before": in(time.Hour), "expires": in(2 * time.Hour)})
	refused(t, scheduled, "scheduled", 403, "Ready ", "Open the front door – from ")
	if a := scheduled.press(""); !strings.Contains(a.body, `"not_before"`) {
		t.Errorf("when? %s", a.body)
	}

	soon := s.link(openFrontDoor, 1, object{"expires": in(2 * time.Second)})
	eventually(t, 10*time.Second, "the link ends", func() bool { return soon.get().Status == "expired" })
	refused(t, soon, "expired", 410, "This link has ended", "It was valid until ", "Ask Anna for a new one")

	off := s.link(openFrontDoor, 1)
	s.api("DELETE", "/api/tokens/"+off.id, nil).is(t, 204)
	refused(t, off, "revoked", 410, "This link was switched off", "Anna has switched it off.")
	s.api("PATCH", "/api/tokens/"+off.id, object{"revoked": false}).is(t, 200)

	s.api("PUT", "/api/pause", object{"paused": true}).is(t, 200)
	refused(t, off, "paused", 403, "Paused for now", "Anna has paused all links. Yours is not lost.")
	s.api("PUT", "/api/pause", object{"paused": false}).is(t, 200)
	if n := h.opens() - before; n != 0 {
		t.Errorf("opened %d times", n)
	}
	off.press("first").is(t, 200, "done").left(t, 0)

	refused(t, off, "used_up", 410, "This link has been used", "Last time: ", "Wasn’t that you? Please tell Anna.")
	s.api("POST", "/api/tokens/"+off.id+"/replenish", nil).is(t, 200).left(t, 1)
	off.press("again").is(t, 200, "done").left(t, 0)
	if n := h.opens() - before; n != 2 {
		t.Errorf("opened %d times, want 2", n)
	}
}

// A link for several things counts each by itself, and asks which.
func TestLinkWithSeveralActions(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	s.put("front", openFrontDoor).is(t, 201)
	s.put("gate", gardenGate).is(t, 201)
	l := s.linkOf(s.api("POST", "/api/tokens", object{"actions": []string{"front", "gate"}, "uses_max": 1}).is(t, 201))
	before := h.opens()
	press := func(body, key string) answer {
		return send(http1, "POST", l.url, body, "Content-Type", "application/json", "Idempotency-Key", key)
	}
	if a := press("", "1").is(t, 422); a.Field != "action" {
		t.Errorf("which? %s", a.body)
	}
	press(`{"action": "garage"}`, "1").is(t, 422)
	press(`{"action": "front", "entity_id": "lock.front_door"}`, "1").is(t, 422)
	press(`{"action": "gate"}`, "1").is(t, 200, "done").left(t, 0)
	press(`{"action": "front"}`, "1").is(t, 422) // the key is of another press
	press(`{"action": "gate"}`, "2").is(t, 410)
	press(`{"action": "front"}`, "3").is(t, 200, "done").left(t, 0)
	if n := h.opens() - before; n != 2 {
		t.Errorf("opened %d times, want 2", n)
	}
	// Used by live links, an action is not deleted by accident.
	s.api("DELETE", "/api/actions/gate", nil).is(t, 204) // it is used up
	live := s.link(openFrontDoor, 1)
	name := live.get().Actions[0].Name
	s.api("DELETE", "/api/actions/"+name, nil).is(t, 409)
	s.api("DELETE", "/api/actions/"+name+"?revoke=true", nil).is(t, 204)
	live.press("").is(t, 410)
}

// A second home, with a token of its own: its actions are run there.
func TestTwoHomes(t *testing.T) {
	h := realHome(t)
	p := newProxy(t, h)
	p.plug()
	s := newServer(t, h)
	s.homes = "hass cabin {\nurl " + p.url() + "\ntoken {env.HASS_E2E_CABIN}\n}"
	s.env = []string{"HASS_E2E_CABIN=" + h.user}
	s.oneTime = "notify cabin:script.notify_host"
	s.start()
	s.awaitHome()
	told := h.listen("host_notified")
	made := s.api("PUT", "/api/actions/cabin_door", object{"title": "Open the cabin", "home": "cabin", "definition": openFrontDoor})
	if made.is(t, 201); !strings.Contains(made.body, `"cabin"`) {
		t.Errorf("the action: %s", made.body)
	}
	s.api("PUT", "/api/actions/nowhere", object{"title": "Open", "home": "castle", "definition": openFrontDoor}).is(t, 422)
	l := s.linkOf(s.api("POST", "/api/tokens", object{"actions": []string{"cabin_door"}, "guest": "Tom"}).is(t, 201))
	before := h.opens()

	// The first home goes on without the second.
	p.unplug()
	s.link(openFrontDoor, 1).press("").is(t, 200, "done")
	l.press("").is(t, 503, "not_sent").left(t, 1)
	p.plug()
	eventually(t, 40*time.Second, "the cabin is back", func() bool { return l.get().Home == "reachable" })
	l.press("").is(t, 200, "done").left(t, 0)
	if n := h.opens() - before; n != 2 {
		t.Errorf("opened %d times, want 2", n)
	}
	eventually(t, 20*time.Second, "the cabin's notifier is told", func() bool { return told.count("Open the cabin: done") == 1 })
}

// The host watches live, and misses nothing over a reload.
func TestEventsResumeAfterAReload(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	l := s.link(openFrontDoor, 3)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	watch := func(lastID string) (next func() (event, id string)) {
		t.Helper()
		req := must(http.NewRequestWithContext(ctx, "GET", "http://"+s.hosts+"/api/events", nil))
		req.SetBasicAuth("anna", password)
		if lastID != "" {
			req.Header.Set("Last-Event-ID", lastID)
		}
		res, err := http1.Do(req)
		if err != nil || res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
			t.Fatal(res, err)
		}
		t.Cleanup(func() { res.Body.Close() })
		lines := bufio.NewScanner(res.Body)
		return func() (event, id string) {
			for lines.Scan() {
				name, value, _ := strings.Cut(lines.Text(), ":")
				switch name {
				case "event":
					event = strings.TrimSpace(value)
				case "id":
					id = strings.TrimSpace(value)
				case "":
					if event != "" {
						return event, id
					}
				case "data":
					if strings.Contains(value, l.code) {
						t.Error("the link is in an event")
					}
				}
			}
			return "", ""
		}
	}
	next := watch("")
	l.press("").is(t, 200, "done")
	event, id := next()
	if event != "redemption" || id == "" {
		t.Fatalf("event %q %q", event, id)
	}
	s.dashboard = "frame_ancestors https://ha.example.com"
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	if event, _ := next(); event != "" {
		t.Errorf("the stream goes on after a reload: %s", event)
	}
	l.persist("second").is(t, 200, "done")
	next = watch(id)
	if event, newer := next(); event != "redemption" || newer == id {
		t.Errorf("after the reload: %q %q", event, newer)
	}
}

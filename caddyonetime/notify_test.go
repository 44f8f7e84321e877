package caddyonetime

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

func TestNotifiedByDefault(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom [x](http://evil) <b>", 3)

	if status, body := r.request("POST", "/"+code); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	var n hasstest.Notification
	eventually(t, "a notification", func() bool {
		all := r.home.Notifications()
		if len(all) == 0 {
			return false
		}
		n = all[0]
		return true
	})
	if n.Title != "Tom [x](http://evil) <b>" || n.Message != "Open the front door: done. 2 of 3 left." {
		t.Errorf("%+v", n)
	}

	// The next one takes its place.
	r.request("POST", "/"+code)
	eventually(t, "the newest word", func() bool {
		all := r.home.Notifications()
		return len(all) == 1 && all[0].Message == "Open the front door: done. 1 of 3 left."
	})
}

func TestNotifyAsConfigured(t *testing.T) {
	r := newRig(t, hasstest.WithLanguage("de"))
	r.run(r.caddyfile("notify default:notify.send_message {\ntarget notify.notifier\n}\n"+
		"notify script.notify_host {\ndata priority high\n}", "", ""))
	_, code := r.link("front_door", openFrontDoor, "", 1)
	r.request("POST", "/"+code)

	eventually(t, "both are called", func() bool {
		return len(r.home.CallsTo("notify.send_message")) == 1 && len(r.home.Events("host_notified")) == 1
	})
	const text = "Open the front door: erledigt. Das war das letzte Mal."
	call := r.home.CallsTo("notify.send_message")[0]
	if call.Data["title"] != "Jemand mit einem Link" || call.Data["message"] != text {
		t.Errorf("%+v", call)
	}
	event := r.home.Events("host_notified")[0]
	if event.Data["message"] != text || !strings.Contains(mustString(event.Data["data"]), "high") {
		t.Errorf("%+v", event)
	}
	if len(r.home.Notifications()) != 0 {
		t.Errorf("the default was told, too: %+v", r.home.Notifications())
	}
}

func mustString(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		s := ""
		for k, v := range v {
			s += k + "=" + mustString(v)
		}
		return s
	}
	return ""
}

func TestNotifyOff(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("notify off", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	r.request("POST", "/"+code)
	// The event comes from the same observer, after the notification.
	eventually(t, "the event", func() bool { return len(r.home.Events(EventType)) == 1 })
	if n := r.home.Notifications(); len(n) != 0 {
		t.Errorf("%+v", n)
	}
}

// Promise 6: a notifier that hangs or fails takes nothing from the guest, nor
// from another notifier, and floods nobody's memory.
func TestPromise6_TheDoorBeforeTheMessage(t *testing.T) {
	r := newRig(t)
	r.home.Fault(hasstest.HangService("notify.send_message"),
		hasstest.FailService("persistent_notification.create", "home_assistant_error", "no"))
	r.run(r.caddyfile("notify notify.send_message {\ntarget notify.notifier\n}\nnotify persistent_notification.create\nnotify script.notify_host", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 0)

	const presses = outboxLength + 20
	for range presses {
		if status, body := r.request("POST", "/"+code); status != 200 || !strings.Contains(body, `"done"`) {
			t.Fatalf("%d %s", status, body)
		}
	}
	eventually(t, "the one that works is told of something", func() bool { return len(r.home.Events("host_notified")) > 0 })
	eventually(t, "what does not fit is dropped, with a line in the log", func() bool {
		return strings.Contains(r.file("caddy.log"), "one was dropped")
	})
	if n := len(r.home.CallsTo("notify.send_message")); n != 1 {
		t.Errorf("the one that hangs was called %d times at once", n)
	}
	r.home.Heal()
}

func TestEventsWhereTheTokenIsAnAdministrators(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("notify off", "", ""))
	id, code := r.link("front_door", openFrontDoor, "Tom", 1)
	r.request("POST", "/"+code)
	r.request("POST", "/"+code)
	eventually(t, "two events", func() bool { return len(r.home.Events(EventType)) == 2 })
	events := r.home.Events(EventType)
	done, refused := events[0].Data, events[1].Data
	if done["what"] != "redemption" || done["outcome"] != "done" || done["id"] != id || done["guest"] != "Tom" ||
		done["action"] != "front_door" || fmt.Sprint(done["uses_left"]) != "0" || done["title"] != "Open the front door" {
		t.Errorf("%v", done)
	}
	if refused["what"] != "refusal" || refused["status"] != "used_up" || refused["id"] != id {
		t.Errorf("%v", refused)
	}
	for _, e := range events {
		if strings.Contains(mustString(e.Data), code[len(id):]) {
			t.Errorf("the link is in the event %v", e.Data)
		}
	}
}

func TestNoEventsForAnOrdinaryUser(t *testing.T) {
	r := newRig(t)
	t.Setenv("HASS_TOKEN", r.home.UserToken())
	r.run(r.caddyfile("", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	if status, body := r.request("POST", "/"+code); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	eventually(t, "the notification", func() bool { return len(r.home.Notifications()) == 1 })
	e := r.app().held
	e.fireIn(t.Context(), "default", onetime.Entry{What: onetime.HappenedRedemption})
	if len(r.home.Events(EventType)) != 0 || strings.Contains(r.file("caddy.log"), "an event was not fired") {
		t.Errorf("%v", r.home.Events(EventType))
	}
}

// Every sentence of pages.md, for every outcome a host is told of.
func TestCompose(t *testing.T) {
	two, three, zero := 2, 3, 0
	entry := func(change func(*onetime.Entry)) onetime.Entry {
		e := onetime.Entry{
			What: onetime.HappenedRedemption, Token: "ABC123", Guest: "Tom", Action: "front_door", Title: "Open the front door",
			Outcome: onetime.OutcomeFailed, Message: "the motor is jammed.", UsesLeft: &two, UsesMax: &three,
		}
		change(&e)
		return e
	}
	for want, e := range map[string]onetime.Entry{
		"Open the front door: done. 2 of 3 left.": entry(func(e *onetime.Entry) { e.Outcome = onetime.OutcomeDone }),
		"Open the front door: done. That was the last time.": entry(func(e *onetime.Entry) {
			e.Outcome, e.UsesLeft = onetime.OutcomeDone, &zero
		}),
		"Open the front door: done.": entry(func(e *onetime.Entry) {
			e.Outcome, e.UsesLeft, e.UsesMax = onetime.OutcomeDone, nil, nil
		}),
		"Open the front door: failed: the motor is jammed. Tom may try 2 more times.": entry(func(e *onetime.Entry) { e.Failures = 1 }),
		"Open the front door: failed: the motor is jammed. Tom may try once more.":    entry(func(e *onetime.Entry) { e.Failures = 2 }),
		"Open the front door: failed three times. Last reason: the motor is jammed. Tom can try again when you allow it.": entry(func(e *onetime.Entry) {
			e.Failures = 3
		}),
		"Open the front door: failed three times. Last reason: the motor is jammed. From now on each try counts.": entry(func(e *onetime.Entry) {
			e.Failures, e.Retry = 3, true
		}),
		"Open the front door: failed after it had begun: the motor is jammed. Please check what happened. Tom can try again when you allow it.": entry(func(e *onetime.Entry) {
			e.Cause = onetime.CausePartial
		}),
		"Open the front door: nobody knows whether it happened. Please check.": entry(func(e *onetime.Entry) { e.Outcome = onetime.OutcomeUnknown }),
		"Open the front door: not possible, Home Assistant refused it: the motor is jammed. Nothing was used up. Tom has read that you will repair it.": entry(func(e *onetime.Entry) {
			e.Outcome = onetime.OutcomeRejected
		}),
		"Open the front door: not possible, the device isn’t answering. Its battery may be empty. Nothing was used up.": entry(func(e *onetime.Entry) {
			e.Outcome, e.Cause = onetime.OutcomeNotSent, onetime.CauseUnavailable
		}),
	} {
		if !worthTelling(e) {
			t.Errorf("nobody is told: %s", want)
		}
		if m := compose(e, words.Get("en")); m.text != want || m.title != "Tom" {
			t.Errorf("got  %q, %q\nwant %q", m.title, m.text, want)
		}
		// German has every sentence of its own.
		if m := compose(e, words.Get("de")); m.text == want || strings.ContainsAny(m.text, "{}") {
			t.Errorf("German: %q", m.text)
		}
	}
	if worthTelling(onetime.Entry{What: onetime.HappenedRedemption, Outcome: onetime.OutcomeNotSent, Cause: onetime.CauseUnreachable}) {
		t.Error("a home that is away is told that it is away")
	}
	if got := oneLine(" a\n\tb\x00c  "+strings.Repeat("ü", 100), 10); got != "a b c üüü…" {
		t.Errorf("%q", got)
	}
}

func TestOutbox(t *testing.T) {
	o := newOutbox(discard)
	release, began := make(chan struct{}), make(chan struct{})
	if !o.put("slow", func(context.Context) { close(began); <-release }) {
		t.Fatal("not taken")
	}
	<-began
	var order []int
	for i := range outboxLength {
		if !o.put("slow", func(context.Context) { order = append(order, i) }) {
			t.Fatalf("message %d was not taken", i)
		}
	}
	if o.put("slow", func(context.Context) {}) {
		t.Error("one too many was taken")
	}
	// Others do not wait for it, and a fault in one ends nothing.
	other := make(chan struct{})
	o.put("other", func(context.Context) { panic("oh") })
	o.put("other", func(context.Context) { close(other) })
	<-other
	close(release)
	o.close()
	if len(order) != outboxLength || order[0] != 0 || order[outboxLength-1] != outboxLength-1 {
		t.Errorf("in the order %v", order)
	}
	if o.put("slow", func(context.Context) {}) {
		t.Error("a closed one takes something")
	}
}

// A home that hangs does not keep a process from ending.
func TestOutboxEndsWhatHangs(t *testing.T) {
	o := newOutbox(discard)
	o.put("hangs", func(ctx context.Context) { <-ctx.Done() })
	o.put("hangs", func(context.Context) { t.Error("sent after the end") })
	time.AfterFunc(0, o.cancel) // instead of waiting outboxLastly
	o.close()
}

// A rejected press gives its use back, so a guest can have any number of them:
// the host's phone has one message a minute.
func TestPromise6_RejectionsDoNotFloodTheHost(t *testing.T) {
	r := newRig(t)
	r.home.Fault(hasstest.FailService("script.open_front_door", "not_found", "no such service"))
	r.run(r.caddyfile("notify script.notify_host", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	for range 10 {
		if status, body := r.request("POST", "/"+code); status != 502 || !strings.Contains(body, `"rejected"`) {
			t.Fatalf("%d %s", status, body)
		}
	}
	r.home.Heal()
	if status, body := r.request("POST", "/"+code); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	// Messages come in order: that it is done comes last.
	eventually(t, "the host is told that it is done", func() bool {
		all := r.home.Events("host_notified")
		return len(all) > 0 && strings.Contains(mustString(all[len(all)-1].Data["message"]), "done")
	})
	if n := len(r.home.Events("host_notified")); n != 2 {
		t.Errorf("the host was told %d times", n)
	}
}

func TestToldLately(t *testing.T) {
	at := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	rejected := func(after time.Duration, token string) onetime.Entry {
		return onetime.Entry{What: onetime.HappenedRedemption, Outcome: onetime.OutcomeRejected, Token: token, Action: "door", At: at.Add(after)}
	}
	var lately told
	for i, c := range []struct {
		entry onetime.Entry
		want  bool
	}{
		{rejected(0, "A"), false},
		{rejected(time.Second, "A"), true},
		{rejected(time.Second, "B"), false},
		{onetime.Entry{What: onetime.HappenedRedemption, Outcome: onetime.OutcomeDone, Token: "A", Action: "door", At: at}, false},
		{rejected(toldFor, "A"), false},
		{rejected(-time.Hour, "A"), false}, // the clock was set back
	} {
		if got := lately.lately(c.entry); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	for i := range 3 * toldSize {
		lately.lately(rejected(0, fmt.Sprint(i)))
	}
	if len(lately.at) > toldSize {
		t.Errorf("%d are remembered", len(lately.at))
	}
}

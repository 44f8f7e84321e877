package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// notified is what script.notify_host was called with.
type notified struct{ Title, Message string }

func (d *diary) notified() (all []notified) {
	for _, e := range d.all() {
		var n notified
		if json.Unmarshal(e.Data, &n) == nil {
			all = append(all, n)
		}
	}
	return all
}

// The host reads what happened, in the words of the product, and automations can
// follow the event; neither has the link in it.
func TestNotificationsAndEvents(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	s.oneTime = "notify script.notify_host"
	s.start()
	s.awaitHome()
	told, events := h.listen("host_notified"), h.listen("caddy_hass_onetime")

	open := s.link(openFrontDoor, 3)
	open.press("").is(t, 200, "done")
	open.press("").is(t, 200, "done")
	open.press("").is(t, 200, "done")
	open.press("").is(t, 410)
	broken := s.link(brokenDoor, 1, object{"guest": "", "comment": "For the parcel driver"})
	for range 3 {
		broken.press("").is(t, 502, "failed")
	}

	want := []notified{
		{"Tom", "Open the front door: done. 2 of 3 left."},
		{"Tom", "Open the front door: done. 1 of 3 left."},
		{"Tom", "Open the front door: done. That was the last time."},
		{"For the parcel driver", "may try 2 more times."},
		{"For the parcel driver", "may try once more."},
		{"For the parcel driver", "failed three times."},
	}
	eventually(t, 30*time.Second, "the host is told of each press", func() bool { return len(told.notified()) >= len(want) })
	got := told.notified()
	for i, n := range got {
		if i >= len(want) || n.Title != want[i].Title || !strings.Contains(n.Message, want[i].Message) {
			t.Errorf("notification %d: %+v, want %+v", i, n, want[min(i, len(want)-1)])
		}
	}
	if text := got[3].Message; !strings.Contains(text, "failed: ") || !strings.Contains(text, "the motor is jammed") {
		t.Errorf("the host does not read why: %s", text)
	}

	eventually(t, 30*time.Second, "there is an event for each press", func() bool { return len(events.all()) >= 7 })
	outcomes := make(map[string]int)
	for _, e := range events.all() {
		var data struct{ What, ID, Guest, Comment, Action, Outcome, Status string }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if data.ID != open.id && data.ID != broken.id {
			t.Errorf("an event of no link: %s", e.raw)
		}
		outcomes[data.What+" "+data.Outcome+data.Status]++
	}
	if outcomes["redemption done"] != 3 || outcomes["redemption failed"] != 3 || outcomes["refusal used_up"] != 1 {
		t.Errorf("events: %v", outcomes)
	}
	for _, d := range []*diary{told, events} {
		for _, l := range []link{open, broken} {
			if d.count(l.code) > 0 || d.count(l.code[6:]) > 0 {
				t.Error("the link is in an event")
			}
		}
	}
}

// Promise 6: the door before the message. Neither a notifier that fails nor one
// that hangs keeps a guest waiting.
func TestPromise6_TheDoorBeforeTheMessage(t *testing.T) {
	h := realHome(t)
	for name, notify := range map[string]string{
		"fails":         "notify script.notify_broken",
		"is not there":  "notify notify.nobody",
		"takes 25 s":    "notify script.open_and_relock",
		"no such thing": "notify notify.send_message {\ntarget notify.nobody\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, h)
			s.oneTime = notify
			s.start()
			s.awaitHome()
			l := s.link(openFrontDoor, 20)
			for range 20 {
				begun := time.Now()
				l.press("").is(t, 200, "done")
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("the guest waited %v", took)
				}
			}
			l.press("").is(t, 410)
			s.kill() // what waits for a receiver of 25 seconds is not of interest
		})
	}
}

// Nobody has to be told.
func TestNotifyDefaultAndOff(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	s.oneTime = ""
	s.start()
	s.awaitHome()
	calls := h.listen("call_service")
	id := s.link(openFrontDoor, 1)
	id.press("").is(t, 200, "done")
	eventually(t, 20*time.Second, "a persistent notification", func() bool { return calls.count(`"persistent_notification"`) == 1 })
	if calls.count(id.code[6:]) > 0 {
		t.Error("the link is in it")
	}
	// Taken away again, for the next who looks at this home.
	h.call("persistent_notification.dismiss_all", "")
	s.stop()

	s.oneTime = "notify off"
	s.start()
	s.awaitHome()
	calls = h.listen("call_service")
	events := h.listen("caddy_hass_onetime")
	s.link(openFrontDoor, 1).press("").is(t, 200, "done")
	eventually(t, 20*time.Second, "the event, which comes after notifications", func() bool { return len(events.all()) == 1 })
	s.stop() // lets out what waits
	if n := calls.count("notif"); n != 0 {
		t.Errorf("%d notifications, though there are to be none", n)
	}
}

// What is fired in the home is heard again after it was restarted, each event once.
func TestEventsAfterARestartOfTheHome(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	wait := h.restart()
	wait()
	refused := h.listen("caddy_hass_token_refused")
	tries := 0
	eventually(t, 60*time.Second, "events are heard again", func() bool {
		tries++
		if err := h.client.FireEvent(h.within(15*time.Second), "caddy_hass_create_token", object{"request_id": fmt.Sprintf("try %d.", tries)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // between one try and the next
		return refused.count("try "+fmt.Sprint(tries)+".") > 0
	})
	for n := 1; n <= tries; n++ {
		if got := refused.count(fmt.Sprintf("try %d.", n)); got > 1 {
			t.Errorf("try %d was answered %d times", n, got)
		}
	}
	s.stop()
}

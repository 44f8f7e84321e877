package caddyonetime

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func init() { caddy.RegisterModule(recordingHandler{}) }

// recordingHandler is a handler of Caddy's events that a configuration can name.
type recordingHandler struct{}

// recorded is what all of them have been told, and what holds them up.
var recorded struct {
	sync.Mutex
	events []caddy.Event
	hold   chan struct{}
}

func (recordingHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.recording", New: func() caddy.Module { return new(recordingHandler) }}
}

func (recordingHandler) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (recordingHandler) Handle(_ context.Context, e caddy.Event) error {
	recorded.Lock()
	defer recorded.Unlock()
	recorded.events = append(recorded.events, e)
	if hold := recorded.hold; hold != nil {
		recorded.Unlock()
		<-hold
		recorded.Lock()
	}
	return nil
}

func record(t *testing.T, hold chan struct{}) {
	recorded.Lock()
	defer recorded.Unlock()
	recorded.events, recorded.hold = nil, hold
	t.Cleanup(func() {
		recorded.Lock()
		defer recorded.Unlock()
		recorded.hold = nil
	})
}

func recordedEvents() []caddy.Event {
	recorded.Lock()
	defer recorded.Unlock()
	return append([]caddy.Event(nil), recorded.events...)
}

const recordAll = "events {\non hass_redemption recording\non hass_refusal recording\non hass_paused recording\non hass_resumed recording\n}"

func TestCaddyEvents(t *testing.T) {
	r := newRig(t)
	record(t, nil)
	config := r.caddyfile("", recordAll, "")
	r.run(config)
	id, code := r.link("front_door", openFrontDoor, "Tom", 1)
	r.request("POST", "/"+code)
	if err := r.load(config + "\n# the same once more"); err != nil {
		t.Fatal(err)
	}
	r.host.CloseIdleConnections() // Caddy has closed them
	r.request("POST", "/"+code)
	service, err := r.app().Service(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, paused := range []bool{true, false} {
		if err := service.SetPaused(t.Context(), onetime.Person{Name: "Anna"}, paused); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "four events", func() bool { return len(recordedEvents()) == 4 })
	events := recordedEvents()
	for i, want := range []string{
		"hass_redemption action=front_door guest=Tom home=default id=" + id + " outcome=done title=Open the front door uses_left=0 uses_max=1",
		"hass_refusal action=front_door guest=Tom home=default id=" + id + " status=used_up title=Open the front door uses_left=0 uses_max=1",
		"hass_paused by=Anna",
		"hass_resumed by=Anna",
	} {
		e := events[i]
		if e.Data["at"] == nil {
			t.Errorf("%s: no time", e.Name())
		}
		delete(e.Data, "at")
		got := strings.NewReplacer("map[", "", "]", "", ":", "=").Replace(e.Name() + " " + fmt.Sprint(e.Data))
		if got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		if strings.Contains(got, code[len(id):]) {
			t.Error("the link is in an event")
		}
	}
}

// A handler that never ends takes nothing from guests.
func TestCaddyEventsOffTheGuestsPath(t *testing.T) {
	r := newRig(t)
	hold := make(chan struct{})
	record(t, hold)
	r.run(r.caddyfile("", recordAll, ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 0)
	for range outboxLength + 2 {
		if status, body := r.request("POST", "/"+code); status != 200 || !strings.Contains(body, `"done"`) {
			t.Fatalf("%d %s", status, body)
		}
	}
	eventually(t, "the log says what was lost", func() bool {
		return strings.Contains(r.file("caddy.log"), "too many of Caddy's events wait")
	})
	close(hold)
	eventually(t, "the others come", func() bool { return len(recordedEvents()) >= outboxLength })
}

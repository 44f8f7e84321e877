package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
)

// home is the real Home Assistant, seen past Caddy.
type home struct {
	t           *testing.T
	url         string
	admin, user string // tokens
	dir         string // its folder; empty: not known
	client      *hassclient.Client
}

// realHome connects to the home of the environment and puts it to rest.
func realHome(t *testing.T) *home {
	t.Helper()
	h := &home{t: t, url: os.Getenv("HASS_URL"), admin: os.Getenv("HASS_TOKEN"), user: os.Getenv("HASS_TOKEN_USER")}
	if h.url == "" || h.admin == "" || h.user == "" {
		lacking(t, "HASS_URL, HASS_TOKEN and HASS_TOKEN_USER are not set: there is no real home to open a door of")
	}
	c, err := hassclient.New(hassclient.Config{URL: h.url, Token: func() (string, error) { return h.admin, nil }})
	if err != nil {
		t.Fatal(err)
	}
	h.client = c
	c.Start()
	t.Cleanup(func() { c.Close() })
	if err := c.Wait(h.within(20 * time.Second)); err != nil {
		t.Fatal("the home of HASS_URL: ", err)
	}
	h.awaitRunning()
	h.call("input_boolean.turn_on", "input_boolean.gate_battery")
	h.call("input_boolean.turn_off", "input_boolean.gate_open")
	return h
}

// awaitRunning waits until the home has all it has: it answers long before.
func (h *home) awaitRunning() {
	h.t.Helper()
	eventually(h.t, 2*time.Minute, "the home is running", func() bool {
		var config struct{ State string }
		return h.client.Get(h.within(15*time.Second), "/api/config", &config) == nil && config.State == "RUNNING"
	})
}

func (h *home) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	h.t.Cleanup(cancel)
	return ctx
}

// call calls an action such as "lock.lock" on an entity.
func (h *home) call(action, entity string) {
	h.t.Helper()
	domain, service, _ := strings.Cut(action, ".")
	call := hassclient.ServiceCall{Domain: domain, Service: service}
	if entity != "" {
		call.Target = map[string]any{"entity_id": entity}
	}
	if r := h.client.CallAction(h.within(15*time.Second), call); r.Outcome != hassclient.Done {
		h.t.Fatalf("%s %s: %v %s", action, entity, r.Outcome, r.Message)
	}
}

// state asks the home itself, not what a subscription has brought so far.
func (h *home) state(entity string) string {
	h.t.Helper()
	var s struct{ State string }
	if err := h.client.Get(h.within(15*time.Second), "/api/states/"+entity, &s); err != nil {
		h.t.Fatal(err)
	}
	return s.State
}

// opens is how often a door was opened: it is counted in the home itself.
func (h *home) opens() int {
	h.t.Helper()
	n, err := strconv.Atoi(h.state("counter.door_opens"))
	if err != nil {
		h.t.Fatal("counter.door_opens: ", err)
	}
	return n
}

// awaitState waits until an entity has a state.
func (h *home) awaitState(entity, state string) {
	h.t.Helper()
	eventually(h.t, 15*time.Second, entity+" is "+state, func() bool { return h.state(entity) == state })
}

// lock locks a lock and waits until it has turned.
func (h *home) lock(entity string) {
	h.t.Helper()
	h.call("lock.lock", entity)
	h.awaitState(entity, "locked")
}

// happening is an event in the home.
type happening struct {
	raw  string
	Type string          `json:"event_type"`
	Data json.RawMessage `json:"data"`
}

// diary collects events of the home.
type diary struct {
	mu     sync.Mutex
	events []happening
}

// listen collects events of a type, or of all types for "".
func (h *home) listen(eventType string) *diary {
	h.t.Helper()
	d := new(diary)
	message := map[string]any{"type": "subscribe_events"}
	if eventType != "" {
		message["event_type"] = eventType
	}
	s, err := h.client.Subscribe(h.within(15*time.Second), message, func(raw json.RawMessage) {
		e := happening{raw: string(raw)}
		_ = json.Unmarshal(raw, &e) // what is no event of ours stays raw
		d.mu.Lock()
		defer d.mu.Unlock()
		d.events = append(d.events, e)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(s.Unsubscribe)
	return d
}

func (d *diary) all() []happening {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]happening(nil), d.events...)
}

// count is how many of them contain a text.
func (d *diary) count(text string) (n int) {
	for _, e := range d.all() {
		if strings.Contains(e.raw, text) {
			n++
		}
	}
	return n
}

// restart restarts the home, if the environment says how, and returns at once; wait
// waits until the command has ended.
func (h *home) restart() (wait func()) {
	h.t.Helper()
	command := os.Getenv("HASS_HOME")
	if command == "" {
		lacking(h.t, "HASS_HOME does not say how to restart the home")
	}
	cmd := exec.Command(command, "restart")
	done := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() { done <- cmd.Wait() }()
	return func() {
		h.t.Helper()
		if err := <-done; err != nil {
			h.t.Fatal("restarting the home: ", err)
		}
		if err := h.client.Wait(h.within(60 * time.Second)); err != nil {
			h.t.Fatal(err)
		}
		h.awaitRunning()
	}
}

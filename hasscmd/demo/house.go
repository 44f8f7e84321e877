package demo

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// thing is a device of the demo's house.
type thing struct {
	Entity string
	Name   string
	Rest   string // the state it goes back to by itself
}

var things = []thing{
	{Entity: "lock.front_door", Name: "Front door", Rest: "locked"},
	{Entity: "light.hall", Name: "Hall light", Rest: "off"},
	{Entity: "vacuum.robbie", Name: "Vacuum", Rest: "docked"},
}

// actions are what the demo's guests can be let do. The first is the one that
// its link does.
var actions = []onetime.Action{
	{
		Name: "front_door", Icon: "door", Title: "Open the front door", Home: onetime.DefaultHome, Done: "Push: the door sticks a little.",
		Definition: "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n",
	},
	{
		Name: "hall_light", Icon: "light", Title: "Switch on the hall light", Home: onetime.DefaultHome,
		Definition: "action: light.turn_on\ntarget:\n  entity_id: light.hall\n",
	},
	{
		Name: "vacuum", Icon: "vacuum", Title: "Start the vacuum", Home: onetime.DefaultHome,
		Definition: "action: vacuum.start\ntarget:\n  entity_id: vacuum.robbie\n",
	},
}

// furnish puts the demo's devices into a home.
func furnish(h *hasstest.Home) {
	for i, like := range []string{"lock.front_door", "light.bed_light", "vacuum.demo_vacuum_0_ground_floor"} {
		t := things[i]
		attributes := map[string]any{}
		if s, ok := h.Entity(like); ok {
			for k, v := range s.Attributes {
				attributes[k] = v
			}
		}
		attributes["friendly_name"] = t.Name
		h.SetState(t.Entity, t.Rest, attributes)
	}
}

// Change is something that happened in the house.
type Change struct {
	At    time.Time
	Name  string // of the thing
	State string
}

// house shows the things in a home, and brings them back to rest.
type house struct {
	home    *hasstest.Home
	resets  time.Duration
	address string
	server  *http.Server
	stop    func()
	closing chan struct{}
	wg      sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	log     []Change
	timers  map[string]*time.Timer
}

//go:embed house
var assets embed.FS

var page = template.Must(template.ParseFS(assets, "house/index.html"))

func openHouse(home *hasstest.Home, resets time.Duration) (*house, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &house{
		home: home, resets: resets, address: ln.Addr().String(),
		closing: make(chan struct{}), changed: make(chan struct{}), timers: map[string]*time.Timer{},
	}
	h.stop = home.Watch(h.note)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.serveHTTPPage)
	mux.HandleFunc("GET /events", h.events)
	for _, name := range []string{"house.css", "house.js"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, assets, "house/"+name)
		})
	}
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	h.wg.Go(func() {
		if err := h.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			panic("demo: serving the house: " + err.Error())
		}
	})
	return h, nil
}

func (h *house) close() {
	h.stop()
	close(h.closing)
	h.server.Close()
	h.wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.timers {
		t.Stop()
	}
}

// note takes down a change in the home, and sees to it that the thing comes to
// rest again.
func (h *house) note(c hasstest.Change) {
	if c.New == nil || c.Old != nil && c.Old.State == c.New.State {
		return
	}
	for _, t := range things {
		if t.Entity != c.EntityID {
			continue
		}
		h.mu.Lock()
		h.log = append(h.log, Change{At: time.Now(), Name: t.Name, State: c.New.State})
		close(h.changed)
		h.changed = make(chan struct{})
		if timer := h.timers[t.Entity]; timer != nil {
			timer.Stop()
		}
		if h.resets > 0 && c.New.State != t.Rest {
			h.timers[t.Entity] = time.AfterFunc(h.resets, func() { h.home.SetState(t.Entity, t.Rest, nil) })
		}
		h.mu.Unlock()
	}
}

// since returns the changes from the nth on, and a channel that is closed at
// the next one.
func (h *house) since(n int) ([]Change, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log[n:len(h.log):len(h.log)], h.changed
}

// state is the house as its page shows it: states by entity.
func (h *house) state() map[string]string {
	m := make(map[string]string, len(things))
	for _, t := range things {
		m[t.Entity] = h.home.State(t.Entity)
	}
	return m
}

func (h *house) serveHTTPPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:")
	_ = page.Execute(w, h.state()) // the browser has gone, if anything
}

// events sends the state at each change (server-sent events).
func (h *house) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flusher := http.NewResponseController(w)
	for {
		_, changed := h.since(0)
		b, err := json.Marshal(h.state())
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", b); err != nil {
			return
		}
		if err := flusher.Flush(); err != nil {
			return
		}
		select {
		case <-changed:
		case <-h.closing:
			return
		case <-r.Context().Done():
			return
		}
	}
}

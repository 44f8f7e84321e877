package hasstest

import (
	"context"
	_ "embed"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Version is the version of Home Assistant that a home says it is.
const Version = "2026.11.0"

var (
	//go:embed entities.json
	entitiesJSON []byte
	//go:embed scripts.json
	scriptsJSON []byte
	//go:embed services.json
	servicesJSON []byte
)

// Home is a Home Assistant in memory. Its methods may be called from several
// goroutines. It is an [http.Handler], too, for a server of one's own.
type Home struct {
	clock    Clock
	config   map[string]any // of get_config
	proxies  []netip.Prefix
	listener net.Listener
	server   *http.Server
	url      string
	free     bool // answers calls without doing anything: ForBenchmarks
	noDelays bool
	runs     sync.Map // "lock.unlock" → *atomic.Int64
	wg       sync.WaitGroup
	ctx      context.Context // until Close
	cancel   context.CancelFunc

	mu          sync.Mutex
	closed      bool
	stopped     bool
	power       context.Context // until Stop: what runs in the home
	powerOff    context.CancelFunc
	entities    map[string]*entity
	order       []string // of the entities
	areas       []area
	services    map[string]map[string]*service
	scripts     map[string]*script
	conns       map[*conn]struct{}
	watchers    map[*watcher]struct{}
	listeners   map[*changesOf]struct{}
	users       []*user
	refresh     map[string]*refreshToken // by id
	flows       map[string]*loginFlow
	codes       map[string]authCode
	calls       []Call
	events      []Event
	notices     []Notification
	extra       []func() // of options, when the rest stands
	faults      faults
	healed      chan struct{} // closed by Heal
	adminToken  string
	contentUser string // the id of Home Assistant's own user
	userToken   string
}

type area struct{ id, name, icon string }

// An Option changes what [New] makes.
type Option func(*Home)

// WithListener serves the home on a listener instead of a free port of
// 127.0.0.1. Close closes it.
func WithListener(ln net.Listener) Option { return func(h *Home) { h.listener = ln } }

// WithClock makes the home live by another clock.
func WithClock(c Clock) Option { return func(h *Home) { h.clock = c } }

// WithName sets the name of the home. Default: "Test Home".
func WithName(name string) Option { return func(h *Home) { h.config["location_name"] = name } }

// WithTimeZone sets the time zone of the home. Default: "Europe/Berlin".
func WithTimeZone(zone string) Option { return func(h *Home) { h.config["time_zone"] = zone } }

// WithLanguage sets the language of the home. Default: "en".
func WithLanguage(tag string) Option { return func(h *Home) { h.config["language"] = tag } }

// WithVersion makes the home say that it is another version of Home Assistant.
func WithVersion(v string) Option { return func(h *Home) { h.config["version"] = v } }

// WithTrustedProxies sets from which addresses X-Forwarded-For is taken; with
// none, every request that has it is answered 400. Default: 127.0.0.1.
func WithTrustedProxies(prefixes ...netip.Prefix) Option {
	return func(h *Home) { h.proxies = prefixes }
}

// WithoutDelays makes every device act at once: locks turn without the two
// seconds they otherwise take. Delays in scripts remain.
func WithoutDelays() Option { return func(h *Home) { h.noDelays = true } }

// ForBenchmarks makes calls over the WebSocket nearly free: a call to a service
// that exists succeeds at once; nothing is checked, recorded or moved, only
// counted for [Home.Runs]. Faults of calls and services have no effect.
func ForBenchmarks() Option { return func(h *Home) { h.free = true } }

// New makes a home and serves it. It panics when no port can be had, as
// httptest does; with [WithListener] that cannot happen.
func New(opts ...Option) *Home {
	h := &Home{
		clock:       systemClock{},
		proxies:     []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		entities:    map[string]*entity{},
		scripts:     map[string]*script{},
		conns:       map[*conn]struct{}{},
		watchers:    map[*watcher]struct{}{},
		listeners:   map[*changesOf]struct{}{},
		refresh:     map[string]*refreshToken{},
		flows:       map[string]*loginFlow{},
		codes:       map[string]authCode{},
		healed:      make(chan struct{}),
		config:      defaultConfig(),
		contentUser: newID(),
	}
	for _, opt := range opts {
		opt(h)
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.power, h.powerOff = context.WithCancel(h.ctx)
	h.addUsers()
	h.addServices()
	h.addEntities()
	for _, add := range h.extra {
		add()
	}

	if h.listener == nil {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic("hasstest: " + err.Error())
		}
		h.listener = ln
	}
	h.url = "http://" + h.listener.Addr().String()
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	h.wg.Go(func() { _ = h.server.Serve(faultyListener{h.listener, h}) })
	return h
}

// Close ends the home: its connections, scripts and watchers. It returns when
// all of them have ended.
func (h *Home) Close() {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	h.closed = true
	h.cancel()
	for w := range h.watchers {
		w.close()
	}
	h.dropConnections()
	h.mu.Unlock()
	_ = h.server.Close()
	h.wg.Wait()
}

// URL returns the address of the home, without a slash at its end.
func (h *Home) URL() string { return h.url }

// Token returns a long-lived access token of the administrator.
func (h *Home) Token() string { return h.adminToken }

// UserToken returns a long-lived access token of an ordinary user.
func (h *Home) UserToken() string { return h.userToken }

// Stop is Home Assistant ending: connections break, scripts and moving locks
// end where they are, new connections are refused. Users, tokens and states
// remain for [Home.Start].
func (h *Home) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.powerOff()
	h.dropConnections()
}

// Start ends what [Home.Stop] began. Locks that were turning are found as they
// were before.
func (h *Home) Start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped && !h.closed {
		h.stopped = false
		h.power, h.powerOff = context.WithCancel(h.ctx)
		for id, e := range h.entities {
			if before := map[string]string{"locking": "unlocked", "unlocking": "locked", "opening": "locked"}[e.state]; before != "" {
				h.update(h.newContext(nil), id, before, nil)
			}
		}
	}
}

// Restart is Stop and Start.
func (h *Home) Restart() {
	h.Stop()
	h.Start()
}

// DropConnections breaks every WebSocket connection, as a network that fails
// does. New ones are taken.
func (h *Home) DropConnections() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropConnections()
}

func (h *Home) dropConnections() {
	for c := range h.conns {
		c.drop()
	}
}

// Connections returns how many WebSocket connections are open.
func (h *Home) Connections() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

func (h *Home) setConfig(key string, v any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.config[key] = v
}

// SetRunState sets the state of the home itself, as get_config tells it:
// "RUNNING" (the default), "STARTING", "STOPPING".
func (h *Home) SetRunState(state string) { h.setConfig("state", state) }

// SetTimeZone changes the time zone of the home.
func (h *Home) SetTimeZone(zone string) { h.setConfig("time_zone", zone) }

// A Call is what a client has asked the home to do.
type Call struct {
	Command  string         // "call_service", "execute_script" or "fire_event"
	Domain   string         // call_service
	Service  string         // call_service
	Data     map[string]any // its service_data and target in one, or the event's data
	Sequence []any          // execute_script
	Event    string         // fire_event
	UserID   string
	Context  Context
	Time     time.Time
}

// Name returns "domain.service".
func (c Call) Name() string { return c.Domain + "." + c.Service }

// keep is how many calls and events a home remembers.
const keep = 10_000

func (h *Home) record(c Call) {
	c.Time = h.clock.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.calls) == keep {
		h.calls = slices.Delete(h.calls, 0, keep/10)
	}
	h.calls = append(h.calls, c)
}

// Calls returns what clients have asked for, oldest first: also what was
// refused or went wrong, but not what scripts have called. Of more than 10,000
// calls the oldest are forgotten.
func (h *Home) Calls() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

// CallsTo returns the calls that clients have made to one service, such as
// "notify.send_message".
func (h *Home) CallsTo(service string) []Call {
	return slices.DeleteFunc(h.Calls(), func(c Call) bool { return c.Name() != service })
}

// Runs returns how often a service, such as "lock.unlock", has begun to act,
// called by a client or by a script. A call that was refused, or that found
// none of its targets, does not count.
func (h *Home) Runs(service string) int {
	if n, ok := h.runs.Load(service); ok {
		return int(n.(*atomic.Int64).Load())
	}
	return 0
}

func (h *Home) ran(service string) {
	n, ok := h.runs.Load(service)
	if !ok {
		n, _ = h.runs.LoadOrStore(service, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// wait lets d pass on the home's clock; false: the home went down meanwhile.
func (h *Home) wait(power context.Context, d time.Duration) bool {
	if d <= 0 {
		return power.Err() == nil
	}
	select {
	case <-h.clock.After(d):
		return true
	case <-power.Done():
		return false
	}
}

func (h *Home) running() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.power
}

func defaultConfig() map[string]any {
	return map[string]any{
		"allowlist_external_dirs": []string{}, "allowlist_external_urls": []string{},
		"components": []string{
			"api", "auth", "config", "counter", "cover", "demo", "frontend", "homeassistant", "http", "input_boolean",
			"light", "lock", "notify", "persistent_notification", "script", "switch", "template", "vacuum", "weather",
			"websocket_api", "zone",
		},
		"config_dir": "/config", "config_source": "yaml", "country": "DE", "currency": "EUR", "debug": false,
		"elevation": 0, "external_url": nil, "internal_url": nil, "language": "en", "latitude": 52.5,
		"location_name": "Test Home", "logging": map[string]any{"log_file_disabled_reason": nil}, "longitude": 13.4,
		"radius": 100, "recovery_mode": false, "safe_mode": false, "state": "RUNNING", "time_zone": "Europe/Berlin",
		"unit_system": map[string]any{
			"length": "km", "accumulated_precipitation": "mm", "area": "m²", "mass": "g", "pressure": "Pa",
			"temperature": "°C", "volume": "L", "wind_speed": "m/s",
		},
		"version": Version, "whitelist_external_dirs": []string{},
	}
}

func (h *Home) addEntities() {
	var list []struct {
		EntityID   string         `json:"entity_id"`
		State      string         `json:"state"`
		Attributes map[string]any `json:"attributes"`
		Platform   string         `json:"platform"`
		UniqueID   string         `json:"unique_id"`
		Original   string         `json:"original_name"`
		Device     string         `json:"device"`
	}
	if err := json.Unmarshal(entitiesJSON, &list); err != nil {
		panic("hasstest: entities.json: " + err.Error())
	}
	for _, l := range list {
		e := h.addEntity(l.EntityID, l.State, l.Attributes)
		e.platform, e.uniqueID, e.original, e.device = l.Platform, l.UniqueID, l.Original, l.Device
		if l.Device != "" {
			e.deviceID = newID()
		}
	}
	var scripts map[string]Script
	if err := json.Unmarshal(scriptsJSON, &scripts); err != nil {
		panic("hasstest: scripts.json: " + err.Error())
	}
	for _, name := range []string{"open_front_door", "slow_door", "open_and_relock", "broken_door", "notify_host", "notify_broken"} {
		h.addScript(name, scripts[name])
	}
	h.areas = []area{{"living_room", "Living Room", "mdi:sofa"}, {"kitchen", "Kitchen", "mdi:stove"}, {"bedroom", "Bedroom", "mdi:bed"}}
}

// SetArea puts an entity into an area of the home: living_room, kitchen or
// bedroom.
func (h *Home) SetArea(entityID, areaID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.entities[entityID]; e != nil {
		e.areaID = areaID
	}
}

package hasstest

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"time"
)

// unavailable is the state of an entity that cannot be reached.
const unavailable = "unavailable"

// State is an entity as Home Assistant shows it.
type State struct {
	EntityID     string
	State        string         // "locked", "on", "unavailable", …
	Attributes   map[string]any // not to be changed
	LastChanged  time.Time      // of State
	LastUpdated  time.Time      // of State or Attributes
	LastReported time.Time
	Context      Context
}

// Change is a change of an entity.
type Change struct {
	EntityID string
	Old      *State // nil: the entity is new
	New      *State // nil: the entity has gone
}

// MarshalJSON renders the state as /api/states does.
func (s *State) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		EntityID     string         `json:"entity_id"`
		State        string         `json:"state"`
		Attributes   map[string]any `json:"attributes"`
		LastChanged  string         `json:"last_changed"`
		LastReported string         `json:"last_reported"`
		LastUpdated  string         `json:"last_updated"`
		Context      Context        `json:"context"`
	}{s.EntityID, s.State, s.Attributes, isoTime(s.LastChanged), isoTime(s.LastReported), isoTime(s.LastUpdated), s.Context})
}

func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000-07:00") }

func timestamp(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// compressed renders the state as subscribe_entities first sends it.
func (s *State) compressed() map[string]any {
	m := map[string]any{"s": s.State, "a": s.Attributes, "c": any(s.Context), "lc": timestamp(s.LastChanged)}
	if s.Context.ParentID == nil && s.Context.UserID == nil {
		m["c"] = s.Context.ID
	}
	if !s.LastUpdated.Equal(s.LastChanged) {
		m["lu"] = timestamp(s.LastUpdated)
	}
	return m
}

// compressed renders the change as the event of subscribe_entities: "a" for
// added, "c" for changed, "r" for removed.
func (c Change) compressed() map[string]any {
	switch {
	case c.New == nil:
		return map[string]any{"r": []string{c.EntityID}}
	case c.Old == nil:
		return map[string]any{"a": map[string]any{c.EntityID: c.New.compressed()}}
	}
	plus := map[string]any{}
	diff := map[string]any{"+": plus}
	if c.Old.State != c.New.State {
		plus["s"] = c.New.State
	}
	if !c.Old.LastChanged.Equal(c.New.LastChanged) {
		plus["lc"] = timestamp(c.New.LastChanged)
	} else if !c.Old.LastUpdated.Equal(c.New.LastUpdated) {
		plus["lu"] = timestamp(c.New.LastUpdated)
	}
	before, after := c.Old.Context, c.New.Context
	context := map[string]any{}
	if !same(before.ParentID, after.ParentID) {
		context["parent_id"] = after.ParentID
	}
	if !same(before.UserID, after.UserID) {
		context["user_id"] = after.UserID
	}
	switch {
	case before.ID == after.ID && len(context) > 0:
		plus["c"] = context
	case before.ID != after.ID && len(context) > 0:
		context["id"] = after.ID
		plus["c"] = context
	case before.ID != after.ID:
		plus["c"] = after.ID
	}
	added := map[string]any{}
	for k, v := range c.New.Attributes {
		if old, ok := c.Old.Attributes[k]; !ok || !reflect.DeepEqual(old, v) {
			added[k] = v
		}
	}
	if len(added) > 0 {
		plus["a"] = added
	}
	var removed []string
	for k := range c.Old.Attributes {
		if _, ok := c.New.Attributes[k]; !ok {
			removed = append(removed, k)
		}
	}
	if removed != nil {
		diff["-"] = map[string]any{"a": removed}
	}
	return map[string]any{"c": map[string]any{c.EntityID: diff}}
}

func same(a, b *string) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// entity is what the home knows of an entity.
type entity struct {
	shown State // as clients see it

	// What it would be if it could be reached.
	state      string
	attributes map[string]any
	reachable  bool

	platform string // the integration it comes from
	uniqueID string // empty: not in the entity registry
	original string // its name in the entity registry
	device   string // the name of its device
	deviceID string
	areaID   string
}

func domainOf(id string) string {
	domain, _, _ := strings.Cut(id, ".")
	return domain
}

func (e *entity) supports(feature int) bool {
	switch n := e.attributes["supported_features"].(type) {
	case float64:
		return int(n)&feature == feature
	case int:
		return n&feature == feature
	}
	return feature == 0
}

// update changes an entity and tells everyone. h.mu is held.
func (h *Home) update(ctx Context, id, state string, attributes map[string]any) {
	e := h.entities[id]
	if e == nil {
		return
	}
	e.state = state
	if len(attributes) > 0 {
		e.attributes = maps.Clone(e.attributes)
		maps.Copy(e.attributes, attributes)
	}
	h.show(ctx, e)
	if id == gateOpen || id == gateBattery {
		h.updateGate(ctx)
	}
}

// show brings what clients see of an entity up to date. h.mu is held.
func (h *Home) show(ctx Context, e *entity) {
	now := h.clock.Now().Truncate(time.Microsecond)
	state, attributes := e.state, e.attributes
	if !e.reachable {
		state, attributes = unavailable, map[string]any{}
		for _, k := range []string{"friendly_name", "supported_features", "device_class"} {
			if v, ok := e.attributes[k]; ok {
				attributes[k] = v
			}
		}
	}
	old := e.shown
	if old.State == state && reflect.DeepEqual(old.Attributes, attributes) {
		e.shown.LastReported = now
		return
	}
	e.shown.Attributes, e.shown.Context = attributes, ctx
	e.shown.LastUpdated, e.shown.LastReported = now, now
	if old.State != state {
		e.shown.State, e.shown.LastChanged = state, now
	}
	fresh := e.shown
	h.changed(Change{EntityID: old.EntityID, Old: &old, New: &fresh}, ctx)
}

// changed tells subscribers and watchers of a change. h.mu is held.
func (h *Home) changed(c Change, ctx Context) {
	var diff []byte
	for conn := range h.conns {
		for id, s := range conn.subscriptions {
			if s.kind != subscribedEntities || s.entities != nil && !s.entities[c.EntityID] {
				continue
			}
			if diff == nil {
				diff = mustJSON(c.compressed())
			}
			conn.send(eventMessage(id, diff))
		}
	}
	h.fire("state_changed", func() any {
		return map[string]any{"entity_id": c.EntityID, "old_state": c.Old, "new_state": c.New}
	}, ctx)
	for w := range h.watchers {
		w.tell(c)
	}
	for l := range h.listeners {
		if l.id == ctx.ID && c.New != nil {
			l.states = append(l.states, c.New)
		}
	}
}

// State returns the state of an entity: "locked", "on", "3"; "unavailable"
// when its battery is flat; "" when there is no such entity.
func (h *Home) State(entityID string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.entities[entityID]; e != nil {
		return e.shown.State
	}
	return ""
}

// Entity returns an entity with its attributes; false: there is none.
func (h *Home) Entity(entityID string) (State, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.entities[entityID]; e != nil {
		return e.shown, true
	}
	return State{}, false
}

// SetState makes an entity's state and, beside those that it has, attributes,
// as if its device had reported them. An entity that is not there is added.
func (h *Home) SetState(entityID, state string, attributes map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx := h.newContext(nil)
	if h.entities[entityID] == nil {
		e := h.addEntity(entityID, state, maps.Clone(attributes))
		h.changed(Change{EntityID: entityID, New: clone(e.shown)}, ctx)
		return
	}
	h.update(ctx, entityID, state, attributes)
}

// Remove takes an entity out of the home.
func (h *Home) Remove(entityID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entities[entityID]
	if e == nil {
		return
	}
	delete(h.entities, entityID)
	for i, id := range h.order {
		if id == entityID {
			h.order = append(h.order[:i:i], h.order[i+1:]...)
			break
		}
	}
	h.changed(Change{EntityID: entityID, Old: clone(e.shown)}, h.newContext(nil))
}

// FlatBattery makes entities unavailable: they show no state and do nothing,
// and a call to them is a success all the same.
func (h *Home) FlatBattery(entityIDs ...string) { h.setReachable(false, entityIDs) }

// NewBattery makes entities available again, in the state that they were in.
func (h *Home) NewBattery(entityIDs ...string) { h.setReachable(true, entityIDs) }

func (h *Home) setReachable(reachable bool, entityIDs []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx := h.newContext(nil)
	for _, id := range entityIDs {
		if e := h.entities[id]; e != nil {
			e.reachable = reachable
			h.show(ctx, e)
		}
	}
}

func (h *Home) addEntity(id, state string, attributes map[string]any) *entity {
	now := h.clock.Now().Truncate(time.Microsecond)
	if attributes == nil {
		attributes = map[string]any{}
	}
	e := &entity{state: state, attributes: attributes, reachable: true, shown: State{
		EntityID: id, State: state, Attributes: attributes,
		LastChanged: now, LastUpdated: now, LastReported: now, Context: h.newContext(nil),
	}}
	h.entities[id] = e
	h.order = append(h.order, id)
	return e
}

func clone[T any](v T) *T { return &v }

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("hasstest: " + err.Error())
	}
	return b
}

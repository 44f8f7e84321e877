package hasstest

import (
	"encoding/json"
	"slices"
	"time"
)

// An Event is what was fired on the home's event bus.
type Event struct {
	Type    string
	Data    map[string]any
	Time    time.Time
	Context Context

	// Remote says that it came from outside, as what phones and REST fire.
	Remote bool
}

// everyEvent is what a subscription without an event type listens to.
const everyEvent = "*"

// fire tells subscribers of an event. data is asked for only where somebody
// listens. h.mu is held.
func (h *Home) fire(eventType string, data func() any, ctx Context) {
	h.fireFrom("LOCAL", eventType, data, ctx)
}

func (h *Home) fireFrom(origin, eventType string, data func() any, ctx Context) {
	var event []byte
	for conn := range h.conns {
		for id, s := range conn.subscriptions {
			if s.kind != subscribedEvents || s.event != eventType && s.event != everyEvent {
				continue
			}
			if event == nil {
				event = mustJSON(map[string]any{
					"event_type": eventType, "data": data(), "origin": origin,
					"time_fired": isoTime(h.clock.Now()), "context": ctx,
				})
			}
			conn.send(eventMessage(id, event))
		}
	}
}

// fireEvent fires an event of a client's or a script's.
func (h *Home) fireEvent(eventType string, data map[string]any, ctx Context) {
	h.fireKept(Event{Type: eventType, Data: data, Context: ctx})
}

func (h *Home) fireKept(e Event) {
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	e.Time = h.clock.Now()
	origin := "LOCAL"
	if e.Remote {
		origin = "REMOTE"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) == keep {
		h.events = slices.Delete(h.events, 0, keep/10)
	}
	h.events = append(h.events, e)
	h.fireFrom(origin, e.Type, func() any { return e.Data }, e.Context)
}

// fireCall tells subscribers that a service is called.
func (h *Home) fireCall(s *service, data map[string]any, ctx Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fire("call_service", func() any {
		return map[string]any{"domain": s.domain, "service": s.name, "service_data": data}
	}, ctx)
}

// Events returns the events of one type that clients and scripts have fired,
// oldest first.
func (h *Home) Events(eventType string) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []Event
	for _, e := range h.events {
		if e.Type == eventType {
			list = append(list, e)
		}
	}
	return list
}

// FireEvent fires an event of the home's own, such as
// mobile_app_notification_action.
func (h *Home) FireEvent(eventType string, data map[string]any) {
	h.fireEvent(eventType, data, h.newContext(nil))
}

// FireEventBy fires an event that a user has caused. Remote is what a phone's
// app sends, whoever the user is, and what an administrator sends by REST; what is
// not comes from an administrator's WebSocket, or a script that the user has run.
func (h *Home) FireEventBy(username string, remote bool, eventType string, data map[string]any) {
	id := h.UserID(username)
	h.fireKept(Event{Type: eventType, Data: data, Remote: remote, Context: Context{ID: newULID(h.clock.Now()), UserID: &id}})
}

// openEvents are the events that ordinary users may subscribe to, too.
var openEvents = map[string]bool{
	"area_registry_updated": true, "category_registry_updated": true, "component_loaded": true, "core_config_updated": true,
	"device_registry_updated": true, "entity_registry_updated": true, "floor_registry_updated": true, "label_registry_updated": true,
	"labs_updated": true, "lovelace_updated": true, "panels_updated": true, "recorder_5min_statistics_generated": true,
	"recorder_hourly_statistics_generated": true, "repairs_issue_registry_updated": true, "service_registered": true,
	"service_removed": true, "shopping_list_updated": true, "state_changed": true, "themes_updated": true,
}

func eventMessage(id int, event json.RawMessage) []byte {
	return mustJSON(struct {
		Type  string          `json:"type"`
		Event json.RawMessage `json:"event"`
		ID    int             `json:"id"`
	}{"event", event, id})
}

package caddyonetime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// emitter emits Caddy's own events, for handlers of the global option events:
//
//   - hass_redemption: a press was settled. Data: id, guest, comment, action,
//     title, home, outcome, cause, uses_left, uses_max, at
//   - hass_refusal: a press on a link that was not good then. The same, with
//     status in place of outcome and cause
//   - hass_paused, hass_resumed: all links were. Data: by, at
//
// Names of data and their values are those of EventType. What is not known is
// left out; there is no link in any.
type emitter struct {
	ctx    caddy.Context
	events *caddyevents.App
}

func newEmitter(ctx caddy.Context) (*emitter, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	events, ok := app.(*caddyevents.App)
	if !ok {
		return nil, errors.New("events: this is not Caddy's own app")
	}
	return &emitter{ctx, events}, nil
}

// emit hands an entry of the log to the handlers of the day, some time later:
// they are run one after the other, and take what time they like.
func (e *engine) emit(entry onetime.Entry) {
	if !e.settings.Current().emitter.heard(entry) {
		return
	}
	if !e.outbox.put("caddy", func(context.Context) { e.settings.Current().emitter.emit(entry) }) {
		e.log.Warn("too many of Caddy's events wait for their handlers: one was dropped", "id", entry.Token)
	}
}

// heard reports whether anybody would hear of an entry.
func (m *emitter) heard(entry onetime.Entry) bool {
	return m != nil && m.events.ShouldEmit(eventName(entry))
}

func (m *emitter) emit(entry onetime.Entry) {
	if m.heard(entry) && m.ctx.Err() == nil {
		m.events.Emit(m.ctx, eventName(entry), emitted(entry))
	}
}

func eventName(entry onetime.Entry) string { return "hass_" + string(entry.What) }

func emitted(entry onetime.Entry) map[string]any {
	data := map[string]any{"at": entry.At.Format(time.RFC3339)}
	texts := map[string]string{
		"id": entry.Token, "guest": entry.Guest, "comment": entry.Comment, "action": entry.Action, "title": entry.Title, "home": entry.Home,
		"outcome": string(entry.Outcome), "cause": string(entry.Cause), "status": string(entry.Status),
	}
	if entry.What == onetime.HappenedPaused || entry.What == onetime.HappenedResumed {
		texts = map[string]string{"by": entry.By.Name}
	}
	for name, text := range texts {
		if text != "" {
			data[name] = text
		}
	}
	for name, n := range map[string]*int{"uses_left": entry.UsesLeft, "uses_max": entry.UsesMax} {
		if n != nil {
			data[name] = *n
		}
	}
	return data
}

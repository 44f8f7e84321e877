package caddyonetime

import (
	"context"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// EventType is the event that is fired in a home for each redemption and each
// refusal, and in all of them when all links are paused or let in again, where the
// home's token is an administrator's.
const EventType = "caddy_hass_onetime"

// eventData is what an automation gets to know. There is no link in it.
type eventData struct {
	What     string    `json:"what"` // "redemption" or "refusal"
	ID       string    `json:"id"`   // the token's
	Guest    string    `json:"guest"`
	Comment  string    `json:"comment"`
	Action   string    `json:"action"`
	Title    string    `json:"title"`
	Outcome  string    `json:"outcome,omitempty"` // of a redemption
	Cause    string    `json:"cause,omitempty"`
	Status   string    `json:"status,omitempty"` // why a refusal refused
	UsesLeft *int      `json:"uses_left"`
	UsesMax  *int      `json:"uses_max"`
	At       time.Time `json:"at"`
}

// eventWithin is how long an event waits for its home to come back. Automations
// that follow a press are not for minutes later.
const eventWithin = 30 * time.Second

// observe is told of each entry of the log, in order, and passes it on to
// whoever wants to know. It never waits.
func (e *engine) observe(entry onetime.Entry) {
	switch entry.What {
	case onetime.HappenedRedemption:
		metrics.redemptions.WithLabelValues(string(entry.Outcome)).Inc()
		e.log.Info("redemption", "id", entry.Token, "guest", entry.Guest, "comment", oneLine(entry.Comment, maxWho),
			"action", entry.Action, "home", entry.Home, "outcome", entry.Outcome, "cause", entry.Cause,
			"spent", entry.Spent, "uses_left", entry.UsesLeft, "client", entry.Client,
			"code", entry.Code, "message", oneLine(entry.Message, maxReason))
	case onetime.HappenedRefusal:
		metrics.refusals.WithLabelValues(string(entry.Status)).Inc()
		e.log.Info("refusal", "id", entry.Token, "guest", entry.Guest, "comment", oneLine(entry.Comment, maxWho),
			"action", entry.Action, "status", entry.Status, "client", entry.Client)
	case onetime.HappenedPaused, onetime.HappenedResumed:
		e.log.Info("all links "+string(entry.What), "by", entry.By.ID)
		e.emit(entry)
		e.fire(entry)
		return
	default:
		return
	}
	e.notify(entry)
	e.emit(entry)
	e.fire(entry)
}

// fire tells the home of the entry's action, some time later.
func (e *engine) fire(entry onetime.Entry) {
	s := e.settings.Current()
	if s.homes == nil || s.eventsOff {
		return
	}
	homes := []string{entry.Home}
	if entry.Home == "" { // a link was refused as a whole, or it is about all of them
		homes = s.homes.Names()
	}
	for _, home := range homes {
		if !e.outbox.put("event "+home, func(ctx context.Context) { e.fireIn(ctx, home, entry) }) {
			e.log.Debug("too many events wait for a home: one was dropped", "home", home, "id", entry.Token)
		}
	}
}

func (e *engine) fireIn(ctx context.Context, home string, entry onetime.Entry) {
	if entry.What == onetime.HappenedPaused || entry.What == onetime.HappenedResumed {
		e.fireNow(ctx, home, EventType, "", pauseData{What: entry.What, By: entry.By.Name, At: entry.At})
		return
	}
	e.fireNow(ctx, home, EventType, entry.Token, eventData{
		What: string(entry.What), ID: entry.Token, Guest: entry.Guest, Comment: entry.Comment,
		Action: entry.Action, Title: entry.Title,
		Outcome: string(entry.Outcome), Cause: string(entry.Cause), Status: string(entry.Status),
		UsesLeft: entry.UsesLeft, UsesMax: entry.UsesMax, At: entry.At,
	})
}

// fireNow fires an event, where the home lets us and comes back in time.
func (e *engine) fireNow(ctx context.Context, home, eventType, id string, data any) {
	client, release, err := e.acquire(home)
	if err != nil {
		return
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, eventWithin)
	defer cancel()
	if err := client.Wait(ctx); err != nil {
		e.log.Debug("an event was not fired", "home", home, "event", eventType, "id", id, "error", err)
		return
	}
	if user, ok := client.User(); !ok || !user.IsAdmin {
		return
	}
	if err := client.FireEvent(ctx, eventType, data); err != nil {
		e.log.Warn("an event was not fired", "home", home, "event", eventType, "id", id, "error", err)
	}
}

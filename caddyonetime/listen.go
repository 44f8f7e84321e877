package caddyonetime

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// inboxLength is how many events of homes may wait to be looked at.
const inboxLength = 64

// heard is an event of a home.
type heard struct {
	home string
	raw  json.RawMessage
}

// homeEvent is an event as Home Assistant tells its subscribers.
type homeEvent struct {
	Type      string          `json:"event_type"`
	Data      json.RawMessage `json:"data"`
	Origin    string          `json:"origin"`
	TimeFired string          `json:"time_fired"`
	Context   struct {
		ID     string `json:"id"`
		UserID string `json:"user_id"`
	} `json:"context"`
}

// listener hears what is fired in the homes of one configuration.
type listener struct {
	cancel context.CancelFunc
	idle   sync.WaitGroup
}

// listen begins to listen in the homes of a configuration. Several of them listen
// at a time during a reload; see inbox.first.
func (e *engine) listen(s *settings) *listener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{cancel: cancel}
	if s.homes == nil || s.eventsOff {
		return l
	}
	for _, home := range s.homes.Names() {
		types := []string{CreateTokenEvent, PauseEvent}
		if slices.ContainsFunc(s.notify, func(n *Notify) bool { return n.answers() && n.Home == home }) {
			types = append(types, answerEvent)
		}
		l.idle.Go(func() { e.listenIn(ctx, s, home, types) })
	}
	return l
}

// close ends the subscriptions.
func (l *listener) close() {
	l.cancel()
	l.idle.Wait()
}

// listenIn subscribes to events of a home until ctx ends. Only an administrator's
// token may: with another it waits until there is one.
func (e *engine) listenIn(ctx context.Context, s *settings, home string, types []string) {
	client, release, err := s.homes.Acquire(home)
	if err != nil {
		return
	}
	defer release()
	for {
		changed := client.Changed()
		if user, ok := client.User(); ok && user.IsAdmin {
			subscriptions, err := subscribe(ctx, client, types, func(event json.RawMessage) { e.inbox.put(e, heard{home, event}) })
			if err == nil {
				<-ctx.Done()
			}
			for _, s := range subscriptions {
				s.Unsubscribe()
			}
			if err != nil && ctx.Err() == nil {
				e.log.Warn("events of a home are not heard", "home", home, "events", types, "error", err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// subscribe returns those subscriptions that stand, also with an error.
func subscribe(ctx context.Context, client *hassclient.Client, types []string, fn func(json.RawMessage)) (all []*hassclient.Subscription, err error) {
	for _, t := range types {
		s, err := client.Subscribe(ctx, map[string]any{"type": "subscribe_events", "event_type": t}, fn)
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, nil
}

// inbox holds what homes have fired until it is looked at, one after the other.
type inbox struct {
	waiting chan heard

	// seen are the events that were looked at lately, and minute how many
	// links they made within one. Both are the reader's alone.
	seen   map[[sha256.Size]byte]bool
	order  [][sha256.Size]byte
	minute time.Time
	made   int
}

func newInbox() *inbox {
	return &inbox{waiting: make(chan heard, inboxLength), seen: make(map[[sha256.Size]byte]bool)}
}

// put never waits.
func (b *inbox) put(e *engine, h heard) {
	select {
	case b.waiting <- h:
	default:
		e.log.Warn("too many events of homes wait: one was dropped", "home", h.home)
	}
}

// seenSize bounds how many events are remembered.
const seenSize = 512

// first reports whether an event comes for the first time: while one connection
// to a home takes the place of another, both bring it.
func (b *inbox) first(raw json.RawMessage) bool {
	sum := sha256.Sum256(raw)
	if b.seen[sum] {
		return false
	}
	if len(b.order) == seenSize {
		delete(b.seen, b.order[0])
		b.order = b.order[1:]
	}
	b.seen[sum], b.order = true, append(b.order, sum)
	return true
}

// linksPerMinute is how many links events make at most: an automation that has got
// into a loop fills no disk.
const linksPerMinute = 60

func (b *inbox) mayMake(now time.Time) bool {
	if now.Before(b.minute) || now.Sub(b.minute) >= time.Minute {
		b.minute, b.made = now, 0
	}
	b.made++
	return b.made <= linksPerMinute
}

// hear looks at events of homes until ctx ends.
func (e *engine) hear(ctx context.Context) {
	for {
		select {
		case h := <-e.inbox.waiting:
			if e.inbox.first(h.raw) {
				e.hearSafely(ctx, h)
			}
		case <-ctx.Done():
			return
		}
	}
}

// hearSafely keeps what somebody has fired from ending the process.
func (e *engine) hearSafely(ctx context.Context, h heard) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("an event of a home could not be looked at", "home", h.home, "panic", p)
		}
	}()
	var ev homeEvent
	if err := json.Unmarshal(h.raw, &ev); err != nil || e.settings.Current().eventsOff {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, eventWithin)
	defer cancel()
	switch ev.Type {
	case CreateTokenEvent:
		e.createByEvent(ctx, h.home, ev)
	case PauseEvent:
		e.pauseByEvent(ctx, h.home, ev)
	case answerEvent:
		e.answered(ctx, h.home, ev)
	}
}

// whoWithin bounds the question who has fired an event.
const whoWithin = 5 * time.Second

// errNotAdmin refuses what somebody has fired who may not.
var errNotAdmin = errors.New("this event came from outside Home Assistant's automations, and not from an administrator")

// who is the person that has fired an event. What automations and scripts fire,
// whoever has set them off, is what an administrator has written; what comes from
// outside has to come from one: every phone with the app, a guest's on the sofa
// included, may fire any event there is.
func (e *engine) who(ctx context.Context, home string, ev homeEvent) (onetime.Person, error) {
	inside := ev.Origin == "LOCAL"
	if ev.Context.UserID == "" {
		if !inside {
			return onetime.Person{}, errNotAdmin
		}
		return automation(home), nil
	}
	user, err := e.user(ctx, home, ev.Context.UserID)
	switch {
	case inside && err != nil:
		return onetime.Person{ID: ev.Context.UserID}, nil
	case err != nil:
		return onetime.Person{}, fmt.Errorf("nobody can tell who has fired this event: %w", err)
	case !inside && !user.admin():
		return onetime.Person{}, errNotAdmin
	}
	return onetime.Person{ID: user.ID, Name: user.Name}, nil
}

// automation is who acts where nobody of flesh and blood is known to.
func automation(home string) onetime.Person {
	p := onetime.Person{ID: "automation", Name: "Home Assistant"}
	if home != onetime.DefaultHome {
		p.ID, p.Name = "automation:"+home, "Home Assistant ("+home+")"
	}
	return p
}

// homeUser is a user as a home tells its administrators.
type homeUser struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Owner  bool     `json:"is_owner"`
	Active bool     `json:"is_active"`
	Groups []string `json:"group_ids"`
}

func (u homeUser) admin() bool {
	return u.Active && (u.Owner || slices.Contains(u.Groups, "system-admin"))
}

// user asks a home for one of its users.
func (e *engine) user(ctx context.Context, home, id string) (homeUser, error) {
	client, release, err := e.acquire(home)
	if err != nil {
		return homeUser{}, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, whoWithin)
	defer cancel()
	var all []homeUser
	if err := client.Query(ctx, "config/auth/list", nil, &all); err != nil {
		return homeUser{}, err
	}
	for _, u := range all {
		if u.ID == id {
			return u, nil
		}
	}
	return homeUser{}, errors.New("the home has no such user")
}

package caddyonetime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/host"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// Events that Home Assistant fires and we answer, where the home's token is an
// administrator's.
const (
	// CreateTokenEvent, with the members of the API's POST /api/tokens, makes
	// a link. It is sent by the configured notifier and is in no event;
	// TokenCreatedEvent or TokenRefusedEvent answers.
	CreateTokenEvent  = "caddy_hass_create_token"
	TokenCreatedEvent = "caddy_hass_token_created"
	TokenRefusedEvent = "caddy_hass_token_refused"

	// PauseEvent, with {"paused": true} or false, stops all links or lets
	// them in again. EventType with what "paused" or "resumed" answers.
	PauseEvent = "caddy_hass_pause"

	// answerEvent is what a phone's app fires for a press on a notification.
	answerEvent = "mobile_app_notification_action"
)

// requestRef says which request an answer belongs to.
type requestRef struct {
	RequestID string `json:"request_id,omitempty"` // as the request has it
	Context   string `json:"context"`              // the id of the request's context
}

// tokenCreated is TokenCreatedEvent's data. There is no link in it.
type tokenCreated struct {
	requestRef
	ID        string     `json:"id"`
	Actions   []string   `json:"actions"`
	Guest     string     `json:"guest"`
	Comment   string     `json:"comment"`
	UsesMax   *int       `json:"uses_max"`
	NotBefore *time.Time `json:"not_before"`
	Expires   *time.Time `json:"expires"`
}

// tokenRefused is TokenRefusedEvent's data.
type tokenRefused struct {
	requestRef
	Code   string `json:"code"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

// maxRequestID is the length of what a request may call itself, in bytes.
const maxRequestID = 200

// createByEvent makes the link that an event asks for.
func (e *engine) createByEvent(ctx context.Context, home string, ev homeEvent) {
	ref := requestRef{Context: ev.Context.ID}
	t, by, refused := e.tokenByEvent(ctx, home, ev, &ref)
	if refused != nil {
		refused.requestRef = ref
		e.log.Info("no link was made by an event", "home", home, "by", by.ID, "code", refused.Code, "field", refused.Field, "reason", refused.Reason)
		e.post(home, TokenRefusedEvent, "", refused)
		return
	}
	e.log.Info("a link was made by an event", "home", home, "by", by.ID, "id", t.ID, "guest", t.Guest)
	e.sendLink(home, t)
	e.post(home, TokenCreatedEvent, t.ID, tokenCreated{
		requestRef: ref, ID: t.ID, Actions: t.Actions, Guest: t.Guest, Comment: t.Comment,
		UsesMax: t.UsesMax, NotBefore: t.NotBefore, Expires: t.Expires,
	})
}

func (e *engine) tokenByEvent(ctx context.Context, home string, ev homeEvent, ref *requestRef) (*onetime.Token, onetime.Person, *tokenRefused) {
	by, err := e.who(ctx, home, ev)
	if err != nil {
		return nil, by, &tokenRefused{Code: "forbidden", Reason: err.Error()}
	}
	body, err := ref.takeFrom(ev.Data)
	if err != nil {
		return nil, by, refusal(err)
	}
	spec, err := host.TokenSpec(body)
	if err != nil {
		return nil, by, refusal(err)
	}
	s := e.settings.Current()
	if _, err := s.link(""); err != nil {
		return nil, by, &tokenRefused{Code: "no_public_url", Reason: err.Error()}
	}
	if len(s.notify) == 0 {
		return nil, by, &tokenRefused{Code: "no_notifier", Reason: "the link could be sent to nobody: notify is off in the global option hass_onetime"}
	}
	if !e.inbox.mayMake(time.Now()) {
		return nil, by, &tokenRefused{Code: "too_many", Reason: fmt.Sprintf("more than %d links were asked for within a minute", linksPerMinute)}
	}
	t, err := e.service.CreateToken(ctx, by, spec)
	if err != nil {
		return nil, by, refusal(err)
	}
	return t, by, nil
}

// takeFrom takes the request's own name out of what is left for the API.
func (r *requestRef) takeFrom(data json.RawMessage) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, &onetime.BadInput{Message: "the event's data is no object"}
	}
	raw, ok := members["request_id"]
	if !ok {
		return data, nil
	}
	delete(members, "request_id")
	var id string
	if err := json.Unmarshal(raw, &id); err != nil || len(id) > maxRequestID {
		return nil, &onetime.BadInput{Field: "request_id", Message: fmt.Sprintf("is a text of at most %d bytes", maxRequestID)}
	}
	r.RequestID = id
	return json.Marshal(members)
}

// refusal says why there is no link.
func refusal(err error) *tokenRefused {
	var bad *onetime.BadInput
	var broken *onetime.StoreError
	switch {
	case errors.As(err, &bad):
		return &tokenRefused{Code: "bad_input", Field: bad.Field, Reason: bad.Error()}
	case errors.As(err, &broken):
		return &tokenRefused{Code: "store", Reason: "the link could not be written down: Caddy's log says why"}
	}
	return &tokenRefused{Code: "failed", Reason: err.Error()}
}

// sendLink hands a link to everybody who is told of presses, some time later.
func (e *engine) sendLink(home string, t *onetime.Token) {
	s := e.settings.Current()
	for i, n := range s.notify {
		to := n.home(home)
		if !e.outbox.put(n.receiver(i, to), func(ctx context.Context) { e.sendLinkTo(ctx, s, n, to, t.ID) }) {
			metrics.notifications.WithLabelValues("dropped").Inc()
			e.log.Warn("too many notifications wait for a home: a link was not sent; the dashboard has it", "notify", n.String(), "home", to, "id", t.ID)
		}
	}
}

func (e *engine) sendLinkTo(ctx context.Context, s *settings, n *Notify, home, id string) {
	ctx, cancel := context.WithTimeout(ctx, notifyWithin)
	defer cancel()
	v, err := e.service.Token(ctx, id)
	if err == nil {
		var link string
		if link, err = s.link(e.service.Code(v.Token)); err == nil {
			err = e.tell(ctx, n, home, func(c *hassclient.Client) message {
				l := languageOf(c)
				who := oneLine(v.Token.Guest, maxWho)
				if who == "" {
					who = l.T("host.link_id", "id", id)
				}
				return message{title: who, text: host.Message(l, v, s.house, link), id: "caddy_hass_onetime_link_" + id}
			})
		}
	}
	if err != nil {
		metrics.notifications.WithLabelValues("failed").Inc()
		e.log.Warn("a link was not sent; the dashboard has it", "notify", n.String(), "home", home, "id", id, "error", err)
		return
	}
	metrics.notifications.WithLabelValues("sent").Inc()
}

// pauseByEvent switches all links off or on.
func (e *engine) pauseByEvent(ctx context.Context, home string, ev homeEvent) {
	by, err := e.who(ctx, home, ev)
	var data struct {
		Paused *bool `json:"paused"`
	}
	if err == nil {
		if json.Unmarshal(ev.Data, &data) != nil || data.Paused == nil {
			err = errors.New(`the event's data is not {"paused": true} or {"paused": false}`)
		}
	}
	var was bool
	if err == nil {
		was, err = e.service.Paused(ctx)
	}
	if err == nil {
		err = e.service.SetPaused(ctx, by, *data.Paused)
	}
	if err != nil {
		e.log.Warn("an event neither paused the links nor let them in again", "home", home, "by", by.ID, "error", err)
		return
	}
	if was == *data.Paused { // whoever asks hears how it stands
		what := onetime.HappenedResumed
		if was {
			what = onetime.HappenedPaused
		}
		e.post(home, EventType, "", pauseData{What: what, By: by.Name, At: time.Now().UTC()})
	}
}

// pauseData is what an automation gets to know of the switch for all links.
type pauseData struct {
	What onetime.Happening `json:"what"` // "paused" or "resumed"
	By   string            `json:"by"`
	At   time.Time         `json:"at"`
}

// answered does what somebody has pressed in a notification of ours. The phone may
// be anybody's whom the configuration wants to have told: what counts is the code,
// which was sent to that phone alone.
func (e *engine) answered(ctx context.Context, home string, ev homeEvent) {
	var data struct {
		Action string `json:"action"`
	}
	if json.Unmarshal(ev.Data, &data) != nil || !onetime.IsAgainCode(data.Action) {
		return // of somebody else's notification
	}
	by := automation(home)
	if id := ev.Context.UserID; id != "" {
		by = onetime.Person{ID: id}
		if user, err := e.user(ctx, home, id); err == nil {
			by.Name = user.Name
		}
	}
	v, err := e.service.LetTryAgain(ctx, by, data.Action)
	if err != nil {
		e.log.Info("an answer to a notification came to nothing", "home", home, "by", by.ID, "error", err)
		return
	}
	e.log.Info("an answer to a notification lets a guest try again", "home", home, "by", by.ID, "id", v.Token.ID, "guest", v.Token.Guest)
}

// post fires an event in a home, some time later. id is of the link it is about.
func (e *engine) post(home, eventType, id string, data any) {
	if !e.outbox.put("event "+home, func(ctx context.Context) { e.fireNow(ctx, home, eventType, id, data) }) {
		e.log.Warn("too many events wait for a home: one was dropped", "home", home, "event", eventType, "id", id)
	}
}

package caddyonetime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassapp"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// Notify is an action of Home Assistant's that tells the host when a link was
// pressed. It is called with a title and a message.
type Notify struct {
	// Home whose action it is. Default: the unnamed one, or the only one there is.
	Home string `json:"home,omitempty"`

	// Action such as notify.send_message, notify.mobile_app_annas_phone or
	// script.tell_everybody.
	Action string `json:"action"`

	// Target are the entities to notify.
	Target []string `json:"target,omitempty"`

	// Data goes along as the action's "data".
	Data map[string]any `json:"data,omitempty"`

	// anyHome stands for the home that the pressed action belongs to.
	anyHome bool
}

const persistentNotification = "persistent_notification.create"

var (
	actionShape = regexp.MustCompile(`^[a-z0-9_]+\.[a-z0-9_]+$`)
	entityShape = regexp.MustCompile(`^[a-z0-9_]+\.[a-z0-9_]+$`)
)

// provisionNotify checks who is to be told.
func (a *App) provisionNotify(homes *hassapp.App) ([]*Notify, error) {
	if a.NotifyOff {
		if len(a.Notify) > 0 {
			return nil, errors.New("notify is off, and there is one, too")
		}
		return nil, nil
	}
	if len(a.Notify) == 0 {
		return []*Notify{{Action: persistentNotification, anyHome: true}}, nil
	}
	repl := caddy.NewReplacer()
	var all []*Notify
	for _, n := range a.Notify {
		if n == nil {
			return nil, errors.New("notify: an entry is empty")
		}
		resolved := *n
		resolved.Target = nil
		for _, t := range n.Target {
			resolved.Target = append(resolved.Target, repl.ReplaceKnown(t, ""))
		}
		if err := resolved.check(); err != nil {
			return nil, fmt.Errorf("notify: %w", err)
		}
		if homes != nil {
			if err := resolved.choose(homes.Names()); err != nil {
				return nil, fmt.Errorf("notify: %w", err)
			}
		}
		all = append(all, &resolved)
	}
	return all, nil
}

func (n *Notify) check() error {
	if !actionShape.MatchString(n.Action) {
		return fmt.Errorf("%q is no action: write it as notify.send_message", n.Action)
	}
	for _, t := range n.Target {
		if !entityShape.MatchString(t) {
			return fmt.Errorf("target: %q is no entity: write it as notify.annas_phone", t)
		}
	}
	return nil
}

// choose finds the home among those there are.
func (n *Notify) choose(homes []string) error {
	if n.Home == "" {
		n.Home = hassapp.DefaultHome
		if !slices.Contains(homes, n.Home) && len(homes) == 1 {
			n.Home = homes[0]
		}
	}
	if !slices.Contains(homes, n.Home) {
		return fmt.Errorf("there is no home %q for %s: write <home>:%s with one of %s",
			n.Home, n.Action, n.Action, strings.Join(homes, ", "))
	}
	return nil
}

// home is where a message about something in the home of goes.
func (n *Notify) home(of string) string {
	if n.anyHome {
		return of
	}
	return n.Home
}

// String is how logs and the doctor name it.
func (n *Notify) String() string {
	if n.anyHome || n.Home == "" || n.Home == hassapp.DefaultHome {
		return n.Action
	}
	return n.Home + ":" + n.Action
}

// receiver tells those apart who wait for each other, i being its place in the
// configuration.
func (n *Notify) receiver(i int, home string) string {
	return fmt.Sprintf("notify %d %s %s %v", i, home, n.Action, n.Target)
}

// answers reports whether its messages can have buttons: those to a phone's app.
func (n *Notify) answers() bool { return strings.HasPrefix(n.Action, "notify.mobile_app_") }

// call is the service call that brings a message.
func (n *Notify) call(m message) hassclient.ServiceCall {
	domain, service, _ := strings.Cut(n.Action, ".")
	data := map[string]any{"title": m.title, "message": m.text}
	if n.Action == persistentNotification {
		data["message"] = plainMarkdown(m.text)
		if m.id != "" {
			// The newest word on a link takes the place of the one before.
			data["notification_id"] = m.id
		}
	}
	if more := n.data(m); len(more) > 0 {
		data["data"] = more
	}
	call := hassclient.ServiceCall{Domain: domain, Service: service, Data: data}
	if len(n.Target) > 0 {
		call.Target = map[string]any{"entity_id": n.Target}
	}
	return call
}

// data is the configured data, and the buttons of a message before those that the
// configuration has.
func (n *Notify) data(m message) map[string]any {
	data := maps.Clone(n.Data)
	if len(m.buttons) == 0 {
		return data
	}
	if data == nil {
		data = make(map[string]any)
	}
	var buttons []any
	for _, b := range m.buttons {
		buttons = append(buttons, b)
	}
	if more, ok := data["actions"].([]any); ok {
		buttons = append(buttons, more...)
	}
	data["actions"] = buttons
	return data
}

// plainMarkdown keeps a text that a home shows as Markdown from being anything
// but text: no link, picture or markup of a guest's name or a comment.
var plainMarkdown = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", `*`, `\*`, `[`, `\[`, `]`, `\]`, `<`, `\<`, `>`, `\>`,
).Replace

const (
	// notifyWithin is how long a message waits for its home to come back.
	notifyWithin = 5 * time.Minute

	// notifyCall is how long a home may take for one message.
	notifyCall = 30 * time.Second

	// notifyAgain is the pause before a message that the home did not take is
	// sent once more: a home that has just started lacks some services yet.
	notifyAgain = 10 * time.Second
)

// told remembers which rejections the host was told of. They give the use back, so
// a guest could have any number of them, and the host's phone as many messages.
type told struct {
	at map[string]time.Time // by token and action
}

const (
	toldFor  = time.Minute
	toldSize = 1024
)

// lately reports whether the host was told of the same rejection a moment ago.
// It is called for one entry after the other.
func (t *told) lately(entry onetime.Entry) bool {
	if entry.Outcome != onetime.OutcomeRejected {
		return false
	}
	what := entry.Token + " " + entry.Action + " " + entry.Code
	if at, ok := t.at[what]; ok && !entry.At.Before(at) && entry.At.Sub(at) < toldFor {
		return true
	}
	if t.at == nil || len(t.at) >= toldSize {
		t.at = make(map[string]time.Time)
	}
	t.at[what] = entry.At
	return false
}

// notify tells the host of an entry of the log, some time later.
func (e *engine) notify(entry onetime.Entry) {
	if !worthTelling(entry) || e.told.lately(entry) {
		return
	}
	for i, n := range e.settings.Current().notify {
		home := n.home(entry.Home)
		if !e.outbox.put(n.receiver(i, home), func(ctx context.Context) { e.send(ctx, n, home, entry) }) {
			metrics.notifications.WithLabelValues("dropped").Inc()
			e.log.Warn("too many notifications wait for a home: one was dropped",
				"notify", n.String(), "home", home, "id", entry.Token, "guest", entry.Guest, "outcome", entry.Outcome)
		}
	}
}

// send brings one message, and repeats only what surely has not arrived.
func (e *engine) send(ctx context.Context, n *Notify, home string, entry onetime.Entry) {
	ctx, cancel := context.WithTimeout(ctx, notifyWithin)
	defer cancel()
	err := e.tell(ctx, n, home, func(c *hassclient.Client) message {
		l := languageOf(c)
		m := compose(entry, l)
		// The answer is an event, which only administrators may listen to.
		if user, ok := c.User(); ok && user.IsAdmin && n.answers() && !e.settings.Current().eventsOff {
			if code := e.service.AgainCode(entry); code != "" {
				m.buttons = []button{{Action: code, Title: l.T("host.again")}}
			}
		}
		return m
	})
	if err != nil {
		metrics.notifications.WithLabelValues("failed").Inc()
		e.log.Warn("a notification did not reach its home", "notify", n.String(), "home", home,
			"id", entry.Token, "guest", entry.Guest, "outcome", entry.Outcome, "error", err)
		return
	}
	metrics.notifications.WithLabelValues("sent").Inc()
}

func (e *engine) tell(ctx context.Context, n *Notify, home string, compose func(*hassclient.Client) message) error {
	client, release, err := e.acquire(home)
	if err != nil {
		return err
	}
	defer release()
	for {
		if err := client.Wait(ctx); err != nil {
			return err
		}
		r := call(ctx, client, n.call(compose(client)))
		again := r.Outcome == hassclient.NotSent
		if r.Outcome == hassclient.Rejected {
			now, ok := client.Home()
			again = ok && !now.Running()
		}
		if !again {
			return resultError(r)
		}
		select {
		case <-time.After(notifyAgain):
		case <-ctx.Done():
			return resultError(r)
		}
	}
}

func call(ctx context.Context, c *hassclient.Client, sc hassclient.ServiceCall) hassclient.Result {
	ctx, cancel := context.WithTimeout(ctx, notifyCall)
	defer cancel()
	return c.CallAction(ctx, sc)
}

// resultError is nil for what was done.
func resultError(r hassclient.Result) error {
	switch {
	case r.Outcome == hassclient.Done:
		return nil
	case r.Message != "":
		return fmt.Errorf("%s: %s", r.Outcome, r.Message)
	case r.Err != nil:
		return fmt.Errorf("%s: %w", r.Outcome, r.Err)
	}
	return errors.New(r.Outcome.String())
}

// Notifier is one of those whom the configuration wants to have told.
type Notifier struct {
	Name string // as in the Caddyfile: "cabin:notify.send_message"

	// Home, Action and Target as configured. Home is empty where it depends
	// on whose action a guest has pressed.
	Home   string
	Action string
	Target []string
}

// Notifiers lists who is told, for the doctor.
func (a *App) Notifiers() []Notifier {
	var all []Notifier
	for _, n := range a.settings.notify {
		all = append(all, Notifier{Name: n.String(), Home: n.Home, Action: n.Action, Target: n.Target})
	}
	return all
}

// TestNotifiers sends a notification that says it is a test to everybody who
// is told of a press, now, and returns what came of each, nil for success, in
// the order of Notifiers.
func (a *App) TestNotifiers(ctx context.Context) ([]error, error) {
	e, release, err := a.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var results []error
	for _, n := range a.settings.notify {
		homes := []string{n.Home}
		if n.anyHome {
			homes = nil
			if a.settings.homes != nil {
				homes = a.settings.homes.Names()
			}
		}
		var failed []error
		for _, home := range homes {
			failed = append(failed, e.tell(ctx, n, home, func(c *hassclient.Client) message {
				l := languageOf(c)
				return message{title: l.T("notify.test_title"), text: l.T("notify.test"), id: "caddy_hass_onetime_test"}
			}))
		}
		results = append(results, errors.Join(failed...))
	}
	return results, nil
}

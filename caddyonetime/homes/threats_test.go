package homes

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// What a guest sends is no part of a definition: a run has no parameter for it, and
// what reaches the home is what the host wrote, to the letter.
func TestThreat27_ARunSendsOnlyWhatTheHostWrote(t *testing.T) {
	w := memory(t)
	h := w.home(t, w.user)
	d := parse(t, "action: script.notify_host\ndata:\n  title: \"{ { not a template } }\"\n  message: lock.front_door\n")
	if a := h.Run(t.Context(), d); a.Outcome != onetime.OutcomeDone {
		t.Fatalf("%+v", a)
	}
	calls := w.memory.CallsTo("script.notify_host")
	want := map[string]any{"title": "{ { not a template } }", "message": "lock.front_door"}
	if len(calls) != 1 || !reflect.DeepEqual(calls[0].Data, want) {
		t.Errorf("calls %+v", calls)
	}
}

// A home that misbehaves in every way: what Check, Ready and Run make of it.
func TestThreat29_HomesThatMisbehave(t *testing.T) {
	unlock := parse(t, openFront)
	for name, tt := range map[string]struct {
		fault hasstest.Fault
		ready onetime.Cause // "" is ready
		run   onetime.Answer
		acted int // how often the home acted
	}{
		"refuses": {hasstest.Refuse, onetime.CauseUnreachable, onetime.Answer{Outcome: onetime.OutcomeNotSent, Cause: onetime.CauseUnreachable}, 0},
		"token no longer good": {
			hasstest.RejectTokens, onetime.CauseUnreachable,
			onetime.Answer{Outcome: onetime.OutcomeNotSent, Cause: onetime.CauseUnreachable}, 0,
		},
		"breaks before it acts":   {hasstest.CloseBeforeCall, "", onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseLost}, 0},
		"breaks after it acted":   {hasstest.CloseAfterCall, "", onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseLost}, 1},
		"breaks in the answer":    {hasstest.CloseMidAnswer, "", onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseLost}, 1},
		"answers garbage":         {hasstest.Garbage, "", onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseLost}, 1},
		"answers without end":     {hasstest.Huge, "", onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseLost}, 1},
		"fails while it acts":     {hasstest.FailService("lock.unlock", "home_assistant_error", "motor"), "", onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Code: "home_assistant_error", Message: "motor"}, 1},
		"fails as nobody foresaw": {hasstest.FailService("lock.unlock", "something_new", "?"), "", onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Code: "something_new"}, 1},
		"refuses this user":       {hasstest.FailService("lock.unlock", "home_assistant_error", "Unauthorized"), "", onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := memory(t, hasstest.WithoutDelays())
			w.memory.SetState("lock.front_door", "locked", nil)
			h := w.home(t, w.user)
			if n := h.Ready(t.Context(), unlock); n != nil {
				t.Fatalf("not ready before: %+v", n)
			}
			w.memory.Fault(tt.fault)
			if tt.ready != "" {
				until(t, "the connection to break", func() bool { return !h.Reachable() })
			}
			n := h.Ready(t.Context(), unlock)
			if tt.ready == "" && n != nil || tt.ready != "" && (n == nil || n.Cause != tt.ready || n.Message == "") {
				t.Errorf("ready: %+v, want %q", n, tt.ready)
			}
			answered(t, "run", h.Run(t.Context(), unlock), tt.run)
			w.memory.Heal()
			if got := w.memory.Runs("lock.unlock"); got != tt.acted {
				t.Errorf("the home acted %d times, want %d", got, tt.acted)
			}
		})
	}
}

// A home that takes connections and does not answer keeps nobody waiting for long.
func TestThreat29_AHomeThatHangs(t *testing.T) {
	w := memory(t)
	h := w.home(t, w.user)
	w.memory.Fault(hasstest.Hang)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as after readyTimeout and checkTimeout
	if n := h.Ready(ctx, parse(t, openFront)); n == nil || n.Cause != onetime.CauseUnreachable {
		t.Errorf("ready: %+v", n)
	}
	if _, err := h.Check(ctx, parse(t, openFront)); !errors.Is(err, onetime.ErrUnreachable) {
		t.Errorf("check: %v", err)
	}
	w.memory.Heal()
}

// A service that does not end is waited for until the caller's time is up.
func TestThreat29_AServiceThatHangs(t *testing.T) {
	w := memory(t, hasstest.WithoutDelays())
	h := w.home(t, w.user)
	w.memory.Fault(hasstest.HangService("lock.unlock"))
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan onetime.Answer)
	go func() { done <- h.Run(ctx, parse(t, openFront)) }()
	until(t, "the call to come", func() bool { return len(w.memory.CallsTo("lock.unlock")) == 1 })
	cancel(context.DeadlineExceeded)
	answered(t, "run", <-done, onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseNoAnswer})
	w.memory.Heal()
}

// A home that restarts while it works leaves nobody in the belief that it is done.
func TestThreat29_AHomeThatRestarts(t *testing.T) {
	w := memory(t)
	h := w.home(t, w.user)
	done := make(chan onetime.Answer)
	go func() { done <- h.Run(context.Background(), parse(t, "action: script.slow_door")) }()
	until(t, "the script to run", func() bool { return w.memory.State("script.slow_door") == "on" })
	w.memory.Restart()
	if a := <-done; a.Outcome != onetime.OutcomeUnknown && a.Outcome != onetime.OutcomeFailed {
		t.Errorf("%+v", a)
	}
	until(t, "the home to be back", h.Reachable)
	if n := h.Ready(t.Context(), parse(t, openFront)); n != nil {
		t.Errorf("not ready after the restart: %+v", n)
	}
}

// A press right after a start waits for the first attempt to connect.
func TestReadyRightAfterTheStart(t *testing.T) {
	w := memory(t)
	c, err := hassclient.New(hassclient.Config{URL: w.url, Token: func() (string, error) { return w.user, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Start()
	if n := homeOf(t, c).Ready(t.Context(), parse(t, openFront)); n != nil {
		t.Errorf("not ready: %+v", n)
	}
}

// A press while Home Assistant starts waits for what it needs, and not for ever.
func TestReadyWhileTheHomeStarts(t *testing.T) {
	w := memory(t)
	w.memory.SetRunState("STARTING")
	w.memory.SetState("lock.garden_gate", "unavailable", nil)
	h := w.home(t, w.user)
	gate := parse(t, "action: lock.unlock\ntarget: {entity_id: lock.garden_gate}")
	if n := h.Ready(t.Context(), parse(t, openFront)); n != nil {
		t.Errorf("a lock that is there already: %+v", n)
	}
	h.startPatience = time.Millisecond
	if n := h.Ready(t.Context(), gate); n == nil || !strings.Contains(n.Message, "still starting") {
		t.Errorf("a lock that does not come: %+v", n)
	}
	if n := h.Ready(t.Context(), parse(t, "action: script.slow_door")); n != nil {
		t.Errorf("a script is not waited for without end: %+v", n)
	}

	h.startPatience = time.Minute
	for name, d := range map[string]*onetime.Definition{"a lock": gate, "a script": parse(t, "action: script.slow_door")} {
		ready := make(chan *onetime.NotReady)
		go func() { ready <- h.Ready(t.Context(), d) }()
		select {
		case n := <-ready:
			t.Fatalf("%s was not waited for: %+v", name, n)
		case <-time.After(20 * time.Millisecond):
		}
		defer func() {
			if n := <-ready; n != nil {
				t.Errorf("%s: %+v", name, n)
			}
		}()
	}
	w.memory.SetState("lock.garden_gate", "locked", nil)
	w.memory.SetRunState("RUNNING")
}

// While Home Assistant starts, half of its services and entities are not there yet.
func TestCheckWaitsForTheStart(t *testing.T) {
	w := memory(t)
	w.memory.SetRunState("STARTING")
	h := w.home(t, w.user)
	if _, err := h.Check(t.Context(), parse(t, openFront)); !errors.Is(err, onetime.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// What an area stands for is remembered for a while, and then asked again.
func TestResolvedTargetsAreRemembered(t *testing.T) {
	w := memory(t)
	h := w.home(t, w.user)
	now := time.Unix(1_800_000_000, 0)
	h.now = func() time.Time { return now }
	w.setArea(t, "lock.garden_gate", "kitchen")
	c := &parse(t, gateByArea).Calls[0]
	for _, tt := range []struct {
		after time.Duration
		area  string // where the front door is then
		want  []string
	}{
		{0, "", []string{"lock.garden_gate"}},
		{resolvedFor - 1, "kitchen", []string{"lock.garden_gate"}},
		{resolvedFor, "kitchen", []string{"lock.front_door", "lock.garden_gate"}},
	} {
		now = time.Unix(1_800_000_000, 0).Add(tt.after)
		w.setArea(t, "lock.front_door", tt.area)
		w.setArea(t, "light.bed_light", "kitchen") // no lock
		got, err := h.resolve(t.Context(), c)
		if err != nil || !reflect.DeepEqual(got.entities, tt.want) || got.open {
			t.Errorf("after %v: %+v, %v", tt.after, got, err)
		}
	}
}

// A lock that jammed yesterday and says nothing new is no failure of today.
func TestAnOldJamIsNoFailure(t *testing.T) {
	w := memory(t)
	w.memory.SetState("lock.silent", "jammed", nil)
	h := w.home(t, w.user)
	d := parse(t, "action: lock.unlock\ntarget: {entity_id: lock.silent}")
	before := h.locks(t.Context(), d)
	done := hassclient.Result{Outcome: hassclient.Done}
	if r := h.verify(t.Context(), d, before, done); r.Outcome != hassclient.Done {
		t.Errorf("old: %+v", r)
	}
	w.memory.SetState("lock.silent", "jammed", map[string]any{"again": true})
	until(t, "the state to come", func() bool {
		s, err := h.client.States(t.Context(), "lock.silent")
		return err == nil && s["lock.silent"].Attributes["again"] == true
	})
	if r := h.verify(t.Context(), d, before, done); r.Outcome != hassclient.Failed || r.Code != codeJammed {
		t.Errorf("new: %+v", r)
	}
}

func TestGroupsFailInPart(t *testing.T) {
	w := memory(t)
	w.memory.SetState("cover.both", "closed", map[string]any{"entity_id": []any{"cover.a", "cover.b"}})
	w.memory.SetState("scene.evening", "unknown", map[string]any{"entity_id": []any{"light.a", "light.b"}})
	h := w.home(t, w.user)
	for yaml, want := range map[string]bool{
		openFront: false,
		"action: lock.unlock\ntarget: {entity_id: [lock.front_door, lock.garden_gate]}": true,
		"action: lock.unlock\ntarget: {entity_id: all}":                                 true,
		"action: homeassistant.turn_on\ntarget: {entity_id: cover.both}":                true,
		"action: scene.turn_on\ntarget: {entity_id: scene.evening}":                     false,
		"action: script.broken_door":                                                    false,
		"action: persistent_notification.create\ndata: {message: x}":                    false,
		twoSteps: true,
	} {
		if got := h.partial(parse(t, yaml)); got != want {
			t.Errorf("%s: partial %v", yaml, got)
		}
	}
}

func TestTargetDomains(t *testing.T) {
	for target, want := range map[string][]string{
		``:                                 nil,
		`null`:                             nil,
		`{}`:                               nil,
		`{"entity":[]}`:                    nil,
		`{"entity":[{"domain":["lock"]}]}`: {"lock"},
		`{"entity":{"domain":"lock"}}`:     {"lock"},
		`{"entity":[{"domain":"lock"},{"domain":["cover"]}]}`:    {"lock", "cover"},
		`{"entity":[{"integration":"zha"}]}`:                     nil,
		`{"entity":[{"domain":["lock"]},{"integration":"zha"}]}`: nil,
		`{"device":[{"integration":"zha"}]}`:                     nil,
	} {
		if got := targetDomains(hassclient.Service{Target: json.RawMessage(target)}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q", target, got)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"lock", "lock", 0},
		{"lock", "lokc", 1},
		{"lock", "loc", 1},
		{"lock", "clock", 1},
		{"lock", "look", 1},
		{"unlok", "unlock", 1},
		{"kitten", "sitting", 3},
	} {
		if got := distance(tt.a, tt.b, 9); got != tt.want {
			t.Errorf("%s, %s: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func BenchmarkReady(b *testing.B) {
	mem := hasstest.New()
	defer mem.Close()
	c, err := hassclient.New(hassclient.Config{URL: mem.URL(), Token: func() (string, error) { return mem.UserToken(), nil }})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	c.Start()
	if err := c.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	h := &home{client: c, now: time.Now}
	d, err := onetime.Parse(openFront)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if n := h.Ready(b.Context(), d); n != nil {
			b.Fatal(n)
		}
	}
}

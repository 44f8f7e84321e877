package homes

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// state is an entity's state as the code under test sees it.
func state(t *testing.T, h *home, entity string) string {
	t.Helper()
	states, err := h.client.States(context.Background(), entity)
	if err != nil {
		t.Fatal(err)
	}
	return states[entity].State
}

func TestRun(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		admin, user := w.home(t, w.admin), w.home(t, w.user)
		for _, tt := range []struct {
			name, yaml string
			admin      onetime.Answer
			user       onetime.Answer // zero: the same
		}{
			{"front door", openFront, onetime.Answer{Outcome: onetime.OutcomeDone}, onetime.Answer{}},
			{"script", openUp, onetime.Answer{Outcome: onetime.OutcomeDone}, onetime.Answer{}},
			{
				// Only an administrator may ask what became of a script.
				"broken script", "action: script.broken_door",
				onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Code: "script_aborted", Message: "the motor is jammed"},
				onetime.Answer{Outcome: onetime.OutcomeDone},
			},
			{
				"sequence", twoSteps, onetime.Answer{Outcome: onetime.OutcomeDone},
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "unauthorized", Message: "Unauthorized"},
			},
			{
				"sequence with a template", "- variables: {door: lock.front_door}\n- action: lock.unlock\n  target: {entity_id: \"{{ door }}\"}\n",
				onetime.Answer{Outcome: onetime.OutcomeDone},
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "unauthorized"},
			},
			{
				"sequence that ends by itself", twoSteps + "- stop: enough\n- delay: 100\n", onetime.Answer{Outcome: onetime.OutcomeDone},
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "unauthorized"},
			},
			{
				"sequence stopped with an error", twoSteps + "- stop: the motor is jammed\n  error: true\n",
				onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CausePartial, Partial: true, Code: codeStopped},
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "unauthorized"},
			},
			{
				"sequence whose condition is not met", "- condition: state\n  entity_id: lock.front_door\n  state: gone\n" + twoSteps,
				onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CausePartial, Partial: true, Code: codeStopped},
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "unauthorized"},
			},
			{
				"sequence with a script that fails", "- action: script.broken_door\n- delay: 0\n",
				onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CausePartial, Partial: true, Code: codeStopped, Message: "script.broken_door ended before its last step"},
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "unauthorized"},
			},
			{
				"sequence that fails midway", twoSteps + "- action: lock.open\n  target: {entity_id: lock.front_door}\n",
				onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CausePartial, Partial: true, Message: "does not support"},
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "unauthorized"},
			},
			{
				"no such service", "action: lock.nope\ntarget: {entity_id: lock.front_door}",
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "not_found", Message: "Service lock.nope not found."}, onetime.Answer{},
			},
			{
				"wrong field", "action: lock.unlock\ntarget: {entity_id: lock.front_door}\ndata: {foo: 1}",
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "invalid_format"}, onetime.Answer{},
			},
			{
				"not supported", "action: lock.open\ntarget: {entity_id: lock.front_door}",
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "service_validation_error"}, onetime.Answer{},
			},
			{
				"not supported by one of several", "action: lock.open\ntarget: {entity_id: [lock.openable_lock, lock.front_door]}",
				onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CausePartial, Partial: true, Code: "service_validation_error"}, onetime.Answer{},
			},
			{
				"for administrators", "action: homeassistant.check_config",
				onetime.Answer{Outcome: onetime.OutcomeDone},
				onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Message: "Unauthorized"},
			},
			{
				"jammed", "action: lock.lock\ntarget: {entity_id: lock.poorly_installed_door}",
				onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Code: codeJammed, Message: "lock.poorly_installed_door is jammed"}, onetime.Answer{},
			},
		} {
			t.Run(tt.name, func(t *testing.T) {
				if !strings.Contains(tt.yaml, "broken_door") { // which runs once at a time
					t.Parallel()
				}
				d := parse(t, tt.yaml)
				answered(t, "administrator", admin.Run(t.Context(), d), tt.admin)
				if tt.user.Outcome == "" {
					tt.user = tt.admin
				}
				answered(t, "ordinary user", user.Run(t.Context(), d), tt.user)
			})
		}
	}, hasstest.WithoutDelays())
}

func answered(t *testing.T, who string, got, want onetime.Answer) {
	t.Helper()
	if got.Outcome != want.Outcome || got.Cause != want.Cause || got.Partial != want.Partial ||
		want.Code != "" && got.Code != want.Code || !strings.Contains(got.Message, want.Message) ||
		want.Outcome == onetime.OutcomeDone && (got.Context == "" || got.Code != "" || got.Message != "") {
		t.Errorf("%s: got %+v, want %+v", who, got, want)
	}
}

func TestRunTurnsTheLock(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		h := w.home(t, w.user)
		w.do(t, h.client, "lock", "lock", "lock.front_door")
		answered(t, "user", h.Run(t.Context(), parse(t, openFront)), onetime.Answer{Outcome: onetime.OutcomeDone})
		if s := state(t, h, "lock.front_door"); s != "unlocked" {
			t.Errorf("the front door is %s", s)
		}
	}, hasstest.WithoutDelays())
}

func TestScriptThatRunsAlreadyIsNotDone(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		h := w.home(t, w.admin)
		d := parse(t, "action: script.broken_door")
		first := make(chan onetime.Answer)
		go func() { first <- h.Run(context.Background(), d) }()
		until(t, "the script to run", func() bool { return state(t, h, "script.broken_door") == "on" })
		answered(t, "second", h.Run(t.Context(), d), onetime.Answer{
			Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "script_failed_single", Message: "running already",
		})
		<-first
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		h := w.home(t, w.user)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan onetime.Answer)
		go func() { done <- h.Run(ctx, parse(t, "action: script.slow_door")) }()
		until(t, "the script to run", func() bool { return state(t, h, "script.slow_door") == "on" })
		cancel()
		answered(t, "user", <-done, onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseNoAnswer})
		until(t, "the script to end", func() bool { return state(t, h, "script.slow_door") == "off" })
	})
}

func TestReady(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		w.setArea(t, "lock.garden_gate", "kitchen")
		t.Cleanup(func() { w.setArea(t, "lock.garden_gate", "") })
		h := w.home(t, w.user)
		const flat = "lock.garden_gate is unavailable"
		cases := []struct {
			name, yaml string
			flat       string // what is said with a flat battery; "" where there is still something to do
		}{
			{"front door", openFront, ""},
			{"gate", openGate, flat},
			{"gate in data", "action: lock.unlock\ndata: {entity_id: lock.garden_gate}", flat},
			{"one of two", "action: lock.unlock\ntarget: {entity_id: [lock.front_door, lock.garden_gate]}", ""},
			{"area", gateByArea, flat},
			{"all", "action: lock.unlock\ntarget: {entity_id: all}", ""},
			{"template", "action: lock.unlock\ntarget: {entity_id: \"{{ 'lock.garden_gate' }}\"}", ""},
			{"sequence", "- action: notify.notify\n  data: {message: x}\n- delay: 1\n- action: lock.unlock\n  target: {entity_id: lock.garden_gate}", flat},
			{"sequence with more", twoSteps + "- action: lock.unlock\n  target: {entity_id: lock.garden_gate}", ""},
			{"without target", "action: persistent_notification.create\ndata: {message: x}", ""},
			{"event", "event: x", ""},
			{"script", openUp, ""},
			{"script under an older name", "action: script.renamed_since", ""},
		}
		for _, tt := range cases {
			t.Run(tt.name, func(t *testing.T) {
				if n := h.Ready(t.Context(), parse(t, tt.yaml)); n != nil {
					t.Errorf("not ready: %+v", n)
				}
			})
		}
		flatGate(t, w, h.client)
		for _, tt := range cases {
			t.Run(tt.name+", flat battery", func(t *testing.T) {
				n := h.Ready(t.Context(), parse(t, tt.yaml))
				switch {
				case tt.flat == "" && n != nil:
					t.Errorf("not ready: %+v", n)
				case tt.flat != "" && (n == nil || n.Cause != onetime.CauseUnavailable || n.Message != tt.flat):
					t.Errorf("got %+v, want %q", n, tt.flat)
				}
			})
		}
		n := h.Ready(t.Context(), parse(t, "action: lock.unlock\ntarget: {entity_id: [lock.nope, lock.garden_gate]}"))
		if n == nil || n.Cause != onetime.CauseUnavailable || n.Message != "lock.nope does not exist in Home Assistant, "+flat {
			t.Errorf("missing and flat: %+v", n)
		}
		n = h.Ready(t.Context(), parse(t, "action: lock.unlock\ntarget: {area_id: bedroom}"))
		if n == nil || n.Cause != onetime.CauseUnavailable || n.Code != "no_target" {
			t.Errorf("empty area: %+v", n)
		}
	})
}

func TestTimeZone(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		h := w.home(t, w.user)
		if z := h.TimeZone(); z.String() != "Europe/Berlin" || h.TimeZone() != z || !h.Reachable() {
			t.Errorf("time zone %v", z)
		}
	})
	c, err := hassclient.New(hassclient.Config{URL: "http://127.0.0.1:1", Token: func() (string, error) { return "", errors.New("none") }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if z := homeOf(t, c).TimeZone(); z != time.UTC {
		t.Errorf("unknown: %v", z)
	}
}

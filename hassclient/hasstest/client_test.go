package hasstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
)

// connect returns a client of a home that is connected.
func (h aHome) connect(t *testing.T, as string) (*hassclient.Client, context.Context) {
	t.Helper()
	c, err := hassclient.New(hassclient.Config{URL: h.url, Token: func() (string, error) { return h.token(as), nil }})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return c, ctx
}

func on(entities ...string) map[string]any { return map[string]any{"entity_id": entities} }

// TestClientCalls is what package hassclient makes of the answers of both
// homes.
func TestClientCalls(t *testing.T) {
	type result = hassclient.Result
	cases := []struct {
		name string
		as   string
		call hassclient.ServiceCall
		want result // with "*" for a context id
	}{
		{name: "a lock that is slow", call: hassclient.ServiceCall{Domain: "lock", Service: "unlock", Target: on("lock.front_door")},
			want: result{Outcome: hassclient.Done, ContextID: "*"}},
		{name: "a lock, by an ordinary user", as: "user", call: hassclient.ServiceCall{Domain: "lock", Service: "lock", Target: on("lock.garden_gate")},
			want: result{Outcome: hassclient.Done, ContextID: "*"}},
		{name: "a script", as: "user", call: hassclient.ServiceCall{Domain: "script", Service: "open_front_door"},
			want: result{Outcome: hassclient.Done, ContextID: "*"}},
		{name: "a response", call: hassclient.ServiceCall{Domain: "script", Service: "open_front_door", ReturnResponse: true},
			want: result{Outcome: hassclient.Done, ContextID: "*", Response: json.RawMessage(`{}`)}},
		{name: "a script that stops with an error", call: hassclient.ServiceCall{Domain: "script", Service: "broken_door"},
			want: result{Outcome: hassclient.Failed, Code: "script_aborted", Message: "the script ended before its last step: the motor is jammed", ContextID: "*"}},
		{name: "a script that stops with an error, to an ordinary user", as: "user", call: hassclient.ServiceCall{Domain: "script", Service: "broken_door"},
			want: result{Outcome: hassclient.Done, ContextID: "*"}},
		{name: "a target that is not there", call: hassclient.ServiceCall{Domain: "lock", Service: "unlock", Target: on("lock.nope")},
			want: result{Outcome: hassclient.Done, ContextID: "*"}},
		{name: "a service that is not there", as: "user", call: hassclient.ServiceCall{Domain: "lock", Service: "nope", Target: on("lock.front_door")},
			want: result{Outcome: hassclient.Rejected, Code: "not_found", Message: "Service lock.nope not found."}},
		{name: "data that is not known", call: hassclient.ServiceCall{Domain: "lock", Service: "unlock", Target: on("lock.front_door"), Data: map[string]any{"foo": 1}},
			want: result{Outcome: hassclient.Rejected, Code: "invalid_format", Message: "not a valid option at 'foo'"}},
		{name: "what a lock cannot", call: hassclient.ServiceCall{Domain: "lock", Service: "open", Target: on("lock.front_door")},
			want: result{Outcome: hassclient.Rejected, Code: "service_validation_error",
				Message: "Validation error: Entity lock.front_door does not support action lock.open"}},
		{name: "what only administrators may", as: "user", call: hassclient.ServiceCall{Domain: "homeassistant", Service: "check_config"},
			want: result{Outcome: hassclient.Rejected, Code: "home_assistant_error", Message: "Unauthorized"}},
	}
	both(t, func(t *testing.T, h aHome) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				client, ctx := h.connect(t, c.as)
				got := client.CallAction(ctx, c.call)
				if ulidRE.MatchString(got.ContextID) {
					got.ContextID = "*"
				}
				a, b := indent(got), indent(c.want)
				if a != b {
					t.Errorf("got %s\nwant %s", a, b)
				}
			})
		}
	})
}

func TestClientSequences(t *testing.T) {
	step := func(action string, entities ...string) any {
		return map[string]any{"action": action, "target": on(entities...)}
	}
	cases := []struct {
		name     string
		as       string
		sequence []any
		outcome  hassclient.Outcome
		code     string
	}{
		{"done", "", []any{step("counter.increment", "counter.door_opens")}, hassclient.Done, ""},
		{"a missing service, after a step", "", []any{step("counter.increment", "counter.door_opens"), step("nope.nope")}, hassclient.Failed, "service_validation_error"},
		{"unsupported, after a step", "", []any{step("counter.increment", "counter.door_opens"), step("lock.open", "lock.front_door")}, hassclient.Failed, "service_validation_error"},
		{"not a step", "", []any{map[string]any{"nope": 1}}, hassclient.Rejected, "invalid_format"},
		{"ordinary user", "user", []any{}, hassclient.Rejected, "unauthorized"},
	}
	both(t, func(t *testing.T, h aHome) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				client, ctx := h.connect(t, c.as)
				if got := client.ExecuteScript(ctx, c.sequence, nil); got.Outcome != c.outcome || got.Code != c.code {
					t.Errorf("%+v, want %v %s", got, c.outcome, c.code)
				}
			})
		}
	})
}

func TestClientReads(t *testing.T) {
	both(t, func(t *testing.T, h aHome) {
		admin, ctx := h.connect(t, "")
		user, _ := h.connect(t, "user")

		if u, ok := admin.User(); !ok || u.Name != "Owner" || !u.IsAdmin || !u.IsOwner || u.ID == "" {
			t.Errorf("the administrator is %+v", u)
		}
		if u, ok := user.User(); !ok || u.Name != "Resident" || u.IsAdmin || u.IsOwner {
			t.Errorf("the user is %+v", u)
		}
		if c, ok := user.Home(); !ok || c.TimeZone != "Europe/Berlin" || c.LocationName != "Test Home" || c.Version != "2026.11.0" || !c.Running() {
			t.Errorf("the home is %+v", c)
		}
		if err := user.ValidateActions(ctx, []any{map[string]any{"action": "lock.unlock", "target": on("lock.front_door")}}); err != nil {
			t.Error(err)
		}
		var bad *hassclient.CommandError
		err := user.ValidateActions(ctx, []any{map[string]any{"action": "lock"}})
		if !errors.As(err, &bad) || bad.Code != "invalid" || bad.Message != "Service lock does not match format <domain>.<name> at '[0].action'" {
			t.Errorf("%v", err)
		}
		if err := user.FireEvent(ctx, "x", nil); !hassclient.Unauthorized(err) {
			t.Errorf("an ordinary user fires an event: %v", err)
		}
		x, err := user.ExtractFromTarget(ctx, map[string]any{"entity_id": []string{"lock.front_door"}, "area_id": "nope"})
		if err != nil || !slices.Equal(x.Entities, []string{"lock.front_door"}) || !slices.Equal(x.MissingAreas, []string{"nope"}) {
			t.Errorf("%+v, %v", x, err)
		}
		services, err := user.Services(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := services.Lookup("notify", "send_message"); !ok || !s.Fields["message"].Required || s.Target == nil {
			t.Errorf("notify.send_message: %+v", s)
		}
		if s, ok := services.Lookup("script", "notify_host"); !ok || len(s.Fields) != 3 {
			t.Errorf("script.notify_host: %+v", s)
		}

		// A flat battery.
		battery := func(service string) {
			t.Helper()
			r := user.CallAction(ctx, hassclient.ServiceCall{Domain: "input_boolean", Service: service, Target: on("input_boolean.gate_battery")})
			if r.Outcome != hassclient.Done {
				t.Fatalf("%+v", r)
			}
		}
		gate := func(want bool) {
			t.Helper()
			for deadline := time.Now().Add(10 * time.Second); ; {
				states, err := user.States(ctx, "lock.garden_gate", "lock.nope")
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := states["lock.nope"]; ok {
					t.Fatal("lock.nope has a state")
				}
				if states["lock.garden_gate"].Available() == want {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("the gate is %+v", states["lock.garden_gate"])
				}
				time.Sleep(time.Millisecond)
			}
		}
		battery("turn_on")
		gate(true)
		battery("turn_off")
		gate(false)
		battery("turn_on")
		gate(true)

		status, err := user.ProbeForwardedFor(ctx)
		if err != nil || status != 200 {
			t.Errorf("forwarded: %d, %v", status, err)
		}
	})
}

// TestClientSubscription: a client hears of events.
func TestClientSubscription(t *testing.T) {
	both(t, func(t *testing.T, h aHome) {
		client, ctx := h.connect(t, "")
		heard := make(chan string, 1)
		s, err := client.Subscribe(ctx, map[string]any{"type": "subscribe_events", "event_type": "host_notified"}, func(b json.RawMessage) {
			var e struct {
				Data struct{ Title, Message string }
			}
			_ = json.Unmarshal(b, &e)
			heard <- e.Data.Title + "|" + e.Data.Message
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Unsubscribe()
		r := client.CallAction(ctx, hassclient.ServiceCall{Domain: "script", Service: "notify_host", Data: map[string]any{"message": "the door"}})
		if r.Outcome != hassclient.Done {
			t.Fatalf("%+v", r)
		}
		select {
		case got := <-heard:
			if got != "|the door" {
				t.Errorf("heard %q", got)
			}
		case <-ctx.Done():
			t.Error("nothing was heard")
		}
	})
}

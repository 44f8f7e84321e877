package hasstest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// exchange sends messages as they stand and returns what comes back, the last
// being "closed <code>" where the home hangs up. It waits for count answers.
func exchange(s *socket, count int, messages ...string) []any {
	for _, m := range messages {
		s.sendRaw(m)
	}
	var got []any
	for len(got) < count {
		_, b, err := s.ws.Read(s.ctx)
		if err != nil {
			return append(got, "closed "+itoa(int(websocket.CloseStatus(err))))
		}
		var v any
		if json.Unmarshal(b, &v) != nil {
			s.t.Fatalf("not JSON: %q", b)
		}
		got = append(got, v)
	}
	return got
}

func TestAuthMessages(t *testing.T) {
	cases := []struct{ name, message string }{
		{"wrong token", `{"type":"auth","access_token":"bad"}`},
		{"token of a stranger", `{"type":"auth","access_token":"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ4In0.c2ln"}`},
		{"no token", `{"type":"auth"}`},
		{"number for a token", `{"type":"auth","access_token":5}`},
		{"extra member", `{"type":"auth","access_token":"a","foo":1}`},
		{"list", `[]`},
		{"no JSON", `x`},
	}
	both(t, func(t *testing.T, h aHome) {
		g := openGolden(t, h, "auth_messages")
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				s := h.dial(t)
				g.check(t, c.name, exchange(s, 3, c.message))
			})
		}
		t.Run("valid", func(t *testing.T) {
			s := h.dial(t)
			g.check(t, "valid", exchange(s, 2, `{"type":"auth","access_token":"`+h.admin+`"}`))
		})
	})
}

func TestMessages(t *testing.T) {
	cases := []struct {
		name     string
		count    int
		messages []string
	}{
		{"ids must grow", 3, []string{`{"id":5,"type":"ping"}`, `{"id":5,"type":"ping"}`, `{"id":4,"type":"ping"}`}},
		{"an unknown command leaves its id", 2, []string{`{"id":5,"type":"nope"}`, `{"id":5,"type":"ping"}`}},
		{"an invalid command uses its id", 2, []string{`{"id":5,"type":"fire_event"}`, `{"id":5,"type":"ping"}`}},
		{"no id", 1, []string{`{"type":"ping"}`}},
		{"id 0", 1, []string{`{"id":0,"type":"ping"}`}},
		{"negative id", 1, []string{`{"id":-1,"type":"ping"}`}},
		{"fractional id", 1, []string{`{"id":1.5,"type":"ping"}`}},
		{"text for an id", 1, []string{`{"id":"x","type":"ping"}`}},
		{"no type", 1, []string{`{"id":1}`}},
		{"number for a type", 1, []string{`{"id":1,"type":5}`}},
		{"several at once", 2, []string{`[{"id":1,"type":"ping"},{"id":2,"type":"ping"}]`}},
		{"none at once", 1, []string{`[]`, `{"id":1,"type":"ping"}`}},
		{"no JSON", 1, []string{`not json`}},
		{"null", 1, []string{`null`}},
	}
	both(t, func(t *testing.T, h aHome) {
		g := openGolden(t, h, "messages")
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				g.check(t, c.name, exchange(h.login(t, ""), c.count, c.messages...))
			})
		}
	})
}

// TestSubscriptions follows the garden gate through what a lock goes through.
func TestSubscriptions(t *testing.T) {
	call := func(domain, service, entity string) string {
		return `{"type":"call_service","domain":"` + domain + `","service":"` + service + `","target":{"entity_id":"` + entity + `"}}`
	}
	both(t, func(t *testing.T, h aHome) {
		g := openGolden(t, h, "subscriptions")
		s := h.login(t, "")
		s.ask(call("input_boolean", "turn_on", "input_boolean.gate_battery"))
		s.ask(call("lock", "unlock", "lock.garden_gate"))
		s.ask(call("lock", "lock", "lock.garden_gate"))
		s.ask(call("counter", "reset", "counter.door_opens"))

		step := func(name, command string, wait int) {
			t.Run(name, func(t *testing.T) {
				defer func(outer *testing.T) { s.t = outer }(s.t)
				s.t = t
				answer, events := s.ask(command)
				for len(events) < wait {
					events = append(events, s.read())
				}
				g.check(t, name, map[string]any{"answer": answer, "events": events})
			})
		}
		step("subscribe", `{"type":"subscribe_entities","entity_ids":["lock.garden_gate","lock.nope"]}`, 1)
		step("unlock", call("lock", "unlock", "lock.garden_gate"), 1)
		step("battery flat", call("input_boolean", "turn_off", "input_boolean.gate_battery"), 1)
		step("unlock without battery", call("lock", "unlock", "lock.garden_gate"), 0)
		s.ask(call("input_boolean", "turn_on", "input_boolean.gate_battery"))
		step("lock", call("lock", "lock", "lock.garden_gate"), 1)
		s.ask(`{"type":"unsubscribe_events","subscription":5}`)
		step("unlock, unsubscribed", call("lock", "unlock", "lock.garden_gate"), 0)
		step("subscribe to one", `{"type":"subscribe_entities","entity_ids":"counter.door_opens"}`, 1)
		step("count", call("counter", "increment", "counter.door_opens"), 1)
		step("subscribe to an event", `{"type":"subscribe_events","event_type":"x_ev"}`, 0)
		step("fire", `{"type":"fire_event","event_type":"x_ev","event_data":{"a":1}}`, 1)
		step("fire from a sequence", `{"type":"execute_script","sequence":[{"event":"x_ev","event_data":{"a":"{{ b }}"}}],"variables":{"b":2}}`, 1)
		step("fire another", `{"type":"fire_event","event_type":"y_ev"}`, 0)
		step("subscribe to states", `{"type":"subscribe_events","event_type":"state_changed"}`, 0)
		step("count again", call("counter", "increment", "counter.door_opens"), 2)
	})
}

// TestSlowDoorAnswersWhenDone: the answer to a call comes when the service is
// done; other answers overtake it.
func TestSlowDoorAnswersWhenDone(t *testing.T) {
	run := func(t *testing.T, h aHome, pass func()) {
		s := h.login(t, "user")
		s.sendRaw(`{"id":1,"type":"call_service","domain":"script","service":"slow_door"}`)
		s.sendRaw(`{"id":2,"type":"ping"}`)
		if m := s.read(); m["type"] != "pong" {
			t.Fatalf("the first answer is %v, want the pong", m)
		}
		pass()
		if m, _ := s.await(1); m["success"] != true {
			t.Fatalf("%v", m)
		}
	}
	t.Run("memory", func(t *testing.T) {
		clock := hasstest.NewManualClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
		h := hasstest.New(hasstest.WithClock(clock))
		t.Cleanup(h.Close)
		run(t, aHome{url: h.URL(), admin: h.Token(), user: h.UserToken()}, func() {
			clock.BlockUntil(1)
			if got := h.State("script.slow_door"); got != "on" {
				t.Errorf("the script is %q, want on", got)
			}
			clock.Advance(3 * time.Second)
		})
		if n := h.State("counter.door_opens"); n != "1" {
			t.Errorf("the door has opened %s times, want 1", n)
		}
	})
	both(t, func(t *testing.T, h aHome) {
		if h.memory == nil {
			run(t, h, func() {})
		}
	})
}

// TestCoalesced: to a client that says it can, several messages go at once.
func TestCoalesced(t *testing.T) {
	both(t, func(t *testing.T, h aHome) {
		s := h.login(t, "")
		s.ask(`{"type":"supported_features","features":{"coalesce_messages":1}}`)
		s.ask(`{"type":"subscribe_events","event_type":"c_ev"}`)
		var batch []string
		for i := range 200 {
			batch = append(batch, `{"id":`+itoa(100+i)+`,"type":"fire_event","event_type":"c_ev"}`)
		}
		s.sendRaw("[" + strings.Join(batch, ",") + "]")
		messages, lists := 0, 0
		for messages < 400 {
			_, b, err := s.ws.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var list []json.RawMessage
			if json.Unmarshal(b, &list) == nil {
				lists++
				messages += len(list)
			} else {
				messages++
			}
		}
		if lists == 0 {
			t.Error("no two messages came together")
		}
	})
}

package hassclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestStateEvents(t *testing.T) {
	states := map[string]State{}
	apply := func(event string) {
		t.Helper()
		var ev stateEvent
		if err := json.Unmarshal([]byte(event), &ev); err != nil {
			t.Fatal(err)
		}
		ev.apply(states)
	}
	at := func(seconds int64, micro int) time.Time { return time.Unix(seconds, int64(micro)*1000).UTC() }

	apply(`{"a":{"lock.a":{"s":"locked","a":{"friendly_name":"A","n":1},"c":"01X","lc":1700000000.25},
		"light.b":{"s":"on","a":{},"c":{"id":"x","user_id":null},"lc":1700000000.5,"lu":1700000001.125}}}`)
	want := State{EntityID: "lock.a", State: "locked", Attributes: map[string]any{"friendly_name": "A", "n": 1.0},
		LastChanged: at(1700000000, 250000), LastUpdated: at(1700000000, 250000)}
	if !reflect.DeepEqual(states["lock.a"], want) {
		t.Errorf("added: %+v", states["lock.a"])
	}
	if b := states["light.b"]; !b.LastUpdated.Equal(at(1700000001, 125000)) || !b.LastChanged.Equal(at(1700000000, 500000)) {
		t.Errorf("added: %+v", b)
	}
	held := states["lock.a"]

	apply(`{"c":{"lock.a":{"+":{"s":"unlocked","lc":1700000002.0,"c":"01Y","a":{"n":2,"m":[1]}},"-":{"a":["friendly_name"]}}}}`)
	want = State{EntityID: "lock.a", State: "unlocked", Attributes: map[string]any{"n": 2.0, "m": []any{1.0}},
		LastChanged: at(1700000002, 0), LastUpdated: at(1700000002, 0)}
	if !reflect.DeepEqual(states["lock.a"], want) {
		t.Errorf("changed: %+v", states["lock.a"])
	}
	if held.Attributes["friendly_name"] != "A" || held.Attributes["n"] != 1.0 {
		t.Error("what a caller holds has changed:", held)
	}
	apply(`{"c":{"lock.a":{"+":{"lu":1700000003}}}}`)
	if a := states["lock.a"]; !a.LastUpdated.Equal(at(1700000003, 0)) || !a.LastChanged.Equal(at(1700000002, 0)) || a.State != "unlocked" {
		t.Errorf("updated: %+v", a)
	}
	apply(`{"r":["lock.a","nobody.knows"],"c":{"nobody.knows":{"+":{"s":"x"}}}}`)
	if len(states) != 1 {
		t.Error("removed:", states)
	}
	apply(`{"a":{"light.b":{"s":"off","a":{"x":1},"lc":-1e300}}}`)
	if b := states["light.b"]; b.State != "off" || !b.LastChanged.IsZero() {
		t.Errorf("replaced: %+v", b)
	}
}

func TestValidEntityID(t *testing.T) {
	for id, want := range map[string]bool{
		"lock.front_door": true, "a.b": true, "a1_b.c__d": true,
		"": false, "lock": false, "lock.": false, ".x": false, "lock.a.b": false, "_lock.a": false, "lock_.a": false,
		"lo__ck.a": false, "lock._a": false, "lock.a_": false, "lock.ä": false, "lock.a b": false, "Lock.a": false,
		"lock." + strings.Repeat("a", 300): false,
	} {
		if validEntityID(id) != want {
			t.Errorf("%q: %t", id, !want)
		}
	}
}

// States come from one subscription per new set, are never of an earlier connection,
// and are taken up again on the next.
func TestStatesSurviveReconnect(t *testing.T) {
	subscribed := make(chan []string, 10)
	change, hangUp, snapshot := make(chan string), make(chan struct{}), make(chan struct{})
	serve := func(s *session, first string, wait bool) {
		s.letIn()
		in, _ := s.next()
		subscribed <- in.EntityIDs
		s.ok(in.ID, "null")
		if wait {
			<-snapshot
		}
		s.event(in.ID, first)
		for {
			select {
			case event := <-change:
				s.event(in.ID, event)
				change <- ""
			case <-hangUp:
				return
			case <-s.ctx.Done():
				return
			}
		}
	}
	home := newScriptedHome(t,
		func(s *session) { serve(s, `{"a":{"lock.a":{"s":"locked","a":{},"lc":1}}}`, false) },
		func(s *session) { serve(s, `{"a":{"lock.a":{"s":"jammed","a":{},"lc":2}}}`, true) },
	)
	c := newTestClient(t, home.URL, nil).connected(t)
	ctx := testContext(t)

	got, err := c.States(ctx, "Lock.A", "lock.missing", "no entity id", "Lock.A")
	if err != nil || len(got) != 1 || got["Lock.A"].State != "locked" || !got["Lock.A"].Available() {
		t.Fatal(got, err)
	}
	if ids := <-subscribed; !reflect.DeepEqual(ids, []string{"lock.a", "lock.missing"}) {
		t.Error("subscribed to", ids)
	}
	change <- `{"c":{"lock.a":{"+":{"s":"unavailable"}}},"a":{"lock.missing":{"s":"locked","a":{}}}}`
	<-change
	eventually(t, "the change arrives", func() bool {
		got, err = c.States(ctx, "lock.a", "lock.missing")
		return err == nil && !got["lock.a"].Available() && got["lock.missing"].State == "locked"
	})
	if got, err := c.States(ctx, "only nonsense"); err != nil || len(got) != 0 {
		t.Error(got, err) // an empty set would mean every entity of the home
	}

	hangUp <- struct{}{}
	eventually(t, "the second connection", func() bool { return home.conns.Load() == 2 && c.Connected() })
	if ids := <-subscribed; len(ids) != 2 {
		t.Error("subscribed again to", ids)
	}
	answered := make(chan map[string]State)
	go func() {
		states, err := c.States(ctx, "lock.a", "lock.missing")
		if err != nil {
			t.Error(err)
		}
		answered <- states
	}()
	close(snapshot)
	if got := <-answered; len(got) != 1 || got["lock.a"].State != "jammed" {
		t.Error("stale:", got)
	}
}

func TestStatesWithoutAnswer(t *testing.T) {
	hangUp := make(chan struct{})
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		s.next()
		s.home.calls.Add(1)
		<-hangUp
	}, func(s *session) { <-s.ctx.Done() })
	c := newTestClient(t, home.URL, nil).connected(t)
	errs := make(chan error)
	go func() {
		_, err := c.States(testContext(t), "lock.a")
		errs <- err
	}()
	eventually(t, "it is asked", func() bool { return home.calls.Load() == 1 })
	close(hangUp)
	if err := <-errs; !errors.Is(err, ErrConnectionLost) {
		t.Error(err)
	}
	if _, err := c.States(testContext(t), "lock.a"); !errors.Is(err, ErrNotConnected) {
		t.Error(err)
	}
	_ = c.Close()
}

// A set that the home refuses is an error for those who ask, and is tried anew.
func TestStatesRefused(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		for n := 0; ; {
			in, ok := s.next()
			switch {
			case !ok:
				return
			case in.Type != "subscribe_entities":
				s.ok(in.ID, "null")
			case n == 0:
				n++
				s.send(`{"id":%d,"type":"result","success":false,"error":{"code":"unknown_error","message":"no"}}`, in.ID)
			default:
				s.ok(in.ID, "null")
				s.event(in.ID, `{"a":{"lock.a":{"s":"locked"}}}`)
			}
		}
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	var ce *CommandError
	if _, err := c.States(testContext(t), "lock.a"); !errors.As(err, &ce) || ce.Message != "no" {
		t.Error(err)
	}
	eventually(t, "it is tried anew", func() bool {
		got, err := c.States(testContext(t), "lock.a")
		return err == nil && got["lock.a"].State == "locked"
	})
}

// What is watched is bounded: the least recently asked for is let go.
func TestWatchedStatesAreBounded(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		for {
			in, ok := s.next()
			if !ok {
				return
			}
			s.ok(in.ID, "null")
			if in.Type == "subscribe_entities" {
				var list []string
				for _, id := range in.EntityIDs {
					list = append(list, fmt.Sprintf(`%q:{"s":"on"}`, id))
				}
				s.event(in.ID, `{"a":{`+strings.Join(list, ",")+`}}`)
			} else if in.Type == "unsubscribe_events" {
				s.home.calls.Add(1)
			}
		}
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	ctx := testContext(t)
	ask := func(ids ...string) {
		t.Helper()
		if got, err := c.States(ctx, ids...); err != nil || len(got) != len(ids) {
			t.Fatal(len(got), err)
		}
	}
	const more = 10
	for i := range maxWatches + more {
		ask(fmt.Sprintf("light.l%d", i))
		ask("light.l0") // stays in use
	}
	eventually(t, "the home is told", func() bool { return home.calls.Load() == more })
	if c.states.byID["light.l0"] == nil || c.states.byID["light.l1"] != nil || len(c.states.watches) > maxWatches || len(c.subs) > maxWatches {
		t.Error(len(c.states.watches), len(c.subs))
	}
	var many []string
	for i := range maxWatched {
		many = append(many, fmt.Sprintf("light.m%d", i))
	}
	ask(many...)
	ask(append([]string{"light.l0"}, many[1:]...)...) // in part of what is watched already
	if n := len(c.states.byID); n > maxWatched {
		t.Error(n, "entities are watched")
	}
	if _, err := c.States(ctx, append(many, "light.z")...); err == nil {
		t.Error("more than can be watched is taken")
	}
}

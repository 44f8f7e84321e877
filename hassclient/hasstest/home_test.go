package hasstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

func newHome(t *testing.T, opts ...hasstest.Option) (*hasstest.Home, aHome) {
	t.Helper()
	h := hasstest.New(opts...)
	t.Cleanup(h.Close)
	return h, aHome{url: h.URL(), admin: h.Token(), user: h.UserToken(), memory: h}
}

const unlockFront = `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"lock.front_door"}}`

// await polls until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCallsAndRuns(t *testing.T) {
	h, a := newHome(t, hasstest.WithoutDelays())
	s := a.login(t, "user")
	s.ask(unlockFront)
	s.ask(strings.Replace(unlockFront, "lock.front_door", "lock.nope", 1))
	s.ask(`{"type":"call_service","domain":"lock","service":"nope","service_data":{"a":1}}`)
	s.ask(`{"type":"call_service","domain":"script","service":"open_front_door"}`)

	if got := h.State("lock.front_door"); got != "unlocked" {
		t.Errorf("the door is %q, want unlocked", got)
	}
	for service, want := range map[string]int{
		"lock.unlock": 1, "lock.nope": 0, "script.open_front_door": 1, "counter.increment": 1,
	} {
		if got := h.Runs(service); got != want {
			t.Errorf("%s has run %d times, want %d", service, got, want)
		}
	}
	if got := h.State("counter.door_opens"); got != "1" {
		t.Errorf("the door has opened %s times, want 1", got)
	}
	var names []string
	for _, c := range h.Calls() {
		names = append(names, c.Name())
		if c.UserID != h.UserID("resident") || c.Context.ID == "" || c.Time.IsZero() {
			t.Errorf("%+v", c)
		}
	}
	if want := []string{"lock.unlock", "lock.unlock", "lock.nope", "script.open_front_door"}; !slices.Equal(names, want) {
		t.Errorf("calls: %q, want %q", names, want)
	}
	if calls := h.CallsTo("lock.unlock"); len(calls) != 2 || calls[1].Data["entity_id"] != "lock.nope" {
		t.Errorf("calls to lock.unlock: %+v", calls)
	}
}

// TestClockMovesDevices: a lock turns, a script waits and a vacuum comes home
// on the home's clock.
func TestClockMovesDevices(t *testing.T) {
	clock := hasstest.NewManualClock(time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC))
	h, a := newHome(t, hasstest.WithClock(clock))
	changes := make(chan string, 100)
	stop := h.Watch(func(c hasstest.Change) { changes <- c.EntityID + " " + c.New.State })
	defer stop()
	s := a.login(t, "")

	s.sendRaw(`{"id":1,` + unlockFront[1:])
	clock.BlockUntil(1)
	if got := h.State("lock.front_door"); got != "unlocking" {
		t.Errorf("the door is %q, want unlocking", got)
	}
	clock.Advance(2 * time.Second)
	s.await(1)
	s.id = 1
	s.ask(`{"type":"call_service","domain":"vacuum","service":"return_to_base","target":{"entity_id":"vacuum.demo_vacuum_0_ground_floor"}}`)
	clock.Advance(30 * time.Second)

	var got []string
	for range 4 {
		got = append(got, <-changes)
	}
	want := []string{
		"lock.front_door unlocking", "lock.front_door unlocked",
		"vacuum.demo_vacuum_0_ground_floor returning", "vacuum.demo_vacuum_0_ground_floor docked",
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	e, _ := h.Entity("lock.front_door")
	if want := time.Date(2026, 11, 20, 18, 0, 2, 0, time.UTC); !e.LastChanged.Equal(want) {
		t.Errorf("changed at %v, want %v", e.LastChanged, want)
	}
}

func TestStatesSetAndRemoved(t *testing.T) {
	h, a := newHome(t)
	s := a.login(t, "user")
	s.ask(`{"type":"subscribe_entities","entity_ids":["lock.front_door","lock.shed"]}`)
	s.read()
	h.SetState("lock.front_door", "jammed", map[string]any{"changed_by": "nobody"})
	h.SetState("lock.shed", "locked", nil)
	h.FlatBattery("lock.shed")
	h.FlatBattery("lock.shed") // no change
	h.NewBattery("lock.shed")
	h.Remove("lock.shed")
	want := []string{
		`{"c":{"lock.front_door":{"+":{"a":{"changed_by":"nobody"},"c":"<context>","lc":"<varies>","s":"jammed"}}}}`,
		`{"a":{"lock.shed":{"a":{},"c":"<context>","lc":"<varies>","s":"locked"}}}`,
		`{"c":{"lock.shed":{"+":{"c":"<context>","lc":"<varies>","s":"unavailable"}}}}`,
		`{"c":{"lock.shed":{"+":{"c":"<context>","lc":"<varies>","s":"locked"}}}}`,
		`{"r":["lock.shed"]}`,
	}
	for _, want := range want {
		got, _ := json.Marshal(normal(s.read()["event"]))
		got = []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(got)))
		if string(got) != want {
			t.Errorf("event %s\nwant  %s", got, want)
		}
	}
	if _, ok := h.Entity("lock.shed"); ok || h.State("lock.shed") != "" {
		t.Error("the shed is still there")
	}
}

func TestFlatBatteryIsSuccessAndDoesNothing(t *testing.T) {
	h, a := newHome(t, hasstest.WithoutDelays())
	h.FlatBattery("lock.front_door")
	answer, _ := a.login(t, "user").ask(unlockFront)
	if answer["success"] != true || h.Runs("lock.unlock") != 0 || h.State("lock.front_door") != "unavailable" {
		t.Errorf("%v; ran %d times; %s", answer, h.Runs("lock.unlock"), h.State("lock.front_door"))
	}
	h.NewBattery("lock.front_door")
	if got := h.State("lock.front_door"); got != "locked" {
		t.Errorf("with a new battery the door is %q, want locked", got)
	}
}

// TestFaultsOfCalls: what a client makes of a home that fails in the middle,
// and what the home has really done.
func TestFaultsOfCalls(t *testing.T) {
	cases := []struct {
		name    string
		fault   hasstest.Fault
		outcome hassclient.Outcome
		code    string
		runs    int
		counted string
	}{
		{"before the call", hasstest.CloseBeforeCall, hassclient.Unknown, "connection_lost", 0, "0"},
		{"after the call", hasstest.CloseAfterCall, hassclient.Unknown, "connection_lost", 1, "1"},
		{"in the middle of the answer", hasstest.CloseMidAnswer, hassclient.Unknown, "connection_lost", 1, "1"},
		{"garbage", hasstest.Garbage, hassclient.Unknown, "connection_lost", 1, "1"},
		{"10 MB", hasstest.Huge, hassclient.Unknown, "connection_lost", 1, "1"},
		{"a service that fails", hasstest.FailService("script.open_front_door", "home_assistant_error", "no answer from the lock"), hassclient.Failed, "home_assistant_error", 1, "0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, a := newHome(t)
			client, ctx := a.connect(t, "user")
			h.Fault(c.fault)
			got := client.CallAction(ctx, hassclient.ServiceCall{Domain: "script", Service: "open_front_door"})
			h.Heal()
			if got.Outcome != c.outcome || got.Code != c.code {
				t.Errorf("%+v, want %v %s", got, c.outcome, c.code)
			}
			if n := h.Runs("script.open_front_door"); n != c.runs {
				t.Errorf("the script has run %d times, want %d", n, c.runs)
			}
			if n := h.State("counter.door_opens"); n != c.counted {
				t.Errorf("the door has opened %s times, want %s", n, c.counted)
			}
			if n := len(h.Calls()); n != 1 {
				t.Errorf("the home has heard %d calls, want 1", n)
			}
			await(t, "healed", func() bool {
				got = client.CallAction(ctx, hassclient.ServiceCall{Domain: "script", Service: "open_front_door"})
				return got.Outcome != hassclient.NotSent
			})
			if got.Outcome != hassclient.Done {
				t.Errorf("healed: %+v", got)
			}
		})
	}
}

func TestHangingService(t *testing.T) {
	h, a := newHome(t)
	s := a.login(t, "user")
	h.Fault(hasstest.HangService("notify.send_message"))
	s.sendRaw(`{"id":1,"type":"call_service","domain":"notify","service":"send_message","target":{"entity_id":"notify.notifier"},"service_data":{"message":"a"}}`)
	s.sendRaw(`{"id":2,"type":"call_service","domain":"counter","service":"increment","target":{"entity_id":"counter.door_opens"}}`)
	s.await(2) // the others go on
	if n := h.Runs("notify.send_message"); n != 1 {
		t.Errorf("it has begun %d times, want 1", n)
	}
	h.Heal()
	if m, _ := s.await(1); m["success"] != true {
		t.Errorf("healed: %v", m)
	}
}

func TestSlowAnswers(t *testing.T) {
	clock := hasstest.NewManualClock(time.Now())
	h, a := newHome(t, hasstest.WithClock(clock))
	s := a.login(t, "user")
	h.Fault(hasstest.Slow(5 * time.Second))
	s.sendRaw(`{"id":1,"type":"ping"}`)
	clock.BlockUntil(1)
	clock.Advance(5 * time.Second)
	s.read()
	s.sendRaw(`{"id":2,"type":"call_service","domain":"script","service":"open_front_door"}`)
	clock.BlockUntil(1)
	if n := h.State("counter.door_opens"); n != "1" {
		t.Errorf("before the answer the door has opened %s times, want 1", n)
	}
	clock.Advance(5 * time.Second)
	s.await(2)
}

func TestRefuseHangAndRestart(t *testing.T) {
	get := func(h *hasstest.Home) error {
		client := &http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get(h.URL() + "/manifest.json")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	h, a := newHome(t)
	s := a.login(t, "user")

	h.Fault(hasstest.Refuse)
	if _, _, err := s.ws.Read(t.Context()); err == nil {
		t.Error("the connection stands while the home refuses")
	}
	if err := get(h); err == nil {
		t.Error("the home answers while it refuses")
	}
	h.Heal()
	if err := get(h); err != nil {
		t.Error(err)
	}

	h.Fault(hasstest.Hang)
	var timeout net.Error
	if err := get(h); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("while the home hangs: %v", err)
	}
	h.Heal()

	s = a.login(t, "user")
	s.sendRaw(`{"id":1,"type":"call_service","domain":"script","service":"open_and_relock"}`)
	await(t, "the script runs", func() bool { return h.State("script.open_and_relock") == "on" })
	h.Stop()
	if _, _, err := s.ws.Read(t.Context()); err == nil {
		t.Error("the connection stands while the home is down")
	}
	if err := get(h); err == nil {
		t.Error("the home answers while it is down")
	}
	await(t, "the script has ended", func() bool { return h.State("script.open_and_relock") == "off" })
	h.Start()
	if m, _ := a.login(t, "user").ask(`{"type":"get_states"}`); m["success"] != true {
		t.Errorf("%v", m)
	}
	if n := h.State("counter.door_opens"); n != "1" {
		t.Errorf("the counter is %s, want 1", n)
	}
}

func TestTokens(t *testing.T) {
	h, a := newHome(t)
	refused := func(token string) bool {
		got := exchange(a.dial(t), 2, `{"type":"auth","access_token":"`+token+`"}`)
		return got[1].(map[string]any)["type"] == "auth_invalid"
	}
	if refused(a.admin) {
		t.Fatal("the token is refused")
	}
	h.Fault(hasstest.RejectTokens)
	if !refused(a.admin) {
		t.Error("the token is taken under RejectTokens")
	}
	h.Heal()
	token := h.AddUser(hasstest.User{Username: "guest", Password: "p"})
	s := aHome{url: a.url, admin: token}.login(t, "")
	if m, _ := s.ask(`{"type":"auth/current_user"}`); m["result"].(map[string]any)["name"] != nil {
		t.Errorf("a user without a name: %v", m)
	}
	h.SetAdmin("guest", true)
	if m, _ := s.ask(`{"type":"fire_event","event_type":"x"}`); m["success"] != true {
		t.Errorf("as administrator: %v", m)
	}
	h.SetAdmin("guest", false)
	if m, _ := s.ask(`{"type":"fire_event","event_type":"x"}`); m["success"] != false {
		t.Errorf("demoted: %v", m)
	}
	h.SetActive("guest", false)
	if _, _, err := s.ws.Read(t.Context()); err == nil {
		t.Error("the connection of somebody who is shut out stands")
	}
	if !refused(token) {
		t.Error("the token of somebody who is shut out is taken")
	}
	h.RevokeToken(a.user)
	if !refused(a.user) {
		t.Error("a revoked token is taken")
	}
}

func TestTrustedProxies(t *testing.T) {
	_, a := newHome(t, hasstest.WithTrustedProxies(netip.MustParsePrefix("192.0.2.0/24")))
	req := a.request(t, "GET", "/manifest.json", "")
	req.Header.Set("X-Forwarded-For", "198.51.100.1")
	if got := a.reply(t, req)["status"]; got != 400 {
		t.Errorf("from a proxy that is not trusted: %v, want 400", got)
	}
	if got := a.reply(t, a.request(t, "GET", "/manifest.json", ""))["status"]; got != 200 {
		t.Errorf("directly: %v, want 200", got)
	}
}

func TestScriptsAddedAndRemoved(t *testing.T) {
	h, a := newHome(t, hasstest.WithScript("greet", hasstest.Script{Sequence: []any{map[string]any{"event": "hello"}}}))
	s := a.login(t, "user")
	s.ask(`{"type":"subscribe_events","event_type":"service_registered"}`)
	s.ask(`{"type":"call_service","domain":"script","service":"greet"}`)
	if n := len(h.Events("hello")); n != 1 {
		t.Errorf("greeted %d times, want 1", n)
	}
	h.AddScript("leave", hasstest.Script{Sequence: []any{
		map[string]any{"if": []any{map[string]any{"condition": "state", "entity_id": "lock.front_door", "state": "locked"}},
			"then": []any{map[string]any{"event": "locked"}}, "else": []any{map[string]any{"event": "open"}}},
		map[string]any{"action": "nope.nope"},
	}})
	s.read() // service_registered
	m, _ := s.ask(`{"type":"call_service","domain":"script","service":"leave"}`)
	if got := m["error"].(map[string]any); got["code"] != "home_assistant_error" || got["message"] != "Service nope.nope called service script.leave which was not found." {
		t.Errorf("%v", got)
	}
	if len(h.Events("locked")) != 1 || len(h.Events("open")) != 0 {
		t.Error("the wrong branch")
	}
	h.RemoveScript("leave")
	if m, _ := s.ask(`{"type":"call_service","domain":"script","service":"leave"}`); m["success"] != false {
		t.Errorf("%v", m)
	}
}

// TestUnknownIsAnError: what the home cannot evaluate it says, and does not act
// on.
func TestUnknownIsAnError(t *testing.T) {
	h, a := newHome(t)
	s := a.login(t, "")
	for _, step := range []string{
		`{"event":"e","event_data":{"a":"{{ states('lock.front_door') }}"}}`,
		`{"action":"{{ 'lock.' ~ 'unlock' }}","target":{"entity_id":"lock.garden_gate"}}`,
		`{"delay":"{{ now() }}"}`,
		`{"condition":"sun","after":"sunset"}`,
		`{"choose":[]}`,
		`{"repeat":{"count":1,"sequence":[]}}`,
		`{"wait_template":"{{ true }}"}`,
	} {
		m, _ := s.ask(`{"type":"execute_script","sequence":[` + step + `,{"event":"e"}]}`)
		e, _ := m["error"].(map[string]any)
		if e["code"] != "home_assistant_error" || !strings.HasPrefix(e["message"].(string), "this home in memory ") {
			t.Errorf("%s: %v", step, m)
		}
	}
	if n := len(h.Events("e")) + h.Runs("lock.unlock"); n != 0 {
		t.Errorf("it has acted %d times", n)
	}
}

func TestNotifications(t *testing.T) {
	h, a := newHome(t)
	s := a.login(t, "user")
	for _, data := range []string{`{"message":"one","notification_id":"a"}`, `{"title":"T","message":"two"}`, `{"message":"three","notification_id":"a"}`} {
		s.ask(`{"type":"call_service","domain":"persistent_notification","service":"create","service_data":` + data + `}`)
	}
	got := h.Notifications()
	if len(got) != 2 || got[0].Message != "two" || got[0].Title != "T" || got[1].Message != "three" || got[1].ID != "a" {
		t.Errorf("%+v", got)
	}
	s.ask(`{"type":"call_service","domain":"persistent_notification","service":"dismiss_all"}`)
	if got := h.Notifications(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestAsHandler: a home can be served under a server, and a path, of one's own.
func TestAsHandler(t *testing.T) {
	h, a := newHome(t)
	srv := httptest.NewServer(http.StripPrefix("/core", h))
	defer srv.Close()
	a.url = srv.URL + "/core"
	client, ctx := a.connect(t, "user")
	if r := client.CallAction(ctx, hassclient.ServiceCall{Domain: "script", Service: "open_front_door"}); r.Outcome != hassclient.Done {
		t.Errorf("%+v", r)
	}
}

// TestCloseLeavesNothing: after Close no goroutine is left, whatever was under
// way.
func TestCloseLeavesNothing(t *testing.T) {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	before := runtime.NumGoroutine()
	for range 3 {
		h := hasstest.New()
		a := aHome{url: h.URL(), admin: h.Token(), user: h.UserToken(), memory: h}
		h.Watch(func(hasstest.Change) {})
		s := a.login(t, "")
		s.sendRaw(`{"id":1,` + unlockFront[1:])
		s.sendRaw(`{"id":2,"type":"call_service","domain":"script","service":"turn_on","target":{"entity_id":"script.open_and_relock"}}`)
		s.sendRaw(`{"id":3,"type":"call_service","domain":"vacuum","service":"return_to_base","target":{"entity_id":"vacuum.demo_vacuum_0_ground_floor"}}`)
		await(t, "the vacuum returns", func() bool { return h.State("vacuum.demo_vacuum_0_ground_floor") == "returning" })
		h.Fault(hasstest.HangService("notify.send_message"))
		s.sendRaw(`{"id":4,"type":"call_service","domain":"notify","service":"send_message","target":{"entity_id":"notify.notifier"},"service_data":{"message":"a"}}`)
		await(t, "the notifier hangs", func() bool { return h.Runs("notify.send_message") == 1 })
		h.Close()
		h.Close()
		_ = s.ws.CloseNow()
	}
	await(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	h, a := newHome(t, hasstest.WithoutDelays())
	stop := h.Watch(func(c hasstest.Change) { _ = h.State(c.EntityID) })
	defer stop()
	const clients, calls = 8, 50
	var wg sync.WaitGroup
	for i := range clients {
		client, ctx := a.connect(t, []string{"", "user"}[i%2])
		wg.Go(func() {
			for range calls {
				for _, sc := range []hassclient.ServiceCall{
					{Domain: "script", Service: "open_front_door"},
					{Domain: "lock", Service: "unlock", Target: on("lock.front_door", "lock.garden_gate", "lock.openable_lock")},
					{Domain: "light", Service: "toggle", Target: map[string]any{"entity_id": "all"}},
					{Domain: "homeassistant", Service: "toggle", Target: on("light.bed_light", "switch.ac")},
				} {
					if r := client.CallAction(ctx, sc); r.Outcome != hassclient.Done {
						t.Errorf("%+v: %+v", sc, r)
						return
					}
				}
				if _, err := client.States(ctx, "lock.front_door"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		h.FlatBattery("lock.openable_lock")
		h.SetState("sensor.x", "1", map[string]any{"a": 1})
		_ = h.Calls()
		h.NewBattery("lock.openable_lock")
	}
	wg.Wait()
	if got := h.Runs("script.open_front_door"); got != clients*calls {
		t.Errorf("the script has run %d times, want %d", got, clients*calls)
	}
	// The garden gate counts, too.
	if got, want := h.State("counter.door_opens"), itoa(2*clients*calls); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

func BenchmarkCall(b *testing.B) {
	for name, opts := range map[string][]hasstest.Option{
		"home": {hasstest.WithoutDelays()}, "nearly free": {hasstest.ForBenchmarks()},
	} {
		b.Run(name, func(b *testing.B) {
			h := hasstest.New(opts...)
			defer h.Close()
			c, err := hassclient.New(hassclient.Config{URL: h.URL(), Token: func() (string, error) { return h.UserToken(), nil }})
			if err != nil {
				b.Fatal(err)
			}
			c.Start()
			defer func() { _ = c.Close() }()
			ctx := context.Background()
			if err := c.Wait(ctx); err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := c.CallAction(ctx, hassclient.ServiceCall{Domain: "lock", Service: "unlock", Target: map[string]any{"entity_id": "lock.front_door"}})
					if r.Outcome != hassclient.Done {
						b.Errorf("%+v", r)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			if h.Runs("lock.unlock") != b.N {
				b.Errorf("ran %d times, want %d", h.Runs("lock.unlock"), b.N)
			}
		})
	}
}

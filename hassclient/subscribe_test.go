package hassclient

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

var wish = map[string]any{"type": "subscribe_events", "event_type": "x"}

func TestSubscriptionSurvivesReconnect(t *testing.T) {
	events := make(chan json.RawMessage, 10)
	ended := make(chan incoming, 1)
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		in, _ := s.next()
		s.event(in.ID, `{"n":0}`) // even before the consent
		s.ok(in.ID, "null")
		s.event(in.ID, `{"n":1}`)
	}, func(s *session) {
		s.letIn()
		in, _ := s.next()
		if in.Type != "subscribe_events" || in.EventType != "x" {
			t.Errorf("%+v", in)
		}
		s.ok(in.ID, "null")
		s.event(in.ID, `{"n":2}`)
		s.event(in.ID+1000, `{"n":99}`)
		out, _ := s.next()
		if out.Subscription != in.ID {
			t.Errorf("ended %d, not %d", out.Subscription, in.ID)
		}
		s.event(in.ID, `{"n":98}`)
		ended <- out
		s.serve()
	})
	c := newTestClient(t, home.URL, nil)
	sub, err := c.Subscribe(testContext(t), wish, func(event json.RawMessage) { events <- event })
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"n":0}`, `{"n":1}`, `{"n":2}`} {
		if got := <-events; string(got) != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	if err := sub.Err(); err != nil {
		t.Error(err)
	}
	// It has the event of the second connection, perhaps not yet its consent.
	eventually(t, "it stands", func() bool {
		sub.mu.Lock()
		defer sub.mu.Unlock()
		return sub.conn == c.conn.Load()
	})
	sub.Unsubscribe()
	sub.Unsubscribe()
	if out := <-ended; out.Type != "unsubscribe_events" {
		t.Errorf("%+v", out)
	}
	if r := c.CallAction(testContext(t), unlock); r.Outcome != Done { // all before it has been read
		t.Errorf("%+v", r)
	}
	if len(events) != 0 {
		t.Errorf("after Unsubscribe: %s", <-events)
	}
}

func TestSubscriptionRefused(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		in, _ := s.next()
		s.send(`{"id":%d,"type":"result","success":false,"error":{"code":"unauthorized","message":"Unauthorized"}}`, in.ID)
		s.serve()
	})
	c := newTestClient(t, home.URL, nil)
	if _, err := c.Subscribe(testContext(t), wish, nil); !Unauthorized(err) {
		t.Error(err)
	}
	if len(c.subs) != 0 {
		t.Error("it is kept")
	}
}

func TestSubscribeEndsWithItsContext(t *testing.T) {
	home := newScriptedHome(t, func(s *session) { <-s.ctx.Done() }) // never lets in
	c := newTestClient(t, home.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Subscribe(ctx, wish, nil); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNotConnected) {
		t.Error(err)
	}
	_ = c.Close()
	if _, err := c.Subscribe(testContext(t), wish, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// A subscriber that does not keep up loses events; calls go on.
func TestSlowSubscriberHoldsNobodyUp(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		in, _ := s.next()
		s.ok(in.ID, "null")
		for range subscriptionQueue + 10 {
			s.event(in.ID, `{}`)
		}
		s.serve()
	})
	c := newTestClient(t, home.URL, nil)
	wait := make(chan struct{})
	if _, err := c.Subscribe(testContext(t), wish, func(json.RawMessage) { <-wait }); err != nil {
		t.Fatal(err)
	}
	if r := c.CallAction(testContext(t), unlock); r.Outcome != Done {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(c.log.String(), "does not keep up") {
		t.Error("it is not said")
	}
	close(wait)
}

func TestServicesAreKeptUntilTheyChange(t *testing.T) {
	for _, admin := range []bool{true, false} {
		home := newScriptedHome(t, func(s *session) {
			s.letInAs(admin, "RUNNING")
			registered := uint64(0)
			for {
				in, ok := s.next()
				if !ok {
					return
				}
				switch in.Type {
				case "get_services":
					s.home.calls.Add(1)
					s.ok(in.ID, `{"lock":{"unlock":{"name":"Unlock","fields":{"code":{"required":true,"selector":{"text":null}},
						"more":{"collapsed":true,"fields":{"speed":{"name":"Speed"}}}},"target":{"entity":[{}]}}},
						"script":{"x":{"fields":{},"response":{"optional":true}}}}`)
				case "subscribe_events":
					if in.EventType == "service_registered" {
						registered = in.ID
					}
					s.ok(in.ID, "null")
				case "call_service":
					s.event(registered, `{"event_type":"service_registered"}`)
					s.ok(in.ID, doneResult)
				}
			}
		})
		c := newTestClient(t, home.URL, nil).connected(t)
		ask := func(want int32) Services {
			t.Helper()
			list, err := c.Services(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			if got := home.calls.Load(); got != want {
				t.Errorf("administrator %t: asked %d times, want %d", admin, got, want)
			}
			return list
		}
		list := ask(1)
		unlockService, ok := list.Lookup("lock", "unlock")
		if !ok || unlockService.Target == nil || unlockService.Response != nil {
			t.Errorf("%+v", unlockService)
		}
		if f, ok := unlockService.Field("code"); !ok || !f.Required {
			t.Error(f, ok)
		}
		if f, ok := unlockService.Field("speed"); !ok || f.Name != "Speed" {
			t.Error("a field in a section:", f, ok)
		}
		if _, ok := unlockService.Field("more"); ok {
			t.Error("a section is taken for a field")
		}
		if s, ok := list.Lookup("script", "x"); !ok || s.Response == nil || !s.Response.Optional {
			t.Error(s, ok)
		}
		ask(1)
		if admin {
			c.CallAction(testContext(t), unlock) // counts as one, and changes the list
			ask(3)
		}
		_ = c.Close()
	}
}

func TestRESTGet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/core/manifest.json" {
			if r.Header.Get("X-Forwarded-For") == "" || r.Header.Get("Authorization") != "" {
				t.Error(r.Header)
			}
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+testToken || r.Header.Get("X-Forwarded-For") != "" {
			t.Error(r.Header)
		}
		switch r.URL.Path {
		case "/core/api/config":
			_, _ = w.Write([]byte(`{"time_zone":"Europe/Berlin"}`))
		case "/core/api/huge":
			for range maxMessage>>20 + 1 {
				_, _ = w.Write(make([]byte, 1<<20))
			}
		case "/core/api/away":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		case "/core/api/garbage":
			_, _ = w.Write([]byte("<html>"))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	c, err := New(Config{URL: server.URL + "/core", Token: func() (string, error) { return testToken, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := testContext(t)
	var home HomeConfig
	if err := c.Get(ctx, "/api/config", &home); err != nil || home.TimeZone != "Europe/Berlin" {
		t.Error(home, err)
	}
	var se *StatusError
	if err := c.Get(ctx, "/api/none", nil); !errors.As(err, &se) || se.Status != 404 {
		t.Error(err)
	}
	if err := c.Get(ctx, "/api/away", nil); !errors.As(err, &se) || se.Status != 302 {
		t.Error(err)
	}
	for _, path := range []string{"/api/huge", "/api/garbage", "api/config"} {
		if err := c.Get(ctx, path, &home); err == nil || strings.Contains(err.Error(), testToken) {
			t.Error(path, err)
		}
	}
	if status, err := c.ProbeForwardedFor(ctx); err != nil || status != 400 {
		t.Error(status, err)
	}
	server.Close()
	if _, err := c.ProbeForwardedFor(ctx); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Error(err)
	}
}

package hassclient

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// someHome is the home in memory, or the real one that the environment names.
type someHome struct{ url, admin, user string }

// homes runs a test against both.
func homes(t *testing.T, test func(*testing.T, someHome)) {
	t.Run("memory", func(t *testing.T) {
		h := hasstest.New()
		t.Cleanup(h.Close)
		test(t, someHome{h.URL(), h.Token(), h.UserToken()})
	})
	t.Run("real", func(t *testing.T) {
		h := someHome{os.Getenv("HASS_URL"), os.Getenv("HASS_TOKEN"), os.Getenv("HASS_TOKEN_USER")}
		if h.url == "" || h.admin == "" || h.user == "" {
			t.Skip("HASS_URL, HASS_TOKEN and HASS_TOKEN_USER are not set: there is no real home to ask")
		}
		test(t, h)
	})
}

// open connects a client that waits and pings as in earnest.
func (h someHome) open(t *testing.T, token string, change func(*Config)) *testClient {
	t.Helper()
	c := newTestClient(t, h.url, func(cfg *Config) {
		cfg.Token = func() (string, error) { return token, nil }
		cfg.Sleep = nil
		cfg.PingInterval = 0
		if change != nil {
			change(cfg)
		}
	}).connected(t)
	t.Cleanup(func() {
		if strings.Contains(c.log.String(), token) {
			t.Error("the token stands in the log")
		}
	})
	return c
}

func TestHomeOutcomes(t *testing.T) { homes(t, testHomeOutcomes) }

func testHomeOutcomes(t *testing.T, h someHome) {
	admin, user := h.open(t, h.admin, nil), h.open(t, h.user, nil)
	if u, ok := admin.User(); !ok || !u.IsAdmin || u.ID == "" {
		t.Errorf("%+v", u)
	}
	if u, ok := user.User(); !ok || u.IsAdmin || u.ID == "" {
		t.Errorf("%+v", u)
	}
	if h, ok := user.Home(); !ok || h.TimeZone == "" || h.Version == "" || h.Language == "" || !h.Running() {
		t.Errorf("%+v", h)
	}
	lock := func(service string) ServiceCall {
		return ServiceCall{Domain: "lock", Service: service, Target: map[string]any{"entity_id": "lock.garden_gate"}}
	}
	wrongField, badTarget := lock("unlock"), lock("unlock")
	wrongField.Data = map[string]any{"colour": "red"}
	badTarget.Target = map[string]any{"entity_id": "no entity"}
	for _, tt := range []struct {
		name string
		c    *testClient
		call ServiceCall
		want Outcome
		code string
	}{
		{"a lock", user, lock("unlock"), Done, ""},
		{"a script", user, ServiceCall{Domain: "script", Service: "open_front_door"}, Done, ""},
		{"no such service", user, lock("explode"), Rejected, CodeNotFound},
		{"no such script", user, ServiceCall{Domain: "script", Service: "gone"}, Rejected, CodeNotFound},
		{"a field too many", user, wrongField, Rejected, CodeInvalidFormat},
		{"no entity id", user, badTarget, Rejected, CodeInvalidFormat},
		{"not allowed", user, ServiceCall{Domain: "homeassistant", Service: "check_config"}, Rejected, CodeHomeAssistantError},
		{"returns nothing", user, func() ServiceCall { sc := lock("unlock"); sc.ReturnResponse = true; return sc }(), Rejected, CodeServiceValidation},
		{"stops with an error", admin, ServiceCall{Domain: "script", Service: "broken_door"}, Failed, "script_aborted"},
		// An ordinary user cannot know better than Home Assistant says.
		{"stops with an error", user, ServiceCall{Domain: "script", Service: "broken_door"}, Done, ""},
	} {
		r := tt.c.CallAction(testContext(t), tt.call)
		if r.Outcome != tt.want || tt.code != "" && r.Code != tt.code || r.Outcome == Done && r.ContextID == "" {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}

	step := map[string]any{"action": "counter.increment", "target": map[string]any{"entity_id": "counter.door_opens"}}
	for _, tt := range []struct {
		name     string
		c        *testClient
		sequence []any
		want     Outcome
	}{
		{"a sequence", admin, []any{step}, Done},
		{"not allowed", user, []any{step}, Rejected},
		{"no sequence", admin, []any{map[string]any{"nonsense": 1}}, Rejected},
		{"a step is missing", admin, []any{step, map[string]any{"action": "script.gone"}}, Failed},
		{"a step is not understood", admin, []any{step, map[string]any{"action": "lock.unlock", "data": map[string]any{"colour": 1}}}, Failed},
	} {
		if r := tt.c.ExecuteScript(testContext(t), tt.sequence, nil); r.Outcome != tt.want {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
}

func TestHomeQueries(t *testing.T) { homes(t, testHomeQueries) }

func testHomeQueries(t *testing.T, h someHome) {
	admin, user := h.open(t, h.admin, nil), h.open(t, h.user, nil)
	ctx := testContext(t)
	var ce *CommandError
	if err := user.ValidateActions(ctx, []any{map[string]any{"nonsense": 1}}); !errors.As(err, &ce) || ce.Code != CodeInvalid {
		t.Error(err)
	}
	if err := user.ValidateActions(ctx, map[string]any{"action": "lock.unlock"}); err != nil {
		t.Error(err)
	}
	ex, err := user.ExtractFromTarget(ctx, map[string]any{"entity_id": []any{"lock.front_door"}, "area_id": "nowhere"})
	if err != nil || len(ex.Entities) != 1 || len(ex.MissingAreas) != 1 {
		t.Error(ex, err)
	}
	for _, c := range []*testClient{admin, user} {
		list, err := c.Services(ctx)
		if err != nil {
			t.Fatal(err)
		}
		s, ok := list.Lookup("light", "turn_on")
		if _, field := s.Field("brightness_pct"); !ok || !field || s.Target == nil {
			t.Errorf("%+v", s)
		}
	}
	var config HomeConfig
	if err := user.Get(ctx, "/api/config", &config); err != nil || config.TimeZone == "" {
		t.Error(config, err)
	}
	if status, err := user.ProbeForwardedFor(ctx); err != nil || status != 200 && status != 400 {
		t.Error(status, err)
	}
	if err := user.FireEvent(ctx, "hassclient_test", nil); !Unauthorized(err) {
		t.Error(err)
	}
	if _, err := user.Subscribe(ctx, map[string]any{"type": "subscribe_events", "event_type": "hassclient_test"}, nil); !Unauthorized(err) {
		t.Error(err)
	}
}

// The network breaks: states and subscriptions go on with the next connection.
func TestHomeReconnect(t *testing.T) { homes(t, testHomeReconnect) }

func testHomeReconnect(t *testing.T, h someHome) {
	var mu sync.Mutex
	var cables []net.Conn
	c := h.open(t, h.admin, func(cfg *Config) {
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			mu.Lock()
			defer mu.Unlock()
			cables = append(cables, conn)
			return conn, err
		}
	})
	ctx := testContext(t)
	events := make(chan string, 10)
	sub, err := c.Subscribe(ctx, map[string]any{"type": "subscribe_events", "event_type": "hassclient_test"}, func(event json.RawMessage) {
		var ev struct{ Data struct{ N string } }
		_ = json.Unmarshal(event, &ev)
		events <- ev.Data.N
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	turn := func(service string) {
		t.Helper()
		r := c.CallAction(ctx, ServiceCall{Domain: "input_boolean", Service: service, Target: map[string]any{"entity_id": "input_boolean.gate_battery"}})
		if r.Outcome != Done {
			t.Fatalf("%+v", r)
		}
	}
	gate := func(available bool) {
		t.Helper()
		eventually(t, "the gate's state follows", func() bool {
			states, err := c.States(ctx, "lock.garden_gate", "lock.gone")
			return err == nil && len(states) == 1 && states["lock.garden_gate"].Available() == available
		})
	}
	defer turn("turn_on")
	turn("turn_on")
	gate(true)
	turn("turn_off")
	gate(false)

	since := c.Status().Since
	mu.Lock()
	_ = cables[len(cables)-1].Close()
	mu.Unlock()
	c.until(t, func(s Status) bool { return s.State == StateConnected && s.Since.After(since) })
	gate(false)
	turn("turn_on")
	gate(true)
	eventually(t, "the subscription stands again", func() bool {
		sub.mu.Lock()
		defer sub.mu.Unlock()
		return sub.conn == c.conn.Load()
	})
	if err := c.FireEvent(ctx, "hassclient_test", map[string]any{"n": "again"}); err != nil {
		t.Fatal(err)
	}
	if got := <-events; got != "again" {
		t.Error(got)
	}
}

func TestHomeRefusesAWrongToken(t *testing.T) {
	homes(t, func(t *testing.T, h someHome) {
		c := newTestClient(t, h.url, nil)
		if err := c.Wait(testContext(t)); !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), testToken) {
			t.Error(err)
		}
	})
}

package homes

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// world is a home that the same tests are run against: in memory, and the real one
// that HASS_URL, HASS_TOKEN and HASS_TOKEN_USER name.
type world struct {
	url, admin, user string
	setArea          func(t *testing.T, entity, area string)
	memory           *hasstest.Home // nil: the real one
}

// everyWorld runs a test in each home there is.
func everyWorld(t *testing.T, test func(t *testing.T, w *world), opts ...hasstest.Option) {
	t.Run("in memory", func(t *testing.T) { test(t, memory(t, opts...)) })
	t.Run("real", func(t *testing.T) {
		w := &world{url: os.Getenv("HASS_URL"), admin: os.Getenv("HASS_TOKEN"), user: os.Getenv("HASS_TOKEN_USER")}
		if w.url == "" || w.admin == "" || w.user == "" {
			t.Skip("HASS_URL, HASS_TOKEN and HASS_TOKEN_USER name no real home")
		}
		w.setArea = func(t *testing.T, entity, area string) {
			c := client(t, w.url, w.admin)
			fields := map[string]any{"entity_id": entity, "area_id": area}
			if area == "" {
				fields["area_id"] = nil
			}
			if err := c.Query(context.Background(), "config/entity_registry/update", fields, nil); err != nil {
				t.Fatal(err)
			}
		}
		test(t, w)
	})
}

// client connects to a home.
func client(t *testing.T, url, token string) *hassclient.Client {
	t.Helper()
	c, err := hassclient.New(hassclient.Config{URL: url, Token: func() (string, error) { return token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // also in a cleanup
	defer cancel()
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// home is a home as the domain gets it.
func (w *world) home(t *testing.T, token string) *home {
	t.Helper()
	return homeOf(t, client(t, w.url, token))
}

func homeOf(t *testing.T, c *hassclient.Client) *home {
	t.Helper()
	hs := New(func(name string) (*hassclient.Client, func(), error) {
		if name != onetime.DefaultHome {
			return nil, nil, errors.New("there is only one")
		}
		return c, func() {}, nil
	})
	h, release, err := hs.Acquire(onetime.DefaultHome)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return h.(*home)
}

// do calls a service beside the code under test.
func (w *world) do(t *testing.T, c *hassclient.Client, domain, service, entity string) {
	t.Helper()
	r := c.CallAction(context.Background(), hassclient.ServiceCall{
		Domain: domain, Service: service, Target: map[string]any{"entity_id": entity},
	})
	if r.Outcome != hassclient.Done {
		t.Fatalf("%s.%s: %+v", domain, service, r)
	}
}

// until polls what the home tells by itself a moment later.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

func parse(t *testing.T, yaml string) *onetime.Definition {
	t.Helper()
	d, err := onetime.Parse(yaml)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const (
	openFront  = "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"
	openGate   = "action: lock.unlock\ntarget:\n  entity_id: lock.garden_gate\n"
	openUp     = "action: script.open_front_door\n"
	twoSteps   = "- action: counter.increment\n  target: {entity_id: counter.door_opens}\n- action: lock.unlock\n  target: {entity_id: lock.front_door}\n"
	gateByArea = "action: lock.unlock\ntarget:\n  area_id: kitchen\n"
)

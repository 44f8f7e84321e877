package hassclient_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
)

func TestRealHome(t *testing.T) {
	url, token := os.Getenv("HASS_URL"), os.Getenv("HASS_TOKEN")
	if url == "" || token == "" {
		t.Skip("HASS_URL and HASS_TOKEN are not set: no real home to ask")
	}
	c, err := hassclient.New(hassclient.Config{URL: url, Token: func() (string, error) { return token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	u, _ := c.User()
	h, _ := c.Home()
	t.Logf("%+v %+v", u, h)
	r := c.CallAction(ctx, hassclient.ServiceCall{Domain: "lock", Service: "unlock", Target: map[string]any{"entity_id": "lock.front_door"}})
	if r.Outcome != hassclient.Done || r.ContextID == "" {
		t.Fatalf("%+v", r)
	}
}

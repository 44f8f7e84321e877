package onetime_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	c, secret, err := w.CreateCredential(t.Context(), anna, " Automations ", []string{"light"})
	if err != nil || c.Name != "Automations" || !strings.HasPrefix(secret, "chk_"+c.ID) || len(secret) != 42 {
		t.Fatalf("%+v %q %v", c, secret, err)
	}
	got, err := w.Authenticate(t.Context(), secret)
	if err != nil || got.ID != c.ID || !got.MayRun("light") || got.MayRun("front_door") || got.Person().ID != "credential:"+c.ID {
		t.Fatalf("%+v %v", got, err)
	}
	wrong := []string{"", "chk_", secret[:41], secret + "0", strings.ToLower(secret), "chk_000000" + secret[10:], secret[:41] + string(rune(secret[41]^1))}
	for _, s := range wrong {
		if _, err := w.Authenticate(t.Context(), s); !errors.Is(err, onetime.ErrNotFound) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for field, try := range map[string]func() error{
		"name":    func() error { _, _, err := w.CreateCredential(t.Context(), anna, " ", nil); return err },
		"actions": func() error { _, _, err := w.CreateCredential(t.Context(), anna, "x", []string{"nothing"}); return err },
	} {
		var bad *onetime.BadInput
		if err := try(); !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}

	// It is still good when the store is opened again, and the store does not
	// know it.
	w.Close(context.Background())
	if b, err := os.ReadFile(w.path); err != nil || bytes.Contains(b, []byte(secret[10:])) {
		t.Errorf("the store has the secret (%v)", err)
	}
	w.open()
	if _, err := w.Authenticate(t.Context(), secret); err != nil {
		t.Error(err)
	}
	if err := w.RevokeCredential(t.Context(), anna, c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Authenticate(t.Context(), secret); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("a revoked one: %v", err)
	}
	if all, err := w.Credentials(t.Context()); err != nil || len(all) != 1 || all[0].RevokedAt == nil {
		t.Errorf("%v %v", all, err)
	}
	if err := w.RevokeCredential(t.Context(), anna, "ZZZZZZ"); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("one that never was: %v", err)
	}
}

package hasstest_test

import (
	"testing"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// TestLocalOnly: who may log in from the local network only is refused from
// afar, by the WebSocket, REST and the login flow.
func TestLocalOnly(t *testing.T) {
	h, a := newHome(t)
	token := h.AddUser(hasstest.User{Username: "anna", Name: "Anna", Password: "p", LocalOnly: true})
	for from, want := range map[string]struct {
		status int
		login  any
	}{
		"192.168.1.7": {200, "create_entry"},
		"192.0.2.7":   {401, nil},
	} {
		req := a.request(t, "GET", "/api/", "")
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("X-Forwarded-For", from)
		if got := a.reply(t, req)["status"]; got != want.status {
			t.Errorf("REST from %s: %v, want %d", from, got, want.status)
		}
		post := func(path string, m map[string]any) map[string]any {
			req := a.request(t, "POST", path, itoaJSON(m))
			req.Header.Set("X-Forwarded-For", from)
			body, _ := a.reply(t, req)["body"].(map[string]any)
			return body
		}
		client := a.url + "/"
		flow := post("/auth/login_flow", map[string]any{"client_id": client, "handler": []any{"homeassistant", nil}, "redirect_uri": client})
		id, _ := flow["flow_id"].(string)
		done := post("/auth/login_flow/"+id, map[string]any{"client_id": client, "username": "anna", "password": "p"})
		if done["type"] != want.login {
			t.Errorf("login from %s: %v, want %v", from, done, want.login)
		}
	}
}

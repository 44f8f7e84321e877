package hasstest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// reply is an answer of the REST API as the table compares it.
func (h aHome) reply(t *testing.T, req *http.Request) map[string]any {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{"status": resp.StatusCode, "headers": headers(resp.Header)}
	var v any
	if json.Unmarshal(b, &v) == nil {
		m["body"] = v
	} else if len(b) < 100 {
		m["body"] = string(b)
	}
	return m
}

func (h aHome) request(t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestREST(t *testing.T) {
	onlyKeys := func(m map[string]any) { m["body"] = "<varies>" }
	cases := []struct {
		name, method, path, body string
		as                       string // "user", "nobody", "stranger"; "": the administrator
		header                   [2]string
		change                   func(answer map[string]any)
	}{
		{name: "api", method: "GET", path: "/api/"},
		{name: "api as user", as: "user", method: "GET", path: "/api/"},
		{name: "api as nobody", as: "nobody", method: "GET", path: "/api/"},
		{name: "api as stranger", as: "stranger", method: "GET", path: "/api/"},
		{name: "config", as: "user", method: "GET", path: "/api/config", change: func(m map[string]any) { m["body"] = pickConfig(m["body"]) }},
		{name: "states", method: "GET", path: "/api/states", change: func(m map[string]any) { m["body"] = pickStates(m["body"]) }},
		{name: "states as nobody", as: "nobody", method: "GET", path: "/api/states"},
		{name: "state", as: "user", method: "GET", path: "/api/states/lock.kitchen_door", change: func(m map[string]any) {
			delete(m["body"].(map[string]any)["context"].(map[string]any), "user_id") // of who moved it last
		}},
		{name: "no such state", method: "GET", path: "/api/states/nope.x"},
		{name: "services", method: "GET", path: "/api/services", change: onlyKeys},
		{name: "no such path", method: "GET", path: "/api/nope"},
		{name: "no such path as nobody", as: "nobody", method: "GET", path: "/api/nope"},
		{name: "nowhere", method: "GET", path: "/nope"},
		{name: "manifest", as: "nobody", method: "GET", path: "/manifest.json", change: onlyKeys},
		{name: "manifest, forwarded", as: "nobody", method: "GET", path: "/manifest.json", header: [2]string{"X-Forwarded-For", "192.0.2.7"}, change: onlyKeys},
		{name: "manifest, wrongly forwarded", as: "nobody", method: "GET", path: "/manifest.json", header: [2]string{"X-Forwarded-For", "junk"}},
		{name: "manifest, empty proto", as: "nobody", method: "GET", path: "/manifest.json", header: [2]string{"X-Forwarded-Proto", ""}, change: onlyKeys},

		{name: "call", method: "POST", path: "/api/services/counter/set_value", body: `{"entity_id":"counter.door_opens","value":7}`},
		{name: "call a script", as: "user", method: "POST", path: "/api/services/script/open_front_door"},
		{name: "call a script for its response", method: "POST", path: "/api/services/script/open_front_door?return_response", body: "{}"},
		{name: "call a broken script", method: "POST", path: "/api/services/script/notify_broken"},
		{name: "call a missing target", method: "POST", path: "/api/services/lock/unlock", body: `{"entity_id":"lock.nope"}`},
		{name: "call a missing service", method: "POST", path: "/api/services/lock/nope", body: `{}`},
		{name: "call without target", method: "POST", path: "/api/services/counter/increment"},
		{name: "call with unknown data", method: "POST", path: "/api/services/light/turn_on", body: `{"entity_id":"light.bed_light","foo":1}`},
		{name: "call what is unsupported", method: "POST", path: "/api/services/lock/open", body: `{"entity_id":"lock.front_door"}`},
		{name: "call for no response", method: "POST", path: "/api/services/lock/unlock?return_response", body: `{"entity_id":"lock.front_door"}`},
		{name: "call without asking for the response", method: "POST", path: "/api/services/weather/get_forecasts", body: `{}`},
		{name: "call with no JSON", method: "POST", path: "/api/services/counter/increment", body: "xx"},
		{name: "call as nobody", as: "nobody", method: "POST", path: "/api/services/counter/increment", body: "xx"},
		{name: "call an administrators' service as user", as: "user", method: "POST", path: "/api/services/homeassistant/check_config"},

		{name: "providers", as: "nobody", method: "GET", path: "/auth/providers", change: func(m map[string]any) {
			// The test home has a second provider.
			body := m["body"].(map[string]any)
			body["providers"] = body["providers"].([]any)[:1]
		}},
		{name: "token by GET", as: "nobody", method: "GET", path: "/auth/token", change: func(m map[string]any) {
			delete(m["headers"].(map[string]any), "Allow")
		}},
		{name: "token from another origin", as: "nobody", method: "POST", path: "/auth/token", header: [2]string{"Origin", "https://other.example"}},
		{name: "flow to end that is not there", as: "nobody", method: "DELETE", path: "/auth/login_flow/x"},
	}
	both(t, func(t *testing.T, h aHome) {
		g := openGolden(t, h, "rest")
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				req := h.request(t, c.method, c.path, c.body)
				switch c.as {
				case "", "user":
					req.Header.Set("Authorization", "Bearer "+h.token(c.as))
				case "stranger":
					req.Header.Set("Authorization", "Bearer bad")
				}
				if c.header[0] != "" {
					req.Header.Set(c.header[0], c.header[1])
				}
				answer := h.reply(t, req)
				if c.change != nil {
					c.change(answer)
				}
				g.check(t, c.name, answer)
			})
		}
	})
}

// TestLogin goes the way of a browser: flow, code, tokens, refresh, logout.
func TestLogin(t *testing.T) {
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	both(t, func(t *testing.T, h aHome) {
		g := openGolden(t, h, "login")
		client := h.url + "/"
		record := func(name string, answer map[string]any) map[string]any {
			t.Helper()
			t.Run(name, func(t *testing.T) { g.check(t, name, answer) })
			body, _ := answer["body"].(map[string]any)
			return body
		}
		json := func(name, path string, m map[string]any) map[string]any {
			t.Helper()
			return record(name, h.reply(t, h.request(t, "POST", path, itoaJSON(m))))
		}
		start := func(more map[string]any) map[string]any {
			m := map[string]any{"client_id": client, "handler": []any{"homeassistant", nil}, "redirect_uri": client}
			for k, v := range more {
				m[k] = v
				if v == nil {
					delete(m, k)
				}
			}
			return m
		}
		form := func(name, path string, values url.Values) map[string]any {
			t.Helper()
			req := h.request(t, "POST", path, values.Encode())
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return record(name, h.reply(t, req))
		}
		parts := func(name, path string, values url.Values) map[string]any {
			t.Helper()
			var b bytes.Buffer
			w := multipart.NewWriter(&b)
			for k, list := range values {
				for _, v := range list {
					_ = w.WriteField(k, v)
				}
			}
			_ = w.Close()
			req := h.request(t, "POST", path, b.String())
			req.Header.Set("Content-Type", w.FormDataContentType())
			return record(name, h.reply(t, req))
		}

		json("no client", "/auth/login_flow", start(map[string]any{"client_id": nil}))
		json("client no URL", "/auth/login_flow", start(map[string]any{"client_id": "x"}))
		json("client elsewhere", "/auth/login_flow", start(map[string]any{"client_id": "http://8.8.8.8/"}))
		json("client with password", "/auth/login_flow", start(map[string]any{"client_id": "http://a:b@home.example/"}))
		json("no handler", "/auth/login_flow", start(map[string]any{"handler": nil}))
		json("handler unknown", "/auth/login_flow", start(map[string]any{"handler": []any{"nope", nil}}))
		json("handler no list", "/auth/login_flow", start(map[string]any{"handler": "homeassistant"}))
		json("handler short", "/auth/login_flow", start(map[string]any{"handler": []any{"homeassistant"}}))
		json("unknown member", "/auth/login_flow", start(map[string]any{"nope": 1}))
		json("response type", "/auth/login_flow", start(map[string]any{"response_type": "token"}))
		json("challenge short", "/auth/login_flow", start(map[string]any{"code_challenge": "x"}))
		json("challenge without method", "/auth/login_flow", start(map[string]any{"code_challenge": challenge}))
		json("challenge plain", "/auth/login_flow", start(map[string]any{"code_challenge": challenge, "code_challenge_method": "plain"}))
		json("method without challenge", "/auth/login_flow", start(map[string]any{"code_challenge_method": "S256"}))
		record("no JSON", h.reply(t, h.request(t, "POST", "/auth/login_flow", "xx")))

		flow := func(name string, more map[string]any) string {
			t.Helper()
			id, _ := json(name, "/auth/login_flow", start(more))["flow_id"].(string)
			return "/auth/login_flow/" + id
		}
		owner := map[string]any{"client_id": client, "username": "owner", "password": "owner-pass-1"}
		with := func(k string, v any) map[string]any {
			m := map[string]any{}
			for key, value := range owner {
				m[key] = value
			}
			if m[k] = v; v == nil {
				delete(m, k)
			}
			return m
		}
		path := flow("begin", nil)
		json("wrong password", path, with("password", "bad"))
		json("wrong user", path, with("username", "bad"))
		json("no password", path, with("password", nil))
		json("no client in the second step", path, with("client_id", nil))
		code, _ := json("right password", path, owner)["result"].(string)
		json("the flow is over", path, owner)
		json("no such flow", "/auth/login_flow/nope", owner)
		json("redirect elsewhere", flow("begin with a redirect elsewhere", map[string]any{"redirect_uri": "http://127.0.0.1:1/"}), owner)

		grant := func(values ...string) url.Values {
			v := url.Values{}
			for i := 0; i < len(values); i += 2 {
				v.Add(values[i], values[i+1])
			}
			return v
		}
		form("no grant type", "/auth/token", grant())
		form("unknown grant type", "/auth/token", grant("grant_type", "foo"))
		form("twice", "/auth/token", grant("grant_type", "authorization_code", "code", code, "client_id", client, "client_id", client))
		form("no client of the code", "/auth/token", grant("grant_type", "authorization_code", "code", code))
		form("no code", "/auth/token", grant("grant_type", "authorization_code", "client_id", client))
		form("wrong code", "/auth/token", grant("grant_type", "authorization_code", "code", "bad", "client_id", client))
		form("client of another", "/auth/token", grant("grant_type", "authorization_code", "code", code, "client_id", "http://other.example/"))
		tokens := parts("tokens", "/auth/token", grant("grant_type", "authorization_code", "code", code, "client_id", client))
		form("code again", "/auth/token", grant("grant_type", "authorization_code", "code", code, "client_id", client))
		refresh, _ := tokens["refresh_token"].(string)
		access, _ := tokens["access_token"].(string)

		t.Run("the access token lets in", func(t *testing.T) {
			s := aHome{url: h.url, admin: access}.login(t, "")
			if m, _ := s.ask(`{"type":"auth/current_user"}`); m["result"].(map[string]any)["name"] != "Owner" {
				t.Errorf("%v", m)
			}
		})
		form("refresh", "/auth/token", grant("grant_type", "refresh_token", "refresh_token", refresh, "client_id", client))
		parts("refresh by multipart", "/auth/token", grant("grant_type", "refresh_token", "refresh_token", refresh, "client_id", client))
		form("refresh without client", "/auth/token", grant("grant_type", "refresh_token", "refresh_token", refresh))
		form("refresh by another client", "/auth/token", grant("grant_type", "refresh_token", "refresh_token", refresh, "client_id", "http://other.example/"))
		form("refresh with nothing", "/auth/token", grant("grant_type", "refresh_token", "client_id", client))
		form("refresh with a wrong token", "/auth/token", grant("grant_type", "refresh_token", "refresh_token", "bad", "client_id", client))

		code, _ = json("right password, with PKCE", flow("begin with PKCE", map[string]any{"code_challenge": challenge, "code_challenge_method": "S256"}), owner)["result"].(string)
		form("no verifier", "/auth/token", grant("grant_type", "authorization_code", "code", code, "client_id", client))
		code, _ = json("right password, with PKCE, again", flow("begin with PKCE, again", map[string]any{"code_challenge": challenge, "code_challenge_method": "S256"}), owner)["result"].(string)
		form("wrong verifier", "/auth/token", grant("grant_type", "authorization_code", "code", code, "client_id", client, "code_verifier", strings.Repeat("x", 43)))
		code, _ = json("right password, with PKCE, once more", flow("begin with PKCE, once more", map[string]any{"code_challenge": challenge, "code_challenge_method": "S256"}), owner)["result"].(string)
		form("right verifier", "/auth/token", grant("grant_type", "authorization_code", "code", code, "client_id", client, "code_verifier", verifier))
		code, _ = json("right password, once more", flow("begin once more", nil), owner)["result"].(string)
		form("verifier for nothing", "/auth/token", grant("grant_type", "authorization_code", "code", code, "client_id", client, "code_verifier", verifier))

		open := aHome{url: h.url, admin: access}.login(t, "")
		form("revoke", "/auth/revoke", grant("token", refresh))
		t.Run("its connection is closed", func(t *testing.T) {
			if _, _, err := open.ws.Read(t.Context()); err == nil {
				t.Error("the connection stands")
			}
		})
		form("revoke again", "/auth/revoke", grant("token", refresh))
		form("revoke nothing", "/auth/revoke", grant())
		form("revoke the old way", "/auth/token", grant("action", "revoke", "token", "bad"))
		form("refresh after that", "/auth/token", grant("grant_type", "refresh_token", "refresh_token", refresh, "client_id", client))
		t.Run("the access token lets in no longer", func(t *testing.T) {
			got := exchange(h.dial(t), 2, `{"type":"auth","access_token":"`+access+`"}`)
			if got[1].(map[string]any)["type"] != "auth_invalid" {
				t.Errorf("%v", got)
			}
		})
	})
}

func itoaJSON(v any) string { b, _ := json.Marshal(v); return string(b) }

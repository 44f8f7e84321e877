package caddyjwt

import (
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// echo answers with what the service learns of who asks.
func (h *house) echo() {
	f := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("X-Who"), r.Header.Get("X-Roles"), r.Header.Get("Authorization"))
	})
	h.service.Store(&f)
}

func (h *house) bearer(token string, fields ...string) reply {
	h.t.Helper()
	return h.send("GET", h.svc+"/", "", append(fields, "Authorization: Bearer "+token)...)
}

const fromAfar = "X-Forwarded-For: " + afar

func TestHomeTokensAsBearer(t *testing.T) {
	for _, keys := range []string{"", "key file PEM\n"} {
		t.Run(keys, func(t *testing.T) {
			own := newEC(t, elliptic.P256())
			guard := strings.ReplaceAll(keys, "PEM", tempPEM(t, own)) + "login HA\nhass_tokens\nallow roles user\ndeny user kid"
			h := newHouse(t, "", guard)
			h.echo()
			for _, c := range []struct{ token, want string }{
				{h.home.Token(), h.home.UserID("owner") + "|admin,user|"},
				{h.home.UserToken(), h.home.UserID("resident") + "|user|"},
			} {
				for range 2 {
					if r := h.bearer(c.token); r.StatusCode != 200 || r.text != c.want {
						t.Errorf("%d %q, want %q", r.StatusCode, r.text, c.want)
					}
				}
			}
			// The access tokens of a login, too.
			_, tokens := h.login("resident", residentPass)
			if r := h.bearer(tokens.Access); r.text != h.home.UserID("resident")+"|user|" {
				t.Errorf("an access token: %d %q", r.StatusCode, r.text)
			}
			if r := h.bearer(h.home.AddUser(hasstest.User{Username: "new", Password: "x"})); r.StatusCode != 200 {
				t.Errorf("somebody new: %d", r.StatusCode)
			}
			if r := h.bearer(h.home.AddUser(hasstest.User{Username: "kid", Password: "x"})); r.StatusCode != 403 {
				t.Errorf("denied by name: %d", r.StatusCode)
			}

			wrong := wrongToken(t, 1)
			if r := h.bearer(wrong, fromAfar); r.StatusCode != 401 || r.Header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
				t.Errorf("a wrong one: %d %v", r.StatusCode, r.Header)
			}
			// A good cookie counts then, and the service sees nothing of the token.
			cookie := mint(t, own, with(claimsAt(now()), map[string]any{"username": "anna"}))
			if keys == "" {
				cookie, _ = h.login("owner", ownerPass)
			}
			if r := h.bearer(wrong, "Cookie: jwt_access_token="+cookie, fromAfar); r.StatusCode != 200 || !strings.HasSuffix(r.text, "|admin,user|") {
				t.Errorf("a wrong one and a good cookie: %d %q", r.StatusCode, r.text)
			}
			if r := h.bearer("glsa_own", "Cookie: jwt_access_token="+cookie); r.StatusCode != 200 || !strings.HasSuffix(r.text, "|Bearer glsa_own") {
				t.Errorf("a service's own and a good cookie: %d %q", r.StatusCode, r.text)
			}
			var last reply
			for i := range limitTries + 1 {
				last = h.bearer(wrongToken(t, 10+i), fromAfar)
			}
			if last.StatusCode != 429 || last.Header.Get("Retry-After") == "" {
				t.Errorf("too many wrong ones: %d %v", last.StatusCode, last.Header)
			}
			// Another that is good waits, until somebody reloads.
			other := h.home.AddUser(hasstest.User{Username: "tom", Password: "x"})
			if r := h.bearer(other, fromAfar); r.StatusCode != 429 {
				t.Errorf("an unknown one from there: %d", r.StatusCode)
			}
			h.load()
			if r := h.bearer(other, fromAfar); r.StatusCode != 200 {
				t.Errorf("after a reload: %d", r.StatusCode)
			}
			if r := h.bearer(h.home.Token(), fromAfar); r.StatusCode != 200 {
				t.Errorf("a known one from there: %d", r.StatusCode)
			}
			log := h.logs()
			for _, token := range []string{h.home.Token(), tokens.Access, wrong, cookie} {
				if strings.Contains(log, token) || strings.Contains(log, token[len(token)-43:]) {
					t.Error("a token is in the log")
				}
			}
		})
	}
}

func TestHomeTokensAreLeftToTheHome(t *testing.T) {
	h := newHouse(t, "", "login HA")
	if r := h.bearer(h.home.Token()); r.StatusCode != 401 {
		t.Errorf("without hass_tokens: %d", r.StatusCode)
	}
}

func TestKeepTokenKeepsAHomeToken(t *testing.T) {
	h := newHouse(t, "", "login HA\nhass_tokens\nkeep_token")
	h.echo()
	if r := h.bearer(h.home.Token()); !strings.HasSuffix(r.text, "|Bearer "+h.home.Token()) {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
}

// Threat 20, by the home's own tokens.
func TestThreat20_HomeTokensOfUsersWhoChange(t *testing.T) {
	h := newHouse(t, "", "login HA\nhass_tokens")
	h.echo()
	is := func(what, token string, status int, fields ...string) {
		t.Helper()
		if r := h.bearer(token, fields...); r.StatusCode != status {
			t.Errorf("%s: %d, want %d", what, r.StatusCode, status)
		}
	}
	becomes := func(what, token string, ok func(reply) bool, fields ...string) {
		t.Helper()
		until(t, what, func() bool { return ok(h.bearer(token, fields...)) })
	}
	out := func(r reply) bool { return r.StatusCode == 401 }
	add := func(u hasstest.User) (token string) {
		t.Helper()
		token = h.home.AddUser(u)
		until(t, u.Username+" is known", func() bool { _, known := h.realm().accounts.Load().byID[h.home.UserID(u.Username)]; return known })
		return token
	}

	// An administrator no more: at once, though the home's answer is remembered, and as what they are now.
	boss := add(hasstest.User{Username: "boss", Password: "x", Admin: true})
	if r := h.bearer(boss); !strings.HasSuffix(r.text, "|admin,user|") {
		t.Errorf("boss: %d %q", r.StatusCode, r.text)
	}
	h.home.SetAdmin("boss", false)
	becomes("demoted", boss, func(r reply) bool { return strings.HasSuffix(r.text, "|user|") })

	// Only from the local network.
	kid := add(hasstest.User{Username: "kid", Password: "x", LocalOnly: true})
	is("at home", kid, 200, "X-Forwarded-For: 192.168.1.5")
	is("from afar", kid, 401, fromAfar)
	tom := add(hasstest.User{Username: "tom", Password: "x"})
	is("from afar", tom, 200, fromAfar)
	h.home.SetLocalOnly("tom", true)
	becomes("from the local network only, now", tom, out, fromAfar)

	// Nameless.
	is("without a name", add(hasstest.User{Username: "nobody", Password: "x"}), 200)

	// Removed and deactivated, with all that is open.
	h.serveStreams()
	ann := add(hasstest.User{Username: "ann", Password: "x"})
	open := h.stream("Authorization", "Bearer "+ann)
	h.home.SetActive("ann", false)
	h.ends("deactivated", open)
	h.echo()
	becomes("deactivated", ann, out)
	h.home.RemoveUser("boss")
	becomes("removed", boss, out)
}

func TestHomeTokensNeedAHome(t *testing.T) {
	pem := tempPEM(t, newEC(t, elliptic.P256()))
	for options, want := range map[string]string{
		"": "add the global option hass { url",
		"hass cabin {\nurl http://127.0.0.1:1\ntoken {env.HOUSE_TOKEN}\n}": `home "default"`,
		"hass {\nurl http://127.0.0.1:1\ntoken {env.HOUSE_TOKEN}\n}":       "",
	} {
		text, err := adapt(t, "{\nadmin off\n"+options+"\n}\nhttp://a.test:0 {\nhass_jwt {\nhass_tokens\nkey file "+pem+"\n}\n}\n")
		if err != nil {
			t.Fatal(err)
		}
		config := new(caddy.Config)
		if err := json.Unmarshal(text, config); err != nil {
			t.Fatal(err)
		}
		err = caddy.Validate(config)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", options, err, want)
		}
	}
}

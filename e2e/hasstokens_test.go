package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokensAt makes the service of a front take the home's own tokens.
func tokensAt(s *server) {
	s.sites = strings.Replace(s.sites, "allow roles user", "allow roles user\nhass_tokens", 1)
}

// bearer asks the service with a Bearer token.
func (f front) bearer(t *testing.T, token string, header ...string) (int, string) {
	t.Helper()
	r := must(http.NewRequest("GET", local(f.svc)+"/", nil))
	r.Host = strings.TrimPrefix(f.svc, "http://")
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res := must(http.DefaultClient.Do(r))
	defer res.Body.Close()
	return res.StatusCode, string(must(io.ReadAll(res.Body)))
}

// guess is a token that looks like the home's.
func guess(t *testing.T, i byte) string {
	t.Helper()
	return must(jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": strings.Repeat(string("0123456789abcdef"[i%16]), 32), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "n": i,
	}).SignedString([]byte("guess")))
}

func TestHomesOwnTokens(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	f := withLogin(t, s, "http")
	tokensAt(s)
	s.start()
	s.awaitHome()
	for token, who := range map[string]string{h.admin: "Owner admin,user", h.user: "Resident user"} {
		for range 2 {
			if status, text := f.bearer(t, token); status != 200 || !strings.Contains(text, ">"+who+"<") {
				t.Errorf("%s: %d %s", who, status, text)
			}
		}
	}
	wrong := guess(t, 1)
	if status, _ := f.bearer(t, wrong); status != 401 {
		t.Errorf("a guess: %d", status)
	}

	// Why, from the command line.
	file := filepath.Join(t.TempDir(), "token")
	must(0, os.WriteFile(file, []byte(h.user), 0o600))
	out, errOut, status := s.run("hass", "explain", file, "--config", s.config(), "--adapter", "caddyfile", "--site", "svc.home.localhost")
	if status != 0 || !strings.Contains(out, ": let in as ") || !strings.Contains(out, "ok    allow roles user") || strings.Contains(out+errOut, h.user) {
		t.Errorf("explain: %d\n%s%s", status, out, errOut)
	}

	s.stop()
	if log := s.file("caddy.log"); strings.Contains(log, h.user) || strings.Contains(log, h.admin) || strings.Contains(log, wrong) {
		t.Error("a token is in the log")
	}
}

// Whoever guesses at a service, this Caddy is not banned by a home that bans after five.
func TestGuessesDoNotGetCaddyBanned(t *testing.T) {
	h, log := ownHome(t, func(dir, _ string) {
		path := filepath.Join(dir, "configuration.yaml")
		text := string(must(os.ReadFile(path)))
		text = strings.Replace(text, "  trusted_proxies: [127.0.0.1]\n", "  trusted_proxies: [127.0.0.1]\n  ip_ban_enabled: true\n  login_attempts_threshold: 5\n", 1)
		must(0, os.WriteFile(path, []byte(text), 0o600))
	})
	s := newServer(t, h)
	f := withLogin(t, s, "http")
	tokensAt(s)
	s.start()
	s.awaitHome()
	if status, _ := f.bearer(t, h.admin); status != 200 {
		t.Fatalf("before: %d", status)
	}
	for i := range byte(30) {
		if status, _ := f.bearer(t, guess(t, i)); status != 401 && status != 429 {
			t.Fatalf("guess %d: %d", i, status)
		}
	}
	if n := strings.Count(log(), "Login attempt or request with invalid authentication"); n == 0 || n > 4 {
		t.Errorf("Home Assistant has seen %d wrong tokens, want 1 to 4", n)
	}
	if strings.Contains(log(), "Banned IP") {
		t.Error("Home Assistant has banned somebody")
	}
	// From here, which is where Caddy itself comes from.
	r := must(http.NewRequest("GET", h.url+"/api/", nil))
	r.Header.Set("Authorization", "Bearer "+h.admin)
	res := must(http.DefaultClient.Do(r))
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("the home answers %d", res.StatusCode)
	}
	if status, _ := f.bearer(t, h.admin); status != 200 {
		t.Errorf("after: %d", status)
	}
}

// Who may not go in learns who they are, logs out by two taps, and comes back as somebody else.
func TestComeBackAsSomebodyElse(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	f := withLogin(t, s, "http")
	s.sites = strings.Replace(s.sites, "allow roles user", "allow roles admin", 1)
	s.start()
	s.awaitHome()
	p := newPhone(t, browser(t), true)
	p.open(f.svc + "/d/1")
	p.homeLogin("resident", "resident-pass-1")
	p.until("the page says who one is", `document.querySelector(".who")?.textContent === "Resident" && location.href === `+quote(f.svc+"/d/1"))
	if p.eval(`getComputedStyle(document.querySelector("#link")).borderRadius`) != "18px" {
		t.Error("the page has no style: does the policy allow it?")
	}
	p.tap("#link")
	p.until("the page to log out", `document.querySelector("main")?.dataset.do === "switch"`)
	p.tap("#link")
	p.homeLogin("owner", "owner-pass-1")
	p.at(f.svc + "/d/1")
	p.seesWho("Owner admin,user")
}

// accessToken logs in at the home itself and returns an access token of half an hour.
func (h *home) accessToken(name, password string) string {
	h.t.Helper()
	ask := func(path, kind, body string) map[string]any {
		h.t.Helper()
		res := must(http.Post(h.url+path, kind, strings.NewReader(body)))
		defer res.Body.Close()
		var answer map[string]any
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			h.t.Fatalf("%s: %d %v", path, res.StatusCode, err)
		}
		return answer
	}
	id := h.url + "/"
	flow := ask("/auth/login_flow", "application/json", `{"client_id":"`+id+`","handler":["homeassistant",null],"redirect_uri":"`+id+`"}`)
	done := ask("/auth/login_flow/"+fmt.Sprint(flow["flow_id"]), "application/json", `{"client_id":"`+id+`","username":"`+name+`","password":"`+password+`"}`)
	tokens := ask("/auth/token", "application/x-www-form-urlencoded", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {id}, "code": {fmt.Sprint(done["result"])},
	}.Encode())
	token, _ := tokens["access_token"].(string)
	if token == "" {
		h.t.Fatalf("no access token: %v", tokens)
	}
	return token
}

// Who may only log in from the local network gets nowhere from afar, with the token of a login either; and
// is out at once when deactivated.
func TestHomesOwnTokensOfALocalUser(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	f := withLogin(t, s, "http")
	tokensAt(s)
	s.homes += "\nservers 127.0.0.1" + f.svc[strings.LastIndexByte(f.svc, ':'):] + " {\nprotocols h1\ntrusted_proxies static 127.0.0.1\n}\n"
	s.start()
	s.awaitHome()
	var made struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	ask := func(typ string, fields map[string]any, out any) {
		t.Helper()
		if err := h.client.Query(h.within(15*time.Second), typ, fields, out); err != nil {
			t.Fatal(err)
		}
	}
	name := fmt.Sprintf("kid%d", time.Now().UnixNano())
	ask("config/auth/create", map[string]any{"name": name, "group_ids": []string{"system-users"}, "local_only": true}, &made)
	t.Cleanup(func() {
		_ = h.client.Query(h.within(15*time.Second), "config/auth/delete", map[string]any{"user_id": made.User.ID}, nil)
	})
	ask("config/auth_provider/homeassistant/create", map[string]any{"user_id": made.User.ID, "username": name, "password": "pass-1-of-kid"}, nil)
	token := h.accessToken(name, "pass-1-of-kid")
	for range 2 {
		if status, text := f.bearer(t, token, "X-Forwarded-For", "192.168.1.77"); status != 200 || !strings.Contains(text, name+" user") {
			t.Errorf("at home: %d %s", status, text)
		}
		if status, _ := f.bearer(t, token, "X-Forwarded-For", "203.0.113.77"); status != 401 {
			t.Errorf("from afar: %d", status)
		}
	}
	ask("config/auth/update", map[string]any{"user_id": made.User.ID, "is_active": false}, nil)
	eventually(t, 5*time.Second, "out", func() bool {
		status, _ := f.bearer(t, token, "X-Forwarded-For", "192.168.1.77")
		return status == 401
	})
}

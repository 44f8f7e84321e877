package caddyjwt

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// keyless is a house whose Home Assistant has the provider command_line as well, which asks
// this Caddy as its command does. The home in memory has none, so it is put in between.
type keyless struct {
	*house

	mu      sync.Mutex
	flows   map[string]bool
	codes   map[string]string // to user names
	linked  map[string]string // user names to the access tokens that linked them
	failed  int               // logins that did not work
	missing bool              // no provider
	deaf    bool              // its command does not reach Caddy
}

func newKeyless(t *testing.T, words string) *keyless {
	t.Helper()
	k := &keyless{
		house: newHouse(t, "domain house.test\n"+words, ""),
		flows: make(map[string]bool), codes: make(map[string]string), linked: make(map[string]string),
	}
	f := k.serve
	k.between.Store(&f)
	// What Caddy asks goes the same way.
	_, upstream, _ := strings.Cut(k.body, "reverse_proxy ")
	upstream, _, _ = strings.Cut(upstream, "\n")
	k.body = strings.Replace(k.body, "url "+k.home.URL(), "url http://"+upstream, 1)
	k.load()
	until(t, "the home is connected", func() bool {
		_, err := k.realm().freshAccounts(t.Context())
		return err == nil
	})
	return k
}

func (k *keyless) serve(w http.ResponseWriter, r *http.Request, home http.Handler) {
	if !strings.HasPrefix(r.URL.Path, "/auth/") {
		home.ServeHTTP(w, r)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var m map[string]any
	_ = json.Unmarshal(body, &m)
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	id, flow := strings.CutPrefix(r.URL.Path, "/auth/login_flow/")
	switch handler, _ := m["handler"].([]any); {
	case r.URL.Path == "/auth/providers" && !k.missing:
		answer(200, map[string]any{"providers": []any{
			map[string]any{"type": "homeassistant", "id": nil}, map[string]any{"type": "command_line", "id": nil},
		}, "preselect_remember_me": true})
	case r.URL.Path == "/auth/login_flow" && len(handler) == 2 && handler[0] == "command_line":
		id := fmt.Sprint("flow", len(k.flows))
		k.flows[id] = true
		answer(200, map[string]any{"type": "form", "flow_id": id, "errors": map[string]any{}})
	case flow && k.flows[id]:
		username, _ := m["username"].(string)
		password, _ := m["password"].(string)
		if k.deaf || k.ask(username+"\n"+password+"\n").StatusCode != 200 {
			k.failed++
			answer(200, map[string]any{"type": "form", "flow_id": id, "errors": map[string]any{"base": "invalid_auth"}})
			return
		}
		code := fmt.Sprint("code", len(k.codes))
		k.codes[code] = username
		answer(200, map[string]any{"type": "create_entry", "result": code})
	case r.URL.Path == "/auth/link_user":
		code, _ := m["code"].(string)
		if k.codes[code] == "" {
			answer(400, map[string]any{"message": "Invalid code"})
			return
		}
		k.linked[k.codes[code]] = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		answer(200, map[string]any{"message": "User linked"})
	default:
		home.ServeHTTP(w, r)
	}
}

// ask asks Caddy as the command does.
func (k *keyless) ask(body string, fields ...string) reply {
	return k.send("POST", k.ha+"/auth/jwt_cookie/check", body, fields...)
}

var fromOwnPage = []string{"Sec-Fetch-Site: same-origin", "Accept: text/html"}

// assertion asks for one as the page does.
func (k *keyless) assertion(cookie string) (username, secret string, r reply) {
	k.t.Helper()
	r = k.send("POST", k.ha+"/auth/jwt_cookie/assertion", "", append(fromOwnPage, "Origin: "+k.ha, "Cookie: jwt_access_token="+cookie)...)
	var answer struct{ Username, Password string }
	_ = json.Unmarshal([]byte(r.text), &answer)
	return answer.Username, answer.Password, r
}

// authorize opens Home Assistant's login page.
func (k *keyless) authorize(cookie string, change url.Values, fields ...string) reply {
	k.t.Helper()
	query := url.Values{"response_type": {"code"}, "client_id": {k.ha + "/"}, "redirect_uri": {k.ha + "/?auth_callback=1"}, "state": {"s t/="}}
	for name, values := range change {
		query[name] = values
	}
	return k.send("GET", k.ha+"/auth/authorize?"+query.Encode(), "", append([]string{"Accept: text/html", "Cookie: jwt_access_token=" + cookie}, fields...)...)
}

func ours(r reply) bool { return strings.Contains(r.text, `data-do="enter"`) }

// linkedIn writes down that Home Assistant knows a user, as the home in memory cannot tell.
func (k *keyless) linkedIn(user string) {
	k.t.Helper()
	r := k.realm()
	until(k.t, user+" is linked", func() bool {
		l, err := r.readLinks(context.Background())
		return err == nil && l[k.home.UserID(user)] != ""
	})
}

func TestPasswordlessLinksWhoLogsInByPassword(t *testing.T) {
	k := newKeyless(t, "passwordless")
	if r := k.authorize("", nil); ours(r) {
		t.Error("a stranger is let in")
	}
	_, tokens := k.login("resident", residentPass)
	k.linkedIn("resident")
	id := k.home.UserID("resident")
	k.mu.Lock()
	if k.linked[id] != tokens.Access || k.failed != 0 {
		t.Errorf("linked by %d tokens, %d failed logins", len(k.linked), k.failed)
	}
	k.mu.Unlock()
	until(t, "the log says so", func() bool { return strings.Contains(k.logs(), "without password from now on") })
	if strings.Contains(k.logs(), tokens.Access) {
		t.Error("the log")
	}
}

func TestPasswordlessBacksOff(t *testing.T) {
	k := newKeyless(t, "passwordless")
	k.mu.Lock()
	k.deaf = true
	k.mu.Unlock()
	_, tokens := k.login("resident", residentPass)
	until(t, "the log says why", func() bool { return strings.Contains(k.logs(), "its command has not asked this Caddy") })
	for range 3 {
		k.send("POST", k.ha+"/auth/token", k.refreshForm(tokens), urlencoded)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed != 1 {
		t.Errorf("%d failed logins: Home Assistant bans who has too many", k.failed)
	}
}

func TestPasswordlessCreateAndOwnFrontendOnly(t *testing.T) {
	k := newKeyless(t, "passwordless {\ncreate\n}")
	k.mu.Lock()
	k.missing = true // so that nobody is linked
	k.mu.Unlock()
	cookie, _ := k.login("resident", residentPass)
	r := k.authorize(cookie, nil)
	if !ours(r) || r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'none'") || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v\n%s", r.StatusCode, r.Header, r.text)
	}
	if strings.Contains(r.text, "<script>") || strings.Contains(r.text, cookie) {
		t.Error("the page has code or a token in it")
	}
	for name, change := range map[string]url.Values{
		"another application":       {"client_id": {"https://app.example/"}, "redirect_uri": {"https://app.example/cb"}},
		"another client":            {"client_id": {"https://app.example/"}},
		"the phone app":             {"client_id": {"https://home-assistant.io/android"}, "redirect_uri": {"homeassistant://auth-callback"}},
		"a service":                 {"client_id": {k.svc + "/"}, "redirect_uri": {k.svc + "/"}},
		"another way back":          {"redirect_uri": {k.svc + "/"}},
		"another port":              {"redirect_uri": {"http://ha.house.test/"}},
		"no way back":               {"redirect_uri": {""}},
		"a path":                    {"redirect_uri": {"/"}},
		"userinfo":                  {"redirect_uri": {strings.Replace(k.ha, "http://", "http://ha.house.test@", 1)}},
		"a backslash":               {"redirect_uri": {strings.Replace(k.ha, "http://", `http:/\`, 1)}},
		"a token":                   {"response_type": {"token"}},
		"two clients":               {"client_id": {k.ha + "/", "https://app.example/"}},
		"Home Assistant's own page": {ownPage: {"no"}},
	} {
		if r := k.authorize(cookie, change); ours(r) || r.StatusCode != 200 || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: is not left to Home Assistant: %d", name, r.StatusCode)
		}
	}
	for _, fields := range [][]string{
		{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"},
		{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"},
	} {
		if r := k.authorize(cookie, nil, fields...); ours(r) {
			t.Errorf("%s: ours", fields)
		}
	}
	k.send("POST", k.ha+"/auth/jwt_cookie/logout", "", "Cookie: jwt_access_token="+cookie, "Origin: "+k.ha)
	if r := k.authorize(cookie, nil); ours(r) {
		t.Error("after logging out")
	}
	if _, _, r := k.assertion(cookie); r.StatusCode != 401 {
		t.Errorf("an assertion after logging out: %d", r.StatusCode)
	}
}

func TestThreat22_AssertionsAreGoodOnce(t *testing.T) {
	k := newKeyless(t, "passwordless {\ncreate\n}")
	k.mu.Lock()
	k.missing = true
	k.mu.Unlock()
	k.home.AddUser(hasstest.User{Name: "Ann\na = b", Username: "ann", Password: "x", Admin: true})
	cookie, _ := k.login("ann", "x")
	username, secret, r := k.assertion(cookie)
	if username != k.home.UserID("ann") || len(secret) != 64 || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", r.StatusCode, r.text)
	}
	// Who has the storage or the log has none of them.
	stored := ""
	for _, name := range k.files("hass_login/default/assertions") {
		stored += name + k.file(name)
	}
	if stored == "" || strings.Contains(stored, secret) || strings.Contains(stored, secret[:32]) {
		t.Error("the storage holds the secret")
	}

	for name, body := range map[string]string{
		"empty": "", "no secret": username, "another user": k.home.UserID("resident") + "\n" + secret, "by user name": "ann\n" + secret,
		"cut off": username + "\n" + secret[:63], "longer": username + "\n" + secret + "A", "padded": username + "\n" + secret + "==",
		"changed": username + "\n" + string(secret[0]^1) + secret[1:], "the other way round": secret + "\n" + username,
		"long": strings.Repeat("x", 2*maxAsked), "a path": username + "\n../../keys",
	} {
		if r := k.ask(body); r.StatusCode != 403 || strings.Contains(r.text, "group") {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.text)
		}
	}
	if r := k.ask(username+"\n"+secret, "Origin: "+k.ha); r.StatusCode != 403 {
		t.Errorf("a browser: %d", r.StatusCode)
	}
	r = k.ask(username + "\n" + secret + "\n")
	if want := "# caddy-hass lets in " + username + "\nname = Ann a = b\ngroup = system-users\nlocal_only = false\n"; r.StatusCode != 200 || r.text != want {
		t.Errorf("%d %q", r.StatusCode, r.text)
	}
	if r := k.ask(username + "\n" + secret); r.StatusCode != 403 {
		t.Errorf("a second time: %d", r.StatusCode)
	}

	// Of twenty at once, one.
	_, secret, _ = k.assertion(cookie)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		good int
	)
	for range 20 {
		wg.Go(func() {
			if _, err := k.realm().redeem(context.Background(), username, secret); err == nil {
				mu.Lock()
				good++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if good != 1 {
		t.Errorf("spent %d times", good)
	}

	// It outlives a restart, or another Caddy on the same storage is asked; but not its time.
	_, secret, _ = k.assertion(cookie)
	_, late, _ := k.assertion(cookie)
	k.restart()
	if r := k.ask(username + "\n" + secret); r.StatusCode != 200 {
		t.Errorf("after a restart: %d", r.StatusCode)
	}
	later(t, assertionLife)
	if r := k.ask(username + "\n" + late); r.StatusCode != 403 {
		t.Errorf("after 30 seconds: %d", r.StatusCode)
	}
	for range 3 {
		k.assertion(cookie)
	}
	later(t, assertionLife)
	k.assertion(cookie)
	if left := k.files("hass_login/default/assertions"); len(left) != 1 {
		t.Errorf("%d are left", len(left))
	}

	// For pages of this site only, and not without end.
	for _, fields := range [][]string{
		{}, {"Origin: https://evil.example"}, {"Origin: " + k.svc, "Sec-Fetch-Site: same-site"}, {"Sec-Fetch-Site: none"},
	} {
		r := k.send("POST", k.ha+"/auth/jwt_cookie/assertion", "", append(fields, "Cookie: jwt_access_token="+cookie)...)
		if r.StatusCode != 403 || strings.Contains(r.text, "password") {
			t.Errorf("%s: %d", fields, r.StatusCode)
		}
	}
	status := 0
	for range maxEntries + 1 {
		_, _, r := k.assertion(cookie)
		status = r.StatusCode
	}
	if status != 429 {
		t.Errorf("without end: %d", status)
	}
	if log := k.logs(); strings.Contains(log, secret) || strings.Contains(log, late) {
		t.Error("an assertion is in the log")
	}
}

func TestPasswordlessIsNotForLimitedCookies(t *testing.T) {
	k := newKeyless(t, "passwordless {\ncreate\n}")
	k.mu.Lock()
	k.missing = true
	k.mu.Unlock()
	r := k.realm()
	k.login("resident", residentPass)
	until(t, "others can know how cookies are minted", func() bool { return r.elsewhere.Load() != nil })
	minter := (*r.elsewhere.Load())[0]
	who := Resident{ID: k.home.UserID("resident")}
	for name, c := range map[string]struct {
		sid    string
		claims map[string]any
		want   int
	}{
		"as usual":        {newSessionID(""), nil, 200},
		"for a program":   {"", nil, 403},
		"limited in time": {newSessionID(""), map[string]any{claimSessionEnd: now().Add(time.Hour).Unix(), claimRestricted: true}, 403},
		"with claims":     {newSessionID(""), map[string]any{"door": "garden", claimRestricted: true}, 403},
	} {
		cookie, err := minter.Mint(who, c.sid, now(), c.claims, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		k.in(name, cookie)
		_, _, got := k.assertion(cookie)
		if got.StatusCode != c.want || ours(k.authorize(cookie, nil)) != (c.want == 200) {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.text)
		}
	}
}

// What Home Assistant runs says yes only where Caddy does.
func TestTheShippedCommand(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	const yes = "# caddy-hass lets in anna\nname = Anna\ngroup = system-users\n"
	var got string
	run := func(username, password string, serve http.HandlerFunc) (out string, ok bool) {
		t.Helper()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got = r.Method + " " + r.RequestURI + "\n" + string(b)
			serve(w, r)
		}))
		defer server.Close()
		script, err := filepath.Abs("../docs/home-assistant/caddy-login.sh")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/bin/sh", script, server.URL)
		cmd.Env = []string{"username=" + username, "password=" + password} // nothing else
		b, err := cmd.Output()
		return string(b), err == nil
	}
	say := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://ha.example.com/")
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	if out, ok := run("anna", `s3cr$t"\n`, say(200, yes)); !ok || out != yes || got != "POST /auth/jwt_cookie/check\nanna\ns3cr$t\"\\n\n" {
		t.Errorf("yes: %t %q, asked %q", ok, out, got)
	}
	for name, serve := range map[string]http.HandlerFunc{
		"no":                 say(403, yes),
		"a redirect":         say(308, yes[:0]),
		"a redirect's text":  say(302, "moved"),
		"another site":       say(200, "<html>group = system-users</html>"),
		"nothing":            say(200, ""),
		"for somebody else":  say(200, strings.Replace(yes, "anna", "bob", 1)),
		"for somebody alike": say(200, strings.Replace(yes, "anna", "annabel", 1)),
		"broken":             say(502, ""),
	} {
		if out, ok := run("anna", "x", serve); ok || out != "" {
			t.Errorf("%s: %t %q", name, ok, out)
		}
	}
	if out, ok := run("*", "x", say(200, yes)); ok || out != "" {
		t.Errorf("a pattern for a name: %q", out)
	}

	// On https only with a certificate that is trusted.
	server := httptest.NewTLSServer(say(200, yes))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		more []string
		ok   bool
	}{{nil, false}, {[]string{"--cacert", ca}, true}} {
		cmd := exec.Command("/bin/sh", append([]string{"../docs/home-assistant/caddy-login.sh", server.URL}, c.more...)...)
		cmd.Env = []string{"username=anna", "password=x"}
		if out, err := cmd.Output(); (err == nil) != c.ok || (string(out) == yes) != c.ok {
			t.Errorf("on https with %v: %v %q", c.more, err, out)
		}
	}
	cmd := exec.Command("/bin/sh", "../docs/home-assistant/caddy-login.sh")
	cmd.Env = []string{"username=anna", "password=x"}
	if err := cmd.Run(); err == nil {
		t.Error("without an address")
	}
}

// files lists a folder of the storage.
func (h *house) files(folder string) []string {
	h.t.Helper()
	names, err := filepath.Glob(filepath.Join(h.dir, "storage", folder, "*.json"))
	if err != nil {
		h.t.Fatal(err)
	}
	return names
}

func (h *house) file(name string) string {
	h.t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

func TestPasswordlessCaddyfile(t *testing.T) {
	for words, want := range map[string]string{
		"passwordless x":                                                           "wrong argument count",
		"passwordless\npasswordless":                                               "passwordless is given twice",
		"passwordless {\ncreate\ncreate\n}":                                        "create is given twice",
		"passwordless {\ncreate yes\n}":                                            "wrong argument count",
		"passwordless {\nprovider\n}":                                              "wrong argument count",
		"passwordless {\nprovider a\nprovider b\n}":                                "provider is given twice",
		"passwordless {\ngroup system-admin\n}":                                    "unrecognized subdirective 'group'",
		"passwordless {\nprovider a {\ncreate\n}\n}":                               "",
		"client_certificate {\n}":                                                  "client_certificate needs `map",
		"client_certificate x {\nmap cn a b\n}":                                    "wrong argument count",
		"client_certificate {\nmap cn a b c d\n}":                                  "wrong argument count",
		"client_certificate {\nmap cn a b\n}\nclient_certificate {\nmap cn a b\n}": "client_certificate is given twice",
	} {
		_, err := adapt(t, "x.test {\nhass_login {\n"+words+"\n}\n}")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%q: %v, want %q", words, err, want)
		}
	}
	for words, want := range map[string]string{
		"passwordless": `"passwordless":{}`,
		"passwordless {\ncreate\nprovider caddy\n}": `"passwordless":{"create":true,"provider":"caddy"}`,
	} {
		config, err := adapt(t, "x.test {\nhass_login {\n"+words+"\n}\n}")
		if err != nil || !strings.Contains(string(config), want) {
			t.Errorf("%q: %v %s", words, err, config)
		}
	}
}

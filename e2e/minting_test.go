package e2e

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// as asks the service with a cookie and returns the status.
func (f front) as(cookie string) int {
	r := must(http.NewRequest("GET", local(f.svc)+"/", nil))
	r.Host = strings.TrimPrefix(f.svc, "http://")
	r.Header.Set("Cookie", cookie)
	res := must(http.DefaultClient.Do(r))
	res.Body.Close()
	return res.StatusCode
}

// logOut is Home Assistant's own logout, as its frontend does it.
func (f front) logOut(refreshToken, cookie string) int {
	r := must(http.NewRequest("POST", local(f.ha)+"/auth/revoke", strings.NewReader(url.Values{"token": {refreshToken}}.Encode())))
	r.Host = strings.TrimPrefix(f.ha, "http://")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", f.ha)
	r.Header.Set("Cookie", cookie)
	res := must(http.DefaultClient.Do(r))
	res.Body.Close()
	return res.StatusCode
}

// A page of another site, or of a neighbour under the same domain, has somebody's browser log in as the page's
// author: by fetch, which Home Assistant answers to any origin, and by a form. It plants no identity.
func TestThreat19_AnotherSitePlantsNoIdentity(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	f := withLogin(t, s, "http")
	port := f.ha[strings.LastIndexByte(f.ha, ':'):]
	elsewhere, neighbour := "http://evil.localhost"+port, "http://evil.home.localhost"+port
	s.sites += fmt.Sprintf("%s, %s {\nbind 127.0.0.1\nreverse_proxy %s\n}\n", elsewhere, neighbour, newService(t))
	s.start()
	s.awaitHome()
	_, planted := httpTokens(t, &http.Client{CheckRedirect: noRedirects}, f, "owner", "owner-pass-1")
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {f.ha + "/"}, "refresh_token": {planted}}.Encode()
	fetch := `(fetch("` + f.ha + `/auth/token", {method: "POST", credentials: "include", mode: MODE, body: new URLSearchParams("` + form + `")})
		.then((r) => { document.title = "answered " + r.type; }, (e) => { document.title = "answered not at all"; }), "")`
	submit := `(() => { const f = document.createElement("form"); f.method = "post"; f.action = "` + f.ha + `/auth/token";
		for (const [name, value] of new URLSearchParams("` + form + `")) { const i = document.createElement("input"); i.name = name; i.value = value; f.append(i); }
		document.body.append(f); f.submit(); return ""; })()`
	p := newPhone(t, browser(t), true)
	p.open(f.svc + "/")
	p.homeLogin("resident", "resident-pass-1")
	p.at(f.svc + "/")
	p.seesWho("Resident user")
	for _, site := range []string{elsewhere, neighbour} {
		for _, mode := range []string{`"cors"`, `"no-cors"`} {
			p.open(site + "/")
			p.eval(strings.Replace(fetch, "MODE", mode, 1))
			p.until("the fetch has ended", `document.title.startsWith("answered")`)
			p.open(f.svc + "/")
			p.seesWho("Resident user")
		}
		p.open(site + "/")
		p.eval(submit)
		p.until("the form is answered", `document.body.innerText.includes("access_token")`)
		p.open(f.svc + "/")
		p.seesWho("Resident user")
	}

	// It is for where they come from that these are nobody's: Home Assistant's own page may.
	p.open(f.ha + "/auth/jwt_cookie/return.css")
	p.eval(strings.Replace(fetch, "MODE", `"cors"`, 1))
	p.until("the fetch has ended", `document.title.startsWith("answered")`)
	p.open(f.svc + "/")
	p.seesWho("Owner admin,user")
}

// Logged out is logged out, also where Caddy is killed in the next moment.
func TestThreat20_LoggedOutStaysOutAfterAKill(t *testing.T) {
	_, s, f := startWithLogin(t, "http")
	client := &http.Client{CheckRedirect: noRedirects}
	out, refresh := httpTokens(t, client, f, "owner", "owner-pass-1")
	stays := httpLogin(t, client, f, "resident", "resident-pass-1")
	if status := f.as(out); status != 200 {
		t.Fatalf("before: %d", status)
	}
	if status := f.logOut(refresh, out); status != 200 {
		t.Fatalf("logging out: %d", status)
	}
	s.kill()
	http.DefaultClient.CloseIdleConnections()
	s.start()
	if status := f.as(out); status != 401 {
		t.Errorf("after the logout and a kill: %d", status)
	}
	if status := f.as(stays); status != 200 {
		t.Errorf("somebody else: %d", status)
	}
}

// The signing key is in its file, which only Caddy can read, and nowhere else: whatever is asked, logged, exported,
// measured, saved, or printed by a process that dies with all its goroutines on stderr.
func TestThreat22_SigningKeyIsNowhereElse(t *testing.T) {
	h := realHome(t)
	everything := h.listen("") // all events of the home
	s := newServer(t, h)
	s.homes = "metrics {\nper_host\n}"
	f := withLogin(t, s, "http")
	s.start()
	s.awaitHome()
	cookie, refresh := httpTokens(t, &http.Client{CheckRedirect: noRedirects}, f, "owner", "owner-pass-1")
	if status := f.as(cookie); status != 200 {
		t.Fatalf("logged in, but %d", status)
	}
	f.as(cookie + "x")
	places := map[string]string{}
	for _, path := range []string{"/auth/jwt_cookie/jwks.json", "/auth/jwt_cookie/key.pem", "/auth/jwt_cookie?redirect_url=" + url.QueryEscape(f.svc)} {
		r := must(http.NewRequest("GET", local(f.ha)+path, nil))
		r.Host = strings.TrimPrefix(f.ha, "http://")
		res := must(http.DefaultClient.Do(r))
		var b strings.Builder
		must(0, res.Write(&b))
		res.Body.Close()
		places[path] = b.String()
	}
	for _, args := range [][]string{{"key", "rotate"}, {"key", "export"}, {"key", "export", "--jwks"}, {"doctor"}, {"cookie", "create", "--user", "owner", "--lifetime", "5m"}} {
		out, errOut, _ := s.run(append(append([]string{"hass"}, args...), "--address", s.admin)...)
		places["caddy hass "+strings.Join(args, " ")] = out + errOut
	}
	f.logOut(refresh, cookie)
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/config/", "/metrics", "/debug/pprof/goroutine?debug=2"} {
		places[path] = s.ask(path)
	}
	keys := filepath.Join(s.dir, "data", "caddy", "hass_login", "default", "keys.json")
	info, err := os.Stat(keys)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file of the keys: %v %v", info, err)
	}
	var ring struct {
		Keys []struct {
			Private []byte `json:"private"`
		} `json:"keys"`
		Secret []byte `json:"secret"`
	}
	if err := json.Unmarshal(must(os.ReadFile(keys)), &ring); err != nil || len(ring.Keys) != 2 {
		t.Fatal(err, len(ring.Keys))
	}
	_ = s.cmd.Process.Signal(syscall.SIGABRT) // as a fault does: it prints all goroutines and ends
	<-s.ended
	s.cmd = nil
	places["stderr"] = s.stderr.String()
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == keys {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(s.dir, path)
		places[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range everything.all() {
		places["the home's events"] += e.raw + "\n"
	}
	for _, name := range []string{"/metrics", "/config/", "caddy.log", "config/caddy/autosave.json", "caddy hass key export", "/auth/jwt_cookie/jwks.json"} {
		if len(places[name]) < 100 {
			t.Errorf("%s is empty: nothing was looked at", name)
		}
	}
	if !strings.Contains(places["stderr"], "goroutine ") {
		t.Error("stderr has no goroutines")
	}

	secrets := map[string]string{"the cookie": strings.Split(cookie, ".")[2], "its claims": strings.Split(cookie, ".")[1], "the refresh token": refresh}
	add := func(what string, b []byte) {
		secrets[what+", raw"] = string(b)
		secrets[what+", base64"] = strings.TrimRight(base64.StdEncoding.EncodeToString(b), "=")
		secrets[what+", base64url"] = base64.RawURLEncoding.EncodeToString(b)
		secrets[what+", hex"] = hex.EncodeToString(b)
		secrets[what+", as Go prints bytes"] = strings.Trim(fmt.Sprint(b), "[]")
	}
	add("the secret of states", ring.Secret)
	for n, k := range ring.Keys {
		private := must(x509.ParsePKCS8PrivateKey(k.Private)).(interface{ Bytes() ([]byte, error) })
		d := must(private.Bytes())
		what := fmt.Sprint("key ", n)
		add(what, d)
		// As a part of something longer, base64 begins at any of three places.
		secrets[what+", in its file's encoding"] = base64.StdEncoding.EncodeToString(k.Private)[52:88]
	}
	for name, text := range places {
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %s", what, name)
			}
		}
	}
}

package caddyjwt

import (
	"bufio"
	"context"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// adapt returns the JSON of a Caddyfile.
func adapt(t testing.TB, text string) ([]byte, error) {
	t.Helper()
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, _, err := adapter.Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// site is a Caddy within this process, with a service behind it.
type site struct {
	addr    string
	logFile string
	url     string

	mu   sync.Mutex
	last *http.Request // as the service got it
}

// startCaddy runs a Caddyfile's site in which ADDR, SERVICE stand for the addresses.
func startCaddy(t testing.TB, options, body string) (s *site, reload func()) {
	t.Helper()
	s = &site{addr: freeport.Addr(t), logFile: filepath.Join(t.TempDir(), "caddy.log")}
	s.url = "http://" + s.addr
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // the trailers come after it
		s.mu.Lock()
		s.last = r
		s.mu.Unlock()
		fmt.Fprint(w, "service")
	}))
	service.Config.SetKeepAlivesEnabled(false) // idle connections of former configurations are Caddy's own
	t.Cleanup(service.Close)
	text := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tlog {\n\t\toutput file %s\n\t\tlevel DEBUG\n\t}\n%s\n}\nhttp://%s {\n\tlog\n%s\n}\n",
		s.logFile, options, s.addr, strings.ReplaceAll(body, "SERVICE", strings.TrimPrefix(service.URL, "http://")))
	config, err := adapt(t, text)
	if err != nil {
		t.Fatal(err)
	}
	reload = func() {
		t.Helper()
		if err := caddy.Load(config, true); err != nil {
			t.Fatal(err)
		}
	}
	reload()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s, reload
}

func (s *site) got() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.last
	s.last = nil
	return r
}

// raw sends a request as it is written here, and returns the status and the whole answer.
func (s *site) raw(t testing.TB, text string) (int, string) {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Location") + "\n" + string(body)
}

func (s *site) get(t testing.TB, path string, fields ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: &http.Transport{DisableKeepAlives: true}}
	var res *http.Response
	for range 50 {
		// After a reload, the old server ends connections that it has not
		// read from yet.
		var netErr *net.OpError
		if res, err = client.Do(r); !errors.As(err, &netErr) && !errors.Is(err, io.EOF) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}

func TestCaddy(t *testing.T) {
	k := newEC(t, elliptic.P256())
	now := time.Now()
	path := tempPEM(t, k)
	t.Setenv("JWT_TEST_PEM", path)
	s, _ := startCaddy(t, "", `
		handle /raw/* {
			hass_jwt {
				key file `+path+`
				keep_token
			}
			reverse_proxy SERVICE
		}
		handle_path /grafana/* {
			hass_jwt {
				login https://ha.example.com
				key file {env.JWT_TEST_PEM}
				allow roles user
			}
			reverse_proxy SERVICE {
				header_up X-Webauth-User {http.auth.user.id}
				header_up X-Webauth-Name {http.auth.user.name}
				header_up X-Webauth-Group {http.auth.user.group}
				header_up -X_Webauth_*
			}
		}
		handle /open/* {
			hass_jwt {
				key file `+path+`
				optional
			}
			reverse_proxy SERVICE {
				header_up X-Webauth-User {http.auth.user.id}
			}
		}
		handle {
			@private not path /public/*
			hass_jwt @private {
				key file `+path+`
			}
			reverse_proxy SERVICE
		}`)
	token := mint(t, k, claimsAt(now))
	cookie := "Cookie: a=1; jwt_access_token=" + token
	id := claimsAt(now)["sub"].(string)

	if res := s.get(t, "/grafana/d/1?x=1", "Accept: text/html"); res.StatusCode != 302 || res.Header.Get("Location") != "https://ha.example.com/auth/jwt_cookie?redirect_url=http%3A%2F%2F"+strings.ReplaceAll(s.addr, ":", "%3A")+"%2Fgrafana%2Fd%2F1%3Fx%3D1" {
		t.Errorf("stranger's page view: %d %q", res.StatusCode, res.Header.Get("Location"))
	}
	res := s.get(t, "/grafana/d/1", cookie)
	if r := s.got(); res.StatusCode != 200 || r == nil || r.URL.Path != "/d/1" || r.Header.Get("X-Webauth-User") != id || r.Header.Get("X-Webauth-Name") != "Anna" || r.Header.Get("Cookie") != "a=1" {
		t.Errorf("resident: %d %+v", res.StatusCode, r)
	}
	if s.get(t, "/raw/x", cookie); s.got().Header.Get("Cookie") != "a=1; jwt_access_token="+token {
		t.Error("keep_token did not keep it")
	}
	if res := s.get(t, "/raw/x", "Upgrade: websocket", "Connection: Upgrade", "Accept: text/html"); res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("WebSocket: %d %v", res.StatusCode, res.Header)
	}
	if s.get(t, "/grafana/", "Authorization: Bearer "+token); s.got().Header.Get("Authorization") != "" {
		t.Error("the Bearer token went on")
	}
	if s.get(t, "/open/", "X-Webauth-User: admin"); s.got().Header.Get("X-Webauth-User") != "" {
		t.Error("a stranger's own header came through")
	}
	child := mint(t, k, with(claimsAt(now), map[string]any{"roles": []string{"guest"}}))
	if res := s.get(t, "/grafana/", "Cookie: jwt_access_token="+child, "Accept: text/html"); res.StatusCode != 403 || s.got() != nil {
		t.Errorf("not allowed: %d", res.StatusCode)
	}

	t.Run("Threat12_IdentityHeadersOfTheClient", func(t *testing.T) {
		status, _ := s.raw(t, "POST /grafana/ HTTP/1.1\nHost: "+s.addr+"\n"+cookie+
			"\nX-Webauth-User: admin\nx-webauth-user: root\nX_Webauth_User: admin\nX_WEBAUTH_Name: admin\nX-Webauth-Group: wheel\nConnection: close, X-Webauth-User, X-Webauth-Name"+
			"\nTrailer: X-Webauth-User\nTransfer-Encoding: chunked\n\n1\na\n0\nX-Webauth-User: trailer\n\n")
		r := s.got()
		if status != 200 || r == nil {
			t.Fatalf("%d", status)
		}
		if v := r.Header["X-Webauth-User"]; len(v) != 1 || v[0] != id {
			t.Errorf("X-Webauth-User is %q, want %q alone", v, id)
		}
		if v := r.Header["X-Webauth-Name"]; len(v) != 1 || v[0] != "Anna" {
			t.Errorf("X-Webauth-Name is %q", v)
		}
		if v := r.Header.Get("X-Webauth-Group"); v != "" {
			t.Errorf("X-Webauth-Group is %q, want it empty: there is no such claim", v)
		}
		for name := range r.Header {
			if strings.Contains(name, "_") {
				t.Errorf("%s came through, which some services take for the one with dashes", name)
			}
		}
		odd := mint(t, k, with(claimsAt(now), map[string]any{"name": "A\r\nX-Webauth-User: admin\r\n\r\n\x00"}))
		if status, _ := s.raw(t, "GET /grafana/ HTTP/1.1\nHost: "+s.addr+"\nConnection: close\nCookie: jwt_access_token="+odd+"\n\n"); status != 200 {
			t.Errorf("a name with line breaks: %d", status)
		}
		if r := s.got(); r == nil || len(r.Header["X-Webauth-User"]) != 1 || r.Header.Get("X-Webauth-User") != id {
			t.Errorf("a name with line breaks came through as %+v", r)
		}
	})

	t.Run("Threat14_NoWayAroundByThePath", func(t *testing.T) {
		for _, target := range []string{
			"/admin", "//admin", "/admin%5c", "/public/../admin", "/public/..%2fadmin", "/public/%2e%2e/admin", "/public%2f../admin", "/./admin", "/public/../../admin",
			"/PUBLICX/a", "/public", s.url + "/admin", "http://evil.example/admin", "/open/../admin", "/open%2f..%2fadmin",
		} {
			status, _ := s.raw(t, "GET "+target+" HTTP/1.1\nHost: "+s.addr+"\nConnection: close\n\n")
			r := s.got()
			// Behind, /open/ lets strangers in: there it is their identity that must be missing.
			if r != nil && !strings.HasPrefix(target, "/open") || r != nil && r.Header.Get("X-Webauth-User") != "" {
				t.Errorf("%s: %d, and the service got %s", target, status, r.RequestURI)
			}
		}
		if s.get(t, "/public/x"); s.got() == nil {
			t.Error("what is public is closed")
		}
	})

	t.Run("NoTokenInAnyLog", func(t *testing.T) {
		forged := mint(t, newEC(t, elliptic.P256()), claimsAt(now))
		s.get(t, "/grafana/", "Cookie: jwt_access_token="+forged)
		s.get(t, "/grafana/", "Authorization: Bearer "+forged)
		log := readLog(t, s)
		for _, secret := range []string{token, child, forged} {
			for _, part := range strings.Split(secret, ".")[1:] {
				if strings.Contains(log, part) {
					t.Error("a token is in the log")
				}
			}
		}
		for _, said := range []string{errUnknownKey.Error(), "not allowed here", `"user_id":"` + id + `"`} {
			if !strings.Contains(log, said) {
				t.Errorf("the log does not say %q", said)
			}
		}
	})
}

// readLog waits until the log holds the last request and returns it.
func readLog(t *testing.T, s *site) string {
	t.Helper()
	s.get(t, "/public/end-of-test")
	var text []byte
	until(t, "the last request in the log", func() bool {
		text, _ = os.ReadFile(s.logFile)
		return strings.Contains(string(text), "/public/end-of-test")
	})
	return string(text)
}

func TestThreat13_TrustedProxies(t *testing.T) {
	path := tempPEM(t, newEC(t, elliptic.P256()))
	body := "hass_jwt {\n\tkey file " + path + "\n\tlogin https://ha.example.com\n}\nreverse_proxy SERVICE"
	fields := []string{"Accept: text/html", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.example.com", "X-Forwarded-For: 203.0.113.1"}
	for options, want := range map[string]string{
		"": "redirect_url=http%3A%2F%2F127.0.0.1",
		"servers {\n\ttrusted_proxies static 127.0.0.1/32\n}":   "redirect_url=https%3A%2F%2Fa.example.com%2Fx",
		"servers {\n\ttrusted_proxies static 192.0.2.0/24\n}\n": "redirect_url=http%3A%2F%2F127.0.0.1",
	} {
		s, _ := startCaddy(t, options, body)
		if got := s.get(t, "/x", fields...).Header.Get("Location"); !strings.Contains(got, want) {
			t.Errorf("%q: sent to %q", options, got)
		}
	}
}

func TestThreat09_OpensAsSoonAsTheFileAppears(t *testing.T) {
	k := newEC(t, elliptic.P256())
	path := filepath.Join(t.TempDir(), "jwt_cookie.pem")
	s, _ := startCaddy(t, "", "hass_jwt {\n\tkey file "+path+"\n}\nreverse_proxy SERVICE")
	cookie := "Cookie: jwt_access_token=" + mint(t, k, claimsAt(time.Now()))
	if got := s.get(t, "/", cookie).StatusCode; got != 401 {
		t.Errorf("without the file: %d", got)
	}
	writeFile(t, path, publicPEM(t, k))
	if got := s.get(t, "/", cookie).StatusCode; got != 200 {
		t.Errorf("with the file: %d", got)
	}
}

func TestThreat10_ReloadsUnderLoad(t *testing.T) {
	k := newEC(t, elliptic.P256())
	path := tempPEM(t, k)
	other := tempPEM(t, newEC(t, elliptic.P256()))
	s, reload := startCaddy(t, "grace_period 5s", `
		hass_jwt /other/* {
			key file `+other+`
		}
		hass_jwt {
			key file `+path+`
		}
		reverse_proxy SERVICE`)
	cookie := "Cookie: jwt_access_token=" + mint(t, k, claimsAt(time.Now()))
	level := func() (int, int) {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc: ", err)
		}
		return runtime.NumGoroutine(), len(fds)
	}
	reload() // what Caddy starts once has been started
	s.get(t, "/", cookie)
	goroutines, fds := level()

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var served atomic.Int64
	for range 2 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for ctx.Err() == nil {
				r, err := http.NewRequest(http.MethodGet, s.url, nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Cookie", strings.TrimPrefix(cookie, "Cookie: "))
				res, err := client.Do(r)
				var netErr *net.OpError
				if errors.As(err, &netErr) || errors.Is(err, io.EOF) {
					continue // a connection that was not accepted yet: Caddy's own
				}
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.StatusCode != 200 {
					t.Errorf("%d during a reload", res.StatusCode)
				}
				served.Add(1)
			}
		})
	}
	for range 20 {
		before := served.Load()
		reload()
		until(t, "served after the reload", func() bool { return served.Load() > before+5 })
	}
	cancel()
	wg.Wait()
	if n, _ := keyFiles.References(path); n != 1 {
		t.Errorf("the key file is held %d times, want once", n)
	}
	until(t, fmt.Sprintf("level at %d goroutines and %d file descriptors", goroutines, fds), func() bool {
		g, f := level()
		return g <= goroutines+3 && f <= fds+3
	})
}

func TestCaddyfile(t *testing.T) {
	config, err := adapt(t, `a.example.com {
		respond hi
		hass_jwt /x/* {
			login      https://ha.example.com
			cookie     c
			key file   /share/jwt_cookie.pem
			issuer     me
			audience   a b
			leeway     1m
			allow      roles admin user
			allow      name Anna
			deny       sub x
			home       cabin
			hass_tokens
			identity   Remote-User username
			optional
			keep_token
		}
		basic_auth {
			a $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
		}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	text := string(config)
	want := `{"allow":[{"claim":"roles","values":["admin","user"]},{"claim":"name","values":["Anna"]}],"audience":["a","b"],"cookie":"c","deny":[{"claim":"sub","values":["x"]}],` +
		`"handler":"hass_jwt","hass_tokens":true,"home":"cabin","identity":{"account":"username","service":"Remote-User"},"issuer":"me","keep_token":true,"key":{"file":"/share/jwt_cookie.pem"},"leeway":60000000000,"login":"https://ha.example.com","optional":true}`
	if !strings.Contains(text, want) {
		t.Errorf("got %s\nwant in it %s", text, want)
	}
	if basic, jwt, respond := strings.Index(text, "http_basic"), strings.Index(text, "hass_jwt"), strings.Index(text, "static_response"); basic > jwt || jwt > respond {
		t.Error("not in order: basic_auth, hass_jwt, respond")
	}
	var h HassJWT
	if err := json.Unmarshal([]byte(want[:strings.Index(want, `"handler"`)]+want[strings.Index(want, `"home"`):]), &h); err != nil || time.Duration(*h.Leeway) != time.Minute {
		t.Errorf("as JSON: %v", err)
	}
}

func TestCaddyfileErrorsSayWhere(t *testing.T) {
	for line, want := range map[string]string{
		"login https://a\n\tlogin https://b":   "Caddyfile:5",
		"login":                                "Caddyfile:4",
		"login a b":                            "Caddyfile:4",
		"cookie":                               "Caddyfile:4",
		"key file":                             "Caddyfile:4",
		"key":                                  "Caddyfile:4",
		"key jwks":                             "Caddyfile:4",
		"key url https://x":                    "unrecognized kind of key 'url'",
		"key file a b":                         "Caddyfile:4",
		"hass_tokens yes":                      "Caddyfile:4",
		"hass_tokens\n\thass_tokens":           "hass_tokens is given twice",
		"identity":                             "Caddyfile:4",
		"identity plex":                        "known are grafana, frigate, jellyfin and Remote-User",
		"identity grafana name":                "a display name is no account",
		"identity grafana roles":               "name no single person",
		"identity grafana id x":                "Caddyfile:4",
		"identity grafana\n\tidentity frigate": "identity is given twice",
		"alow roles user":                      "unrecognized subdirective 'alow': hass_jwt takes login, cookie,",
		"allow admin":                          "write `allow <claim> <value…>`",
		"deny roles a {\n\tx\n\t}":             "no block belongs here",
		"login ha.example.com":                 "it must begin with https://",
		"login https://a/auth/jwt_cookie":      "leave /auth/jwt_cookie out",
		"key /share/jwt_cookie.pem":            "write `key file <pem>` or `key jwks <url>`",
		"allow roles":                          "Caddyfile:4",
		"deny":                                 "Caddyfile:4",
		"audience":                             "Caddyfile:4",
		"audience a\n\taudience b":             "audience is given twice",
		"leeway soon":                          "Caddyfile:4",
		"leeway -1s":                           "Caddyfile:4",
		"optional yes":                         "Caddyfile:4",
		"optional\n\toptional":                 "optional is given twice",
		"keep_token x":                         "Caddyfile:4",
		"home a\n\tissuer b\nhome c":           "Caddyfile:6",
	} {
		key := "key file x"
		if strings.HasPrefix(line, "key") || line == "" {
			key = "# no key yet"
		}
		_, err := adapt(t, ":80 {\nhass_jwt {\n"+key+"\n"+line+"\n}\n}\n")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%q: got %v, want %q", line, err, want)
		}
	}
	if _, err := adapt(t, ":80 {\nhass_jwt x {\nkey file x\n}\n}\n"); err == nil || !strings.Contains(err.Error(), "write `login <url>`") || !strings.Contains(err.Error(), "Caddyfile:2") {
		t.Errorf("an argument: %v", err)
	}
	if _, err := adapt(t, ":80 {\n\n\thass_jwt\n}\n"); err != nil {
		t.Errorf("with the keys of hass_login: %v", err)
	}
}

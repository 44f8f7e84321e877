package caddyjwt

import (
	"bufio"
	"crypto/elliptic"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// Keys by JWKS are held to what keys in files are: weak ones are no keys.
func TestThreat07_WeakKeysInAJWKS(t *testing.T) {
	weak := newWeakRSA(t).Public()
	if _, err := methodFor(weak); err == nil {
		t.Fatal("this key is not weak")
	}
	const n1024 = "gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"
	for name, one := range map[string]string{
		"RSA 1024":          `{"kty":"RSA","n":"` + n1024 + `","e":"AQAB"}`,
		"P-224":             `{"kty":"EC","crv":"P-224","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		"not on the curve":  `{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}`,
		"symmetric":         `{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","alg":"HS256"}`,
		"for encryption":    strings.Replace(strings.TrimSuffix(strings.TrimPrefix(jwksText(t, newP256(t)), `{"keys":[`), `]}`), `"kty"`, `"use":"enc","kty"`, 1),
		"another algorithm": strings.Replace(strings.TrimSuffix(strings.TrimPrefix(jwksText(t, newP256(t)), `{"keys":[`), `]}`), `"kty"`, `"alg":"HS256","kty"`, 1),
	} {
		if keys, err := parseJWKS([]byte(`{"keys":[` + one + `]}`)); err == nil {
			t.Errorf("%s: %d keys", name, len(keys))
		}
	}
}

// A pipe that nobody writes to, in the place of the key file, holds nobody up.
func TestThreat08_APipeInItsPlace(t *testing.T) {
	k := newEC(t, elliptic.P256())
	path := tempPEM(t, k)
	w := watch(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes here: ", err)
	}
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		w.file.look()
	}()
	select {
	case <-looked:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for somebody who writes")
	}
	w.want(t, "with a pipe in its place", 200, mint(t, k, claimsAt(noon)))
}

// Two keys of one length, written within one tick of the file system's clock, which is then long past.
func TestThreat08_TwoKeysWithinOneTick(t *testing.T) {
	a, b := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	path := tempPEM(t, a)
	tick := func() {
		t.Helper()
		if err := os.Chtimes(path, noon, noon); err != nil {
			t.Fatal(err)
		}
	}
	tick()
	w := watch(t, path)
	w.want(t, "the first", 200, mint(t, a, claimsAt(noon)))
	writeFile(t, path, publicPEM(t, b))
	tick()
	w.now = noon.Add(time.Hour)
	w.want(t, "the second", 200, mint(t, b, claimsAt(w.now)))
}

// A set that begins to come and never ends keeps nobody waiting whose key is known, and others not for long.
func TestThreat09_JWKSThatNeverEnds(t *testing.T) {
	k, foreign := newP256(t), newP256(t)
	for what, within := range map[string]time.Duration{"known": time.Hour, "unknown": 50 * time.Millisecond} {
		t.Run(what, func(t *testing.T) {
			server := newJWKSServer(t, k)
			var clock atomic.Pointer[time.Time]
			clock.Store(&noon)
			source := newJWKSSource(server.URL, func() time.Time { return *clock.Load() })
			source.within = within
			h := newHandler(t, new(HassJWT))
			h.keys = source
			in := func(token string) bool {
				return serve(t, h, get("/", "Cookie: jwt_access_token="+token)).passed != nil
			}
			if !in(signedBy(t, k, "")) {
				t.Fatal("the key of the set does not count")
			}
			enough := make(chan struct{})
			t.Cleanup(func() {
				close(enough)
				until(t, "nobody asks any more", func() bool { return !source.asking.Load() })
			})
			server.answer(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, `{"keys":[`)
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-enough:
				}
			})
			later := noon.Add(jwksFresh)
			clock.Store(&later)
			before := server.fetches.Load()
			if !in(signedBy(t, k, "")) {
				t.Error("the known key does not count any more")
			}
			until(t, "asked", func() bool { return server.fetches.Load() > before })
			if what == "unknown" && in(signedBy(t, foreign, "")) || !in(signedBy(t, k, "")) {
				t.Error("the keys have changed")
			}
		})
	}
}

// What the TLS handshake was for does not decide who is let in, but the host that is asked for.
func TestThreat14_SNIOtherThanHost(t *testing.T) {
	addr, dir := freeport.Addr(t), t.TempDir()
	_, port, _ := net.SplitHostPort(addr)
	config, err := adapt(t, `{
	admin off
	persist_config off
	skip_install_trust
	local_certs
	auto_https disable_redirects
	storage file_system `+dir+`
}
https://open.house.test:`+port+` {
	respond "everybody"
}
https://closed.house.test:`+port+` {
	hass_jwt {
		login https://ha.house.test
		key file `+tempPEM(t, newEC(t, elliptic.P256()))+`
	}
	respond "residents {http.auth.user.id}"
}
`)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	ask := func(sni, host string) (status int, body string) {
		t.Helper()
		var conn *tls.Conn
		until(t, "a certificate for "+sni, func() (ok bool) {
			conn, err = tls.Dial("tcp", addr, &tls.Config{ServerName: sni, InsecureSkipVerify: true}) // it is of Caddy's own authority
			return err == nil
		})
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	if status, body := ask("open.house.test", "open.house.test:"+port); status != 200 || body != "everybody" {
		t.Fatalf("the open site: %d %s", status, body)
	}
	for _, host := range []string{"closed.house.test:" + port, "closed.house.test", "CLOSED.House.Test:" + port, "closed.house.test.", "closed.house.test:1"} {
		for _, sni := range []string{"open.house.test", "closed.house.test"} {
			// Caddy has an empty answer for hosts that it does not know.
			if status, body := ask(sni, host); strings.Contains(body, "residents") || status == 200 && body != "" {
				t.Errorf("%s by the handshake for %s: %d %s", host, sni, status, body)
			}
		}
	}
	if status, _ := ask("open.house.test", "closed.house.test:"+port); status != 401 {
		t.Errorf("the closed site by the other's handshake: %d", status)
	}
}

// What happens to users while no Caddy runs to hear of it holds from its start on.
func TestThreat20_UsersWhoChangeWhileCaddyIsDown(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	changes := map[string]func(username string){
		"deactivated": func(username string) { h.home.SetActive(username, false) },
		"removed":     func(username string) { h.home.RemoveUser(username) },
		"demoted":     func(username string) { h.home.SetAdmin(username, false) },
		"unchanged":   func(string) {},
	}
	cookies := make(map[string]string)
	for name := range changes {
		h.home.AddUser(hasstest.User{Name: name, Username: name, Password: "x", Admin: true})
		cookies[name], _ = h.login(name, "x")
		h.in(name, cookies[name])
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, change := range changes {
		change(name)
	}
	later(t, 2*time.Second) // tokens know seconds only
	h.load()
	h.client.CloseIdleConnections()
	for name, cookie := range cookies {
		if name != "unchanged" {
			h.eventuallyOut(name, cookie)
		}
	}
	h.in("unchanged", cookies["unchanged"])
}

package caddyjwt

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/coder/websocket"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

func TestLoginMintsACookieThatServicesTake(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	id := h.ha + "/"
	verifier := strings.Repeat("v", 50)
	digest := sha256.Sum256([]byte(verifier))
	challenge := map[string]any{"code_challenge": base64.RawURLEncoding.EncodeToString(digest[:]), "code_challenge_method": "S256"}

	var kept tokens
	for name, send := range map[string]func() reply{
		"multipart": func() reply {
			body, kind := multipartForm(t, url.Values{"client_id": {id}, "grant_type": {"authorization_code"}, "code": {h.code("resident", residentPass, id, nil)}})
			return h.send("POST", h.ha+"/auth/token", body, kind, "Origin: "+h.ha)
		},
		"urlencoded, with PKCE": func() reply {
			form := url.Values{"client_id": {id}, "grant_type": {"authorization_code"}, "code": {h.code("resident", residentPass, id, challenge)}, "code_verifier": {verifier}}
			return h.send("POST", h.ha+"/auth/token", form.Encode(), urlencoded, "Sec-Fetch-Site: same-origin")
		},
		"a program's, without Origin": func() reply {
			form := url.Values{"client_id": {id}, "grant_type": {"authorization_code"}, "code": {h.code("resident", residentPass, id, nil)}}
			return h.send("POST", h.ha+"/auth/token", form.Encode(), urlencoded)
		},
		"the phone app": func() reply {
			app := "https://home-assistant.io/android"
			form := url.Values{"client_id": {app}, "grant_type": {"authorization_code"}, "code": {h.code("resident", residentPass, app, nil)}}
			return h.send("POST", h.ha+"/auth/token", form.Encode(), urlencoded)
		},
		"refresh": func() reply {
			_, kept = h.login("resident", residentPass)
			return h.send("POST", h.ha+"/auth/token", h.refreshForm(kept), urlencoded, "Origin: "+h.ha)
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := now().Unix()
			r := send()
			token := r.cookie()
			if r.StatusCode != 200 || token == "" {
				t.Fatalf("%d %v", r.StatusCode, r.Header)
			}
			if r.Header.Get("Cache-Control") != "no-store" || !strings.Contains(r.text, `"access_token"`) {
				t.Errorf("the answer has changed: %v %s", r.Header, r.text)
			}
			set := r.Header.Get("Set-Cookie")
			if want := "jwt_access_token=" + token + "; Path=/; Domain=house.test; Max-Age=2592000; HttpOnly; SameSite=Lax"; set != want {
				t.Errorf("got %s\nwant %s", set, want)
			}
			header, c := claimsOf(t, token)
			if header["alg"] != "ES256" || header["kid"] == "" || header["kid"] == nil {
				t.Errorf("header %v", header)
			}
			iat := int64(c["iat"].(float64))
			if iat < before || iat > now().Unix() || int64(c["exp"].(float64)) != iat+1800 {
				t.Errorf("iat %v exp %v", c["iat"], c["exp"])
			}
			for claim, want := range map[string]any{
				"sub": h.home.UserID("resident"), "name": "Resident", "roles": []any{"user"}, "aud": []any{"homeassistant"}, "iss": "homeassistant",
				"is_owner": false, "local_only": false,
			} {
				if !reflect.DeepEqual(c[claim], want) {
					t.Errorf("%s is %v, want %v", claim, c[claim], want)
				}
			}
			if c["jti"] == "" || c["jti"] == nil || c["sid"] == "" || c["sid"] == nil {
				t.Errorf("jti %v sid %v", c["jti"], c["sid"])
			}
			if r := h.open(token); r.StatusCode != 200 || r.text != h.home.UserID("resident")+"|user|" {
				t.Errorf("the service: %d %s", r.StatusCode, r.text)
			}
		})
	}

	owner, _ := h.login("owner", ownerPass)
	if _, c := claimsOf(t, owner); !reflect.DeepEqual(c["roles"], []any{"admin", "user"}) || c["is_owner"] != true {
		t.Errorf("owner: %v", c)
	}
	if r := h.open(owner); !strings.Contains(r.text, "|admin,user|") {
		t.Errorf("owner at the service: %s", r.text)
	}
	// A user who was not there before.
	h.home.AddUser(hasstest.User{Name: "New", Username: "new", Password: "x"})
	fresh, _ := h.login("new", "x")
	h.in("a new user", fresh)
}

func TestSecureBehindATrustedProxyOnHTTPS(t *testing.T) {
	h := newHouse(t, "domain house.test\nlifetime 10m\nsession 1h\naudience a b\nissuer me\ncookie c", "login HA\nissuer me\naudience b\ncookie c")
	host := strings.TrimPrefix(h.ha, "http://")
	id := "https://" + host + "/"
	form := url.Values{"client_id": {id}, "grant_type": {"authorization_code"}, "code": {h.code("owner", ownerPass, id, nil)}}
	r := h.send("POST", h.ha+"/auth/token", form.Encode(), urlencoded, "X-Forwarded-For: 127.0.0.2", "X-Forwarded-Proto: https", "Origin: https://"+host)
	set := r.Header.Get("Set-Cookie")
	if !strings.HasPrefix(set, "c=") || !strings.HasSuffix(set, "; Path=/; Domain=house.test; Max-Age=3600; HttpOnly; Secure; SameSite=Lax") {
		t.Fatalf("%d %s", r.StatusCode, set)
	}
	token := strings.TrimPrefix(strings.Split(set, ";")[0], "c=")
	_, c := claimsOf(t, token)
	if c["iss"] != "me" || !reflect.DeepEqual(c["aud"], []any{"a", "b"}) || c["exp"].(float64)-c["iat"].(float64) != 600 {
		t.Errorf("%v", c)
	}
	if r := h.send("GET", h.svc+"/", "", "Cookie: c="+token); r.StatusCode != 200 {
		t.Errorf("the service: %d", r.StatusCode)
	}
}

func TestThreat18_OnlyAfterHomeAssistantSaidYes(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	_, real := h.login("owner", ownerPass)
	body := `{"access_token":"` + real.Access + `","token_type":"Bearer"}`
	refresh := func(fields ...string) reply {
		t.Helper()
		return h.send("POST", h.ha+"/auth/token", h.refreshForm(real), append(fields, urlencoded)...)
	}
	answer := func(f func(w http.ResponseWriter, r *http.Request)) {
		g := func(w http.ResponseWriter, r *http.Request, _ http.Handler) { f(w, r) }
		h.between.Store(&g)
	}

	for _, status := range []int{201, 204, 302, 400, 401, 403, 500} {
		answer(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			if status != 204 {
				io.WriteString(w, body)
			}
		})
		if r := refresh(); r.StatusCode != status || r.cookie() != "" || status != 204 && r.text != body {
			t.Errorf("%d: %d %v", status, r.StatusCode, r.Header)
		}
	}
	for name, c := range map[string]struct {
		serve func(w http.ResponseWriter, r *http.Request)
		want  string
		mints bool
	}{
		"plain": {func(w http.ResponseWriter, r *http.Request) {
			if ae := r.Header.Get("Accept-Encoding"); strings.Contains(ae, "gzip") {
				t.Errorf("asked for %s", ae)
			}
			w.Header().Set("X-Kept", "yes")
			io.WriteString(w, body)
		}, body, true},
		"chunked": {func(w http.ResponseWriter, _ *http.Request) {
			for _, b := range []byte(body) {
				w.Write([]byte{b})
				w.(http.Flusher).Flush()
			}
		}, body, true},
		"compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(gzipped(t, body))
		}, string(gzipped(t, body)), true},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, body+strings.Repeat(" ", maxHeld))
		}, body + strings.Repeat(" ", maxHeld), false},
		"not JSON":     {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, "<html>", false},
		"empty":        {func(w http.ResponseWriter, _ *http.Request) {}, "", false},
		"wrong token":  {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"access_token":"x"}`) }, `{"access_token":"x"}`, false},
		"not a string": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"access_token":7}`) }, `{"access_token":7}`, false},
	} {
		answer(c.serve)
		r := refresh("Accept-Encoding: gzip")
		if r.StatusCode != 200 || r.text != c.want || (r.cookie() != "") != c.mints {
			t.Errorf("%s: %d, cookie %t, %d bytes", name, r.StatusCode, r.cookie() != "", len(r.text))
		}
	}

	// One that takes longer than people wait goes on as far as it has come.
	stalled := make(chan struct{})
	answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		io.WriteString(w, body[:10])
		w.(http.Flusher).Flush()
		<-stalled
		io.WriteString(w, body[10:])
	})
	r, err := http.NewRequest("POST", h.ha+"/auth/token", strings.NewReader(h.refreshForm(real)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := h.client.Do(r) // returns although the rest has not come
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	close(stalled)
	text, err := io.ReadAll(res.Body)
	if err != nil || string(text) != body || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("a slow one: %v %q %v", err, text, res.Header)
	}
}

func gzipped(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestThreat19_OthersPlantNoIdentity(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	_, own := h.login("owner", ownerPass)
	for name, fields := range map[string][]string{
		"cross-site":          {"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
		"sibling":             {"Sec-Fetch-Site: same-site", "Origin: " + h.svc},
		"sibling by Origin":   {"Origin: " + h.svc},
		"no origin":           {"Origin: null"},
		"only Fetch Metadata": {"Sec-Fetch-Site: same-site"},
		"contradiction":       {"Sec-Fetch-Site: same-origin", "Origin: https://evil.example"},
		"other port":          {"Origin: http://ha.house.test:1"},
		"other scheme":        {"Origin: " + strings.Replace(h.ha, "http:", "https:", 1)},
		"two origins":         {"Origin: " + h.ha, "Origin: https://evil.example"},
		"navigation":          {"Sec-Fetch-Site: none"},
	} {
		if r := h.send("POST", h.ha+"/auth/token", h.refreshForm(own), append(fields, urlencoded)...); r.StatusCode != 200 || r.cookie() != "" {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.Header.Get("Set-Cookie"))
		}
	}

	// Other applications' logins.
	foreign := "https://app.example/"
	form := url.Values{"client_id": {foreign}, "grant_type": {"authorization_code"}, "code": {h.code("owner", ownerPass, foreign, nil)}}
	r := h.send("POST", h.ha+"/auth/token", form.Encode(), urlencoded)
	if r.StatusCode != 200 || r.cookie() != "" {
		t.Errorf("another application: %d %s", r.StatusCode, r.Header.Get("Set-Cookie"))
	}
	refresh := r.text[strings.Index(r.text, `"refresh_token":"`)+len(`"refresh_token":"`):]
	refresh = refresh[:strings.IndexByte(refresh, '"')]
	form = url.Values{"client_id": {foreign}, "grant_type": {"refresh_token"}, "refresh_token": {refresh}}
	if r := h.send("POST", h.ha+"/auth/token", form.Encode(), urlencoded); r.StatusCode != 200 || r.cookie() != "" {
		t.Errorf("another application's refresh: %d %s", r.StatusCode, r.Header.Get("Set-Cookie"))
	}
	// Whatever could be read in two ways: the first client_id or the last, this encoding or that.
	twice := form.Encode() + "&client_id=" + url.QueryEscape(h.ha+"/")
	odd := "--b\r\nContent-Disposition: form-data; name=\"client_id\"\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--b--\r\n"
	echo := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		io.WriteString(w, `{"access_token":"`+own.Access+`"}`)
	}
	h.between.Store(&echo)
	for name, send := range map[string]func() reply{
		"twice": func() reply { return h.send("POST", h.ha+"/auth/token", twice, urlencoded) },
		"a part in base64": func() reply {
			return h.send("POST", h.ha+"/auth/token", odd, "Content-Type: multipart/form-data; boundary=b")
		},
		"another charset": func() reply {
			return h.send("POST", h.ha+"/auth/token", h.refreshForm(own), urlencoded+"; charset=utf-16")
		},
		"a path": func() reply {
			return h.send("POST", h.ha+"/auth/token", strings.Replace(h.refreshForm(own), "%2F&", "%2Fapp&", 1), urlencoded)
		},
	} {
		if r := send(); r.StatusCode != 200 || r.cookie() != "" {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.Header.Get("Set-Cookie"))
		}
	}
}

func TestThreat19_LoginWorksWhereTheHomeDoesNotSay(t *testing.T) {
	for name, fault := range map[string]hasstest.Fault{"slow": hasstest.Hang, "gone": hasstest.Refuse, "nonsense": hasstest.Garbage} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "domain house.test", "")
			_, own := h.login("owner", ownerPass)
			f := func(w http.ResponseWriter, r *http.Request, home http.Handler) {
				rec := httptest.NewRecorder()
				home.ServeHTTP(rec, r)
				h.home.Fault(fault)
				w.WriteHeader(rec.Code)
				w.Write(rec.Body.Bytes())
			}
			h.between.Store(&f)
			r := h.send("POST", h.ha+"/auth/token", h.refreshForm(own), urlencoded)
			if r.StatusCode != 200 || !strings.Contains(r.text, `"access_token"`) || r.cookie() != "" {
				t.Fatalf("%d %s %s", r.StatusCode, r.text, r.Header.Get("Set-Cookie"))
			}
			h.home.Heal()
			h.between.Store(nil)
			until(t, "the home answers again", func() bool {
				return h.send("POST", h.ha+"/auth/token", h.refreshForm(own), urlencoded).cookie() != ""
			})
		})
	}
}

func TestThreat20_UsersWhoChange(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	h.home.AddUser(hasstest.User{Username: "nameless", Password: "x"})
	h.home.AddUser(hasstest.User{Name: "Kid", Username: "kid", Password: "x", LocalOnly: true})
	h.home.AddUser(hasstest.User{Name: "Deputy", Username: "deputy", Password: "x", Admin: true})
	h.home.AddUser(hasstest.User{Name: "Lodger", Username: "lodger", Password: "x"})

	nameless, _ := h.login("nameless", "x")
	if _, c := claimsOf(t, nameless); c["name"] != nil {
		t.Errorf("nameless: %v", c["name"])
	}
	h.in("nameless", nameless)

	// Local users stay local, whatever the address is of where they logged in.
	const near, far = "X-Forwarded-For: 192.168.1.20", "X-Forwarded-For: 203.0.113.9"
	until(t, "the kid is known", func() bool { _, ok := h.realm().accounts.Load().byID[h.home.UserID("kid")]; return ok })
	kid, _ := h.login("kid", "x", near)
	if _, c := claimsOf(t, kid); c["local_only"] != true {
		t.Errorf("local_only: %v", c["local_only"])
	}
	h.in("the kid at home", kid, near)
	h.out("the kid away", kid, far)
	resident, _ := h.login("resident", residentPass)
	h.in("the resident away", resident, far)
	h.home.SetLocalOnly("resident", true)
	until(t, "the resident is kept at home", func() bool { return h.open(resident, far).StatusCode == 401 })
	h.in("the resident at home", resident, near)

	// Deactivated, demoted, removed.
	lodger, _ := h.login("lodger", "x")
	h.in("the lodger", lodger)
	h.home.SetActive("lodger", false)
	h.eventuallyOut("a deactivated user is out", lodger)
	h.home.SetActive("lodger", true)
	h.out("the session is over, even of a user who is back", lodger)
	until(t, "the lodger logs in anew", func() bool { c, _ := h.login("lodger", "x"); return h.open(c).StatusCode == 200 })

	deputy, _ := h.login("deputy", "x")
	h.in("the deputy", deputy)
	h.home.SetAdmin("deputy", false)
	h.eventuallyOut("a demoted user is out", deputy)
	deputy, _ = h.login("deputy", "x")
	if _, c := claimsOf(t, deputy); !reflect.DeepEqual(c["roles"], []any{"user"}) {
		t.Errorf("roles after demotion: %v", c["roles"])
	}
	h.in("the former deputy", deputy)
	h.home.RemoveUser("deputy")
	h.eventuallyOut("a removed user is out", deputy)

	// And what happens while nobody looks is noticed when Caddy starts.
	lodger, _ = h.login("lodger", "x")
	h.in("the lodger", lodger)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	h.home.SetActive("lodger", false)
	later(t, 2*time.Second) // tokens know seconds only
	h.load()
	h.client.CloseIdleConnections()
	h.eventuallyOut("deactivated while Caddy was down", lodger)
}

func TestThreat20_AfterLogoutTheCookieIsDeadAtOnce(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	const cleared = "jwt_access_token=; Path=/; Domain=house.test; Max-Age=0; HttpOnly; SameSite=Lax"
	var dead []string
	for name, logout := range map[string]func(cookie string, own tokens) reply{
		"/auth/revoke": func(cookie string, own tokens) reply {
			return h.send("POST", h.ha+"/auth/revoke", url.Values{"token": {own.Refresh}}.Encode(), urlencoded, "Cookie: jwt_access_token="+cookie, "Origin: "+h.ha)
		},
		"action=revoke": func(cookie string, own tokens) reply {
			body, kind := multipartForm(t, url.Values{"token": {own.Refresh}, "action": {"revoke"}})
			return h.send("POST", h.ha+"/auth/token", body, kind, "Cookie: jwt_access_token="+cookie)
		},
		"by the token alone": func(_ string, own tokens) reply {
			return h.send("POST", h.ha+"/auth/revoke", url.Values{"token": {own.Refresh}}.Encode(), urlencoded)
		},
		"by the cookie alone": func(cookie string, _ tokens) reply {
			return h.send("POST", h.ha+"/auth/revoke", "", urlencoded, "Cookie: jwt_access_token="+cookie, "Sec-Fetch-Site: same-origin")
		},
		"our own": func(cookie string, _ tokens) reply {
			return h.send("POST", h.ha+"/auth/jwt_cookie/logout", "", "Cookie: jwt_access_token="+cookie)
		},
	} {
		cookie, own := h.login("owner", ownerPass)
		h.in(name, cookie)
		r := logout(cookie, own)
		if r.StatusCode/100 != 2 || r.Header.Get("Set-Cookie") != cleared {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.Header.Get("Set-Cookie"))
		}
		h.out(name, cookie)
		dead = append(dead, cookie)
	}
	if n := h.home.Logins("owner"); n != 2 {
		t.Errorf("%d logins of Home Assistant's own are left, want those 2 whose refresh token was not shown", n)
	}

	// A cross-site page logs nobody out.
	alive, own := h.login("owner", ownerPass)
	h.send("POST", h.ha+"/auth/revoke", "", urlencoded, "Cookie: jwt_access_token="+alive, "Origin: https://evil.example")
	if r := h.send("POST", h.ha+"/auth/jwt_cookie/logout", "", "Cookie: jwt_access_token="+alive, "Sec-Fetch-Site: cross-site"); r.StatusCode != 403 {
		t.Errorf("a cross-site logout: %d", r.StatusCode)
	}
	h.in("after a cross-site logout", alive)

	h.restart()
	h.in("who was not logged out", alive)
	for i, cookie := range dead {
		h.out("after a restart "+strconv.Itoa(i), cookie)
	}
	// Logged out of services, one is still logged in to Home Assistant, and comes back anew.
	h.send("POST", h.ha+"/auth/jwt_cookie/logout", "", "Cookie: jwt_access_token="+alive)
	again := h.send("POST", h.ha+"/auth/token", h.refreshForm(own), urlencoded).cookie()
	h.in("back again", again)
	h.out("the old cookie", alive)
}

func TestSameBrowserKeepsItsSession(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	first, own := h.login("owner", ownerPass)
	second := h.send("POST", h.ha+"/auth/token", h.refreshForm(own), urlencoded, "Cookie: jwt_access_token="+first).cookie()
	_, a := claimsOf(t, first)
	_, b := claimsOf(t, second)
	if a["sid"] != b["sid"] || a["jti"] == b["jti"] {
		t.Errorf("sid %v %v, jti %v %v", a["sid"], b["sid"], a["jti"], b["jti"])
	}
	// So that logging out ends what was minted before, too.
	h.send("POST", h.ha+"/auth/jwt_cookie/logout", "", "Cookie: jwt_access_token="+second)
	h.out("the first", first)
	h.out("the second", second)
}

func TestThreat22_PrivateKeyStaysPrivate(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	cookie, own := h.login("owner", ownerPass)
	h.in("owner", cookie)
	h.send("POST", h.ha+"/auth/revoke", url.Values{"token": {own.Refresh}}.Encode(), urlencoded, "Cookie: jwt_access_token="+cookie)

	path := filepath.Join(h.dir, "storage", "hass_login", "default", "keys.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := parseRing(text)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"cookie": cookie, "access token": own.Access, "refresh token": own.Refresh, "home's token": h.home.Token(),
		"key": base64.StdEncoding.EncodeToString(ring.Keys[0].Private)[60:100], "secret": base64.StdEncoding.EncodeToString(ring.Secret),
	}
	public := h.send("GET", h.ha+"/auth/jwt_cookie/jwks.json", "").text + h.send("GET", h.ha+"/auth/jwt_cookie/key.pem", "").text
	config, err := adapt(t, h.body)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := os.ReadFile(filepath.Join(h.dir, "storage", "hass_login", "default", "ended.json"))
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range secrets {
		for where, text := range map[string]string{"log": h.logs(), "published keys": public, "configuration": string(config), "list of ended sessions": string(ended)} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s is in the %s", what, where)
			}
		}
	}
}

func TestValidateMakesNoKey(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOUSE_TOKEN", "x")
	config, err := adapt(t, "{\n\tadmin off\n\tstorage file_system "+dir+"/s\n\thass {\n\t\turl http://127.0.0.1:1\n\t\ttoken {env.HOUSE_TOKEN}\n\t}\n}\nhttp://127.0.0.1:0 {\n\thass_login\n\thass_jwt /x\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(config, cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir + "/s/hass_login"); err == nil {
		t.Error("validate has written to the storage")
	}
}

func TestRenewalWhileTheSessionLasts(t *testing.T) {
	h := newHouse(t, "domain house.test\nsession 2h", "")
	cookie, _ := h.login("owner", ownerPass)
	if r := h.open(cookie); r.cookie() != "" {
		t.Error("a fresh cookie is renewed")
	}
	later(t, 31*time.Minute)
	r := h.open(cookie)
	renewed := r.cookie()
	if r.StatusCode != 200 || renewed == "" || renewed == cookie {
		t.Fatalf("expired: %d %v", r.StatusCode, r.Header)
	}
	if set := r.Header.Get("Set-Cookie"); !strings.Contains(set, "; Path=/; Domain=house.test; Max-Age=5") || !strings.Contains(set, "HttpOnly; SameSite=Lax") {
		t.Errorf("%s", set) // 5340 seconds or a few less are left
	}
	_, a := claimsOf(t, cookie)
	_, b := claimsOf(t, renewed)
	for _, same := range []string{"sub", "name", "sid", "roles", "aud", "iss", "auth_time", "is_owner"} {
		if !reflect.DeepEqual(a[same], b[same]) {
			t.Errorf("%s: %v, was %v", same, b[same], a[same])
		}
	}
	if a["jti"] == b["jti"] || b["iat"].(float64) < a["exp"].(float64) {
		t.Errorf("renewed: %v, was %v", b, a)
	}
	// A page's many requests at once get the same one.
	if again := h.open(cookie).cookie(); again != renewed {
		t.Error("another one for the same cookie")
	}
	// Bearer is not renewed.
	if r := h.send("GET", h.svc+"/", "", "Authorization: Bearer "+cookie); r.StatusCode != 401 {
		t.Errorf("an expired Bearer token: %d", r.StatusCode)
	}
	// On the way to Home Assistant as well.
	if r := h.send("GET", h.ha+"/", "", "Cookie: jwt_access_token="+cookie); r.StatusCode != 200 || r.cookie() == "" {
		t.Errorf("at Home Assistant: %d %v", r.StatusCode, r.Header)
	}
	// What a cache may keep for everybody has no cookie of one in it.
	public := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "public, max-age=600") })
	h.service.Store(&public)
	if r := h.open(cookie); r.cookie() == "" || strings.Contains(r.Header.Get("Cache-Control"), "public") {
		t.Errorf("for caches: %v", r.Header)
	}
	h.service.Store(nil)

	later(t, 30*time.Minute)
	last := h.open(renewed).cookie()
	h.in("the third", last)
	later(t, time.Hour) // in all, more than the session
	h.out("after the session", last)
	h.out("after the session", cookie)
}

func TestRenewalEndsWithTheSession(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	cookie, own := h.login("owner", ownerPass)
	later(t, 31*time.Minute)
	h.in("expired, but its session lives", cookie)
	h.send("POST", h.ha+"/auth/revoke", url.Values{"token": {own.Refresh}}.Encode(), urlencoded)
	h.out("logged out", cookie)
}

func TestStreamsEndWithTheSession(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	h.serveStreams()
	h.home.AddUser(hasstest.User{Name: "Deputy", Username: "deputy", Password: "x", Admin: true})
	open := func(cookie string) (ended chan struct{}) {
		t.Helper()
		return h.stream("Cookie", "jwt_access_token="+cookie)
	}
	cookie, own := h.login("owner", ownerPass)
	other, _ := h.login("resident", residentPass)
	kept := open(other)
	one := open(cookie)
	h.send("POST", h.ha+"/auth/revoke", url.Values{"token": {own.Refresh}}.Encode(), urlencoded)
	h.ends("logout", one)

	deputy, _ := h.login("deputy", "x")
	one = open(deputy)
	h.home.SetAdmin("deputy", false)
	h.ends("demotion", one)
	select {
	case <-kept:
		t.Error("somebody else's has ended, too")
	default:
	}
	h.home.SetActive("resident", false)
	h.ends("deactivation", kept)
}

func TestWebSocketsEndWithTheSession(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	})
	h.service.Store(&echo)
	cookie, own := h.login("owner", ownerPass)
	later(t, 31*time.Minute) // the cookie is renewed in the very answer that upgrades
	c, res, err := websocket.Dial(t.Context(), h.svc+"/ws", &websocket.DialOptions{HTTPClient: h.client, HTTPHeader: http.Header{"Cookie": {"jwt_access_token=" + cookie}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if (reply{Response: res}).cookie() == "" {
		t.Errorf("not renewed: %v", res.Header)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := c.Read(ctx); err != nil || string(b) != "hello" {
		t.Fatalf("%v %s", err, b)
	}
	h.send("POST", h.ha+"/auth/revoke", url.Values{"token": {own.Refresh}}.Encode(), urlencoded)
	if _, _, err := c.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("it goes on: %v", err)
	}
	if _, res, err := websocket.Dial(ctx, h.svc+"/ws", &websocket.DialOptions{HTTPClient: h.client, HTTPHeader: http.Header{"Cookie": {"jwt_access_token=" + cookie}}}); err == nil || res == nil || res.StatusCode != 401 {
		t.Errorf("another one: %v", err)
	}
}

func TestThreat13_HomeAssistantIsAskedWithTheClientsRealAddress(t *testing.T) {
	for _, c := range []struct {
		trusted bool
		sent    []string
		want    string
	}{
		{false, nil, "192.0.2.1"}, {false, []string{"10.0.0.1"}, "192.0.2.1"},
		{true, nil, "192.0.2.1"}, {true, []string{"203.0.113.5", "10.0.0.7"}, "203.0.113.5, 10.0.0.7, 192.0.2.1"},
	} {
		r := withCaddy(get("http://ha.house.test/auth/token"))
		for _, s := range c.sent {
			r.Header.Add("X-Forwarded-For", s)
		}
		caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, c.trusted)
		if got := forwardedFor(r).Get("X-Forwarded-For"); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

func TestStreamsEndWhenTheSessionIsOver(t *testing.T) {
	h := newHouse(t, "domain house.test\nsession 3s", "")
	h.serveStreams()
	cookie, _ := h.login("owner", ownerPass)
	h.ends("its session is over", h.stream("Cookie", "jwt_access_token="+cookie))
	later(t, defaultLeeway+time.Second)
	h.out("after it", cookie)
}

func TestThreat10_ReloadsLoseNoSession(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	cookie, _ := h.login("owner", ownerPass)
	h.load()
	before := h.realm()
	goroutines := runtime.NumGoroutine()
	var failed atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			r, _ := http.NewRequest("GET", h.svc+"/", nil)
			r.Header.Set("Cookie", "jwt_access_token="+cookie)
			if res, err := h.client.Do(r); err == nil {
				if res.StatusCode != 200 {
					failed.Add(1)
				}
				res.Body.Close()
			}
		}
	}()
	for range 10 {
		h.load()
	}
	<-done
	if failed.Load() != 0 {
		t.Errorf("%d requests were refused", failed.Load())
	}
	if h.realm() != before {
		t.Error("the realm does not outlive a reload")
	}
	h.in("afterwards", cookie)
	h.client.CloseIdleConnections()
	t.Cleanup(func() {
		if t.Failed() {
			stacks := make([]byte, 1<<20)
			t.Logf("%s", stacks[:runtime.Stack(stacks, true)])
		}
	})
	until(t, "goroutines are level", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
}

func TestLoginConfigurationErrors(t *testing.T) {
	for words, want := range map[string]string{
		"domain com":                "public suffix",
		"domain co.uk":              "public suffix",
		"domain duckdns.org":        "public suffix",
		"domain localhost":          "public suffix",
		"domain 192.168.1.1":        "address",
		"domain exa_mple..com":      "no domain name",
		"domain bücher.example":     "punycode",
		"domain a.example b":        "Caddyfile:3",
		"lifetime 0":                "no duration",
		"session -1s":               "no duration",
		"redirect_to":               "Caddyfile:3",
		"redirect_to https://x.com": "no host",
		"redirect_to a.example:0":   "port",
		"nonsense":                  "unrecognized subdirective 'nonsense': hass_login takes home, domain,",
		"session 1d 2d":             "write `session <duration>`",
		"home a\nhome b":            "given twice",
	} {
		_, err := adapt(t, ":80 {\nhass_login {\n"+words+"\n}\n}\n")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%q: got %v, want %q", words, err, want)
		}
	}
	for _, domain := range []string{"example.com", ".example.com", "Home.Example.com", "my.duckdns.org", "home.localhost", "house.lan"} {
		if _, err := checkDomain(domain); err != nil {
			t.Errorf("%s: %v", domain, err)
		}
	}
	config, err := adapt(t, "{\n\tadmin off\n}\nhttp://127.0.0.1:0 {\n\thass_login\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err == nil || !strings.Contains(err.Error(), "hass {") {
		t.Errorf("without a home: %v", err)
		_ = caddy.Stop()
	}
}

func TestUnknownAddressesAndMethods(t *testing.T) {
	h := newHouse(t, "", "")
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/auth/jwt_cookie/nothing", 404}, {"POST", "/auth/jwt_cookie", 405}, {"GET", "/auth/jwt_cookie/logout", 405},
		{"GET", "/auth/jwt_cookie/session", 405}, {"HEAD", "/auth/jwt_cookie/jwks.json", 200}, {"GET", "/auth/jwt_cookies", 404},
		{"GET", "/", 200}, {"GET", "/auth/providers", 200}, {"GET", "/auth/token", 405},
	} {
		if r := h.send(c.method, h.ha+c.path, ""); r.StatusCode != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, r.StatusCode, c.want)
		}
	}
	// Without a domain, the cookie is for this host only.
	h.login("owner", ownerPass)
	_, own := h.login("owner", ownerPass)
	set := h.send("POST", h.ha+"/auth/token", h.refreshForm(own), urlencoded).Header.Get("Set-Cookie")
	if strings.Contains(set, "Domain") || !strings.Contains(set, "Path=/; Max-Age=2592000") {
		t.Errorf("%s", set)
	}
	// The cookie is nothing for Home Assistant; other cookies are.
	var got []string
	f := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		got = append(got, r.Header.Get("Cookie"))
	}
	h.between.Store(&f)
	h.send("GET", h.ha+"/x", "", "Cookie: a=b; jwt_access_token=x; c=d")
	if !slices.Equal(got, []string{"a=b; c=d"}) {
		t.Errorf("Home Assistant got %q", got)
	}
}

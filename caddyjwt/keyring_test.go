package caddyjwt

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/golang-jwt/jwt/v5"
)

// mintBy makes a token as a minter does, at a certain time.
func mintBy(t testing.TB, k *ringKey, at time.Time) string {
	t.Helper()
	if k == nil {
		t.Fatal("nothing signs")
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"sub": "a", "iss": defaultIssuer, "aud": []string{defaultIssuer}, "iat": at.Unix(), "exp": at.Add(time.Hour).Unix(),
	})
	token.Header["kid"] = k.ID
	s, err := token.SignedString(k.signer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func advance(t testing.TB, r *ring, at time.Time, want bool) {
	t.Helper()
	changed, err := r.advance(at)
	if err != nil || changed != want {
		t.Fatalf("at %s: changed %t, %v", at, changed, err)
	}
}

func TestKeysRotateWithOverlap(t *testing.T) {
	r := new(ring)
	advance(t, r, noon, true)
	advance(t, r, noon, false)
	first := r.signing(noon)
	at := noon.Add(keyRotation - keyAhead - time.Minute)
	advance(t, r, at, false)

	// The next one is published a day before it signs.
	at = at.Add(time.Minute)
	advance(t, r, at, true)
	advance(t, r, at, false)
	if len(r.Keys) != 2 || r.signing(at) != first || r.signing(at.Add(keyAhead-time.Second)) != first {
		t.Fatal("the next key signs too early")
	}
	jwks, err := r.jwks()
	if err != nil {
		t.Fatal(err)
	}
	published, err := parseJWKS(jwks)
	if err != nil || len(published) != 2 || published[0].id != r.Keys[1].ID || !published[1].equal(key{public: first.public}) {
		t.Fatalf("%v %s", err, jwks)
	}
	pems, err := parsePEM(r.pem(at))
	if err != nil || len(pems) != 2 || !pems[0].equal(key{public: first.public}) {
		t.Fatalf("PEM: %v", err)
	}
	if strings.Contains(string(jwks), `"d"`) {
		t.Error("a private key is published")
	}

	at = at.Add(keyAhead)
	second := r.signing(at)
	if second == first || second != r.Keys[1] {
		t.Fatal("the next key does not sign when its time has come")
	}
	// What the first has signed is good until it expires, and what it would sign now is not.
	c := &checks{issuer: defaultIssuer, audience: []string{defaultIssuer}, leeway: defaultLeeway, now: func() time.Time { return at.Add(2 * privateAfter) }}
	v := newVerifier(r.keySet(), c)
	stolen := mintBy(t, first, at.Add(2*privateAfter))
	if _, err := v.verify(stolen); err == nil {
		t.Error("a key that has ceased to sign still signs")
	}
	if _, err := v.verify(mintBy(t, second, at.Add(2*privateAfter))); err != nil {
		t.Error(err)
	}
	c.now = func() time.Time { return at }
	if _, err := newVerifier(r.keySet(), c).verify(mintBy(t, first, at.Add(-time.Minute))); err != nil {
		t.Error(err)
	}

	advance(t, r, at.Add(privateAfter+time.Second), true)
	if len(r.Keys[0].Private) != 0 || r.Keys[0].signer != nil || len(r.Keys[0].Public) == 0 {
		t.Error("the old private key is still there")
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseRing(text)
	if err != nil || len(again.Keys) != 2 || again.signing(at).ID != second.ID {
		t.Fatalf("read again: %v", err)
	}
}

func TestRotatingByHand(t *testing.T) {
	r := new(ring)
	advance(t, r, noon, true)
	first := r.Keys[0]
	if err := r.rotate(noon, false); err != nil {
		t.Fatal(err)
	}
	if err := r.rotate(noon.Add(time.Minute), false); err != nil {
		t.Fatal(err)
	}
	if len(r.Keys) != 2 || r.signing(noon.Add(5*time.Minute)) != first || r.signing(noon.Add(time.Minute+keyAheadByHand)) != r.Keys[1] {
		t.Error("a key that has not begun to sign does not give way")
	}
	secret := string(r.Secret)
	if err := r.rotate(noon, true); err != nil {
		t.Fatal(err)
	}
	if len(r.Keys) != 1 || r.Keys[0] == first || r.signing(noon) != r.Keys[0] || string(r.Secret) == secret {
		t.Error("something of the old is left")
	}
}

func TestDamagedKeysAreSaidSo(t *testing.T) {
	good := new(ring)
	advance(t, good, noon, true)
	other := new(ring)
	advance(t, other, noon, true)
	mixed := ring{Keys: []*ringKey{{ID: "x", Private: good.Keys[0].Private, Public: other.Keys[0].Public}}, Secret: good.Secret}
	text, err := json.Marshal(mixed)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "{", "{}", "null", `{"keys":[null],"secret":"` + strings.Repeat("A", 64) + `"}`, `{"keys":[{"kid":"x","public":"AAAA"}],"secret":"` + strings.Repeat("A", 64) + `"}`, string(text)} {
		if _, err := parseRing([]byte(bad)); err != errDamagedRing {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Two Caddys on one storage have one key, one after the other or at once, and tell each
// other who is out.
func TestCaddysOnOneStorageAgree(t *testing.T) {
	dir := t.TempDir()
	var all []*realm
	var wg sync.WaitGroup
	for range 4 {
		r := &realm{home: "default", stop: make(chan struct{}), stopped: make(chan struct{}), log: slog.New(slog.DiscardHandler)}
		r.keys.Store(new(KeySet))
		all = append(all, r)
		wg.Go(func() {
			if _, err := r.start(&certmagic.FileStorage{Path: dir}, slog.New(slog.DiscardHandler), true); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, r := range all {
			if err := r.Destruct(); err != nil {
				t.Error(err)
			}
		}
	})
	for _, r := range all[1:] {
		if len(r.Keys().keys) != 1 || r.Keys().keys[0].id != all[0].Keys().keys[0].id {
			t.Fatal("different keys")
		}
	}

	// A key that one of them makes is known to the others as soon as a token asks for it.
	a, b := all[0], all[1]
	a.mu.Lock()
	err := a.changeKeys(t.Context(), func(r *ring) (bool, error) { return true, r.rotate(now(), true) })
	a.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the new key is known", func() bool { return b.Refresh().keys[0].id == a.Keys().keys[0].id })

	s := session{id: "login.random", user: "u", issued: now()}
	if b.judge(s, "127.0.0.1") != nil {
		t.Fatal("nobody has logged out yet")
	}
	if err := a.finish(t.Context(), endings{Sessions: map[string]int64{"login": now().Add(time.Hour).Unix()}}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := b.follow(t.Context(), s, "127.0.0.1", time.Time{})
	defer stop()
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
		t.Error("a request at another Caddy goes on after the session")
	}
	if b.judge(s, "127.0.0.1") != errEnded {
		t.Error("another Caddy does not know")
	}
}

func TestEndingsStayCompact(t *testing.T) {
	e := endings{Sessions: map[string]int64{"past": noon.Unix() - 1}, Users: map[string]int64{"long ago": noon.Add(-publicAfter - time.Hour).Unix()}}
	if !e.merge(endings{Sessions: map[string]int64{"a": noon.Unix() + 10}}, noon) || len(e.Sessions) != 1 || len(e.Users) != 0 {
		t.Errorf("%+v", e)
	}
	if e.merge(endings{Sessions: map[string]int64{"a": noon.Unix() + 5}}, noon) || e.Sessions["a"] != noon.Unix()+10 {
		t.Errorf("%+v", e)
	}
}

// jwksServer serves a JWK Set and counts.
type jwksServer struct {
	*httptest.Server
	fetches atomic.Int32
	serve   atomic.Pointer[http.HandlerFunc]
}

func newJWKSServer(t testing.TB, keys ...*ecdsa.PrivateKey) *jwksServer {
	t.Helper()
	s := new(jwksServer)
	s.set(t, keys...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		(*s.serve.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *jwksServer) set(t testing.TB, keys ...*ecdsa.PrivateKey) {
	t.Helper()
	text := jwksText(t, keys...)
	s.answer(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
}

func jwksText(t testing.TB, keys ...*ecdsa.PrivateKey) string {
	t.Helper()
	var set jwkSet
	for _, k := range keys {
		j, err := jwkOf(&k.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		j.Kid, err = thumbprint(&k.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, j)
	}
	return mustJSON(t, set)
}

func (s *jwksServer) answer(f http.HandlerFunc) { s.serve.Store(&f) }

// signedBy makes a token that names its key.
func signedBy(t testing.TB, k *ecdsa.PrivateKey, kid string) string {
	t.Helper()
	if kid == "" {
		var err error
		if kid, err = thumbprint(&k.PublicKey); err != nil {
			t.Fatal(err)
		}
	}
	return sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256","kid":"`+kid+`"}`, mustJSON(t, claimsAt(noon)))
}

func TestThreat09_AThousandUnknownKidsMakeOneFetch(t *testing.T) {
	k, foreign := newP256(t), newP256(t)
	server := newJWKSServer(t, k)
	clock := noon
	var mu sync.Mutex
	source := newJWKSSource(server.URL, func() time.Time { mu.Lock(); defer mu.Unlock(); return clock })
	pass := func(d time.Duration) { mu.Lock(); clock = clock.Add(d); mu.Unlock() }
	h := newHandler(t, new(HassJWT))
	h.keys = source
	in := func(token string) bool {
		return serve(t, h, get("/", "Cookie: jwt_access_token="+token)).passed != nil
	}
	if server.fetches.Load() != 0 {
		t.Fatal("fetched before anybody came")
	}
	if !in(signedBy(t, k, "")) || server.fetches.Load() != 1 {
		t.Fatalf("a good token: %d fetches", server.fetches.Load())
	}
	var wg sync.WaitGroup
	pass(jwksWindow)
	for i := range 1000 {
		wg.Go(func() {
			if in(signedBy(t, foreign, fmt.Sprint("unknown-", i))) {
				t.Error("a stranger is in")
			}
		})
	}
	wg.Wait()
	if n := server.fetches.Load(); n != 2 {
		t.Errorf("%d fetches in all, want one more", n)
	}

	// While the set cannot be had, or is none, the old keys stay.
	foreignSet := jwksText(t, foreign)
	for name, f := range map[string]http.HandlerFunc{
		"500":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"garbage":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"empty":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) },
		"symmetric": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[{"kty":"oct","k":"AAAA"}]}`) },
		"10 MB":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 10<<20), foreignSet) },
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		"broken":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		server.answer(f)
		before := server.fetches.Load()
		pass(jwksWindow)
		if in(signedBy(t, foreign, "")) || !in(signedBy(t, k, "")) {
			t.Errorf("%s: the keys have changed", name)
		}
		until(t, name+" was asked for", func() bool { return server.fetches.Load() > before })
	}

	// A new key counts at once; one that is gone no longer, once that is known.
	server.set(t, foreign)
	pass(jwksWindow)
	if !in(signedBy(t, foreign, "")) || in(signedBy(t, k, "")) {
		t.Error("the new set does not count")
	}
	// And a set is asked for again although nobody comes with an unknown key.
	server.set(t, foreign, k)
	before := server.fetches.Load()
	pass(jwksFresh)
	in(signedBy(t, foreign, ""))
	until(t, "asked again", func() bool { return server.fetches.Load() == before+1 && len(source.Keys().keys) == 2 })
}

func newP256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	r := new(ring)
	if err := r.add(noon); err != nil {
		t.Fatal(err)
	}
	return r.Keys[0].signer
}

// Who has the keys only by their address refuses an expired token even where its session
// lives, and knows nothing of logouts.
func TestKeysByJWKS(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	jwks := newJWKSServer(t)
	jwks.answer(func(w http.ResponseWriter, _ *http.Request) {
		text, err := h.realm().ring.Load().jwks()
		if err != nil {
			t.Error(err)
		}
		w.Write(text)
	})
	h.body = strings.Replace(h.body, "login "+h.ha, "login "+h.ha+"\nkey jwks "+jwks.URL, 1)
	h.load()
	cookie, own := h.login("owner", ownerPass)
	h.in("by JWKS", cookie)
	h.send("POST", h.ha+"/auth/revoke", "token="+own.Refresh, urlencoded)
	h.in("until it expires", cookie)
	fresh, _ := h.login("owner", ownerPass)
	later(t, 31*time.Minute)
	h.out("expired, though its session lives", fresh)
}

func TestHomesAreStrangersToEachOther(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	h.body = strings.Replace(h.body, "\thass {", "\thass cabin {\n\t\turl "+h.home.URL()+"\n\t\ttoken {env.HOUSE_TOKEN}\n\t}\n\thass {", 1) +
		strings.ReplaceAll(strings.ReplaceAll(h.ha+" {\n", "ha.", "cabin."), "\t", "") + "\thass_login {\n\t\thome cabin\n\t\tdomain house.test\n\t}\n\treverse_proxy " + strings.TrimPrefix(h.home.URL(), "http://") + "\n}\n" +
		strings.ReplaceAll(h.svc, "svc.", "hut.") + " {\n\thass_jwt {\n\t\thome cabin\n\t}\n\trespond hut\n}\n"
	h.load()
	main, _ := h.login("owner", ownerPass)
	cabinSite, hut := strings.Replace(h.ha, "ha.", "cabin.", 1), strings.Replace(h.svc, "svc.", "hut.", 1)
	home := h.ha
	h.ha = cabinSite
	id := h.ha + "/"
	r := h.send("POST", h.ha+"/auth/token", "grant_type=authorization_code&client_id="+id+"&code="+h.code("owner", ownerPass, id, nil), urlencoded)
	h.ha = home
	name, rest, _ := strings.Cut(r.Header.Get("Set-Cookie"), "=")
	cabin, _, _ := strings.Cut(rest, ";")
	if name != "jwt_access_token_cabin" || cabin == "" {
		t.Fatalf("%d %s", r.StatusCode, r.Header.Get("Set-Cookie"))
	}
	if _, c := claimsOf(t, cabin); c["iss"] != "homeassistant/cabin" {
		t.Errorf("iss %v", c["iss"])
	}
	for _, c := range []struct {
		site, cookie, token string
		want                int
	}{
		{h.svc, "jwt_access_token", main, 200}, {hut, "jwt_access_token_cabin", cabin, 200},
		{h.svc, "jwt_access_token", cabin, 401}, {hut, "jwt_access_token_cabin", main, 401},
		{h.svc, "jwt_access_token_cabin", cabin, 401}, {hut, "jwt_access_token", main, 401},
	} {
		if r := h.send("GET", c.site+"/", "", "Cookie: "+c.cookie+"="+c.token); r.StatusCode != c.want {
			t.Errorf("%s with %s: %d, want %d", c.site, c.cookie, r.StatusCode, c.want)
		}
	}
	a, b := h.send("GET", h.ha+"/auth/jwt_cookie/jwks.json", "").text, h.send("GET", cabinSite+"/auth/jwt_cookie/jwks.json", "").text
	if a == b || !strings.Contains(a, `"kid"`) || !strings.Contains(b, `"kid"`) {
		t.Errorf("keys: %s %s", a, b)
	}
}

// A Caddy that only has hass_jwt, on the storage of one with hass_login, renews as well.
func TestAnotherCaddyOnTheSameStorageRenews(t *testing.T) {
	h := newHouse(t, "domain house.test\nsession 2h", "")
	cookie, _ := h.login("owner", ownerPass)
	begin, end := strings.Index(h.body, "\thass_login {"), strings.Index(h.body, "\treverse_proxy")
	h.body = h.body[:begin] + h.body[end:] // what is left of it is that other Caddy
	h.restart()
	h.in("fresh", cookie)
	later(t, 31*time.Minute)
	r := h.open(cookie)
	if r.StatusCode != 200 || r.cookie() == "" || !strings.Contains(r.Header.Get("Set-Cookie"), "Domain=house.test") {
		t.Fatalf("expired, but its session lives: %d %v", r.StatusCode, r.Header)
	}
	later(t, 2*time.Hour)
	h.out("after the session", r.cookie())
}

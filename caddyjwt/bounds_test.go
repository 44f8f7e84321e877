package caddyjwt

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
)

// A Caddy that was killed while it held the lock of the keys does not keep the next one from
// starting, and one that has all the keys it needs does not even wait for it.
func TestLockOfAKilledCaddyDoesNotHoldUpTheStart(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	start := func() (*realm, error) {
		r := &realm{home: "default", stop: make(chan struct{}), stopped: make(chan struct{}), log: slog.New(slog.DiscardHandler)}
		r.keys.Store(new(KeySet))
		_, err := r.start(storage, slog.New(slog.DiscardHandler), true)
		t.Cleanup(func() { _ = r.Destruct() })
		return r, err
	}
	first, err := start()
	if err != nil {
		t.Fatal(err)
	}
	name := first.name("keys.json")
	if err := storage.Lock(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = storage.Unlock(t.Context(), name) }()
	again, err := start() // in vain after storageWithin, if it wanted the lock
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Keys().keys) != 1 || again.Keys().keys[0].id != first.Keys().keys[0].id || again.ring.Load().signing(now()) == nil {
		t.Error("other keys")
	}
}

// Keys that somebody has removed are made anew at the next start or reload.
func TestRemovedKeysAreMadeAnew(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	cookie, _ := h.login("owner", ownerPass)
	storage := h.realm().storage.Current()
	if err := storage.Delete(t.Context(), h.realm().name("keys.json")); err != nil {
		t.Fatal(err)
	}
	h.load()
	h.out("signed by a key that somebody has removed", cookie)
	cookie, _ = h.login("owner", ownerPass)
	h.in("by a new key", cookie)
}

// Who waited for an answer that was long in coming does not ask once more, or many would wait for
// one after the other.
func TestThreat09_SlowJWKSIsNotAskedByEverybodyInTurn(t *testing.T) {
	server := newJWKSServer(t)
	clock := noon
	server.answer(func(w http.ResponseWriter, _ *http.Request) {
		clock = clock.Add(jwksWithin)
		w.WriteHeader(http.StatusBadGateway)
	})
	source := newJWKSSource(server.URL, func() time.Time { return clock })
	for range 3 {
		source.Refresh()
	}
	if n := server.fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	clock = clock.Add(jwksRetry)
	source.Refresh()
	if n := server.fetches.Load(); n != 2 {
		t.Errorf("%d fetches after a while, want 2", n)
	}
}

// However a handler begins its answer, the renewed cookie is in it.
func TestRenewedCookieIsInEveryKindOfAnswer(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"status":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"body":      func(w http.ResponseWriter) { io.WriteString(w, "text") },
		"copy":      func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(strings.NewReader("text")) },
		"flush":     func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"control":   func(w http.ResponseWriter) { http.NewResponseController(w).Flush() },
		"upgrade":   func(w http.ResponseWriter) { w.WriteHeader(http.StatusSwitchingProtocols) },
		"after 103": func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints); io.WriteString(w, "text") },
	} {
		rec := httptest.NewRecorder()
		added := 0
		w := &renewingWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: rec}, add: func(h http.Header) {
			added++
			h.Add("Set-Cookie", "a=b")
		}}
		answer(w)
		io.WriteString(w, "more")
		if got := rec.Result().Header.Values("Set-Cookie"); name != "after 103" && (len(got) != 1 || added != 1) {
			t.Errorf("%s: %q, added %d times", name, got, added)
		}
	}
}

// Where tokens live shorter than a page's requests are given the same one, it is fresh all the same.
func TestRenewedTokenOfAShortLifetimeIsFresh(t *testing.T) {
	h := newHouse(t, "domain house.test\nlifetime 8s", "")
	cookie, _ := h.login("owner", ownerPass)
	later(t, 5*time.Second)
	first := h.open(cookie).cookie()
	later(t, 9*time.Second)
	second := h.open(cookie).cookie()
	if first == "" || second == "" || first == second {
		t.Fatalf("%q %q", first, second)
	}
	if _, c := claimsOf(t, second); int64(c["exp"].(float64)) <= now().Unix() {
		t.Error("it has expired already")
	}
}

// What has no session is not renewed: what is open ends with the token.
func TestStreamsOfTokensWithoutSessionEndWithThem(t *testing.T) {
	h := newHouse(t, "domain house.test", "leeway 0s\nlogin HA")
	h.serveStreams()
	app := h.guard().app
	made, err := app.MakeToken(t.Context(), NewToken{User: "owner", Lifetime: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	h.ends("its token has expired", h.stream("Authorization", "Bearer "+made.Token))
}

// Logouts of logins that nobody knows do not fill the storage, from however many addresses.
func TestLogoutsOfUnknownLoginsAreBounded(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	for i := range maxUnknownLogins + 20 {
		h.send("POST", h.ha+"/auth/revoke", url.Values{"token": {fmt.Sprint("made up ", i)}}.Encode(), urlencoded, fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))
	}
	count := func() int {
		h.realm().sessions.mu.Lock()
		defer h.realm().sessions.mu.Unlock()
		return len(h.realm().sessions.ended.Sessions)
	}
	if n := count(); n != maxUnknownLogins {
		t.Errorf("%d are written down, want %d", n, maxUnknownLogins)
	}
	// Those that are known here are no matter of that.
	cookie, own := h.login("owner", ownerPass)
	h.send("POST", h.ha+"/auth/revoke", url.Values{"token": {own.Refresh}}.Encode(), urlencoded)
	h.out("logged out", cookie)
	if n := strings.Count(h.logs(), "logouts of logins that are not known"); n != 1 {
		t.Errorf("said %d times", n)
	}
	later(t, time.Hour)
	h.send("POST", h.ha+"/auth/revoke", url.Values{"token": {"made up later"}}.Encode(), urlencoded)
	if n := count(); n != maxUnknownLogins+2 {
		t.Errorf("%d after an hour, want %d", n, maxUnknownLogins+2)
	}
}

// A service behind one home's hass_jwt does not get to see what opens another home's.
func TestThreat11_CookiesOfOtherHomesAreTakenOutToo(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	h.body += strings.ReplaceAll(h.svc, "svc.", "hut.") + " {\n\thass_jwt {\n\t\thome cabin\n\t}\n\trespond hut\n}\n"
	h.load()
	cookie, _ := h.login("owner", ownerPass)
	seen := ""
	h.between.Store(new(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { seen = r.Header.Get("Cookie") }))
	const fields = "Cookie: a=1; jwt_access_token_cabin=x.y.z; jwt_access_token="
	if r := h.send("GET", h.svc+"/", "", fields+cookie+"; jwt_access_token_other=2"); !strings.HasSuffix(r.text, "|a=1; jwt_access_token_other=2") {
		t.Errorf("the service is told %q", r.text)
	}
	if h.send("GET", h.ha+"/", "", fields+cookie); seen != "a=1" {
		t.Errorf("Home Assistant is told %q", seen)
	}
}

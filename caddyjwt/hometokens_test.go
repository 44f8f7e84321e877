package caddyjwt

import (
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// askedHome is a home that counts how often it is asked about a token.
type askedHome struct {
	*hasstest.Home
	*homeTokens
	t     *testing.T
	asked atomic.Int32
	from  sync.Map // what X-Forwarded-For said
	hold  atomic.Pointer[chan struct{}]
}

func newAskedHome(t *testing.T) *askedHome {
	t.Helper()
	h := &askedHome{
		Home:       hasstest.New(hasstest.WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8"))),
		homeTokens: newHomeTokens(), t: t,
	}
	t.Cleanup(h.Home.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/" {
			h.asked.Add(1)
			h.from.Store(r.Header.Get("X-Forwarded-For"), true)
			if hold := h.hold.Load(); hold != nil {
				<-*hold
			}
		}
		h.Home.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p, err := hassclient.NewProber(hassclient.Config{URL: server.URL, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	h.probers.Push(p)
	return h
}

func (h *askedHome) ask(token, ip string) *homeAnswer {
	return h.whose(h.t.Context(), token, ip, http.Header{"X-Forwarded-For": {ip}})
}

func (h *askedHome) want(what, token, ip string, err error) {
	h.t.Helper()
	if a := h.ask(token, ip); !errors.Is(a.err, err) {
		h.t.Errorf("%s: %v (%v), want %v", what, a.err, a.cause, err)
	}
}

// wrongToken looks like one of a home's.
func wrongToken(t testing.TB, n int) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": fmt.Sprintf("%032x", n), "iat": now().Unix(), "exp": now().Add(time.Hour).Unix(),
	}).SignedString([]byte("guess"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const afar = "203.0.113.7"

func TestHomeIsAskedOnceAMinute(t *testing.T) {
	h := newAskedHome(t)
	hold := make(chan struct{})
	h.hold.Store(&hold)
	var twins sync.WaitGroup
	for range 50 {
		twins.Go(func() {
			if a := h.ask(h.UserToken(), afar); a.err != nil || a.user.ID != h.UserID("resident") {
				t.Errorf("a twin: %+v", a)
			}
		})
	}
	until(t, "the home is asked", func() bool { return h.asked.Load() > 0 })
	close(hold)
	twins.Wait()
	h.want("again", h.UserToken(), afar, nil)
	if n := h.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	if _, ok := h.from.Load(afar); !ok {
		t.Error("the home was not told who asks")
	}

	// The answer is forgotten in time, so that a token that was revoked is of no use.
	h.RevokeToken(h.UserToken())
	h.want("within the minute", h.UserToken(), afar, nil)
	later(t, homeTokenKept)
	h.want("after it", h.UserToken(), afar, errHomeRefuses)
	h.want("refused is remembered, too", h.UserToken(), afar, errHomeRefuses)
	if n := h.asked.Load(); n != 2 {
		t.Errorf("asked %d times, want twice", n)
	}
}

func TestWrongTokensDoNotGetAnybodyBanned(t *testing.T) {
	h := newAskedHome(t)
	h.want("a good one", h.Token(), afar, nil)
	flood := func(ip string) (asked int32) {
		before := h.asked.Load()
		for i := range 30 {
			h.ask(wrongToken(t, i), ip)
		}
		return h.asked.Load() - before
	}
	if n := flood(afar); n != limitTries {
		t.Errorf("the home was asked about %d wrong tokens, want %d", n, limitTries)
	}
	h.want("an unknown one after that", h.UserToken(), afar, errHomeTries)
	h.want("from another client", h.UserToken(), "203.0.113.8", nil)

	// Who is known to come with a good one is no guesser, and takes the wrong ones back.
	later(t, 2*homeTokenKept)
	h.want("a known one after that", h.Token(), afar, nil)
	h.want("another then", h.UserToken(), afar, nil)

	// An IPv6 client has a whole network to come from.
	before := h.asked.Load()
	for i := range 30 {
		h.ask(wrongToken(t, 100+i), fmt.Sprintf("2001:db8:0:1::%x", i+1))
	}
	if n := h.asked.Load() - before; n != limitTries {
		t.Errorf("from a /64 the home was asked %d times, want %d", n, limitTries)
	}
	h.want("the next network", h.UserToken(), "2001:db8:0:2::1", nil)

	// Elsewhere the hour is over at some time; here, where a ban would be this Caddy's, only
	// a good token ends it.
	flood(afar)
	flood("127.0.0.1")
	later(t, wrongWindow)
	if n := flood(afar); n == 0 {
		t.Error("a client waits for ever")
	}
	later(t, wrongWindow)
	if n := flood("127.0.0.1"); n != 0 {
		t.Errorf("asked %d times more from this machine", n)
	}
}

func TestOnlyWhatLooksLikeItsOwnIsShownToTheHome(t *testing.T) {
	h := newAskedHome(t)
	sign := func(header, payload string) string {
		return sign(t, jwt.SigningMethodHS256, []byte("x"), header, payload)
	}
	id := "0123456789abcdef0123456789abcdef"
	soon := now().Add(time.Hour).Unix()
	good := fmt.Sprintf(`{"iss":"%s","iat":1,"exp":%d}`, id, soon)
	if _, ok := looksLikeHomeToken(sign(`{"alg":"HS256","typ":"JWT"}`, good)); !ok {
		t.Fatal("one like Home Assistant's is not taken for one")
	}
	for what, token := range map[string]string{
		"a service's own":    "glsa_abcdefghijklmnop",
		"empty":              "",
		"another algorithm":  sign(`{"alg":"HS512","typ":"JWT"}`, good),
		"none":               sign(`{"alg":"none","typ":"JWT"}`, good),
		"another issuer":     sign(`{"alg":"HS256","typ":"JWT"}`, fmt.Sprintf(`{"iss":"frigate","exp":%d}`, soon)),
		"no issuer":          sign(`{"alg":"HS256","typ":"JWT"}`, fmt.Sprintf(`{"sub":"admin","exp":%d}`, soon)),
		"no end":             sign(`{"alg":"HS256","typ":"JWT"}`, `{"iss":"`+id+`"}`),
		"over":               sign(`{"alg":"HS256","typ":"JWT"}`, fmt.Sprintf(`{"iss":"%s","exp":%d}`, id, now().Add(-time.Hour).Unix())),
		"no JSON":            sign(`{"alg":"HS256"`, good),
		"too long":           sign(`{"alg":"HS256","typ":"JWT","x":"`+string(make([]byte, maxToken))+`"}`, good),
		"one of hass_login":  mint(t, newEC(t, elliptic.P256()), claimsAt(now())),
		"a name twice in it": sign(`{"alg":"HS256","alg":"HS256"}`, good),
	} {
		h.want(what, token, afar, errHomeRefuses)
	}
	if n := h.asked.Load(); n != 0 {
		t.Errorf("the home was asked %d times", n)
	}
}

func TestHomeThatCannotBeAsked(t *testing.T) {
	h := newAskedHome(t)
	h.want("before", h.UserToken(), afar, nil)
	later(t, homeTokenKept)
	h.Fault(hasstest.Refuse)
	for range 2 * limitTries {
		h.want("gone", h.UserToken(), afar, errHomeSilent)
		h.want("gone, and unknown", h.Token(), afar, errHomeSilent)
	}
	h.Heal()
	h.want("back", h.UserToken(), afar, nil) // nothing counted as wrong
	h.want("back, and unknown", h.Token(), afar, nil)

	// One that hangs holds nobody who hangs up, and only so many questions.
	later(t, homeTokenKept)
	hold := make(chan struct{})
	defer close(hold)
	h.hold.Store(&hold)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	for i := range maxHomeQuestions + 1 {
		if a := h.whose(ctx, wrongToken(t, i), fmt.Sprintf("203.0.113.%d", i), nil); !errors.Is(a.err, errHomeSilent) {
			t.Errorf("question %d: %v", i, a.err)
		}
	}
	until(t, "the questions are asked", func() bool { return len(h.open) == maxHomeQuestions })
	h.want("one more", wrongToken(t, 99), "203.0.113.99", errHomeSilent)
}

func TestHomeAnswersAreBounded(t *testing.T) {
	h := newHomeTokens()
	for i := range maxHomeTokens + 100 {
		a := &homeAnswer{done: make(chan struct{})}
		close(a.done)
		h.put(h.key(fmt.Sprint(i), afar), a)
	}
	if n := len(h.answers); n != maxHomeTokens {
		t.Errorf("%d answers are remembered, want %d", n, maxHomeTokens)
	}
	if newHomeTokens().key("x", afar) == h.key("x", afar) || h.key("x", "192.168.1.5") == h.key("x", afar) {
		t.Error("answers are to be found by a secret of this process and by where a client is")
	}
}

func TestWhoMayOnlyComeFromTheLocalNetworkIsAskedForThere(t *testing.T) {
	h := newAskedHome(t)
	kid := h.AddUser(hasstest.User{Username: "kid", Password: "x", LocalOnly: true})
	h.want("at home", kid, "192.168.1.5", nil)
	h.want("from afar, right after", kid, afar, errHomeRefuses)
	h.want("at home again", kid, "192.168.1.6", nil)
}

// A token that may come from home only is no guess, but Home Assistant counts it as one.
func TestKnownTokenIsCountedWhereItIsRefused(t *testing.T) {
	h := newAskedHome(t)
	kid := h.AddUser(hasstest.User{Username: "kid", Password: "x", LocalOnly: true})
	for range 3 * limitTries {
		h.want("at home", kid, "192.168.1.5", nil)
		h.ask(kid, afar)
		later(t, homeTokenKept)
	}
	h.want("from afar in the end", kid, afar, errHomeTries)
	if n := h.asked.Load(); n > 3*limitTries+1+limitTries {
		t.Errorf("asked %d times", n)
	}
	h.want("at home in the end", kid, "192.168.1.5", nil)
}

// What was good and is revoked counts at Home Assistant like a guess.
func TestRevokedTokenIsCounted(t *testing.T) {
	h := newAskedHome(t)
	h.want("good", h.UserToken(), afar, nil)
	h.RevokeToken(h.UserToken())
	later(t, homeTokenKept)
	h.want("revoked", h.UserToken(), afar, errHomeRefuses)
	before := h.asked.Load()
	for i := range 2 * limitTries {
		h.ask(wrongToken(t, i), afar)
	}
	if n := h.asked.Load() - before; n != limitTries-1 {
		t.Errorf("asked about %d more, want %d", n, limitTries-1)
	}
}

func TestLimiterCountsEachClientByItself(t *testing.T) {
	var l limiter
	for i := range limitTries + 1 {
		if ok := l.allow(afar, noon.Add(time.Duration(i)*time.Second)); ok != (i < limitTries) {
			t.Errorf("try %d: %t", i, ok)
		}
	}
	if !l.allow("203.0.113.8", noon.Add(limitWindow-time.Second)) {
		t.Error("another client has no try")
	}
	if !l.allow(afar, noon.Add(limitWindow)) {
		t.Error("no try after the window")
	}
	for range limitTries - 1 {
		l.allow("203.0.113.8", noon.Add(limitWindow))
	}
	if l.allow("203.0.113.8", noon.Add(limitWindow)) {
		t.Error("somebody else's window ends this client's")
	}
	for i := range 2 * limitKept {
		l.allow(fmt.Sprintf("10.%d.%d.1", i>>8, i&255), noon.Add(limitWindow))
	}
	if len(l.tries) > limitKept {
		t.Errorf("%d clients are remembered", len(l.tries))
	}
}

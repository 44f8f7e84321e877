package caddyjwt

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/internal/reload"
)

const (
	// homeTokenKept is for how long an answer of the home counts.
	homeTokenKept = time.Minute

	// homeTokenKnown is how long a token that was good is known to be no guess,
	// so that its client may have the home asked again however many wrong ones came from there.
	homeTokenKnown = 24 * time.Hour

	// maxHomeTokens is how many answers are remembered.
	maxHomeTokens = 4096

	// homeTokenWithin bounds a question, and maxHomeQuestions how many are open at once.
	homeTokenWithin  = 5 * time.Second
	maxHomeQuestions = 8

	// wrongWindow is how long the wrong tokens of a client are counted. Home Assistant
	// counts them until a good one comes from there.
	wrongWindow = time.Hour
)

// Why a token of the home's is refused. The texts go to the log.
var (
	errHomeRefuses = errors.New("not taken by Home Assistant")
	errHomeTries   = errors.New("too many wrong tokens came from this client: Home Assistant is not asked about another for an hour, or until a reload")
	errHomeSilent  = errors.New("no answer about it from Home Assistant")
)

// homeTokenPool holds one homeTokens per home, shared by all handlers and over reloads.
var homeTokenPool = caddy.NewUsagePool()

// homeTokens knows whose the access tokens of a home are, by asking it. Nobody else can:
// each is signed with a secret that only the home has.
type homeTokens struct {
	probers reload.Stack[*hassclient.Prober]
	secret  []byte
	own     map[netip.Addr]bool // this machine's addresses

	wrong limiter // by client
	// Of this machine's own addresses, where a ban would shut out this Caddy itself, wrong
	// tokens are counted as Home Assistant does: until there is a good one, or a reload.
	wrongHere limiter

	open chan struct{} // one for each open question

	mu      sync.Mutex
	answers map[tokenKey]*homeAnswer
}

// tokenKey is how a token is remembered: it cannot be had from it. Who may only come from the
// local network is answered otherwise from elsewhere.
type tokenKey struct {
	mac   [sha256.Size]byte
	local bool
}

// homeAnswer is what the home says of a token.
type homeAnswer struct {
	done  chan struct{} // closed when it has answered; what follows is not changed then
	user  hassclient.User
	err   error // one of the above
	cause error // behind errHomeSilent
	asked time.Time
	until time.Time // the answer counts

	expires time.Time // the token itself
}

// why is the reason for the log.
func (a *homeAnswer) why() error {
	if a.cause != nil {
		return fmt.Errorf("%w: %w", a.err, a.cause)
	}
	return a.err
}

// acquireHomeTokens returns what is known of a home's tokens. It asks nothing.
func acquireHomeTokens(name string, config hassclient.Config) (t *homeTokens, release func(), err error) {
	prober, err := hassclient.NewProber(config)
	if err != nil {
		return nil, nil, err
	}
	id := name + "\x00" + config.URL
	value, _, err := homeTokenPool.LoadOrNew(id, func() (caddy.Destructor, error) { return newHomeTokens(), nil })
	if err != nil {
		return nil, nil, err
	}
	t = value.(*homeTokens)
	// Somebody has done something, as with a token of ours that the home has refused.
	t.wrong.reset()
	t.wrongHere.reset()
	forget := t.probers.Push(prober)
	return t, sync.OnceFunc(func() {
		forget()
		prober.Close()
		_, _ = homeTokenPool.Delete(id)
	}), nil
}

func newHomeTokens() *homeTokens {
	t := &homeTokens{
		secret:    make([]byte, sha256.Size),
		own:       make(map[netip.Addr]bool),
		wrong:     limiter{window: wrongWindow},
		wrongHere: limiter{window: 100 * 365 * 24 * time.Hour},
		open:      make(chan struct{}, maxHomeQuestions),
		answers:   make(map[tokenKey]*homeAnswer),
	}
	_, _ = rand.Read(t.secret) // never fails
	if list, err := net.InterfaceAddrs(); err == nil {
		for _, a := range list {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				t.own[p.Addr().Unmap()] = true
			}
		}
	}
	return t
}

// Destruct implements caddy.Destructor.
func (*homeTokens) Destruct() error { return nil }

// key says where the answer about a token is.
func (t *homeTokens) key(token, ip string) tokenKey {
	key := tokenKey{local: isLocal(ip)}
	h := hmac.New(sha256.New, t.secret)
	_, _ = h.Write([]byte(token))
	h.Sum(key.mac[:0])
	return key
}

// known says whether a token was good lately, from wherever it came, so that it is no
// guess; unless it has been refused where it comes from now. t.mu is held.
func (t *homeTokens) known(key tokenKey) bool {
	if a := t.answers[key]; a != nil && a.wasRefused() {
		return false
	}
	for _, local := range []bool{key.local, !key.local} {
		if a := t.answers[tokenKey{key.mac, local}]; a != nil && a.wasGood() {
			return true
		}
	}
	return false
}

func (a *homeAnswer) wasRefused() bool {
	select {
	case <-a.done:
		return errors.Is(a.err, errHomeRefuses)
	default:
		return false
	}
}

// wasGood says whether the token was good lately.
func (a *homeAnswer) wasGood() bool {
	select {
	case <-a.done:
		return a.err == nil && now().Sub(a.asked).Abs() < homeTokenKnown
	default:
		return false
	}
}

// limiterFor returns who counts the wrong tokens of a client.
func (t *homeTokens) limiterFor(ip string) *limiter {
	if a, err := netip.ParseAddr(ip); err == nil {
		if a = a.Unmap().WithZone(""); a.IsLoopback() || t.own[a] {
			return &t.wrongHere
		}
	}
	return &t.wrong
}

// whose returns what the home says of a token, which it is asked for unless that is known.
// All who come with the same token meanwhile wait for the same answer.
func (t *homeTokens) whose(ctx context.Context, token, ip string, header http.Header) *homeAnswer {
	expires, ok := looksLikeHomeToken(token)
	if !ok || now().After(expires.Add(defaultLeeway)) {
		return &homeAnswer{err: errHomeRefuses} // it would only count as a wrong one
	}
	key := t.key(token, ip)
	t.mu.Lock()
	a := t.answers[key]
	if a == nil || a.over() {
		q := homeQuestion{key: key, token: token, header: header, known: t.known(key)}
		if a != nil && a.wasGood() {
			q.before = a
		}
		if q.wrong = t.limiterFor(ip); !q.known && !q.wrong.allow(ip, now()) {
			t.mu.Unlock()
			return &homeAnswer{err: errHomeTries}
		}
		select {
		case t.open <- struct{}{}:
		default:
			t.mu.Unlock()
			q.undo(ip)
			return &homeAnswer{err: errHomeSilent, cause: errors.New("too many questions at once")}
		}
		a = &homeAnswer{done: make(chan struct{}), asked: now(), expires: expires}
		t.put(key, a)
		// It goes on for the others when this client hangs up.
		go t.ask(context.WithoutCancel(ctx), q, a, ip)
	}
	t.mu.Unlock()
	select {
	case <-a.done:
		return a
	case <-ctx.Done():
		return &homeAnswer{err: errHomeSilent, cause: ctx.Err()}
	}
}

// forget makes the home be asked again about a token.
func (t *homeTokens) forget(token, ip string, a *homeAnswer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key := t.key(token, ip); t.answers[key] == a {
		again := &homeAnswer{done: a.done, user: a.user, asked: a.asked} // it is over, and was good
		t.answers[key] = again
	}
}

// over says whether an answer no longer counts. t.mu is held.
func (a *homeAnswer) over() bool {
	select {
	case <-a.done:
		return !now().Before(a.until)
	default:
		return false // it is about to come
	}
}

// homeQuestion is what the home is asked.
type homeQuestion struct {
	key    tokenKey
	token  string
	header http.Header
	before *homeAnswer // what it said before, if that was good
	known  bool        // it is no guess, and has not been counted
	wrong  *limiter
}

// undo is for a question that has not been a wrong login.
func (q homeQuestion) undo(ip string) {
	if !q.known {
		q.wrong.forgive(ip)
	}
}

func (t *homeTokens) ask(ctx context.Context, q homeQuestion, a *homeAnswer, ip string) {
	ctx, cancel := context.WithTimeout(ctx, homeTokenWithin)
	defer cancel()
	user, err := t.probers.Current().WhoIs(ctx, q.token, q.header)
	<-t.open

	t.mu.Lock()
	defer t.mu.Unlock()
	defer close(a.done)
	a.until = a.asked.Add(homeTokenKept)
	var status *hassclient.StatusError
	switch {
	case err == nil:
		a.user = user
		if a.until.After(a.expires) {
			a.until = a.expires
		}
		q.wrong.clear(ip) // as Home Assistant does
		return
	case errors.Is(err, hassclient.ErrRefused):
		a.err = errHomeRefuses
		if q.known {
			q.wrong.allow(ip, now()) // Home Assistant has counted it
		}
		return
	case errors.As(err, &status) && status.Status == http.StatusForbidden:
		// It has banned this client. Of the token it has said nothing.
		a.err = errHomeRefuses
	default:
		a.err, a.cause = errHomeSilent, err
		q.undo(ip)
	}
	// The next one asks again, and a token that was good before is still no guess.
	if t.answers[q.key] == a {
		delete(t.answers, q.key)
		if q.before != nil {
			t.answers[q.key] = q.before
		}
	}
}

// put remembers an answer. Where there is no room, one that is over goes, or any.
// t.mu is held.
func (t *homeTokens) put(key tokenKey, a *homeAnswer) {
	if _, there := t.answers[key]; !there && len(t.answers) >= maxHomeTokens {
		looked := 0
		var any tokenKey
		for k, old := range t.answers {
			if any = k; old.over() {
				break
			}
			if looked++; looked == 8 {
				break
			}
		}
		delete(t.answers, any)
	}
	t.answers[key] = a
}

// looksLikeHomeToken says whether a token is made as Home Assistant makes its own (HS256,
// issued by one of its refresh tokens, with an end), and when it ends.
// Those of the services themselves are not shown to the home.
func looksLikeHomeToken(token string) (expires time.Time, ok bool) {
	if !looksLikeToken(token) {
		return expires, false
	}
	parts := strings.Split(token, ".")
	part := func(i int) map[string]json.RawMessage {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil
		}
		members, err := decodeObject(text)
		if err != nil {
			return nil
		}
		return members
	}
	var alg, issuer string
	var end *jwt.NumericDate
	if decodeString(part(0)["alg"], &alg) != nil || alg != "HS256" {
		return expires, false
	}
	payload := part(1)
	if decodeString(payload["iss"], &issuer) != nil || !userID.MatchString(issuer) || decodeDate(payload["exp"], &end) != nil {
		return expires, false
	}
	return end.Time, true
}

// Interface guard
var _ caddy.Destructor = (*homeTokens)(nil)

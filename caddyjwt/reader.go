package caddyjwt

import (
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// reader finds out who a request is from.
type reader struct {
	cookie string
	checks checks
	keys   KeySource
	realm  *heldRealm // whose keys these are; nil: somebody else's

	verifier atomic.Pointer[verifier]
	lateOne  atomic.Pointer[verifier]
	lateBy   checks
	lateOnce sync.Once
}

// finding is what a request's tokens come to.
type finding struct {
	who    *identity // nil: nobody
	bearer string    // the Bearer token, where it is the one that counts
	shown  bool      // there was a token, good or not
	err    error     // where nobody: why the first token was refused, or errNoToken

	minter  *Minter // who mints for this host and session; nil: nobody here
	renewed string  // a token to replace the cookie's; empty: it is fresh enough

	answer *homeAnswer // where it is a token of the home's own
}

// find looks at the tokens of a request until one is good: the cookies, and for
// hass_jwt Bearer tokens before them.
func (d *reader) find(v *visitor, host string) finding { return d.look(v, host, false) }

func (d *reader) look(v *visitor, host string, bearer bool) finding {
	f := finding{err: errNoToken}
	tries := 0
	if bearer {
		for _, field := range v.authorization {
			if token, ok := bearerToken(field); ok && d.try(&f, &tries, token, host, v.ip, false) {
				if f.who != nil {
					f.bearer = token
				}
				return f
			}
		}
	}
	// As cookiesNamed does, but every request comes this way, and a closure costs.
	for _, field := range v.cookie {
		for more := true; more; {
			var name, value string
			_, name, value, field, more = nextPair(field)
			if name == d.cookie && value != "" && d.try(&f, &tries, value, host, v.ip, true) {
				return f
			}
		}
	}
	return f
}

// try reads one of a request's tokens. It returns true when there is no need for
// another: this one is good, or too many were not.
func (d *reader) try(f *finding, tries *int, token, host, ip string, cookie bool) bool {
	if *tries++; *tries > maxTries {
		return true
	}
	one, err := d.read(token, host, ip, cookie)
	if err == nil {
		*f = one
		return true
	}
	if !f.shown {
		f.err = err
	}
	f.shown = true
	return false
}

// cookiesNamed yields the values of a name in the order they were sent.
func cookiesNamed(fields []string, cookie string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, field := range fields {
			for more := true; more; {
				var name, value string
				_, name, value, field, more = nextPair(field)
				if name == cookie && value != "" && !yield(value) {
					return
				}
			}
		}
	}
}

// read judges a token. One that came as a cookie is renewed when half of its life is
// over, and even after, as long as its session lasts.
func (d *reader) read(token, host, ip string, cookie bool) (f finding, err error) {
	f.shown = true
	f.who, err = d.verify(token)
	if d.realm == nil {
		if err == nil && f.who.session.localOnly && !isLocal(ip) {
			return f, &refusal{reason: errAfar, subject: f.who.subject}
		}
		return f, err
	}
	if err == nil {
		if why := d.realm.judge(f.who.session, ip); why != nil {
			return f, &refusal{reason: why, subject: f.who.subject}
		}
		f.minter = d.minterFor(f.who.session, host)
		if half := f.who.session.issued.Add(f.who.expires.Sub(f.who.session.issued) / 2); cookie && f.minter != nil && d.checks.now().After(half) {
			if renewed, who := d.renew(token, f.minter); who != nil {
				f.renewed, f.who = renewed, who
			}
		}
		return f, nil
	}
	if !cookie || !errors.Is(err, errExpired) {
		return f, err
	}
	c, e := d.late(token)
	if e != nil {
		return f, err
	}
	s := sessionOf(c)
	if f.minter = d.minterFor(s, host); f.minter == nil {
		return f, err
	}
	if why := d.realm.judge(s, ip); why != nil {
		return f, &refusal{reason: why, subject: oneLine(s.user)}
	}
	if f.renewed, f.who = d.renew(token, f.minter); f.who == nil {
		return f, err
	}
	return f, nil
}

// minterFor returns who may renew a session's tokens; nil: nobody, or it is over.
func (d *reader) minterFor(s session, host string) *Minter {
	if s.id == "" || s.began.IsZero() {
		return nil
	}
	m := d.realm.minterFor(host, d.cookie, d.checks.issuer)
	if m == nil || !d.checks.now().Before(m.ends(s)) {
		return nil
	}
	return m
}

// renew returns a fresh token in the place of one of a session that lives. Of the
// many requests that a page sends at once, all get the same.
func (d *reader) renew(token string, m *Minter) (string, *identity) {
	fresh, err := d.realm.renewals.get(token, d.checks.now(), min(renewalKept, m.lifetime/4), func() (string, error) {
		c, err := d.late(token)
		if err != nil {
			return "", err
		}
		return m.renew(c)
	})
	if err != nil {
		return "", nil
	}
	who, err := d.verify(fresh)
	if err != nil {
		return "", nil
	}
	return fresh, who
}

// late checks everything about a token but that it has not expired.
func (d *reader) late(token string) (*claims, error) {
	d.lateOnce.Do(func() {
		d.lateBy = d.checks
		d.lateBy.leeway = maxSession
	})
	keys := d.keys.Keys()
	v := d.lateOne.Load()
	if v == nil || v.keys != keys {
		v = newVerifier(keys, &d.lateBy)
		d.lateOne.Store(v)
	}
	return v.parse(token)
}

// verify checks a token against the present keys. One that none of them has
// signed makes the source look for new ones first.
func (d *reader) verify(token string) (*identity, error) {
	v := d.verifierFor(d.keys.Keys())
	who, err := v.verify(token)
	if errors.Is(err, errUnknownKey) {
		if fresh := d.verifierFor(d.keys.Refresh()); fresh != v {
			return fresh.verify(token)
		}
	}
	return who, err
}

// verifierFor returns the verifier of a key set: the present one, or, where the
// keys have changed, a new one that remembers nothing yet.
func (d *reader) verifierFor(keys *KeySet) *verifier {
	for {
		v := d.verifier.Load()
		if v != nil && v.keys == keys {
			return v
		}
		fresh := newVerifier(keys, &d.checks)
		if d.verifier.CompareAndSwap(v, fresh) {
			return fresh
		}
	}
}

// renewing returns a writer that adds the renewed cookie to the answer. Such an
// answer is for nobody else, so no cache on the way may keep it.
func (d *reader) renewing(w http.ResponseWriter, r *http.Request, f finding) http.ResponseWriter {
	u := externalURL(r)
	age := f.minter.ends(f.who.session).Sub(d.checks.now())
	return &renewingWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		add: func(h http.Header) {
			f.minter.setCookie(h, f.renewed, strings.ToLower(u.Hostname()), u.Scheme == "https", age)
			if cc := strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")); strings.Contains(cc, "public") || strings.Contains(cc, "s-maxage") {
				h.Set("Cache-Control", "private, no-cache")
			}
		},
	}
}

type renewingWriter struct {
	*caddyhttp.ResponseWriterWrapper
	add func(http.Header)
}

// WriteHeader implements http.ResponseWriter.
func (w *renewingWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.begin()
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *renewingWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriterWrapper.Write(b)
}

// ReadFrom implements io.ReaderFrom.
func (w *renewingWriter) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is called by way of http.ResponseController.
func (w *renewingWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *renewingWriter) Flush() { _ = w.FlushError() }

// begin is for handlers that say nothing of a status, which is 200 then.
func (w *renewingWriter) begin() {
	if w.add != nil {
		w.add(w.Header())
		w.add = nil
	}
}

// renewals remembers for a while what was renewed to what.
type renewals struct {
	mu   sync.Mutex
	done map[[sha256.Size]byte]renewal
}

type renewal struct {
	token string
	at    time.Time
}

const (
	renewalKept = 30 * time.Second
	maxRenewals = 1024
)

func (l *renewals) get(token string, now time.Time, kept time.Duration, renew func() (string, error)) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := sha256.Sum256([]byte(token))
	if one, ok := l.done[key]; ok && now.Sub(one.at).Abs() < kept {
		return one.token, nil
	}
	fresh, err := renew()
	if err != nil {
		return "", err
	}
	if l.done == nil || len(l.done) >= maxRenewals {
		l.done = make(map[[sha256.Size]byte]renewal)
	}
	l.done[key] = renewal{fresh, now}
	return fresh, nil
}

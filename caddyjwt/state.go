package caddyjwt

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"
)

const (
	// stateLife is how long somebody may take to log in.
	stateLife = 10 * time.Minute

	// maxUsedStates bounds what is remembered of states that have been used.
	maxUsedStates = 4096
)

var (
	errState     = errors.New("the way back was not made here, or not for this browser")
	errStateOld  = errors.New("the way back is too old")
	errStateUsed = errors.New("the way back has been used")
)

// state is where to go after Home Assistant's own login page. It goes through the
// browser, signed.
type state struct {
	Target  string `json:"t"`
	Expires int64  `json:"e"` // Unix seconds
	ID      string `json:"i"`
	Browser string `json:"b"` // digest of what the browser keeps as a cookie
}

func browserDigest(secret string) string {
	sum := sha256.Sum256([]byte("caddy-hass browser\x00" + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (r *ring) mac(text string) []byte {
	m := hmac.New(sha256.New, r.Secret)
	m.Write([]byte("caddy-hass state\x00" + text))
	return m.Sum(nil)
}

// newState returns the text of a state for a browser that keeps secret.
func (r *ring) newState(target, secret string, now time.Time) (string, error) {
	b, err := json.Marshal(state{
		Target: target, Expires: now.Add(stateLife).Unix(), ID: randomID(), Browser: browserDigest(secret),
	})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(b)
	return text + "." + base64.RawURLEncoding.EncodeToString(r.mac(text)), nil
}

// readState checks a state that a browser brings back. Where it was made here for this
// browser but is too old, the state is returned as well.
func (r *ring) readState(s, secret string, now time.Time) (*state, error) {
	text, mac, _ := strings.Cut(s, ".")
	got, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || secret == "" || !hmac.Equal(got, r.mac(text)) {
		return nil, errState
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errState
	}
	st := new(state)
	if json.Unmarshal(b, st) != nil || !hmac.Equal([]byte(st.Browser), []byte(browserDigest(secret))) {
		return nil, errState
	}
	if now.Unix() >= st.Expires {
		return st, errStateOld
	}
	return st, nil
}

// usedStates are those that have been used and would not yet be too old. The zero
// value is ready.
type usedStates struct {
	mu   sync.Mutex
	byID map[string]int64 // until when
}

// use says whether a state is used for the first time.
func (u *usedStates) use(st *state, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, used := u.byID[st.ID]; used {
		return false
	}
	if u.byID == nil || len(u.byID) >= maxUsedStates {
		next := make(map[string]int64)
		for id, until := range u.byID {
			if until > now.Unix() {
				next[id] = until
			}
		}
		if len(next) >= maxUsedStates {
			return false // only residents get that far
		}
		u.byID = next
	}
	u.byID[st.ID] = st.Expires
	return true
}

// problems remembers why sites behind hass_jwt refused a token lately, and why none
// was minted, for the page that ends a loop. The zero value is ready.
type problems struct {
	mu     sync.Mutex
	byHost map[string]string
}

func (p *problems) note(host, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byHost == nil || len(p.byHost) >= 256 {
		p.byHost = make(map[string]string)
	}
	p.byHost[host] = what
}

func (p *problems) of(host string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byHost[host]
}

// refusals is why sites behind hass_jwt, in this process, refused a token lately.
var refusals problems

// problemOf is the name of what went wrong, as the pages know it.
func problemOf(err error) string {
	switch {
	case errors.Is(err, errExpired), errors.Is(err, errNotYet):
		return "clock"
	case errors.Is(err, errUnknownKey):
		return "key"
	case errors.Is(err, errIssuer), errors.Is(err, errAudience):
		return "issuer"
	case errors.Is(err, errAfar):
		return "afar"
	case errors.Is(err, errEnded), errors.Is(err, errUser):
		return "ended"
	}
	return "other"
}

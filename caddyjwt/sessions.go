package caddyjwt

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// session is what a token says of the login it came from. Tokens of others than
// hass_login have no sid.
type session struct {
	id        string    // sid: "<login>.<random>"
	user      string    // sub
	issued    time.Time // iat
	began     time.Time // auth_time: when Home Assistant let them in
	admin     bool      // roles has admin
	localOnly bool      // local_only

	until      time.Time // session_exp: when it ends, where that is earlier than usual; zero: it is not
	restricted bool      // restricted
}

const (
	// claimSessionEnd is when a session is over (Unix seconds) that was begun for a
	// limited time.
	claimSessionEnd = "session_exp"

	// claimRestricted is true where a token says less, or for a shorter time, than
	// one that its user would get by logging in to Home Assistant: it is not to be
	// turned into such a login.
	claimRestricted = "restricted"
)

func sessionOf(c *claims) session {
	s := session{user: c.subject}
	s.id, _ = scalar(c.all["sid"])
	if c.issued != nil {
		s.issued = c.issued.Time
	}
	if raw, ok := c.all["auth_time"]; ok {
		var began *jwt.NumericDate
		if decodeDate(raw, &began) == nil {
			s.began = began.Time
		}
	}
	for _, role := range c.roles {
		s.admin = s.admin || role == roleAdmin
	}
	local, _ := scalar(c.all["local_only"])
	s.localOnly = local == "true"
	if raw, ok := c.all[claimSessionEnd]; ok {
		var until *jwt.NumericDate
		if decodeDate(raw, &until) == nil {
			s.until = until.Time
		}
	}
	restricted, _ := scalar(c.all[claimRestricted])
	s.restricted = restricted == "true"
	return s
}

// loginOf is the part of a session's id that all sessions of one login of Home
// Assistant's share.
func loginOf(sid string) string {
	login, _, _ := strings.Cut(sid, ".")
	return login
}

var (
	errEnded = errors.New("its session has ended")
	errUser  = errors.New("its user is no longer what it says, in Home Assistant")
	errAfar  = errors.New("its user may only be let in from the local network")
)

// endings is what has ended before its time. It is written to Caddy's storage.
type endings struct {
	// Sessions has the ids of sessions and logins, and until when (Unix
	// seconds) they have to be remembered: until no cookie of theirs could
	// be renewed any more.
	Sessions map[string]int64 `json:"sessions,omitempty"`

	// Users has the ids of users, and up to which second their tokens are
	// worthless.
	Users map[string]int64 `json:"users,omitempty"`
}

// merge adds what others have written down and drops what nobody needs to know
// any more. It says whether e has got more.
func (e *endings) merge(other endings, now time.Time) (more bool) {
	add := func(to *map[string]int64, from map[string]int64) {
		for k, v := range from {
			if old, ok := (*to)[k]; !ok || old < v {
				if *to == nil {
					*to = make(map[string]int64)
				}
				(*to)[k] = v
				more = true
			}
		}
	}
	add(&e.Sessions, other.Sessions)
	add(&e.Users, other.Users)
	maps.DeleteFunc(e.Sessions, func(_ string, until int64) bool { return until < now.Unix() })
	maps.DeleteFunc(e.Users, func(_ string, at int64) bool { return at < now.Add(-publicAfter).Unix() })
	return more
}

func (e *endings) has(s session) bool {
	if s.id != "" {
		if _, ok := e.Sessions[s.id]; ok {
			return true
		}
		if _, ok := e.Sessions[loginOf(s.id)]; ok {
			return true
		}
	}
	at, ok := e.Users[s.user]
	return ok && s.issued.Unix() <= at
}

// sessions knows what has ended, and the requests of sessions that live.
type sessions struct {
	mu    sync.RWMutex
	ended endings
	live  map[*liveRequest]struct{}
}

type liveRequest struct {
	session session
	ip      string
	cancel  context.CancelCauseFunc
}

func (s *sessions) hasEnded(one session) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ended.has(one)
}

// lastEnd is the second up to which a user's tokens are worthless, or zero.
func (s *sessions) lastEnd(user string) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ended.Users[user]
}

// end ends what is in other. It says whether more than that has ended.
func (s *sessions) end(other endings, now time.Time) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.merge(other, now)
	lacks := func(known, told map[string]int64) bool {
		for id, at := range known {
			if told[id] < at {
				return true
			}
		}
		return false
	}
	return lacks(s.ended.Sessions, other.Sessions) || lacks(s.ended.Users, other.Users)
}

// text is what has ended, as JSON.
func (s *sessions) text(now time.Time) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended.merge(endings{}, now)
	return json.Marshal(&s.ended)
}

// follow returns a context that ends with the session.
func (s *sessions) follow(ctx context.Context, one session, ip string, until time.Time) (_ context.Context, stop func()) {
	inner, cancel := context.WithCancelCause(ctx)
	l := &liveRequest{session: one, ip: ip, cancel: cancel}
	s.mu.Lock()
	if s.live == nil {
		s.live = make(map[*liveRequest]struct{})
	}
	s.live[l] = struct{}{}
	s.mu.Unlock()

	var timer *time.Timer
	if !until.IsZero() {
		timer = time.AfterFunc(until.Sub(now()), func() { cancel(errEnded) })
	}
	return inner, func() {
		if timer != nil {
			timer.Stop()
		}
		s.mu.Lock()
		delete(s.live, l)
		s.mu.Unlock()
		cancel(context.Canceled)
	}
}

// sweep ends the requests that judge no longer lets in.
func (s *sessions) sweep(judge func(session, string) error) {
	s.mu.RLock()
	list := make([]*liveRequest, 0, len(s.live))
	for l := range s.live {
		list = append(list, l)
	}
	s.mu.RUnlock()
	for _, l := range list {
		if err := judge(l.session, l.ip); err != nil {
			l.cancel(err)
		}
	}
}

// knownLogins is the logins whose tokens were minted here lately. The zero value is
// ready.
type knownLogins struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

const maxLogins = 4096

func (l *knownLogins) add(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids == nil || len(l.ids) >= maxLogins {
		l.ids = make(map[string]struct{})
	}
	l.ids[id] = struct{}{}
}

func (l *knownLogins) has(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.ids[id]
	return ok
}

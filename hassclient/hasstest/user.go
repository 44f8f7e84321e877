package hasstest

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A User is an account of the home.
type User struct {
	Name      string // may be empty: Home Assistant knows users without one
	Username  string // to log in with
	Password  string
	Admin     bool
	Owner     bool
	LocalOnly bool // may only log in from the local network
}

type user struct {
	User
	id     string
	admin  bool // as Admin, but may change
	active bool
}

// refreshToken is what access tokens are made from. A long-lived access token
// has one of its own.
type refreshToken struct {
	id, token, clientID, clientName string
	user                            *user
	key                             []byte // of the access tokens' HMAC
}

const (
	accessTokenLife = 30 * time.Minute
	longLife        = 3650 // days
)

// newID returns 32 random hexadecimal digits, as Home Assistant's ids are.
func newID() string { return hex.EncodeToString(random(16)) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func (h *Home) addUsers() {
	owner := h.addUser(User{Name: "Owner", Username: "owner", Password: "owner-pass-1", Admin: true, Owner: true})
	resident := h.addUser(User{Name: "Resident", Username: "resident", Password: "resident-pass-1"})
	h.adminToken = h.longLived(owner, "tests", longLife)
	h.userToken = h.longLived(resident, "tests", longLife)
}

func (h *Home) addUser(u User) *user {
	added := &user{User: u, id: newID(), admin: u.Admin, active: true}
	h.users = append(h.users, added)
	return added
}

// AddUser adds an account and returns a long-lived access token of it.
func (h *Home) AddUser(u User) (token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	added := h.addUser(u)
	h.fireUser("user_added", added)
	return h.longLived(added, "tests", longLife)
}

func (h *Home) userNamed(username string) *user {
	for _, u := range h.users {
		if u.Username == username {
			return u
		}
	}
	return nil
}

// UserID returns the id of the user with this username; "": nobody has it.
func (h *Home) UserID(username string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.userNamed(username); u != nil {
		return u.id
	}
	return ""
}

// SetAdmin makes a user an administrator, or an ordinary user.
func (h *Home) SetAdmin(username string, admin bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.userNamed(username); u != nil {
		u.admin = admin
		h.fireUser("user_updated", u)
	}
}

// SetLocalOnly says whether a user may only log in from the local network.
func (h *Home) SetLocalOnly(username string, local bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.userNamed(username); u != nil {
		u.LocalOnly = local
		h.fireUser("user_updated", u)
	}
}

// RemoveUser takes an account away, and its tokens with it.
func (h *Home) RemoveUser(username string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.userNamed(username)
	if u == nil {
		return
	}
	for _, t := range h.refresh {
		if t.user == u {
			h.revoke(t)
		}
	}
	h.users = slices.DeleteFunc(h.users, func(other *user) bool { return other == u })
	h.fireUser("user_removed", u)
}

// fireUser tells of a change of an account. h.mu is held.
func (h *Home) fireUser(event string, u *user) {
	h.fire(event, func() any { return map[string]any{"user_id": u.id} }, h.newContext(nil))
}

// SetActive lets a user in, or shuts the user out: their tokens are gone.
func (h *Home) SetActive(username string, active bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.userNamed(username)
	if u == nil {
		return
	}
	u.active = active
	if !active {
		for _, t := range h.refresh {
			if t.user == u {
				h.revoke(t)
			}
		}
	}
	h.fireUser("user_updated", u)
}

// RevokeToken makes an access token, long-lived or not, invalid and breaks the
// connections that were opened with it.
func (h *Home) RevokeToken(accessToken string) {
	if t := h.checkAccessToken(accessToken); t != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.revoke(t)
	}
}

// revoke is called with h.mu held.
func (h *Home) revoke(t *refreshToken) {
	delete(h.refresh, t.id)
	for c := range h.conns {
		if c.token == t {
			c.drop()
		}
	}
}

func (h *Home) newRefreshToken(u *user, clientID, clientName string) *refreshToken {
	t := &refreshToken{
		id: newID(), token: hex.EncodeToString(random(64)), clientID: clientID, clientName: clientName, user: u,
		key: []byte(hex.EncodeToString(random(64))),
	}
	h.refresh[t.id] = t
	return t
}

func (h *Home) longLived(u *user, name string, days int) string {
	return h.accessToken(h.newRefreshToken(u, "", name), time.Duration(days)*24*time.Hour)
}

// accessToken makes an access token as Home Assistant makes them: HS256 with a
// key of the refresh token's own, whose id is the issuer.
func (h *Home) accessToken(t *refreshToken, life time.Duration) string {
	now := h.clock.Now()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": t.id, "iat": now.Unix(), "exp": now.Add(life).Unix(),
	}).SignedString(t.key)
	if err != nil {
		panic("hasstest: " + err.Error())
	}
	return signed
}

// checkAccessToken returns the refresh token behind a valid access token;
// otherwise nil. h.mu is not held.
func (h *Home) checkAccessToken(accessToken string) *refreshToken {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.faults.rejectTokens || accessToken == "" {
		return nil
	}
	var found *refreshToken
	_, err := jwt.Parse(accessToken, func(t *jwt.Token) (any, error) {
		issuer, err := t.Claims.GetIssuer()
		if found = h.refresh[issuer]; found == nil {
			return nil, jwt.ErrTokenInvalidIssuer
		}
		return found.key, err
	}, jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(h.clock.Now), jwt.WithExpirationRequired(), jwt.WithLeeway(10*time.Second))
	if err != nil || !found.user.active {
		return nil
	}
	return found
}

func (h *Home) refreshTokenNamed(token string) *refreshToken {
	for _, t := range h.refresh {
		if subtle.ConstantTimeCompare([]byte(t.token), []byte(token)) == 1 {
			return t
		}
	}
	return nil
}

// Logins returns how many refresh tokens logins of this username have, that
// have not been revoked.
func (h *Home) Logins(username string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, t := range h.refresh {
		if t.user.Username == username && t.clientName == "" {
			n++
		}
	}
	return n
}

func (h *Home) checkPassword(username, password string) *user {
	u := h.userNamed(username)
	if u == nil || u.Password == "" || subtle.ConstantTimeCompare([]byte(u.Password), []byte(password)) == 0 {
		return nil
	}
	return u
}

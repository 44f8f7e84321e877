package caddyjwt

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/net/publicsuffix"
)

const (
	roleAdmin = "admin"
	roleUser  = "user"
)

// Resident is a user of Home Assistant, as far as a token says.
type Resident struct {
	ID    string
	Name  string // may be empty
	Admin bool
	Owner bool

	// LocalOnly says that the user may only be let in from the local
	// network; nil: not known.
	LocalOnly *bool
}

// Minter makes the tokens of a home's residents and the cookies that hold them.
type Minter struct {
	realm    *realm
	cookie   string
	issuer   string
	audience []string
	domain   string // of the cookie; empty: the host's alone
	lifetime time.Duration
	session  time.Duration
}

// errNoKeys: there is nothing to sign with yet.
var errNoKeys = errors.New("there is no signing key: Caddy's storage could not be read or written; the log says why")

// newSessionID returns the id of a new session of a login of Home Assistant's,
// known by its refresh token; without one, of a login of its own.
func newSessionID(refreshToken string) string {
	if refreshToken == "" {
		return randomID() + "." + randomID()
	}
	return loginID(refreshToken) + "." + randomID()
}

// loginID names a login without saying its refresh token, which is 512 random bits.
func loginID(refreshToken string) string {
	sum := sha256.Sum256([]byte("caddy-hass login\x00" + refreshToken))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func randomID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// Mint makes the token of a resident who was let in at a certain time. Extra
// claims stand beside the usual ones, never in their place; sid is the session's id,
// and empty where the token is to end with its lifetime.
func (m *Minter) Mint(who Resident, sid string, at time.Time, extra map[string]any, lifetime time.Duration) (string, error) {
	// Of what was decided at some second, a token of the same one knows nothing.
	issued := max(at.Unix(), m.realm.lastEnd(who.ID)+1)
	if sid != "" {
		lifetime = min(lifetime, m.session)
	}
	c := make(map[string]any, len(extra)+12)
	maps.Copy(c, extra)
	roles := []string{roleUser}
	if who.Admin {
		roles = []string{roleAdmin, roleUser}
	}
	c["sub"], c["roles"], c["aud"], c["iss"] = who.ID, roles, m.audience, m.issuer
	c["name"] = textOrNull(who.Name)
	m.realm.describe(c, who.ID)
	c["iat"], c["exp"], c["jti"] = issued, issued+int64(lifetime/time.Second), randomID()
	c["is_owner"] = who.Owner
	delete(c, "local_only")
	if who.LocalOnly != nil {
		c["local_only"] = *who.LocalOnly
	}
	delete(c, "sid")
	delete(c, "auth_time")
	if sid != "" {
		c["sid"], c["auth_time"] = sid, issued
		m.realm.logins.add(loginOf(sid))
	}
	return m.sign(c)
}

func (m *Minter) sign(c map[string]any) (string, error) {
	ring := m.realm.ring.Load()
	if ring == nil {
		return "", errNoKeys
	}
	k := ring.signing(now())
	if k == nil {
		return "", errNoKeys
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(c))
	t.Header["kid"] = k.ID
	return t.SignedString(k.signer)
}

// renew makes a token in the place of one whose session lives. What Home Assistant's
// users are now is known only with an administrator's token.
func (m *Minter) renew(old *claims) (string, error) {
	if sid, _ := scalar(old.all["sid"]); sid != "" {
		m.realm.logins.add(loginOf(sid))
	}
	c := make(map[string]any, len(old.all))
	for name, raw := range old.all {
		c[name] = raw
	}
	if list := m.realm.accounts.Load(); list != nil {
		if a, known := list.byID[old.subject]; known {
			// Roles that are not Home Assistant's stay.
			var roles []string
			if a.Admin() {
				roles = append(roles, roleAdmin)
			}
			for _, role := range old.roles {
				if role != roleAdmin {
					roles = append(roles, role)
				}
			}
			c["roles"], c["is_owner"], c["local_only"], c["name"] = roles, a.Owner, a.LocalOnly, textOrNull(a.Name)
			m.realm.describe(c, old.subject)
		}
	}
	issued := now().Unix()
	expires := min(issued+int64(m.lifetime/time.Second), m.ends(sessionOf(old)).Unix())
	c["iat"], c["exp"], c["jti"] = issued, expires, randomID()
	delete(c, "nbf")
	return m.sign(c)
}

// ends is when a session is over.
func (m *Minter) ends(s session) time.Time {
	end := s.began.Add(m.session)
	if !s.until.IsZero() && s.until.Before(end) {
		return s.until
	}
	return end
}

// covers says whether the cookie reaches a host.
func (m *Minter) covers(host string) bool { return under(host, m.domain) }

// under says whether a host is a domain or below it.
func under(host, domain string) bool {
	return domain != "" && (host == domain || strings.HasSuffix(host, "."+domain))
}

// setCookie gives a browser the token for as long as the session lasts.
func (m *Minter) setCookie(h http.Header, token, host string, secure bool, age time.Duration) {
	seconds := int(age / time.Second)
	if seconds <= 0 {
		seconds = -1
	}
	m.writeCookie(h, token, host, secure, seconds)
}

// clearCookie takes it away.
func (m *Minter) clearCookie(h http.Header, host string, secure bool) {
	m.writeCookie(h, "", host, secure, -1)
}

func (m *Minter) writeCookie(h http.Header, value, host string, secure bool, seconds int) {
	c := &http.Cookie{
		Name: m.cookie, Value: value, Path: "/", MaxAge: seconds,
		Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if m.covers(host) {
		c.Domain = m.domain // browsers refuse one that is not the host's
	}
	h.Add("Set-Cookie", c.String())
}

// checkDomain returns a cookie's domain as it is compared, or why there can be no
// such cookie.
func checkDomain(s string) (string, error) {
	domain := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(s, "."), "."))
	if _, err := netip.ParseAddr(strings.Trim(domain, "[]")); err == nil {
		return "", fmt.Errorf("%q is an address: cookies for more than one host need a domain name", s)
	}
	if !hostName(domain) {
		return "", fmt.Errorf("%q is no domain name: write it as example.com, other letters in punycode (xn--…)", s)
	}
	if suffix, _ := publicsuffix.PublicSuffix(domain); suffix == domain {
		return "", fmt.Errorf("%q is a public suffix, whose names belong to many people: browsers take no cookie for it. Give the domain below it that is yours", s)
	}
	return domain, nil
}

// hostName says whether s is a name as DNS has them, in lower case.
func hostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

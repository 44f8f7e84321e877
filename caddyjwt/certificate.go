package caddyjwt

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// ClientCertificates says whose TLS client certificates are a login. The site's
// TLS has to ask for them and to verify them (`client_auth` with `mode verify_if_given` or
// `require_and_verify`): a certificate that nobody has verified counts for nothing.
//
// It needs a home token of an administrator, for nobody else is told who the users are.
type ClientCertificates struct {
	// Which certificate is which user. Where entries for different users fit one
	// certificate, it is refused; of those for the same user the first one counts.
	Map []CertificateUser `json:"map"`

	// How long somebody is let in after having shown a certificate. Default: the
	// session's length.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// Further claims of the tokens, for rules of `hass_jwt`. They never stand in
	// the place of the usual ones.
	Claims map[string][]string `json:"claims,omitempty"`

	// The address of the site where people log in who have no certificate, such as
	// `https://ha.example.com`; this site itself where Home Assistant is behind it.
	// Without it they are told that they need one.
	Login string `json:"login,omitempty"`
}

// CertificateUser says which user of Home Assistant a certificate is.
type CertificateUser struct {
	// What of the certificate to look at:
	//
	//   - `fingerprint`: the SHA-256 digest of all of it, in hexadecimal
	//   - `san`: a subject alternative name: e-mail address, DNS name, URI or IP address
	//   - `cn`: the subject's common name
	//   - `subject`: the whole subject, as `CN=Anna,O=Hill Street` (RFC 2253)
	By string `json:"by"`

	// What it has to be.
	Value string `json:"value"`

	// The user: the name they log in to Home Assistant with, or the user's id.
	User string `json:"user"`

	// Like those for all certificates, and instead of them.
	Lifetime caddy.Duration      `json:"lifetime,omitempty"`
	Claims   map[string][]string `json:"claims,omitempty"`
}

var (
	errNoCertificate = errors.New("no client certificate was shown")
	errUnverified    = errors.New("the client certificate has not been verified: set `client_auth` of the site's `tls` to `mode verify_if_given` or `require_and_verify`, with a trust_pool")
	errCertDates     = errors.New("the client certificate has expired or is not valid yet")
	errCertUsage     = errors.New("the client certificate is not for the authentication of clients (extended key usage)")
	errCertServer    = errors.New("the client certificate was shown to another host name (SNI) than the request is for")
	errCertUnknown   = errors.New("the client certificate is not mapped to a user")
	errCertTwo       = errors.New("the client certificate is mapped to more than one user")
	errNoUsers       = errors.New("the users of the home are not known: hass { token … } has to be an administrator's, and the home reachable")
	errNoUser        = errors.New("the home has no such user")
	errInactive      = errors.New("the user is not active in Home Assistant")
)

// usersAnew is how old what is known of the users has to be to ask again about one who is not
// among them.
const usersAnew = 5 * time.Second

// certificates is a ClientCertificates that is ready for use.
type certificates struct {
	entries []certificateEntry
	login   *url.URL // nil: none
}

type certificateEntry struct {
	fits     func(*x509.Certificate) bool
	user     string
	lifetime time.Duration // 0: the session's
	claims   map[string]any
}

// settle checks what is configured.
func (c *ClientCertificates) settle(replace func(what, s string) string) (*certificates, error) {
	if len(c.Map) == 0 {
		return nil, errors.New("client_certificate: say which certificate is whose: map fingerprint|san|cn|subject <value> <user>")
	}
	settled := new(certificates)
	if s := replace("login", c.Login); s != "" {
		u, err := parseLogin(s)
		if err != nil {
			return nil, fmt.Errorf("client_certificate: login %q: %w", s, err)
		}
		settled.login = u
	}
	if err := checkLimits(c.Lifetime, c.Claims); err != nil {
		return nil, fmt.Errorf("client_certificate: %w", err)
	}
	for _, m := range c.Map {
		value, user := replace("map", m.Value), replace("map", m.User)
		fits, err := certificateMatcher(m.By, value)
		switch {
		case err != nil:
		case user == "" || strings.TrimSpace(user) != user:
			err = errors.New("the user's name is empty")
		default:
			err = checkLimits(m.Lifetime, m.Claims)
		}
		if err != nil {
			return nil, fmt.Errorf("client_certificate: map %s %q: %w", m.By, value, err)
		}
		entry := certificateEntry{fits: fits, user: user, lifetime: time.Duration(c.Lifetime)}
		if m.Lifetime != 0 {
			entry.lifetime = time.Duration(m.Lifetime)
		}
		claims := maps.Clone(c.Claims)
		if len(m.Claims) > 0 {
			claims = m.Claims
		}
		entry.claims = claimValues(claims, func(s string) string { return replace("claim", s) })
		settled.entries = append(settled.entries, entry)
	}
	return settled, nil
}

func checkLimits(lifetime caddy.Duration, claims map[string][]string) error {
	if d := time.Duration(lifetime); d != 0 && (d < time.Second || d > maxSession) {
		return fmt.Errorf("lifetime %s: it must be between 1s and 400d", d)
	}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if err := checkClaim(name, claims[name]); err != nil {
			return err
		}
	}
	return nil
}

// ownClaims are those that are never anybody else's to say.
var ownClaims = []string{
	"sub", "iss", "aud", "exp", "nbf", "iat", "jti", "name", "roles", "sid", "auth_time", "is_owner", "local_only",
	"id", "username", "groups", "user", "group", claimSessionEnd, claimRestricted,
}

var claimName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:/-]{0,63}$`)

// checkClaim says why a further claim cannot be one.
func checkClaim(name string, values []string) error {
	switch {
	case !claimName.MatchString(name):
		return fmt.Errorf("claim %q: a claim's name is a letter and up to 63 letters, digits and _ . : / -", name)
	case slices.Contains(ownClaims, strings.ToLower(name)):
		return fmt.Errorf("claim %q: what it says is Home Assistant's or this login's to say; choose another name", name)
	case len(values) == 0 || len(values) > 32:
		return fmt.Errorf("claim %q: it needs a value, and can have 32 at most", name)
	}
	for _, v := range values {
		if v == "" || len(v) > 256 || hasControl(v) {
			return fmt.Errorf("claim %q: a value is 1 to 256 characters on one line", name)
		}
	}
	return nil
}

// claimValues makes claims of the texts that are configured: one is a string,
// several are a list.
func claimValues(claims map[string][]string, replace func(string) string) map[string]any {
	values := make(map[string]any, len(claims))
	for name, list := range claims {
		if list = replaceAll(list, replace); len(list) == 1 {
			values[name] = list[0]
		} else {
			values[name] = list
		}
	}
	return values
}

// certificateMatcher returns what tells whether a certificate is meant.
func certificateMatcher(by, value string) (func(*x509.Certificate) bool, error) {
	if value == "" {
		return nil, errors.New("the value is empty")
	}
	switch by {
	case "fingerprint":
		sum, err := hex.DecodeString(strings.ReplaceAll(value, ":", ""))
		if err != nil || len(sum) != sha256.Size {
			return nil, errors.New("a fingerprint is the SHA-256 digest: 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints them")
		}
		return func(c *x509.Certificate) bool { return sha256.Sum256(c.Raw) == [sha256.Size]byte(sum) }, nil
	case "cn":
		return func(c *x509.Certificate) bool { return commonName(c) == value }, nil
	case "subject":
		return func(c *x509.Certificate) bool { return c.Subject.String() == value }, nil
	case "san":
		return sanMatcher(value), nil
	}
	return nil, errors.New("look at the certificate's fingerprint, san, cn or subject")
}

// sanMatcher compares with the names of the one kind that the value is of, so that none
// passes for one of another kind.
func sanMatcher(value string) func(*x509.Certificate) bool {
	if ip, err := netip.ParseAddr(value); err == nil {
		return func(c *x509.Certificate) bool {
			for _, b := range c.IPAddresses {
				if a, ok := netip.AddrFromSlice(b); ok && a.Unmap() == ip.Unmap() {
					return true
				}
			}
			return false
		}
	}
	if strings.Contains(value, ":") {
		return func(c *x509.Certificate) bool {
			return slices.ContainsFunc(c.URIs, func(u *url.URL) bool { return u.String() == value })
		}
	}
	if strings.Contains(value, "@") {
		want := mailbox(value)
		return func(c *x509.Certificate) bool {
			return slices.ContainsFunc(c.EmailAddresses, func(s string) bool { return mailbox(s) == want })
		}
	}
	want := strings.ToLower(strings.TrimSuffix(value, "."))
	return func(c *x509.Certificate) bool {
		return slices.ContainsFunc(c.DNSNames, func(s string) bool {
			return strings.ToLower(strings.TrimSuffix(s, ".")) == want
		})
	}
}

// mailbox is an address as it is compared: case matters before the @ only.
func mailbox(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return s[:i] + strings.ToLower(s[i:])
	}
	return s
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// commonName is the subject's; empty where there is not exactly one.
func commonName(c *x509.Certificate) string {
	n := 0
	for _, part := range c.Subject.Names {
		if part.Type.Equal(oidCommonName) {
			n++
		}
	}
	if n != 1 {
		return ""
	}
	return c.Subject.CommonName
}

// verifiedCertificate returns the client's certificate if it may count here and now.
func verifiedCertificate(state *tls.ConnectionState, host string, now time.Time) (*x509.Certificate, error) {
	if state == nil || !state.HandshakeComplete || len(state.PeerCertificates) == 0 {
		return nil, errNoCertificate
	}
	if len(state.VerifiedChains) == 0 {
		return nil, errUnverified
	}
	if !strings.EqualFold(strings.TrimSuffix(state.ServerName, "."), strings.TrimSuffix(host, ".")) {
		// There is no SNI for addresses.
		if _, err := netip.ParseAddr(host); err != nil || state.ServerName != "" {
			return nil, errCertServer
		}
	}
	// A connection may be older than the day the certificate expires.
	fresh := slices.ContainsFunc(state.VerifiedChains, func(chain []*x509.Certificate) bool {
		return len(chain) > 0 && !slices.ContainsFunc(chain, func(c *x509.Certificate) bool {
			return now.Before(c.NotBefore) || now.After(c.NotAfter)
		})
	})
	if !fresh {
		return nil, errCertDates
	}
	leaf := state.VerifiedChains[0][0]
	usages := leaf.ExtKeyUsage
	if len(usages)+len(leaf.UnknownExtKeyUsage) > 0 && !slices.Contains(usages, x509.ExtKeyUsageClientAuth) && !slices.Contains(usages, x509.ExtKeyUsageAny) {
		return nil, errCertUsage
	}
	return leaf, nil
}

// find returns the entry of a certificate and its user.
func (c *certificates) find(leaf *x509.Certificate, users *accounts) (*certificateEntry, account, error) {
	var (
		found *certificateEntry
		who   account
		bad   error
	)
	for i := range c.entries {
		e := &c.entries[i]
		if !e.fits(leaf) {
			continue
		}
		a, err := users.named(e.user)
		switch {
		case err != nil:
			bad = fmt.Errorf("%w: %s", err, oneLine(e.user))
		case found == nil:
			found, who = e, a
		case a.ID != who.ID:
			return nil, account{}, errCertTwo
		}
	}
	switch {
	case bad != nil:
		// Also where another entry fits: nobody is to become somebody else
		// because a user is gone.
		return nil, account{}, bad
	case found == nil:
		return nil, account{}, errCertUnknown
	}
	return found, who, nil
}

// named returns a user who may log in, by id or user name.
func (l *accounts) named(s string) (account, error) {
	a, ok := l.byID[s]
	// A user name that looks like an id would be somebody's attempt to be another.
	if !ok && !userID.MatchString(s) {
		for _, b := range l.byID {
			// Home Assistant compares user names so.
			if b.Username != "" && strings.EqualFold(b.Username, strings.TrimSpace(s)) {
				if ok {
					return account{}, errNoUser // which of them?
				}
				a, ok = b, true
			}
		}
	}
	switch {
	case !ok || a.System:
		return account{}, errNoUser
	case !a.Active:
		return account{}, errInactive
	}
	return a, nil
}

// residentOf is a user as tokens tell of them.
func residentOf(a account) Resident {
	return Resident{ID: a.ID, Name: a.Name, Admin: a.Admin(), Owner: a.Owner, LocalOnly: &a.LocalOnly}
}

// byCertificate returns who a request is from by its certificate.
func (h *HassLogin) byCertificate(r *http.Request) (*certificateEntry, account, *x509.Certificate, error) {
	leaf, err := verifiedCertificate(r.TLS, hostOf(r), now())
	if err != nil {
		return nil, account{}, nil, err
	}
	users := h.realm.accounts.Load()
	if users == nil {
		return nil, account{}, leaf, errNoUsers
	}
	entry, who, err := h.certificates.find(leaf, users)
	if errors.Is(err, errNoUser) && now().Sub(users.asked).Abs() > usersAnew {
		// Home Assistant says nothing when a user gets a name to log in with.
		ctx, cancel := context.WithTimeout(r.Context(), 2*heldFor)
		defer cancel()
		if users, e := h.realm.freshAccounts(ctx); e == nil {
			entry, who, err = h.certificates.find(leaf, users)
		}
	}
	if err == nil && who.LocalOnly && !isLocal(clientIP(r)) {
		err = errAfar
	}
	return entry, who, leaf, err
}

// limits are the further claims of a token by certificate, and how long it can be renewed.
func (e *certificateEntry) limits(session time.Duration, at time.Time) (claims map[string]any, until time.Duration) {
	claims, until = maps.Clone(e.claims), session
	if e.lifetime != 0 && e.lifetime < session {
		until = e.lifetime
	}
	if len(claims) > 0 || until < session {
		claims[claimRestricted] = true
	}
	// Another hass_login, with another session, may renew it.
	claims[claimSessionEnd] = at.Add(until).Unix()
	return claims, until
}

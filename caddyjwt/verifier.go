package caddyjwt

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxToken is the length in bytes above which a token is not even decoded.
const maxToken = 8 << 10

// Why a token is refused. The texts go to the log.
var (
	errShape      = errors.New("not a signed JWT")
	errHeader     = errors.New("its header is not acceptable")
	errUnknownKey = errors.New("signed by none of the keys")
	errMalformed  = errors.New("its claims are malformed")
	errExpired    = errors.New("it has expired")
	errNotYet     = errors.New("it is from the future: are the clocks of this machine and of Home Assistant right?")
	errIssuer     = errors.New("it is from another issuer")
	errAudience   = errors.New("it is for another audience")
	errSubject    = errors.New("it does not say for whom it is")
)

// A refusal says why a token is not accepted.
type refusal struct {
	reason  error  // one of the above
	subject string // known only where the signature is right
}

func (r *refusal) Error() string { return r.reason.Error() }
func (r *refusal) Unwrap() error { return r.reason }

// checks is what a token must be besides signed.
type checks struct {
	issuer   string
	audience []string
	leeway   time.Duration
	rules    rules
	now      func() time.Time
}

// A verifier checks tokens against one key set, and remembers those it has
// found good. When the keys change, another verifier takes its place.
type verifier struct {
	keys   *KeySet
	checks *checks
	parser *jwt.Parser
	seen   cache
}

func newVerifier(keys *KeySet, c *checks) *verifier {
	return &verifier{
		keys:   keys,
		checks: c,
		parser: jwt.NewParser(
			jwt.WithValidMethods(keys.methods()),
			jwt.WithStrictDecoding(),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithIssuer(c.issuer),
			jwt.WithAudience(c.audience...),
			jwt.WithLeeway(c.leeway),
			jwt.WithTimeFunc(c.now),
		),
	}
}

// verify returns who a token is about, or a *refusal.
func (v *verifier) verify(token string) (*identity, error) {
	if len(token) > maxToken {
		return nil, &refusal{reason: errShape}
	}
	if who := v.seen.get(token); who != nil && v.checks.now().Before(who.expires) {
		return who, nil
	}
	c, err := v.parse(token)
	if err != nil {
		return nil, err
	}
	who := newIdentity(c, v.checks.rules)
	if now := v.checks.now(); now.Before(who.expires) {
		v.seen.put(token, who, now)
	}
	return who, nil
}

// parse checks everything about a token.
func (v *verifier) parse(token string) (*claims, error) {
	if !looksLikeToken(token) {
		return nil, &refusal{reason: errShape}
	}
	kid, err := checkHeader(token)
	if err != nil {
		return nil, &refusal{reason: err}
	}
	c := new(claims)
	_, err = v.parser.ParseWithClaims(token, c, func(t *jwt.Token) (any, error) {
		var issued time.Time
		if c.issued != nil {
			issued = c.issued.Time
		}
		return jwt.VerificationKeySet{Keys: v.keys.candidates(t.Method.Alg(), kid, issued)}, nil
	})
	if err != nil {
		return nil, refuse(c, err)
	}
	return c, nil
}

// refuse translates an error of the parser.
func refuse(c *claims, err error) *refusal {
	r := new(refusal)
	if errors.Is(err, jwt.ErrTokenInvalidClaims) {
		r.subject = oneLine(c.subject)
	}
	for _, known := range []struct{ is, reason error }{
		{jwt.ErrTokenMalformed, errMalformed},
		{jwt.ErrTokenSignatureInvalid, errUnknownKey},
		{jwt.ErrTokenUnverifiable, errUnknownKey},
		{jwt.ErrTokenInvalidIssuer, errIssuer},
		{jwt.ErrTokenInvalidAudience, errAudience},
		{jwt.ErrTokenNotValidYet, errNotYet},
		{jwt.ErrTokenUsedBeforeIssued, errNotYet},
		{jwt.ErrTokenExpired, errExpired},
		{jwt.ErrTokenInvalidSubject, errSubject},
	} {
		if errors.Is(err, known.is) {
			r.reason = known.reason
			return r
		}
	}
	r.reason = errMalformed // a claim that must be there is missing
	return r
}

// looksLikeToken says whether s has the shape of a JWS in its compact
// serialization (RFC 7515 section 7.1): three parts in base64url, none of them empty.
func looksLikeToken(s string) bool {
	if len(s) > maxToken {
		return false
	}
	dots, part := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			part++
		case c == '.' && part > 0 && dots < 2:
			dots, part = dots+1, 0
		default:
			return false
		}
	}
	return dots == 2 && part > 0
}

// checkHeader refuses what the parser would let pass in a token's header, and
// returns its key id. Keys that a header names or brings along (jwk, jku, x5u, x5c)
// are never looked at.
func checkHeader(token string) (kid string, err error) {
	encoded, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", errHeader
	}
	header, err := decodeObject(text)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errHeader, err)
	}
	// No extension is understood here, so none may be critical (RFC 7515 section 4.1.11).
	if _, ok := header["crit"]; ok {
		return "", fmt.Errorf("%w: crit", errHeader)
	}
	if raw, ok := header["kid"]; ok {
		if err := decodeString(raw, &kid); err != nil {
			return "", fmt.Errorf("%w: kid: %w", errHeader, err)
		}
	}
	var alg string
	if err := decodeString(header["alg"], &alg); err != nil {
		return "", fmt.Errorf("%w: alg", errHeader)
	}
	return kid, nil
}

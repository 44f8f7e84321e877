package caddyjwt

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func init() {
	caddy.RegisterModule(new(HassJWT))
}

// The defaults of a home without a name, which are those of jwt_cookie.
const (
	defaultCookie = "jwt_access_token"
	defaultIssuer = "homeassistant"
	defaultLeeway = 30 * time.Second
)

// HassJWT lets only residents pass: people with an account in Home Assistant.
//
// It takes the JSON Web Token that they got as a cookie when they logged in to
// Home Assistant, for example from its `jwt_cookie` integration, or the same token as
// `Authorization: Bearer`. Of both, a good Bearer token counts; a Bearer token
// that is not for us (a service's own) is left alone, and the cookie counts. Of several
// cookies of the name, the first good one counts.
//
// A token is good when one of the keys has signed it, by the algorithm the key is made
// for (P-256: ES256, P-384: ES384, P-521: ES512, RSA of at least 2048 bits: RS256, Ed25519: EdDSA);
// when `iss`, `aud`, `exp`, and if they are there `nbf` and `iat`, are right; and
// when it has a `sub`.
//
// Whoever stands behind this handler knows these placeholders, which are empty
// where there is no identity or no such claim:
//
// Placeholder | Description
// ------------|---------------
// `{http.auth.user.id}` | The resident's id in Home Assistant (`sub`)
// `{http.auth.user.name}` | Display name: neither unique nor always there
// `{http.auth.user.roles}` | Roles, joined by commas: `admin,user`
// `{http.auth.user.*}` | Any other claim that is a string, number or boolean
//
// Control characters in them are replaced by spaces; a role that contains one, or
// a comma, is left out. The token is taken out of the request before it goes on.
// The handler sets no header fields for the service: where you do, with
// `header_up`, what a client sent under that name is replaced.
//
// Without a good token, a page view in a browser is sent to the login with 302; in a frame there
// is a page (401) with a link that opens in its own tab; everything else is
// answered 401 with `WWW-Authenticate: Bearer`. A good token that the rules do not allow: 403.
type HassJWT struct {
	// The address of the site where people log in, which has `/auth/jwt_cookie`
	// below it: normally Home Assistant's own, such as `https://ha.example.com`.
	// Without it, everybody without a good token is answered 401.
	Login string `json:"login,omitempty"`

	// The name of the cookie. Default: `jwt_access_token`, or
	// `jwt_access_token_<home>` for a home with a name.
	Cookie string `json:"cookie,omitempty"`

	// Where the keys come from that tokens are checked with.
	Key *KeyConfig `json:"key,omitempty"`

	// What `iss` must be. Default: `homeassistant`, or `homeassistant/<home>`
	// for a home with a name.
	Issuer string `json:"issuer,omitempty"`

	// What `aud` must be, or contain, one of. Default: `homeassistant`.
	Audience []string `json:"audience,omitempty"`

	// By how much the clocks of this machine and of the one that signs may
	// differ. Default: 30s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`

	// Who is let in: those whom any of these rules fits. Default: every
	// resident.
	Allow []Rule `json:"allow,omitempty"`

	// Who is not let in, even if allowed: those whom any of these rules fits.
	Deny []Rule `json:"deny,omitempty"`

	// The name of the home whose residents these are, for its issuer and cookie.
	Home string `json:"home,omitempty"`

	// Lets requests without a good token through, without identity.
	Optional bool `json:"optional,omitempty"`

	// Leaves the token in the request that goes on.
	KeepToken bool `json:"keep_token,omitempty"`

	login, cookie string // with placeholders replaced; login may have those of requests left
	rounds        string // the cookie that counts redirects
	keys          KeySource
	release       func() error
	checks        checks
	verifier      atomic.Pointer[verifier]
	logger        *zap.Logger
}

// KeyConfig says where keys come from.
type KeyConfig struct {
	// A PEM file with one public key or several. It may be rewritten at any
	// time, as `jwt_cookie` does at each start of Home Assistant: a new key
	// counts at once, without a reload, and a key that is no longer in the
	// file goes on counting for tokens issued before, for a day at most. While the file is
	// absent or half-written, the keys stay what they were; absent from the start,
	// nobody is let in until it appears. A private, weak or damaged key is a
	// configuration error.
	File string `json:"file,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*HassJWT) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.hass_jwt",
		New: func() caddy.Module { return new(HassJWT) },
	}
}

// errNoKey says what to configure.
var errNoKey = errors.New("no key to check tokens with: add `key file <pem>` with the public key's PEM file, such as the one that the jwt_cookie integration writes")

// Provision sets up the handler and reads its keys.
func (h *HassJWT) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	if err := h.settle(); err != nil {
		return err
	}
	if h.Key == nil || h.Key.File == "" {
		return errNoKey
	}
	repl := caddy.NewReplacer()
	path, err := repl.ReplaceOrErr(h.Key.File, true, true)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if path, err = caddy.FastAbs(path); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	source, release, err := acquireKeyFile(path)
	if err != nil {
		return err
	}
	h.keys, h.release = source, release
	if len(source.Keys().keys) == 0 {
		h.logger.Warn("the key file is not there yet: nobody is let in until it is", zap.String("key_file", path))
	}
	return nil
}

// homeName is what a home may be called: it becomes part of a cookie's name.
var homeName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// cookieName is a token of RFC 9110 section 5.6.2, which RFC 6265 wants for names.
var cookieName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// settle replaces placeholders and fills in what is not configured.
func (h *HassJWT) settle() error {
	repl := caddy.NewReplacer()
	var firstErr error
	replace := func(what, s string) string {
		s, err := repl.ReplaceOrErr(s, true, true)
		if err != nil && firstErr == nil {
			firstErr = fmt.Errorf("%s: %w", what, err)
		}
		return s
	}

	home := replace("home", h.Home)
	h.cookie, h.checks.issuer = defaultCookie, defaultIssuer
	if home != "" && home != "default" {
		h.cookie += "_" + home
		h.checks.issuer += "/" + home
	}
	if h.Cookie != "" {
		h.cookie = replace("cookie", h.Cookie)
	}
	if h.Issuer != "" {
		h.checks.issuer = replace("issuer", h.Issuer)
	}
	h.checks.audience = []string{defaultIssuer}
	if len(h.Audience) > 0 {
		h.checks.audience = replaceAll(h.Audience, func(s string) string { return replace("audience", s) })
	}
	h.checks.leeway = defaultLeeway
	if h.Leeway != nil {
		h.checks.leeway = time.Duration(*h.Leeway)
	}
	rules := func(what string, list []Rule) []Rule {
		settled := make([]Rule, len(list))
		for i, r := range list {
			settled[i] = Rule{Claim: r.Claim, Values: replaceAll(r.Values, func(s string) string { return replace(what, s) })}
		}
		return settled
	}
	h.checks.rules.allow, h.checks.rules.deny = rules("allow", h.Allow), rules("deny", h.Deny)
	h.rounds = h.cookie + "_rounds"
	h.checks.now = time.Now
	h.login = repl.ReplaceKnown(h.Login, "")

	switch {
	case firstErr != nil:
		return firstErr
	case home != "" && !homeName.MatchString(home):
		return fmt.Errorf("home %q: a home's name is made of letters, digits, _ and -", home)
	case !cookieName.MatchString(h.cookie):
		return fmt.Errorf("cookie %q: this is no name for a cookie", h.cookie)
	case h.checks.leeway < 0:
		return fmt.Errorf("leeway %s: it must not be negative", h.checks.leeway)
	}
	return nil
}

func replaceAll(list []string, replace func(string) string) []string {
	replaced := make([]string, len(list))
	for i, s := range list {
		replaced[i] = replace(s)
	}
	return replaced
}

// Validate checks what needs no file.
func (h *HassJWT) Validate() error {
	if h.Login != "" && !strings.Contains(h.login, "{") {
		if _, err := parseLogin(h.login); err != nil {
			return fmt.Errorf("login %q: %w", h.login, err)
		}
	}
	for _, list := range [][]Rule{h.Allow, h.Deny} {
		for _, r := range list {
			if r.Claim == "" || len(r.Values) == 0 {
				return errors.New("allow and deny need a claim and one value or more")
			}
		}
	}
	return nil
}

// Cleanup lets go of the key file.
func (h *HassJWT) Cleanup() error {
	if h.release == nil {
		return nil
	}
	return h.release()
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *HassJWT) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	visitor := visitorOf(r, repl)

	found := h.identify(visitor)
	removeCookies(r.Header, h.isOurs)
	if found.bearer != "" && !h.KeepToken {
		removeBearer(r.Header, found.bearer)
	}

	switch {
	case found.who == nil && h.Optional:
		h.logRefused(r, found)
	case found.who == nil:
		h.logRefused(r, found)
		visitor.becomes(nil, repl)
		return h.challenge(w, r, repl, visitor, found)
	case !found.who.allowed:
		visitor.becomes(nil, repl)
		repl.Set("http.auth.candidate.id", found.who.subject)
		if c := h.logger.Check(zapcore.InfoLevel, "not allowed here"); c != nil {
			c.Write(zap.String("sub", oneLine(found.who.subject)), zap.String("host", r.Host), zap.String("client_ip", clientIP(r)))
		}
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
		return caddyhttp.Error(http.StatusForbidden, errNotAllowed)
	default:
		visitor.becomes(found.who, repl)
	}
	return next.ServeHTTP(w, r)
}

// isOurs says whether a cookie is not for the service behind.
func (h *HassJWT) isOurs(cookie string) bool {
	return cookie == h.cookie && !h.KeepToken || cookie == h.rounds
}

var (
	errNoToken    = errors.New("no token")
	errNotAllowed = errors.New("not allowed by the rules for this site")
)

// finding is what a request's tokens come to.
type finding struct {
	who    *identity // nil: nobody
	bearer string    // the Bearer token, where it is the one that counts
	shown  bool      // there was a token, good or not
	err    error     // where nobody: why the first token was refused, or errNoToken
}

// identify looks at the tokens of a request until one is good.
func (h *HassJWT) identify(v *visitor) finding {
	f := finding{err: errNoToken}
	tries := 0
	try := func(token string) bool {
		if tries++; tries > maxTries {
			return true
		}
		who, err := h.verify(token)
		if err != nil {
			if !f.shown {
				f.err = err
			}
			f.shown = true
			return false
		}
		f = finding{who: who, shown: true}
		return true
	}
	for _, field := range v.authorization {
		if token, ok := bearerToken(field); ok && try(token) {
			if f.who != nil {
				f.bearer = token
			}
			return f
		}
	}
	for _, field := range v.cookie {
		for more := true; more; {
			var name, token string
			_, name, token, field, more = nextPair(field)
			if name == h.cookie && token != "" && try(token) {
				return f
			}
		}
	}
	return f
}

// verify checks a token against the present keys. One that none of them has
// signed makes the source look for new ones first.
func (h *HassJWT) verify(token string) (*identity, error) {
	v := h.verifierFor(h.keys.Keys())
	who, err := v.verify(token)
	if errors.Is(err, errUnknownKey) {
		if fresh := h.verifierFor(h.keys.Refresh()); fresh != v {
			return fresh.verify(token)
		}
	}
	return who, err
}

// verifierFor returns the verifier of a key set: the present one, or, where the
// keys have changed, a new one that remembers nothing yet.
func (h *HassJWT) verifierFor(keys *KeySet) *verifier {
	for {
		v := h.verifier.Load()
		if v != nil && v.keys == keys {
			return v
		}
		fresh := newVerifier(keys, &h.checks)
		if h.verifier.CompareAndSwap(v, fresh) {
			return fresh
		}
	}
}

// logRefused says why a token is not accepted. Strangers and expired cookies are
// everyday life.
func (h *HassJWT) logRefused(r *http.Request, f finding) {
	level := zapcore.InfoLevel
	if !f.shown || errors.Is(f.err, errExpired) {
		level = zapcore.DebugLevel
	}
	c := h.logger.Check(level, "no good token")
	if c == nil {
		return
	}
	fields := []zap.Field{zap.String("reason", f.err.Error()), zap.String("host", r.Host), zap.String("client_ip", clientIP(r))}
	var why *refusal
	if errors.As(f.err, &why) && why.subject != "" {
		fields = append(fields, zap.String("sub", why.subject))
	}
	c.Write(fields...)
}

func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// Interface guards
var (
	_ caddy.Provisioner           = (*HassJWT)(nil)
	_ caddy.Validator             = (*HassJWT)(nil)
	_ caddy.CleanerUpper          = (*HassJWT)(nil)
	_ caddyhttp.MiddlewareHandler = (*HassJWT)(nil)
)

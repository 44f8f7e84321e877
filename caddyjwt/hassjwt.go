package caddyjwt

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-hass/caddy-hass/hassapp"
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
// Without `identity` the handler sets no header fields for the service: where you do, with
// `header_up`, what a client sent under that name is replaced.
//
// Without a good token, a page view in a browser is sent to the login with 302; in a frame there
// is a page (401) with a link that opens in its own tab; everything else is
// answered 401 with `WWW-Authenticate: Bearer`. A good token that the rules do not allow: 403; a
// browser's page view gets a page that says who one is and how to log in as somebody else, unless the
// site has `handle_errors`.
type HassJWT struct {
	// The address of the site where people log in, which has `/auth/jwt_cookie`
	// below it: normally Home Assistant's own, such as `https://ha.example.com`.
	// Without it, everybody without a good token is answered 401.
	Login string `json:"login,omitempty"`

	// The name of the cookie. Default: `jwt_access_token`, or
	// `jwt_access_token_<home>` for a home with a name.
	Cookie string `json:"cookie,omitempty"`

	// Where the keys come from that tokens are checked with. Default: the keys
	// of `hass_login` in Caddy's storage, for this home. Only with those are cookies
	// renewed, and sessions known that have ended.
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

	// Takes Home Assistant's own access tokens as Bearer, too, also long-lived ones. The
	// home is asked whose they are, as coming from the client's address, and its answer counts for a
	// minute; it has to trust this Caddy as a proxy. A client that comes with
	// four wrong ones waits for an hour with any other that is not known yet: Home Assistant may be
	// set up to ban addresses after five. It needs the home in the app `hass`, whatever `key` says.
	HassTokens bool `json:"hass_tokens,omitempty"`

	// Tells a well-known service in its own header fields who a request is from.
	Identity *IdentityHeaders `json:"identity,omitempty"`

	// Lets requests without a good token through, without identity.
	Optional bool `json:"optional,omitempty"`

	// Leaves the token in the request that goes on.
	KeepToken bool `json:"keep_token,omitempty"`

	reader
	login      string // with placeholders replaced; it may have those of requests left
	rounds     string // the cookie that counts redirects
	release    func() error
	app        *LoginApp   // nil: the keys are not hass_login's
	homeBearer *homeBearer // nil: without hass_tokens
	logger     *zap.Logger
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

	// The address of a JWK Set, such as
	// `https://ha.example.com/auth/jwt_cookie/jwks.json`. It is asked for every
	// few minutes, and at once, but not more often than twice a minute, when a token
	// comes that no known key has signed. While it cannot be had, the keys stay what they were.
	JWKS string `json:"jwks,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*HassJWT) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.hass_jwt",
		New: func() caddy.Module { return new(HassJWT) },
	}
}

// Provision sets up the handler and its keys.
func (h *HassJWT) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	home, err := h.settle()
	if err != nil {
		return err
	}
	if h.HassTokens {
		if err := h.provisionHomeTokens(ctx, home); err != nil {
			return err
		}
	}
	switch {
	case h.Key == nil:
		return h.provisionOwnKeys(ctx, home)
	case h.Key.File != "" && h.Key.JWKS != "":
		return errors.New("key: give either a file or the address of a JWK Set")
	case h.Key.JWKS != "":
		return h.provisionJWKS()
	case h.Key.File != "":
		return h.provisionFile()
	}
	return errors.New("key: a file or the address of a JWK Set is missing")
}

func (h *HassJWT) provisionOwnKeys(ctx caddy.Context, home string) error {
	app, err := ctx.App("hass_login")
	if err != nil {
		return err
	}
	h.app = app.(*LoginApp)
	if h.realm, err = h.app.hold(home); err != nil {
		return err
	}
	h.realm.checked = true
	h.app.cookies[h.cookie] = true
	h.keys = h.realm.realm
	return nil
}

func (h *HassJWT) provisionJWKS() error {
	address, err := caddy.NewReplacer().ReplaceOrErr(h.Key.JWKS, true, true)
	if err != nil {
		return fmt.Errorf("key jwks: %w", err)
	}
	source, release, err := acquireJWKS(address)
	if err != nil {
		return fmt.Errorf("key jwks: %w", err)
	}
	h.keys, h.release = source, release
	return nil
}

func (h *HassJWT) provisionFile() error {
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

// namesOf returns the cookie and the issuer of a home.
func namesOf(home string) (cookie, issuer string) {
	if home == "" || home == hassapp.DefaultHome {
		return defaultCookie, defaultIssuer
	}
	return defaultCookie + "_" + home, defaultIssuer + "/" + home
}

// homeName is what a home may be called: it becomes part of a cookie's name.
var homeName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// cookieName is a token of RFC 9110 section 5.6.2, which RFC 6265 wants for names.
var cookieName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// settle replaces placeholders and fills in what is not configured.
func (h *HassJWT) settle() (home string, err error) {
	repl := caddy.NewReplacer()
	var firstErr error
	replace := func(what, s string) string {
		s, err := repl.ReplaceOrErr(s, true, true)
		if err != nil && firstErr == nil {
			firstErr = fmt.Errorf("%s: %w", what, err)
		}
		return s
	}

	home = replace("home", h.Home)
	h.cookie, h.checks.issuer = namesOf(home)
	if home == "" {
		home = hassapp.DefaultHome
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
	h.checks.now = now
	h.login = repl.ReplaceKnown(h.Login, "")
	if h.Identity != nil && firstErr == nil {
		firstErr = h.Identity.settle()
	}

	switch {
	case firstErr != nil:
		return "", firstErr
	case !homeName.MatchString(home):
		return "", fmt.Errorf("home %q: a home's name is made of letters, digits, _ and -", home)
	case !cookieName.MatchString(h.cookie):
		return "", fmt.Errorf("cookie %q: this is no name for a cookie", h.cookie)
	case h.checks.leeway < 0:
		return "", fmt.Errorf("leeway %s: it must not be negative", h.checks.leeway)
	}
	return home, nil
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

// Cleanup lets go of the key file and of the home.
func (h *HassJWT) Cleanup() error {
	if h.homeBearer != nil {
		h.homeBearer.release()
	}
	if h.release == nil {
		return nil
	}
	return h.release()
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *HassJWT) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.Identity != nil {
		h.Identity.strip(r)
	}
	if h.app != nil {
		if err := h.app.wait(r); err != nil {
			return caddyhttp.Error(http.StatusServiceUnavailable, err)
		}
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	visitor := visitorOf(r, repl)

	host := "" // matters only to who renews
	if h.realm != nil {
		host = hostOf(r)
	}
	var found finding
	if h.homeBearer == nil || len(visitor.authorization) == 0 {
		found = h.look(visitor, host, true)
	} else {
		found = h.lookAtHome(r, visitor, host)
	}
	if found.shown && found.who == nil {
		refusals.note(hostOf(r), problemOf(found.err))
	}
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
			c.Write(zap.String("sub", oneLine(found.who.subject)), zap.String("host", r.Host), zap.String("client_ip", visitor.ip))
		}
		return h.forbid(w, r, repl, found.who)
	default:
		visitor.becomes(found.who, repl)
		if h.Identity == nil {
			break
		}
		visitor.told = append(visitor.told, h.Identity.service)
		if h.Identity.set(r.Header, found.who) {
			h.logger.Debug("the service is not told who this is: the token has no such claim", zap.String("claim", h.Identity.account), zap.String("sub", found.who.subject))
		}
	}
	if found.who == nil || h.realm == nil && found.answer == nil {
		return next.ServeHTTP(w, r)
	}
	if found.renewed != "" && visitor.renewed != found.renewed {
		visitor.renewed = found.renewed
		w = h.renewing(w, r, found)
	}
	return h.follow(w, r, next, found, visitor.ip)
}

// follow lets a request go on for as long as its session lives.
func (h *HassJWT) follow(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, found finding, ip string) error {
	s, realm := found.who.session, h.realm
	var until time.Time
	switch {
	case found.answer != nil:
		realm, until = h.homeBearer.users, found.answer.expires
	case found.minter != nil:
		until = found.minter.ends(s)
	default: // nobody renews it
		until = found.who.expires.Add(h.checks.leeway)
	}
	ctx, stop := realm.follow(r.Context(), s, ip, until)
	defer stop()
	// It may have ended before we began to listen.
	if why := realm.judge(s, ip); why != nil {
		return caddyhttp.Error(http.StatusUnauthorized, why)
	}
	return next.ServeHTTP(w, r.WithContext(ctx))
}

// isOurs says whether a cookie is not for the service behind. Those of other homes are logins, too.
func (h *HassJWT) isOurs(cookie string) bool {
	if cookie == h.cookie {
		return !h.KeepToken
	}
	return cookie == h.rounds || h.app != nil && h.app.cookies[cookie]
}

var (
	errNoToken    = errors.New("no token")
	errNotAllowed = errors.New("not allowed by the rules for this site")
)

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

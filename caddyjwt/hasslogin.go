package caddyjwt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-hass/caddy-hass/hassapp"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

func init() {
	caddy.RegisterModule(new(HassLogin))
}

const (
	defaultLifetime = 30 * time.Minute
	defaultSession  = 30 * 24 * time.Hour

	// maxSession is what browsers allow a cookie (RFC 6265bis section 5.5).
	maxSession = 400 * 24 * time.Hour
)

// HassLogin stands in front of Home Assistant and gives everybody who logs in
// there a cookie that proves it: a JSON Web Token, which `hass_jwt` takes at any
// other service. Nothing is installed in Home Assistant.
//
// After Home Assistant has answered `POST /auth/token`, it asks the home who that access
// token belongs to and adds the cookie to that same answer. It does so for Home
// Assistant's own frontend and its official apps, and only for requests from the same origin.
//
// It answers these addresses on Home Assistant's site itself:
//
//   - `GET /auth/jwt_cookie?redirect_url=…`: come back with a cookie
//   - `POST /auth/jwt_cookie/logout`
//   - `GET /auth/jwt_cookie/switch?redirect_url=…`: a page to log out and come back as somebody else
//   - `GET /auth/jwt_cookie/token`: a token as text or JSON, for programs with a client certificate
//   - `POST /auth/jwt_cookie/check`: what the command of `passwordless` asks
//   - `GET /auth/jwt_cookie/jwks.json` and `GET /auth/jwt_cookie/key.pem`: the public keys
//
// The signing keys are in Caddy's storage, a set of its own for each home. Caddy makes
// the first one when it starts, and a new one every 90 days, a day before it is used.
type HassLogin struct {
	// The name of the home (see the app `hass`). Default: `default`.
	Home string `json:"home,omitempty"`

	// The domain that the cookie is for, with everything below it. Default: only the
	// host that Home Assistant is on.
	Domain string `json:"domain,omitempty"`

	// The name of the cookie. Default: `jwt_access_token`, or
	// `jwt_access_token_<home>` for a home with a name.
	Cookie string `json:"cookie,omitempty"`

	// What `iss` says. Default: `homeassistant`, or `homeassistant/<home>`
	// for a home with a name.
	Issuer string `json:"issuer,omitempty"`

	// What `aud` says. Default: `homeassistant`.
	Audience []string `json:"audience,omitempty"`

	// How long a token is good. A Caddy on the same storage renews it while the
	// session lasts. Default: 30m.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// How long a browser is let in after Home Assistant has let it in; the
	// cookie's Max-Age. Default: 30d.
	Session caddy.Duration `json:"session,omitempty"`

	// The hosts that people may be sent back to, such as `grafana.example.com`,
	// `*.example.com` or `nas.example.com:5001`. Default: hosts under the domain. The
	// login's own host is always one.
	RedirectTo []string `json:"redirect_to,omitempty"`

	// Whose TLS client certificates are a login. Default: nobody's.
	ClientCertificate *ClientCertificates `json:"client_certificate,omitempty"`

	// Logs who has a good cookie in to Home Assistant itself. Default: that is by
	// Home Assistant's own login page.
	Passwordless *Passwordless `json:"passwordless,omitempty"`

	app     *LoginApp
	realm   *heldRealm
	minter  *Minter
	reader  reader
	targets targets

	certificates *certificates // nil: none are a login
	entries      entries

	// What goes on after answers have gone out.
	background sync.WaitGroup
	ending     context.Context
	end        context.CancelFunc

	prober  *hassclient.Prober
	bridge  limiter
	revokes limiter
	foreign sync.Map // hosts that the domain does not cover, which have been warned about
	logger  *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*HassLogin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.hass_login",
		New: func() caddy.Module { return new(HassLogin) },
	}
}

// errNoHomes says what to configure.
var errNoHomes = errors.New("there is no home to ask who has logged in: add the global option hass { url …; token … }")

// Provision sets up the handler. It reads no key.
func (h *HassLogin) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	home, minter, err := h.settle()
	if err != nil {
		return err
	}
	app, err := ctx.App("hass_login")
	if err != nil {
		return err
	}
	h.app = app.(*LoginApp)
	if h.app.homes == nil {
		return errNoHomes
	}
	config, ok := h.app.homes.ClientConfig(home)
	if !ok {
		return fmt.Errorf("home %q: %w: add the global option hass { … } for it", home, hassapp.ErrNoHome)
	}
	if h.prober, err = hassclient.NewProber(config); err != nil {
		return err
	}
	h.ending, h.end = context.WithCancel(context.Background())
	if h.realm, err = h.app.hold(home); err != nil {
		return err
	}
	minter.realm = h.realm.realm
	h.minter = minter
	h.app.cookies[minter.cookie] = true
	h.realm.minters = append(h.realm.minters, minter)
	h.reader = reader{
		cookie: minter.cookie,
		checks: checks{issuer: minter.issuer, audience: minter.audience, leeway: defaultLeeway, now: now},
		keys:   h.realm.realm,
		realm:  h.realm,
	}
	return nil
}

// settle replaces placeholders, fills in what is not configured, and checks it.
func (h *HassLogin) settle() (home string, m *Minter, err error) {
	repl := caddy.NewReplacer()
	replace := func(what, s string) string {
		s, e := repl.ReplaceOrErr(s, true, true)
		if e != nil && err == nil {
			err = fmt.Errorf("%s: %w", what, e)
		}
		return s
	}
	m = &Minter{lifetime: defaultLifetime, session: defaultSession, audience: []string{defaultIssuer}}
	home = replace("home", h.Home)
	m.cookie, m.issuer = namesOf(home)
	if home == "" {
		home = hassapp.DefaultHome
	}
	if h.Cookie != "" {
		m.cookie = replace("cookie", h.Cookie)
	}
	if h.Issuer != "" {
		m.issuer = replace("issuer", h.Issuer)
	}
	if len(h.Audience) > 0 {
		m.audience = replaceAll(h.Audience, func(s string) string { return replace("audience", s) })
	}
	if h.Lifetime != 0 {
		m.lifetime = time.Duration(h.Lifetime)
	}
	if h.Session != 0 {
		m.session = time.Duration(h.Session)
	}
	if domain := replace("domain", h.Domain); domain != "" && err == nil {
		if m.domain, err = checkDomain(domain); err != nil {
			err = fmt.Errorf("domain %w", err)
		}
	}
	h.targets.domain = m.domain
	for _, s := range h.RedirectTo {
		p, e := parseHostPattern(replace("redirect_to", s))
		if e != nil && err == nil {
			err = fmt.Errorf("redirect_to %w", e)
		}
		h.targets.patterns = append(h.targets.patterns, p)
	}
	if h.ClientCertificate != nil && err == nil {
		var bad error
		if h.certificates, bad = h.ClientCertificate.settle(replace); err == nil {
			err = bad
		}
	}
	switch {
	case err != nil:
	case !homeName.MatchString(home):
		err = fmt.Errorf("home %q: a home's name is made of letters, digits, _ and -", home)
	case !cookieName.MatchString(m.cookie):
		err = fmt.Errorf("cookie %q: this is no name for a cookie", m.cookie)
	case m.lifetime < time.Second || m.lifetime > maxSession:
		err = fmt.Errorf("lifetime %s: it must be between 1s and 400d", m.lifetime)
	case m.session < time.Second || m.session > maxSession:
		err = fmt.Errorf("session %s: it must be between 1s and 400d, which is the most that browsers allow", m.session)
	}
	return home, m, err
}

// Cleanup ends what still goes on, and closes idle connections.
func (h *HassLogin) Cleanup() error {
	if h.end != nil {
		h.end()
		h.background.Wait()
	}
	if h.prober != nil {
		h.prober.Close()
	}
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *HassLogin) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	path, ours := strings.CutPrefix(r.URL.Path, loginPath)
	if ours = ours && (path == "" || path[0] == '/'); ours || r.URL.Path == "/auth/token" || r.URL.Path == "/auth/revoke" {
		if err := h.app.wait(r); err != nil && ours {
			return caddyhttp.Error(http.StatusServiceUnavailable, err)
		}
	}
	v := visitorOf(r, r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer))
	switch {
	case ours:
		return h.serveOwn(w, r, v, path)
	case r.URL.Path == "/auth/token" && r.Method == http.MethodPost:
		return h.serveToken(w, r, v, next)
	case r.URL.Path == "/auth/revoke" && r.Method == http.MethodPost:
		if form, err := readForm(r); err == nil {
			h.revoke(w, r, v, form.Get("token"))
		} else {
			h.revoke(w, r, v, "")
		}
		return h.pass(w, r, next)
	}
	// On the way to Home Assistant the cookie is kept fresh, too.
	select {
	case <-h.app.started:
		if h.Passwordless != nil && r.URL.Path == authorizePath {
			if done, err := h.serveAuthorize(w, r, v); done {
				return err
			}
			w = ownPageFresh(w)
		}
		if found := h.reader.find(v, hostOf(r)); found.renewed != "" {
			v.renewed = found.renewed
			w = h.reader.renewing(w, r, found)
		}
	default:
	}
	return h.pass(w, r, next)
}

// pass sends a request on to Home Assistant, without the cookies, which it has no use for.
func (h *HassLogin) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	removeCookies(r.Header, func(name string) bool { return h.app.cookies[name] })
	return next.ServeHTTP(w, r)
}

// serveOwn answers the addresses below /auth/jwt_cookie.
func (h *HassLogin) serveOwn(w http.ResponseWriter, r *http.Request, v *visitor, path string) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	serve, method := h.ownAddress(path)
	if serve == nil {
		return caddyhttp.Error(http.StatusNotFound, errors.New("no such address"))
	}
	if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
		allow := method
		if method == http.MethodGet {
			allow = "GET, HEAD"
		}
		w.Header().Set("Allow", allow)
		return caddyhttp.Error(http.StatusMethodNotAllowed, fmt.Errorf("it takes %s", allow))
	}
	return serve(w, r, v)
}

func (h *HassLogin) ownAddress(path string) (serve func(http.ResponseWriter, *http.Request, *visitor) error, method string) {
	switch path {
	case "", "/":
		return h.serveReturn, http.MethodGet
	case "/callback":
		return h.serveCallback, http.MethodGet
	case "/session":
		return h.serveBridge, http.MethodPost
	case "/logout":
		return h.serveLogout, http.MethodPost
	case switchPath:
		return h.serveSwitch, http.MethodGet
	case "/token":
		if h.certificates != nil {
			return h.serveCertificateToken, http.MethodGet
		}
	case "/check":
		if h.Passwordless != nil {
			return h.serveCheck, http.MethodPost
		}
	case "/assertion":
		if h.Passwordless != nil {
			return h.serveAssertion, http.MethodPost
		}
	case "/assertion/untaken":
		if h.Passwordless != nil {
			return h.serveUntaken, http.MethodPost
		}
	case "/jwks.json", "/key.pem":
		return h.serveKeys, http.MethodGet
	case "/return.js", "/return.css", "/enter.js":
		return h.serveAsset, http.MethodGet
	}
	return nil, ""
}

// serveKeys publishes the public keys.
func (h *HassLogin) serveKeys(w http.ResponseWriter, r *http.Request, _ *visitor) error {
	ring := h.realm.ring.Load()
	if ring == nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, errNoKeys)
	}
	kind, text := "application/x-pem-file", ring.pem(now())
	if strings.HasSuffix(r.URL.Path, ".json") {
		var err error
		if text, err = ring.jwks(); err != nil {
			return caddyhttp.Error(http.StatusInternalServerError, err)
		}
		kind = "application/jwk-set+json"
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("Content-Type", kind)
	// They are public, and pages elsewhere may check tokens, too.
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(text)
	return err
}

// hostOf is the name of the host that a request is for, in lower case.
func hostOf(r *http.Request) string {
	u := url.URL{Host: externalHost(r)}
	return strings.ToLower(u.Hostname())
}

// originOf is the origin of the site that a request is for.
func originOf(r *http.Request) *url.URL {
	u := externalURL(r)
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}
}

// sameOrigin says whether a request comes from the site it is for, as far as its
// sender says. Programs say nothing.
func sameOrigin(r *http.Request, own *url.URL) (same, told bool) {
	if sites := r.Header.Values("Sec-Fetch-Site"); len(sites) > 0 {
		told = true
		if len(sites) > 1 || sites[0] != "same-origin" {
			return false, true
		}
	}
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		told = true
		if len(origins) > 1 || !isOrigin(origins[0], own) {
			return false, true
		}
	}
	return true, told
}

// isOrigin says whether s, an origin or a client_id of IndieAuth, is a site's own.
func isOrigin(s string, own *url.URL) bool {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || u.Path != "" && u.Path != "/" {
		return false
	}
	return strings.EqualFold(u.Scheme, own.Scheme) && strings.EqualFold(u.Hostname(), own.Hostname()) && portOf(u) == portOf(own)
}

// forwardedFor is what a reverse proxy tells Home Assistant of the client, so that the home
// judges our question as it judged the client's.
func forwardedFor(r *http.Request) http.Header {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return nil
	}
	peer, _, _ = strings.Cut(peer, "%")
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if prior := strings.Join(r.Header.Values("X-Forwarded-For"), ", "); prior != "" {
			peer = prior + ", " + peer
		}
	}
	return http.Header{"X-Forwarded-For": {peer}}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*HassLogin)(nil)
	_ caddy.CleanerUpper          = (*HassLogin)(nil)
	_ caddyhttp.MiddlewareHandler = (*HassLogin)(nil)
)

package caddyjwt

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// loginPath is where the site of the login sets the cookie and sends people back.
const loginPath = "/auth/jwt_cookie"

// view says how a request would show what it is answered.
type view int

const (
	viewNone  view = iota // a program's request
	viewPage              // a page of its own in a browser
	viewFrame             // a page within another
)

// viewOf tells by Fetch Metadata where the browser sends it, which it does on
// https and localhost, and by Accept otherwise.
func viewOf(r *http.Request) view {
	method := r.Method
	if of, asked := askedAbout(r); asked != nil {
		method = of
	}
	if method != http.MethodGet && method != http.MethodHead || r.Header.Get("Upgrade") != "" {
		return viewNone
	}
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	if mode == "" && dest == "" {
		if r.Header.Get("X-Requested-With") == "XMLHttpRequest" {
			return viewNone // a script's; Android's pages say an app's name there
		}
		if strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html") {
			return viewPage
		}
		return viewNone
	}
	switch dest {
	case "iframe", "frame", "embed", "object", "fencedframe":
		return viewFrame
	case "document":
		return viewPage
	case "":
		if mode == "navigate" {
			return viewPage
		}
	}
	return viewNone
}

// externalURL returns the address of a request as its sender knows it: before
// any rewriting here, and as proxies tell it that Caddy is set to trust.
func externalURL(r *http.Request) *url.URL {
	u := &url.URL{Scheme: "http", Host: externalHost(r), Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		u.Path, u.RawPath, u.RawQuery = original.URL.Path, original.URL.RawPath, original.URL.RawQuery
	}
	if fromTrustedProxy(r) {
		if proto := strings.ToLower(lastValue(r.Header, "X-Forwarded-Proto")); proto == "http" || proto == "https" {
			u.Scheme = proto
		}
	}
	return u
}

// externalHost is the host of externalURL, with its port.
func externalHost(r *http.Request) string {
	if fromTrustedProxy(r) {
		if host := lastValue(r.Header, "X-Forwarded-Host"); host != "" && !strings.ContainsAny(host, "/\\?#@, ") {
			return host
		}
	}
	return r.Host
}

func fromTrustedProxy(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// lastValue returns the value nearest to us, as reverse_proxy takes it.
func lastValue(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) == 0 {
		return ""
	}
	list := strings.Split(values[len(values)-1], ",")
	return strings.TrimSpace(list[len(list)-1])
}

// parseLogin reads the address of the site where people log in.
func parseLogin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return nil, errors.New("it must begin with https:// (or http://) and a host name")
	case u.User != nil, u.RawQuery != "", u.Fragment != "", u.Opaque != "":
		return nil, errors.New("it must be a scheme, a host name and perhaps a path, nothing else")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	if strings.HasSuffix(u.Path, loginPath) {
		return nil, errors.New("leave " + loginPath + " out: it comes behind it by itself")
	}
	return u, nil
}

// loginURL returns where to log in and come back to where, or nil where there is
// no such place: none configured, or the request is already for it.
func (h *HassJWT) loginURL(where *url.URL, repl *caddy.Replacer) *url.URL {
	if h.login == "" {
		return nil
	}
	u, err := parseLogin(repl.ReplaceAll(h.login, ""))
	if err != nil {
		h.logger.Error("login does not come to a URL", zap.Error(err))
		return nil
	}
	if u.Path += loginPath; u.RawPath != "" {
		u.RawPath += loginPath
	}
	if strings.EqualFold(u.Host, where.Host) && (where.Path == u.Path || strings.HasPrefix(where.Path, u.Path+"/")) {
		return nil
	}
	u.RawQuery = "redirect_url=" + url.QueryEscape(where.String())
	return u
}

// challenge answers a request without a good token.
func (h *HassJWT) challenge(w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, v *visitor, found finding) error {
	if view := viewOf(r); view != viewNone {
		where := wantedURL(r)
		if login := h.loginURL(where, repl); login != nil {
			if view == viewFrame {
				return h.framePage(w, r, where)
			}
			rounds := 0
			if found.shown {
				rounds = h.countRound(w, v, where)
			}
			if rounds > maxRounds {
				return h.refusedPage(w, r, login)
			}
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Location", login.String())
			w.WriteHeader(http.StatusFound)
			return nil
		}
	}
	switch {
	case errors.Is(found.err, errHomeTries):
		w.Header().Set("Retry-After", "3600")
		return caddyhttp.Error(http.StatusTooManyRequests, found.err)
	case errors.Is(found.err, errHomeSilent):
		w.Header().Set("Retry-After", "5")
		return caddyhttp.Error(http.StatusServiceUnavailable, found.err)
	}
	challengeHeader(w, found.shown)
	return caddyhttp.Error(http.StatusUnauthorized, found.err)
}

// challengeHeader says how to come again (RFC 6750 section 3): with an error only where
// a token was shown.
func challengeHeader(w http.ResponseWriter, shown bool) {
	value := "Bearer"
	if shown {
		value = `Bearer error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", value)
}

const (
	// Who comes back with a cookie that is refused again is not sent away
	// for ever: after maxRounds within roundsAge seconds there is a page.
	maxRounds = 4
	roundsAge = 30
)

// countRound returns how many times, this one included, a browser has come with
// a token that is refused, and lets the browser remember it.
func (h *HassJWT) countRound(w http.ResponseWriter, v *visitor, where *url.URL) int {
	rounds := 1
	for _, field := range v.cookie {
		for more := true; more; {
			var name, value string
			_, name, value, field, more = nextPair(field)
			if n, err := strconv.Atoi(value); err == nil && name == h.rounds && n > 0 && n <= maxRounds {
				rounds = n + 1
			}
		}
	}
	if rounds <= maxRounds {
		http.SetCookie(w, &http.Cookie{
			Name: h.rounds, Value: strconv.Itoa(rounds), Path: "/", MaxAge: roundsAge,
			Secure: where.Scheme == "https", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
	}
	return rounds
}

// framePage stands where a login page would be useless: within another page,
// whose browser may not send it the cookie either.
func (h *HassJWT) framePage(w http.ResponseWriter, r *http.Request, where *url.URL) error {
	challengeHeader(w, false)
	return guardPage{
		Title: "frame.title", Text: "frame.text", Link: where.String(), LinkText: "frame.link", NewTab: true,
	}.write(w, r, http.StatusUnauthorized)
}

// refusedPage ends a loop of redirects.
func (h *HassJWT) refusedPage(w http.ResponseWriter, r *http.Request, login *url.URL) error {
	challengeHeader(w, true)
	return guardPage{
		Title: "refused.title", Text: "refused.text", Link: login.String(), LinkText: "state.link",
	}.write(w, r, http.StatusUnauthorized)
}

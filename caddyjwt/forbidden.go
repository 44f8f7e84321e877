package caddyjwt

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// forbid answers who is known, but not allowed here. A browser gets a page that says who
// that is and how to come as somebody else, unless the site has error pages of its own.
func (h *HassJWT) forbid(w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, who *identity) error {
	w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
	view := viewOf(r)
	if view == viewNone || hasErrorPages(r) {
		return caddyhttp.Error(http.StatusForbidden, errNotAllowed)
	}
	p := guardPage{Title: "forbidden.title", Text: "forbidden.text", Who: nameFor(who), Detail: "forbidden.ask", NewTab: view == viewFrame}
	if login := h.loginURL(wantedURL(r), repl); login != nil {
		if h.knowsLogin() {
			login.Path += switchPath
			if login.RawPath != "" {
				login.RawPath += switchPath
			}
			p.Detail, p.LinkText = "forbidden.or", "switch.title"
		} else {
			// Another login's: there one logs out by hand.
			login = &url.URL{Scheme: login.Scheme, Host: login.Host, Path: "/"}
			p.Detail, p.LinkText = "forbidden.hand", "target.link"
		}
		p.Link = login.String()
	}
	return p.write(w, r, http.StatusForbidden)
}

// knowsLogin says whether people log in at a hass_login, as far as its keys tell.
func (h *HassJWT) knowsLogin() bool {
	return h.realm != nil || h.Key != nil && strings.HasSuffix(h.Key.JWKS, loginPath+"/jwks.json")
}

// hasErrorPages says whether the site has handle_errors.
func hasErrorPages(r *http.Request) bool {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || server.Errors == nil {
		return false
	}
	for _, route := range server.Errors.Routes {
		if match, err := route.MatcherSets.AnyMatchWithError(r); err == nil && match {
			return true
		}
	}
	return false
}

// nameFor is what people call somebody.
func nameFor(who *identity) string {
	for _, claim := range []string{"name", claimUsername, "id"} {
		if name := strings.TrimSpace(who.value(claim)); name != "" {
			return name
		}
	}
	return ""
}

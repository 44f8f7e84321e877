package caddyjwt

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// forbid answers who is known, but not allowed here. A browser gets a page that says who
// that is and how to come as somebody else, unless the site has error pages of its own.
func (h *HassJWT) forbid(w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, who *identity) error {
	w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
	view := viewOf(r)
	if view == viewNone || hasErrorPages(r) {
		return caddyhttp.Error(http.StatusForbidden, errNotAllowed)
	}
	p := forbiddenPage{Text: "forbidden.text", Who: nameFor(who), Detail: "forbidden.ask", NewTab: view == viewFrame}
	if login := h.loginURL(externalURL(r), repl); login != nil {
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
	if err := p.write(w, r); err != nil {
		h.logger.Debug("writing a page", zap.Error(err))
	}
	return nil
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

// forbiddenPage is a page at the service's own address, where no file of ours is: it
// brings its style along. Its texts are keys of assets/words.json.
type forbiddenPage struct {
	Text, Who, Detail string
	Link, LinkText    string
	NewTab            bool
}

// forbiddenParts are the template, the style, and its hash for the policy.
var forbiddenParts = sync.OnceValues(func() (*template.Template, [2]string) {
	style, err := assets.ReadFile("assets/return.css")
	if err != nil {
		panic(err) // it is part of the program
	}
	sum := sha256.Sum256(style)
	return template.Must(template.ParseFS(assets, "assets/forbidden.html")),
		[2]string{string(style), "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"}
})

func (p forbiddenPage) write(w http.ResponseWriter, r *http.Request) error {
	page, style := forbiddenParts()
	all, _ := wordsOf()
	lang := languageOf(r)
	t := func(key string) string {
		if s, ok := all[lang][key]; ok {
			return s
		}
		return all[pageLanguages[0]][key]
	}
	data := struct {
		forbiddenPage
		Lang, Title string
		Style       template.CSS
	}{p, lang, t("forbidden.title"), template.CSS(style[0])} //nolint:gosec // our own file
	data.Text, data.Detail, data.LinkText = t(p.Text), t(p.Detail), t(p.LinkText)
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("page: %w", err))
	}
	policy := "default-src 'none'; style-src " + style[1] + "; base-uri 'none'; form-action 'none'"
	if !p.NewTab {
		policy += "; frame-ancestors 'none'"
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", policy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	header.Set("Content-Language", lang)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex")
	header.Set("Vary", "Accept-Language, Sec-Fetch-Dest")
	w.WriteHeader(http.StatusForbidden)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(b.Bytes())
	return err
}

package caddyjwt

import (
	"embed"
	"errors"
	"html/template"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-hass/caddy-hass/internal/words"
)

//go:embed assets
var assets embed.FS

// loginPage is a page of the login. Its texts are keys of login.json in
// internal/words, without the "login." before them.
type loginPage struct {
	Title, Text, Detail string
	Link, LinkText      string
	Who                 string // whom the page is for; not a key

	// Script, where the page does something by itself.
	Do        string // "return", "exchange", "enter" or "switch"
	Again     string // where to go on, on this site
	Authorize string // Home Assistant's own login page
	Provider  string // the id of Home Assistant's auth provider to enter by
}

// languageOf is the language of whom a page is for.
func languageOf(r *http.Request) *words.Language {
	return words.Match(r.Header.Get("Accept-Language"))
}

// say returns the text of a key of login.json, or nothing for none.
func say(l *words.Language, key string) string {
	if key == "" {
		return ""
	}
	return l.T("login." + key)
}

var loginTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.ParseFS(assets, "assets/return.html"))
})

// pagePolicy allows what the pages need: a script and a style of this site's, and
// to talk to Home Assistant here.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (h *HassLogin) writePage(w http.ResponseWriter, r *http.Request, status int, p loginPage) error {
	l := languageOf(r)
	data := struct {
		loginPage
		Lang, Dir, Asset, Trouble, NoScript string
	}{p, l.Tag(), l.Dir(), loginPath, say(l, "js.trouble"), say(l, "js.none")}
	data.Title, data.Text, data.Detail, data.LinkText = say(l, p.Title), say(l, p.Text), say(l, p.Detail), say(l, p.LinkText)
	if p.Do == "switch" {
		data.Trouble = say(l, "switch.app")
	}
	return answerPage(w, r, status, loginTemplate(), data, l.Tag(), pagePolicy, "Accept-Language")
}

// serveAsset serves the script and the style.
func (h *HassLogin) serveAsset(w http.ResponseWriter, r *http.Request, _ *visitor) error {
	name := path.Base(r.URL.Path)
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		return caddyhttp.Error(http.StatusNotFound, errors.New("no such address"))
	}
	kind := "text/javascript; charset=utf-8"
	if strings.HasSuffix(name, ".css") {
		kind = "text/css; charset=utf-8"
	}
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if r.Method == http.MethodHead {
		return nil
	}
	_, err = w.Write(text)
	return err
}

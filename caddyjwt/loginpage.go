package caddyjwt

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/text/language"
)

//go:embed assets
var assets embed.FS

// loginPage is a page of the login. Its texts are keys of assets/words.json.
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

// loginWords is the texts by language and key.
type loginWords map[string]map[string]string

var wordsOf = sync.OnceValues(func() (loginWords, language.Matcher) {
	text, err := assets.ReadFile("assets/words.json")
	if err != nil {
		panic(err) // it is part of the program
	}
	var w loginWords
	if err := json.Unmarshal(text, &w); err != nil {
		panic(err)
	}
	return w, language.NewMatcher([]language.Tag{language.English, language.German})
})

// pageLanguages are the languages of the matcher, in its order.
var pageLanguages = []string{"en", "de"}

func languageOf(r *http.Request) string {
	_, matcher := wordsOf()
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return pageLanguages[0]
	}
	_, i, _ := matcher.Match(tags...)
	return pageLanguages[i]
}

var loginTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.ParseFS(assets, "assets/return.html"))
})

// pagePolicy allows what the pages need: a script and a style of this site's, and
// to talk to Home Assistant here.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (h *HassLogin) writePage(w http.ResponseWriter, r *http.Request, status int, p loginPage) error {
	all, _ := wordsOf()
	lang := languageOf(r)
	t := func(key string) string {
		if key == "" {
			return ""
		}
		if s, ok := all[lang][key]; ok {
			return s
		}
		return all[pageLanguages[0]][key]
	}
	data := struct {
		loginPage
		Lang, Asset, Trouble, NoScript string
	}{p, lang, loginPath, t("js.trouble"), t("js.none")}
	data.Title, data.Text, data.Detail, data.LinkText = t(p.Title), t(p.Text), t(p.Detail), t(p.LinkText)
	if p.Do == "switch" {
		data.Trouble = t("switch.app")
	}
	var b bytes.Buffer
	if err := loginTemplate().Execute(&b, data); err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("page: %w", err))
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	header.Set("Content-Language", lang)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex")
	header.Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(b.Bytes())
	return err
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

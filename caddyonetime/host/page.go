package host

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

//go:embed templates
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"icon": icon,
}).ParseFS(templateFiles, "templates/*.html"))

// page is what every page's template gets.
type page struct {
	*words.Language
	Title   string
	House   string
	Nav     string // which of the places at the top this is
	Visitor Visitor
	Paused  bool   // every link: each page says so
	Version string // of the assets
	Data    any
}

// Person is how a host is called.
func (page) Person(p onetime.Person) string { return cmp.Or(p.Name, p.ID) }

func (r *request) lang() *words.Language { return words.Match(r.Header.Get("Accept-Language")) }

func (r *request) makePage(nav, title string, data any) *page {
	p := &page{Language: r.lang(), Title: title, House: r.h.cfg.House, Nav: nav, Visitor: r.visitor, Version: assetVersion, Data: data}
	if r.svc != nil {
		// A page that cannot know is still worth showing.
		p.Paused, _ = r.svc.Paused(r.Context())
	}
	return p
}

// render answers with a page. Nothing is sent before all of it is made.
func (r *request) render(status int, name string, p *page) error {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, p); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	r.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	r.w.Header().Set("Content-Language", p.Tag())
	r.w.Header().Set("Vary", "Accept-Language")
	r.w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	r.w.WriteHeader(status)
	if r.Method != http.MethodHead {
		r.w.Write(b.Bytes())
	}
	return nil
}

// redirect sends the browser on after a form, to an address relative to this one.
func (r *request) redirect(page string, args ...string) error {
	if len(args) > 0 {
		q := url.Values{}
		for i := 0; i+1 < len(args); i += 2 {
			if args[i+1] != "" {
				q.Set(args[i], args[i+1])
			}
		}
		if s := q.Encode(); s != "" {
			page += "?" + s
		}
	}
	r.w.Header().Set("Location", page)
	r.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// form reads a form's fields.
func (r *request) form() error {
	r.Body = http.MaxBytesReader(r.w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return malformed("The form did not arrive whole, or is too long.")
	}
	return nil
}

// problemPage shows an error that a page has no better place for.
func (r *request) problemPage(p *problem) {
	l := r.lang()
	key := "host.problem." + p.Code
	if !l.Has(key) {
		key = "host.problem.other"
	}
	name, pg := "problem.html", r.makePage("", l.T(key), p.text(l))
	if p.Code == "unauthenticated" {
		// Nothing else is served to nobody, so this page stands alone.
		name, pg.Data = "nobody.html", template.HTML("<style>"+nobodyStyle+"</style>")
		r.w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src '"+nobodyStyleHash+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	}
	if err := r.render(p.Status, name, pg); err != nil {
		r.h.cfg.Logger.Error("a page of the host's side cannot be made", "error", err)
		r.w.WriteHeader(http.StatusInternalServerError)
	}
}

const nobodyStyle = "body{margin:0;background:#f4f2ee;color:#191c1a;font:1rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}" +
	"main{max-width:34rem;margin:0 auto;padding:2rem 1.25rem}h1{line-height:1.2}" +
	"pre{padding:1rem;overflow-x:auto;border:1px solid GrayText;border-radius:.75rem;font-size:.9rem;tab-size:4}" +
	"@media(prefers-color-scheme:dark){body{background:#101311;color:#f2f4f0}}"

// nobodyStyleHash lets the policy take this style and no other.
var nobodyStyleHash = func() string {
	sum := sha256.Sum256([]byte(nobodyStyle))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}()

// zone is where the home of that name is, as far as it is known.
func (r *request) zone(home string) *time.Location {
	var any *time.Location
	for _, s := range r.h.cfg.Homes() {
		if s.TimeZone == nil {
			continue
		}
		if s.Name == home {
			return s.TimeZone
		}
		if any == nil {
			any = s.TimeZone
		}
	}
	if any != nil {
		return any
	}
	return time.Local
}

// viewZone is the time zone that a token's times are told in.
func (r *request) viewZone(v *onetime.View) *time.Location {
	for _, a := range v.Actions {
		if a.TimeZone != nil && a.Reachable {
			return a.TimeZone
		}
	}
	if len(v.Actions) > 0 {
		return r.zone(v.Actions[0].Action.Home)
	}
	return r.zone(onetime.DefaultHome)
}

// isolate keeps a text of unknown direction from reordering the sentence
// around it (Unicode, FSI and PDI). What could end the isolation is left out.
func isolate(s string) string { return "\u2068" + withoutOverrides(s) + "\u2069" }

// withoutOverrides leaves out the characters that set the direction of what
// follows, wherever it is pasted to. Marks, which only hint, stay.
func withoutOverrides(s string) string {
	return strings.Map(func(r rune) rune {
		if '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' {
			return -1
		}
		return r
	}, s)
}

// shorten cuts a text to n characters, at its first line's end at the latest.
func shorten(s string, n int) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.TrimSpace(s)
	if runes := []rune(s); len(runes) > n {
		return strings.TrimSpace(string(runes[:n-1])) + "…"
	}
	return s
}

package host

import (
	"net/http"
	"net/url"
)

// webManifest makes the pages installable (W3C, Web Application Manifest).
type webManifest struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	ShortName  string        `json:"short_name"`
	Lang       string        `json:"lang"`
	Dir        string        `json:"dir"`
	StartURL   string        `json:"start_url"`
	Scope      string        `json:"scope"`
	Display    string        `json:"display"`
	Background string        `json:"background_color"`
	Theme      string        `json:"theme_color"`
	Icons      []webIcon     `json:"icons"`
	Shortcuts  []webShortcut `json:"shortcuts"`
}

type webIcon struct {
	Src     string `json:"src"`
	Sizes   string `json:"sizes"`
	Type    string `json:"type"`
	Purpose string `json:"purpose,omitempty"`
}

type webShortcut struct {
	Name  string    `json:"name"`
	URL   string    `json:"url"`
	Icons []webIcon `json:"icons"`
}

// maxShortcuts is how many shortcuts phones show.
const maxShortcuts = 4

// manifest describes the pages to a phone that puts them on its home screen,
// with a shortcut to a new link for each of the first actions.
func (r *request) manifest() error {
	l := r.lang()
	png192 := webIcon{Src: "-/icon-192.png", Sizes: "192x192", Type: "image/png"}
	m := webManifest{
		ID: "./", Name: l.T("host.app"), ShortName: l.T("host.nav.links"), Lang: l.Tag(), Dir: l.Dir(),
		StartURL: "./", Scope: "./", Display: "standalone", Background: "#f4f2ee", Theme: "#f4f2ee",
		Icons: []webIcon{
			{Src: "-/icon.svg", Sizes: "any", Type: "image/svg+xml"}, png192,
			{Src: "-/icon-512.png", Sizes: "512x512", Type: "image/png"},
			{Src: "-/icon-512.png", Sizes: "512x512", Type: "image/png", Purpose: "maskable"},
		},
		Shortcuts: []webShortcut{},
	}
	if r.h.cfg.House != "" {
		m.Name += " · " + r.h.cfg.House
	}
	actions, err := r.tiles()
	if err != nil {
		return err
	}
	for _, a := range actions[:min(len(actions), maxShortcuts)] {
		m.Shortcuts = append(m.Shortcuts, webShortcut{Name: a.Title, URL: "new?" + url.Values{"action": {a.Name}}.Encode(), Icons: []webIcon{png192}})
	}
	r.w.Header().Set("Vary", "Accept-Language")
	r.writeJSON(http.StatusOK, "application/manifest+json", m)
	return nil
}

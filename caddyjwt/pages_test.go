package caddyjwt

import (
	"context"
	"image"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/internal/pagetest"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// pageScenes are the pages of the login, each by what writes it.
func pageScenes(t *testing.T) map[string]func(w http.ResponseWriter, r *http.Request) error {
	t.Helper()
	login := &HassLogin{}
	guard := &HassJWT{}
	ha := &url.URL{Scheme: "https", Host: "ha.example.com", Path: loginPath, RawQuery: "redirect_url=https%3A%2F%2Fgrafana.example.com%2Fd%2F1"}
	page := func(status int, p loginPage) func(http.ResponseWriter, *http.Request) error {
		return func(w http.ResponseWriter, r *http.Request) error { return login.writePage(w, r, status, p) }
	}
	scenes := map[string]func(http.ResponseWriter, *http.Request) error{
		// Without tokens and without the rest of the server, it says that it did not work.
		"trouble": page(200, loginPage{Title: "return.title", Text: "return.text", Link: ha.String(), LinkText: "return.link", Do: "exchange", Again: ha.RequestURI()}),
		"return":  page(200, loginPage{Title: "return.title", Text: "return.text", Link: ha.String(), LinkText: "return.link"}),
		"target":  page(400, loginPage{Title: "target.title", Text: "target.text", Link: "/", LinkText: "target.link"}),
		"state":   page(400, loginPage{Title: "state.title", Text: "state.text", Link: ha.String(), LinkText: "state.link"}),
		"out":     page(200, loginPage{Title: "out.title", Text: "out.text", Link: "/", LinkText: "out.link"}),
		"frame":   func(w http.ResponseWriter, r *http.Request) error { return guard.framePage(w, r, ha) },
		"refused": func(w http.ResponseWriter, r *http.Request) error { return guard.refusedPage(w, r, ha) },

		"in":           page(200, loginPage{Title: "in.title", Text: "in.text", Who: "Anna-Katharina Schmidtbauer"}),
		"enter":        page(200, loginPage{Title: "return.title", Text: "return.text", Link: "/auth/authorize", LinkText: "enter.link"}),
		"switch":       page(200, loginPage{Title: "switch.title", Text: "forbidden.text", Who: "Anna", Detail: "switch.text", Link: "/", LinkText: "switch.link", Do: "switch", Again: ha.RequestURI()}),
		"cert-none":    page(403, loginPage{Title: "cert.none.title", Text: "cert.none", Link: ha.String(), LinkText: "cert.link"}),
		"cert-unknown": page(403, loginPage{Title: "cert.title", Text: "cert.unknown", Link: ha.String(), LinkText: "cert.link"}),
		"cert-dates":   page(403, loginPage{Title: "cert.title", Text: "cert.dates", Link: "/", LinkText: "target.link"}),
		"cert-later":   page(503, loginPage{Title: "cert.later.title", Text: "why.home"}),
	}
	for name, p := range map[string]guardPage{
		"forbidden":       {Detail: "forbidden.ask"},
		"forbidden-or":    {Detail: "forbidden.or", Link: ha.String(), LinkText: "switch.title"},
		"forbidden-hand":  {Detail: "forbidden.hand", Link: ha.String(), LinkText: "target.link"},
		"forbidden-frame": {Detail: "forbidden.ask", NewTab: true},
	} {
		p.Title, p.Text, p.Who = "forbidden.title", "forbidden.text", "فاطمة الزهراء"
		scenes[name] = func(w http.ResponseWriter, r *http.Request) error { return p.write(w, r, http.StatusForbidden) }
	}
	for _, key := range words.Get("en").Keys("login.why.") {
		why := strings.TrimPrefix(key, "login.")
		scenes["loop-"+strings.TrimPrefix(why, "why.")] = page(400, loginPage{Title: "loop.title", Text: "loop.text", Detail: why, Link: ha.String(), LinkText: "loop.link"})
	}
	return scenes
}

// openPage opens a tab on one of them; watch, where there is one, gets the tab before.
func openPage(t *testing.T, browser context.Context, l pagetest.Look, write func(http.ResponseWriter, *http.Request) error, watch func(tab context.Context)) context.Context {
	t.Helper()
	login := &HassLogin{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Accept-Language", l.Lang)
		serve := write
		switch {
		case r.URL.Path == "/favicon.ico":
			return
		case strings.HasPrefix(r.URL.Path, loginPath+"/return."):
			serve = func(w http.ResponseWriter, r *http.Request) error { return login.serveAsset(w, r, nil) }
		}
		if err := serve(w, r); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	tab, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	tab, cancel = context.WithTimeout(tab, 3*time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Do(tab, l.Steps()...); err != nil {
		t.Fatal(err)
	}
	if watch != nil {
		watch(tab)
	}
	if err := chromedp.Do(tab, chromedp.Navigate(server.URL+"/page"), chromedp.Sleep(150*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	return tab
}

func names[T any](scenes map[string]T) []string {
	var list []string
	for name := range scenes {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// TestScreenshots writes a picture of every page, and sheets of each look.
func TestScreenshots(t *testing.T) {
	album := pagetest.NewAlbum(t, "login")
	browser := pagetest.Browser(t)
	scenes := pageScenes(t)
	for _, l := range []pagetest.Look{
		{Name: "412-light-en", Width: 412, Height: 732, Lang: "en"},
		{Name: "320-dark-de", Width: 320, Height: 480, Dark: true, Lang: "de"},
		{Name: "1280-light-en", Width: 1280, Height: 800, Lang: "en"},
		{Name: "1280-dark-de", Width: 1280, Height: 800, Dark: true, Lang: "de"},
		{Name: "412-lang-ar", Width: 412, Height: 732, Lang: "ar"},
		{Name: "320-lang-he", Width: 320, Height: 480, Dark: true, Lang: "he"},
		{Name: "320-lang-fi", Width: 320, Height: 480, Lang: "fi"},
		{Name: "412-forced", Width: 412, Height: 732, Dark: true, Lang: "en", Forced: true},
		{Name: "1280-text400", Width: 1280, Height: 800, Lang: "en", Text: 400},
	} {
		var pictures []image.Image
		for _, scene := range names(scenes) {
			name := l.Name + "-" + scene
			if !pagetest.Wanted(name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				pictures = append(pictures, album.Shoot(t, openPage(t, browser, l, scenes[scene], nil), name))
			})
		}
		album.Sheet(t, l.Name, pictures)
	}
}

// TestEveryPage examines every page on a narrow phone and at a desk.
func TestEveryPage(t *testing.T) {
	axe := pagetest.Axe(t)
	browser := pagetest.Browser(t)
	scenes := pageScenes(t)
	for _, l := range []pagetest.Look{
		{Name: "phone", Width: 320, Height: 480, Lang: "de"},
		{Name: "desk", Width: 1280, Height: 800, Dark: true, Lang: "ar"},
	} {
		for _, scene := range names(scenes) {
			name := l.Name + "-" + scene
			if !pagetest.Wanted(name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				var e *pagetest.Examiner
				openPage(t, browser, l, scenes[scene], func(tab context.Context) { e = pagetest.Examine(t, tab) })
				e.Check(t, axe)
			})
		}
	}
}

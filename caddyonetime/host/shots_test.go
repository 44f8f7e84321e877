package host

import (
	"context"
	"image"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// scene is a state of a page and the way there.
type scene struct {
	name string
	who  Visitor
	make func(w *world) string // returns the path
	then []step
}

// busy is a house with links in every state.
func (w *world) busy() map[string]string {
	w.actions()
	w.do(anna, "PUT", "/api/actions/garage", map[string]any{"title": "Open the garage", "icon": "garage", "definition": "action: cover.open_cover\ntarget:\n  entity_id: cover.garage\n"}).want(201)
	w.do(anna, "PUT", "/api/actions/vacuum", map[string]any{"title": "Send the vacuum cleaner round the ground floor", "icon": "vacuum", "definition": "action: vacuum.start\ntarget:\n  entity_id: vacuum.ground\n"}).want(201)
	ids := map[string]string{}
	ids["expired"] = w.link(anna, `{"actions":["garage"],"guest":"Plumber","expires":"2026-11-20T15:00:00+01:00"}`)
	w.clock.Move(time.Hour)
	ids["ready"] = w.link(anna, `{"actions":["front_door"],"guest":"Parcel driver","comment":"Please leave it behind the door.","expires":"2026-11-20T17:10:00+01:00"}`)
	ids["used"] = w.link(ben, `{"actions":["front_door"],"guest":"Ina","uses_max":1}`)
	w.press(ids["used"])
	ids["cleaner"] = w.link(anna, `{"actions":["front_door","light"],"guest":"Cleaner","uses_max":20,"expires":"2026-12-18T18:00:00+01:00"}`)
	w.press(ids["cleaner"])
	ids["scheduled"] = w.link(ben, `{"actions":["garage"],"guest":"فاطمة الزهراء بنت محمد","not_before":"2026-11-21T09:00:00+01:00","expires":"2026-11-22T18:00:00+01:00"}`)
	ids["forever"] = w.link(anna, `{"actions":["vacuum"],"comment":"For the neighbours on the second floor, who feed the cat while we are away","uses_max":null}`)
	ids["revoked"] = w.link(anna, `{"actions":["front_door"],"guest":"Old flatmate","uses_max":null}`)
	w.do(anna, "DELETE", "/api/tokens/"+ids["revoked"], nil).want(204)
	ids["trouble"] = w.link(anna, `{"actions":["front_door"],"guest":"Tom","uses_max":3,"expires":"2026-11-22T18:00:00+01:00"}`)
	w.clock.Move(-8 * time.Minute)
	for range 3 {
		w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Message: "The motor of lock.front_door is jammed"})
		w.press(ids["trouble"])
	}
	w.clock.Move(8 * time.Minute)
	return ids
}

func scenes() []scene {
	return []scene{
		{"empty", anna, func(w *world) string { return "/" }, nil},
		{"empty-share", ben, func(w *world) string { return "/" }, nil},
		{"empty-actions", anna, func(w *world) string { w.actions(); return "/" }, nil},
		{"links", anna, func(w *world) string { w.busy(); return "/" }, nil},
		{"links-share", ben, func(w *world) string { w.busy(); return "/" }, nil},
		{"links-ended", anna, func(w *world) string { w.busy(); return "/?show=ended" }, nil},
		{"links-found-none", anna, func(w *world) string { w.busy(); return "/?q=nobody" }, nil},
		{"links-trouble", anna, func(w *world) string {
			ids := w.busy()
			w.do(anna, "PUT", "/api/pause", `{"paused":true}`).want(200)
			w.status = []HomeStatus{{Name: "default", Problem: "Home Assistant refuses this token: make a new one, and put it into HASS_TOKEN."}}
			w.do(anna, "DELETE", "/api/tokens/"+ids["ready"], nil).want(204)
			return "/?off=" + ids["ready"]
		}, nil},
		{"new", anna, func(w *world) string { w.busy(); return "/new?action=front_door" }, nil},
		{"new-forever", anna, func(w *world) string { w.busy(); return "/new?action=front_door" }, []step{
			press("[name=until][value=none]"), press("[name=uses][value=any]"), chromedp.Sleep(600 * time.Millisecond)}},
		{"new-custom", anna, func(w *world) string { w.busy(); return "/new?action=front_door" }, []step{
			press("[name=until][value=custom]"), chromedp.Sleep(600 * time.Millisecond)}},
		{"new-nothing", ben, func(w *world) string { return "/new" }, nil},
		{"link-new", anna, func(w *world) string { return "/link?new=1&id=" + w.busy()["ready"] }, nil},
		{"link-qr", anna, func(w *world) string { return "/qr?id=" + w.busy()["ready"] }, nil},
		{"link-card", anna, func(w *world) string { return "/card?id=" + w.busy()["ready"] }, nil},
		{"links-select", anna, func(w *world) string { w.busy(); return "/?select=1" }, nil},
		{"links-filter", anna, func(w *world) string { w.busy(); return "/?action=garage&by=u-ben" }, nil},
		{"link", anna, func(w *world) string { return "/link?id=" + w.busy()["trouble"] }, nil},
		{"link-revoked", anna, func(w *world) string { return "/link?id=" + w.busy()["revoked"] }, nil},
		{"link-change", anna, func(w *world) string { return "/link?id=" + w.busy()["cleaner"] }, []step{chromedp.Click(chromedp.CSS(".change summary")), chromedp.Sleep(200 * time.Millisecond)}},
		{"link-no-address", anna, func(w *world) string { id := w.busy()["ready"]; w.noPublic = true; return "/link?id=" + id }, nil},
		{"actions", anna, func(w *world) string { w.busy(); return "/actions" }, nil},
		{"action", anna, func(w *world) string {
			w.busy()
			w.home.Find([]string{"lock.front_door is unavailable right now; guests could not use this link."}, nil)
			return "/action?name=front_door"
		}, nil},
		{"action-wrong", anna, func(w *world) string {
			w.busy()
			w.home.Find(nil, &onetime.BadInput{Field: "definition", Line: 3, Message: "lock.front_door does not exist in this home. Did you mean lock.frontdoor?"})
			return "/action?name=front_door"
		}, nil},
		{"action-new", anna, func(w *world) string { return "/action" }, nil},
		{"action-deep", anna, func(w *world) string { w.busy(); return "/action?name=front_door" }, []step{
			chromedp.Click(chromedp.CSS(".below details:nth-of-type(2) summary")), chromedp.Click(chromedp.CSS(".below details:nth-of-type(1) summary")), chromedp.Sleep(200 * time.Millisecond)}},
		{"action-in-use", anna, func(w *world) string { w.busy(); return "/action?name=front_door" }, []step{
			chromedp.Click(chromedp.CSS(".below details:nth-of-type(2) summary")), chromedp.Click(chromedp.CSS(".below details:nth-of-type(2) button")), chromedp.Sleep(400 * time.Millisecond)}},
		{"nobody", nob, func(w *world) string { return "/" }, nil},
		{"not-found", anna, func(w *world) string { return "/link?id=ZZZZZZ" }, nil},
	}
}

var looks = []pagetest.Look{
	{Name: "412-light-en", Width: 412, Height: 732, Lang: "en"},
	{Name: "412-dark-de", Width: 412, Height: 732, Dark: true, Lang: "de"},
	{Name: "320-light-de", Width: 320, Height: 568, Lang: "de"},
	{Name: "320-dark-en", Width: 320, Height: 568, Dark: true, Lang: "en"},
	{Name: "1280-light-en", Width: 1280, Height: 800, Lang: "en"},
	{Name: "1280-dark-de", Width: 1280, Height: 800, Dark: true, Lang: "de"},
	{Name: "412-lang-ar", Width: 412, Height: 732, Lang: "ar"},
	{Name: "1280-lang-ar", Width: 1280, Height: 800, Dark: true, Lang: "ar"},
	{Name: "360-noscript", Width: 360, Height: 740, Lang: "en", NoScript: true},
	{Name: "412-forced", Width: 412, Height: 732, Dark: true, Lang: "en", Forced: true},
	{Name: "1280-text400", Width: 1280, Height: 800, Lang: "en", Text: 400},
	{Name: "2160p-light-en", Width: 3840, Height: 2160, Lang: "en"},
}

// TestScreenshots writes a picture of every state, and sheets of each look.
func TestScreenshots(t *testing.T) {
	album := pagetest.NewAlbum(t, "hosts")
	browser := newBrowser(t)
	for _, l := range looks {
		var pictures []image.Image
		for _, s := range allScenes() {
			name := l.Name + "-" + s.name
			if !pagetest.Wanted(name) || l.NoScript && s.then != nil {
				continue
			}
			t.Run(name, func(t *testing.T) {
				pictures = append(pictures, album.Shoot(t, openScene(t, browser, l, s, nil), name))
			})
		}
		album.Sheet(t, l.Name, pictures)
	}
}

// TestEveryPage examines every state on a narrow phone and at a desk.
func TestEveryPage(t *testing.T) {
	axe := pagetest.Axe(t)
	browser := newBrowser(t)
	for _, l := range []pagetest.Look{
		{Name: "phone", Width: 320, Height: 568, Lang: "de"},
		{Name: "desk", Width: 1280, Height: 800, Dark: true, Lang: "ar"},
	} {
		for _, s := range allScenes() {
			name := l.Name + "-" + s.name
			if !pagetest.Wanted(name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				var e *pagetest.Examiner
				openScene(t, browser, l, s, func(tab context.Context) { e = pagetest.Examine(t, tab) })
				e.Check(t, axe)
				if n := e.Bytes(); n > maxPageBytes {
					t.Errorf("it weighs %d bytes", n)
				}
			})
		}
	}
}

func allScenes() []scene { return append(scenes(), actionScenes()...) }

// openScene opens a tab on a scene; watch, where there is one, gets the tab before.
func openScene(t *testing.T, browser context.Context, l pagetest.Look, s scene, watch func(tab context.Context)) context.Context {
	t.Helper()
	w := newWorld(t)
	path := s.make(w)
	w.browse(s.who, l.Lang)
	ctx := tab(t, browser, l.Width, l.Height, l.Steps()...)
	if watch != nil {
		watch(ctx)
	}
	if err := chromedp.Do(ctx, append([]step{chromedp.Navigate(w.srv.URL + path), chromedp.Sleep(450 * time.Millisecond)}, s.then...)...); err != nil {
		t.Fatal(err)
	}
	return ctx
}

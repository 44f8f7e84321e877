package guest

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

const (
	doorYAML  = "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"
	otherYAML = "action: lock.unlock\ntarget:\n  entity_id: lock.back_door\n"
)

var inForm = regexp.MustCompile(`name="(action|revision|nonce)" value="([^"]*)"`)

// fields are those of the first form of a page.
func fields(t *testing.T, page string) url.Values {
	t.Helper()
	v := url.Values{}
	for _, m := range inForm.FindAllStringSubmatch(page, 3) {
		v.Set(m[1], m[2])
	}
	if len(v) != 3 || v.Get("revision") == "" {
		t.Fatalf("the form has %v", v)
	}
	return v
}

// Without a script: the press comes to nothing, the page says why and what is so
// now, and its own form works.
func TestThreat28_AFormOfAnActionThatWasEditedSince(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{UsesMax: times(1)})
	stale := fields(t, w.page("/"+code))
	w.action(onetime.Action{Name: "front_door", Title: "Open the back door", Definition: otherYAML})

	rec := w.ask("POST", "/"+code, stale.Encode(), "Accept", asBrowser, "Content-Type", form)
	if rec.Code != http.StatusConflict {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	said := text(rec.Body.String())
	for _, want := range []string{"This has changed. Please read it again.", "Open the back door", "This link works once."} {
		if !strings.Contains(said, want) {
			t.Errorf("lacks %q: %s", want, said)
		}
	}
	if strings.Contains(said, "front door") || !strings.Contains(rec.Body.String(), `role="alert"`) {
		t.Error(said)
	}
	if w.home.Ran() != 0 {
		t.Fatal("it ran")
	}
	fresh := fields(t, rec.Body.String())
	if fresh.Get("nonce") == stale.Get("nonce") || fresh.Get("revision") == stale.Get("revision") {
		t.Errorf("%v is as stale as %v", fresh, stale)
	}
	if location, page := w.press(code, fresh.Encode()); !strings.Contains(page, "Done") || w.home.Ran() != 1 {
		t.Errorf("%s: %s", location, text(page))
	}
}

// As JSON: a problem for who carries the revision, and no check for who does not.
func TestThreat28_AProgramAndAnActionThatWasEditedSince(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{UsesMax: times(3)})
	revision := func() string {
		a := object(t, w.ask("GET", "/"+code, "", "Accept", "application/json"))["actions"].([]any)[0].(map[string]any)
		return a["revision"].(string)
	}
	press := func(body, key string) map[string]any {
		rec := w.ask("POST", "/"+code, body, "Content-Type", "application/json", "Accept", "application/json", "Idempotency-Key", key)
		o := object(t, rec)
		o["http"] = rec.Code
		return o
	}
	seen := revision()
	if o := press(`{"revision":"`+seen+`"}`, "1"); o["http"] != 200 {
		t.Fatal(o)
	}
	w.action(onetime.Action{Name: "front_door", Title: "Open the front door", Definition: otherYAML})
	if o := press(`{"revision":"`+seen+`"}`, "2"); o["http"] != 409 || o["code"] != "changed" || o["field"] != "revision" || o["outcome"] != nil {
		t.Error(o)
	}
	if o := press(`{"revision":"`+seen+`"}`, "1"); o["http"] != 200 || o["replayed"] != true {
		t.Error("the answer to an earlier press: ", o)
	}
	if o := press(`{"revision":"`+revision()+`"}`, "2"); o["http"] != 200 || o["replayed"] != false {
		t.Error("the same key after it has read again: ", o)
	}
	if o := press(`{}`, "3"); o["http"] != 200 || o["uses_left"] != 0.0 {
		t.Error(o)
	}
	for _, body := range []string{`{"revision":1}`, `{"revision":"` + strings.Repeat("x", 65) + `"}`, `{"revision":"a","revision":"a"}`} {
		if o := press(body, "4"); o["http"] != 422 || o["field"] != "revision" {
			t.Error(body, o)
		}
	}
	if w.home.Ran() != 3 {
		t.Error("ran", w.home.Ran())
	}
}

// Of a link's actions only the one that is pressed counts.
func TestThreat28_OnlyWhatIsPressedCounts(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{Actions: []string{"front_door", "light"}, UsesMax: times(1)})
	page := w.page("/" + code)
	w.action(onetime.Action{Name: "light", Title: "Turn on everything", Definition: "action: light.turn_on\ntarget:\n  entity_id: all\n"})
	if _, after := w.press(code, fields(t, page).Encode()); !strings.Contains(after, "Turn on everything") || w.home.Ran() != 1 {
		t.Error(text(after))
	}
}

func TestTitlesInTheGuestsLanguage(t *testing.T) {
	w := newWorld(t)
	w.action(onetime.Action{Name: "front_door", Title: "Open the front door", Done: "Push hard.", Definition: doorYAML,
		Translations: map[string]onetime.Translation{
			"de": {Title: "Haustür <öffnen>", Done: "Fest drücken."}, "fr": {Title: "Ouvrir la porte"}, "ca": {Title: "Obrir la porta"},
		}})
	code, _ := w.link(onetime.TokenSpec{UsesMax: times(2)})
	for header, want := range map[string]string{
		"":                        "Open the front door",
		"de":                      "Haustür <öffnen>",
		"de-AT,de;q=0.9,en;q=0.8": "Haustür <öffnen>",
		"fr-CA":                   "Ouvrir la porte",
		"es,de;q=0.8":             "Open the front door", // who knows which language that is
		"ca,es;q=0.9":             "Obrir la porta",
		"sr":                      "Open the front door",
	} {
		page := w.ask("GET", "/"+code, "", "Accept", asBrowser, "Accept-Language", header).Body.String()
		if !strings.Contains(text(page), want) || strings.Contains(page, "<öffnen>") {
			t.Errorf("%q: %s", header, text(page))
		}
		a := object(t, w.ask("GET", "/"+code, "", "Accept", "application/json", "Accept-Language", header))["actions"].([]any)[0].(map[string]any)
		if a["title"] != want {
			t.Errorf("%q: %v", header, a["title"])
		}
	}
	// Whatever the language it is read and pressed in, it is the same.
	stale := fields(t, w.page("/"+code))
	_, page := w.press(code, stale.Encode(), "Accept-Language", "de")
	if !strings.Contains(page, "Push hard.") { // the page that follows asks for no language
		t.Error(text(page))
	}
	if page := w.ask("GET", "/"+code+"?r=1", "", "Accept", asBrowser, "Accept-Language", "de").Body.String(); !strings.Contains(page, "Fest drücken.") || !strings.Contains(text(page), "Haustür <öffnen>") {
		t.Error(text(page))
	}
	if page := w.ask("GET", "/"+code+"?r=1", "", "Accept", asBrowser, "Accept-Language", "fr").Body.String(); !strings.Contains(page, "Push hard.") || !strings.Contains(page, "Ouvrir la porte") {
		t.Error(text(page))
	}
	// The same after a press that came to nothing.
	w.action(onetime.Action{Name: "front_door", Title: "Open up", Definition: otherYAML, Translations: map[string]onetime.Translation{"de": {Title: "Aufmachen"}}})
	stale.Set("nonce", "another press")
	rec := w.ask("POST", "/"+code, stale.Encode(), "Accept", asBrowser, "Accept-Language", "de", "Content-Type", form)
	if said := text(rec.Body.String()); rec.Code != http.StatusConflict || !strings.Contains(said, "Das hat sich geändert. Bitte lesen Sie es noch einmal.") || !strings.Contains(said, "Aufmachen") {
		t.Error(rec.Code, said)
	}
}

func TestChangedInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	browser := newBrowser(t)
	other := onetime.Action{Name: "front_door", Title: "Open the back door", Definition: otherYAML}
	back := `window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))`

	t.Run("a stale press is asked again", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{UsesMax: times(1)})
		b := openTab(t, browser, phone, w.serve(t)+code)
		b.until(`document.querySelector('.ask')`)
		b.eval(openStep)
		b.until(settled)
		w.action(other)
		b.eval(pressYes)
		b.until(`document.body.innerText.includes('This has changed. Please read it again.')`)
		if got := b.eval(`document.querySelector('.ask').open + document.querySelector('.do').textContent + document.querySelector('[role=alert]').textContent`); got != "falseOpen the back doorThis has changed. Please read it again." || w.home.Ran() != 0 {
			t.Fatal(got, w.home.Ran())
		}
		b.until(settled)
		b.eval(openStep)
		b.until(settled)
		b.eval(pressYes)
		b.until(`document.querySelector('main').dataset.state === 'done'`)
		if w.home.Ran() != 1 {
			t.Error("ran", w.home.Ran())
		}
	})

	t.Run("what changes while it is looked at is there by itself", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{UsesMax: times(1)})
		b := openTab(t, browser, phone, w.serve(t)+code)
		b.until(`document.querySelector('.ask')`)
		w.action(other)
		b.eval(back)
		b.until(`document.querySelector('.do').textContent === 'Open the back door'`)
		if got := b.eval(`document.querySelector('#say').textContent + document.querySelectorAll('.note').length`); got != "This has changed. Please read it again.0" {
			t.Error(got)
		}
		// A second step that is open stays open as long as it says the truth…
		b.until(settled)
		b.eval(openStep)
		other := other
		other.Done = "Mind the step."
		w.action(other)
		b.eval(`window.fetched = 0, window.realFetch = fetch, window.fetch = (...a) => realFetch(...a).finally(() => setTimeout(() => fetched++, 100)), ` + back)
		b.until(`fetched === 1`)
		if b.eval(`document.querySelector('.ask').open`) != "true" {
			t.Error("closed under the finger")
		}
		// …and closes when it does not.
		other.Title = "Open the cellar"
		w.action(other)
		b.eval(back)
		b.until(`document.querySelector('.do').textContent === 'Open the cellar'`)
		if got := b.eval(`document.querySelector('.ask').open + document.querySelector('.note').textContent`); got != "falseThis has changed. Please read it again." {
			t.Error(got)
		}
		if w.home.Ran() != 0 {
			t.Error("ran", w.home.Ran())
		}
	})

	t.Run("without a script", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{UsesMax: times(1)})
		b := openTab(t, browser, phone, "about:blank")
		off := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			return err
		})
		b.do(off, chromedp.Navigate(w.serve(t)+code))
		b.tap(".ask summary", 1)
		w.action(other)
		b.tap(".ask form .go", 1)
		b.do(chromedp.WaitReady(chromedp.CSS(".note[role=alert]")))
		if w.home.Ran() != 0 {
			t.Fatal("it ran")
		}
		b.tap(".ask summary", 1)
		b.tap(".ask form .go", 1)
		b.do(chromedp.WaitReady(chromedp.CSS("main[data-state=done]")))
		if w.home.Ran() != 1 {
			t.Error("ran", w.home.Ran())
		}
	})
}

package host

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// TestBrowserKeepsWhatCannotBeSent saves where no answer comes, and where the login has
// ended: the page says so, what was typed stays, and once more it goes out.
func TestBrowserKeepsWhatCannotBeSent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	w := newWorld(t)
	w.actions()
	const (
		answers = iota
		hangsUp
		loggedOut
	)
	var server atomic.Int32
	w.browse(anna, "en")
	who := w.cfg.Who
	w.cfg.Who = func(r *http.Request) (Visitor, bool) {
		switch server.Load() {
		case hangsUp:
			panic(http.ErrAbortHandler)
		case loggedOut:
			return Visitor{}, false
		}
		return who(r)
	}
	w.serve("/keys")
	says := func(text string) step {
		return truly(`!document.querySelector("#unsent").hidden && document.querySelector("#unsent").innerText.includes("` + text + `")`)
	}

	// An action, written by hand.
	ctx := tab(t, browser, 360, 740, chromedp.Navigate(w.srv.URL+"/action"),
		chromedp.SendKeys(chromedp.CSS("#title"), "Open the shed"),
		chromedp.SendKeys(chromedp.CSS("#definition"), "action: script.open_shed"))
	typed := func() {
		t.Helper()
		if got := eval[string](t, ctx, `document.querySelector("#title").value + "|" + document.querySelector("#definition").value`); got != "Open the shed|action: script.open_shed" {
			t.Errorf("what was typed is now %q", got)
		}
		if list, err := w.svc.Actions(t.Context()); err != nil || len(list) != 2 {
			t.Errorf("%d actions (%v)", len(list), err)
		}
	}
	server.Store(hangsUp)
	if err := chromedp.Do(ctx, press("#edit button[value=save]"), says("No answer came, so nothing was sent.")); err != nil {
		t.Fatal(err)
	}
	typed()
	if eval[bool](t, ctx, `!!document.querySelector("#unsent a")?.offsetParent`) {
		t.Error("it asks to log in")
	}
	server.Store(loggedOut)
	if err := chromedp.Do(ctx, press("#edit button[value=save]"), says("Your login has ended"), chromedp.WaitVisible(chromedp.CSS("#unsent a"))); err != nil {
		t.Fatal(err)
	}
	typed()
	server.Store(answers)
	// Twice, as an impatient finger does.
	eval[any](t, ctx, `(b => { b.click(); b.click(); })(document.querySelector("#edit button[value=save]")); null`)
	if err := chromedp.Do(ctx, truly(`location.search.includes("saved=1")`)); err != nil {
		t.Fatal(err)
	}
	if list, err := w.svc.Actions(t.Context()); err != nil || len(list) != 3 {
		t.Errorf("%d actions (%v)", len(list), err)
	}

	// A link: it asks before it sends, too, and keeps whom it is for.
	err := chromedp.Do(ctx, chromedp.Navigate(w.srv.URL+"/new?action=front_door"), chromedp.SendKeys(chromedp.CSS("#guest"), "Tom"))
	if err != nil {
		t.Fatal(err)
	}
	server.Store(loggedOut)
	if err := chromedp.Do(ctx, press("#go"), says("Your login has ended")); err != nil {
		t.Fatal(err)
	}
	if got := eval[string](t, ctx, `document.querySelector("#guest").value`); got != "Tom" {
		t.Errorf("it is for %q now", got)
	}
	server.Store(answers)
	if err := chromedp.Do(ctx, press("#go"), chromedp.WaitVisible(chromedp.CSS("#url"))); err != nil {
		t.Fatal(err)
	}
	views, _, err := w.svc.Tokens(t.Context(), onetime.TokenQuery{})
	if err != nil || len(views) != 1 || views[0].Token.Guest != "Tom" {
		t.Errorf("%d links (%v)", len(views), err)
	}

	// A button in a list.
	if err := chromedp.Do(ctx, chromedp.Navigate(w.srv.URL+"/"), truly(`!!document.querySelector("#links button[value=revoke]")`)); err != nil {
		t.Fatal(err)
	}
	server.Store(hangsUp)
	if err := chromedp.Do(ctx, press("#links button[value=revoke]"), says("No answer came")); err != nil {
		t.Fatal(err)
	}
	server.Store(answers)
	if err := chromedp.Do(ctx, press("#links button[value=revoke]"), truly(`location.search.includes("off=")`)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.logs.String(), "level=ERROR") {
		t.Error(w.logs)
	}
}

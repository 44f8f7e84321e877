package host

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// step is one thing that a browser does.
type step = pagetest.Step

// call is a step that is a command of the DevTools protocol.
func call[P, R any](command cdp.Command[P, R], params P) step { return pagetest.Call(command, params) }

// newBrowser starts a browser without a window and ends it with the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	return pagetest.Browser(t)
}

// browse serves for a browser, which is always the same visitor.
func (w *world) browse(who Visitor, lang string) {
	w.cfg.Who = func(r *http.Request) (Visitor, bool) {
		r.Header.Set("Accept-Language", lang)
		return who, who.ID != ""
	}
	w.serve("/keys")
}

// tab opens a tab of a browser.
func tab(t *testing.T, browser context.Context, width, height int64, steps ...step) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	steps = append([]step{
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600}),
	}, steps...)
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// press presses what a sticky part of the page may lie over.
func press(selector string) step {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[any]("document.querySelector('"+selector+"').click()"))
		return err
	})
}

// TestBrowserMakesALinkInTwoTaps counts the taps from the first page to the
// link: a tile, and the button.
func TestBrowserMakesALinkInTwoTaps(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	for _, noScript := range []bool{false, true} {
		w := newWorld(t)
		w.actions()
		w.browse(ben, "en")
		ctx := tab(t, browser, 360, 740,
			call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: noScript}),
			chromedp.Navigate(w.srv.URL+"/"),
			chromedp.Click(chromedp.CSS(`.tiles a[href="new?action=front_door"]`)),
			chromedp.WaitVisible(chromedp.CSS("#go")),
			chromedp.Click(chromedp.CSS("#go")),
			chromedp.WaitVisible(chromedp.CSS("#url")))
		at, err := chromedp.Run(ctx, chromedp.Location())
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(at)
		v, err := w.svc.Token(t.Context(), u.Query().Get("id"))
		if err != nil || *v.Token.UsesMax != 1 || v.Token.Expires == nil || v.Token.Actions[0] != "front_door" || v.Token.CreatedBy != ben.Person {
			t.Fatalf("%s: %+v %v", at, v, err)
		}
		link, err := chromedp.Run(ctx, chromedp.Value(chromedp.CSS("#url")))
		if err != nil || link != publicURL+w.svc.Code(v.Token) {
			t.Fatalf("the page shows %q (%v)", link, err)
		}
	}
}

// TestBrowserSaysWhatIsTrue follows a host with scripts: the sentence follows
// the choices, what never ends needs a second tap, and the link's page says
// by itself what its guest does.
func TestBrowserSaysWhatIsTrue(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	w := newWorld(t)
	w.actions()
	w.browse(anna, "en")
	says := func(selector, text string) step {
		return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Run(ctx, chromedp.Poll[bool]("(e => !!e && !e.hidden && e.textContent.includes('"+text+"'))(document.querySelector('"+selector+"'))"))
			return err
		})
	}
	ctx := tab(t, browser, 412, 900, chromedp.Navigate(w.srv.URL+"/new?action=front_door"),
		says("#sentence", "once, until today 4:10 pm."),
		press("[name=uses][value=\"3\"]"),
		says("#sentence", "3 times, until today 4:10 pm."),
		chromedp.SendKeys(chromedp.CSS("#guest"), "Tom"),
		says("#sentence", "Tom"),
		press("[name=uses][value=any]"),
		press("[name=until][value=none]"),
		says("#warning", "for ever."),
		press("#go"),
		says("#go", "Yes, make it anyway"))
	if views, _, _ := w.svc.Tokens(t.Context(), onetime.TokenQuery{}); len(views) != 0 {
		t.Fatal("made at the first tap")
	}
	if err := chromedp.Do(ctx, press("#go"), chromedp.WaitVisible(chromedp.CSS("#copy")), says("#last", "Not used yet")); err != nil {
		t.Fatal(err)
	}
	views, _, err := w.svc.Tokens(t.Context(), onetime.TokenQuery{})
	if err != nil || len(views) != 1 || views[0].Token.Guest != "Tom" || views[0].Token.UsesMax != nil || views[0].Token.Expires != nil {
		t.Fatalf("%+v %v", views, err)
	}
	w.press(views[0].Token.ID)
	if err := chromedp.Do(ctx, says("#happened", "Open the front door"), says("#last", "done")); err != nil {
		t.Fatal(err)
	}
}

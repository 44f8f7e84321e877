package host

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestBrowserInstalls asks the browser what keeps the pages from the home screen of
// a phone, and follows what it would put there.
func TestBrowserInstalls(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	w := newWorld(t)
	w.busy()
	w.browse(anna, "en")
	ctx := tab(t, browser, 412, 732, chromedp.Navigate(w.srv.URL+"/link?id="+w.link(anna, `{"actions":["light"]}`)))

	var m webManifest
	err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		found, err := chromedp.Call(ctx, cdppage.GetAppManifest, cdppage.GetAppManifestParams{})
		if err != nil {
			return err
		}
		if want := w.srv.URL + "/links.webmanifest"; found.URL != want {
			t.Errorf("the manifest is %s, want %s", found.URL, want)
		}
		for _, e := range found.Errors {
			t.Error("the browser says of the manifest: ", e.Message)
		}
		why, err := chromedp.Call(ctx, cdppage.GetInstallabilityErrors, struct{}{})
		if err != nil {
			return err
		}
		for _, e := range why.InstallabilityErrors {
			t.Error("it cannot be installed: ", e.ErrorID)
		}
		return json.Unmarshal([]byte(found.Data), &m)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Shortcuts) != maxShortcuts || m.Shortcuts[0].Name != "Open the front door" || m.Display != "standalone" {
		t.Fatalf("%+v", m)
	}
	if len(m.Icons) == 0 {
		t.Error("no icons")
	}
	for _, i := range m.Icons {
		if a := w.get(anna, "/"+i.Src).want(200); !strings.HasPrefix(a.Header.Get("Content-Type"), i.Type) {
			t.Errorf("%s is %s", i.Src, a.Header.Get("Content-Type"))
		}
	}
	// A shortcut is the first of the two taps.
	err = chromedp.Do(ctx, chromedp.Navigate(w.srv.URL+"/"+m.Shortcuts[0].URL), chromedp.WaitVisible(chromedp.CSS("#go")),
		truly(`document.querySelector("[name=action]:checked").value === "front_door"`))
	if err != nil {
		t.Fatal(err)
	}
}

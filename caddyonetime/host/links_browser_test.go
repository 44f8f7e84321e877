package host

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// witness counts what a host does, over all pages of a tab: taps, keystrokes,
// answers of 201, texts shared and copied.
const witness = `(() => {
	const note = (k, v) => sessionStorage.setItem(k, v === undefined ? Number(sessionStorage.getItem(k)) + 1 : v);
	addEventListener("click", (e) => { if (e.isTrusted) note("taps"); }, true);
	addEventListener("keydown", () => note("keys"), true);
	addEventListener("focusin", (e) => { if (e.target.matches("input:not([readonly],[type=radio],[type=checkbox]), textarea")) note("keyboards"); }, true);
	const fetching = window.fetch;
	window.fetch = async (...args) => {
		const answer = await fetching(...args);
		if (answer.status === 201) note("made");
		return answer;
	};
	new PerformanceObserver((list) => {
		for (const e of list.getEntries()) if (!e.hadRecentInput) note("shift", Number(sessionStorage.getItem("shift")) + e.value);
	}).observe({ type: "layout-shift", buffered: true });
})();`

const shareDialog = `
navigator.canShare = () => true;
navigator.share = async (what) => {
	sessionStorage.setItem("shared", JSON.stringify(what));
	sessionStorage.setItem("in the tap", navigator.userActivation.isActive);
};`

func eval[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

func noted(t *testing.T, ctx context.Context, key string) string {
	t.Helper()
	return eval[string](t, ctx, `sessionStorage.getItem("`+key+`") || ""`)
}

func onNewPage(script string) step {
	return call(cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: script})
}

// TestBrowserSendsALinkInTwoTaps counts, as a script, from the first page to the
// phone's share dialog: two taps, no keystroke, no keyboard on the screen.
func TestBrowserSendsALinkInTwoTaps(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	for name, script := range map[string]string{"share": witness + shareDialog, "copy": witness} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.actions()
			w.browse(ben, "en")
			ctx := tab(t, browser, 360, 740, onNewPage(script),
				chromedp.Navigate(w.srv.URL+"/"),
				chromedp.Click(chromedp.CSS(`.tiles a[href="new?action=front_door"]`)),
				chromedp.WaitVisible(chromedp.CSS("#go")),
				chromedp.Click(chromedp.CSS("#go")),
				chromedp.WaitVisible(chromedp.CSS("#url")))
			u, err := url.Parse(eval[string](t, ctx, "location.href"))
			if err != nil {
				t.Fatal(err)
			}
			v := w.token(u.Query().Get("id"))
			link := publicURL + w.svc.Code(v.Token)
			for key, want := range map[string]string{"taps": "2", "keys": "", "keyboards": "", "made": "1"} {
				if got := noted(t, ctx, key); got != want {
					t.Errorf("%s: %q, want %q", key, got, want)
				}
			}
			if views, _, _ := w.svc.Tokens(t.Context(), onetime.TokenQuery{}); len(views) != 1 {
				t.Errorf("%d links", len(views))
			}
			shared := noted(t, ctx, "shared")
			switch name {
			case "share":
				if !strings.HasSuffix(shared, " "+link+`"}`) || strings.Contains(shared, `"url"`) {
					t.Errorf("shared %s", shared)
				}
				if noted(t, ctx, "in the tap") != "true" {
					t.Error("not in the tap any more")
				}
			case "copy":
				if shared != "" || u.Query().Get("copied") != "1" {
					t.Errorf("shared %q, at %s", shared, u)
				}
				if said := eval[string](t, ctx, `document.querySelector("#copy span").textContent`); said != "Copied" {
					t.Errorf("the button says %q", said)
				}
			}
		})
	}
}

// TestBrowserMakesALinkInTheSidebar is in Home Assistant's frame, where nothing
// can be shared and no clipboard is to be had.
func TestBrowserMakesALinkInTheSidebar(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	w := newWorld(t)
	w.actions()
	sidebar := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, `<!doctype html><title>Home Assistant</title><iframe id="panel" src="%s/" width="800" height="700" allow="fullscreen"
			sandbox="allow-forms allow-popups allow-pointer-lock allow-same-origin allow-scripts allow-modals allow-downloads"></iframe>`, w.srv.URL)
	}))
	t.Cleanup(sidebar.Close)
	w.cfg.FrameAncestors = []string{sidebar.URL}
	w.browse(anna, "en")
	// What the frame knows it tells the page around it.
	report := witness + `if (window !== top) addEventListener("load", () => {
		const url = document.getElementById("url");
		const at = (document.querySelector("#go, .tiles a") || document.body).getBoundingClientRect();
		parent.postMessage({ x: at.x + at.width / 2, y: at.y + at.height / 2, page: location.pathname + location.search, go: document.querySelector("#go span")?.textContent || "",
			link: url?.value || "", selected: url ? url.value.slice(url.selectionStart, url.selectionEnd) : "",
			ways: document.querySelectorAll(".ways a").length }, "*");
	}); else addEventListener("message", (e) => { sessionStorage.setItem("panel", JSON.stringify(e.data)); });`
	panel := func(contains string) step {
		return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Run(ctx, chromedp.Poll[bool](`(sessionStorage.getItem("panel") || "").includes('`+contains+`')`))
			return err
		})
	}
	ctx := tab(t, browser, 1000, 800, onNewPage(report), chromedp.Navigate(sidebar.URL))
	click := func(then string) {
		t.Helper()
		x := eval[float64](t, ctx, `JSON.parse(sessionStorage.getItem("panel")).x + document.getElementById("panel").getBoundingClientRect().x`)
		y := eval[float64](t, ctx, `JSON.parse(sessionStorage.getItem("panel")).y + document.getElementById("panel").getBoundingClientRect().y`)
		if err := chromedp.Do(ctx, chromedp.MouseClickXY(x, y), panel(then)); err != nil {
			t.Fatalf("waiting for %s: %v; the panel shows %s", then, err, noted(t, ctx, "panel"))
		}
	}
	if err := chromedp.Do(ctx, panel(`"page":"/keys/"`)); err != nil {
		t.Fatal("the panel tells nothing: ", err)
	}
	click(`"go":"Make and copy"`) // the tile
	click(`new=1`)                // the button
	views, _, err := w.svc.Tokens(t.Context(), onetime.TokenQuery{})
	if err != nil || len(views) != 1 {
		t.Fatal(len(views), err)
	}
	link := publicURL + w.svc.Code(views[0].Token)
	if got := noted(t, ctx, "panel"); !strings.Contains(got, `"link":"`+link+`"`) || !strings.Contains(got, `"selected":"`+link+`"`) || strings.Contains(got, `"ways":0`) {
		t.Errorf("the panel shows %s", got)
	}
}

// TestBrowserShowsLinksAtEverySize looks for what hangs over the edge, for parts
// that move while the page comes, and for what sticks over everything.
func TestBrowserShowsLinksAtEverySize(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	w := newWorld(t)
	ids := w.busy()
	for _, size := range []struct {
		width, height int64
		lang          string
	}{
		{320, 568, "de"},
		{320, 256, "en"}, // 1280 by 1024 at 400 %
		{1280, 800, "en"},
		{3840, 2160, "en"},
	} {
		w.browse(anna, size.lang)
		ctx := tab(t, browser, size.width, size.height, onNewPage(witness))
		for _, path := range []string{"/", "/?select=1", "/?action=garage&by=u-ben", "/new?action=front_door", "/link?new=1&id=" + ids["ready"], "/link?id=" + ids["trouble"], "/qr?id=" + ids["ready"], "/card?id=" + ids["ready"]} {
			if err := chromedp.Do(ctx, chromedp.Navigate(w.srv.URL+path), chromedp.WaitReady(chromedp.CSS("main"))); err != nil {
				t.Fatal(err)
			}
			if over := eval[float64](t, ctx, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
				t.Errorf("%s at %d px: %v px too wide", path, size.width, over)
			}
			if part := eval[float64](t, ctx, `(d => d && getComputedStyle(d).position === "sticky" ? d.offsetHeight / innerHeight : 0)(document.querySelector(".dock"))`); part > .5 {
				t.Errorf("%s at %d by %d: what sticks takes %v of the screen", path, size.width, size.height, part)
			}
			if small := eval[string](t, ctx, `[...document.querySelectorAll("main a.button, main button, main summary, main .choice, nav a, .tiles a")].filter(e => e.offsetParent && (e.offsetHeight < 44 || e.offsetWidth < 24)).map(e => e.outerHTML.slice(0, 90)).join("\n")`); small != "" {
				t.Errorf("%s at %d px: too small for a finger:\n%s", path, size.width, small)
			}
		}
		if shift := noted(t, ctx, "shift"); shift != "" && shift > "0.02" {
			t.Errorf("at %d px parts of the pages move by %s", size.width, shift)
		}
	}
}

// TestBrowserMovesNothingOnASlowMachine opens pages where reading them and running their
// scripts takes twenty times as long, so that whatever was drawn in between would be seen.
func TestBrowserMovesNothingOnASlowMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	w := newWorld(t)
	ids := w.busy()
	w.browse(anna, "en")
	ctx := tab(t, newBrowser(t), 640, 568, onNewPage(witness),
		call(emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 20}))
	for _, path := range []string{"/", "/new?action=front_door", "/link?new=1&id=" + ids["ready"], "/qr?id=" + ids["ready"], "/card?id=" + ids["ready"], "/log", "/actions", "/action?name=front_door"} {
		if err := chromedp.Do(ctx, chromedp.Navigate(w.srv.URL+path), chromedp.WaitReady(chromedp.CSS("main"))); err != nil {
			t.Fatal(err)
		}
		if shift := noted(t, ctx, "shift"); shift != "" {
			t.Fatalf("%s moves by %s", path, shift)
		}
	}
}

// TestBrowserPausesEverything presses the switch, with a script and without.
func TestBrowserPausesEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	for _, noScript := range []bool{false, true} {
		w := newWorld(t)
		w.actions()
		w.link(anna, `{"actions":["front_door"]}`)
		w.browse(anna, "en")
		ctx := tab(t, browser, 360, 740,
			call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: noScript}),
			chromedp.Navigate(w.srv.URL+"/"),
			chromedp.Click(chromedp.CSS("[role=switch]")),
			chromedp.WaitVisible(chromedp.CSS("[role=switch][aria-checked=true]")))
		if paused, _ := w.svc.Paused(t.Context()); !paused {
			t.Error("not paused")
		}
		if noScript {
			continue
		}
		// Another host lets them in again: this page follows.
		if err := w.svc.SetPaused(t.Context(), anna.Person, false); err != nil {
			t.Fatal(err)
		}
		if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS("[role=switch][aria-checked=false]")), chromedp.WaitNotPresent(chromedp.CSS("#paused .notice"))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBrowserHearsNoTapOnWhatHasJustMoved follows the tiles when a note appears above
// them: a finger that was on its way meets nothing, and a moment later all is as before.
func TestBrowserHearsNoTapOnWhatHasJustMoved(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	w := newWorld(t)
	w.actions()
	w.link(anna, `{"actions":["front_door"]}`)
	w.browse(anna, "en")
	ctx := tab(t, newBrowser(t), 360, 740,
		chromedp.Navigate(w.srv.URL+"/"),
		chromedp.WaitVisible(chromedp.CSS(".tiles a")))
	moved := `(() => {
		const tile = document.querySelector(".tiles a"), at = tile.getBoundingClientRect().top;
		new MutationObserver(() => requestAnimationFrame(() => {
			const now = tile.getBoundingClientRect();
			if (now.top !== at) window.heard ??= tile.contains(document.elementFromPoint(now.left + 9, now.top + 9));
		})).observe(document.body, {subtree: true, childList: true});
		return "";
	})()`
	eval[string](t, ctx, moved)
	if err := w.svc.SetPaused(t.Context(), anna.Person, true); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, truly(`window.heard !== undefined`)); err != nil {
		t.Fatal("nothing has moved: ", err)
	}
	if eval[bool](t, ctx, `window.heard`) {
		t.Error("a tile that has just moved under the finger hears its tap")
	}
	if err := chromedp.Do(ctx, truly(`(() => {
		const tile = document.querySelector(".tiles a"), now = tile.getBoundingClientRect();
		return tile.contains(document.elementFromPoint(now.left + 9, now.top + 9));
	})()`)); err != nil {
		t.Error("it never hears again: ", err)
	}
}

// TestBrowserMakesALinkByKeyboard uses nothing else, and sees at each stop where
// it is.
func TestBrowserMakesALinkByKeyboard(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	w := newWorld(t)
	w.actions()
	w.link(anna, `{"actions":["light"],"guest":"Tom"}`)
	w.browse(anna, "en")
	ctx := tab(t, browser, 1280, 800, onNewPage(witness), chromedp.Navigate(w.srv.URL+"/"), chromedp.WaitReady(chromedp.CSS("main")))
	tabTo := func(selector string) {
		t.Helper()
		for range 40 {
			if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)); err != nil {
				t.Fatal(err)
			}
			if bare := eval[string](t, ctx, `(e => { const s = getComputedStyle(e), n = e.nextElementSibling;
				return s.outlineStyle !== "none" || n && getComputedStyle(n).outlineStyle !== "none" ? "" : e.outerHTML.slice(0, 100); })(document.activeElement)`); bare != "" {
				t.Errorf("nobody sees that the focus is on %s", bare)
			}
			if eval[bool](t, ctx, `document.activeElement.matches('`+selector+`')`) {
				return
			}
		}
		t.Fatalf("the keyboard does not come to %s", selector)
	}
	tabTo(".skip")
	tabTo("[role=switch]")
	tabTo(`.tiles a[href="new?action=front_door"]`)
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS("#go"))); err != nil {
		t.Fatal(err)
	}
	tabTo(".chip")
	if err := chromedp.Do(ctx, chromedp.KeyEvent(" ")); err != nil {
		t.Fatal(err)
	}
	tabTo("#go")
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS("#url"))); err != nil {
		t.Fatal(err)
	}
	views, _, err := w.svc.Tokens(t.Context(), onetime.TokenQuery{})
	if err != nil || len(views) != 2 {
		t.Fatal(len(views), err)
	}
	for _, v := range views {
		if v.Token.Guest != "Tom" {
			t.Errorf("%+v", v.Token)
		}
	}
}

// TestBrowserTellsOfALostConnection makes a link where no answer comes, and again
// where one does.
func TestBrowserTellsOfALostConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	w := newWorld(t)
	w.actions()
	w.browse(anna, "en")
	ctx := tab(t, browser, 360, 740, chromedp.Navigate(w.srv.URL+"/new?action=front_door"), chromedp.WaitVisible(chromedp.CSS("#go")))
	eval[any](t, ctx, `window.working = window.fetch; window.fetch = () => Promise.reject(new TypeError("offline"));
		Object.defineProperty(navigator, "onLine", { get: () => window.online, configurable: true });
		window.online = false; dispatchEvent(new Event("offline")); null`)
	if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS("#offline")), press("#go"), chromedp.WaitVisible(chromedp.CSS("#mistake"))); err != nil {
		t.Fatal(err)
	}
	if said := eval[string](t, ctx, `document.querySelector("#mistake").textContent`); !strings.Contains(said, "No answer came.") {
		t.Errorf("the page says %q", said)
	}
	eval[any](t, ctx, `window.fetch = window.working; window.online = true; dispatchEvent(new Event("online")); null`)
	if eval[bool](t, ctx, `!document.querySelector("#offline").hidden`) {
		t.Error("still offline")
	}
	if err := chromedp.Do(ctx, press("#go"), chromedp.WaitVisible(chromedp.CSS("#url"))); err != nil {
		t.Fatal(err)
	}
	if views, _, _ := w.svc.Tokens(t.Context(), onetime.TokenQuery{}); len(views) != 1 {
		t.Errorf("%d links", len(views))
	}
}

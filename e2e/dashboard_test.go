package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// witness counts in the page itself, over all pages of a tab, what a person does
// there until an answer of 201 has come: fingers and mice that come down, what they
// click, and keys. It tells of the answer, and of the keyboard on a phone's screen.
const witness = `(() => {
	const note = (what, n = 1) => sessionStorage.setItem(what, Number(sessionStorage.getItem(what)) + n);
	const count = (event, what) => addEventListener(event, (e) => {
		if (e.isTrusted && !sessionStorage.getItem("made")) note(what);
	}, true);
	count("pointerdown", "downs");
	count("click", "taps");
	for (const event of ["keydown", "beforeinput", "paste", "drop"]) count(event, "keys");
	addEventListener("focusin", (e) => { if (e.target.matches("input:not([readonly],[type=radio],[type=checkbox]), textarea, select")) note("keyboards"); }, true);
	const fetching = window.fetch;
	window.fetch = async (...args) => {
		const answer = await fetching(...args);
		if (answer.status === 201) note("made");
		return answer;
	};
})();`

// noted is what the witness has counted.
func (p *phone) noted(what string) string {
	p.t.Helper()
	return p.eval(`Number(sessionStorage.getItem(` + quote(what) + `))`)
}

// touch puts a finger on the middle of an element, and takes it away.
func (p *phone) touch(selector string) {
	p.t.Helper()
	p.until(selector+" can be touched", `(e => !!e && e.getBoundingClientRect().height > 0)(document.querySelector(`+quote(selector)+`))`)
	p.eval(`document.querySelector(` + quote(selector) + `).scrollIntoView({block: "center", behavior: "instant"})`)
	box, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]float64](`(r => [r.left + r.width / 2, r.top + r.height / 2])(document.querySelector(`+quote(selector)+`).getBoundingClientRect())`))
	if err != nil || len(box) != 2 {
		p.t.Fatal(selector, ": ", err)
	}
	p.do(
		pagetest.Call(input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: input.DispatchTouchEventTypeTouchStart, TouchPoints: []*input.TouchPoint{{X: box[0], Y: box[1]}}}),
		pagetest.Call(input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: input.DispatchTouchEventTypeTouchEnd, TouchPoints: []*input.TouchPoint{}}),
	)
}

// A host whose dashboard is empty chooses a lock of the home, makes a link for it in
// two taps, and sees a guest's press come into the list; the lock has opened.
func TestFromNothingToAnOpenDoor(t *testing.T) {
	h := realHome(t)
	h.lock("lock.openable_lock")
	s := start(t, h)
	p := newPhone(t, browser(t), true)
	p.login("Basic " + basicAuth())
	p.open("http://" + s.hosts + "/")
	p.until("nothing is there", `document.body.innerText.includes("No links yet") && !document.querySelector(".tiles")`)

	// Choose: by its name, then what it can do; then save what the home describes.
	p.touch(`nav a[href="actions"]`)
	p.until("no action is there", `location.pathname === "/actions" && !document.querySelector(".links .cover")`)
	p.touch(`a[href="pick"]`)
	p.touch("#q")
	p.do(chromedp.SendKeys(chromedp.CSS("#q"), "openable"))
	p.touch(`#found a[href*="lock.openable_lock"]`)
	p.touch(`a[href*="do=lock.open"]`)
	p.until("it is written", `document.querySelector("#definition")?.value.includes("action: lock.open\n") && document.querySelector("#definition").value.includes("lock.openable_lock")`)
	title := p.eval(`document.querySelector("#title").value`)
	if !strings.Contains(title, "Openable Lock") {
		t.Errorf("the guest's button would say %q", title)
	}
	p.touch(`#edit button[value=save]`)
	p.until("it is saved", `location.search.includes("saved=1")`)
	if now := h.state("lock.openable_lock"); now != "locked" {
		t.Fatalf("the lock is %s before anybody has pressed", now)
	}

	// Two taps and no keystroke, from the first screen to the link; the page counts.
	p.do(pagetest.Call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: witness}))
	p.open("http://" + s.hosts + "/")
	p.touch(`.tiles a`)
	p.touch("#go")
	p.until("the link is there", `!!document.querySelector("#url")`)
	for what, want := range map[string]string{"made": "1", "downs": "2", "taps": "2", "keys": "0", "keyboards": "0"} {
		if n := p.noted(what); n != want {
			t.Errorf("%s: %s, want %s", what, n, want)
		}
	}
	address := p.eval(`document.querySelector("#url").value`)

	// The list of links stays open while the guest comes.
	p.touch(`nav a[href="./"]`)
	p.until("the list says so", `/Not used yet/.test(document.querySelector("#links")?.innerText)`)
	p.eval(`window.unchanged = true`)

	guest := newPhone(t, browser(t), true)
	guest.open(address)
	guest.state("ready")
	guest.touch(".ask summary")
	guest.until("the second step is open", `document.querySelector(".ask").open`)
	if now := h.state("lock.openable_lock"); now != "locked" {
		t.Fatalf("the first tap has turned the lock: it is %s", now)
	}
	guest.rest()
	guest.touch(".ask form .go")
	guest.state("done")
	eventually(t, 15*time.Second, "the lock is open", func() bool { return h.state("lock.openable_lock") == "open" })

	p.until("the list shows the press", `/Pressed .*: done/.test(document.querySelector("#links").innerText)`)
	if p.eval(`window.unchanged`) != "true" {
		t.Error("the page was loaded anew to show it")
	}
	p.touch(`nav a[href="log"]`)
	p.until("the log has it", `/Openable Lock.*: done/.test(document.querySelector("#rows")?.innerText)`)
}

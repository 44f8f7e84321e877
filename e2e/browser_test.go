package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// step is one thing that a browser does.
type step = pagetest.Step

// browser starts a Chromium without a window.
func browser(t *testing.T) context.Context {
	t.Helper()
	ctx, _ := browserOf(t, t.TempDir())
	return ctx
}

// browserOf starts one with a profile, which outlives it; quit is what people do by closing
// its last window.
func browserOf(t *testing.T, profile string, more ...chromedp.ExecAllocatorOption) (ctx context.Context, quit func()) {
	t.Helper()
	ctx, found := pagetest.Start(t, profile, more...)
	if !found {
		lacking(t, "there is no Chromium in PATH")
	}
	return ctx, func() {
		t.Helper()
		if err := chromedp.Cancel(ctx); err != nil {
			t.Fatal("Chromium does not end: ", err)
		}
	}
}

// phone is a tab of the size of a phone's screen.
type phone struct {
	t   *testing.T
	ctx context.Context
}

func newPhone(t *testing.T, browser context.Context, script bool) *phone {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	p := &phone{t, ctx}
	p.do(
		pagetest.Call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 360, Height: 640, DeviceScaleFactor: 2, Mobile: true}),
		pagetest.Call(emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true}),
		pagetest.Call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !script}),
	)
	t.Cleanup(func() {
		dir := os.Getenv("E2E_SCREENSHOTS")
		if dir == "" && !t.Failed() {
			return
		}
		text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.pathname + "\n" + document.body.innerText`))
		if t.Failed() {
			t.Logf("the phone shows:\n%s", text)
		}
		if shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot()); err == nil && dir != "" {
			_ = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")+".png"), shot, 0o600)
		}
	})
	return p
}

func (p *phone) do(steps ...step) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// login gives anna's name and password with each request.
func (p *phone) login(authorization string) {
	p.t.Helper()
	p.do(pagetest.Call(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Authorization": authorization}}))
}

func (p *phone) open(address string) {
	p.t.Helper()
	p.do(chromedp.Navigate(address))
}

// eval asks the page; that works also where its own scripts do not run.
func (p *phone) eval(expression string) string {
	p.t.Helper()
	s, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`String(`+expression+`)`))
	if err != nil {
		p.t.Fatal(expression, ": ", err)
	}
	return s
}

// until waits until the page says so.
func (p *phone) until(what, expression string) {
	p.t.Helper()
	eventually(p.t, 30*time.Second, what, func() bool {
		// While one page follows another there is nothing to ask.
		s, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`String(`+expression+`)`))
		return err == nil && s == "true"
	})
}

// tap puts a finger on the middle of what is seen of an element.
func (p *phone) tap(selector string) {
	p.t.Helper()
	p.until(selector+" can be tapped", `(e => !!e && e.getBoundingClientRect().height > 0)(document.querySelector(`+quote(selector)+`))`)
	p.eval(`document.querySelector(` + quote(selector) + `).scrollIntoView({block: "nearest"})`)
	box, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]float64](`(r => [r.left + r.width / 2, r.top + r.height / 2])(document.querySelector(`+quote(selector)+`).getBoundingClientRect())`))
	if err != nil || len(box) != 2 {
		p.t.Fatal(selector, ": ", err)
	}
	p.do(chromedp.MouseClickXY(box[0], box[1]))
}

func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// rest waits until taps are heard again: for a moment after each change none is.
func (p *phone) rest() {
	p.t.Helper()
	begun := p.eval(`performance.now()`)
	p.until("a moment has passed", `performance.now() - `+begun+` > 800`)
}

// state waits until the guest's page is in a state.
func (p *phone) state(state string) {
	p.t.Helper()
	p.until("the page is "+state, `document.querySelector("main").dataset.state === `+quote(state))
}

// A guest at the door: opens the link on a phone, taps, taps again to say yes, and
// the lock of the real home has turned; the page says so, and looking again or
// going back turns nothing.
func TestGuestTapsOnAPhone(t *testing.T) {
	h := realHome(t)
	chromium := browser(t)
	s := start(t, h)
	for name, script := range map[string]bool{"with a script": true, "without a script": false} {
		t.Run(name, func(t *testing.T) {
			h.lock("lock.front_door")
			l := s.link(frontDoor, 1)
			p := newPhone(t, chromium, script)
			p.open(l.url)
			p.state("ready")
			if text := p.eval(`document.body.innerText`); !strings.Contains(text, "Welcome, Tom") || !strings.Contains(text, "Works once.") {
				t.Errorf("the page says:\n%s", text)
			}
			if p.eval(`document.documentElement.scrollWidth <= 360`) != "true" {
				t.Error("the page is wider than the phone")
			}
			p.tap(".ask summary")
			p.until("the second step is open", `document.querySelector(".ask").open`)
			if h.state("lock.front_door") != "locked" {
				t.Fatal("the first tap has opened the door")
			}
			if script {
				p.rest()
			}
			p.tap(".ask form .go")
			p.state("done")
			if now := h.state("lock.front_door"); now != "unlocked" {
				t.Errorf("the page says done, but the lock is %s", now)
			}
			if text := p.eval(`document.body.innerText`); !strings.Contains(text, "Done") || !strings.Contains(text, "Try the door now.") {
				t.Errorf("the page says:\n%s", text)
			}
			h.lock("lock.front_door")
			// Reload, away and back.
			p.do(chromedp.Reload())
			p.state("done")
			p.open(l.url)
			p.state("used_up")
			p.eval(`history.back()`)
			p.until("there is a page", `!!document.querySelector("main")`)
			l.get().is(t, 200).left(t, 0)
			if now := h.state("lock.front_door"); now != "locked" {
				t.Errorf("looking has turned the lock: it is %s", now)
			}
		})
	}
}

// A host makes a link on a phone: a few taps, no typing, and the link works.
func TestHostMakesALinkOnAPhone(t *testing.T) {
	h := realHome(t)
	chromium := browser(t)
	s := start(t, h)
	if a := s.api("PUT", "/api/actions/front_door", object{"title": "Open the front door", "definition": openFrontDoor}); a.status != 201 {
		t.Fatal(a.body)
	}
	if a := s.api("PUT", "/api/actions/gate", object{"title": "Open the gate", "definition": gardenGate}); a.status != 201 {
		t.Fatal(a.body)
	}
	for name, script := range map[string]bool{"with a script": true, "without a script": false} {
		t.Run(name, func(t *testing.T) {
			p := newPhone(t, chromium, script)
			p.login("Basic " + basicAuth())
			p.open("http://" + s.hosts + "/")
			if p.eval(`document.documentElement.scrollWidth <= 360`) != "true" {
				t.Error("the page is wider than the phone")
			}
			// Tap 1: the tile. Tap 2: make it, as it is filled in.
			p.tap(`.tiles a[href="new?action=front_door"]`)
			p.until("the form is there", `!!document.querySelector("#make")`)
			p.tap("#go")
			p.until("the link is there", `!!document.querySelector("#url")`)
			address := p.eval(`document.querySelector("#url").value`)
			if !strings.HasPrefix(address, "http://"+s.guests+"/") {
				t.Fatalf("the link is %q", address)
			}
			for what, selector := range map[string]string{
				"QR code": `a[href^="qr?id="]`, "SMS": `a[href^="sms:"]`, "WhatsApp": `a[href^="https://wa.me/"]`, "mail": `a[href^="mailto:"]`,
			} {
				if p.eval(`!!document.querySelector(`+quote(selector)+`)`) != "true" {
					t.Errorf("no %s", what)
				}
			}
			before := h.opens()
			link{s: s, url: address}.press("").is(t, 200, "done").left(t, 0)
			if n := h.opens() - before; n != 1 {
				t.Errorf("opened %d times, want 1", n)
			}
			if script {
				// What happens is seen without doing anything.
				p.until("the press is seen", `document.body.innerText.includes("done")`)
			}
		})
	}

	t.Run("an action by its YAML", func(t *testing.T) {
		p := newPhone(t, chromium, false)
		p.login("Basic " + basicAuth())
		p.open("http://" + s.hosts + "/action")
		p.eval(`document.querySelector("#title").value = "Open up"`)
		p.eval(`document.querySelector("#definition").value = "action: lock.unlok\ntarget:\n  entity_id: lock.front_door"`)
		p.tap(`#edit button[value=save]`)
		p.until("the mistake is named", `document.body.innerText.includes("unlok")`)
		p.eval(`document.querySelector("#definition").value = "action: script.open_front_door"`)
		p.tap(`#edit button[value=save]`)
		p.until("it is saved", `!document.querySelector("[name=new]")`)
		s.api("GET", "/api/actions/open_up", nil).is(t, 200)
	})
}

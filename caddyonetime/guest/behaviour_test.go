package guest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// tab is a phone's browser on a page of a world.
type tab struct {
	t   *testing.T
	ctx context.Context
}

var phone = pagetest.Look{Width: 360, Height: 640}

func openTab(t *testing.T, browser context.Context, l pagetest.Look, address string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	b := &tab{t, ctx}
	b.do(append(l.Steps(), chromedp.Navigate(address))...)
	return b
}

func (b *tab) do(steps ...step) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) eval(expression string) string {
	b.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`String(`+expression+`)`))
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// until waits for a condition in the page, over navigations.
func (b *tab) until(condition string) {
	b.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`!!(`+condition+`)`))
		if ok {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: %v\n%s", condition, err, b.eval(`document.body.innerText`))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// tap taps the middle of an element, without a script's help.
func (b *tab) tap(selector string, times int) {
	b.t.Helper()
	box, err := chromedp.Run(b.ctx, chromedp.Dimensions(chromedp.CSS(selector), chromedp.NodeReady))
	if err != nil {
		b.t.Fatal(err)
	}
	x, y := (box.Content[0]+box.Content[4])/2, (box.Content[1]+box.Content[5])/2
	for range times {
		b.do(chromedp.MouseClickXY(x, y))
	}
}

const (
	openStep = `document.querySelector('.ask summary').click()`
	pressYes = `document.querySelector('.ask form .go').click()`
)

// settled is when taps are heard again after a change.
const settled = `(window.t0 = window.t0 || performance.now(), performance.now() - window.t0 > 800 && (window.t0 = 0, true))`

func TestPageWithScript(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	browser := newBrowser(t)

	t.Run("two taps at two places press once", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{UsesMax: times(2)})
		address := w.serve(t) + code
		b := openTab(t, browser, phone, address)
		b.until(`document.querySelector('.ask')`)
		// A double tap, and one right after opening, press nothing.
		b.eval(openStep)
		b.until(`document.querySelector('.ask').open`)
		b.eval(pressYes)
		b.eval(openStep)
		if b.eval(`document.querySelector('.ask').open`) != "true" || w.home.Ran() != 0 {
			t.Fatal("a tap was heard too early")
		}
		b.until(settled)
		b.eval(`(yes => (yes.click(), yes.click()))(document.querySelector('.ask form .go'))`)
		b.until(`document.querySelector('main').dataset.state === 'done'`)
		if w.home.Ran() != 1 {
			t.Error("ran", w.home.Ran())
		}
		if got := b.eval(`document.activeElement.tagName + document.activeElement.textContent`); got != "H1Done" {
			t.Error("the focus is on", got)
		}
		// Reload, away and back: nothing is pressed.
		b.do(chromedp.Reload())
		b.do(chromedp.Navigate(address))
		b.eval(`history.back()`)
		b.until(`location.search === '?r=1' && document.querySelector('main')`)
		if w.home.Ran() != 1 {
			t.Error("looking pressed")
		}
	})

	t.Run("who is offline is told before pressing", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{UsesMax: times(2)})
		b := openTab(t, browser, phone, w.serve(t)+code)
		b.until(`document.querySelector('.ask')`)
		b.eval(`Object.defineProperty(navigator, 'onLine', {get: () => window.connected, configurable: true}), window.connected = false, dispatchEvent(new Event('offline'))`)
		b.until(`document.querySelector('.offline')?.textContent === 'You are offline. Nothing has been sent.'`)
		if b.eval(`document.querySelector('.ask summary').offsetHeight >= 96`) != "true" {
			t.Error("the button is gone")
		}
		b.eval(`window.connected = true, dispatchEvent(new Event('online'))`)
		b.until(`!document.querySelector('.offline')`)
	})

	t.Run("a press survives a bad line", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{UsesMax: times(2)})
		b := openTab(t, browser, phone, w.serve(t)+code)
		b.until(`document.querySelector('.ask')`)
		b.eval(openStep)
		b.until(settled)
		w.failPosts.Store(true)
		b.eval(pressYes)
		b.until(`document.body.innerText.includes('Trying for 20 seconds')`)
		w.failPosts.Store(false)
		b.until(`document.querySelector('main').dataset.state === 'done'`)
		if w.home.Ran() != 1 {
			t.Error("ran", w.home.Ran())
		}
	})

	t.Run("an answer lost on its way is asked for, not done again", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{UsesMax: times(2)})
		b := openTab(t, browser, phone, w.serve(t)+code)
		b.until(`document.querySelector('.ask')`)
		b.eval(openStep)
		b.until(settled)
		w.loseAnswers.Store(1)
		b.eval(pressYes)
		b.until(`document.querySelector('main').dataset.state === 'done'`)
		if got := b.eval(`document.querySelector('h1').textContent`); got != "Done" || w.home.Ran() != 1 {
			t.Error(got, w.home.Ran())
		}
	})

	t.Run("the button appears when its time has come", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{NotBefore: w.in(3 * time.Second)})
		b := openTab(t, browser, phone, w.serve(t)+code)
		b.until(`document.querySelector('main').dataset.state === 'scheduled'`)
		w.clock.Move(4 * time.Second)
		b.until(`document.querySelector('main').dataset.state === 'ready'`)
		if got := b.eval(`document.querySelector('#say').textContent + document.querySelector('header').innerText`); strings.Count(got, "You can press now.") != 2 {
			t.Error(got)
		}
	})

	t.Run("what is still running settles by itself", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{UsesMax: times(1)})
		ended, began := make(chan struct{}), make(chan struct{})
		w.home.OnRun = func(context.Context, *onetime.Definition) { close(began); <-ended }
		go w.ask("POST", "/"+code, "")
		<-began
		b := openTab(t, browser, phone, w.serve(t)+code+"?r=1")
		b.until(`document.querySelector('h1').textContent === 'Try the door'`)
		close(ended)
		b.until(`document.querySelector('h1').textContent === 'Done'`)
	})

	t.Run("times of another zone than the phone's", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{Expires: w.in(time.Hour)})
		l := phone
		l.Zone = "Asia/Tokyo"
		b := openTab(t, browser, l, w.serve(t)+code)
		b.until(`/\(\d{1,2}:\d\d\s[ap]m on your phone\)/.test(document.querySelector('.limits').innerText)`)
		if got := b.eval(`document.querySelector('.limits').innerText`); !strings.Contains(got, "today 3:00 pm (11:00") {
			t.Error(got)
		}
	})

	t.Run("nothing breaks the content security policy", func(t *testing.T) {
		w := newWorld(t)
		code, _ := w.link(onetime.TokenSpec{})
		b := openTab(t, browser, phone, w.serve(t)+code)
		b.until(`document.querySelector('.ask')`)
		if got := b.eval(`getComputedStyle(document.querySelector('.go')).minHeight + [...document.scripts].length + document.documentElement.scrollWidth`); got != "96px1360" {
			t.Error(got)
		}
	})
}

// TestPageWithoutScript presses by the forms alone.
func TestPageWithoutScript(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	browser := newBrowser(t)
	for name, noStyle := range map[string]bool{"with style": false, "without style": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.noStyle = noStyle
			code, _ := w.link(onetime.TokenSpec{UsesMax: times(2)})
			l := phone
			l.NoScript = true
			b := openTab(t, browser, l, w.serve(t)+code)
			// A double tap on the first step opens and closes it.
			b.tap(".ask summary", 2)
			if w.home.Ran() != 0 {
				t.Fatal("a double tap pressed")
			}
			b.tap(".ask summary", 1)
			b.tap(".ask form .go", 1)
			b.do(chromedp.WaitReady(chromedp.CSS("main[data-state=done]")), chromedp.Reload())
			if w.home.Ran() != 1 {
				t.Error("ran", w.home.Ran())
			}
			if u, err := chromedp.Run(b.ctx, chromedp.Location()); err != nil || !strings.HasSuffix(u, "/g/"+code+"?r=1") {
				t.Error(u, err)
			}
		})
	}
}

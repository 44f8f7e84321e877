package pagetest

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Axe is axe-core, which AXE names; without, the test is skipped.
func Axe(t *testing.T) string {
	t.Helper()
	name := os.Getenv("AXE")
	if name == "" {
		t.Skip("AXE names no axe.min.js: npm pack axe-core")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// maxShift is how much of a page may move by itself: less than can be seen.
const maxShift = 0.02

// Examiner watches a tab from before it opens a page.
type Examiner struct {
	tab context.Context

	mu      sync.Mutex
	main    cdp.FrameID
	bytes   int64 // of the page that is there, as they came over the network
	most    int64 // of any page so far
	trouble []string
}

// shifts sums what moves without anybody having touched it.
const shifts = `window.pagetestShift = 0; window.pagetestMoved = [];
new PerformanceObserver((list) => {
	for (const e of list.getEntries()) if (!e.hadRecentInput) {
		window.pagetestShift += e.value;
		for (const s of e.sources || []) window.pagetestMoved.push(s.node && (s.node.outerHTML || s.node.textContent || "").slice(0, 120));
	}
}).observe({ type: "layout-shift", buffered: true });`

// Examine begins to watch a tab that has opened nothing yet.
func Examine(t *testing.T, tab context.Context) *Examiner {
	t.Helper()
	e := &Examiner{tab: tab}
	err := chromedp.Listen(tab, func(event any) {
		e.mu.Lock()
		defer e.mu.Unlock()
		switch event := event.(type) {
		case *network.EventRequestWillBeSent:
			if e.main == "" {
				e.main = event.FrameID
			}
			if event.FrameID == e.main && event.Type == network.ResourceTypeDocument {
				e.bytes = 0
			}
		case *network.EventLoadingFinished:
			e.bytes += int64(event.EncodedDataLength)
			e.most = max(e.most, e.bytes)
		case *runtime.EventExceptionThrown:
			e.trouble = append(e.trouble, "a script fails: "+event.ExceptionDetails.Text+" "+event.ExceptionDetails.URL)
		case *log.EventEntryAdded:
			// Answers of 4xx and 5xx are what some states are about.
			if event.Entry.Source != log.EntrySourceNetwork {
				e.trouble = append(e.trouble, "the browser says: "+event.Entry.Text)
			}
		}
	})
	if err == nil {
		err = chromedp.Do(tab, Call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: shifts}))
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Bytes is how much came over the network, with headers, for the heaviest page
// since Examine.
func (e *Examiner) Bytes() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.most
}

// Check complains about what a page must not have: what axe-core finds, what is wider
// than the screen, what has moved, scripts that fail, and what its policy forbids.
func (e *Examiner) Check(t *testing.T, axe string) {
	t.Helper()
	e.mu.Lock()
	for _, s := range e.trouble {
		t.Error(s)
	}
	e.mu.Unlock()

	measure := func(expression string) float64 {
		t.Helper()
		n, err := chromedp.Run(e.tab, chromedp.Evaluate[float64](expression))
		if err != nil {
			t.Fatal(expression, ": ", err)
		}
		return n
	}
	// Not innerWidth, which grows with what is too wide.
	if n := measure(`document.documentElement.scrollWidth - document.documentElement.clientWidth`); n > 0 {
		wide, _ := chromedp.Run(e.tab, chromedp.Evaluate[string](`[...document.querySelectorAll("body *")].filter((x) => { const r = x.getBoundingClientRect(); return r.width && (r.right > document.documentElement.clientWidth + 1 || r.left < -1); }).map((x) => x.outerHTML.slice(0, 100)).slice(0, 3).join("\n")`))
		t.Errorf("%v px wider than the screen:\n%s", n, wide)
	}
	if n := measure(`window.pagetestShift`); n > maxShift {
		moved, _ := chromedp.Run(e.tab, chromedp.Evaluate[string](`window.pagetestMoved.join("\n")`))
		t.Errorf("the layout has shifted by %.3f:\n%s", n, moved)
	}
	e.ask(t, axe)
}

// ask lets axe-core look at the page.
func (e *Examiner) ask(t *testing.T, axe string) {
	t.Helper()
	said, err := chromedp.Run(e.tab, chromedp.Evaluate[string](axe+`;axe.run().then((r) => JSON.stringify(r.violations.map((v) => ({
		rule: v.id, help: v.help, nodes: v.nodes.map((n) => n.html.slice(0, 160) + " " + n.failureSummary) }))), String)`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal("axe-core: ", err)
	}
	var found []struct {
		Rule, Help string
		Nodes      []string
	}
	if err := json.Unmarshal([]byte(said), &found); err != nil {
		t.Fatal("axe-core: ", said)
	}
	for _, f := range found {
		t.Errorf("%s: %s\n%s", f.Rule, f.Help, strings.Join(f.Nodes, "\n"))
	}
}

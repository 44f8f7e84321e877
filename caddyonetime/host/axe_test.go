package host

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestAxe lets axe-core look at every page in every state, on a light phone and
// at a dark desk. HOST_AXE names the library's file axe.min.js, which is not
// part of this project: npm pack axe-core.
func TestAxe(t *testing.T) {
	file := os.Getenv("HOST_AXE")
	if file == "" {
		t.Skip("HOST_AXE names no axe.min.js")
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	only := strings.Fields(os.Getenv("HOST_SCREENSHOTS_ONLY"))
	browser := newBrowser(t)
	for _, l := range []look{{name: "phone", width: 360, height: 740}, {name: "desk", width: 1280, height: 800, dark: true}} {
		for _, s := range append(scenes(), actionScenes()...) {
			name := l.name + "-" + s.name
			wanted := len(only) == 0
			for _, part := range only {
				wanted = wanted || strings.Contains(name+"-", part)
			}
			if !wanted {
				continue
			}
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				path := s.make(w)
				w.browse(s.who, "en")
				scheme := "light"
				if l.dark {
					scheme = "dark"
				}
				ctx := tab(t, browser, l.width, l.height,
					call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
						{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}),
					chromedp.Navigate(w.srv.URL+path), chromedp.WaitReady(chromedp.CSS("main")))
				if err := chromedp.Do(ctx, s.then...); err != nil {
					t.Fatal(err)
				}
				eval[any](t, ctx, string(axe)+`;axe.run().then((r) => { window.found = JSON.stringify(r.violations.map((v) => ({
					rule: v.id, help: v.help, nodes: v.nodes.map((n) => n.html.slice(0, 160) + " " + n.failureSummary) }))); }, (e) => { window.found = String(e); });null`)
				if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
					_, err := chromedp.Run(ctx, chromedp.Poll[bool]("!!window.found"))
					return err
				})); err != nil {
					t.Fatal(err)
				}
				var found []struct {
					Rule, Help string
					Nodes      []string
				}
				said := eval[string](t, ctx, "window.found")
				if err := json.Unmarshal([]byte(said), &found); err != nil {
					t.Fatal(said)
				}
				for _, f := range found {
					t.Errorf("%s: %s\n%s", f.Rule, f.Help, strings.Join(f.Nodes, "\n"))
				}
			})
		}
	}
}

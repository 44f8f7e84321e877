package host

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime/onetimetest"
	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// BenchmarkLinksPage draws the first page with 10,000 links. The hardest is that
// none of them is live: all have to be looked at, and none is found.
//
//	go test -run - -bench LinksPage -benchtime 100x ./caddyonetime/host
func BenchmarkLinksPage(b *testing.B) {
	for _, ended := range []bool{false, true} {
		w := newWorld(b)
		w.many(10_000, ended)
		for name, path := range map[string]string{
			"first": "/", "ended": "/?show=ended", "filtered": "/?action=light", "found": "/?q=parcel", "not found": "/?q=nobody", "api": "/api/tokens?limit=20&live=true",
		} {
			b.Run(fmt.Sprintf("live=%t/%s", !ended, name), func(b *testing.B) {
				b.ReportAllocs()
				for range b.N {
					req := httptest.NewRequest("GET", path, nil)
					req.Header.Set("Test-User", "anna")
					rec := httptest.NewRecorder()
					w.h.ServeHTTP(rec, req)
					if rec.Code != http.StatusOK {
						b.Fatal(rec.Code, rec.Body)
					}
				}
			})
		}
	}
}

// BenchmarkLinksInteractive opens the first page in a browser, and says when it can be
// used: when its scripts have run, in the median and at worst. What the browser has in its
// cache it uses, as on any day but the first.
//
//	go test -run - -bench LinksInteractive -benchtime 50x ./caddyonetime/host
func BenchmarkLinksInteractive(b *testing.B) {
	browser := pagetest.Browser(b)
	for _, n := range []int{20, 10_000} {
		w := newWorld(b)
		w.many(n, false)
		w.cfg.Who = func(*http.Request) (Visitor, bool) { return anna, true }
		w.serve("")
		tab, cancel := chromedp.NewContext(browser)
		b.Cleanup(cancel)
		b.Run(fmt.Sprintf("links=%d", n), func(b *testing.B) {
			var took []float64
			for range b.N {
				if err := chromedp.Do(tab, chromedp.Navigate(w.srv.URL+"/")); err != nil {
					b.Fatal(err)
				}
				ready, err := chromedp.Run(tab, chromedp.Evaluate[float64](`performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`))
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, ready)
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "ms/interactive")
			b.ReportMetric(took[len(took)-1], "ms/slowest")
		})
	}
}

// many puts the world on a store with n links.
func (w *world) many(n int, ended bool) {
	w.t.Helper()
	store, err := boltstore.Open(filepath.Join(w.t.TempDir(), "many.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	at := w.clock.Now().Add(-time.Duration(n) * time.Minute)
	err = store.Update(func(tx onetime.Tx) error {
		for i, name := range []string{"front_door", "light"} {
			if err := tx.PutAction(&onetime.Action{Name: name, Title: name, Home: onetime.DefaultHome, Definition: []string{doorYAML, lightYAML}[i], Revision: 1}); err != nil {
				return err
			}
		}
		for i := range n {
			t := &onetime.Token{
				ID: fmt.Sprintf("%06d", i), Actions: []string{[]string{"front_door", "light"}[i%2]}, Guest: "Parcel driver",
				Comment: "Push hard, the door sticks. The light is on the left.", Revision: 1,
				CreatedAt: at.Add(time.Duration(i) * time.Minute), CreatedBy: []onetime.Person{anna.Person, ben.Person}[i%2],
			}
			if ended {
				t.RevokedAt = &t.CreatedAt
			}
			if err := tx.PutToken(t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.svc.Close(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.svc, err = onetime.New(context.Background(), onetime.Config{
		Store: store, Signer: onetime.NewSigner(bytes.Repeat([]byte{7}, onetime.LinkKeyLength)),
		Homes: onetimetest.Homes{onetime.DefaultHome: w.home}, Now: w.clock.Now, After: w.clock.After,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

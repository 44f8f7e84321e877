package guest

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime/onetimetest"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

type netipAddr = netip.Addr

var errDiskFull = errors.New("disk full")

func notStarted(context.Context) (*onetime.Service, error) { return nil, errors.New("not started") }

func TestWantsJSON(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                  false,
		"*/*":                               false,
		asBrowser:                           false,
		"application/json":                  true,
		"Application/JSON":                  true,
		"application/json, text/plain, */*": true,
		"application/json, text/html":       false,
		"application/json, text/html;q=0.9": true,
		"application/json;q=0.5, text/html": false,
		"application/json;q=0":              false,
		"application/json;q=x":              false,
		"application/*":                     true,
		"text/html;q=0.1, */*":              true,
		"image/png":                         false,
	} {
		if got := wantsJSON(accept); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

func TestLimiterCountsNetworks(t *testing.T) {
	clock := onetimetest.NewClock(start)
	l := NewLimiter(clock.Now)
	empty := func(addr string) {
		for range wrongBurst {
			l.Allow(netip.MustParseAddr(addr))
		}
	}
	allowed := func(addr string) bool {
		_, ok := l.Allow(netip.MustParseAddr(addr))
		return ok
	}
	empty("2001:db8::1")
	if allowed("2001:db8:0:0:ffff::2") {
		t.Error("the same /64 is another client")
	}
	if !allowed("2001:db8:0:1::1") {
		t.Error("another /64 is the same client")
	}
	empty("192.0.2.7")
	if allowed("::ffff:192.0.2.7") {
		t.Error("an IPv4 address in IPv6's clothes is another client")
	}
	if !allowed("192.0.2.8") {
		t.Error("a neighbour is shut out")
	}
	wait, ok := l.Allow(netip.MustParseAddr("192.0.2.7"))
	if ok || wait != wrongEvery {
		t.Error(wait, ok)
	}
	clock.Move(-24 * time.Hour)
	if wait, _ := l.Allow(netip.MustParseAddr("192.0.2.7")); wait > wrongEvery {
		t.Error("a clock set back shuts out for", wait)
	}
	clock.Move(24*time.Hour + wrongEvery)
	if !allowed("192.0.2.7") || allowed("192.0.2.7") {
		t.Error("a bucket that drips one at a time does not")
	}
	// Its memory is bounded.
	for i := range wrongTracked + 100 {
		l.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := len(l.nets); n != wrongTracked || l.order.Len() != n {
		t.Error(n, "networks are remembered")
	}
}

// maxPageBytes is what a guest's page weighs at most, all in, over the network.
const maxPageBytes = 15_000

// TestPageIsSmall: 15 kB with everything, as it is sent to a phone.
func TestPageIsSmall(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{Guest: "Tom", Comment: "Take the stairs on the left.", UsesMax: times(3), Expires: w.in(time.Hour)})
	for _, l := range words.All() {
		page := w.ask("GET", "/"+code, "", "Accept", asBrowser, "Accept-Language", l.Tag())
		sum := page.Body.Len()
		for _, name := range []string{styleAsset.name, iconAsset.name, scripts[l]().name} {
			rec := w.ask("GET", "/-/"+name, "", "Accept-Encoding", "gzip, br")
			if rec.Code != 200 || rec.Header().Get("Content-Encoding") != "gzip" {
				t.Fatal(name, rec.Code)
			}
			sum += rec.Body.Len()
			if plain := w.ask("GET", "/-/"+name, ""); plain.Header().Get("Content-Encoding") != "" {
				t.Error(name, "is compressed for who cannot read it")
			}
		}
		t.Logf("%s: page %d bytes, all %d", l.Tag(), page.Body.Len(), sum)
		if sum > maxPageBytes {
			t.Errorf("%s: %d bytes", l.Tag(), sum)
		}
	}
}

func FuzzParseBody(f *testing.F) {
	for _, s := range []string{`{"action":"a","nonce":"b"}`, `{`, `action=a&nonce=b`, `{"action":"a","action":"b"}`, "--x\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\na\r\n--x--"} {
		for _, kind := range []string{"application/json", form, "multipart/form-data; boundary=x", ""} {
			f.Add(kind, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		fields, p := parseBody(kind, body)
		if p != nil {
			if p.Status != 422 || fields != nil {
				t.Fatal(p, fields)
			}
			return
		}
		for name := range fields {
			if !member(name) {
				t.Fatalf("took %q", name)
			}
		}
	})
}

// FuzzRequest: whatever is asked gets an answer, nothing reaches the home, and
// no code reaches the trace.
func FuzzRequest(f *testing.F) {
	w := newWorld(f)
	code, tok := w.link(onetime.TokenSpec{UsesMax: times(1)})
	for _, s := range []string{"/", "/" + code, "/?token=" + code, "/-/x", "/" + code + "?r=1", "/.well-known/caddy-hass/0123456789abcdef", "/%2f%2e"} {
		f.Add("GET", s, "text/html", "")
		f.Add("HEAD", s, "application/json", "de")
		f.Add("PUT", s, "*/*", ";q=")
	}
	f.Fuzz(func(t *testing.T, method, target, accept, lang string) {
		if !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " \r\n\t#") || method == "POST" || !token7230(method) {
			t.Skip()
		}
		var r = httptest.NewRequest("GET", "/", nil)
		u, err := r.URL.Parse("http://x" + target)
		if err != nil {
			t.Skip()
		}
		r.URL, r.Method = u, method
		r.Header.Set("Accept", accept)
		r.Header.Set("Accept-Language", lang)
		trace := &Trace{}
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r.WithContext(WithTrace(r.Context(), trace)))
		if rec.Code < 200 || rec.Code >= 500 {
			t.Fatal(rec.Code)
		}
		if strings.Contains(strings.ToUpper(trace.Path), code[6:]) {
			t.Fatal(trace.Path, tok.ID)
		}
		if w.home.Ran() != 0 {
			t.Fatal("the home was asked")
		}
	})
}

func token7230(s string) bool {
	return s != "" && !bytes.ContainsFunc([]byte(s), func(r rune) bool { return r < 'A' || r > 'Z' })
}

// BenchmarkPage is the page view at the handler, with a real store.
func BenchmarkPage(b *testing.B) {
	w := newWorld(b)
	code, _ := w.link(onetime.TokenSpec{Guest: "Tom", Comment: "Take the stairs on the left.", UsesMax: times(3), Expires: w.in(time.Hour)})
	for name, accept := range map[string]string{"html": asBrowser, "json": "application/json"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequest("GET", "/"+code, nil)
					r.Header.Set("Accept", accept)
					r.Header.Set("Accept-Language", "de-AT,de;q=0.9,en;q=0.8")
					rec := httptest.NewRecorder()
					w.handler.ServeHTTP(rec, r)
					if rec.Code != 200 {
						b.Error(rec.Code)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
		})
	}
}

func BenchmarkWrongLink(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, httptest.NewRequest("GET", "/000000000000000000000000", nil))
	}
}

package guest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func TestTokenAsJSON(t *testing.T) {
	w := newWorld(t)
	code, tok := w.link(onetime.TokenSpec{Guest: "Tom", Comment: "Hi", UsesMax: times(3), Expires: w.in(4 * time.Hour)})
	rec := w.ask("GET", "/"+code, "", "Accept", "application/json")
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" {
		t.Fatal(rec.Code, rec.Header())
	}
	got := object(t, rec)
	for name, want := range map[string]any{
		"id": tok.ID, "status": "ready", "guest": "Tom", "comment": "Hi", "house": "12 Hill Street", "host": "Anna",
		"not_before": nil, "expires": "2026-11-20T17:00:00Z", "now": "2026-11-20T13:00:00Z", "time_zone": "Europe/Berlin",
		"home": "reachable", "uses_max": 3.0, "uses_left": 3.0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: %v, want %v", name, v, want)
		}
	}
	a := got["actions"].([]any)[0].(map[string]any)
	for name, want := range map[string]any{
		"name": "front_door", "title": "Open the front door", "kind": "door", "confirm": "ask",
		"uses_max": 3.0, "uses_left": 3.0, "last_done": nil, "last_outcome": nil, "last_at": nil,
	} {
		if v, ok := a[name]; !ok || v != want {
			t.Errorf("action's %s: %v, want %v", name, v, want)
		}
	}
	// With several actions, uses stand with each of them only.
	code, _ = w.link(onetime.TokenSpec{Actions: []string{"front_door", "light"}})
	got = object(t, w.ask("GET", "/"+code, "", "Accept", "application/json"))
	if _, ok := got["uses_max"]; ok || len(got["actions"].([]any)) != 2 {
		t.Error(got)
	}
}

func TestPressAsJSON(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{UsesMax: times(2)})
	rec := w.ask("POST", "/"+code, `{"action":"front_door"}`, "Content-Type", "application/json", "Idempotency-Key", "k1")
	got := object(t, rec)
	if rec.Code != 200 || got["outcome"] != "done" || got["uses_left"] != 1.0 || got["replayed"] != false || got["retry"] != false || got["at"] != "2026-11-20T13:00:00Z" {
		t.Fatal(rec.Code, got)
	}
	// The same key: the same answer, by header or by field.
	rec = w.ask("POST", "/"+strings.ToLower(code), "nonce=k1", "Content-Type", form)
	if got := object(t, rec); rec.Code != 200 || got["replayed"] != true || w.home.Ran() != 1 {
		t.Fatal(rec.Code, got)
	}
	rec = w.ask("POST", "/"+code[:6]+"-"+code[6:], "")
	if got := object(t, rec); rec.Code != 200 || got["uses_left"] != 0.0 {
		t.Fatal(rec.Code, got)
	}
	rec = w.ask("POST", "/"+code, "")
	if got := object(t, rec); rec.Code != 410 || got["code"] != "used_up" || rec.Header().Get("Content-Type") != "application/problem+json" || w.home.Ran() != 2 {
		t.Fatal(rec.Code, got)
	}
	if got := object(t, w.ask("GET", "/"+code, "", "Accept", "application/json")); got["status"] != "used_up" {
		t.Error(got)
	}
}

// TestOutcomeTable presses against homes of every kind.
func TestOutcomeTable(t *testing.T) {
	for name, c := range map[string]struct {
		answer   onetime.Answer
		notReady *onetime.NotReady
		status   int
		outcome  string
		retry    bool
		left     float64
		title    string
	}{
		"done":        {answer: onetime.Answer{Outcome: onetime.OutcomeDone}, status: 200, outcome: "done", left: 2, title: "Done"},
		"unreachable": {notReady: &onetime.NotReady{Cause: onetime.CauseUnreachable}, status: 503, outcome: "not_sent", retry: true, left: 3, title: "The home isn’t answering"},
		"unavailable": {notReady: &onetime.NotReady{Cause: onetime.CauseUnavailable, Message: "lock.front_door is unavailable"}, status: 503, outcome: "not_sent", retry: true, left: 3, title: "The door isn’t answering"},
		"rejected":    {answer: onetime.Answer{Outcome: onetime.OutcomeRejected, Code: "not_found", Message: "lock.unlock secret"}, status: 502, outcome: "rejected", left: 3, title: "This can’t work right now"},
		"failed":      {answer: onetime.Answer{Outcome: onetime.OutcomeFailed, Message: "lock.front_door secret"}, status: 502, outcome: "failed", retry: true, left: 3, title: "That didn’t work"},
		"partial":     {answer: onetime.Answer{Outcome: onetime.OutcomeFailed, Partial: true}, status: 502, outcome: "failed", left: 2, title: "It began, but didn’t finish"},
		"unknown":     {answer: onetime.Answer{Outcome: onetime.OutcomeUnknown}, status: 504, outcome: "unknown", retry: true, left: 2, title: "Please try the door"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, html := range []bool{false, true} {
				code, _ := w.link(onetime.TokenSpec{UsesMax: times(3)})
				w.home.NotReady(c.notReady)
				if c.answer.Outcome != "" {
					w.home.Answer(c.answer)
				}
				if html {
					_, page := w.press(code, "nonce=k")
					if !strings.Contains(text(page), c.title) {
						t.Errorf("no %q in %s", c.title, text(page))
					}
					if strings.Contains(page, "lock.") || strings.Contains(page, "secret") {
						t.Errorf("a guest sees the home's own words: %s", page)
					}
					continue
				}
				rec := w.ask("POST", "/"+code, "")
				got := object(t, rec)
				if rec.Code != c.status || got["outcome"] != c.outcome || got["retry"] != c.retry || got["uses_left"] != c.left {
					t.Errorf("%d %v", rec.Code, got)
				}
				if rec.Code >= 400 && (got["code"] != c.outcome || got["status"] != float64(c.status) || got["title"] == "") {
					t.Errorf("not a problem: %v", got)
				}
				if (rec.Header().Get("Retry-After") != "") != (rec.Code == 503) {
					t.Errorf("Retry-After: %q", rec.Header().Get("Retry-After"))
				}
				if s := rec.Body.String(); strings.Contains(s, "lock.") || strings.Contains(s, "secret") {
					t.Errorf("a guest sees the home's own words: %s", s)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		spec   func(w *world) onetime.TokenSpec
		before func(w *world, tok *onetime.Token)
		status int
		code   string
		title  string
	}{
		"scheduled": {func(w *world) onetime.TokenSpec { return onetime.TokenSpec{NotBefore: w.in(72 * time.Minute)} }, nil, 403, "scheduled", "Ready at 3:12 pm"},
		"expired": {func(w *world) onetime.TokenSpec { return onetime.TokenSpec{Expires: w.in(time.Minute)} },
			func(w *world, _ *onetime.Token) { w.clock.Move(time.Hour) }, 410, "expired", "This link has ended"},
		"revoked": {nil, func(w *world, tok *onetime.Token) {
			yes := true
			if _, err := w.service.ChangeToken(t.Context(), anna, tok.ID, onetime.TokenChange{Revoked: &yes}, 0); err != nil {
				t.Fatal(err)
			}
		}, 410, "revoked", "This link was switched off"},
		"paused": {nil, func(w *world, _ *onetime.Token) {
			if err := w.service.SetPaused(t.Context(), anna, true); err != nil {
				t.Fatal(err)
			}
		}, 403, "paused", "Paused for now"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var spec onetime.TokenSpec
			if c.spec != nil {
				spec = c.spec(w)
			}
			code, tok := w.link(spec)
			if c.before != nil {
				c.before(w, tok)
			}
			rec := w.ask("POST", "/"+code, "")
			if got := object(t, rec); rec.Code != c.status || got["code"] != c.code {
				t.Errorf("%d %v", rec.Code, got)
			} else if c.code == "scheduled" && got["not_before"] != "2026-11-20T14:12:00Z" {
				t.Error(got)
			}
			rec = w.ask("POST", "/"+code, "", "Accept", asBrowser)
			if rec.Code != c.status || !strings.Contains(text(rec.Body.String()), c.title) {
				t.Errorf("%d %s", rec.Code, text(rec.Body.String()))
			}
			if rec := w.ask("GET", "/"+code, ""); rec.Code != 200 {
				t.Error("a genuine link's page:", rec.Code)
			}
			if w.home.Ran() != 0 {
				t.Error("the home was asked")
			}
		})
	}
}

// TestThreat24_LookingSpendsNothing: previews, prefetches, HEAD, a restored
// tab, back and reload.
func TestThreat24_LookingSpendsNothing(t *testing.T) {
	w := newWorld(t)
	code, tok := w.link(onetime.TokenSpec{UsesMax: times(1)})
	for _, headers := range [][]string{
		{"User-Agent", "WhatsApp/2.23"},
		{"User-Agent", "facebookexternalhit/1.1", "Accept", "*/*"},
		{"Purpose", "prefetch", "Sec-Purpose", "prefetch;prerender", "Accept", asBrowser},
		{"Accept", asBrowser}, {"Accept", "application/json"}, {},
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			for _, query := range []string{"", "?r=1", "?action=front_door&nonce=x", "?token=x"} {
				if rec := w.ask(method, "/"+code+query, "", headers...); rec.Code >= 300 {
					t.Errorf("%s %s: %d", method, query, rec.Code)
				} else if method != "GET" && rec.Body.Len() > 0 {
					t.Errorf("%s has a body", method)
				}
			}
		}
	}
	if w.home.Ran() != 0 {
		t.Fatal("looking opened the door")
	}
	// A reload, a restored tab and a form sent again after the press.
	location, page := w.press(code, "action=front_door&nonce=abc")
	if !strings.Contains(text(page), "Done") {
		t.Fatal(text(page))
	}
	for range 3 {
		w.page("/" + strings.TrimPrefix(location, "./"))
	}
	again, page := w.press(code, "action=front_door&nonce=abc")
	if !strings.HasPrefix(again, location) || !strings.Contains(text(page), "Already done at 2:00 pm Nothing was sent just now.") {
		t.Error(again, text(page))
	}
	if w.home.Ran() != 1 {
		t.Fatal("one press ran", w.home.Ran())
	}
	v, err := w.service.Token(t.Context(), tok.ID)
	if err != nil || v.Token.Uses["front_door"].Used != 1 {
		t.Fatal(v, err)
	}
}

func TestOldOutcomesAreNotShown(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{UsesMax: times(1)})
	location, page := w.press(code, "")
	if !strings.Contains(text(page), "Done Push hard, the door sticks. today 2:00 pm This link is now used up.") {
		t.Error(text(page))
	}
	w.clock.Move(shownFor)
	if got := text(w.page("/" + strings.TrimPrefix(location, "./"))); !strings.Contains(got, "This link has been used Last time: today 2:00 pm. Wasn’t that you? Please tell Anna.") {
		t.Error(got)
	}
	// Nobody sees another link's outcome.
	other, _ := w.link(onetime.TokenSpec{})
	if got := text(w.page("/" + other + "?r=1")); !strings.Contains(got, "Welcome") {
		t.Error(got)
	}
}

func TestThreeFailures(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{UsesMax: times(1)})
	for _, want := range []string{"You can try 2 more times.", "You can try once more.", "We stopped after three tries. Anna has been told. If Anna lets you try again, the button appears here by itself."} {
		w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed})
		if _, page := w.press(code, ""); !strings.Contains(text(page), want) {
			t.Errorf("no %q in %s", want, text(page))
		}
	}
	rec := w.ask("POST", "/"+code, "", "Accept", asBrowser)
	if rec.Code != 410 || !strings.Contains(text(rec.Body.String()), "It still didn’t work") {
		t.Error(rec.Code, text(rec.Body.String()))
	}
}

// TestThreeFailuresOfMany: guest and host are told the same number, however many
// uses there are beside.
func TestThreeFailuresOfMany(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{UsesMax: times(5)})
	for _, want := range []string{"You can try 2 more times.", "You can try once more.", "It still didn’t work Anna has been told. Still closed? Pressing again uses one of the 4 you have left."} {
		w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed})
		if _, page := w.press(code, ""); !strings.Contains(text(page), want) {
			t.Errorf("no %q in %s", want, text(page))
		}
	}
}

// TestThreat25_WrongLinksNeverShutOutTheRightOne tries 10,000 wrong links and
// then the right one.
func TestThreat25_WrongLinksNeverShutOutTheRightOne(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{})
	wrong := []byte(code)
	statuses := map[int]int{}
	for i := range 10_000 {
		for j, n := 6, i; j < 12; j, n = j+1, n/32 {
			wrong[j] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[n%32]
		}
		if string(wrong) == code {
			continue
		}
		rec := w.ask([]string{"GET", "POST"}[i%2], "/"+string(wrong), "")
		statuses[rec.Code]++
		if rec.Code == http.StatusTooManyRequests && rec.Header().Get("Retry-After") == "" {
			t.Fatal("429 without Retry-After")
		}
	}
	if statuses[404] != wrongBurst || statuses[404]+statuses[429] != 10_000 {
		t.Error(statuses)
	}
	if rec := w.ask("GET", "/"+code, ""); rec.Code != 200 {
		t.Error("the right link:", rec.Code)
	}
	if rec := w.ask("POST", "/"+code, ""); rec.Code != 200 {
		t.Error("the right link's press:", rec.Code)
	}
	w.clock.Move(wrongEvery)
	if rec := w.ask("GET", "/"+string(wrong), ""); rec.Code != 404 {
		t.Error("after a while:", rec.Code)
	}
}

// TestThreat25_WrongLinksLookTheSame: a wrong secret of a known id, an id that
// nobody has, and a link that was cut off.
func TestThreat25_WrongLinksLookTheSame(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{Guest: "Tom"})
	var first string
	for _, wrong := range []string{
		code[:23] + flip(code[23]), code[:6] + strings.Repeat("7", 18), "000000" + code[6:], code[:21], code + "0", code[:22],
	} {
		for _, accept := range []string{asBrowser, "application/json"} {
			rec := w.ask("GET", "/"+wrong, "", "Accept", accept)
			if rec.Code != 404 {
				t.Errorf("%s: %d", wrong, rec.Code)
			}
			if strings.Contains(rec.Body.String(), "Tom") || strings.Contains(rec.Body.String(), "Hill Street") || strings.Contains(rec.Body.String(), "Anna") {
				t.Error("a wrong link tells whose it is")
			}
			if accept != asBrowser {
				if first == "" {
					first = rec.Body.String()
				}
				if rec.Body.String() != first {
					t.Errorf("%s is told apart: %s", wrong, rec.Body)
				}
			}
		}
	}
}

func flip(c byte) string {
	if c == '0' {
		return "1"
	}
	return "0"
}

// TestThreat25_ScannersAreNoTries: what is not shaped like a link counts for
// nothing and never reaches the service.
func TestThreat25_ScannersAreNoTries(t *testing.T) {
	w := newWorld(t)
	service := w.cfg.Service
	w.configure(func(c *Config) { c.Service = nil })
	for range 3 {
		for _, path := range []string{"/favicon.ico", "/robots.txt", "/.env", "/wp-login.php", "/apple-touch-icon.png", "/a/b/c",
			"/.well-known/security.txt", "/..%2fadmin", "//", "/%00", "/" + strings.Repeat("A", 5000), "/index.html", "/ABC", "/?token=abc",
			"/.well-known/caddy-hass/zz", "/-/nothing", "/-"} {
			if rec := w.ask("GET", path, ""); rec.Code != 404 || rec.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%.40s: %d %s", path, rec.Code, rec.Header().Get("Content-Type"))
			}
			if rec := w.ask("GET", path, "", "Accept", asBrowser); rec.Code != 404 {
				t.Errorf("%.40s: %d", path, rec.Code)
			}
		}
	}
	w.configure(func(c *Config) { c.Service = service })
	if rec := w.ask("GET", "/000000000000000000000000", ""); rec.Code != 404 {
		t.Error("they counted:", rec.Code)
	}
}

// TestThreat13_ForwardedHeadersChangeNothing: whose tries are counted is the
// configuration's to say.
func TestThreat13_ForwardedHeadersChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.ClientIP = nil })
	last := 0
	for i := range wrongBurst + 1 {
		ip := "203.0.113." + string(rune('0'+i%10))
		last = w.ask("GET", "/000000000000000000000000", "", "X-Forwarded-For", ip, "X-Real-IP", ip, "Forwarded", "for="+ip, "X-Forwarded-Host", "evil.example").Code
	}
	if last != http.StatusTooManyRequests {
		t.Error("a header made a new client:", last)
	}
	code, _ := w.link(onetime.TokenSpec{})
	rec := w.ask("POST", "/"+code, "", "Accept", asBrowser, "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "X-Forwarded-Prefix", "//evil")
	if got := rec.Header().Get("Location"); got != "./"+code+"?r=1" {
		t.Error(got)
	}
}

// TestThreat26_WordsAreShownAsText: HTML, marks that turn the text, 10 kB, emoji.
func TestThreat26_WordsAreShownAsText(t *testing.T) {
	w := newWorld(t)
	evil := `<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{.}}` + "\u202e😀"
	w.action(onetime.Action{Name: "evil", Title: evil, Done: evil, Definition: "action: lock.unlock\ntarget:\n  entity_id: lock.a\n"})
	w.action(onetime.Action{Name: "other", Title: evil, Definition: "action: light.turn_on\ntarget:\n  entity_id: light.a\n"})
	w.configure(func(c *Config) {
		c.House = evil
		c.Contacts = []Contact{{Name: evil, URL: `https://example.com/"><script>`}, {Name: evil, URL: "javascript:alert(1)"}}
	})
	long := evil + strings.Repeat("x\n", (onetime.MaxComment-len(evil))/2)
	for _, actions := range [][]string{{"evil"}, {"evil", "other"}} {
		code, _ := w.link(onetime.TokenSpec{Actions: actions, Guest: evil, Comment: long, UsesMax: times(1)})
		pages := []string{w.page("/" + code)}
		_, done := w.press(code, "action=evil")
		pages = append(pages, done, w.page("/"+code))
		for _, page := range pages {
			for _, bad := range []string{"<script>", "<img", `"'>`, "javascript:"} {
				if strings.Contains(page, bad) {
					t.Errorf("%q in %s", bad, page)
				}
			}
		}
		if !strings.Contains(text(pages[0]), "<script>alert(1)</script>") || !strings.Contains(pages[0], "😀") {
			t.Error("the words are not shown")
		}
	}
}

func TestThreat27_InputNamesNothingInTheHome(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{Actions: []string{"front_door", "light"}})
	for _, action := range []string{"lock.unlock", "lock.front_door", "{{ 1 }}", "../light", "nothing", "", "FRONT_DOOR"} {
		rec := w.ask("POST", "/"+code, `{"action":"`+action+`"}`, "Content-Type", "application/json")
		if got := object(t, rec); rec.Code != 422 || got["field"] != "action" {
			t.Errorf("%q: %d %v", action, rec.Code, got)
		}
	}
	if w.home.Ran() != 0 {
		t.Error("the home was asked")
	}
}

func TestBadInput(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{})
	json := "application/json"
	for _, c := range []struct {
		kind, body string
		field      string
		status     int
	}{
		{json, `{"action":1}`, "action", 422},
		{json, `{"action":null}`, "action", 422},
		{json, `{"nonce":{}}`, "nonce", 422},
		{json, `{"nonce":""}`, "nonce", 422},
		{json, `{"nonce":"a","nonce":"b"}`, "nonce", 422},
		{json, `{"nonce":"` + strings.Repeat("x", 129) + `"}`, "nonce", 422},
		{json, `{"nonce":"a\nb"}`, "nonce", 422},
		{json, `{"door":"x"}`, "door", 422},
		{json, `{"Action":"front_door"}`, "Action", 422},
		{json, `[]`, "", 422},
		{json, `{}{}`, "", 422},
		{json, `{`, "", 422},
		{json, "{\"action\":\"\xff\"}", "", 422},
		{json, strings.Repeat("[", 60000), "", 422},
		{form, `action=front_door&door=1`, "door", 422},
		{form, `action=front_door&action=front_door`, "action", 422},
		{form, `nonce=`, "nonce", 422},
		{form, `nonce=%ff`, "nonce", 422},
		{form, `nonce=%zz`, "", 422},
		{"multipart/form-data", `x`, "", 422},
		{"text/plain", `x`, "", 422},
		{"", `x`, "", 422},
		{form, "nonce=" + strings.Repeat("x", maxBody), "", 413},
	} {
		for _, accept := range []string{"application/json", asBrowser} {
			rec := w.ask("POST", "/"+code, c.body, "Content-Type", c.kind, "Accept", accept)
			if rec.Code != c.status {
				t.Errorf("%s %.40s: %d", c.kind, c.body, rec.Code)
			}
			if accept == asBrowser {
				continue
			}
			got := object(t, rec)
			if field, _ := got["field"].(string); field != c.field || got["code"] == "" {
				t.Errorf("%s %.40s: %v", c.kind, c.body, got)
			}
		}
	}
	for _, key := range []string{"", strings.Repeat("x", 129), "a\tb", "ü"} {
		if rec := w.ask("POST", "/"+code, "", "Idempotency-Key", key); rec.Code != 422 {
			t.Errorf("key %q: %d", key, rec.Code)
		}
	}
	if rec := w.ask("POST", "/"+code, "nonce=a", "Content-Type", form, "Idempotency-Key", "b"); rec.Code != 422 {
		t.Error("two keys:", rec.Code)
	}
	if w.home.Ran() != 0 {
		t.Error("the home was asked")
	}
	if rec := w.ask("POST", "/"+code, "nonce="+strings.Repeat("x", 128), "Content-Type", form); rec.Code != 200 {
		t.Error("a key of 128 characters:", rec.Code)
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{})
	for _, path := range []string{"/", "/" + code, "/-/" + styleAsset.name, "/.well-known/caddy-hass/0123456789abcdef"} {
		for _, method := range []string{"PUT", "DELETE", "PATCH", "BREW"} {
			rec := w.ask(method, path, "")
			if rec.Code != 405 || !strings.Contains(rec.Header().Get("Allow"), "GET") {
				t.Errorf("%s %s: %d", method, path, rec.Code)
			}
		}
		rec := w.ask("OPTIONS", path, "")
		if rec.Code != 204 || !strings.Contains(rec.Header().Get("Allow"), "GET") {
			t.Errorf("OPTIONS %s: %d", path, rec.Code)
		}
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{Guest: "Tom"})
	for _, path := range []string{"/", "/" + code, "/000000000000000000000000", "/.env", "/-/" + styleAsset.name} {
		rec := w.ask("GET", path, "", "Accept", asBrowser)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := rec.Header().Get(name); got != want {
				t.Errorf("%s: %s: %q", path, name, got)
			}
		}
		csp := rec.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Error(csp)
		}
		if !strings.Contains(rec.Header().Get("X-Robots-Tag"), "noindex") {
			t.Error(path, "is indexed")
		}
		cache := rec.Header().Get("Cache-Control")
		if strings.HasPrefix(path, "/-/") {
			if !strings.Contains(cache, "immutable") {
				t.Error(cache)
			}
			continue
		}
		if cache != "no-store" {
			t.Error(path, cache)
		}
		page := rec.Body.String()
		if !strings.Contains(page, "<title>A link for you</title>") ||
			!strings.Contains(page, `<meta property="og:title" content="A link for you">`) ||
			!strings.Contains(page, `<meta property="og:description" content="Opens only when you press the button.">`) {
			t.Error(path, "has another title")
		}
		for _, bad := range []string{"style=", "onclick", "<style", "http://", "https://", "//"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
	}
}

// TestPathsAreRelative follows the page's own addresses below a prefix.
func TestPathsAreRelative(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{})
	for _, c := range []struct{ path, style, action string }{
		{"/" + code, `href="./-/`, `action="./` + code + `"`},
		{"/" + code + "/", `href="./../-/`, `action="./../` + code + `"`},
		{"/a/b/c", `href="./../../-/`, `action="./../../"`},
		{"/", `href="./-/`, `action="./"`},
		{"/" + strings.ToLower(code), `href="./-/`, `action="./` + code + `"`},
	} {
		page := w.page(c.path)
		if !strings.Contains(page, c.style) || !strings.Contains(page, c.action) {
			t.Errorf("%s: %s", c.path, page)
		}
	}
	for _, c := range []struct{ method, target, body, location string }{
		{"GET", "/?token=" + strings.ToLower(code), "", "./" + code},
		{"GET", "/?token=" + code[:6] + "+" + code[6:], "", "./" + code},
		{"POST", "/", "token=" + code[:12] + "-" + code[12:], "./" + code},
	} {
		rec := w.ask(c.method, c.target, c.body, "Accept", asBrowser, "Content-Type", form)
		if rec.Code != 303 || rec.Header().Get("Location") != c.location {
			t.Errorf("%s %s: %d %s", c.method, c.target, rec.Code, rec.Header().Get("Location"))
		}
	}
}

// TestPromise5_TraceHasNoCode: what the access log says of a request.
func TestPromise5_TraceHasNoCode(t *testing.T) {
	w := newWorld(t)
	code, tok := w.link(onetime.TokenSpec{})
	for _, c := range []struct{ path, want string }{
		{"/" + code, "/" + tok.ID},
		{"/" + strings.ToLower(code[:6]+"-"+code[6:]), "/" + tok.ID},
		{"/" + code[:23] + flip(code[23]), "/-"},
		{"/" + code[:20], "/-"},
		{"/" + code + ").", "/-"},
		{"/x/" + code, "/x/-"},
		{"/" + code[:16], "/-"},
		{"/favicon.ico", "/favicon.ico"},
		{"/.env", "/.env"},
		{"/?token=" + code, "/"},
		{"/-/" + styleAsset.name, "/-/" + styleAsset.name},
	} {
		w.ask("GET", c.path, "")
		if w.last.Path != c.want {
			t.Errorf("%s: %s, want %s", c.path, w.last.Path, c.want)
		}
	}
}

func TestTrouble(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{})
	full := &onetime.StoreError{Op: "write", Err: errDiskFull}
	w.store.fail(nil, full)
	rec := w.ask("POST", "/"+code, "", "Accept", asBrowser)
	if got := text(rec.Body.String()); rec.Code != 500 || !strings.Contains(got, "Something is wrong here Nothing was sent. Anna can see why.") || strings.Contains(got, "disk") {
		t.Error(rec.Code, got)
	}
	if rec := w.ask("POST", "/"+code, ""); rec.Code != 500 || object(t, rec)["code"] != "store" {
		t.Error(rec.Code, rec.Body)
	}
	if w.home.Ran() != 0 {
		t.Error("asked without a record")
	}
	w.store.fail(full, full)
	if rec := w.ask("GET", "/"+code, ""); rec.Code != 500 {
		t.Error(rec.Code)
	}
	if !strings.Contains(w.log.String(), "disk full") || strings.Contains(w.log.String(), code) || strings.Contains(w.log.String(), code[6:]) {
		t.Error(w.log.String())
	}
	w.store.fail(nil, nil)

	service := w.cfg.Service
	w.configure(func(c *Config) { c.ClientIP = func(*http.Request) netipAddr { panic("boom") } })
	rec = w.ask("POST", "/"+code, "", "Accept", asBrowser)
	if rec.Code != 500 || !strings.Contains(text(rec.Body.String()), "Something is wrong here") {
		t.Error(rec.Code)
	}
	w.configure(func(c *Config) { c.ClientIP = nil; c.Service = notStarted })
	rec = w.ask("GET", "/"+code, "")
	if rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
		t.Error(rec.Code)
	}
	w.configure(func(c *Config) { c.Service = service })
	w.service.Close(t.Context())
	if rec := w.ask("POST", "/"+code, ""); rec.Code != 503 {
		t.Error("closed:", rec.Code)
	}
}

func TestWellKnown(t *testing.T) {
	w := newWorld(t)
	rec := w.ask("GET", "/.well-known/caddy-hass/0123456789abcdef", "")
	got := object(t, rec)
	if rec.Code != 200 || got["nonce"] != "0123456789abcdef" || got["client"] != "192.0.2.7" {
		t.Error(rec.Code, got)
	}
	for _, bad := range []string{"", "short", strings.Repeat("a", 65), "<script>alert(1)</script>", "0123456789abcdeg"} {
		if rec := w.ask("GET", "/.well-known/caddy-hass/"+bad, ""); rec.Code != 404 || bad != "" && strings.Contains(rec.Body.String(), bad) {
			t.Errorf("%q: %d %s", bad, rec.Code, rec.Body)
		}
	}
}

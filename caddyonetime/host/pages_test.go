package host

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// keys finds the keys of messages in our own sources.
var keys = regexp.MustCompile(`"((?:host|actions|pick|log|doctor|credentials|check)\.[a-z0-9_.]*)"`)

// That other languages have what English has is a test of the words.
func TestEveryMessageIsThere(t *testing.T) {
	used := map[string]bool{}
	for _, dir := range []string{".", "templates"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			b, err := os.ReadFile(dir + "/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range keys.FindAllStringSubmatch(string(b), -1) {
				if !strings.HasSuffix(m[1], ".html") && !strings.HasSuffix(m[1], ".csv") && !strings.HasSuffix(m[1], ".json") { // files
					used[m[1]] = true
				}
			}
		}
	}
	if len(used) < 100 {
		t.Fatalf("only %d keys found", len(used))
	}
	locales := os.DirFS("../../internal/words/locales")
	english := catalogue(t, locales, "en", "host.json")
	maps.Copy(english, catalogue(t, locales, "en", "problems.json"))
	for key := range used {
		if strings.HasSuffix(key, ".") {
			continue // the beginning of several
		}
		if _, ok := english[key]; !ok {
			t.Errorf("no language has %q", key)
		}
	}
	for key := range english {
		begun := false
		for u := range used {
			begun = begun || u == key || strings.HasSuffix(u, ".") && strings.HasPrefix(key, u)
		}
		if !begun {
			t.Errorf("nobody says %q", key)
		}
	}
	for status := range statusIcons {
		if !words.Get("en").Has("host.status." + string(status)) {
			t.Errorf("the status %s has no word", status)
		}
	}
	for _, o := range []onetime.Outcome{onetime.OutcomeDone, onetime.OutcomeNotSent, onetime.OutcomeRejected, onetime.OutcomeFailed, onetime.OutcomePending, onetime.OutcomeRunning, onetime.OutcomeUnknown} {
		if !words.Get("en").Has("host.outcome." + outcomeKey(o)) {
			t.Errorf("the outcome %q has no word", o)
		}
	}
}

// TestEveryMistakeIsThere does so with what the packages below say is wrong.
func TestEveryMistakeIsThere(t *testing.T) {
	var source strings.Builder
	for _, dir := range []string{".", "../onetime", "../homes", "../pick"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
				b, err := os.ReadFile(dir + "/" + e.Name())
				if err != nil {
					t.Fatal(err)
				}
				source.Write(b)
			}
		}
	}
	said := regexp.MustCompile(`\.Says\("([a-z_]+)"`).FindAllStringSubmatch(source.String(), -1)
	if len(said) < 50 {
		t.Fatalf("only %d are said", len(said))
	}
	english := words.Get("en")
	for _, m := range said {
		if !english.Has("check." + m[1]) {
			t.Errorf("no language has %q", m[1])
		}
	}
	for _, key := range english.Keys("check.") {
		if name := strings.TrimPrefix(key, "check."); name != "like" && !strings.Contains(source.String(), strconv.Quote(name)) {
			t.Errorf("nobody says %q", key)
		}
	}
}

func catalogue(t *testing.T, locales fs.FS, tag, file string) map[string]json.RawMessage {
	t.Helper()
	b, err := fs.ReadFile(locales, tag+"/"+file)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSentences(t *testing.T) {
	berlin, _ := time.LoadLocation("Europe/Berlin")
	now := time.Date(2026, 11, 20, 14, 10, 0, 0, berlin)
	until := now.Add(2 * time.Hour)
	from := now.Add(24 * time.Hour)
	one, three := 1, 3
	door := []string{"Open the front door"}
	for _, c := range []struct {
		terms terms
		lang  string
		want  string
	}{
		{terms{Guest: "Parcel driver", Titles: door, UsesMax: &one, Until: &until}, "en", "Parcel driver can open the front door once, until today 4:10 pm."},
		{terms{Titles: door, UsesMax: &three}, "en", "Whoever has this link can open the front door 3 times, with no end."},
		{terms{Guest: "Tom", Titles: door}, "en", "Whoever has this link can open the front door for ever."},
		{terms{Guest: "Tom", Titles: []string{"TV on", "Open the door"}, UsesMax: &one, From: &from, Until: &until}, "en", "Tom can TV on and open the door once each, from tomorrow 2:10 pm to today 4:10 pm."},
		{terms{Guest: "Tom", Titles: door, From: &from, UsesMax: &three}, "en", "Tom can open the front door 3 times, from tomorrow 2:10 pm on."},
		{terms{Titles: []string{"Haustür öffnen"}, UsesMax: &one, Until: &until}, "de", "Wer diesen Link hat, kann einmal „Haustür öffnen“, bis heute 16:10 Uhr."},
	} {
		got := strings.NewReplacer("\u2068", "", "\u2069", "", "\u00a0", " ", "\u202f", " ").Replace(c.terms.sentence(words.Get(c.lang), now, berlin))
		if got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	text := terms{Titles: door, UsesMax: &one, Until: &until}.message(words.Get("en"), "12 Hill Street", "https://g.example/ABC", now, berlin)
	if want := "Here is your link for 12 Hill Street: Open the front door. Works once, until today 4:10 pm. https://g.example/ABC"; strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestPresetsEndInTheHomesTime(t *testing.T) {
	berlin, _ := time.LoadLocation("Europe/Berlin")
	at := func(s string) time.Time {
		v, err := time.ParseInLocation(localTime, s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ now, preset, want string }{
		{"2026-11-20T14:10", "2h", "2026-11-20T16:10"},
		{"2026-11-20T14:10", "tonight", "2026-11-20T23:59"},
		{"2026-11-20T23:30", "tonight", "2026-11-21T04:00"},
		{"2026-11-20T14:10", "sunday", "2026-11-22T23:59"},
		{"2026-11-22T14:10", "sunday", "2026-11-29T23:59"},
		// The night in which clocks go back, and the one in which they go on.
		{"2026-10-24T14:00", "sunday", "2026-10-25T23:59"},
		{"2026-10-25T01:30", "tonight", "2026-10-25T23:59"},
		{"2027-03-27T23:30", "tonight", "2027-03-28T04:00"},
	} {
		got, ok := presetEnd(c.preset, at(c.now).UTC(), berlin)
		if !ok || !got.Equal(at(c.want)) {
			t.Errorf("%s at %s ends %s, want %s", c.preset, c.now, got, c.want)
		}
	}
	if _, ok := presetEnd("none", time.Now(), berlin); ok {
		t.Error("no end has an end")
	}
}

func TestFormsDoEverythingWithoutScripts(t *testing.T) {
	w := newWorld(t)
	w.serve("/keys")
	has := func(a *answer, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(string(a.body), text) {
				t.Errorf("%s lacks %q:\n%s", a.what, text, a.body)
			}
		}
	}
	has(w.get(anna, "/").want(200), "No links yet", "Paste YAML")

	// An action: wrong first, then right.
	form := url.Values{"new": {"1"}, "op": {"save"}, "title": {"Open the front door"}, "definition": {"action: [\r\n"}, "home": {"default"}}
	has(w.do(anna, "POST", "/action", form).want(http.StatusUnprocessableEntity), "Line ", "action: [", `aria-invalid="true"`)
	form.Set("definition", strings.ReplaceAll(doorYAML, "\n", "\r\n"))
	form.Set("op", "check")
	has(w.do(anna, "POST", "/action", form).want(200), "Home Assistant knows all of this.")
	form.Set("op", "save")
	to := w.do(anna, "POST", "/action", form).want(http.StatusSeeOther).Header.Get("Location")
	if to != "action?name=open_the_front_door&saved=1" {
		t.Fatalf("Location: %s", to)
	}
	has(w.get(anna, "/"+to).want(200), "Saved.", "entity_id: lock.front_door")
	if a, err := w.svc.Action(t.Context(), "open_the_front_door"); err != nil || a.Definition != doorYAML {
		t.Fatalf("%+v %v", a, err)
	}

	// Try it.
	w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Message: "the motor is jammed"})
	to = w.do(anna, "POST", "/action", url.Values{"op": {"try"}, "name": {"open_the_front_door"}}).want(http.StatusSeeOther).Header.Get("Location")
	has(w.get(anna, "/"+to).want(200), "failed", "the motor is jammed")
	if w.get(anna, "/"+to); w.home.Ran() != 1 {
		t.Fatalf("looking at the result ran it again: %d", w.home.Ran())
	}

	// A link with an end.
	form = url.Values{"action": {"open_the_front_door"}, "guest": {"Tom"}, "comment": {"Second floor"}, "until": {"custom"}, "from": {""}, "to": {"2026-11-22T18:00"}, "uses": {"3"}}
	a := w.do(anna, "POST", "/new", form).want(http.StatusSeeOther)
	to = a.Header.Get("Location")
	u, _ := url.Parse(to)
	id := u.Query().Get("id")
	v, err := w.svc.Token(t.Context(), id)
	if err != nil || *v.Token.UsesMax != 3 || !v.Token.Expires.Equal(time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)) || v.Token.NotBefore != nil {
		t.Fatalf("%+v %v", v, err)
	}
	page := w.get(anna, "/"+to).want(200)
	code := w.svc.Code(v.Token)
	has(page, "Ready to send", `value="https://guests.example.com/`+code+`"`, "readonly", "Not used yet",
		"https://wa.me/?text=Here%20is", `href="sms:?&amp;body=Here%20is`, `href="mailto:?subject=A%20link%20for%20you&amp;body=Here%20is`, "qr.svg?id="+id, "qr?id="+id, "Undo")
	qr := w.get(anna, "/qr.svg?id="+id).want(200)
	if qr.Header.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(string(qr.body), "<svg") {
		t.Errorf("QR code: %s", qr.body)
	}

	// No end and any number: only after a second tap.
	form.Set("until", "none")
	form.Set("uses", "any")
	a = w.do(anna, "POST", "/new", form).want(200)
	has(a, "can \u2068open the front door\u2069 for ever.", `name="sure" value="1"`, "Yes, make it anyway", `value="Tom"`)
	if views, _, _ := w.svc.Tokens(t.Context(), onetime.TokenQuery{}); len(views) != 1 {
		t.Fatalf("%d links after the first tap", len(views))
	}
	form.Set("sure", "1")
	w.do(anna, "POST", "/new", form).want(http.StatusSeeOther)
	form.Set("preview", "1")
	if j := w.do(anna, "POST", "/new", form).want(200).json(); j["warning"] == "" || j["sentence"] == "" {
		t.Errorf("preview: %v", j)
	}
	form.Del("preview")

	// Mistakes keep what was written.
	form.Set("to", "2020-01-01T00:00")
	form.Set("until", "custom")
	has(w.do(anna, "POST", "/new", form).want(http.StatusUnprocessableEntity), "Until: is in the past", `value="Tom"`, "Second floor")
	form.Del("action")
	has(w.do(anna, "POST", "/new", form).want(http.StatusUnprocessableEntity), "choose at least one thing")
	w.noPublic = true
	form = url.Values{"action": {"open_the_front_door"}, "until": {"2h"}, "uses": {"1"}}
	has(w.do(anna, "POST", "/new", form).want(http.StatusServiceUnavailable), "public_url")
	has(w.get(anna, "/link?id="+id).want(200), "public_url")
	w.noPublic = false

	// Three failures: the first page asks the host, who lets them in again.
	for range 3 {
		w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Message: "the motor is jammed"})
		w.press(id)
	}
	has(w.get(anna, "/").want(200), "could not get in at", "the motor is jammed", "Let them try again")
	w.do(anna, "POST", "/", url.Values{"op": {"again"}, "id": {id}}).want(http.StatusSeeOther)
	if v, _ := w.svc.Token(t.Context(), id); *v.Actions[0].Left != 3 || v.Actions[0].Use.Failures != 0 {
		t.Errorf("left %d, failures %d", *v.Actions[0].Left, v.Actions[0].Use.Failures)
	}
	if strings.Contains(string(w.get(anna, "/").body), "could not get in") {
		t.Error("the host is asked although it is settled")
	}

	// Change, switch off, undo.
	form = url.Values{"op": {"change"}, "id": {id}, "revision": {"2"}, "guest": {"Tom B."}, "comment": {"Second floor"}, "uses": {"5"}, "from": {""}, "to": {""}}
	w.do(anna, "POST", "/link", form).want(http.StatusSeeOther)
	if v, _ := w.svc.Token(t.Context(), id); v.Token.Guest != "Tom B." || *v.Token.UsesMax != 5 || v.Token.Expires != nil {
		t.Errorf("%+v", v.Token)
	}
	form.Set("uses", "0")
	form.Set("revision", "3")
	has(w.do(anna, "POST", "/link", form).want(http.StatusUnprocessableEntity), "How often: must be a whole number")
	to = w.do(anna, "POST", "/", url.Values{"op": {"revoke"}, "id": {id}, "back": {"q=Tom&show=ended&x=//evil"}}).want(http.StatusSeeOther).Header.Get("Location")
	if to != "./?off="+id+"&q=Tom&show=ended" {
		t.Errorf("Location: %s", to)
	}
	has(w.get(anna, "/"+strings.TrimPrefix(to, "./")).want(200), "is switched off.", "Undo")
	w.do(anna, "POST", "/", url.Values{"op": {"unrevoke"}, "id": {id}}).want(http.StatusSeeOther)
	if v, _ := w.svc.Token(t.Context(), id); v.Token.RevokedAt != nil {
		t.Error("still revoked")
	}
	w.do(anna, "POST", "/link", url.Values{"op": {"nonsense"}, "id": {id}}).want(http.StatusUnprocessableEntity)

	// Pause.
	w.do(anna, "POST", "/", url.Values{"op": {"pause"}}).want(http.StatusSeeOther)
	has(w.get(anna, "/"), "All links are paused", "Let links work again")
	if strings.Contains(string(w.get(ben, "/").body), "Let links work again") {
		t.Error("who may only share is shown the button")
	}
	w.do(anna, "POST", "/", url.Values{"op": {"resume"}}).want(http.StatusSeeOther)

	// Delete the action.
	has(w.do(anna, "POST", "/action", url.Values{"op": {"delete"}, "name": {"open_the_front_door"}}).want(http.StatusConflict), "2 live links still use it", `name="revoke" value="1"`)
	w.do(anna, "POST", "/action", url.Values{"op": {"delete"}, "name": {"open_the_front_door"}, "revoke": {"1"}}).want(http.StatusSeeOther)
	has(w.get(anna, "/actions?deleted=x").want(200), "No actions yet")
	has(w.get(anna, "/?show=ended").want(200), "Tom B.", "Switched off")
	w.get(anna, "/link?id="+id).want(200) // its action is gone, it is not
}

// Addresses in pages are relative, so that any prefix will do.
func TestPagesWorkUnderAnyPrefix(t *testing.T) {
	w := newWorld(t)
	ids := w.busy()
	w.serve("/a/b")
	absolute := regexp.MustCompile(`(?:href|src|action)="(/[^"]*|https?:[^"]*)"`)
	for _, path := range []string{"/", "/new", "/link?id=" + ids["ready"], "/actions", "/action?name=front_door", "/action", "/nothing"} {
		body := string(w.get(anna, path).body)
		for _, m := range absolute.FindAllStringSubmatch(body, -1) {
			if !strings.HasPrefix(m[1], publicURL) && !strings.HasPrefix(m[1], "https://wa.me/") {
				t.Errorf("%s leads to %s", path, m[1])
			}
		}
	}
	if to := w.do(anna, "POST", "/api/tokens", `{"actions":["light"]}`).want(201).Header.Get("Location"); !strings.HasPrefix(to, "tokens/") {
		t.Errorf("Location: %s", to)
	}
	a := w.get(anna, "/-/host.css?v="+assetVersion).want(200)
	if !strings.Contains(a.Header.Get("Cache-Control"), "immutable") || a.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("host.css: %v", a.Header)
	}
	w.get(anna, "/-/../host.go").want(http.StatusNotFound)
}

func TestPagesOfLinks(t *testing.T) {
	w := newWorld(t)
	w.actions()
	for range linksPerPage + 3 {
		w.link(anna, `{"actions":["light"],"guest":"Guest"}`)
	}
	first := string(w.get(anna, "/").want(200).body)
	next := regexp.MustCompile(`href="\./(\?after=[^"]*)"`).FindStringSubmatch(first)
	if next == nil || strings.Count(first, `class="card`) != linksPerPage {
		t.Fatalf("%d links on the first page, next %v", strings.Count(first, `class="card`), next)
	}
	second := string(w.get(anna, "/"+next[1]).want(200).body)
	if n := strings.Count(second, `class="card`); n != 3 || strings.Contains(second, "?after=") {
		t.Fatalf("%d links on the second page", n)
	}

	// The API's pages, with a filter that leaves few.
	seen := 0
	w.do(anna, "DELETE", "/api/tokens/"+w.link(anna, `{"actions":["light"]}`), nil).want(204)
	for after := ""; ; {
		j := w.get(anna, "/api/tokens?limit=5&status=ready"+after).want(200).json()
		seen += len(j["tokens"].([]any))
		if j["next"] == nil {
			break
		}
		after = "&after=" + j["next"].(string)
	}
	if seen != linksPerPage+3 {
		t.Errorf("%d ready links by pages of 5, want %d", seen, linksPerPage+3)
	}
	if n := len(w.get(anna, "/api/tokens?live=false").json()["tokens"].([]any)); n != 1 {
		t.Errorf("%d ended links, want 1", n)
	}
}

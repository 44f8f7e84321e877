package host

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/pagetest"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// markedLanguage is one that no other test here reads.
const markedLanguage = "sk"

func init() { words.Mark(markedLanguage) }

// writtenByHosts is what stands on the pages of scenes and is no text of ours.
var writtenByHosts = []string{
	"12 Hill Street", "Anna", "Ben", "Tom", "Parcel driver", "Cleaner", "Plumber", "Ina", "Old flatmate", "فاطمة الزهراء بنت محمد",
	"Open the front door", "open the front door", "Switch the light on", "switch the light on", "Open the garage", "open the garage",
	"Send the vacuum cleaner round the ground floor", "send the vacuum cleaner round the ground floor",
	"For the neighbours on the second floor, who feed the cat while we are away", "For the neighbours on the second floor, who feed the…",
	"Please leave it behind the door.", "The motor of lock.front_door is jammed", "Automations",
	"For the neighbours on the second floor, who feed the cat wh…", "Front door", "Unlocks a lock.", "Turn on", "How bright.", "Short", "Long", "NO ICON", "open_front_door",
	"lock.front_door is unavailable right now; guests could not use this link.",
	"lock.front_door does not exist in this home. Did you mean lock.frontdoor?",
	"Europe/Berlin", "YAML", "CSV", "JSON", "QR", "PNG", "SVG", "WhatsApp", "SMS", "guests.example.com", "Caddyfile",
}

// codes are links, their codes and ids.
var codes = regexp.MustCompile(`https://guests\.example\.com/[0-9A-Z]*|\b[0-9A-HJKMNP-TV-Z]{6}(-?[0-9A-HJKMNP-TV-Z]{6}){0,3}\b`)

// untranslated are the words on a page that are the same in every language.
func untranslated(a *answer, data ...string) []string {
	return pagetest.Unmarked(codes.ReplaceAllString(string(a.body), ""), append(data, writtenByHosts...)...)
}

// TestEveryTextIsInTheCatalogues finds words on pages that are the same in every
// language.
func TestEveryTextIsInTheCatalogues(t *testing.T) {
	for _, s := range allScenes() {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t)
			path := s.make(w)
			a := w.get(s.who, path, "Accept", "text/html", "Accept-Language", markedLanguage)
			if !strings.Contains(string(a.body), words.MarkBegin) {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			if s.name == "doctor" && strings.Contains(string(a.body), `lang="en"`) {
				t.Error("a finding of the doctor is in English")
			}
			for _, text := range untranslated(a, "nobody", "nothing") {
				t.Error(text)
			}
		})
	}
}

// TestFormScriptsAreTold in the page's language what they show.
func TestFormScriptsAreTold(t *testing.T) {
	w := newWorld(t)
	w.actions()
	for name, form := range map[string]url.Values{
		"a mistake":         {"action": {"front_door"}, "until": {"2h"}, "uses": {"many"}},
		"somebody is wrong": {"action": {"garage"}, "until": {"2h"}, "uses": {"1"}},
		"no service":        {"action": {"front_door"}, "until": {"2h"}, "uses": {"1"}},
	} {
		w.down = name == "no service"
		a := w.do(anna, "POST", "/new", form, "Accept", "application/json", "Accept-Language", markedLanguage)
		if a.StatusCode < 400 {
			t.Fatalf("%s: %d", name, a.StatusCode)
		}
		if a.Header.Get("Content-Type") == "text/html; charset=utf-8" {
			continue // which a script does not show: it says that no answer came
		}
		for _, text := range pagetest.UnmarkedJSON(a.body, []string{"many"}, "code", "title", "field") {
			t.Errorf("%s: %s", name, text)
		}
	}
	w.down = false
	// While it is written, an action is checked in the page's language, too.
	for name, definition := range map[string]string{"a mistake": "action: [", "too long": strings.Repeat("x", 300<<10)} {
		a := w.do(anna, "POST", "/api/actions/front_door/check", map[string]any{"definition": definition}, "Accept-Language", markedLanguage)
		for _, text := range pagetest.UnmarkedJSON(a.body, nil, "code", "title", "field", "kind", "confirm") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// In a text that is sent, names keep their order from the right as well, and the
// link is nothing but itself.
func TestWhatIsSentIsReadFromTheRight(t *testing.T) {
	terms := terms{Titles: []string{"Open the front door"}}
	for tag, want := range map[string]string{
		"en": "Here is your link for 12 Hill Street: Open the front door. https://x/AB",
		"he": words.Get("he").T("host.send.head_house", "house", "\u206812 Hill Street\u2069", "title", "\u2068Open the front door\u2069") + " https://x/AB",
	} {
		if got := terms.message(words.Get(tag), "12 Hill Street", "https://x/AB", time.Now(), time.UTC); got != want {
			t.Errorf("%s: %q, want %q", tag, got, want)
		}
	}
}

// TestScriptsHaveNoTexts: what they say, they are given by the page.
func TestScriptsHaveNoTexts(t *testing.T) {
	own := regexp.MustCompile("(textContent|innerHTML|append\\(|make\\([^)]*,) ?=? ?[\"'`][^\"'`]*\\pL+ \\pL")
	for _, name := range []string{"host.js", "actions.js"} {
		script, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if found := own.Find(script); found != nil {
			t.Errorf("%s has a text of its own: %s", name, found)
		}
	}
}

// TestEveryMistakeIsInTheCatalogues does so with what hosts are told is wrong.
func TestEveryMistakeIsInTheCatalogues(t *testing.T) {
	form := func(pairs ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		return v
	}
	action := func(pairs ...string) url.Values {
		return form(append(pairs, "new", "1", "title", "Ring", "home", "default", "op", "save")...)
	}
	link := func(pairs ...string) url.Values {
		return form(append(pairs, "action", "front_door")...)
	}
	long := strings.Repeat("x", 200<<10)
	for name, c := range map[string]struct {
		path string
		form url.Values
	}{
		"no action":              {"/new", form("until", "2h", "uses", "1")},
		"an action that is gone": {"/new", form("action", "garage", "until", "2h", "uses", "1")},
		"no number":              {"/new", link("until", "2h", "uses", "many")},
		"no end":                 {"/new", link("until", "never", "uses", "1")},
		"no time":                {"/new", link("until", "custom", "to", "soon", "uses", "1")},
		"a time that has passed": {"/new", link("until", "custom", "to", "2020-01-01T00:00", "uses", "1")},
		"the end first":          {"/new", link("until", "custom", "from", "2026-11-28T00:00", "to", "2026-11-27T00:00", "uses", "1")},
		"a long name":            {"/new", link("until", "2h", "uses", "1", "guest", long)},
		"a name nobody can read": {"/new", link("until", "2h", "uses", "1", "guest", "a\x00b")},
		"a name that is no text": {"/new", link("until", "2h", "uses", "1", "guest", "a\xffb")},
		"no button":              {"/", form("op", "explode", "id", "ID")},
		"too many links":         {"/", form(append([]string{"op", "revoke"}, strings.Split(strings.Repeat("id,x,", 200), ",")[:400]...)...)},
		"no such link":           {"/", form("op", "revoke", "id", "ZZZZZZ")},
		"extend by what":         {"/link", form("op", "extend", "by", "much", "id", "ID")},
		"no revision":            {"/link", form("op", "change", "id", "ID")},
		"a name that is none":    {"/action", action("name", "Front Door", "definition", doorYAML)},
		"a name that is there":   {"/action", action("name", "front_door", "definition", doorYAML)},
		"no such home":           {"/action", form("new", "1", "name", "ring", "home", "cabin", "definition", doorYAML)},
		"pressed how often":      {"/action", action("name", "ring", "confirm", "thrice", "definition", doorYAML)},
		"an icon of nobody's":    {"/action", action("name", "ring", "icon", "NO ICON", "definition", doorYAML)},
		"a long title":           {"/action", form("new", "1", "name", "ring", "title", long[:1<<10], "home", "default", "definition", doorYAML)},
		"a language twice":       {"/action", action("name", "ring", "definition", doorYAML, "t.lang", "de", "t.title", "A", "t.done", "", "t.lang", "de", "t.title", "B", "t.done", "")},
		"no language":            {"/action", action("name", "ring", "definition", doorYAML, "t.lang", "", "t.title", "Ring", "t.done", "")},
		"a language of nobody's": {"/action", action("name", "ring", "definition", doorYAML, "t.lang", "not a tag", "t.title", "Ring", "t.done", "")},
		"a credential of no one": {"/credentials", form("op", "make", "name", "")},
		"a credential for what":  {"/credentials", form("op", "make", "name", "Ring", "action", "garage")},
		"made or revoked":        {"/credentials", form("op", "explode")},
		"too long by far":        {"/action", action("definition", strings.Repeat(long, 8))},

		"empty":                 {"/action", action("definition", " \n")},
		"nothing happens":       {"/action", action("definition", "- delay: 1\n")},
		"switched off":          {"/action", action("definition", doorYAML+"enabled: false\n")},
		"an empty list":         {"/action", action("definition", "[]\n")},
		"a word":                {"/action", action("definition", "hello\n")},
		"an automation":         {"/action", action("definition", "alias: x\ntriggers: []\nactions: []\n")},
		"a script's fields":     {"/action", action("definition", "fields:\n  a:\n    name: x\nsequence:\n  - action: lock.unlock\n")},
		"an empty sequence":     {"/action", action("definition", "sequence: []\n")},
		"a script":              {"/action", action("definition", "open_up:\n  sequence:\n    - action: lock.unlock\n")},
		"no action in it":       {"/action", action("definition", "delay: 1\nfoo: bar\n")},
		"no step":               {"/action", action("definition", "- hello\n")},
		"a list in a list":      {"/action", action("definition", "- - action: lock.unlock\n")},
		"said twice":            {"/action", action("definition", "action: lock.unlock\nservice: lock.unlock\n")},
		"no domain":             {"/action", action("definition", "action: unlock\n")},
		"no mapping":            {"/action", action("definition", "action: lock.unlock\ndata: hello\n")},
		"no target":             {"/action", action("definition", "action: lock.unlock\ntarget: lock.front_door\n")},
		"a long definition":     {"/action", action("definition", doorYAML+"# "+long+"\n")},
		"no text":               {"/action", action("definition", "action: lock.\xffunlock\n")},
		"an invisible letter":   {"/action", action("definition", "action: lock.\u200bunlock\n")},
		"a control character":   {"/action", action("definition", "action: lock.\x01unlock\n")},
		"two documents":         {"/action", action("definition", doorYAML+"---\n"+doorYAML)},
		"no YAML":               {"/action", action("definition", "action: [\n")},
		"a tab":                 {"/action", action("definition", "action: lock.unlock\ntarget:\n\tentity_id: lock.front_door\n")},
		"no anchor":             {"/action", action("definition", "action: lock.unlock\ndata: *x\n")},
		"an anchor in itself":   {"/action", action("definition", "action: lock.unlock\ndata: &x\n  a: *x\n")},
		"a template":            {"/action", action("definition", "action: lock.unlock\ndata:\n  {{ x }}: 1\n")},
		"a value to name it by": {"/action", action("definition", "action: lock.unlock\ndata:\n  ? [a]\n  : 1\n")},
		"no mapping to merge":   {"/action", action("definition", "action: lock.unlock\ndata:\n  <<: 1\n")},
		"a key twice":           {"/action", action("definition", "action: lock.unlock\naction: lock.lock\n")},
		"deep":                  {"/action", action("definition", "action: lock.unlock\ndata:\n  a: "+strings.Repeat("[", 200)+strings.Repeat("]", 200)+"\n")},
		"many":                  {"/action", action("definition", "action: lock.unlock\ndata:\n  a: ["+strings.Repeat("1,", 30000)+"1]\n")},
		"a secret":              {"/action", action("definition", "action: lock.unlock\ndata:\n  a: !secret b\n")},
		"an input":              {"/action", action("definition", "action: lock.unlock\ndata:\n  a: !input b\n")},
		"a file":                {"/action", action("definition", "action: lock.unlock\ndata:\n  a: !include b\n")},
		"a tag":                 {"/action", action("definition", "action: lock.unlock\ndata:\n  a: !foo b\n")},
		"not what the tag says": {"/action", action("definition", "action: lock.unlock\ndata:\n  a: !!int b\n")},
		"a number of zeros":     {"/action", action("definition", "action: lock.unlock\ndata:\n  a: 0123\n")},
		"a large number":        {"/action", action("definition", "action: lock.unlock\ndata:\n  a: 123456789012345678901234567890\n")},
		"no number at all":      {"/action", action("definition", "action: lock.unlock\ndata:\n  a: .nan\n")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.actions()
			id := w.link(anna, `{"actions":["front_door"],"guest":"Tom"}`)
			if c.form.Get("id") == "ID" {
				c.form.Set("id", id)
			}
			a := w.do(anna, "POST", c.path, c.form, "Accept", "text/html", "Accept-Language", markedLanguage)
			if a.StatusCode < 400 {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			for _, text := range untranslated(a, "many", "a\ufffdb") {
				t.Error(text)
			}
		})
	}
	for name, c := range map[string]struct {
		who  Visitor
		path string
		set  func(w *world)
	}{
		"not for who shares": {ben, "/actions", func(*world) {}},
		"somebody else's":    {ben, "/link?id=ID", func(*world) {}},
		"nowhere":            {anna, "/nowhere", func(*world) {}},
		"no service":         {anna, "/", func(w *world) { w.down = true }},
		"no address":         {anna, "/calendar?id=ID", func(w *world) { w.noPublic = true }},
		"no end":             {anna, "/calendar?id=ID", func(*world) {}},
		"a home not there": {anna, "/", func(w *world) {
			w.status = []HomeStatus{{Name: "default", Problem: "dial tcp: refused"}, {Name: "cabin"}}
		}},
		"the home is silent": {anna, "/action?name=front_door", func(w *world) { w.home.Find(nil, onetime.ErrUnreachable) }},
		"a mistake of ours":  {anna, "/action?name=front_door", func(w *world) { w.home.Find(nil, errors.New("a bug")) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.actions()
			id := w.link(anna, `{"actions":["front_door"],"guest":"Tom"}`)
			c.set(w)
			a := w.get(c.who, strings.ReplaceAll(c.path, "ID", id), "Accept", "text/html", "Accept-Language", markedLanguage)
			for _, text := range untranslated(a) {
				t.Error(text)
			}
		})
	}
}

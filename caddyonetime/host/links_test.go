package host

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

func (w *world) token(id string) *onetime.View {
	w.t.Helper()
	v, err := w.svc.Token(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// to is where an answer sends the browser, with its parameters.
func (a *answer) to() (page string, q url.Values) {
	a.t.Helper()
	u, err := url.Parse(a.want(http.StatusSeeOther).Header.Get("Location"))
	if err != nil {
		a.t.Fatal(err)
	}
	return u.Path, u.Query()
}

func TestSeveralLinksAtOnce(t *testing.T) {
	w := newWorld(t)
	w.actions()
	one := w.link(anna, `{"actions":["light"],"guest":"One","expires":"2026-11-20T18:00:00+01:00"}`)
	two := w.link(anna, `{"actions":["light"],"guest":"Two","expires":"2026-11-20T19:00:00+01:00"}`)
	endless := w.link(anna, `{"actions":["light"],"guest":"Three"}`)
	bens := w.link(ben, `{"actions":["light"],"guest":"Ben's"}`)
	page := string(w.get(anna, "/?select=1").want(200).body)
	for _, id := range []string{one, two, endless, bens} {
		if !strings.Contains(page, `<input type="checkbox" name="id" value="`+id+`" form="several">`) {
			t.Fatalf("%s cannot be selected", id)
		}
	}

	form := url.Values{"several": {"1"}, "op": {"extend"}, "by": {"1d"}, "id": {one, two, endless}, "back": {"select=1"}}
	if page, q := w.do(anna, "POST", "/", form).to(); page != "./" || q.Get("select") != "1" {
		t.Errorf("then %s?%s", page, q.Encode())
	}
	for id, end := range map[string]string{one: "2026-11-21T17:00:00Z", two: "2026-11-21T18:00:00Z"} {
		if got := w.token(id).Token.Expires; got.UTC().Format(time.RFC3339) != end {
			t.Errorf("%s ends %v, want %s", id, got, end)
		}
	}
	if w.token(endless).Token.Expires != nil {
		t.Error("a link without an end has got one")
	}

	form.Set("op", "revoke")
	_, q := w.do(anna, "POST", "/", form).to()
	for _, id := range []string{one, two, endless} {
		if w.token(id).Status != onetime.StatusRevoked {
			t.Errorf("%s is not switched off", id)
		}
	}
	page = string(w.get(anna, "/?"+q.Encode()).want(200).body)
	if !strings.Contains(page, "3 links are switched off.") {
		t.Errorf("the page does not say what happened:\n%s", page)
	}
	w.do(anna, "POST", "/", url.Values{"several": {"1"}, "op": {"unrevoke"}, "id": strings.Split(q.Get("off"), ",")}).to()
	if w.token(one).Status != onetime.StatusReady || w.token(endless).Status != onetime.StatusReady {
		t.Error("undo does not let them in again")
	}

	// One that is not the visitor's stops all of it.
	mine := w.link(ben, `{"actions":["light"]}`)
	w.do(ben, "POST", "/", url.Values{"several": {"1"}, "op": {"revoke"}, "id": {mine, one}}).want(http.StatusNotFound)
	if w.token(mine).Status != onetime.StatusReady || w.token(one).Status != onetime.StatusReady {
		t.Error("something was switched off all the same")
	}
	// None selected changes nothing, and too many are no page's.
	w.do(anna, "POST", "/", url.Values{"several": {"1"}, "op": {"revoke"}}).to()
	w.do(anna, "POST", "/", url.Values{"several": {"1"}, "op": {"revoke"}, "id": slices.Repeat([]string{one}, linksPerPage+1)}).want(http.StatusUnprocessableEntity)
}

func TestExtendingALink(t *testing.T) {
	w := newWorld(t)
	w.actions()
	id := w.link(anna, `{"actions":["light"],"expires":"2026-11-20T15:00:00+01:00"}`)
	extend := func(by string) *answer {
		return w.do(anna, "POST", "/link", url.Values{"id": {id}, "op": {"extend"}, "by": {by}})
	}
	extend("1w").to()
	if got := w.token(id).Token.Expires.UTC(); got != time.Date(2026, 11, 27, 14, 0, 0, 0, time.UTC) {
		t.Errorf("a week longer ends %v", got)
	}
	// One that has ended goes on from now.
	w.clock.Move(30 * 24 * time.Hour)
	if w.token(id).Status != onetime.StatusExpired {
		t.Fatal("still there")
	}
	extend("2h").to()
	if v := w.token(id); v.Status != onetime.StatusReady || v.Token.Expires.Sub(v.Now) != 2*time.Hour {
		t.Errorf("two hours longer ends %v, now is %v", v.Token.Expires, v.Now)
	}
	extend("").want(http.StatusUnprocessableEntity)
	extend("9y").want(http.StatusUnprocessableEntity)
}

func TestReplacingALinkThatGotAbout(t *testing.T) {
	w := newWorld(t)
	w.actions()
	old := w.link(anna, `{"actions":["front_door"],"guest":"Tom","comment":"Second floor","uses_max":3,"expires":"2026-11-22T18:00:00+01:00"}`)
	w.press(old)
	page, q := w.do(anna, "POST", "/link", url.Values{"id": {old}, "op": {"rotate"}}).to()
	fresh := q.Get("id")
	if page != "link" || fresh == old {
		t.Fatalf("then %s?%s", page, q.Encode())
	}
	a, b := w.token(old).Token, w.token(fresh).Token
	if a.RevokedAt == nil || *b.UsesMax != 2 || b.Guest != "Tom" || b.Comment != "Second floor" || !b.Expires.Equal(*a.Expires) || !slices.Equal(a.Actions, b.Actions) {
		t.Errorf("old %+v\nnew %+v", a, b)
	}
	if body := string(w.get(anna, "/link?"+q.Encode()).want(200).body); !strings.Contains(body, "The old link is switched off.") {
		t.Errorf("the page does not say what became of the old one:\n%s", body)
	}
	// What has ended is not replaced.
	w.do(anna, "POST", "/link", url.Values{"id": {old}, "op": {"rotate"}}).want(http.StatusUnprocessableEntity)
	// Without an address for the new one, the old one stays.
	w.noPublic = true
	w.do(anna, "POST", "/link", url.Values{"id": {fresh}, "op": {"rotate"}}).want(http.StatusServiceUnavailable)
	if w.token(fresh).Status != onetime.StatusReady {
		t.Error("the old link is off, and nothing came in its place")
	}
}

func TestFilteringLinks(t *testing.T) {
	w := newWorld(t)
	w.actions()
	w.link(anna, `{"actions":["light"],"guest":"Anna's light"}`)
	w.clock.Move(time.Second)
	w.link(anna, `{"actions":["front_door"],"guest":"Anna's door"}`)
	w.clock.Move(time.Second)
	w.link(ben, `{"actions":["light","front_door"],"guest":"Ben's both"}`)
	names := regexp.MustCompile(`<strong><bdi>([^<]*)</bdi>`)
	for _, c := range []struct {
		who  Visitor
		q    string
		want []string
	}{
		{anna, "", []string{"Ben&#39;s both", "Anna&#39;s door", "Anna&#39;s light"}},
		{anna, "?action=light", []string{"Ben&#39;s both", "Anna&#39;s light"}},
		{anna, "?by=u-ben", []string{"Ben&#39;s both"}},
		{anna, "?by=u-anna&action=front_door", []string{"Anna&#39;s door"}},
		{anna, "?by=u-anna&action=front_door&q=both", nil},
		{anna, "?show=ended", nil},
		{ben, "?by=u-anna", []string{"Ben&#39;s both"}}, // by is not theirs to ask
		{ben, "?action=light", []string{"Ben&#39;s both"}},
	} {
		var got []string
		for _, m := range names.FindAllStringSubmatch(string(w.get(c.who, "/"+c.q).want(200).body), -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s, %q: %q, want %q", c.who.Name, c.q, got, c.want)
		}
	}
	if body := string(w.get(ben, "/").body); strings.Contains(body, "by-maker") || strings.Contains(body, "Anna") {
		t.Error("who may only share hears of others")
	}
}

// TestLinksThatWereJustUsedStay: the host sees on the first page that the one press
// has come.
func TestLinksThatWereJustUsedStay(t *testing.T) {
	w := newWorld(t)
	w.actions()
	id := w.link(anna, `{"actions":["front_door"],"guest":"Ina"}`)
	off := w.link(anna, `{"actions":["front_door"],"guest":"Tom","uses_max":2}`)
	w.press(off)
	w.do(anna, "DELETE", "/api/tokens/"+off, nil).want(204)
	at := `href="link?id=` + id + `"`
	shows := func(path string, want bool) {
		t.Helper()
		if page := string(w.get(anna, path).want(200).body); strings.Contains(page, at) != want {
			t.Errorf("%s shows it: %t, want %t", path, !want, want)
		}
	}
	shows("/", true)
	w.press(id)
	shows("/", true)
	if page := string(w.get(anna, "/").body); !strings.Contains(page, "Pressed today 2:10 pm: done") || strings.Contains(page, "link?id="+off+`"`) {
		t.Error("the press is not seen, or what is switched off is")
	}
	shows("/?show=ended", true)
	shows("/?q=Ina", false)
	for range maxJustUsed {
		w.press(w.link(anna, `{"actions":["light"]}`))
		w.clock.Move(time.Minute)
	}
	w.press(w.link(anna, `{"actions":["light"]}`))
	shows("/", false)

	w = newWorld(t)
	w.actions()
	id = w.link(anna, `{"actions":["front_door"],"guest":"Ina"}`)
	at = `href="link?id=` + id + `"`
	w.press(id)
	w.clock.Move(justUsed)
	shows("/", false)
}

func TestTilesAreMostUsedFirst(t *testing.T) {
	w := newWorld(t)
	w.actions()
	for range 3 {
		w.link(anna, `{"actions":["light"]}`)
	}
	w.link(anna, `{"actions":["front_door"]}`)
	body := string(w.get(anna, "/").body)
	if light, door := strings.Index(body, `"new?action=light"`), strings.Index(body, `"new?action=front_door"`); light < 0 || light > door {
		t.Errorf("light at %d, door at %d", light, door)
	}
	m := w.get(anna, "/links.webmanifest").want(200)
	if ct := m.Header.Get("Content-Type"); ct != "application/manifest+json" {
		t.Errorf("Content-Type %q", ct)
	}
	j := m.json()
	if j["display"] != "standalone" || j["start_url"] != "./" {
		t.Errorf("%v", j)
	}
	var urls []string
	for _, s := range j["shortcuts"].([]any) {
		urls = append(urls, s.(map[string]any)["url"].(string))
	}
	if !slices.Equal(urls, []string{"new?action=light", "new?action=front_door"}) {
		t.Errorf("shortcuts %q", urls)
	}
	for _, i := range j["icons"].([]any) {
		w.get(anna, "/"+i.(map[string]any)["src"].(string)).want(200)
	}
	for i := range 6 {
		w.do(anna, "PUT", fmt.Sprintf("/api/actions/more%d", i), map[string]any{"title": "More", "definition": lightYAML}).want(http.StatusCreated)
	}
	if n := len(w.get(anna, "/links.webmanifest").json()["shortcuts"].([]any)); n != 4 {
		t.Errorf("%d shortcuts, want 4", n)
	}
}

// The form's own script gets 201 with what is sent, and mistakes as they are.
func TestMakingALinkByScript(t *testing.T) {
	w := newWorld(t)
	w.actions()
	form := url.Values{"action": {"front_door"}, "guest": {"Tom"}, "until": {"2h"}, "uses": {"1"}}
	j := w.do(anna, "POST", "/new", form, "Accept", "application/json").want(http.StatusCreated).json()
	v := w.token(j["id"].(string))
	if link := publicURL + w.svc.Code(v.Token); j["url"] != link || !strings.HasSuffix(j["text"].(string), " "+link) {
		t.Errorf("%v", j)
	}
	w.get(anna, "/"+j["page"].(string)).want(200)
	form.Set("until", "none")
	form.Set("uses", "any")
	if j := w.do(anna, "POST", "/new", form, "Accept", "application/json").want(http.StatusUnprocessableEntity).json(); j["warning"] == "" {
		t.Errorf("%v", j)
	}
	form.Set("until", "custom")
	form.Set("to", "1999-01-01T00:00")
	if j := w.do(anna, "POST", "/new", form, "Accept", "application/json").want(http.StatusUnprocessableEntity).json(); j["field"] != "expires" || j["error"] == "" {
		t.Errorf("%v", j)
	}
	if views, _, _ := w.svc.Tokens(t.Context(), onetime.TokenQuery{}); len(views) != 1 {
		t.Errorf("%d links, want 1", len(views))
	}
}

func TestTheLastMessageIsOffered(t *testing.T) {
	w := newWorld(t)
	w.actions()
	w.link(anna, `{"actions":["front_door"],"comment":"Push hard."}`)
	w.link(anna, `{"actions":["light"],"comment":"For the light."}`)
	w.link(ben, `{"actions":["front_door"],"comment":"Ben's own."}`)
	if body := string(w.get(anna, "/new?action=front_door").body); !strings.Contains(body, ">Push hard.</textarea>") {
		t.Errorf("%s", body)
	}
	if body := string(w.get(anna, "/new").body); strings.Contains(body, "Push hard.") {
		t.Error("a message for nothing chosen")
	}
}

func TestCalendarAndCodesOfALink(t *testing.T) {
	w := newWorld(t)
	w.actions()
	w.do(anna, "PUT", "/api/actions/front_door", map[string]any{"title": "Open the “front” door; quickly, " + strings.Repeat("ä", 60), "definition": doorYAML}).want(200)
	id := w.link(anna, `{"actions":["front_door"],"uses_max":3,"not_before":"2026-11-21T09:00:00+01:00","expires":"2026-11-22T18:00:00+01:00"}`)
	link := publicURL + w.svc.Code(w.token(id).Token)

	a := w.get(anna, "/link.ics?id="+id).want(200)
	ics := string(a.body)
	for line := range strings.SplitSeq(strings.TrimSuffix(ics, "\r\n"), "\r\n") {
		if len(line) > 75 || strings.Contains(line, "\n") {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	}
	whole := strings.ReplaceAll(ics, "\r\n ", "")
	for _, want := range []string{"BEGIN:VEVENT\r\n", "DTSTART:20261121T080000Z\r\n", "DTEND:20261122T170000Z\r\n", "URL:" + link + "\r\n",
		`door\; quickly\, ää`, "to Sunday 22 November 2026", "LOCATION:12 Hill Street\r\n"} {
		if !strings.Contains(whole, want) {
			t.Errorf("the calendar lacks %q:\n%s", want, whole)
		}
	}
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/calendar") {
		t.Error(a.Header)
	}

	img, err := png.Decode(strings.NewReader(string(w.get(anna, "/qr.png?id="+id).want(200).body)))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != b.Dy() || b.Dx()%qrScale != 0 || b.Dx() < 29*qrScale {
		t.Errorf("size %v", b)
	}
	dark := func(x, y int) bool { r, _, _, _ := img.At(x*qrScale+1, y*qrScale+1).RGBA(); return r == 0 }
	if dark(0, 0) || dark(qrMargin-1, qrMargin) || !dark(qrMargin, qrMargin) || dark(qrMargin+1, qrMargin+1) || !dark(qrMargin+3, qrMargin+3) {
		t.Error("no finder pattern in its corner")
	}
	card := string(w.get(anna, "/card?id="+id).want(200).body)
	code := strings.TrimPrefix(link, publicURL)
	if !strings.Contains(card, code[:6]+"-"+code[6:12]+"-"+code[12:18]+"-"+code[18:]) || !strings.Contains(card, "2026") {
		t.Errorf("the card:\n%s", card)
	}

	endless := w.link(anna, `{"actions":["light"]}`)
	w.get(anna, "/link.ics?id="+endless).want(http.StatusUnprocessableEntity)
	for _, path := range []string{"/qr", "/qr.svg", "/qr.png", "/card", "/link.ics"} {
		w.get(ben, path+"?id="+id).want(http.StatusNotFound) // not theirs
		w.get(anna, path+"?id="+id).want(200)
	}
}

func TestPausingIsSeenOnEveryPage(t *testing.T) {
	w := newWorld(t)
	ids := w.busy()
	state := regexp.MustCompile(`role="switch" aria-checked="(true|false)"`)
	if m := state.FindStringSubmatch(string(w.get(anna, "/").body)); m == nil || m[1] != "false" {
		t.Fatalf("the switch: %q", m)
	}
	w.do(anna, "POST", "/", url.Values{"op": {"pause"}}).to()
	if m := state.FindStringSubmatch(string(w.get(anna, "/").body)); m == nil || m[1] != "true" {
		t.Fatalf("the switch: %q", m)
	}
	for _, path := range []string{"/", "/new", "/link?id=" + ids["ready"], "/actions"} {
		if !strings.Contains(string(w.get(anna, path).want(200).body), "All links are paused.") {
			t.Errorf("%s does not say so", path)
		}
	}
	body := string(w.get(ben, "/").body)
	if !strings.Contains(body, "All links are paused.") || state.MatchString(body) {
		t.Error("who may only share should see it, and no switch")
	}
	w.do(ben, "POST", "/", url.Values{"op": {"resume"}}).want(http.StatusForbidden)
}

func TestDuplicatingAndUndoing(t *testing.T) {
	w := newWorld(t)
	w.actions()
	id := w.link(anna, `{"actions":["light"],"guest":"Tom","comment":"Second floor","uses_max":7}`)
	body := string(w.get(anna, "/new?like="+id).want(200).body)
	for _, want := range []string{`name="action" value="light" checked`, `value="Tom"`, ">Second floor</textarea>", `name="uses" value="7" checked`, `name="until" value="none" checked`} {
		if !strings.Contains(body, want) {
			t.Errorf("the copy lacks %q", want)
		}
	}
	if body := string(w.get(anna, "/link?new=1&id="+id).want(200).body); !strings.Contains(body, `name="op" value="undo"`) {
		t.Error("a new link cannot be undone")
	}
	page, q := w.do(anna, "POST", "/link", url.Values{"id": {id}, "op": {"undo"}}).to()
	if page != "./" || q.Get("off") != id || w.token(id).Status != onetime.StatusRevoked {
		t.Errorf("then %s?%s", page, q.Encode())
	}
}

// Two hosts have the same link open: the second is told, and what they wrote
// is still there.
func TestTheSecondOfTwoHostsIsTold(t *testing.T) {
	w := newWorld(t)
	w.actions()
	id := w.link(ben, `{"actions":["light"],"guest":"Tom"}`)
	revision := fmt.Sprint(w.token(id).Token.Revision)
	form := url.Values{"op": {"change"}, "id": {id}, "revision": {revision}, "guest": {"Tom B."}, "uses": {"1"}}
	w.do(anna, "POST", "/link", form).to()
	form.Set("guest", "Thomas")
	body := string(w.do(ben, "POST", "/link", form).want(http.StatusPreconditionFailed).body)
	if !strings.Contains(body, "Somebody else has changed it") || !strings.Contains(body, `value="Thomas"`) {
		t.Errorf("%s", body)
	}
	if g := w.token(id).Token.Guest; g != "Tom B." {
		t.Errorf("the link is for %q", g)
	}
}

// maxPageBytes is what a host's page weighs at most, all in.
const maxPageBytes = 60_000

// weight is what a page weighs with all that it names, as it is sent.
func (w *world) weight(who Visitor, path string, header ...string) int {
	w.t.Helper()
	a := w.get(who, path, header...)
	doc, err := html.Parse(strings.NewReader(string(a.body)))
	if err != nil {
		w.t.Fatal(err)
	}
	n, seen := len(a.body), map[string]bool{}
	for e := range doc.Descendants() {
		name := ""
		switch e.Data {
		case "link":
			name = attr(e, "href")
		case "script", "img":
			name = attr(e, "src")
		case "iframe": // the guest's page, with what it names in turn
			n += w.weight(who, "/"+attr(e, "src"), header...)
		}
		// The icon of the home screen is loaded once, by who puts it there.
		if name == "" || seen[name] || attr(e, "rel") == "apple-touch-icon" {
			continue
		}
		seen[name] = true
		n += len(w.get(who, "/"+strings.TrimPrefix(name, "./"), append(header, "Accept-Encoding", "gzip")...).want(200).body)
	}
	return n
}

// TestPagesAreLight weighs every page in every state, and the first and the heaviest
// in every language.
func TestPagesAreLight(t *testing.T) {
	heaviest := 0
	weigh := func(w *world, what string, who Visitor, path string, header ...string) {
		t.Helper()
		n := w.weight(who, path, header...)
		heaviest = max(heaviest, n)
		if n > maxPageBytes {
			t.Errorf("%s weighs %d bytes", what, n)
		}
	}
	for _, s := range allScenes() {
		w := newWorld(t)
		path := s.make(w)
		weigh(w, s.name, s.who, path)
	}
	w := newWorld(t)
	w.busy()
	w.translated()
	for range linksPerPage {
		w.link(anna, `{"actions":["front_door","light"],"guest":"Somebody with a name","comment":"Second floor.","uses_max":20,"expires":"2026-12-18T18:00:00+01:00"}`)
	}
	for _, l := range words.All() {
		for _, path := range []string{"/", "/?select=1", "/log", "/action?name=front_door", "/look?name=front_door"} {
			weigh(w, path+" in "+l.Tag(), anna, path, "Accept-Language", l.Tag())
		}
	}
	t.Logf("the heaviest weighs %d bytes", heaviest)

	// Who cannot read what is compressed gets the same.
	for _, name := range []string{"/-/host.css", "/-/actions.js", "/-/icon.svg", "/-/icon-192.png"} {
		plain := w.get(anna, name, "Accept-Encoding", "gzip;q=0").want(200)
		if e := plain.Header.Get("Content-Encoding"); e != "" {
			t.Errorf("%s is sent as %s", name, e)
		}
		again := w.get(anna, name) // Go's client asks for gzip, and unpacks it
		if !bytes.Equal(plain.body, again.body) || again.Uncompressed == strings.HasSuffix(name, ".png") {
			t.Errorf("%s: %d bytes, and %d of them compressed: %t", name, len(plain.body), len(again.body), again.Uncompressed)
		}
	}
}

// TestPagesAreAccessible looks for what would leave people out who cannot see
// the page: controls without a name, references that lead nowhere.
func TestPagesAreAccessible(t *testing.T) {
	for _, s := range scenes() {
		if s.then != nil || !strings.HasPrefix(s.name, "link") && !strings.HasPrefix(s.name, "new") && !strings.HasPrefix(s.name, "empty") {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.get(s.who, s.make(w)).want(200)
			doc, err := html.Parse(strings.NewReader(string(a.body)))
			if err != nil {
				t.Fatal(err)
			}
			checkAccessible(t, doc)
		})
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

func checkAccessible(t *testing.T, doc *html.Node) {
	t.Helper()
	ids, labels, headings, last := map[string]bool{}, map[string]bool{}, 0, 0
	for n := range doc.Descendants() {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("two have the id %q", id)
			}
			ids[id] = true
		}
		if n.Data == "label" {
			labels[attr(n, "for")] = true
		}
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, ref := range []string{"aria-labelledby", "aria-describedby", "for", "form"} {
			if to := attr(n, ref); to != "" && !ids[to] {
				t.Errorf("<%s %s=%q> leads nowhere", n.Data, ref, to)
			}
		}
		name := textOf(n) + attr(n, "aria-label") + attr(n, "aria-labelledby")
		switch n.Data {
		case "html":
			if attr(n, "lang") == "" || attr(n, "dir") == "" {
				t.Error("no language")
			}
		case "title", "a", "button", "summary", "legend", "label":
			if name == "" {
				t.Errorf("<%s %v> has no name", n.Data, n.Attr)
			}
		case "img":
			if attr(n, "alt") == "" || attr(n, "width") == "" || attr(n, "height") == "" {
				t.Errorf("<img %v> has no text or no size", n.Attr)
			}
		case "input", "select", "textarea":
			inLabel := false
			for p := n.Parent; p != nil; p = p.Parent {
				inLabel = inLabel || p.Data == "label"
			}
			if attr(n, "type") != "hidden" && !inLabel && !labels[attr(n, "id")] && attr(n, "aria-label") == "" {
				t.Errorf("<%s %v> has no label", n.Data, n.Attr)
			}
		case "h1", "h2", "h3":
			level := int(n.Data[1] - '0')
			if level == 1 {
				headings++
			}
			if level > last+1 {
				t.Errorf("<%s> after level %d", n.Data, last)
			}
			last = level
		case "svg":
			if attr(n, "aria-hidden") != "true" {
				t.Error("an icon that is read out")
			}
		}
		if attr(n, "role") == "switch" && attr(n, "aria-checked") == "" {
			t.Error("a switch in no position")
		}
	}
	if headings != 1 {
		t.Errorf("%d headings of the first level", headings)
	}
}

// thousands makes n links, half of which have ended.
func (w *world) thousands(n int) {
	w.t.Helper()
	w.actions()
	one := 1
	end := w.clock.Now().Add(time.Hour)
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for i := range jobs {
				spec := onetime.TokenSpec{Actions: []string{"front_door"}, Guest: fmt.Sprintf("Guest %d", i), UsesMax: &one}
				if i%2 == 0 {
					spec.Expires = &end
				}
				if _, err := w.svc.CreateToken(context.Background(), anna.Person, spec); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	w.clock.Move(2 * time.Hour)
}

func TestManyLinksMakeNoLongPage(t *testing.T) {
	w := newWorld(t)
	w.thousands(600)
	few := len(w.get(anna, "/?q=Guest+7").want(200).body)
	for _, path := range []string{"/", "/?show=ended", "/?q=Guest", "/?action=front_door", "/?select=1"} {
		a := w.get(anna, path).want(200)
		if n := strings.Count(string(a.body), `class="card`); n != linksPerPage || len(a.body) > 2*few+40_000 {
			t.Errorf("%s shows %d links in %d bytes", path, n, len(a.body))
		}
	}
}

func BenchmarkFirstPageOf10000(b *testing.B) {
	w := newWorld(b)
	w.thousands(10_000)
	for _, path := range []string{"/", "/?show=ended", "/?q=Guest+9999", "/?q=nobody", "/new?action=front_door"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				w.get(anna, path).want(200)
			}
		})
	}
}

func TestTimesAsRFC3339LetsPeopleWriteThem(t *testing.T) {
	w := newWorld(t)
	w.actions()
	for _, in := range []string{
		"2026-11-22T18:00:00Z", "2026-11-22T19:00:00+01:00", "2026-11-22t18:00:00z",
		"2026-11-22 19:00:00+01:00", "2026-11-22 18:00:00.000000+00:00",
	} {
		id := w.link(anna, `{"actions":["front_door"],"expires":"`+in+`"}`)
		if got := w.get(anna, "/api/tokens/"+id).json()["expires"]; got != "2026-11-22T18:00:00Z" {
			t.Errorf("%s became %v", in, got)
		}
	}
	for _, in := range []string{"2026-11-22 18:00", "2026-11-22z", "2026-11-22_18:00:00Z", "z", "2026-11-22 18:00:00"} {
		w.do(anna, "POST", "/api/tokens", `{"actions":["front_door"],"expires":"`+in+`"}`).field("expires")
	}
}

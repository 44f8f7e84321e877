package host

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// editForm are the fields of the form in which an action is edited.
func (w *world) editForm(name string) url.Values {
	w.t.Helper()
	a, err := w.svc.Action(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	page := string(w.get(anna, "/action?name="+name).want(200).body)
	revision := regexp.MustCompile(`name="revision" value="(\d+)"`).FindStringSubmatch(page)
	if revision == nil {
		w.t.Fatal("the form has no revision")
	}
	f := url.Values{"op": {"save"}, "name": {name}, "revision": {revision[1]}, "title": {a.Title}, "done": {a.Done},
		"definition": {a.Definition}, "home": {a.Home}, "confirm": {string(a.Confirm)}, "icon": {a.Icon}}
	addRows(f, rowsOf(a))
	return f
}

func TestOtherLanguagesByForms(t *testing.T) {
	w := newWorld(t)
	w.pickable()
	w.actions()
	w.get(anna, "/action?name=front_door").want(200).has("In other languages", `name="t.lang"`, `<option value="de" lang="de">Deutsch`)
	f := w.editForm("front_door")
	addRows(f, []translationRow{{"de", "Haustür <öffnen>", "Fest drücken."}, {"", "", ""}, {"fr", "", ""}, {"fi", "Avaa ovi", ""}})
	w.do(anna, "POST", "/action", f).want(http.StatusSeeOther)
	a, _ := w.svc.Action(t.Context(), "front_door")
	if len(a.Translations) != 2 || a.Translations["de"] != (onetime.Translation{Title: "Haustür <öffnen>", Done: "Fest drücken."}) || a.Translations["fi"].Title != "Avaa ovi" {
		t.Fatalf("%v", a.Translations)
	}
	w.get(anna, "/action?name=front_door").want(200).has("<bdi>Deutsch</bdi>, <bdi>Suomi</bdi>", `value="Haustür &lt;öffnen&gt;"`, `<legend><bdi>Deutsch</bdi></legend><input type="hidden" name="t.lang" value="de">`)

	// What is wrong is said beside what was written.
	for _, c := range []struct {
		rows []translationRow
		says string
	}{
		{[]translationRow{{"", "Ohne Sprache", ""}}, "In other languages: choose the language of"},
		{[]translationRow{{"de", "Auf", ""}, {"de", "Zu", ""}}, "In other languages: Deutsch is there twice."},
		{[]translationRow{{"xx", "Auf", ""}}, "In other languages: &#34;xx&#34; is not the tag"},
		{[]translationRow{{"de", "a\x01", ""}}, "What the guest’s button says: Deutsch: has a control character"},
	} {
		f := w.editForm("front_door")
		f.Del("t.lang")
		f.Del("t.title")
		f.Del("t.done")
		addRows(f, c.rows)
		w.do(anna, "POST", "/action", f).want(http.StatusUnprocessableEntity).has(c.says, `id="languages" open`, `value="`+html.EscapeString(c.rows[0].Title)+`"`)
	}
	// A language nobody has drawn a page in is kept by the form, too.
	w.do(anna, "PUT", "/api/actions/front_door", map[string]any{"title": "Open the front door", "definition": doorYAML,
		"translations": map[string]any{"de": map[string]string{"title": "Tür auf"}, "ca": map[string]string{"title": "Obrir"}}}).want(200)
	w.get(anna, "/action?name=front_door").want(200).has(`<legend><bdi>ca</bdi></legend>`)
	w.do(anna, "POST", "/action", w.editForm("front_door")).want(http.StatusSeeOther)
	if a, _ = w.svc.Action(t.Context(), "front_door"); len(a.Translations) != 2 {
		t.Errorf("%v", a.Translations)
	}

	// As the guest sees it, in each of them, saved or not.
	w.get(anna, "/look?name=front_door").want(200).has(`<bdi>English</bdi>`, `<bdi>Deutsch</bdi>`, `<bdi>ca</bdi>`)
	w.get(anna, "/look?name=light").want(200).lacks("Deutsch")
	w.get(anna, "/look?name=front_door&lang=de", "Accept-Language", "de").want(200).has(`aria-current="true"><bdi>Deutsch</bdi>`)
	w.get(anna, "/preview?name=front_door").want(200).has("Open the front door").lacks("Tür auf")
	w.get(anna, "/preview?name=front_door", "Accept-Language", "de").want(200).has("Tür auf")
	w.get(anna, "/preview?name=front_door&lang=de").want(200).has("Tür auf", `lang="de"`)
	w.get(anna, "/preview?name=front_door&lang=ca").want(200).has("Obrir")
	f = w.editForm("front_door")
	f.Set("op", "look")
	f["t.title"] = []string{"Aufmachen", "Obriu"}
	f["t.lang"] = []string{"de", "ca"}
	to := w.do(anna, "POST", "/action", f).want(http.StatusSeeOther).Header.Get("Location")
	w.get(anna, "/"+to).want(200).has(`<bdi>Deutsch</bdi>`)
	w.get(anna, "/"+strings.Replace(to, "look?", "preview?", 1)+"&lang=de").want(200).has("Aufmachen")

	// There is no second step where one tap is enough.
	w.get(anna, "/look?name=front_door").want(200).has("Are you at the door?", "Done · 2 left", "One moment…")
	w.get(anna, "/look?name=light").want(200).lacks("Do it now?")

	// What is sent goes out in the language of the text around it; lists keep
	// to the host's own words.
	id := w.link(anna, `{"actions":["front_door"],"guest":"Tom"}`)
	for _, path := range []string{"/link?id=" + id, "/card?id=" + id} {
		w.get(anna, path, "Accept-Language", "de").want(200).has("Tür auf")
		w.get(anna, path).want(200).has("Open the front door").lacks("Tür auf")
	}
	w.get(anna, "/", "Accept-Language", "de").want(200).has("Open the front door").lacks("Tür auf")
}

// Two hosts edit one action: the second is told, sees what the first has made
// of it, and nothing that was written is lost.
func TestThreat32_TwoHostsEditAnAction(t *testing.T) {
	w := newWorld(t)
	w.actions()
	mine, theirs := w.editForm("front_door"), w.editForm("front_door")
	theirs.Set("title", "Open <their> door")
	addRows(theirs, []translationRow{{"de", "Deren Tür", "Fertig."}})
	w.do(anna, "POST", "/action", theirs).want(http.StatusSeeOther)
	mine.Set("title", "Open my door")
	mine.Set("definition", doorYAML+"# mine\n")
	addRows(mine, []translationRow{{"fr", "Ma porte", ""}})
	page := w.do(anna, "POST", "/action", mine).want(http.StatusPreconditionFailed).
		has("Nothing is lost: below is what you wrote.", `value="Open my door"`, "# mine", `value="Ma porte"`, "What it is now", "Open &lt;their&gt; door", "Deren Tür", "Anna")
	if a, _ := w.svc.Action(t.Context(), "front_door"); a.Title != "Open <their> door" {
		t.Fatal(a.Title)
	}
	// Saved once more, knowingly, it takes the other's place.
	again := regexp.MustCompile(`name="name" value="front_door"><input type="hidden" name="revision" value="(\d+)"`).FindStringSubmatch(string(page.body))
	if again == nil {
		t.Fatalf("%s", page.body)
	}
	mine.Set("revision", again[1])
	w.do(anna, "POST", "/action", mine).want(http.StatusSeeOther)
	if a, _ := w.svc.Action(t.Context(), "front_door"); a.Title != "Open my door" || a.Translations["fr"].Title != "Ma porte" {
		t.Fatal(a)
	}

	// Deleted meanwhile: what was written can be saved as a new one.
	stale := w.editForm("front_door")
	w.do(anna, "DELETE", "/api/actions/front_door", nil).want(204)
	w.do(anna, "POST", "/action", stale).want(http.StatusPreconditionFailed).has(`name="new" value="1"`, `value="Open my door"`, `name="name" value="front_door"`)
	stale.Set("new", "1")
	stale.Del("revision")
	w.do(anna, "POST", "/action", stale).want(http.StatusSeeOther)

	// Making what another host has just made changes nothing of theirs.
	w.do(anna, "POST", "/action", stale).want(http.StatusUnprocessableEntity).has("is there already")
}

func TestThreat32_NothingIsDeletedThatWasChangedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.actions()
	f := w.editForm("light")
	f.Set("op", "delete")
	w.do(anna, "PUT", "/api/actions/light", map[string]any{"title": "All lights", "definition": lightYAML}).want(200)
	w.do(anna, "POST", "/action", f).want(http.StatusPreconditionFailed).has("so it was not deleted", "All lights")
	f = w.editForm("light")
	f.Set("op", "delete")
	w.link(anna, `{"actions":["light"]}`)
	w.do(anna, "POST", "/action", f).want(http.StatusConflict).has(`name="revoke" value="1"><input type="hidden" name="revision" value="2"`)
	f.Set("revoke", "1")
	w.do(anna, "POST", "/action", f).want(http.StatusSeeOther)
	if _, err := w.svc.Action(t.Context(), "light"); err == nil {
		t.Error("it is still there")
	}
}

func TestThreat32_TwoHostsEditALink(t *testing.T) {
	w := newWorld(t)
	w.actions()
	id := w.link(anna, `{"actions":["front_door"],"guest":"Tom","uses_max":2}`)
	f := url.Values{"op": {"change"}, "id": {id}, "revision": {"1"}, "guest": {"Tom"}, "comment": {"Mine."}, "uses": {"2"}, "from": {""}, "to": {""}}
	w.do(anna, "PATCH", "/api/tokens/"+id, `{"comment":"Theirs.","guest":"Tim"}`).want(200)
	w.do(anna, "POST", "/link", f).want(http.StatusPreconditionFailed).
		has("Nothing is lost: below is what you wrote.", ">Mine.</textarea>", "What it is now", "Theirs.", "<bdi>Tim</bdi>", `name="revision" value="2"`)
	if v, _ := w.svc.Token(t.Context(), id); v.Token.Comment != "Theirs." {
		t.Error(v.Token.Comment)
	}
	f.Set("revision", "2")
	w.do(anna, "POST", "/link", f).want(http.StatusSeeOther)
	if v, _ := w.svc.Token(t.Context(), id); v.Token.Comment != "Mine." || v.Token.Guest != "Tom" {
		t.Error(v.Token)
	}
}

func TestExtending(t *testing.T) {
	w := newWorld(t)
	w.actions()
	now := w.clock.Now()
	soon := now.Add(time.Hour).UTC().Format(time.RFC3339)
	late := now.AddDate(0, 1, 0).UTC().Format(time.RFC3339)
	one := w.link(anna, `{"actions":["front_door"],"expires":"`+soon+`"}`)
	far := w.link(anna, `{"actions":["front_door"],"expires":"`+late+`"}`)
	any := w.link(anna, `{"actions":["front_door"],"expires":"`+soon+`","uses_max":null}`)
	open := w.link(anna, `{"actions":["front_door"]}`)
	zone, _ := time.LoadLocation("Europe/Berlin")
	end := func(id string) string {
		v, err := w.svc.Token(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if v.Token.Expires == nil {
			return "none"
		}
		return v.Token.Expires.In(zone).Format("2006-01-02 15:04")
	}
	w.get(anna, "/link?id="+one).want(200).has(`name="by" value="tonight"`, `name="by" value="sunday"`, `name="by" value="none"`)
	w.get(anna, "/link?id="+far).want(200).has(`name="by" value="1w"`, `name="by" value="none"`).lacks(`name="by" value="tonight"`)
	w.get(anna, "/link?id="+any).want(200).lacks(`name="by" value="none"`)
	w.get(anna, "/?select=1").want(200).has(`<select name="by" form="several"`, `<option value="sunday">`)

	all := url.Values{"several": {"1"}, "op": {"extend"}, "id": {one, far, any, open}}
	was := end(far)
	for _, step := range []struct{ by, one, far, any string }{
		{"2h", "2026-11-20 17:10", "2026-12-20 16:10", "2026-11-20 17:10"},
		{"tonight", "2026-11-20 23:59", "2026-12-20 16:10", "2026-11-20 23:59"},
		{"sunday", "2026-11-22 23:59", "2026-12-20 16:10", "2026-11-22 23:59"},
		{"tonight", "2026-11-22 23:59", "2026-12-20 16:10", "2026-11-22 23:59"}, // never shorter
		{"1d", "2026-11-23 23:59", "2026-12-21 16:10", "2026-11-23 23:59"},
		{"1w", "2026-11-30 23:59", "2026-12-28 16:10", "2026-11-30 23:59"},
		{"none", "none", "none", "2026-11-30 23:59"}, // any number of times for ever is asked for twice
	} {
		all.Set("by", step.by)
		w.do(anna, "POST", "/", all).want(http.StatusSeeOther)
		if end(one) != step.one || end(far) != step.far || end(any) != step.any || end(open) != "none" {
			t.Errorf("%s: %s, %s (was %s), %s, %s", step.by, end(one), end(far), was, end(any), end(open))
		}
	}
	all.Set("by", "3 years")
	w.do(anna, "POST", "/", all).want(http.StatusUnprocessableEntity)
}

// Everything is filled in: whom the last such link was for, too. Who wants
// nobody's name there empties it.
func TestASheetWithEverythingFilledIn(t *testing.T) {
	w := newWorld(t)
	w.actions()
	w.get(anna, "/new?action=front_door").want(200).has("Whoever has this link can \u2068open the front door\u2069 once, until today 4:10 pm.")
	w.link(anna, `{"actions":["front_door"],"guest":"Cleaner"}`)
	w.clock.Move(time.Second)
	w.link(anna, `{"actions":["front_door"],"guest":"Parcel driver","comment":"Put it behind the door."}`)
	w.clock.Move(time.Second)
	w.link(anna, `{"actions":["light"],"guest":"Tom"}`)
	w.get(anna, "/new?action=front_door").want(200).
		has("\u2068Parcel driver\u2069 can \u2068open the front door\u2069 once, until today 4:10 pm.", `name="guest" value="Parcel driver"`, "Put it behind the door.</textarea>")
	w.get(anna, "/new").want(200).has(`name="guest" value=""`)
	w.get(ben, "/new?action=front_door").want(200).has(`name="guest" value=""`)
}

func TestBrowserAddsALanguage(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	w := newWorld(t)
	w.actions()
	w.browse(anna, "en")
	const set = `((row, lang, title) => { row.querySelector("select").value = lang; row.querySelector("[name='t.title']").value = title; row.querySelector("select").dispatchEvent(new Event("change", {bubbles: true})) })`
	ctx := tab(t, browser, 412, 900, chromedp.Navigate(w.srv.URL+"/action?name=front_door"),
		truly(`!document.getElementById("morelanguages").hidden && document.querySelectorAll(".row-language").length === 1`),
		press("#languages summary"),
		truly(set+`(document.querySelectorAll(".row-language")[0], "ar", "افتح الباب") || true`),
		press("#morelanguages"),
		truly(`document.querySelectorAll(".row-language").length === 2 && document.activeElement.name === "t.lang"`),
		truly(set+`(document.querySelectorAll(".row-language")[1], "de", "Tür auf") || true`),
		truly(`document.querySelectorAll("[name='t.title']")[1].lang === "de"`),
		press("#edit button[value=save]"), truly(`location.search.includes("saved=1")`))
	a, err := w.svc.Action(t.Context(), "front_door")
	if err != nil || len(a.Translations) != 2 || a.Translations["de"].Title != "Tür auf" || a.Translations["ar"].Title != "افتح الباب" {
		t.Fatalf("%v %v", a.Translations, err)
	}
	// The name that the last link was for is there, and goes with a tap.
	w.link(anna, `{"actions":["front_door"],"guest":"Tom"}`)
	err = chromedp.Do(ctx, chromedp.Navigate(w.srv.URL+"/new?action=front_door"),
		truly(`document.querySelector(".chips [aria-pressed=true]")?.textContent === "Tom" && document.getElementById("sentence").textContent.includes("Tom")`),
		press(".chips [aria-pressed=true]"),
		truly(`!document.getElementById("guest").value && document.getElementById("sentence").textContent.includes("Whoever has this link")`))
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever changes a link can be made to depend on what was seen of it.
func TestReplenishOnlyWhatWasSeen(t *testing.T) {
	w := newWorld(t)
	w.api = newDescription(t)
	w.actions()
	id := w.link(anna, `{"actions":["front_door"],"uses_max":2}`)
	old := w.get(anna, "/api/tokens/"+id).Header.Get("ETag")
	w.do(anna, "PATCH", "/api/tokens/"+id, `{"guest":"Tom"}`).want(200)
	w.do(anna, "POST", "/api/tokens/"+id+"/replenish", `{"uses":1}`, "If-Match", old).code(http.StatusPreconditionFailed, "conflict")
	if left := w.get(anna, "/api/tokens/"+id).json()["uses_left"]; left != 2.0 {
		t.Errorf("%v left", left)
	}
	now := w.get(anna, "/api/tokens/"+id).Header.Get("ETag")
	if a := w.do(anna, "POST", "/api/tokens/"+id+"/replenish", `{"uses":1}`, "If-Match", now).want(200); a.json()["uses_left"] != 1.0 {
		t.Errorf("%s", a.body)
	}
}

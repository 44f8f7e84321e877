package host

import (
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/pick"
)

// things is a home to choose from.
type things struct{ err error }

func (p *things) Entities(_ context.Context, home string) ([]pick.Entity, error) {
	if home != onetime.DefaultHome {
		return nil, onetime.ErrNoHome
	}
	list := []pick.Entity{
		{ID: "lock.front_door", Name: "Front door", Area: "Hallway", Device: "Nuki", State: "locked", Available: true},
		{ID: "cover.garage", Name: "Garage", Area: "Yard", State: "closed", Available: true},
		{ID: "lock.gate", Name: "Garden gate", Area: "Yard", State: "unavailable"},
		{ID: "light.hall", Name: "Hall <light>", Area: "Hallway", State: "off", Available: true},
	}
	return list, p.err
}

func (p *things) Choices(ctx context.Context, home, entity, language string) (*pick.Entity, []pick.Choice, error) {
	all, err := p.Entities(ctx, home)
	if err != nil {
		return nil, nil, err
	}
	least, most, step := 0.0, 100.0, 1.0
	for _, e := range all {
		switch {
		case e.ID != entity:
		case e.Domain() == "light":
			return &e, []pick.Choice{{Action: "light.turn_on", Title: "Turn on", Fields: []pick.Field{
				{Name: "code", Title: "Code", Kind: pick.Secret, Required: true},
				{Name: "brightness_pct", Title: "Brightness", Description: "How bright.", Kind: pick.Number, Min: &least, Max: &most, Step: &step, Unit: "%"},
				{Name: "flash", Title: "Flash", Kind: pick.Select, Options: []pick.Option{{Value: "short", Label: "Short"}, {Value: "long", Label: "Long"}}},
				{Name: "modes", Title: "Modes", Kind: pick.Select, Multiple: true, Options: []pick.Option{{Value: "a", Label: "A"}, {Value: "b", Label: "B"}}},
				{Name: "calm", Title: "Calm", Kind: pick.Boolean}, {Name: "rest", Title: "The rest", Kind: pick.YAML},
				{Name: "at", Title: "At", Kind: pick.Time}, {Name: "on", Title: "On", Kind: pick.Date},
			}}}, nil
		default:
			return &e, []pick.Choice{{Action: "lock.unlock", Title: "Unlock", Description: "Unlocks a lock."}, {Action: "lock.lock", Title: "Lock"}}, nil
		}
	}
	return nil, nil, onetime.ErrNotFound
}

// pickable lets hosts choose from a home.
func (w *world) pickable() *things {
	p := &things{}
	w.cfg.Picker = p
	w.cfg.Contacts = []guest.Contact{{Name: "Anna", URL: "tel:+4930123456"}}
	w.serve("")
	return p
}

func (a *answer) has(texts ...string) *answer {
	a.t.Helper()
	for _, text := range texts {
		if !strings.Contains(string(a.body), text) {
			a.t.Errorf("%s lacks %q:\n%s", a.what, text, a.body)
		}
	}
	return a
}

func (a *answer) lacks(texts ...string) *answer {
	a.t.Helper()
	for _, text := range texts {
		if strings.Contains(string(a.body), text) {
			a.t.Errorf("%s has %q:\n%s", a.what, text, a.body)
		}
	}
	return a
}

// From nothing to an action without a script, and without a word of YAML.
func TestPickingAnActionWithoutScripts(t *testing.T) {
	w := newWorld(t)
	p := w.pickable()
	w.get(anna, "/actions").want(200).has(`href="pick"`, `href="action"`)
	w.get(anna, "/pick").want(200).has("Front door", "locked", "Hallway", "does not answer right now", "Hall &lt;light&gt;").lacks("<light>")
	w.get(anna, "/pick?q=YARD").want(200).has("Garage", "Garden gate").lacks("Front door")
	w.get(anna, "/pick?q=nuki").want(200).has("Front door").lacks("Garage")
	w.get(anna, "/pick?q=%3Cx%3E").want(200).has("Nothing found for", "&lt;x&gt;")
	w.get(anna, "/pick?entity=lock.front_door").want(200).has("Unlock", "Unlocks a lock.", `href="action?home=default&amp;entity=lock.front_door&amp;do=lock.unlock"`)
	w.get(anna, "/action?home=default&entity=lock.front_door&do=lock.unlock").want(200).
		has("action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n</textarea>", `value="Unlock: Front door"`, "Made for", "Home Assistant knows all of this.").
		lacks(`value="draft"`)

	// What has to be said is asked for, with its mistakes beside it.
	w.get(anna, "/pick?entity=light.hall").want(200).has(`href="pick?home=default&amp;entity=light.hall&amp;do=light.turn_on"`)
	w.get(anna, "/action?entity=light.hall&do=light.turn_on").want(200).has(`name="f.code"`).lacks("aria-invalid")
	w.get(anna, "/pick?entity=light.hall&do=light.turn_on").want(200).
		has(`name="f.code"`, "required", `name="f.brightness_pct" type="number"`, `min="0" max="100" step="1"`, "How bright.", `<option value="short">Short</option>`, `type="checkbox" name="f.modes" value="a"`, `type="time"`, `type="date"`)
	form := url.Values{"op": {"pick"}, "home": {"default"}, "entity": {"light.hall"}, "do": {"light.turn_on"}, "f.code": {"0123"}, "f.brightness_pct": {"500"}, "f.modes": {"b"}}
	w.do(anna, "POST", "/action", form).want(http.StatusUnprocessableEntity).has("must be at most 100", `aria-invalid="true"`, `value="500"`, `value="0123"`, `value="b" checked`, "<details class=\"field\" open>")
	form.Set("f.brightness_pct", "40")
	w.do(anna, "POST", "/action", form).want(200).has("  code: &#34;0123&#34;\n  brightness_pct: 40\n  modes:\n    - b\n")

	for _, path := range []string{"/pick?entity=lock.nowhere", "/pick?entity=lock.front_door&do=lock.explode", "/action?entity=lock.front_door&do=lock.explode"} {
		w.get(anna, path).want(http.StatusNotFound)
	}
	p.err = onetime.ErrUnreachable
	w.get(anna, "/pick").want(http.StatusServiceUnavailable).has("cannot be asked right now", `href="action"`)
	w.get(anna, "/pick?entity=lock.front_door").want(http.StatusServiceUnavailable)
	p.err = errors.New("a bug")
	w.get(anna, "/pick").want(http.StatusServiceUnavailable).lacks("a bug")
	w.get(anna, "/pick?home=cabin").want(http.StatusNotFound)

	for _, path := range []string{"/pick", "/look", "/preview", "/doctor", "/action?entity=lock.front_door&do=lock.unlock"} {
		w.get(ben, path).want(http.StatusForbidden)
	}
	w.do(ben, "POST", "/api/actions/front_door/check", `{"definition":"x"}`).code(403, "forbidden")
}

func TestWithoutAPickerHostsWriteYAML(t *testing.T) {
	w := newWorld(t)
	w.get(anna, "/actions").want(200).lacks(`href="pick"`)
	if to := w.get(anna, "/pick").want(http.StatusSeeOther).Header.Get("Location"); to != "action" {
		t.Errorf("Location: %s", to)
	}
}

func TestCheckSaysWhatIsWrongAndWhere(t *testing.T) {
	w := newWorld(t)
	check := func(definition string) map[string]any {
		return w.do(anna, "POST", "/api/actions/new_one/check", map[string]any{"definition": definition}).want(200).json()
	}
	if j := check(doorYAML); j["ok"] != true || j["kind"] != "door" || j["confirm"] != "ask" || j["problem"] != nil {
		t.Errorf("%v", j)
	}
	w.home.Find(nil, &onetime.BadInput{Field: "definition", Line: 3, Message: "lock.front_door does not exist in this home."})
	j := check(doorYAML)
	if p, _ := j["problem"].(map[string]any); j["ok"] != false || p["line"] != 3.0 || p["field"] != "definition" || !strings.Contains(p["detail"].(string), "does not exist") {
		t.Errorf("%v", j)
	}
	if p, _ := check("action: [\n")["problem"].(map[string]any); p["line"] == nil {
		t.Errorf("broken YAML: %v", p)
	}
	if list, _ := w.svc.Actions(t.Context()); len(list) != 0 || w.home.Ran() != 0 {
		t.Error("a check has saved or run something")
	}
}

// The most frequent mistakes are said in the host's language, on the page, while
// it is typed, and beside a link; programs read English.
func TestMistakesInTheHostsLanguage(t *testing.T) {
	w := newWorld(t)
	w.actions()
	w.home.Find(nil, &onetime.BadInput{Field: "definition", Line: 3, Message: "this home has no entity `lock.front_dor`: did you mean `lock.front_door`?",
		Said: &onetime.Said{Key: "no_entity", Args: []any{"name", "lock.front_dor"}, Like: []string{"lock.front_door"}}})
	const german = "In diesem Zuhause gibt es kein \u2068lock.front_dor\u2069. Meinten Sie \u2068lock.front_door\u2069?"
	check := func(header ...string) string {
		j := w.do(anna, "POST", "/api/actions/front_door/check", map[string]any{"definition": doorYAML}, header...).want(200).json()
		return j["problem"].(map[string]any)["detail"].(string)
	}
	if got := check("Accept-Language", "de"); got != german {
		t.Errorf("%q", got)
	}
	if got := check(); !strings.HasPrefix(got, "this home has no entity") {
		t.Errorf("%q", got)
	}
	w.get(anna, "/action?name=front_door", "Accept-Language", "de").want(200).has("Zeile 3:", german)
	w.get(anna, "/action?name=front_door").want(200).has("this home has no entity")
	w.home.Find(nil, nil)
	past := url.Values{"action": {"light"}, "uses": {"1"}, "until": {"custom"}, "to": {"2020-01-01T10:00"}}
	w.do(anna, "POST", "/new", past, "Accept-Language", "de").want(http.StatusUnprocessableEntity).has("Diese Zeit ist vorbei.")
	w.do(anna, "POST", "/new", past).want(http.StatusUnprocessableEntity).has("is in the past")
}

// Every state of the guest's page can be looked at before there is a link, and
// nothing is pressed there.
func TestLookingAsTheGuest(t *testing.T) {
	w := newWorld(t)
	w.pickable()
	w.actions()
	page := w.get(anna, "/look?name=front_door").want(200).has("sandbox=\"allow-same-origin\"", "Nothing that you press here goes out.")
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-src 'self'") {
		t.Errorf("its policy lets no frame in: %s", csp)
	}
	states := regexp.MustCompile(`class="chip" href="([^"]*)"`).FindAllStringSubmatch(string(page.body), -1)
	if len(states) != len(guest.PreviewStates()) {
		t.Fatalf("%d states", len(states))
	}
	for _, m := range states {
		at := strings.ReplaceAll(m[1], "&amp;", "&")
		frame := regexp.MustCompile(`<iframe src="([^"]*)"`).FindStringSubmatch(string(w.get(anna, "/"+at).want(200).body))
		inside := w.get(anna, "/"+strings.ReplaceAll(frame[1], "&amp;", "&")).want(200).has("12 Hill Street")
		csp := inside.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "form-action 'none'") || strings.Contains(csp, "script-src") || !strings.HasSuffix(csp, "frame-ancestors 'self'") || inside.Header.Get("X-Frame-Options") != "" {
			t.Errorf("%s: %s", at, csp)
		}
		style := regexp.MustCompile(`<link rel="stylesheet" href="\./([^"]*)"`).FindStringSubmatch(string(inside.body))
		w.get(anna, "/"+style[1]).want(200)
	}
	// What is not saved yet, too.
	to := w.do(anna, "POST", "/action", url.Values{"op": {"look"}, "new": {"1"}, "title": {"Open the <b>gate</b>"}, "definition": {doorYAML}, "done": {"Push!"}, "confirm": {"tap"}}).want(http.StatusSeeOther).Header.Get("Location")
	w.get(anna, "/"+to).want(200)
	w.get(anna, "/"+strings.Replace(to, "look?", "preview?", 1)+"&state=done").want(200).has("Push!")
	w.get(anna, "/"+strings.Replace(to, "look?", "preview?", 1)).want(200).has("Open the &lt;b&gt;gate&lt;/b&gt;").lacks("<details class=\"ask\"")
	w.get(anna, "/look?name=nothing").want(404)
	if w.home.Ran() != 0 {
		t.Error("looking has pressed")
	}
}

func TestEditingSaysWhichLinksUseIt(t *testing.T) {
	w := newWorld(t)
	w.actions()
	w.get(anna, "/action?name=front_door").want(200).lacks("What you change here")
	for _, g := range []string{"Tom", "Ina", "Max", "Eva", "Kim", "Lea", "Joe"} {
		w.link(anna, `{"actions":["front_door"],"guest":"`+g+`"}`)
	}
	w.link(anna, `{"actions":["light"],"guest":"Nobody"}`)
	page := w.get(anna, "/action?name=front_door").want(200).has("7 live links use this action.", "and 2 more").lacks("Nobody")
	if n := strings.Count(string(page.body), `href="link?id=`); n != maxUsingLinks {
		t.Errorf("%d links are named", n)
	}
}

func TestLogPage(t *testing.T) {
	w := newWorld(t)
	w.get(anna, "/log").want(200).has("Nothing has happened yet.")
	w.actions()
	one := w.link(anna, `{"actions":["front_door"],"guest":"Tom","uses_max":3}`)
	w.link(ben, `{"actions":["light"],"guest":"=cmd|'/c calc'!A1"}`)
	w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Message: "-the motor is <jammed>"})
	w.press(one)
	w.press(one)
	w.get(anna, "/log").want(200).has("Tom", "failed", "the motor is &lt;jammed&gt;", "from 192.0.2.7", "Action saved", "by ", `href="api/log?format=csv"`, `data-after="`)
	w.get(anna, "/log?q=jammed+tom").want(200).has("jammed").lacks("Action saved")
	w.get(anna, "/log?q=nonsense").want(200).has("Nothing found for")
	w.get(ben, "/log").want(200).lacks("Tom", "jammed")
	w.get(ben, "/log?token="+one).want(404)
	w.get(anna, "/log?token="+one).want(200).has("Link of").lacks("Action saved")

	if n := len(w.get(anna, "/api/log?q=192.0.2.7").json()["entries"].([]any)); n != 2 {
		t.Errorf("%d presses from the address", n)
	}
	w.get(anna, "/api/log?format=xml").field("format")

	// Pages, and no script needed to turn them.
	for range logPerPage {
		w.link(anna, `{"actions":["light"]}`)
	}
	first := w.get(anna, "/log").want(200)
	next := regexp.MustCompile(`href="(log\?before=\d+)" rel="next"`).FindStringSubmatch(string(first.body))
	if next == nil || strings.Count(string(first.body), "data-seq=") != logPerPage {
		t.Fatalf("%d entries, next %v", strings.Count(string(first.body), "data-seq="), next)
	}
	w.get(anna, "/"+next[1]).want(200).has("jammed", `href="log"`).lacks("data-after", `rel="next"`)

	// All of it as a table in which no cell is a formula.
	table := w.get(anna, "/api/log?format=csv").want(200)
	if !strings.HasPrefix(table.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%v", table.Header)
	}
	rows, err := csv.NewReader(strings.NewReader(string(table.body))).ReadAll()
	if err != nil || len(rows) != 1+logPerPage+6 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	found := 0
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("a cell is a formula: %q", cell)
			}
			if strings.HasPrefix(cell, "'=cmd") || strings.HasPrefix(cell, "'-the motor") {
				found++
			}
		}
	}
	if found != 2 {
		t.Errorf("%d cells are kept from being formulas, want 2", found)
	}
	if rows, _ = csv.NewReader(strings.NewReader(string(w.get(ben, "/api/log?format=csv").want(200).body))).ReadAll(); len(rows) != 2 {
		t.Errorf("who may share sees %d rows of others' doings", len(rows)-2)
	}
}

func TestDoctorPage(t *testing.T) {
	w := newWorld(t)
	w.get(anna, "/doctor").want(404)
	w.cfg.Doctor = func(context.Context) (*Findings, error) {
		return &Findings{At: w.clock.Now(), List: []Finding{
			{Check: "home.reachable", Subject: "default", Level: "ok", Text: "answers in 3 ms"},
			{Check: "public_url", Level: "fail", Text: "does not answer", Advice: "Forward the port <443>."},
			{Check: "notify", Level: "warn", Text: "nobody is told"},
		}}, nil
	}
	w.serve("")
	w.get(anna, "/doctor").want(200).has("answers in 3 ms", "Does not work", "does not answer", "Forward the port &lt;443&gt;.", "nobody is told", "Check again")
	w.cfg.Doctor = func(context.Context) (*Findings, error) { return nil, errors.New("secret trouble") }
	w.serve("")
	w.get(anna, "/doctor").want(500).lacks("secret trouble")
}

// What has been said in the language of the page stands there without a word of
// English; what has not, in English that is marked as such.
func TestDoctorPageInOtherLanguages(t *testing.T) {
	w := newWorld(t)
	w.cfg.Doctor = func(context.Context) (*Findings, error) {
		return &Findings{At: w.clock.Now(), List: []Finding{
			{Check: "store.space", Level: "warn", Text: "72 MiB free", Advice: "Make room on that disk.",
				Said:    []onetime.Said{{Key: "doctor.found.space", Args: []any{"size", "72 MiB"}}},
				Advised: []onetime.Said{{Key: "doctor.advice.room"}}},
			{Check: "actions", Level: "ok", Text: "there are none yet", Advice: "Define them.", Said: []onetime.Said{{Key: "host.actions.none"}}},
		}}, nil
	}
	w.serve("")
	w.get(anna, "/doctor", "Accept-Language", "de").want(200).has("\u206872 MiB\u2069 frei.", "Schaffen Sie Platz auf dieser Platte").
		lacks("Make room", "Define them", `lang="en"`)
	w.get(anna, "/doctor", "Accept-Language", "en").want(200).has("72 MiB free", "Make room on that disk.", "there are none yet").lacks(`<p lang="en"`)

	w.cfg.Doctor = func(context.Context) (*Findings, error) {
		return &Findings{At: w.clock.Now(), List: []Finding{
			{Level: "fail", Text: "the moon is in the way", Advice: "Wait.", Said: []onetime.Said{{Key: "doctor.found.moon"}}},
		}}, nil
	}
	w.serve("")
	w.get(anna, "/doctor", "Accept-Language", "de").want(200).has(`<p lang="en" dir="ltr">the moon is in the way`, `<p class="small" lang="en" dir="ltr">Wait.`)
}

// What GET returns can be sent back as it is, and is the same afterwards.
func TestAnActionGoesBackAsItCame(t *testing.T) {
	w := newWorld(t)
	w.api = newDescription(t)
	w.actions()
	w.translated()
	for _, path := range []string{"/api/actions/front_door", "/api/actions/light"} {
		before := w.get(anna, path).want(200).json()
		after := w.do(anna, "PUT", path, before).want(200).json()
		for _, changes := range []string{"revision", "updated_at", "warnings"} {
			delete(before, changes)
			delete(after, changes)
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("it was\n%v\nand is\n%v", before, after)
		}
	}
}

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

func TestThreat31_WithoutAuthenticationNothingIsServed(t *testing.T) {
	w := newWorld(t)
	for _, rt := range w.h.routes {
		path := strings.NewReplacer("{name}", "front_door", "{id}", "ABCDEF", "{asset}", "host.css").Replace(rt.pattern)
		a := w.do(nob, rt.method, path, nil).want(http.StatusForbidden)
		if rt.pattern == "/-/{asset}" || isAPI(path) {
			continue
		}
		if !strings.Contains(string(a.body), "hass_jwt") {
			t.Errorf("%s does not say what to put in front: %s", path, a.body)
		}
	}
	w.get(nob, "/api/tokens").code(http.StatusForbidden, "unauthenticated")
	if n := strings.Count(w.logs.String(), "put an authentication in front"); n != 1 {
		t.Errorf("the log says %d times in a minute what is missing, want once:\n%s", n, w.logs)
	}
	w.clock.Move(2 * time.Minute)
	w.get(nob, "/")
	if n := strings.Count(w.logs.String(), "put an authentication in front"); n != 2 {
		t.Errorf("a minute later the log says it %d times in all, want twice", n)
	}
	// A visitor without an id is nobody, whoever says otherwise.
	w.cfg.Who = func(*http.Request) (Visitor, bool) { return Visitor{Manage: true}, true }
	w.serve("")
	w.get(anna, "/api/tokens").code(http.StatusForbidden, "unauthenticated")
}

func TestThreat31_OtherOriginsChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.actions()
	id := w.link(anna, `{"actions":["front_door"]}`)
	body := `{"paused":true}`
	for _, header := range [][]string{
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example", "Authorization", "Basic YW5uYTphbm5h"},
	} {
		w.do(anna, "PUT", "/api/pause", body, header...).code(http.StatusForbidden, "cross_origin")
		w.do(anna, "POST", "/", url.Values{"op": {"revoke"}, "id": {id}}, header...).want(http.StatusForbidden)
		w.do(anna, "POST", "/new", url.Values{"action": {"front_door"}}, header...).want(http.StatusForbidden)
		w.do(anna, "POST", "/action", url.Values{"op": {"try"}, "name": {"front_door"}}, header...).want(http.StatusForbidden)
	}
	if paused, _ := w.svc.Paused(context.Background()); paused || w.home.Ran() > 0 {
		t.Fatal("another origin has changed something")
	}
	w.do(anna, "PUT", "/api/pause", body, "Origin", w.srv.URL).want(200)
	w.do(anna, "PUT", "/api/pause", body, "Sec-Fetch-Site", "same-origin").want(200)
	w.do(anna, "PUT", "/api/pause", body, "Origin", "https://evil.example", "Authorization", "Bearer eyJ…").want(200)
	w.do(anna, "PUT", "/api/pause", body).want(200) // a program
}

func TestThreat31_FramedOnlyByWhomTheHostAllows(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/new", "/actions", "/nothing", "/api/actions", "/-/host.js"} {
		h := w.get(anna, path).Header
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s may be framed: %s", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if csp := h.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: %s", path, csp)
		}
	}
	w.cfg.FrameAncestors = []string{"https://ha.example.com"}
	w.serve("")
	h := w.get(anna, "/").Header
	if !strings.HasSuffix(h.Get("Content-Security-Policy"), "frame-ancestors https://ha.example.com") || h.Get("X-Frame-Options") != "" {
		t.Errorf("the allowed origin may not frame it: %v", h)
	}
}

func TestThreat31_WhoMayShareMayNotManage(t *testing.T) {
	w := newWorld(t)
	w.actions()
	annas := w.link(anna, `{"actions":["front_door"],"guest":"Tom"}`)
	bens := w.link(ben, `{"actions":["front_door"],"guest":"Ina"}`)
	w.press(annas)

	for _, c := range []struct{ method, path, body string }{
		{"PUT", "/api/actions/front_door", `{"definition":"action: light.turn_off"}`},
		{"DELETE", "/api/actions/front_door", ""},
		{"POST", "/api/actions/front_door/run", ""},
		{"PUT", "/api/pause", `{"paused":true}`},
	} {
		w.do(ben, c.method, c.path, c.body).code(http.StatusForbidden, "forbidden")
	}
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/api/tokens/" + annas, ""},
		{"PATCH", "/api/tokens/" + annas, `{"guest":"Mallory"}`},
		{"DELETE", "/api/tokens/" + annas, ""},
		{"POST", "/api/tokens/" + annas + "/replenish", ""},
		{"GET", "/api/log?token=" + annas, ""},
	} {
		if a := w.do(ben, c.method, c.path, c.body).code(http.StatusNotFound, "not_found"); fmt.Sprint(a) != fmt.Sprint(w.get(ben, "/api/tokens/ZZZZZZ").json()) {
			t.Errorf("%s %s tells somebody else's link from none", c.method, c.path)
		}
	}
	for _, path := range []string{"/link?id=" + annas, "/qr.svg?id=" + annas} {
		w.get(ben, path).want(http.StatusNotFound)
	}
	for _, op := range []string{"revoke", "unrevoke", "replenish", "again", "clear"} {
		w.do(ben, "POST", "/", url.Values{"op": {op}, "id": {annas}}).want(http.StatusNotFound)
		w.do(ben, "POST", "/link", url.Values{"op": {op}, "id": {annas}}).want(http.StatusNotFound)
	}
	w.do(ben, "POST", "/link", url.Values{"op": {"change"}, "id": {annas}, "guest": {"Mallory"}, "revision": {"1"}}).want(http.StatusNotFound)
	w.do(ben, "POST", "/", url.Values{"op": {"pause"}}).want(http.StatusForbidden)
	for _, path := range []string{"/actions", "/action", "/action?name=front_door"} {
		w.get(ben, path).want(http.StatusForbidden)
	}
	w.do(ben, "POST", "/action", url.Values{"name": {"front_door"}, "definition": {lightYAML}}).want(http.StatusForbidden)

	v, err := w.svc.Token(t.Context(), annas)
	if err != nil || v.Token.RevokedAt != nil || v.Token.Guest != "Tom" || v.Token.Revision != 1 {
		t.Fatalf("somebody else has changed the link: %+v %v", v, err)
	}

	for _, path := range []string{"/api/tokens", "/api/log", "/", "/new?like=" + annas, "/?q=front", "/?show=ended"} {
		if body := string(w.get(ben, path).want(200).body); strings.Contains(body, annas) || strings.Contains(body, `"Tom"`) || strings.Contains(body, ">Tom<") {
			t.Errorf("%s shows somebody else's link:\n%s", path, body)
		}
	}
	if body := string(w.get(ben, "/api/actions").want(200).body); strings.Contains(body, "lock.unlock") {
		t.Error("the definition is shown to who may only share")
	}
	if body := string(w.get(ben, "/api/tokens").body); !strings.Contains(body, bens) {
		t.Error("one's own link is not shown")
	}
	w.do(ben, "PATCH", "/api/tokens/"+bens, `{"guest":"Ina B."}`).want(200)
	w.do(ben, "DELETE", "/api/tokens/"+bens, nil).want(204)
	// His own he may switch on again, but not what somebody who manages has
	// switched off.
	w.do(ben, "PATCH", "/api/tokens/"+bens, `{"revoked":false}`).want(200)
	w.do(anna, "DELETE", "/api/tokens/"+bens, nil).want(204)
	w.do(ben, "PATCH", "/api/tokens/"+bens, `{"revoked":false}`).code(403, "forbidden")
	w.do(ben, "POST", "/", url.Values{"op": {"unrevoke"}, "id": {bens}}).want(http.StatusForbidden)
	w.do(anna, "DELETE", "/api/tokens/"+bens, nil).want(204) // who may manage may that, too
	for _, e := range w.get(ben, "/api/log").json()["entries"].([]any) {
		if e.(map[string]any)["token"] != bens {
			t.Errorf("the log shows what is not Ben's: %v", e)
		}
	}
}

// badToken are bodies for a new link, and the member that is wrong in each.
var badToken = []struct{ body, field string }{
	{`{}`, "actions"},
	{`{"actions":null}`, "actions"},
	{`{"actions":"front_door"}`, "actions"},
	{`{"actions":[]}`, "actions"},
	{`{"actions":[1]}`, "actions"},
	{`{"actions":[null]}`, "actions"},
	{`{"actions":["front_door","front_door"]}`, "actions"},
	{`{"actions":["Front Door"]}`, "actions"},
	{`{"actions":["front_door"],"guest":1}`, "guest"},
	{`{"actions":["front_door"],"guest":null}`, "guest"},
	{`{"actions":["front_door"],"guest":{"name":"Tom"}}`, "guest"},
	{`{"actions":["front_door"],"guest":"` + strings.Repeat("x", onetime.MaxGuest+1) + `"}`, "guest"},
	{`{"actions":["front_door"],"comment":[]}`, "comment"},
	{`{"actions":["front_door"],"comment":"` + strings.Repeat("x", onetime.MaxComment+1) + `"}`, "comment"},
	{`{"actions":["front_door"],"uses_max":0}`, "uses_max"},
	{`{"actions":["front_door"],"uses_max":-1}`, "uses_max"},
	{`{"actions":["front_door"],"uses_max":1.5}`, "uses_max"},
	{`{"actions":["front_door"],"uses_max":1000001}`, "uses_max"},
	{`{"actions":["front_door"],"uses_max":1e400}`, "uses_max"},
	{`{"actions":["front_door"],"uses_max":99999999999999999999999}`, "uses_max"},
	{`{"actions":["front_door"],"uses_max":"3"}`, "uses_max"},
	{`{"actions":["front_door"],"uses_max":true}`, "uses_max"},
	{`{"actions":["front_door"],"not_before":"tomorrow"}`, "not_before"},
	{`{"actions":["front_door"],"not_before":1700000000}`, "not_before"},
	{`{"actions":["front_door"],"expires":"2026-11-22"}`, "expires"},
	{`{"actions":["front_door"],"expires":"2026-11-22T18:00:00"}`, "expires"},
	{`{"actions":["front_door"],"expires":"2026-02-30T18:00:00Z"}`, "expires"},
	{`{"actions":["front_door"],"expires":""}`, "expires"},
	{`{"actions":["front_door"],"expires":false}`, "expires"},
	{`{"actions":["front_door"],"use_max":3}`, "use_max"},
	{`{"actions":["front_door"],"id":"ABCDEF"}`, "id"},
	{`{"actions":["front_door"],"Guest":"Tom"}`, "Guest"},
	{`{"actions":["front_door"],"revoked":false}`, "revoked"},
}

// badMeaning is wrong only for who knows what there is and what time it is.
var badMeaning = []struct{ body, field string }{
	{`{"actions":["no_such_action"]}`, "actions"},
	{`{"actions":["front_door"],"expires":"2020-01-01T00:00:00Z"}`, "expires"},
	{`{"actions":["front_door"],"not_before":"2027-01-02T00:00:00Z","expires":"2027-01-01T00:00:00Z"}`, "expires"},
	{`{"actions":["front_door"],"guest":"a\u0000b"}`, "guest"},
	{`{"actions":["front_door"],"guest":"a\nb"}`, "guest"},
	{`{"actions":["front_door"],"expires":"0000-01-01T00:00:00Z"}`, "expires"},
	{`{"actions":["front_door"],"guest":"Tom","guest":"Ina"}`, "guest"},
}

func TestThreat32_EveryFieldOfATokenIsChecked(t *testing.T) {
	w := newWorld(t)
	w.api = newDescription(t)
	w.actions()
	id := w.link(anna, `{"actions":["front_door"],"uses_max":5}`)
	before := string(w.get(anna, "/api/tokens").body)
	creating := w.api.schema("components", "schemas", "NewToken")

	for _, c := range badToken {
		w.do(anna, "POST", "/api/tokens", c.body).field(c.field)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(c.body, "1e400") && creating.Validate(v) == nil {
			t.Errorf("%.80s is refused, but as described it is right", c.body)
		}
		if c.field != "revoked" && c.body != "{}" {
			w.do(anna, "PATCH", "/api/tokens/"+id, c.body).field(c.field)
		}
	}
	for _, c := range badMeaning {
		w.do(anna, "POST", "/api/tokens", c.body).field(c.field)
	}
	w.do(anna, "PATCH", "/api/tokens/"+id, `{"revoked":"yes"}`).field("revoked")
	w.do(anna, "PATCH", "/api/tokens/"+id, `{"revoked":null}`).field("revoked")
	for _, body := range []string{`{"uses":0}`, `{"uses":"1"}`, `{"uses":null}`, `{"uses":1000001}`, `{"uses":1.1}`} {
		w.do(anna, "POST", "/api/tokens/"+id+"/replenish", body).field("uses")
	}
	for _, body := range []string{"", " ", "null", "[]", `"x"`, "{", `{"actions":["front_door"]}{}`, `{"actions":["front_door"]} x`, "{\"guest\":\"\xff\"}", strings.Repeat("[", 5000)} {
		w.do(anna, "POST", "/api/tokens", body).code(http.StatusBadRequest, "malformed")
		w.do(anna, "PATCH", "/api/tokens/"+id, body).code(http.StatusBadRequest, "malformed")
	}
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=1001": "limit", "limit=x": "limit", "limit=-1": "limit", "live=maybe": "live",
		"status=open": "status", "limit=1&limit=2": "limit", "nonsense=1": "nonsense", "q=" + strings.Repeat("x", 201): "q",
	} {
		w.get(anna, "/api/tokens?"+query).field(field)
	}
	for query, field := range map[string]string{"before=0": "before", "before=x": "before", "limit=0": "limit", "page=2": "page"} {
		w.get(anna, "/api/log?"+query).field(field)
	}
	w.do(anna, "PUT", "/api/pause", `{}`).field("paused")
	w.do(anna, "PUT", "/api/pause", `{"paused":"true"}`).field("paused")
	w.do(anna, "DELETE", "/api/actions/front_door?revoke=yes", nil).field("revoke")
	if after := string(w.get(anna, "/api/tokens").body); after != before {
		t.Errorf("something has changed:\n%s\n%s", before, after)
	}
}

func TestThreat32_EveryFieldOfAnActionIsChecked(t *testing.T) {
	w := newWorld(t)
	w.api = newDescription(t)
	input := w.api.schema("components", "schemas", "ActionInput")
	def := `"definition":"action: light.turn_on"`
	for _, c := range []struct {
		body, field string
		line        float64
	}{
		{`{}`, "definition", 0},
		{`{"definition":null}`, "definition", 0},
		{`{"definition":{"action":"light.turn_on"}}`, "definition", 0},
		{`{"definition":"` + strings.Repeat("x", onetime.MaxDefinition+1) + `"}`, "definition", 0},
		{`{` + def + `,"title":1}`, "title", 0},
		{`{` + def + `,"title":"` + strings.Repeat("x", onetime.MaxTitle+1) + `"}`, "title", 0},
		{`{` + def + `,"home":[]}`, "home", 0},
		{`{` + def + `,"done":false}`, "done", 0},
		{`{` + def + `,"confirm":"never"}`, "confirm", 0},
		{`{` + def + `,"confirm":true}`, "confirm", 0},
		{`{` + def + `,"icon":"../x"}`, "icon", 0},
		{`{` + def + `,"kinds":"door"}`, "kinds", 0},
		{`{` + def + `,"name":1}`, "name", 0},
		{`{` + def + `,"confirm_derived":"yes"}`, "confirm_derived", 0},
	} {
		a := w.do(anna, "PUT", "/api/actions/light", c.body)
		a.field(c.field)
		if v, err := jsonschema.UnmarshalJSON(strings.NewReader(c.body)); err != nil || input.Validate(v) == nil {
			t.Errorf("%.80s is refused, but as described it is right (%v)", c.body, err)
		}
	}
	w.do(anna, "PUT", "/api/actions/light", `{`+def+`,"home":"cabin"}`).field("home")
	w.do(anna, "PUT", "/api/actions/light", `{`+def+`,"name":"other"}`).field("name")
	w.do(anna, "PUT", "/api/actions/light", `{`+def+`,"title":"a\u0007b"}`).field("title")
	w.do(anna, "PUT", "/api/actions/Light", `{`+def+`}`).field("name")
	w.do(anna, "PUT", "/api/actions/"+strings.Repeat("a", 65), `{`+def+`}`).field("name")
	if line := w.do(anna, "PUT", "/api/actions/light", map[string]any{"definition": "action: light.turn_on\ntarget: [\n"}).field("definition")["line"]; line == nil {
		t.Error("broken YAML is refused without its line")
	}
	w.home.Find(nil, &onetime.BadInput{Field: "definition", Line: 3, Message: "lock.nowhere does not exist"})
	if p := w.do(anna, "PUT", "/api/actions/light", map[string]any{"definition": doorYAML}).field("definition"); p["line"] != 3.0 || !strings.Contains(p["detail"].(string), "lock.nowhere") {
		t.Errorf("the home's opinion is lost: %v", p)
	}
	w.home.Find(nil, nil)
	if list := w.get(anna, "/api/actions").json()["actions"].([]any); len(list) != 0 {
		t.Errorf("something was saved: %v", list)
	}
}

func TestThreat32_TwoHostsAtOnceLoseNoChange(t *testing.T) {
	w := newWorld(t)
	w.actions()
	id := w.link(anna, `{"actions":["front_door"],"uses_max":5}`)

	// Both have read the same revision; each wants to change another thing.
	etag := w.get(anna, "/api/tokens/"+id).Header.Get("ETag")
	answers := make([]*answer, 8)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = w.do(anna, "PATCH", "/api/tokens/"+id, fmt.Sprintf(`{"guest":"Guest %d"}`, i), "If-Match", etag)
		})
	}
	wg.Wait()
	var won string
	for i, a := range answers {
		switch a.StatusCode {
		case 200:
			if won != "" {
				t.Fatal("two changes of the same revision were taken")
			}
			won = fmt.Sprintf("Guest %d", i)
		default:
			a.code(http.StatusPreconditionFailed, "conflict")
		}
	}
	if got := w.get(anna, "/api/tokens/"+id).json()["guest"]; got != won || won == "" {
		t.Fatalf("guest is %v, want %q", got, won)
	}

	// Changes of different members without a revision add up.
	w.do(anna, "PATCH", "/api/tokens/"+id, `{"comment":"Second floor"}`).want(200)
	w.do(ben, "PATCH", "/api/tokens/"+id, `{"comment":"x"}`).want(404)
	w.do(anna, "PATCH", "/api/tokens/"+id, `{"uses_max":7}`).want(200)
	if j := w.get(anna, "/api/tokens/"+id).json(); j["comment"] != "Second floor" || j["uses_max"] != 7.0 || j["guest"] != won {
		t.Errorf("a change is lost: %v", j)
	}

	// The same by the pages' forms.
	stale := url.Values{"op": {"change"}, "id": {id}, "revision": {"1"}, "guest": {"Stale"}}
	a := w.do(anna, "POST", "/link", stale).want(http.StatusPreconditionFailed)
	if !strings.Contains(string(a.body), "Stale") || !strings.Contains(string(a.body), "Somebody else has changed it") {
		t.Errorf("the page loses what was written, or does not say why:\n%s", a.body)
	}
	form := url.Values{"op": {"save"}, "name": {"light"}, "revision": {"1"}, "title": {"Light one"}, "definition": {lightYAML}}
	w.do(anna, "POST", "/action", form).want(http.StatusSeeOther)
	form.Set("title", "Light two")
	a = w.do(anna, "POST", "/action", form).want(http.StatusPreconditionFailed)
	if !strings.Contains(string(a.body), "Light two") {
		t.Error("the page loses what was written")
	}
	form = url.Values{"op": {"save"}, "new": {"1"}, "name": {"light"}, "definition": {doorYAML}}
	w.do(anna, "POST", "/action", form).want(http.StatusUnprocessableEntity)
	if got := w.get(anna, "/api/actions/light").json(); got["title"] != "Light one" || got["definition"] != lightYAML {
		t.Errorf("a new action has replaced another: %v", got)
	}
	w.do(anna, "PUT", "/api/actions/nowhere", map[string]any{"definition": lightYAML}, "If-Match", "*").code(412, "conflict")
	w.do(anna, "PUT", "/api/actions/light", map[string]any{"definition": lightYAML}, "If-Match", `"99", "2"`).want(200)
}

func TestThreat26_WhatPeopleWriteIsShownAsText(t *testing.T) {
	w := newWorld(t)
	nasty := []string{
		`<script>alert(1)</script>`,
		`"><img src=x onerror=alert(1)>`,
		`javascript:alert(1)`,
		"\u202eevil\u2066",
		`{{.}} ${x} </textarea><b>`,
		"🔑👩‍👩‍👧 مرحبا",
	}
	for i, text := range nasty {
		name := fmt.Sprintf("nasty_%d", i)
		w.do(anna, "PUT", "/api/actions/"+name, map[string]any{"title": text, "definition": "# " + text + "\n" + lightYAML, "done": text}).want(201)
		spec, _ := json.Marshal(map[string]any{"actions": []string{name}, "guest": text, "comment": text, "uses_max": 3})
		id := w.link(anna, string(spec))
		w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseLost, Message: text})
		w.press(id)
		for _, path := range []string{"/", "/new", "/link?id=" + id, "/link?new=1&id=" + id, "/actions", "/action?name=" + name, "/?q=" + url.QueryEscape(text), "/actions?deleted=" + url.QueryEscape(text)} {
			body := string(w.get(anna, path).want(200).body)
			if strings.Contains(body, text) && html.EscapeString(text) != text {
				t.Errorf("%s shows %q as it is", path, text)
			}
			if strings.Contains(body, "<b>") || strings.Contains(body, "<img src=x") || strings.Contains(body, "alert(1)</script>") {
				t.Errorf("%s has markup of a host's in it", path)
			}
		}
		form := url.Values{"op": {"check"}, "name": {name}, "title": {text}, "definition": {text}, "revision": {"1"}}
		if body := string(w.do(anna, "POST", "/action", form).body); strings.Contains(body, text) && html.EscapeString(text) != text {
			t.Errorf("the editor shows %q as it is", text)
		}
	}
	long := strings.Repeat("ä", onetime.MaxComment/2)
	spec, _ := json.Marshal(map[string]any{"actions": []string{"nasty_0"}, "comment": long})
	id := w.link(anna, string(spec))
	if body := string(w.get(anna, "/").body); strings.Contains(body, long[:400]) {
		t.Error("the list shows all of a long message")
	}
	if body := string(w.get(anna, "/link?id="+id).body); !strings.Contains(body, long) {
		t.Error("the link's page shows only part of a long message")
	}
}

func TestNoSecretOfALinkInLogsOrAddresses(t *testing.T) {
	w := newWorld(t)
	w.actions()
	id := w.link(anna, `{"actions":["front_door"],"guest":"Tom"}`)
	v, err := w.svc.Token(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	secret := w.svc.Code(v.Token)[6:]
	form := url.Values{"action": {"front_door"}, "until": {"2h"}, "uses": {"1"}, "guest": {"Tom"}}
	to := w.do(anna, "POST", "/new", form).want(http.StatusSeeOther).Header.Get("Location")
	if strings.Contains(to, "guests.example.com") || !strings.HasPrefix(to, "link?id=") || len(to) > 60 {
		t.Errorf("Location: %s", to)
	}
	for _, path := range []string{"/", "/?q=" + id, "/new?like=" + id, "/actions", "/api/log"} {
		if strings.Contains(string(w.get(anna, path).body), secret) {
			t.Errorf("%s holds the secret of a link", path)
		}
	}
	for _, path := range []string{"/link?id=" + id, "/api/tokens/" + id, "/api/tokens"} {
		if !strings.Contains(string(w.get(anna, path).body), publicURL+id+secret) {
			t.Errorf("%s does not hold the link", path)
		}
	}
	w.down = true
	w.get(anna, "/link?id="+id)
	if strings.Contains(w.logs.String(), secret) {
		t.Error("the log holds the secret of a link")
	}
	if !bytes.Contains(w.get(anna, "/-/host.css").body, []byte("--paper")) {
		t.Error("assets need no service, but were not served without")
	}
}

// Threat 26: what sets the direction of the text after it reaches no message
// that a host sends, and cannot leave its place in a sentence.
func TestThreat26_OverridesStayBehind(t *testing.T) {
	const evil = "Open\u202e\u2069 the door"
	l := words.Get("en")
	text := terms{Titles: []string{evil}}.message(l, "", "https://guests.example.com/LINK", time.Now(), time.UTC)
	if strings.ContainsAny(text, "\u202e\u2069") || !strings.HasSuffix(text, " https://guests.example.com/LINK") {
		t.Errorf("the message is %q", text)
	}
	if got, want := isolate(evil), "\u2068Open the door\u2069"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

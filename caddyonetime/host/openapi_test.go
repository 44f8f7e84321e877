package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// description is openapi.json, and what of it has been seen.
type description struct {
	t        testing.TB
	doc      map[string]any
	compiler *jsonschema.Compiler
	seen     map[string]bool // "GET /api/tokens 200"
}

func newDescription(t testing.TB) *description {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPIDocument))
	if err != nil {
		t.Fatal(err)
	}
	d := &description{t: t, doc: doc.(map[string]any), compiler: jsonschema.NewCompiler(), seen: map[string]bool{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return d
}

// at returns what stands at a JSON pointer's segments, references followed, and
// where it really stands.
func (d *description) at(segments ...string) (any, []string) {
	var node any = d.doc
	where := []string{}
	for _, s := range segments {
		m, ok := node.(map[string]any)
		if !ok {
			return nil, nil
		}
		if node, ok = m[s]; !ok {
			return nil, nil
		}
		where = append(where, s)
		if m, ok := node.(map[string]any); ok {
			if ref, ok := m["$ref"].(string); ok {
				where = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
				node, _ = d.at(where...)
			}
		}
	}
	return node, where
}

func (d *description) schema(segments ...string) *jsonschema.Schema {
	d.t.Helper()
	for i, s := range segments {
		segments[i] = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1"), "{", "%7B")
		segments[i] = strings.ReplaceAll(segments[i], "}", "%7D")
	}
	s, err := d.compiler.Compile("openapi.json#/" + strings.Join(segments, "/"))
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// path is the described path that a request's path is one of.
func (d *description) path(path string) string {
	paths, _ := d.at("paths")
	best := ""
	for p := range paths.(map[string]any) {
		if _, ok := matchPath(p, path); ok && (best == "" || !strings.Contains(p, "{")) {
			best = p
		}
	}
	return best
}

// hold fails the test unless the answer is one that the description knows.
func (d *description) hold(a *answer) {
	d.t.Helper()
	path := d.path(a.Request.URL.Path)
	method := strings.ToLower(a.Request.Method)
	op, _ := d.at("paths", path, method)
	if path == "" || op == nil {
		if a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusMethodNotAllowed && isAPI(a.Request.URL.Path) {
			d.t.Errorf("%s: %d of an operation that is not described", a.what, a.StatusCode)
		}
		return
	}
	status := fmt.Sprint(a.StatusCode)
	resp, where := d.at("paths", path, method, "responses", status)
	if resp == nil {
		d.t.Errorf("%s: %s is not described: %s", a.what, status, a.body)
		return
	}
	d.seen[a.Request.Method+" "+path+" "+status] = true

	headers, _ := resp.(map[string]any)["headers"].(map[string]any)
	for name, h := range headers {
		if required, _ := h.(map[string]any)["required"].(bool); required && a.Header.Get(name) == "" {
			d.t.Errorf("%s: %s without the header %s", a.what, status, name)
		}
	}
	for _, name := range []string{"ETag", "Retry-After", "Location"} {
		if _, ok := headers[name]; !ok && a.Header.Get(name) != "" {
			d.t.Errorf("%s: %s has the header %s, which is not described", a.what, status, name)
		}
	}
	content, _ := resp.(map[string]any)["content"].(map[string]any)
	if content == nil {
		if len(a.body) > 0 {
			d.t.Errorf("%s: %s has a body, which is not described: %s", a.what, status, a.body)
		}
		return
	}
	mt, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if content[mt] == nil {
		d.t.Errorf("%s: %s as %q, which is not described", a.what, status, mt)
		return
	}
	if !strings.HasSuffix(mt, "json") {
		return
	}
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
	if err != nil {
		d.t.Errorf("%s: %v", a.what, err)
		return
	}
	if err := d.schema(append(where, "content", mt, "schema")...).Validate(body); err != nil {
		d.t.Errorf("%s: %s is not as described: %v\n%s", a.what, status, err, a.body)
	}
}

// operation is one described operation.
type operation struct {
	path, method string
	statuses     []string
	body         bool
}

func (d *description) operations() []operation {
	var ops []operation
	paths, _ := d.at("paths")
	for path, item := range paths.(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			o := operation{path: path, method: strings.ToUpper(method)}
			m := op.(map[string]any)
			_, o.body = m["requestBody"]
			for status := range m["responses"].(map[string]any) {
				o.statuses = append(o.statuses, status)
			}
			ops = append(ops, o)
		}
	}
	slices.SortFunc(ops, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return ops
}

// TestOpenAPIDescribesWhatTheAPIDoes goes through all of the API. Each answer is
// held to the description, and in the end each status of each operation that
// is described has been seen.
func TestOpenAPIDescribesWhatTheAPIDoes(t *testing.T) {
	w := newWorld(t)
	w.api = newDescription(t)
	ops := w.api.operations()

	w.get(anna, "/api/openapi.json").want(200)

	// Actions.
	w.get(anna, "/api/actions/front_door").want(404)
	w.actions()
	w.do(anna, "PUT", "/api/actions/front_door", map[string]any{"title": "Open the front door", "definition": doorYAML, "done": "Push hard.", "confirm": "tap", "icon": "door"}).want(200)
	w.do(anna, "PUT", "/api/actions/front_door", map[string]any{"definition": doorYAML}, "If-Match", `"1"`).want(412)
	w.home.Find([]string{"lock.front_door is unavailable right now"}, nil)
	w.do(anna, "PUT", "/api/actions/front_door", map[string]any{"title": "Open the front door", "definition": doorYAML}, "If-Match", `"2"`).want(200)
	w.home.Find(nil, onetime.ErrUnreachable)
	w.do(anna, "PUT", "/api/actions/front_door", map[string]any{"definition": doorYAML}).code(503, "home_unreachable")
	w.home.Find(nil, nil)
	w.get(anna, "/api/actions").want(200)
	w.get(ben, "/api/actions").want(200)
	w.get(anna, "/api/actions/front_door").want(200)
	w.get(ben, "/api/actions/front_door").want(200)

	// While they are written.
	w.do(anna, "POST", "/api/actions/front_door/check", map[string]any{"definition": doorYAML}).want(200)
	w.home.Find([]string{"lock.front_door is unavailable right now"}, nil)
	w.do(anna, "POST", "/api/actions/anything/check", map[string]any{"title": "x", "definition": doorYAML}).want(200)
	w.home.Find(nil, &onetime.BadInput{Field: "definition", Line: 3, Message: "lock.front_door does not exist in this home."})
	w.do(anna, "POST", "/api/actions/front_door/check", map[string]any{"definition": doorYAML}).want(200)
	w.home.Find(nil, onetime.ErrUnreachable)
	w.do(anna, "POST", "/api/actions/front_door/check", map[string]any{"definition": doorYAML}).code(503, "home_unreachable")
	w.home.Find(nil, nil)

	// Trying them.
	w.do(anna, "POST", "/api/actions/front_door/run", nil).want(200)
	w.do(anna, "POST", "/api/actions/nothing/run", nil).want(404)
	for _, c := range []struct {
		answer onetime.Answer
		status int
	}{
		{onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Message: "the motor is jammed"}, 502},
		{onetime.Answer{Outcome: onetime.OutcomeRejected, Cause: onetime.CauseRejected, Code: "not_found", Message: "Service not found"}, 502},
		{onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseLost}, 504},
		{onetime.Answer{Outcome: onetime.OutcomeNotSent, Cause: onetime.CauseUnreachable, Message: "not connected"}, 503},
	} {
		w.home.Answer(c.answer)
		w.do(anna, "POST", "/api/actions/front_door/run", "{}").want(c.status)
	}
	w.slowHome(func(answers func() *answer) {
		answers().want(202)
	})

	// Links.
	one := w.link(anna, `{"actions":["front_door"],"guest":"Tom","comment":"Second floor","uses_max":2,"expires":"2026-11-22T18:00:00+01:00"}`)
	both := w.link(anna, `{"actions":["front_door","light"],"uses_max":null,"not_before":"2026-11-21T18:00:00+01:00"}`)
	w.link(ben, `{"actions":["light"]}`)
	w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed, Cause: onetime.CauseFailed, Message: "the motor is jammed"})
	w.press(one)
	w.press(one)
	for _, who := range []Visitor{anna, ben, carla} {
		w.get(who, "/api/tokens?limit=1").want(200)
		w.get(who, "/api/tokens?live=true&status=ready&q=tom").want(200)
		w.get(who, "/api/log?limit=2").want(200)
		w.get(who, "/api/log").want(200)
		w.get(who, "/api/log?q=front+door&format=csv").want(200)
	}
	w.get(anna, "/api/tokens/"+one).want(200)
	w.get(anna, "/api/tokens/"+both).want(200)
	w.get(ben, "/api/tokens/"+one).want(404)
	w.get(anna, "/api/log?token="+one).want(200)
	w.get(ben, "/api/log?token="+one).want(404)
	w.do(anna, "PATCH", "/api/tokens/"+one, `{"guest":"Tom B.","expires":null}`).want(200)
	w.do(anna, "PATCH", "/api/tokens/"+one, `{"guest":"Tom C."}`, "If-Match", `"1"`).want(412)
	w.do(anna, "PATCH", "/api/tokens/ZZZZZZ", `{}`).want(404)
	w.do(anna, "POST", "/api/tokens/"+one+"/replenish", nil).want(200)
	w.do(anna, "POST", "/api/tokens/"+one+"/replenish", `{"uses":3}`).want(200)
	w.do(anna, "POST", "/api/tokens/"+one+"/replenish", nil, "If-Match", `"1"`).want(412)
	w.do(anna, "POST", "/api/tokens/ZZZZZZ/replenish", nil).want(404)
	w.do(anna, "DELETE", "/api/tokens/"+one, nil, "If-Match", `"1"`).want(412)
	w.do(anna, "DELETE", "/api/tokens/"+one, nil).want(204)
	w.do(anna, "DELETE", "/api/tokens/ZZZZZZ", nil).want(404)
	w.get(anna, "/api/tokens/"+one).want(200)
	w.noPublic = true
	w.do(anna, "POST", "/api/tokens", `{"actions":["light"]}`).code(503, "no_public_url")
	w.get(anna, "/api/tokens/"+one).want(200)
	w.noPublic = false

	// Deleting actions.
	w.do(anna, "DELETE", "/api/actions/front_door", nil).code(409, "in_use")
	w.do(anna, "DELETE", "/api/actions/front_door", nil, "If-Match", `"1"`).want(412)
	w.do(anna, "DELETE", "/api/actions/front_door?revoke=true", nil).want(204)
	w.do(anna, "DELETE", "/api/actions/front_door", nil).want(404)
	w.get(anna, "/api/tokens/"+both).want(200)
	w.actions_() // for what follows

	// Pause.
	w.get(ben, "/api/pause").want(200)
	w.do(anna, "PUT", "/api/pause", `{"paused":true}`).want(200)
	w.get(anna, "/api/tokens?status=paused").want(200)
	w.do(anna, "PUT", "/api/pause", `{"paused":false}`).want(200)

	w.get(anna, "/api/log").want(200)
	s := w.events(anna, "/api/events?after=0")
	s.next()
	s.close()
	w.api.seen["GET /api/events 200"] = true

	// What every operation has in common.
	for _, o := range ops {
		path := strings.NewReplacer("{name}", "front_door", "{id}", both).Replace(o.path)
		var body any
		if o.body {
			body = "{}"
		}
		w.do(nob, o.method, path, body).code(403, "unauthenticated")
		if o.path != "/api/openapi.json" {
			w.do(anna, o.method, path+"?nothing=1", body).field("nothing")
			w.do(anna, o.method, path+"?nothing=%zz", body)
			w.down = true
			w.do(anna, o.method, path, body).code(503, "unavailable")
			w.down = false
		}
		if o.body {
			w.do(anna, o.method, path, "{").code(400, "malformed")
			w.do(anna, o.method, path, "{}", "Content-Type", "text/plain").code(415, "unsupported_media_type")
			w.do(anna, o.method, path, strings.Repeat(" ", maxBody+1)).code(413, "too_large")
			w.do(anna, o.method, path, `{"nonsense":1}`).field("nonsense")
		}
		if o.method != http.MethodGet {
			w.do(anna, o.method, path, body, "Origin", "https://evil.example").code(403, "cross_origin")
		}
	}

	for _, o := range ops {
		for _, status := range o.statuses {
			if key := o.method + " " + o.path + " " + status; status != "default" && !w.api.seen[key] {
				t.Errorf("%s is described, but was never seen", key)
			}
		}
		found := slices.ContainsFunc(w.h.routes, func(rt route) bool { return rt.pattern == o.path && rt.method == o.method })
		if !found {
			t.Errorf("%s %s is described, but there is no such route", o.method, o.path)
		}
	}
	for _, rt := range w.h.routes {
		if op, _ := w.api.at("paths", rt.pattern, strings.ToLower(rt.method)); op == nil && isAPI(rt.pattern) {
			t.Errorf("%s %s is not described", rt.method, rt.pattern)
		}
	}
}

// actions_ defines the door again.
func (w *world) actions_() {
	w.t.Helper()
	w.do(anna, "PUT", "/api/actions/front_door", map[string]any{"title": "Open the front door", "definition": doorYAML}).want(http.StatusCreated)
}

// slowHome tries an action whose home does not answer in time.
func (w *world) slowHome(fn func(func() *answer)) {
	release := make(chan struct{})
	running := make(chan struct{})
	w.home.OnRun = func(context.Context, *onetime.Definition) { close(running); <-release }
	defer func() { w.home.OnRun = nil; close(release) }()
	got := make(chan *answer, 1)
	go func() { got <- w.do(anna, "POST", "/api/actions/front_door/run", nil) }()
	<-running
	w.clock.Move(onetime.AnswerWithin)
	fn(func() *answer { return <-got })
}

func TestOpenAPIIsWellFormed(t *testing.T) {
	d := newDescription(t)
	if v, _ := d.at("openapi"); v != "3.1.0" {
		t.Errorf("openapi is %v", v)
	}
	ids := map[string]bool{}
	for _, o := range d.operations() {
		id, _ := d.at("paths", o.path, strings.ToLower(o.method), "operationId")
		if name, ok := id.(string); !ok || ids[name] {
			t.Errorf("%s %s: operationId %v is missing or there twice", o.method, o.path, id)
		} else {
			ids[name] = true
		}
	}
	// Every reference leads somewhere, and nothing is described for nobody.
	used := map[string]bool{}
	var walk func(any)
	walk = func(node any) {
		switch n := node.(type) {
		case map[string]any:
			if ref, ok := n["$ref"].(string); ok {
				used[ref] = true
				if to, _ := d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...); to == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, v := range n {
				walk(v)
			}
		case []any:
			for _, v := range n {
				walk(v)
			}
		}
	}
	walk(d.doc)
	for _, kind := range []string{"schemas", "responses", "parameters"} {
		all, _ := d.at("components", kind)
		for name := range all.(map[string]any) {
			if !used["#/components/"+kind+"/"+name] {
				t.Errorf("components/%s/%s is used nowhere", kind, name)
			}
		}
	}
	// What the domain knows is what the description knows.
	var statuses struct{ Enum []onetime.Status }
	b, _ := json.Marshal(d.doc["components"].(map[string]any)["schemas"].(map[string]any)["Status"])
	if err := json.Unmarshal(b, &statuses); err != nil {
		t.Fatal(err)
	}
	for status := range statusIcons {
		if !slices.Contains(statuses.Enum, status) {
			t.Errorf("the status %s is not described", status)
		}
	}
}

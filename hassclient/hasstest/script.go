package hasstest

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Script is a script of the home: script.<name> runs its sequence.
type Script struct {
	Mode     string         `json:"mode"` // "single" (the default) or "parallel"
	Max      int            `json:"max"`  // how many at once in parallel; 0: 10
	Alias    string         `json:"alias"`
	Fields   map[string]any `json:"fields"`
	Sequence []any          `json:"sequence"` // as in YAML: []any{map[string]any{"action": "lock.unlock", …}}
}

type script struct {
	Script
	name string
	runs map[*scriptRun]context.CancelFunc // that are under way

	traces []*trace // the last runs, oldest first
}

// WithScript adds a script to the home, or replaces one.
func WithScript(name string, s Script) Option {
	return func(h *Home) { h.extra = append(h.extra, func() { h.addScript(name, s) }) }
}

// AddScript adds a script to the running home, or replaces one, and fires
// service_registered.
func (h *Home) AddScript(name string, s Script) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addScript(name, s)
	h.fire("service_registered", func() any { return map[string]any{"domain": "script", "service": name} }, h.newContext(nil))
}

// RemoveScript takes a script out of the home and fires service_removed.
func (h *Home) RemoveScript(name string) {
	h.Remove("script." + name)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.scripts, name)
	delete(h.services["script"], name)
	h.fire("service_removed", func() any { return map[string]any{"domain": "script", "service": name} }, h.newContext(nil))
}

func (h *Home) addScript(name string, s Script) {
	if s.Mode == "" {
		s.Mode = "single"
	}
	if s.Max == 0 {
		s.Max = 10
	}
	if s.Alias == "" {
		s.Alias = name
	}
	own := &script{Script: s, name: name, runs: map[*scriptRun]context.CancelFunc{}}
	id := "script." + name
	attributes := map[string]any{"last_triggered": nil, "mode": s.Mode, "current": 0, "friendly_name": s.Alias}
	if s.Mode == "parallel" {
		attributes["max"] = s.Max
	}
	if h.entities[id] == nil {
		h.addEntity(id, "off", attributes)
	}
	e := h.entities[id]
	e.attributes, e.shown.Attributes = attributes, attributes
	e.platform, e.uniqueID, e.original = "script", name, s.Alias
	h.scripts[name] = own
	fields := map[string]any{}
	for k := range s.Fields {
		fields[k] = map[string]any{"required": false}
	}
	h.addService(&service{
		domain: "script", name: name, response: responseOptional, slow: canWait(s.Sequence),
		description: mustJSON(map[string]any{
			"name": s.Alias, "description": "", "fields": fields, "response": map[string]any{"optional": true},
		}),
		run: func(c *call) (any, *failure) {
			answer, err := c.home.runScript(c, own, c.data)
			if answer == nil {
				answer = map[string]any{}
			}
			return answer, err
		},
	})
}

// canWait says whether a sequence may take time.
func canWait(sequence []any) bool {
	return slices.ContainsFunc(sequence, func(v any) bool {
		step, _ := v.(map[string]any)
		action := text(step["action"])
		return action == "" && step["event"] == nil && step["stop"] == nil ||
			action != "" && !strings.HasPrefix(action, "counter.") && !strings.HasPrefix(action, "input_boolean.")
	})
}

func scriptOn(c *call, e *entity) (any, *failure) {
	c.home.mu.Lock()
	s := c.home.scripts[strings.TrimPrefix(e.shown.EntityID, "script.")]
	c.home.mu.Unlock()
	if s == nil {
		return nil, nil
	}
	variables, _ := c.data["variables"].(map[string]any)
	inner := *c
	inner.blocked = func() {}
	c.home.wg.Go(func() { _, _ = c.home.runScript(&inner, s, variables) })
	return nil, nil
}

func scriptOff(c *call, e *entity) (any, *failure) {
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.scripts[strings.TrimPrefix(e.shown.EntityID, "script.")]; s != nil {
		for _, cancel := range s.runs {
			cancel()
		}
	}
	return nil, nil
}

// runScript runs a script of the home to its end. As in Home Assistant, a
// script that stops with an error is a success for whoever has called it, and
// so is one that does not run because it runs already.
func (h *Home) runScript(c *call, s *script, variables map[string]any) (any, *failure) {
	power, cancel := context.WithCancel(c.power)
	defer cancel()
	run := &scriptRun{
		home: h, power: power, ctx: c.ctx, user: c.user, blocked: c.blocked, variables: maps.Clone(variables), execution: "finished",
	}
	show := func(attributes map[string]any) {
		state := "off"
		if len(s.runs) > 0 {
			state = "on"
		}
		attributes["current"] = len(s.runs)
		h.update(c.ctx, "script."+s.name, state, attributes)
	}
	h.mu.Lock()
	t := &trace{runID: newID(), ctx: c.ctx, start: h.clock.Now()}
	if s.traces = append(s.traces, t); len(s.traces) > traces {
		s.traces = s.traces[1:]
	}
	if n := len(s.runs); n > 0 && (s.Mode != "parallel" || n >= s.Max) {
		t.finish, t.execution = t.start, map[bool]string{true: "failed_max_runs", false: "failed_single"}[s.Mode == "parallel"]
		h.mu.Unlock()
		return nil, nil
	}
	s.runs[run] = cancel
	show(map[string]any{"last_triggered": isoTime(h.clock.Now())})
	h.mu.Unlock()
	_, err := run.steps(s.Sequence)
	if power.Err() != nil && c.power.Err() == nil {
		err, run.execution = nil, "cancelled" // turned off
	} else if err != nil {
		run.execution, run.last = "error", map[string]any{"error": err.message}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(s.runs, run)
	t.finish, t.lastStep, t.execution, t.last = h.clock.Now(), run.lastStep, run.execution, run.last
	show(map[string]any{})
	return run.answer, err
}

// executeScript runs the sequence of an execute_script command.
func (h *Home) executeScript(c *call, sequence []any, variables map[string]any) (any, *failure) {
	run := &scriptRun{home: h, power: c.power, ctx: c.ctx, user: c.user, blocked: c.blocked, variables: maps.Clone(variables)}
	_, err := run.steps(sequence)
	return run.answer, err
}

// scriptRun is one run of a sequence.
type scriptRun struct {
	home      *Home
	power     context.Context
	ctx       Context
	user      *user
	blocked   func()
	variables map[string]any
	answer    any    // of stop with response_variable
	execution string // for the trace
	lastStep  string
	last      map[string]any
	unknown   *failure // what this home cannot evaluate
}

// steps runs a sequence; true: it was ended by a stop.
func (r *scriptRun) steps(sequence []any) (stopped bool, err *failure) {
	for i, v := range sequence {
		r.execution, r.lastStep = "finished", "sequence/"+strconv.Itoa(i)
		if r.power.Err() != nil {
			return true, homeError("Home Assistant is stopping")
		}
		step, _ := v.(map[string]any)
		if step["enabled"] == false {
			continue
		}
		stopped, err := r.step(i, step)
		if r.unknown != nil {
			return stopped, r.unknown
		}
		if err != nil && step["continue_on_error"] == true && !err.config {
			err = nil
		}
		if stopped || err != nil {
			return stopped, err
		}
	}
	return false, nil
}

func (r *scriptRun) step(i int, step map[string]any) (stopped bool, err *failure) {
	if r.variables == nil {
		r.variables = map[string]any{}
	}
	switch kind := actionKind(step); kind {
	case "action":
		return false, r.callAction(step)
	case "delay":
		d, _, msg := delayOf(r.render(step["delay"]))
		if msg != "" {
			return false, homeError("Error rendering delay: %s", msg)
		}
		if d > 0 {
			r.blocked()
		}
		if !r.home.wait(r.power, d) {
			return true, homeError("Home Assistant is stopping")
		}
	case "event":
		data, _ := r.render(step["event_data"]).(map[string]any)
		if r.unknown != nil {
			return false, r.unknown
		}
		r.home.fireEvent(text(step["event"]), data, r.ctx)
	case "variables":
		more, _ := r.render(step["variables"]).(map[string]any)
		maps.Copy(r.variables, more)
	case "stop":
		if name := text(step["response_variable"]); name != "" {
			r.answer = r.variables[name]
		}
		r.last = map[string]any{"result": map[string]any{"stop": step["stop"], "error": step["error"] == true}}
		if step["error"] == true {
			r.execution = "aborted"
		}
		return true, nil
	case "condition":
		if !r.holds(step) {
			r.execution = "aborted"
			return true, nil
		}
	case "if":
		branch := step["then"]
		for _, condition := range ensureList(step["if"]) {
			if c, _ := condition.(map[string]any); !r.holds(c) {
				branch = step["else"]
				break
			}
		}
		return r.steps(ensureList(branch))
	case "sequence":
		return r.steps(ensureList(step["sequence"]))
	case "parallel":
		return r.steps(ensureList(step["parallel"]))
	default:
		return false, homeError("this home in memory does not run the action %q, step %d", kind, i+1)
	}
	return false, nil
}

func (r *scriptRun) callAction(step map[string]any) *failure {
	name := step["action"]
	if name == nil {
		name = step["service"]
	}
	domain, service, _ := strings.Cut(text(r.render(name)), ".")
	data, _ := r.render(step["data"]).(map[string]any)
	target, _ := r.render(step["target"]).(map[string]any)
	if data == nil {
		data = map[string]any{}
	}
	if id, ok := step["entity_id"]; ok {
		data["entity_id"] = r.render(id)
	}
	if r.unknown != nil {
		return r.unknown
	}
	h := r.home
	h.mu.Lock()
	s := h.lookup(domain, service)
	h.mu.Unlock()
	answer := text(step["response_variable"])
	if s != nil && s.response == responseOnly && answer == "" {
		return invalidData("Script requires 'response_variable' for response data for service call %s.%s", domain, service)
	}
	c := call{home: h, power: r.power, ctx: r.ctx, user: r.user, blocked: r.blocked, response: answer != ""}
	got, err := h.callService(c, domain, service, data, target)
	if answer != "" {
		r.variables[answer] = got
	}
	return err
}

// holds says whether a condition is true. Of conditions, this home knows state
// and template.
func (r *scriptRun) holds(condition map[string]any) bool {
	switch condition["condition"] {
	case "state":
		want := ensureList(condition["state"])
		for _, id := range listOf(condition["entity_id"]) {
			if !slices.Contains(want, any(r.home.State(id))) {
				return false
			}
		}
		return true
	case "template":
		v := r.render(condition["value_template"])
		return v == true || v == "true" || v == "True"
	}
	r.unknown = homeError("this home in memory knows no condition %q", text(condition["condition"]))
	return false
}

func ensureList(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// render fills in the templates in a value.
func (r *scriptRun) render(v any) any {
	switch v := v.(type) {
	case string:
		if !strings.Contains(v, "{{") {
			return v
		}
		if m := templateRE.FindStringSubmatch(v); m != nil && m[0] == strings.TrimSpace(v) {
			return r.evaluate(m[1])
		}
		return templateRE.ReplaceAllStringFunc(v, func(s string) string {
			return text(r.evaluate(templateRE.FindStringSubmatch(s)[1]))
		})
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = r.render(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = r.render(x)
		}
		return out
	}
	return v
}

var (
	templateRE = regexp.MustCompile(`\{\{(.*?)\}\}`)
	variableRE = regexp.MustCompile(`^[A-Za-z_]\w*(\.\w+)*$`)
	defaultRE  = regexp.MustCompile(`^(.*?)\|\s*default\((.*)\)\s*$`)
)

// evaluate is the little of Home Assistant's template language that this home
// speaks: a literal, a variable, and a default for it.
func (r *scriptRun) evaluate(expression string) any {
	var fallback any = ""
	if m := defaultRE.FindStringSubmatch(expression); m != nil {
		expression, fallback = m[1], r.evaluate(m[2])
	}
	expression = strings.TrimSpace(expression)
	if n := len(expression); n >= 2 && (expression[0] == '\'' || expression[0] == '"') && expression[n-1] == expression[0] &&
		strings.Count(expression, expression[:1]) == 2 {
		return expression[1 : n-1]
	}
	var literal any
	if json.Unmarshal([]byte(expression), &literal) == nil {
		return literal
	}
	if !variableRE.MatchString(expression) {
		r.unknown = homeError("this home in memory renders no template such as {{ %s }}", expression)
		return nil
	}
	var v any = r.variables
	for name := range strings.SplitSeq(expression, ".") {
		m, _ := v.(map[string]any)
		if v = m[name]; v == nil {
			return fallback
		}
	}
	return v
}

// delayOf reads a delay: seconds, "HH:MM[:SS[.F]]" or its parts by name. What
// is wrong with it comes as a message and, with a dot before it, the part.
func delayOf(v any) (d time.Duration, part, message string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			unit, ok := map[string]time.Duration{
				"days": 24 * time.Hour, "hours": time.Hour, "minutes": time.Minute, "seconds": time.Second, "milliseconds": time.Millisecond,
			}[k]
			if !ok {
				return 0, "." + k, "not a valid option"
			}
			f, err := strconv.ParseFloat(text(v[k]), 64)
			if err != nil {
				return 0, "." + k, "expected float"
			}
			d += time.Duration(f * float64(unit))
		}
		return d, "", ""
	case string:
		parts := strings.Split(v, ":")
		if len(parts) == 2 {
			parts = append(parts, "0")
		}
		if len(parts) == 3 {
			hours, err1 := strconv.Atoi(parts[0])
			minutes, err2 := strconv.Atoi(parts[1])
			seconds, err3 := strconv.ParseFloat(parts[2], 64)
			if err1 == nil && err2 == nil && err3 == nil {
				return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + time.Duration(seconds*float64(time.Second)), "", ""
			}
		}
	}
	if f, err := strconv.ParseFloat(text(v), 64); err == nil {
		return time.Duration(f * float64(time.Second)), "", ""
	}
	return 0, "", "offset " + strings.Trim(repr(v), "'") + " should be format 'HH:MM', 'HH:MM:SS' or 'HH:MM:SS.F'"
}

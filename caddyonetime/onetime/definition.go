package onetime

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Definition is a parsed action: one step or a sequence of them. Parse makes it.
type Definition struct {
	// Steps is the sequence as Home Assistant reads it, in JSON's types.
	Steps []any

	// Calls are all the service calls in it, however deep, in the order of
	// the YAML. Those that are switched off by `enabled: false` are left out.
	Calls []Call

	// Single is the one call that can be made as it is, by an ordinary user;
	// nil where the steps have to be run as a script, because there are
	// several, or it is not a call, or it has templates.
	Single *Call

	// Kind is KindDoor where any call is to a lock, a cover or a valve.
	Kind Kind

	// Confirm is what a guest's press needs when the host says nothing:
	// ConfirmAsk for doors and scripts, ConfirmTap for everything else.
	Confirm Confirm

	steps []*node
}

// Call is one service call of a definition.
type Call struct {
	Line            int // in the YAML, from 1
	Domain, Service string
	Data            map[string]any
	Target          Target
	Templated       bool // a template decides about service or target: nobody can check it

	// RawTarget is the target in Home Assistant's form, with what Target
	// does not name (`exclude`), but without what stands in Data.
	RawTarget map[string]any

	// Response says that the call asks for a response (`response_variable`).
	Response bool

	lines map[string]int
}

// Name is the call as in `action:`, "lock.unlock". Empty where a template
// decides about it.
func (c *Call) Name() string {
	if c.Domain == "" {
		return ""
	}
	return c.Domain + "." + c.Service
}

// LineOf is the line of a key of the call's data, or of a target's id, from 1;
// the call's own where it has none.
func (c *Call) LineOf(word string) int {
	if l, ok := c.lines[word]; ok {
		return l
	}
	return c.Line
}

// Target is what a call acts on. Entity ids are in lower case, each once.
type Target struct {
	Entities []string `json:"entity_id,omitempty"`
	Devices  []string `json:"device_id,omitempty"`
	Areas    []string `json:"area_id,omitempty"`
	Floors   []string `json:"floor_id,omitempty"`
	Labels   []string `json:"label_id,omitempty"`
}

// IsZero reports whether it names nothing.
func (t Target) IsZero() bool {
	return len(t.Entities)+len(t.Devices)+len(t.Areas)+len(t.Floors)+len(t.Labels) == 0
}

// Parse reads a host's YAML. Errors are *BadInput with Field "definition" and
// the line.
//
// It takes what Home Assistant's developer tools and its editors of scripts
// show: one action, a list of actions, or a mapping with `sequence`. As there,
// YAML is read by the rules of version 1.2, so that `on` and `off` are strings.
func Parse(yaml string) (*Definition, error) {
	root, err := readYAML(yaml)
	if err != nil {
		return nil, err
	}
	steps, err := rootSteps(root)
	if err != nil {
		return nil, err
	}

	d := &Definition{Kind: KindAny, Confirm: ConfirmTap, steps: steps}
	c := collector{d: d}
	for _, s := range steps {
		d.Steps = append(d.Steps, s.value())
	}
	if err := c.sequence(steps); err != nil {
		return nil, err
	}
	switch {
	case c.acts:
	case c.off > 0:
		return nil, badDefinition(c.off, "it is switched off by `enabled: false`: take that line out").Says("off", "word", "enabled: false")
	default:
		return nil, badDefinition(root.line, "nothing in it makes the home do anything: it needs a step with `action:`").Says("no_step")
	}
	d.Single = singleCall(d, steps)
	return d, nil
}

// LineAt is the line of what stands in Steps at a path of list indexes and
// keys, or of the nearest thing around it; 0 where there are no steps.
func (d *Definition) LineAt(path ...any) int {
	if len(d.steps) == 0 {
		return 0
	}
	line := d.steps[0].line
	at := &node{kind: kindList, items: d.steps}
	for _, p := range path {
		var next *node
		switch p := p.(type) {
		case int:
			switch {
			case at.kind == kindList && p >= 0 && p < len(at.items):
				next = at.items[p]
			case at.kind != kindList && p == 0: // Home Assistant makes a list of it
				next = at
			}
		case string:
			next = at.get(p)
		}
		if next == nil {
			break
		}
		at, line = next, next.line
	}
	return line
}

// LineOf is the line where a string stands as a value in Steps; 0 where it does not.
func (d *Definition) LineOf(value string) int {
	for _, s := range d.steps {
		if line := s.find(value); line > 0 {
			return line
		}
	}
	return 0
}

func badDefinition(line int, format string, args ...any) *BadInput {
	return &BadInput{Field: "definition", Line: line, Message: fmt.Sprintf(format, args...)}
}

// scriptWords may stand beside `sequence` where a whole script was pasted.
var scriptWords = []string{"sequence", "alias", "description", "icon", "mode", "max", "max_exceeded", "variables", "fields", "note", "metadata"}

// stepWords are the words that make a mapping a step, most telling first.
var stepWords = []string{
	"action", "service", "service_template", "scene", "event", "delay", "wait_template", "wait_for_trigger",
	"choose", "if", "repeat", "parallel", "sequence", "stop", "variables", "condition", "and", "or", "not",
	"set_conversation_response", "device_id",
}

// rootSteps is the sequence that a whole document means.
func rootSteps(root *node) ([]*node, error) {
	switch root.kind {
	case kindList:
		if len(root.items) == 0 {
			return nil, badDefinition(root.line, "the list is empty: it needs a step with `action:`").Says("empty", "example", "action: lock.unlock")
		}
		return root.items, nil
	case kindScalar:
		return nil, badDefinition(root.line, "this is not an action: write `action: lock.unlock` and, under `target:`, what it acts on").Says("not_action", "example", "action: lock.unlock")
	}
	for _, w := range []string{"trigger", "triggers"} {
		if n := root.get(w); n != nil && (root.get("action") != nil || root.get("actions") != nil) {
			return nil, badDefinition(root.lines[w], "this is an automation: paste only the list that stands under `actions:`").Says("automation", "word", "actions:")
		}
	}
	if seq := root.get("sequence"); seq != nil && !slices.ContainsFunc(root.keys, func(k string) bool { return !slices.Contains(scriptWords, k) }) {
		if f := root.get("fields"); f != nil && !f.empty() {
			return nil, badDefinition(root.lines["fields"], "`fields` are a script's questions, and nobody answers them here: write the values into the steps").Says("questions", "word", "fields")
		}
		steps := []*node{seq}
		if seq.kind == kindList {
			steps = seq.items
		}
		if len(steps) == 0 || seq.empty() {
			return nil, badDefinition(seq.line, "`sequence` is empty: it needs a step with `action:`").Says("empty", "example", "action: lock.unlock")
		}
		if v := root.get("variables"); v != nil && !v.empty() {
			set := &node{kind: kindMap, line: v.line, keys: []string{"variables"}, fields: map[string]*node{"variables": v}, lines: root.lines}
			steps = append([]*node{set}, steps...)
		}
		return steps, nil
	}
	if slices.ContainsFunc(root.keys, func(k string) bool { return slices.Contains(stepWords, k) }) {
		return []*node{root}, nil
	}
	if len(root.keys) == 1 {
		k := root.keys[0]
		if in := root.fields[k]; in.get("sequence") != nil {
			return nil, badDefinition(root.lines[k], "this is a script with its name: paste only what stands under `%s:`, or use `action: script.%s`", k, k).Says("named_script", "name", k+":")
		}
	}
	if root.empty() {
		return nil, badDefinition(root.line, "it is empty: it needs `action:`, as in `action: lock.unlock`").Says("empty", "example", "action: lock.unlock")
	}
	return nil, badDefinition(root.line, "there is no `action:` in it: write `action: lock.unlock` and, under `target:`, what it acts on").Says("not_action", "example", "action: lock.unlock")
}

// collector walks through steps as Home Assistant would.
type collector struct {
	d    *Definition
	acts bool // something in it makes the home do something
	off  int  // the line of the first step that is switched off
}

func (c *collector) sequence(steps []*node) error {
	for _, s := range steps {
		if err := c.step(s); err != nil {
			return err
		}
	}
	return nil
}

// list is a step or a list of steps.
func (c *collector) list(n *node) error {
	switch {
	case n == nil || n.empty():
		return nil
	case n.kind == kindList:
		return c.sequence(n.items)
	}
	return c.step(n)
}

func (c *collector) step(s *node) error {
	if s.kind == kindScalar {
		if str, ok := s.scalar.(string); ok && isTemplate(str) {
			return nil // a condition in short
		}
		return badDefinition(s.line, "this is not a step: a step is a mapping such as `action: lock.unlock`").Says("not_step", "example", "action: lock.unlock")
	}
	if s.kind == kindList {
		return badDefinition(s.line, "this is a list in a list: a step is a mapping such as `action: lock.unlock`").Says("not_step", "example", "action: lock.unlock")
	}
	if isOff(s.get("enabled")) {
		if c.off == 0 {
			c.off = s.line
		}
		return nil
	}
	switch {
	case s.get("action") != nil, s.get("service") != nil, s.get("service_template") != nil:
		return c.call(s)
	case s.get("scene") != nil:
		call := Call{Line: s.lines["scene"], Domain: "scene", Service: "turn_on"}
		call.target(s, "scene", &call.Target.Entities)
		c.add(call)
		return nil
	case s.get("event") != nil:
		c.acts = true
		return nil
	case s.get("choose") != nil:
		options := []*node{s.get("choose")}
		if options[0].kind == kindList {
			options = options[0].items
		}
		for _, o := range options {
			if err := c.list(o.get("sequence")); err != nil {
				return err
			}
		}
		return c.list(s.get("default"))
	case s.get("if") != nil:
		if err := c.list(s.get("then")); err != nil {
			return err
		}
		return c.list(s.get("else"))
	case s.get("repeat") != nil:
		return c.list(s.get("repeat").get("sequence"))
	case s.get("parallel") != nil:
		return c.list(s.get("parallel"))
	case s.get("sequence") != nil:
		return c.list(s.get("sequence"))
	case s.get("device_id") != nil && s.get("condition") == nil:
		// A device's own action, from Home Assistant's editor.
		c.acts = true
		if domain, ok := s.get("domain").text(); ok {
			c.domain(domain)
		}
		if entity, ok := s.get("entity_id").text(); ok {
			domain, _, _ := strings.Cut(entity, ".")
			c.domain(domain)
		}
		return nil
	}
	return nil
}

// serviceName is a domain and a service, as Home Assistant takes them.
var serviceName = regexp.MustCompile(`^([a-z0-9]|[a-z0-9][a-z0-9_]*[a-z0-9])\.([a-z0-9_]*[a-z0-9][a-z0-9_]*)$`)

func (c *collector) call(s *node) error {
	word := "action"
	for _, w := range []string{"service", "service_template"} {
		if s.get(w) == nil {
			continue
		}
		if s.get(word) != nil {
			return badDefinition(s.lines[w], "`%s` and `%s` say the same: keep `action` only", word, w).Says("same", "a", word, "b", w)
		}
		word = w
	}
	call := Call{Line: s.lines[word], lines: map[string]int{}}
	name, ok := s.get(word).text()
	name = strings.ToLower(strings.TrimSpace(name))
	switch {
	case ok && isTemplate(name):
		call.Templated = true
	case !ok || !serviceName.MatchString(name):
		return badDefinition(call.Line, "`%s` needs the name of an action with its domain, as in `lock.unlock`", word).Says("action_name", "word", word, "example", "lock.unlock")
	default:
		call.Domain, call.Service, _ = strings.Cut(name, ".")
	}

	for _, w := range []string{"data", "data_template"} {
		data := s.get(w)
		switch {
		case data == nil || data.empty():
			continue
		case data.kind == kindScalar && data.templated():
			call.Templated = true
			continue
		case data.kind != kindMap:
			return badDefinition(data.line, "`%s` has to be a mapping, with one `name: value` in a line", w).Says("mapping", "word", w)
		}
		if call.Data == nil {
			call.Data = map[string]any{}
		}
		for _, k := range data.keys {
			call.Data[k] = data.fields[k].value()
			call.lines[k] = data.lines[k]
		}
		// Older actions name their target among their data. What a script
		// is told by its own fields is no target.
		if !call.runsScript() {
			call.targets(data)
		}
	}
	target := s.get("target")
	switch {
	case target == nil || target.empty():
	case target.kind == kindScalar && target.templated():
		call.Templated = true
	case target.kind != kindMap:
		return badDefinition(target.line, "`target` has to be a mapping, as in `entity_id: lock.front_door`").Says("mapping", "word", "target")
	default:
		call.RawTarget = target.value().(map[string]any)
		call.targets(target)
	}
	if e := s.get("entity_id"); e != nil && !e.empty() {
		if call.RawTarget == nil {
			call.RawTarget = map[string]any{}
		}
		call.RawTarget["entity_id"] = e.value()
		call.target(s, "entity_id", &call.Target.Entities)
	}
	call.Response = s.get("response_variable") != nil
	c.add(call)
	return nil
}

// runsScript reports whether the call is `script.<name>`, which runs the script
// of that name with its data as variables.
func (c *Call) runsScript() bool {
	if c.Domain != "script" {
		return false
	}
	switch c.Service {
	case "turn_on", "turn_off", "toggle", "reload":
		return false
	}
	return true
}

// Script is the name of the script that the call runs by its own name
// (`action: script.open_up`); ok is false for every other call.
func (c *Call) Script() (name string, ok bool) { return c.Service, c.runsScript() }

// targets takes over what a mapping says about targets.
func (c *Call) targets(n *node) {
	c.target(n, "entity_id", &c.Target.Entities)
	c.target(n, "device_id", &c.Target.Devices)
	c.target(n, "area_id", &c.Target.Areas)
	c.target(n, "floor_id", &c.Target.Floors)
	c.target(n, "label_id", &c.Target.Labels)
}

func (c *Call) target(n *node, key string, to *[]string) {
	v := n.get(key)
	if v == nil {
		return
	}
	items := []*node{v}
	if v.kind == kindList {
		items = v.items
	}
	for _, item := range items {
		text, ok := item.text()
		if !ok {
			continue
		}
		if isTemplate(text) {
			c.Templated = true
			continue
		}
		ids := []string{text}
		if key == "entity_id" || key == "scene" {
			ids = strings.Split(strings.ToLower(text), ",")
		}
		for _, id := range ids {
			id = strings.TrimSpace(id)
			if id == "" || slices.Contains(*to, id) {
				continue
			}
			*to = append(*to, id)
			if c.lines == nil {
				c.lines = map[string]int{}
			}
			if _, ok := c.lines[id]; !ok {
				c.lines[id] = item.line
			}
		}
	}
}

func (c *collector) add(call Call) {
	c.acts = true
	c.d.Calls = append(c.d.Calls, call)
	c.domain(call.Domain)
	for _, e := range call.Target.Entities {
		domain, _, _ := strings.Cut(e, ".")
		c.domain(domain)
	}
}

// domain draws conclusions from a domain that is acted on.
func (c *collector) domain(domain string) {
	switch domain {
	case "lock", "cover", "valve":
		c.d.Kind, c.d.Confirm = KindDoor, ConfirmAsk
	case "", "script", "python_script", "pyscript", "shell_command", "automation":
		c.d.Confirm = ConfirmAsk // nobody knows what it does
	}
}

// callWords are the words of a call that mean the same when it is made alone.
// continue_on_error is one of them: what fails is told, not passed over.
var callWords = []string{
	"action", "service", "data", "data_template", "target", "entity_id",
	"alias", "note", "metadata", "enabled", "continue_on_error", "response_variable",
}

// singleCall finds the one call that a definition consists of.
func singleCall(d *Definition, steps []*node) *Call {
	var only *node
	for _, s := range steps {
		switch {
		case isOff(s.get("enabled")):
		case only != nil:
			return nil
		default:
			only = s
		}
	}
	if only == nil || len(d.Calls) != 1 || only.get("action") == nil && only.get("service") == nil {
		return nil
	}
	for _, k := range only.keys {
		if !slices.Contains(callWords, k) {
			return nil // of a newer Home Assistant, or a slip: it is the judge
		}
		// Notes are not rendered.
		if k != "alias" && k != "note" && k != "metadata" && only.fields[k].templated() {
			return nil
		}
	}
	return &d.Calls[0]
}

// isOff reads `enabled` as Home Assistant reads a boolean.
func isOff(n *node) bool {
	if n == nil || n.kind != kindScalar {
		return false
	}
	switch v := n.scalar.(type) {
	case bool:
		return !v
	case int64:
		return v == 0
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "false", "off", "no", "disable", "0":
			return true
		}
	}
	return false
}

// isTemplate reports whether Home Assistant would render the string.
func isTemplate(s string) bool {
	return strings.Contains(s, "{{") || strings.Contains(s, "{%") || strings.Contains(s, "{#")
}

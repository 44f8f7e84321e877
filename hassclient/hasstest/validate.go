package hasstest

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// invalid is what is wrong with a message: where, and what stands there.
type invalid struct {
	message, path string
	got           any
}

// humanized renders it as Home Assistant answers a message that it cannot
// take: "expected str at 'domain'. Got 5".
func (i *invalid) humanized() string {
	return i.plain() + ". Got " + repr(i.got)
}

// plain renders it without the value.
func (i *invalid) plain() string {
	if i.path == "" {
		return i.message
	}
	return i.message + " at '" + i.path + "'"
}

// repr renders a JSON value as Python does.
func repr(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		if strings.Contains(v, "'") && !strings.Contains(v, `"`) {
			return `"` + v + `"`
		}
		return "'" + strings.ReplaceAll(v, "'", `\'`) + "'"
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = repr(x)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, repr(k)+": "+repr(v[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// rule is one member of a command's message.
type rule struct {
	required bool
	check    func(v any, path string) *invalid
}

// checkMessage looks at a command's message as its schema does.
func checkMessage(m map[string]any, rules map[string]rule) *invalid {
	if rules == nil && len(m) > 2 {
		return &invalid{message: "extra keys not allowed", got: m}
	}
	members := func(keys iter.Seq[string]) *invalid {
		for k := range keys {
			if k == "id" || k == "type" {
				continue
			}
			r, ok := rules[k]
			if !ok {
				return &invalid{message: "not a valid option", path: k, got: m[k]}
			}
			if r.check != nil {
				if bad := r.check(m[k], k); bad != nil {
					return bad
				}
			}
		}
		for k, r := range rules {
			if _, ok := m[k]; r.required && !ok {
				return &invalid{message: "required key not provided", path: k}
			}
		}
		return nil
	}
	if members(maps.Keys(m)) == nil {
		return nil
	}
	return members(slices.Values(slices.Sorted(maps.Keys(m)))) // always the same one
}

func isString(v any, path string) *invalid {
	if _, ok := v.(string); !ok {
		return &invalid{message: "expected str", path: path, got: v}
	}
	return nil
}

func isMap(v any, path string) *invalid {
	if _, ok := v.(map[string]any); !ok {
		return &invalid{message: "expected dict", path: path, got: v}
	}
	return nil
}

func isBool(v any, path string) *invalid {
	if _, ok := v.(bool); !ok {
		return &invalid{message: "expected bool", path: path, got: v}
	}
	return nil
}

func isNumber(v any, path string) *invalid {
	if _, ok := v.(json.Number); !ok {
		return &invalid{message: "expected int", path: path, got: v}
	}
	return nil
}

var entityIDRE = regexp.MustCompile(`^(?:[a-z0-9]+_?)*[a-z0-9]+\.[a-z0-9_]+$`)

func validEntityID(id string) bool {
	return len(id) <= 255 && entityIDRE.MatchString(strings.ToLower(id))
}

// checkEntityIDs checks what stands for entity_id in a call: ids, "all", "none"
// or nothing.
func checkEntityIDs(v any) string {
	if v == nil || v == "all" || v == "none" {
		return ""
	}
	ids := listOf(v)
	whole, isList := v.([]any)
	_, isText := v.(string)
	if isList && len(whole) == len(ids) || isText {
		if !slices.ContainsFunc(ids, func(id string) bool { return !validEntityID(id) }) {
			return ""
		}
	}
	return "expected 'all' or 'none'"
}

// isEntityIDs checks a list of entities, which must be named.
func isEntityIDs(v any, path string) *invalid {
	bad := func(message string) *invalid { return &invalid{message: message, path: path, got: v} }
	if v == nil {
		return bad("Entity IDs cannot be None")
	}
	for _, id := range listOf(v) {
		if !validEntityID(id) {
			return bad("Entity ID " + id + " is an invalid entity ID")
		}
	}
	return nil
}

// isTarget checks the target of a call.
func isTarget(v any, path string) *invalid {
	m, ok := v.(map[string]any)
	if !ok {
		return &invalid{message: "expected a mapping", path: path, got: v}
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		at := path + "." + k
		switch {
		case !slices.Contains(targetKeys, k):
			return &invalid{message: "not a valid option" + suggestion(k), path: at, got: m[k]}
		case k == "entity_id":
			if msg := checkEntityIDs(m[k]); msg != "" && !isTemplate(m[k]) {
				return &invalid{message: msg, path: at, got: m[k]}
			}
		default:
			for i, id := range ensureList(m[k]) {
				if _, ok := id.(string); !ok {
					return &invalid{message: "expected str", path: fmt.Sprintf("%s[%d]", at, i)}
				}
			}
		}
	}
	return nil
}

// isSelection checks the target of extract_from_target and its like, which
// must be entities by name.
func isSelection(v any, path string) *invalid {
	m, ok := v.(map[string]any)
	if !ok {
		return &invalid{message: "expected a mapping", path: path, got: v}
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(targetKeys, k) {
			return &invalid{message: "not a valid option" + suggestion(k), path: path + "." + k, got: m[k]}
		}
	}
	for i, id := range listOf(m["entity_id"]) {
		if !validEntityID(id) {
			got := any(id)
			if s, ok := m["entity_id"].(string); ok && i < len(s) {
				got = s[i : i+1] // sic: the path is looked up in the string itself
			}
			return &invalid{
				message: "Entity ID " + id + " is not a valid entity ID", path: fmt.Sprintf("%s.entity_id[%d]", path, i), got: got,
			}
		}
	}
	return nil
}

func suggestion(key string) string {
	for _, k := range targetKeys {
		if strings.HasPrefix(k, key) && len(key) > 2 {
			return ", did you mean '" + k + "'?"
		}
	}
	return ""
}

// kinds are the members that say what an action is, and the others that it may
// have.
var kinds = []struct {
	key    string
	others []string
}{
	{"delay", nil},
	{"wait_template", []string{"timeout", "continue_on_timeout"}},
	{"condition", nil},
	{"event", []string{"event_data", "event_data_template"}},
	{"device_id", nil},
	{"scene", []string{"metadata"}},
	{"repeat", nil},
	{"choose", []string{"default"}},
	{"wait_for_trigger", []string{"timeout", "continue_on_timeout"}},
	{"variables", nil},
	{"if", []string{"then", "else"}},
	{"stop", []string{"error", "response_variable"}},
	{"parallel", nil},
	{"set_conversation_response", nil},
	{"sequence", nil},
	{"action", actionKeys},
	{"service", actionKeys},
	{"service_template", actionKeys},
}

var actionKeys = []string{"action", "service", "service_template", "data", "data_template", "target", "entity_id", "response_variable", "metadata"}

func actionKind(step map[string]any) string {
	for _, k := range kinds {
		if _, ok := step[k.key]; ok {
			if k.key == "service" || k.key == "service_template" {
				return "action"
			}
			return k.key
		}
	}
	return ""
}

// checkActions checks the syntax of a sequence, as validate_config does.
func checkActions(v any, path string) *invalid {
	for i, step := range ensureList(v) {
		if bad := checkAction(step, fmt.Sprintf("%s[%d]", path, i)); bad != nil {
			return bad
		}
	}
	return nil
}

var serviceRE = regexp.MustCompile(`^[a-z0-9]+(?:_?[a-z0-9]+)*\.[a-z0-9_]+$`)

func checkAction(v any, path string) *invalid {
	step, ok := v.(map[string]any)
	if !ok {
		return &invalid{message: "expected dictionary", path: path, got: v}
	}
	_, both := step["service"]
	if _, ok := step["action"]; ok && both {
		return &invalid{message: "Cannot specify both 'service' and 'action'. Please use 'action' only.", path: path, got: v}
	}
	kind := actionKind(step)
	if kind == "" {
		bad := &invalid{message: "Unable to determine action", path: path, got: v}
		if len(step) == 0 {
			bad.got = nil
		}
		return bad
	}
	if kind == "condition" || kind == "device_id" {
		return nil // the integrations' own
	}
	for _, k := range kinds {
		if k.key != kind {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(step)) {
			if key != kind && !slices.Contains(k.others, key) && !slices.Contains([]string{"alias", "continue_on_error", "enabled", "note"}, key) {
				return &invalid{message: "not a valid option", path: path + "." + key, got: step[key]}
			}
		}
	}
	at := func(key, message string) *invalid {
		return &invalid{message: message, path: path + "." + key, got: step[key]}
	}
	switch kind {
	case "action":
		for _, key := range []string{"action", "service"} {
			name, ok := step[key]
			if ok && name == nil {
				return at(key, "string value is None")
			}
			if s := text(name); ok && !isTemplate(name) && !serviceRE.MatchString(strings.ToLower(s)) {
				return at(key, fmt.Sprintf("Service %s does not match format <domain>.<name>", s))
			}
		}
		if target, ok := step["target"]; ok {
			if isTemplate(target) {
				return nil
			}
			if bad := isTarget(target, path+".target"); bad != nil {
				return bad
			}
		}
		if !validTemplates(step["data"]) {
			return at("data", "template value should be a string")
		}
	case "delay":
		if d, member, msg := delayOf(step["delay"]); msg != "" {
			if isTemplate(step["delay"]) {
				return nil
			}
			return &invalid{message: msg, path: path + ".delay" + member, got: step["delay"]}
		} else if d < 0 {
			return at("delay", "Time period should be positive")
		}
	case "event":
		if data, ok := step["event_data"]; ok && !isTemplate(data) {
			if _, ok := data.(map[string]any); !ok {
				return at("event_data", "expected dict")
			}
		}
	case "stop":
		if v, ok := step["error"]; ok && !isBoolean(v) {
			return at("error", "invalid boolean value "+text(v))
		}
	case "sequence", "parallel":
		return checkActions(step[kind], path+"."+kind)
	case "if":
		if bad := checkActions(step["then"], path+".then"); bad != nil {
			return bad
		}
		return checkActions(step["else"], path+".else")
	}
	return nil
}

func isTemplate(v any) bool {
	s, ok := v.(string)
	return ok && strings.Contains(s, "{{")
}

func isBoolean(v any) bool {
	switch v := v.(type) {
	case bool, json.Number:
		return true
	case string:
		return slices.Contains([]string{"1", "true", "yes", "on", "enable", "0", "false", "no", "off", "disable"}, strings.ToLower(v))
	}
	return false
}

// validTemplates says whether the templates in a value could be parsed: their
// brackets match.
func validTemplates(v any) bool {
	switch v := v.(type) {
	case string:
		for _, m := range templateRE.FindAllStringSubmatch(v, -1) {
			if strings.Count(m[1], "(") != strings.Count(m[1], ")") {
				return false
			}
		}
		return strings.Count(v, "{{") == strings.Count(v, "}}")
	case map[string]any:
		for _, x := range v {
			if !validTemplates(x) {
				return false
			}
		}
	case []any:
		return !slices.ContainsFunc(v, func(x any) bool { return !validTemplates(x) })
	}
	return true
}

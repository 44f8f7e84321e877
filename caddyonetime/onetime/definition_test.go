package onetime

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func mustParse(t *testing.T, yaml string) *Definition {
	t.Helper()
	d, err := Parse(yaml)
	if err != nil {
		t.Fatalf("Parse: %v\n%s", err, yaml)
	}
	return d
}

func TestParseSingleCall(t *testing.T) {
	for name, yaml := range map[string]string{
		"as the developer tools show it": `
action: lock.unlock
target:
  entity_id: lock.front_door
data:
  code: "0042"`,
		"older": `
service: lock.unlock
data:
  entity_id: lock.front_door
  code: '0042'`,
		"entity_id at the top": `
service: Lock.Unlock
entity_id: LOCK.front_door
data_template: {code: "0042"}`,
		"with notes": `
alias: Open {{ sesame }}
action: lock.unlock
metadata: {}
enabled: true
continue_on_error: true
target: {entity_id: [lock.front_door]}
data: {code: !!str 0042}`,
		"list of one": `
- action: lock.unlock
  target:
    entity_id:
      - lock.front_door
  data: {code: "0042"}`,
		"the other one is off": `
- action: light.turn_on
  enabled: false
- action: lock.unlock
  target: {entity_id: lock.front_door}
  data: {code: "0042"}`,
		"script": `
alias: Open up
sequence:
  - action: lock.unlock
    target: {entity_id: lock.front_door}
    data: {code: "0042"}
mode: single`,
		"merged": `
<<: {action: lock.unlock, data: {code: "0042"}}
target: {entity_id: "lock.front_door"}`,
		"with a mark of byte order": "\uFEFFaction: lock.unlock\r\ntarget: {entity_id: lock.front_door}\r\ndata: {code: \"0042\"}\r\n",
		"one document":              "---\naction: lock.unlock\ntarget: {entity_id: lock.front_door}\ndata: {code: \"0042\"}\n...\n",
	} {
		t.Run(name, func(t *testing.T) {
			d := mustParse(t, yaml)
			if d.Single == nil || len(d.Calls) != 1 {
				t.Fatalf("no single call: %+v", d)
			}
			c := d.Single
			if c.Domain != "lock" || c.Service != "unlock" || c.Templated || c.Data["code"] != "0042" {
				t.Errorf("call: %+v", c)
			}
			if want := (Target{Entities: []string{"lock.front_door"}}); !reflect.DeepEqual(c.Target, want) {
				t.Errorf("target %+v, want %+v", c.Target, want)
			}
			if d.Kind != KindDoor || d.Confirm != ConfirmAsk {
				t.Errorf("kind %q, confirm %q", d.Kind, d.Confirm)
			}
			if _, err := json.Marshal(d.Steps); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseKeepsTargetAsWritten(t *testing.T) {
	d := mustParse(t, `
action: light.turn_on
target:
  area_id: [kitchen, hall]
  device_id: abc
  floor_id: ground
  label_id: night
  exclude: {entity_id: light.big}
entity_id: light.a, Light.B
response_variable: r`)
	want := Target{
		Entities: []string{"light.a", "light.b"}, Devices: []string{"abc"},
		Areas: []string{"kitchen", "hall"}, Floors: []string{"ground"}, Labels: []string{"night"},
	}
	c := d.Calls[0]
	if !reflect.DeepEqual(c.Target, want) || !c.Response {
		t.Errorf("call %+v", c)
	}
	raw, _ := json.Marshal(c.RawTarget)
	if s := `{"area_id":["kitchen","hall"],"device_id":"abc","entity_id":"light.a, Light.B","exclude":{"entity_id":"light.big"},"floor_id":"ground","label_id":"night"}`; string(raw) != s {
		t.Errorf("raw target %s", raw)
	}
	if c.LineOf("kitchen") != 4 || c.LineOf("light.b") != 9 || c.LineOf("other") != 2 {
		t.Errorf("lines %v", c.lines)
	}
}

func TestParseSequence(t *testing.T) {
	d := mustParse(t, `
- variables: {n: 2}
- delay: 00:00:05
- "{{ n > 1 }}"
- condition: state
  entity_id: lock.front_door
  state: on
- choose:
    - conditions: []
      sequence:
        - action: light.turn_on
          target: {area_id: hall}
    - conditions: []
      sequence: {service: light.turn_off, target: {area_id: hall}}
  default:
    - scene: scene.romantic
- if: "{{ true }}"
  then:
    action: "{{ what }}"
  else:
    - action: fan.turn_on
      target: {entity_id: "{{ which }}"}
- repeat:
    count: 2
    sequence:
      - parallel:
          - sequence:
              - action: script.ring
                data: {entity_id: bell.one}
          - action: media_player.play_media
            enabled: "no"
- event: rang
  event_data: {yes: 1}
- wait_for_trigger: []
- device_id: 4711
  domain: cover
  type: open
- stop: enough
`)
	var got []string
	var lines []int
	for _, c := range d.Calls {
		got = append(got, c.Name())
		lines = append(lines, c.Line)
	}
	if want := []string{"light.turn_on", "light.turn_off", "scene.turn_on", "", "fan.turn_on", "script.ring"}; !reflect.DeepEqual(got, want) {
		t.Errorf("calls %q, want %q", got, want)
	}
	if want := []int{11, 14, 16, 19, 21, 28}; !reflect.DeepEqual(lines, want) {
		t.Errorf("lines %v, want %v", lines, want)
	}
	if d.Single != nil || d.Kind != KindDoor || d.Confirm != ConfirmAsk || len(d.Steps) != 11 {
		t.Errorf("definition %+v", d)
	}
	if !d.Calls[3].Templated || !d.Calls[4].Templated || !reflect.DeepEqual(d.Calls[2].Target.Entities, []string{"scene.romantic"}) {
		t.Errorf("calls %+v", d.Calls)
	}
	if s := d.Steps[3].(map[string]any)["state"]; s != "on" {
		t.Errorf("state: on is %#v, want the string", s)
	}
	if s := d.Steps[1].(map[string]any)["delay"]; s != "00:00:05" {
		t.Errorf("delay is %#v, want it as written", s)
	}
	if !d.Calls[5].Target.IsZero() {
		t.Errorf("a script's own field was taken for a target: %+v", d.Calls[5])
	}
	if l := d.LineOf("4711"); l != 35 {
		t.Errorf("line of a device is %d", l)
	}
	if l := d.LineAt(4, "choose", 1, "sequence", 0, "target", "area_id"); l != 14 {
		t.Errorf("line of a target is %d", l)
	}
}

func TestParseValues(t *testing.T) {
	d := mustParse(t, `
action: test.values
data:
  a: [on, off, yes, no, y, n, True, false, null, ~]
  b: [12, -7, +3, 0x1F, 0o17, 0b11, 1_000, 9223372036854775808, 0]
  c: [1.5, .5, 1e3, -0.25, 5.0]
  d: [12:30:00, 2026-11-20, 2026-11-20T08:00:00Z, 1.2.3, 192.168.1.10, "12", '', =, 0.5.1]
  e: |
    two
    lines
  f: &x {g: 1}
  h: *x
  1: one
  i: !!float 2
  j: !!int 3
  k: !!timestamp 2026-11-20
`)
	got, err := json.Marshal(d.Steps[0].(map[string]any)["data"])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"1":"one",` +
		`"a":["on","off","yes","no","y","n",true,false,null,null],` +
		`"b":[12,-7,3,31,15,3,1000,9223372036854775808,0],` +
		`"c":[1.5,0.5,1000,-0.25,5],` +
		`"d":["12:30:00","2026-11-20","2026-11-20T08:00:00Z","1.2.3","192.168.1.10","12","","=","0.5.1"],` +
		`"e":"two\nlines\n","f":{"g":1},"h":{"g":1},"i":2,"j":3,"k":"2026-11-20"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseNotSingle(t *testing.T) {
	for _, yaml := range []string{
		"action: light.turn_on\ndata: {brightness: \"{{ 5 }}\"}",
		"action: light.turn_on\ntarget: {entity_id: \"{{ x }}\"}",
		"action: light.turn_on\ntarget: \"{{ x }}\"",
		"action: light.turn_on\ndata: \"{% x %}\"",
		"action: light.turn_on\ndata: {\"{{ k }}\": 1}",
		"service_template: light.turn_on",
		"action: \"{{ x }}\"",
		"action: light.turn_on\nenabled: \"{{ x }}\"",
		"action: light.turn_on\nsomething_new: 1",
		"- action: light.turn_on\n- action: light.turn_off",
		"- action: light.turn_on\n- delay: 5",
		"scene: scene.romantic",
		"event: rang",
		"sequence:\n- action: light.turn_on\nenabled: true",
		"sequence:\n- action: light.turn_on\nvariables: {a: 1}",
	} {
		if d := mustParse(t, yaml); d.Single != nil {
			t.Errorf("single: %s", yaml)
		}
	}
}

func TestParseKind(t *testing.T) {
	for yaml, want := range map[string]struct {
		Kind
		Confirm
	}{
		"action: lock.open":          {KindDoor, ConfirmAsk},
		"action: cover.open_cover":   {KindDoor, ConfirmAsk},
		"action: valve.open_valve":   {KindDoor, ConfirmAsk},
		"action: light.turn_on":      {KindAny, ConfirmTap},
		"action: scene.turn_on":      {KindAny, ConfirmTap},
		"scene: scene.romantic":      {KindAny, ConfirmTap},
		"action: script.open_up":     {KindAny, ConfirmAsk},
		"action: script.turn_on":     {KindAny, ConfirmAsk},
		"action: \"{{ x }}\"":        {KindAny, ConfirmAsk},
		"event: rang":                {KindAny, ConfirmTap},
		"action: vacuum.start":       {KindAny, ConfirmTap},
		"action: automation.trigger": {KindAny, ConfirmAsk},
		"action: homeassistant.turn_on\ntarget: {entity_id: cover.garage}":    {KindDoor, ConfirmAsk},
		"action: homeassistant.turn_on\ndata: {entity_id: [light.a, lock.b]}": {KindDoor, ConfirmAsk},
		"action: homeassistant.turn_on\ntarget: {entity_id: script.open_up}":  {KindAny, ConfirmAsk},
		"- action: light.turn_on\n- if: []\n  then:\n  - action: lock.unlock": {KindDoor, ConfirmAsk},
		"- action: light.turn_on\n- action: lock.unlock\n  enabled: false":    {KindAny, ConfirmTap},
	} {
		d := mustParse(t, yaml)
		if d.Kind != want.Kind || d.Confirm != want.Confirm {
			t.Errorf("%s: kind %q, confirm %q", yaml, d.Kind, d.Confirm)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ",") + "]\n"
	}
	deep := "a: &a " + strings.Repeat("[", 50) + strings.Repeat("]", 50) + "\n"
	for c := 'b'; c < 'e'; c++ {
		deep += string(c) + ": &" + string(c) + " " + strings.Repeat("[", 50) + "*" + string(c-1) + strings.Repeat("]", 50) + "\n"
	}
	for _, tt := range []struct {
		name, yaml string
		line       int
		says       string
	}{
		{"nothing", "", 0, "empty"},
		{"blank", " \n\n# note\n", 0, "empty"},
		{"null", "~", 0, "empty"},
		{"empty mapping", "{}", 1, "empty"},
		{"empty list", "[]", 1, "empty"},
		{"scalar", "lock.unlock", 1, "not an action"},
		{"number", "42", 1, "not an action"},
		{"no action", "target: {entity_id: lock.front_door}", 1, "no `action:`"},
		{"name missing", "action:", 1, "lock.unlock"},
		{"name without domain", "x: 1\naction: unlock", 2, "lock.unlock"},
		{"name with more", "action: lock.unlock.now", 1, "lock.unlock"},
		{"name not a string", "action: [lock.unlock]", 1, "lock.unlock"},
		{"both words", "service: a.b\naction: a.b", 1, "`action` only"},
		{"data", "action: a.b\ndata: 5", 2, "mapping"},
		{"data list", "action: a.b\ndata: [5]", 2, "mapping"},
		{"target", "action: a.b\ntarget: lock.front_door", 2, "mapping"},
		{"list of strings", "- lock.unlock", 1, "not a step"},
		{"list of lists", "- - action: a.b", 1, "list in a list"},
		{"null in a list", "- action: a.b\n-", 2, "not a step"},
		{"does nothing", "- delay: 5\n- stop: x", 1, "makes the home do anything"},
		{"off", "action: a.b\nenabled: false", 1, "switched off"},
		{"off as a word", "- delay: 5\n- action: a.b\n  enabled: \"off\"", 2, "switched off"},
		{"secret", "action: lock.unlock\ndata:\n  code: !secret front", 3, "`!secret` works only in Home Assistant's own files: write the value here or use a script"},
		{"input", "action: lock.unlock\ndata:\n  code: !input front", 3, "`!input`"},
		{"include", "action: lock.unlock\ndata: !include data.yaml", 2, "`!include`"},
		{"tag of a mapping", "action: a.b\ndata: !thing {a: 1}", 2, "`!thing`"},
		{"binary", "action: a.b\ndata: {a: !!binary aGk=}", 2, "`!!binary`"},
		{"wrong tag", "action: a.b\ndata: {a: !!int abc}", 2, "`!!int`"},
		{"two documents", "action: a.b\n---\naction: a.c", 2, "second document"},
		{"broken second document", "action: a.b\n---\n[", 3, "YAML"},
		{"doubled key", "action: a.b\ndata:\n  x: 1\n  x: 2", 4, "line 3"},
		{"tab", "action: a.b\ndata:\n\tx: 1", 3, "tab"},
		{"not closed", "action: a.b\ndata: {x: 1", 2, "YAML"},
		{"quote not closed", "action: a.b\ndata: {x: \"1}", 2, "YAML"},
		{"colon in a value", "action: a.b\ndata: x: 1", 2, "YAML"},
		{"unknown anchor", "action: a.b\ndata: *x", 2, "`*x`"},
		{"template without quotes", "action: a.b\ndata:\n  x: {{ y }}", 3, "quotes"},
		{"not UTF-8", "action: a.b\ndata: {x: \"\xff\"}", 2, "UTF-8"},
		{"control", "action: a.b\ndata: {x: \"\x00\"}", 2, "invisible"},
		{"too long", "action: a.b # " + strings.Repeat("x", MaxDefinition), 0, "too long"},
		{"deep", "action: a.b\ndata: {x: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "}", 2, "deep"},
		{"deeper", "action: a.b\ndata: {x: " + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + "}", 0, ""},
		{"deep by aliases", deep + "action: a.b", 2, "deep"},
		{"bomb", bomb + "action: a.b", 4, "too many values"},
		{"in itself", "action: a.b\ndata: &x {y: *x}", 2, "inside of what it repeats"},
		{"merged with a value", "action: a.b\n<<: 5", 2, "<<"},
		{"leading zero", "action: lock.unlock\ndata:\n  code: 0042", 3, "quotes around 0042"},
		{"infinite", "action: a.b\ndata: {x: .inf}", 2, "number"},
		{"too large", "action: a.b\ndata: {x: 1e999}", 2, "too large"},
		{"automation", "alias: x\ntriggers: []\nactions:\n- action: a.b", 2, "automation"},
		{"older automation", "trigger: []\naction:\n- service: a.b", 1, "automation"},
		{"named script", "open_up:\n  alias: Open\n  sequence:\n  - action: a.b", 1, "`action: script.open_up`"},
		{"questions", "fields:\n  who: {}\nsequence:\n- action: a.b", 1, "questions"},
		{"empty sequence", "sequence: []", 1, "empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse(tt.yaml)
			var bad *BadInput
			if !errors.As(err, &bad) {
				t.Fatalf("got %+v, %v", d, err)
			}
			if bad.Field != "definition" || tt.line != 0 && bad.Line != tt.line || !strings.Contains(bad.Message, tt.says) {
				t.Errorf("got %v; want line %d and %q", err, tt.line, tt.says)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n",
		"- service: light.turn_on\n  data: {entity_id: [light.a, light.b]}\n- delay: 5\n",
		"sequence:\n  - if: []\n    then:\n      - parallel:\n          - scene: scene.x\n",
		"a: &a [*a]", "<<: {action: a.b}", "? [x]\n: y", "action: a.b\ndata: {x: !secret y}",
		"- choose: {sequence: {action: a.b}}\n  default: x", "repeat: 5", "\x00", "--- |\n", "action: a.b\ndata: {1: 2, 0x1: 3, .5: 4}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Parse(s)
		if err != nil {
			var bad *BadInput
			if !errors.As(err, &bad) || bad.Field != "definition" || bad.Message == "" || bad.Line < 0 || bad.Line > strings.Count(s, "\n")+strings.Count(s, "\r")+1 {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatalf("not for JSON: %v", err)
		}
		if len(d.Steps) == 0 || d.LineAt(0) < 1 || d.Kind == "" || d.Confirm == "" {
			t.Fatalf("incomplete: %+v", d)
		}
		for _, c := range d.Calls {
			if c.Line < 1 || c.Name() == "" && !c.Templated {
				t.Fatalf("call %+v", c)
			}
		}
		if d.Single != nil && (d.Single.Templated || len(d.Calls) != 1) {
			t.Fatalf("single %+v", d.Single)
		}
	})
}

package homes

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
	texts "github.com/caddy-hass/caddy-hass/internal/words"
)

func TestCheck(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		w.setArea(t, "lock.garden_gate", "kitchen")
		t.Cleanup(func() { w.setArea(t, "lock.garden_gate", "") })
		admin, user := w.home(t, w.admin), w.home(t, w.user)
		for _, tt := range []struct {
			name, yaml string
			line       int
			says       string // "" where it is fine
			userSays   string // where an ordinary user is told something else
		}{
			{"front door", openFront, 0, "", ""},
			{"older form", "service: lock.unlock\ndata:\n  entity_id: lock.front_door\n  code: '1'", 0, "", ""},
			{"several", "action: lock.unlock\ntarget:\n  entity_id: [lock.front_door, lock.kitchen_door]", 0, "", ""},
			{"all", "action: lock.unlock\ntarget:\n  entity_id: all", 0, "", ""},
			{"area", gateByArea, 0, "", ""},
			{"script", openUp, 0, "", ""},
			{"script with data", "action: script.notify_host\ndata: {title: x, whatever: y}", 0, "", ""},
			{"script by its entity", "action: script.turn_on\ntarget: {entity_id: script.open_front_door}\ndata: {variables: {a: 1}}", 0, "", ""},
			{"field of a section", "action: light.turn_on\ntarget: {entity_id: light.bed_light}\ndata: {color_name: red}", 0, "", ""},
			{"without target", "action: persistent_notification.create\ndata: {message: x}", 0, "", ""},
			{"generic", "action: homeassistant.turn_on\ntarget: {entity_id: light.bed_light}\ndata: {brightness: 5}", 0, "", ""},
			{"note", "alias: x\n" + openFront + "metadata: {}", 0, "", ""},

			{"sequence", twoSteps, 0, "", needsAdmin},
			{"event", "event: x", 0, "", needsAdmin},
			{"template", "action: lock.unlock\ntarget: {entity_id: \"{{ 'lock.front_door' }}\"}", 0, "", needsAdmin},
			{"template in data", "action: light.turn_on\ntarget: {entity_id: light.bed_light}\ndata: {brightness: \"{{ 5 }}\"}", 0, "", needsAdmin},
			{"administrators only", "action: homeassistant.check_config", 0, "", "only administrators"},

			{"missing service", "action: lock.unlok\ntarget: {entity_id: lock.front_door}", 1, "did you mean `lock.unlock`?", ""},
			{"missing domain", "action: nothing.at_all", 1, "no action `nothing.at_all`", ""},
			{"service of a domain", "action: lock.something_else\ntarget: {entity_id: lock.front_door}", 1, "of `lock` there are lock, open, unlock", ""},
			{"missing script", "action: script.open_frontdoor", 1, "did you mean `open_front_door`?", ""},
			{"missing entity", "action: lock.unlock\ntarget:\n  entity_id: lock.frontdoor", 3, "no entity `lock.frontdoor`: did you mean `lock.front_door`?", ""},
			{"second entity", "action: lock.unlock\ntarget:\n  entity_id:\n    - lock.front_door\n    - lock.nope", 5, "no entity `lock.nope`", ""},
			{"no entity id", "action: lock.unlock\ntarget:\n  entity_id: Front door", 3, "`front door` is not an entity id", ""},
			{"missing area", "action: lock.unlock\ntarget:\n  area_id: nowhere", 3, "no area `nowhere`", ""},
			{"area by name", "action: lock.unlock\ntarget:\n  area_id: Kitchen", 3, "its `area_id` is `kitchen`", ""},
			{"missing device", "action: lock.unlock\ntarget:\n  device_id: nope", 3, "no device `nope`", ""},
			{"missing floor", "action: lock.unlock\ntarget:\n  floor_id: nope", 3, "no floor `nope`", ""},
			{"missing label", "action: lock.unlock\ntarget:\n  label_id: nope", 3, "no label `nope`", ""},
			{"empty area", "action: lock.unlock\ntarget:\n  area_id: bedroom", 1, "holds nothing that it acts on", ""},
			{"wrong domain", "action: lock.unlock\ntarget:\n  entity_id: light.bed_light", 3, "it acts on entities of `lock`", ""},
			{"not able", "action: lock.open\ntarget:\n  entity_id: lock.front_door", 3, "`lock.front_door` cannot do `lock.open`", ""},
			{"able", "action: lock.open\ntarget:\n  entity_id: lock.openable_lock", 0, "", ""},
			{"no target", "action: lock.unlock", 1, "needs a `target:`", ""},
			{"no target, generic", "action: homeassistant.turn_on", 1, "needs a `target:`", ""},
			{"unknown field", "action: lock.unlock\ntarget: {entity_id: lock.front_door}\ndata:\n  cod: 1", 4, "no field `cod`: did you mean `code`?", ""},
			{"required field", "action: persistent_notification.create\ndata: {title: x}", 1, "needs the field `message`", ""},
			{"returns nothing", openFront + "response_variable: x", 1, "returns nothing", ""},
			{"unknown word", openFront + "targets: x", 4, "`targets`", needsAdmin},
			{"delay", "- action: light.turn_on\n  target: {entity_id: light.bed_light}\n- delay: soon", 3, "`delay`", needsAdmin},
			{"unknown device", "- delay: 1\n- device_id: abc\n  domain: lock\n  type: unlock", 2, "Unknown device 'abc'", needsAdmin},
			{"mistake in a template", "- action: lock.unlock\n  target: {entity_id: lock.front_door}\n- action: light.turn_on\n  data:\n    brightness: \"{{ 1 + \"", 5, "template", needsAdmin},
			{"target it does not take", "action: notify.notify\ndata: {message: x}\ntarget: {entity_id: light.bed_light}", 1, "takes no `target:`", ""},
			{"target in data that it does not take", "action: notify.notify\ndata:\n  message: x\n  entity_id: light.bed_light", 4, "no field `entity_id`", ""},
			{"deep", "- if: []\n  then:\n    - action: lock.unlock\n      target:\n        entity_id: lock.nope", 5, "no entity `lock.nope`", needsAdmin},
		} {
			t.Run(tt.name, func(t *testing.T) {
				if tt.name == "unknown device" && w.memory != nil {
					t.Skip("the home in memory takes any device")
				}
				d := parse(t, tt.yaml)
				verdict(t, admin, d, tt.line, tt.says)
				switch tt.userSays {
				case "":
					verdict(t, user, d, tt.line, tt.says)
				default:
					verdict(t, user, d, -1, tt.userSays)
				}
			})
		}
	})
}

// verdict checks what a home says of a definition; line -1: whatever the line.
func verdict(t *testing.T, h *home, d *onetime.Definition, line int, says string) {
	t.Helper()
	warnings, err := h.Check(t.Context(), d)
	if says == "" {
		if err != nil || len(warnings) > 0 {
			t.Errorf("refused: %v, %q", err, warnings.Texts())
		}
		return
	}
	var no *onetime.BadInput
	if !errors.As(err, &no) {
		t.Fatalf("got %v, want a BadInput with %q", err, says)
	}
	if no.Field != "definition" || line >= 0 && no.Line != line || !strings.Contains(no.Message, says) {
		t.Errorf("got %v; want line %d and %q", no, line, says)
	}
	if no.Said != nil {
		l := texts.Get("en")
		if key := "check." + no.Said.Key; !l.Has(key) || strings.Contains(l.T(key, no.Said.Args...), "{") {
			t.Errorf("%q is said to readers as %q", no.Message, l.T(key, no.Said.Args...))
		}
	}
}

func TestCheckTellsOrdinaryUsersWhatToDo(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		_, err := w.home(t, w.user).Check(t.Context(), parse(t, twoSteps))
		var no *onetime.BadInput
		want := "Save this sequence as a script in Home Assistant and use `action: script.<name>`: no administrator needed."
		if !errors.As(err, &no) || no.Message != want {
			t.Errorf("got %v", err)
		}
	})
}

func TestCheckWarnsOfAFlatBattery(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		h := w.home(t, w.user)
		flatGate(t, w, h.client)
		for _, yaml := range []string{openGate, "action: lock.unlock\ntarget: {entity_id: [lock.front_door, lock.garden_gate]}"} {
			warnings, err := h.Check(t.Context(), parse(t, yaml))
			if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].Error(), "`lock.garden_gate` is unavailable right now") {
				t.Errorf("%s: %v, %q", yaml, err, warnings.Texts())
			}
		}
	})
}

// flatGate takes the garden gate's battery out for the length of a test.
func flatGate(t *testing.T, w *world, c *hassclient.Client) {
	t.Helper()
	t.Cleanup(func() { w.do(t, c, "input_boolean", "turn_on", "input_boolean.gate_battery") })
	w.do(t, c, "input_boolean", "turn_off", "input_boolean.gate_battery")
	gate := func() bool {
		states, err := c.States(t.Context(), "lock.garden_gate")
		return err == nil && states["lock.garden_gate"].State == "unavailable"
	}
	until(t, "the gate to be unavailable", gate)
}

func TestCheckWithoutAHome(t *testing.T) {
	c, err := hassclient.New(hassclient.Config{URL: "http://127.0.0.1:1", Token: func() (string, error) { return "x", nil }})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	defer c.Close()
	h := homeOf(t, c)
	until(t, "the first attempt to fail", func() bool { return c.Status().Err != nil })
	if _, err := h.Check(t.Context(), parse(t, openFront)); !errors.Is(err, onetime.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if h.Reachable() {
		t.Error("reachable")
	}
	if n := h.Ready(t.Context(), parse(t, openFront)); n == nil || n.Cause != onetime.CauseUnreachable || n.Message == "" {
		t.Errorf("ready: %+v", n)
	}
	if a := h.Run(t.Context(), parse(t, openFront)); a.Outcome != onetime.OutcomeNotSent || a.Cause != onetime.CauseUnreachable {
		t.Errorf("run: %+v", a)
	}
}

func TestAcquireUnknownHome(t *testing.T) {
	hs := New(func(string) (*hassclient.Client, func(), error) {
		return nil, nil, errors.New("no home is called cabin")
	})
	if _, _, err := hs.Acquire("cabin"); !errors.Is(err, onetime.ErrNoHome) || !strings.Contains(err.Error(), "cabin") {
		t.Errorf("got %v", err)
	}
}

func TestSplitPath(t *testing.T) {
	for message, want := range map[string]string{
		"not a valid option at '[1].then[0].bar'":                                          "not a valid option|1 then 0 bar",
		"offset x should be format 'HH:MM', 'HH:MM:SS' or 'HH:MM:SS.F' at '[0].delay'":     "offset x should be format 'HH:MM', 'HH:MM:SS' or 'HH:MM:SS.F'|0 delay",
		"extra keys not allowed @ data[0]['then'][1]['foo']. Got 'x'":                      "extra keys not allowed|0 then 1 foo",
		"not a valid value for dictionary value @ data[0]['target']['entity_id']. Got 'x'": "not a valid value|0 target entity_id",
		"Unknown device 'abc'":                "Unknown device 'abc'|",
		"Unable to determine action at '[0]'": "Unable to determine action|0",
	} {
		text, path := splitPath(message)
		words := make([]string, len(path))
		for i, p := range path {
			words[i] = fmt.Sprint(p)
		}
		if got := text + "|" + strings.Join(words, " "); got != want {
			t.Errorf("%q: got %q, want %q", message, got, want)
		}
	}
}

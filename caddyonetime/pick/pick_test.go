package pick

import (
	"errors"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

var house = []Entity{
	{ID: "light.hall", Name: "Hall lamp", Area: "Hallway", State: "off"},
	{ID: "button.restart", Name: "A restart", Device: "Gateway", Minor: true},
	{ID: "lock.front_door", Name: "Haustür", Area: "Hallway", Device: "Nuki", State: "locked"},
	{ID: "cover.garage", Name: "Garage", State: "closed"},
}

func ids(entities []Entity) (list []string) {
	for _, e := range entities {
		list = append(list, e.ID)
	}
	return list
}

func TestSearchByNameAreaDeviceAndState(t *testing.T) {
	Sort(house)
	for q, want := range map[string][]string{
		"":             {"lock.front_door", "cover.garage", "light.hall", "button.restart"},
		"HAUSTUR":      {"lock.front_door"},
		"front door":   {"lock.front_door"},
		"hall":         {"light.hall", "lock.front_door"}, // its name before the area
		"nuki hallway": {"lock.front_door"},
		"gateway":      {"button.restart"},
		"closed":       {"cover.garage"},
		"nothing":      nil,
	} {
		got := ids(Search(house, q))
		if len(got) != len(want) {
			t.Errorf("%q finds %v, want %v", q, got, want)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%q finds %v, want %v", q, got, want)
			}
		}
	}
}

func TestLikelyChoicesFirst(t *testing.T) {
	choices := []Choice{{Action: "lock.lock"}, {Action: "lock.unlock"}, {Action: "lock.open"}}
	SortChoices(choices)
	if choices[0].Action != "lock.open" || choices[1].Action != "lock.unlock" {
		t.Errorf("%v", choices)
	}
}

// What comes out has to be what was meant, as Home Assistant's YAML 1.1 reads it.
func TestDefinitionOfAChoice(t *testing.T) {
	top := 100.0
	c := &Choice{Action: "light.turn_on", Fields: []Field{
		{Name: "code", Kind: Secret}, {Name: "brightness_pct", Kind: Number, Max: &top},
		{Name: "flash", Kind: Select, Options: []Option{{Value: "short"}, {Value: "on"}}},
		{Name: "rgb_color", Kind: Colour}, {Name: "at", Kind: Time}, {Name: "really", Kind: Boolean},
		{Name: "extra", Kind: YAML}, {Name: "note", Kind: Lines}, {Name: "modes", Kind: Select, Multiple: true, Custom: true},
	}}
	text, err := Definition(c, "light.hall", map[string][]string{
		"code": {"0123"}, "brightness_pct": {"50"}, "flash": {"on"}, "rgb_color": {"#ff8000"}, "at": {"07:30"},
		"really": {"false"}, "extra": {"a: [1, two]"}, "note": {"one\r\ntwo: {{ no }}"}, "modes": {"x", "y"}, "other": {"is not asked for"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `action: light.turn_on
target:
  entity_id: light.hall
data:
  code: "0123"
  brightness_pct: 50
  flash: "on"
  rgb_color: [255, 128, 0]
  at: "07:30:00"
  really: false
  extra:
    a: [1, two]
  note: |-
    one
    two: {{ no }}
  modes:
    - x
    - "y"
`
	if text != want {
		var a, b any
		yaml.Unmarshal([]byte(text), &a)
		yaml.Unmarshal([]byte(want), &b)
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if _, err := onetime.Parse(text); err != nil {
		t.Error(err)
	}
}

func TestDefinitionRefuses(t *testing.T) {
	least := 1.0
	fields := []Field{
		{Name: "code", Kind: Text, Required: true}, {Name: "n", Kind: Number, Min: &least},
		{Name: "s", Kind: Select, Options: []Option{{Value: "a"}}}, {Name: "y", Kind: YAML}, {Name: "c", Kind: Colour},
	}
	for field, values := range map[string]map[string][]string{
		"code": {"code": {" "}},
		"n":    {"code": {"1"}, "n": {"0"}},
		"s":    {"code": {"1"}, "s": {"b"}},
		"y":    {"code": {"1"}, "y": {"a: ["}},
		"c":    {"code": {"1"}, "c": {"red"}},
	} {
		_, err := Definition(&Choice{Action: "lock.open", Fields: fields}, "lock.front", values)
		var bad *onetime.BadInput
		if !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("%v: %v, want a mistake in %s", values, err, field)
		}
	}
	text, err := Definition(&Choice{Action: "script.open_up", Untargeted: true}, "script.open_up", nil)
	if err != nil || text != "action: script.open_up\n" {
		t.Errorf("%q %v", text, err)
	}
}

// Package pick is about choosing, out of all that a home has and can do, what a
// guest may do: which things there are, what each can do, what has to be said
// about it, and the action's YAML that comes of the choice.
//
// It knows no Home Assistant: a [Home] is asked through an adapter.
package pick

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode"
)

// Picker asks homes by name. Its errors are onetime.ErrNoHome,
// onetime.ErrUnreachable, and onetime.ErrNotFound for an entity that the home
// does not have.
type Picker interface {
	// Entities are the things of a home that can be made to do something.
	Entities(ctx context.Context, home string) ([]Entity, error)

	// Choices are what one of them can do, the likeliest first. Names and
	// descriptions are in the language, a BCP 47 tag, as far as the home
	// speaks it.
	Choices(ctx context.Context, home, entity, language string) (*Entity, []Choice, error)
}

// Entity is a thing in a home.
type Entity struct {
	ID        string `json:"entity_id"`
	Name      string `json:"name"`
	Area      string `json:"area,omitempty"`
	Device    string `json:"device,omitempty"`
	State     string `json:"state"` // Home Assistant's word: "locked", "21.5 °C"
	Available bool   `json:"available"`

	// Minor is one for settings and diagnosis: nobody's first choice.
	Minor bool `json:"minor,omitempty"`
}

// Domain is what kind of thing it is: "lock".
func (e *Entity) Domain() string {
	domain, _, _ := strings.Cut(e.ID, ".")
	return domain
}

// Choice is something an entity can do.
type Choice struct {
	Action      string  `json:"action"` // "lock.unlock"
	Title       string  `json:"title"`
	Description string  `json:"description,omitempty"`
	Fields      []Field `json:"fields"`

	// Untargeted says that it needs no target: a script under its own name.
	Untargeted bool `json:"untargeted,omitempty"`
}

// Kind is how a field is asked for.
type Kind string

const (
	Text     Kind = "text"
	Lines    Kind = "lines" // text over several lines
	Secret   Kind = "secret"
	Number   Kind = "number"
	Boolean  Kind = "boolean"
	Select   Kind = "select"
	Date     Kind = "date"
	Time     Kind = "time"
	DateTime Kind = "datetime"
	Duration Kind = "duration" // seconds, or hh:mm:ss
	Colour   Kind = "colour"   // #rrggbb
	YAML     Kind = "yaml"     // whatever else, as YAML
)

// Field is something to be said about a choice.
type Field struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Required    bool     `json:"required"`
	Kind        Kind     `json:"kind"`
	Options     []Option `json:"options,omitempty"`
	Multiple    bool     `json:"multiple,omitempty"` // of the options
	Custom      bool     `json:"custom,omitempty"`   // others than the options, too
	Min         *float64 `json:"min,omitempty"`
	Max         *float64 `json:"max,omitempty"`
	Step        *float64 `json:"step,omitempty"` // nil: any
	Unit        string   `json:"unit,omitempty"`
}

// Option is one of the values that a field can have.
type Option struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// likely are the kinds of things that guests are let use, likeliest first.
var likely = []string{"lock", "cover", "valve", "button", "input_button", "script", "scene", "switch", "light", "input_boolean", "climate", "media_player", "alarm_control_panel", "vacuum", "fan"}

func rank(list []string, s string) int {
	if i := slices.Index(list, s); i >= 0 {
		return i
	}
	return len(list)
}

// Sort puts the likeliest first.
func Sort(entities []Entity) {
	slices.SortStableFunc(entities, func(a, b Entity) int {
		if a.Minor != b.Minor {
			if a.Minor {
				return 1
			}
			return -1
		}
		return cmp.Or(
			cmp.Compare(rank(likely, a.Domain()), rank(likely, b.Domain())),
			strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)),
			strings.Compare(a.ID, b.ID))
	})
}

// likelyVerbs are what guests are let do, likeliest first.
var likelyVerbs = []string{"open", "open_cover", "open_valve", "unlock", "press", "turn_on", "toggle", "start", "trigger"}

// SortChoices puts the likeliest first.
func SortChoices(choices []Choice) {
	verb := func(c Choice) int {
		if c.Untargeted {
			return -1
		}
		_, v, _ := strings.Cut(c.Action, ".")
		return rank(likelyVerbs, v)
	}
	slices.SortStableFunc(choices, func(a, b Choice) int {
		return cmp.Or(cmp.Compare(verb(a), verb(b)), strings.Compare(a.Action, b.Action))
	})
}

// Search finds the entities in whose name, area, device, state or id every word
// of q occurs, case and accents aside. Their order stays, but those whose name
// has it all come first.
func Search(entities []Entity, q string) []Entity {
	words := strings.Fields(fold(q))
	if len(words) == 0 {
		return entities
	}
	has := func(text string) bool {
		for _, w := range words {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	}
	var byName, others []Entity
	for _, e := range entities {
		switch {
		case has(fold(e.Name)):
			byName = append(byName, e)
		case has(fold(strings.Join([]string{e.Name, e.Area, e.Device, e.ID, e.State}, "\n"))):
			others = append(others, e)
		}
	}
	return append(byName, others...)
}

// fold makes texts comparable that people would say are the same.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if base, ok := plain[r]; ok {
			return base
		}
		if r == '_' {
			return ' '
		}
		return r
	}, strings.Map(unicode.ToLower, s))
}

// plain are letters without the marks that people leave out when they search.
var plain = func() map[rune]rune {
	m := map[rune]rune{}
	for base, marked := range map[rune]string{
		'a': "àáâãäåāăą", 'c': "çćĉċč", 'd': "ďđ", 'e': "èéêëēĕėęě", 'g': "ĝğġģ", 'i': "ìíîïĩīĭįı", 'l': "ĺļľł",
		'n': "ñńņň", 'o': "òóôõöøōŏő", 'r': "ŕŗř", 's': "śŝşšș", 't': "ţťț", 'u': "ùúûüũūŭůűų", 'y': "ýÿ", 'z': "źżž",
	} {
		for _, r := range marked {
			m[r] = base
		}
	}
	return m
}()

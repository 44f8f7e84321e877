package homes

import (
	"errors"
	"slices"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/pick"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

func (w *world) picker(t *testing.T, token string) *picker {
	c := client(t, w.url, token)
	return NewPicker(func(name string) (*hassclient.Client, func(), error) {
		if name != onetime.DefaultHome {
			return nil, nil, errors.New("there is only one")
		}
		return c, func() {}, nil
	}).(*picker)
}

// An ordinary user's token finds and describes everything: see design.md, 5.
func TestPickingNeedsNoAdministrator(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		w.setArea(t, "lock.garden_gate", "kitchen")
		t.Cleanup(func() { w.setArea(t, "lock.garden_gate", "") })
		p := w.picker(t, w.user)
		all, err := p.Entities(t.Context(), onetime.DefaultHome)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"garden gate", "kitchen garden", "lock.garden_gate"} {
			found := pick.Search(all, q)
			if len(found) != 1 || found[0].ID != "lock.garden_gate" || found[0].Area != "Kitchen" || !found[0].Available {
				t.Errorf("%q finds %+v", q, found)
			}
		}
		if all[0].Domain() != "lock" {
			t.Errorf("%s comes first", all[0].ID)
		}
		for _, e := range all {
			if e.Domain() == "sensor" || e.Domain() == "zone" || e.Domain() == "notify" {
				t.Errorf("%s can do nothing that a guest wants", e.ID)
			}
		}

		e, choices, err := p.Choices(t.Context(), onetime.DefaultHome, "lock.openable_lock", "en")
		if err != nil {
			t.Fatal(err)
		}
		if e.State == "" || len(choices) < 3 || choices[0].Action != "lock.open" || choices[1].Action != "lock.unlock" {
			t.Errorf("%+v %+v", e, choices)
		}
		if len(choices[0].Fields) != 0 {
			t.Errorf("a lock that takes no code is asked for one: %+v", choices[0].Fields)
		}
		if _, choices, err = p.Choices(t.Context(), onetime.DefaultHome, "lock.front_door", "en"); err != nil {
			t.Fatal(err)
		}
		for _, c := range choices {
			if c.Action == "lock.open" {
				t.Error("a lock that cannot pull its latch is offered to")
			}
		}

		// Its definition is one that the home takes.
		h := w.home(t, w.user)
		_, choices, err = p.Choices(t.Context(), onetime.DefaultHome, "light.bed_light", "de")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(choices, func(c pick.Choice) bool { return c.Action == "light.turn_on" })
		text, err := pick.Definition(&choices[i], "light.bed_light", map[string][]string{"brightness_pct": {"40"}, "rgb_color": {"#ff8800"}})
		if err != nil {
			t.Fatal(err)
		}
		d, err := onetime.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if warnings, err := h.Check(t.Context(), d); err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", text, warnings.Texts(), err)
		}

		// A script goes by its own name, with its own fields.
		_, choices, err = p.Choices(t.Context(), onetime.DefaultHome, "script.open_front_door", "en")
		if err != nil || len(choices) != 1 || choices[0].Action != "script.open_front_door" || !choices[0].Untargeted {
			t.Errorf("%+v %v", choices, err)
		}

		if _, _, err := p.Choices(t.Context(), onetime.DefaultHome, "lock.nowhere", "en"); !errors.Is(err, onetime.ErrNotFound) {
			t.Errorf("an entity that is not there: %v", err)
		}
		if _, err := p.Entities(t.Context(), "cabin"); !errors.Is(err, onetime.ErrNoHome) {
			t.Errorf("a home that is not there: %v", err)
		}
	})
}

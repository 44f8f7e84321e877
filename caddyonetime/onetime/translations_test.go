package onetime_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

const lightYAML = "action: light.turn_on\ntarget:\n  entity_id: light.hall\n"

func TestTranslations(t *testing.T) {
	w := newWorld(t)
	a := &onetime.Action{Name: "gate", Title: "Open the gate", Done: "Push.", Definition: lightYAML, Translations: map[string]onetime.Translation{
		"DE_at": {Title: " Tor öffnen "}, "zh-hant": {Title: "開門", Done: "請推"}, "ca": {Done: "Empenyeu."},
	}}
	saved, _, err := w.SaveAction(t.Context(), anna, a, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Translations["DE_at"]; !ok {
		t.Error("the caller's own map was changed")
	}
	want := map[string]onetime.Translation{"de-AT": {Title: "Tor öffnen"}, "zh-Hant": {Title: "開門", Done: "請推"}, "ca": {Done: "Empenyeu."}}
	w.reopen()
	kept, err := w.Action(t.Context(), "gate")
	if err != nil || !maps.Equal(saved.Translations, want) || !maps.Equal(kept.Translations, want) {
		t.Errorf("saved %v, kept %v, %v", saved.Translations, kept.Translations, err)
	}
	if got := kept.Languages(); !slices.Equal(got, []string{"ca", "de-AT", "zh-Hant"}) {
		t.Error(got)
	}
	for tag, want := range map[string][2]string{
		"de-AT": {"Tor öffnen", "Push."}, "zh-Hant": {"開門", "請推"}, "ca": {"Open the gate", "Empenyeu."}, "fr": {"Open the gate", "Push."},
	} {
		if got := kept.In(tag); got.Title != want[0] || got.Done != want[1] {
			t.Errorf("%s: %q, %q", tag, got.Title, got.Done)
		}
	}
	if kept.Title != "Open the gate" || kept.Done != "Push." {
		t.Error("reading it in another language has changed it")
	}

	// A backup has them, too.
	var backup bytes.Buffer
	if err := w.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	w.action("gate", lightYAML)
	if err := w.Restore(t.Context(), anna, &backup, onetime.NewSigner(key)); err != nil {
		t.Fatal(err)
	}
	if back, err := w.Action(t.Context(), "gate"); err != nil || !maps.Equal(back.Translations, want) {
		t.Errorf("restored: %v, %v", back.Translations, err)
	}

	many := make(map[string]onetime.Translation)
	for c := 'A'; c <= 'Z'; c++ {
		for _, region := range []string{"DE", "AT", "CH"} {
			many["de-"+region+"-x-"+string(c)] = onetime.Translation{Title: "Auf"}
		}
	}
	for name, c := range map[string]struct {
		field string
		in    map[string]onetime.Translation
	}{
		"no language":      {"translations", map[string]onetime.Translation{"english": {Title: "x"}}},
		"unknown language": {"translations", map[string]onetime.Translation{"xx": {Title: "x"}}},
		"any language":     {"translations", map[string]onetime.Translation{"und": {Title: "x"}}},
		"no tag":           {"translations", map[string]onetime.Translation{"": {Title: "x"}}},
		"private":          {"translations", map[string]onetime.Translation{"x-mine": {Title: "x"}}},
		"long tag":         {"translations", map[string]onetime.Translation{"de-" + strings.Repeat("x-a-", 20) + "b": {Title: "x"}}},
		"twice":            {"translations", map[string]onetime.Translation{"de": {Title: "x"}, "DE": {Title: "y"}}},
		"many":             {"translations", many},
		"empty":            {"translations.de", map[string]onetime.Translation{"de": {Title: " "}}},
		"long title":       {"translations.de.title", map[string]onetime.Translation{"de": {Title: strings.Repeat("x", onetime.MaxTitle+1)}}},
		"long done":        {"translations.de.done", map[string]onetime.Translation{"de": {Done: strings.Repeat("x", onetime.MaxDone+1)}}},
		"control":          {"translations.de.title", map[string]onetime.Translation{"de": {Title: "a\x00b"}}},
		"no text":          {"translations.de.done", map[string]onetime.Translation{"de": {Done: "a\xff"}}},
	} {
		_, _, err := w.SaveAction(t.Context(), anna, &onetime.Action{Name: "gate", Definition: lightYAML, Translations: c.in}, 0)
		var bad *onetime.BadInput
		if !errors.As(err, &bad) || bad.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if again, _ := w.Action(t.Context(), "gate"); again.Revision != kept.Revision {
		t.Error("something that was refused has been saved")
	}
}

// A store of an older version has actions without translations.
func TestActionsOfOlderStoresHaveNoTranslations(t *testing.T) {
	w := newWorld(t)
	a, err := w.Action(t.Context(), "light")
	if err != nil || a.Translations != nil || len(a.Languages()) != 0 || a.In("de") != a {
		t.Errorf("%+v, %v", a, err)
	}
}

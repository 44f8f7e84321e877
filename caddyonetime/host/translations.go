package host

import (
	"errors"
	"maps"
	"slices"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// translations reads what an action says in other languages: an object from
// language tag to an object of texts.
func (m *members) translations(name string) map[string]onetime.Translation {
	raw, ok := m.get(name)
	if !ok {
		return nil
	}
	if raw[0] != '{' {
		m.wrong(name, `must be an object of texts by language, such as {"de":{"title":"…","done":"…"}}.`)
		return nil
	}
	languages, err := parseMembers(raw)
	if err != nil {
		m.inside(name, err)
		return nil
	}
	all := make(map[string]onetime.Translation, len(languages.raw))
	for _, tag := range slices.Sorted(maps.Keys(languages.raw)) {
		inside := name + "." + tag
		raw, _ := languages.get(tag)
		if raw[0] != '{' {
			m.wrong(inside, "must be an object with a title, a done, or both.")
			return nil
		}
		texts, err := parseMembers(raw)
		if err != nil {
			m.inside(inside, err)
			return nil
		}
		var t onetime.Translation
		t.Title, _ = texts.text("title", onetime.MaxTitle)
		t.Done, _ = texts.text("done", onetime.MaxDone)
		if err := texts.end(); err != nil {
			m.inside(inside, err)
			return nil
		}
		all[tag] = t
	}
	return all
}

// inside remembers a mistake in a member of a member.
func (m *members) inside(name string, err error) {
	if m.err != nil {
		return
	}
	var bad *onetime.BadInput
	if errors.As(err, &bad) {
		err = &onetime.BadInput{Field: name + "." + bad.Field, Message: bad.Message}
	}
	m.err = err
}

package onetime

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// Translation is what a guest reads of an action in another language. What is
// empty is said as the action itself says it.
type Translation struct {
	Title string `json:"title,omitempty"`
	Done  string `json:"done,omitempty"`
}

// MaxTranslations is how many languages an action can be translated into.
const MaxTranslations = 50

// maxTag is the length of a language tag, in bytes; RFC 5646, section 4.4.1,
// says that 35 are enough for each that means something.
const maxTag = 35

// In returns the action as somebody reads it in the language of the tag, one of
// those in Translations.
func (a *Action) In(tag string) *Action {
	t, ok := a.Translations[tag]
	if !ok {
		return a
	}
	said := *a
	if t.Title != "" {
		said.Title = t.Title
	}
	if t.Done != "" {
		said.Done = t.Done
	}
	return &said
}

// Languages are the tags of the action's translations, sorted.
func (a *Action) Languages() []string {
	tags := make([]string, 0, len(a.Translations))
	for tag := range a.Translations {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	return tags
}

// translated looks at the translations and writes their tags as RFC 5646 has
// them: "de-AT" for "DE_at".
func (a *Action) translated() error {
	if len(a.Translations) == 0 {
		a.Translations = nil
		return nil
	}
	if len(a.Translations) > MaxTranslations {
		return (&BadInput{Field: "translations", Message: fmt.Sprintf("are more than %d", MaxTranslations)}).Says("too_many", "n", MaxTranslations)
	}
	canonical := make(map[string]Translation, len(a.Translations))
	for _, as := range a.Languages() {
		t := a.Translations[as]
		tag, err := languageTag(as)
		if err != nil {
			return err
		}
		if _, twice := canonical[tag]; twice {
			return (&BadInput{Field: "translations", Message: fmt.Sprintf("has the language %q twice", tag)}).Says("twice", "name", tag)
		}
		t.Title, t.Done = strings.TrimSpace(t.Title), strings.TrimSpace(t.Done)
		if t == (Translation{}) {
			return (&BadInput{Field: "translations." + tag, Message: "says nothing: give it a title, a done, or leave the language out"}).Says("needed")
		}
		for _, text := range []struct {
			field, value string
			max          int
		}{{"title", t.Title, MaxTitle}, {"done", t.Done, MaxDone}} {
			if err := checkText("translations."+tag+"."+text.field, text.value, text.max, false); err != nil {
				return err
			}
		}
		canonical[tag] = t
	}
	a.Translations = canonical
	return nil
}

// languageTag reads a tag of a language that BCP 47 knows.
func languageTag(as string) (string, error) {
	if len(as) > maxTag {
		return "", (&BadInput{Field: "translations", Message: fmt.Sprintf("has a language tag of more than %d characters", maxTag)}).Says("choose")
	}
	tag, err := language.Parse(strings.TrimSpace(as))
	if base, _ := tag.Base(); err != nil || tag.IsRoot() || base.String() == "und" {
		return "", (&BadInput{Field: "translations", Message: fmt.Sprintf(`%q is not the tag of a language, such as "de", "pt-BR" or "zh-Hant"`, as)}).Says("choose")
	}
	return tag.String(), nil
}

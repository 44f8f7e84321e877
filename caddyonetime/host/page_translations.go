package host

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// translationRow is one language in the form of an action. A form has a row for
// each language there is, and some that wait for one.
type translationRow struct{ Tag, Title, Done string }

// NameOf is what the language of a tag is called.
func (page) NameOf(tag string) string { return words.NameOf(tag) }

// spareRows is how many languages can be added at once where no script adds
// more rows.
const spareRows = 2

// maxRows bounds what is read of a form.
const maxRows = onetime.MaxTranslations + spareRows

// translationRows reads what the form says, as it was written.
func translationRows(f url.Values) []translationRow {
	tags, titles, dones := f["t.lang"], f["t.title"], f["t.done"]
	var rows []translationRow
	for i := range min(len(tags), len(titles), len(dones), maxRows) {
		row := translationRow{Tag: tags[i], Title: strings.TrimSpace(titles[i]), Done: strings.TrimSpace(dones[i])}
		if row.Title != "" || row.Done != "" {
			rows = append(rows, row)
		}
	}
	return rows
}

// translationsOf are those rows as an action has them.
func translationsOf(rows []translationRow) (map[string]onetime.Translation, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	all := make(map[string]onetime.Translation, len(rows))
	for _, row := range rows {
		if row.Tag == "" {
			return nil, badField("translations", "choose the language of %q.", row.Title+row.Done).Says("choose_language", "text", row.Title+row.Done)
		}
		if _, twice := all[row.Tag]; twice {
			return nil, badField("translations", "%s is there twice.", words.NameOf(row.Tag)).Says("twice", "name", words.NameOf(row.Tag))
		}
		all[row.Tag] = onetime.Translation{Title: row.Title, Done: row.Done}
	}
	return all, nil
}

// rowsOf are the rows of an action's own translations.
func rowsOf(a *onetime.Action) []translationRow {
	var rows []translationRow
	for _, tag := range a.Languages() {
		rows = append(rows, translationRow{Tag: tag, Title: a.Translations[tag].Title, Done: a.Translations[tag].Done})
	}
	return rows
}

// addRows adds the rows to the parameters of an address.
func addRows(v url.Values, rows []translationRow) {
	for _, row := range rows {
		v.Add("t.lang", row.Tag)
		v.Add("t.title", row.Title)
		v.Add("t.done", row.Done)
	}
}

// languageChoice is a language that texts can be written in.
type languageChoice struct{ Tag, Name string }

// languageChoices are the languages that pages are in and no row is, by name.
func languageChoices(rows []translationRow) []languageChoice {
	var choices []languageChoice
	for _, l := range words.All() {
		if !slices.ContainsFunc(rows, func(row translationRow) bool { return row.Tag == l.Tag() }) {
			choices = append(choices, languageChoice{Tag: l.Tag(), Name: l.Name()})
		}
	}
	slices.SortFunc(choices, func(a, b languageChoice) int { return strings.Compare(a.Name, b.Name) })
	return choices
}

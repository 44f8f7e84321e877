package words

import (
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/text/feature/plural"
)

// TestCatalogues finds messages that a language lacks or has too many of, and
// those whose placeholders or plural forms do not fit.
func TestCatalogues(t *testing.T) {
	for _, file := range catalogues {
		english := catalogue(t, fallback, file)
		for _, l := range All() {
			if l.Tag() == fallback {
				continue
			}
			other := catalogue(t, l.Tag(), file)
			for key, m := range english {
				o, ok := other[key]
				if !ok {
					t.Errorf("%s/%s: %q is missing", l.Tag(), file, key)
					continue
				}
				if want, got := values(m), values(o); !slices.Equal(want, got) {
					t.Errorf("%s/%s: %q has the places %v, English has %v", l.Tag(), file, key, got, want)
				}
				if m.plural != o.plural {
					t.Errorf("%s/%s: %q: plural forms in one of the languages only", l.Tag(), file, key)
				}
			}
			for key := range other {
				if _, ok := english[key]; !ok {
					t.Errorf("%s/%s: %q is not in English", l.Tag(), file, key)
				}
			}
		}
	}
	for _, l := range All() {
		needed := map[plural.Form]int{}
		for n := range 1000 {
			needed[plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)] = n
		}
		for key, m := range l.messages() {
			if !m.plural {
				continue
			}
			for form, n := range needed {
				if m.forms[form] == nil {
					t.Errorf("%s: %q has no plural form for %d", l.Tag(), key, n)
				}
			}
			for form, p := range m.forms {
				// "other" is always there: fractions take it.
				if _, used := needed[plural.Form(form)]; p != nil && !used && plural.Form(form) != plural.Other {
					t.Errorf("%s: %q has a plural form that the language does not know", l.Tag(), key)
				}
			}
		}
		for key, m := range l.messages() {
			for _, p := range m.forms {
				for i := 0; i < len(p); i += 2 {
					if strings.Contains(p[i], "'") || strings.Contains(p[i], "  ") || strings.Contains(p[i], "...") {
						t.Errorf("%s: %q: %q: a typewriter's apostrophe, dots or double space", l.Tag(), key, p[i])
					}
				}
			}
		}
	}
}

func catalogue(t *testing.T, tag, file string) map[string]message {
	t.Helper()
	out := map[string]message{}
	raw, err := fs.ReadFile(locales, path.Join("locales", tag, file))
	if err != nil {
		return out
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		t.Fatalf("%s/%s: %v", tag, file, err)
	}
	for key, raw := range entries {
		m, err := parseMessage(raw)
		if err != nil {
			t.Fatalf("%s/%s: %q: %v", tag, file, key, err)
		}
		out[key] = m
	}
	return out
}

// alternatives are values of which a message gets both and says what suits the
// language: German quotes a title where English puts it into the sentence.
var alternatives = map[string]string{"verb": "title"}

// values are the placeholders of all forms together; {n} may be missing in
// some form ("once more").
func values(m message) []string {
	var all []string
	for _, p := range m.forms {
		for _, name := range p.names() {
			if same, ok := alternatives[name]; ok {
				name = same
			}
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestCatalogueMistakesAreFound(t *testing.T) {
	good := `{"name":"n","dir":"ltr","clock":"{h}","am":"a","pm":"p","yesterday":"y","today":"t","tomorrow":"m","date":"d","date_year":"d",
		"at_yesterday":"y","at_today":"t","at_tomorrow":"m","at_date":"d","at_date_year":"d","seconds":"s","minutes":"m","hours":"h",
		"hours_minutes":"hm","days":"d","days_hours":"dh","weekdays":["a","b","c","d","e","f","g"],
		"months":["a","b","c","d","e","f","g","h","i","j","k","l"]}`
	for name, c := range map[string]struct{ locale, guest, host string }{
		"no such plural form":  {good, `{"a":{"uno":"x","other":"y"}}`, ``},
		"form other missing":   {good, `{"a":{"one":"x"}}`, ``},
		"markup":               {good, `{"a":"<b>x</b>"}`, ``},
		"a brace left open":    {good, `{"a":"{name"}`, ``},
		"a number":             {good, `{"a":1}`, ``},
		"twice":                {good, `{"a":"x"}`, `{"a":"y"}`},
		"a field of no locale": {strings.Replace(good, `"dir"`, `"foo":1,"dir"`, 1), `{}`, ``},
		"a month missing":      {strings.Replace(good, `,"l"]`, `]`, 1), `{}`, ``},
		"sideways":             {strings.Replace(good, `"ltr"`, `"btt"`, 1), `{}`, ``},
	} {
		fsys := fstest.MapFS{
			"locales/en/locale.json": {Data: []byte(c.locale)},
			"locales/en/guest.json":  {Data: []byte(c.guest)},
		}
		if c.host != "" {
			fsys["locales/en/host.json"] = &fstest.MapFile{Data: []byte(c.host)}
		}
		_, err := readLocale(fsys, "en")
		if err == nil {
			_, err = readMessages(fsys, "en")
		}
		if err == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestMatch(t *testing.T) {
	for header, want := range map[string]string{
		"":                                 "en",
		"de":                               "de",
		"de-AT,de;q=0.9,en;q=0.8":          "de",
		"sw-KE,sw;q=0.9,de;q=0.8,en;q=0.7": "de",
		"fr-FR,fr;q=0.9,de;q=0.8,en;q=0.7": "fr",
		"en-GB,en;q=0.9,de;q=0.8":          "en",
		"sw":                               "en",
		"*":                                "en",
		"de;q=0":                           "en",
		";;;,,q=1":                         "en",
		strings.Repeat("x", 1<<16):         "en",
	} {
		if got := Match(header).Tag(); got != want {
			t.Errorf("%.40q: %s, want %s", header, got, want)
		}
	}
	if got := Get("de-CH").Tag(); got != "de" {
		t.Errorf("de-CH: %s", got)
	}
}

func TestMessages(t *testing.T) {
	en, de := Get("en"), Get("de")
	for _, c := range []struct{ got, want string }{
		{en.T("welcome", "guest", "Tom"), "Welcome, Tom"},
		{en.T("welcome", "guest", "{guest}"), "Welcome, {guest}"},
		{en.T("no such key"), "no such key"},
		{en.N("failed.more", 1), "You can try once more."},
		{en.N("failed.more", 2), "You can try 2 more times."},
		{de.N("failed.more", 1), "Noch ein Versuch ist möglich."},
		{de.N("limit.left_until", 2, "max", 3, "until", "heute 18:00 Uhr"), "Noch 2 von 3, bis heute 18:00 Uhr."},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// TestThreat30_TimesNearMidnightAndDaylightSaving reads the calendar of the
// home's zone, on the nights when a day has 23 or 25 hours, too.
func TestThreat30_TimesNearMidnightAndDaylightSaving(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ now, t, en, de, enAt, deAt string }{
		{"2026-11-20 12:00", "2026-11-20 18:00", "today 6:00 pm", "heute 18:00 Uhr", "at 6:00 pm", "um 18:00 Uhr"},
		{"2026-11-20 12:00", "2026-11-21 09:00", "tomorrow 9:00 am", "morgen 09:00 Uhr", "tomorrow at 9:00 am", "morgen um 09:00 Uhr"},
		{"2026-11-20 12:00", "2026-11-22 18:00", "Sunday 22 November, 6:00 pm", "Sonntag, 22. November, 18:00 Uhr", "on Sunday 22 November at 6:00 pm", "am Sonntag, 22. November, um 18:00 Uhr"},
		{"2026-11-20 12:00", "2026-11-19 00:05", "yesterday 12:05 am", "gestern 00:05 Uhr", "yesterday at 12:05 am", "gestern um 00:05 Uhr"},
		{"2026-11-20 12:00", "2027-01-01 12:00", "Friday 1 January 2027, 12:00 pm", "Freitag, 1. Januar 2027, 12:00 Uhr", "on Friday 1 January 2027 at 12:00 pm", "am Freitag, 1. Januar 2027, um 12:00 Uhr"},
		{"2026-11-20 23:59", "2026-11-21 00:00", "tomorrow 12:00 am", "morgen 00:00 Uhr", "tomorrow at 12:00 am", "morgen um 00:00 Uhr"},
		{"2026-03-28 23:30", "2026-03-29 23:30", "tomorrow 11:30 pm", "morgen 23:30 Uhr", "tomorrow at 11:30 pm", "morgen um 23:30 Uhr"},
		{"2026-10-24 23:30", "2026-10-25 23:30", "tomorrow 11:30 pm", "morgen 23:30 Uhr", "tomorrow at 11:30 pm", "morgen um 23:30 Uhr"},
	} {
		now, moment := at(c.now), at(c.t).UTC()
		for _, g := range []struct{ got, want string }{
			{Get("en").Time(moment, now, berlin), c.en},
			{Get("de").Time(moment, now, berlin), c.de},
			{Get("en").At(moment, now, berlin), c.enAt},
			{Get("de").At(moment, now, berlin), c.deAt},
		} {
			if g.got != g.want {
				t.Errorf("now %s: %q, want %q", c.now, g.got, g.want)
			}
		}
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		d      time.Duration
		en, de string
	}{
		{-time.Second, "0 s", "0 s"},
		{39*time.Second + 1, "40 s", "40 s"},
		{time.Minute, "1 min", "1 min"},
		{59*time.Minute + time.Second, "1 h", "1 h"},
		{72 * time.Minute, "1 h 12 min", "1 h 12 min"},
		{24 * time.Hour, "1 day", "1 Tag"},
		{51 * time.Hour, "2 days 3 h", "2 Tagen 3 h"},
	} {
		if got := Get("en").Duration(c.d); got != c.en {
			t.Errorf("%v: %q, want %q", c.d, got, c.en)
		}
		if got := Get("de").Duration(c.d); got != c.de {
			t.Errorf("%v: %q, want %q", c.d, got, c.de)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		Match("de-AT,de;q=0.9,en;q=0.8")
	}
}

func BenchmarkT(b *testing.B) {
	l := Get("de")
	for b.Loop() {
		l.T("limit.once_until", "until", "heute 18:00 Uhr")
	}
}

// A text in a marked language shows what was looked up and what was put into it.
func TestMark(t *testing.T) {
	raw, err := mark([]byte(`{"dir":"rtl","a":"From {from} to {to}.","b":{"one":"{n} day","other":"x"},"c":["y"]}`))
	if want := `{"a":"⟦From ⟧{from}⟦ to ⟧{to}⟦.⟧","b":{"one":"{n}⟦ day⟧","other":"⟦x⟧"},"c":["⟦y⟧"],"dir":"rtl"}`; err != nil || string(raw) != want {
		t.Errorf("%s %v", raw, err)
	}
	if _, err := mark([]byte("{")); err == nil {
		t.Error("half an object was taken")
	}
}

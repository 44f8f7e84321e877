package words

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	textmessage "golang.org/x/text/message"
	"golang.org/x/text/width"
)

// languages are those that people meet, and whether they are written from the
// right.
var languages = map[string]string{
	"en": "ltr", "de": "ltr", "fr": "ltr", "es": "ltr", "it": "ltr", "nl": "ltr", "pl": "ltr", "pt": "ltr", "sv": "ltr",
	"da": "ltr", "nb": "ltr", "fi": "ltr", "cs": "ltr", "sk": "ltr", "hu": "ltr", "ro": "ltr", "el": "ltr", "tr": "ltr",
	"uk": "ltr", "ru": "ltr", "ar": "rtl", "he": "rtl", "ja": "ltr", "ko": "ltr", "zh": "ltr",
}

func TestLanguages(t *testing.T) {
	for _, l := range All() {
		if dir, ok := languages[l.Tag()]; !ok || dir != l.Dir() {
			t.Errorf("%s: written %q, expected %q", l.Tag(), l.Dir(), dir)
		}
	}
	for tag := range languages {
		if got := Get(tag).Tag(); got != tag {
			t.Errorf("%s is missing", tag)
		}
	}
	called := map[string]bool{}
	for _, l := range All() {
		if called[l.Name()] || l.Name() == l.Tag() {
			t.Errorf("%s is called %q", l.Tag(), l.Name())
		}
		called[l.Name()] = true
	}
	if got := NameOf("de-AT"); got != "de-AT" {
		t.Errorf("a language that no page is in is called %q", got)
	}
}

// TestRelatives are the tags that browsers send, and what their readers read.
func TestRelatives(t *testing.T) {
	for header, want := range map[string]string{
		"zh-CN": "zh", "zh-Hans-CN": "zh", "zh-TW": "zh", "zh-TW,zh;q=0.9,en-US;q=0.8": "zh", "zh-TW,en;q=0.8": "en",
		"pt-BR": "pt", "pt-PT,pt;q=0.9,en;q=0.8": "pt",
		"no": "nb", "nb-NO": "nb", "nn-NO,nn;q=0.9": "nb",
		"iw": "he", "he-IL": "he", "ar-EG": "ar", "ar-MA": "ar",
		"uk-UA,ru;q=0.8": "uk", "ru-UA": "ru", "be,en;q=0.5": "en",
		"es-419": "es", "fr-CA": "fr", "de-CH": "de", "gsw": "de", "sr": "en",
	} {
		if got := Match(header).Tag(); got != want {
			t.Errorf("%s: %s, want %s", header, got, want)
		}
		if first, _, more := strings.Cut(header, ","); !more && Get(first).Tag() != want {
			t.Errorf("Get(%s): %s, want %s", first, Get(first).Tag(), want)
		}
	}
}

// texts calls fn for each form of each message.
func texts(l *Language, fn func(key, text string)) {
	for key, m := range l.messages() {
		for _, p := range m.forms {
			if p != nil {
				fn(key, source(p))
			}
		}
	}
}

// source is the text that the pattern was made of.
func source(p pattern) string {
	var b strings.Builder
	for i, part := range p {
		if i%2 == 1 {
			part = "{" + part + "}"
		}
		b.WriteString(part)
	}
	return b.String()
}

// TestNoEnglishIsLeftOver finds messages that say the same as in English and
// were forgotten. Some words are the same.
func TestNoEnglishIsLeftOver(t *testing.T) {
	same := map[string]string{
		"de": "code.label host.nav.links host.links.title host.link_id host.field.name",
		"fr": "code.label host.nav host.nav.actions host.actions.title doctor.check.action doctor.check.actions doctor.check.notify",
		"es": "pick.no",
		"it": "pick.no host.link_id",
		"nl": "host.icon.camera host.icon.water code.label host.nav.links host.links.title host.link_id",
		"da": "host.nav.links host.links.title host.link_id log.nav",
		"pl": "host.link_id",
		"pt": "host.nav.links host.links.title host.link_id",
		"ro": "host.link.calendar",
	}
	for _, l := range All() {
		if l.base == nil {
			continue
		}
		allowed := strings.Fields(same[l.Tag()])
		texts(l, func(key, text string) {
			english := source(l.base.messages()[key].forms[plural.Other])
			if text == english && strings.ContainsFunc(withoutPlaces(text), unicode.IsLetter) &&
				!slices.Contains(allowed, key) && !slices.Contains(international, text) {
				t.Errorf("%s: %q is as in English: %q", l.Tag(), key, text)
			}
		})
		for _, key := range allowed {
			if m, ok := l.messages()[key]; ok && source(m.forms[plural.Other]) != source(l.base.messages()[key].forms[plural.Other]) {
				t.Errorf("%s: %q need not be allowed to be as in English", l.Tag(), key)
			}
		}
	}
}

// international are texts that are the same in many languages.
var international = []string{"E-mail", "Tom", "{s} s", "Disk", "Garage", "Wi-Fi"}

func withoutPlaces(text string) string { return placeholder.ReplaceAllString(text, "") }

// TestPunctuation compares the ends of sentences with English, and finds what
// a typewriter leaves.
func TestPunctuation(t *testing.T) {
	ends := map[rune]string{'.': ".。", '?': "?？؟;", '…': "…", ':': ":：", '!': "!！"}
	abbreviated := []string{"dvs.", "р.", "г."} // end in a full stop by themselves
	for _, l := range All() {
		texts(l, func(key, text string) {
			where := l.Tag() + ": " + key
			if text != strings.TrimSpace(text) {
				t.Errorf("%s: %q has spaces around it", where, text)
			}
			for _, bad := range []string{`"`, "'", "...", "  ", " .", " ,", "..", " ،", " 。", "ş", "ţ"} {
				if strings.Contains(text, bad) && !(l.Tag() == "tr" && bad == "ş") {
					t.Errorf("%s: %q has %q", where, text, bad)
				}
			}
			for _, mark := range "?!;:" {
				i := strings.IndexRune(text, mark)
				if i <= 0 {
					continue
				}
				before, _ := utf8.DecodeLastRuneInString(text[:i])
				switch spaced := before == '\u00a0' || before == '\u202f'; {
				case before == ' ', spaced != (l.Tag() == "fr"):
					t.Errorf("%s: %q: the space before %q", where, text, mark)
				}
			}
			if l.Tag() == "ja" || l.Tag() == "zh" {
				for i, r := range text {
					after, _ := utf8.DecodeLastRuneInString(text[:i])
					if strings.ContainsRune(",.?!:;()", r) && unicode.Is(unicode.Han, after) {
						t.Errorf("%s: %q: %q behind a character", where, text, r)
					}
				}
			}
			english := source(Get(fallback).messages()[key].forms[plural.Other])
			last, _ := utf8.DecodeLastRuneInString(english)
			got, _ := utf8.DecodeLastRuneInString(text)
			if want, ok := ends[last]; ok {
				if !strings.ContainsRune(want, got) && !(last == '.' && strings.HasSuffix(text, "?")) {
					t.Errorf("%s: %q does not end as %q", where, text, english)
				}
				return
			}
			if strings.ContainsRune(".。?？؟", got) && !slices.ContainsFunc(abbreviated, func(a string) bool { return strings.HasSuffix(text, a) }) &&
				!strings.HasSuffix(english, ")") {
				t.Errorf("%s: %q ends a sentence, %q does not", where, text, english)
			}
		})
	}
}

// TestQuotationMarks are those of the language.
func TestQuotationMarks(t *testing.T) {
	marks := map[string]string{
		"ar": "«»", "cs": "„“", "da": "»«", "de": "„“", "el": "«»", "en": "“”", "es": "«»", "fi": "”", "fr": "«»", "he": "״", "hu": "„”", "it": "«»", "ja": "「」",
		"ko": "“”", "nb": "«»", "nl": "‘", "pl": "„”", "pt": "“”", "ro": "„”", "ru": "«»", "sk": "„“", "sv": "”", "tr": "“”", "uk": "«»", "zh": "“”",
	}
	for _, l := range All() {
		texts(l, func(key, text string) {
			for _, r := range text {
				// ’ is an apostrophe, too.
				if (unicode.Is(unicode.Quotation_Mark, r) || r == '״') && r != '’' && !strings.ContainsRune(marks[l.Tag()], r) {
					t.Errorf("%s: %s: %q has %c", l.Tag(), key, text, r)
				}
			}
		})
	}
}

// TestScripts finds letters of another alphabet inside a word, which look right
// and are read wrong.
func TestScripts(t *testing.T) {
	scripts := []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Arabic, unicode.Hebrew}
	for _, l := range All() {
		texts(l, func(key, text string) {
			for _, word := range strings.FieldsFunc(withoutPlaces(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
				found := 0
				for _, s := range scripts {
					if strings.ContainsFunc(word, func(r rune) bool { return unicode.Is(s, r) }) {
						found++
					}
				}
				if found > 1 {
					t.Errorf("%s: %s: %q mixes alphabets", l.Tag(), key, word)
				}
			}
		})
	}
}

// TestGuestsAreToldNothingOfTheInside: words that a guest never reads.
func TestGuestsAreToldNothingOfTheInside(t *testing.T) {
	for _, l := range All() {
		for key, m := range catalogue(t, l.Tag(), "guest.json") {
			for _, p := range m.forms {
				text := strings.ToLower(source(p))
				for _, word := range []string{"token", "redeem", "server", "home assistant", "error", "invalid", "<", "http"} {
					if strings.Contains(text, word) {
						t.Errorf("%s: %s: %q says %q", l.Tag(), key, text, word)
					}
				}
			}
		}
	}
}

// TestNumbersAreWrittenAsInTheLanguage holds digits to what x/text knows.
func TestNumbersAreWrittenAsInTheLanguage(t *testing.T) {
	for _, l := range All() {
		want := textmessage.NewPrinter(language.MustParse(l.Tag())).Sprint(70)
		if got := number(70, l.locale().digits); got != want {
			t.Errorf("%s: 70 is %q, want %q", l.Tag(), got, want)
		}
		if want, got := textmessage.NewPrinter(language.MustParse(l.Tag())).Sprintf("%.1f", 12.5), l.Decimal(12.5); got != want {
			t.Errorf("%s: twelve and a half is %q, want %q", l.Tag(), got, want)
		}
		texts(l, func(key, text string) {
			if l.Digits() != "" && strings.ContainsAny(withoutPlaces(text), "0123456789") {
				t.Errorf("%s: %s: %q has foreign digits", l.Tag(), key, text)
			}
		})
	}
}

// TestDates writes every day of a year in every way, and expects to find in it
// all that tells it from others.
func TestDates(t *testing.T) {
	now := time.Date(2027, 6, 15, 9, 30, 0, 0, time.UTC)
	for _, l := range All() {
		digits := func(n int) string { return number(n, l.locale().digits) }
		ways := map[string]func(time.Time, time.Time, *time.Location) string{"Time": l.Time, "At": l.At, "Bound": l.Bound}
		for name, way := range ways {
			seen := map[string]time.Time{}
			for _, year := range []int{2027, 2028} {
				for day := time.Date(year, 1, 1, 18, 5, 0, 0, time.UTC); day.Year() == year; day = day.AddDate(0, 0, 1) {
					text := way(day, now, time.UTC)
					if other, ok := seen[text]; ok {
						t.Fatalf("%s.%s: %v and %v are both %q", l.Tag(), name, other, day, text)
					}
					seen[text] = day
					if strings.ContainsAny(text, "{}") || strings.Contains(text, "  ") || text != strings.TrimSpace(text) {
						t.Fatalf("%s.%s: %q", l.Tag(), name, text)
					}
					if !strings.Contains(text, l.Clock(day, time.UTC)) {
						t.Fatalf("%s.%s: %q without the time of day", l.Tag(), name, text)
					}
					if far := day.Sub(now).Abs() > 72*time.Hour; far && !strings.Contains(text, digits(day.Day())) ||
						far && strings.Contains(text, digits(year)) != (year != now.Year()) {
						t.Fatalf("%s.%s: %v is %q", l.Tag(), name, day, text)
					}
				}
			}
			if at := now.Add(time.Hour); l.Clock(at, time.UTC) == way(at, now, time.UTC) && name != "At" {
				t.Errorf("%s.%s: nothing says that it is today", l.Tag(), name)
			}
		}
		clocks := map[string]bool{}
		for h := range 24 {
			clocks[l.Clock(time.Date(2027, 1, 1, h, 5, 0, 0, time.UTC), time.UTC)] = true
		}
		if len(clocks) != 24 {
			t.Errorf("%s: %d times of day in 24 hours", l.Tag(), len(clocks))
		}
		// Twelve hours where people count so, twenty-four elsewhere.
		six := l.Clock(time.Date(2027, 1, 1, 18, 0, 0, 0, time.UTC), time.UTC)
		if twelve := strings.Contains(six, digits(6)); twelve != slices.Contains([]string{"en", "el", "ar", "ko"}, l.Tag()) {
			t.Errorf("%s: six in the evening is %q", l.Tag(), six)
		}
		if d := l.Duration(51 * time.Hour); strings.ContainsAny(d, "{}") || !strings.Contains(d, digits(3)) {
			t.Errorf("%s: two days and three hours are %q", l.Tag(), d)
		}
	}
}

// TestInflection has what the languages do to a date or a number.
func TestInflection(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	wednesday, tomorrow := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC), time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{Get("pl").At(wednesday, now, time.UTC), "w środę, 25 listopada, o 09:00"},
		{Get("pl").Bound(wednesday, now, time.UTC), "środy, 25 listopada, godz. 09:00"},
		{Get("pl").Bound(tomorrow, now, time.UTC), "jutra, godz. 09:00"},
		{Get("cs").At(wednesday, now, time.UTC), "ve středu 25. listopadu v 9:00"},
		{Get("cs").Bound(tomorrow, now, time.UTC), "zítřejších 9:00"},
		{Get("sk").Bound(wednesday, now, time.UTC), "stredy 25. novembra, 9:00"},
		{Get("ru").T("limit.until", "until", Get("ru").Bound(tomorrow, now, time.UTC)), "До 09:00 завтра."},
		{Get("uk").At(wednesday, now, time.UTC), "у середу, 25 листопада, о 09:00"},
		{Get("fi").At(wednesday, now, time.UTC), "keskiviikkona 25. marraskuuta klo 9.00"},
		{Get("ar").Time(wednesday, now, time.UTC), "الأربعاء ٢٥ نوفمبر، ٩:٠٠ ص"},
		{Get("ja").Time(wednesday, now, time.UTC), "11月25日（水）9:00"},
		{Get("ko").Time(wednesday, now, time.UTC), "11월 25일 수요일 오전 9:00"},
		{Get("ru").Duration(48 * time.Hour), "2 дня"},
		{Get("ru").Duration(21 * 24 * time.Hour), "21 день"},
		{Get("pl").Duration(5 * 24 * time.Hour), "5 dni"},
		{Get("ar").Duration(48 * time.Hour), "يومان"},
		{Get("he").Duration(48 * time.Hour), "יומיים"},
		{Get("ro").Duration(20 * 24 * time.Hour), "20 de zile"},
		{Get("ru").N("limit.times", 22), "Действует 22 раза."},
		{Get("ar").N("limit.times", 11), "صالح ١١ مرة."},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// TestButtonsAreShort: a button, a heading and a short label fit the smallest
// phone, 320 pixels wide. Wide characters count twice.
func TestButtonsAreShort(t *testing.T) {
	budget := map[string]int{
		"ask.yes": 20, "ask.no": 20, "again": 24, "press_again": 24, "again.in": 30, "code.continue": 18, "code.continue_in": 32,
		"contact.call": 30, "contact.text": 30, "contact.message": 30, "contact.new": 40,
		"contact.failed_call": 54, "contact.failed_text": 54, "contact.failed_message": 54,
		"message.more": 24, "message.less": 24, "working.button": 20,
		"welcome_anon": 20, "left": 28, "done.again": 40, "scheduled.button": 44,
		"host.nav.links": 18, "host.nav.actions": 18, "host.new.open": 22, "host.save": 18, "host.undo": 18,
		"host.revoke": 24, "host.unrevoke": 26, "host.replenish": 20, "host.like": 30, "host.link.copy": 16, "host.link.copied": 18,
		"host.link.share": 16, "host.link.mail": 14, "host.show.live": 14, "host.show.ended": 16, "host.until.2h": 14,
		"host.until.tonight": 18, "host.until.sunday": 14, "host.until.none": 20, "host.often.once": 14, "host.often.any": 24,
		"host.status.ready": 16, "host.status.scheduled": 16, "host.status.expired": 16, "host.status.used_up": 18, "host.status.revoked": 18,
	}
	for _, l := range All() {
		if l.base == nil {
			for key := range budget {
				if !l.Has(key) {
					t.Errorf("%q is no message", key)
				}
			}
		}
		texts(l, func(key, text string) {
			limit, ok := budget[key]
			if strings.HasSuffix(key, ".title") && limit == 0 && !strings.HasPrefix(key, "host.") {
				limit, ok = 44, true
			}
			text = strings.NewReplacer("{host}", "Anna-Lena", "{in}", "10 min", "{n}", "10", "{at}", "09:00", "{title}", "Open the gate",
				"{from}", "09:00").Replace(text)
			if got := columns(text); ok && got > limit {
				t.Errorf("%s: %s: %q takes %d columns, at most %d fit", l.Tag(), key, text, got, limit)
			}
		})
	}
}

func columns(text string) int {
	n := 0
	for _, r := range text {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			if !unicode.Is(unicode.Mn, r) {
				n++
			}
		}
	}
	return n
}

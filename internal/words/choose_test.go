package words

import (
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		header string
		tags   string
		want   string
	}{
		{"", "", ""},
		{"de", "", ""},
		{"", "de", ""}, // the page is English
		{"", "de en", "en"},
		{"de-AT,de;q=0.9,en;q=0.8", "de en", "de"},
		{"de-AT", "de de-AT de-CH", "de-AT"},
		{"fr,de;q=0.9", "de en", ""}, // the text as it stands may be French
		{"fr,de;q=0.9", "de fr", "fr"},
		{"fr-CA", "fr", "fr"},
		{"pt-PT", "pt-BR", "pt-BR"},
		{"pt", "pt-BR pt-PT", "pt-BR"},
		{"ca,es;q=0.9", "ca es", "ca"}, // a language that no page is in
		{"ca,es;q=0.9", "es", "es"},    // the page's
		{"zh-TW,zh;q=0.9", "zh-Hant zh", "zh-Hant"},
		{"zh-CN", "zh-Hant zh", "zh"},
		{"no", "nb", "nb"},
		{"iw", "he", "he"},
		{"sr", "ru", ""},
		{"x;;;", "en", "en"},
		{strings.Repeat("de,", 200), "de", ""}, // longer than what is read
		{"*", "de", ""},
	} {
		for range 2 { // found, remembered
			if got := Choose(c.header, Match(c.header), strings.Fields(c.tags)); got != c.want {
				t.Errorf("%q among %q: %q, want %q", c.header, c.tags, got, c.want)
			}
		}
	}
}

// What strangers send does not fill the memory.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	for i := range 3 * maxMatched {
		Choose("de;q=0."+strings.Repeat("1", 1+i%200)+strings.Repeat("0", i/200), Get("en"), []string{"de"})
	}
	if n := len(chosen.m); n > maxMatched {
		t.Errorf("%d are remembered", n)
	}
}

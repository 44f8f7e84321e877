package doctor_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hasscmd/doctor"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// translated checks that a finding can be read in other languages, with a value
// for each place in its messages and no value without one.
func translated(t *testing.T, f doctor.Finding) {
	t.Helper()
	if len(f.Said) == 0 && len(f.Mistakes) == 0 {
		t.Errorf("%s %s: %q has not been said in other languages", f.Check, f.Level, f.Text)
	}
	none := slices.ContainsFunc(f.Said, func(s onetime.Said) bool { return s.Key == "host.actions.none" }) // which is advice, too
	if f.Advice != "" && len(f.Advised) == 0 && !none || f.Advice == "" && len(f.Advised) > 0 {
		t.Errorf("%s %s: the advice %q is %v in other languages", f.Check, f.Level, f.Advice, f.Advised)
	}
	de := words.Get("de")
	for _, s := range slices.Concat(f.Said, f.Advised) {
		if !de.Has(s.Key) {
			t.Errorf("no language has %q", s.Key)
			continue
		}
		if text := de.T(s.Key, s.Args...); placeholder.MatchString(strings.ReplaceAll(text, "{http.auth.user.id}", "")) {
			t.Errorf("%s: %q lacks a value", s.Key, text)
		}
		for i := 0; i < len(s.Args); i += 2 {
			if !strings.Contains(de.T(s.Key), "{"+s.Args[i].(string)+"}") {
				t.Errorf("%s has no place for %s", s.Key, s.Args[i])
			}
		}
	}
}

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// Every message is said, and what is said is a message. That other languages
// have what English has is a test of the words.
func TestEveryMessageIsThere(t *testing.T) {
	said := map[string]bool{}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		b, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\b(says|saysAs|advises|advised)\("([a-z_.]+)"`).FindAllStringSubmatch(string(b), -1) {
			said[map[string]string{"says": "doctor.found.", "advises": "doctor.advice.", "advised": "doctor.advice."}[m[1]]+m[2]] = true
		}
		for _, m := range regexp.MustCompile(`Key: "([a-z_.]+[a-z])"`).FindAllStringSubmatch(string(b), -1) {
			said[m[1]] = true
		}
	}
	raw, err := os.ReadFile("../../internal/words/locales/en/doctor.json")
	if err != nil {
		t.Fatal(err)
	}
	var english map[string]string
	if err := json.Unmarshal(raw, &english); err != nil {
		t.Fatal(err)
	}
	for key := range said {
		if !words.Get("en").Has(key) {
			t.Errorf("no language has %q", key)
		}
	}
	for key := range english {
		if !said[key] {
			t.Errorf("nobody says %q", key)
		}
	}
	if len(said) < 80 {
		t.Errorf("only %d messages are said", len(said))
	}
}

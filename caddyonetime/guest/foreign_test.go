package guest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// oldCode is a code as One Time Service makes them.
const oldCode = "kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi"

// takeOver imports the token behind oldCode.
func (w *world) takeOver(uses int) *onetime.Token {
	w.t.Helper()
	report, err := w.service.Import(w.t.Context(), anna, onetime.Batch{
		Class: onetime.ClassOneTimeService,
		Actions: []onetime.BatchAction{{Name: "Front door", Definitions: []string{
			"action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"}}},
		Tokens: []onetime.BatchToken{{Code: oldCode, Action: "Front door", Comment: "For Svenja", UsesMax: uses, UsesLeft: uses}},
	}, onetime.ImportOptions{})
	if err != nil || report.Tokens[0].Token == nil {
		w.t.Fatal(err, report)
	}
	return report.Tokens[0].Token
}

// Old links in both forms, on the page, as JSON and typed into the form.
func TestForeignLinks(t *testing.T) {
	w := newWorld(t)
	tok := w.takeOver(2)

	for _, accept := range []string{asBrowser, "application/json"} {
		rec := w.ask("GET", "/?token="+oldCode, "", "Accept", accept)
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "./"+oldCode {
			t.Errorf("%s: %d %v", accept, rec.Code, rec.Header())
		}
		if w.last.Path != "/" {
			t.Errorf("logged as %q", w.last.Path)
		}
	}
	rec := w.ask("POST", "/", "token=+"+oldCode+"+", "Accept", asBrowser, "Content-Type", form)
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "./"+oldCode {
		t.Errorf("the form: %d %v", rec.Code, rec.Header())
	}

	rec = w.ask("GET", "/"+oldCode, "", "Accept", "application/json")
	if got := object(t, rec); rec.Code != 200 || got["id"] != tok.ID || got["comment"] != "For Svenja" || got["uses_left"] != 2.0 {
		t.Errorf("%d %v", rec.Code, got)
	}
	if w.last.Path != "/"+tok.ID {
		t.Errorf("logged as %q", w.last.Path)
	}
	if strings.Contains(rec.Body.String(), w.service.Code(tok)[6:]) {
		t.Error("who knows the old link is told the new one")
	}

	location, page := w.press(oldCode, "nonce=one")
	if !strings.HasPrefix(location, "./"+oldCode+"?r=") || !strings.Contains(text(page), "Done") {
		t.Errorf("%s\n%s", location, text(page))
	}
	if w.home.Ran() != 1 {
		t.Errorf("the home was asked %d times", w.home.Ran())
	}
	if rec := w.ask("POST", "/"+oldCode, "", "Idempotency-Key", "two"); rec.Code != 200 || object(t, rec)["uses_left"] != 0.0 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := w.ask("POST", "/"+w.service.Code(tok), "", "Idempotency-Key", "three"); rec.Code != http.StatusGone {
		t.Errorf("the new link has uses of its own: %d", rec.Code)
	}
	if rec := w.ask("POST", "/"+oldCode, "", "Idempotency-Key", "two"); rec.Code != 200 || object(t, rec)["replayed"] != true {
		t.Errorf("the same key again: %d %s", rec.Code, rec.Body)
	}
	if w.home.Ran() != 2 {
		t.Errorf("the home was asked %d times", w.home.Ran())
	}
	if strings.Contains(w.log.String(), oldCode) {
		t.Error("the log has the old link")
	}
}

// An old link in other letters is a wrong one.
func TestForeignLinksAreExact(t *testing.T) {
	w := newWorld(t)
	w.takeOver(1)
	for _, code := range []string{strings.ToUpper(oldCode), strings.ToLower(oldCode), oldCode[:31], oldCode[:16] + "-" + oldCode[16:]} {
		if rec := w.ask("POST", "/"+code, ""); rec.Code != 404 {
			t.Errorf("%s: %d", code, rec.Code)
		}
		if strings.Contains(w.last.Path, code[:13]) {
			t.Errorf("logged as %q", w.last.Path)
		}
	}
	if w.home.Ran() != 0 {
		t.Error("the home was asked")
	}
}

// Old links could be guessed, so wrong ones count as tries where any is good,
// and never shut out a right one. Where none is, they count for nothing.
func TestThreat25_WrongOldLinksCount(t *testing.T) {
	w := newWorld(t)
	wrong := "/" + strings.Repeat("x", 32)
	for range 2 * wrongBurst {
		if rec := w.ask("POST", wrong, ""); rec.Code != 404 {
			t.Fatal("nothing of the kind is good here:", rec.Code)
		}
	}
	if w.last.Path != "/-" {
		t.Errorf("logged as %q", w.last.Path)
	}
	tok := w.takeOver(1)
	for i := range wrongBurst + 5 {
		want := 404
		if i >= wrongBurst {
			want = 429
		}
		if rec := w.ask("POST", wrong, ""); rec.Code != want {
			t.Fatalf("try %d: %d", i, rec.Code)
		}
	}
	if rec := w.ask("POST", "/"+oldCode, ""); rec.Code != 200 {
		t.Error("the right one:", rec.Code)
	}

	if _, err := w.service.EndForeign(t.Context(), anna, tok.ID); err != nil {
		t.Fatal(err)
	}
	if rec := w.ask("GET", "/"+oldCode, ""); rec.Code != 404 {
		t.Error("switched off:", rec.Code)
	}
}

package host

import (
	"net/http"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// A token that was taken over has its own link and, until that is switched off,
// the one it came with.
func TestForeignTokenAsJSON(t *testing.T) {
	w := newWorld(t)
	w.api = newDescription(t)
	w.actions()
	const code = "kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi"
	report, err := w.svc.Import(t.Context(), anna.Person, onetime.Batch{
		Class:   onetime.ClassOneTimeService,
		By:      onetime.Person{ID: "import"},
		Actions: []onetime.BatchAction{{Name: "Door", Definitions: []string{doorYAML}}},
		Tokens:  []onetime.BatchToken{{Code: code, Action: "Door", UsesMax: 1, UsesLeft: 1}},
	}, onetime.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tok := report.Tokens[0].Token
	path := "/api/tokens/" + tok.ID
	got := w.get(anna, path).want(http.StatusOK)
	if m := got.json(); m["class"] != "one-time-service" || m["old_url"] != publicURL+code || m["url"] != publicURL+w.svc.Code(tok) {
		t.Errorf("got %v", m)
	}
	w.get(ben, path).want(http.StatusNotFound) // who may only share sees their own
	if w.get(ben, "/api/tokens").want(http.StatusOK); len(w.get(ben, "/api/tokens").json()["tokens"].([]any)) != 0 {
		t.Error("who may only share sees tokens that were taken over")
	}

	if _, err := w.svc.EndForeign(t.Context(), anna.Person, tok.ID); err != nil {
		t.Fatal(err)
	}
	after := w.get(anna, path).want(http.StatusOK)
	if _, has := after.json()["old_url"]; has || after.Header.Get("ETag") == got.Header.Get("ETag") {
		t.Errorf("got %s", after.body)
	}
	if m := w.get(anna, "/api/tokens/"+w.link(anna, `{"actions":["light"]}`)).json(); m["class"] != nil || m["old_url"] != nil {
		t.Errorf("a token of our own: %v", m)
	}
}

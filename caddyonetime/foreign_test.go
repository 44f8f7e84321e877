package caddyonetime

import (
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Promise 5 holds for links that were taken over: whole, cut, in other case and
// wherever else a client puts them. They work over reloads, and in no log is
// more of them than the token's id.
func TestThreat22_OldLinksAreInNoLog(t *testing.T) {
	r := newRig(t)
	config := r.caddyfile("", "", "")
	r.run(config)
	report, err := r.service().Import(t.Context(), onetime.Person{ID: "anna"}, onetime.Batch{
		Class:   onetime.ClassOneTimeService,
		Actions: []onetime.BatchAction{{Name: "Front door", Definitions: []string{openFrontDoor}}},
		Tokens:  []onetime.BatchToken{{Code: oldLinksCode, Action: "Front door", UsesMax: 2, UsesLeft: 2}},
	}, onetime.ImportOptions{})
	if err != nil || report.Tokens[0].Token == nil {
		t.Fatalf("%v, %+v", err, report)
	}
	code, token := oldLinksCode, report.Tokens[0].Token
	n := 0
	ask := func(status int, method, path string, header ...string) {
		t.Helper()
		n++
		if got, body := r.request(method, path, header...); got != status {
			t.Errorf("%s %s: %d, want %d: %s", method, path, got, status, body)
		}
	}
	ask(200, "GET", "/"+code)
	ask(200, "GET", "/"+code+"/", "Accept", "text/html", "Referer", "http://"+r.addr+"/?token="+code)
	ask(303, "GET", "/?token="+code, "Accept", "application/xhtml+xml,text/html")
	ask(200, "POST", "/"+code, "Idempotency-Key", "a", "X-Seen", "token%3D"+code)
	r.run(config)
	ask(200, "POST", "/"+code, "Idempotency-Key", "b", "Cookie", "seen="+code)
	ask(410, "POST", "/"+code)
	ask(404, "GET", "/"+strings.ToUpper(code))
	ask(404, "GET", "/"+code[:31])
	ask(404, "GET", "/"+code+".")
	ask(404, "GET", "/x/"+code)
	ask(404, "GET", "/api/public/token/details?token="+code)
	ids := 0
	for _, line := range r.accessLines(n) {
		if line["request"].(map[string]any)["uri"] == "/"+token.ID {
			ids++
		}
	}
	if ids != 5 {
		t.Errorf("%d lines with the token's id, want 5", ids)
	}
	if runs := r.home.Runs("script.open_front_door"); runs != 2 {
		t.Errorf("the home opened %d times, want twice", runs)
	}
	r.run(config)
	for _, name := range []string{"autosave.json", "access.log", "caddy.log", "onetime.db"} {
		text := strings.ToLower(r.file(name))
		if text == "" {
			t.Fatalf("%s is empty", name)
		}
		for i := 0; i+12 <= len(code); i++ {
			if part := strings.ToLower(code[i : i+12]); strings.Contains(text, part) {
				at := strings.Index(text, part)
				t.Errorf("the old link is in %s: …%s…", name, text[max(0, at-200):min(len(text), at+60)])
				break
			}
		}
	}
}

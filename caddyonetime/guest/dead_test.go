package guest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// A link that is over says so whichever action is meant, or none.
func TestWhatIsOverIsTheAnswerWhateverWasMeant(t *testing.T) {
	w := newWorld(t)
	both := []string{"front_door", "light"}
	revoked, tok := w.link(onetime.TokenSpec{Actions: both})
	yes := true
	if _, err := w.service.ChangeToken(t.Context(), anna, tok.ID, onetime.TokenChange{Revoked: &yes}, 0); err != nil {
		t.Fatal(err)
	}
	scheduled, _ := w.link(onetime.TokenSpec{Actions: both, NotBefore: w.in(time.Hour)})
	expired, _ := w.link(onetime.TokenSpec{Actions: both, Expires: w.in(time.Minute)})
	w.clock.Move(2 * time.Minute)
	for code, want := range map[string]struct {
		status int
		code   string
	}{revoked: {410, "revoked"}, scheduled: {403, "scheduled"}, expired: {410, "expired"}} {
		for _, body := range []string{"{}", `{"action":"light"}`, `{"action":"no_such_action"}`} {
			rec := w.ask("POST", "/"+code, body, "Content-Type", "application/json")
			if got := object(t, rec); rec.Code != want.status || got["code"] != want.code {
				t.Errorf("%s %s: %d %v", want.code, body, rec.Code, got)
			}
		}
	}
	// While it is good, it has to be said which.
	ready, _ := w.link(onetime.TokenSpec{Actions: both})
	if rec := w.ask("POST", "/"+ready, "{}", "Content-Type", "application/json"); rec.Code != http.StatusUnprocessableEntity {
		t.Error(rec.Code, rec.Body)
	}
	if n := w.home.Ran(); n != 0 {
		t.Errorf("%d runs", n)
	}
}

// A link whose actions are gone still has a home, and the home's time.
func TestALinkWithoutActionsHasAHome(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{Expires: w.in(time.Minute)})
	w.clock.Move(time.Hour)
	if err := w.service.DeleteAction(t.Context(), anna, "front_door", false, 0); err != nil {
		t.Fatal(err)
	}
	got := object(t, w.ask("GET", "/"+code, "", "Accept", "application/json"))
	if got["time_zone"] != "Europe/Berlin" || got["home"] != "reachable" || got["status"] != "expired" {
		t.Error(got)
	}
	if page := text(w.page("/" + code)); !strings.Contains(page, "It was valid until today 2:01 pm") {
		t.Error(page)
	}
}

// GET and POST agree about who wants JSON.
func TestWhoPrefersJSONGetsItForAPress(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{})
	for accept, want := range map[string]int{
		"application/json, text/html;q=0.1": 200,
		"text/html;q=0.9,application/json":  200,
		"text/html, application/json;q=0.9": 303,
		"application/json, text/html":       303,
		asBrowser:                           303,
	} {
		if rec := w.ask("POST", "/"+code, "", "Accept", accept); rec.Code != want {
			t.Errorf("%s: %d, want %d", accept, rec.Code, want)
		}
		json := strings.HasPrefix(w.ask("GET", "/"+code, "", "Accept", accept).Header().Get("Content-Type"), "application/json")
		if json != (want == 200) {
			t.Errorf("GET with %s: JSON is %v", accept, json)
		}
	}
}

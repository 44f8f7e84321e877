package guest

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// A host sees each state as a guest does, and no press goes out from it.
func TestPreviewShowsEveryStateAndPressesNothing(t *testing.T) {
	now := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	h := New(Config{House: "12 Hill Street", Contacts: []Contact{{"Anna", "tel:+4930123456"}}, Now: func() time.Time { return now }})
	headings := map[string]string{
		"ready": "Welcome", "scheduled": "Ready", "done": "Done", "running": "Try the door", "not_sent": "The home isn’t answering",
		"unavailable": "The door isn’t answering", "failed": "That didn’t work", "stopped": "It still didn’t work", "rejected": "This can’t work right now",
		"unknown": "Please try the door", "used_up": "This link has been used", "expired": "This link has ended", "revoked": "This link was switched off",
		"paused": "Paused for now", "ask": `<details class="ask" open>`, "working": "One moment…", "done_left": "2 left.", "replayed": "Already done",
		"partial": "It began, but didn’t finish", "unknown_left": "Pressing again uses one of the 2 you have left.", "lost": "We don’t know if your press arrived.",
		"trouble": "Something is wrong here",
	}
	target := regexp.MustCompile(`<form [^>]*action="([^"]*)"`)
	for _, state := range PreviewStates() {
		w := httptest.NewRecorder()
		h.Preview(w, httptest.NewRequest("GET", "/preview", nil), Preview{
			Action: &onetime.Action{Name: "door", Title: "Open the <front> door", Done: "Push hard."},
			Kind:   onetime.KindDoor, Confirm: onetime.ConfirmAsk, State: state, Guest: "Tom",
			Zone: time.UTC, Language: words.Get("en"), Assets: "guest/", Ancestors: "'self'",
		})
		body := w.Body.String()
		if want := headings[state]; want == "" || !strings.Contains(body, want) {
			t.Errorf("%s lacks %q:\n%s", state, want, body)
		}
		if strings.Contains(body, "<front>") {
			t.Errorf("%s takes the title for HTML", state)
		}
		for _, m := range target.FindAllStringSubmatch(body, -1) {
			if m[1] != "" {
				t.Errorf("%s has a form that leads to %q", state, m[1])
			}
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'none'") || strings.Contains(csp, "script-src") || !strings.Contains(csp, "frame-ancestors 'self'") {
			t.Errorf("%s: %s", state, csp)
		}
		if !strings.Contains(body, `href="./guest/-/`+styleAsset.name) {
			t.Errorf("%s does not find its style", state)
		}
	}
}

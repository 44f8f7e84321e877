package host

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// actionScenes are those of choosing, writing and looking at actions, of the log
// and of the doctor.
func actionScenes() []scene {
	wait := func(d time.Duration) step { return chromedp.Sleep(d) }
	return []scene{
		{"pick", anna, func(w *world) string { w.busy(); w.pickable(); return "/pick" }, nil},
		{"pick-none", anna, func(w *world) string { w.pickable(); return "/pick?q=nothing" }, nil},
		{"pick-away", anna, func(w *world) string { w.pickable().err = onetime.ErrUnreachable; return "/pick" }, nil},
		{"pick-choices", anna, func(w *world) string { w.pickable(); return "/pick?entity=lock.front_door" }, nil},
		{"pick-fields", anna, func(w *world) string { w.pickable(); return "/pick?entity=light.hall&do=light.turn_on" }, []step{chromedp.Click(chromedp.CSS("details summary")), wait(200 * time.Millisecond)}},
		{"pick-made", anna, func(w *world) string {
			w.pickable()
			return "/action?entity=lock.front_door&do=lock.unlock"
		}, nil},
		{"actions-pick", anna, func(w *world) string { w.busy(); w.pickable(); return "/actions" }, nil},
		{"action-typed", anna, func(w *world) string {
			w.busy()
			return "/action?name=front_door"
		}, []step{chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Run(ctx, chromedp.Evaluate[any]("d=document.getElementById('definition');d.value='action: lock.unlock\\ntarget: [\\n';d.dispatchEvent(new Event('input'))"))
			return err
		}), wait(1200 * time.Millisecond)}},
		{"action-unsent", anna, func(w *world) string { w.busy(); return "/action?name=front_door" }, []step{
			fetches(`Promise.reject(new TypeError("no answer"))`), press("#edit button[value=save]"), chromedp.WaitVisible(chromedp.CSS("#unsent"))}},
		{"action-logged-out", anna, func(w *world) string { w.busy(); return "/action?name=front_door" }, []step{
			fetches(`Promise.resolve(new Response("", { status: 401 }))`), press("#edit button[value=save]"), chromedp.WaitVisible(chromedp.CSS("#unsent"))}},
		{"action-languages", anna, func(w *world) string { w.busy(); w.translated(); return "/action?name=front_door" }, []step{
			chromedp.Click(chromedp.CSS("#languages summary")), chromedp.Click(chromedp.CSS("#morelanguages")), wait(200 * time.Millisecond)}},
		{"action-conflict", anna, func(w *world) string { w.busy(); w.translated(); return "/action?name=front_door" }, []step{
			chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
				// As if another host had saved it since: the form has an older revision.
				_, err := chromedp.Run(ctx, chromedp.Evaluate[any]("document.querySelector('#edit [name=revision]').value = 1"))
				return err
			}), press("#edit button[value=save]"), truly(`!!document.querySelector("[role=alert] details")`), chromedp.Click(chromedp.CSS("[role=alert] summary")), wait(200 * time.Millisecond)}},
		{"look-languages", anna, func(w *world) string {
			w.busy()
			w.pickable()
			w.translated()
			return "/look?name=front_door&lang=de&state=ask"
		}, []step{wait(500 * time.Millisecond)}},
		{"look", anna, func(w *world) string { w.busy(); w.pickable(); return "/look?name=front_door" }, []step{wait(500 * time.Millisecond)}},
		{"look-done", anna, func(w *world) string { w.busy(); w.pickable(); return "/look?name=front_door&state=failed" }, []step{wait(500 * time.Millisecond)}},
		{"log", anna, func(w *world) string { w.busy(); return "/log" }, nil},
		{"log-empty", anna, func(w *world) string { return "/log" }, nil},
		{"credentials", anna, func(w *world) string {
			w.actions()
			w.do(anna, "POST", "/credentials", url.Values{"op": {"make"}, "name": {"Automations"}, "action": {"light"}}).want(200)
			return "/credentials"
		}, nil},
		{"doctor", anna, func(w *world) string {
			w.cfg.Doctor = func(context.Context) (*Findings, error) {
				say := func(key string, args ...any) []onetime.Said {
					return []onetime.Said{{Key: "doctor." + key, Args: args}}
				}
				return &Findings{At: w.clock.Now(), List: []Finding{
					{Check: "home.reachable", Subject: "default", Level: "ok", Text: "http://192.168.1.10:8123 answers",
						Said: say("found.answers", "url", "http://192.168.1.10:8123")},
					{Check: "public_url", Level: "fail", Text: "https://guests.example.com cannot be reached from here", Advice: "Forward ports 80 and 443 in your router to this Caddy.",
						Said:    say("found.no_connection", "url", "https://guests.example.com", "why", errors.New("connection refused")),
						Advised: say("advice.unreached", "ports", "80, 443")},
					{Check: "action", Subject: "front_door", Level: "fail", Text: "line 3: there is no lock.frontdoor", Advice: "Change the action.",
						Mistakes: onetime.Warnings{(&onetime.BadInput{Line: 3, Message: "there is no lock.frontdoor"}).Says("no_entity", "name", "lock.frontdoor")},
						Advised:  say("advice.action")},
					{Check: "home.clock", Subject: "default", Level: "warn", Text: "the home's clock is 20s behind this machine's", Advice: "Let both machines set their clocks.",
						Said: say("found.clock_off", "time", 20*time.Second), Advised: say("advice.clock")},
					{Check: "store", Level: "ok", Text: "/data/onetime.db: a write to disk takes 1.2ms",
						Said: say("found.store_time", "path", "/data/onetime.db", "time", "1.2ms")},
				}}, nil
			}
			return "/doctor"
		}, nil},
	}
}

// fetches answers whatever scripts ask for.
func fetches(answer string) step {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[any]("window.fetch = () => "+answer+"; null"))
		return err
	})
}

// translated is the door in other languages, saved for the second time.
func (w *world) translated() {
	w.t.Helper()
	w.do(anna, "PUT", "/api/actions/front_door", map[string]any{"title": "Open the front door", "definition": doorYAML, "translations": map[string]any{
		"de": map[string]string{"title": "Haustür öffnen", "done": "Fest drücken, die Tür klemmt."}, "ar": map[string]string{"title": "افتح الباب الأمامي"},
	}}).want(200)
}

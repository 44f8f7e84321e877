package guest

import (
	"html/template"
	"net/http"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// Preview is a guest's page that nobody can press anything on: what a host looks
// at before a guest does.
type Preview struct {
	Action  *onetime.Action
	Kind    onetime.Kind
	Confirm onetime.Confirm

	// State is one of PreviewStates; another is the first of them.
	State string

	Guest, Comment string
	Zone           *time.Location
	Language       *words.Language
	Wish           string // the language the guest asks for, as a tag; may be none that pages are in

	// Assets leads to where ServeAsset serves the page's files: "guest/" for
	// those at guest/-/….
	Assets string

	// Ancestors are the origins whose pages may frame the page, as in a
	// Content-Security-Policy.
	Ancestors string
}

// PreviewStates are the states of a guest's page, in the order in which a link
// may go through them.
func PreviewStates() []string {
	return []string{
		"ready", "ask", "scheduled", "working", "running", "done", "done_left", "replayed",
		"not_sent", "unavailable", "failed", "stopped", "partial", "rejected", "unknown", "unknown_left", "lost",
		"used_up", "expired", "revoked", "paused", "trouble",
	}
}

// PreviewLabel says what a state is in the words of the page itself, and is
// empty where one of its words says too little.
func PreviewLabel(l *words.Language, kind onetime.Kind, state string) string {
	switch state {
	case "ask":
		return l.T(askOf(kind))
	case "working":
		return l.T("working.title")
	case "replayed":
		return l.T("done.replayed_text")
	case "partial":
		return l.T("partial.title")
	case "lost":
		return l.T("offline.title")
	case "trouble":
		return l.T("trouble.title")
	}
	return ""
}

// ServeAsset serves a file that a page loads, by its name below "-/".
func ServeAsset(w http.ResponseWriter, r *http.Request, name string) {
	serveAsset(&request{Request: r, w: w}, name)
}

// Preview answers with the page. Its policy allows no script and no form, so
// that not even a press on its button goes anywhere.
func (h *Handler) Preview(w http.ResponseWriter, hr *http.Request, p Preview) {
	r := &request{Request: hr, w: w, root: "./" + p.Assets, lang: p.Language}
	setHeaders(w.Header())
	w.Header()["Content-Security-Policy"] = []string{"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors " + p.Ancestors}
	w.Header().Del("X-Frame-Options") // the policy says it better
	v, res := p.view(h.cfg.Now())
	for i := range v.Actions {
		a := v.Actions[i].Action
		v.Actions[i].Action = a.In(words.Choose(p.Wish, p.Language, a.Languages()))
	}
	var page *page
	if p.State == "trouble" {
		r.genuine = true
		page = h.troublePage(r, true)
		page.To = ""
	} else {
		page = h.tokenPage(r, v, res)
		p.pressed(page)
	}
	page.Poll, page.Script = "", ""
	for i := range page.Items {
		page.Items[i].To, page.Items[i].Until = "", 0
	}
	h.writePage(r, http.StatusOK, page)
}

// pressed draws what only the script does, and what only a tap opens.
func (p *Preview) pressed(page *page) {
	l := p.Language
	var button template.HTML
	switch p.State {
	case "ask":
		page.Items[0].Open = true
		return
	case "working":
		page.Mark, page.Title = `<i class="turn"></i>`, say(l, "working.title")
		page.Lines = []line{{Text: say(l, "working.some")}}
		button = say(l, "working.button")
	case "lost":
		page.Mark, page.Title = Icon("-away"), say(l, "offline.title")
		page.Lines = []line{{Text: say(l, "offline.text")}}
		button = say(l, "press_again")
	default:
		return
	}
	page.State, page.Quote, page.Limits, page.Hint = p.State, nil, "", ""
	page.Items = []item{{Name: p.Action.Name, Label: button, Busy: p.State == "working"}}
}

// view is a link that has come to the state, and what came of its last press.
func (p *Preview) view(now time.Time) (*onetime.View, *result) {
	ago := now.Add(-5 * time.Minute)
	uses := 1
	end := endOfDay(now.Add(24*time.Hour), p.Zone)
	t := &onetime.Token{
		ID: "PREVEW", Actions: []string{p.Action.Name}, Guest: p.Guest, Comment: p.Comment,
		UsesMax: &uses, Expires: &end,
	}
	left := 1
	a := onetime.ActionView{Action: p.Action, Kind: p.Kind, Confirm: p.Confirm, Left: &left, Reachable: true, TimeZone: p.Zone}
	v := &onetime.View{Token: t, Status: onetime.StatusReady, Now: now}
	attempt := &onetime.Attempt{Action: p.Action.Name, At: now}
	var res *result

	came := func(o onetime.Outcome, spent bool) {
		attempt.Outcome, attempt.Spent = o, spent
		a.Use.Last, a.Use.LastAt = o, &now
		if spent {
			left, a.Use.Used = 0, 1
			v.Status = onetime.StatusUsedUp
		}
		res = &result{Attempt: attempt}
	}
	several := func() { uses, left, a.Use.Used = 3, 2, 1 }
	switch p.State {
	case "scheduled":
		from := time.Date(now.Year(), now.Month(), now.Day(), 9, 0, 0, 0, p.Zone).AddDate(0, 0, 1)
		t.NotBefore, v.Status = &from, onetime.StatusScheduled
	case "done":
		came(onetime.OutcomeDone, true)
	case "done_left":
		several()
		came(onetime.OutcomeDone, false)
	case "replayed":
		came(onetime.OutcomeDone, true)
		res.replayed = true
	case "running":
		came(onetime.OutcomeRunning, true)
	case "not_sent":
		came(onetime.OutcomeNotSent, false)
		attempt.Cause, a.Reachable = onetime.CauseUnreachable, false
	case "unavailable":
		came(onetime.OutcomeNotSent, false)
		attempt.Cause = onetime.CauseUnavailable
	case "failed":
		came(onetime.OutcomeFailed, false)
		attempt.Cause, a.Use.Failures = onetime.CauseFailed, 1
	case "stopped":
		came(onetime.OutcomeFailed, true)
		attempt.Cause, a.Use.Failures = onetime.CauseFailed, onetime.FailuresForgiven+1
	case "partial":
		came(onetime.OutcomeFailed, true)
		attempt.Cause = onetime.CausePartial
	case "rejected":
		came(onetime.OutcomeRejected, false)
	case "unknown":
		came(onetime.OutcomeUnknown, true)
	case "unknown_left":
		several()
		came(onetime.OutcomeUnknown, false)
	case "used_up":
		came(onetime.OutcomeDone, true)
		a.Use.LastAt, a.Use.LastDone, res = &ago, &ago, nil
	case "expired":
		t.Expires, v.Status = &ago, onetime.StatusExpired
	case "revoked":
		t.RevokedAt, v.Status = &ago, onetime.StatusRevoked
	case "paused":
		v.Status, v.Paused = onetime.StatusPaused, true
	}
	v.Actions = []onetime.ActionView{a}
	return v, res
}

// endOfDay is six in the evening of that day.
func endOfDay(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day(), 18, 0, 0, 0, zone)
}

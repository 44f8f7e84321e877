package guest

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// shownFor is how long a page shows the outcome of a press. An old "Done" must
// not stand at the door next morning.
const shownFor = 2 * time.Minute

// tryAgainAfter is when pressing again makes sense after the home was not asked.
const tryAgainAfter = 5 * time.Second

// show is GET: it changes nothing.
func (h *Handler) show(r *request, service *onetime.Service, v *onetime.View) {
	if wantsJSON(r.Header.Get("Accept")) {
		h.writeToken(r, v)
		return
	}
	query := r.URL.Query()
	var result *result
	if seq, err := strconv.ParseUint(query.Get("r"), 10, 64); err == nil {
		attempt, err := service.Attempt(r.Context(), v.Token.ID, seq)
		switch {
		case err == nil:
			result = h.current(attempt, query.Has("again"))
		case !errors.Is(err, onetime.ErrNotFound):
			h.fault(r, err)
			return
		}
	}
	h.writePage(r, http.StatusOK, h.tokenPage(r, v, result))
}

// result is an outcome that a page shows.
type result struct {
	*onetime.Attempt
	replayed bool
}

// current returns the attempt while its outcome is news.
func (h *Handler) current(a *onetime.Attempt, replayed bool) *result {
	at := a.At
	if a.SettledAt != nil {
		at = *a.SettledAt
	}
	shown := shownFor
	if a.Outcome == onetime.OutcomeRunning {
		shown = onetime.GiveUpAfter + shownFor
	}
	if h.cfg.Now().Sub(at) >= shown {
		return nil
	}
	return &result{a, replayed}
}

// redeem is POST.
func (h *Handler) redeem(r *request, service *onetime.Service, v *onetime.View) {
	in, p := readInput(r)
	if p != nil {
		h.refuse(r, v, p)
		return
	}
	client := ""
	if addr := h.cfg.ClientIP(r.Request); addr.IsValid() {
		client = addr.Unmap().String()
	}
	red, err := service.Redeem(r.Context(), onetime.RedeemRequest{
		Code: r.segment, Action: in.action, Key: in.key, Seen: in.seen, Client: client,
	})
	if err != nil {
		h.redeemError(r, service, v, err)
		return
	}
	if !r.html() {
		h.writeRedemption(r, red)
		return
	}
	if red.Seq == 0 {
		// Nothing of it is written down, so there is nothing to come back to.
		h.writePage(r, statusOf(red), h.tokenPage(r, v, &result{&red.Attempt, red.Replayed}))
		return
	}
	location := r.root + url.PathEscape(r.segment) + "?r=" + strconv.FormatUint(red.Seq, 10)
	if red.Replayed {
		location += "&again"
	}
	redirect(r, location)
}

func (h *Handler) redeemError(r *request, service *onetime.Service, v *onetime.View, err error) {
	var (
		refused *onetime.Refused
		changed *onetime.Changed
		bad     *onetime.BadInput
	)
	if errors.As(err, &refused) || errors.As(err, &changed) {
		// The page shows what is so now, not what was before the press.
		if fresh, err := r.open(service, r.segment); err == nil {
			v = fresh
		}
	}
	switch {
	case refused != nil:
		h.refuse(r, v, refusal(refused, h.cfg.Now()))
	case changed != nil:
		h.refuse(r, v, &problem{Status: http.StatusConflict, Code: "changed", Field: "revision",
			Detail: "What this does has been changed since it was looked at. Nothing was done: read it again, then press again."})
	case errors.As(err, &bad):
		h.refuse(r, v, badInput(bad.Field, bad.Message))
	case errors.Is(err, onetime.ErrNotFound):
		h.notFound(r) // gone since it was opened: that was no wrong try
	default:
		h.fault(r, err)
	}
}

// refuse answers a press that nothing came of: for a form, with the page as it
// is now.
func (h *Handler) refuse(r *request, v *onetime.View, p *problem) {
	if !r.html() {
		writeProblem(r, p)
		return
	}
	setRetryAfter(r, p.RetryAfter)
	if v == nil {
		h.writePage(r, p.Status, h.codePage(r, "code.incomplete"))
		return
	}
	page := h.tokenPage(r, v, nil)
	switch p.Code {
	case "bad_input", "too_large":
		page.alert(r.lang, "not_understood")
	case "changed":
		page.alert(r.lang, "changed")
	}
	h.writePage(r, p.Status, page)
}

// refusal is the problem of a genuine link that is not good now.
func refusal(e *onetime.Refused, now time.Time) *problem {
	p := &problem{Status: http.StatusGone, Code: string(e.Status)}
	switch e.Status {
	case onetime.StatusScheduled:
		p.Status, p.NotBefore = http.StatusForbidden, e.Token.NotBefore
		p.Detail = "This link is not good yet."
		if p.NotBefore != nil {
			p.RetryAfter = seconds(p.NotBefore.Sub(now))
		}
	case onetime.StatusPaused:
		p.Status, p.Detail = http.StatusForbidden, "The host has paused this link."
	case onetime.StatusExpired:
		p.Expires, p.Detail = e.Token.Expires, "This link has ended."
	case onetime.StatusUsedUp:
		p.Detail = "This link has been used."
	case onetime.StatusRevoked:
		p.Detail = "This link was switched off."
	}
	return p
}

// statusOf is the outcome table's code.
func statusOf(red *onetime.Redemption) int {
	switch red.Outcome {
	case onetime.OutcomeDone:
		return http.StatusOK
	case onetime.OutcomeRunning:
		return http.StatusAccepted
	case onetime.OutcomeNotSent:
		return http.StatusServiceUnavailable
	case onetime.OutcomeRejected, onetime.OutcomeFailed:
		return http.StatusBadGateway
	}
	return http.StatusGatewayTimeout
}

// details say what an outcome means, without a word of the home's own.
var details = map[onetime.Outcome]string{
	onetime.OutcomeNotSent:  "The home was not asked, and nothing was used up.",
	onetime.OutcomeRejected: "The home refused it before doing anything. Nothing was used up, and the host has been told.",
	onetime.OutcomeFailed:   "The home tried and could not do it.",
	onetime.OutcomeUnknown:  "The connection broke before the home could answer. It may have worked.",
}

func (h *Handler) writeRedemption(r *request, red *onetime.Redemption) {
	body := &redemption{
		Outcome: red.Outcome, UsesLeft: red.UsesLeft, At: red.At,
		Replayed: red.Replayed, Retry: red.Retry,
	}
	status := statusOf(red)
	if status < 300 {
		writeJSON(r, status, "application/json", body)
		return
	}
	p := &problem{Status: status, Code: string(red.Outcome), Detail: details[red.Outcome], redemption: body}
	if red.Outcome == onetime.OutcomeNotSent {
		p.RetryAfter = seconds(tryAgainAfter)
	}
	writeProblem(r, p)
}

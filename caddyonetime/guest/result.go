package guest

import (
	"net/url"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// result shows what came of a press. It reports false where the link's status
// is the greater news: a link that was switched off shows that.
func (s *saying) result(res *result) bool {
	var a *onetime.ActionView
	for i := range s.v.Actions {
		if s.v.Actions[i].Action.Name == res.Action {
			a = &s.v.Actions[i]
		}
	}
	if a == nil {
		return false
	}
	switch s.v.Status {
	case onetime.StatusReady, onetime.StatusUsedUp:
	default:
		if res.Outcome != onetime.OutcomeDone && res.Outcome != onetime.OutcomeRunning {
			return false
		}
	}
	switch res.Outcome {
	case onetime.OutcomeDone:
		s.done(res, a)
	case onetime.OutcomeRunning:
		s.running(a)
	case onetime.OutcomeNotSent:
		if s.v.Status != onetime.StatusReady {
			return false
		}
		s.notSent(res, a)
	case onetime.OutcomeRejected:
		s.rejected()
	case onetime.OutcomeFailed:
		s.failed(res, a)
	case onetime.OutcomeUnknown:
		s.unknownResult(a)
	default:
		return false
	}
	return true
}

// others adds the buttons of the token's other actions: whoever has come
// through the gate wants the door next.
func (s *saying) others(a *onetime.ActionView) {
	if s.v.Status != onetime.StatusReady {
		return
	}
	for i := range s.v.Actions {
		if o := &s.v.Actions[i]; o != a {
			s.Items = append(s.Items, s.item(o))
		}
	}
}

// mayPress reports whether the action can be pressed now.
func (s *saying) mayPress(a *onetime.ActionView) bool {
	return s.v.Status == onetime.StatusReady && (a.Left == nil || *a.Left > 0)
}

func (s *saying) done(res *result, a *onetime.ActionView) {
	s.State, s.Mark, s.Title = "done", Icon("-check"), s.say("done.title")
	switch {
	case res.replayed:
		s.Title = s.say("done.replayed", "at", s.at(res.At))
		s.line(s.say("done.replayed_text"))
	case a.Action.Done != "":
		s.line(isolated(a.Action.Done))
	case a.Kind == onetime.KindDoor:
		s.line(s.say("done.door"))
	}
	if !res.replayed {
		s.Lines = append(s.Lines, line{Text: s.time(res.At), Class: "when"})
	}
	switch {
	case s.v.Status == onetime.StatusUsedUp:
		s.line(s.say("done.none_left"))
	case s.mayPress(a):
		it := s.item(a)
		it.Label, it.Left, it.Late = s.say("done.again", "title", a.Action.Title), "", true
		if a.Left != nil {
			it.Left = sayN(s.l, "left.sentence", *a.Left)
		}
		s.Items = append(s.Items, it)
	}
	s.others(a)
	s.Links = s.h.contactLinks(s.l, "failed")
	if len(s.Links) == 0 {
		s.Nobody = say(s.l, "contact.failed_anon")
	}
}

// notSent: the home was not asked, for one of two reasons.
func (s *saying) notSent(res *result, a *onetime.ActionView) {
	s.State, s.Poll, s.Mark = "not_sent", "fast", Icon("-away")
	it := s.item(a)
	it.Label = s.say("again")
	it.Left = ""
	if res.Cause == onetime.CauseUnavailable {
		s.State = "unavailable"
		s.Title = say(s.l, kindOf("unavailable", a))
		s.alarm(s.say("unavailable.text"))
		s.line(s.say("told"))
	} else {
		s.Title = s.say("unreachable.title")
		s.alarm(s.say("unreachable.text"))
		if a.Reachable {
			s.line(s.say("unreachable.back"))
		}
	}
	if until := res.At.Add(tryAgainAfter); !a.Reachable && until.After(s.v.Now) {
		it.Until = until.UnixMilli()
	}
	s.Items = append(s.Items, it)
	s.others(a)
	s.Links = s.h.contactLinks(s.l, "")
}

func (s *saying) rejected() {
	s.State, s.Poll, s.Mark, s.Title = "rejected", "fast", Icon("-tool"), s.say("rejected.title")
	s.alarm(s.say("rejected.text"))
	s.dead("")
}

func (s *saying) failed(res *result, a *onetime.ActionView) {
	if res.Spent && !s.mayPress(a) {
		s.stopped(res.Cause != onetime.CausePartial)
		return
	}
	s.State, s.Mark = "failed", Icon("-tool")
	if !s.mayPress(a) {
		s.status()
		return
	}
	it := s.item(a)
	it.Label, it.Left = s.say("again"), ""
	switch {
	case res.Cause == onetime.CausePartial:
		s.Title = s.say("partial.title")
		s.alarm(s.say(s.of("partial")))
		s.line(s.say("told"))
		it.Label = s.say("press_again")
		s.pressUses(a)
	case res.Spent:
		s.Title = s.say("stopped.title")
		s.alarm(s.say("told"))
		s.pressUses(a)
	default:
		s.Title = s.say("failed.title")
		s.alarm(s.say("failed.text"))
		// As the host is told: how often until a try counts as a use.
		if a.Left != nil {
			more := max(1, onetime.FailuresForgiven+1-a.Use.Failures)
			s.Limits = sayN(s.l, "failed.more", more)
		}
	}
	s.Items = append(s.Items, it)
	s.others(a)
	s.Links = s.h.contactLinks(s.l, "")
}

// pressUses says that pressing again is not free.
func (s *saying) pressUses(a *onetime.ActionView) {
	if a.Left == nil {
		return
	}
	key := "press_uses"
	if a.Kind == onetime.KindDoor {
		key += ".door"
	}
	s.Limits = sayN(s.l, key, *a.Left)
}

func (s *saying) unknownResult(a *onetime.ActionView) {
	if !s.mayPress(a) {
		s.unknown(a)
		return
	}
	s.unknown(a)
	s.Solid = false
	s.pressUses(a)
	it := s.item(a)
	it.Label, it.Left = s.say("press_again"), ""
	s.Items = append(s.Items, it)
	s.others(a)
}

// codePage is a page of nobody's: we do not know whom we talk to. which is
// "code.enter", "code.incomplete" or "code.many".
func (h *Handler) codePage(r *request, which string) *page {
	p := &page{static: statics[r.lang](), Root: r.root, State: "code", Now: h.cfg.Now().UnixMilli()}
	p.Title = say(r.lang, which)
	p.Mark = Icon("-link")
	if which != "code.many" {
		p.Lines = []line{{Text: say(r.lang, which+"_text")}}
	}
	p.Code = &codeForm{To: r.root, Label: say(r.lang, "code.label"), Continue: say(r.lang, "code.continue")}
	return p
}

// alert adds a line that must not be missed.
func (p *page) alert(l *words.Language, key string) { p.Alert = say(l, key) }

// wait keeps the form to type a code in back for a while.
func (p *page) wait(l *words.Language, now time.Time, d time.Duration) {
	until := now.Add(d)
	p.Mark = Icon("-clock")
	p.Lines = []line{{Text: say(l, "code.many_text", "in", countdown(l, now, until))}}
	p.Code.Until = until.UnixMilli()
}

// troublePage is "Something is wrong here". sure says that nothing was sent.
func (h *Handler) troublePage(r *request, sure bool) *page {
	p := &page{static: statics[r.lang](), Root: r.root, State: "trouble", Now: h.cfg.Now().UnixMilli()}
	s := &saying{page: p, h: h, r: r, l: r.lang}
	p.Title, p.Mark = s.say("trouble.title"), Icon("-tool")
	switch {
	case !sure:
		s.alarm(s.say("unsure.text"))
	case r.genuine:
		s.alarm(s.say("trouble.text"))
	default:
		s.alarm(s.say("trouble.text_anon"))
	}
	p.Again, p.To = s.say("again"), r.root+url.PathEscape(r.segment)
	// Only who has a genuine link is told whom to turn to.
	if r.genuine {
		p.House = h.cfg.House
		p.Links = h.contactLinks(r.lang, "")
		if len(p.Links) == 0 {
			p.Nobody = s.say("contact.anon")
		}
	}
	return p
}

package host

import (
	"cmp"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// linkView is a token as pages show it.
type linkView struct {
	ID      string
	Name    string // of the guest, or what else tells it from others
	Guest   string
	Comment string
	Titles  string
	Status  onetime.Status
	Held    bool
	Live    bool
	Revoked bool

	StatusText string
	StatusIcon string
	Limits     string
	Made       string
	Last       string

	// Refill says that replenishing would let the guest in again.
	Refill bool
	Needs  bool // and that its guest may be waiting for it

	Extends  bool // has an end that can be put off
	Old      bool // opens by its guessable link from elsewhere, too
	Revision uint64
}

var statusIcons = map[onetime.Status]string{
	onetime.StatusReady:     "check",
	onetime.StatusScheduled: "clock",
	onetime.StatusPaused:    "pause",
	onetime.StatusUsedUp:    "used",
	onetime.StatusExpired:   "ended",
	onetime.StatusRevoked:   "off",
}

func (r *request) linkView(l *words.Language, v *onetime.View) *linkView {
	t := v.Token
	zone := r.viewZone(v)
	say := func(at time.Time) string { return l.Time(at, v.Now, zone) }

	lv := &linkView{
		ID: t.ID, Name: nameOf(l, t), Guest: t.Guest, Comment: t.Comment,
		Titles: join(l, termsOf(v).Titles),
		Status: v.Status, Held: t.Held, Live: t.Live(v.Now), Revoked: t.RevokedAt != nil,
		StatusText: l.T("host.status." + string(v.Status)),
		StatusIcon: statusIcons[v.Status],
		Refill:     t.RevokedAt == nil && (t.Expires == nil || v.Now.Before(*t.Expires)) && t.UsesMax != nil && used(t),
		Extends:    t.RevokedAt == nil && t.Expires != nil,
		Revision:   t.Revision,
	}
	_, lv.Old = r.svc.ForeignCode(t)
	lv.Needs = lv.Refill && v.Status == onetime.StatusUsedUp
	for _, use := range t.Uses {
		lv.Needs = lv.Needs || lv.Refill && use.Failures > 0
	}
	if lv.Titles == "" {
		lv.Titles = strings.Join(t.Actions, ", ")
	}
	if v.Status == onetime.StatusPaused && t.Held {
		lv.StatusText = l.T("host.status.held")
	}
	lv.Limits = limits(l, v, zone)

	by := cmp.Or(t.CreatedBy.Name, t.CreatedBy.ID)
	if t.CreatedBy.ID == r.visitor.ID {
		lv.Made = l.T("host.made.you", "at", say(t.CreatedAt))
	} else {
		lv.Made = l.T("host.made.other", "by", isolate(by), "at", say(t.CreatedAt))
	}

	lv.Last = l.T("host.last.none")
	var newest *time.Time
	for _, a := range v.Actions {
		if at := a.Use.LastAt; at != nil && (newest == nil || at.After(*newest)) {
			newest = at
			lv.Last = l.T("host.last.pressed", "at", say(*at), "outcome", l.T("host.outcome."+outcomeKey(a.Use.Last)))
		}
	}
	return lv
}

func used(t *onetime.Token) bool {
	for _, u := range t.Uses {
		if u.Used > 0 || u.Failures > 0 {
			return true
		}
	}
	return false
}

// outcomeKey is an outcome as catalogues name it.
func outcomeKey(o onetime.Outcome) string {
	if o == onetime.OutcomePending {
		return string(onetime.OutcomeRunning)
	}
	return string(o)
}

// nameOf is how hosts tell a token from others.
func nameOf(l *words.Language, t *onetime.Token) string {
	switch {
	case t.Guest != "":
		return shorten(t.Guest, 60)
	case t.Comment != "":
		return shorten(t.Comment, 60)
	}
	return l.T("host.link_id", "id", t.ID)
}

// limits says what is left of a link and until when.
func limits(l *words.Language, v *onetime.View, zone *time.Location) string {
	t := v.Token
	say := func(at time.Time) string { return l.Bound(at, v.Now, zone) }
	var parts []string
	switch {
	case t.UsesMax == nil:
		parts = append(parts, l.T("host.limit.any"))
	case len(v.Actions) == 1 && *t.UsesMax == 1 && *v.Actions[0].Left == 1:
		parts = append(parts, l.T("host.limit.once"))
	case len(v.Actions) == 1:
		parts = append(parts, l.N("host.limit.left", *v.Actions[0].Left, "max", *t.UsesMax))
	default:
		for _, a := range v.Actions {
			parts = append(parts, l.T("host.limit.each", "title", isolate(a.Action.Title), "n", *a.Left, "max", *t.UsesMax))
		}
	}
	if t.NotBefore != nil && v.Now.Before(*t.NotBefore) {
		parts = append(parts, l.T("host.limit.from", "from", say(*t.NotBefore)))
	}
	if t.Expires != nil && v.Now.Before(*t.Expires) {
		parts = append(parts, l.T("host.limit.until", "until", say(*t.Expires)))
	} else if t.Expires != nil {
		parts = append(parts, l.T("host.limit.ended", "until", l.Time(*t.Expires, v.Now, zone)))
	}
	return strings.Join(parts, " · ")
}

// eventView is an entry of the log as pages show it.
type eventView struct {
	At     string
	Text   string
	Detail string // Home Assistant's own words
	Icon   string
	By     string
}

var eventIcons = map[onetime.Happening]string{
	onetime.HappenedRefusal:       "question",
	onetime.HappenedTokenCreated:  "link",
	onetime.HappenedTokenRevoked:  "off",
	onetime.HappenedTokenRestored: "check",
	onetime.HappenedReplenished:   "plus",
}

func eventOf(l *words.Language, e onetime.Entry, now time.Time, zone *time.Location) eventView {
	ev := eventView{At: l.Time(e.At, now, zone), Detail: e.Message, Icon: eventIcons[e.What], By: cmp.Or(e.By.Name, e.By.ID)}
	title := isolate(cmp.Or(e.Title, e.Action))
	switch e.What {
	case onetime.HappenedRedemption, onetime.HappenedActionTried:
		ev.Text = l.T("host.event.redemption", "title", title, "outcome", l.T("host.outcome."+outcomeKey(e.Outcome)))
		ev.Icon = "alert"
		switch e.Outcome {
		case onetime.OutcomeDone:
			ev.Icon = "check"
		case onetime.OutcomeRunning, onetime.OutcomePending:
			ev.Icon = "clock"
		}
	case onetime.HappenedRefusal:
		ev.Text = l.T("host.event.refusal", "status", l.T("host.status."+string(e.Status)))
	default:
		ev.Text = string(e.What)
		if key := "host.event." + string(e.What); l.Has(key) {
			ev.Text = l.T(key)
		}
	}
	return ev
}

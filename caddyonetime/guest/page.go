package guest

import (
	"crypto/rand"
	"encoding/hex"
	"html/template"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// page is all that the template shows, in the order of the screen.
type page struct {
	*static
	Root string
	To   string // this page, by itself

	State string // names the look, and tells the script what it is about
	Poll  string // how often the script asks again: "fast", "slow" or never
	Now   int64  // the server's clock, in milliseconds

	House string
	Mark  template.HTML // the icon above the heading
	Title template.HTML // the heading
	Lines []line
	Quote *quote

	Alert  template.HTML // what stands in the way
	Limits template.HTML
	Items  []item
	Hint   template.HTML
	Code   *codeForm
	Again  template.HTML // leads to this page once more

	Links  []link
	Solid  bool          // the first link is what to do next
	Nobody template.HTML // instead of links
}

// static is what all pages of one language have in common.
type static struct {
	Lang, Dir              string
	Name, About            string // of the document, for messengers
	Style, Script, Favicon string
	More, Less, Yes, No    template.HTML
	NowHere, NonceHere     string
	header                 []string
}

// statics has the static of each language, made when it is needed for the first time.
var statics = func() map[*words.Language]func() *static {
	m := make(map[*words.Language]func() *static)
	for _, l := range words.All() {
		m[l] = sync.OnceValue(func() *static {
			return &static{
				Lang: l.Tag(), Dir: l.Dir(),
				Name: l.T("page.title"), About: l.T("page.about"),
				Style: styleAsset.name, Script: scripts[l]().name, Favicon: iconAsset.name,
				More: say(l, "message.more"), Less: say(l, "message.less"),
				Yes: say(l, "ask.yes"), No: say(l, "ask.no"),
				NowHere: nowHere, NonceHere: nonceHere,
				header: []string{l.Tag()},
			}
		})
	}
	return m
}()

// line is a sentence below the heading.
type line struct {
	Text  template.HTML
	Role  string // "alert" for what must not be missed
	Class string // "nojs": only without the script; "js": only with it; "when": a time alone
}

// quote is the host's message.
type quote struct {
	Text string
	By   string
	Long bool // it folds
}

// item is one action: a button, or what stands in its place.
type item struct {
	To    string // where the form goes
	Name  string
	Seen  string // of the action that its guest reads about
	Icon  template.HTML
	Label template.HTML

	Busy     bool // it was pressed, and nothing is known yet: only in previews
	Ask      bool // it takes a second step
	Open     bool // which is there already: only in previews
	Question template.HTML
	Last     template.HTML

	Text  template.HTML // instead of a button
	Left  template.HTML // below it
	Until int64         // the script keeps it back until then, in milliseconds
	Late  bool          // the script shows it after three seconds
}

// codeForm is the form to type a code in.
type codeForm struct {
	To              string
	Label, Continue template.HTML
	Until           int64
}

// say is a message as HTML. Its values are escaped unless they are HTML; the
// catalogues hold no markup.
func say(l *words.Language, key string, args ...any) template.HTML {
	return template.HTML(l.T(key, escaped(args)...))
}

func sayN(l *words.Language, key string, n int, args ...any) template.HTML {
	return template.HTML(l.N(key, n, escaped(args)...))
}

// escaped makes values safe to stand in a message. A person's own words are
// kept from turning the sentence around them.
func escaped(args []any) []any {
	for i := 1; i < len(args); i += 2 {
		switch v := args[i].(type) {
		case template.HTML:
			args[i] = string(v)
		case string:
			args[i] = "<bdi>" + template.HTMLEscapeString(v) + "</bdi>"
		}
	}
	return args
}

// saying builds a token's page.
type saying struct {
	*page
	h    *Handler
	r    *request
	v    *onetime.View
	l    *words.Language
	zone *time.Location
	door bool
	told bool // the zone has been named
}

// say and its like add a person's name where there is one; a message that has
// another wording without has it under the key with "_anon".
func (s *saying) say(key string, args ...any) template.HTML {
	host := s.h.host()
	if host == "" {
		if anon := key + "_anon"; s.l.Has(anon) {
			key = anon
		}
	}
	return say(s.l, key, append(args, "host", host)...)
}

// of chooses between the words for doors and for everything else.
func (s *saying) of(key string) string {
	if s.door {
		return key + ".door"
	}
	return key + ".any"
}

func (s *saying) line(text template.HTML) { s.Lines = append(s.Lines, line{Text: text}) }
func (s *saying) alarm(text template.HTML) {
	s.Lines = append(s.Lines, line{Text: text, Role: "alert"})
}

// time is a moment by itself, at a moment in a sentence. Behind the first of a
// page stands the home's zone, which the script takes away, or replaces by the
// phone's time.
func (s *saying) time(t time.Time) template.HTML { return s.moment(t, s.l.Time(t, s.v.Now, s.zone)) }
func (s *saying) at(t time.Time) template.HTML   { return s.moment(t, s.l.At(t, s.v.Now, s.zone)) }

// bound is a moment behind "from" or "until".
func (s *saying) bound(t time.Time) template.HTML {
	return s.moment(t, s.l.Bound(t, s.v.Now, s.zone))
}

func (s *saying) moment(t time.Time, text string) template.HTML {
	zone := ""
	if !s.told {
		s.told, zone = true, `<span> (`+template.HTMLEscapeString(s.zone.String())+`)</span>`
	}
	return template.HTML(`<time datetime="` + t.In(s.zone).Format(time.RFC3339) + `">` + template.HTMLEscapeString(text) + zone + `</time>`)
}

// in is a stretch of time that the script counts down.
func (s *saying) in(until time.Time) template.HTML { return countdown(s.l, s.v.Now, until) }

func countdown(l *words.Language, now, until time.Time) template.HTML {
	return template.HTML(`<span data-until="` + strconv.FormatInt(until.UnixMilli(), 10) + `">` +
		template.HTMLEscapeString(l.Duration(until.Sub(now))) + `</span>`)
}

// tokenPage is the page of a genuine link. result may be nil.
func (h *Handler) tokenPage(r *request, v *onetime.View, res *result) *page {
	s := &saying{
		page: &page{static: statics[r.lang](), Root: r.root, House: h.cfg.House, Now: v.Now.UnixMilli(), Poll: "slow"},
		h:    h, r: r, v: v, l: r.lang, zone: zone(v),
	}
	for _, a := range v.Actions {
		s.door = s.door || a.Kind == onetime.KindDoor
	}
	if res == nil || !s.result(res) {
		s.status()
	}
	if len(h.contacts) == 0 && s.Nobody == "" {
		s.Nobody = say(s.l, "contact.anon")
	}
	return s.page
}

// status shows what the link is good for.
func (s *saying) status() {
	s.State = string(s.v.Status)
	switch s.v.Status {
	case onetime.StatusReady:
		s.ready()
	case onetime.StatusScheduled:
		s.scheduled()
	case onetime.StatusExpired:
		s.Mark, s.Title, s.Poll = Icon("-end"), s.say("expired.title"), ""
		if s.v.Token.Expires != nil {
			s.line(s.say("expired.text", "until", s.bound(*s.v.Token.Expires)))
		}
		s.dead("new")
	case onetime.StatusUsedUp:
		s.usedUp()
	case onetime.StatusRevoked:
		s.Mark, s.Title = Icon("-end"), s.say("revoked.title")
		s.line(s.say("revoked.text"))
		s.dead("")
	case onetime.StatusPaused:
		s.Mark, s.Title, s.Poll = Icon("-pause"), s.say("paused.title"), "fast"
		if s.v.Paused {
			s.line(s.say("paused.text"))
		} else {
			s.line(s.say("paused.held"))
		}
		s.line(s.say("paused.again"))
		s.dead("")
	}
}

// dead is a page on which nothing can be pressed.
func (s *saying) dead(what string) {
	s.Links, s.Solid = s.h.contactLinks(s.l, what), true
}

func (s *saying) ready() {
	if s.v.Token.Guest != "" {
		s.Title = s.say("welcome", "guest", s.v.Token.Guest)
	} else {
		s.Title = s.say("welcome_anon")
	}
	s.quote()
	if len(s.v.Actions) == 0 {
		s.State, s.Mark, s.Title = "rejected", Icon("-tool"), s.say("rejected.title")
		s.Quote = nil
		s.line(s.say("repair.text"))
		s.Poll = "fast"
		s.dead("")
		return
	}
	s.Limits = s.limits()
	s.Hint = s.say(s.of("ready"))
	if !reachable(s.v) {
		s.Alert = s.say("ready.unreachable")
		s.Poll = "fast"
	}
	for i := range s.v.Actions {
		s.Items = append(s.Items, s.item(&s.v.Actions[i]))
	}
	s.Links = s.h.contactLinks(s.l, "")
}

func (s *saying) quote() {
	text := strings.TrimSpace(s.v.Token.Comment)
	if text == "" {
		return
	}
	long := utf8.RuneCountInString(text) > 180 || strings.Count(text, "\n") > 5
	s.Quote = &quote{Text: text, By: s.h.host(), Long: long}
}

// limits is the line above the button.
func (s *saying) limits() template.HTML {
	t := s.v.Token
	if len(s.v.Actions) > 1 || t.UsesMax == nil {
		if t.Expires == nil {
			return ""
		}
		return s.say("limit.until", "until", s.bound(*t.Expires))
	}
	left := s.v.Actions[0].Left
	switch {
	case *t.UsesMax == 1 && t.Expires == nil:
		return s.say("limit.once")
	case *t.UsesMax == 1:
		return s.say("limit.once_until", "until", s.bound(*t.Expires))
	case left == nil:
		return ""
	case t.Expires == nil:
		return sayN(s.l, "limit.left", *left, "max", *t.UsesMax)
	}
	return sayN(s.l, "limit.left_until", *left, "max", *t.UsesMax, "until", s.bound(*t.Expires))
}

// item is an action's button, or the sentence that it is done.
func (s *saying) item(a *onetime.ActionView) item {
	it := item{Name: a.Action.Name, Seen: a.Seen, Icon: s.icon(a), Label: isolated(a.Action.Title)}
	many := len(s.v.Actions) > 1
	if a.Left != nil && *a.Left == 0 {
		at := a.Use.LastDone
		if at == nil {
			at = a.Use.LastAt
		}
		if at != nil {
			it.Text = s.say("done_at", "title", a.Action.Title, "at", s.at(*at))
		} else {
			it.Text = it.Label
		}
		return it
	}
	it.To = s.r.root + s.r.segment
	it.Ask = a.Confirm == onetime.ConfirmAsk
	if it.Ask {
		it.Question = say(s.l, askOf(a.Kind))
		if max := s.v.Token.UsesMax; max != nil && a.Left != nil && *a.Left == 1 {
			key := "ask.last"
			if *max == 1 && !many {
				key = "ask.once"
			}
			it.Last = say(s.l, key)
		}
	}
	if many && a.Left != nil {
		it.Left = sayN(s.l, "left", *a.Left)
	}
	return it
}

func askOf(k onetime.Kind) string {
	if k == onetime.KindDoor {
		return "ask.door"
	}
	return "ask.any"
}

func isolated(text string) template.HTML {
	return template.HTML("<bdi>" + template.HTMLEscapeString(text) + "</bdi>")
}

func (s *saying) icon(a *onetime.ActionView) template.HTML { return IconOf(a.Action, a.Kind) }

// newNonce is a fresh key of 128 bits for a form.
func newNonce() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (s *saying) scheduled() {
	t := s.v.Token
	from := *t.NotBefore
	s.Poll, s.Mark = "fast", Icon("-clock")
	s.Title = s.say("scheduled.title", "at", s.at(from))
	s.Lines = append(s.Lines,
		line{Text: s.say("scheduled.in", "in", s.in(from))},
		line{Text: s.say("scheduled.wait"), Class: "js"},
		line{Text: s.say("scheduled.again", "at", s.at(from)), Class: "nojs"})
	s.quote()
	single := len(s.v.Actions) == 1 && t.UsesMax != nil
	switch {
	case t.Expires != nil && single && *t.UsesMax == 1:
		s.Limits = s.say("limit.once_from", "from", s.bound(from), "until", s.bound(*t.Expires))
	case t.Expires != nil && single:
		s.Limits = sayN(s.l, "limit.times_from", *s.v.Actions[0].Left, "from", s.bound(from), "until", s.bound(*t.Expires))
	case t.Expires != nil:
		s.Limits = s.say("limit.from", "from", s.bound(from), "until", s.bound(*t.Expires))
	case single && *t.UsesMax == 1:
		s.Limits = s.say("limit.once")
	case single:
		s.Limits = sayN(s.l, "limit.times", *s.v.Actions[0].Left)
	}
	for i := range s.v.Actions {
		a := &s.v.Actions[i]
		s.Items = append(s.Items, item{
			Name: a.Action.Name,
			Text: s.say("scheduled.button", "title", a.Action.Title, "from", s.bound(from)),
		})
	}
	s.Links = s.h.contactLinks(s.l, "")
}

// usedUp tells what came of the last use, as far as the guest can do something
// about it.
func (s *saying) usedUp() {
	var last *onetime.ActionView
	for i := range s.v.Actions {
		a := &s.v.Actions[i]
		if a.Use.LastAt != nil && (last == nil || a.Use.LastAt.After(*last.Use.LastAt)) {
			last = a
		}
	}
	s.Poll = "fast"
	if last != nil {
		switch lastOutcome(last.Use) {
		case onetime.OutcomeRunning:
			if s.v.Now.Sub(*last.Use.LastAt) < onetime.GiveUpAfter {
				s.running(last)
				return
			}
		case onetime.OutcomeFailed:
			s.stopped(last.Use.Failures > onetime.FailuresForgiven)
			return
		case onetime.OutcomeUnknown:
			s.unknown(last)
			return
		}
	}
	s.Mark, s.Title = Icon("-check"), s.say("used_up.title")
	if last != nil {
		at := last.Use.LastAt
		if last.Use.LastDone != nil {
			at = last.Use.LastDone
		}
		s.line(s.say("used_up.last", "at", s.time(*at)))
	}
	s.line(s.say("used_up.not_you"))
	s.dead("")
}

func (s *saying) running(a *onetime.ActionView) {
	s.State, s.Poll, s.Mark = "running", "fast", Icon("-clock")
	s.Title = say(s.l, kindOf("running", a))
	s.line(s.say("running.text"))
	s.Links = s.h.contactLinks(s.l, "")
}

func kindOf(key string, a *onetime.ActionView) string {
	if a.Kind == onetime.KindDoor {
		return key + ".door"
	}
	return key + ".any"
}

// stopped: it failed, and the use stays spent.
func (s *saying) stopped(three bool) {
	s.State, s.Poll, s.Mark = "stopped", "fast", Icon("-tool")
	if three {
		s.Title = s.say("stopped.title")
		s.alarm(s.say("stopped.text"))
	} else {
		s.Title = s.say("partial.title")
		s.alarm(s.say(s.of("partial")))
		s.line(s.say("told"))
	}
	s.line(s.say("lets_again"))
	s.dead("")
}

// unknown: nobody knows, and nothing is left.
func (s *saying) unknown(a *onetime.ActionView) {
	s.State, s.Poll, s.Mark = "unknown", "fast", Icon("-ask")
	s.Title = say(s.l, kindOf("unknown", a))
	s.alarm(s.say("unknown.text"))
	s.line(s.say("told"))
	if s.v.Status == onetime.StatusUsedUp {
		s.line(s.say("lets_again"))
	}
	s.dead("")
}

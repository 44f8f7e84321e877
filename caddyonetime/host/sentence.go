package host

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// terms are what a link allows, to be said in a sentence.
type terms struct {
	Guest   string
	Titles  []string
	Actions []*onetime.Action // of those titles, where they are known
	UsesMax *int
	From    *time.Time
	Until   *time.Time
}

// termsOf are what is left of a link.
func termsOf(v *onetime.View) terms {
	t := terms{Guest: v.Token.Guest, UsesMax: v.Token.UsesMax, From: v.Token.NotBefore, Until: v.Token.Expires}
	if len(v.Actions) == 1 && t.UsesMax != nil {
		t.UsesMax = v.Actions[0].Left
	}
	for _, a := range v.Actions {
		t.add(a.Action)
	}
	return t
}

func (t *terms) add(a *onetime.Action) {
	t.Titles, t.Actions = append(t.Titles, a.Title), append(t.Actions, a)
}

// sent are the titles as they are sent to guests: in the language of the text
// around them, where the host has said them in it.
func (t terms) sent(l *words.Language) []string {
	if len(t.Actions) != len(t.Titles) {
		return t.Titles
	}
	titles := make([]string, len(t.Actions))
	for i, a := range t.Actions {
		titles[i] = a.In(words.Choose("", l, a.Languages())).Title
	}
	return titles
}

// forEver reports whether nothing ever ends such a link.
func (t terms) forEver() bool { return t.UsesMax == nil && t.Until == nil }

// sentence says what the link allows: "Tom can open the front door once, until
// today 4:10 pm."
func (t terms) sentence(l *words.Language, now time.Time, zone *time.Location) string {
	who := l.T("host.whoever")
	if t.Guest != "" {
		who = isolate(t.Guest)
	}
	titles, verbs := make([]string, len(t.Titles)), make([]string, len(t.Titles))
	for i, title := range t.Titles {
		titles[i], verbs[i] = isolate(title), isolate(lowerFirst(title))
	}
	args := []any{"who", who, "title", join(l, titles), "verb", join(l, verbs), "times", t.times(l)}
	from := t.From != nil && t.From.After(now)
	switch {
	case t.forEver() && from:
		return l.T("host.sentence.forever_from", append(args, "from", l.Bound(*t.From, now, zone))...)
	case t.forEver():
		return l.T("host.sentence.forever", args...)
	case from && t.Until != nil:
		return l.T("host.sentence.from_until", append(args, "from", l.Bound(*t.From, now, zone), "until", l.Bound(*t.Until, now, zone))...)
	case from:
		return l.T("host.sentence.from", append(args, "from", l.Bound(*t.From, now, zone))...)
	case t.Until != nil:
		return l.T("host.sentence.until", append(args, "until", l.Bound(*t.Until, now, zone))...)
	}
	return l.T("host.sentence.open", args...)
}

func (t terms) times(l *words.Language) string {
	each := ""
	if len(t.Titles) > 1 {
		each = "each_"
	}
	switch {
	case t.UsesMax == nil:
		return l.T("host.times.any")
	case *t.UsesMax == 1:
		return l.T("host.times." + each + "once")
	}
	return l.N("host.times."+each+"n", *t.UsesMax)
}

// message is what is sent to the guest together with the link, at its end.
func (t terms) message(l *words.Language, house, link string, now time.Time, zone *time.Location) string {
	// Isolates are left out where nothing needs them: who knows what the text passes through.
	as := withoutOverrides
	if l.Dir() == "rtl" {
		as = isolate
	}
	title := as(join(l, t.sent(l)))
	if house != "" {
		house = as(house)
	}
	head := l.T("host.send.head", "title", title)
	if house != "" {
		head = l.T("host.send.head_house", "house", house, "title", title)
	}
	parts := []string{head}
	if works := t.works(l, now, zone); works != "" {
		parts = append(parts, works)
	}
	return strings.Join(append(parts, link), " ")
}

// works says to the guest how often and until when: "Works once, until today
// 4:10 pm." It is empty where nothing limits it.
func (t terms) works(l *words.Language, now time.Time, zone *time.Location) string {
	times, n := "", 0
	switch {
	case t.UsesMax != nil && *t.UsesMax == 1:
		times, n = "once", 1
	case t.UsesMax != nil:
		times, n = "n", *t.UsesMax
	}
	span := ""
	var args []any
	if t.From != nil && t.From.After(now) {
		span, args = "from", append(args, "from", l.Bound(*t.From, now, zone))
	}
	if t.Until != nil {
		span, args = strings.TrimPrefix(span+"_until", "_"), append(args, "until", l.Bound(*t.Until, now, zone))
	}
	key := strings.Trim(times+"_"+span, "_")
	if key == "" {
		return ""
	}
	return l.N("host.send."+key, n, args...)
}

// join lists texts: "a, b and c".
func join(l *words.Language, texts []string) string {
	switch len(texts) {
	case 0:
		return ""
	case 1:
		return texts[0]
	}
	return l.T("host.and", "first", strings.Join(texts[:len(texts)-1], ", "), "last", texts[len(texts)-1])
}

// lowerFirst makes "Open the door" fit into a sentence, and leaves "TV on".
func lowerFirst(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	next, _ := utf8.DecodeRuneInString(s[n:])
	if !unicode.IsUpper(c) || unicode.IsUpper(next) {
		return s
	}
	return string(unicode.ToLower(c)) + s[n:]
}

package host

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// newView is the form for a new link.
type newView struct {
	Actions []choice
	Folded  bool     // those not chosen are out of the way
	Guests  []string // called before, last first
	Guest   string
	Comment string
	Until   string // the chosen preset
	From    string // of the custom one, as a datetime-local field has it
	To      string
	Uses    string
	Presets []preset
	Zone    string

	Message  string // the beginning of Comment, where it is folded away
	Sentence string // what the form allows as it stands
	Warning  string // needs a second tap
	Error    string
	Field    string

	// Fresh is a form that nobody has written in: whom the last link with the
	// same actions was for, and what they were told, is in it already.
	Fresh bool
}

type choice struct {
	Name, Title string
	Chosen      bool
}

// preset is an end that can be chosen with one tap.
type preset struct {
	Name, Label, Hint string
}

// localTime is how a field of type datetime-local writes a moment.
const localTime = "2006-01-02T15:04"

// presetEnd is the moment at which a preset ends.
func presetEnd(name string, now time.Time, zone *time.Location) (time.Time, bool) {
	now = now.In(zone)
	night := func(days int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+days, 23, 59, 0, 0, zone)
	}
	switch name {
	case "2h":
		return now.Add(2 * time.Hour).Truncate(time.Minute), true
	case "tonight":
		if night(0).Sub(now) < time.Hour { // for whoever comes at this hour, the night is not over
			return time.Date(now.Year(), now.Month(), now.Day()+1, 4, 0, 0, 0, zone), true
		}
		return night(0), true
	case "sunday":
		days := (7 - int(now.Weekday())) % 7
		if days == 0 {
			days = 7
		}
		return night(days), true
	}
	return time.Time{}, false
}

func (r *request) newPage() error {
	v := r.URL.Query()
	d := &newView{Until: "2h", Uses: "1", Fresh: v.Get("like") == ""}
	chosen := v["action"]
	if from := v.Get("like"); from != "" {
		if view, err := r.token(from); err == nil {
			chosen, d.Guest, d.Comment = view.Token.Actions, view.Token.Guest, view.Token.Comment
			if m := view.Token.UsesMax; m == nil {
				d.Uses = "any"
			} else {
				d.Uses = strconv.Itoa(*m)
			}
			if view.Token.Expires == nil {
				d.Until = "none"
			}
		}
	}
	return r.renderNew(http.StatusOK, d, chosen)
}

func (r *request) renderNew(status int, d *newView, chosen []string) error {
	l := r.lang()
	actions, err := r.svc.Actions(r.Context())
	if err != nil {
		return err
	}
	if len(actions) == 1 {
		chosen = []string{actions[0].Name}
	}
	home := onetime.DefaultHome
	for _, a := range actions {
		c := choice{Name: a.Name, Title: a.Title, Chosen: slices.Contains(chosen, a.Name)}
		if c.Chosen {
			home = a.Home
		}
		d.Actions = append(d.Actions, c)
	}
	// What was chosen comes first: it is what a tile was tapped for.
	slices.SortStableFunc(d.Actions, func(a, b choice) int {
		switch {
		case a.Chosen == b.Chosen:
			return 0
		case a.Chosen:
			return -1
		}
		return 1
	})
	d.Folded = len(d.Actions) > 2 && d.Actions[0].Chosen
	zone, now := r.zone(home), r.h.cfg.Now()
	for _, name := range []string{"2h", "tonight", "sunday"} {
		end, _ := presetEnd(name, now, zone)
		hint := l.Time(end, now, zone)
		if name == "sunday" {
			hint = l.Clock(end, zone) // the label has the day
		}
		d.Presets = append(d.Presets, preset{Name: name, Label: l.T("host.until." + name), Hint: hint})
	}
	d.Zone = zone.String()
	if zone == time.Local {
		d.Zone, _ = now.In(zone).Zone()
	}
	if d.From == "" {
		d.From = now.In(zone).Format(localTime)
	}
	if d.To == "" {
		d.To = now.In(zone).Add(24 * time.Hour).Format(localTime)
	}
	recent, _, err := r.svc.Tokens(r.Context(), onetime.TokenQuery{Limit: recentTokens, By: r.visitor.ID})
	if err != nil {
		return err
	}
	for _, v := range recent {
		if g := v.Token.Guest; g != "" && !slices.Contains(d.Guests, g) && len(d.Guests) < maxChips {
			d.Guests = append(d.Guests, g)
		}
	}
	if d.Fresh {
		d.Guest, d.Comment = lastGuest(recent, chosen)
	}
	d.Message = shorten(d.Comment, 40)
	d.Sentence = r.sentenceOf(l, d, zone, now)
	return r.render(status, "new.html", r.makePage("links", l.T("host.new.title"), d))
}

// maxChips is how many names of earlier guests are offered.
const maxChips = 6

// lastGuest is whom the last link with the chosen actions was for, and what they
// were told.
func lastGuest(recent []*onetime.View, chosen []string) (name, message string) {
	if len(chosen) == 0 {
		return "", ""
	}
	for _, v := range recent {
		if slices.Equal(v.Token.Actions, chosen) {
			return v.Token.Guest, v.Token.Comment
		}
	}
	return "", ""
}

// sentenceOf says what the form allows before anything in it is changed; empty
// where that is nothing yet.
func (r *request) sentenceOf(l *words.Language, d *newView, zone *time.Location, now time.Time) string {
	t := terms{Guest: d.Guest}
	for _, c := range d.Actions {
		if c.Chosen {
			t.Titles = append(t.Titles, c.Title)
		}
	}
	uses, err := usesField(d.Uses)
	end, preset := presetEnd(d.Until, now, zone)
	if len(t.Titles) == 0 || err != nil || !preset && d.Until != "none" {
		return ""
	}
	t.UsesMax = uses
	if preset {
		t.Until = &end
	}
	return t.sentence(l, now, zone)
}

// newForm makes the link, or says for a preview what it would allow.
func (r *request) newForm() error {
	if err := r.form(); err != nil {
		return err
	}
	l, f := r.lang(), r.PostForm
	spec, t, zone, err := r.specOf(f["action"])
	preview := f.Get("preview") != ""
	now := r.h.cfg.Now()

	var warning string
	if err == nil && t.forEver() {
		warning = t.sentence(l, now, zone)
	}
	if preview {
		r.api = true
		j := map[string]string{}
		if err == nil {
			j["sentence"], j["warning"] = t.sentence(l, now, zone), warning
		}
		return r.reply(http.StatusOK, j)
	}

	d := &newView{
		Guest: f.Get("guest"), Comment: f.Get("comment"), Until: f.Get("until"),
		From: f.Get("from"), To: f.Get("to"), Uses: f.Get("uses"),
	}
	if r.Header.Get("Accept") == "application/json" {
		return r.newByScript(l, spec, t, zone, err, warning != "" && f.Get("sure") == "")
	}
	if err == nil && warning != "" && f.Get("sure") == "" {
		d.Warning = warning
		return r.renderNew(http.StatusOK, d, f["action"])
	}
	if err == nil {
		var v *onetime.View
		if v, err = r.newToken(spec); err == nil {
			return r.redirect("link", "id", v.Token.ID, "new", "1")
		}
	}
	status, field, msg, err := r.mistake(l, err)
	if err != nil {
		return err
	}
	d.Error, d.Field = msg, field
	return r.renderNew(status, d, f["action"])
}

// newByScript answers the form's own script, which shares the link or copies it
// in the same tap: 201 with what is sent.
func (r *request) newByScript(l *words.Language, spec onetime.TokenSpec, t terms, zone *time.Location, err error, unsure bool) error {
	r.api = true
	now := r.h.cfg.Now()
	if err == nil && unsure {
		return r.reply(http.StatusUnprocessableEntity, map[string]string{"warning": t.sentence(l, now, zone)})
	}
	var v *onetime.View
	if err == nil {
		v, err = r.newToken(spec)
	}
	if err != nil {
		status, field, text, err := r.mistake(l, err)
		if err != nil {
			return err
		}
		return r.reply(status, map[string]string{"error": text, "field": field})
	}
	link, err := r.link(v)
	if err != nil {
		return err
	}
	q := url.Values{"id": {v.Token.ID}, "new": {"1"}}
	r.w.Header().Set("Location", "link?"+q.Encode())
	return r.reply(http.StatusCreated, map[string]string{
		"id": v.Token.ID, "url": link, "page": "link?" + q.Encode(),
		"text": t.message(l, r.h.cfg.House, link, now, zone),
	})
}

// specOf reads the form for a new link.
func (r *request) specOf(names []string) (spec onetime.TokenSpec, t terms, zone *time.Location, err error) {
	f := r.PostForm
	spec = onetime.TokenSpec{Actions: names, Guest: f.Get("guest"), Comment: f.Get("comment")}
	zone = r.zone(onetime.DefaultHome)
	if len(names) == 0 {
		return spec, t, zone, badField("actions", "choose at least one thing that the guest may do.").Says("one_action")
	}
	for i, name := range names {
		a, err := r.svc.Action(r.Context(), name)
		if isNotFound(err) {
			return spec, t, zone, badField("actions", "%q is not there any more.", name).Says("gone", "name", name)
		} else if err != nil {
			return spec, t, zone, err
		}
		if i == 0 {
			zone = r.zone(a.Home)
		}
		t.add(a)
	}
	if spec.UsesMax, err = usesField(f.Get("uses")); err != nil {
		return spec, t, zone, err
	}
	switch until := f.Get("until"); until {
	case "none":
	case "custom":
		if spec.NotBefore, err = timeField("not_before", f.Get("from"), zone); err != nil {
			return spec, t, zone, err
		}
		if spec.NotBefore != nil && !spec.NotBefore.After(r.h.cfg.Now()) {
			spec.NotBefore = nil // from now on
		}
		if spec.Expires, err = timeField("expires", f.Get("to"), zone); err != nil {
			return spec, t, zone, err
		}
	default:
		end, ok := presetEnd(until, r.h.cfg.Now(), zone)
		if !ok {
			return spec, t, zone, badField("expires", "choose until when the link works.").Says("choose")
		}
		end = end.UTC()
		spec.Expires = &end
	}
	t.Guest, t.UsesMax, t.From, t.Until = spec.Guest, spec.UsesMax, spec.NotBefore, spec.Expires
	return spec, t, zone, nil
}

// usesField reads how often a link works; nil is any number.
func usesField(s string) (*int, error) {
	if s == "any" || s == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > onetime.MaxUses {
		return nil, badField("uses_max", "must be a whole number between 1 and %d.", onetime.MaxUses).Says("range", "min", 1, "max", onetime.MaxUses)
	}
	return &n, nil
}

// timeField reads a field of type datetime-local, in the home's time zone.
func timeField(name, s string, zone *time.Location) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	for _, layout := range []string{localTime, "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil && t.Year() >= 1970 {
			t = t.UTC()
			return &t, nil
		}
	}
	return nil, badField(name, "must be a day and a time, such as %s.", "2026-11-22T18:00").Says("when")
}

// mistake says how a form shows an error; rest is an error it has no place for.
func (r *request) mistake(l *words.Language, err error) (status int, field, text string, rest error) {
	p, ok := asProblem(err)
	if !ok {
		return 0, "", "", err
	}
	switch p.Code {
	case "bad_input":
		text = named(l, p.Field, p.Detail)
		if p.bad != nil {
			text = named(l, p.Field, mistakeText(l, p.bad))
		}
	case "conflict", "home_unreachable":
		text = l.T("host.problem." + p.Code)
	case "no_public_url", "in_use":
		text = p.text(l)
	default:
		return 0, "", "", err
	}
	var refused *problem
	if errors.As(err, &refused) && refused.Status >= 500 {
		r.h.cfg.Logger.Warn("the host's side could not make a link", "error", err)
	}
	return p.Status, p.Field, text, nil
}

package host

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// linkData is the page of one link.
type linkData struct {
	*linkView
	New      bool // has just been made: send it
	Copied   bool // and lies in the clipboard
	Instead  string
	Calendar bool // it has an end that a calendar can hold
	URL      string
	NoURL    string // why there is no link to show
	Text     string // what is sent
	WhatsApp string
	SMS      template.URL // of our own making: html/template knows no sms:
	Mail     template.URL
	Sentence string
	Events   []eventView
	More     bool

	Uses, From, To, Zone string // of the form to change it
	Editing              bool
	Error                string
	Now                  *linkNow // what another host has made of it
	Later                []preset // ends to choose instead of this one
}

// linkNow is a link as another host has left it.
type linkNow struct{ Guest, Sentence, Comment string }

const eventsOfLink = 30

func (r *request) linkPage() error {
	v, err := r.token(r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	q := r.URL.Query()
	d := &linkData{New: q.Get("new") != "", Copied: q.Get("copied") != ""}
	if d.New && q.Get("for") != "" {
		if old, err := r.token(q.Get("for")); err == nil && old.Token.RevokedAt != nil {
			d.Instead = r.lang().T("host.link.instead")
		}
	}
	return r.renderLink(http.StatusOK, v, d)
}

func (r *request) renderLink(status int, v *onetime.View, d *linkData) error {
	l, t, zone := r.lang(), v.Token, r.viewZone(v)
	d.linkView = r.linkView(l, v)
	d.Calendar = t.Expires != nil
	d.Later = r.laterPresets(v)
	ts := termsOf(v)
	if len(ts.Titles) > 0 {
		d.Sentence = ts.sentence(l, v.Now, zone)
	}
	if link, err := r.link(v); err != nil {
		if p, ok := asProblem(err); ok {
			d.NoURL = p.text(l)
		}
	} else {
		d.URL = link
		d.Text = ts.message(l, r.h.cfg.House, link, v.Now, zone)
		text := addressText(d.Text)
		d.SMS = template.URL("sms:?&body=" + text)
		d.WhatsApp = "https://wa.me/?text=" + text
		d.Mail = template.URL("mailto:?subject=" + addressText(l.T("host.send.subject")) + "&body=" + text)
	}
	entries, next, err := r.svc.Log(r.Context(), onetime.LogQuery{Token: t.ID, Limit: eventsOfLink})
	if err != nil {
		return err
	}
	d.More = next != 0
	for _, e := range entries {
		d.Events = append(d.Events, eventOf(l, e, v.Now, zone))
	}
	if !d.Editing {
		d.From, d.To = localField(t.NotBefore, zone), localField(t.Expires, zone)
		if t.UsesMax != nil {
			d.Uses = strconv.Itoa(*t.UsesMax)
		}
	}
	d.Zone = zone.String()
	if zone == time.Local {
		d.Zone, _ = v.Now.In(zone).Zone()
	}
	title := d.Name
	if d.New {
		title = l.T("host.link.ready")
	}
	return r.render(status, "link.html", r.makePage("links", title, d))
}

// addressText escapes a text for an sms:, mailto: or wa.me address: programs
// that open those do not read + as a space.
func addressText(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func localField(t *time.Time, zone *time.Location) string {
	if t == nil {
		return ""
	}
	return t.In(zone).Format(localTime)
}

func (r *request) linkForm() error {
	if err := r.form(); err != nil {
		return err
	}
	f := r.PostForm
	v, err := r.token(f.Get("id"))
	if err != nil {
		return err
	}
	switch op := f.Get("op"); op {
	case "change":
	case "rotate":
		fresh, err := r.rotate(v)
		if err != nil {
			return err
		}
		return r.redirect("link", "id", fresh.Token.ID, "new", "1", "for", v.Token.ID)
	case "end_old":
		if _, err := r.svc.EndForeign(r.Context(), r.visitor.Person, v.Token.ID); err != nil {
			return err
		}
		return r.redirect("link", "id", v.Token.ID)
	case "undo":
		if err := r.tokenOp(v, "revoke"); err != nil {
			return err
		}
		return r.redirect("./", "off", v.Token.ID)
	default:
		if err := r.tokenOp(v, op); err != nil {
			return err
		}
		return r.redirect("link", "id", v.Token.ID)
	}

	zone := r.viewZone(v)
	changed, err := r.changeOf(v.Token, zone)
	if err == nil {
		var revision uint64
		if revision, err = strconv.ParseUint(f.Get("revision"), 10, 64); err == nil {
			_, err = r.svc.ChangeToken(r.Context(), r.visitor.Person, v.Token.ID, changed, revision)
		} else {
			err = badField("revision", "is missing from the form.").Says("needed")
		}
		if err == nil {
			return r.redirect("link", "id", v.Token.ID)
		}
	}
	conflict := errors.Is(err, onetime.ErrConflict)
	status, _, text, err := r.mistake(r.lang(), err)
	if err != nil {
		return err
	}
	d := &linkData{Editing: true, Error: text, Uses: f.Get("uses"), From: f.Get("from"), To: f.Get("to")}
	if conflict {
		d.Now = &linkNow{Guest: v.Token.Guest, Comment: v.Token.Comment, Sentence: termsOf(v).sentence(r.lang(), v.Now, zone)}
	}
	v.Token.Guest, v.Token.Comment = f.Get("guest"), f.Get("comment")
	return r.renderLink(status, v, d)
}

// Ways to put the end of a link off, besides the presets of a new link.
var extensions = []string{"2h", "1d", "1w", "tonight", "sunday", "none"}

// longer is the later end of a link that by says, nil for none at all. ok is
// false where that would not be later: nobody is shut out by being let in longer.
func (r *request) longer(v *onetime.View, by string) (end *time.Time, ok bool, err error) {
	if v.Token.Expires == nil {
		return nil, false, badField("by", "this link has no end to put off.").Says("no_end")
	}
	zone := r.viewZone(v)
	now, to := v.Now, v.Token.Expires.In(zone)
	if to.Before(now) {
		to = now.In(zone).Truncate(time.Minute) // from now on
	}
	switch by {
	case "2h":
		to = to.Add(2 * time.Hour)
	case "1d":
		to = to.AddDate(0, 0, 1) // at the same time of day, whatever clocks do
	case "1w":
		to = to.AddDate(0, 0, 7)
	case "tonight", "sunday":
		to, _ = presetEnd(by, now, zone)
	case "none":
		// With any number of uses it would be good for ever: that is said twice.
		return nil, v.Token.UsesMax != nil, nil
	default:
		return nil, false, badField("by", "must be one of %s.", strings.Join(extensions, ", ")).Says("choose")
	}
	return &to, to.After(*v.Token.Expires), nil
}

// extend puts the end of a link off. What another host does to it in the same
// moment counts as well.
func (r *request) extend(v *onetime.View, by string) error {
	for {
		end, ok, err := r.longer(v, by)
		if err != nil || !ok {
			return err
		}
		_, err = r.svc.ChangeToken(r.Context(), r.visitor.Person, v.Token.ID, onetime.TokenChange{Expires: &end}, v.Token.Revision)
		if !errors.Is(err, onetime.ErrConflict) {
			return err
		}
		if v, err = r.token(v.Token.ID); err != nil {
			return err
		}
	}
}

// laterPresets are the ends of a new link that are later than this one's.
func (r *request) laterPresets(v *onetime.View) []preset {
	var list []preset
	l, zone := r.lang(), r.viewZone(v)
	for _, name := range []string{"tonight", "sunday", "none"} {
		end, ok, err := r.longer(v, name)
		if err != nil || !ok {
			continue
		}
		p := preset{Name: name, Label: l.T("host.until." + name)}
		switch name {
		case "tonight":
			p.Hint = l.Time(*end, v.Now, zone)
		case "sunday":
			p.Hint = l.Clock(*end, zone) // the label has the day
		}
		list = append(list, p)
	}
	return list
}

// rotate makes a new link in the place of one that got about, with what is left
// of it. The old one is switched off first, so that nobody spends the same use
// on both.
func (r *request) rotate(v *onetime.View) (*onetime.View, error) {
	if !v.Token.Live(v.Now) {
		return nil, badField("op", "this link has ended already; make a new one like it.").Says("link_ended")
	}
	yes, no := true, false
	by, id := r.visitor.Person, v.Token.ID
	v, err := r.svc.ChangeToken(r.Context(), by, id, onetime.TokenChange{Revoked: &yes}, 0)
	if err != nil {
		return nil, err
	}
	t := v.Token
	spec := onetime.TokenSpec{Guest: t.Guest, Comment: t.Comment, UsesMax: mostLeft(v), NotBefore: t.NotBefore, Expires: t.Expires}
	for _, a := range v.Actions {
		spec.Actions = append(spec.Actions, a.Action.Name)
	}
	fresh, err := r.newToken(spec)
	if err != nil {
		// Nothing came in its place, so it stays.
		_, undone := r.svc.ChangeToken(r.Context(), by, id, onetime.TokenChange{Revoked: &no}, 0)
		return nil, errors.Join(err, undone)
	}
	return fresh, nil
}

// changeOf reads the form that changes a link: only what differs is changed,
// so that seconds which the form cannot show stay.
func (r *request) changeOf(t *onetime.Token, zone *time.Location) (c onetime.TokenChange, err error) {
	f := r.PostForm
	if g := f.Get("guest"); g != t.Guest {
		c.Guest = &g
	}
	if m := formText(f.Get("comment")); m != t.Comment {
		c.Comment = &m
	}
	uses, err := usesField(f.Get("uses"))
	if err != nil {
		return c, err
	}
	if (uses == nil) != (t.UsesMax == nil) || uses != nil && *uses != *t.UsesMax {
		c.UsesMax = &uses
	}
	if f.Get("from") != localField(t.NotBefore, zone) {
		from, err := timeField("not_before", f.Get("from"), zone)
		if err != nil {
			return c, err
		}
		c.NotBefore = &from
	}
	if f.Get("to") != localField(t.Expires, zone) {
		to, err := timeField("expires", f.Get("to"), zone)
		if err != nil {
			return c, err
		}
		c.Expires = &to
	}
	return c, nil
}

package host

import (
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
}

const eventsOfLink = 30

func (r *request) linkPage() error {
	v, err := r.token(r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	return r.renderLink(http.StatusOK, v, &linkData{New: r.URL.Query().Get("new") != ""})
}

func (r *request) renderLink(status int, v *onetime.View, d *linkData) error {
	l, t, zone := r.lang(), v.Token, r.viewZone(v)
	d.linkView = r.linkView(l, v)
	ts := termsOf(v)
	if len(ts.Titles) > 0 {
		d.Sentence = ts.sentence(l, v.Now, zone)
	}
	link, err := r.h.cfg.Link(r.svc.Code(t))
	if err != nil {
		d.NoURL = err.Error()
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
	if op := f.Get("op"); op != "change" {
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
			err = badField("revision", "is missing from the form.")
		}
		if err == nil {
			return r.redirect("link", "id", v.Token.ID)
		}
	}
	status, _, text, err := r.mistake(r.lang(), err)
	if err != nil {
		return err
	}
	d := &linkData{Editing: true, Error: text, Uses: f.Get("uses"), From: f.Get("from"), To: f.Get("to")}
	v.Token.Guest, v.Token.Comment = f.Get("guest"), f.Get("comment")
	return r.renderLink(status, v, d)
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

package host

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// calendar is the time in which a link works as an appointment, with the link
// in it (RFC 5545).
func (r *request) calendar() error {
	v, err := r.token(r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	t := v.Token
	if t.Expires == nil {
		return badField("id", "names a link without an end: that is no time for a calendar.").Says("no_end")
	}
	link, err := r.link(v)
	if err != nil {
		return err
	}
	l, zone := r.lang(), r.viewZone(v)
	ts := termsOf(v)
	from := t.CreatedAt
	if t.NotBefore != nil {
		from = *t.NotBefore
	}
	lines := []string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//caddy-hass//one-time links//EN", "METHOD:PUBLISH",
		"BEGIN:VEVENT",
		"UID:" + t.ID + "-" + strings.ToLower(r.svc.StoreID()) + "@caddy-hass",
		"SEQUENCE:" + strconv.FormatUint(t.Revision, 10),
		"DTSTAMP:" + calendarTime(v.Now),
		"DTSTART:" + calendarTime(from),
		"DTEND:" + calendarTime(*t.Expires),
		"SUMMARY:" + calendarText(join(l, ts.sent(l))),
		"DESCRIPTION:" + calendarText(ts.message(l, r.h.cfg.House, link, longAgo, zone)),
		"URL:" + link,
	}
	if r.h.cfg.House != "" {
		lines = append(lines, "LOCATION:"+calendarText(r.h.cfg.House))
	}
	lines = append(lines, "TRANSP:TRANSPARENT", "END:VEVENT", "END:VCALENDAR")

	var b strings.Builder
	for _, line := range lines {
		foldLine(&b, line)
	}
	r.w.Header().Set("Content-Type", "text/calendar; charset=utf-8; method=PUBLISH")
	r.w.Header().Set("Content-Disposition", `attachment; filename="link-`+t.ID+`.ics"`)
	r.w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		r.w.Write([]byte(b.String()))
	}
	return nil
}

// calendarTime writes a moment in UTC (RFC 5545, section 3.3.5, form 2).
func calendarTime(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// calendarText escapes a text (section 3.3.11). Isolates are for pages.
func calendarText(s string) string {
	return strings.NewReplacer("\\", "\\\\", ";", "\\;", ",", "\\,", "\r\n", "\\n", "\n", "\\n", "\r", "\\n", "\u2068", "", "\u2069", "").Replace(s)
}

// foldLine writes a line, broken so that none of its parts has more than 75
// bytes and no character is cut (section 3.1).
func foldLine(b *strings.Builder, line string) {
	const most = 75
	for room := most; len(line) > room; room = most - 1 {
		cut := room
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		b.WriteString(line[:cut] + "\r\n ")
		line = line[cut:]
	}
	b.WriteString(line + "\r\n")
}

// link is the whole link of a token.
func (r *request) link(v *onetime.View) (string, error) {
	link, err := r.h.cfg.Link(r.svc.Code(v.Token))
	if err != nil {
		return "", &problem{Status: http.StatusServiceUnavailable, Code: "no_public_url", Detail: err.Error()}
	}
	return link, nil
}

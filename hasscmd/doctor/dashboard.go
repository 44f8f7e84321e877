package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
)

// Dashboard is one place where the host's side is served.
type Dashboard struct {
	Address string // host and path, for people

	// Ask sends it a request, with these headers besides, from afar and
	// without any login.
	Ask func(ctx context.Context, header http.Header) (*httptest.ResponseRecorder, error)

	// UserHeader is the request header that names the visitor, where the
	// configuration takes them from one.
	UserHeader string

	// Authenticated says that an authentication handler stands in front.
	Authenticated bool
}

func (s *Subject) dashboards(ctx context.Context) []Finding {
	if len(s.Dashboards) == 0 {
		return one((&Finding{Check: "dashboard", Level: OK, Text: "the host's side is not served; links are made by caddy hass token",
			Advice: "Where you want it, add a site with hass_jwt or basic_auth and hass_onetime dashboard."}).
			says("missing").advises("add_site", "example", "hass_onetime dashboard"))
	}
	var out []Finding
	for _, d := range s.Dashboards {
		out = append(out, dashboard(ctx, d))
	}
	return out
}

func dashboard(ctx context.Context, d Dashboard) Finding {
	f := Finding{Check: "dashboard", Subject: d.Address, Level: OK}
	status, err := d.status(ctx, nil)
	switch {
	case err != nil:
		f.Level, f.Text = Warn, fmt.Sprintf("could not be asked: %v", err)
		f.says("unchecked", "why", err)
		return f
	case status == http.StatusNotFound:
		f.Level, f.Text = Warn, "could not be found: nobody can tell whether it is guarded"
		f.says("unchecked", "why", "HTTP 404")
		return f
	case !refused(status):
		f.Level, f.Text = Fail, fmt.Sprintf("it lets everybody in (HTTP %d without a login)", status)
		f.Advice = "Put an authentication in front of hass_onetime dashboard: hass_jwt, or basic_auth."
		f.says("dashboard_open", "status", strconv.Itoa(status)).advises("dashboard_login", "word", "hass_onetime dashboard")
		return f
	}
	if d.UserHeader != "" {
		// Whoever can set the header himself is whoever he says.
		if status, err := d.status(ctx, http.Header{d.UserHeader: {"caddy-hass-doctor"}}); err == nil && !refused(status) {
			f.Level, f.Text = Fail, fmt.Sprintf("whoever sends a header %s is let in", d.UserHeader)
			f.Advice = "Take that header out of what comes from outside (request_header -" + d.UserHeader + " before forward_auth), or use {http.auth.user.id}."
			f.says("dashboard_header", "name", d.UserHeader).advises("dashboard_header", "example", "request_header -"+d.UserHeader, "word", "{http.auth.user.id}")
			return f
		}
	}
	if status == http.StatusForbidden && !d.Authenticated {
		f.Level, f.Text = Warn, "guarded, but nobody can get in: there is no authentication in front of it"
		f.Advice = "Put hass_jwt or basic_auth in front of hass_onetime dashboard, or name the visitor by its option user."
		f.says("dashboard_nobody").advises("dashboard_login", "word", "hass_onetime dashboard")
		return f
	}
	f.Text = fmt.Sprintf("guarded: HTTP %d without a login", status)
	f.says("dashboard_ok", "status", strconv.Itoa(status))
	return f
}

func (d Dashboard) status(ctx context.Context, header http.Header) (int, error) {
	rec, err := d.Ask(ctx, header)
	if err != nil {
		return 0, err
	}
	return rec.Code, nil
}

// refused reports whether a stranger was turned away: told so, or sent to a
// login.
func refused(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden,
		http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
		return true
	}
	return false
}

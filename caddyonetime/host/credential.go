package host

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// secretOf is the credential that a request to the API brings. It counts whether
// or not an authentication stands in front, so that one that knows only people
// need not let it through.
func secretOf(r *http.Request) (secret string, ok bool) {
	if !isAPI(r.URL.Path) || !isBearer(r) {
		return "", false
	}
	_, secret, _ = strings.Cut(r.Header.Get("Authorization"), " ")
	secret = strings.TrimSpace(secret)
	return secret, strings.HasPrefix(secret, onetime.CredentialPrefix)
}

// enter makes the holder of a credential the visitor.
func (r *request) enter(secret string) error {
	svc, err := r.h.service(r)
	if err != nil {
		return err
	}
	c, err := svc.Authenticate(r.Context(), secret)
	if errors.Is(err, onetime.ErrNotFound) {
		r.w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		return &problem{Status: http.StatusUnauthorized, Code: "invalid_token",
			Detail: "This credential is not genuine, or it was revoked. Whoever manages can make another, on the page of credentials."}
	} else if err != nil {
		return err
	}
	r.visitor = Visitor{Person: c.Person()}
	r.credential = c
	return nil
}

// mayShare refuses actions that the visitor's credential does not stretch to.
func (r *request) mayShare(actions []string) error {
	if r.credential == nil {
		return nil
	}
	for _, a := range actions {
		if !r.credential.MayRun(a) {
			return &problem{Status: http.StatusForbidden, Code: "forbidden", Field: "actions",
				Detail: "This credential may not make links for " + a + "."}
		}
	}
	return nil
}

// credentialsView is the page of credentials.
type credentialsView struct {
	List    []credentialRow
	Actions []credentialAction
	Name    string
	Secret  string // of one that was made just now
	Made    string // its name
	Error   string
	Field   string
}

type credentialRow struct {
	ID, Name, Actions, Made string
	Revoked                 string // when
}

type credentialAction struct {
	Name, Title string
	Chosen      bool
}

func (r *request) credentialsPage() error {
	return r.renderCredentials(http.StatusOK, &credentialsView{}, nil)
}

func (r *request) renderCredentials(status int, d *credentialsView, chosen []string) error {
	l, now := r.lang(), r.h.cfg.Now()
	all, err := r.svc.Credentials(r.Context())
	if err != nil {
		return err
	}
	actions, err := r.svc.Actions(r.Context())
	if err != nil {
		return err
	}
	titles := map[string]string{}
	for _, a := range actions {
		titles[a.Name] = a.Title
		d.Actions = append(d.Actions, credentialAction{Name: a.Name, Title: a.Title, Chosen: slices.Contains(chosen, a.Name)})
	}
	zone := r.zone(onetime.DefaultHome)
	for _, c := range all {
		row := credentialRow{ID: c.ID, Name: c.Name, Actions: l.T("credentials.all")}
		var may []string
		for _, a := range c.Actions {
			if title := titles[a]; title != "" {
				a = title
			}
			may = append(may, isolate(a))
		}
		if len(may) > 0 {
			row.Actions = join(l, may)
		}
		row.Made = l.T("host.made.other", "by", isolate(page{}.Person(c.CreatedBy)), "at", l.Time(c.CreatedAt, now, zone))
		if c.RevokedAt != nil {
			row.Revoked = l.T("credentials.revoked", "at", l.Time(*c.RevokedAt, now, zone))
		}
		d.List = append(d.List, row)
	}
	return r.render(status, "credentials.html", r.makePage("log", l.T("credentials.title"), d))
}

func (r *request) credentialsForm() error {
	if err := r.form(); err != nil {
		return err
	}
	f := r.PostForm
	switch f.Get("op") {
	case "revoke":
		if err := r.svc.RevokeCredential(r.Context(), r.visitor.Person, f.Get("id")); err != nil {
			return err
		}
		return r.redirect("credentials")
	case "make":
	default:
		return badField("op", "must be make or revoke.").Says("choose")
	}
	d := &credentialsView{Name: f.Get("name")}
	c, secret, err := r.svc.CreateCredential(r.Context(), r.visitor.Person, f.Get("name"), f["action"])
	var bad *onetime.BadInput
	if errors.As(err, &bad) {
		d.Field, d.Error = bad.Field, mistakeText(r.lang(), bad)
		return r.renderCredentials(http.StatusUnprocessableEntity, d, f["action"])
	} else if err != nil {
		return err
	}
	// Shown once: it is in this answer and nowhere else.
	d.Name, d.Made, d.Secret = "", c.Name, secret
	return r.renderCredentials(http.StatusOK, d, nil)
}

package host

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// checkJSON is what a home says of an action that is being written.
type checkJSON struct {
	OK       bool            `json:"ok"`
	Kind     onetime.Kind    `json:"kind"`
	Confirm  onetime.Confirm `json:"confirm"`
	Warnings []string        `json:"warnings"`
	Problem  *mistakeJSON    `json:"problem"`
}

// mistakeJSON is what is wrong and where; a line of 0 is unknown.
type mistakeJSON struct {
	Detail string `json:"detail"`
	Field  string `json:"field"`
	Line   int    `json:"line,omitempty"`
}

// checkAction checks what is being written and saves nothing. A mistake is a
// good answer: whoever types makes them.
func (r *request) checkAction() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	in, err := r.body(false)
	if err != nil {
		return err
	}
	// A page asks while its host writes: in the language of the page.
	r.w.Header().Set("Vary", "Accept-Language")
	a, err := readAction(in, r.params["name"])
	if err != nil {
		p, ok := asProblem(err)
		if !ok {
			return err
		}
		p.Detail = p.text(r.lang())
		return p
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	j := checkJSON{Warnings: []string{}}
	warnings, err := r.svc.CheckAction(ctx, a)
	var bad *onetime.BadInput
	switch {
	case err == nil:
		j.OK = true
	case errors.As(err, &bad):
		j.Problem = &mistakeJSON{Detail: mistakeText(r.lang(), bad), Field: bad.Field, Line: bad.Line}
	case errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil:
		return onetime.ErrUnreachable
	default:
		return err
	}
	for _, odd := range warnings {
		j.Warnings = append(j.Warnings, warningText(r.lang(), odd))
	}
	j.Kind, j.Confirm = r.svc.Describe(a)
	return r.reply(http.StatusOK, j)
}

// readAction reads what a host writes of an action.
func readAction(in *members, name string) (*onetime.Action, error) {
	a := &onetime.Action{Name: name}
	a.Title, _ = in.text("title", onetime.MaxTitle)
	a.Home, _ = in.text("home", 200)
	definition, given := in.text("definition", onetime.MaxDefinition)
	a.Definition = definition
	a.Done, _ = in.text("done", onetime.MaxDone)
	a.Translations = in.translations("translations")
	confirm, _ := in.text("confirm", 200)
	a.Confirm = onetime.Confirm(confirm)
	a.Icon, _ = in.text("icon", onetime.MaxIcon)
	// What GET returns can be sent back as it is: what nobody writes counts for nothing.
	if given, ok := in.text("name", 200); ok && given != name {
		in.wrong("name", "is %q, and the address says %q: an action keeps its name.", given, name)
	}
	if derived, _ := in.boolean("confirm_derived"); derived {
		a.Confirm = onetime.ConfirmDerived
	}
	in.ignore("kind", "revision", "created_at", "updated_at", "updated_by", "warnings")
	if err := in.end(); err != nil {
		return nil, err
	}
	if !given {
		return nil, badField("definition", "is missing: the YAML of the action, as Home Assistant's developer tools show it.")
	}
	return a, nil
}

package host

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/pick"
)

// maxFound is how many things of a home are on a page: who has more searches.
const maxFound = 40

// pickView is the way from a home to an action: a thing, what it shall do, and
// what has to be said about that.
type pickView struct {
	Homes    []HomeStatus
	Home     string
	Q        string
	Found    []pick.Entity
	More     int    // that were found, too
	Problem  string // why there is nothing to choose from
	Detail   string // the same in English, for whoever looks after the server
	Entity   *pick.Entity
	Choices  []pick.Choice
	Choice   *pick.Choice
	Values   url.Values
	Field    string // in which there is a mistake
	Error    string
	Optional bool // there are fields that may stay empty
	Open     bool // and a mistake is in one of them
}

// Has reports whether an option of a field is chosen.
func (d *pickView) Has(field, value string) bool { return slices.Contains(d.Values["f."+field], value) }

func (r *request) pickPage() error {
	l, v := r.lang(), r.URL.Query()
	d := &pickView{Homes: r.h.cfg.Homes(), Home: v.Get("home"), Q: v.Get("q"), Values: url.Values{}}
	if d.Home == "" {
		d.Home = onetime.DefaultHome
		if len(d.Homes) > 0 {
			d.Home = d.Homes[0].Name
		}
	}
	if r.h.cfg.Picker == nil {
		return r.redirect("action")
	}
	if v.Has("entity") {
		return r.choicesPage(d, v.Get("entity"), v.Get("do"))
	}
	all, err := r.h.cfg.Picker.Entities(r.Context(), d.Home)
	if err != nil {
		return r.pickProblem(d, err)
	}
	d.Found = pick.Search(all, d.Q)
	if len(d.Found) > maxFound {
		d.More = len(d.Found) - maxFound
		d.Found = d.Found[:maxFound]
	}
	return r.render(http.StatusOK, "pick.html", r.makePage("actions", l.T("pick.title"), d))
}

// pickProblem says why there is nothing to choose from.
func (r *request) pickProblem(d *pickView, err error) error {
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, onetime.ErrNotFound):
		return err
	case errors.Is(err, onetime.ErrNoHome):
		status = http.StatusNotFound
	case !errors.Is(err, onetime.ErrUnreachable):
		r.h.cfg.Logger.Error("a home does not say what it has", "home", d.Home, "error", err)
	}
	d.Problem = r.lang().T("pick.unreachable")
	for _, h := range d.Homes {
		if h.Name == d.Home && h.Problem != "" {
			d.Detail = h.Problem
		}
	}
	return r.render(status, "pick.html", r.makePage("actions", r.lang().T("pick.title"), d))
}

// choicesPage is what a thing can do, or the fields of one of these.
func (r *request) choicesPage(d *pickView, entity, do string) error {
	l := r.lang()
	e, choices, err := r.h.cfg.Picker.Choices(r.Context(), d.Home, entity, l.Tag())
	if err != nil {
		return r.pickProblem(d, err)
	}
	d.Entity, d.Choices = e, choices
	if do == "" {
		return r.render(http.StatusOK, "pick.html", r.makePage("actions", e.Name, d))
	}
	i := slices.IndexFunc(choices, func(c pick.Choice) bool { return c.Action == do })
	if i < 0 {
		return onetime.ErrNotFound
	}
	d.Choice = &choices[i]
	return r.fieldsPage(http.StatusOK, d)
}

func (r *request) fieldsPage(status int, d *pickView) error {
	for _, f := range d.Choice.Fields {
		if !f.Required {
			d.Optional = true
			d.Open = d.Open || d.Field == f.Name || len(d.Values["f."+f.Name]) > 0
		}
	}
	return r.render(status, "pick.html", r.makePage("actions", d.Choice.Title, d))
}

// pickedPage is a new action for what was chosen, where nothing has to be said
// about it.
func (r *request) pickedPage(v url.Values) error { return r.picked(v, nil) }

// pickedForm is the same with what was said.
func (r *request) pickedForm(f url.Values) error {
	values := map[string][]string{}
	for name, given := range f {
		if field, ok := strings.CutPrefix(name, "f."); ok {
			values[field] = given
		}
	}
	return r.picked(f, values)
}

func (r *request) picked(v url.Values, values map[string][]string) error {
	d := &pickView{Homes: r.h.cfg.Homes(), Home: v.Get("home"), Values: v}
	if d.Home == "" {
		d.Home = onetime.DefaultHome
	}
	if r.h.cfg.Picker == nil {
		return r.redirect("action")
	}
	l := r.lang()
	e, choices, err := r.h.cfg.Picker.Choices(r.Context(), d.Home, v.Get("entity"), l.Tag())
	if err != nil {
		return r.pickProblem(d, err)
	}
	i := slices.IndexFunc(choices, func(c pick.Choice) bool { return c.Action == v.Get("do") })
	if i < 0 {
		return onetime.ErrNotFound
	}
	d.Entity, d.Choices, d.Choice = e, choices, &choices[i]
	definition, err := pick.Definition(d.Choice, e.ID, values)
	var bad *onetime.BadInput
	if errors.As(err, &bad) {
		d.Field, d.Error = bad.Field, mistakeText(l, bad)
		status := http.StatusUnprocessableEntity
		if values == nil {
			status, d.Field, d.Error = http.StatusOK, "", "" // nobody was asked yet
		}
		return r.fieldsPage(status, d)
	} else if err != nil {
		return err
	}
	a := &onetime.Action{Name: draftName, Home: d.Home, Definition: definition, Icon: iconOfDomain[e.Domain()]}
	view := &actionView{New: true, Action: a, Picked: e.Name}
	r.check(view)
	a.Name = ""
	a.Title = l.T("pick.suggest", "do", d.Choice.Title, "what", e.Name)
	if d.Choice.Untargeted {
		a.Title = e.Name
	}
	if len(a.Title) > onetime.MaxTitle {
		a.Title = ""
	}
	return r.renderAction(http.StatusOK, view)
}

// asked is a field with what was typed in it.
type asked struct {
	pick.Field
	d              *pickView
	Unset, Yes, No string
}

// Ask prepares a field for the template that draws it.
func (p page) Ask(d *pickView, f pick.Field) *asked {
	return &asked{Field: f, d: d, Unset: p.T("pick.unset"), Yes: p.T("pick.yes"), No: p.T("pick.no")}
}

// Chosen reports whether a value is what was chosen.
func (a *asked) Chosen(value string) bool { return a.d.Has(a.Name, value) }

// Value is what was typed.
func (a *asked) Value() string { return a.d.Values.Get("f." + a.Name) }

// Step is what a number is a multiple of.
func (a *asked) Step() string {
	if a.Field.Step == nil {
		return "any"
	}
	return strconv.FormatFloat(*a.Field.Step, 'f', -1, 64)
}

// Attributes are those that every kind of field has.
func (a *asked) Attributes() template.HTMLAttr {
	s := ""
	if a.Required {
		s += " required"
	}
	if a.Description != "" {
		s += ` aria-describedby="d.` + template.HTMLEscapeString(a.Name) + `"`
	}
	if a.d.Field == a.Name {
		s += ` aria-invalid="true"`
	}
	return template.HTMLAttr(s)
}

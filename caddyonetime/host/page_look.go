package host

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// lookView is a guest's page beside the states that it can be in.
type lookView struct {
	Back      string // to the action, where it is saved
	Title     string
	States    []lookState
	Languages []lookState // where it is translated
	Frame     string
}

type lookState struct {
	Address, Label string
	Current        bool
}

// lookAt leads to the page of an action that may not be saved yet.
func (r *request) lookAt(a *onetime.Action, rows []translationRow) error {
	kind, confirm := r.svc.Describe(a)
	v := url.Values{
		"name": {a.Name}, "title": {a.Title}, "done": {a.Done}, "icon": {a.Icon}, "home": {a.Home},
		"kind": {string(kind)}, "confirm": {string(confirm)}, "draft": {"1"},
	}
	addRows(v, rows)
	return r.redirect("look?" + v.Encode())
}

// lookPage shows an action as its guests see it, in every state. Nothing that is
// pressed there goes out.
func (r *request) lookPage() error {
	l, v := r.lang(), r.URL.Query()
	a, p, err := r.shown(v)
	if err != nil {
		return err
	}
	state := v.Get("state")
	if !slices.Contains(guest.PreviewStates(), state) {
		state = guest.PreviewStates()[0]
	}
	d := &lookView{Title: a.Title}
	if a.Revision > 0 {
		d.Back = a.Name
	}
	for _, s := range guest.PreviewStates() {
		if s == "ask" && p.Confirm == onetime.ConfirmTap {
			continue // there is no second step
		}
		v.Set("state", s)
		d.States = append(d.States, lookState{Address: "look?" + v.Encode(), Label: stateLabel(l, p.Kind, s), Current: s == state})
	}
	v.Set("state", state)
	d.Languages = lookLanguages(l, a, v)
	d.Frame = "preview?" + v.Encode()
	r.w.Header().Set("Content-Security-Policy", r.h.csp+"; frame-src 'self'")
	return r.render(http.StatusOK, "look.html", r.makePage("actions", l.T("actions.look.title"), d))
}

// stateLabel says what a state is: "Done", "Done · 2 left".
func stateLabel(l *words.Language, kind onetime.Kind, state string) string {
	if label := guest.PreviewLabel(l, kind, state); label != "" {
		return label
	}
	if of, left := strings.CutSuffix(state, "_left"); left {
		return l.T("actions.state."+of) + " · " + l.N("left", 2)
	}
	return l.T("actions.state." + state)
}

// lookLanguages are those that the action can be looked at in: the host's own,
// and those that it is translated into.
func lookLanguages(l *words.Language, a *onetime.Action, v url.Values) []lookState {
	if len(a.Translations) == 0 {
		return nil
	}
	to, asked := maps.Clone(v), v.Get("lang")
	if asked == l.Tag() {
		asked = ""
	}
	at := func(tag, name string) lookState {
		to.Del("lang")
		if tag != "" {
			to.Set("lang", tag)
		}
		return lookState{Address: "look?" + to.Encode(), Label: name, Current: tag == asked}
	}
	list := []lookState{at("", l.Name())}
	for _, tag := range a.Languages() {
		if tag != l.Tag() {
			list = append(list, at(tag, words.NameOf(tag)))
		}
	}
	return list
}

// shown is the action that a look is about: a saved one, or what is written of
// one.
func (r *request) shown(v url.Values) (a *onetime.Action, p guest.Preview, err error) {
	name := v.Get("name")
	if name != "" {
		if a, err = r.svc.Action(r.Context(), name); err != nil && !(isNotFound(err) && v.Has("draft")) {
			return nil, p, err
		}
	}
	if a == nil {
		a = &onetime.Action{Name: draftName}
	}
	p.Kind, p.Confirm = r.svc.Describe(a)
	if v.Has("draft") {
		draft := *a
		draft.Title, draft.Done, draft.Icon = v.Get("title"), v.Get("done"), v.Get("icon")
		draft.Home = v.Get("home")
		// What cannot be saved is not shown either.
		draft.Translations, _ = translationsOf(translationRows(v))
		a = &draft
		if k := onetime.Kind(v.Get("kind")); k == onetime.KindDoor || k == onetime.KindAny {
			p.Kind = k
		}
		if c := onetime.Confirm(v.Get("confirm")); c == onetime.ConfirmAsk || c == onetime.ConfirmTap {
			p.Confirm = c
		}
	}
	if strings.TrimSpace(a.Title) == "" {
		a.Title = r.lang().T("host.action.title_hint")
	}
	p.Action = a
	return a, p, nil
}

// preview is the guest's page itself.
func (r *request) preview() error {
	v := r.URL.Query()
	a, p, err := r.shown(v)
	if err != nil {
		return err
	}
	p.State, p.Language = v.Get("state"), r.lang()
	if tag := v.Get("lang"); tag != "" {
		p.Language, p.Wish = words.Get(tag), tag
	}
	p.Guest = r.lang().T("actions.look.guest")
	p.Zone = r.zone(a.Home)
	p.Assets = "guest/"
	p.Ancestors = strings.Join(append([]string{"'self'"}, r.h.cfg.FrameAncestors...), " ")
	r.h.guest.Preview(r.w, r.Request, p)
	return nil
}

func (r *request) guestAsset() error {
	guest.ServeAsset(r.w, r.Request, r.params["asset"])
	return nil
}

package host

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// actionRow is an action in the list.
type actionRow struct {
	*onetime.Action
	Door bool
	Used int // live links
}

// actionsView is the list of actions.
type actionsView struct {
	Actions []actionRow
	Homes   []homeNotice // that are not connected
	Several bool         // homes
	Deleted string
	Pick    bool // from the home
}

func (r *request) actionsPage() error {
	l := r.lang()
	actions, err := r.svc.Actions(r.Context())
	if err != nil {
		return err
	}
	d := &actionsView{Deleted: r.URL.Query().Get("deleted"), Pick: r.h.cfg.Picker != nil}
	homes := r.h.cfg.Homes()
	d.Several = len(homes) > 1
	d.Homes = r.homeNotices()
	for _, a := range actions {
		kind, _ := r.svc.Describe(a)
		used, err := r.svc.LiveTokens(r.Context(), a.Name)
		if err != nil {
			return err
		}
		d.Actions = append(d.Actions, actionRow{Action: a, Door: kind == onetime.KindDoor, Used: used})
	}
	return r.render(http.StatusOK, "actions.html", r.makePage("actions", l.T("host.actions.title"), d))
}

// actionView is the page of one action, or of a new one.
type actionView struct {
	*onetime.Action
	New       bool
	Homes     []HomeStatus
	Icons     []string
	Confirms  []confirmChoice
	Used      int
	Door      bool
	Saved     bool
	Checked   bool // the definition below has been checked and is good
	Warnings  []string
	Error     string
	Field     string
	Line      int
	LineText  string
	Unchecked string // why it could not be checked
	InUse     int
	Tried     *eventView
	Running   bool
	Pick      bool        // from the home, instead
	Picked    string      // the name of the thing it was made for
	UsedBy    []usingLink // live links
	More      int         // of them

	Rows      []translationRow
	Languages []languageChoice // that a row can be in
	Written   []string         // names of the languages that rows are in

	Now        *actionNow // what another host has made of it
	NotDeleted bool       // because of that
}

// actionNow is an action as another host has left it.
type actionNow struct {
	*onetime.Action
	By, At string
	Rows   []translationRow
}

// usingLink is a live link that an action's change is news to.
type usingLink struct{ ID, Name string }

type confirmChoice struct {
	Value, Label string
	Chosen       bool
}

// checkTimeout bounds how long a page waits for the home's opinion.
const checkTimeout = 5 * time.Second

func (r *request) actionPage() error {
	v := r.URL.Query()
	if v.Has("entity") {
		return r.pickedPage(v)
	}
	if !v.Has("name") {
		return r.renderAction(http.StatusOK, &actionView{New: true, Action: &onetime.Action{Home: onetime.DefaultHome}})
	}
	a, err := r.svc.Action(r.Context(), v.Get("name"))
	if err != nil {
		return err
	}
	d := &actionView{Action: a, Saved: v.Get("saved") != ""}
	r.check(d)
	if seq, err := strconv.ParseUint(v.Get("tried"), 10, 64); err == nil {
		if err := r.tried(d, seq); err != nil {
			return err
		}
	}
	return r.renderAction(http.StatusOK, d)
}

// check asks the home about the definition and notes what it says.
func (r *request) check(d *actionView) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	warnings, err := r.svc.CheckAction(ctx, d.Action)
	for _, odd := range warnings {
		d.Warnings = append(d.Warnings, warningText(r.lang(), odd))
	}
	var bad *onetime.BadInput
	switch {
	case err == nil:
		d.Checked = true
	case errors.As(err, &bad):
		d.mistake(r.lang(), bad)
	case errors.Is(err, onetime.ErrNoHome):
		d.mistake(r.lang(), (&onetime.BadInput{Field: "home", Message: err.Error()}).Says("no_home", "name", d.Home))
	default:
		d.Unchecked = r.lang().T("host.action.unchecked")
	}
}

// mistake shows what is wrong, with the line it is in.
func (d *actionView) mistake(l *words.Language, bad *onetime.BadInput) {
	d.Error, d.Field, d.Line = mistakeText(l, bad), bad.Field, bad.Line
	if bad.Line > 0 {
		lines := strings.Split(d.Definition, "\n")
		if bad.Line <= len(lines) {
			d.LineText = strings.TrimRight(lines[bad.Line-1], "\r ")
		}
		return
	}
	d.Error = named(l, bad.Field, d.Error)
}

// mistakeText is what is wrong in the language of the page, where it has been
// said in it.
func mistakeText(l *words.Language, bad *onetime.BadInput) string {
	key := ""
	if bad.Said != nil {
		key = "check." + bad.Said.Key
	}
	if bad.Said == nil || l.Tag() == "en" || !l.Has(key) {
		return bad.Message // which may say a little more
	}
	args := slices.Clone(bad.Said.Args)
	for i := 1; i < len(args); i += 2 {
		if s, ok := args[i].(string); ok {
			args[i] = isolate(s)
		}
	}
	text := l.T(key, args...)
	if like := bad.Said.Like; len(like) > 0 {
		text += " " + l.T("check.like", "name", isolate(like[0]))
	}
	return text
}

// warningText is a warning in the language of the page.
func warningText(l *words.Language, odd *onetime.BadInput) string {
	text := mistakeText(l, odd)
	if odd.Line == 0 {
		return text
	}
	return l.T("host.action.line", "n", odd.Line) + " " + text
}

// named puts what a field is called on pages before what is said about it.
func named(l *words.Language, field, text string) string {
	inside, translated := strings.CutPrefix(field, "translations")
	switch tag, of, _ := strings.Cut(strings.TrimPrefix(inside, "."), "."); {
	case translated && tag != "":
		return named(l, of, words.NameOf(tag)+": "+text)
	case translated:
		return l.T("actions.languages") + ": " + text
	}
	if key := "host.field." + field; field != "" && l.Has(key) {
		return l.T(key) + ": " + text
	}
	return text
}

// OpenLanguages reports whether what is wrong is in another language.
func (d *actionView) OpenLanguages() bool { return strings.HasPrefix(d.Field, "translations") }

func (r *request) renderAction(status int, d *actionView) error {
	l := r.lang()
	d.Homes = r.h.cfg.Homes()
	d.Icons = guest.Icons()
	if d.Icon != "" && !slices.Contains(d.Icons, d.Icon) {
		d.Icons = append(d.Icons, d.Icon)
	}
	kind, _ := r.svc.Describe(d.Action)
	d.Door = kind == onetime.KindDoor
	for _, c := range []onetime.Confirm{onetime.ConfirmDerived, onetime.ConfirmAsk, onetime.ConfirmTap} {
		key := string(c)
		if c == onetime.ConfirmDerived {
			key = "derived"
		}
		d.Confirms = append(d.Confirms, confirmChoice{Value: string(c), Label: l.T("host.confirm." + key), Chosen: d.Confirm == c})
	}
	d.Pick = r.h.cfg.Picker != nil
	if d.Rows == nil {
		d.Rows = rowsOf(d.Action)
	}
	for _, row := range d.Rows {
		d.Written = append(d.Written, words.NameOf(row.Tag))
	}
	d.Languages = languageChoices(d.Rows)
	d.Rows = append(d.Rows, make([]translationRow, spareRows)...)
	if !d.New {
		if err := r.usedBy(l, d); err != nil {
			return err
		}
	}
	title := d.Title
	if d.New {
		title = l.T("host.action.new")
	}
	return r.render(status, "action.html", r.makePage("actions", title, d))
}

func (r *request) actionForm() error {
	if err := r.form(); err != nil {
		return err
	}
	f := r.PostForm
	name := f.Get("name")
	switch f.Get("op") {
	case "delete":
		return r.deleteForm(name, f.Get("revoke") != "", revisionOf(f))
	case "try":
		red, err := r.svc.TryAction(r.Context(), r.visitor.Person, name, r.client())
		if err != nil {
			return err
		}
		return r.redirect("action", "name", name, "tried", strconv.FormatUint(red.Seq, 10))
	}

	if f.Get("op") == "pick" {
		return r.pickedForm(f)
	}
	isNew := f.Get("new") != ""
	if isNew && name == "" {
		name = nameFrom(f.Get("title"))
	}
	a := &onetime.Action{
		Name: name, Title: strings.TrimSpace(f.Get("title")), Home: f.Get("home"),
		Definition: formText(f.Get("definition")), Done: strings.TrimSpace(f.Get("done")),
		Confirm: onetime.Confirm(f.Get("confirm")), Icon: strings.TrimSpace(f.Get("icon")),
	}
	d := &actionView{Action: a, New: isNew}
	a.Revision = revisionOf(f)
	d.Rows = translationRows(f)
	var unclear error
	a.Translations, unclear = translationsOf(d.Rows)

	switch f.Get("op") {
	case "check":
		if !onetime.ValidActionName(a.Name) {
			a.Name = draftName
		}
		r.check(d)
		a.Name, a.Title = name, strings.TrimSpace(f.Get("title"))
		return r.renderAction(http.StatusOK, d)
	case "look":
		return r.lookAt(a, d.Rows)
	}

	_, _, _, err := r.saveAction(a, func() (uint64, error) {
		switch {
		case unclear != nil:
			return 0, unclear
		case !isNew:
			return a.Revision, nil
		case !onetime.ValidActionName(a.Name):
			return 0, badField("name", "must be 1 to 64 of a to z, 0 to 9 and _.").Says("name", "n", 64, "allowed", "a–z 0–9 _")
		}
		return onetime.Absent, nil
	})
	switch {
	case err == nil:
		return r.redirect("action", "name", a.Name, "saved", "1")
	case errors.Is(err, onetime.ErrConflict):
		if err := r.changedMeanwhile(d); err != nil {
			return err
		}
	case err == errThere:
		err = badField("name", "%q is there already; choose another name.", a.Name).Says("taken", "name", a.Name)
	}
	var bad *onetime.BadInput
	if errors.As(err, &bad) {
		d.mistake(r.lang(), bad)
		return r.renderAction(http.StatusUnprocessableEntity, d)
	}
	status, field, text, err := r.mistake(r.lang(), err)
	if err != nil {
		return err
	}
	d.Error, d.Field = text, field
	return r.renderAction(status, d)
}

func revisionOf(f url.Values) uint64 {
	revision, _ := strconv.ParseUint(f.Get("revision"), 10, 64)
	return revision
}

// changedMeanwhile shows what another host has made of the action beside what
// this one wrote. Saved once more, that takes the other's place.
func (r *request) changedMeanwhile(d *actionView) error {
	now, err := r.svc.Action(r.Context(), d.Name)
	if isNotFound(err) {
		d.New, d.Revision = true, 0 // it was deleted
		return nil
	} else if err != nil {
		return err
	}
	d.Revision = now.Revision
	d.Now = &actionNow{
		Action: now, By: cmp.Or(now.UpdatedBy.Name, now.UpdatedBy.ID), Rows: rowsOf(now),
		At: r.lang().Time(now.UpdatedAt, r.h.cfg.Now(), r.zone(now.Home)),
	}
	return nil
}

// deleteForm deletes an action, unless links use it or somebody has changed it.
func (r *request) deleteForm(name string, revoke bool, revision uint64) error {
	err := r.svc.DeleteAction(r.Context(), r.visitor.Person, name, revoke, revision)
	var inUse *onetime.InUse
	status, d := http.StatusPreconditionFailed, &actionView{NotDeleted: true}
	switch {
	case err == nil:
		return r.redirect("actions", "deleted", name)
	case errors.As(err, &inUse):
		status, d = http.StatusConflict, &actionView{InUse: inUse.Tokens}
	case !errors.Is(err, onetime.ErrConflict):
		return err
	}
	if d.Action, err = r.svc.Action(r.Context(), name); err != nil {
		return err
	}
	return r.renderAction(status, d)
}

// draftName stands for an action that has no name yet.
const draftName = "draft"

// maxUsingLinks is how many links are named that use an action.
const maxUsingLinks = 5

// usedBy finds the live links that may run the action.
func (r *request) usedBy(l *words.Language, d *actionView) (err error) {
	if d.Used, err = r.svc.LiveTokens(r.Context(), d.Name); err != nil {
		return err
	}
	views, _, err := r.svc.Tokens(r.Context(), onetime.TokenQuery{Live: true, Action: d.Name, Limit: maxUsingLinks})
	if err != nil {
		return err
	}
	for _, v := range views {
		d.UsedBy = append(d.UsedBy, usingLink{ID: v.Token.ID, Name: nameOf(l, v.Token)})
	}
	d.More = max(0, d.Used-len(views))
	return nil
}

// formText undoes what forms do to the ends of lines.
func formText(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// nameFrom makes a name of a title: "Open the front door" is
// "open_the_front_door".
func nameFrom(title string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(title) {
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			b.WriteRune(c)
		case c == 'ä':
			b.WriteString("ae")
		case c == 'ö':
			b.WriteString("oe")
		case c == 'ü':
			b.WriteString("ue")
		case c == 'ß':
			b.WriteString("ss")
		default:
			if s := b.String(); s != "" && s[len(s)-1] != '_' {
				b.WriteByte('_')
			}
		}
	}
	name := b.String()
	return strings.Trim(name[:min(len(name), 64)], "_")
}

// tried shows what came of trying the action.
func (r *request) tried(d *actionView, seq uint64) error {
	a, err := r.svc.Attempt(r.Context(), "", seq)
	if isNotFound(err) || err == nil && a.Action != d.Name {
		return nil // of another time
	} else if err != nil {
		return err
	}
	if a.Outcome == onetime.OutcomeRunning || a.Outcome == onetime.OutcomePending {
		d.Running = true
		return nil
	}
	ev := eventOf(r.lang(), onetime.Entry{
		At: a.At, What: onetime.HappenedActionTried, Action: a.Action, Title: d.Title,
		Outcome: a.Outcome, Message: a.Message,
	}, r.h.cfg.Now(), r.zone(d.Home))
	d.Tried = &ev
	return nil
}

package host

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// actionJSON is an action as the API answers it.
type actionJSON struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Home  string `json:"home"`

	// Definition is left out for those who may only share.
	Definition *string `json:"definition,omitempty"`

	Done string       `json:"done"`
	Kind onetime.Kind `json:"kind"`

	// Translations are Title and Done in other languages, by tag.
	Translations map[string]onetime.Translation `json:"translations"`

	// Confirm is what counts; Derived says that it follows from the
	// definition because the host has said nothing.
	Confirm onetime.Confirm `json:"confirm"`
	Derived bool            `json:"confirm_derived"`

	Icon      string         `json:"icon"`
	Revision  uint64         `json:"revision"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
	UpdatedBy onetime.Person `json:"updated_by"`

	// Warnings are what the check found odd; only after PUT.
	Warnings []string `json:"warnings,omitempty"`
}

func (r *request) actionJSON(a *onetime.Action) *actionJSON {
	kind, confirm := r.svc.Describe(a)
	j := &actionJSON{
		Name: a.Name, Title: a.Title, Home: a.Home, Done: a.Done,
		Kind: kind, Confirm: confirm, Derived: a.Confirm == onetime.ConfirmDerived, Icon: a.Icon,
		Revision: a.Revision, CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(), UpdatedBy: a.UpdatedBy,
	}
	if j.Translations = a.Translations; j.Translations == nil {
		j.Translations = map[string]onetime.Translation{}
	}
	if r.visitor.Manage {
		j.Definition = &a.Definition
	}
	return j
}

func (r *request) listActions() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	actions, err := r.svc.Actions(r.Context())
	if err != nil {
		return err
	}
	list := make([]*actionJSON, 0, len(actions))
	for _, a := range actions {
		if r.mayShare([]string{a.Name}) == nil {
			list = append(list, r.actionJSON(a))
		}
	}
	return r.reply(http.StatusOK, map[string]any{"actions": list})
}

func (r *request) getAction() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	a, err := r.svc.Action(r.Context(), r.params["name"])
	if err != nil {
		return err
	}
	if r.mayShare([]string{a.Name}) != nil {
		return onetime.ErrNotFound
	}
	r.setETag(a.Revision)
	return r.reply(http.StatusOK, r.actionJSON(a))
}

func (r *request) putAction() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	name := r.params["name"]
	in, err := r.body(false)
	if err != nil {
		return err
	}
	a, err := readAction(in, name)
	if err != nil {
		return err
	}
	saved, warnings, created, err := r.saveAction(a, func() (uint64, error) {
		if absent, err := r.ifNoneMatch(); absent || err != nil {
			return onetime.Absent, err
		}
		return r.ifMatch(func() (uint64, error) {
			old, err := r.svc.Action(r.Context(), name)
			if err != nil {
				return 0, err
			}
			return old.Revision, nil
		})
	})
	if err != nil {
		return err
	}
	j := r.actionJSON(saved)
	j.Warnings = warnings.Texts()
	r.setETag(saved.Revision)
	if created {
		return r.reply(http.StatusCreated, j)
	}
	return r.reply(http.StatusOK, j)
}

// errThere refuses to make what is there already.
var errThere = &problem{Status: http.StatusPreconditionFailed, Code: "conflict",
	Detail: "There is an action of that name already, and this request would only have made a new one. Nothing was changed."}

// saveAction saves, unless somebody has changed the action since. revision is
// what the host has seen, as SaveAction takes it.
func (r *request) saveAction(a *onetime.Action, revision func() (uint64, error)) (saved *onetime.Action, warnings onetime.Warnings, created bool, err error) {
	rev, err := revision()
	if err != nil {
		return nil, nil, false, err
	}
	saved, warnings, err = r.svc.SaveAction(r.Context(), r.visitor.Person, a, rev)
	if rev == onetime.Absent && errors.Is(err, onetime.ErrConflict) {
		err = errThere
	}
	if err != nil {
		return nil, nil, false, err
	}
	return saved, warnings, saved.Revision == 1, nil
}

func (r *request) deleteAction() error {
	q := r.query()
	revoke := q.boolean("revoke")
	if err := q.end(); err != nil {
		return err
	}
	name := r.params["name"]
	a, err := r.svc.Action(r.Context(), name)
	if err != nil {
		return err
	}
	rev, err := r.ifMatch(func() (uint64, error) { return a.Revision, nil })
	if err != nil {
		return err
	}
	if err := r.svc.DeleteAction(r.Context(), r.visitor.Person, name, revoke != nil && *revoke, rev); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

// redemptionJSON is what came of trying an action.
type redemptionJSON struct {
	Outcome  onetime.Outcome `json:"outcome"`
	UsesLeft *int            `json:"uses_left"`
	At       time.Time       `json:"at"`
	Replayed bool            `json:"replayed"`
	Retry    bool            `json:"retry"`

	// Detail is Home Assistant's own words, which a guest never sees.
	Detail string `json:"detail,omitempty"`
}

// redemptionProblem is a redemption that came to nothing, as a problem.
type redemptionProblem struct {
	*problem
	redemptionJSON

	// Both of the above have it.
	Detail string `json:"detail,omitempty"`
}

func (r *request) runAction() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	in, err := r.body(true)
	if err != nil {
		return err
	}
	if err := in.end(); err != nil {
		return err
	}
	red, err := r.svc.TryAction(r.Context(), r.visitor.Person, r.params["name"], r.client())
	if err != nil {
		return err
	}
	j := redemptionJSON{
		Outcome: red.Outcome, UsesLeft: red.UsesLeft, At: red.At.UTC(),
		Replayed: red.Replayed, Retry: red.Retry, Detail: red.Message,
	}
	status := outcomeStatus(red.Outcome)
	if status < 400 {
		return r.reply(status, j)
	}
	if red.Outcome == onetime.OutcomeNotSent {
		r.w.Header().Set("Retry-After", "5")
	}
	r.writeJSON(status, "application/problem+json", redemptionProblem{
		problem:        &problem{Status: status, Title: http.StatusText(status), Code: string(red.Outcome)},
		redemptionJSON: j,
		Detail:         j.Detail,
	})
	return nil
}

// outcomeStatus is the code that an outcome is answered with.
func outcomeStatus(o onetime.Outcome) int {
	switch o {
	case onetime.OutcomeDone:
		return http.StatusOK
	case onetime.OutcomeRunning, onetime.OutcomePending:
		return http.StatusAccepted
	case onetime.OutcomeNotSent:
		return http.StatusServiceUnavailable
	case onetime.OutcomeUnknown:
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway // rejected, failed
}

// isNotFound reports whether there is simply no such thing.
func isNotFound(err error) bool { return errors.Is(err, onetime.ErrNotFound) }

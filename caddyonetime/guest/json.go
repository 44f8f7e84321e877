package guest

import (
	"net/http"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// token is a token as JSON.
type token struct {
	ID        string         `json:"id"`
	Status    onetime.Status `json:"status"`
	Guest     string         `json:"guest"`
	Comment   string         `json:"comment"`
	House     string         `json:"house"`
	Host      string         `json:"host"` // whom to turn to
	NotBefore *time.Time     `json:"not_before"`
	Expires   *time.Time     `json:"expires"`
	Now       time.Time      `json:"now"`
	TimeZone  string         `json:"time_zone"`
	Home      string         `json:"home"` // "reachable" or "unreachable"
	Actions   []action       `json:"actions"`

	*uses // of the only action, where there is one
}

// uses are how often an action may be run and may still be; null is any number.
type uses struct {
	Max  *int `json:"uses_max"`
	Left *int `json:"uses_left"`
}

// action is one action of a token as JSON.
type action struct {
	Name    string          `json:"name"`
	Title   string          `json:"title"`
	Kind    onetime.Kind    `json:"kind"`
	Confirm onetime.Confirm `json:"confirm"`

	// Revision stands for what the action is now: a press that carries it is
	// not taken for another.
	Revision string `json:"revision"`
	uses
	LastDone *time.Time `json:"last_done"`

	// LastOutcome and LastAt are of the newest press that began.
	LastOutcome *onetime.Outcome `json:"last_outcome"`
	LastAt      *time.Time       `json:"last_at"`
}

// redemption is what came of a press, as JSON.
type redemption struct {
	Outcome  onetime.Outcome `json:"outcome"`
	UsesLeft *int            `json:"uses_left"`
	At       time.Time       `json:"at"`
	Replayed bool            `json:"replayed"`
	Retry    bool            `json:"retry"`
}

func (h *Handler) writeToken(r *request, v *onetime.View) {
	t := token{
		ID: v.Token.ID, Status: v.Status,
		Guest: v.Token.Guest, Comment: v.Token.Comment,
		House: h.cfg.House, Host: h.host(),
		NotBefore: v.Token.NotBefore, Expires: v.Token.Expires,
		Now: v.Now.UTC().Truncate(time.Millisecond), TimeZone: zone(v).String(),
		Home: "unreachable", Actions: make([]action, len(v.Actions)),
	}
	if reachable(v) {
		t.Home = "reachable"
	}
	for i, av := range v.Actions {
		a := &t.Actions[i]
		a.Name, a.Title, a.Kind, a.Confirm = av.Action.Name, av.Action.Title, av.Kind, av.Confirm
		a.Revision = av.Seen
		a.uses = uses{Max: v.Token.UsesMax, Left: av.Left}
		a.LastDone = av.Use.LastDone
		if av.Use.LastAt != nil {
			last := lastOutcome(av.Use)
			a.LastOutcome, a.LastAt = &last, av.Use.LastAt
		}
	}
	if len(t.Actions) == 1 {
		t.uses = &t.Actions[0].uses
	}
	writeJSON(r, http.StatusOK, "application/json", &t)
}

// lastOutcome is what came of the newest press; one that the journal has not
// settled is still running.
func lastOutcome(u onetime.ActionUse) onetime.Outcome {
	if u.Last == onetime.OutcomePending {
		return onetime.OutcomeRunning
	}
	return u.Last
}

// zone is the home's.
func zone(v *onetime.View) *time.Location {
	for _, a := range v.Actions {
		if a.TimeZone != nil {
			return a.TimeZone
		}
	}
	if v.TimeZone != nil {
		return v.TimeZone
	}
	return time.UTC
}

// reachable reports whether pressing anything can reach a home now.
func reachable(v *onetime.View) bool {
	for _, a := range v.Actions {
		if a.Reachable {
			return true
		}
	}
	return v.Reachable
}

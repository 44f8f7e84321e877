package homes

import (
	"context"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// codeStopped and codeJammed are codes of our own, for what Home Assistant reports
// as a success.
const (
	codeStopped = "stopped"
	codeJammed  = "jammed"
)

// locks are the states of the locks that a definition's calls act on, as far as they
// are known.
func (h *home) locks(ctx context.Context, d *onetime.Definition) map[string]hassclient.State {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	var ids []string
	for i := range d.Calls {
		if d.Calls[i].Domain != "lock" {
			continue
		}
		if t, err := h.resolve(ctx, &d.Calls[i]); err == nil {
			ids = append(ids, t.entities...)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	states, err := h.client.States(ctx, ids...)
	if err != nil {
		return nil
	}
	return states
}

// verify doubts a success. Home Assistant reports one for a lock that jammed, and for a
// sequence in which a script was stopped with an error or was not started because it
// runs already. Only reading is done here; where nobody can tell, a success stays one.
// before is what locks said before the run.
func (h *home) verify(ctx context.Context, d *onetime.Definition, before map[string]hassclient.State, r hassclient.Result) hassclient.Result {
	if r.Outcome != hassclient.Done {
		return r
	}
	if before != nil {
		// States have come over the same connection, before the answer. One
		// that has not moved since is an old story: not every lock tells at once.
		for id, now := range h.locks(ctx, d) {
			if now.State == "jammed" && !now.LastUpdated.Equal(before[id].LastUpdated) {
				r.Outcome, r.Code, r.Message = hassclient.Failed, codeJammed, id+" is jammed"
				return r
			}
		}
	}
	if d.Single != nil {
		return r // the client has looked at it
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	for i := range d.Calls {
		if why := h.stopped(ctx, &d.Calls[i], r.ContextID); why != "" {
			r.Outcome, r.Code, r.Message = hassclient.Failed, codeStopped, why
			return r
		}
	}
	return r
}

// stopped looks at the traces of a script that a sequence called.
func (h *home) stopped(ctx context.Context, c *onetime.Call, contextID string) string {
	script, ok := c.Script()
	user, known := h.client.User()
	if !ok || contextID == "" || !known || !user.IsAdmin {
		return "" // only administrators may see traces
	}
	item := map[string]any{"domain": "script", "item_id": script}
	var runs map[string]struct {
		RunID string `json:"run_id"`
	}
	if h.client.Query(ctx, "trace/contexts", item, &runs) != nil {
		return ""
	}
	var traces []struct {
		RunID     string `json:"run_id"`
		Execution string `json:"script_execution"`
	}
	if h.client.Query(ctx, "trace/list", item, &traces) != nil {
		return ""
	}
	for _, t := range traces {
		if t.RunID != runs[contextID].RunID {
			continue
		}
		switch t.Execution {
		case "aborted", "cancelled":
			return "script." + script + " ended before its last step: it was stopped with an error, or a condition was not met"
		case "failed_single", "failed_max_runs", "disallowed_recursion_detected":
			return "script." + script + " was not started, because it was running already"
		}
	}
	return ""
}

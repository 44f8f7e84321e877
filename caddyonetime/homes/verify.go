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

// verify doubts a success. Home Assistant reports one for a lock that jammed, and for a
// sequence in which a script was stopped with an error or was not started because it
// runs already. Only reading is done here; where nobody can tell, a success stays one.
func (h *home) verify(ctx context.Context, d *onetime.Definition, r hassclient.Result) hassclient.Result {
	if r.Outcome != hassclient.Done {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	for i := range d.Calls {
		c := &d.Calls[i]
		if why := h.jammed(ctx, c); why != "" {
			r.Outcome, r.Code, r.Message = hassclient.Failed, codeJammed, why
			return r
		}
		if d.Single != nil {
			continue
		}
		if why := h.stopped(ctx, c, r.ContextID); why != "" {
			r.Outcome, r.Code, r.Message = hassclient.Failed, codeStopped, why
			return r
		}
	}
	return r
}

// jammed looks at the locks of a call. Their states have come over the same
// connection, before the answer.
func (h *home) jammed(ctx context.Context, c *onetime.Call) string {
	if c.Domain != "lock" || !h.client.Connected() {
		return ""
	}
	t, err := h.resolve(ctx, c)
	if err != nil || len(t.entities) == 0 {
		return ""
	}
	states, err := h.client.States(ctx, t.entities...)
	if err != nil {
		return ""
	}
	for _, e := range t.entities {
		if states[e].State == "jammed" {
			return e + " is jammed"
		}
	}
	return ""
}

// stopped looks at the traces of a script that a sequence called. A call of a script
// alone is looked at by the client.
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

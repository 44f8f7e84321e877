package homes

import (
	"context"
	"fmt"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// codeStopped and codeJammed are codes of our own, for what Home Assistant reports
// as a success.
const (
	codeStopped = "stopped"
	codeJammed  = "jammed"
)

// verify doubts a success. Home Assistant reports one for a script that was stopped
// with an error (`stop` with `error: true`), that was not started because it runs
// already, or in which a condition was not met, and for a lock that jammed. Only
// reading is done here; where nobody can tell, a success stays one.
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

// stopped asks for the trace of the script that was run in a context. Only an
// administrator's token may: for another, "" is all that is known.
func (h *home) stopped(ctx context.Context, c *onetime.Call, contextID string) string {
	script, ok := c.Script()
	user, known := h.client.User()
	if !ok || contextID == "" || !known || !user.IsAdmin {
		return ""
	}
	item := map[string]any{"domain": "script", "item_id": script}
	var runs map[string]struct {
		RunID string `json:"run_id"`
	}
	if h.client.Query(ctx, "trace/contexts", item, &runs) != nil {
		return ""
	}
	run, ok := runs[contextID]
	if !ok {
		return ""
	}
	var trace struct {
		Execution string `json:"script_execution"`
		LastStep  string `json:"last_step"`
		Trace     map[string][]struct {
			Error string `json:"error"`
		} `json:"trace"`
	}
	item["run_id"] = run.RunID
	if h.client.Query(ctx, "trace/get", item, &trace) != nil {
		return ""
	}
	name := "script." + script
	switch trace.Execution {
	case "aborted":
		for _, step := range trace.Trace[trace.LastStep] {
			if step.Error != "" {
				return fmt.Sprintf("%s was stopped with an error: %s", name, step.Error)
			}
		}
		return name + " ended before its last step: a condition was not met, or it waited in vain"
	case "cancelled":
		return name + " was stopped while it ran"
	case "failed_single", "failed_max_runs", "disallowed_recursion_detected":
		return name + " was not started, because it was running already"
	}
	return ""
}

package hassclient

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Home Assistant reports success for a script that did not get to its end: one
// that stopped with "error: true", whose condition was not met, that was
// stopped by somebody, or that did not begin because it was running already. Its
// traces tell the difference (helpers/script.py, script_execution_set), to
// administrators.

// ran corrects the result of a script that was reported done. It asks the home
// twice at once, and once more where the run did not end well. What cannot be
// learned (an ordinary user's token, a trace that is gone) leaves it as it is.
func (cn *conn) ran(ctx context.Context, script string, r Result) Result {
	if user, ok := cn.client.User(); !ok || !user.IsAdmin || r.ContextID == "" {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, cn.client.cfg.Timeout)
	defer cancel()
	item := map[string]any{"domain": "script", "item_id": script}
	var calls []*call
	for _, typ := range []string{"trace/contexts", "trace/list"} {
		body, err := command(typ, item)
		if err != nil {
			return r
		}
		cl, err := cn.send(body, nil)
		if err != nil {
			return r
		}
		calls = append(calls, cl)
	}
	contexts, runs := cn.wait(ctx, calls[0]), cn.wait(ctx, calls[1])
	run := unquote(member(member(contexts.result, r.ContextID), "run_id"))
	if run == "" {
		return r
	}
	var list []struct {
		RunID     string `json:"run_id"`
		Execution string `json:"script_execution"`
		LastStep  string `json:"last_step"`
	}
	if runs.decode(&list) != nil {
		return r
	}
	for _, t := range list {
		if t.RunID != run {
			continue
		}
		switch t.Execution {
		case "failed_single", "failed_max_runs":
			r.Outcome, r.Message = Rejected, "the script is running already, and its mode lets no other run begin"
		case "disallowed_recursion_detected":
			r.Outcome, r.Message = Rejected, "the script calls itself, which its mode does not allow"
		case "aborted", "cancelled", "error":
			r.Outcome, r.Message = Failed, cn.whyStopped(ctx, script, run, t.LastStep)
		default:
			return r
		}
		r.Code, r.Response = "script_"+t.Execution, nil
	}
	return r
}

// whyStopped returns what a script said when it stopped.
func (cn *conn) whyStopped(ctx context.Context, script, run, step string) string {
	why := "the script ended before its last step"
	body, err := command("trace/get", map[string]any{"domain": "script", "item_id": script, "run_id": run})
	if err != nil {
		return why
	}
	var trace struct {
		Trace map[string][]struct {
			Error  string
			Result struct{ Stop json.RawMessage }
		}
	}
	if cn.do(ctx, body).decode(&trace) != nil || len(trace.Trace[step]) == 0 {
		return why
	}
	last := trace.Trace[step][len(trace.Trace[step])-1]
	for _, said := range []string{unquote(last.Result.Stop), last.Error} {
		if said = strings.TrimSpace(said); said != "" {
			return fmt.Sprintf("%s: %s", why, said)
		}
	}
	return why
}

package homes

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// Run implements onetime.Home.
func (h *home) Run(ctx context.Context, d *onetime.Definition) onetime.Answer {
	before := h.locks(ctx, d)
	if c := d.Single; c != nil {
		r := h.client.CallAction(ctx, hassclient.ServiceCall{
			Domain: c.Domain, Service: c.Service, Data: c.Data, Target: c.RawTarget, ReturnResponse: c.Response,
		})
		return h.answer(ctx, d, h.verify(ctx, d, before, r))
	}
	steps, end := withEnd(d.Steps)
	return h.answer(ctx, d, h.verify(ctx, d, before, end.judge(h.client.ExecuteScript(ctx, steps, end.variables()))))
}

// scriptCancelled is the code of a script run that was ended from outside.
const scriptCancelled = "script_cancelled"

// answer says in the domain's terms what came of a run.
func (h *home) answer(ctx context.Context, d *onetime.Definition, r hassclient.Result) onetime.Answer {
	a := onetime.Answer{Code: r.Code, Message: r.Message, Context: r.ContextID}
	switch r.Outcome {
	case hassclient.Done:
		a.Outcome = onetime.OutcomeDone
	case hassclient.Rejected:
		a.Outcome, a.Cause = onetime.OutcomeRejected, onetime.CauseRejected
	case hassclient.Failed:
		a.Outcome, a.Cause = onetime.OutcomeFailed, onetime.CauseFailed
		// Somebody else's press ends a script of mode restart, wherever it
		// stands by then.
		if a.Partial = r.Code == scriptCancelled || h.partial(d); a.Partial {
			a.Cause = onetime.CausePartial
		}
	case hassclient.NotSent:
		a.Outcome, a.Cause = onetime.OutcomeNotSent, onetime.CauseUnreachable
		if r.Code == hassclient.CodeTooLarge || r.Code == hassclient.CodeInvalidFormat {
			// It will never be sent as it is: the host has to change it.
			a.Outcome, a.Cause = onetime.OutcomeRejected, onetime.CauseRejected
		}
	default:
		a.Outcome, a.Cause = onetime.OutcomeUnknown, onetime.CauseLost
		if ctx.Err() != nil || errors.Is(r.Err, context.DeadlineExceeded) {
			a.Cause = onetime.CauseNoAnswer
		}
	}
	return a
}

// partial reports whether a failure may have come after something was done: in a
// sequence, and where one call acts on several things. Where that cannot be told
// any more, it may.
func (h *home) partial(d *onetime.Definition) bool {
	if d.Single == nil {
		return true
	}
	if _, ok := d.Single.Script(); ok {
		return false // counted as one, whatever it does inside
	}
	ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
	defer cancel()
	t, err := h.resolve(ctx, d.Single)
	if err != nil || t.several() {
		return true
	}
	if len(t.entities) == 0 || domainOf(t.entities[0]) == "scene" {
		return false
	}
	// A group is one entity that names its members.
	states, err := h.client.States(ctx, t.entities...)
	if err != nil {
		return false
	}
	members, _ := states[t.entities[0]].Attributes["entity_id"].([]any)
	return len(members) > 1
}

// endWord is a variable that only the end of a sequence returns.
const endWord = "caddy_hass_reached_the_end"

// end is how the end of a sequence shows that it was reached. Home Assistant
// reports success for a sequence that a step stopped with an error, or in which a
// condition was not met.
type end struct{ marked bool }

// withEnd adds a last step that returns something. A sequence with a stop of its
// own may end there, as its host wants, and is left alone.
func withEnd(steps []any) ([]any, end) {
	if hasStop(steps) {
		return steps, end{}
	}
	out := append(make([]any, 0, len(steps)+1), steps...)
	return append(out, map[string]any{"stop": "end of the sequence", "response_variable": endWord}), end{marked: true}
}

func (e end) variables() map[string]any {
	if !e.marked {
		return nil
	}
	return map[string]any{endWord: map[string]any{endWord: true}}
}

func (e end) judge(r hassclient.Result) hassclient.Result {
	if !e.marked || r.Outcome != hassclient.Done {
		return r
	}
	var response map[string]any
	if json.Unmarshal(r.Response, &response) == nil && response[endWord] == true {
		return r
	}
	r.Outcome = hassclient.Failed
	r.Code = codeStopped
	r.Message = "the sequence ended before its last step: a step stopped it with an error, or a condition was not met"
	return r
}

// hasStop finds a `stop` that is no error, at any depth.
func hasStop(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if hasStop(item) {
				return true
			}
		}
	case map[string]any:
		if _, ok := v["stop"]; ok && v["error"] != true {
			return true
		}
		for _, item := range v {
			if hasStop(item) {
				return true
			}
		}
	}
	return false
}

package hassclient

import (
	"bytes"
	"context"
	"errors"
	"strings"
)

// ServiceCall is one action of Home Assistant's: call_service.
type ServiceCall struct {
	Domain  string // "lock"
	Service string // "unlock"

	// Data and Target are as in Home Assistant's YAML. They are not changed.
	Data   map[string]any
	Target map[string]any

	// ReturnResponse asks for what the action returns. An action that
	// returns nothing is then rejected, and one that must, without it.
	ReturnResponse bool
}

// CallAction calls a service, once, and waits until Home Assistant has answered,
// which it does when the service is done, or until ctx ends.
//
// Home Assistant says that a script is done even if it stopped with an error, or
// did not begin because it was running already. Where the token is an
// administrator's, the script's trace is looked at, and such a run is Failed or
// Rejected, with a code such as "script_aborted" or "script_failed_single".
//
// Rejected is for errors that Home Assistant raises before it acts. From a
// service that runs steps of its own, a script for instance, the same errors may
// come from a later step: then they are Failed.
func (c *Client) CallAction(ctx context.Context, sc ServiceCall) Result {
	body, err := sc.encode()
	if err != nil {
		return unsendable(err)
	}
	r, cn := c.act(ctx, body, sc.judge)
	if r.Outcome == Done && strings.EqualFold(sc.Domain, "script") && sc.runsSteps() {
		r = cn.ran(ctx, strings.ToLower(sc.Service), r)
	}
	return r
}

func (sc *ServiceCall) encode() (b []byte, err error) {
	b = make([]byte, 0, 256)
	b = append(b, `"type":"call_service","domain":`...)
	b = appendString(b, sc.Domain)
	b = append(b, `,"service":`...)
	b = appendString(b, sc.Service)
	if len(sc.Data) > 0 {
		if b, err = appendMember(b, "service_data", sc.Data); err != nil {
			return nil, err
		}
	}
	if len(sc.Target) > 0 {
		if b, err = appendMember(b, "target", sc.Target); err != nil {
			return nil, err
		}
	}
	if sc.ReturnResponse {
		b = append(b, `,"return_response":true`...)
	}
	return append(b, '}'), nil
}

// judge says of a home's error whether it came before the service acted; see
// handle_call_service in Home Assistant's websocket_api/commands.py.
func (sc *ServiceCall) judge(e *CommandError) Outcome {
	switch e.Code {
	case CodeNotFound, CodeUnknownCommand, CodeIDReuse, CodeUnauthorized:
		// not_found is said of the called service only; one that is
		// missing further in is a home_assistant_error.
		return Rejected
	}
	if sc.runsSteps() {
		return Failed
	}
	switch {
	case e.Code == CodeInvalidFormat, e.unauthorized():
		return Rejected
	case e.Code == CodeServiceValidation && !sc.severalTargets():
		// With several targets, one may have refused while others acted.
		return Rejected
	}
	return Failed
}

// runsSteps reports whether the service calls others, whose errors look like its
// own.
func (sc *ServiceCall) runsSteps() bool {
	service := strings.ToLower(sc.Service)
	switch strings.ToLower(sc.Domain) {
	case "script":
		switch service {
		case "reload", "turn_on", "turn_off", "toggle": // these do not wait for steps
			return false
		}
		return true
	case "python_script", "pyscript":
		return service != "reload"
	case "automation":
		return service == "trigger"
	case "scene":
		return service == "turn_on" || service == "apply"
	case "homeassistant":
		return service == "turn_on" || service == "turn_off" || service == "toggle"
	}
	return false
}

// severalTargets reports whether the call may be for more than one entity.
func (sc *ServiceCall) severalTargets() bool {
	n := 0
	for _, m := range []map[string]any{sc.Target, sc.Data} {
		for _, key := range []string{"area_id", "device_id", "floor_id", "label_id"} {
			if m[key] != nil {
				return true
			}
		}
		switch ids := m["entity_id"].(type) {
		case nil:
		case string:
			if ids == "all" || strings.Contains(ids, ",") {
				return true
			}
			n++
		case []string:
			n += len(ids)
		case []any:
			n += len(ids)
		default:
			return true
		}
	}
	return n > 1
}

// ExecuteScript runs a sequence of actions, once, and waits for its end or the
// context's. The token must be an administrator's. Nearly every error may come from
// a step in the middle and is Failed.
func (c *Client) ExecuteScript(ctx context.Context, sequence []any, variables map[string]any) Result {
	fields := map[string]any{"sequence": sequence}
	if len(variables) > 0 {
		fields["variables"] = variables
	}
	body, err := command("execute_script", fields)
	if err != nil {
		return unsendable(err)
	}
	r, _ := c.act(ctx, body, judgeScript)
	return r
}

func judgeScript(e *CommandError) Outcome {
	switch e.Code {
	case CodeUnauthorized, CodeUnknownCommand, CodeIDReuse:
		return Rejected
	case CodeInvalidFormat:
		// Of the command as a whole, or from a service within. Only the
		// former names a place in the command: as 'sequence[0]', or as
		// data['sequence'][0] in older homes.
		for _, place := range []string{"at 'sequence", "at 'variables", "@ data['sequence']", "@ data['variables']"} {
			if strings.Contains(e.Message, place) {
				return Rejected
			}
		}
	}
	return Failed
}

// act sends a command that makes the home do something, and says what came of it.
func (c *Client) act(ctx context.Context, body []byte, judge func(*CommandError) Outcome) (Result, *conn) {
	cn := c.conn.Load()
	if cn == nil {
		err := c.notConnected()
		return Result{Outcome: NotSent, Code: CodeNotConnected, Message: err.Error(), Err: err}, nil
	}
	return cn.do(ctx, body).outcome(judge), cn
}

// outcome is what an answer says of a call that was to make the home do something.
func (a answer) outcome(judge func(*CommandError) Outcome) Result {
	if a.failed != nil {
		return Result{Outcome: judge(a.failed), Code: a.failed.Code, Message: a.failed.Message}
	}
	if a.err != nil {
		r := Result{Outcome: NotSent, Message: a.err.Error(), Err: a.err}
		if a.sent {
			r.Outcome = Unknown
		}
		switch {
		case errors.Is(a.err, ErrConnectionLost):
			r.Code = CodeConnectionLost
		case errors.Is(a.err, ErrNotConnected):
			r.Code = CodeNotConnected
		case errors.Is(a.err, ErrBusy):
			r.Code = CodeBusy
		case errors.Is(a.err, ErrTooLarge):
			r.Code = CodeTooLarge
		default:
			r.Code = CodeDeadline
		}
		return r
	}
	r := Result{Outcome: Done, ContextID: unquote(member(member(a.result, "context"), "id"))}
	if resp := member(a.result, "response"); resp != nil && !bytes.Equal(resp, []byte("null")) {
		r.Response = resp
	}
	return r
}

// unsendable is the result of a call that is not JSON.
func unsendable(err error) Result {
	return Result{Outcome: NotSent, Code: CodeInvalidFormat, Message: err.Error(), Err: err}
}

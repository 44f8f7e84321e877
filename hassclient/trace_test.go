package hassclient

import (
	"strings"
	"testing"
)

// A script that Home Assistant calls done is so only if its trace says so.
func TestScriptsAreDoneWhenTheirTraceSaysSo(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		for {
			in, ok := s.next()
			switch {
			case !ok:
				return
			case in.Type == "call_service":
				s.ok(in.ID, doneResult)
			case in.ItemID == "unknown": // a home without traces
				s.send(`{"id":%d,"type":"result","success":false,"error":{"code":"unknown_command","message":"x"}}`, in.ID)
			case in.Type == "trace/contexts" && in.ItemID == "evicted":
				s.ok(in.ID, `{}`)
			case in.Type == "trace/contexts":
				s.ok(in.ID, `{"01OTHER":{"run_id":"r1"},"01CTX":{"run_id":"r2","domain":"script","item_id":"x"}}`)
			case in.Type == "trace/list" && in.ItemID == "garbled":
				s.ok(in.ID, `{"a":1}`)
			case in.Type == "trace/list":
				s.ok(in.ID, `[{"run_id":"r1","script_execution":"error"},{"run_id":"r2","last_step":"sequence/1","script_execution":"`+in.ItemID+`"}]`)
			case in.Type == "trace/get" && in.RunID == "r2":
				s.ok(in.ID, `{"trace":{"sequence/0":[{}],"sequence/1":[{"result":{"stop":"jammed","error":true}}]}}`)
			default:
				s.ok(in.ID, `null`)
			}
		}
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	for script, want := range map[string]Outcome{
		"finished":                      Done,
		"failed_single":                 Rejected,
		"failed_max_runs":               Rejected,
		"disallowed_recursion_detected": Rejected,
		"aborted":                       Failed,
		"cancelled":                     Failed,
		"error":                         Failed,
		"something_new":                 Done,
		"evicted":                       Done,
		"garbled":                       Done,
		"unknown":                       Done,
	} {
		r := c.CallAction(testContext(t), ServiceCall{Domain: "script", Service: strings.ToUpper(script)})
		if r.Outcome != want || r.ContextID != "01CTX" || (want == Done) != (r.Code == "") {
			t.Errorf("%s: %+v", script, r)
		}
		if want != Done && r.Code != "script_"+script || want == Failed && !strings.Contains(r.Message, "jammed") {
			t.Errorf("%s: %+v", script, r)
		}
	}
}

// Only administrators are shown traces; nobody else's scripts wait for them.
func TestTracesAreNotAskedForInVain(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letInAs(false, "RUNNING")
		for {
			in, ok := s.next()
			if !ok {
				return
			}
			if in.Type != "call_service" {
				t.Error("asked for", in.Type)
			}
			s.ok(in.ID, doneResult)
		}
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	if r := c.CallAction(testContext(t), ServiceCall{Domain: "script", Service: "x"}); r.Outcome != Done {
		t.Errorf("%+v", r)
	}
}

package hassclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// The outcome of each error that Home Assistant knows, by what was called.
func TestOutcomeOfErrors(t *testing.T) {
	one := map[string]any{"entity_id": "lock.a"}
	lock := ServiceCall{Domain: "lock", Service: "unlock", Target: one}
	script := ServiceCall{Domain: "script", Service: "open_up"}
	locks := func(target map[string]any) ServiceCall {
		return ServiceCall{Domain: "lock", Service: "unlock", Target: target}
	}
	for _, tt := range []struct {
		call    ServiceCall
		code    string
		message string
		want    Outcome
	}{
		{lock, CodeNotFound, "Service lock.unlock not found.", Rejected},
		{lock, CodeInvalidFormat, "extra keys not allowed", Rejected},
		{lock, CodeUnauthorized, "Unauthorized", Rejected},
		{lock, CodeHomeAssistantError, "Unauthorized", Rejected},
		{lock, CodeHomeAssistantError, "Unauthorized access to the lock", Failed},
		{lock, CodeHomeAssistantError, "The lock is jammed", Failed},
		{lock, CodeServiceValidation, "Code required", Rejected},
		{lock, CodeUnknownError, "", Failed},
		{lock, CodeUnknownCommand, "Unknown command.", Rejected},
		{lock, CodeIDReuse, "Identifier values have to increase.", Rejected},
		{lock, "new_code", "", Failed},

		// Others may have acted before one said no.
		{locks(map[string]any{"entity_id": []any{"lock.a", "lock.b"}}), CodeServiceValidation, "", Failed},
		{locks(map[string]any{"entity_id": []string{"lock.a"}}), CodeServiceValidation, "", Rejected},
		{locks(map[string]any{"entity_id": "lock.a, lock.b"}), CodeServiceValidation, "", Failed},
		{locks(map[string]any{"entity_id": "all"}), CodeServiceValidation, "", Failed},
		{locks(map[string]any{"area_id": "hall"}), CodeServiceValidation, "", Failed},
		{locks(map[string]any{"label_id": []any{"x"}}), CodeServiceValidation, "", Failed},
		{ServiceCall{Domain: "lock", Service: "unlock", Data: map[string]any{"entity_id": []any{"lock.a", "lock.b"}}}, CodeServiceValidation, "", Failed},
		{locks(map[string]any{"entity_id": []any{"lock.a", "lock.b"}}), CodeHomeAssistantError, "Unauthorized", Rejected},

		// A script's error may be its third step's.
		{script, CodeNotFound, "Service script.open_up not found.", Rejected},
		{script, CodeHomeAssistantError, "Unauthorized", Failed},
		{script, CodeInvalidFormat, "expected int", Failed},
		{script, CodeServiceValidation, "", Failed},
		{script, CodeHomeAssistantError, "Service lock.x called service script.open_up which was not found.", Failed},
		{ServiceCall{Domain: "Script", Service: "open_up"}, CodeInvalidFormat, "", Failed},
		{ServiceCall{Domain: "script", Service: "turn_on"}, CodeInvalidFormat, "", Rejected},
		{ServiceCall{Domain: "script", Service: "reload"}, CodeHomeAssistantError, "Unauthorized", Rejected},
		{ServiceCall{Domain: "automation", Service: "trigger"}, CodeServiceValidation, "", Failed},
		{ServiceCall{Domain: "scene", Service: "turn_on", Target: one}, CodeServiceValidation, "", Failed},
		{ServiceCall{Domain: "homeassistant", Service: "turn_on", Target: one}, CodeInvalidFormat, "", Failed},
		{ServiceCall{Domain: "homeassistant", Service: "restart"}, CodeHomeAssistantError, "Unauthorized", Rejected},
	} {
		if got := tt.call.judge(&CommandError{tt.code, tt.message}); got != tt.want {
			t.Errorf("%s.%s to %v: %s %q is %s, want %s", tt.call.Domain, tt.call.Service, tt.call.Target, tt.code, tt.message, got, tt.want)
		}
	}
	for _, tt := range []struct {
		code, message string
		want          Outcome
	}{
		{CodeUnauthorized, "Unauthorized", Rejected},
		{CodeUnknownCommand, "Unknown command.", Rejected},
		{CodeInvalidFormat, "Unable to determine action at 'sequence[0]'. Got {'nonsense': 1}", Rejected},
		{CodeInvalidFormat, "Unable to determine action @ data['sequence'][0]. Got None", Rejected},
		{CodeInvalidFormat, "not a valid option at 'colour'. Got None", Failed},
		{CodeInvalidFormat, "required key not provided @ data['entity_id']. Got None", Failed},
		{CodeServiceValidation, "Service a.b not found", Failed},
		{CodeHomeAssistantError, "Unauthorized", Failed},
		{CodeNotFound, "", Failed},
	} {
		if got := judgeScript(&CommandError{tt.code, tt.message}); got != tt.want {
			t.Errorf("execute_script: %s %q is %s, want %s", tt.code, tt.message, got, tt.want)
		}
	}
}

func TestCallActionSendsWhatItShould(t *testing.T) {
	for _, tt := range []struct {
		call ServiceCall
		want string
	}{
		{ServiceCall{Domain: "lock", Service: "unlock"}, `{"id":1,"type":"call_service","domain":"lock","service":"unlock"}`},
		{
			ServiceCall{
				Domain: "a\"b", Service: "ü\n", ReturnResponse: true,
				Data:   map[string]any{"code": "1<2", "n": 1.5},
				Target: map[string]any{"entity_id": []any{"x.y"}},
			},
			`{"id":1,"type":"call_service","domain":"a\"b","service":"ü\n","service_data":{"code":"1<2","n":1.5},"target":{"entity_id":["x.y"]},"return_response":true}`,
		},
	} {
		b, err := tt.call.encode()
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := json.Unmarshal(append([]byte(`{"id":1,`), b...), &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestCallActionOutcomes(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		for {
			in, ok := s.next()
			if !ok {
				return
			}
			switch in.Service {
			case "unlock":
				s.ok(in.ID, doneResult)
			case "forecast":
				s.ok(in.ID, `{"context":{"id":"01F"},"response":{"days":[1,2]}}`)
			case "quiet":
				s.ok(in.ID, `{"context":{"id":"01Q"},"response":null}`)
			case "odd":
				s.ok(in.ID, `null`)
			case "gone":
				s.send(`{"id":%d,"type":"result","success":false,"error":{"code":"not_found","message":"Service lock.gone not \"found\".","translation_key":"x"}}`, in.ID)
			case "mute":
				s.send(`{"id":%d,"type":"result","success":false}`, in.ID)
			}
		}
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	for service, want := range map[string]Result{
		"unlock":   {Outcome: Done, ContextID: "01CTX"},
		"forecast": {Outcome: Done, ContextID: "01F", Response: json.RawMessage(`{"days":[1,2]}`)},
		"quiet":    {Outcome: Done, ContextID: "01Q"},
		"odd":      {Outcome: Done},
		"gone":     {Outcome: Rejected, Code: CodeNotFound, Message: `Service lock.gone not "found".`},
		"mute":     {Outcome: Failed, Code: CodeUnknownError},
	} {
		got := c.CallAction(testContext(t), ServiceCall{Domain: "lock", Service: service})
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: %+v, want %+v", service, got, want)
		}
	}
}

// What cannot be sent at all is not sent, and harms nobody else's calls.
func TestCallsThatCannotBeSent(t *testing.T) {
	home := newScriptedHome(t, kind)
	c := newTestClient(t, home.URL, nil).connected(t)
	call := func(data any) Result {
		return c.CallAction(testContext(t), ServiceCall{Domain: "lock", Service: "unlock", Data: map[string]any{"x": data}})
	}
	if r := call(make(chan int)); r.Outcome != NotSent || r.Code != CodeInvalidFormat || r.Err == nil {
		t.Errorf("%+v", r)
	}
	if r := call(strings.Repeat("x", maxCommand)); r.Outcome != NotSent || r.Code != CodeTooLarge || !errors.Is(r.Err, ErrTooLarge) {
		t.Errorf("%+v", r)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if r := c.CallAction(ended, unlock); r.Outcome != NotSent || r.Code != CodeDeadline || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("%+v", r)
	}
	if r := call("x"); r.Outcome != Done {
		t.Errorf("%+v", r)
	}
	if n := home.calls.Load(); n != 1 {
		t.Errorf("%d calls reached the home, want 1", n)
	}
}

// No answer: the call's context decides how long to wait, and a late answer does
// not confuse those after it.
func TestDeadlineLeavesUnknown(t *testing.T) {
	answer := make(chan struct{})
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		in, _ := s.next()
		<-answer
		s.ok(in.ID, doneResult)
		s.serve()
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		eventually(t, "the call arrives", func() bool { return home.calls.Load() == 1 })
		cancel()
	}()
	if r := c.CallAction(ctx, unlock); r.Outcome != Unknown || r.Code != CodeDeadline || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("%+v", r)
	}
	if !c.Connected() {
		t.Error("a deadline ends the connection")
	}
	close(answer)
	if r := c.CallAction(testContext(t), unlock); r.Outcome != Done {
		t.Errorf("%+v", r)
	}
	if n := len(c.conn.Load().pending); n != 0 {
		t.Error(n, "calls are kept")
	}
}

// stallConn is a network that takes nothing while it is stalled.
type stallConn struct {
	net.Conn
	mu      sync.Mutex
	stalled chan struct{} // closed to end it
	at      chan struct{} // told of each write that waits
}

func (s *stallConn) Write(p []byte) (int, error) {
	s.mu.Lock()
	stalled := s.stalled
	s.mu.Unlock()
	if stalled != nil {
		s.at <- struct{}{}
		<-stalled
		return 0, errors.New("the cable is cut")
	}
	return s.Conn.Write(p)
}

// NotSent is said only of calls of which no byte can have left.
func TestNotSentIsProvable(t *testing.T) {
	home := newScriptedHome(t, kind)
	wire := &stallConn{at: make(chan struct{}, 1)}
	c := newTestClient(t, home.URL, func(cfg *Config) {
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if wire.Conn != nil || err != nil {
				return conn, err
			}
			wire.Conn = conn
			return wire, nil
		}
	}).connected(t)
	cut := make(chan struct{})
	wire.mu.Lock()
	wire.stalled = cut
	wire.mu.Unlock()

	first, third := make(chan Result, 1), make(chan Result, 1)
	go func() { first <- c.CallAction(context.Background(), unlock) }()
	<-wire.at // it is being written
	cn := c.conn.Load()
	queue := func() int {
		cn.mu.Lock()
		defer cn.mu.Unlock()
		return len(cn.queue)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		eventually(t, "the second is queued", func() bool { return queue() == 1 })
		cancel()
	}()
	if r := c.CallAction(ctx, unlock); r.Outcome != NotSent || r.Code != CodeDeadline {
		t.Errorf("given up in the queue: %+v", r)
	}
	go func() { third <- c.CallAction(context.Background(), unlock) }()
	eventually(t, "the third is queued", func() bool { return queue() == 2 })
	close(cut)
	if r := <-first; r.Outcome != Unknown || r.Code != CodeConnectionLost {
		t.Errorf("cut while it was written: %+v", r)
	}
	if r := <-third; r.Outcome != NotSent || r.Code != CodeNotConnected {
		t.Errorf("cut while it was queued: %+v", r)
	}
}

// A home that answers nothing cannot make callers pile up without bound.
func TestQueueIsBounded(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		for {
			if _, ok := s.next(); !ok {
				return
			}
		}
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan Result, maxPending+10)
	for range maxPending + 10 {
		go func() { results <- c.CallAction(ctx, unlock) }()
	}
	for range 10 {
		if r := <-results; r.Outcome != NotSent || r.Code != CodeBusy || !errors.Is(r.Err, ErrBusy) {
			t.Fatalf("%+v", r)
		}
	}
	cancel()
	for range maxPending {
		if r := <-results; r.Code != CodeDeadline {
			t.Fatalf("%+v", r)
		}
	}
}

// Many at once, and the home answers in another order.
func TestAnswersFindTheirCalls(t *testing.T) {
	const n = 200
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		var all []incoming
		for range n {
			in, _ := s.next()
			all = append(all, in)
		}
		var list []string
		for i := len(all) - 1; i >= 0; i-- {
			list = append(list, fmt.Sprintf(`{"id":%d,"type":"result","success":true,"result":{"context":{"id":"%s"}}}`, all[i].ID, all[i].Service))
		}
		s.send("[%s]", strings.Join(list, " , "))
		s.next()
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			service := fmt.Sprint("s", i)
			if r := c.CallAction(testContext(t), ServiceCall{Domain: "x", Service: service}); r.Outcome != Done || r.ContextID != service {
				t.Errorf("%s: %+v", service, r)
			}
		})
	}
	wg.Wait()
}

func TestQueriesAndTheirErrors(t *testing.T) {
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		for {
			in, ok := s.next()
			if !ok {
				return
			}
			switch in.Type {
			case "get_panels":
				s.ok(in.ID, `{"a":1}`)
			case "config/auth/list":
				s.send(`{"id":%d,"type":"result","success":false,"error":{"code":"unauthorized","message":"Unauthorized"}}`, in.ID)
			case "validate_config":
				s.ok(in.ID, `{"actions":{"valid":false,"error":"Unable to determine action"}}`)
			case "extract_from_target":
				s.ok(in.ID, `{"referenced_entities":["light.a"],"missing_areas":["hall"]}`)
			default:
				s.ok(in.ID, `null`)
			}
		}
	})
	c := newTestClient(t, home.URL, nil).connected(t)
	ctx := testContext(t)
	var panels struct{ A int }
	if err := c.Query(ctx, "get_panels", map[string]any{"type": "x", "id": 1, "y": 2}, &panels); err != nil || panels.A != 1 {
		t.Error(panels, err)
	}
	var wrong []string
	if err := c.Query(ctx, "get_panels", nil, &wrong); err == nil || !c.Connected() {
		t.Error("another shape:", err)
	}
	if err := c.Query(ctx, "config/auth/list", nil, nil); !Unauthorized(err) || !strings.Contains(err.Error(), "config/auth/list") {
		t.Error(err)
	}
	var ce *CommandError
	if err := c.ValidateActions(ctx, []any{"x"}); !errors.As(err, &ce) || ce.Code != CodeInvalid || ce.Message != "Unable to determine action" {
		t.Error(err)
	}
	if ex, err := c.ExtractFromTarget(ctx, map[string]any{"area_id": "hall"}); err != nil || len(ex.Entities) != 1 || len(ex.MissingAreas) != 1 {
		t.Error(ex, err)
	}
	if err := c.FireEvent(ctx, "x", map[string]any{"a": 1}); err != nil {
		t.Error(err)
	}
	if err := c.FireEvent(ctx, "x", make(chan int)); err == nil {
		t.Error("what is not JSON is fired")
	}
	if r := c.ExecuteScript(ctx, []any{map[string]any{"delay": 1}}, map[string]any{"v": 1}); r.Outcome != Done {
		t.Errorf("%+v", r)
	}
	ended, cancel := context.WithTimeout(ctx, -time.Second)
	defer cancel()
	if err := c.Query(ended, "get_panels", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

package onetime_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime/onetimetest"
)

var (
	anna  = onetime.Person{ID: "u1", Name: "Anna"}
	start = time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	key   = bytes.Repeat([]byte{7}, onetime.LinkKeyLength)
)

// world is a Service on a real store, with a home and a clock of the test's.
type world struct {
	*onetime.Service
	t     testing.TB
	home  *onetimetest.Home
	clock *onetimetest.Clock
	store *boltstore.Store
	path  string

	mu      sync.Mutex
	entries []onetime.Entry
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, home: &onetimetest.Home{}, clock: onetimetest.NewClock(start), path: filepath.Join(t.TempDir(), "onetime.db")}
	w.open()
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	w.action("front_door", "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n")
	w.action("light", "action: light.turn_on\ntarget:\n  entity_id: light.hall\n")
	return w
}

func (w *world) open() {
	w.t.Helper()
	store, err := boltstore.Open(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = store
	w.Service, err = onetime.New(context.Background(), onetime.Config{
		Store: store, Signer: onetime.NewSigner(key), Homes: onetimetest.Homes{onetime.DefaultHome: w.home},
		Now: w.clock.Now, After: w.clock.After,
		Observe: func(e onetime.Entry) { w.mu.Lock(); w.entries = append(w.entries, e); w.mu.Unlock() },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// reopen ends the Service and begins a new one on the same store.
func (w *world) reopen() {
	w.t.Helper()
	if err := w.Close(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

func (w *world) action(name, definition string) *onetime.Action {
	w.t.Helper()
	a, _, err := w.SaveAction(context.Background(), anna, &onetime.Action{Name: name, Definition: definition}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) token(uses int, actions ...string) *onetime.Token {
	w.t.Helper()
	spec := onetime.TokenSpec{Actions: actions, Guest: "Tom"}
	if uses > 0 {
		spec.UsesMax = &uses
	}
	tok, err := w.CreateToken(context.Background(), anna, spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return tok
}

func (w *world) press(tok *onetime.Token, key string) (*onetime.Redemption, error) {
	return w.Redeem(context.Background(), onetime.RedeemRequest{Code: w.Code(tok), Key: key, Client: "192.0.2.7"})
}

func (w *world) mustPress(tok *onetime.Token, key string) *onetime.Redemption {
	w.t.Helper()
	r, err := w.press(tok, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) left(tok *onetime.Token) int {
	w.t.Helper()
	v, err := w.Token(context.Background(), tok.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return *v.Actions[0].Left
}

// observed waits until the log's observers have seen n entries of that kind.
func (w *world) observed(what onetime.Happening, n int) []onetime.Entry {
	w.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		w.mu.Lock()
		var found []onetime.Entry
		for _, e := range w.entries {
			if e.What == what {
				found = append(found, e)
			}
		}
		w.mu.Unlock()
		if len(found) >= n {
			return found
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("observers saw %d entries of %s, want %d", len(found), what, n)
		}
		time.Sleep(time.Millisecond)
	}
}

func refusedAs(t *testing.T, err error, want onetime.Status) {
	t.Helper()
	var refused *onetime.Refused
	if !errors.As(err, &refused) || refused.Status != want {
		t.Fatalf("got %v, want a refusal as %s", err, want)
	}
}

func TestRedeemOnce(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	r := w.mustPress(tok, "k1")
	if r.Outcome != onetime.OutcomeDone || *r.UsesLeft != 0 || r.Replayed || r.Retry || !r.Spent || !r.At.Equal(start) {
		t.Errorf("got %+v", r)
	}
	_, err := w.press(tok, "k2")
	refusedAs(t, err, onetime.StatusUsedUp)
	if w.home.Ran() != 1 {
		t.Errorf("the home was asked %d times, want once", w.home.Ran())
	}
	done := w.observed(onetime.HappenedRedemption, 1)[0]
	if done.Guest != "Tom" || done.Token != tok.ID || done.Client != "192.0.2.7" || done.Maker != anna || done.Title != "Front door" {
		t.Errorf("the log says %+v", done)
	}
	w.observed(onetime.HappenedRefusal, 1)
}

// Promise 1, threat 23: however many press at once, one use is one run.
func TestPromise1_FiftyAtOnceRunOnce(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	var wg sync.WaitGroup
	results := make(chan *onetime.Redemption, 50)
	for range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r, err := w.press(tok, "")
			var refused *onetime.Refused
			if err != nil && (!errors.As(err, &refused) || refused.Status != onetime.StatusUsedUp) {
				t.Errorf("got %v", err)
			}
			if err == nil {
				results <- r
			}
		}()
	}
	wg.Wait()
	if len(results) != 1 || w.home.Ran() != 1 {
		t.Errorf("%d were answered with a redemption and the home was asked %d times, want once", len(results), w.home.Ran())
	}
}

// The same with n uses, and with keys that repeat: twins are one.
func TestPromise1_TwinsAreOne(t *testing.T) {
	w := newWorld(t)
	tok := w.token(5, "front_door")
	gate := make(chan struct{})
	w.home.OnRun = func(context.Context, *onetime.Definition) { <-gate }
	var wg sync.WaitGroup
	var mu sync.Mutex
	replayed := 0
	for range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r, err := w.press(tok, "same")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if r.Replayed {
				replayed++
			}
			if r.Outcome != onetime.OutcomeDone || *r.UsesLeft != 4 {
				t.Errorf("got %+v", r.Attempt)
			}
		}()
	}
	for w.home.Ran() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(gate)
	wg.Wait()
	if w.home.Ran() != 1 || replayed != 19 {
		t.Errorf("asked %d times, %d replayed; want 1 and 19", w.home.Ran(), replayed)
	}
}

func TestKeyLastsAsLongAsItsUse(t *testing.T) {
	w := newWorld(t)
	tok := w.token(3, "front_door", "light")
	first, err := w.Redeem(t.Context(), onetime.RedeemRequest{Code: w.Code(tok), Action: "front_door", Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Move(time.Hour)
	again, err := w.Redeem(t.Context(), onetime.RedeemRequest{Code: w.Code(tok), Action: "front_door", Key: "k"})
	if err != nil || !again.Replayed || !again.At.Equal(first.At) || again.Outcome != onetime.OutcomeDone {
		t.Errorf("got %+v, %v", again, err)
	}
	var bad *onetime.BadInput
	if _, err := w.Redeem(t.Context(), onetime.RedeemRequest{Code: w.Code(tok), Action: "light", Key: "k"}); !errors.As(err, &bad) {
		t.Errorf("a key of another action: got %v", err)
	}
	w.reopen()
	again, err = w.Redeem(t.Context(), onetime.RedeemRequest{Code: w.Code(tok), Action: "front_door", Key: "k"})
	if err != nil || !again.Replayed || w.home.Ran() != 1 {
		t.Errorf("after a restart: got %+v, %v, asked %d times", again, err, w.home.Ran())
	}
	// Another token's key of the same name is another key.
	if r := w.mustPress(w.token(1, "front_door"), "k"); r.Replayed {
		t.Error("a key was taken for another token's")
	}
	// After a revocation, too, the answer to what was done stays the same.
	if err := w.SetPaused(t.Context(), anna, true); err != nil {
		t.Fatal(err)
	}
	again, err = w.Redeem(t.Context(), onetime.RedeemRequest{Code: w.Code(tok), Action: "front_door", Key: "k"})
	if err != nil || !again.Replayed {
		t.Errorf("while paused: got %+v, %v", again, err)
	}
}

func TestOutcomeTable(t *testing.T) {
	failed := onetime.Answer{Outcome: onetime.OutcomeFailed, Message: "the motor is jammed"}
	for _, test := range []struct {
		name   string
		answer onetime.Answer
		spent  bool
		retry  bool
		cause  onetime.Cause
	}{
		{"done", onetime.Answer{Outcome: onetime.OutcomeDone}, true, false, onetime.CauseNone},
		{"not sent", onetime.Answer{Outcome: onetime.OutcomeNotSent}, false, true, onetime.CauseUnreachable},
		{"rejected", onetime.Answer{Outcome: onetime.OutcomeRejected, Code: "not_found"}, false, false, onetime.CauseRejected},
		{"failed", failed, false, true, onetime.CauseFailed},
		{"partly failed", onetime.Answer{Outcome: onetime.OutcomeFailed, Partial: true}, true, false, onetime.CausePartial},
		{"unknown", onetime.Answer{Outcome: onetime.OutcomeUnknown}, true, true, onetime.CauseLost},
		{"no answer", onetime.Answer{Outcome: onetime.OutcomeUnknown, Cause: onetime.CauseNoAnswer}, true, true, onetime.CauseNoAnswer},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			tok := w.token(2, "front_door")
			w.home.Answer(test.answer)
			r := w.mustPress(tok, "k")
			if r.Outcome != test.answer.Outcome || r.Spent != test.spent || r.Retry != test.retry || r.Cause != test.cause {
				t.Errorf("got outcome %s, spent %v, retry %v, cause %q", r.Outcome, r.Spent, r.Retry, r.Cause)
			}
			want := 2
			if test.spent {
				want = 1
			}
			if *r.UsesLeft != want || w.left(tok) != want {
				t.Errorf("uses left: answer %d, store %d, want %d", *r.UsesLeft, w.left(tok), want)
			}
			// Where nothing was spent the key is free again.
			if again := w.mustPress(tok, "k"); again.Replayed != test.spent {
				t.Errorf("the same key again: replayed %v", again.Replayed)
			}
		})
	}
}

func TestFailuresAreForgivenTwice(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	jammed := onetime.Answer{Outcome: onetime.OutcomeFailed, Message: "jammed"}
	w.home.Answer(jammed, jammed, jammed)
	for i, want := range []struct{ left, failures int }{{1, 1}, {1, 2}, {0, 3}} {
		r := w.mustPress(tok, "")
		if *r.UsesLeft != want.left || r.Failures != want.failures || r.Retry != (i < 2) {
			t.Errorf("failure %d: got %d left, %d failures, retry %v", i+1, *r.UsesLeft, r.Failures, r.Retry)
		}
	}
	_, err := w.press(tok, "")
	refusedAs(t, err, onetime.StatusUsedUp)
	if _, err := w.Replenish(t.Context(), anna, tok.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.home.Answer(jammed)
	if r := w.mustPress(tok, ""); *r.UsesLeft != 1 || r.Failures != 1 {
		t.Errorf("replenishing did not clear the failures: %+v", r.Attempt)
	}
}

func TestNotReadyAsksNothing(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	w.home.NotReady(&onetime.NotReady{Cause: onetime.CauseUnavailable, Message: "lock.front_door is unavailable"})
	r := w.mustPress(tok, "k")
	if r.Outcome != onetime.OutcomeNotSent || r.Cause != onetime.CauseUnavailable || !r.Retry || *r.UsesLeft != 1 || r.Spent {
		t.Errorf("got %+v", r.Attempt)
	}
	seq := r.Seq
	for range 10 { // whoever hammers fills no disk
		if r := w.mustPress(tok, "k"); r.Seq != seq || r.Outcome != onetime.OutcomeNotSent {
			t.Errorf("got %+v", r.Attempt)
		}
	}
	if n := len(w.observed(onetime.HappenedRedemption, 1)); n != 1 {
		t.Errorf("%d lines in the log, want 1", n)
	}
	w.home.NotReady(nil)
	if r := w.mustPress(tok, "k"); r.Outcome != onetime.OutcomeDone || r.Replayed {
		t.Errorf("once it is back: got %+v", r.Attempt)
	}
	if w.home.Ran() != 1 {
		t.Errorf("asked %d times, want once", w.home.Ran())
	}
}

func TestRunningSettlesByItself(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	gate := make(chan struct{})
	w.home.OnRun = func(context.Context, *onetime.Definition) { <-gate }
	answered := make(chan *onetime.Redemption)
	go func() { answered <- w.mustPress(tok, "k") }()
	for w.home.Ran() == 0 {
		time.Sleep(time.Millisecond)
	}
	w.clock.Move(onetime.AnswerWithin)
	r := <-answered
	if r.Outcome != onetime.OutcomeRunning || r.Replayed || *r.UsesLeft != 0 {
		t.Errorf("got %+v", r)
	}
	// The same key asks again, and hears at once how it stands.
	if r := w.mustPress(tok, "k"); r.Outcome != onetime.OutcomeRunning || !r.Replayed {
		t.Errorf("got %+v", r)
	}
	if a, err := w.Attempt(t.Context(), tok.ID, r.Seq); err != nil || a.Outcome != onetime.OutcomeRunning {
		t.Errorf("got %+v, %v", a, err)
	}
	close(gate)
	w.observed(onetime.HappenedRedemption, 1)
	if r := w.mustPress(tok, "k"); r.Outcome != onetime.OutcomeDone || !r.Replayed {
		t.Errorf("got %+v", r)
	}
	if w.home.Ran() != 1 {
		t.Errorf("asked %d times, want once", w.home.Ran())
	}
}

// Promise 2: whoever hangs up, the redemption runs to its end.
func TestPromise2_HangingUpEndsNothing(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	ctx, cancel := context.WithCancel(t.Context())
	gate := make(chan struct{})
	w.home.OnRun = func(run context.Context, _ *onetime.Definition) {
		cancel()
		<-gate
		if run.Err() != nil {
			t.Error("the run ended with the guest's connection")
		}
	}
	if _, err := w.Redeem(ctx, onetime.RedeemRequest{Code: w.Code(tok), Key: "k"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(gate)
	if e := w.observed(onetime.HappenedRedemption, 1)[0]; e.Outcome != onetime.OutcomeDone {
		t.Errorf("got %+v", e)
	}
	if r := w.mustPress(tok, "k"); !r.Replayed || r.Outcome != onetime.OutcomeDone {
		t.Errorf("got %+v", r)
	}
}

func TestReplenishBetweenReserveAndSettle(t *testing.T) {
	w := newWorld(t)
	tok := w.token(2, "front_door")
	w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeRejected})
	w.home.OnRun = func(context.Context, *onetime.Definition) {
		one := 1
		if _, err := w.Replenish(context.Background(), anna, tok.ID, &one); err != nil {
			t.Error(err)
		}
	}
	w.mustPress(tok, "")
	if left := w.left(tok); left != 1 {
		t.Errorf("the host said one, and %d are left", left)
	}
}

func TestStatuses(t *testing.T) {
	w := newWorld(t)
	at := func(d time.Duration) *time.Time { t := start.Add(d); return &t }
	one := 1
	tok, err := w.CreateToken(t.Context(), anna, onetime.TokenSpec{Actions: []string{"front_door"}, UsesMax: &one, NotBefore: at(time.Hour), Expires: at(2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want onetime.Status) {
		t.Helper()
		v, err := w.Open(t.Context(), w.Code(tok))
		if err != nil || v.Status != want {
			t.Errorf("got %+v, %v, want %s", v, err, want)
		}
		if want != onetime.StatusReady {
			_, err := w.press(tok, "")
			refusedAs(t, err, want)
		}
	}
	expect(onetime.StatusScheduled)
	w.clock.Move(time.Hour)
	expect(onetime.StatusReady)
	if err := w.SetPaused(t.Context(), anna, true); err != nil {
		t.Fatal(err)
	}
	expect(onetime.StatusPaused)
	yes, no := true, false
	if _, err := w.ChangeToken(t.Context(), anna, tok.ID, onetime.TokenChange{Revoked: &yes}, 0); err != nil {
		t.Fatal(err)
	}
	expect(onetime.StatusRevoked)
	if _, err := w.ChangeToken(t.Context(), anna, tok.ID, onetime.TokenChange{Revoked: &no}, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.SetPaused(t.Context(), anna, false); err != nil {
		t.Fatal(err)
	}
	expect(onetime.StatusReady)
	w.clock.Move(time.Hour)
	expect(onetime.StatusExpired)
	w.clock.Move(-time.Minute) // threat 30: a clock that jumps back
	expect(onetime.StatusReady)
	w.mustPress(tok, "")
	expect(onetime.StatusUsedUp)
	if w.home.Ran() != 1 {
		t.Errorf("asked %d times, want once", w.home.Ran())
	}
}

func TestUsesAreCountedPerAction(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door", "light")
	press := func(action string) error {
		_, err := w.Redeem(t.Context(), onetime.RedeemRequest{Code: w.Code(tok), Action: action})
		return err
	}
	var bad *onetime.BadInput
	if err := press(""); !errors.As(err, &bad) || bad.Field != "action" {
		t.Errorf("no action named: %v", err)
	}
	if err := press("other"); !errors.As(err, &bad) {
		t.Errorf("a foreign action: %v", err)
	}
	if err := press("front_door"); err != nil {
		t.Error(err)
	}
	refusedAs(t, press("front_door"), onetime.StatusUsedUp)
	if v, _ := w.Token(t.Context(), tok.ID); v.Status != onetime.StatusReady {
		t.Errorf("status %s, want ready: the light is left", v.Status)
	}
	if err := press("light"); err != nil {
		t.Error(err)
	}
	if v, _ := w.Token(t.Context(), tok.ID); v.Status != onetime.StatusUsedUp {
		t.Errorf("status %s, want used_up", v.Status)
	}
}

// Threat 28: an action that is edited while a link to it is open.
func TestThreat28_EditedActionIsLookedAtAgain(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	edited := "action: lock.lock\ntarget:\n  entity_id: lock.front_door\n"
	w.home.OnRun = func(_ context.Context, d *onetime.Definition) {
		if d.Single.Service != "lock" {
			t.Errorf("ran %s.%s, which is not what the host had saved", d.Single.Domain, d.Single.Service)
		}
	}
	w.action("front_door", edited)
	w.mustPress(tok, "")
}

func TestDeleteAction(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	var inUse *onetime.InUse
	if err := w.DeleteAction(t.Context(), anna, "front_door", false, 0); !errors.As(err, &inUse) || inUse.Tokens != 1 {
		t.Fatalf("got %v", err)
	}
	if err := w.DeleteAction(t.Context(), anna, "front_door", true, 0); err != nil {
		t.Fatal(err)
	}
	_, err := w.press(tok, "")
	refusedAs(t, err, onetime.StatusRevoked)
	no := false
	var bad *onetime.BadInput
	if _, err := w.ChangeToken(t.Context(), anna, tok.ID, onetime.TokenChange{Revoked: &no}, 0); !errors.As(err, &bad) {
		t.Errorf("a link without its action was let in again: %v", err)
	}
	if err := w.DeleteAction(t.Context(), anna, "front_door", false, 0); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestSaveActionConflicts(t *testing.T) {
	w := newWorld(t)
	a, err := w.Action(t.Context(), "light")
	if err != nil || a.Revision != 1 || a.Title != "Light" || a.Home != "default" {
		t.Fatalf("got %+v, %v", a, err)
	}
	if _, _, err := w.SaveAction(t.Context(), anna, a, 1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.SaveAction(t.Context(), anna, a, 1); !errors.Is(err, onetime.ErrConflict) {
		t.Errorf("got %v", err)
	}
	w.home.Find(nil, &onetime.BadInput{Field: "definition", Line: 1, Message: "no such service"})
	var bad *onetime.BadInput
	if _, _, err := w.SaveAction(t.Context(), anna, a, 0); !errors.As(err, &bad) {
		t.Errorf("got %v", err)
	}
	if now, _ := w.Action(t.Context(), "light"); now.Revision != 2 {
		t.Errorf("a refused action changed something: revision %d", now.Revision)
	}
}

// Threat 32: every field that is wrong is named.
func TestThreat32_BadTokens(t *testing.T) {
	w := newWorld(t)
	n := func(i int) *int { return &i }
	at := func(d time.Duration) *time.Time { t := start.Add(d); return &t }
	for field, spec := range map[string]onetime.TokenSpec{
		"actions":    {},
		"actions ":   {Actions: []string{"nowhere"}},
		"actions  ":  {Actions: []string{"light", "light"}},
		"actions   ": {Actions: []string{"../x"}},
		"uses_max":   {Actions: []string{"light"}, UsesMax: n(0)},
		"uses_max ":  {Actions: []string{"light"}, UsesMax: n(onetime.MaxUses + 1)},
		"expires":    {Actions: []string{"light"}, Expires: at(-time.Second)},
		"expires ":   {Actions: []string{"light"}, NotBefore: at(2 * time.Hour), Expires: at(time.Hour)},
		"guest":      {Actions: []string{"light"}, Guest: strings.Repeat("x", onetime.MaxGuest+1)},
		"guest ":     {Actions: []string{"light"}, Guest: "a\x00b"},
		"comment":    {Actions: []string{"light"}, Comment: "\xff"},
		"not_before": {Actions: []string{"light"}, NotBefore: &time.Time{}},
	} {
		_, err := w.CreateToken(t.Context(), anna, spec)
		var bad *onetime.BadInput
		if !errors.As(err, &bad) || bad.Field != strings.TrimSpace(field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
	if views, _, _ := w.Tokens(t.Context(), onetime.TokenQuery{}); len(views) != 0 {
		t.Errorf("refused tokens were stored: %d", len(views))
	}
}

func TestTokensAreListedByPage(t *testing.T) {
	w := newWorld(t)
	var made []string
	for range 7 {
		w.clock.Move(time.Second)
		made = append(made, w.token(1, "light").ID)
	}
	slices.Reverse(made)
	var listed []string
	for after, more := "", true; more; more = after != "" {
		views, next, err := w.Tokens(t.Context(), onetime.TokenQuery{After: after, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range views {
			listed = append(listed, v.Token.ID)
		}
		after = next
	}
	if !slices.Equal(listed, made) {
		t.Errorf("got %v, want %v", listed, made)
	}
	w.clock.Move(time.Second)
	tok, _ := w.CreateToken(t.Context(), onetime.Person{ID: "u2"}, onetime.TokenSpec{Actions: []string{"front_door"}, Comment: "Für Zoë"})
	for _, q := range []onetime.TokenQuery{{Search: "ZOË"}, {By: "u2"}, {Search: "front DOOR"}, {Search: strings.ToLower(tok.ID)}} {
		views, _, err := w.Tokens(t.Context(), q)
		if err != nil || len(views) != 1 || views[0].Token.ID != tok.ID {
			t.Errorf("%+v: got %d, %v", q, len(views), err)
		}
	}
}

func TestLogIsReadByPage(t *testing.T) {
	w := newWorld(t)
	tok := w.token(3, "light")
	other := w.token(1, "light")
	w.mustPress(tok, "")
	w.mustPress(other, "")
	w.mustPress(tok, "")
	var seqs []uint64
	for before, more := uint64(0), true; more; more = before != 0 {
		entries, next, err := w.Log(t.Context(), onetime.LogQuery{Before: before, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			seqs = append(seqs, e.Seq)
		}
		before = next
	}
	if !slices.Equal(seqs, []uint64{7, 6, 5, 4, 3, 2, 1}) {
		t.Errorf("got %v", seqs)
	}
	mine, next, err := w.Log(t.Context(), onetime.LogQuery{Token: tok.ID, Limit: 2})
	if err != nil || len(mine) != 2 || mine[0].Seq != 7 || mine[1].Seq != 5 || next != 5 {
		t.Errorf("got %+v, %d, %v", mine, next, err)
	}
	mine, next, _ = w.Log(t.Context(), onetime.LogQuery{Token: tok.ID, Limit: 2, Before: next})
	if len(mine) != 1 || mine[0].What != onetime.HappenedTokenCreated || next != 0 {
		t.Errorf("got %+v, %d", mine, next)
	}
	if entries, _, _ := w.Log(t.Context(), onetime.LogQuery{By: "somebody"}); len(entries) != 0 {
		t.Errorf("a stranger sees %d entries", len(entries))
	}
}

func TestPruneForgetsWhatEnded(t *testing.T) {
	w := newWorld(t)
	used, living := w.token(1, "light"), w.token(2, "light")
	w.mustPress(used, "k")
	w.mustPress(living, "k")
	w.clock.Move(400 * 24 * time.Hour)
	if err := w.Prune(t.Context(), 365*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Token(t.Context(), used.ID); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("a token that ended long ago: %v", err)
	}
	if _, err := w.Open(t.Context(), w.Code(used)); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("its link: %v", err)
	}
	if left := w.left(living); left != 1 {
		t.Errorf("a living token: %d left", left)
	}
	if entries, _, _ := w.Log(t.Context(), onetime.LogQuery{}); len(entries) != 0 {
		t.Errorf("%d entries are left", len(entries))
	}
	taken := false
	_ = w.store.View(func(tx onetime.Tx) (err error) { taken, err = tx.IDTaken(used.ID); return err })
	if !taken {
		t.Error("its id could be given again")
	}
}

// Threat 28: a backup brings spent uses back, so links with a limit wait.
func TestThreat28_RestoredLinksWait(t *testing.T) {
	w := newWorld(t)
	limited, free := w.token(1, "light"), w.token(0, "light")
	var backup bytes.Buffer
	if err := w.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	w.mustPress(limited, "k")
	later := w.token(1, "light")
	if err := w.Restore(t.Context(), anna, &backup, onetime.NewSigner(key)); err != nil {
		t.Fatal(err)
	}
	_, err := w.press(limited, "k")
	refusedAs(t, err, onetime.StatusPaused)
	w.mustPress(free, "")
	if _, err := w.press(later, ""); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("a link made after the backup: %v", err)
	}
	if _, err := w.Replenish(t.Context(), anna, limited.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.mustPress(limited, "k2")
	w.observed(onetime.HappenedBackupLoaded, 1)

	if err := w.Restore(t.Context(), anna, strings.NewReader("no store"), onetime.NewSigner(key)); err == nil {
		t.Error("a damaged backup was loaded")
	}
	if left := w.left(limited); left != 0 {
		t.Errorf("a refused backup changed something: %d left", left)
	}
}

func TestCloseWaitsForRedemptions(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	running := make(chan struct{})
	gate := make(chan struct{})
	w.home.OnRun = func(context.Context, *onetime.Definition) { close(running); <-gate }
	go func() { _, _ = w.press(tok, "k") }()
	<-running
	closed := make(chan error)
	go func() { closed <- w.Close(context.Background()) }()
	<-w.Ended()
	if _, err := w.press(tok, "k2"); !errors.Is(err, onetime.ErrClosed) {
		t.Errorf("got %v", err)
	}
	close(gate)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	w.home.OnRun = nil
	w.open()
	if r := w.mustPress(tok, "k"); r.Outcome != onetime.OutcomeDone || !r.Replayed {
		t.Errorf("got %+v", r)
	}
}

func TestTryActionSpendsNothing(t *testing.T) {
	w := newWorld(t)
	r, err := w.TryAction(t.Context(), anna, "light", "192.0.2.1")
	if err != nil || r.Outcome != onetime.OutcomeDone || r.Spent || r.UsesLeft != nil {
		t.Errorf("got %+v, %v", r, err)
	}
	if e := w.observed(onetime.HappenedActionTried, 1)[0]; e.By != anna || e.Action != "light" {
		t.Errorf("got %+v", e)
	}
	if _, err := w.TryAction(t.Context(), anna, "nothing", ""); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

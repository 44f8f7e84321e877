package onetime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// looked is what somebody who looks at the link now carries in a press.
func (w *world) looked(tok *onetime.Token) string {
	w.t.Helper()
	v, err := w.Open(w.t.Context(), w.Code(tok))
	if err != nil || v.Actions[0].Seen == "" {
		w.t.Fatalf("%+v, %v", v, err)
	}
	return v.Actions[0].Seen
}

func (w *world) pressSeen(tok *onetime.Token, key, seen string) (*onetime.Redemption, error) {
	return w.Redeem(context.Background(), onetime.RedeemRequest{Code: w.Code(tok), Key: key, Seen: seen})
}

// Whoever pressed what an action was before is asked again; nothing is spent and
// the key stays free.
func TestThreat28_AnActionEditedWhileALinkToItIsOpen(t *testing.T) {
	base := onetime.Action{Name: "light", Title: "Light on", Definition: lightYAML, Translations: map[string]onetime.Translation{"de": {Title: "Licht an", Done: "Fertig"}}}
	for name, c := range map[string]struct {
		change func(*onetime.Action)
		asked  bool // again
	}{
		"title":         {func(a *onetime.Action) { a.Title = "Open the safe" }, true},
		"definition":    {func(a *onetime.Action) { a.Definition = strings.Replace(lightYAML, "hall", "attic", 1) }, true},
		"confirm":       {func(a *onetime.Action) { a.Confirm = onetime.ConfirmAsk }, true},
		"translation":   {func(a *onetime.Action) { a.Translations = map[string]onetime.Translation{"de": {Title: "Tresor auf"}} }, true},
		"language gone": {func(a *onetime.Action) { a.Translations = nil }, true},
		"icon and done": {func(a *onetime.Action) { a.Icon, a.Done = "light", "There." }, false},
		"done, translated": {func(a *onetime.Action) {
			a.Translations = map[string]onetime.Translation{"de": {Title: "Licht an", Done: "Na also"}}
		}, false},
		"nothing, but saved": {func(*onetime.Action) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := base
			if _, _, err := w.SaveAction(t.Context(), anna, &first, 0); err != nil {
				t.Fatal(err)
			}
			tok := w.token(1, "light")
			seen := w.looked(tok)
			next := base
			c.change(&next)
			if _, _, err := w.SaveAction(t.Context(), anna, &next, 0); err != nil {
				t.Fatal(err)
			}
			_, err := w.pressSeen(tok, "k", seen)
			var changed *onetime.Changed
			if errors.As(err, &changed) != c.asked || !c.asked && err != nil {
				t.Fatalf("got %v", err)
			}
			if !c.asked {
				return
			}
			if changed.Action != "light" || w.home.Ran() != 0 || w.left(tok) != 1 {
				t.Errorf("%v: ran %d, %d left", changed, w.home.Ran(), w.left(tok))
			}
			// Asked again, with the same key even.
			if r, err := w.pressSeen(tok, "k", w.looked(tok)); err != nil || r.Outcome != onetime.OutcomeDone || r.Replayed {
				t.Errorf("%+v, %v", r, err)
			}
			// A press that has happened keeps its answer, whatever was seen.
			if r, err := w.pressSeen(tok, "k", seen); err != nil || !r.Replayed || w.home.Ran() != 1 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func TestAPressThatSaysNothingOfWhatItSawRunsWhatIsThere(t *testing.T) {
	w := newWorld(t)
	tok := w.token(2, "light")
	if r, err := w.pressSeen(tok, "", ""); err != nil || r.Outcome != onetime.OutcomeDone {
		t.Errorf("%+v, %v", r, err)
	}
	var changed *onetime.Changed
	if _, err := w.pressSeen(tok, "", "nonsense"); !errors.As(err, &changed) {
		t.Errorf("got %v", err)
	}
	// What is no good is said first.
	yes := true
	if _, err := w.ChangeToken(t.Context(), anna, tok.ID, onetime.TokenChange{Revoked: &yes}, 0); err != nil {
		t.Fatal(err)
	}
	_, err := w.pressSeen(tok, "", "nonsense")
	refusedAs(t, err, onetime.StatusRevoked)
}

// An action that was deleted and made anew has another revision of the same
// number; one that is back to what it was is what it was.
func TestWhatWasSeenIsNoNumber(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "light")
	seen := w.looked(tok)
	if strings.Contains(seen, "light") || len(seen) > 32 {
		t.Errorf("%q says more than it should", seen)
	}
	w.action("light", strings.Replace(lightYAML, "hall", "attic", 1))
	if w.looked(tok) == seen {
		t.Error("it is not what it was")
	}
	w.action("light", lightYAML)
	if w.looked(tok) != seen {
		t.Error("it is what it was")
	}
	// It depends on the link key: nobody can try what a definition may be.
	if other := onetime.NewSigner(make([]byte, onetime.LinkKeyLength)); other.Code(tok.ID) == w.Code(tok) {
		t.Fatal("the test has the key of zeros")
	}
}

// Edits and presses race: what runs is what its guest has seen, decided where
// the use is spent.
func TestThreat28_WhatRunsIsWhatWasSeen(t *testing.T) {
	w := newWorld(t)
	definition := func(n int) string {
		return fmt.Sprintf("action: light.turn_on\ntarget:\n  entity_id: light.n%d\n", n%2)
	}
	w.action("light", definition(0))
	tok := w.token(0, "light")
	var mu sync.Mutex
	byMark := map[string]string{w.looked(tok): "light.n0"}
	w.action("light", definition(1))
	byMark[w.looked(tok)] = "light.n1"

	wanted := map[string]int{}
	done := map[string]int{}
	w.home.OnRun = func(_ context.Context, def *onetime.Definition) {
		mu.Lock()
		defer mu.Unlock()
		for _, entity := range []string{"light.n0", "light.n1"} {
			if strings.Contains(fmt.Sprint(def.Steps), entity) {
				done[entity]++
			}
		}
	}
	var group sync.WaitGroup
	group.Go(func() {
		for n := range 40 {
			_, _, err := w.SaveAction(context.Background(), anna, &onetime.Action{Name: "light", Definition: definition(n)}, 0)
			if err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		group.Go(func() {
			for range 20 {
				for mark, entity := range byMark {
					_, err := w.pressSeen(tok, "", mark)
					var changed *onetime.Changed
					var bad *onetime.BadInput
					switch {
					case err == nil:
						mu.Lock()
						wanted[entity]++
						mu.Unlock()
					case errors.As(err, &changed), errors.As(err, &bad): // edited again and again
					default:
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if len(wanted) == 0 || fmt.Sprint(wanted) != fmt.Sprint(done) {
		t.Errorf("guests have pressed %v, and %v ran", wanted, done)
	}
}

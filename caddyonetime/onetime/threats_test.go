package onetime_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime/onetimetest"
)

// Deleting an action revokes the links that live. One that is used up could be
// let in again without its action, and would look like a wrong link then.
func TestThreat25_NoLinkIsReplenishedWithoutItsAction(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "light")
	w.mustPress(tok, "k")
	if err := w.DeleteAction(t.Context(), anna, "light", false, 0); err != nil {
		t.Fatal(err)
	}
	var bad *onetime.BadInput
	if _, err := w.Replenish(t.Context(), anna, tok.ID, nil); !errors.As(err, &bad) || bad.Field != "actions" {
		t.Errorf("got %v", err)
	}
	_, err := w.press(tok, "")
	refusedAs(t, err, onetime.StatusUsedUp)
}

// What a host has switched off, or what has ended, has its spent uses back, too,
// when a backup is loaded: it waits as well if the host lets it in again.
func TestThreat28_RestoredLinksWaitAlsoWhenTheyAreSwitchedOn(t *testing.T) {
	w := newWorld(t)
	off, over := w.token(1, "light"), w.token(1, "light")
	soon := start.Add(time.Minute)
	expires := &soon
	if _, err := w.ChangeToken(t.Context(), anna, over.ID, onetime.TokenChange{Expires: &expires}, 0); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	if _, err := w.ChangeToken(t.Context(), anna, off.ID, onetime.TokenChange{Revoked: &yes}, 0); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := w.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ChangeToken(t.Context(), anna, off.ID, onetime.TokenChange{Revoked: &no}, 0); err != nil {
		t.Fatal(err)
	}
	w.mustPress(off, "")
	w.mustPress(over, "")
	w.clock.Move(2 * time.Minute)
	if err := w.Restore(t.Context(), anna, &backup, onetime.NewSigner(key)); err != nil {
		t.Fatal(err)
	}

	if _, err := w.ChangeToken(t.Context(), anna, off.ID, onetime.TokenChange{Revoked: &no}, 0); err != nil {
		t.Fatal(err)
	}
	expires = nil
	if _, err := w.ChangeToken(t.Context(), anna, over.ID, onetime.TokenChange{Expires: &expires}, 0); err != nil {
		t.Fatal(err)
	}
	for _, tok := range []*onetime.Token{off, over} {
		_, err := w.press(tok, "")
		refusedAs(t, err, onetime.StatusPaused)
	}
	if ran := w.home.Ran(); ran != 2 {
		t.Errorf("the home was asked %d times", ran)
	}
}

// panicking is a home whose answers nobody can read.
type panicking struct{ *onetimetest.Home }

func (panicking) Ready(context.Context, *onetime.Definition) *onetime.NotReady { panic("an odd home") }

// A fault in asking the home ends that press, and nothing else.
func TestThreat29_APanicEndsOneRedemptionOnly(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "light")
	homes := onetimetest.Homes{onetime.DefaultHome: panicking{w.home}}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	store, err := boltstore.Open(w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.Service, err = onetime.New(t.Context(), onetime.Config{
		Store: store, Signer: onetime.NewSigner(key), Homes: homes, Now: w.clock.Now, After: w.clock.After,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.press(tok, "k"); err == nil {
		t.Fatal("it went well")
	}
	homes[onetime.DefaultHome] = w.home
	if r := w.mustPress(tok, "k"); r.Outcome != onetime.OutcomeDone || r.Replayed {
		t.Errorf("got %+v", r)
	}
}

// The log is forgotten after a while. A key of idempotency is not, as long as the
// use it spent is missing: a page that is opened again after a year spends no other.
func TestPromise1_PruningForgetsNoKeyThatCounts(t *testing.T) {
	w := newWorld(t)
	limited, free, again, gone := w.token(2, "light"), w.token(0, "light"), w.token(2, "light"), w.token(1, "light")
	for _, tok := range []*onetime.Token{limited, free, again, gone} {
		w.mustPress(tok, "k")
	}
	if _, err := w.Replenish(t.Context(), anna, again.ID, nil); err != nil {
		t.Fatal(err)
	}
	const year = 365 * 24 * time.Hour
	w.clock.Move(year + time.Hour)
	for range 2 { // the second run finds nothing to do
		if err := w.Prune(t.Context(), year); err != nil {
			t.Fatal(err)
		}
	}
	if r := w.mustPress(limited, "k"); !r.Replayed || *r.UsesLeft != 1 {
		t.Errorf("the key was forgotten: %+v", r)
	}
	if r := w.mustPress(free, "k"); r.Replayed {
		t.Errorf("a key without a limit was kept: %+v", r)
	}
	if r := w.mustPress(again, "k"); r.Replayed || *r.UsesLeft != 1 {
		t.Errorf("a key of a use that was given back was kept: %+v", r)
	}
	if _, err := w.press(gone, "k"); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("a used link: %v", err)
	}
}

// Whatever the clock does while links are pressed, none is run more often than the host
// allowed, and host and log are told what happened last.
func TestThreat30_ClockJumps(t *testing.T) {
	w := newWorld(t)
	tok := w.token(3, "light")
	expires := start.Add(time.Hour)
	end := &expires
	if _, err := w.ChangeToken(t.Context(), anna, tok.ID, onetime.TokenChange{Expires: &end}, 0); err != nil {
		t.Fatal(err)
	}
	last := func() onetime.ActionUse {
		t.Helper()
		v, err := w.Token(t.Context(), tok.ID)
		if err != nil {
			t.Fatal(err)
		}
		return v.Token.Uses["light"]
	}

	// Set back while the home works on it.
	w.home.OnRun = func(context.Context, *onetime.Definition) { w.clock.Move(-24 * time.Hour) }
	w.mustPress(tok, "one")
	w.home.OnRun = nil
	if d := w.observed(onetime.HappenedRedemption, 1)[0].DurationMS; d != 0 {
		t.Errorf("it took %d ms", d)
	}
	// It is yesterday now: the key is known all the same, and what is pressed next is the last.
	if r := w.mustPress(tok, "one"); !r.Replayed || w.home.Ran() != 1 {
		t.Errorf("got %+v after %d runs", r, w.home.Ran())
	}
	w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeRejected})
	w.mustPress(tok, "two")
	if use := last(); use.Last != onetime.OutcomeRejected || !use.LastAt.Equal(w.clock.Now()) {
		t.Errorf("the last one was %s at %s", use.Last, use.LastAt)
	}
	// Set forward for a moment: nothing is lost that was there before.
	w.clock.Move(10 * 365 * 24 * time.Hour)
	_, err := w.press(tok, "three")
	refusedAs(t, err, onetime.StatusExpired)
	w.clock.Move(start.Sub(w.clock.Now()))
	w.mustPress(tok, "three")
	w.mustPress(tok, "four")
	_, err = w.press(tok, "five")
	refusedAs(t, err, onetime.StatusUsedUp)
	if r := w.mustPress(tok, "one"); !r.Replayed || w.home.Done() != 3 {
		t.Errorf("got %+v, and %d were done, want 3", r, w.home.Done())
	}
}

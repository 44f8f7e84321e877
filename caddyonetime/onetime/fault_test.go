package onetime_test

import (
	"bytes"
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime/onetimetest"
)

// fullStore is a store whose disk is full when told so.
type fullStore struct {
	onetime.Store
	full  atomic.Bool
	views atomic.Int64
}

var errFull = errors.New("no space left on device")

func (f *fullStore) Update(fn func(onetime.Tx) error) error {
	if f.full.Load() {
		return &onetime.StoreError{Op: "write", Err: errFull}
	}
	return f.Store.Update(fn)
}

func (f *fullStore) View(fn func(onetime.Tx) error) error {
	// Whoever follows the log reads at any time, and for nobody's request.
	if !bytes.Contains(debug.Stack(), []byte("(*follower)")) {
		f.views.Add(1)
	}
	return f.Store.View(fn)
}

func newFullWorld(t *testing.T) (*world, *fullStore) {
	w := newWorld(t)
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	bolt, err := boltstore.Open(w.path)
	if err != nil {
		t.Fatal(err)
	}
	store := &fullStore{Store: bolt}
	w.Service, err = onetime.New(t.Context(), onetime.Config{
		Store: store, Signer: onetime.NewSigner(key), Homes: onetimetest.Homes{onetime.DefaultHome: w.home},
		Now: w.clock.Now, After: w.clock.After,
		Observe: func(e onetime.Entry) { w.mu.Lock(); w.entries = append(w.entries, e); w.mu.Unlock() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, store
}

// seen is how many entries the log's observers have seen.
func (w *world) seen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.entries)
}

// Threat 28, promise 2: what cannot be written down as spent is not asked.
func TestThreat28_DiskFullAsksNothing(t *testing.T) {
	w, store := newFullWorld(t)
	tok := w.token(1, "front_door")
	store.full.Store(true)
	_, err := w.press(tok, "k")
	var broken *onetime.StoreError
	if !errors.As(err, &broken) || !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	if w.home.Ran() != 0 {
		t.Error("the home was asked")
	}
	store.full.Store(false)
	if r := w.mustPress(tok, "k"); r.Outcome != onetime.OutcomeDone || r.Replayed {
		t.Errorf("got %+v", r)
	}
}

// The disk fills up while the home acts: the use stays spent, and the outcome
// is written down as soon as that is possible.
func TestThreat28_DiskFullBeforeSettle(t *testing.T) {
	w, store := newFullWorld(t)
	tok := w.token(1, "front_door")
	w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeRejected, Message: "no"})
	w.home.OnRun = func(context.Context, *onetime.Definition) { store.full.Store(true) }
	r := w.mustPress(tok, "k")
	if r.Outcome != onetime.OutcomeRejected {
		t.Errorf("got %+v", r)
	}
	if _, err := w.press(tok, "k2"); err == nil {
		t.Error("a spent use was spent again")
	}
	store.full.Store(false)
	for w.seen() == 0 || w.left(tok) != 1 {
		w.clock.Move(10 * time.Second)
		time.Sleep(time.Millisecond)
	}
	if e := w.observed(onetime.HappenedRedemption, 1)[0]; e.Outcome != onetime.OutcomeRejected {
		t.Errorf("got %+v", e)
	}
}

// Promise 4: a forged link is turned away without touching the store.
func TestPromise4_ForgedLinksNeverReachTheStore(t *testing.T) {
	w, store := newFullWorld(t)
	tok := w.token(1, "front_door")
	forger := onetime.NewSigner(make([]byte, onetime.LinkKeyLength))
	before := store.views.Load()
	for _, code := range []string{forger.Code(tok.ID), forger.Code("ZZZZZZ"), tok.ID, "", w.Code(tok)[:23]} {
		if _, err := w.Open(t.Context(), code); !errors.Is(err, onetime.ErrNotFound) {
			t.Errorf("%q: got %v", code, err)
		}
		if _, err := w.Redeem(t.Context(), onetime.RedeemRequest{Code: code}); !errors.Is(err, onetime.ErrNotFound) {
			t.Errorf("%q: got %v", code, err)
		}
	}
	if n := store.views.Load() - before; n != 0 {
		t.Errorf("the store was read %d times", n)
	}
}

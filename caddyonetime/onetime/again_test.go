package onetime_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// failed presses until no use comes back any more, and returns what a host is
// offered then.
func (w *world) failed(tok *onetime.Token) (code string) {
	w.t.Helper()
	w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed})
	w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed})
	w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed})
	var last *onetime.Redemption
	for range 3 {
		last = w.mustPress(tok, "")
	}
	entries, _, err := w.Log(w.t.Context(), onetime.LogQuery{Token: tok.ID, Limit: 3})
	if err != nil || len(entries) != 3 || entries[0].Attempt != last.Seq {
		w.t.Fatal(entries, err)
	}
	for i, e := range entries {
		if code := w.AgainCode(e); (code != "") != (i == 0) {
			w.t.Errorf("press %d offers %q", 3-i, code)
		}
	}
	return w.AgainCode(entries[0])
}

func (w *world) again(code string) error {
	_, err := w.LetTryAgain(w.t.Context(), anna, code)
	return err
}

func TestLetTryAgain(t *testing.T) {
	w := newWorld(t)
	tok := w.token(1, "front_door")
	code := w.failed(tok)
	if _, err := w.press(tok, ""); err == nil {
		t.Fatal("it was not used up")
	}
	v, err := w.LetTryAgain(t.Context(), anna, code)
	if err != nil || v.Status != onetime.StatusReady || *v.Actions[0].Left != 1 || v.Actions[0].Use.Failures != 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	entries, _, _ := w.Log(t.Context(), onetime.LogQuery{Token: tok.ID, Limit: 1})
	if e := entries[0]; e.What != onetime.HappenedReplenished || e.By != anna || *e.UsesLeft != 1 {
		t.Errorf("the log says %+v", e)
	}
	// It is worth one use, once, over a restart, and after it is used.
	w.reopen()
	if err := w.again(code); !errors.Is(err, onetime.ErrTooLate) {
		t.Errorf("a second time: %v", err)
	}
	w.mustPress(tok, "")
	if err := w.again(code); !errors.Is(err, onetime.ErrTooLate) || w.left(tok) != 0 {
		t.Errorf("after it was used: %v, %d left", err, w.left(tok))
	}
}

func TestLetTryAgainGivesBackOneUse(t *testing.T) {
	w := newWorld(t)
	tok := w.token(3, "front_door")
	code := w.failed(tok)
	if err := w.again(code); err != nil || w.left(tok) != 3 {
		t.Errorf("%v, %d left", err, w.left(tok))
	}
}

func TestLetTryAgainOnlyWhereItHelps(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		meanwhile func(*world, *onetime.Token)
		want      error
	}{
		"a day later": {func(w *world, _ *onetime.Token) { w.clock.Move(onetime.AgainWithin + time.Second) }, onetime.ErrTooLate},
		"replenished": {func(w *world, tok *onetime.Token) {
			if _, err := w.Replenish(w.t.Context(), anna, tok.ID, nil); err != nil {
				w.t.Fatal(err)
			}
		}, onetime.ErrTooLate},
		"without limit": {func(w *world, tok *onetime.Token) {
			var none *int
			if _, err := w.ChangeToken(w.t.Context(), anna, tok.ID, onetime.TokenChange{UsesMax: &none}, 0); err != nil {
				w.t.Fatal(err)
			}
		}, onetime.ErrTooLate},
		"revoked": {func(w *world, tok *onetime.Token) {
			if _, err := w.ChangeToken(w.t.Context(), anna, tok.ID, onetime.TokenChange{Revoked: &yes}, 0); err != nil {
				w.t.Fatal(err)
			}
		}, &onetime.Refused{}},
		"its action gone": {func(w *world, tok *onetime.Token) {
			if err := w.DeleteAction(w.t.Context(), anna, "front_door", false, 0); err != nil {
				w.t.Fatal(err)
			}
		}, &onetime.BadInput{}},
		"forgotten": {func(w *world, tok *onetime.Token) {
			err := w.store.Update(func(tx onetime.Tx) error { return tx.DeleteToken(tok.ID) })
			if err != nil {
				w.t.Fatal(err)
			}
		}, onetime.ErrNotFound},
	} {
		w := newWorld(t)
		tok := w.token(1, "front_door")
		code := w.failed(tok)
		c.meanwhile(w, tok)
		err := w.again(code)
		var refused *onetime.Refused
		var bad *onetime.BadInput
		switch c.want.(type) {
		case *onetime.Refused:
			if !errors.As(err, &refused) || refused.Status != onetime.StatusRevoked {
				t.Errorf("%s: %v", name, err)
			}
		case *onetime.BadInput:
			if !errors.As(err, &bad) {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Who was not sent a code cannot make one up, nor make another of one.
func TestLetTryAgainTakesNoOtherCode(t *testing.T) {
	w := newWorld(t)
	tok, other := w.token(1, "front_door"), w.token(1, "front_door")
	code := w.failed(tok)
	w.failed(other)
	for _, forged := range []string{
		"", "caddy_hass_again_", code[:len(code)-1], code + "0", strings.ToUpper(code), strings.Replace(code, tok.ID, other.ID, 1),
		strings.Replace(code, "_3_", "_03_", 1), strings.Replace(code, "_3_", "_6_", 1), strings.Replace(code, "_3_", "_", 1),
	} {
		if err := w.again(forged); !errors.Is(err, onetime.ErrNotFound) {
			t.Errorf("%q: %v", forged, err)
		}
	}
	if w.left(tok)+w.left(other) != 0 {
		t.Error("a forged code gave something back")
	}
}

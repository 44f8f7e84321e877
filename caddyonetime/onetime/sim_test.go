package onetime_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// modelToken is what a simple mind expects of a token.
type modelToken struct {
	tok      *onetime.Token
	max      int // 0: any number
	used     int
	failures int
	revoked  bool
	keys     map[string]onetime.Outcome
}

// TestSimulation presses, replenishes, revokes, pauses and restarts at random
// and compares each answer with a model that keeps everything in memory.
func TestSimulation(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func simulate(t *testing.T, r *rand.Rand) {
	w := newWorld(t)
	var model []*modelToken
	paused := false
	answers := []onetime.Outcome{onetime.OutcomeDone, onetime.OutcomeDone, onetime.OutcomeFailed, onetime.OutcomeRejected, onetime.OutcomeUnknown, onetime.OutcomeNotSent}
	for step := range 400 {
		w.clock.Move(2 * time.Minute)
		if len(model) == 0 || r.IntN(12) == 0 {
			max := r.IntN(4)
			model = append(model, &modelToken{tok: w.token(max, "front_door"), max: max, keys: map[string]onetime.Outcome{}})
			continue
		}
		m := model[r.IntN(len(model))]
		switch r.IntN(20) {
		case 0:
			w.reopen()
		case 1:
			paused = !paused
			if err := w.SetPaused(t.Context(), anna, paused); err != nil {
				t.Fatal(err)
			}
		case 2:
			m.revoked = !m.revoked
			if _, err := w.ChangeToken(t.Context(), anna, m.tok.ID, onetime.TokenChange{Revoked: &m.revoked}, 0); err != nil {
				t.Fatal(err)
			}
		case 3:
			if _, err := w.Replenish(t.Context(), anna, m.tok.ID, nil); err != nil {
				t.Fatal(err)
			}
			m.used, m.failures = 0, 0
		default:
			m.press(t, w, r, answers, paused, step)
		}
	}
}

func (m *modelToken) press(t *testing.T, w *world, r *rand.Rand, answers []onetime.Outcome, paused bool, step int) {
	t.Helper()
	answer := answers[r.IntN(len(answers))]
	key := fmt.Sprint(r.IntN(30))
	asked := w.home.Ran()
	earlier, known := m.keys[key]
	status := onetime.StatusReady
	switch {
	case m.revoked:
		status = onetime.StatusRevoked
	case m.max > 0 && m.used >= m.max:
		status = onetime.StatusUsedUp
	case paused:
		status = onetime.StatusPaused
	}
	if !known && status == onetime.StatusReady {
		w.home.Answer(onetime.Answer{Outcome: answer})
	}
	got, err := w.press(m.tok, key)
	switch {
	case known:
		if err != nil || !got.Replayed || got.Outcome != earlier || w.home.Ran() != asked {
			t.Fatalf("step %d: a known key: got %+v, %v", step, got, err)
		}
		return
	case status != onetime.StatusReady:
		var refused *onetime.Refused
		if !errors.As(err, &refused) || refused.Status != status || w.home.Ran() != asked {
			t.Fatalf("step %d: got %+v, %v, want a refusal as %s", step, got, err, status)
		}
		return
	case err != nil:
		t.Fatalf("step %d: %v", step, err)
	}
	m.used++
	switch {
	case answer == onetime.OutcomeNotSent, answer == onetime.OutcomeRejected:
		m.used--
	case answer == onetime.OutcomeFailed && m.failures < onetime.FailuresForgiven:
		m.used--
		m.failures++
	case answer == onetime.OutcomeFailed:
		m.failures++
		m.keys[key] = answer
	default:
		m.keys[key] = answer
	}
	if got.Outcome != answer || got.Replayed || w.home.Ran() != asked+1 {
		t.Fatalf("step %d: got %+v, want %s", step, got, answer)
	}
	if m.max > 0 && *got.UsesLeft != max(0, m.max-m.used) {
		t.Fatalf("step %d: %d left, want %d of %d", step, *got.UsesLeft, m.max-m.used, m.max)
	}
}

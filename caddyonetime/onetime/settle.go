package onetime

import (
	"context"
	"errors"
	"time"
)

// FailuresForgiven is how many failed attempts of a token's action give their
// use back. The next one stays spent.
const FailuresForgiven = 2

// settle writes down what came of an attempt.
func (s *Service) settle(attempt *Attempt, a *Action, answer Answer) (*Attempt, error) {
	var settled *Attempt
	err := s.store.Update(func(tx Tx) error {
		settled = nil
		now, err := tx.Attempt(attempt.Seq)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && !now.same(attempt):
			// A backup was loaded in between: that store knows nothing of it.
			copied := *attempt
			now = &copied
			now.settle(answer, nil, s.now())
			settled = now
			return tx.AppendEntry(s.entry(HappenedRedemption, a, now))
		case err != nil:
			return err
		}
		e := func(t *Token) error {
			e := s.entry(HappenedRedemption, a, now)
			e.of(t)
			if now.Token == "" {
				e.What = HappenedActionTried
			}
			if err := tx.PutAttempt(now); err != nil {
				return err
			}
			settled = now
			return tx.AppendEntry(e)
		}
		if now.Token == "" {
			now.settle(answer, nil, s.now())
			return e(nil)
		}
		t, err := tx.Token(now.Token)
		if errors.Is(err, ErrNotFound) { // forgotten in between
			now.settle(answer, nil, s.now())
			return e(nil)
		}
		if err != nil {
			return err
		}
		now.settle(answer, t, s.now())
		if !now.Spent && now.Key != "" {
			if err := tx.DeleteKey(now.Token, now.Key); err != nil {
				return err
			}
		}
		if err := tx.PutToken(t); err != nil {
			return err
		}
		return e(t)
	})
	if err != nil {
		return nil, err
	}
	s.follower.grown()
	return settled, nil
}

// settleAgainAfter is how long a store that could not write is left alone.
const settleAgainAfter = 5 * time.Second

// settleLater tries to write an outcome down until it is, or the Service closes;
// then it is recovered at the next start.
func (s *Service) settleLater(attempt Attempt, a *Action, answer Answer) {
	defer s.under.Done()
	for {
		select {
		case <-s.after(settleAgainAfter):
		case <-s.ended:
			return
		}
		if _, err := s.settle(&attempt, a, answer); err == nil {
			return
		}
	}
}

// same reports whether two records are of one attempt.
func (a *Attempt) same(b *Attempt) bool {
	return a.Token == b.Token && a.Action == b.Action && a.Key == b.Key && a.At.Equal(b.At) && a.Outcome == OutcomePending
}

// settle applies the outcome table to the attempt and its token, which is nil
// when a host tried an action.
func (a *Attempt) settle(answer Answer, t *Token, now time.Time) {
	now = now.UTC()
	a.SettledAt = &now
	a.Outcome, a.Cause = answer.Outcome, answer.Cause
	a.Code, a.Message, a.Context = answer.Code, answer.Message, answer.Context
	if a.Cause == CauseNone {
		a.Cause = answer.Outcome.cause()
	}
	if a.Outcome == OutcomeFailed && answer.Partial {
		a.Cause = CausePartial
	}

	var use ActionUse
	if t != nil {
		use = t.Uses[a.Action]
	}
	giveBack := false
	switch a.Outcome {
	case OutcomeNotSent, OutcomeRejected:
		giveBack = true
	case OutcomeFailed:
		if answer.Partial {
			break
		}
		giveBack = use.Failures < FailuresForgiven
		use.Failures++
	}
	if giveBack && a.Spent {
		a.Spent = false
		// What a host has set anew since then knows nothing of this use.
		if use.Epoch == a.Epoch {
			use.Used = max(0, use.Used-1)
		}
	}
	if t == nil {
		a.Retry = a.Outcome != OutcomeDone && a.Outcome != OutcomeRejected
		return
	}
	if a.Outcome == OutcomeDone {
		use.LastDone = &a.At
	}
	// What was asked later counts; but nothing was asked after now, unless the clock was set back.
	if use.LastAt == nil || !use.LastAt.After(a.At) || use.LastAt.After(now) {
		use.Last, use.LastAt = a.Outcome, &a.At
	}
	t.setUse(a.Action, use)
	a.UsesLeft, a.Failures = t.Left(a.Action), use.Failures

	more := a.UsesLeft == nil || *a.UsesLeft > 0
	switch a.Outcome {
	case OutcomeNotSent:
		a.Retry = true
	case OutcomeFailed:
		a.Retry = !answer.Partial && more
	case OutcomeUnknown:
		a.Retry = more
	default:
		a.Retry = false
	}
}

func (o Outcome) cause() Cause {
	switch o {
	case OutcomeNotSent:
		return CauseUnreachable
	case OutcomeRejected:
		return CauseRejected
	case OutcomeFailed:
		return CauseFailed
	case OutcomeUnknown:
		return CauseLost
	}
	return CauseNone
}

// entry is the line of the log that an attempt leaves.
func (s *Service) entry(what Happening, a *Action, attempt *Attempt) *Entry {
	e := &Entry{
		At: s.now().UTC(), What: what, Action: attempt.Action,
		Token:   attempt.Token,
		Outcome: attempt.Outcome, Cause: attempt.Cause,
		Code: attempt.Code, Message: attempt.Message, Context: attempt.Context,
		Attempt: attempt.Seq, UsesLeft: attempt.UsesLeft, Failures: attempt.Failures,
		Spent: attempt.Spent, Retry: attempt.Retry,
		Client: attempt.Client, By: attempt.By,
	}
	if a != nil {
		e.Title, e.Home = a.Title, a.Home
	}
	if attempt.SettledAt != nil {
		e.DurationMS = max(0, attempt.SettledAt.Sub(attempt.At).Milliseconds()) // the clock may have been set back
	}
	return e
}

// of says which token an entry is about. A nil token says nothing.
func (e *Entry) of(t *Token) {
	if t == nil {
		return
	}
	e.Token, e.Guest, e.Comment, e.UsesMax, e.Maker = t.ID, t.Guest, t.Comment, t.UsesMax, t.CreatedBy
}

// recover settles what was cut off: reserved, but its outcome never written
// down. Whether the home was asked is not known, so the use stays spent.
func (s *Service) recover() error {
	return s.store.Update(func(tx Tx) error { return s.recoverIn(tx) })
}

func (s *Service) recoverIn(tx Tx) error {
	var cut []*Attempt
	err := tx.Pending(func(a *Attempt) bool { cut = append(cut, a); return true })
	if err != nil {
		return err
	}
	for _, attempt := range cut {
		action, err := tx.Action(attempt.Action)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		var t *Token
		if attempt.Token != "" {
			if t, err = tx.Token(attempt.Token); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		attempt.settle(Answer{
			Outcome: OutcomeUnknown, Cause: CauseCutOff,
			Message: "the server ended before the home had answered",
		}, t, s.now())
		if err := tx.PutAttempt(attempt); err != nil {
			return err
		}
		if t != nil {
			if err := tx.PutToken(t); err != nil {
				return err
			}
		}
		e := s.entry(HappenedRedemption, action, attempt)
		e.of(t)
		if attempt.Token == "" {
			e.What = HappenedActionTried
		}
		if err := tx.AppendEntry(e); err != nil {
			return err
		}
	}
	return nil
}

// Attempt returns an attempt of the token, for the page that shows its result.
// An attempt that is still under way has OutcomeRunning.
func (s *Service) Attempt(ctx context.Context, token string, seq uint64) (*Attempt, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	f := s.flights[seq]
	s.mu.Unlock()
	if f != nil && f.token == token {
		if a, _, err := f.state(); a != nil && err == nil {
			if a.Outcome == OutcomePending {
				running := a.running()
				a = &running
			}
			return a, nil
		}
	}
	var a *Attempt
	err := s.store.View(func(tx Tx) (err error) {
		a, err = tx.Attempt(seq)
		return err
	})
	if err != nil {
		return nil, err
	}
	if a.Token != token {
		return nil, ErrNotFound
	}
	if a.Outcome == OutcomePending {
		running := a.running()
		a = &running
	}
	return a, nil
}

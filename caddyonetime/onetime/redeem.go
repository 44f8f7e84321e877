package onetime

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// RedeemRequest asks for one use of one action.
type RedeemRequest struct {
	Code   string // the link's last segment
	Action string // may be empty where the token has one action
	Key    string // of idempotency; may be empty
	Seen   string // ActionView.Seen of what was looked at; may be empty
	Client string // the guest's address, for the log
}

// MaxKey is the length of a key of idempotency, in printable ASCII characters.
const MaxKey = 128

// Redeem spends a use. It returns when the outcome is settled, or after 20 s
// with OutcomeRunning; the redemption itself runs to its end on its own clock,
// also when ctx ends before. Errors: ErrNotFound, *Refused, *Changed,
// *BadInput, *StoreError (nothing was spent), ErrClosed, ctx.Err().
func (s *Service) Redeem(ctx context.Context, r RedeemRequest) (*Redemption, error) {
	id, err := s.genuine(r.Code)
	if err != nil {
		return nil, err
	}
	if err := checkKey(r.Key); err != nil {
		return nil, err
	}
	t, paused, err := s.token(ctx, id)
	if err != nil {
		return nil, err
	}
	action := r.Action
	switch {
	case action == "" && len(t.Actions) == 1:
		action = t.Actions[0]
	case t.Status(s.now(), paused) != StatusReady && !t.Has(action):
		action = t.Actions[0] // whatever was meant, the status is the answer
	case action == "":
		return nil, &BadInput{Field: "action", Message: "this link has several actions: say which one, " + strings.Join(t.Actions, " or ")}
	case !t.Has(action):
		return nil, &BadInput{Field: "action", Message: "this link has no such action"}
	}
	return s.fly(ctx, &flight{token: id, action: action, key: r.Key, seen: r.Seen, client: s.client(r.Client)})
}

// TryAction runs an action now, as the host: asked, journalled and answered as a
// guest's press, but no use is spent.
func (s *Service) TryAction(ctx context.Context, by Person, name, client string) (*Redemption, error) {
	if _, err := s.Action(ctx, name); err != nil {
		return nil, err
	}
	return s.fly(ctx, &flight{action: name, client: s.client(client), by: by})
}

func checkKey(key string) error {
	if len(key) > MaxKey {
		return &BadInput{Field: "nonce", Message: fmt.Sprintf("a key of idempotency has at most %d characters", MaxKey)}
	}
	for i := 0; i < len(key); i++ {
		if key[i] < ' ' || key[i] > '~' {
			return &BadInput{Field: "nonce", Message: "a key of idempotency has printable ASCII characters only"}
		}
	}
	return nil
}

// fly begins the flight, or joins its twin, and waits for the answer.
func (s *Service) fly(ctx context.Context, f *flight) (*Redemption, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	key := twin{f.token, f.key}
	if f.key != "" {
		if other := s.twins[key]; other != nil {
			s.mu.Unlock()
			if other.action != f.action {
				return nil, errKeyOfAnother
			}
			return other.answer(ctx, true)
		}
	}
	// Whole before a twin can find it: one that came too early would wait on
	// channels that are not there, and for ever.
	f.timer, f.late, f.done = s.after(AnswerWithin), make(chan struct{}), make(chan struct{})
	if f.key != "" {
		s.twins[key] = f
	}
	s.under.Add(1)
	s.mu.Unlock()

	go func() {
		defer s.under.Done()
		err := s.redeemSafely(f)
		f.mu.Lock()
		f.err = err
		seq := uint64(0)
		if f.attempt != nil {
			seq = f.attempt.Seq
		}
		f.mu.Unlock()

		s.mu.Lock()
		if f.key != "" {
			delete(s.twins, key)
		}
		if s.flights[seq] == f {
			delete(s.flights, seq)
		}
		s.mu.Unlock()
		close(f.done)
	}()
	return f.answer(ctx, false)
}

var errKeyOfAnother = &BadInput{Field: "nonce", Message: "this key of idempotency was used for another action: take a new one for each press"}

// redeemSafely keeps a fault of one redemption from ending the process: nobody
// else recovers in its goroutine. What was reserved stays spent.
func (s *Service) redeemSafely(f *flight) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a redemption ended in a panic: %v", p)
			s.fault("a redemption of link "+f.token+" ended in a panic", fmt.Errorf("%v\n%s", p, debug.Stack()))
		}
	}()
	return s.redeem(f)
}

// redeem takes a flight through reserve, ask and settle.
func (s *Service) redeem(f *flight) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), GiveUpAfter)
	defer cancel()

	// An action that is edited in between is looked at again: what is asked
	// is what was found ready. A host who edits without end is not waited for.
	for range 3 {
		var a *Action
		done, err := false, error(nil)
		err = s.store.View(func(tx Tx) error {
			done, err = s.earlier(tx, f)
			if done || err != nil {
				return err
			}
			if _, err := s.admit(tx, f); err != nil {
				return err
			}
			if a, err = tx.Action(f.action); err != nil {
				return err
			}
			return s.unchanged(f, a)
		})
		if done || err != nil {
			return s.refused(f, err)
		}
		def, err := s.definitions.of(a)
		if err != nil {
			return err
		}
		home, release, err := s.homes.Acquire(a.Home)
		if err != nil {
			return s.notSent(f, a, &NotReady{Cause: CauseUnreachable, Code: "no_home", Message: err.Error()})
		}
		again, err := s.ask(ctx, f, a, def, home)
		release()
		if !again {
			return s.refused(f, err)
		}
	}
	return &BadInput{Field: "action", Message: "the action is being changed right now"}
}

// ask reserves a use, asks the home and settles what it says. again says that
// the action was changed in between, and nothing happened.
func (s *Service) ask(ctx context.Context, f *flight, a *Action, def *Definition, home Home) (again bool, err error) {
	soon, cancel := context.WithTimeout(ctx, readyWithin)
	not := home.Ready(soon, def)
	cancel()
	if not != nil {
		return false, s.notSent(f, a, not)
	}
	attempt, err := s.reserve(f, a)
	if errors.Is(err, errChanged) {
		return true, nil
	}
	if err != nil || attempt == nil {
		return false, err
	}
	f.reserved(*attempt)
	s.mu.Lock()
	s.flights[attempt.Seq] = f
	s.mu.Unlock()

	answer := run(ctx, home, def)
	settled, err := s.settle(attempt, a, answer)
	if err != nil {
		// It happened, but could not be written down yet: until it is, the
		// use stays spent and this answer is the truth.
		s.fault("the outcome of an attempt of link "+attempt.Token+" could not be written down; trying again", err)
		s.under.Add(1)
		go s.settleLater(*attempt, a, answer)
		copied := *attempt
		copied.settle(answer, nil, s.now())
		settled = &copied
	}
	f.reserved(*settled)
	return false, nil
}

// run asks the home. A panic there leaves the use spent and nobody hanging.
func run(ctx context.Context, home Home, def *Definition) (answer Answer) {
	defer func() {
		if p := recover(); p != nil {
			answer = Answer{Outcome: OutcomeUnknown, Cause: CauseLost, Code: "panic", Message: fmt.Sprint(p)}
		}
	}()
	return home.Run(ctx, def)
}

var errChanged = errors.New("the action was changed in between")

// earlier looks for the attempt that the flight's key belongs to.
func (s *Service) earlier(tx Tx, f *flight) (found bool, err error) {
	if f.key == "" {
		return false, nil
	}
	seq, err := tx.Key(f.token, f.key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	a, err := tx.Attempt(seq)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if a.Action != f.action {
		return false, errKeyOfAnother
	}
	if a.Outcome == OutcomePending {
		running := a.running()
		a = &running
	}
	f.mu.Lock()
	f.attempt, f.replay = a, true
	f.mu.Unlock()
	return true, nil
}

// admit returns the token if its action may be run now. For a host's try there
// is no token.
func (s *Service) admit(tx Tx, f *flight) (*Token, error) {
	if f.token == "" {
		return nil, nil
	}
	t, paused, err := standing(tx, f.token)
	if err != nil {
		return nil, err
	}
	if status := t.Status(s.now(), paused); status != StatusReady {
		return nil, &Refused{Status: status, Token: t, Action: f.action}
	}
	if !t.Has(f.action) {
		return nil, &BadInput{Field: "action", Message: "this link has no such action any more"}
	}
	if left := t.Left(f.action); left != nil && *left == 0 {
		return nil, &Refused{Status: StatusUsedUp, Token: t, Action: f.action}
	}
	return t, nil
}

// unchanged returns *Changed where the action is not what was looked at.
func (s *Service) unchanged(f *flight, a *Action) error {
	if f.seen == "" || f.seen == s.seen(a) {
		return nil
	}
	return &Changed{Action: f.action}
}

// seen marks all of an action that matters to whoever is about to press: what
// the button says, in any language, how deliberately it is pressed, and what it
// does. An icon or what is said afterwards are news to nobody.
func (s *Service) seen(a *Action) string {
	parts := []string{a.Name, a.Title, a.Home, a.Definition, string(a.Confirm)}
	for _, tag := range a.Languages() {
		parts = append(parts, tag, a.Translations[tag].Title)
	}
	return s.signer.Load().mark(parts...)
}

// reserve writes a use down as spent, in the transaction that finds that it may
// be. It returns nil where the key turns out to belong to an earlier attempt.
func (s *Service) reserve(f *flight, a *Action) (*Attempt, error) {
	s.restoring.RLock()
	defer s.restoring.RUnlock()
	var attempt *Attempt
	err := s.store.Update(func(tx Tx) error {
		attempt = nil
		if found, err := s.earlier(tx, f); found || err != nil {
			return err
		}
		t, err := s.admit(tx, f)
		if err != nil {
			return err
		}
		now, err := tx.Action(f.action)
		if err != nil {
			return err
		}
		if now.Revision != a.Revision || now.Definition != a.Definition || now.Home != a.Home {
			return errChanged
		}
		if err := s.unchanged(f, now); err != nil {
			return err
		}
		next := s.newAttempt(f)
		next.Spent = t != nil
		if t != nil {
			use := t.Uses[f.action]
			next.Epoch = use.Epoch
			use.Used++
			use.Last, use.LastAt = OutcomePending, &next.At
			t.setUse(f.action, use)
			next.UsesLeft, next.Failures = t.Left(f.action), use.Failures
		}
		if err := tx.AppendAttempt(next); err != nil {
			return err
		}
		if f.key != "" {
			if err := tx.PutKey(f.token, f.key, next.Seq); err != nil {
				return err
			}
		}
		attempt = next
		if t == nil {
			return nil
		}
		return tx.PutToken(t)
	})
	if err != nil {
		return nil, err
	}
	return attempt, nil
}

func (s *Service) newAttempt(f *flight) *Attempt {
	return &Attempt{
		Token: f.token, Action: f.action, Key: f.key,
		At: s.now().UTC(), Client: f.client, By: f.by,
	}
}

// notSent writes down that the home was not asked. Whoever presses again and
// again while it is away fills no disk: for a minute the first such attempt
// answers for all.
func (s *Service) notSent(f *flight, a *Action, not *NotReady) error {
	attempt := s.newAttempt(f)
	attempt.Key = "" // nothing was spent: the key stays free
	attempt.Outcome, attempt.Cause = OutcomeNotSent, not.Cause
	attempt.Code, attempt.Message = not.Code, not.Message
	attempt.Retry = true
	attempt.SettledAt = &attempt.At
	what := "not_sent " + f.token + " " + f.action + " " + string(not.Cause)
	if seq, ok := s.recall(what); ok {
		attempt.Seq = seq
		if err := s.leftNow(attempt); err != nil {
			return err
		}
		f.reserved(*attempt)
		return nil
	}
	err := s.store.Update(func(tx Tx) error {
		e := s.entry(HappenedRedemption, a, attempt)
		if f.token == "" {
			e.What = HappenedActionTried
		} else {
			t, err := tx.Token(f.token)
			if err != nil {
				return err
			}
			use := t.Uses[f.action]
			use.Last, use.LastAt = OutcomeNotSent, &attempt.At
			t.setUse(f.action, use)
			attempt.UsesLeft, attempt.Failures = t.Left(f.action), use.Failures
			e.of(t)
			if err := tx.PutToken(t); err != nil {
				return err
			}
		}
		if err := tx.AppendAttempt(attempt); err != nil {
			return err
		}
		e.Attempt, e.UsesLeft, e.Failures = attempt.Seq, attempt.UsesLeft, attempt.Failures
		return tx.AppendEntry(e)
	})
	if err != nil {
		return err
	}
	s.remember(what, attempt.Seq)
	s.follower.grown()
	f.reserved(*attempt)
	return nil
}

// leftNow fills in how the attempt's token stands.
func (s *Service) leftNow(attempt *Attempt) error {
	if attempt.Token == "" {
		return nil
	}
	return s.store.View(func(tx Tx) error {
		t, err := tx.Token(attempt.Token)
		if err != nil {
			return err
		}
		attempt.UsesLeft, attempt.Failures = t.Left(attempt.Action), t.Uses[attempt.Action].Failures
		return nil
	})
}

// refused writes a refusal of a genuine link to the log, once a minute, and
// returns the error it was given.
func (s *Service) refused(f *flight, err error) error {
	var refused *Refused
	if !errors.As(err, &refused) {
		return err
	}
	what := "refused " + f.token + " " + f.action + " " + string(refused.Status)
	if _, ok := s.recall(what); ok {
		return err
	}
	s.remember(what, 0)
	logErr := s.store.Update(func(tx Tx) error {
		e := &Entry{
			At: s.now().UTC(), What: HappenedRefusal, Action: f.action,
			Status: refused.Status, Client: f.client, By: f.by,
		}
		if a, err := tx.Action(f.action); err == nil {
			e.Title, e.Home = a.Title, a.Home
		}
		e.of(refused.Token)
		e.UsesLeft = refused.Token.Left(f.action)
		return tx.AppendEntry(e)
	})
	if logErr != nil {
		s.fault("a refusal could not be written to the log", logErr)
	}
	s.follower.grown()
	return err
}

// setUse replaces what has become of an action.
func (t *Token) setUse(action string, use ActionUse) {
	if t.Uses == nil {
		t.Uses = make(map[string]ActionUse)
	}
	t.Uses[action] = use
}

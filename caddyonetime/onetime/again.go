package onetime

import (
	"context"
	"crypto/hmac"
	"errors"
	"strconv"
	"strings"
	"time"
)

// An answer to the message about a press lets its guest try again. Its code has
// the form of againPrefix, the token's id, the attempt's number, and an HMAC of
// both: whoever was not sent it cannot make it up. It is worth one use, once, and
// nothing any more when a host has set the uses anew in another way.
const (
	againPrefix = "caddy_hass_again_"
	againLabel  = "caddy-hass again 1\x00"
	againMAC    = 24 // characters of 5 bits

	// AgainWithin is how long such an answer is taken.
	AgainWithin = 24 * time.Hour
)

// ErrTooLate: what was offered is not to be had any more.
var ErrTooLate = errors.New("it is too late for that, or it was done already")

// AgainCode is what an answer to the message about a press brings for LetTryAgain.
// It is empty where there is nothing to give back.
func (s *Service) AgainCode(e Entry) string {
	if e.What != HappenedRedemption || e.Token == "" || e.Attempt == 0 || !e.Spent || e.UsesMax == nil ||
		e.Outcome != OutcomeFailed && e.Outcome != OutcomeUnknown {
		return ""
	}
	return s.signer.Load().againCode(e.Token, e.Attempt)
}

func (s *Signer) againCode(id string, attempt uint64) string {
	what := id + "_" + strconv.FormatUint(attempt, 10)
	sum := s.mac(againLabel, what)
	return againPrefix + what + "_" + encode(sum[:], againMAC)
}

// IsAgainCode reports whether a text is meant as a code for LetTryAgain.
func IsAgainCode(code string) bool { return strings.HasPrefix(code, againPrefix) }

// LetTryAgain gives back the use that a press has spent, and forgets its failures:
// what a host does who answers the message about it. Errors: ErrNotFound for a
// code that is not genuine, ErrTooLate, *Refused for a link that has ended or
// waits for the host otherwise, *BadInput where its action is gone.
func (s *Service) LetTryAgain(ctx context.Context, by Person, code string) (*View, error) {
	what, ok := strings.CutPrefix(code, againPrefix)
	id, number, more := strings.Cut(what, "_")
	number, _, _ = strings.Cut(number, "_")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !ok || !more || err != nil || len(id) != idLength || !hmac.Equal([]byte(s.signer.Load().againCode(id, seq)), []byte(code)) {
		return nil, ErrNotFound
	}
	return s.change(ctx, id, func(tx Tx, t *Token) error {
		a, err := tx.Attempt(seq)
		switch {
		case errors.Is(err, ErrNotFound):
			return ErrTooLate
		case err != nil:
			return err
		}
		now, use := s.now(), t.Uses[a.Action]
		if a.Token != id || !a.Spent || use.Epoch != a.Epoch || t.UsesMax == nil || now.Sub(a.At) > AgainWithin {
			return ErrTooLate
		}
		switch status := t.Status(now, false); status {
		case StatusRevoked, StatusExpired, StatusPaused:
			return &Refused{Status: status, Token: t, Action: a.Action}
		}
		if err := t.checkActions(tx); err != nil {
			return err
		}
		use.Used, use.Failures = max(0, use.Used-1), 0
		use.Epoch++
		t.setUse(a.Action, use)
		t.Revision++
		return s.tokenEntry(tx, HappenedReplenished, by, t)
	})
}

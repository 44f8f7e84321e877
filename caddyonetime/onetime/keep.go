package onetime

import (
	"context"
	"crypto/sha256"
	"io"
	"time"
)

// pruneBatch bounds how long pruning keeps others from writing.
const pruneBatch = 500

// Prune forgets what ended more than retention ago: entries of the log, settled
// attempts and dead tokens. Ids are never forgotten.
func (s *Service) Prune(ctx context.Context, retention time.Duration) error {
	before := s.now().Add(-retention)
	for n := pruneBatch; n >= pruneBatch; {
		if err := s.usable(ctx); err != nil {
			return err
		}
		err := s.store.Update(func(tx Tx) (err error) {
			n, err = tx.Prune(before, pruneBatch)
			return err
		})
		if err != nil {
			return err
		}
	}

	var dead []string
	err := s.store.View(func(tx Tx) error {
		return tx.Tokens("", func(t *Token) bool {
			if t.endedBefore(before) {
				dead = append(dead, t.ID)
			}
			return ctx.Err() == nil
		})
	})
	if err != nil {
		return err
	}
	for len(dead) > 0 {
		if err := s.usable(ctx); err != nil {
			return err
		}
		batch := dead[:min(len(dead), pruneBatch)]
		dead = dead[len(batch):]
		err := s.store.Update(func(tx Tx) error {
			for _, id := range batch {
				t, err := tx.Token(id)
				if err != nil || !t.endedBefore(before) { // a host let it in again
					continue
				}
				if err := tx.DeleteToken(id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// endedBefore reports whether the token was dead already at that time.
func (t *Token) endedBefore(at time.Time) bool {
	if t.CreatedAt.After(at) || t.Foreign != nil && t.Foreign.At.After(at) {
		return false
	}
	if t.RevokedAt != nil {
		return t.RevokedAt.Before(at)
	}
	if t.Expires != nil && t.Expires.Before(at) {
		return true
	}
	if !t.UsedUp() {
		return false
	}
	for _, use := range t.Uses {
		if use.LastAt != nil && use.LastAt.After(at) {
			return false
		}
	}
	return true
}

// Backup writes a consistent copy of the store. It holds no link key.
func (s *Service) Backup(ctx context.Context, w io.Writer) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	_, err := s.store.Backup(w)
	return err
}

// Restore replaces everything by a copy that Backup has written; signer is the
// one of that copy. Uses that were spent since then would be back, so links
// with a limit wait until the host replenishes them. A redemption under way
// runs to its end; its outcome goes to the log.
func (s *Service) Restore(ctx context.Context, by Person, r io.Reader, signer *Signer) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.restoring.Lock()
	defer s.restoring.Unlock()
	var last uint64
	var foreign map[[sha256.Size]byte]string
	err := s.store.Restore(ctx, r, func(tx Tx) error {
		now := s.now()
		var limited []*Token
		err := tx.Tokens("", func(t *Token) bool {
			// Also those that are switched off or over: a host may take that back.
			if t.UsesMax != nil && !t.UsedUp() {
				limited = append(limited, t)
			}
			return true
		})
		if err != nil {
			return err
		}
		for _, t := range limited {
			t.Held = true
			t.Revision++
			if err := tx.PutToken(t); err != nil {
				return err
			}
		}
		if foreign, err = readForeign(tx); err != nil {
			return err
		}
		if last, err = tx.LastEntry(); err != nil {
			return err
		}
		if err := s.recoverIn(tx); err != nil {
			return err
		}
		return tx.AppendEntry(&Entry{At: now.UTC(), What: HappenedBackupLoaded, By: by})
	})
	if err != nil {
		return err
	}
	s.signer.Store(signer)
	s.foreign.replace(foreign)
	s.follower.jump(last)
	return nil
}

// StoreID names the store for good; its link key is kept under this name.
func (s *Service) StoreID() string { return s.store.ID() }

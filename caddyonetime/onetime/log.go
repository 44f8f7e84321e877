package onetime

import "context"

// LogQuery selects entries of the log, newest first.
type LogQuery struct {
	Before uint64 // entries older than the one with this Seq; 0: from the newest
	Limit  int    // at most; 0 is 100
	Token  string // only of this token
	By     string // only of tokens made by this person, and what they did
}

// Concerns reports whether the entry is about a token that the person made, or
// about something the person did.
func (e *Entry) Concerns(person string) bool { return e.Maker.ID == person || e.By.ID == person }

// Log lists the log. next is the Before of the next page, 0 at the end.
func (s *Service) Log(ctx context.Context, q LogQuery) (entries []Entry, next uint64, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, 0, err
	}
	if q.Limit <= 0 {
		q.Limit = pageLimit
	}
	collect := func(e *Entry) bool {
		if q.By == "" || e.Concerns(q.By) {
			e.Client = s.client(e.Client)
			entries = append(entries, *e)
		}
		return len(entries) <= q.Limit && ctx.Err() == nil
	}
	err = s.store.View(func(tx Tx) error {
		if q.Token != "" {
			return tx.EntriesOf(q.Token, q.Before, collect)
		}
		return tx.Entries(q.Before, collect)
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, 0, err
	}
	if len(entries) > q.Limit {
		entries = entries[:q.Limit]
		next = entries[q.Limit-1].Seq
	}
	return entries, next, nil
}

// EntriesAfter returns up to limit entries with a Seq above after, oldest first.
func (s *Service) EntriesAfter(ctx context.Context, after uint64, limit int) (entries []Entry, err error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	err = s.store.View(func(tx Tx) error {
		return tx.EntriesAfter(after, func(e *Entry) bool {
			e.Client = s.client(e.Client)
			entries = append(entries, *e)
			return len(entries) < limit
		})
	})
	return entries, err
}

// LastEntry is the Seq of the newest entry of the log, 0 where there is none.
func (s *Service) LastEntry(ctx context.Context) (seq uint64, err error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	err = s.store.View(func(tx Tx) (err error) {
		seq, err = tx.LastEntry()
		return err
	})
	return seq, err
}

// Paused reports whether all links are paused.
func (s *Service) Paused(ctx context.Context) (paused bool, err error) {
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	err = s.store.View(func(tx Tx) (err error) {
		paused, err = tx.Paused()
		return err
	})
	return paused, err
}

// SetPaused switches all links off, or lets them in again.
func (s *Service) SetPaused(ctx context.Context, by Person, paused bool) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	err := s.store.Update(func(tx Tx) error {
		was, err := tx.Paused()
		if err != nil || was == paused {
			return err
		}
		what := HappenedResumed
		if paused {
			what = HappenedPaused
		}
		if err := tx.SetPaused(paused); err != nil {
			return err
		}
		return tx.AppendEntry(&Entry{At: s.now().UTC(), What: what, By: by})
	})
	if err == nil {
		s.follower.grown()
	}
	return err
}

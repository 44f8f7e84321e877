package onetime

import (
	"context"
	"io"
	"time"
)

// Store keeps actions, tokens, the journal and the log.
type Store interface {
	// View runs fn on a consistent snapshot.
	View(fn func(Tx) error) error

	// Update runs fn and returns when all it wrote is on disk. Updates that
	// come together share one write to disk; fn sees what those before it
	// wrote. It may be run more than once, and when it returns an error none
	// of its writes stay. An error that is not fn's own is a *StoreError.
	Update(fn func(Tx) error) error

	// ID names this store for good; it is part of every backup.
	ID() string

	// Backup writes a consistent copy of the store.
	Backup(w io.Writer) (int64, error)

	// Restore replaces everything in the store, its ID included, by a copy
	// that Backup has written, and runs then, all in one step. A copy that is
	// not whole or of a newer format is refused and changes nothing.
	Restore(ctx context.Context, r io.Reader, then func(Tx) error) error

	// Close waits for updates under way. The store is of no use afterwards.
	Close() error
}

// Tx is a transaction on a Store. What it returns is the caller's own to change.
// Get methods return ErrNotFound for what is not there.
type Tx interface {
	Action(name string) (*Action, error)
	Actions() ([]*Action, error) // by name
	PutAction(*Action) error
	DeleteAction(name string) error

	Token(id string) (*Token, error)
	PutToken(*Token) error
	// DeleteToken forgets a token and its keys, but never its id.
	DeleteToken(id string) error
	// IDTaken reports whether the id was ever given to a token.
	IDTaken(id string) (bool, error)
	// Tokens calls fn for each token, newest first, starting after the token
	// with the id after ("" is the newest), until fn returns false.
	Tokens(after string, fn func(*Token) bool) error
	// Listed is Tokens with as much of each as lists choose by. What fn is
	// given is good until it returns.
	Listed(after string, fn func(*Listed) bool) error
	// TokensOf calls fn for each token that may run the action.
	TokensOf(action string, fn func(*Token) bool) error
	CountTokens() (int, error)

	// Foreign is the id of the token whose Foreign has this hash.
	Foreign(hash []byte) (id string, err error)
	// ForeignTokens calls fn for each token with a Foreign, until fn returns
	// false.
	ForeignTokens(fn func(*Token) bool) error

	Credential(id string) (*Credential, error)
	Credentials() ([]*Credential, error) // by id
	PutCredential(*Credential) error

	Attempt(seq uint64) (*Attempt, error)
	// AppendAttempt sets Seq and stores the attempt; PutAttempt replaces it.
	AppendAttempt(*Attempt) error
	PutAttempt(*Attempt) error
	// Pending calls fn for each attempt that is not settled, oldest first.
	Pending(fn func(*Attempt) bool) error

	// Key is the attempt that belongs to a token's key of idempotency.
	Key(token, key string) (seq uint64, err error)
	PutKey(token, key string, seq uint64) error
	DeleteKey(token, key string) error

	// AppendEntry sets Seq and stores the entry.
	AppendEntry(*Entry) error
	// Entries calls fn for each entry with a Seq below before (0: all),
	// newest first, until fn returns false.
	Entries(before uint64, fn func(*Entry) bool) error
	// EntriesOf is Entries of one token.
	EntriesOf(token string, before uint64, fn func(*Entry) bool) error
	// LastEntry is the Seq of the newest entry, 0 where there is none.
	LastEntry() (uint64, error)
	// EntriesAfter calls fn for each entry with a Seq above after, oldest first.
	EntriesAfter(after uint64, fn func(*Entry) bool) error
	// Prune deletes entries and settled attempts older than t, at most n of
	// each, and reports how many it deleted.
	Prune(t time.Time, n int) (int, error)

	Paused() (bool, error)
	SetPaused(bool) error
}

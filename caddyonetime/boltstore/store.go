// Package boltstore keeps actions, tokens, the journal and the log of
// [github.com/caddy-hass/caddy-hass/caddyonetime/onetime] in a bbolt database.
//
// Updates that come together share one transaction, and so one fsync: a home
// whose guests press one at a time pays one each, and 64 at once pay little
// more than one together.
package boltstore

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Format is the version of what this package writes. A store of a newer format
// is refused; an older one is brought up to date when it is opened.
const Format = 2

// LockTimeout is how long Open waits for another process to let go of a store.
const LockTimeout = 5 * time.Second

// Store is an onetime.Store in one file. It is safe for concurrent use.
type Store struct {
	path string
	db   *bolt.DB

	idMu sync.RWMutex
	id   string

	// fault is a test's way to a disk that fails.
	fault func(step string) error

	mu     sync.RWMutex // held for reading while a call is handed over
	closed bool
	calls  chan *call
	done   chan struct{}
}

// call is one Update waiting for its transaction.
type call struct {
	fn    func(onetime.Tx) error
	dirty bool
	err   error
	done  chan error
}

// Open opens the store at path, and makes it, 0600, where there is none. When
// another process holds it for longer than LockTimeout, the error names both.
func Open(path string) (*Store, error) { return open(path, LockTimeout) }

func open(path string, timeout time.Duration) (s *Store, err error) {
	defer func() { err = recovered(recover(), "open", err) }()
	debug.SetPanicOnFault(true)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, cannotOpen(path, err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:      timeout,
		FreelistType: bolt.FreelistMapType,
	})
	if err != nil {
		return nil, cannotOpen(path, err)
	}
	s = &Store{
		path:  path,
		db:    db,
		calls: make(chan *call, batchSize),
		done:  make(chan struct{}),
	}
	if err := db.Update(s.prepare); err != nil {
		db.Close()
		return nil, cannotOpen(path, err)
	}
	go s.write()
	return s, nil
}

// cannotOpen says what is wrong with the file at path and what to do about it.
func cannotOpen(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		who := "another process"
		if pid := holder(path); pid > 0 {
			who = fmt.Sprintf("another process (pid %d)", pid)
		}
		err = fmt.Errorf("%s holds the store %s: stop it, or give each its own store", who, path)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("the store %s cannot be opened by uid %d%s: %w", path, os.Getuid(), owner(path), err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		err = fmt.Errorf("the store %s is damaged or is no store (%w): restore a backup, or move it away to begin anew", path, err)
	default:
		err = fmt.Errorf("the store %s cannot be opened: %w", path, err)
	}
	return &onetime.StoreError{Op: "open", Err: err}
}

// prepare makes the buckets of a new store and checks the format of an old one.
func (s *Store) prepare(btx *bolt.Tx) error {
	if err := whole(btx); err != nil {
		return err
	}
	meta := btx.Bucket(bucketMeta)
	if meta != nil {
		id, err := checkMeta(meta)
		if err != nil {
			return err
		}
		s.id = id
	}
	for _, name := range buckets {
		if _, err := btx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	if meta != nil {
		return upgrade(btx)
	}
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	s.id = hex.EncodeToString(random[:])
	meta = btx.Bucket(bucketMeta)
	if err := meta.Put(metaFormat, number(Format)); err != nil {
		return err
	}
	return meta.Put(metaID, []byte(s.id))
}

func checkMeta(meta *bolt.Bucket) (id string, err error) {
	format, ok := parseNumber(meta.Get(metaFormat))
	id = string(meta.Get(metaID))
	switch {
	case !ok || id == "":
		return "", errors.New("it has no format and id: it is damaged or not ours")
	case format > Format:
		return "", fmt.Errorf("it has format %d and this version knows up to %d: use the version that wrote it, or a newer one", format, Format)
	}
	return id, nil
}

// Path is where the store is.
func (s *Store) Path() string { return s.path }

// ID names this store for good.
func (s *Store) ID() string {
	s.idMu.RLock()
	defer s.idMu.RUnlock()
	return s.id
}

// View runs fn on a consistent snapshot.
func (s *Store) View(fn func(onetime.Tx) error) (err error) {
	defer func() { err = recovered(recover(), "read", err) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	btx, err := s.db.Begin(false)
	if err != nil {
		return failed("read", err)
	}
	defer func() { _ = btx.Rollback() }()
	return fn(&tx{b: btx})
}

// Update runs fn and returns when all it wrote is on disk.
func (s *Store) Update(fn func(onetime.Tx) error) error {
	c := &call{fn: fn, done: make(chan error, 1)}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return failed("write", berrors.ErrDatabaseNotOpen)
	}
	s.calls <- c
	s.mu.RUnlock()
	return <-c.done
}

// batchSize bounds how many updates share a transaction.
const batchSize = 256

// write runs all updates, one batch after the other, until the store closes.
func (s *Store) write() {
	defer close(s.done)
	debug.SetPanicOnFault(true)
	for c := range s.calls {
		batch := []*call{c}
	collect:
		for len(batch) < batchSize {
			select {
			case c, ok := <-s.calls:
				if !ok {
					break collect
				}
				batch = append(batch, c)
			default:
				break collect
			}
		}
		s.commit(batch)
	}
}

// commit runs a batch in one transaction. An update that fails after it has
// written is taken out, and the others run again without it.
func (s *Store) commit(batch []*call) {
	for len(batch) > 0 {
		culprit, err := s.try(batch)
		if culprit < 0 {
			for _, c := range batch {
				if err != nil {
					c.done <- err
				} else {
					c.done <- c.err
				}
			}
			return
		}
		batch[culprit].done <- batch[culprit].err
		batch = append(batch[:culprit:culprit], batch[culprit+1:]...)
	}
}

// try runs a batch in one transaction. culprit is the update that has to be
// taken out first, or -1; err is why nothing of the batch could be written.
func (s *Store) try(batch []*call) (culprit int, err error) {
	defer func() { err = recovered(recover(), "write", err) }()
	culprit = -1
	if s.fault != nil {
		if err := s.fault("begin"); err != nil {
			return -1, failed("write", err)
		}
	}
	btx, err := s.db.Begin(true)
	if err != nil {
		return -1, failed("write", err)
	}
	defer func() { _ = btx.Rollback() }()
	dirty := false
	for i, c := range batch {
		c.dirty, c.err = false, nil
		c.run(btx)
		if c.err != nil && c.dirty {
			return i, nil
		}
		dirty = dirty || c.dirty
	}
	if !dirty {
		return -1, nil // nothing to put on disk
	}
	if s.fault != nil {
		if err := s.fault("commit"); err != nil {
			return -1, failed("write", err)
		}
	}
	return -1, failed("write", btx.Commit())
}

func (c *call) run(btx *bolt.Tx) {
	t := &tx{b: btx}
	defer func() {
		c.dirty = t.dirty
		if p := recover(); p != nil {
			c.err, c.dirty = recovered(p, "write", nil), true
		}
	}()
	c.err = c.fn(t)
}

// Backup writes a consistent copy of the store.
func (s *Store) Backup(w io.Writer) (n int64, err error) {
	defer func() { err = recovered(recover(), "backup", err) }()
	err = s.db.View(func(btx *bolt.Tx) error {
		n, err = btx.WriteTo(w)
		return err
	})
	return n, failed("backup", err)
}

// Close waits for updates under way.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.calls)
	s.mu.Unlock()
	<-s.done
	return failed("close", s.db.Close())
}

func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &onetime.StoreError{Op: op, Err: err}
}

// recovered makes an error of a panic: bbolt panics on a damaged file, and
// reading past the end of a truncated one faults.
func recovered(p any, op string, err error) error {
	if p == nil {
		return err
	}
	return failed(op, fmt.Errorf("the store is damaged: %v", p))
}

var _ onetime.Store = (*Store)(nil)

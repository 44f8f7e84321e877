package caddyjwt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

const (
	// keyFilePoll is how often the file is looked at while no token asks for it.
	// A token of a new key does not wait for that (see Refresh); it decides
	// only how soon an old key counts as old. It costs one stat.
	keyFilePoll = 250 * time.Millisecond

	// keyFileSettled is how long ago a file must have been written before its
	// size and time are trusted to tell that it is unchanged: clocks of file
	// systems are coarse.
	keyFileSettled = 2 * time.Second

	// keyFileGone is how long the keys of a file that has vanished go on
	// counting for new tokens: it may be on its way back, or its disk.
	keyFileGone = 5 * time.Minute

	// keyRetired is how long a key that is no longer in the file is remembered,
	// and maxRetired how many of them. The cookies of jwt_cookie live 30 minutes.
	keyRetired = 24 * time.Hour
	maxRetired = 8

	// maxKeyFile is the size in bytes above which a file is not read.
	maxKeyFile = 64 << 10
)

// keyFiles holds one keyFile per path, shared by all handlers and over reloads.
var keyFiles = caddy.NewUsagePool()

// keyFile is the KeySource of a PEM file that others may rewrite at any time.
//
// It is polled rather than watched: that works in containers, over network file
// systems and through symlinks alike, and holds nothing open. A token that no
// known key has signed makes it look at once, so that a new key has no gap.
type keyFile struct {
	path string
	now  func() time.Time
	keys atomic.Pointer[KeySet]

	mu      sync.Mutex  // held while looking at the file; guards what follows
	seen    fs.FileInfo // of the content read last; nil: never read, or gone
	settled bool        // seen tells reliably whether the file is unchanged
	gone    bool        // the file has vanished after it was there
	err     error       // what is wrong with the present content, if anything

	stop, stopped chan struct{}
}

// acquireKeyFile returns the source for an absolute path and begins to watch it
// where nobody did before. A file that is absent or half-written is no error:
// it opens the door once it is whole. release must be called once.
func acquireKeyFile(path string) (source *keyFile, release func() error, err error) {
	value, _, err := keyFiles.LoadOrNew(path, func() (caddy.Destructor, error) {
		f := newKeyFile(path, time.Now)
		f.look()
		go f.poll()
		return f, nil
	})
	if err != nil {
		return nil, nil, err
	}
	release = func() error {
		_, err := keyFiles.Delete(path)
		return err
	}
	f := value.(*keyFile)
	if err := f.check(); err != nil {
		return nil, nil, errors.Join(err, release())
	}
	return f, release, nil
}

func newKeyFile(path string, now func() time.Time) *keyFile {
	f := &keyFile{path: path, now: now, stop: make(chan struct{}), stopped: make(chan struct{})}
	f.keys.Store(&KeySet{})
	return f
}

// Keys implements KeySource.
func (f *keyFile) Keys() *KeySet { return f.keys.Load() }

// Refresh implements KeySource. It costs one stat while the file is unchanged.
func (f *keyFile) Refresh() *KeySet {
	f.look()
	return f.keys.Load()
}

// check looks at the file and returns what is wrong with its content. Absent or
// unfinished content is not wrong.
func (f *keyFile) check() error {
	f.look()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil || errors.Is(f.err, errIncomplete) {
		return nil
	}
	return fmt.Errorf("key file %s: %w", f.path, f.err)
}

// Destruct implements caddy.Destructor: it ends the polling.
func (f *keyFile) Destruct() error {
	close(f.stop)
	<-f.stopped
	return nil
}

func (f *keyFile) poll() {
	defer close(f.stopped)
	ticker := time.NewTicker(keyFilePoll)
	defer ticker.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-ticker.C:
			f.look()
		}
	}
}

// look reads the file if it is not what it was, and publishes its keys if they
// are not what they were.
func (f *keyFile) look() {
	f.mu.Lock()
	defer f.mu.Unlock()

	now := f.now()
	f.forget(now)

	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		f.vanished(now)
		return
	case err != nil:
		f.complain(err)
		return
	case f.settled && sameFile(f.seen, info):
		return
	}

	text, err := readKeyFile(f.path, info)
	f.seen, f.settled = info, now.Sub(info.ModTime()) > keyFileSettled
	if err != nil {
		f.seen = nil // a file that cannot be read now may be readable without having changed
		f.complain(err)
		return
	}
	keys, err := parsePEM(text)
	if err != nil {
		f.complain(err)
		return
	}
	f.err, f.gone = nil, false
	f.publish(keys, now)
}

// publish makes keys the present ones; those they replace are retired as of now.
func (f *keyFile) publish(present []key, now time.Time) {
	old := f.keys.Load().keys
	next := slices.Clone(present)
	for _, k := range old {
		if slices.ContainsFunc(present, k.equal) {
			continue
		}
		if k.retired.IsZero() || k.retired.After(now) {
			k.retired = now
		}
		next = append(next, k)
	}
	if extra := len(next) - len(present) - maxRetired; extra > 0 {
		next = next[:len(next)-extra] // the longest retired are last
	}
	if slices.EqualFunc(old, next, func(a, b key) bool { return a.equal(b) && a.retired.Equal(b.retired) }) {
		return
	}
	f.keys.Store(&KeySet{keys: next})
	f.log().Info("took over the keys of the file",
		zap.Int("keys", len(present)), zap.Int("retired", len(next)-len(present)))
}

// vanished lets the keys of a file that is gone go on for a while.
func (f *keyFile) vanished(now time.Time) {
	f.err = nil
	old := f.keys.Load().keys
	if f.gone || f.seen == nil && len(old) == 0 {
		return
	}
	f.gone, f.seen, f.settled = true, nil, false
	if len(old) == 0 {
		return
	}
	next := slices.Clone(old)
	for i := range next {
		if next[i].retired.IsZero() {
			next[i].retired = now.Add(keyFileGone)
		}
	}
	f.keys.Store(&KeySet{keys: next})
	f.log().Warn("the key file is gone; its keys go on counting for a while",
		zap.Duration("for_new_tokens", keyFileGone))
}

// forget drops keys that have been retired for long.
func (f *keyFile) forget(now time.Time) {
	old := f.keys.Load().keys
	stale := func(k key) bool { return !k.retired.IsZero() && now.Sub(k.retired) > keyRetired }
	if !slices.ContainsFunc(old, stale) {
		return
	}
	f.keys.Store(&KeySet{keys: slices.DeleteFunc(slices.Clone(old), stale)})
}

// complain logs what is wrong with the file, once; the keys stay what they are.
func (f *keyFile) complain(err error) {
	before := f.err
	f.err = err
	if before != nil && before.Error() == err.Error() {
		return
	}
	if errors.Is(err, errIncomplete) {
		f.log().Debug("the key file is just being written", zap.Error(err))
		return
	}
	f.log().Error("cannot use the key file; the keys stay what they were", zap.Error(err))
}

// log returns the logger of the configuration of now: a keyFile outlives them.
func (f *keyFile) log() *zap.Logger {
	return caddy.Log().Named("http.handlers.hass_jwt").With(zap.String("key_file", f.path))
}

func sameFile(a, b fs.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func readKeyFile(path string, info fs.FileInfo) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file") // reading a pipe would wait for ever
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("it is larger than %d KiB", maxKeyFile>>10)
	}
	return text, nil
}

// Interface guards
var (
	_ KeySource        = (*keyFile)(nil)
	_ caddy.Destructor = (*keyFile)(nil)
)

package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func newStore(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "data", "onetime.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStoreIsPrivate(t *testing.T) {
	s := newStore(t)
	for path, want := range map[string]os.FileMode{s.Path(): 0o600, filepath.Dir(s.Path()): 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

// Threat 28: a store that somebody else holds, a damaged one, one of the future.
func TestThreat28_StoresThatCannotBeOpened(t *testing.T) {
	s := newStore(t)
	_, err := open(s.Path(), 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), s.Path()) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("held: got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	db, err := bolt.Open(s.Path(), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(metaFormat, number(Format+1)) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.Path()); err == nil || !strings.Contains(err.Error(), fmt.Sprint("format ", Format+1)) {
		t.Errorf("of the future: got %v", err)
	}

	dir := t.TempDir()
	whole, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"garbage":   bytes.Repeat([]byte("garbage "), 4096),
		"zeros":     make([]byte, 32<<10),
		"truncated": whole[:9000],
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := open(path, time.Second)
		var broken *onetime.StoreError
		if !errors.As(err, &broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestUpdatesShareACommit(t *testing.T) {
	s := newStore(t)
	commits := 0
	gate := make(chan struct{})
	s.fault = func(step string) error {
		if step == "commit" {
			commits++
		}
		return nil
	}
	var wg sync.WaitGroup
	wg.Add(1)
	running := make(chan struct{})
	go func() {
		defer wg.Done()
		_ = s.Update(func(tx onetime.Tx) error {
			close(running)
			<-gate
			return tx.SetPaused(true)
		})
	}()
	<-running
	for i := range 64 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := s.Update(func(tx onetime.Tx) error {
				if i%4 == 1 {
					return onetime.ErrConflict // refused before it has written: disturbs nobody
				}
				if err := tx.PutAction(&onetime.Action{Name: fmt.Sprintf("a%02d", i)}); err != nil {
					return err
				}
				if i%4 == 2 {
					return onetime.ErrForbidden // refused after: its write must go
				}
				return nil
			})
			want := map[int]error{1: onetime.ErrConflict, 2: onetime.ErrForbidden}[i%4]
			if !errors.Is(err, want) {
				t.Errorf("%d: got %v, want %v", i, err, want)
			}
		}()
	}
	// While the first is held up, the others gather.
	for len(s.calls) < 64 {
		time.Sleep(time.Millisecond)
	}
	close(gate)
	wg.Wait()
	if commits > 3 {
		t.Errorf("%d commits for 33 writes that came together", commits)
	}
	_ = s.View(func(tx onetime.Tx) error {
		actions, err := tx.Actions()
		if err != nil || len(actions) != 32 {
			t.Errorf("%d actions, %v, want 32", len(actions), err)
		}
		return nil
	})
}

func TestDiskThatFails(t *testing.T) {
	s := newStore(t)
	broken := errors.New("input/output error")
	s.fault = func(step string) error {
		if step == "commit" {
			return broken
		}
		return nil
	}
	err := s.Update(func(tx onetime.Tx) error { return tx.SetPaused(true) })
	var storeErr *onetime.StoreError
	if !errors.As(err, &storeErr) || !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	s.fault = nil
	_ = s.View(func(tx onetime.Tx) error {
		if paused, _ := tx.Paused(); paused {
			t.Error("what could not be written is there")
		}
		return nil
	})
	if err := s.Update(func(tx onetime.Tx) error { panic("oops") }); err == nil {
		t.Error("a panic was taken for success")
	}
	if err := s.Update(func(tx onetime.Tx) error { return tx.SetPaused(true) }); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

func TestReadingNothingWritesNothing(t *testing.T) {
	s := newStore(t)
	s.fault = func(step string) error {
		if step == "commit" {
			t.Error("an update that wrote nothing was committed")
		}
		return nil
	}
	if err := s.Update(func(tx onetime.Tx) error { _, err := tx.Paused(); return err }); err != nil {
		t.Fatal(err)
	}
}

func TestClosedStore(t *testing.T) {
	s := newStore(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	var broken *onetime.StoreError
	if err := s.Update(func(onetime.Tx) error { return nil }); !errors.As(err, &broken) {
		t.Errorf("got %v", err)
	}
	if err := s.View(func(onetime.Tx) error { return nil }); !errors.As(err, &broken) {
		t.Errorf("got %v", err)
	}
}

func TestRestoreKeepsIDAndOrder(t *testing.T) {
	from, to := newStore(t), newStore(t)
	err := from.Update(func(tx onetime.Tx) error {
		for i := range 5 {
			if err := tx.AppendEntry(&onetime.Entry{Token: "AAAAAA", Code: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return tx.PutToken(&onetime.Token{ID: "AAAAAA", Actions: []string{"x"}, CreatedAt: time.Unix(1, 0)})
	})
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if _, err := from.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	seen := false
	err = to.Restore(t.Context(), bytes.NewReader(backup.Bytes()), func(tx onetime.Tx) error {
		_, err := tx.Token("AAAAAA")
		seen = err == nil
		return tx.AppendEntry(&onetime.Entry{Code: "after"})
	})
	if err != nil || !seen || to.ID() != from.ID() {
		t.Fatalf("%v, seen %v, id %s, want %s", err, seen, to.ID(), from.ID())
	}
	_ = to.View(func(tx onetime.Tx) error {
		if last, _ := tx.LastEntry(); last != 6 {
			t.Errorf("last entry %d, want 6", last)
		}
		n := 0
		_ = tx.EntriesOf("AAAAAA", 0, func(*onetime.Entry) bool { n++; return true })
		if n != 5 {
			t.Errorf("%d entries of the token, want 5", n)
		}
		return nil
	})

	before := to.ID()
	for name, copied := range map[string][]byte{
		"truncated": backup.Bytes()[:backup.Len()/2],
		"scrambled": append(bytes.Clone(backup.Bytes()[:2*os.Getpagesize()]), bytes.Repeat([]byte{0xa5}, backup.Len()-2*os.Getpagesize())...),
		"nothing":   nil,
		"text":      []byte("hello"),
	} {
		if err := to.Restore(t.Context(), bytes.NewReader(copied), func(onetime.Tx) error { return nil }); err == nil {
			t.Errorf("%s was loaded", name)
		}
	}
	refused := errors.New("refused")
	if err := to.Restore(t.Context(), bytes.NewReader(backup.Bytes()), func(tx onetime.Tx) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	_ = to.View(func(tx onetime.Tx) error {
		if last, _ := tx.LastEntry(); last != 6 || to.ID() != before {
			t.Errorf("a refused restore changed something: last entry %d", last)
		}
		return nil
	})
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(to.Path()), ".restore-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

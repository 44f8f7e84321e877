package caddyjwt

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

// What the storage has is damaged, as after a disk has failed: that is said, nothing crashes, and the
// configuration that runs goes on.
func TestThreat28_DamagedStorageIsSaidSo(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	cookie, _ := h.login("owner", ownerPass)
	config, err := adapt(t, h.body)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, file := range []string{"ended.json", "keys.json"} {
		for _, damaged := range []string{"", "{", `{"keys":[]}x`} {
			r := h.realm()
			storage, name := r.storage.Current(), r.name(file)
			good, err := storage.Load(ctx, name)
			if err != nil {
				good = []byte("{}")
			}
			if err := storage.Store(ctx, name, []byte(damaged)); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Load(config, true); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s %q, reloaded: %v", file, damaged, err)
			}
			h.in(file+", after a reload that failed", cookie)
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Load(config, true); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s %q, started: %v", file, damaged, err)
			}
			if err := storage.Store(ctx, name, good); err != nil {
				t.Fatal(err)
			}
			h.load()
			h.in(file+", mended", cookie)
		}
	}

	// What others on the storage are told is written anew by who tells it.
	storage, name := h.realm().storage.Current(), h.realm().name("login.json")
	good, err := storage.Load(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Store(ctx, name, []byte("{")); err != nil {
		t.Fatal(err)
	}
	h.restart()
	if text, err := storage.Load(ctx, name); err != nil || string(text) != string(good) {
		t.Errorf("%s, %v; was %s", text, err, good)
	}
}

// failing is a storage that cannot be written, or read, for a while.
type failing struct {
	certmagic.Storage
	loads, stores atomic.Bool // they fail
}

func (f *failing) Load(ctx context.Context, key string) ([]byte, error) {
	if f.loads.Load() {
		return nil, errors.New("the storage does not answer")
	}
	return f.Storage.Load(ctx, key)
}

func (f *failing) Store(ctx context.Context, key string, value []byte) error {
	if f.stores.Load() {
		return errors.New("the storage is full")
	}
	return f.Storage.Store(ctx, key, value)
}

// A logout that cannot be written down counts here at once, and is written down as soon as that
// works again; what others have written meanwhile is not lost.
func TestLogoutIsWrittenDownOnceTheStorageWorksAgain(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	storage := &failing{Storage: &certmagic.FileStorage{Path: dir}}
	begin := func(s certmagic.Storage) *realm {
		r := &realm{home: "default", stop: make(chan struct{}), stopped: make(chan struct{}), log: log}
		r.keys.Store(new(KeySet))
		if _, err := r.start(s, log, true); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Destruct() })
		return r
	}
	end := func(id string) endings {
		return endings{Sessions: map[string]int64{id: now().Add(time.Hour).Unix()}}
	}
	written := func(ids ...string) bool {
		var e endings
		text, err := storage.Storage.Load(t.Context(), "hass_login/default/ended.json")
		return err == nil && json.Unmarshal(text, &e) == nil && !slices.ContainsFunc(ids, func(id string) bool { return !e.has(session{id: id}) })
	}
	r, other := begin(storage), begin(&certmagic.FileStorage{Path: dir})
	storage.stores.Store(true)
	if err := r.finish(t.Context(), end("a")); err == nil || !r.hasEnded(session{id: "a"}) || written("a") {
		t.Fatalf("a full storage: %v", err)
	}
	if err := other.finish(t.Context(), end("b")); err != nil {
		t.Fatal(err)
	}
	storage.stores.Store(false)
	until(t, "it is written down", func() bool { return written("a", "b") })

	storage.loads.Store(true)
	if err := r.finish(t.Context(), end("c")); err == nil || !written("a", "b") {
		t.Fatalf("a storage that cannot be read: %v", err)
	}
	storage.loads.Store(false)
	until(t, "the third is written down", func() bool { return written("a", "b", "c") })

	// The list is damaged while it is known here.
	if err := storage.Storage.Store(t.Context(), r.name("ended.json"), nil); err != nil {
		t.Fatal(err)
	}
	until(t, "the list is whole again", func() bool { return written("a", "b", "c") })
}

package caddyjwt

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
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

package caddyonetime

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// A request that comes before the app has started waits for it.
func TestRequestsWaitForTheStart(t *testing.T) {
	a := &App{started: make(chan struct{}), key: "test store"}
	want := &engine{key: a.key, refs: 1, ready: make(chan struct{}), closed: make(chan struct{})}
	close(want.ready)
	engines.mu.Lock()
	engines.open[want.key] = want
	engines.mu.Unlock()
	defer func() {
		engines.mu.Lock()
		delete(engines.open, want.key)
		engines.mu.Unlock()
	}()

	got := make(chan error, 1)
	go func() {
		e, release, err := a.hold(context.Background())
		if err == nil {
			release()
			if e != want {
				err = errors.New("another engine")
			}
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(a.started)
	if err := <-got; err != nil {
		t.Error(err)
	}
	if want.refs != 1 {
		t.Errorf("%d references are left", want.refs)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := (&App{started: make(chan struct{})}).hold(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestEnginesShareAFailure(t *testing.T) {
	p := enginePool{open: make(map[string]*engine)}
	opening, fail := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := p.hold("s", func(*engine) error { close(opening); <-fail; return errors.New("no") })
		first <- err
	}()
	<-opening
	second := make(chan error, 1)
	go func() {
		_, err := p.hold("s", func(*engine) error { return errors.New("opened twice") })
		second <- err
	}()
	eventually(t, "the second one waits", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.open["s"].refs == 2
	})
	close(fail)
	for _, c := range []chan error{first, second} {
		if err := <-c; err == nil || err.Error() != "no" {
			t.Errorf("got %v", err)
		}
	}
	// The next one tries again.
	if e, err := p.hold("s", func(*engine) error { return nil }); err != nil || !p.holdOn(e) {
		t.Error(err)
	}
	if p.holdOn(&engine{key: "s"}) {
		t.Error("another engine of that store is held")
	}
}

func keyFiles(t *testing.T, r *rig) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "storage", linkKeys, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The key is made once and used from then on.
func TestLinkKeyStays(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	r.run(r.caddyfile("", "", ""))
	if status, _ := r.request("GET", "/"+code); status != 200 {
		t.Errorf("after a restart: %d", status)
	}
	if lost, err := r.app().LinkKeyLost(t.Context()); lost || err != nil {
		t.Errorf("%v, %v", lost, err)
	}

	// Another storage: the key in use goes along.
	config := strings.Replace(r.caddyfile("", "", ""), "/storage", "/storage2", 1)
	if err := r.load(config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	r.run(config)
	if status, _ := r.request("GET", "/"+code); status != 200 {
		t.Errorf("with another storage: %d", status)
	}
}

// A store whose key is gone gets a new one, and says so.
func TestLinkKeyLost(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, f := range keyFiles(t, r) {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	r.run(r.caddyfile("", "", ""))
	if status, _ := r.request("GET", "/"+code); status != 404 {
		t.Errorf("the old link: %d", status)
	}
	if !strings.Contains(r.file("caddy.log"), "no link from before works any more") {
		t.Error("the log does not say so")
	}
	if lost, err := r.app().LinkKeyLost(t.Context()); !lost || err != nil {
		t.Errorf("%v, %v", lost, err)
	}
}

// A store that was emptied, or is not where it was, begins anew, and the log
// says that there has been another.
func TestAStoreThatBeginsAnew(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if log := r.file("caddy.log"); !strings.Contains(log, "a new store was begun: ") || strings.Contains(log, "another one") {
		t.Error("at the beginning")
	}
	path := filepath.Join(r.dir, "onetime.db")
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	r.run(r.caddyfile("", "", ""))
	if status, _ := r.request("GET", "/"+code); status != 404 {
		t.Errorf("a link of the store before: %d", status)
	}
	if !strings.Contains(r.file("caddy.log"), "has the link key of another one") {
		t.Error("the log does not say so")
	}
}

func TestLinkKeyCutShort(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFiles(t, r)[0], []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.load(r.caddyfile("", "", "")); err == nil || !strings.Contains(err.Error(), "5 bytes instead of 32") {
		t.Errorf("got %v", err)
	}
}

// Store and key come back together, on another machine, and links with a limit
// wait for their host.
func TestBackupAndRestore(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	limitedID, limited := r.link("front_door", openFrontDoor, "Tom", 1)
	_, unlimited := r.link("front_door", openFrontDoor, "Eve", 0)
	var backup bytes.Buffer
	if err := r.app().Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	r.request("POST", "/"+limited)

	// Another machine: no store, no key.
	config := strings.Replace(strings.Replace(r.caddyfile("", "", ""), "/storage", "/elsewhere", 1), "/onetime.db", "/elsewhere.db", 1)
	r.run(config)
	if status, _ := r.request("GET", "/"+unlimited); status != 404 {
		t.Fatalf("before: %d", status)
	}
	_, later := r.link("front_door", openFrontDoor, "Ian", 1)
	if err := r.app().Restore(t.Context(), onetime.Person{ID: "ben", Name: "Ben"}, bytes.NewReader(backup.Bytes())); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for code, want := range map[string]int{unlimited: 200, limited: 200, later: 404} {
			if status, _ := r.request("GET", "/"+code); status != want {
				t.Errorf("%s: GET %d, want %d", when, status, want)
			}
		}
		if status, _ := r.request("POST", "/"+limited); status != 403 {
			t.Errorf("%s: a limited link: %d", when, status)
		}
	}
	check("restored")
	entries, _, err := r.service().Log(t.Context(), onetime.LogQuery{Limit: 10})
	if i := slices.IndexFunc(entries, func(e onetime.Entry) bool { return e.What == onetime.HappenedBackupLoaded }); err != nil || i < 0 || entries[i].By.Name != "Ben" {
		t.Errorf("the log does not say who restored: %+v, %v", entries, err)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	r.run(config)
	check("restored, and started again")
	if _, err := r.service().Replenish(t.Context(), onetime.Person{ID: "anna"}, limitedID, nil); err != nil {
		t.Fatal(err)
	}
	if status, _ := r.request("POST", "/"+limited); status != 200 {
		t.Errorf("let in by its host: %d", status)
	}
}

// What is no whole backup is refused and changes nothing.
func TestRestoreRefuses(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	var backup bytes.Buffer
	if err := r.app().Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	whole := backup.Bytes()
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0xff
	archive := func(parts map[string]string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, text := range parts {
			w, err := z.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	key := strings.Repeat("k", onetime.LinkKeyLength)
	id := r.service().StoreID()
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"text":             []byte("hello"),
		"cut short":        whole[:len(whole)-100],
		"one bit changed":  flipped,
		"another archive":  archive(map[string]string{"a": "b"}),
		"a newer format":   archive(map[string]string{backupManifest: `{"format":99}`, backupKey: key, backupStore: "x"}),
		"no manifest":      archive(map[string]string{backupManifest: `[]`, backupKey: key, backupStore: "x"}),
		"a short key":      archive(map[string]string{backupManifest: `{"format":1,"store":"` + id + `"}`, backupKey: "short", backupStore: "x"}),
		"no store":         archive(map[string]string{backupManifest: `{"format":1,"store":"` + id + `"}`, backupKey: key}),
		"not a store":      archive(map[string]string{backupManifest: `{"format":1,"store":"` + id + `"}`, backupKey: key, backupStore: "x"}),
		"another store":    archive(map[string]string{backupManifest: `{"format":1,"store":"other"}`, backupKey: key, backupStore: "x"}),
		"a path in its id": archive(map[string]string{backupManifest: `{"format":1,"store":"../../x"}`, backupKey: key, backupStore: "x"}),
	} {
		if err := r.app().Restore(t.Context(), onetime.Person{ID: "ben", Name: "Ben"}, bytes.NewReader(b)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if status, _ := r.request("GET", "/"+code); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
	// The key in the storage is the old one, too.
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	r.run(r.caddyfile("", "", ""))
	if status, _ := r.request("GET", "/"+code); status != 200 {
		t.Errorf("after a restart: %d", status)
	}
	if files := keyFiles(t, r); len(files) != 1 {
		t.Errorf("keys in the storage: %v", files)
	}
	if files, _ := filepath.Glob(filepath.Join(r.dir, "storage", "*")); len(files) != 2 { // locks, hass_onetime
		t.Errorf("in the storage: %v", files)
	}
}

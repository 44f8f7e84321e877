package hasscmd

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// A backup brings back actions, links and the key that makes them, in a Caddy
// that has never seen them. Links with a limit wait for the host, because they
// may have been used since.
func TestBackupAndRestore(t *testing.T) {
	c := startCaddy(t, nil)
	c.defineDoor()
	limited := strings.TrimSpace(c.must("", "token", "create", "--action", "front_door"))
	unlimited := strings.TrimSpace(c.must("", "token", "create", "--action", "front_door", "--any"))

	file := filepath.Join(t.TempDir(), "b.backup")
	if r := c.run("", "backup", "-o", file); r.failed != nil || r.out != "" {
		t.Fatalf("%v, printed %q", r.failed, r.out)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v", info.Mode())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 {
		t.Errorf("left beside it: %v", left)
	}

	// Another machine: another store, another key.
	c.load(func(c *testCaddy, cfg object) {
		cfg["storage"].(object)["root"] = filepath.Join(c.dir, "storage2")
		cfg["apps"].(object)["hass_onetime"].(object)["store"].(object)["path"] = filepath.Join(c.dir, "other.db")
	})
	if _, err := c.press(unlimited); err == nil {
		t.Fatal("a link opens the door of a store that has never seen it")
	}
	wantFailure(t, c.run("", "restore", file), "--yes")
	if out := c.must("", "restore", file, "--yes"); !strings.Contains(out, "wait until you let them in again") || !strings.Contains(out, "switched off since the backup") {
		t.Errorf("printed %q", out)
	}
	c.waitForHome()
	if r, err := c.press(unlimited); err != nil || r.Outcome != onetime.OutcomeDone {
		t.Errorf("after restoring, a link without limit comes to %+v, %v", r, err)
	}
	if _, err := c.press(limited); err == nil || !strings.Contains(err.Error(), string(onetime.StatusPaused)) {
		t.Errorf("after restoring, a link with a limit is not held: %v", err)
	}
	if got := strings.TrimSpace(c.must("", "token", "create", "--action", "front_door")); !strings.HasPrefix(got, linkPrefix) {
		t.Errorf("after restoring, no link can be made: %q", got)
	}
}

func TestBackupToStdout(t *testing.T) {
	c := startCaddy(t, nil)
	if out := c.must("", "backup", "-o", "-"); len(out) < 100 {
		t.Errorf("printed %d bytes", len(out))
	}
}

// A file that cannot be written whole leaves what was there.
func TestBackupKeepsOldFile(t *testing.T) {
	file := writeFile(t, "b.backup", "the old one")
	for name, r := range map[string]io.Reader{
		"empty":   strings.NewReader(""),
		"cut off": io.MultiReader(strings.NewReader("PK"), iotest.ErrReader(io.ErrUnexpectedEOF)),
	} {
		if _, err := writeSecret(file, r); err == nil {
			t.Errorf("%s: taken for a backup", name)
		}
	}
	if b, _ := os.ReadFile(file); string(b) != "the old one" {
		t.Errorf("the old backup is now %q", b)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 {
		t.Errorf("left beside it: %v", left)
	}
}

// What is no whole backup changes nothing.
func TestRestoreRefused(t *testing.T) {
	c := startCaddy(t, nil)
	c.defineDoor()
	good := filepath.Join(t.TempDir(), "good.backup")
	c.must("", "backup", "-o", good)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	link := strings.TrimSpace(c.must("", "token", "create", "--action", "front_door"))
	for name, content := range map[string]string{
		"empty":   "",
		"text":    "hello",
		"cut off": string(whole[:len(whole)/2]),
		"damaged": string(whole[:len(whole)/2]) + "damage" + string(whole[len(whole)/2+6:]),
	} {
		t.Run(name, func(t *testing.T) {
			wantFailure(t, c.run("", "restore", writeFile(t, "x.backup", content), "--yes"), "nothing was changed")
		})
	}
	wantFailure(t, c.run("", "restore", "/nowhere/x.backup", "--yes"), "no such file")
	if r, err := c.press(link); err != nil || r.Outcome != onetime.OutcomeDone {
		t.Errorf("a link from after the backup comes to %+v, %v", r, err)
	}
}

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// binary is the Caddy under test, built by TestMain.
var binary string

// raced says that the binary has the race detector in it.
var raced = os.Getenv("HASS_E2E_RACE") == "1"

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "caddy-hass-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "caddy")
	if os.Getenv("HASS_URL") != "" || os.Getenv("HASS_HOME") != "" || required() {
		args := []string{"build", "-o", binary}
		if raced {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, "github.com/caddy-hass/caddy-hass/cmd/caddy")...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "building Caddy: %v\n%s", err, &out)
			return 1
		}
	}
	return m.Run()
}

// required says that a missing home or browser is a failure.
func required() bool { return os.Getenv("HASS_E2E_REQUIRED") == "1" }

// lacking skips the test, or fails it where everything has to be there.
func lacking(t *testing.T, what string) {
	t.Helper()
	if required() {
		t.Fatal(what)
	}
	t.Skip(what)
}

// eventually waits for something that happens in another process.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(15 * time.Millisecond)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

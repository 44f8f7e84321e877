//go:build unix

package hasscmd

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Whoever tries "-o /dev/null" as root wants to have it back.
func TestADeviceIsWrittenToAndNotReplaced(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip("no named pipes here: ", err)
	}
	read := make(chan string)
	go func() {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		read <- string(b)
	}()
	if n, err := writeSecret(name, strings.NewReader("backup")); err != nil || n != 6 {
		t.Fatal(n, err)
	}
	if got := <-read; got != "backup" {
		t.Errorf("%q went through", got)
	}
	info, err := os.Lstat(name)
	if err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("now it is %v, %v", info.Mode(), err)
	}
	if n, err := writeSecret(t.TempDir(), strings.NewReader("backup")); err == nil {
		t.Errorf("a folder took %d bytes", n)
	}
}

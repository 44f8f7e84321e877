package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// homeWith starts a real home for one test, with these files beside the usual
// configuration: those that end in .yaml and are no secrets are packages of it.
// folder is where the home has them.
func homeWith(t *testing.T, files map[string]string) (h *home, folder string) {
	t.Helper()
	h, _ = ownHome(t, func(dir, _ string) {
		folder = filepath.Join(dir, "..", "..", "run")
		packages := ""
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if base, ok := strings.CutSuffix(name, ".yaml"); ok && base != "secrets" {
				packages += fmt.Sprintf("    %s: !include %s\n", base, name)
			}
		}
		configuration := filepath.Join(dir, "configuration.yaml")
		text, err := os.ReadFile(configuration)
		if err != nil {
			t.Fatal(err)
		}
		before, after, ok := strings.Cut(string(text), "homeassistant:\n")
		if !ok {
			t.Fatal("the home's configuration has no homeassistant:")
		}
		if err := os.WriteFile(configuration, []byte(before+"homeassistant:\n  packages:\n"+packages+after), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	h.awaitRunning()
	return h, folder
}

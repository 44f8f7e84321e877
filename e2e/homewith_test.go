package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
)

// homeWith starts a real home for one test, with these files beside the usual
// configuration: those that end in .yaml and are no secrets are packages of it.
// dir is the home's folder.
func homeWith(t *testing.T, files map[string]string) (h *home, dir string) {
	t.Helper()
	command := os.Getenv("HASS_HOME")
	if command == "" {
		lacking(t, "HASS_HOME does not say how to start a home")
	}
	source := t.TempDir()
	if err := os.CopyFS(source, os.DirFS(filepath.Dir(command))); err != nil {
		t.Fatal(err)
	}
	packages := ""
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(source, "config", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if base, ok := strings.CutSuffix(name, ".yaml"); ok && base != "secrets" {
			packages += fmt.Sprintf("    %s: !include %s\n", base, name)
		}
	}
	configuration := filepath.Join(source, "config", "configuration.yaml")
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

	_, port, err := net.SplitHostPort(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "home")
	run := func(what string) string {
		cmd := exec.Command(filepath.Join(source, filepath.Base(command)), what)
		cmd.Env = append(os.Environ(), "HOME_DIR="+dir, "HOME_PORT="+port)
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "home.log"))
			t.Fatalf("home %s: %v\n%s\n%s", what, err, &said, tail(string(log), 20))
		}
		return out.String()
	}
	t.Cleanup(func() { run("down") })
	h = &home{t: t}
	for line := range strings.Lines(run("up")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "HASS_URL":
			h.url = value
		case "HASS_TOKEN":
			h.admin = value
		case "HASS_TOKEN_USER":
			h.user = value
		}
	}
	h.client, err = hassclient.New(hassclient.Config{URL: h.url, Token: func() (string, error) { return h.admin, nil }})
	if err != nil {
		t.Fatal(err)
	}
	h.client.Start()
	t.Cleanup(func() { h.client.Close() })
	if err := h.client.Wait(h.within(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	h.awaitRunning()
	return h, dir
}

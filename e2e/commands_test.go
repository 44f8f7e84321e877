package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// caddy runs a command of hass against the running Caddy, which has to succeed.
func (s *server) hass(args ...string) string {
	s.t.Helper()
	stdout, stderr, status := s.run(append([]string{"hass"}, append(args, "--address", s.admin)...)...)
	if status != 0 {
		s.t.Fatalf("caddy hass %s: %d\n%s%s", strings.Join(args, " "), status, stdout, stderr)
	}
	return stdout
}

// A host at the command line: an action, a link, its end.
func TestCommandsOnTheRunningCaddy(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	file := filepath.Join(s.dir, "action.yaml")
	if err := os.WriteFile(file, []byte(openFrontDoor), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hass("action", "set", "front_door", "--title", "Open the front door", "--file", file)
	if list := s.hass("action", "list"); !strings.Contains(list, "front_door") || !strings.Contains(list, "Open the front door") {
		t.Errorf("action list: %s", list)
	}
	if _, stderr, status := s.run("hass", "action", "set", "bad", "--title", "x", "--file", s.config(), "--address", s.admin); status == 0 || !strings.Contains(stderr, "definition") {
		t.Errorf("a Caddyfile as an action: %d %s", status, stderr)
	}
	// The definition by the standard input.
	if _, stderr, status := s.runInput(gardenGate, "hass", "action", "set", "gate", "--title", "Open the gate", "-f", "-", "--address", s.admin); status != 0 {
		t.Errorf("action set -f -: %d %s", status, stderr)
	}

	link1 := strings.TrimSpace(s.hass("token", "create", "--action", "front_door", "--guest", "Tom", "--uses", "2"))
	if !regexp.MustCompile(`^http://` + regexp.QuoteMeta(s.guests) + `/[0-9A-Z]{24}$`).MatchString(link1) {
		t.Fatalf("token create: %q", link1)
	}
	if qr := s.hass("token", "create", "--action", "front_door", "--guest", "Eve", "--qr"); strings.Count(qr, "\n") < 12 {
		t.Errorf("token create --qr: %s", qr)
	}
	before := h.opens()
	l := link{s: s, id: link1[len(link1)-24 : len(link1)-18], code: link1[len(link1)-24:], url: link1}
	l.press("").is(t, 200, "done").left(t, 1)
	list := s.hass("token", "list")
	if !strings.Contains(list, l.id) || !strings.Contains(list, "Eve") || !strings.Contains(list, "1 of 2") || strings.Contains(list, l.code[6:]) {
		t.Errorf("token list: %s", list)
	}
	s.hass("token", "revoke", l.id)
	if a := l.press("").is(t, 410); a.Code != "revoked" {
		t.Errorf("revoked: %s", a.body)
	}
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
	var tokens struct {
		Tokens []struct {
			ID        string
			CreatedBy struct{ ID string } `json:"created_by"`
		}
	}
	if err := json.Unmarshal([]byte(s.hass("token", "list", "--all", "--json")), &tokens); err != nil || len(tokens.Tokens) != 2 || tokens.Tokens[0].CreatedBy.ID == "" {
		t.Errorf("token list --all --json: %v %+v", err, tokens)
	}

	// Without a Caddy, the error says where it was looked for.
	if _, stderr, status := s.run("hass", "token", "list", "--address", "127.0.0.1:1"); status == 0 || !strings.Contains(stderr, "127.0.0.1:1") {
		t.Errorf("no Caddy: %d %s", status, stderr)
	}
}

// The doctor: nothing wrong, exit status 0; something wrong, 1, and what to do.
func TestDoctor(t *testing.T) {
	h := realHome(t)
	p := newProxy(t, h)
	p.plug()
	s := newServer(t, h)
	s.homeURL, s.oneTime = p.url(), "notify script.notify_host"
	s.start()
	s.awaitHome()
	s.link(openFrontDoor, 1)
	told := h.listen("host_notified")
	text := s.hass("doctor", "--send-test")
	for _, line := range []string{"ok", "administrator", "public", s.guests, "onetime.db"} {
		if !strings.Contains(text, line) {
			t.Errorf("the doctor does not say %q:\n%s", line, text)
		}
	}
	if strings.Contains(text, "fail ") {
		t.Errorf("the doctor:\n%s", text)
	}
	eventually(t, 20*time.Second, "the test notification is there", func() bool { return len(told.all()) == 1 })
	var r report
	if err := json.Unmarshal([]byte(s.hass("doctor", "--json")), &r); err != nil || !r.OK || len(r.Findings) < 8 {
		t.Errorf("doctor --json: %v %+v", err, r)
	}

	p.unplug()
	stdout, _, status := s.run("hass", "doctor", "--address", s.admin)
	if status != 1 || !strings.Contains(stdout, "fail") || !strings.Contains(stdout, p.addr) {
		t.Errorf("with the home away: %d\n%s", status, stdout)
	}
	stdout, _, status = s.run("hass", "doctor", "--json", "--address", s.admin)
	if err := json.Unmarshal([]byte(stdout), &r); status != 1 || err != nil || r.OK {
		t.Errorf("with the home away, as JSON: %d %v\n%s", status, err, stdout)
	}
}

// Store and link key in one file, while it runs; put back, links live again, but
// those with a limit wait for the host: they may have been used since.
func TestThreat28_BackupAndRestore(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	limited, unlimited := s.link(openFrontDoor, 2), s.link(openFrontDoor, 0)
	file := filepath.Join(s.dir, "links.backup")
	s.hass("backup", "-o", file)
	if mode := must(os.Stat(file)).Mode().Perm(); mode != 0o600 {
		t.Errorf("the backup's mode is %v", mode)
	}
	limited.press("").is(t, 200, "done").left(t, 1)
	limited.press("").is(t, 200, "done").left(t, 0)

	// Another machine.
	other := start(t, h)
	if _, stderr, status := other.run("hass", "restore", file, "--address", other.admin); status == 0 || !strings.Contains(stderr, "--yes") {
		t.Errorf("restored unasked: %d %s", status, stderr)
	}
	other.hass("restore", file, "--yes")
	at := func(l link) link {
		return link{s: other, id: l.id, code: l.code, url: "http://" + other.guests + "/" + l.code}
	}
	before := h.opens()
	at(unlimited).press("").is(t, 200, "done")
	if a := at(limited).press("").is(t, 403); a.Code != "paused" {
		t.Errorf("a limited link after the restore: %s", a.body)
	}
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
	other.api("POST", "/api/tokens/"+limited.id+"/replenish", object{"uses": 1}).is(t, 200)
	at(limited).press("").is(t, 200, "done").left(t, 0)

	// Half a backup changes nothing.
	whole := must(os.ReadFile(file))
	half := filepath.Join(s.dir, "half.backup")
	if err := os.WriteFile(half, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, status := other.run("hass", "restore", half, "--yes", "--address", other.admin); status == 0 || stderr == "" {
		t.Errorf("half a backup was restored: %s", stderr)
	}
	at(limited).press("").is(t, 410)
	// It holds over a restart, link key and all.
	other.stop()
	other.start()
	other.awaitHome()
	at(unlimited).press("").is(t, 200, "done")
}

// The demo: nothing to configure, a link that can be pressed, nothing left behind.
func TestDemo(t *testing.T) {
	if _, err := os.Stat(binary); err != nil {
		lacking(t, "Caddy was not built, because there is no real home")
	}
	s := newServer(t, &home{t: t})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	temp := filepath.Join(s.dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	s.env = []string{"TMPDIR=" + temp}
	cmd := s.command(ctx, "hass", "demo", "--host", "127.0.0.1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &s.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	lines := bufio.NewScanner(out)
	for address == "" && lines.Scan() {
		address = regexp.MustCompile(`http://127\.0\.0\.1:\d+/[^ ]*[0-9A-Z]{24}`).FindString(lines.Text())
	}
	if address == "" {
		t.Fatalf("no link: %s", s.stderr.String())
	}
	l := link{s: s, url: address}
	l.page().is(t, 200).shows(t, "Nothing happens before that")
	l.press("").is(t, 200, "done").left(t, 2)
	rest := make(chan string)
	go func() {
		b, _ := io.ReadAll(out)
		rest <- string(b)
	}()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-rest
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v: %s", err, s.stderr.String())
	}
	if _, err := http.Get(address); err == nil {
		t.Error("the demo still serves")
	}
	for _, dir := range []string{temp, filepath.Join(s.dir, "data"), filepath.Join(s.dir, "config")} {
		if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

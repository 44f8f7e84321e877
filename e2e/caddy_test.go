package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// password is anna's on the host's side.
const password = "correct-horse-battery-staple"

var passwordHash = must(bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost))

// server is a Caddy: its configuration, and its process while it runs.
type server struct {
	t    *testing.T
	home *home
	dir  string

	admin, guests, hosts, secure string // addresses

	// Of the configuration.
	homeURL   string   // as Caddy has it; a test may put a proxy in between
	token     string   // the home's, in the environment
	tokenFrom string   // where the configuration says it is
	homes     string   // more homes, as global options
	sites     string   // more sites
	oneTime   string   // further lines of the global option hass_onetime
	hostGuard string   // in front of the dashboard
	dashboard string   // its own lines
	whole     string   // all of it; empty: made of these
	env       []string // of the process

	cmd    *exec.Cmd
	ended  chan struct{}
	stderr lockedBuffer
}

// newServer makes a Caddy that is not running yet.
func newServer(t *testing.T, h *home) *server {
	t.Helper()
	s := &server{
		t: t, home: h, dir: t.TempDir(),
		admin: freeport.Addr(t), guests: freeport.Addr(t), hosts: freeport.Addr(t), secure: freeport.Addr(t),
		homeURL: h.url, token: h.admin, tokenFrom: "{env.HASS_E2E_TOKEN}", oneTime: "notify off",
		hostGuard: fmt.Sprintf("basic_auth {\nanna %s\n}", passwordHash),
	}
	t.Cleanup(func() {
		s.stop()
		for _, race := range races(s.stderr.String()) {
			t.Errorf("a data race in Caddy:\n%s", race)
		}
		if t.Failed() {
			t.Logf("Caddy's log ends:\n%s", tail(s.file("caddy.log"), 40))
			t.Logf("Caddy's stderr ends:\n%s", tail(s.stderr.String(), 40))
		}
	})
	return s
}

// start is a Caddy that runs and is connected to the home.
func start(t *testing.T, h *home) *server {
	t.Helper()
	s := newServer(t, h)
	s.start()
	s.awaitHome()
	return s
}

func (s *server) caddyfile() string {
	if s.whole != "" {
		return s.whole
	}
	_, port, _ := net.SplitHostPort(s.secure)
	return fmt.Sprintf(`{
	admin %[2]s
	skip_install_trust
	auto_https disable_redirects
	log default {
		output file %[1]s/caddy.log
		format json
		level DEBUG
	}
	servers {
		protocols h1 h2
	}
	hass {
		url %[3]s
		token %[10]s
	}
	%[11]s
	hass_onetime {
		public_url http://%[4]s
		house "12 Hill Street"
		contact Anna tel:+4930123456
		%[5]s
	}
}

http://%[4]s {
	log {
		output file %[1]s/access.log
		format json
	}
	hass_onetime
}

# The same over HTTP/2.
https://localhost:%[6]s {
	log {
		output file %[1]s/access.log
		format json
	}
	tls internal
	hass_onetime
}

http://%[7]s {
	log {
		output file %[1]s/access-host.log
		format json
	}
	%[8]s
	hass_onetime dashboard {
		%[9]s
	}
}
`, s.dir, s.admin, s.homeURL, s.guests, s.oneTime, port, s.hosts, s.hostGuard, s.dashboard, s.tokenFrom, s.homes) + s.sites
}

// config writes the Caddyfile and returns its path.
func (s *server) config() string {
	s.t.Helper()
	path := filepath.Join(s.dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(s.caddyfile()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// command is a command of the binary, in the server's own folders.
func (s *server) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = s.dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TZ=Europe/Berlin", "USER=anna",
		"XDG_DATA_HOME=" + filepath.Join(s.dir, "data"), "XDG_CONFIG_HOME=" + filepath.Join(s.dir, "config"),
		"HASS_E2E_TOKEN=" + s.token,
	}, s.env...)
	return cmd
}

// run runs a command to its end and returns what it prints and its exit status.
func (s *server) run(args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	return s.runInput("", args...)
}

func (s *server) runInput(stdin string, args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := s.command(ctx, args...)
	var out, err bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &err
	if e := cmd.Run(); e != nil && cmd.ProcessState == nil {
		s.t.Fatal(e)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// start starts the process and waits until it serves.
func (s *server) start() {
	s.t.Helper()
	s.begin()
	eventually(s.t, 30*time.Second, "Caddy serves", func() bool {
		select {
		case <-s.ended:
			s.t.Fatalf("Caddy ended at its start:\n%s\n%s", tail(s.stderr.String(), 20), tail(s.file("caddy.log"), 20))
		default:
		}
		res, err := http.Get("http://" + s.guests + "/")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// begin starts the process.
func (s *server) begin() {
	s.t.Helper()
	s.cmd = s.command(context.Background(), "run", "--config", s.config(), "--adapter", "caddyfile")
	s.cmd.Stdout, s.cmd.Stderr = &s.stderr, &s.stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan struct{})
	cmd, ended := s.cmd, s.ended
	go func() {
		_ = cmd.Wait() // its exit status is that of a signal
		close(ended)
	}()
}

// endsWithin is more than what any redemption takes that is under way at the end of
// a test, and less than the 20 seconds that Caddy waits for one.
const endsWithin = 15 * time.Second

// end sends a signal and waits for the end.
func (s *server) end(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig) // it may have ended already
	select {
	case <-s.ended:
	case <-time.After(endsWithin):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // shows where it hangs
		<-s.ended
		s.t.Errorf("Caddy did not end within %v of %v", endsWithin, sig)
	}
	s.cmd = nil
}

func (s *server) stop() { s.end(syscall.SIGTERM) }
func (s *server) kill() { s.end(syscall.SIGKILL) }

// awaitHome waits until Caddy is connected to the home.
func (s *server) awaitHome() {
	s.t.Helper()
	eventually(s.t, 90*time.Second, "Caddy is connected to the home", func() bool {
		return s.examine().level("home.token") == "ok"
	})
}

// load gives the running Caddy the configuration anew, as caddy reload does.
func (s *server) load() error {
	req, err := http.NewRequest("POST", "http://"+s.admin+"/load", strings.NewReader(s.caddyfile()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate") // also where it is the same
	res, err := admin.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", res.Status, body)
	}
	return nil
}

// ask gets something of the admin endpoint.
func (s *server) ask(path string) string {
	s.t.Helper()
	res, err := admin.Get("http://" + s.admin + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatal(path, ": ", res.Status, " ", err)
	}
	return string(body)
}

// storePath is the store's file.
func (s *server) storePath() string { return filepath.Join(s.dir, "data", "caddy", "onetime.db") }

// file is what a file of the server's folder holds; nothing where there is none.
func (s *server) file(name string) string {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return string(b)
}

// races are the reports of the race detector, but for one that is Caddy's own: its
// app tls tells of certificates while it is still being started.
func races(stderr string) (reports []string) {
	for _, part := range strings.Split(stderr, "==================\n") {
		if strings.HasPrefix(part, "WARNING: DATA RACE") &&
			!(strings.Contains(part, "caddytls.(*TLS).CaddyModule()") && strings.Contains(part, "caddytls.(*TLS).Start()")) {
			reports = append(reports, part)
		}
	}
	return reports
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

package hasscmd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// demoProcess is "caddy hass demo" in a process of its own, with a home folder
// and a folder for temporary files of its own.
type demoProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	dir   string
	lines *bufio.Scanner
	out   strings.Builder
}

func startDemo(t *testing.T, args ...string) *demoProcess {
	t.Helper()
	p := &demoProcess{t: t, dir: t.TempDir()}
	for _, name := range []string{"home", "tmp", "cwd"} {
		if err := os.Mkdir(filepath.Join(p.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// Long after it should have ended, so that a failure ends, too.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	p.cmd = exec.CommandContext(ctx, os.Args[0], append([]string{"hass", "demo"}, args...)...)
	p.cmd.Env = []string{asCaddy + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + p.dir + "/home", "TMPDIR=" + p.dir + "/tmp", "TZ=Europe/Berlin"}
	p.cmd.Dir = p.dir + "/cwd"
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(out)
	return p
}

// until reads what the demo prints until a line matches, and returns the match.
func (p *demoProcess) until(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for p.lines.Scan() {
		line := p.lines.Text()
		p.out.WriteString(line + "\n")
		if m := re.FindString(line); m != "" {
			return m
		}
	}
	p.t.Fatalf("the demo has printed no %s:\n%s", pattern, p.out.String())
	return ""
}

// end sends a signal, and checks that the demo ends well and leaves nothing.
func (p *demoProcess) end(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	for p.lines.Scan() {
		p.out.WriteString(p.lines.Text() + "\n")
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the demo ended with %v:\n%s", err, p.out.String())
	}
	filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || strings.Count(path[len(p.dir):], "/") > 1 {
			p.t.Errorf("left behind: %s (%v)", path, err)
		}
		return nil
	})
}

// press presses the printed link by way of localhost.
func (p *demoProcess) press() {
	p.t.Helper()
	link := p.until(`http://localhost:\d+/[0-9A-Z]{24}`)
	resp, err := http.Post(link, "application/x-www-form-urlencoded", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	p.until(`Front door +unlocked`)
	p.until(`Tom +pressed "Open the front door": done, 2 of 3 left`)
}

// From the command to a door that opens, twice at once on one machine, while
// somebody else has the usual ports; and afterwards there is nothing left.
func TestDemoProcesses(t *testing.T) {
	for _, port := range []string{"8080", "2019"} {
		// Where it is taken already, all the better.
		if ln, err := net.Listen("tcp", ":"+port); err == nil {
			defer ln.Close()
		}
	}
	first, second := startDemo(t), startDemo(t, "--no-qr")
	first.until(`█`)
	first.press()
	second.press()
	if strings.ContainsRune(second.out.String(), '█') {
		t.Errorf("--no-qr draws one:\n%s", second.out.String())
	}
	first.end(os.Interrupt)
	second.end(syscall.SIGTERM)
}

func TestDemoLostTerminal(t *testing.T) {
	p := startDemo(t)
	p.until(`Vacuum`)
	p.end(syscall.SIGHUP)
}

// An open page of the house or the host does not hold up the end.
func TestDemoEndsUnderWatch(t *testing.T) {
	p := startDemo(t, "--host", "127.0.0.1")
	view := p.until(`http://127\.0\.0\.1:\d+/house/`)
	enter := p.until(`http://127\.0\.0\.1:\d+/host/enter/\w+`)
	p.until(`Vacuum`)
	resp, err := http.Get(view + "events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	go io.Copy(io.Discard, resp.Body)

	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	entered, err := c.Get(enter)
	if err != nil {
		t.Fatal(err)
	}
	entered.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", strings.Replace(view, "/house/", "/host/api/events", 1), nil)
	for _, cookie := range entered.Cookies() {
		req.AddCookie(cookie)
	}
	events, err := c.Do(req)
	if err != nil || events.StatusCode != 200 {
		t.Fatal(fmt.Sprint(events, err))
	}
	defer events.Body.Close()
	p.end(os.Interrupt)
}

func TestDemoPortFlag(t *testing.T) {
	for _, port := range []string{"-1", "65536", "80a"} {
		if r := runCommand("", "demo", "--port", port); r.failed == nil || !strings.Contains(r.failed.Error(), "port") {
			t.Errorf("--port %s: %v", port, r.failed)
		}
	}
}

func TestOnThisMachine(t *testing.T) {
	if got := onThisMachine("http://192.168.1.20:8080/ABC", 8080); got != "http://localhost:8080/ABC" {
		t.Errorf("got %s", got)
	}
}

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// goroutines is how many goroutines Caddy has, by its own admin endpoint.
func (s *server) goroutines() int {
	s.t.Helper()
	m := regexp.MustCompile(`goroutine profile: total (\d+)`).FindStringSubmatch(s.ask("/debug/pprof/goroutine?debug=1"))
	if m == nil {
		s.t.Fatal("no profile of goroutines")
	}
	return must(strconv.Atoi(m[1]))
}

// files is how many files and connections the process has open.
func (s *server) files() int {
	s.t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		s.t.Skip("no /proc on this system: ", err)
	}
	return len(all)
}

// settle waits until what a start or a reload has begun has ended: the number of
// goroutines is the same for a while.
func (s *server) settle() {
	s.t.Helper()
	last, same := 0, 0
	eventually(s.t, 30*time.Second, "Caddy has come to rest", func() bool {
		if n := s.goroutines(); n == last {
			same++
		} else {
			last, same = n, 0
		}
		return same >= 20
	})
}

// 20 reloads under load: each press is answered, once, and opened once; the
// connection to the home stays the same, and nothing is left behind.
func TestThreat10_TwentyReloadsUnderLoad(t *testing.T) {
	h := realHome(t)
	p := newProxy(t, h)
	p.plug()
	s := newServer(t, h)
	s.homeURL, s.oneTime = p.url(), "notify script.notify_host"
	s.start()
	s.awaitHome()
	told := h.listen("host_notified")
	l := s.link(openFrontDoor, 0)
	reload := func(i int) {
		t.Helper()
		s.dashboard = fmt.Sprintf("frame_ancestors https://%d.example.com", i)
		if err := s.load(); err != nil {
			t.Fatal(err)
		}
	}
	reload(-1)
	connections := p.connections()
	before := h.opens()
	http1.CloseIdleConnections()
	s.settle()
	goroutines, files := s.goroutines(), s.files()

	const guests = 4
	var (
		stop    = make(chan struct{})
		wg      sync.WaitGroup
		mu      sync.Mutex
		pressed int
		wrong   []string
	)
	for g := range guests {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				a := l.persist(fmt.Sprintf("%d-%d", g, i))
				mu.Lock()
				pressed++
				if a.err != nil || a.status != 200 || a.Outcome != "done" {
					wrong = append(wrong, fmt.Sprintf("%d %v %s", a.status, a.err, a.body))
				}
				mu.Unlock()
			}
		})
	}
	for i := range 20 {
		mu.Lock()
		so := pressed
		mu.Unlock()
		eventually(t, 30*time.Second, "guests press between reloads", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return pressed >= so+2*guests
		})
		reload(i)
	}
	if _, stderr, status := s.run("reload", "--config", s.config(), "--adapter", "caddyfile", "--address", s.admin, "--force"); status != 0 {
		t.Errorf("caddy reload: %d %s", status, stderr)
	}
	close(stop)
	wg.Wait()

	if len(wrong) > 0 {
		t.Errorf("%d of %d presses came to something else, such as %s", len(wrong), pressed, wrong[0])
	}
	if n := h.opens() - before; n != pressed {
		t.Errorf("%d presses, %d opened", pressed, n)
	}
	if n := p.connections() - connections; n != 0 {
		t.Errorf("%d new connections to the home", n)
	}
	t.Logf("%d presses during 20 reloads", pressed)
	// Level: one more for each reload would be 20.
	http1.CloseIdleConnections()
	eventually(t, 30*time.Second, fmt.Sprintf("goroutines and files are level, at %d and %d", goroutines, files), func() bool {
		return s.goroutines() <= goroutines+5 && s.files() <= files+5
	})
	s.awaitHome()
	if told.count("done") == 0 {
		t.Error("nobody was told of anything")
	}
}

// A redemption that is under way ends as it would have, whatever is reloaded and
// whoever hangs up.
func TestPromise2_ReloadInTheMiddle(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	before := h.opens()
	l := s.link(slowDoor, 1)
	answered := make(chan answer, 1)
	go func() { answered <- l.press("k") }()
	eventually(t, 10*time.Second, "the script has begun", func() bool { return h.opens() > before })
	// Even a configuration that has neither home nor links: what was begun ends.
	if _, stderr, status := s.run("reload", "--config", s.config(), "--adapter", "caddyfile", "--address", s.admin, "--force"); status != 0 {
		t.Errorf("caddy reload: %d %s", status, stderr)
	}
	(<-answered).is(t, 200, "done").left(t, 0)

	// The guest hangs up right after pressing.
	before = h.opens()
	l = s.link(slowDoor, 1)
	go func() { answered <- l.press("k") }()
	eventually(t, 10*time.Second, "the script has begun", func() bool { return h.opens() > before })
	http1.CloseIdleConnections()
	l.press("k").is(t, 200, "done").left(t, 0)
	<-answered
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}

	// A process that is asked to end lets what is under way end, too.
	before = h.opens()
	l = s.link(slowDoor, 1)
	go func() { answered <- l.press("k") }()
	eventually(t, 10*time.Second, "the script has begun", func() bool { return h.opens() > before })
	s.stop()
	(<-answered).is(t, 200, "done").left(t, 0)
	s.start()
	if again := l.press("k").is(t, 200, "done").left(t, 0); !again.Replayed {
		t.Errorf("after the restart: %s", again.body)
	}
}

// caddy validate and caddy adapt beside the running Caddy wait for nothing and
// touch nothing: no store, no key, no connection.
func TestValidateBesideARunningCaddy(t *testing.T) {
	h := realHome(t)
	p := newProxy(t, h)
	p.plug()
	s := newServer(t, h)
	s.homeURL = p.url()
	// Before the first start there is nothing, and nothing comes to be.
	for _, command := range []string{"validate", "adapt"} {
		if stdout, stderr, status := s.run(command, "--config", s.config(), "--adapter", "caddyfile"); status != 0 {
			t.Fatalf("caddy %s: %d\n%s%s", command, status, stdout, stderr)
		}
	}
	if made, _ := filepath.Glob(filepath.Join(s.dir, "data", "caddy", "*one*")); len(made) > 0 {
		t.Errorf("validate has made %v", made)
	}
	if p.connections() != 0 {
		t.Error("validate has spoken to the home")
	}

	s.start()
	s.awaitHome()
	l := s.link(openFrontDoor, 1)
	connections, store := p.connections(), must(os.Stat(s.storePath()))
	for _, command := range []string{"validate", "adapt"} {
		if stdout, stderr, status := s.run(command, "--config", s.config(), "--adapter", "caddyfile"); status != 0 {
			t.Errorf("caddy %s: %d\n%s%s", command, status, stdout, stderr)
		}
	}
	if now := must(os.Stat(s.storePath())); !now.ModTime().Equal(store.ModTime()) || now.Size() != store.Size() {
		t.Error("the store was touched")
	}
	if p.connections() != connections {
		t.Error("the home was spoken to")
	}
	l.press("").is(t, 200, "done")
}

// Threat 28: a second Caddy on the same store gives up after 5 seconds, with an
// error that names it, and the first goes on.
func TestThreat28_StoreOfAnotherProcess(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	l := s.link(openFrontDoor, 1)

	second := newServer(t, h)
	second.oneTime += "\nstore bbolt " + s.storePath()
	begun := time.Now()
	_, stderr, status := second.run("run", "--config", second.config(), "--adapter", "caddyfile")
	took := time.Since(begun)
	said := stderr + second.file("caddy.log")
	if status == 0 || !strings.Contains(said, s.storePath()) {
		t.Errorf("ended with %d: %s", status, tail(said, 5))
	}
	if took < 4*time.Second || took > 20*time.Second {
		t.Errorf("gave up after %v", took)
	}
	if pid := fmt.Sprint(s.cmd.Process.Pid); !strings.Contains(said, pid) {
		t.Errorf("does not say that process %s has it: %s", pid, tail(said, 2))
	}
	l.press("").is(t, 200, "done")
}

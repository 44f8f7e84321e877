package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// atOnce calls f so often, all at the same time, and returns what came of it.
func atOnce(n int, f func(i int) answer) []answer {
	answers := make([]answer, n)
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-begin
			answers[i] = f(i)
		})
	}
	ready.Wait()
	close(begin)
	done.Wait()
	return answers
}

// tally counts answers by status and outcome or code: "200 done", "410 used_up".
func tally(answers []answer) map[string]int {
	n := make(map[string]int)
	for _, a := range answers {
		switch {
		case a.err != nil:
			n["error: "+a.err.Error()]++
		case a.Outcome != "" && a.Replayed:
			n[fmt.Sprint(a.status, " ", a.Outcome, " again")]++
		case a.Outcome != "":
			n[fmt.Sprint(a.status, " ", a.Outcome)]++
		default:
			n[fmt.Sprint(a.status, " ", a.Code)]++
		}
	}
	return n
}

// Promise 1: 50 at once, one use, one door opened.
func TestThreat23_FiftyAtOnceOpenOnce(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	for _, protocol := range []struct {
		name, proto string
		client      *http.Client
		secure      bool
	}{
		{"HTTP1", "HTTP/1.1", http1, false},
		{"HTTP2", "HTTP/2.0", http2, true},
	} {
		address := func(l link) string {
			if protocol.secure {
				return l.secureURL()
			}
			return l.url
		}
		redeem := func(t *testing.T, n, uses int, key func(int) string) map[string]int {
			t.Helper()
			before := h.opens()
			l := s.link(openFrontDoor, uses)
			answers := atOnce(n, func(i int) answer { return l.pressBy(protocol.client, address(l), key(i)) })
			for _, a := range answers {
				if a.err == nil && a.proto != protocol.proto {
					t.Fatalf("the protocol is %s", a.proto)
				}
			}
			got := tally(answers)
			if opened := h.opens() - before; opened != got["200 done"] {
				t.Errorf("opened %d times: %v", opened, got)
			}
			return got
		}
		t.Run(protocol.name+"/one use", func(t *testing.T) {
			if got := redeem(t, 50, 1, func(int) string { return "" }); got["200 done"] != 1 || got["410 used_up"] != 49 {
				t.Error(got)
			}
		})
		t.Run(protocol.name+"/one use, keys of their own", func(t *testing.T) {
			if got := redeem(t, 50, 1, func(i int) string { return fmt.Sprint("key ", i) }); got["200 done"] != 1 || got["410 used_up"] != 49 {
				t.Error(got)
			}
		})
		t.Run(protocol.name+"/seven uses", func(t *testing.T) {
			if got := redeem(t, 50, 7, func(int) string { return "" }); got["200 done"] != 7 || got["410 used_up"] != 43 {
				t.Error(got)
			}
		})
		t.Run(protocol.name+"/one key", func(t *testing.T) {
			if got := redeem(t, 20, 5, func(int) string { return "the same" }); got["200 done"] != 1 || got["200 done again"] != 19 {
				t.Error(got)
			}
		})
	}
	t.Run("both protocols", func(t *testing.T) {
		before := h.opens()
		l := s.link(openFrontDoor, 3)
		got := tally(atOnce(50, func(i int) answer {
			if i%2 == 0 {
				return l.press("")
			}
			return l.pressBy(http2, l.secureURL(), "")
		}))
		if opened := h.opens() - before; got["200 done"] != 3 || opened != 3 {
			t.Errorf("opened %d times: %v", opened, got)
		}
	})
}

// One press, one key: twins wait for the first and get its answer; another press
// of the same link is another press.
func TestSameKeyIsOnePress(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	l := s.link(slowDoor, 2)
	before := h.opens()
	got := tally(atOnce(20, func(int) answer { return l.press("one press") }))
	if got["200 done"] != 1 || got["200 done again"] != 19 {
		t.Error("twins: ", got)
	}
	first := l.press("one press").is(t, 200, "done").left(t, 1)
	// A Caddy that starts anew remembers it, and when it was.
	s.stop()
	s.start()
	again := l.press("one press").is(t, 200, "done").left(t, 1)
	if !again.Replayed || first.At == nil || again.At == nil || !again.At.Equal(*first.At) {
		t.Errorf("after a restart: %s, before: %s", again.body, first.body)
	}
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
}

// Promises 1 and 2: whenever the process is killed, a door opens at most as often
// as there were uses, what was done is not forgotten, and the same key tells.
func TestThreat23_KillAtAnyMoment(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	const rounds = 10
	for round := range rounds {
		definition := openFrontDoor
		wait := time.Duration(rand.IntN(12_000)) * time.Microsecond
		switch round {
		case 0, 1: // certainly in the middle
			definition, wait = slowDoor, 700*time.Millisecond
		case 2:
			definition, wait = openAndRelock, 700*time.Millisecond
		}
		l := s.link(definition, 1)
		before := h.opens()
		answered := make(chan answer, 1)
		go func() { answered <- l.press("the press") }()
		time.Sleep(wait) // the moment to test, not one to wait for
		s.kill()
		first := <-answered
		s.start()
		s.awaitHome()

		again := l.press("the press")
		opened := h.opens() - before
		switch {
		case again.err == nil && again.status == 504 && again.Outcome == "unknown" && again.Replayed:
			// It was on its way. Nobody knows; here, at most once.
			l.get().left(t, 0)
		case again.err == nil && again.status == 200 && again.Outcome == "done":
			// Either it was done before, or it had not been written down and so
			// had not been asked, and this was the press.
			l.get().left(t, 0)
			if opened != 1 {
				t.Errorf("round %d, killed after %v: done, and opened %d times", round, wait, opened)
			}
		default:
			// A slow script takes its time, also when asked now.
			t.Errorf("round %d, killed after %v: first %d %v, then %d %s", round, wait, first.status, first.err, again.status, again.body)
		}
		if first.err == nil && first.status == 200 && !again.Replayed {
			t.Errorf("round %d, killed after %v: what was answered was forgotten: %s", round, wait, again.body)
		}
		if round <= 2 && again.Outcome != "unknown" {
			t.Errorf("round %d: killed in the middle, then %s", round, again.body)
		}
		l.press("").is(t, 410)
		l.press("another press").is(t, 410)
		if opened := h.opens() - before; opened > 1 {
			t.Errorf("round %d, killed after %v: opened %d times", round, wait, opened)
		}
		log := s.api("GET", "/api/log?token="+l.id, nil)
		if len(log.Entries) < 2 || !strings.Contains(log.body, `"redemption"`) {
			t.Errorf("round %d: the log: %s", round, log.body)
		}
	}
}

// Killed under load: of n uses never more than n runs, and each that was answered
// "done" was one.
func TestThreat23_KillUnderLoad(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	const uses = 30
	l := s.link(openFrontDoor, uses)
	before := h.opens()
	done := 0
	for round := range 5 {
		var wg sync.WaitGroup
		answers := make([]answer, 10)
		begun := make(chan struct{}, len(answers))
		for i := range answers {
			wg.Go(func() {
				begun <- struct{}{}
				answers[i] = l.press(fmt.Sprintf("%d-%d", round, i))
			})
		}
		<-begun
		time.Sleep(time.Duration(rand.IntN(15_000)) * time.Microsecond)
		s.kill()
		wg.Wait()
		s.start()
		for i, a := range answers {
			again := l.press(fmt.Sprintf("%d-%d", round, i))
			if a.err == nil && a.status == 200 && (again.status != 200 || !again.Replayed) {
				t.Errorf("answered 200, then %d: %s", again.status, again.body)
			}
			if again.status == 200 {
				done++
			}
		}
	}
	opened := h.opens() - before
	if opened > uses || opened < done {
		t.Errorf("%d uses, %d done, %d opened", uses, done, opened)
	}
	left := l.get()
	if left.UsesLeft == nil || uses-*left.UsesLeft < opened {
		t.Errorf("opened %d times of %d, but: %s", opened, uses, left.body)
	}
}

// A script that takes longer than 20 seconds: the guest is told that it is under
// way, and later, by the same key, what came of it.
func TestStillRunning(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	before := h.opens()
	h.call("lock.unlock", "lock.garden_gate") // counts as well
	l := s.link(openAndRelock, 1)
	l.press("k").is(t, 202, "running").left(t, 0)
	l.press("").is(t, 410)
	if page := l.page().is(t, 200); !strings.Contains(page.body, "Anna") {
		t.Error("the page offers nobody to turn to")
	}
	// A reload and, later, the end of the script do not need this connection.
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	var last answer
	eventually(t, 30*time.Second, "the script has ended", func() bool {
		last = l.persist("k")
		return last.status != 202
	})
	if last.is(t, 200, "done").left(t, 0); !last.Replayed {
		t.Error("not said to be the answer to an earlier press")
	}
	h.awaitState("lock.garden_gate", "locked")
	if n := h.opens() - before; n != 2 {
		t.Errorf("opened %d times, want 1 and the test's own", n)
	}
}

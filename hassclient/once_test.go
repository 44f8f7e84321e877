package hassclient

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// Promise 3: a call that may have reached the home is never repeated, and what is
// said of it is true, on connections that break all the time.
func TestAskedOnceWhateverBreaks(t *testing.T) {
	var mu sync.Mutex
	arrived := map[string]int{}
	home := newScriptedHome(t, func(s *session) {
		s.letIn()
		for left := rand.IntN(40); left > 0; left-- {
			in, ok := s.next()
			if !ok {
				return
			}
			mu.Lock()
			arrived[in.Service]++
			mu.Unlock()
			s.ok(in.ID, doneResult)
		}
		s.next() // arrives at the socket, is never looked at
	})
	c := newTestClient(t, home.URL, nil)
	const callers, each = 16, 100
	results := make([][]Result, callers)
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			for i := range each {
				if c.Wait(testContext(t)) != nil {
					t.Error("no connection")
					return
				}
				ctx, cancel := context.WithCancel(context.Background())
				if i%10 == 0 {
					cancel()
				}
				results[n] = append(results[n], c.CallAction(ctx, ServiceCall{Domain: "x", Service: fmt.Sprintf("s%d_%d", n, i)}))
				cancel()
			}
		})
	}
	wg.Wait()
	_ = c.Close()
	home.Close()
	seen := map[Outcome]int{}
	for n := range callers {
		for i, r := range results[n] {
			times := arrived[fmt.Sprintf("s%d_%d", n, i)]
			seen[r.Outcome]++
			switch {
			case times > 1,
				r.Outcome == Done && times != 1,
				r.Outcome == NotSent && times != 0,
				r.Outcome == Rejected, r.Outcome == Failed:
				t.Errorf("arrived %d times: %+v", times, r)
			}
		}
	}
	if seen[Done] == 0 || seen[Unknown] == 0 || seen[NotSent] == 0 {
		t.Errorf("the test shows nothing: %v", seen)
	}
}

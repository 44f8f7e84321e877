package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

func randomCode(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[rand.IntN(len(alphabet))]
	}
	return string(b)
}

// Threat 25: 10,000 wrong links from an address, most of them answered 429, and
// then the right one from there.
func TestThreat25_TenThousandWrongLinksAndThenTheRightOne(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	l := s.link(openFrontDoor, 1)
	before := h.opens()

	var mu sync.Mutex
	statuses := make(map[int]int)
	var last answer
	var wg sync.WaitGroup
	const guessers, each = 8, 1250
	for g := range guessers {
		wg.Go(func() {
			for i := range each {
				code := randomCode(24)
				switch i % 4 {
				case 1:
					code = l.id + randomCode(18)
				case 2:
					code = l.code[:23] + string(alphabet[(strings.IndexByte(alphabet, l.code[23])+1+i%31)%32])
				case 3:
					code = l.code[:20+g%4]
				}
				method := "GET"
				if i%2 == 0 {
					method = "POST"
				}
				a := send(http1, method, "http://"+s.guests+"/"+code, "", "Accept", "application/json")
				mu.Lock()
				statuses[a.status]++
				if a.status == http.StatusTooManyRequests {
					last = a
				}
				mu.Unlock()
				// Also in between the right one is never turned away.
				if i%100 == 99 {
					l.get().is(t, 200).left(t, 1)
				}
			}
		})
	}
	wg.Wait()
	if statuses[404]+statuses[429] != guessers*each || statuses[429] < guessers*each*9/10 || statuses[404] < 5 {
		t.Errorf("answers: %v", statuses)
	}
	if seconds, err := strconv.Atoi(last.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 600 {
		t.Errorf("Retry-After %q", last.header.Get("Retry-After"))
	}
	if last.Code != "too_many_tries" || !strings.HasPrefix(last.header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("the problem: %s", last.body)
	}
	asRead(send(http1, "GET", "http://"+s.guests+"/"+randomCode(24), "", "Accept", "text/html")).is(t, 429).
		shows(t, "One moment, please", "Too many wrong codes came from your network.")

	// As typed: lower case, dashes, spaces.
	typed := strings.ToLower(l.code[:6] + "-" + l.code[6:12] + "%20" + l.code[12:])
	send(http1, "GET", "http://"+s.guests+"/"+typed, "", "Accept", "application/json").is(t, 200).left(t, 1)
	l.press("").is(t, 200, "done").left(t, 0)
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}
}

// Threat 25: what is not shaped like a link is a plain 404 and counts for nothing.
func TestThreat25_ScannersCountForNothing(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	paths := []string{"favicon.ico", "robots.txt", ".env", "wp-login.php", "apple-touch-icon.png", "index.html", "a/b/c", ".git/config", "x"}
	for i := range 200 {
		path := paths[i%len(paths)]
		if a := send(http1, "GET", fmt.Sprintf("http://%s/%s?%d", s.guests, path, i), ""); a.status != 404 {
			t.Fatalf("/%s: %d", path, a.status)
		}
	}
	// The first wrong link is still one of those that are forgiven.
	send(http1, "GET", "http://"+s.guests+"/"+randomCode(24), "", "Accept", "application/json").is(t, 404)
	if log := s.api("GET", "/api/log", nil).is(t, 200); len(log.Entries) != 0 {
		t.Errorf("scanners are in the host's log: %s", log.body)
	}
}

package caddyonetime

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

func TestGuestOpensTheDoor(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)

	if status, body := r.request("GET", "/"+code); status != 200 || !strings.Contains(body, `"ready"`) {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := r.request("POST", "/"+code); status != 200 || !strings.Contains(body, `"done"`) {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := r.request("POST", "/"+code); status != 410 || !strings.Contains(body, `"used_up"`) {
		t.Fatalf("%d %s", status, body)
	}
	if n := r.home.Runs("script.open_front_door"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

// Beside a running Caddy, or before it has ever run, validate opens no store and
// no connection and writes no key.
func TestValidateTouchesNothing(t *testing.T) {
	r := newRig(t)
	config := r.caddyfile("", "", "")
	validate := func() {
		t.Helper()
		body, err := adapt(t, config)
		if err != nil {
			t.Fatal(err)
		}
		var cfg caddy.Config
		if err := json.Unmarshal(caddy.RemoveMetaFields(body), &cfg); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&cfg); err != nil {
			t.Fatal(err)
		}
	}

	validate()
	for _, name := range []string{"onetime.db", "storage"} {
		if _, err := os.Stat(filepath.Join(r.dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	if n := r.home.Connections(); n != 0 {
		t.Errorf("%d connections to the home", n)
	}

	r.run(config)
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	before := r.home.Connections()
	validate()
	if n := r.home.Connections(); n != before {
		t.Errorf("%d connections to the home, %d before", n, before)
	}
	if status, body := r.request("POST", "/"+code, "Idempotency-Key", "k"); status != 200 {
		t.Errorf("after validate: %d %s", status, body)
	}
}

// 20 reloads under load: every press that was answered ran once, none that was
// answered otherwise ran, and nothing is left over.
func TestThreat10_ReloadsUnderLoadLoseNothing(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	r.link("front_door", openFrontDoor, "Tom", 1)
	s := r.service()

	level := func() (goroutines, files int) {
		r.host.CloseIdleConnections()
		runtime.GC()
		entries, _ := os.ReadDir("/proc/self/fd")
		return runtime.NumGoroutine(), len(entries)
	}
	// One reload beforehand, so that what Caddy makes once is there.
	r.run(r.caddyfile("house Warm", "", ""))
	goroutinesBefore, filesBefore := level()

	const guests = 4
	var done, sent atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	problems := make(chan string, 1000)
	for range guests {
		wg.Go(func() {
			for ctx.Err() == nil {
				one := 1
				token, err := s.CreateToken(t.Context(), onetime.Person{ID: "anna"}, onetime.TokenSpec{Actions: []string{"front_door"}, UsesMax: &one})
				if err != nil {
					problems <- err.Error()
					return
				}
				// A connection of its own for each: one that is idle or not
				// accepted yet is Caddy's to end. The key makes it safe to
				// press again where the connection went that way.
				for try := range 50 {
					req, _ := http.NewRequest("POST", "http://"+r.addr+"/"+s.Code(token), nil)
					req.Header.Set("Idempotency-Key", "press")
					req.Close = true
					res, err := r.host.Do(req)
					if err != nil {
						if try == 49 {
							problems <- err.Error()
						}
						continue
					}
					var answer struct{ Outcome, Code string }
					err = json.NewDecoder(res.Body).Decode(&answer)
					res.Body.Close()
					sent.Add(1)
					if res.StatusCode != 200 || answer.Outcome != "done" || err != nil {
						problems <- fmt.Sprintf("%d %+v %v", res.StatusCode, answer, err)
					} else {
						done.Add(1)
					}
					break
				}
			}
		})
	}
	for i := range 20 {
		before := done.Load()
		if err := r.load(r.caddyfile(fmt.Sprintf("house %d", i), "", "")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "guests go on", func() bool { return done.Load() >= before+guests || len(problems) > 0 })
	}
	stop()
	wg.Wait()
	close(problems)
	for p := range problems {
		t.Error(p)
	}
	if runs := int64(r.home.Runs("script.open_front_door")); runs != done.Load() {
		t.Errorf("%d presses were answered as done and it ran %d times", done.Load(), runs)
	}
	t.Logf("%d presses", sent.Load())
	if n := r.home.Connections(); n != 1 {
		t.Errorf("%d connections to the home", n)
	}
	eventually(t, "goroutines are as many as before", func() bool {
		goroutines, files := level()
		return goroutines <= goroutinesBefore+3 && files <= filesBefore+3
	})
}

// A redemption that has begun runs to its end, and is written down, even when
// a reload takes all of this away meanwhile.
func TestRedemptionOutlivesItsConfiguration(t *testing.T) {
	r := newRig(t)
	config := r.caddyfile("", "", "")
	r.run(config)
	id, code := r.link("front_door", openFrontDoor, "Tom", 1)
	r.home.Fault(hasstest.HangService("script.open_front_door"))

	answered := make(chan string, 1)
	go func() {
		status, body := r.request("POST", "/"+code)
		answered <- fmt.Sprint(status, body)
	}()
	eventually(t, "the home is asked", func() bool { return len(r.home.CallsTo("script.open_front_door")) == 1 })

	if err := r.load("{\nadmin off\n}\n"); err != nil {
		t.Fatal(err)
	}
	// And back, while it is under way: the same store, not a second opening.
	if err := r.load(config); err != nil {
		t.Fatal(err)
	}
	r.home.Heal()
	if got := <-answered; !strings.Contains(got, `"done"`) {
		t.Errorf("the guest was told %s", got)
	}
	v, err := r.service().Token(t.Context(), id)
	if err != nil || v.Token.Uses["front_door"].Last != onetime.OutcomeDone {
		t.Errorf("%+v, %v", v, err)
	}
}

// When the last thing that uses a store is a redemption, the store closes behind
// it, with its outcome written down.
func TestLastRedemptionClosesTheStore(t *testing.T) {
	r := newRig(t)
	config := r.caddyfile("", "", "")
	r.run(config)
	id, code := r.link("front_door", openFrontDoor, "Tom", 1)
	r.home.Fault(hasstest.HangService("script.open_front_door"))

	// A guest who presses and hangs up.
	ctx, hangUp := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "POST", "http://"+r.addr+"/"+code, nil)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if res, err := r.host.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	eventually(t, "the home is asked", func() bool { return len(r.home.CallsTo("script.open_front_door")) == 1 })
	e := r.app().held
	hangUp()
	<-gone
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.closed:
		t.Fatal("closed under a redemption")
	default:
	}
	r.home.Heal()
	<-e.closed

	r.run(config)
	v, err := r.service().Token(t.Context(), id)
	if err != nil || v.Token.Uses["front_door"].Last != onetime.OutcomeDone {
		t.Errorf("%+v, %v", v, err)
	}
}

// Two names of one store are one store.
func TestStoreIsSharedBySymlink(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)

	link := filepath.Join(r.dir, "link")
	if err := os.Symlink(r.dir, link); err != nil {
		t.Fatal(err)
	}
	config := strings.ReplaceAll(r.caddyfile("", "", ""), "bbolt "+r.dir, "bbolt "+link)
	if err := r.load(config); err != nil {
		t.Fatal(err)
	}
	if status, _ := r.request("GET", "/"+code); status != 200 {
		t.Errorf("status %d", status)
	}
}

// A configuration that cannot start is taken back, and the old one goes on with
// its own settings.
func TestFailedReloadChangesNothing(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)

	broken := r.caddyfile("", "", "") + "http://203.0.113.7:1 {\nrespond hello\n}\n" // an address that is not ours
	broken = strings.Replace(broken, "hass {", "hass other {", 1)
	broken = strings.Replace(broken, "http://203.0.113.7:1 {", "http://203.0.113.7:1 {\nbind 203.0.113.7", 1)
	if err := r.load(broken); err == nil {
		t.Fatal("it started")
	}
	if status, body := r.request("POST", "/"+code, "Idempotency-Key", "k"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

func TestThreat28_StoreHeldByAnotherProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the lock")
	}
	r := newRig(t)
	// A lock is of an open file, so this is as good as another process.
	other, err := boltstore.Open(filepath.Join(r.dir, "onetime.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	err = r.load(r.caddyfile("", "", ""))
	if err == nil || !strings.Contains(err.Error(), filepath.Join(r.dir, "onetime.db")) {
		t.Errorf("got %v", err)
	}
}

func TestStoreCannotBeMade(t *testing.T) {
	r := newRig(t)
	if err := os.WriteFile(filepath.Join(r.dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/file/onetime.db", "/.."} {
		config := strings.Replace(r.caddyfile("", "", ""), "/onetime.db", path, 1)
		if err := r.load(config); err == nil || !strings.Contains(err.Error(), "store") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

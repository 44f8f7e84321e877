package onetime_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime/onetimetest"
)

// The steps of a redemption at which the process is killed.
var crashSteps = []string{"before reserve", "after reserve", "asked", "answered", "before settle", "after settle"}

func TestMain(m *testing.M) {
	if step := os.Getenv("ONETIME_CRASH_STEP"); step != "" {
		crash(step, os.Getenv("ONETIME_CRASH_DIR"))
		os.Exit(3) // still alive
	}
	os.Exit(m.Run())
}

// crash is the process that dies: it redeems a token, and kills itself with
// SIGKILL at a step.
func crash(step, dir string) {
	die := func(at string) {
		if at == step {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	bolt, err := boltstore.Open(filepath.Join(dir, "onetime.db"))
	if err != nil {
		panic(err)
	}
	home := &onetimetest.Home{}
	home.OnRun = func(context.Context, *onetime.Definition) {
		die("after reserve")
		// What the home does outlives us: a line for each run.
		f, err := os.OpenFile(filepath.Join(dir, "runs"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, "run")
		f.Close()
		die("asked")
	}
	s, err := onetime.New(context.Background(), onetime.Config{
		Store: &dyingStore{Store: bolt, die: die}, Signer: onetime.NewSigner(key),
		Homes: onetimetest.Homes{onetime.DefaultHome: home},
	})
	if err != nil {
		panic(err)
	}
	code, err := os.ReadFile(filepath.Join(dir, "code"))
	if err != nil {
		panic(err)
	}
	_, _ = s.Redeem(context.Background(), onetime.RedeemRequest{Code: string(code), Key: "k"})
}

// dyingStore dies before or after it has put a step of the journal on disk.
type dyingStore struct {
	onetime.Store
	die     func(string)
	updates int
}

func (d *dyingStore) Update(fn func(onetime.Tx) error) error {
	d.updates++
	// The first update recovers, the second reserves, the third settles.
	step := map[int]string{2: "reserve", 3: "settle"}[d.updates]
	if step == "settle" {
		d.die("answered")
	}
	err := d.Store.Update(func(tx onetime.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		d.die("before " + step)
		return nil
	})
	if step == "settle" {
		d.die("after settle")
	}
	return err
}

// Promises 1 and 2, threat 23: a real process is killed with SIGKILL at each
// step between reserve and answer. The next one finds the use spent if the home
// may have been asked, never runs the press again, and says what is known.
func TestPromise1_KillAtEachStep(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, step := range crashSteps {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			tok := w.token(1, "front_door")
			dir := filepath.Dir(w.path)
			if err := os.WriteFile(filepath.Join(dir, "code"), []byte(w.Code(tok)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), "ONETIME_CRASH_STEP="+step, "ONETIME_CRASH_DIR="+dir)
			out, err := cmd.CombinedOutput()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("the process was not killed: %v\n%s", err, out)
			}
			ran := 0
			if runs, err := os.ReadFile(filepath.Join(dir, "runs")); err == nil {
				ran = strings.Count(string(runs), "run")
			}

			w.open()
			r, err := w.press(tok, "k")
			if err != nil {
				t.Fatal(err)
			}
			total := ran + w.home.Done()
			switch step {
			case "before reserve":
				if r.Outcome != onetime.OutcomeDone || r.Replayed || total != 1 {
					t.Errorf("got %+v after %d runs: nothing had been written down", r, total)
				}
			case "after settle":
				if r.Outcome != onetime.OutcomeDone || !r.Replayed || total != 1 {
					t.Errorf("got %+v after %d runs", r, total)
				}
			default:
				if r.Outcome != onetime.OutcomeUnknown || r.Cause != onetime.CauseCutOff || !r.Replayed || total > 1 || *r.UsesLeft != 0 {
					t.Errorf("got %+v after %d runs", r, total)
				}
				if e := w.observed(onetime.HappenedRedemption, 1)[0]; e.Outcome != onetime.OutcomeUnknown || e.Guest != "Tom" {
					t.Errorf("the host is told %+v", e)
				}
			}
			// Pressing anew runs nothing either: the one use is spent.
			_, err = w.press(tok, "another key")
			refusedAs(t, err, onetime.StatusUsedUp)
			if again := ran + w.home.Done(); again != total {
				t.Errorf("a press on a used link ran: %d", again)
			}
			w.clock.Move(time.Second)
		})
	}
}

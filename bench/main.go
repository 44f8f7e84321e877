// Command bench measures this Caddy from outside, as a process, with fixed work:
//
//	go run ./bench               CPU per request with and without hass_jwt
//	go run ./bench -start        time to start, beside a Caddy with standard modules only
//	go run ./bench -page         page views per second
//	go run ./bench -redeem       durable redemptions per second, 64 guests at once
//	go run ./bench -all
//
// It builds what it measures, talks to loopback only, keeps everything in a temporary
// folder (in TMPDIR: choose the disk to measure by it), and ends by itself.
// What is measured on one machine counts for that machine, in the state it is in: the load
// average is printed with every result. docs/performance.md has results.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// options are how much work there is to do.
type options struct {
	rounds, requests, conns int
	tokens                  string
	dir                     string // everything is in it
	caddy                   string // the binary
}

func main() {
	var o options
	jwt := flag.Bool("jwt", false, "CPU per request with and without hass_jwt (the default)")
	start := flag.Bool("start", false, "time to start")
	page := flag.Bool("page", false, "page views per second")
	redeem := flag.Bool("redeem", false, "durable redemptions per second")
	all := flag.Bool("all", false, "all of these")
	flag.IntVar(&o.rounds, "rounds", 12, "rounds of each side; the first is a warm-up")
	flag.IntVar(&o.requests, "requests", 25_000, "requests in a round")
	flag.IntVar(&o.conns, "conns", 64, "connections at once")
	flag.StringVar(&o.tokens, "tokens", "10,10000", "tokens in the store, for -redeem")
	flag.StringVar(&o.caddy, "caddy", "", "binary to measure (default: ./cmd/caddy is built)")
	flag.Parse()

	if err := run(&o, map[string]bool{
		"jwt":    *jwt || *all || !*start && !*page && !*redeem,
		"start":  *start || *all,
		"page":   *page || *all,
		"redeem": *redeem || *all,
	}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o *options, wanted map[string]bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Whatever hangs, it ends.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()

	if o.rounds < 2 || o.requests < 1 || o.conns < 1 {
		return fmt.Errorf("-rounds needs 2 or more, -requests and -conns 1 or more")
	}
	dir, err := os.MkdirTemp("", "caddy-hass-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir = dir

	if o.caddy == "" {
		if o.caddy, err = build(ctx, dir, "caddy", "./cmd/caddy"); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d CPUs, load %s\n\n", runtime.Version(), runtime.NumCPU(), load())
	for _, m := range []struct {
		name string
		run  func(context.Context, *options) error
	}{{"jwt", measureJWT}, {"start", measureStart}, {"page", measurePages}, {"redeem", measureRedemptions}} {
		if !wanted[m.name] {
			continue
		}
		if err := m.run(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Printf("load now %s\n\n", load())
	}
	return nil
}

func build(ctx context.Context, dir, name, pkg string) (string, error) {
	path := filepath.Join(dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// load is what other people do with this machine meanwhile.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

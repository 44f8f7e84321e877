package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a Caddy that runs as a process of its own.
type server struct {
	cmd   *exec.Cmd
	log   *bytes.Buffer
	ready time.Duration // from exec until it answered
}

// startServer runs a binary with a Caddyfile until stop, and waits until it
// accepts connections at addr.
func startServer(ctx context.Context, binary, dir, caddyfile, addr string, env ...string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(caddyfile), 0o600); err != nil {
		return nil, err
	}
	s := &server{log: new(bytes.Buffer)}
	s.cmd = exec.CommandContext(ctx, binary, "run", "--config", config, "--adapter", "caddyfile")
	s.cmd.Env = append(os.Environ(), append(env, "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)...)
	s.cmd.Stderr = s.log
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 10 * time.Second

	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			s.ready = time.Since(begin)
			return s, c.Close()
		}
		if time.Since(begin) > 30*time.Second || ctx.Err() != nil {
			s.stop()
			return nil, fmt.Errorf("%s did not start:\n%s", binary, s.log)
		}
		time.Sleep(500 * time.Microsecond)
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// cpu is how much processor time the process has used so far. Its resolution is
// a tick of 10 ms.
func (s *server) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("processor time is only known on Linux: %w", err)
	}
	// The name in parentheses may contain anything; fields 14 and 15 are behind it.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("/proc/%d/stat is in no known form", s.cmd.Process.Pid)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// freeAddr is an address on loopback that nobody listens at.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

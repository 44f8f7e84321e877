package reload

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestStack(t *testing.T) {
	var s Stack[string]
	if got := s.Current(); got != "" {
		t.Fatalf("empty: %q", got)
	}
	removeOld := s.Push("old")
	removeNew := s.Push("new")
	if got := s.Current(); got != "new" {
		t.Fatalf("after a reload: %q", got)
	}

	// A reload that failed is taken back: the old one counts again.
	removeNew()
	if got := s.Current(); got != "old" {
		t.Fatalf("after a failed reload: %q", got)
	}

	// A reload that worked takes away the old one.
	s.Push("newer")
	removeOld()
	removeOld() // twice does no harm
	if got := s.Current(); got != "newer" {
		t.Fatalf("after a reload: %q", got)
	}
}

func TestStackKeepsTheLast(t *testing.T) {
	var s Stack[string]
	s.Push("only")()
	if got := s.Current(); got != "only" {
		t.Fatalf("got %q", got)
	}
}

func TestLoggerFollows(t *testing.T) {
	var first, second bytes.Buffer
	var s Stack[*slog.Logger]
	s.Push(slog.New(slog.NewTextHandler(&first, nil)))

	log := Logger(s.Current).With("home", "cabin").WithGroup("g").With("a", 1)
	log.Info("one")
	s.Push(slog.New(slog.NewTextHandler(&second, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.Debug("two")

	if !strings.Contains(first.String(), "msg=one home=cabin g.a=1") || strings.Contains(first.String(), "two") {
		t.Errorf("first: %s", first.String())
	}
	if !strings.Contains(second.String(), "msg=two home=cabin g.a=1") || strings.Contains(second.String(), "one") {
		t.Errorf("second: %s", second.String())
	}
}

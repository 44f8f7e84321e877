package host

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// eventStream is an open stream of events.
type eventStream struct {
	t      testing.TB
	resp   *http.Response
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

type event struct{ id, name, data string }

func (w *world) events(who Visitor, path string, header ...string) *eventStream {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	req, err := http.NewRequestWithContext(ctx, "GET", w.srv.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for name, v := range visitors {
		if v.ID == who.ID {
			req.Header.Set("Test-User", name)
		}
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("GET %s: %d %s", path, resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	s := &eventStream{t: w.t, resp: resp, lines: bufio.NewScanner(resp.Body), cancel: cancel}
	w.t.Cleanup(s.close)
	return s
}

// next waits for the next event; ok is false when the stream has ended.
func (s *eventStream) next() (e event, ok bool) {
	for s.lines.Scan() {
		line := s.lines.Text()
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.data != "" {
				return e, true
			}
		}
	}
	return e, false
}

// comment waits for a comment.
func (s *eventStream) comment() bool {
	for s.lines.Scan() {
		if strings.HasPrefix(s.lines.Text(), ":") {
			return true
		}
	}
	return false
}

func (s *eventStream) close() { s.cancel(); s.resp.Body.Close() }

func TestEventsGoOnWhereTheyEnded(t *testing.T) {
	w := newWorld(t)
	w.actions()
	s := w.events(anna, "/api/events")
	id := w.link(anna, `{"actions":["front_door"],"uses_max":3}`)
	created, ok := s.next()
	if !ok || created.name != "token_created" || !strings.Contains(created.data, `"token":"`+id+`"`) {
		t.Fatalf("got %+v", created)
	}
	s.close()

	// Meanwhile, two things happen.
	w.press(id)
	w.do(anna, "DELETE", "/api/tokens/"+id, nil).want(204)
	s = w.events(anna, "/api/events", "Last-Event-ID", created.id)
	for _, want := range []string{"redemption", "token_revoked"} {
		if e, ok := s.next(); !ok || e.name != want {
			t.Fatalf("got %+v, want %s", e, want)
		}
	}
	if v, err := w.svc.Token(t.Context(), id); err != nil {
		t.Fatal(err)
	} else if code := w.svc.Code(v.Token); strings.Contains(created.data, code[6:]) {
		t.Error("an event holds the secret of a link")
	}
}

func TestEventsGoOnAfterABackupWasRestored(t *testing.T) {
	w := newWorld(t)
	w.actions()
	var backup bytes.Buffer
	if err := w.svc.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	s := w.events(anna, "/api/events?after=0")
	// More happens than the restored log says, so that its ids are smaller.
	for range 5 {
		w.link(anna, `{"actions":["front_door"]}`)
	}
	lastID := ""
	for range 2 + 5 {
		e, ok := s.next()
		if !ok {
			t.Fatal("the stream ended")
		}
		lastID = e.id
	}
	if err := w.svc.Restore(t.Context(), anna.Person, &backup, onetime.NewSigner(bytes.Repeat([]byte{7}, onetime.LinkKeyLength))); err != nil {
		t.Fatal(err)
	}
	if e, ok := s.next(); !ok || e.name != "backup_restored" {
		t.Fatalf("an open stream: got %+v", e)
	}
	// And who comes back with an id that is not there any more, or never was.
	for _, id := range []string{lastID, "9223372036854775807"} {
		back := w.events(anna, "/api/events", "Last-Event-ID", id)
		link := w.link(anna, `{"actions":["front_door"]}`)
		if e, ok := back.next(); !ok || e.name != "token_created" || !strings.Contains(e.data, link) {
			t.Fatalf("after %s: got %+v", id, e)
		}
		if e, ok := s.next(); !ok || !strings.Contains(e.data, link) {
			t.Fatalf("the open stream: got %+v", e)
		}
	}
}

func TestEventsKeepOpenAndEnd(t *testing.T) {
	w := newWorld(t)
	w.actions()
	w.h.heartbeat = time.Millisecond
	s := w.events(anna, "/api/events")
	for range 2 {
		if !s.comment() {
			t.Fatal("no heartbeat")
		}
	}
	w.h.Close()
	if e, ok := s.next(); ok {
		t.Fatalf("the stream went on after Close: %+v", e)
	}

	w.serve("")
	s = w.events(anna, "/api/events")
	if err := w.svc.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e, ok := s.next(); ok {
		t.Fatalf("the stream went on after the service: %+v", e)
	}
}

func TestEventsShowOnlyWhatOneMaySee(t *testing.T) {
	w := newWorld(t)
	w.actions()
	annas := w.link(anna, `{"actions":["front_door"]}`)
	bens := w.link(ben, `{"actions":["front_door"]}`)
	w.press(annas)
	w.press(bens)
	w.do(anna, "PUT", "/api/pause", `{"paused":true}`).want(200)
	w.do(anna, "DELETE", "/api/tokens/"+bens, nil).want(204)

	s := w.events(ben, "/api/events?after=0")
	for _, want := range []string{"token_created", "redemption", "token_revoked"} {
		e, ok := s.next()
		if !ok || e.name != want || !strings.Contains(e.data, bens) {
			t.Fatalf("got %+v, want %s of %s", e, want, bens)
		}
	}
	w.get(anna, "/api/events?after=-1").field("after")
	w.get(anna, "/api/events", "Last-Event-ID", "none").field("Last-Event-ID")
}

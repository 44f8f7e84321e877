package host

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

const (
	eventBatch   = 100
	eventTimeout = 30 * time.Second // for a client to take a batch
)

// events is the log as it is written, as server-sent events: id is an entry's
// seq, event is what happened, data is the entry. It goes on after
// Last-Event-ID, or begins with the next thing that happens.
func (r *request) events() error {
	q := r.query()
	after := q.number("after", 0, 1<<63-1)
	resume := q.values.Has("after")
	if err := q.end(); err != nil {
		return err
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		n, err := strconv.ParseUint(id, 10, 63)
		if err != nil {
			return badField("Last-Event-ID", "must be the id of an event of this stream.")
		}
		after, resume = n, true
	}
	// Ids that the log has not come to are of before a backup was restored.
	last, err := r.svc.LastEntry(r.Context())
	if err != nil {
		return err
	}
	if !resume || after > last {
		after = last
	}

	r.w.Header().Set("Content-Type", "text/event-stream")
	r.w.Header().Set("X-Accel-Buffering", "no")
	r.w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	s := &stream{request: r, rc: http.NewResponseController(r.w), after: after}
	if s.send("retry: 2000\n\n") != nil {
		return nil
	}
	beat := time.NewTicker(r.h.heartbeat)
	defer beat.Stop()
	for {
		// Before reading, so that nothing falls between reading and waiting.
		changed := r.svc.Changed()
		more, err := s.catchUp()
		if err != nil {
			return nil // the client is gone, or the service: it comes back
		}
		if more {
			continue
		}
		select {
		case <-changed:
		case <-beat.C:
			if s.send(":\n\n") != nil {
				return nil
			}
		case <-r.h.closing:
			return nil
		case <-r.svc.Ended():
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// stream is one client's stream of events.
type stream struct {
	*request
	rc    *http.ResponseController
	after uint64
}

// catchUp sends what has happened; more says that there may be more.
func (s *stream) catchUp() (more bool, err error) {
	select {
	case <-s.h.closing:
		return false, onetime.ErrClosed
	case <-s.Context().Done():
		return false, s.Context().Err()
	default:
	}
	entries, err := s.svc.EntriesAfter(s.Context(), s.after, eventBatch)
	if err != nil {
		return false, err
	}
	if len(entries) == 0 {
		return s.rewound()
	}
	return len(entries) == eventBatch, s.sendAll(entries)
}

func (s *stream) sendAll(entries []onetime.Entry) error {
	for _, e := range entries {
		s.after = e.Seq
		if mine := s.mine(); mine != "" && !e.Concerns(mine) {
			continue
		}
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if err := s.send(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.What, data)); err != nil {
			return err
		}
	}
	return nil
}

// rewound goes back to where the log ends now: a backup that was restored has
// put an older one in its place, with an entry that says so at its end.
func (s *stream) rewound() (more bool, err error) {
	last, err := s.svc.LastEntry(s.Context())
	if err != nil || last >= s.after {
		return false, err
	}
	s.after = last - min(last, 1)
	return true, nil
}

func (s *stream) send(text string) error {
	// Servers without deadlines, such as a test's recorder, go without.
	s.rc.SetWriteDeadline(time.Now().Add(eventTimeout))
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.rc.Flush()
}

package caddyjwt

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	// maxHeld and heldFor bound how much of an answer is held back, and how long.
	maxHeld = 64 << 10
	heldFor = 2 * time.Second
)

// heldAnswer holds an answer back, header and body, until release, so that the
// header can still be added to. One that is too long or takes too long goes on by
// itself, as it came.
type heldAnswer struct {
	*caddyhttp.ResponseWriterWrapper

	mu       sync.Mutex
	status   int
	header   http.Header // as the handlers behind write it
	body     bytes.Buffer
	began    time.Time
	timer    *time.Timer
	released bool
	flush    bool
	err      error
}

func hold(w http.ResponseWriter) *heldAnswer {
	return &heldAnswer{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		header:                w.Header().Clone(),
	}
}

// Header implements http.ResponseWriter. The header belongs to the handlers behind
// until the answer is released.
func (h *heldAnswer) Header() http.Header {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released {
		return h.ResponseWriter.Header() // trailers
	}
	return h.header
}

// WriteHeader implements http.ResponseWriter.
func (h *heldAnswer) WriteHeader(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.released || h.status != 0:
		return
	case status >= 100 && status < 200:
		h.ResponseWriter.WriteHeader(status)
		return
	}
	h.status, h.began = status, now()
	h.header = h.header.Clone() // what the answer is, whoever goes on writing to it
	if status != http.StatusOK {
		h.letGo()
		return
	}
	h.timer = time.AfterFunc(heldFor, func() {
		h.mu.Lock()
		h.flush = true // the rest may be long in coming
		h.mu.Unlock()
		h.release(nil)
	})
}

// Write implements http.ResponseWriter.
func (h *heldAnswer) Write(b []byte) (int, error) {
	h.mu.Lock()
	if h.status == 0 {
		h.mu.Unlock()
		h.WriteHeader(http.StatusOK)
		h.mu.Lock()
	}
	defer h.mu.Unlock()
	if !h.released && h.body.Len()+len(b) > maxHeld {
		h.letGo()
	}
	if h.released {
		if h.err != nil {
			return 0, h.err
		}
		return h.ResponseWriter.Write(b)
	}
	return h.body.Write(b)
}

// ReadFrom implements io.ReaderFrom: the wrapped writer's would go past Write.
func (h *heldAnswer) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{h}, r)
}

// FlushError is called by way of http.ResponseController.
func (h *heldAnswer) FlushError() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.released {
		h.flush = true
		return nil
	}
	return http.NewResponseController(h.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (h *heldAnswer) Flush() { _ = h.FlushError() }

// whole returns the answer's body and header if all of it is still held.
func (h *heldAnswer) whole() (header http.Header, body []byte, began time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.header, h.body.Bytes(), h.began, !h.released && h.status == http.StatusOK
}

// release lets the answer go on. add, if any, adds to its header, unless it has
// gone already.
func (h *heldAnswer) release(add func(http.Header)) (added bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released || h.status == 0 {
		return false
	}
	if add != nil {
		add(h.header)
	}
	h.letGo()
	return true
}

// letGo is called with h.mu held.
func (h *heldAnswer) letGo() {
	h.released = true
	if h.timer != nil {
		h.timer.Stop()
	}
	to := h.ResponseWriter.Header()
	clear(to)
	for name, values := range h.header {
		to[name] = values
	}
	h.ResponseWriter.WriteHeader(h.status)
	if h.body.Len() > 0 {
		_, h.err = h.ResponseWriter.Write(h.body.Bytes())
	}
	if h.flush {
		_ = http.NewResponseController(h.ResponseWriter).Flush()
	}
}

package caddyonetime

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// outboxLength is how many messages may wait for one receiver. A home
	// that is away while many press loses the rest; the log has them.
	outboxLength = 64

	// outboxLastly is how long messages may still go out when the store has
	// closed.
	outboxLastly = 3 * time.Second
)

// outbox sends messages off everybody's path: in order for each receiver, none
// waiting for another receiver, and nobody waiting for any.
type outbox struct {
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	idle   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	queues map[string]*queue // those with something in them, by receiver
}

type queue struct{ waiting []func(context.Context) }

func newOutbox(log *slog.Logger) *outbox {
	o := &outbox{log: log, queues: make(map[string]*queue)}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	return o
}

// put hands over a message and never waits. It reports false when it is dropped
// because too many wait already.
func (o *outbox) put(receiver string, send func(context.Context)) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	q, busy := o.queues[receiver]
	if !busy {
		q = new(queue)
		o.queues[receiver] = q
	}
	if len(q.waiting) >= outboxLength {
		return false
	}
	q.waiting = append(q.waiting, send)
	if !busy {
		o.idle.Go(func() { o.drain(receiver, q) })
	}
	return true
}

// drain sends what waits for a receiver until nothing does.
func (o *outbox) drain(receiver string, q *queue) {
	for {
		o.mu.Lock()
		if len(q.waiting) == 0 {
			delete(o.queues, receiver)
			o.mu.Unlock()
			return
		}
		send := q.waiting[0]
		q.waiting = q.waiting[1:]
		o.mu.Unlock()
		if o.ctx.Err() == nil {
			o.safely(send)
		}
	}
}

// safely keeps a fault in a message from ending the process.
func (o *outbox) safely(send func(context.Context)) {
	defer func() {
		if p := recover(); p != nil {
			o.log.Error("a notification could not be sent", "panic", p)
		}
	}()
	send(o.ctx)
}

// close lets what waits go out for a moment and drops the rest.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	timer := time.AfterFunc(outboxLastly, o.cancel)
	o.idle.Wait()
	timer.Stop()
	o.cancel()
}

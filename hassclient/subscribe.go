package hassclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// subscriptionQueue is how many events may wait for a subscription's function.
const subscriptionQueue = 1024

// Subscription is a standing order to the home. It outlives connections: after
// each reconnect it is given anew.
type Subscription struct {
	client *Client
	body   []byte
	inline func(cn *conn, event json.RawMessage) // on the reader: must not wait
	queue  chan json.RawMessage                  // else
	done   chan struct{}                         // closed by Unsubscribe
	once   sync.Once

	attaching sync.Mutex // held while it is being given to a home

	mu   sync.Mutex
	conn *conn // that it was last given to
	id   uint64
	err  error
}

// Subscribe sends a command that begins a subscription, such as
//
//	{"type": "subscribe_events", "event_type": "mobile_app_notification_action"}
//
// and calls fn with the event member of each message that follows, one at a time
// and in order, until Unsubscribe or Close. It waits, until ctx ends, for a
// connection and for the home's consent; a refusal is a *CommandError. What happens
// while there is no connection is not told later.
//
// fn must keep up: more than a thousand events that wait for it are dropped, and
// the log says so.
func (c *Client) Subscribe(ctx context.Context, message map[string]any, fn func(json.RawMessage)) (*Subscription, error) {
	typ, _ := message["type"].(string)
	body, err := command(typ, message)
	if err != nil {
		return nil, err
	}
	s := &Subscription{
		client: c,
		body:   body,
		queue:  make(chan json.RawMessage, subscriptionQueue),
		done:   make(chan struct{}),
	}
	c.mu.Lock()
	if c.ctx.Err() != nil {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	c.subs[s] = struct{}{}
	c.wg.Go(func() { s.dispatch(fn) })
	c.mu.Unlock()

	for {
		if err = c.Wait(ctx); err != nil {
			break
		}
		cn := c.conn.Load()
		if cn == nil {
			continue // the status is about to follow
		}
		if err = s.attach(ctx, cn); err == nil {
			return s, nil
		}
		if !errors.Is(err, ErrNotConnected) && !errors.Is(err, ErrConnectionLost) {
			break
		}
	}
	s.Unsubscribe()
	return nil, fmt.Errorf("%s: %w", typ, err)
}

// Err is the home's last refusal to take the subscription up again; nil when it
// stands, or waits for a connection.
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Unsubscribe ends the subscription. It does not wait for the home, nor for a
// call of the function that is under way.
func (s *Subscription) Unsubscribe() {
	s.once.Do(func() {
		c := s.client
		c.mu.Lock()
		delete(c.subs, s)
		c.mu.Unlock()
		close(s.done)

		s.mu.Lock()
		cn, id := s.conn, s.id
		s.mu.Unlock()
		if cn != nil {
			cn.unsubscribe(id)
		}
	})
}

// unsubscribe tells the home that nobody listens any longer. All kinds of
// subscriptions end by this command.
func (cn *conn) unsubscribe(id uint64) {
	cn.mu.Lock()
	delete(cn.subs, id)
	cn.mu.Unlock()
	// Its answer is of no interest; without a connection there is nothing to end.
	_, _ = cn.send(fmt.Appendf(nil, `"type":"unsubscribe_events","subscription":%d}`, id), nil)
}

// attach gives the subscription to the home, unless this connection has it.
func (s *Subscription) attach(ctx context.Context, cn *conn) error {
	s.attaching.Lock()
	defer s.attaching.Unlock()
	s.mu.Lock()
	has := s.conn == cn
	s.mu.Unlock()
	select {
	case <-s.done:
		return nil
	default:
		if has {
			return nil
		}
	}
	cl, err := cn.send(s.body, s)
	if err != nil {
		return err
	}
	a := cn.wait(ctx, cl)
	if a.err == nil && a.failed != nil {
		a.err = a.failed
	}
	s.mu.Lock()
	s.err = nil
	if a.failed != nil {
		s.err = a.failed
	}
	if a.err == nil {
		s.conn, s.id = cn, cl.id
	}
	s.mu.Unlock()
	if a.err != nil {
		cn.unsubscribe(cl.id)
		return a.err
	}
	select {
	case <-s.done: // in the meantime
		cn.unsubscribe(cl.id)
	default:
	}
	return nil
}

// resubscribe gives every subscription to a new connection.
func (c *Client) resubscribe(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.subs {
		cn.wg.Go(func() {
			var refused *CommandError
			if err := s.attach(cn.ctx, cn); errors.As(err, &refused) {
				c.cfg.Logger.Warn("the home refuses a subscription that it had taken before",
					"url", c.base.String(), "error", err)
			}
		})
	}
}

// deliver hands an event over; it is called by the connection's reader.
func (s *Subscription) deliver(cn *conn, event json.RawMessage) {
	if s.inline != nil {
		s.inline(cn, event)
		return
	}
	select {
	case s.queue <- bytes.Clone(event):
	default:
		s.client.cfg.Logger.Warn("an event was dropped: its subscriber does not keep up", "url", s.client.base.String())
	}
}

func (s *Subscription) dispatch(fn func(json.RawMessage)) {
	for {
		select {
		case event := <-s.queue:
			fn(event)
		case <-s.done:
			return
		case <-s.client.ctx.Done():
			return
		}
	}
}

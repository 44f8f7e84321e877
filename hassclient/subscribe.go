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

	// Either inline or queue takes events, inline on the connection's reader,
	// so that it must not wait. refused, where set, hears of a refusal.
	inline  func(cn *conn, event json.RawMessage)
	queue   chan json.RawMessage
	refused func(error)

	done      chan struct{} // closed by Unsubscribe
	once      sync.Once
	attaching chan struct{} // holds one: who is giving it to a home

	mu   sync.Mutex
	conn *conn // whose home has answered it last
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
	s := c.newSubscription(body)
	s.queue = make(chan json.RawMessage, subscriptionQueue)
	if !c.spawn(func() { s.dispatch(fn) }) {
		return nil, ErrClosed
	}
	c.keep(s)
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

func (c *Client) newSubscription(body []byte) *Subscription {
	return &Subscription{client: c, body: body, done: make(chan struct{}), attaching: make(chan struct{}, 1)}
}

// keep makes the subscription one that every new connection is given.
func (c *Client) keep(s *Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs[s] = struct{}{}
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
	select {
	case s.attaching <- struct{}{}:
		defer func() { <-s.attaching }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	has, err := s.conn == cn, s.err
	s.mu.Unlock()
	select {
	case <-s.done:
		return nil
	default:
		if has {
			return err
		}
	}
	cl, err := cn.send(s.body, s)
	if err != nil {
		return err
	}
	a := cn.wait(ctx, cl)
	if a.err != nil { // no answer: should one come, it is of no use
		cn.unsubscribe(cl.id)
		return a.err
	}
	err = nil
	if a.failed != nil {
		err = a.failed
	}
	s.mu.Lock()
	s.conn, s.id, s.err = cn, cl.id, err
	s.mu.Unlock()
	select {
	case <-s.done: // in the meantime
		cn.unsubscribe(cl.id)
	default:
	}
	if err != nil && s.refused != nil {
		s.refused(err)
	}
	return err
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

package hassclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/coder/websocket"
)

const (
	// maxMessage bounds what is read: get_states, get_services and the
	// registries of a big home have several MB.
	maxMessage = 32 << 20

	// maxAuthMessage bounds it before the home has said who it is.
	maxAuthMessage = 64 << 10

	// maxCommand bounds what is sent: Home Assistant closes the connection
	// at 4 MiB, and with it everybody's calls.
	maxCommand = 2 << 20

	// maxPending bounds the commands that are queued or wait for an answer. A
	// home that has to say more than 4096 things at once hangs up.
	maxPending = 2048

	// maxBatch bounds the commands that go out as one message.
	maxBatch = 64 << 10

	// keepBuffer is the largest read buffer that is kept for the next message.
	keepBuffer = 1 << 20
)

// conn is one connection, after the home has let us in.
type conn struct {
	client *Client
	ws     *websocket.Conn
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	wg     sync.WaitGroup // its goroutines
	wake   chan struct{}  // something is queued

	mu       sync.Mutex
	lastID   uint64
	queue    []*call // not yet written, in the order of their ids
	pending  map[uint64]*call
	subs     map[uint64]*Subscription
	coalesce bool // the home takes and sends several messages in one
	err      error
}

// call is a command that is queued or waits for its answer.
type call struct {
	id     uint64
	body   []byte
	state  callState
	answer chan answer // takes one
}

type callState uint8

const (
	queued    callState = iota
	withdrawn           // given up before it was written
	written             // handed to the socket, in part at least
)

// answer is what became of a call: an error of this package, or the home's words.
type answer struct {
	sent   bool // whether any of it may have left this process
	err    error
	failed *CommandError
	result json.RawMessage
}

func newConn(c *Client, ctx context.Context, ws *websocket.Conn) *conn {
	cn := &conn{
		client:  c,
		ws:      ws,
		wake:    make(chan struct{}, 1),
		pending: make(map[uint64]*call),
		subs:    make(map[uint64]*Subscription),
	}
	cn.ctx, cn.cancel = context.WithCancel(ctx)
	ws.SetReadLimit(maxMessage)
	cn.wg.Go(cn.read)
	cn.wg.Go(cn.write)
	cn.wg.Go(cn.ping)
	return cn
}

// send queues a command. Its error means that nothing was sent.
func (cn *conn) send(body []byte, sub *Subscription) (*call, error) {
	if len(body) > maxCommand {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(body), maxCommand)
	}
	cl := &call{body: body, answer: make(chan answer, 1)}
	cn.mu.Lock()
	if cn.err != nil {
		err := cn.err
		cn.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	if len(cn.pending) >= maxPending {
		cn.mu.Unlock()
		return nil, ErrBusy
	}
	cn.lastID++
	cl.id = cn.lastID
	cn.pending[cl.id] = cl
	cn.queue = append(cn.queue, cl)
	if sub != nil {
		cn.subs[cl.id] = sub // before its first event can come
	}
	cn.mu.Unlock()

	select {
	case cn.wake <- struct{}{}:
	default:
	}
	return cl, nil
}

// wait returns what becomes of a call, at the latest when ctx ends.
func (cn *conn) wait(ctx context.Context, cl *call) answer {
	select {
	case a := <-cl.answer:
		return a
	case <-ctx.Done():
	}
	cn.mu.Lock()
	delete(cn.pending, cl.id)
	sent := cl.state == written
	if !sent {
		cl.state = withdrawn
	}
	cn.mu.Unlock()
	select {
	case a := <-cl.answer: // it came at the last moment
		return a
	default:
		return answer{sent: sent, err: ctx.Err()}
	}
}

// do sends a command and waits for its answer.
func (cn *conn) do(ctx context.Context, body []byte) answer {
	if err := ctx.Err(); err != nil {
		return answer{err: err}
	}
	cl, err := cn.send(body, nil)
	if err != nil {
		return answer{err: err}
	}
	return cn.wait(ctx, cl)
}

// write sends what is queued, several commands at a time where the home takes
// that. A command counts as sent as soon as it is taken from the queue.
func (cn *conn) write() {
	var buf []byte
	for {
		select {
		case <-cn.wake:
		case <-cn.ctx.Done():
			return
		}
		for {
			if buf = cn.batch(buf[:0]); len(buf) == 0 {
				break
			}
			ctx, cancel := context.WithTimeout(cn.ctx, cn.client.cfg.Timeout)
			err := cn.ws.Write(ctx, websocket.MessageText, buf)
			cancel()
			if err != nil {
				cn.fail(fmt.Errorf("sending: %w", err))
				return
			}
			if cap(buf) > keepBuffer {
				buf = nil
			}
		}
	}
}

// batch takes commands from the queue and appends them as one message.
func (cn *conn) batch(buf []byte) []byte {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	buf = append(buf, '[')
	n, taken := 0, 0
	for _, cl := range cn.queue {
		if n > 0 && (!cn.coalesce || len(buf)+len(cl.body) > maxBatch) {
			break
		}
		taken++
		if cl.state == withdrawn {
			continue
		}
		cl.state = written
		if n++; n > 1 {
			buf = append(buf, ',')
		}
		buf = append(buf, `{"id":`...)
		buf = strconv.AppendUint(buf, cl.id, 10)
		buf = append(buf, ',')
		buf = append(buf, cl.body...)
		cl.body = nil
	}
	rest := copy(cn.queue, cn.queue[taken:])
	clear(cn.queue[rest:])
	cn.queue = cn.queue[:rest]
	switch n {
	case 0:
		return buf[:0]
	case 1:
		return buf[1:]
	}
	return append(buf, ']')
}

// read hands out what comes in. Whatever is not Home Assistant's language ends
// the connection.
func (cn *conn) read() {
	var buf bytes.Buffer
	for {
		typ, r, err := cn.ws.Reader(cn.ctx)
		if err == nil {
			buf.Reset()
			_, err = io.Copy(&buf, r)
		}
		switch {
		case errors.Is(err, websocket.ErrMessageTooBig):
			err = fmt.Errorf("it sent a message of more than %d MB", maxMessage>>20)
		case websocket.CloseStatus(err) != -1:
			err = fmt.Errorf("it closed the connection (%s)", websocket.CloseStatus(err))
		case errors.Is(err, io.EOF):
			err = errors.New("the connection broke off")
		case err != nil:
			err = fmt.Errorf("receiving: %w", err)
		case typ != websocket.MessageText:
			err = fmt.Errorf("%w: binary", errNotAMessage)
		default:
			err = eachMessage(buf.Bytes(), cn.take)
		}
		if err != nil {
			cn.fail(err)
			return
		}
		if buf.Cap() > keepBuffer {
			buf = bytes.Buffer{}
		}
	}
}

// take hands one message to whom it is for. Answers that nobody waits for any
// longer are dropped.
func (cn *conn) take(env *envelope) {
	switch env.Type {
	case "result":
		cn.mu.Lock()
		cl := cn.pending[env.ID]
		delete(cn.pending, env.ID)
		cn.mu.Unlock()
		if cl == nil {
			return
		}
		a := answer{sent: true}
		if env.Success {
			a.result = bytes.Clone(env.Result)
		} else {
			a.failed = commandError(env.Error)
		}
		cl.answer <- a
	case "event":
		cn.mu.Lock()
		sub := cn.subs[env.ID]
		cn.mu.Unlock()
		if sub != nil {
			sub.deliver(cn, env.Event)
		}
	}
}

// ping probes the peer, so that one that is gone is noticed even where the
// network does not say so.
func (cn *conn) ping() {
	cfg := &cn.client.cfg
	for {
		if cfg.Sleep(cn.ctx, cfg.PingInterval) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(cn.ctx, cfg.Timeout)
		err := cn.ws.Ping(ctx)
		cancel()
		if err != nil {
			cn.fail(fmt.Errorf("it did not answer a ping within %s", cfg.Timeout))
			return
		}
	}
}

// fail ends the connection: the first reason counts. Who waits for an answer
// learns whether the call may have left.
func (cn *conn) fail(err error) {
	cn.mu.Lock()
	if cn.err != nil {
		cn.mu.Unlock()
		return
	}
	cn.err = err
	pending := cn.pending
	cn.pending = nil
	cn.queue = nil
	for id, cl := range pending {
		a := answer{sent: cl.state == written}
		if a.sent {
			a.err = fmt.Errorf("%w: %w", ErrConnectionLost, err)
		} else {
			a.err = fmt.Errorf("%w: %w", ErrNotConnected, err)
		}
		cl.answer <- a
		delete(pending, id)
	}
	cn.mu.Unlock()

	cn.client.farewell(cn, err)
	cn.cancel()
	_ = cn.ws.CloseNow()
}

func (cn *conn) reason() error {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return cn.err
}

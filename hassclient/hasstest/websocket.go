package hasstest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	authTimeout  = 10 * time.Second // to show a token
	maxPending   = 4096             // messages that wait for a client; then it is dropped
	maxReadBytes = 4 << 20          // of one message
)

// conn is one WebSocket connection.
type conn struct {
	home   *Home
	ws     *websocket.Conn
	raw    net.Conn // below ws, to break it in the middle of a frame
	from   origin
	ctx    context.Context
	cancel context.CancelFunc
	user   *user
	token  *refreshToken
	lastID int

	subscriptions map[int]*subscription // under home.mu

	mu       sync.Mutex
	wake     sync.Cond
	queue    [][]byte
	closed   bool
	coalesce bool
}

type subscription struct {
	kind     int
	event    string          // subscribedEvents
	entities map[string]bool // subscribedEntities; nil: all
}

const (
	subscribedEvents = iota
	subscribedEntities
)

// hijacked remembers the connection below a WebSocket.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (w *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.conn = c
	return c, rw, err
}

func (h *Home) serveWebSocket(w http.ResponseWriter, r *http.Request, from origin) {
	hw := &hijacked{ResponseWriter: w}
	ws, err := websocket.Accept(hw, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	ws.SetReadLimit(maxReadBytes)
	c := &conn{home: h, ws: ws, raw: hw.conn, from: from, subscriptions: map[int]*subscription{}}
	c.wake.L = &c.mu
	c.ctx, c.cancel = context.WithCancel(h.ctx)
	h.mu.Lock()
	if h.closed || h.stopped || h.faults.refuse {
		h.mu.Unlock()
		c.drop()
		return
	}
	h.conns[c] = struct{}{}
	h.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(c.write)

	c.serve()

	h.mu.Lock()
	delete(h.conns, c)
	clear(c.subscriptions)
	h.mu.Unlock()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wake.Signal()
	writer.Wait()
	_ = ws.Close(websocket.StatusNormalClosure, "")
	c.cancel()
}

// drop breaks the connection at once.
func (c *conn) drop() {
	c.cancel()
	if tcp, ok := c.raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.raw.Close()
}

// send queues a message. It never blocks.
func (c *conn) send(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if len(c.queue) >= maxPending {
		c.closed = true
		go c.drop()
		return
	}
	c.queue = append(c.queue, b)
	c.wake.Signal()
}

// write sends what is queued until the connection is closed.
func (c *conn) write() {
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.closed {
			c.wake.Wait()
		}
		queue, coalesce := c.queue, c.coalesce
		c.queue = nil
		c.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		f, healed := c.home.fault()
		if f.hang {
			select {
			case <-healed:
			case <-c.ctx.Done():
			}
		}
		if f.slow > 0 && !c.home.wait(c.ctx, f.slow) {
			return
		}
		for i, b := range queue {
			if f.huge {
				queue[i] = hugeAnswer()
			} else if f.garbage {
				queue[i] = garbage()
			}
			if f.closeMidway && bytes.Contains(b, []byte(`"context"`)) {
				c.breakMidway(b)
				return
			}
		}
		if coalesce && len(queue) > 1 {
			joined := append([]byte{'['}, bytes.Join(queue, []byte{','})...)
			queue = [][]byte{append(joined, ']')}
		}
		for _, b := range queue {
			if c.ws.Write(c.ctx, websocket.MessageText, b) != nil {
				c.cancel()
				return
			}
		}
	}
}

// breakMidway sends the first half of a message and breaks the connection.
func (c *conn) breakMidway(b []byte) {
	header := []byte{0x81, 126, 0, 0} // a final text frame
	binary.BigEndian.PutUint16(header[2:], uint16(len(b)))
	_, _ = c.raw.Write(append(header, b[:len(b)/2]...))
	_ = c.raw.Close()
	c.cancel()
}

// hang waits while the home hangs.
func (c *conn) hang() {
	if f, healed := c.home.fault(); f.hang {
		select {
		case <-healed:
		case <-c.ctx.Done():
		}
	}
}

func (c *conn) serve() {
	if !c.authenticate() {
		return
	}
	for {
		_, b, err := c.ws.Read(c.ctx)
		if err != nil {
			return
		}
		c.hang()
		if c.home.free && c.free(b) {
			continue
		}
		var m any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if d.Decode(&m) != nil {
			return // as Home Assistant does: no answer, it hangs up
		}
		list, ok := m.([]any)
		if !ok {
			list = []any{m}
		}
		for _, m := range list {
			if !c.handle(m) {
				return
			}
		}
	}
}

func (c *conn) authenticate() bool {
	h := c.home
	h.mu.Lock()
	version := h.config["version"]
	h.mu.Unlock()
	c.send(mustJSON(map[string]any{"type": "auth_required", "ha_version": version}))
	ctx, cancel := context.WithTimeout(c.ctx, authTimeout)
	defer cancel()
	_, b, err := c.ws.Read(ctx)
	if err != nil {
		return false
	}
	c.hang()
	refuse := func(message string) bool {
		c.send(mustJSON(map[string]any{"type": "auth_invalid", "message": message}))
		return false
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return false
	}
	m, ok := v.(map[string]any)
	if !ok {
		return refuse("Auth message incorrectly formatted: expected a mapping. Got " + repr(v))
	}
	if bad := checkMessage(m, map[string]rule{"access_token": {check: isString}, "api_password": {check: isString}}); bad != nil || m["type"] != "auth" {
		if bad == nil {
			bad = &invalid{message: "not a valid value", path: "type", got: m["type"]}
		}
		return refuse("Auth message incorrectly formatted: " + bad.humanized())
	}
	token := h.checkAccessToken(text(m["access_token"]))
	if token == nil {
		return refuse("Invalid access token or password")
	}
	if why := token.user.shutOut(c.from); why != "" {
		return refuse(why)
	}
	c.token, c.user = token, token.user
	c.send(mustJSON(map[string]any{"type": "auth_ok", "ha_version": version}))
	return true
}

func (c *conn) result(id int, v any) {
	c.send(success(id, v))
}

func (c *conn) fail(id any, f *failure) {
	c.send(mustJSON(map[string]any{"id": id, "type": "result", "success": false, "error": f.json()}))
}

// handle answers one message; false: the connection is to be closed.
func (c *conn) handle(m any) bool {
	msg, _ := m.(map[string]any)
	number, isNumber := msg["id"].(json.Number)
	id, err := number.Int64()
	kind, _ := msg["type"].(string)
	if msg == nil || !isNumber || err != nil || id <= 0 || kind == "" {
		shown := msg["id"]
		if msg == nil {
			shown = 0
		}
		c.fail(shown, &failure{code: "invalid_format", message: "Message incorrectly formatted."})
		return true
	}
	if int(id) <= c.lastID {
		c.fail(id, &failure{code: "id_reuse", message: "Identifier values have to increase."})
		return true
	}
	cmd, ok := commands[kind]
	if !ok {
		c.fail(id, &failure{code: "unknown_command", message: "Unknown command."})
		return true
	}
	c.lastID = int(id)
	if bad := checkMessage(msg, cmd.rules); bad != nil {
		c.fail(id, &failure{code: "invalid_format", message: bad.humanized()})
		return true
	}
	c.home.mu.Lock()
	admin := c.user.admin
	c.home.mu.Unlock()
	if cmd.admin && !admin {
		c.fail(id, &failure{code: "unauthorized", message: "Unauthorized"})
		return true
	}
	return cmd.handle(c, int(id), msg)
}

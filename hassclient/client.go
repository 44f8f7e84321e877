package hassclient

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Client is a connection to one home that is kept.
type Client struct {
	cfg  Config
	base *url.URL
	http *http.Client

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	retry  chan struct{}

	conn atomic.Pointer[conn] // nil while not connected

	mu      sync.Mutex
	started bool
	status  Status
	changed chan struct{}
	subs    map[*Subscription]struct{}

	states   stateCache
	services serviceCache
}

// New makes a Client. It opens nothing yet: Start does.
func New(cfg Config) (*Client, error) {
	cfg, base, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg:     cfg,
		base:    base,
		retry:   make(chan struct{}, 1),
		changed: make(chan struct{}),
		subs:    make(map[*Subscription]struct{}),
		status:  Status{State: StateConnecting, Since: cfg.Now()},
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext:           cfg.Dial,
			TLSClientConfig:       cloneTLS(cfg.TLS),
			TLSHandshakeTimeout:   cfg.Timeout,
			ResponseHeaderTimeout: cfg.Timeout,
			MaxIdleConnsPerHost:   2,
			IdleConnTimeout:       time.Minute,
		},
		// A redirect would show the token to whoever it points to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.states.init(c)
	c.services.init(c)
	return c, nil
}

func cloneTLS(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		return nil
	}
	return cfg.Clone()
}

// Start begins to connect, and keeps the connection until Close. A second Start,
// and one after Close, does nothing.
func (c *Client) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.ctx.Err() != nil {
		return
	}
	c.started = true
	c.wg.Go(c.run)
}

// Close ends the connection and waits for the Client's goroutines. Calls that
// wait for an answer get theirs first: Unknown, where it may have been sent. It
// must not be called from a subscription's function.
func (c *Client) Close() error {
	c.mu.Lock()
	c.cancel() // under the lock, so that no goroutine begins after it
	c.set(func(s *Status) { s.State, s.Err = StateClosed, ErrClosed })
	c.mu.Unlock()
	if cn := c.conn.Load(); cn != nil {
		cn.fail(ErrClosed)
	}
	c.wg.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// spawn runs fn in a goroutine that Close waits for; false, and not at all, when
// the Client is closed.
func (c *Client) spawn(fn func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.wg.Go(fn)
	return true
}

// Retry makes an attempt to connect at once, where one is waited for: when
// somebody has changed the token, for example.
func (c *Client) Retry() {
	select {
	case c.retry <- struct{}{}:
	default:
	}
}

// run connects again and again.
func (c *Client) run() {
	for attempt := 0; ; attempt++ {
		stood, err := c.connect()
		if c.ctx.Err() != nil {
			return
		}
		if stood >= settled {
			attempt = 0
		}
		state, wait := StateConnecting, c.cfg.backoff(attempt)
		if errors.Is(err, ErrRefused) {
			state, wait = StateRefused, refusedBackoff
		}
		c.update(func(s *Status) { s.State, s.Err = state, err })
		level := c.cfg.Logger.Warn
		if attempt > 0 && state != StateRefused {
			level = c.cfg.Logger.Debug // said once is enough
		}
		level("no connection to the home", "url", c.base.String(), "error", err, "retry_in", wait)
		if !c.pause(wait) {
			return
		}
	}
}

// pause waits for d, or for Retry; false when the Client is closed.
func (c *Client) pause(d time.Duration) bool {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.cfg.Sleep(ctx, d)
	}()
	select {
	case <-done:
	case <-c.retry:
		cancel()
		<-done
	}
	return c.ctx.Err() == nil
}

// connect makes one connection and returns when it has ended: how long it stood,
// and why it ended.
func (c *Client) connect() (stood time.Duration, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.Timeout)
	defer cancel()
	ws, version, err := c.open(ctx)
	if err != nil {
		return 0, err
	}
	cn := newConn(c, c.ctx, ws)
	defer cn.wg.Wait()

	user, home, err := cn.introduce(ctx)
	if err != nil {
		if lost := cn.reason(); lost != nil {
			err = lost
		}
		cn.fail(err)
		return 0, fmt.Errorf("the home at %s: %w", c.base, err)
	}
	began := c.cfg.Now()
	c.welcome(cn, Status{State: StateConnected, Version: version, User: &user, Config: &home})
	c.cfg.Logger.Info("connected to the home", "url", c.base.String(), "version", version,
		"user", user.Name, "administrator", user.IsAdmin)
	c.resubscribe(cn)
	if !home.Running() {
		cn.wg.Go(cn.awaitRunning)
	}

	<-cn.ctx.Done()
	if c.ctx.Err() != nil {
		cn.fail(ErrClosed)
	}
	return c.cfg.Now().Sub(began), fmt.Errorf("the home at %s: %w", c.base, cn.reason())
}

// welcome makes cn the connection in use, unless it has broken already.
func (c *Client) welcome(cn *conn, s Status) {
	select {
	case <-c.retry: // asked for in the meantime: here it is
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cn.reason() != nil || c.ctx.Err() != nil {
		return
	}
	c.conn.Store(cn)
	c.set(func(status *Status) {
		s.Since = status.Since
		*status = s
	})
}

// farewell is its counterpart.
func (c *Client) farewell(cn *conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn.CompareAndSwap(cn, nil) && c.ctx.Err() == nil {
		c.set(func(s *Status) { s.State, s.Err = StateConnecting, fmt.Errorf("the home at %s: %w", c.base, err) })
	}
}

// open dials and authenticates.
func (c *Client) open(ctx context.Context) (_ *websocket.Conn, version string, err error) {
	token, err := c.token()
	if err != nil {
		return nil, "", err
	}
	ws, resp, err := websocket.Dial(ctx, c.base.JoinPath("api/websocket").String(), &websocket.DialOptions{
		HTTPClient: c.http,
		HTTPHeader: http.Header{"User-Agent": {userAgent}},
	})
	if err != nil {
		return nil, "", c.dialError(resp, err)
	}
	defer func() {
		if err != nil {
			_ = ws.CloseNow()
			if ctx.Err() != nil && c.ctx.Err() == nil {
				err = fmt.Errorf("it took the connection, but did not let us in within %s", c.cfg.Timeout)
			}
			err = fmt.Errorf("the home at %s: %w", c.base, err)
		}
	}()
	ws.SetReadLimit(maxAuthMessage)

	env, err := readEnvelope(ctx, ws)
	if err != nil {
		return nil, "", err
	}
	if env.Type == "auth_required" {
		msg, e := json.Marshal(map[string]string{"type": "auth", "access_token": token})
		if e != nil {
			return nil, "", errors.New("the token is not text")
		}
		if err = ws.Write(ctx, websocket.MessageText, msg); err != nil {
			return nil, "", err
		}
		if env, err = readEnvelope(ctx, ws); err != nil {
			return nil, "", err
		}
	}
	switch env.Type {
	case "auth_ok":
		return ws, env.Version, nil
	case "auth_invalid":
		return nil, "", fmt.Errorf("%w: it does not take this token (%q); make a new one in Home Assistant: "+
			"your profile, Security, Long-lived access tokens", ErrRefused, truncate(strings.ReplaceAll(env.Message, token, "…")))
	}
	return nil, "", fmt.Errorf("%w: %q instead of auth_ok", errNotAMessage, truncate(env.Type))
}

// token asks for the token, and takes the line break off that files end with.
func (c *Client) token() (string, error) {
	token, err := c.cfg.Token()
	if err != nil {
		return "", fmt.Errorf("the token of the home at %s cannot be read: %w", c.base, err)
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", fmt.Errorf("the token of the home at %s is empty: is its variable or file set?", c.base)
	}
	return token, nil
}

func readEnvelope(ctx context.Context, ws *websocket.Conn) (out envelope, err error) {
	_, b, err := ws.Read(ctx)
	if err != nil {
		return out, err
	}
	err = eachMessage(b, func(env *envelope) { out = *env })
	return out, err
}

// introduce asks, in one go, what has to be known of each new connection.
func (cn *conn) introduce(ctx context.Context) (user User, home HomeConfig, err error) {
	var calls []*call
	for _, body := range []string{
		`"type":"supported_features","features":{"coalesce_messages":1}}`,
		`"type":"auth/current_user"}`,
		`"type":"get_config"}`,
	} {
		cl, err := cn.send([]byte(body), nil)
		if err != nil {
			return user, home, err
		}
		calls = append(calls, cl)
	}
	if a := cn.wait(ctx, calls[0]); a.err != nil {
		return user, home, a.err
	} else if a.failed == nil {
		cn.mu.Lock()
		cn.coalesce = true
		cn.mu.Unlock()
	} // older homes do not know it and need not
	if err := cn.wait(ctx, calls[1]).decode(&user); err != nil {
		return user, home, fmt.Errorf("asked who we are: %w", err)
	}
	if err := cn.wait(ctx, calls[2]).decode(&home); err != nil {
		return user, home, fmt.Errorf("asked for its configuration: %w", err)
	}
	return user, home, nil
}

// decode reads an answer's result into out.
func (a answer) decode(out any) error {
	switch {
	case a.err != nil:
		return a.err
	case a.failed != nil:
		return a.failed
	case out == nil || len(a.result) == 0:
		return nil
	}
	if err := json.Unmarshal(a.result, out); err != nil {
		return fmt.Errorf("the home's answer is not as expected: %w", err)
	}
	return nil
}

// awaitRunning asks a home that is starting, once a second, whether it has.
func (cn *conn) awaitRunning() {
	c := cn.client
	for c.cfg.Sleep(cn.ctx, time.Second) == nil {
		var home HomeConfig
		if err := cn.do(cn.ctx, []byte(`"type":"get_config"}`)).decode(&home); err != nil {
			continue
		}
		if home.Running() {
			c.update(func(s *Status) {
				if s.State == StateConnected {
					s.Config = &home
				}
			})
			return
		}
	}
}

// dialError says why there is no WebSocket, and what to do about it.
func (c *Client) dialError(resp *http.Response, err error) error {
	if resp == nil {
		return c.connectError(err)
	}
	switch resp.StatusCode {
	case http.StatusForbidden:
		return fmt.Errorf("%w: the home at %s answers 403: it may have banned this machine's address "+
			"(see ip_bans.yaml in Home Assistant's configuration folder)", ErrRefused, c.base)
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		where := ""
		if to, e := resp.Location(); e == nil {
			where = " to " + to.Scheme + "://" + to.Host
		}
		return fmt.Errorf("the home at %s redirects%s: set its url to the inside address itself", c.base, where)
	case http.StatusNotFound:
		return fmt.Errorf("there is no Home Assistant at %s: it answers 404 to /api/websocket", c.base)
	}
	return fmt.Errorf("the home at %s answers %d instead of opening a WebSocket", c.base, resp.StatusCode)
}

// connectError says that the home was not reached.
func (c *Client) connectError(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	hint := ""
	var dns *net.DNSError
	if errors.As(err, &dns) && strings.HasSuffix(strings.ToLower(c.base.Hostname()), ".local") {
		hint = "; names that end in .local are not known inside containers: give the home's IP address instead"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the home at %s did not answer within %s%s: %w", c.base, c.cfg.Timeout, hint, err)
	}
	return fmt.Errorf("the home at %s cannot be reached%s: %w", c.base, hint, err)
}

const userAgent = "hassclient (caddy-hass)"

// truncate keeps a stranger's words short in an error.
func truncate(s string) string {
	const most = 120
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

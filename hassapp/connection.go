package hassapp

import (
	"crypto/sha256"
	"log/slog"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/internal/reload"
)

// connections are shared by all configurations of this process.
var connections = caddy.NewUsagePool()

// connKey is what makes two configurations share a connection. It holds no
// secret: the token only as its hash.
type connKey struct {
	url     string
	tls     string
	timeout time.Duration
	token   [sha256.Size]byte
}

// connection is one live connection to a home.
type connection struct {
	client  *hassclient.Client
	loggers reload.Stack[*slog.Logger]
}

// Destruct closes the connection after its last user.
func (c *connection) Destruct() error { return c.client.Close() }

// connect takes a reference to the home's connection and opens it if there is
// none yet. It does not wait until the home has answered.
func (h *Home) connect() (*connection, connKey, error) {
	key := h.keyOf()
	value, _, err := connections.LoadOrNew(key, func() (caddy.Destructor, error) {
		c := new(connection)
		c.loggers.Push(slog.New(slog.DiscardHandler))
		var err error
		c.client, err = hassclient.New(hassclient.Config{
			URL:     h.url,
			Token:   func() (string, error) { return readToken(h.Token) },
			TLS:     h.tls,
			Timeout: time.Duration(h.Timeout),
			Logger:  reload.Logger(c.loggers.Current),
		})
		if err != nil {
			return nil, err
		}
		c.client.Start()
		return c, nil
	})
	if err != nil {
		return nil, key, err
	}
	return value.(*connection), key, nil
}

func release(key connKey) {
	// The only error is that of closing a connection nobody uses any more.
	_, _ = connections.Delete(key)
}

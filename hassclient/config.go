package hassclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"
)

const (
	defaultTimeout = 10 * time.Second

	// The waits between attempts to connect: the first is short, because
	// the usual reason is a cable that was moved or a home that restarts,
	// which takes from a quarter of a minute to a few. Growing by a quarter
	// each time, the connection comes back at most a quarter later than the
	// home did.
	minBackoff    = 500 * time.Millisecond
	maxBackoff    = 30 * time.Second
	backoffGrowth = 1.25

	// refusedBackoff is how long a refused token rests. Home Assistant warns
	// its owner at each try, and may ban the address.
	refusedBackoff = 10 * time.Minute

	// settled is how long a connection stands before the next break counts as
	// the first again. A home that takes connections and drops them at once
	// is not asked faster and faster.
	settled = 10 * time.Second
)

// Config says which home, and how to reach it. URL and Token are required.
type Config struct {
	// URL is the home's inside address, such as "http://192.168.1.10:8123".
	// A path is kept, as in "http://supervisor/core".
	URL string

	// Token returns a long-lived access token. It is asked anew before each
	// connection and request, so a secret that was changed is picked up.
	Token func() (string, error)

	// TLS is for https; nil: the system's roots, the name in the URL.
	TLS *tls.Config

	// Timeout is how long the home has to take a connection, to let us in,
	// to take a message, and to answer a ping; 0: 10 s. Answers to calls are
	// waited for as long as the call's own context allows.
	Timeout time.Duration

	// PingInterval is how long a connection is quiet before it is probed;
	// 0: Timeout. A dead peer is noticed within PingInterval + Timeout.
	PingInterval time.Duration

	// Logger gets what happens to the connection; nil: nobody. It never
	// gets a token, nor what is sent or received.
	Logger *slog.Logger

	// Dial opens TCP connections; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Now, Sleep and Jitter are for tests: the clock, waiting (it returns
	// early, with the context's error, when that ends), and a random number
	// in [0,1).
	Now    func() time.Time
	Sleep  func(ctx context.Context, d time.Duration) error
	Jitter func() float64
}

// withDefaults returns the configuration with every field set, and the parsed
// URL without a slash at its end.
func (cfg Config) withDefaults() (Config, *url.URL, error) {
	base, err := parseURL(cfg.URL)
	if err != nil {
		return cfg, nil, err
	}
	if cfg.Token == nil {
		return cfg, nil, errors.New("hassclient: Config.Token is missing")
	}
	if cfg.Timeout < 0 || cfg.PingInterval < 0 {
		return cfg, nil, errors.New("hassclient: Config.Timeout and Config.PingInterval must not be negative")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.PingInterval == 0 {
		cfg.PingInterval = cfg.Timeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	return cfg, base, nil
}

// parseURL checks a home's address. Its errors do not repeat the address where
// it may hold a password.
func parseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("the home's url is missing: give its inside address, such as http://192.168.1.10:8123")
	}
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // without the address itself
		}
		return nil, fmt.Errorf("the home's url is not an address: %w", err)
	}
	if u.User != nil {
		return nil, errors.New("the home's url holds a user name or password: Home Assistant takes neither, only the token")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the home's url begins with %q: it must begin with http:// or https://", u.Scheme+":")
	}
	if u.Hostname() == "" {
		return nil, errors.New("the home's url has no host: write it as http://192.168.1.10:8123")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("the home's url has a ? or #: give only scheme, host, port and path")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backoff is the wait before the nth attempt to connect again, from 0: a
// quarter to half a second at first, growing up to half a minute.
func (cfg *Config) backoff(n int) time.Duration {
	d := min(float64(minBackoff)*math.Pow(backoffGrowth, float64(n)), float64(maxBackoff))
	return time.Duration(d/2 + cfg.Jitter()*d/2)
}

package caddyjwt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

const (
	// jwksFresh is how long a set is used without asking whether it has changed.
	jwksFresh = 5 * time.Minute

	// jwksWindow is how often a token of an unknown key may cause a fetch, and
	// jwksRetry how often while there are no keys at all.
	jwksWindow = 30 * time.Second
	jwksRetry  = 2 * time.Second

	// jwksWithin and maxJWKSText bound a fetch.
	jwksWithin  = 5 * time.Second
	maxJWKSText = 256 << 10
)

// jwksSources holds one jwksSource per address, shared by all handlers and over reloads.
var jwksSources = caddy.NewUsagePool()

// jwksSource is the KeySource of a JWK Set at an address. It fetches only when a
// request asks for keys, so that nothing is opened by provisioning. While the set cannot be
// had, or is no set, the keys stay what they were.
type jwksSource struct {
	address string
	client  *http.Client
	now     func() time.Time
	within  time.Duration // bounds a fetch
	keys    atomic.Pointer[KeySet]
	due     atomic.Int64 // Unix nanoseconds: when to ask again
	asking  atomic.Bool  // in the background

	mu        sync.Mutex // held while fetching; guards what follows
	tried     time.Time
	complaint string
}

// acquireJWKS returns the source for an address. It fetches nothing yet. release
// must be called once.
func acquireJWKS(address string) (source *jwksSource, release func() error, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, nil, fmt.Errorf("%q is no address: it begins with https:// (or http://) and a host name", address)
	}
	value, _, err := jwksSources.LoadOrNew(address, func() (caddy.Destructor, error) {
		return newJWKSSource(address, now), nil
	})
	if err != nil {
		return nil, nil, err
	}
	release = func() error {
		_, err := jwksSources.Delete(address)
		return err
	}
	return value.(*jwksSource), release, nil
}

func newJWKSSource(address string, now func() time.Time) *jwksSource {
	s := &jwksSource{address: address, now: now, within: jwksWithin, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSHandshakeTimeout:    jwksWithin,
			ResponseHeaderTimeout:  jwksWithin,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           1,
			IdleConnTimeout:        time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	s.keys.Store(new(KeySet))
	return s
}

// Destruct implements caddy.Destructor.
func (s *jwksSource) Destruct() error {
	s.client.CloseIdleConnections()
	return nil
}

// Keys implements KeySource. A set that is not fresh any more is asked for in the
// background.
func (s *jwksSource) Keys() *KeySet {
	keys := s.keys.Load()
	if len(keys.keys) > 0 && s.now().UnixNano() >= s.due.Load() && s.asking.CompareAndSwap(false, true) {
		go func() {
			defer s.asking.Store(false)
			s.fetch(jwksWindow)
		}()
	}
	return keys
}

// Refresh implements KeySource: however many ask at once, there is one fetch.
func (s *jwksSource) Refresh() *KeySet {
	window := jwksWindow
	if len(s.keys.Load().keys) == 0 {
		window = jwksRetry
	}
	s.fetch(window)
	return s.keys.Load()
}

// fetch asks for the set, unless somebody did within the window.
func (s *jwksSource) fetch(window time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tried.IsZero() && s.now().Sub(s.tried).Abs() < window {
		return
	}
	keys, err := s.get()
	s.tried = s.now() // who waited meanwhile does not ask once more
	if err != nil {
		s.due.Store(s.now().Add(jwksWindow).UnixNano())
		if s.complaint != err.Error() {
			s.complaint = err.Error()
			s.log().Error("cannot fetch the keys; they stay what they were", zap.Error(err))
		}
		return
	}
	s.complaint = ""
	s.due.Store(s.now().Add(jwksFresh).UnixNano())
	old := s.keys.Load().keys
	same := len(old) == len(keys)
	for i := 0; same && i < len(keys); i++ {
		same = old[i].id == keys[i].id && old[i].equal(keys[i])
	}
	if !same {
		s.keys.Store(&KeySet{keys: keys})
		s.log().Info("took over keys", zap.Int("keys", len(keys)))
	}
}

func (s *jwksSource) get() ([]key, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKSText+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxJWKSText {
		return nil, errors.New("it is larger than 256 KiB")
	}
	return parseJWKS(text)
}

func (s *jwksSource) log() *zap.Logger {
	return caddy.Log().Named("http.handlers.hass_jwt").With(zap.String("key_jwks", s.address))
}

// Interface guards
var (
	_ KeySource        = (*jwksSource)(nil)
	_ caddy.Destructor = (*jwksSource)(nil)
)

package hassclient

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

// A Prober asks a home about access tokens other than its own. It keeps no
// WebSocket open. It is safe for concurrent use.
type Prober struct {
	cfg  Config
	base string
	http *http.Client
}

// NewProber returns a Prober for a home. Token is not used and may be nil.
func NewProber(cfg Config) (*Prober, error) {
	if cfg.Token == nil {
		cfg.Token = func() (string, error) { return "", nil }
	}
	cfg, base, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:           cfg.Dial,
		TLSClientConfig:       cfg.TLS,
		TLSHandshakeTimeout:   cfg.Timeout,
		ResponseHeaderTimeout: cfg.Timeout,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       cfg.Timeout,
		Proxy:                 nil, // the home is in this network
	}
	client := &http.Client{
		Transport: transport,
		// A token is not carried to wherever an answer points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Prober{cfg: cfg, base: base.String(), http: client}, nil
}

// Close closes idle connections.
func (p *Prober) Close() { p.http.CloseIdleConnections() }

// WhoIs asks the home whom an access token belongs to. header is sent along: with the
// X-Forwarded-For of the one who showed the token, the home judges it as coming from there,
// and bans that address, not this machine's, where it is wrong too often. The home is asked in two
// ways, since Home Assistant before 2026.11 lets users in over its WebSocket
// who may not come from that address: REST (GET /api/) must agree. It is asked first, so that
// a wrong token counts once. A token that the home does not take is ErrRefused; an address that it
// has banned is a *StatusError of 403.
func (p *Prober) WhoIs(ctx context.Context, token string, header http.Header) (User, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	if err := p.allowed(ctx, token, header); err != nil {
		return User{}, err
	}
	return p.currentUser(ctx, token, header)
}

func (p *Prober) headers(header http.Header) http.Header {
	h := header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	h.Set("User-Agent", userAgent)
	return h
}

// allowed asks REST.
func (p *Prober) allowed(ctx context.Context, token string, header http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/api/", nil)
	if err != nil {
		return err
	}
	req.Header = p.headers(header)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAuthMessage))
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: /api/ answers %d", ErrRefused, resp.StatusCode)
	}
	return &StatusError{Path: "/api/", Status: resp.StatusCode}
}

// currentUser asks the WebSocket API.
func (p *Prober) currentUser(ctx context.Context, token string, header http.Header) (User, error) {
	ws, resp, err := websocket.Dial(ctx, p.base+"/api/websocket", &websocket.DialOptions{
		HTTPClient: p.http,
		HTTPHeader: p.headers(header),
	})
	if err != nil {
		if resp != nil {
			return User{}, &StatusError{Path: "/api/websocket", Status: resp.StatusCode}
		}
		return User{}, err
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(maxAuthMessage)

	type message struct {
		Type    string `json:"type"`
		Success bool   `json:"success"`
		Result  *User  `json:"result"`
	}
	ask := func(question any) (m message, err error) {
		if question != nil {
			b, err := json.Marshal(question)
			if err != nil {
				return m, err
			}
			if err := ws.Write(ctx, websocket.MessageText, b); err != nil {
				return m, err
			}
		}
		_, b, err := ws.Read(ctx)
		if err != nil {
			return m, err
		}
		if json.Unmarshal(b, &m) != nil {
			return m, errNotAMessage
		}
		return m, nil
	}
	if m, err := ask(nil); err != nil || m.Type != "auth_required" {
		return User{}, unexpected(m.Type, err)
	}
	m, err := ask(map[string]any{"type": "auth", "access_token": token})
	if err != nil || m.Type != "auth_ok" {
		if m.Type == "auth_invalid" {
			return User{}, fmt.Errorf("%w: auth_invalid", ErrRefused)
		}
		return User{}, unexpected(m.Type, err)
	}
	m, err = ask(map[string]any{"id": 1, "type": "auth/current_user"})
	if err != nil || m.Type != "result" || !m.Success || m.Result == nil || m.Result.ID == "" {
		return User{}, unexpected(m.Type, err)
	}
	return *m.Result, nil
}

func unexpected(typ string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: an unexpected answer of type %q", errNotAMessage, typ)
}

package hassclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// StatusError is an answer over HTTP other than 200.
type StatusError struct {
	Path   string
	Status int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: the home answers %d %s", e.Path, e.Status, http.StatusText(e.Status))
}

// Get asks Home Assistant's REST API, at a path such as "/api/config", and decodes
// the JSON that it answers into out. It takes at most Timeout and 32 MB. An answer
// other than 200 is a *StatusError. It needs no connection, but asks nothing while
// the home refuses the token.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	if s := c.Status(); s.State == StateRefused {
		return s.Err
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	resp, err := c.get(ctx, path, func(h http.Header) { h.Set("Authorization", "Bearer "+token) })
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &StatusError{Path: path, Status: resp.StatusCode}
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	if err != nil {
		return fmt.Errorf("%s: %w", path, c.connectError(err))
	}
	if len(b) > maxMessage {
		return fmt.Errorf("%s: the home answers more than %d MB", path, maxMessage>>20)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s: the home's answer is not as expected: %w", path, err)
	}
	return nil
}

// ProbeForwardedFor asks the home for something public in the way a reverse proxy
// asks, with an X-Forwarded-For header, and returns the HTTP status. 200: a proxy on
// this machine will be let through. 400: the home does not trust this address as a
// proxy, and will answer so to everything that comes through one.
func (c *Client) ProbeForwardedFor(ctx context.Context) (status int, err error) {
	// An address for documentation (RFC 5737): nobody's.
	resp, err := c.get(ctx, "/manifest.json", func(h http.Header) { h.Set("X-Forwarded-For", "192.0.2.1") })
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, nil
}

// get sends a request whose answer has to be read within Timeout.
func (c *Client) get(ctx context.Context, path string, header func(http.Header)) (*http.Response, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New("the path must begin with a slash")
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.base.String(), "/")+path, nil)
	if err != nil {
		cancel()
		return nil, errors.New("the path is not one")
	}
	req.Header.Set("User-Agent", userAgent)
	header(req.Header)
	resp, err := c.http.Do(req)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%s: %w", path, c.connectError(err))
	}
	resp.Body = &cancelingBody{resp.Body, cancel}
	return resp, nil
}

// cancelingBody ends the request's context with its body.
type cancelingBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *cancelingBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

package hassclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// ErrNoProvider is returned where a home has no such auth provider.
var ErrNoProvider = errors.New("the home has no such auth provider")

// Link gives the user of an access token another way to log in: by an auth provider of
// the home, with what that provider asks for (POST /auth/login_flow, then POST /auth/link_user).
// It first makes sure that the home has the provider, for the home counts what fails after that as
// a failed login. header is sent along, as for [Prober.WhoIs]. What the provider does not take is
// ErrRefused; no such provider is ErrNoProvider.
func (p *Prober) Link(ctx context.Context, token string, provider Provider, answers map[string]string, header http.Header) error {
	ctx, cancel := context.WithTimeout(ctx, 2*p.cfg.Timeout)
	defer cancel()
	if err := p.hasProvider(ctx, provider, header); err != nil {
		return err
	}
	// The home takes a client_id of its own address, whatever that is.
	u, err := url.Parse(p.base)
	if err != nil {
		return err
	}
	clientID := u.Scheme + "://" + u.Host + "/"

	var flow struct {
		Type   string `json:"type"`
		ID     string `json:"flow_id"`
		Result string `json:"result"`
	}
	begin := map[string]any{"client_id": clientID, "redirect_uri": clientID, "handler": provider.handler(), "type": "link_user"}
	if err := p.post(ctx, "/auth/login_flow", begin, "", header, &flow); err != nil {
		return err
	}
	if flow.Type != "form" || flow.ID == "" {
		return fmt.Errorf("%w: the login flow answers %q", errNotAMessage, flow.Type)
	}
	fill := map[string]any{"client_id": clientID}
	for name, answer := range answers {
		fill[name] = answer
	}
	if err := p.post(ctx, "/auth/login_flow/"+url.PathEscape(flow.ID), fill, "", header, &flow); err != nil {
		return err
	}
	if flow.Type != "create_entry" || flow.Result == "" {
		return fmt.Errorf("%w: the login flow answers %q", ErrRefused, flow.Type)
	}
	return p.post(ctx, "/auth/link_user", map[string]any{"client_id": clientID, "code": flow.Result}, token, header, nil)
}

// Provider names an auth provider of a home.
type Provider struct {
	Type string // such as "command_line"
	ID   string // empty: it has none
}

func (a Provider) handler() []any {
	if a.ID == "" {
		return []any{a.Type, nil}
	}
	return []any{a.Type, a.ID}
}

func (p *Prober) hasProvider(ctx context.Context, want Provider, header http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/auth/providers", nil)
	if err != nil {
		return err
	}
	var text json.RawMessage
	if err := p.exchange(req, header, &text); err != nil {
		return err
	}
	type one struct {
		Type string `json:"type"`
		ID   string `json:"id"` // may be null
	}
	var answer struct {
		Providers []one `json:"providers"`
	}
	if json.Unmarshal(text, &answer) != nil {
		if json.Unmarshal(text, &answer.Providers) != nil { // before 2023.12
			return errNotAMessage
		}
	}
	for _, a := range answer.Providers {
		if a.Type == want.Type && a.ID == want.ID {
			return nil
		}
	}
	return fmt.Errorf("%w: %s %q", ErrNoProvider, want.Type, want.ID)
}

func (p *Prober) post(ctx context.Context, path string, in any, token string, header http.Header, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	header = header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	header.Set("Content-Type", "application/json")
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return p.exchange(req, header, out)
}

// exchange reads an answer of 200 into out, unless that is nil.
func (p *Prober) exchange(req *http.Request, header http.Header, out any) error {
	req.Header = p.headers(header)
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAuthMessage))
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusOK:
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		return fmt.Errorf("%w: %s answers %d", ErrRefused, req.URL.Path[:min(len(req.URL.Path), len("/auth/login_flow"))], resp.StatusCode)
	default:
		return &StatusError{Path: req.URL.Path, Status: resp.StatusCode}
	}
	if out == nil {
		return nil
	}
	if json.Unmarshal(text, out) != nil {
		return errNotAMessage
	}
	return nil
}

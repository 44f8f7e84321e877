package hassapp

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// Home is one Home Assistant.
type Home struct {
	// URL is the address of Home Assistant in the home's own network, such as
	// http://192.168.1.10:8123. It may have a path and global placeholders.
	URL string `json:"url,omitempty"`

	// Token is a long-lived access token. Write it as a placeholder,
	// {env.HASS_TOKEN} or {file./run/secrets/hass_token}: it is read again
	// before each connection and stands in no configuration then.
	Token string `json:"token,omitempty"`

	// Timeout is how long connecting may take, and how long the home may be
	// silent. Default: 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// TLS is about the certificate of a home on https.
	TLS *TLS `json:"tls,omitempty"`

	name   string
	url    string
	tls    *tls.Config
	tlsKey string
	keyOf  func() connKey
}

// TLS says which certificate is expected of a home, as Caddy's HTTP transport
// does for upstreams.
type TLS struct {
	// ServerName is the name in the certificate, where it is not the URL's.
	ServerName string `json:"server_name,omitempty"`

	// CARaw is where trusted certificates come from.
	CARaw json.RawMessage `json:"ca,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// InsecureSkipVerify trusts whoever answers.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`
}

const defaultTimeout = 10 * time.Second

var nameShape = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// validName reports whether a home can be called so. A colon would not do: it
// divides home and action in "notify".
func validName(name string) bool { return nameShape.MatchString(name) }

func (h *Home) provision(ctx caddy.Context, name string, log *slog.Logger) error {
	h.name = name

	if h.URL == "" {
		return errors.New("url is missing: the address of Home Assistant, such as http://192.168.1.10:8123")
	}
	resolved, err := caddy.NewReplacer().ReplaceOrErr(h.URL, true, true)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if h.url, err = checkURL(resolved); err != nil {
		return fmt.Errorf("url: %w", err)
	}

	if h.Token == "" {
		return errors.New("token is missing: write {env.HASS_TOKEN} or {file./path}; " +
			"Home Assistant makes one in your profile, under Security, Long-lived access tokens")
	}
	if !strings.Contains(h.Token, "{") {
		log.Warn("the token of a home stands in the configuration in clear text, "+
			"and so in Caddy's admin API and autosave: write {env.HASS_TOKEN} or {file./path} instead",
			"home", name)
	}

	if h.Timeout < 0 {
		return errors.New("timeout: must be above zero, such as 10s")
	}
	if h.Timeout == 0 {
		h.Timeout = caddy.Duration(defaultTimeout)
	}
	if err := h.provisionTLS(ctx); err != nil {
		return err
	}

	// The token is read here for the first time, when an app starts. The
	// connection reads it again by itself each time it is opened.
	h.keyOf = sync.OnceValue(func() connKey {
		token, err := readToken(h.Token)
		if err != nil {
			token = "unread\x00" + h.Token
		}
		return connKey{
			url:     h.url,
			tls:     h.tlsKey,
			timeout: time.Duration(h.Timeout),
			token:   sha256.Sum256([]byte(token)),
		}
	})
	return nil
}

func (h *Home) provisionTLS(ctx caddy.Context) error {
	if h.TLS == nil {
		return nil
	}
	// Read the raw settings before Caddy sets them free.
	settings, err := json.Marshal(h.TLS)
	if err != nil {
		return err
	}
	key := sha256.New()
	key.Write(settings)

	serverName, err := caddy.NewReplacer().ReplaceOrErr(h.TLS.ServerName, true, true)
	if err != nil {
		return fmt.Errorf("tls_server_name: %w", err)
	}
	key.Write([]byte(serverName))

	h.tls = &tls.Config{
		ServerName:         serverName,
		InsecureSkipVerify: h.TLS.InsecureSkipVerify, //nolint:gosec // what the user asks for
		MinVersion:         tls.VersionTLS12,
	}
	if h.TLS.CARaw != nil {
		mod, err := ctx.LoadModule(h.TLS, "CARaw")
		if err != nil {
			return fmt.Errorf("tls_trust_pool: %w", err)
		}
		pool, ok := mod.(caddytls.CA)
		if !ok {
			return fmt.Errorf("tls_trust_pool: %T gives no certificates", mod)
		}
		h.tls.RootCAs = pool.CertPool()
		// A file of certificates that has changed makes another connection.
		if certs, ok := mod.(caddytls.CertificateProvider); ok {
			for _, c := range certs.Certificates() {
				key.Write(c.Raw)
			}
		}
	}
	h.tlsKey = string(key.Sum(nil))
	return nil
}

// checkURL returns the address without a slash at its end.
func checkURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is no address: write it as http://192.168.1.10:8123", s)
	case u.User != nil:
		return "", errors.New("leave name and password out: Home Assistant takes a token")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Hostname() == "":
		return "", fmt.Errorf("%q is no address: it begins with http:// or https:// and a host", s)
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%q: leave out what comes after ? and #", s)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// readToken reads a token where its placeholders say. Errors name placeholders
// and files, never what is in them.
func readToken(raw string) (string, error) {
	token, err := caddy.NewReplacer().ReplaceOrErr(raw, true, true)
	if err != nil {
		return "", fmt.Errorf("the home's token cannot be read: %w", err)
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return "", errors.New("the home's token is empty")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the home's token has spaces, line breaks or other characters in it that no token has")
	}
	return token, nil
}

package hasscmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"regexp"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// userHeader names the person at the command line to the endpoint. Whoever can
// talk to the admin endpoint can do anything to this Caddy, so it is taken at
// its word.
const userHeader = "Caddy-Hass-User"

// client talks to the admin endpoint of a running Caddy.
type client struct {
	address string
}

// addAddressFlags adds the flags by which Caddy's own commands find the admin
// endpoint.
func addAddressFlags(cmd *cobra.Command) {
	cmd.Flags().StringP("address", "", "", "Address of the admin endpoint of the running Caddy")
	cmd.Flags().StringP("config", "c", "", "Configuration file that says where the admin endpoint is")
	cmd.Flags().StringP("adapter", "a", "", "Name of the config adapter for --config")
}

// newClient returns a client for the endpoint that the command's flags name.
func newClient(cmd *cobra.Command) (*client, error) {
	address, _ := cmd.Flags().GetString("address")
	config, _ := cmd.Flags().GetString("config")
	adapter, _ := cmd.Flags().GetString("adapter")
	address, err := caddycmd.DetermineAdminAPIAddress(address, nil, config, adapter)
	if err != nil {
		return nil, fmt.Errorf("finding the admin endpoint: %w", err)
	}
	return &client{address: address}, nil
}

// problem is what the endpoint answers when something is wrong (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Field  string `json:"field,omitempty"`
	Line   int    `json:"line,omitempty"`
}

// Error is what the person at the command line reads.
func (p *problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	switch {
	case p.Line > 0:
		return fmt.Sprintf("%s, line %d: %s", p.Field, p.Line, text)
	case p.Field != "":
		return p.Field + ": " + text
	}
	return text
}

// do sends a request to the endpoint, uri beginning with "/hass/". The caller
// closes the answer's body. What the endpoint refuses is a *problem.
func (c *client) do(method, uri string, header http.Header, body io.Reader) (*http.Response, error) {
	h := http.Header{userHeader: {url.QueryEscape(userName())}}
	for k, v := range header {
		h[k] = v
	}
	resp, err := caddycmd.AdminAPIRequest(c.address, method, uri, h, body)
	if err != nil {
		return nil, c.explain(err)
	}
	return resp, nil
}

// call sends in as JSON, unless it is nil, and reads the answer into out,
// unless that is nil.
func (c *client) call(method, uri string, header http.Header, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.do(method, uri, header, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if out != nil {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			return nil, fmt.Errorf("reading the answer of Caddy at %s: %w", c.address, err)
		}
	}
	return resp.Header, nil
}

// refusal is how AdminAPIRequest reports an answer of 400 and above.
var refusal = regexp.MustCompile(`(?s)HTTP (\d{3}): (.*)$`)

// explain turns an error of AdminAPIRequest into one that says what to do.
func (c *client) explain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) || errors.Is(err, syscall.ECONNREFUSED) || isDial(err) {
		return fmt.Errorf("no Caddy answers at %s: is it running? Where its admin endpoint is elsewhere, name it by --address or --config (%w)", c.address, err)
	}
	m := refusal.FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("asking Caddy at %s: %w", c.address, err)
	}
	var p problem
	if json.Unmarshal([]byte(m[2]), &p) == nil && p.Code != "" {
		return &p
	}
	switch m[1] {
	case "404":
		return fmt.Errorf("the Caddy at %s has no endpoint for this command: it was built without caddy-hass, or with an older one", c.address)
	case "403":
		return fmt.Errorf("the Caddy at %s does not let this command in: its admin endpoint checks origins; name it by one of the addresses in its option origins (%s)", c.address, strings.TrimSpace(m[2]))
	}
	return fmt.Errorf("the Caddy at %s answered: HTTP %s: %s", c.address, m[1], strings.TrimSpace(m[2]))
}

// isDial reports whether the connection could not be made. AdminAPIRequest
// keeps no chain of errors, only their text.
func isDial(err error) bool {
	return strings.Contains(err.Error(), "performing request") && strings.Contains(err.Error(), ": dial ")
}

// userName is the name of the person at the command line, whoever sudo has
// made of them.
func userName() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	return "unknown"
}

package hasscmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-hass/caddy-hass/caddyjwt"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain <token-file> [--site <host>] [--from <address>] [--json]",
		Short: "Says why a resident's token is let in or not, rule by rule",
		Long: `
Says for each hass_jwt of the running Caddy whether it lets a token in, and why:
signature, issuer, audience, times, session, and each allow and deny.

The token is read from a file, or from the standard input with "-"; a cookie or
an Authorization header as copied from a browser will do. It is in nothing that
this command prints, and in no log. What it says in the clear is printed: whose
it is, and from whom.

One of Home Assistant's own access tokens is shown to Home Assistant where
hass_tokens is on, as a request would do.`,
		Example: `  caddy hass explain token.txt
  wl-paste | caddy hass explain - --site grafana.example.com`,
		Args: cobra.ExactArgs(1),
	}
	addAddressFlags(cmd)
	f := cmd.Flags()
	site := f.String("site", "", "Only this site, by its host name")
	from := f.String("from", "", "As coming from this IP address (default: one in the local network)")
	asJSON := f.Bool("json", false, "Print it as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *from != "" {
			if _, err := netip.ParseAddr(*from); err != nil {
				return fmt.Errorf("--from %q is no IP address", *from)
			}
		}
		token, err := readToken(cmd, args[0])
		if err != nil {
			return err
		}
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		var report explanations
		header := http.Header{"Content-Type": {"application/json"}}
		if _, err := c.call(http.MethodPost, "/hass/explain", header, explainRequest{token, *site, *from}, &report); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), report)
		}
		text := report.String()
		if hasColour(cmd.OutOrStdout()) {
			text = coloured(text)
		}
		fmt.Fprint(cmd.OutOrStdout(), text)
		return nil
	}
	return cmd
}

// maxTokenFile is more than any token is long.
const maxTokenFile = 64 << 10

// tokenShape is a token within other text.
var tokenShape = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)

// readToken reads a token. None of its errors says what it has read, nor the name of a file
// that is a token.
func readToken(cmd *cobra.Command, name string) (string, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil && tokenShape.MatchString(name) {
			return "", errors.New("this is a token, and the shell may have written it down: put it into a file and name that, or give - and the token on the standard input")
		}
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxTokenFile+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the token: %w", err)
	case len(b) > maxTokenFile:
		return "", fmt.Errorf("there is more than %d KiB: that is no token", maxTokenFile>>10)
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		return "", errors.New("there is no token: it is empty")
	}
	if strings.ContainsAny(text, " \t\r\n=:;\"'") {
		if token := tokenShape.FindString(text); token != "" {
			return token, nil
		}
	}
	return text, nil
}

type explainRequest struct {
	Token string `json:"token"`
	Site  string `json:"site,omitempty"`
	From  string `json:"from,omitempty"`
}

// explanations are what the hass_jwt handlers of a configuration say.
type explanations struct {
	Sites []explained `json:"sites"`
}

type explained struct {
	Site  string   `json:"site"` // "": any
	Paths []string `json:"paths,omitempty"`

	// Further says that more than host and path has to fit before this handler is asked.
	Further bool `json:"further_matchers,omitempty"`

	caddyjwt.Explanation
}

// String is what the command prints.
func (e explanations) String() string {
	var b strings.Builder
	for i, site := range e.Sites {
		if i > 0 {
			b.WriteByte('\n')
		}
		where := site.Site
		if where == "" {
			where = "any host"
		}
		if len(site.Paths) > 0 {
			where += " " + strings.Join(site.Paths, " ")
		}
		if site.Further {
			where += " (where its other matchers fit, too)"
		}
		verdict := "not let in: "
		if site.LetIn {
			verdict = ""
		}
		fmt.Fprintf(&b, "%s: %s%s\n", plain(where), verdict, plain(site.Why))
		width := 0
		for _, s := range site.Steps {
			width = max(width, len(s.Check))
		}
		for _, s := range site.Steps {
			fmt.Fprintf(&b, "%-5s %-*s  %s\n", s.Result, min(width, 40), plain(s.Check), plain(s.Text))
		}
	}
	return b.String()
}

// explain answers what each hass_jwt makes of a token.
func (a *Admin) explain(w http.ResponseWriter, r *http.Request) {
	var in explainRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 2*maxTokenFile)).Decode(&in); err != nil {
		writeError(w, &problem{Status: http.StatusBadRequest, Code: "bad_input", Detail: "the body is no JSON object"})
		return
	}
	guards := findRoutes(caddy.ActiveContext()).guards
	if len(guards) == 0 {
		writeError(w, &problem{Status: http.StatusConflict, Code: "not_configured",
			Detail: "The configuration of this Caddy has no hass_jwt: put it in front of a service, and reload."})
		return
	}
	report := explanations{Sites: []explained{}}
	var sites []string
	for _, g := range guards {
		hosts := g.hosts
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, host := range hosts {
			sites = append(sites, host)
			if in.Site != "" && host != "" && !strings.EqualFold(host, in.Site) {
				continue
			}
			name := host
			if in.Site != "" {
				name = in.Site
			}
			report.Sites = append(report.Sites, explained{
				Site: host, Paths: g.paths, Further: g.further,
				Explanation: g.handler.Explain(r.Context(), in.Token, strings.ToLower(name), in.From),
			})
		}
	}
	if len(report.Sites) == 0 {
		slices.Sort(sites)
		writeError(w, &problem{Status: http.StatusNotFound, Code: "not_found",
			Detail: fmt.Sprintf("There is no hass_jwt at %q; there is at: %s.", in.Site, strings.Join(slices.Compact(sites), ", "))})
		return
	}
	writeJSON(w, http.StatusOK, report)
}

package hasscmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hasscmd/internal/termqr"
)

// token is what the commands read of the API's tokens.
type token struct {
	ID        string     `json:"id"`
	URL       string     `json:"url"`
	Status    string     `json:"status"`
	Guest     string     `json:"guest"`
	Comment   string     `json:"comment"`
	NotBefore *time.Time `json:"not_before"`
	Expires   *time.Time `json:"expires"`
	UsesMax   *int       `json:"uses_max"`
	Actions   []struct {
		Name     string `json:"name"`
		Title    string `json:"title"`
		UsesLeft *int   `json:"uses_left"`
	} `json:"actions"`
	CreatedBy onetime.Person `json:"created_by"`
	CreatedAt time.Time      `json:"created_at"`
}

func tokenCommand() *cobra.Command {
	return group("token", "Makes, lists and revokes links for guests", tokenCreateCommand(), tokenListCommand(), tokenRevokeCommand())
}

func tokenCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --action <name>… [--guest <name>] [--comment <text>] [--uses <n> | --any] [--not-before <when>] [--expires <when>] [--qr] [--json]",
		Short: "Makes a link for a guest and prints it",
		Long: `
Makes a link for a guest and prints it.

A link works once unless --uses or --any says otherwise, and forever unless
--expires says otherwise. Times are RFC 3339 (2026-11-22T18:00:00+01:00) or a
duration from now (30m, 2h, 7d).`,
		Example: `  caddy hass token create --action front_door --guest Tom --expires 2h
  caddy hass token create --action front_door --action garage --uses 3 --qr`,
		Args: cobra.NoArgs,
	}
	addAddressFlags(cmd)
	f := cmd.Flags()
	actions := f.StringArray("action", nil, "Name of an action the guest may run (repeatable)")
	guest := f.String("guest", "", "Name of the guest: the page greets by it")
	comment := f.String("comment", "", "Message that the guest reads")
	uses := f.Int("uses", 1, "How often each action may be run")
	unlimited := f.Bool("any", false, "Any number of uses")
	expires := f.String("expires", "", "When it ends: RFC 3339, or a duration from now")
	notBefore := f.String("not-before", "", "When it begins: RFC 3339, or a duration from now")
	asJSON := f.Bool("json", false, "Print the token as JSON, as the API answers it")
	drawQR := f.Bool("qr", false, "Draw the link as a QR code")
	cmd.MarkFlagsMutuallyExclusive("uses", "any")
	cmd.MarkFlagsMutuallyExclusive("json", "qr")

	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		if len(*actions) == 0 {
			return c.askForAction()
		}
		spec := map[string]any{"actions": *actions, "guest": *guest, "comment": *comment, "uses_max": *uses}
		if *unlimited {
			spec["uses_max"] = nil
		}
		now := time.Now()
		for _, when := range []struct{ flag, member, value string }{
			{"--not-before", "not_before", *notBefore},
			{"--expires", "expires", *expires},
		} {
			if when.value == "" {
				continue
			}
			t, err := parseWhen(when.value, now)
			if err != nil {
				return fmt.Errorf("%s: %w", when.flag, err)
			}
			spec[when.member] = t.UTC().Format(time.RFC3339)
		}
		var raw json.RawMessage
		if _, err := c.call(http.MethodPost, "/hass/api/tokens", nil, spec, &raw); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			return printJSON(out, raw)
		}
		var t token
		if err := json.Unmarshal(raw, &t); err != nil {
			return fmt.Errorf("reading the answer of Caddy at %s: %w", c.address, err)
		}
		fmt.Fprintln(out, t.URL)
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", t.ID, describe(&t, now))
		if *drawQR {
			fmt.Fprintln(out)
			return termqr.Write(out, t.URL, hasColour(out))
		}
		return nil
	}
	return cmd
}

// askForAction is the error for a missing --action: it names what there is.
func (c *client) askForAction() error {
	actions, err := c.actions()
	if err != nil {
		return err
	}
	if len(actions) == 0 {
		return errors.New("there is no action yet that a guest could run: make one by caddy hass action set")
	}
	var names []string
	for _, a := range actions {
		names = append(names, fmt.Sprintf("%s (%s)", a.Name, a.Title))
	}
	return fmt.Errorf("say by --action what the guest may do: %s", strings.Join(names, ", "))
}

// parseWhen reads a moment: RFC 3339, or a duration from now.
func parseWhen(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if d, err := caddy.ParseDuration(s); err == nil {
		if d <= 0 {
			return time.Time{}, fmt.Errorf("%q is not ahead of now", s)
		}
		return now.Add(d), nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a time such as %s nor a duration such as 2h or 7d",
		s, now.Add(2*time.Hour).Truncate(time.Minute).Format(time.RFC3339))
}

// describe says in a line who may do what, how often and when.
func describe(t *token, now time.Time) string {
	who := t.Guest
	if who == "" {
		who = "whoever has it"
	}
	var titles []string
	for _, a := range t.Actions {
		titles = append(titles, strconv.Quote(a.Title))
	}
	s := who + " may press " + strings.Join(titles, " and ")
	switch {
	case t.UsesMax == nil:
		s += " any number of times"
	case *t.UsesMax == 1:
		s += " once"
	default:
		s += fmt.Sprintf(" %d times", *t.UsesMax)
	}
	if len(t.Actions) > 1 && t.UsesMax != nil {
		s += " each"
	}
	if t.NotBefore != nil && t.NotBefore.After(now) {
		s += ", from " + shortTime(*t.NotBefore)
	}
	if t.Expires != nil {
		s += ", until " + shortTime(*t.Expires)
	} else if t.UsesMax == nil {
		s += ", for ever"
	}
	return s
}

// shortTime writes a moment for the person at this machine, in its time zone.
func shortTime(t time.Time) string { return t.Local().Format("Mon 2 Jan 2006 15:04 MST") }

func tokenListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--all] [--links] [--json]",
		Short: "Lists links, newest first",
		Long: `
Lists links, newest first: those that still may open something, or with --all
every one that is remembered. The links themselves are secrets, and only printed
with --links.`,
		Args: cobra.NoArgs,
	}
	addAddressFlags(cmd)
	all := cmd.Flags().Bool("all", false, "Also those that are over")
	links := cmd.Flags().Bool("links", false, "Print the links themselves, too")
	asJSON := cmd.Flags().Bool("json", false, "Print JSON, as the API answers it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		raw, err := c.tokens(*all)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			if !*links {
				for _, t := range raw {
					delete(t, "url")
					delete(t, "old_url")
				}
			}
			return printJSON(out, map[string]any{"tokens": raw})
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprint(w, "ID\tSTATUS\tGUEST\tMAY\tLEFT\tUNTIL\tMADE BY")
		if *links {
			fmt.Fprint(w, "\tLINK")
		}
		fmt.Fprintln(w)
		for _, m := range raw {
			b, err := json.Marshal(m)
			if err != nil {
				return err
			}
			var t token
			if err := json.Unmarshal(b, &t); err != nil {
				return fmt.Errorf("reading the answer of Caddy at %s: %w", c.address, err)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s", t.ID, t.Status, plain(t.Guest), actionNames(&t), left(&t), until(&t), plain(personName(t.CreatedBy)))
			if *links {
				fmt.Fprintf(w, "\t%s", t.URL)
			}
			fmt.Fprintln(w)
		}
		return w.Flush()
	}
	return cmd
}

// tokens reads all pages of the API's list.
func (c *client) tokens(all bool) ([]map[string]any, error) {
	list := []map[string]any{}
	for after := ""; ; {
		q := url.Values{}
		if !all {
			q.Set("live", "true")
		}
		if after != "" {
			q.Set("after", after)
		}
		uri := "/hass/api/tokens"
		if len(q) > 0 {
			uri += "?" + q.Encode()
		}
		var page struct {
			Tokens []map[string]any `json:"tokens"`
			Next   string           `json:"next"`
		}
		if _, err := c.call(http.MethodGet, uri, nil, nil, &page); err != nil {
			return nil, err
		}
		list = append(list, page.Tokens...)
		if page.Next == "" {
			return list, nil
		}
		after = page.Next
	}
}

func actionNames(t *token) string {
	var names []string
	for _, a := range t.Actions {
		names = append(names, a.Name)
	}
	return strings.Join(names, ",")
}

func left(t *token) string {
	if t.UsesMax == nil {
		return "any"
	}
	var s []string
	for _, a := range t.Actions {
		n := *t.UsesMax
		if a.UsesLeft != nil {
			n = *a.UsesLeft
		}
		s = append(s, strconv.Itoa(n))
	}
	return strings.Join(s, ",") + " of " + strconv.Itoa(*t.UsesMax)
}

func until(t *token) string {
	if t.Expires == nil {
		return "-"
	}
	return shortTime(*t.Expires)
}

func personName(p onetime.Person) string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID
}

func tokenRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke <id or link>…",
		Short:   "Switches links off",
		Long:    "Switches links off: they open nothing any more. Their records stay, and the\nhost's side can switch them on again.",
		Example: `  caddy hass token revoke 7K2M9P`,
		Args:    cobra.MinimumNArgs(1),
	}
	addAddressFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		// All of them are read before the first is revoked: a slip of the
		// keyboard changes nothing.
		ids := make([]string, len(args))
		for i, arg := range args {
			if ids[i], err = tokenID(arg); err != nil {
				return err
			}
		}
		for _, id := range ids {
			if _, err := c.call(http.MethodDelete, "/hass/api/tokens/"+url.PathEscape(id), nil, nil, nil); err != nil {
				var p *problem
				if errors.As(err, &p) && p.Status == http.StatusNotFound {
					return fmt.Errorf("there is no link with the id %s: caddy hass token list --all shows those there are", id)
				}
				return fmt.Errorf("%s: %w", id, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s revoked\n", id)
		}
		return nil
	}
	return cmd
}

// tokenIDLength is the length of a token's id, which begins its link's last
// segment.
const tokenIDLength = 6

// tokenID is the id in what somebody has typed: the id itself, a link, or its
// last segment.
func tokenID(s string) (string, error) {
	last := s[strings.LastIndexByte(strings.TrimRight(s, "/"), '/')+1:]
	code, whole, _ := onetime.Normalize(strings.TrimRight(last, "/"))
	switch {
	case whole:
		return code[:tokenIDLength], nil
	case len(code) == tokenIDLength:
		return code, nil
	}
	return "", fmt.Errorf("%q is neither the id of a link, which has %d characters, nor a link", s, tokenIDLength)
}

// plain makes a text of somebody else's safe to print: no control characters,
// nothing that turns the line around.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, 0x7f <= r && r < 0xa0,
			0x200e <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
			return ' '
		}
		return r
	}, s)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

package hasscmd

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func importCommand() *cobra.Command {
	return group("import", "Takes actions and links over from elsewhere", importOneTimeServiceCommand(), endOldLinksCommand())
}

func importOneTimeServiceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "one-time-service <db.json> [--dry-run] [--home <name>] [--skip-check] [--links] [--json]",
		Short: "Takes over the actions and tokens of One Time Service",
		Long: `
Takes over the actions and tokens in the database of One Time Service, which Home
Assistant has as share/one-time-service/db.json: actions with their names as
titles, tokens with their uses, expiry and comments. Files of all its versions
are read. Stop One Time Service before: a use of a link counts in one place only.

Links that guests have go on working, once their host name leads to this Caddy.
They were drawn in a way that can be guessed, so each token gets a link of ours,
too: --links prints them. When all guests have the new ones, switch the old ones
off with "caddy hass import end-old-links --all".

The home is asked whether it can do each action. One that it refuses is left out,
with its tokens; all others are taken over in one step. Importing again takes over
what is new in the file and touches nothing else.`,
		Example: `  caddy hass import one-time-service /share/one-time-service/db.json --dry-run
  caddy hass import one-time-service /share/one-time-service/db.json --links`,
		Args: cobra.ExactArgs(1),
	}
	addAddressFlags(cmd)
	f := cmd.Flags()
	dryRun := f.Bool("dry-run", false, "Only say what would be done")
	home := f.String("home", "", "Name of the home that the actions are for (default: the unnamed one)")
	skipCheck := f.Bool("skip-check", false, "Take actions over without asking the home about them")
	links := f.Bool("links", false, "Print the new links, too")
	asJSON := f.Bool("json", false, "Print JSON")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "links")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		in := cmd.InOrStdin()
		if args[0] != "-" {
			file, err := openFile(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			in = file
		}
		query := url.Values{}
		for name, set := range map[string]bool{"dry_run": *dryRun, "skip_check": *skipCheck, "links": *links} {
			if set {
				query.Set(name, "true")
			}
		}
		if *home != "" {
			query.Set("home", *home)
		}
		header := http.Header{"Content-Type": {"application/json"}}
		answer, err := c.callBody(http.MethodPost, "/hass/import/one-time-service?"+query.Encode(), header, in)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), json.RawMessage(answer))
		}
		var report importReport
		if err := json.Unmarshal(answer, &report); err != nil {
			return fmt.Errorf("reading the answer of Caddy at %s: %w", c.address, err)
		}
		return report.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), *links)
	}
	return cmd
}

// openFile opens a file, and says of a folder that it is one.
func openFile(name string) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s is a folder: name the file in it, db.json", name)
	}
	return f, nil
}

// importWords are how results are told to people.
var importWords = map[onetime.Imported]string{
	onetime.ImportedNow:    "new",
	onetime.ImportedBefore: "there already",
	onetime.ImportRefused:  "REFUSED",
}

// print writes what was taken over to out, and what was not, and why, to notes.
func (r *importReport) print(out, notes io.Writer, links bool) error {
	if len(r.Actions) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ACTION\tNAME HERE\tTITLE\tRESULT")
		for _, a := range r.Actions {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", plain(a.From), dash(a.Name), dash(plain(a.Title)), importWords[a.Result])
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if len(r.Tokens) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprint(w, "ID\tCOMMENT\tMAY\tLEFT\tUNTIL\tSTATUS\tOLD LINK\tRESULT")
		if links {
			fmt.Fprint(w, "\tNEW LINK")
		}
		fmt.Fprintln(w)
		for _, t := range r.Tokens {
			old := "-"
			if t.OldLink {
				old = "kept"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", dash(t.ID), dash(t.name()), dash(cmp.Or(t.Action, plain(t.From))), t.left(), t.until(), dash(string(t.Status)), old, importWords[t.Result])
			if links {
				fmt.Fprintf(w, "\t%s", dash(t.URL))
			}
			fmt.Fprintln(w)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}

	for _, a := range r.Actions {
		if a.Result == onetime.ImportRefused {
			fmt.Fprintf(notes, "Refused: action %q: %s\n", a.From, plain(a.Reason))
		}
		for _, warning := range a.Warnings {
			fmt.Fprintf(notes, "Warning: action %q: %s\n", a.From, plain(warning))
		}
	}
	for _, t := range r.Tokens {
		if t.Result == onetime.ImportRefused {
			fmt.Fprintf(notes, "Refused: %s: %s\n", t.describe(), plain(t.Reason))
		}
		if t.Changed != "" {
			fmt.Fprintf(notes, "Changed: %s: %s\n", t.describe(), plain(t.Changed))
		}
	}
	fmt.Fprintln(out, r.summary())
	if !r.DryRun && !links && slices.ContainsFunc(r.Tokens, func(t importedToken) bool { return t.OldLink }) {
		fmt.Fprintln(notes, "The old links go on working, but can be guessed. The same with --links prints new ones to send; then switch the old ones off: caddy hass import end-old-links --all")
	}
	return nil
}

func (r *importReport) summary() string {
	actions, tokens := make(map[onetime.Imported]int), make(map[onetime.Imported]int)
	for _, a := range r.Actions {
		actions[a.Result]++
	}
	for _, t := range r.Tokens {
		tokens[t.Result]++
	}
	verb := "Taken over: "
	if r.DryRun {
		verb = "A dry run, nothing was changed. It would take over "
	}
	s := verb + count(actions[onetime.ImportedNow], "action") + " and " + count(tokens[onetime.ImportedNow], "link") + "."
	if n := actions[onetime.ImportedBefore] + tokens[onetime.ImportedBefore]; n > 0 {
		s += " There already, and left as they are: " + count(actions[onetime.ImportedBefore], "action") + " and " + count(tokens[onetime.ImportedBefore], "link") + "."
	}
	if n := actions[onetime.ImportRefused] + tokens[onetime.ImportRefused]; n > 0 {
		s += " Refused: " + count(actions[onetime.ImportRefused], "action") + " and " + count(tokens[onetime.ImportRefused], "link") + "."
	}
	return s
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// name is what tells the token from others in a table.
func (t *importedToken) name() string {
	name := t.Guest
	if name == "" {
		name = t.Comment
	}
	short := []rune(plain(name))
	if len(short) > 40 {
		short = append(short[:39], '…')
	}
	return string(short)
}

// describe names a token that has no id: never by its code.
func (t *importedToken) describe() string {
	s := "token"
	if name := t.name(); name != "" {
		s += " " + strconv.Quote(name)
	}
	if t.Created != nil {
		s += " of " + shortTime(*t.Created)
	}
	return s
}

func (t *importedToken) left() string {
	switch {
	case t.UsesLeft != nil && t.UsesMax != nil:
		return fmt.Sprintf("%d of %d", *t.UsesLeft, *t.UsesMax)
	case t.UsesMax == nil && t.Result != onetime.ImportRefused:
		return "any"
	}
	return "-"
}

func (t *importedToken) until() string {
	if t.Expires == nil {
		return "-"
	}
	return shortTime(*t.Expires)
}

func endOldLinksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "end-old-links <id>… | --all",
		Short: "Switches old links off that were taken over; the new ones stay",
		Long: `
Switches old links off that were taken over: those of the tokens with these ids, or
all. The tokens stay, with the uses that are left, and so do their new links. It
cannot be taken back.`,
		Example: `  caddy hass import end-old-links HTQVD8
  caddy hass import end-old-links --all`,
		Args: cobra.ArbitraryArgs,
	}
	addAddressFlags(cmd)
	all := cmd.Flags().Bool("all", false, "Every old link")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *all != (len(args) == 0) {
			return errors.New("say which old links to switch off: by the ids of their tokens, or --all")
		}
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		query := url.Values{}
		for _, arg := range args {
			id, err := tokenID(arg)
			if err != nil {
				return err
			}
			query.Add("id", id)
		}
		if *all {
			query.Set("all", "true")
		}
		var answer struct {
			Ended []string `json:"ended"`
		}
		if _, err := c.call(http.MethodPost, "/hass/import/end-old-links?"+query.Encode(), nil, nil, &answer); err != nil {
			return err
		}
		for _, id := range answer.Ended {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: its old link is off, its new one works on\n", id)
		}
		if len(answer.Ended) == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "There is no old link to switch off.")
			return nil
		}
		return nil
	}
	return cmd
}

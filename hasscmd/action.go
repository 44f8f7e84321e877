package hasscmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// action is what the commands read of the API's actions.
type action struct {
	Name       string   `json:"name"`
	Title      string   `json:"title"`
	Home       string   `json:"home"`
	Definition string   `json:"definition"`
	Done       string   `json:"done"`
	Confirm    string   `json:"confirm"`
	Derived    bool     `json:"confirm_derived"`
	Icon       string   `json:"icon"`
	Warnings   []string `json:"warnings"`

	// Translations are kept as they are.
	Translations json.RawMessage `json:"translations"`
}

func actionCommand() *cobra.Command {
	return group("action", "Defines and lists what guests may do", actionSetCommand(), actionListCommand())
}

func actionSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set <name> --file <file> --title <text> [--home <name>] [--done <text>] [--confirm ask|tap] [--icon <name>]",
		Short: "Defines what guests may do, in Home Assistant's YAML",
		Long: `
Defines an action, or changes the one of that name: what is not given stays as it
is. The definition is Home Assistant's YAML, as its developer tools show it,
from a file or with "-" from the standard input. The home is asked whether it
can do that before anything is saved.`,
		Example: `  caddy hass action set front_door --title "Open the front door" --file - <<'YAML'
  action: lock.unlock
  target:
    entity_id: lock.front_door
  YAML
  caddy hass action set front_door --done "Push hard, the door sticks."`,
		Args: cobra.ExactArgs(1),
	}
	addAddressFlags(cmd)
	f := cmd.Flags()
	file := f.StringP("file", "f", "", `File with the definition; "-" is the standard input`)
	texts := map[string]*string{
		"title":   f.String("title", "", "What the guest's button says, an imperative"),
		"home":    f.String("home", "", "Name of the home that does it (default: the unnamed one)"),
		"done":    f.String("done", "", "What the guest reads when it is done"),
		"confirm": f.String("confirm", "", `"ask": the guest presses twice; "tap": once (default: doors ask)`),
		"icon":    f.String("icon", "", "Name of the icon on the button"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		name := args[0]
		uri := "/hass/api/actions/" + url.PathEscape(name)
		header := http.Header{}
		members := map[string]any{}

		var old action
		got, err := c.call(http.MethodGet, uri, nil, nil, &old)
		var p *problem
		switch {
		case err == nil:
			// Whoever else edits it meanwhile is not overwritten.
			if tag := got.Get("ETag"); tag != "" {
				header.Set("If-Match", tag)
			}
			members = map[string]any{"title": old.Title, "home": old.Home, "definition": old.Definition,
				"done": old.Done, "confirm": old.Confirm, "icon": old.Icon}
			if len(old.Translations) > 0 {
				members["translations"] = old.Translations
			}
			if old.Derived {
				delete(members, "confirm")
			}
		case errors.As(err, &p) && p.Status == http.StatusNotFound:
			if *file == "" {
				return fmt.Errorf("there is no action %q yet: say by --file what it does", name)
			}
			header.Set("If-None-Match", "*") // nor is what somebody else makes meanwhile
		default:
			return err
		}
		if *file != "" {
			definition, err := readFile(cmd, *file)
			if err != nil {
				return err
			}
			members["definition"] = definition
		}
		for flag, value := range texts {
			if f.Changed(flag) {
				members[flag] = *value
			}
		}
		// What is empty is left out: the API chooses then.
		for _, member := range []string{"home", "done", "confirm", "icon"} {
			if members[member] == "" {
				delete(members, member)
			}
		}
		var saved action
		if _, err := c.call(http.MethodPut, uri, header, members, &saved); err != nil {
			return err
		}
		for _, warning := range saved.Warnings {
			fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", plain(warning))
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s saved: %q\n", saved.Name, saved.Title)
		return nil
	}
	return cmd
}

// maxFile is the largest definition read; the API refuses smaller ones.
const maxFile = 1 << 20

func readFile(cmd *cobra.Command, name string) (string, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	if len(b) > maxFile {
		return "", fmt.Errorf("%s is larger than %d MiB: that is no definition of an action", name, maxFile>>20)
	}
	return string(b), nil
}

func actionListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--json]",
		Short: "Lists what guests may do",
		Args:  cobra.NoArgs,
	}
	addAddressFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "Print JSON, as the API answers it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			var raw any
			if _, err := c.call(http.MethodGet, "/hass/api/actions", nil, nil, &raw); err != nil {
				return err
			}
			return printJSON(out, raw)
		}
		actions, err := c.actions()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tTITLE\tHOME")
		for _, a := range actions {
			fmt.Fprintf(w, "%s\t%s\t%s\n", a.Name, plain(a.Title), a.Home)
		}
		return w.Flush()
	}
	return cmd
}

func (c *client) actions() ([]action, error) {
	var list struct {
		Actions []action `json:"actions"`
	}
	if _, err := c.call(http.MethodGet, "/hass/api/actions", nil, nil, &list); err != nil {
		return nil, err
	}
	return list.Actions, nil
}

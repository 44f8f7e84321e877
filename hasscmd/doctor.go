package hasscmd

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-hass/caddy-hass/hasscmd/doctor"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [--json] [--send-test]",
		Short: "Checks homes, links, store and public address of the running Caddy",
		Long: `
Checks the running Caddy and its homes: a line for each check, and what to do
where something is odd (warn) or wrong (fail). The exit status is 1 if anything
failed.`,
		Args: cobra.NoArgs,
	}
	addAddressFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "Print the report as JSON")
	sendTest := cmd.Flags().Bool("send-test", false, "Send a test to everybody who is notified of presses")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		uri := "/hass/doctor"
		if *sendTest {
			uri += "?send_test=true"
		}
		var report doctor.Report
		if _, err := c.call(http.MethodPost, uri, nil, nil, &report); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			if err := printJSON(out, report); err != nil {
				return err
			}
		} else {
			text := report.String()
			if hasColour(out) {
				text = coloured(text)
			}
			fmt.Fprint(out, text)
		}
		if !report.OK {
			// The report has said it all.
			cmd.SilenceErrors = true
			return errors.New("something failed")
		}
		return nil
	}
	return cmd
}

// coloured paints the level at the beginning of each line.
func coloured(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		for level, colour := range map[doctor.Level]string{doctor.OK: "32", doctor.Warn: "33", doctor.Fail: "31"} {
			if rest, ok := strings.CutPrefix(line, string(level)+" "); ok {
				lines[i] = "\x1b[" + colour + "m" + string(level) + "\x1b[0m " + rest
			}
		}
	}
	return strings.Join(lines, "")
}

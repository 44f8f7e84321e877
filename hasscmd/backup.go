package hasscmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup [-o <file>]",
		Short: "Saves all actions, links and the link key in one file, while Caddy runs",
		Long: `
Saves the store with all actions, links and the log, and the link key, in one
file, while Caddy runs. Whoever has that file can make every link in it: keep it
like a key. "-o -" writes it to the standard output.`,
		Example: `  caddy hass backup
  caddy hass backup -o - | age -r age1… > links.age`,
		Args: cobra.NoArgs,
	}
	addAddressFlags(cmd)
	output := cmd.Flags().StringP("output", "o", "", `File to write; "-" is the standard output (default: caddy-hass-<date>.backup in this folder)`)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		name := *output
		if name == "" {
			name = "caddy-hass-" + time.Now().Format("2006-01-02-150405") + ".backup"
		}
		if name == "-" && isTerminal(cmd.OutOrStdout()) {
			return errors.New("a backup is no text, and secret: send it into a file or a pipe, not to the terminal")
		}
		resp, err := c.do(http.MethodGet, "/hass/backup", nil, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if name == "-" {
			_, err := io.Copy(cmd.OutOrStdout(), resp.Body)
			return err
		}
		n, err := writeSecret(name, resp.Body)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d bytes. Whoever has this file can make every link in it.\n", name, n)
		return nil
	}
	return cmd
}

// writeSecret writes a file that only its owner can read: all of it, or the
// file that was there before stays. What is no file, such as /dev/null, is
// written to and not replaced.
func writeSecret(name string, r io.Reader) (n int64, err error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return writeThrough(name, r)
	}
	// CreateTemp makes files that only their owner can read.
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if n, err = io.Copy(f, r); err != nil {
		return 0, fmt.Errorf("%s is not written: %w", name, err)
	}
	if n == 0 {
		return 0, fmt.Errorf("%s is not written: the backup that Caddy sent is empty", name)
	}
	if err = f.Sync(); err != nil {
		return 0, fmt.Errorf("%s is not written: %w", name, err)
	}
	if err = f.Close(); err != nil {
		return 0, fmt.Errorf("%s is not written: %w", name, err)
	}
	return n, os.Rename(f.Name(), name)
}

// writeThrough writes to a device or a pipe.
func writeThrough(name string, r io.Reader) (n int64, err error) {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return n, fmt.Errorf("%s is not written: %w", name, err)
	}
	return n, nil
}

func restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore <file> [--yes]",
		Short: "Puts a backup back, while Caddy runs",
		Long: `
Puts a backup back, while Caddy runs: all actions, links and the log that are
there now are replaced by those in the file, and the link key, too. The file is
checked first; one that is not whole changes nothing.

Links that work a limited number of times wait afterwards until the host lets
them in again, because they may have been used since the backup was made. Links
that work any number of times work at once, also those that were switched off
since then: look through them on the host's side.`,
		Args: cobra.ExactArgs(1),
	}
	addAddressFlags(cmd)
	yes := cmd.Flags().Bool("yes", false, "Do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		name := args[0]
		in := cmd.InOrStdin()
		if name != "-" {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		if !*yes {
			if name == "-" || !isTerminal(cmd.InOrStdin()) {
				return errors.New("this replaces all actions and links of the running Caddy: say --yes where nobody can be asked")
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "This replaces all actions and links of the Caddy at %s by those in %s. Go on? [y/N] ", c.address, name)
			if !confirmed(cmd.InOrStdin()) {
				return errors.New("nothing was changed")
			}
		}
		header := http.Header{"Content-Type": {"application/octet-stream"}}
		if _, err := c.callBody(http.MethodPost, "/hass/restore", header, in); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "Restored. Links with a limited number of uses wait until you let them in again, on the host's side.\n"+
			"Links that work any number of times work at once, also those that were switched off since the backup was made: look through them.")
		return nil
	}
	return cmd
}

// callBody sends a body as it is and reads the whole answer.
func (c *client) callBody(method, uri string, header http.Header, body io.Reader) ([]byte, error) {
	resp, err := c.do(method, uri, header, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func confirmed(r io.Reader) bool {
	line, _ := bufio.NewReader(r).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	}
	return false
}

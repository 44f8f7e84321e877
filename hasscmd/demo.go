package hasscmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-hass/caddy-hass/hasscmd/demo"
	"github.com/caddy-hass/caddy-hass/hasscmd/internal/termqr"
)

// demoResets is how long things in the demo's house stay as they were made:
// long enough to look, short enough to press again.
const demoResets = 20 * time.Second

func demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo [--port <port>] [--host <name>] [--no-qr]",
		Short: "Shows everything, with a home in memory: nothing to configure, nothing left behind",
		Long: `
Starts a home in memory with a door, a light and a vacuum, and a Caddy in front
of it, and prints a guest's link with its QR code: scan it with a phone in the
same network, and press. Nothing has to be configured, nothing is left behind,
and other Caddys on this machine are not disturbed.`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	port := f.Int("port", 0, "Port to serve on (default: 8080, or the next that is free)")
	host := f.String("host", "", "Name or address that phones reach this machine by (default: its address in the local network)")
	noQR := f.Bool("no-qr", false, "Draw no QR code")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *port < 0 || *port > 65535 {
			return fmt.Errorf("--port: %d is no port: they go from 1 to 65535", *port)
		}
		// A second signal ends the process at once.
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		return runDemo(ctx, stop, cmd.OutOrStdout(), demo.Options{Port: *port, Host: *host, Resets: demoResets}, !*noQR)
	}
	return cmd
}

func runDemo(ctx context.Context, stop func(), out io.Writer, o demo.Options, drawQR bool) (err error) {
	d, err := demo.Start(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer func() {
		stop()
		err = errors.Join(err, d.Close())
		fmt.Fprintln(out, "\nThe demo has ended. Nothing is left of it.")
	}()

	fmt.Fprint(out, "A guest's link, ready to press three times. Scan it with a phone in the same network:\n\n")
	fmt.Fprintf(out, "  %s\n\n", d.Link)
	if drawQR {
		if err := termqr.Write(out, d.Link, hasColour(out)); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if d.Local {
		fmt.Fprint(out, "This machine has no network: only browsers on it can open the link. By --host you can name its address.\n\n")
	}
	fmt.Fprintf(out, "The house, to watch:  %s\n", d.View)
	fmt.Fprintf(out, "The host's side:      %s\n", d.Host)
	if local := onThisMachine(d.Link, d.Port); local != d.Link {
		fmt.Fprintf(out, "On this machine:      %s\n", local)
	}
	fmt.Fprintf(out, "\nIf the phone finds nothing there, let port %d in through this machine's firewall.\nDoor, light and vacuum go back to rest after %d seconds. Ctrl-C ends the demo.\n\n", d.Port, int(o.Resets.Seconds()))

	return d.Follow(ctx, func(e demo.Event) {
		fmt.Fprintf(out, "%s  %-11s %s\n", e.At.Local().Format("15:04:05"), plain(e.What), plain(e.How))
	})
}

// onThisMachine is a link as a browser on this machine can open it.
func onThisMachine(link string, port int) string {
	u, err := url.Parse(link)
	if err != nil {
		return link
	}
	u.Host = net.JoinHostPort("localhost", strconv.Itoa(port))
	return u.String()
}

package hasscmd

import (
	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddy.RegisterModule(Admin{})
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "hass",
		Usage: "<command>",
		Short: "Opens doors of a Home Assistant home: links for guests, checks, backups, a demo",
		Long: `
The commands of caddy-hass, the front door of a Home Assistant home.

Try it without a home, with nothing to configure:

	caddy hass demo

All others talk to the Caddy that runs, by its local admin endpoint. Where that
is not at the usual address, name it by --address, or name by --config the
configuration that says where it is; the environment variable CADDY_ADMIN counts
as for Caddy's other commands.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			// Without a function of its own, an unknown command under it
			// would be answered by the help text and exit status 0.
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			cmd.AddCommand(commands()...)
		},
	})
}

func commands() []*cobra.Command {
	return []*cobra.Command{
		demoCommand(), tokenCommand(), actionCommand(), doctorCommand(), backupCommand(), restoreCommand(), keyCommand(), cookieCommand(),
		explainCommand(), importCommand(),
	}
}

// group is a command that only has commands under it. An unknown one is an error.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

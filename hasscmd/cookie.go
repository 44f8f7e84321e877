package hasscmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-hass/caddy-hass/caddyjwt"
)

func cookieCommand() *cobra.Command {
	return group("cookie", "Makes tokens by which programs get into residents' services", cookieCreateCommand())
}

func cookieCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --user <name or id> [--home <name>] [--lifetime <duration>] [--claim <name>=<value>]… [--json]",
		Short: "Makes a token of a resident's and prints it",
		Long: `
Makes a token of a resident's and prints it: the same JSON Web Token as in the
cookie, with the roles that Home Assistant says they have now. Every site with
hass_jwt takes it as "Authorization: Bearer", or as the cookie jwt_access_token.

It is good for --lifetime and cannot be renewed. It ends before that only when
its user is deactivated, demoted or removed in Home Assistant, or by
"caddy hass key rotate --now". Whoever has it is that resident until then: keep
it short, and keep it out of your shell's history and of logs.

Further claims are for the rules of hass_jwt ("allow door garden"): the same
--claim given again makes a list.

It needs an administrator's token for the home in the configuration.`,
		Example: `  curl -H "Authorization: Bearer $(caddy hass cookie create --user anna --lifetime 5m)" https://grafana.example.com/api/health
  caddy hass cookie create --user backup --lifetime 90d --claim job=backup >/run/secrets/backup_token`,
		Args: cobra.NoArgs,
	}
	addAddressFlags(cmd)
	f := cmd.Flags()
	user := f.String("user", "", "Whose: the name they log in to Home Assistant with, or their id there")
	home := f.String("home", "", "The home, where there are several (default: the one without a name)")
	lifetime := f.String("lifetime", "", "How long it is good: 5m, 12h, 90d; 400d at most (default: the lifetime of hass_login, 30m)")
	claims := f.StringArray("claim", nil, "A further claim, as name=value (repeatable)")
	asJSON := f.Bool("json", false, "Print the token with its id and end, as JSON")
	_ = cmd.MarkFlagRequired("user")

	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in := caddyjwt.NewToken{Home: *home, User: *user, Claims: make(map[string][]string)}
		if *lifetime != "" {
			d, err := caddy.ParseDuration(*lifetime)
			if err != nil || d <= 0 {
				return fmt.Errorf("--lifetime %q is no duration above zero, such as 5m, 12h or 90d", *lifetime)
			}
			in.Lifetime = d
		}
		for _, claim := range *claims {
			name, value, ok := strings.Cut(claim, "=")
			if !ok || name == "" || value == "" {
				return fmt.Errorf("--claim %q is not <name>=<value>", claim)
			}
			in.Claims[name] = append(in.Claims[name], value)
		}
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		var made caddyjwt.MadeToken
		header := http.Header{"Content-Type": {"application/json"}}
		if _, err := c.call(http.MethodPost, "/hass/cookie", header, in, &made); err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(made)
		}
		fmt.Fprintln(cmd.OutOrStdout(), made.Token)
		if isTerminal(cmd.OutOrStdout()) {
			fmt.Fprintf(cmd.ErrOrStderr(), "Good until %s.\n", made.Expires.Local().Format(time.DateTime))
		}
		return nil
	}
	return cmd
}

func (a *Admin) createCookie(w http.ResponseWriter, r *http.Request) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	var in caddyjwt.NewToken
	if err := dec.Decode(&in); err != nil {
		writeError(w, &problem{Status: http.StatusBadRequest, Code: "bad_input", Detail: "the body is not the JSON object of a token to make"})
		return
	}
	app, err := loginApp()
	if err != nil {
		writeError(w, err)
		return
	}
	made, err := app.MakeToken(r.Context(), in)
	var bad *caddyjwt.BadToken
	switch {
	case errors.As(err, &bad):
		err = &problem{Status: http.StatusUnprocessableEntity, Code: "bad_input", Field: bad.Field, Detail: bad.Err.Error()}
	case errors.Is(err, caddyjwt.ErrUsersUnknown):
		err = &problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: err.Error()}
	}
	if err != nil {
		writeError(w, err)
		return
	}
	visitor, _ := commandLine(r)
	a.log.Info("a token has been made for a resident", "by", visitor.Name, "user", made.User, "jti", made.ID, "expires", made.Expires)
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, made)
}

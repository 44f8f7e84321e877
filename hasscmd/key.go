package hasscmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-hass/caddy-hass/caddyjwt"
)

func keyCommand() *cobra.Command {
	return group("key", "Shows and changes the keys that sign residents' cookies", keyRotateCommand(), keyExportCommand())
}

func keyRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate [--home <name>] [--now]",
		Short: "Makes another key to sign residents' cookies with",
		Long: `
Makes another key to sign residents' cookies with. It is published at once and
signs ten minutes later; cookies from before stay good until they expire, so
that nobody notices. Caddy does the same by itself every 90 days.

Where a key may have got into other hands, --now makes the new one the only one
at once: every cookie from before is worthless, and everybody logs in once more.`,
		Args: cobra.NoArgs,
	}
	addAddressFlags(cmd)
	home := cmd.Flags().String("home", "", "The home, where there are several (default: the one without a name)")
	alone := cmd.Flags().Bool("now", false, "Sign with it at once, and trust no other key any more")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		var made caddyjwt.KeyInfo
		header := http.Header{"Content-Type": {"application/json"}}
		if _, err := c.call(http.MethodPost, "/hass/key/rotate", header, rotation{*home, *alone}, &made); err != nil {
			return err
		}
		if *alone {
			fmt.Fprintf(cmd.OutOrStdout(), "%s signs from now on. Everybody logs in once more.\n", made.ID)
			return nil
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s signs from %s on.\n", made.ID, made.Signs.Local().Format(time.DateTime))
		return nil
	}
	return cmd
}

func keyExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [--home <name>] [--jwks]",
		Short: "Prints the public keys that residents' cookies are checked with",
		Long: `
Prints the public keys that residents' cookies are checked with, the one that
signs first, as PEM or as a JWK Set. The same is at /auth/jwt_cookie/key.pem and
/auth/jwt_cookie/jwks.json on Home Assistant's site.`,
		Args: cobra.NoArgs,
	}
	addAddressFlags(cmd)
	home := cmd.Flags().String("home", "", "The home, where there are several (default: the one without a name)")
	jwks := cmd.Flags().Bool("jwks", false, "As a JWK Set (RFC 7517)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd)
		if err != nil {
			return err
		}
		query := url.Values{"home": {*home}}
		if *jwks {
			query.Set("jwks", "true")
		}
		resp, err := c.do(http.MethodGet, "/hass/key?"+query.Encode(), nil, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(cmd.OutOrStdout(), resp.Body)
		return err
	}
	return cmd
}

type rotation struct {
	Home string `json:"home"`
	Now  bool   `json:"now"`
}

// loginApp is what the hass_login handlers of the configuration that runs share.
func loginApp() (*caddyjwt.LoginApp, error) {
	app, err := caddy.ActiveContext().AppIfConfigured("hass_login")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, &problem{Status: http.StatusConflict, Code: "not_configured",
			Detail: "The configuration of this Caddy has no hass_login: put it in front of Home Assistant, and reload."}
	}
	if err != nil {
		return nil, err
	}
	return app.(*caddyjwt.LoginApp), nil
}

func (a *Admin) rotateKey(w http.ResponseWriter, r *http.Request) {
	var in rotation
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&in); err != nil {
		writeError(w, &problem{Status: http.StatusBadRequest, Code: "bad_input", Detail: "the body is no JSON object"})
		return
	}
	app, err := loginApp()
	if err != nil {
		writeError(w, err)
		return
	}
	made, err := app.RotateKeys(r.Context(), in.Home, in.Now)
	if err != nil {
		writeError(w, err)
		return
	}
	visitor, _ := commandLine(r)
	a.log.Info("another key signs residents' cookies", "by", visitor.Name, "kid", made.ID, "alone", in.Now)
	writeJSON(w, http.StatusOK, made)
}

func (a *Admin) exportKey(w http.ResponseWriter, r *http.Request) {
	app, err := loginApp()
	if err != nil {
		writeError(w, err)
		return
	}
	jwks := r.URL.Query().Get("jwks") == "true"
	text, err := app.PublicKeys(r.URL.Query().Get("home"), jwks)
	if err != nil {
		writeError(w, err)
		return
	}
	kind := "application/x-pem-file"
	if jwks {
		kind, text = "application/jwk-set+json", append(text, '\n')
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text)
}

package hassapp

import (
	"encoding/json"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-hass/caddy-hass/internal/syntax"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("hass", parseGlobal)
}

// parseGlobal reads one home; the option stands once for each. Syntax:
//
//	hass [<name>] {
//		url   <address>
//		token <placeholder>
//		timeout <duration>
//		tls_server_name <name>
//		tls_trust_pool <module> { … }
//		tls_insecure_skip_verify
//	}
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if before, ok := existing.(httpcaddyfile.App); ok {
		if err := json.Unmarshal(before.Value, app); err != nil {
			return nil, err
		}
	}
	if app.Homes == nil {
		app.Homes = make(map[string]*Home)
	}

	d.Next() // the option's name
	name := DefaultHome
	if d.NextArg() {
		name = d.Val()
		if !validName(name) {
			return nil, d.Errf("%q is no name for a home: use 1 to 64 of a-z, 0-9, _ and -", name)
		}
	}
	if _, ok := app.Homes[name]; ok {
		if name == DefaultHome {
			return nil, d.Err("a second home needs a name: hass <name> { … }")
		}
		return nil, d.Errf("there is a home %q already", name)
	}
	if err := syntax.None(d, "hass [<name>] { … }"); err != nil {
		return nil, err
	}
	home := new(Home)
	if err := home.unmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	app.Homes[name] = home
	return httpcaddyfile.App{Name: "hass", Value: caddyconfig.JSON(app, nil)}, nil
}

func (h *Home) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] {
			return d.Errf("%s stands here twice", word)
		}
		seen[word] = true

		var err error
		switch word {
		case "url":
			h.URL, err = syntax.One(d, "url <address>")
			if err == nil && !syntax.HasPlaceholder(h.URL) {
				if _, bad := checkURL(h.URL); bad != nil {
					err = d.Errf("url: %v", bad)
				}
			}
		case "token":
			h.Token, err = parseToken(d)
		case "timeout":
			err = h.parseTimeout(d)
		case "tls_server_name":
			h.tlsSettings().ServerName, err = syntax.One(d, "tls_server_name <name>")
		case "tls_trust_pool":
			err = h.parseTrustPool(d)
		case "tls_insecure_skip_verify":
			h.tlsSettings().InsecureSkipVerify = true
			err = syntax.None(d, "tls_insecure_skip_verify")
		default:
			err = syntax.Unknown(d, "hass", "url, token, timeout, tls_server_name, tls_trust_pool and tls_insecure_skip_verify")
		}
		if err != nil {
			return err
		}
	}
	if !seen["url"] {
		return d.Err("a home needs a url: write `url http://192.168.1.10:8123`, its address inside the network")
	}
	if !seen["token"] {
		return d.Err("a home needs a token: write `token {env.HASS_TOKEN}` or `token {file./path}`")
	}
	return nil
}

func parseToken(d *caddyfile.Dispenser) (string, error) {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] != "":
		return args[0], nil
	case len(args) == 0 || len(args) == 1:
		return "", d.Err("token is empty: write {env.HASS_TOKEN} or {file./path}. " +
			"({$HASS_TOKEN} is put in while the Caddyfile is read, and is nothing where the variable is not set)")
	}
	return "", syntax.Wrong(d, "token <placeholder>")
}

func (h *Home) parseTimeout(d *caddyfile.Dispenser) error {
	arg, err := syntax.One(d, "timeout <duration>")
	if err != nil {
		return err
	}
	timeout, err := caddy.ParseDuration(arg)
	if err != nil || timeout < time.Millisecond {
		return d.Errf("timeout: %q is no time above zero, such as 10s", arg)
	}
	h.Timeout = caddy.Duration(timeout)
	return nil
}

func (h *Home) parseTrustPool(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return syntax.Wrong(d, "tls_trust_pool <module> …")
	}
	provider := d.Val()
	if _, err := caddy.GetModule("tls.ca_pool.source." + provider); err != nil {
		return d.Errf("tls_trust_pool: there is no module tls.ca_pool.source.%s: write `tls_trust_pool file <pem>`", provider)
	}
	unm, err := caddyfile.UnmarshalModule(d, "tls.ca_pool.source."+provider)
	if err != nil {
		return err
	}
	pool, ok := unm.(caddytls.CA)
	if !ok {
		return d.Errf("tls_trust_pool: %s gives no certificates", provider)
	}
	h.tlsSettings().CARaw = caddyconfig.JSONModuleObject(pool, "provider", provider, nil)
	return nil
}

func (h *Home) tlsSettings() *TLS {
	if h.TLS == nil {
		h.TLS = new(TLS)
	}
	return h.TLS
}

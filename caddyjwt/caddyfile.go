package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("hass_jwt", parseHassJWT)
	httpcaddyfile.RegisterDirectiveOrder("hass_jwt", httpcaddyfile.After, "basic_auth")
}

func parseHassJWT(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(HassJWT)
	if err := h.UnmarshalCaddyfile(helper.Dispenser); err != nil {
		return nil, err
	}
	return h, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	hass_jwt [<matcher>] {
//	    login      <url>
//	    cookie     <name>
//	    key        file <pem> | jwks <url>
//	    issuer     <name>
//	    audience   <name...>
//	    leeway     <duration>
//	    allow      <claim> <value...>
//	    deny       <claim> <value...>
//	    home       <name>
//	    hass_tokens
//	    identity   grafana|frigate|jellyfin|Remote-User [<claim>]
//	    optional
//	    keep_token
//	}
//
// Only allow and deny may be repeated.
func (h *HassJWT) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}

	seen := make(map[string]bool)
	for d.NextBlock(0) {
		word := d.Val()
		if seen[word] && word != "allow" && word != "deny" {
			return d.Errf("%s is given twice", word)
		}
		seen[word] = true

		switch word {
		case "login":
			if err := oneArg(d, &h.Login); err != nil {
				return err
			}
		case "cookie":
			if err := oneArg(d, &h.Cookie); err != nil {
				return err
			}
		case "issuer":
			if err := oneArg(d, &h.Issuer); err != nil {
				return err
			}
		case "home":
			if err := oneArg(d, &h.Home); err != nil {
				return err
			}
		case "key":
			if !d.NextArg() {
				return d.ArgErr()
			}
			h.Key = new(KeyConfig)
			into := &h.Key.File
			switch kind := d.Val(); kind {
			case "file":
			case "jwks":
				into = &h.Key.JWKS
			default:
				return d.Errf("unrecognized kind of key '%s': it must be `key file <pem>` or `key jwks <url>`", kind)
			}
			if err := oneArg(d, into); err != nil {
				return err
			}
		case "audience":
			if h.Audience = d.RemainingArgs(); len(h.Audience) == 0 {
				return d.ArgErr()
			}
		case "leeway":
			var s string
			if err := oneArg(d, &s); err != nil {
				return err
			}
			parsed, err := caddy.ParseDuration(s)
			if err != nil || parsed < 0 {
				return d.Errf("leeway '%s' is no duration such as 30s", s)
			}
			leeway := caddy.Duration(parsed)
			h.Leeway = &leeway
		case "allow", "deny":
			args := d.RemainingArgs()
			if len(args) < 2 {
				return d.ArgErr()
			}
			rule := Rule{Claim: args[0], Values: args[1:]}
			if word == "allow" {
				h.Allow = append(h.Allow, rule)
			} else {
				h.Deny = append(h.Deny, rule)
			}
		case "identity":
			args := d.RemainingArgs()
			if len(args) < 1 || len(args) > 2 {
				return d.ArgErr()
			}
			h.Identity = &IdentityHeaders{Service: args[0]}
			if len(args) == 2 {
				h.Identity.Account = args[1]
			}
			if err := h.Identity.settle(); err != nil {
				return d.WrapErr(err)
			}
		case "optional", "keep_token", "hass_tokens":
			if d.NextArg() {
				return d.ArgErr()
			}
			h.Optional = h.Optional || word == "optional"
			h.HassTokens = h.HassTokens || word == "hass_tokens"
			h.KeepToken = h.KeepToken || word == "keep_token"
		default:
			return d.Errf("unrecognized subdirective '%s'", word)
		}
	}
	return nil
}

// oneArg reads the one argument of a subdirective.
func oneArg(d *caddyfile.Dispenser, s *string) error {
	if !d.NextArg() || d.Val() == "" {
		return d.ArgErr()
	}
	*s = d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*HassJWT)(nil)

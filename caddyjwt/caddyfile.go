package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-hass/caddy-hass/internal/syntax"
)

func init() {
	httpcaddyfile.RegisterDirective("hass_jwt", parseHassJWT)
	httpcaddyfile.RegisterDirectiveOrder("hass_jwt", httpcaddyfile.After, "basic_auth")
}

func parseHassJWT(helper httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !helper.Next() {
		return nil, helper.ArgErr()
	}
	matcher, err := helper.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	h := new(HassJWT)
	if err := h.UnmarshalCaddyfile(helper.Dispenser); err != nil {
		return nil, err
	}
	routes := helper.NewRoute(matcher, h)
	if h.Identity != nil && matcher != nil {
		// What the matcher leaves out goes on to the same service.
		routes = append(helper.NewRoute(nil, &StripIdentity{Service: h.Identity.Service}), routes...)
	}
	return routes, nil
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
		return d.Errf("hass_jwt takes no argument but a matcher: write `login <url>` and the rest in a block { … }")
	}

	seen := make(map[string]bool)
	for d.NextBlock(0) {
		word := d.Val()
		if seen[word] && word != "allow" && word != "deny" {
			return d.Errf("%s is given twice", word)
		}
		seen[word] = true

		var err error
		switch word {
		case "login":
			if h.Login, err = syntax.One(d, "login <url>"); err == nil && !syntax.HasPlaceholder(h.Login) {
				if _, bad := parseLogin(h.Login); bad != nil {
					err = d.Errf("login '%s': %v", h.Login, bad)
				}
			}
		case "cookie":
			h.Cookie, err = syntax.One(d, "cookie <name>")
		case "issuer":
			h.Issuer, err = syntax.One(d, "issuer <name>")
		case "home":
			h.Home, err = syntax.One(d, "home <name>")
		case "key":
			const usage = "key file <pem>` or `key jwks <url>"
			if !d.NextArg() {
				return syntax.Wrong(d, usage)
			}
			h.Key = new(KeyConfig)
			into := &h.Key.File
			switch kind := d.Val(); kind {
			case "file":
			case "jwks":
				into = &h.Key.JWKS
			default:
				return d.Errf("unrecognized kind of key '%s': write `%s`", kind, usage)
			}
			*into, err = syntax.One(d, usage)
		case "audience":
			h.Audience, err = syntax.Args(d, 1, 0, "audience <name…>")
		case "leeway":
			s, err := syntax.One(d, "leeway <duration>")
			if err != nil {
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
				return syntax.Wrong(d, word+" <claim> <value…>")
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
				return syntax.Wrong(d, "identity <service> [<claim>]")
			}
			h.Identity = &IdentityHeaders{Service: args[0]}
			if len(args) == 2 {
				h.Identity.Account = args[1]
			}
			if err := h.Identity.settle(); err != nil {
				return d.WrapErr(err)
			}
		case "optional", "keep_token", "hass_tokens":
			err = syntax.None(d, word)
			h.Optional = h.Optional || word == "optional"
			h.HassTokens = h.HassTokens || word == "hass_tokens"
			h.KeepToken = h.KeepToken || word == "keep_token"
		default:
			err = syntax.Unknown(d, "hass_jwt", "login, cookie, key, issuer, audience, leeway, allow, deny, home, hass_tokens, identity, optional and keep_token")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*HassJWT)(nil)

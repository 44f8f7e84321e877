package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("hass_login", parseHassLogin)
	httpcaddyfile.RegisterDirectiveOrder("hass_login", httpcaddyfile.After, "encode")
}

func parseHassLogin(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(HassLogin)
	if err := h.UnmarshalCaddyfile(helper.Dispenser); err != nil {
		return nil, err
	}
	return h, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	hass_login [<matcher>] {
//	    home        <name>
//	    domain      <domain>
//	    cookie      <name>
//	    issuer      <name>
//	    audience    <name...>
//	    lifetime    <duration>
//	    session     <duration>
//	    redirect_to <host pattern...>
//	    client_certificate { … }
//	    passwordless {
//	        create
//	        provider <id>
//	    }
//	}
//
// Only redirect_to may be repeated; passwordless needs no block. For client_certificate's
// see [parseClientCertificate].
func (h *HassLogin) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		word := d.Val()
		if seen[word] && word != "redirect_to" {
			return d.Errf("%s is given twice", word)
		}
		seen[word] = true

		var err error
		switch word {
		case "home":
			err = oneArg(d, &h.Home)
		case "domain":
			if err = oneArg(d, &h.Domain); err == nil && !hasPlaceholder(h.Domain) {
				if _, bad := checkDomain(h.Domain); bad != nil {
					err = d.Errf("domain %v", bad)
				}
			}
		case "cookie":
			err = oneArg(d, &h.Cookie)
		case "issuer":
			err = oneArg(d, &h.Issuer)
		case "audience":
			if h.Audience = d.RemainingArgs(); len(h.Audience) == 0 {
				err = d.ArgErr()
			}
		case "lifetime":
			err = durationArg(d, word, &h.Lifetime)
		case "session":
			err = durationArg(d, word, &h.Session)
		case "redirect_to":
			args := d.RemainingArgs()
			if len(args) == 0 {
				err = d.ArgErr()
			}
			for _, s := range args {
				if _, bad := parseHostPattern(s); bad != nil && !hasPlaceholder(s) {
					return d.Errf("redirect_to %v", bad)
				}
			}
			h.RedirectTo = append(h.RedirectTo, args...)
		case "client_certificate":
			h.ClientCertificate, err = parseClientCertificate(d)
		case "passwordless":
			h.Passwordless, err = parsePasswordless(d)
		default:
			err = d.Errf("unrecognized subdirective '%s'", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parsePasswordless(d *caddyfile.Dispenser) (*Passwordless, error) {
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	p := new(Passwordless)
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] {
			return nil, d.Errf("%s is given twice", word)
		}
		seen[word] = true
		switch word {
		case "create":
			if d.NextArg() {
				return nil, d.ArgErr()
			}
			p.Create = true
		case "provider":
			if err := oneArg(d, &p.Provider); err != nil {
				return nil, err
			}
		default:
			return nil, d.Errf("unrecognized subdirective '%s'", word)
		}
	}
	return p, nil
}

func hasPlaceholder(s string) bool {
	for _, c := range s {
		if c == '{' {
			return true
		}
	}
	return false
}

// durationArg reads a duration above zero.
func durationArg(d *caddyfile.Dispenser, word string, into *caddy.Duration) error {
	var s string
	if err := oneArg(d, &s); err != nil {
		return err
	}
	parsed, err := caddy.ParseDuration(s)
	if err != nil || parsed <= 0 {
		return d.Errf("%s '%s' is no duration above zero, such as 30m or 30d", word, s)
	}
	*into = caddy.Duration(parsed)
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*HassLogin)(nil)

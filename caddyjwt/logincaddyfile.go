package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-hass/caddy-hass/internal/syntax"
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
//	    client_certificate {
//	        map fingerprint|san|cn|subject <value> <user> {
//	            lifetime <duration>
//	            claim    <name> <value...>
//	        }
//	        lifetime <duration>
//	        claim    <name> <value...>
//	        login    <url>
//	    }
//	    passwordless {
//	        create
//	        provider <id>
//	    }
//	}
//
// Only redirect_to, map and claim may be repeated; a map and passwordless need no block.
func (h *HassLogin) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.Errf("hass_login takes no argument but a matcher: write `domain <domain>` and the rest in a block { … }")
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
			h.Home, err = syntax.One(d, "home <name>")
		case "domain":
			if h.Domain, err = syntax.One(d, "domain <domain>"); err == nil && !syntax.HasPlaceholder(h.Domain) {
				if _, bad := checkDomain(h.Domain); bad != nil {
					err = d.Errf("domain %v", bad)
				}
			}
		case "cookie":
			h.Cookie, err = syntax.One(d, "cookie <name>")
		case "issuer":
			h.Issuer, err = syntax.One(d, "issuer <name>")
		case "audience":
			h.Audience, err = syntax.Args(d, 1, 0, "audience <name…>")
		case "lifetime":
			err = durationArg(d, word, &h.Lifetime)
		case "session":
			err = durationArg(d, word, &h.Session)
		case "redirect_to":
			var args []string
			args, err = syntax.Args(d, 1, 0, "redirect_to <host…>")
			for _, s := range args {
				if _, bad := parseHostPattern(s); bad != nil && !syntax.HasPlaceholder(s) {
					return d.Errf("redirect_to %v", bad)
				}
			}
			h.RedirectTo = append(h.RedirectTo, args...)
		case "client_certificate":
			h.ClientCertificate, err = parseClientCertificate(d)
		case "passwordless":
			h.Passwordless, err = parsePasswordless(d)
		default:
			err = syntax.Unknown(d, "hass_login", "home, domain, cookie, issuer, audience, lifetime, session, redirect_to, client_certificate and passwordless")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parsePasswordless(d *caddyfile.Dispenser) (*Passwordless, error) {
	if err := syntax.None(d, "passwordless"); err != nil {
		return nil, err
	}
	p := new(Passwordless)
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] {
			return nil, d.Errf("%s is given twice", word)
		}
		seen[word] = true

		var err error
		switch word {
		case "create":
			err = syntax.None(d, "create")
			p.Create = true
		case "provider":
			p.Provider, err = syntax.One(d, "provider <id>")
		default:
			err = syntax.Unknown(d, "passwordless", "create and provider")
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// durationArg reads a duration above zero.
func durationArg(d *caddyfile.Dispenser, word string, into *caddy.Duration) error {
	s, err := syntax.One(d, word+" <duration>")
	if err != nil {
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

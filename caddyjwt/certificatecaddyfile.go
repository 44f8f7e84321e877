package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-hass/caddy-hass/internal/syntax"
)

// parseClientCertificate reads the block of client_certificate; see
// [HassLogin.UnmarshalCaddyfile].
func parseClientCertificate(d *caddyfile.Dispenser) (*ClientCertificates, error) {
	if err := syntax.None(d, "client_certificate { … }"); err != nil {
		return nil, err
	}
	c := new(ClientCertificates)
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] && word != "map" && word != "claim" {
			return nil, d.Errf("%s is given twice", word)
		}
		seen[word] = true
		switch word {
		case "map":
			m, err := parseCertificateUser(d)
			if err != nil {
				return nil, err
			}
			c.Map = append(c.Map, m)
		case "login":
			var err error
			if c.Login, err = syntax.One(d, "login <url>"); err != nil {
				return nil, err
			}
			if _, bad := parseLogin(c.Login); bad != nil && !syntax.HasPlaceholder(c.Login) {
				return nil, d.Errf("login '%s': %v", c.Login, bad)
			}
		default:
			known, err := parseLimit(d, word, &c.Lifetime, &c.Claims)
			if err != nil {
				return nil, err
			}
			if !known {
				return nil, syntax.Unknown(d, "client_certificate", "map, lifetime, claim and login")
			}
		}
	}
	if len(c.Map) == 0 {
		return nil, d.Err("client_certificate needs `map fingerprint|san|cn|subject <value> <user>`")
	}
	return c, nil
}

func parseCertificateUser(d *caddyfile.Dispenser) (m CertificateUser, err error) {
	args := d.RemainingArgs()
	if len(args) != 3 || args[1] == "" || args[2] == "" {
		return m, syntax.Wrong(d, "map fingerprint|san|cn|subject <value> <user>")
	}
	m.By, m.Value, m.User = args[0], args[1], args[2]
	value := m.Value
	if syntax.HasPlaceholder(value) && m.By == "fingerprint" {
		value = "00" // what it comes to is checked later
		for range 5 {
			value += value
		}
	}
	if _, bad := certificateMatcher(m.By, value); bad != nil {
		return m, d.Errf("map %s '%s': %v", m.By, m.Value, bad)
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] && word != "claim" {
			return m, d.Errf("%s is given twice", word)
		}
		seen[word] = true
		known, err := parseLimit(d, word, &m.Lifetime, &m.Claims)
		if err != nil {
			return m, err
		}
		if !known {
			return m, syntax.Unknown(d, "map", "lifetime and claim")
		}
	}
	return m, nil
}

// parseLimit reads lifetime or claim; known: it was one of them.
func parseLimit(d *caddyfile.Dispenser, word string, lifetime *caddy.Duration, claims *map[string][]string) (known bool, err error) {
	switch word {
	case "lifetime":
		return true, durationArg(d, word, lifetime)
	case "claim":
		args := d.RemainingArgs()
		if len(args) < 2 {
			return true, syntax.Wrong(d, "claim <name> <value…>")
		}
		if _, twice := (*claims)[args[0]]; twice {
			return true, d.Errf("claim %s is given twice: give all its values at once", args[0])
		}
		if bad := checkClaim(args[0], args[1:]); bad != nil {
			return true, d.Err(bad.Error())
		}
		if *claims == nil {
			*claims = make(map[string][]string)
		}
		(*claims)[args[0]] = args[1:]
		return true, nil
	}
	return false, nil
}

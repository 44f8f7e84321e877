package caddyonetime

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("hass_onetime", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("hass_onetime", httpcaddyfile.Before, "reverse_proxy")
}

// parseDirective reads the directive, which is one of two handlers. Syntax:
//
//	hass_onetime [<matcher>]
//	hass_onetime [<matcher>] dashboard {
//		manage          <claim> <value…>
//		user            <placeholder>
//		frame_ancestors <origin…>
//	}
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	if !h.NextArg() {
		g := new(GuestHandler)
		if h.NextBlock(h.Nesting()) {
			return nil, h.Errf("hass_onetime knows no %q here: house, contact and the like stand in the global option hass_onetime", h.Val())
		}
		return g, nil
	}
	if h.Val() != "dashboard" {
		return nil, h.Errf("hass_onetime knows no %q: write nothing for the guests' side, or dashboard for the host's", h.Val())
	}
	dashboard := new(DashboardHandler)
	return dashboard, dashboard.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile reads what stands behind "dashboard"; see parseDirective.
func (h *DashboardHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] {
			return d.Errf("%s stands here twice", word)
		}
		seen[word] = true

		args := d.RemainingArgs()
		switch word {
		case "manage":
			if len(args) < 2 {
				return d.ArgErr()
			}
			h.Manage = &Claim{Name: args[0], Values: args[1:]}
			if err := h.Manage.check(); err != nil {
				return d.Errf("manage: %v", err)
			}
		case "user":
			if len(args) != 1 {
				return d.ArgErr()
			}
			h.User = args[0]
			if err := checkUser(h.User); err != nil {
				return d.Errf("user: %v", err)
			}
		case "frame_ancestors":
			if len(args) == 0 {
				return d.ArgErr()
			}
			for _, origin := range args {
				if strings.Contains(origin, "{") {
					continue
				}
				if err := checkAncestor(origin); err != nil {
					return d.Errf("frame_ancestors: %v", err)
				}
			}
			h.FrameAncestors = args
		default:
			return d.Errf("hass_onetime dashboard knows no %q: manage, user or frame_ancestors", word)
		}
		if d.NextBlock(d.Nesting()) {
			return d.Errf("%s takes no block", word)
		}
	}
	return nil
}

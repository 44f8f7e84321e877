package caddyonetime

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-hass/caddy-hass/internal/syntax"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("hass_onetime", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("hass_onetime", httpcaddyfile.Before, "reverse_proxy")
}

// parseDirective reads the directive, which is one of two handlers. The guests' side
// has no words of its own. Syntax:
//
//	hass_onetime [<matcher>]
//	hass_onetime [<matcher>] dashboard { … }
//
// For the block see [DashboardHandler.UnmarshalCaddyfile].
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

// UnmarshalCaddyfile sets up the handler from what stands behind "dashboard". Syntax:
//
//	hass_onetime [<matcher>] dashboard {
//		manage          <claim> <value…>
//		user            <placeholder>
//		frame_ancestors <origin…>
//	}
func (h *DashboardHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := syntax.None(d, "hass_onetime [<matcher>] dashboard { … }"); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] {
			return d.Errf("%s stands here twice", word)
		}
		seen[word] = true

		switch word {
		case "manage", "user", "frame_ancestors":
		default:
			return syntax.Unknown(d, "hass_onetime dashboard", "manage, user and frame_ancestors")
		}
		args := d.RemainingArgs()
		switch word {
		case "manage":
			if len(args) < 2 {
				return syntax.Wrong(d, "manage <claim> <value…>")
			}
			h.Manage = &Claim{Name: args[0], Values: args[1:]}
			if err := h.Manage.check(); err != nil {
				return d.Errf("manage: %v", err)
			}
		case "user":
			if len(args) != 1 {
				return syntax.Wrong(d, "user <placeholder>")
			}
			h.User = args[0]
			if err := checkUser(h.User); err != nil {
				return d.Errf("user: %v", err)
			}
		case "frame_ancestors":
			if len(args) == 0 {
				return syntax.Wrong(d, "frame_ancestors <origin…>")
			}
			for _, origin := range args {
				if syntax.HasPlaceholder(origin) {
					continue
				}
				if err := checkAncestor(origin); err != nil {
					return d.Errf("frame_ancestors: %v", err)
				}
			}
			h.FrameAncestors = args
		}
		if d.NextBlock(d.Nesting()) {
			return d.Errf("%s takes no block", word)
		}
	}
	return nil
}

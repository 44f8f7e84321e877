// Package caddyhass is the front door of a Home Assistant home, in one Caddy.
//
// It has no code of its own: importing it plugs every module and command of
// this repository into Caddy, so that one --with is enough for xcaddy.
package caddyhass

import (
	_ "github.com/caddy-hass/caddy-hass/caddyjwt"
	_ "github.com/caddy-hass/caddy-hass/caddyonetime"
	_ "github.com/caddy-hass/caddy-hass/hassapp"
	_ "github.com/caddy-hass/caddy-hass/hasscmd"
)

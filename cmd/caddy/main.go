// Command caddy is Caddy with the front door of a Home Assistant home in it:
// Caddy's standard modules and everything of this repository.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddy-hass/caddy-hass"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() {
	caddycmd.Main()
}

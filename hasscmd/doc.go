// Package hasscmd is the command line of caddy-hass: the commands
// "caddy hass …", and the admin endpoint admin.api.hass through which they
// talk to the Caddy that runs.
//
// The commands decide nothing themselves. Links and actions go through the
// same API as the host's side, which the endpoint serves under /hass/api/; the
// demo is a Caddy of its own, made of the same modules as any other.
package hasscmd

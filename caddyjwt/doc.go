// Package caddyjwt lets residents into any web service behind Caddy with the
// login they already have in Home Assistant.
//
// The handler hass_login stands in front of Home Assistant and mints a cookie, a JSON
// Web Token (RFC 7519), for whom Home Assistant has let in, or who has shown a client
// certificate. The handler hass_jwt stands in front of any other service, checks
// that cookie, or the one of the jwt_cookie integration, and tells whoever stands
// behind it who the resident is. The app hass_login, which needs no configuration, has
// the signing keys and sessions that both share. A token is good when one of the keys of a [KeySource] has
// signed it, by the algorithm the key is made for; nothing in the token itself
// has a say in which key or algorithm that is.
package caddyjwt

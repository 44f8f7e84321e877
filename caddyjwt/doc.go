// Package caddyjwt lets residents into any web service behind Caddy with the
// login they already have in Home Assistant.
//
// Its handler, hass_jwt, checks the JSON Web Token (RFC 7519) that Home
// Assistant's side hands out as a cookie, and tells whoever stands behind it who
// the resident is. A token is good when one of the keys of a [KeySource] has
// signed it, by the algorithm the key is made for; nothing in the token itself
// has a say in which key or algorithm that is.
package caddyjwt

// Package caddyhass is the front door of a Home Assistant home, in one Caddy.
//
// It has no code of its own: importing it plugs every module and command of
// this repository into Caddy, so that one --with is enough for xcaddy.
package caddyhass

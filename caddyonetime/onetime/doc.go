// Package onetime is the domain of one-time links: actions that a host has
// prepared in a home, tokens that give a guest the right to run them, and the
// redemption of a token, which makes the home act exactly as often as the host
// allowed.
//
// It knows no HTTP, no Caddy and no database. A [Store] keeps what it decides,
// a [Home] does what it asks, a clock and a source of randomness are handed in.
//
// # The journal
//
// A redemption is three steps: reserve, ask, settle. Reserving writes the use
// down as spent, durably, in the same transaction that checks that it may be
// spent. Only then is the home asked, once. Settling writes down what came of
// it, and gives the use back where the outcome table says so. Whatever is found
// reserved but not settled when a store is opened was cut off: nobody knows
// whether the home was asked, so it stays spent and the host is told.
package onetime

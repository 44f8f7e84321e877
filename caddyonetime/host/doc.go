// Package host is the host's side of one-time links over net/http: an API
// under /api/, described by /api/openapi.json, and plain pages that make, send
// and follow links and define actions.
//
// It decides nothing itself: everything is asked of [onetime.Service]. What it
// adds is who may ask. A [Visitor] with the right to manage may do everything;
// any other may only share: make links from the actions there are, and see,
// change and revoke their own.
//
// The handler builds only relative addresses, so it works under any prefix
// that has been taken off the path before.
package host

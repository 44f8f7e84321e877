// Package freeport finds addresses for the servers of tests that have to know
// theirs before they start.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports are below those that systems take for outgoing connections (Linux:
// 32768 and up), since such a connection could take one between our look and the
// server's start, or while the server restarts.
const first, count = 20000, 12000

// Addr returns an address on loopback, as 127.0.0.1:port, where nobody listens.
// Tests of other packages, which run at the same time, hardly ever get the same.
func Addr(t testing.TB) string {
	t.Helper()
	var err error
	for range 100 {
		port := strconv.Itoa(first + rand.IntN(count))
		var ln net.Listener
		if ln, err = net.Listen("tcp", ":"+port); err == nil { // on all addresses, as Caddy may
			ln.Close()
			return net.JoinHostPort("127.0.0.1", port)
		}
	}
	t.Fatalf("there is no port to listen on: %v", err)
	return ""
}

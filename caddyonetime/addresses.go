package caddyonetime

import (
	"fmt"
	"net/netip"
)

// How much of a client's address the log keeps.
const (
	addressesFull  = "full"
	addressesShort = "short"
	addressesNone  = "none"
)

// Of a shortened address the first bits are left and the others zero: enough to
// tell a provider from another, too little to tell one of its customers.
const (
	shortIPv4 = 24
	shortIPv6 = 48
)

func checkAddresses(mode string) error {
	switch mode {
	case "", addressesFull, addressesShort, addressesNone:
		return nil
	}
	return fmt.Errorf("addresses: %q is none of %s, %s and %s", mode, addressesFull, addressesShort, addressesNone)
}

// kept is what the log keeps of a client's address.
func kept(address, mode string) string {
	switch mode {
	case addressesNone:
		return ""
	case addressesShort:
		addr, err := netip.ParseAddr(address)
		if err != nil {
			return "" // what it is cannot be told, so nothing of it is kept
		}
		addr = addr.Unmap().WithZone("")
		bits := shortIPv4
		if addr.Is6() {
			bits = shortIPv6
		}
		network, err := addr.Prefix(bits)
		if err != nil {
			return ""
		}
		return network.Addr().String()
	}
	return address
}

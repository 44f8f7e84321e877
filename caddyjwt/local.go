package caddyjwt

import "net/netip"

// isLocal says whether Home Assistant takes an address for one of the local
// network (homeassistant/util/network.py): loopback, private and link-local ones.
func isLocal(ip string) bool {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

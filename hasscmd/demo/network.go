package demo

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	firstPort = 8080
	lastPort  = 8099
)

// claim is the right to serve on a port of this machine, until it is closed.
type claim struct {
	port int
	lock net.PacketConn
}

// claimPort claims the port that is asked for; and where none is asked for, the
// first free one from 8080.
func claimPort(port int) (*claim, error) {
	if port != 0 {
		c, err := tryPort(port)
		if err != nil {
			return nil, fmt.Errorf("port %d cannot be had: choose another by --port, or none to have one chosen (%w)", port, err)
		}
		return c, nil
	}
	for port := firstPort; port <= lastPort; port++ {
		if c, err := tryPort(port); err == nil {
			return c, nil
		}
	}
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		return nil, err
	}
	port = ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	return tryPort(port)
}

// tryPort claims a port if nobody has it.
//
// Caddy shares its ports with whoever else is willing to (SO_REUSEPORT), so it
// would not notice another program on the same one. Listening without that
// does. Two demos that start at the same moment could both find the port free,
// though: the UDP port of the same number, which nobody shares, decides which
// of them has it.
func tryPort(port int) (*claim, error) {
	lock, err := net.ListenPacket("udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		lock.Close()
		return nil, err
	}
	ln.Close()
	return &claim{port: port, lock: lock}, nil
}

func (c *claim) Close() error { return c.lock.Close() }

// lanAddress is this machine's address in the local network, or "".
func lanAddress() string {
	// The address by which it would reach the rest of the world. Nothing is
	// sent: connecting a UDP socket only chooses the route.
	if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer conn.Close()
		if a, ok := netip.AddrFromSlice(conn.LocalAddr().(*net.UDPAddr).IP); ok && usable(a.Unmap()) {
			return a.Unmap().String()
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 || virtual(i.Name) {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && usable(p.Addr()) {
				return p.Addr().String()
			}
		}
	}
	return ""
}

func usable(a netip.Addr) bool {
	return !a.IsLoopback() && !a.IsUnspecified() && !a.IsLinkLocalUnicast()
}

// virtual reports whether an interface leads to containers or virtual machines.
func virtual(name string) bool {
	for _, prefix := range []string{"docker", "br-", "veth", "virbr", "vmnet", "cni", "podman"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// localZone is the name of this machine's time zone, as far as it is known.
func localZone() string {
	names := []string{os.Getenv("TZ"), time.Local.String()}
	if target, err := filepath.EvalSymlinks("/etc/localtime"); err == nil {
		if _, zone, ok := strings.Cut(filepath.ToSlash(target), "/zoneinfo/"); ok {
			names = append(names, zone)
		}
	}
	for _, name := range names {
		name = strings.TrimPrefix(name, ":")
		if name == "" || name == "Local" {
			continue
		}
		if _, err := time.LoadLocation(name); err == nil {
			return name
		}
	}
	return "UTC"
}

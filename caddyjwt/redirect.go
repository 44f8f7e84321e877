package caddyjwt

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// errTarget is why a redirect target is refused; the page says no more, and the
// log tells the rest.
var errTarget = errors.New("this is not a place to go back to")

// maxTarget is how long a redirect target may be.
const maxTarget = 4096

// targets says where people may be sent back to.
type targets struct {
	domain   string        // hosts under it; empty: none
	patterns []hostPattern // instead of those, where there are any
}

// hostPattern is a host of redirect_to, such as "grafana.example.com",
// "*.example.com" (everything below it) or "nas.example.com:5001".
type hostPattern struct {
	host string
	port string // empty: the same as the login's, or the usual one
	any  bool   // below host
}

func parseHostPattern(s string) (hostPattern, error) {
	var p hostPattern
	host := strings.ToLower(s)
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		host, p.any = rest, true
	}
	if h, port, err := net.SplitHostPort(host); err == nil && !strings.Contains(s, "/") {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return p, fmt.Errorf("%q: the port is not one", s)
		}
		host, p.port = h, port
	}
	if p.host = host; !hostName(host) {
		return p, fmt.Errorf("%q is no host: write it as grafana.example.com, *.example.com or nas.example.com:5001, other letters in punycode (xn--…)", s)
	}
	return p, nil
}

// check returns a target as it is sent to the browser, or errTarget. own is the
// address of the login's site. Browsers read addresses more generously than Go
// does, so that only what nobody can misread is let pass.
func (t *targets) check(target string, own *url.URL) (*url.URL, error) {
	if target == "" || len(target) > maxTarget {
		return nil, errTarget
	}
	for i := range len(target) {
		// White space, controls, other than ASCII; and what browsers take for a slash.
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return nil, errTarget
		}
	}
	u, err := url.Parse(target)
	if err != nil || u.Opaque != "" || u.User != nil {
		return nil, errTarget
	}
	if u.Scheme == "" && u.Host == "" {
		if target[0] != '/' || len(target) > 1 && target[1] == '/' {
			return nil, errTarget
		}
		u.Scheme, u.Host = own.Scheme, own.Host
		return u, nil
	}
	if u.Scheme != "https" && u.Scheme != "http" || !strings.HasPrefix(strings.ToLower(target), u.Scheme+"://") {
		return nil, errTarget
	}
	if u.Scheme == "http" && own.Scheme == "https" {
		return nil, errTarget // the cookie does not go there
	}
	rest := target[len(u.Scheme)+len("://"):]
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if rest != u.Host {
		return nil, errTarget // an @, an escape or the like
	}
	if strings.EqualFold(u.Host, own.Host) {
		return u, nil
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if !hostName(host) || strings.HasSuffix(u.Host, ":") {
		return nil, errTarget
	}
	if port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			return nil, errTarget
		}
	}
	if !t.allows(host, portOf(u), u.Scheme, own) {
		return nil, errTarget
	}
	return u, nil
}

func (t *targets) allows(host, port, scheme string, own *url.URL) bool {
	usual := port == portOf(own) && scheme == own.Scheme || port == defaultPort(scheme)
	if len(t.patterns) == 0 {
		return usual && (under(host, t.domain) || host == strings.ToLower(own.Hostname()))
	}
	for _, p := range t.patterns {
		if p.port == "" && !usual || p.port != "" && p.port != port {
			continue
		}
		if host == p.host && !p.any || p.any && strings.HasSuffix(host, "."+p.host) {
			return true
		}
	}
	return false
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return defaultPort(u.Scheme)
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

package hasscmd

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-hass/caddy-hass/caddyjwt"
	"github.com/caddy-hass/caddy-hass/caddyonetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hasscmd/doctor"
)

// found is what the doctor wants to know of the routes of a configuration.
type found struct {
	hosts      []string // of all sites
	upstreams  []string // "host:port" of reverse proxies
	guards     []guard  // the sites of residents
	guests     bool     // the guests' side is served
	dashboards []doctor.Dashboard
}

// guard is a hass_jwt.
type guard struct {
	hosts   []string // none: any
	paths   []string // none: any
	further bool     // more has to fit
	handler *caddyjwt.HassJWT
}

// place is where on the way through the routes a handler stands.
type place struct {
	server        *caddyhttp.Server
	hosts         []string // none: any
	path          string   // what the path begins with
	paths         []string // as the matcher nearest to it has them
	further       bool     // a matcher of another kind has to fit
	authenticated bool     // an authentication handler came before
	credentials   bool     // only requests with a credential of ours come here
}

// findRoutes walks through all HTTP routes of the configuration that runs.
func findRoutes(ctx caddy.Context) *found {
	f := &found{}
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return f
	}
	servers := app.(*caddyhttp.App).Servers
	names := make([]string, 0, len(servers))
	for name := range servers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f.routes(servers[name].Routes, place{server: servers[name]})
	}
	slices.Sort(f.hosts)
	f.hosts = slices.Compact(f.hosts)
	return f
}

func (f *found) routes(routes caddyhttp.RouteList, at place) {
	for _, route := range routes {
		inner := at
		var hosts []string
		for _, set := range route.MatcherSets {
			for _, matcher := range set {
				switch m := matcher.(type) {
				case *caddyhttp.MatchHost:
					hosts = append(hosts, *m...)
				case *caddyhttp.MatchPath:
					if len(*m) > 0 {
						inner.path, _, _ = strings.Cut((*m)[0], "*")
						inner.paths = *m
					}
				case *caddyhttp.MatchHeader:
					inner.credentials = inner.credentials || onlyCredentials(http.Header(*m)["Authorization"])
					inner.further = true
				default:
					inner.further = true
				}
			}
		}
		if len(hosts) > 0 {
			// Those within a site with a wildcard are the ones that are meant.
			inner.hosts = hosts
			f.hosts = append(f.hosts, hosts...)
		}
		for _, handler := range route.Handlers {
			f.handler(handler, &inner)
		}
		// What a route without conditions has done counts for those after it.
		if len(route.MatcherSets) == 0 {
			at.authenticated = inner.authenticated
		}
	}
}

// onlyCredentials reports whether a matcher of the header Authorization takes
// nothing but credentials of ours.
func onlyCredentials(patterns []string) bool {
	return len(patterns) > 0 && !slices.ContainsFunc(patterns, func(p string) bool {
		return !strings.HasPrefix(p, "Bearer "+onetime.CredentialPrefix)
	})
}

func (f *found) handler(handler caddyhttp.MiddlewareHandler, at *place) {
	switch h := handler.(type) {
	case *caddyhttp.Subroute:
		f.routes(h.Routes, *at)
		return
	case *caddyauth.Authentication:
		at.authenticated = true
		return
	case *caddyjwt.HassJWT:
		at.authenticated = true
		f.guards = append(f.guards, guard{at.hosts, at.paths, at.further, h})
		return
	case *caddyonetime.GuestHandler:
		f.guests = true
		return
	case *caddyonetime.DashboardHandler:
		if at.credentials {
			return // it is meant to have no login in front of it
		}
		f.dashboards = append(f.dashboards, dashboardAt(*at, h))
		return
	case *reverseproxy.Handler:
		for _, u := range h.Upstreams {
			f.upstreams = append(f.upstreams, u.Dial)
		}
		// forward_auth is a reverse proxy that lets some pass.
		at.authenticated = at.authenticated || len(h.HandleResponse) > 0
		return
	}
}

// proxies reports whether a reverse proxy leads to the address.
func (f *found) proxies(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	dial := net.JoinHostPort(u.Hostname(), port)
	return slices.ContainsFunc(f.upstreams, func(up string) bool {
		if at, err := caddy.ParseNetworkAddress(up); err == nil {
			up = at.JoinHostPort(0)
		}
		return strings.EqualFold(up, dial)
	})
}

func dashboardAt(at place, handler *caddyonetime.DashboardHandler) doctor.Dashboard {
	host := "localhost"
	if len(at.hosts) > 0 {
		host = strings.Replace(at.hosts[0], "*", "doctor", 1)
	}
	path := at.path
	if path == "" || path[0] != '/' {
		path = "/"
	}
	d := doctor.Dashboard{
		Address:       host + portOf(at.server) + path,
		Authenticated: at.authenticated,
		UserHeader:    headerOf(handler.User),
		Ask: func(ctx context.Context, header http.Header) (*httptest.ResponseRecorder, error) {
			return ask(ctx, at.server, host, path, header)
		},
	}
	return d
}

// portOf is what an address of the server needs behind its host: ":8443", or
// nothing where it is a browser's usual port.
func portOf(server *caddyhttp.Server) string {
	for _, listen := range server.Listen {
		at, err := caddy.ParseNetworkAddress(listen)
		if err != nil || at.IsUnixNetwork() || at.StartPort == 0 {
			continue
		}
		if at.StartPort == caddyhttp.DefaultHTTPPort || at.StartPort == caddyhttp.DefaultHTTPSPort {
			return ""
		}
		return ":" + strconv.Itoa(int(at.StartPort))
	}
	return ""
}

// headerOf is the request header that a placeholder reads, or "".
func headerOf(placeholder string) string {
	name, ok := strings.CutPrefix(placeholder, "{http.request.header.")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(name, "}")
}

// ask sends a request through a server of this Caddy, without a network: as it
// would come from afar, without any login. What it answers does not depend on
// DNS, certificates or routers then.
func ask(ctx context.Context, server *caddyhttp.Server, host, path string, header http.Header) (*httptest.ResponseRecorder, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return nil, err
	}
	req.RequestURI = path
	req.RemoteAddr = "192.0.2.1:1" // nobody's (RFC 5737)
	req.Header.Set("User-Agent", "caddy-hass doctor")
	req.Header.Set("Accept", "text/html")
	for k, v := range header {
		req.Header[http.CanonicalHeaderKey(k)] = v
	}
	if len(server.TLSConnPolicies) > 0 {
		req.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: host, Version: tls.VersionTLS13}
	}
	rec := httptest.NewRecorder()
	server.ServeHTTP(rec, req)
	return rec, nil
}

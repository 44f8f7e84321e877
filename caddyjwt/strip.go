package caddyjwt

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(StripIdentity))
}

// StripIdentity takes out of requests what a client has sent to be taken for somebody by a
// well-known service: what `identity` of `hass_jwt` sets, and what else that service may read. What a
// `hass_jwt` has set for the same service stays.
//
// The Caddyfile adds it wherever a `hass_jwt` has both `identity` and a matcher, for the requests that the
// matcher leaves out: they go on to the same service, which takes those fields for the truth.
type StripIdentity struct {
	// The service, as in `identity` of `hass_jwt`.
	Service string `json:"service"`

	headers IdentityHeaders
}

// CaddyModule returns the Caddy module information.
func (*StripIdentity) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.hass_jwt_strip",
		New: func() caddy.Module { return new(StripIdentity) },
	}
}

// Provision finds the service.
func (s *StripIdentity) Provision(caddy.Context) error {
	s.headers.Service = s.Service
	return s.headers.settle()
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (s *StripIdentity) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	v := visitorOf(r, r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer))
	if !slices.Contains(v.told, s.headers.service) {
		s.headers.strip(r)
	}
	return next.ServeHTTP(w, r)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*StripIdentity)(nil)
	_ caddyhttp.MiddlewareHandler = (*StripIdentity)(nil)
)

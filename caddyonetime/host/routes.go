package host

import (
	"net/http"
	"slices"
	"strings"
)

// route is one method of one address. A segment of the pattern in braces
// stands for any one segment.
type route struct {
	method  string
	pattern string
	manage  bool // needs the right to manage
	static  bool // needs no service
	serve   func(*request) error
}

func (h *Handler) table() []route {
	return []route{
		{method: "GET", pattern: "/", serve: (*request).linksPage},
		{method: "POST", pattern: "/", serve: (*request).linksForm},
		{method: "GET", pattern: "/new", serve: (*request).newPage},
		{method: "POST", pattern: "/new", serve: (*request).newForm},
		{method: "GET", pattern: "/link", serve: (*request).linkPage},
		{method: "POST", pattern: "/link", serve: (*request).linkForm},
		{method: "GET", pattern: "/actions", manage: true, serve: (*request).actionsPage},
		{method: "GET", pattern: "/action", manage: true, serve: (*request).actionPage},
		{method: "POST", pattern: "/action", manage: true, serve: (*request).actionForm},
		{method: "GET", pattern: "/qr", serve: (*request).qrPage},
		{method: "GET", pattern: "/qr.svg", serve: (*request).qr},
		{method: "GET", pattern: "/qr.png", serve: (*request).qrPNG},
		{method: "GET", pattern: "/card", serve: (*request).cardPage},
		{method: "GET", pattern: "/link.ics", serve: (*request).calendar},
		{method: "GET", pattern: "/links.webmanifest", serve: (*request).manifest},
		{method: "GET", pattern: "/-/{asset}", static: true, serve: (*request).asset},

		{method: "GET", pattern: "/api/openapi.json", static: true, serve: (*request).openAPI},
		{method: "GET", pattern: "/api/actions", serve: (*request).listActions},
		{method: "GET", pattern: "/api/actions/{name}", serve: (*request).getAction},
		{method: "PUT", pattern: "/api/actions/{name}", manage: true, serve: (*request).putAction},
		{method: "DELETE", pattern: "/api/actions/{name}", manage: true, serve: (*request).deleteAction},
		{method: "POST", pattern: "/api/actions/{name}/run", manage: true, serve: (*request).runAction},
		{method: "GET", pattern: "/api/tokens", serve: (*request).listTokens},
		{method: "POST", pattern: "/api/tokens", serve: (*request).createToken},
		{method: "GET", pattern: "/api/tokens/{id}", serve: (*request).getToken},
		{method: "PATCH", pattern: "/api/tokens/{id}", serve: (*request).patchToken},
		{method: "DELETE", pattern: "/api/tokens/{id}", serve: (*request).revokeToken},
		{method: "POST", pattern: "/api/tokens/{id}/replenish", serve: (*request).replenishToken},
		{method: "GET", pattern: "/api/log", serve: (*request).log},
		{method: "GET", pattern: "/api/events", serve: (*request).events},
		{method: "GET", pattern: "/api/pause", serve: (*request).getPause},
		{method: "PUT", pattern: "/api/pause", manage: true, serve: (*request).putPause},
	}
}

// match finds the route of a request. Where the address is known but not the
// method, allow lists the methods it has.
func (h *Handler) match(method, path string) (rt *route, params map[string]string, allow string) {
	if path == "" {
		path = "/"
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var methods []string
	for i := range h.routes {
		p, ok := matchPath(h.routes[i].pattern, path)
		if !ok {
			continue
		}
		if h.routes[i].method == method {
			return &h.routes[i], p, ""
		}
		methods = append(methods, h.routes[i].method)
		if h.routes[i].method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return nil, nil, strings.Join(methods, ", ")
}

func matchPath(pattern, path string) (map[string]string, bool) {
	var params map[string]string
	for {
		ps, prest, pmore := strings.Cut(strings.TrimPrefix(pattern, "/"), "/")
		s, rest, more := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if strings.HasPrefix(ps, "{") {
			if s == "" {
				return nil, false
			}
			if params == nil {
				params = map[string]string{}
			}
			params[ps[1:len(ps)-1]] = s
		} else if ps != s {
			return nil, false
		}
		if pmore != more {
			return nil, false
		}
		if !pmore {
			return params, true
		}
		pattern, path = prest, rest
	}
}

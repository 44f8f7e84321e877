package caddyjwt

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// wantedURL is where somebody wanted to go, to come back to: the request's own address, or the one of
// the request that a trusted proxy asks about (Caddy's forward_auth, and what others call so).
func wantedURL(r *http.Request) *url.URL {
	u := externalURL(r)
	if _, asked := askedAbout(r); asked != nil {
		u.Path, u.RawPath, u.RawQuery = asked.Path, asked.RawPath, asked.RawQuery
	}
	u.RawQuery = asciiQuery(u.RawQuery)
	return u
}

// askedAbout returns method and address of the request that a proxy asks about; nil: it asks about
// none.
func askedAbout(r *http.Request) (method string, asked *url.URL) {
	method, uri := r.Header.Get("X-Forwarded-Method"), r.Header.Get("X-Forwarded-Uri")
	if method == "" || uri == "" || !fromTrustedProxy(r) {
		return "", nil
	}
	asked, err := url.ParseRequestURI(uri)
	if err != nil || asked.Scheme != "" || asked.Host != "" || asked.Opaque != "" {
		return "", nil
	}
	return method, asked
}

// asciiQuery escapes what browsers send as it is in a query, and what is refused in a target because
// it is read differently elsewhere in addresses: backslashes, and bytes that are not ASCII.
func asciiQuery(query string) string {
	odd := func(c byte) bool { return c <= ' ' || c >= 0x7f || c == '\\' }
	plain := true
	for i := range len(query) {
		plain = plain && !odd(query[i])
	}
	if plain {
		return query
	}
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; odd(c) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

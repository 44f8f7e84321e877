package caddyjwt

import (
	"net/http"
	"strings"
)

// maxTries is how many tokens of one request are looked at. A browser sends a few
// cookies of one name at most: for the host, its parent domains, several paths.
const maxTries = 8

// bearerToken returns the token of an Authorization field (RFC 6750 section 2.1).
func bearerToken(field string) (string, bool) {
	const scheme = "bearer "
	if len(field) < len(scheme) || !strings.EqualFold(field[:len(scheme)], scheme) {
		return "", false
	}
	token := strings.Trim(field[len(scheme):], " \t")
	return token, token != ""
}

// nextCookie returns the value of the first cookie of that name in a Cookie
// field, and what of the field is left to look at.
func nextCookie(field, name string) (value, rest string, ok bool) {
	for field != "" {
		var pair string
		pair, field, _ = strings.Cut(field, ";")
		if v, is := cookieNamed(pair, name); is {
			return v, field, true
		}
	}
	return "", "", false
}

// cookieNamed returns the value of a cookie pair if it has that name. Names and
// values may stand between white space, values in quotes, as others read them, too.
func cookieNamed(pair, name string) (string, bool) {
	n, v, _ := strings.Cut(pair, "=")
	if trim(n) != name {
		return "", false
	}
	v = trim(v)
	if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
	}
	return v, true
}

func trim(s string) string { return strings.Trim(s, " \t") }

// removeCookie takes every cookie of that name out of a request's header and
// leaves the others as they are, byte for byte. The slices that were there are
// not written to.
func removeCookie(h http.Header, name string) {
	fields := h["Cookie"]
	var kept []string
	for i, field := range fields {
		_, _, found := nextCookie(field, name)
		if !found {
			if kept != nil {
				kept = append(kept, field)
			}
			continue
		}
		if kept == nil {
			kept = append(make([]string, 0, len(fields)), fields[:i]...)
		}
		if field = withoutCookie(field, name); field != "" {
			kept = append(kept, field)
		}
	}
	switch {
	case kept == nil:
	case len(kept) == 0:
		delete(h, "Cookie")
	default:
		h["Cookie"] = kept
	}
}

func withoutCookie(field, name string) string {
	var b strings.Builder
	first := true
	for more := true; more; {
		var pair string
		pair, field, more = strings.Cut(field, ";")
		if _, is := cookieNamed(pair, name); is {
			continue
		}
		if first {
			pair = strings.TrimLeft(pair, " \t")
		} else {
			b.WriteByte(';')
		}
		b.WriteString(pair)
		first = false
	}
	return b.String()
}

// removeBearer takes the Authorization fields that hold token out of a header.
func removeBearer(h http.Header, token string) {
	var kept []string
	for _, field := range h["Authorization"] {
		if t, ok := bearerToken(field); !ok || t != token {
			kept = append(kept, field)
		}
	}
	if len(kept) == 0 {
		delete(h, "Authorization")
		return
	}
	h["Authorization"] = kept
}

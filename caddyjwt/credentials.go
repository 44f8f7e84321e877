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
	token := trim(field[len(scheme):])
	return token, token != ""
}

// nextPair cuts the first pair off a Cookie field. White space around names and
// values is not part of them, nor are quotes around values, as others read them, too.
func nextPair(field string) (pair, name, value, rest string, more bool) {
	pair = field
	if i := strings.IndexByte(field, ';'); i >= 0 {
		pair, rest, more = field[:i], field[i+1:], true
	}
	name = pair
	if i := strings.IndexByte(pair, '='); i >= 0 {
		name, value = pair[:i], trim(pair[i+1:])
	}
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return pair, trim(name), value, rest, more
}

func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// removeCookies takes every cookie that is ours out of a request's header and
// leaves the others as they are, byte for byte. The slices that were there are
// not written to.
func removeCookies(h http.Header, ours func(name string) bool) {
	fields := h["Cookie"]
	var kept []string
	for i, field := range fields {
		rest, found := withoutCookies(field, ours)
		if !found {
			if kept != nil {
				kept = append(kept, field)
			}
			continue
		}
		if kept == nil {
			kept = append(make([]string, 0, len(fields)), fields[:i]...)
		}
		if rest != "" {
			kept = append(kept, rest)
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

func withoutCookies(field string, ours func(name string) bool) (kept string, found bool) {
	start, end := firstCookie(field, ours)
	if start < 0 {
		return field, false
	}
	// One only is the rule, and first or last it leaves a part of the field.
	if more, _ := firstCookie(field[end:], ours); more < 0 {
		switch {
		case start == 0:
			return strings.TrimLeft(field[end:], " \t"), true
		case end == len(field):
			return field[:start-1], true
		}
		return field[:start] + field[end:], true
	}
	var b strings.Builder
	b.Grow(len(field))
	last := false
	for start >= 0 {
		b.WriteString(field[:start])
		last = end == len(field)
		field = field[end:]
		start, end = firstCookie(field, ours)
	}
	b.WriteString(field)
	if kept = b.String(); last {
		kept = strings.TrimSuffix(kept, ";")
	}
	return strings.TrimLeft(kept, " \t"), true
}

// firstCookie returns where the first of our pairs begins and where what follows
// it does, or -1.
func firstCookie(field string, ours func(name string) bool) (start, end int) {
	rest := field
	for more := true; more; {
		var name string
		start = len(field) - len(rest)
		_, name, _, rest, more = nextPair(rest)
		if ours(name) {
			return start, len(field) - len(rest)
		}
	}
	return -1, -1
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

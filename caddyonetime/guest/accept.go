package guest

import (
	"net/http"
	"strconv"
	"strings"
)

// wantsJSON reports whether an Accept header prefers application/json over
// text/html (RFC 9110, section 12.5.1). Naming it beats a wildcard.
func wantsJSON(accept string) bool {
	json, named := quality(accept, "application/json", "application/*")
	html, htmlNamed := quality(accept, "text/html", "text/*")
	if json == 0 {
		return false
	}
	return json > html || json == html && named && !htmlNamed
}

// namesHTML reports whether an Accept header names text/html.
func namesHTML(accept string) bool {
	q, named := quality(accept, "text/html", "")
	return named && q > 0
}

// quality is the weight that an Accept header gives a media type, and whether
// the header names the type itself.
func quality(accept, mediaType, group string) (q float64, named bool) {
	best := 0 // how closely the range fits: 3 the type, 2 the group, 1 everything
	for len(accept) > 0 {
		var part string
		part, accept, _ = strings.Cut(accept, ",")
		kind, params, _ := strings.Cut(part, ";")
		fit := 0
		switch kind = strings.TrimSpace(kind); {
		case strings.EqualFold(kind, mediaType):
			fit = 3
		case group != "" && strings.EqualFold(kind, group):
			fit = 2
		case kind == "*/*":
			fit = 1
		}
		if fit > best {
			best, q = fit, weight(params)
		}
	}
	return q, best == 3
}

func weight(params string) float64 {
	for len(params) > 0 {
		var param string
		param, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}

// AcceptsGzip reports whether a client takes what gzip has made smaller.
func AcceptsGzip(r *http.Request) bool {
	q, named := quality(r.Header.Get("Accept-Encoding"), "gzip", "")
	return named && q > 0
}

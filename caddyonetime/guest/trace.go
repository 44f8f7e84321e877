package guest

import (
	"context"
	"strings"
)

// Trace is what a request's line in an access log may say about it.
type Trace struct {
	// Path is the request's path with the public id in the place of the code
	// ("/ABC123"), or "/-" where the code is wrong. The query is no part of
	// it: it may hold a code, too.
	Path string
}

type traceKey struct{}

// WithTrace returns a context in which the Handler fills in t.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

func (r *request) trace(path string) {
	if t, ok := r.Context().Value(traceKey{}).(*Trace); ok {
		t.Path = path
	}
}

// longestShown is how many letters and digits of a path's segment may stand in
// a log. A code has 24, its secret half 18.
const longestShown = 12

// hiddenPath is a path in which nothing is left that could be the better part
// of a code, such as one with a bracket or a full stop pasted to its end.
func hiddenPath(path string) string {
	if name, ok := strings.CutPrefix(path, "/"+assetPrefix); ok && assetNamed(name) != nil {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		n := 0
		for j := 0; j < len(s); j++ {
			switch c := s[j]; {
			case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c >= 0x80:
				n++
			}
		}
		if n > longestShown {
			segments[i] = "-"
		}
	}
	return strings.Join(segments, "/")
}

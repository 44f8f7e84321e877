package caddyonetime

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
	"go.opentelemetry.io/otel/attribute"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// A guest's link is in the path, and Caddy has taken its picture of the request
// before any handler sees it. So Caddy's own line is switched off for the
// request, and written here, to the same loggers with the same fields, with the
// public id in the link's place.

// logged returns the writer and the request to go on with, and what to call when
// the answer has been written.
func (h *GuestHandler) logged(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request, func()) {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	skip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.LogSkipVar).(bool)
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	trace := new(guest.Trace)
	r = r.WithContext(guest.WithTrace(r.Context(), trace))
	hidden := func() { hideInSpan(r, trace.Path) }
	if skip || server == nil || !logs(server.Logs, hostOf(r)) {
		return w, r, hidden
	}

	start, ok := caddyhttp.GetVar(r.Context(), "start_time").(time.Time)
	if !ok {
		start = time.Now()
	}
	body := &countingReader{ReadCloser: r.Body}
	if r.Body != nil {
		r.Body = body
	}
	recorder := caddyhttp.NewResponseRecorder(w, nil, nil)
	return recorder, r, func() {
		hidden()
		status := recorder.Status()
		level := zapcore.InfoLevel
		if status >= 500 {
			level = zapcore.ErrorLevel
		}
		if name, ok := caddyhttp.GetVar(r.Context(), caddyhttp.LogLevelVar).(string); ok {
			if l, err := zapcore.ParseLevel(name); err == nil && l >= zapcore.DebugLevel && l <= zapcore.ErrorLevel {
				level = l
			}
		}
		var fields []zapcore.Field
		for _, logger := range accessLoggers(h.accessLog, server.Logs, r) {
			entry := logger.Check(level, "handled request")
			if entry == nil {
				continue
			}
			if fields == nil {
				credentials := server.Logs.ShouldLogCredentials
				user := ""
				if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
					user, _ = repl.GetString(authUser + "id")
				}
				fields = []zapcore.Field{
					zap.Object("request", caddyhttp.LoggableHTTPRequest{
						Request:              withoutLink(r, trace.Path),
						ShouldLogCredentials: credentials,
					}),
					zap.Int("bytes_read", body.n),
					zap.String("user_id", user),
					zap.Duration("duration", time.Since(start)),
					zap.Int("size", recorder.Size()),
					zap.Int("status", status),
					zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{
						Header:               withoutCodes(recorder.Header()),
						ShouldLogCredentials: credentials,
					}),
				}
			}
			entry.Write(fields...)
		}
	}
}

// hideInSpan puts the public id in the link's place where Caddy's tracing handler
// has begun a span with the path in it.
func hideInSpan(r *http.Request, path string) {
	if span := oteltrace.SpanFromContext(r.Context()); span.IsRecording() {
		span.SetAttributes(attribute.String("url.path", withoutLink(r, path).URL.Path))
	}
}

// withoutLink is the request as it may be logged: as the client has sent it, but
// with path in the place of what this handler has seen, and without a query.
func withoutLink(r *http.Request, path string) *http.Request {
	if path == "" {
		path = "/-"
	}
	logged := r.WithContext(r.Context())
	prefix := ""
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		logged.Method, logged.RemoteAddr = original.Method, original.RemoteAddr
		if original.URL != nil {
			prefix, _ = strings.CutSuffix(original.URL.Path, r.URL.Path)
			if prefix == original.URL.Path {
				prefix = "" // rewritten: what it was may hold the link
			}
		}
	}
	logged.URL = &url.URL{Path: hideCodes(prefix) + path}
	logged.RequestURI = logged.URL.EscapedPath()
	logged.Host = hideCodes(r.Host)
	logged.Header = withoutCodes(r.Header)
	for _, name := range []string{"Referer", "Origin"} {
		if _, ok := logged.Header[name]; ok {
			logged.Header.Set(name, originOf(logged.Header.Get(name)))
		}
	}
	return logged
}

// originOf is a URL without its path and query.
func originOf(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return "-"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}).String()
}

// withoutCodes copies headers and hides in them what could be a link's code.
func withoutCodes(header http.Header) http.Header {
	hidden := header.Clone()
	for _, values := range hidden {
		for i := range values {
			values[i] = hideCodes(values[i])
		}
	}
	return hidden
}

// hideCodes puts "-" in the place of whatever has the shape of a link's code,
// written plainly or as in a URL.
func hideCodes(s string) string {
	var out strings.Builder
	rest := s
	for rest != "" {
		begin := strings.IndexFunc(rest, inCode)
		if begin < 0 {
			break
		}
		out.WriteString(rest[:begin])
		rest = rest[begin:]
		end := strings.IndexFunc(rest, func(c rune) bool { return !inCode(c) })
		if end < 0 {
			end = len(rest)
		}
		word := rest[:end]
		rest = rest[end:]
		plain := word
		for range 3 { // an address within an address within an address
			next, err := url.QueryUnescape(plain)
			if err != nil || next == plain {
				break
			}
			plain = next
		}
		if hasCode(plain) || hasForeign(plain) {
			word = "-"
		}
		out.WriteString(word)
	}
	out.WriteString(rest)
	return out.String()
}

// hasCode reports whether a link's code, or most of one, may be in s, with
// something pasted to it. What is nothing but hexadecimal, such as the id of a
// trace, is none.
func hasCode(s string) bool {
	n, hex := 0, true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '-' || c == ' ' || c == '+' || '\t' <= c && c <= '\r' || c >= utf8.RuneSelf:
			// What onetime.Normalize passes over, and its like.
		case c == 'u' || c == 'U':
			n, hex = 0, true
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			n++
			hex = hex && (c <= '9' || c|0x20 <= 'f')
			if n >= fewestOfCode && !hex {
				return true
			}
		default:
			n, hex = 0, true
		}
	}
	return false
}

// fewestOfCode is how many letters and digits of a code, of its 24, may not
// stand in a log.
const fewestOfCode = 20

// hasForeign reports whether a link's code from elsewhere may be in s. Nothing
// but hexadecimal is none here, either.
func hasForeign(s string) bool {
	words := strings.FieldsFunc(s, func(c rune) bool {
		return !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
	})
	return slices.ContainsFunc(words, func(w string) bool {
		return onetime.ShapedForeign(w) && strings.Trim(w, "0123456789abcdefABCDEF") != ""
	})
}

func inCode(c rune) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '%' || c == '+' || c >= utf8.RuneSelf
}

// logs reports whether a server logs requests to a host, as Caddy decides it.
func logs(cfg *caddyhttp.ServerLogConfig, host string) bool {
	if cfg == nil {
		return false
	}
	for name := range cfg.LoggerNames {
		if certmagic.MatchWildcard(host, name) {
			return true
		}
	}
	for _, skipped := range cfg.SkipHosts {
		if certmagic.MatchWildcard(host, skipped) {
			return false
		}
	}
	return !cfg.SkipUnmappedHosts
}

// accessLoggers are the loggers of a request, as Caddy chooses them: those that
// log_name says, else those of the host, else the server's.
func accessLoggers(base *zap.Logger, cfg *caddyhttp.ServerLogConfig, r *http.Request) []*zap.Logger {
	var names []string
	if chosen, ok := caddyhttp.GetVar(r.Context(), caddyhttp.AccessLoggerNameVarKey).([]any); ok {
		for _, name := range chosen {
			if s, ok := name.(string); ok {
				names = append(names, s)
			}
		}
	} else {
		names = hostLoggers(cfg, hostOf(r))
	}
	loggers := make([]*zap.Logger, 0, len(names))
	for _, name := range names {
		logger := base
		if name != "" {
			logger = base.Named(name)
		}
		loggers = append(loggers, logger)
	}
	return loggers
}

func hostLoggers(cfg *caddyhttp.ServerLogConfig, host string) []string {
	host = strings.ToLower(host)
	if names, ok := cfg.LoggerNames[host]; ok {
		return names
	}
	labels := strings.Split(host, ".")
	for i := range labels {
		if labels[i] == "" {
			continue
		}
		labels[i] = "*"
		if names, ok := cfg.LoggerNames[strings.Join(labels, ".")]; ok {
			return names
		}
	}
	return []string{cfg.DefaultLoggerName}
}

func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		return r.Host
	}
	return host
}

// countingReader counts what is read of a request's body.
type countingReader struct {
	io.ReadCloser
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += n
	return n, err
}

package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// problem is an answer of RFC 9457. It is an error, so that handlers can
// return it.
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`

	// Code names the problem for programs.
	Code string `json:"code"`

	// Field and Line say where the input is wrong.
	Field string `json:"field,omitempty"`
	Line  int    `json:"line,omitempty"`

	// Tokens is how many live links stand in the way of a deletion.
	Tokens int `json:"tokens,omitempty"`

	// RetryAfter is in seconds.
	RetryAfter int `json:"-"`

	bad *onetime.BadInput // what it is about
	key string            // of Detail, where it is not the code's
}

// text is the detail in the language of a page; empty where the title says it all.
func (p *problem) text(l *words.Language) string {
	key := cmp.Or(p.key, "host.problem."+p.Code+"_what")
	switch {
	case p.bad != nil && l.Tag() != "en":
		return named(l, p.Field, mistakeText(l, p.bad))
	case l.Tag() == "en":
		return p.Detail // which may say a little more
	case p.Code == "in_use":
		return l.N("host.action.in_use", p.Tokens)
	case l.Has(key):
		return l.T(key)
	case p.Status >= http.StatusInternalServerError:
		return l.T("host.problem.other_what")
	}
	return ""
}

func (p *problem) Error() string { return p.Detail }

var errNotManager = &problem{Status: http.StatusForbidden, Code: "forbidden", key: "host.problem.may_not_manage",
	Detail: "This needs the right to manage. You may make links from the actions there are, and change your own."}

// asProblem says what to answer to an error. ok is false for an error that is
// nobody's but ours, which belongs in the log.
func asProblem(err error) (p *problem, ok bool) {
	var (
		bad   *onetime.BadInput
		inUse *onetime.InUse
		store *onetime.StoreError
	)
	switch {
	case errors.As(err, &p):
		c := *p
		p = &c
	case errors.As(err, &bad):
		p = &problem{Status: http.StatusUnprocessableEntity, Code: "bad_input", Detail: bad.Message, Field: bad.Field, Line: bad.Line, bad: bad}
	case errors.As(err, &inUse):
		p = &problem{Status: http.StatusConflict, Code: "in_use", Tokens: inUse.Tokens,
			Detail: fmt.Sprintf("%s; revoke them first, or delete with ?revoke=true to revoke them with it.", inUse.Error())}
	case errors.Is(err, onetime.ErrNoHome):
		p = &problem{Status: http.StatusUnprocessableEntity, Code: "bad_input", Field: "home", Detail: "The configuration has no home of that name.", key: "host.problem.not_found_what"}
	case errors.Is(err, onetime.ErrNotFound):
		p = &problem{Status: http.StatusNotFound, Code: "not_found", Detail: "There is nothing of that name here."}
	case errors.Is(err, onetime.ErrConflict):
		p = &problem{Status: http.StatusPreconditionFailed, Code: "conflict",
			Detail: "It has been changed since you read it. Read it again and repeat your change on what it is now."}
	case errors.Is(err, onetime.ErrForbidden):
		p = &problem{Status: http.StatusForbidden, Code: "forbidden", Detail: "You may not do that."}
	case errors.Is(err, onetime.ErrUnreachable):
		p = &problem{Status: http.StatusServiceUnavailable, Code: "home_unreachable", RetryAfter: 5,
			Detail: "The home cannot be asked right now, so nothing was checked and nothing saved. Try again when it is connected."}
	case errors.Is(err, onetime.ErrClosed):
		p = &problem{Status: http.StatusServiceUnavailable, Code: "unavailable", RetryAfter: 2,
			Detail: "The service is starting or stopping. Nothing was changed."}
	case errors.As(err, &store):
		p = &problem{Status: http.StatusInternalServerError, Code: "store",
			Detail: "The store could not do its work, so nothing was changed: " + store.Err.Error()}
		p.Title = http.StatusText(p.Status)
		return p, false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p = &problem{Status: http.StatusServiceUnavailable, Code: "unavailable", RetryAfter: 2,
			Detail: "The request ended before its answer was ready."}
	default:
		p = &problem{Status: http.StatusInternalServerError, Code: "internal",
			Detail: "Something went wrong here; the log says what."}
		p.Title = http.StatusText(p.Status)
		return p, false
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	return p, true
}

// fail answers with an error: JSON under /api/, a page elsewhere.
func (r *request) fail(err error) {
	p, ok := asProblem(err)
	if !ok {
		r.h.cfg.Logger.Error("a request to the host's side failed", "method", r.Method, "path", r.URL.Path, "by", r.visitor.ID, "error", err)
	}
	if p.RetryAfter > 0 {
		r.w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if !r.api {
		r.problemPage(p)
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		// The script of a form shows it to its host.
		p.Detail = cmp.Or(p.text(r.lang()), r.lang().T("host.problem.other"))
	}
	r.w.Header().Del("ETag")
	r.writeJSON(p.Status, "application/problem+json", p)
}

// nobody answers a request that no authentication has let through.
func (r *request) nobody() {
	p := &problem{Status: http.StatusForbidden, Title: http.StatusText(http.StatusForbidden), Code: "unauthenticated",
		Detail: "Nobody is logged in. Put an authentication in front of hass_onetime dashboard in the Caddyfile, such as hass_jwt or basic_auth."}
	if r.api {
		r.writeJSON(p.Status, "application/problem+json", p)
		return
	}
	r.problemPage(p)
}

// reply answers with JSON.
func (r *request) reply(status int, v any) error {
	r.writeJSON(status, "application/json", v)
	return nil
}

func (r *request) writeJSON(status int, contentType string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		r.h.cfg.Logger.Error("an answer of the host's side cannot be written as JSON", "path", r.URL.Path, "error", err)
		r.w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.w.Header().Set("Content-Type", contentType)
	r.w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	r.w.WriteHeader(status)
	if r.Method != http.MethodHead {
		r.w.Write(append(b, '\n'))
	}
}

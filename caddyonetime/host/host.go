package host

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/pick"
)

// Config is what a Handler needs.
type Config struct {
	// Service returns the service, waiting for it to start where it has not.
	Service func(ctx context.Context) (*onetime.Service, error)

	// Link makes the whole link of a token's code. Its error says that, and
	// how, the public address has to be configured.
	Link func(code string) (string, error)

	// Who is the visitor that an authentication in front of the handler has
	// let through; false is nobody, who is refused.
	Who func(*http.Request) (Visitor, bool)

	// ClientIP is the visitor's address, for the log. Nil: the peer's.
	ClientIP func(*http.Request) netip.Addr

	House string

	// Contacts are whom guests can turn to, for the preview of their page.
	Contacts []guest.Contact

	// Picker is asked what homes have to choose from. Nil: hosts write YAML.
	Picker pick.Picker

	// Doctor examines what serves all this, and its homes. Nil: its findings
	// have no page.
	Doctor func(ctx context.Context) (*Findings, error)

	// Homes says how the configured homes are, in the configuration's order.
	Homes func() []HomeStatus

	// FrameAncestors are the origins whose pages may frame ours. Empty: none.
	FrameAncestors []string

	Logger *slog.Logger
	Now    func() time.Time
}

// Visitor is a person on the host's side.
type Visitor struct {
	onetime.Person

	// Manage is the right to define actions, to see and change everybody's
	// links, to read the whole log and to pause.
	Manage bool
}

// HomeStatus is a configured home as a host has to know it.
type HomeStatus struct {
	Name      string
	Connected bool
	// Refused says that the home takes the token for none of its own.
	Refused bool
	// Problem is, in a sentence, why it is not connected and what to do.
	Problem string
	// TimeZone is the home's; nil while it is not known.
	TimeZone *time.Location
}

// Handler serves the host's side.
type Handler struct {
	cfg    Config
	csrf   *http.CrossOriginProtection
	csp    string
	routes []route
	guest  *guest.Handler // draws previews

	closing   chan struct{}
	closeOnce sync.Once

	// heartbeat is the pause between the comments that keep an idle event
	// stream open.
	heartbeat time.Duration

	warned struct {
		sync.Mutex
		at time.Time
	}
}

// New returns a Handler.
func New(cfg Config) *Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Homes == nil {
		cfg.Homes = func() []HomeStatus { return nil }
	}
	ancestors := "'none'"
	if len(cfg.FrameAncestors) > 0 {
		ancestors = strings.Join(cfg.FrameAncestors, " ")
	}
	h := &Handler{
		cfg:       cfg,
		csrf:      http.NewCrossOriginProtection(),
		closing:   make(chan struct{}),
		heartbeat: 15 * time.Second,
		csp: "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
			"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors " + ancestors,
	}
	h.routes = append(h.table(), h.actionRoutes()...)
	h.guest = guest.New(guest.Config{House: cfg.House, Contacts: cfg.Contacts, Now: cfg.Now})
	return h
}

// Close ends the streams of events, so that a server that is replaced can shut
// down; their clients come back and resume.
func (h *Handler) Close() {
	h.closeOnce.Do(func() { close(h.closing) })
}

// ServeHTTP answers every request itself.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hd := w.Header()
	hd.Set("Content-Security-Policy", h.csp)
	hd.Set("X-Content-Type-Options", "nosniff")
	hd.Set("Referrer-Policy", "no-referrer")
	hd.Set("X-Robots-Tag", "noindex")
	hd.Set("Cache-Control", "no-store")
	if len(h.cfg.FrameAncestors) == 0 {
		hd.Set("X-Frame-Options", "DENY")
	}

	req := &request{h: h, w: w, Request: r, api: isAPI(r.URL.Path)}
	defer req.recover()
	if secret, ok := secretOf(r); ok {
		if err := req.enter(secret); err != nil {
			req.fail(err)
			return
		}
	} else {
		visitor, ok := h.cfg.Who(r)
		if !ok || visitor.ID == "" {
			h.warnUnguarded(r)
			req.nobody()
			return
		}
		req.visitor = visitor
	}

	// Whoever sends a Bearer token is no browser that another site has
	// talked into sending its cookies.
	if !isBearer(r) {
		if err := h.csrf.Check(r); err != nil {
			req.fail(&problem{Status: http.StatusForbidden, Code: "cross_origin",
				Detail: "This request was sent by a page of another origin. Changes are only taken from this site's own pages, or with a Bearer token."})
			return
		}
	}

	route, params, allow := h.match(r.Method, r.URL.Path)
	switch {
	case route == nil && allow == "":
		req.fail(onetime.ErrNotFound)
		return
	case route == nil:
		hd.Set("Allow", allow)
		req.fail(&problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
			Detail: r.Method + " is not possible here, only " + allow + "."})
		return
	case route.manage && !req.visitor.Manage:
		req.fail(errNotManager)
		return
	}
	req.params = params

	if !route.static {
		svc, err := h.service(req)
		if err != nil {
			req.fail(err)
			return
		}
		req.svc = svc
	}
	if err := route.serve(req); err != nil {
		req.fail(err)
	}
}

// service waits for the service, but not for long.
func (h *Handler) service(r *request) (*onetime.Service, error) {
	svc, err := h.cfg.Service(r.Context())
	if err != nil {
		h.cfg.Logger.Error("the host's side cannot reach the service of one-time links", "error", err)
		return nil, onetime.ErrClosed
	}
	return svc, nil
}

// warnUnguarded tells the log, at most once a minute, what is missing.
func (h *Handler) warnUnguarded(r *http.Request) {
	h.warned.Lock()
	now := h.cfg.Now()
	quiet := !h.warned.at.IsZero() && now.Sub(h.warned.at) < time.Minute && !now.Before(h.warned.at)
	if !quiet {
		h.warned.at = now
	}
	h.warned.Unlock()
	if quiet {
		return
	}
	h.cfg.Logger.Warn("refused a request to the host's side: nobody is logged in; "+
		"put an authentication in front of hass_onetime dashboard, such as hass_jwt or basic_auth, "+
		"or name another source of the user's id with its option user",
		"host", r.Host, "method", r.Method)
}

func isBearer(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer")
}

func isAPI(path string) bool { return path == "/api" || strings.HasPrefix(path, "/api/") }

// request is one request on its way through the handler.
type request struct {
	*http.Request
	h       *Handler
	w       http.ResponseWriter
	visitor Visitor
	svc     *onetime.Service
	params  map[string]string

	// credential is what the visitor came in with, where it is a program.
	credential *onetime.Credential

	api bool // answers are JSON, and so are problems
}

// client is the visitor's address for the log.
func (r *request) client() string {
	if r.h.cfg.ClientIP != nil {
		if ip := r.h.cfg.ClientIP(r.Request); ip.IsValid() {
			return ip.String()
		}
		return ""
	}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap().String()
	}
	return ""
}

// mine is the id to which what the visitor sees is limited; empty: everything.
func (r *request) mine() string {
	if r.visitor.Manage {
		return ""
	}
	return r.visitor.ID
}

// recover answers for a handler that has panicked.
func (r *request) recover() {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	r.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}

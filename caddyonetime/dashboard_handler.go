package caddyonetime

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/host"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func init() {
	caddy.RegisterModule(new(DashboardHandler))
}

// DashboardHandler serves the host's side: pages and API. It answers only
// requests that an authentication handler in front of it has let through.
type DashboardHandler struct {
	// Manage says who may do everything. Default: those with the role
	// "admin", where the authentication knows of roles; else everybody it
	// lets through. Everybody else may share.
	Manage *Claim `json:"manage,omitempty"`

	// User is a placeholder for who it is. Default: {http.auth.user.id}.
	User string `json:"user,omitempty"`

	// FrameAncestors are origins whose pages may frame ours.
	FrameAncestors []string `json:"frame_ancestors,omitempty"`

	handler *host.Handler
	app     *App
}

// Claim is a property of a user that has to have one of some values.
type Claim struct {
	// Name as in {http.auth.user.<name>}, or another placeholder in braces.
	// A list is joined by commas there.
	Name string `json:"claim"`

	Values []string `json:"values"`
}

// CaddyModule returns the Caddy module information.
func (*DashboardHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.hass_onetime_dashboard", New: func() caddy.Module { return new(DashboardHandler) }}
}

// Provision sets up the handler.
func (h *DashboardHandler) Provision(ctx caddy.Context) error {
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	h.app = app
	if h.Manage != nil {
		if err := h.Manage.check(); err != nil {
			return fmt.Errorf("manage: %w", err)
		}
	}
	if h.User != "" {
		if err := checkUser(h.User); err != nil {
			return fmt.Errorf("user: %w", err)
		}
	}
	repl := caddy.NewReplacer()
	var ancestors []string
	for _, origin := range h.FrameAncestors {
		origin = repl.ReplaceKnown(origin, "")
		if err := checkAncestor(origin); err != nil {
			return fmt.Errorf("frame_ancestors: %w", err)
		}
		ancestors = append(ancestors, origin)
	}
	h.handler = host.New(host.Config{
		Service:        serviceOf,
		Link:           app.Link,
		Who:            h.who,
		ClientIP:       clientIP,
		House:          app.House,
		Contacts:       app.guestContacts(),
		Homes:          app.homeStatus,
		Picker:         app.picker(),
		Doctor:         doctor(),
		FrameAncestors: ancestors,
		Logger:         ctx.Slogger(),
	})
	// A server waits for its open requests before anything is cleaned up, and
	// by default for ever: streams of events have to end when it begins to.
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		server.RegisterOnShutdown(func() { h.handler.Close() })
	}
	return nil
}

// Cleanup ends streams of events: their clients come back to the configuration
// that has taken over, and resume.
func (h *DashboardHandler) Cleanup() error {
	if h.handler != nil {
		h.handler.Close()
	}
	return nil
}

// ServeHTTP answers a host.
func (h *DashboardHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	r, _, release := h.app.withEngine(r)
	defer release()
	h.handler.ServeHTTP(w, r)
	return nil
}

const (
	userPlaceholder = "{http.auth.user.id}"
	authUser        = "http.auth.user."
)

// who is the visitor whom an authentication handler has let through.
func (h *DashboardHandler) who(r *http.Request) (host.Visitor, bool) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return host.Visitor{}, false
	}
	from := userPlaceholder
	if h.User != "" {
		from = h.User
	}
	// What is not known is nothing, not the placeholder's own text.
	id := strings.TrimSpace(repl.ReplaceAll(from, ""))
	if id == "" {
		return host.Visitor{}, false
	}
	name, _ := repl.GetString(authUser + "name")
	if name == "" {
		name = id
	}
	return host.Visitor{
		Person: onetime.Person{ID: id, Name: name},
		Manage: h.mayManage(repl),
	}, true
}

func (h *DashboardHandler) mayManage(repl *caddy.Replacer) bool {
	if h.Manage != nil {
		return h.Manage.holds(repl)
	}
	// An authentication that knows of roles sets the placeholder, be it to
	// nothing: then somebody without a role does not manage.
	if _, known := repl.Get(authUser + "roles"); known {
		return (&Claim{Name: "roles", Values: []string{"admin"}}).holds(repl)
	}
	return true
}

// holds reports whether the user has one of the values.
func (c *Claim) holds(repl *caddy.Replacer) bool {
	var has string
	if strings.Contains(c.Name, "{") {
		has = repl.ReplaceAll(c.Name, "")
	} else {
		has, _ = repl.GetString(authUser + c.Name)
	}
	for value := range strings.SplitSeq(has, ",") {
		if value = strings.TrimSpace(value); value != "" && slices.Contains(c.Values, value) {
			return true
		}
	}
	return false
}

func (c *Claim) check() error {
	if c.Name == "" || len(c.Values) == 0 || slices.Contains(c.Values, "") {
		return errors.New("a claim and at least one value are needed, such as roles admin")
	}
	return nil
}

func checkUser(placeholder string) error {
	if !strings.Contains(placeholder, "{") {
		return fmt.Errorf("%q is no placeholder, so everybody would be the same person: write {http.request.header.Remote-User}, for example", placeholder)
	}
	return nil
}

var ancestorHost = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9.-]+(:\d+)?$|^\[[0-9A-Fa-f:.]+\](:\d+)?$`)

// checkAncestor checks an origin that goes into a Content-Security-Policy.
func checkAncestor(origin string) error {
	if origin == "'self'" {
		return nil
	}
	scheme, rest, ok := strings.Cut(origin, "://")
	if !ok || scheme != "https" && scheme != "http" || !ancestorHost.MatchString(rest) {
		return fmt.Errorf("%q is no origin: write it as https://ha.example.com, without a path", origin)
	}
	if _, err := url.Parse(strings.Replace(origin, "*.", "", 1)); err != nil {
		return fmt.Errorf("%q is no origin: write it as https://ha.example.com, without a path", origin)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*DashboardHandler)(nil)
	_ caddy.CleanerUpper          = (*DashboardHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*DashboardHandler)(nil)
)

package caddyonetime

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
)

func init() {
	caddy.RegisterModule(new(GuestHandler))
}

// GuestHandler serves the guests' side: the pages behind links. It answers every
// request itself, writes only relative URLs, so that it works below any prefix,
// and writes its own line into the access log, in which no link stands.
type GuestHandler struct {
	app       *App
	handlers  perEngine[http.Handler]
	accessLog *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*GuestHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.hass_onetime", New: func() caddy.Module { return new(GuestHandler) }}
}

// Provision sets up the handler.
func (h *GuestHandler) Provision(ctx caddy.Context) error {
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	h.app = app
	h.accessLog = ctx.Logger(new(caddyhttp.App)).Named("log.access")
	log := ctx.Slogger()
	h.handlers.make = func(e *engine) http.Handler {
		cfg := guest.Config{
			Service:  serviceOf,
			House:    app.House,
			Contacts: app.guestContacts(),
			ClientIP: clientIP,
			Logger:   log,
		}
		if e != nil {
			cfg.Limiter = e.limiter
		}
		return guest.New(cfg)
	}
	return nil
}

// ServeHTTP answers a guest. It returns no error: Caddy would write the request,
// with the link in it, into its log.
func (h *GuestHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	w, r, done := h.logged(w, r)
	defer done()
	r, e, release := h.app.withEngine(r)
	defer release()
	h.handlers.get(e).ServeHTTP(w, r)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*GuestHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*GuestHandler)(nil)
)

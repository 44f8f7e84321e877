package hasscmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/host"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Admin is the part of Caddy's admin endpoint that the commands talk to:
//
//	/hass/api/…          the API of the host's side, as somebody who manages
//	POST /hass/doctor    checks this Caddy and its homes (see package doctor)
//	GET /hass/backup     store and link key in one file
//	POST /hass/restore   puts such a file back
//	GET /hass/key        the public keys of hass_login
//	POST /hass/key/…     makes another one
//	POST /hass/cookie    makes a token of a resident's
//	POST /hass/explain   says why a token is let in or not
//	POST /hass/import/…  takes actions and links over from elsewhere
//
// It is as open as Caddy's admin endpoint: whoever reaches that can already do
// anything to this Caddy.
type Admin struct {
	mux *http.ServeMux
	log *slog.Logger
}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.hass", New: func() caddy.Module { return new(Admin) }}
}

// Provision sets up the routes. It asks for no app: those of the configuration
// that is about to start do not exist yet, and each request looks for them anew.
func (a *Admin) Provision(ctx caddy.Context) error {
	a.log = ctx.Slogger()
	api := host.New(host.Config{
		Service: service,
		Link:    link,
		Who:     commandLine,
		Logger:  a.log,
	})
	a.mux = http.NewServeMux()
	a.mux.Handle("/hass/api/", http.StripPrefix("/hass", configured(api)))
	a.mux.HandleFunc("POST /hass/doctor", a.doctor)
	a.mux.HandleFunc("GET /hass/backup", a.backup)
	a.mux.HandleFunc("POST /hass/restore", a.restore)
	a.mux.HandleFunc("GET /hass/key", a.exportKey)
	a.mux.HandleFunc("POST /hass/key/rotate", a.rotateKey)
	a.mux.HandleFunc("POST /hass/cookie", a.createCookie)
	a.mux.HandleFunc("POST /hass/explain", a.explain)
	a.mux.HandleFunc("POST /hass/import/one-time-service", a.importOneTimeService)
	a.mux.HandleFunc("POST /hass/import/end-old-links", a.endOldLinks)
	a.mux.HandleFunc("/hass/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, &problem{Status: http.StatusNotFound, Code: "not_found",
			Detail: "This Caddy has no endpoint for this command: the command is of another version than the Caddy that runs."})
	})
	return nil
}

// Routes returns the one route of this module.
func (a *Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{
		Pattern: "/hass/",
		Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			a.mux.ServeHTTP(w, r)
			return nil
		}),
	}}
}

// onetimeApp is the app hass_onetime of the configuration that runs.
func onetimeApp() (*caddyonetime.App, error) {
	app, err := caddy.ActiveContext().AppIfConfigured("hass_onetime")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, &problem{Status: http.StatusConflict, Code: "not_configured",
			Detail: "The configuration of this Caddy has no hass_onetime: add a site with the directive hass_onetime, and the global option hass_onetime { public_url https://… }, and reload."}
	}
	if err != nil {
		return nil, err
	}
	return app.(*caddyonetime.App), nil
}

func service(ctx context.Context) (*onetime.Service, error) {
	app, err := onetimeApp()
	if err != nil {
		return nil, err
	}
	return app.Service(ctx)
}

func link(code string) (string, error) {
	app, err := onetimeApp()
	if err != nil {
		return "", err
	}
	return app.Link(code)
}

// configured answers what only makes sense with hass_onetime in the
// configuration; the API itself can only say that it is not there.
func configured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := onetimeApp(); err != nil {
			writeError(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// commandLine is the visitor of the API: the person that the client names. The
// prefix keeps them apart from residents, whose ids are Home Assistant's or
// those of another authentication.
func commandLine(r *http.Request) (host.Visitor, bool) {
	name, err := url.QueryUnescape(r.Header.Get(userHeader))
	if name == "" || err != nil {
		name = "unknown"
	}
	if len(name) > 100 {
		name = name[:100]
	}
	name = strings.ToValidUTF8(name, "")
	return host.Visitor{
		Person: onetime.Person{ID: "command line:" + name, Name: name + " (command line)"},
		Manage: true,
	}, true
}

// backup sends store and link key. What goes wrong after the first byte can
// only be told by ending the answer early.
func (a *Admin) backup(w http.ResponseWriter, r *http.Request) {
	app, err := onetimeApp()
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	cw := &countingWriter{w: w}
	if err := app.Backup(r.Context(), cw); err != nil {
		if cw.n == 0 {
			w.Header().Del("Cache-Control")
			writeError(w, fmt.Errorf("making the backup: %w", err))
			return
		}
		a.log.Error("a backup broke off", "error", err)
		panic(http.ErrAbortHandler)
	}
}

// restore puts a backup back.
func (a *Admin) restore(w http.ResponseWriter, r *http.Request) {
	app, err := onetimeApp()
	if err != nil {
		writeError(w, err)
		return
	}
	visitor, _ := commandLine(r)
	a.log.Warn("a backup is being restored: it replaces all actions, links and the link key", "by", visitor.Name)
	if err := app.Restore(r.Context(), visitor.Person, r.Body); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"restored": true})
}

// countingWriter knows whether anything has gone out.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// writeError answers with what went wrong in full: whoever asks here is the one
// who runs this Caddy.
func writeError(w http.ResponseWriter, err error) {
	var (
		p   *problem
		bad *onetime.BadInput
	)
	switch {
	case errors.As(err, &p):
	case errors.As(err, &bad):
		p = &problem{Status: http.StatusUnprocessableEntity, Code: "bad_input", Detail: bad.Message, Field: bad.Field, Line: bad.Line}
	case errors.Is(err, onetime.ErrClosed):
		p = &problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "This Caddy is starting or stopping: try again. (" + err.Error() + ")"}
	default:
		p = &problem{Status: http.StatusInternalServerError, Code: "internal", Detail: err.Error()}
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p *problem) {
	if p.Title == "" {
		named := *p
		named.Title = http.StatusText(p.Status)
		p = &named
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// Interface guards
var (
	_ caddy.AdminRouter = (*Admin)(nil)
	_ caddy.Provisioner = (*Admin)(nil)
)

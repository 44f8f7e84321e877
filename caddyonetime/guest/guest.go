// Package guest is the guests' side over net/http: the pages behind links, and
// the same as JSON.
//
//	GET  /          a form to type a code in; ?token=… leads to its page
//	GET  /{token}   what the link can do; changes nothing, whoever fetches it
//	POST /{token}   redeem
//	GET  /-/…       assets
//	GET  /.well-known/caddy-hass/{nonce}  says the nonce again, for the doctor
//
// The handler sees the path as handle_path left it and writes only relative
// URLs, so that it works below any prefix.
package guest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// Contact is somebody whom a guest can turn to.
type Contact struct {
	Name string
	URL  string // tel:, sms:, mailto: or https:
}

// Config is what a Handler is made of.
type Config struct {
	// Service returns the service, or waits until there is one.
	Service func(ctx context.Context) (*onetime.Service, error)

	House    string    // "12 Hill Street"; may be empty
	Contacts []Contact // the first is the host of the pages

	// ClientIP is the guest's address; the zero Addr when it is not known.
	ClientIP func(*http.Request) netip.Addr

	// Limiter counts wrong codes. It is shared over reloads.
	Limiter *Limiter

	Logger *slog.Logger     // nil: silent. Never gets a code.
	Now    func() time.Time // time.Now when nil
}

// Handler serves the guests' side. It is safe for concurrent use.
type Handler struct {
	cfg      Config
	contacts []contact
}

// New makes a Handler.
func New(cfg Config) *Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.ClientIP == nil {
		cfg.ClientIP = remoteIP
	}
	if cfg.Limiter == nil {
		cfg.Limiter = NewLimiter(cfg.Now)
	}
	return &Handler{cfg: cfg, contacts: newContacts(cfg.Contacts)}
}

func remoteIP(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}

// request is one request on its way through the handler.
type request struct {
	*http.Request
	w    http.ResponseWriter
	lang *words.Language
	// root leads from the requested path back to the prefix: "./", "../".
	root string
	// segment is the last segment of a link as it was asked for, or the whole
	// code that was meant by it.
	segment string
	// genuine says that the link is one of ours.
	genuine bool
}

// ServeHTTP implements http.Handler. It answers every request itself.
func (h *Handler) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	r := &request{Request: hr, w: w, root: "./"}
	r.lang = words.Match(hr.Header.Get("Accept-Language"))
	r.trace(hiddenPath(hr.URL.Path))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p)
		}
		h.cfg.Logger.Error("a guest's request ended in a panic", "panic", p, "stack", string(debug.Stack()))
		h.trouble(r, http.StatusInternalServerError, "internal", r.Method != http.MethodPost)
	}()
	setHeaders(w.Header())

	path := strings.TrimPrefix(hr.URL.Path, "/")
	switch {
	case strings.HasPrefix(path, assetPrefix):
		serveAsset(r, path[len(assetPrefix):])
		return
	case strings.HasPrefix(path, wellKnownPrefix):
		h.wellKnown(r, path[len(wellKnownPrefix):])
		return
	case path == "":
		h.front(r)
		return
	}
	// A slash at the end comes from messengers and from typing.
	r.segment = strings.TrimSuffix(path, "/")
	r.root = "./" + strings.Repeat("../", strings.Count(path, "/"))
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions:
		h.link(r)
	default:
		h.name(r)
		h.methodNotAllowed(r, "GET, HEAD, POST, OPTIONS")
	}
}

// name tells the log which link a request is about that nothing is done with.
func (h *Handler) name(r *request) {
	code, whole, shaped := onetime.Normalize(r.segment)
	if !whole {
		if code = r.segment; !onetime.ShapedForeign(code) {
			if shaped {
				r.trace("/-")
			}
			return
		}
	}
	r.trace("/-")
	service, err := h.cfg.Service(r.Context())
	if err != nil {
		return
	}
	if v, err := service.Open(r.Context(), code); err == nil {
		r.trace("/" + v.Token.ID)
	}
}

// security is the headers of every answer. No code is inline, nothing is loaded
// from elsewhere, nothing is kept and nobody frames it.
var security = map[string][]string{
	"Content-Security-Policy": {"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
	"X-Content-Type-Options":       {"nosniff"},
	"X-Frame-Options":              {"DENY"},
	"Cache-Control":                {"no-store"},
	"Referrer-Policy":              {"no-referrer"},
	"X-Robots-Tag":                 {"noindex, nofollow, noarchive"},
	"Cross-Origin-Opener-Policy":   {"same-origin"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"Permissions-Policy":           {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
	"Vary":                         {"Accept, Accept-Language"},
}

func setHeaders(header http.Header) {
	for name, values := range security {
		header[name] = values[:1:1]
	}
}

// front is "/": a form to type a code in.
func (h *Handler) front(r *request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if code := r.URL.Query().Get("token"); code != "" {
			h.toCode(r, code)
			return
		}
		if wantsJSON(r.Header.Get("Accept")) {
			writeProblem(r, &problem{Status: http.StatusNotFound, Code: "not_found", Detail: "Ask for a link: /{token}."})
			return
		}
		h.writePage(r, http.StatusOK, h.codePage(r, "code.enter"))
	case http.MethodPost:
		// The form sends the code in its body, which no log has.
		r.Body = http.MaxBytesReader(r.w, r.Body, maxBody)
		if err := r.ParseForm(); err != nil {
			h.refuse(r, nil, &problem{Status: http.StatusUnprocessableEntity, Code: "bad_input", Detail: "The form cannot be read."})
			return
		}
		h.toCode(r, r.PostForm.Get("token"))
	case http.MethodOptions:
		options(r, "GET, HEAD, POST, OPTIONS")
	default:
		h.methodNotAllowed(r, "GET, HEAD, POST, OPTIONS")
	}
}

// toCode leads to the page of a code that somebody typed.
func (h *Handler) toCode(r *request, code string) {
	code = strings.TrimSpace(code)
	if onetime.ShapedForeign(code) {
		redirect(r, r.root+code) // as it is: case matters
		return
	}
	normal, ok, shaped := onetime.Normalize(code)
	if !ok && !shaped {
		h.notFound(r)
		return
	}
	redirect(r, r.root+normal)
}

func redirect(r *request, location string) {
	r.w.Header().Set("Location", location)
	r.w.WriteHeader(http.StatusSeeOther)
}

func options(r *request, allow string) {
	r.w.Header().Set("Allow", allow)
	r.w.WriteHeader(http.StatusNoContent)
}

// link is "/{token}".
func (h *Handler) link(r *request) {
	code, whole, shaped := onetime.Normalize(r.segment)
	foreign := onetime.ShapedForeign(r.segment)
	if !shaped && !whole && !foreign {
		h.notFound(r)
		return
	}
	r.trace("/-")
	if r.Method == http.MethodOptions {
		h.name(r)
		options(r, "GET, HEAD, POST, OPTIONS")
		return
	}
	service, err := h.cfg.Service(r.Context())
	if err != nil {
		h.cfg.Logger.Warn("a guest's request came before the service was ready", "error", err)
		h.trouble(r, http.StatusServiceUnavailable, "unavailable", true)
		return
	}
	if foreign {
		if !service.TakesForeign() {
			h.notFound(r) // nothing that anybody could try here
			return
		}
		code, whole = r.segment, true
	}
	// Genuine links come first: whoever has one is never limited, however many
	// wrong ones came from the same address. A code of the wrong length is
	// as much work as a wrong one.
	if !whole {
		code = wrongCode
	}
	if whole {
		r.segment = code // in addresses, too, as it was given and not as it was typed
	}
	view, err := r.open(service, code)
	if errors.Is(err, onetime.ErrNotFound) || err == nil && !whole {
		h.wrong(r)
		return
	}
	r.genuine = whole && !errors.Is(err, onetime.ErrClosed)
	if err != nil {
		h.fault(r, err)
		return
	}
	r.trace("/" + view.Token.ID)
	if r.Method == http.MethodPost {
		h.redeem(r, service, view)
		return
	}
	h.show(r, service, view)
}

// open opens a link, in the guest's language.
func (r *request) open(service *onetime.Service, code string) (*onetime.View, error) {
	v, err := service.Open(r.Context(), code)
	if err != nil {
		return nil, err
	}
	r.translate(v)
	return v, nil
}

// translate puts the host's own words into the guest's language, where the host
// has said them in it.
func (r *request) translate(v *onetime.View) {
	for i := range v.Actions {
		if a := v.Actions[i].Action; len(a.Translations) > 0 {
			v.Actions[i].Action = a.In(words.Choose(r.Header.Get("Accept-Language"), r.lang, a.Languages()))
		}
	}
}

// wrongCode is a code that was never given to anybody: it has the shape of one.
const wrongCode = "000000000000000000000000"

// wrong answers a code that is not genuine.
func (h *Handler) wrong(r *request) {
	wait, ok := h.cfg.Limiter.Allow(h.cfg.ClientIP(r.Request))
	if ok {
		h.notFound(r)
		return
	}
	p := &problem{Status: http.StatusTooManyRequests, Code: "too_many_tries", RetryAfter: seconds(wait),
		Detail: "Too many wrong links came from this network. A right one still works."}
	if !r.html() {
		writeProblem(r, p)
		return
	}
	setRetryAfter(r, p.RetryAfter)
	page := h.codePage(r, "code.many")
	page.wait(r.lang, h.cfg.Now(), wait)
	h.writePage(r, p.Status, page)
}

// notFound answers whatever is no link.
func (h *Handler) notFound(r *request) {
	if r.html() {
		h.writePage(r, http.StatusNotFound, h.codePage(r, "code.incomplete"))
		return
	}
	writeProblem(r, &problem{Status: http.StatusNotFound, Code: "not_found", Detail: "There is no such link."})
}

func (h *Handler) methodNotAllowed(r *request, allow string) {
	r.w.Header().Set("Allow", allow)
	writeProblem(r, &problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "This address takes " + allow + "."})
}

// html reports whether an answer other than a genuine link's is a page: only
// for those who ask for one by name, and not rather for JSON.
func (r *request) html() bool {
	accept := r.Header.Get("Accept")
	return namesHTML(accept) && !wantsJSON(accept)
}

// fault answers an error that is ours.
func (h *Handler) fault(r *request, err error) {
	var store *onetime.StoreError
	switch {
	case errors.Is(err, onetime.ErrClosed):
		h.trouble(r, http.StatusServiceUnavailable, "unavailable", true)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		h.trouble(r, http.StatusServiceUnavailable, "unavailable", r.Method != http.MethodPost)
	case errors.As(err, &store):
		h.cfg.Logger.Error("the store failed a guest", "error", err)
		h.trouble(r, http.StatusInternalServerError, "store", true)
	default:
		h.cfg.Logger.Error("a guest's request failed", "error", err)
		h.trouble(r, http.StatusInternalServerError, "internal", r.Method != http.MethodPost)
	}
}

// trouble is "Something is wrong here". sure says that nothing was sent.
func (h *Handler) trouble(r *request, status int, code string, sure bool) {
	p := &problem{Status: status, Code: code, Detail: "Something is wrong on this side. Nothing was sent to the home."}
	if !sure {
		p.Detail = "Something is wrong on this side. Ask again with the same key: it counts only once."
	}
	if status == http.StatusServiceUnavailable {
		p.RetryAfter = 2
	}
	if !r.html() {
		writeProblem(r, p)
		return
	}
	setRetryAfter(r, p.RetryAfter)
	h.writePage(r, status, h.troublePage(r, sure))
}

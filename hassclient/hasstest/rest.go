package hasstest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// origin is where a request comes from and went to, after X-Forwarded-*.
type origin struct {
	remote       netip.Addr
	scheme, host string
}

// ServeHTTP implements [http.Handler].
func (h *Home) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	h.wg.Add(1) // Close waits for us
	h.mu.Unlock()
	defer h.wg.Done()
	f, healed := h.fault()
	if f.refuse {
		panic(http.ErrAbortHandler) // breaks the connection
	}
	if f.hang {
		select {
		case <-healed:
		case <-r.Context().Done():
			return
		case <-h.ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
	header := w.Header()
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "SAMEORIGIN")
	from, ok := h.origin(r)
	if !ok {
		plain(w, http.StatusBadRequest)
		return
	}
	if r.URL.Path == "/api/websocket" && r.Method == http.MethodGet {
		h.serveWebSocket(w, r, from)
		return
	}
	if f.slow > 0 && !h.wait(h.ctx, f.slow) {
		return
	}
	if f.garbage || f.huge {
		header.Set("Content-Type", "application/json")
		b := garbage()
		if f.huge {
			b = hugeAnswer()
		}
		_, _ = w.Write(b)
		return
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/auth/"):
		h.serveAuth(w, r, from)
	case strings.HasPrefix(r.URL.Path, "/api/"):
		h.serveAPI(w, r, from, f)
	case r.URL.Path == "/manifest.json" && r.Method == http.MethodGet:
		header.Set("Content-Type", "application/manifest+json; charset=utf-8")
		_, _ = w.Write(mustJSON(map[string]any{
			"name": "Home Assistant", "short_name": "Home Assistant", "display": "standalone", "start_url": "/?homescreen=1",
		}))
	case r.URL.Path == "/" && r.Method == http.MethodGet:
		header.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Home Assistant</title></head><body></body></html>")
	default:
		plain(w, http.StatusNotFound)
	}
}

// origin reads X-Forwarded-For, -Proto and -Host; false: from somebody who may
// not send them, or wrong in themselves.
func (h *Home) origin(r *http.Request) (origin, bool) {
	from := origin{scheme: "http", host: r.Host}
	if r.TLS != nil {
		from.scheme = "https"
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from.remote = peer.Addr().Unmap()
	}
	header := r.Header.Values("X-Forwarded-For")
	if len(header) == 0 {
		return from, true
	}
	trusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(h.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if !trusted(from.remote) {
		return from, false
	}
	var chain []netip.Addr
	for s := range strings.SplitSeq(strings.Join(header, ","), ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil {
			return from, false
		}
		chain = append(chain, a.Unmap())
	}
	at := len(chain) - 1
	for at > 0 && trusted(chain[at]) {
		at--
	}
	from.remote = chain[at]
	if header := r.Header.Values("X-Forwarded-Proto"); len(header) > 0 {
		protos := strings.Split(strings.Join(header, ","), ",")
		for i := range protos {
			if protos[i] = strings.TrimSpace(protos[i]); protos[i] == "" {
				return from, false
			}
		}
		switch len(protos) {
		case len(chain):
			from.scheme = protos[at]
		case 1:
			from.scheme = protos[0]
		default:
			return from, false
		}
	}
	if header := r.Header.Values("X-Forwarded-Host"); len(header) > 0 {
		hosts := strings.Split(strings.Join(header, ","), ",")
		if from.host = strings.TrimSpace(hosts[len(hosts)-1]); from.host == "" {
			return from, false
		}
	}
	return from, true
}

// plain answers as aiohttp does: "404: Not Found".
func plain(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strconv.Itoa(status)+": "+http.StatusText(status))
}

// answer answers by JSON.
func (h *Home) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(mustJSON(v))
}

func (h *Home) message(w http.ResponseWriter, status int, message string) {
	h.answer(w, status, map[string]any{"message": message})
}

func (h *Home) serveAPI(w http.ResponseWriter, r *http.Request, from origin, f faults) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
	known := map[string]int{"": 1, "config": 1, "states": 2, "services": 3}
	if n := known[parts[0]]; n == 0 || len(parts) > n {
		plain(w, http.StatusNotFound)
		return
	}
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token := h.checkAccessToken(bearer)
	if token == nil || token.user.shutOut(from) != "" {
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+from.scheme+"://"+from.host+`/.well-known/oauth-protected-resource"`)
		plain(w, http.StatusUnauthorized)
		return
	}
	call := parts[0] == "services" && len(parts) == 3
	if want := map[bool]string{true: http.MethodPost, false: http.MethodGet}[call]; r.Method != want {
		plain(w, http.StatusMethodNotAllowed)
		return
	}
	read := func(fn func() any) {
		h.mu.Lock()
		b := mustJSON(fn())
		h.mu.Unlock()
		h.answer(w, http.StatusOK, json.RawMessage(b))
	}
	switch {
	case parts[0] == "":
		h.message(w, http.StatusOK, "API running.")
	case parts[0] == "config":
		read(func() any { return h.config })
	case parts[0] == "states" && len(parts) == 1:
		read(func() any { return h.states() })
	case parts[0] == "states":
		s, ok := h.Entity(parts[1])
		if !ok {
			h.message(w, http.StatusNotFound, "Entity not found.")
			return
		}
		h.answer(w, http.StatusOK, &s)
	case call:
		h.restCall(w, r, token.user, parts[1], parts[2], f)
	default:
		read(func() any {
			list := []any{}
			for domain, services := range h.descriptions() {
				list = append(list, map[string]any{"domain": domain, "services": services})
			}
			return list
		})
	}
}

// restCall is POST /api/services/<domain>/<service>: it answers with the
// states that the call has changed.
func (h *Home) restCall(w http.ResponseWriter, r *http.Request, u *user, domain, name string, f faults) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReadBytes))
	if err != nil {
		plain(w, http.StatusRequestEntityTooLarge)
		return
	}
	var v any
	if len(body) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if d.Decode(&v) != nil {
			h.message(w, http.StatusBadRequest, "Data should be valid JSON.")
			return
		}
	}
	data, _ := v.(map[string]any)
	h.mu.Lock()
	s, power := h.services[domain][name], h.power
	h.mu.Unlock()
	if s == nil {
		plain(w, http.StatusBadRequest)
		return
	}
	wanted := r.URL.Query().Has("return_response")
	switch {
	case wanted && s.response == responseNone:
		h.message(w, http.StatusBadRequest, "Service does not support responses. Remove return_response from request.")
		return
	case !wanted && s.response == responseOnly:
		h.message(w, http.StatusBadRequest,
			"Service call requires responses but caller did not ask for responses. Add ?return_response to query parameters.")
		return
	}
	ctx := h.newContext(u)
	h.record(Call{Command: "call_service", Domain: domain, Service: name, Data: data, UserID: u.id, Context: ctx})
	if f.closeBeforeCall {
		panic(http.ErrAbortHandler)
	}
	changes := &changesOf{id: ctx.ID, states: []*State{}}
	h.mu.Lock()
	h.listeners[changes] = struct{}{}
	h.mu.Unlock()
	got, failure := h.callService(call{home: h, power: power, ctx: ctx, user: u, response: wanted, blocked: func() {}}, domain, name, data, nil)
	h.mu.Lock()
	delete(h.listeners, changes)
	h.mu.Unlock()
	if f.closeAfterCall {
		panic(http.ErrAbortHandler)
	}
	if failure != nil {
		switch {
		case failure.code == "invalid_format" || failure.missing != "":
			plain(w, http.StatusBadRequest)
		case failure.validation:
			h.message(w, http.StatusBadRequest, failure.message)
		case failure.message == "Unauthorized":
			plain(w, http.StatusUnauthorized)
		default:
			h.message(w, http.StatusInternalServerError, failure.message)
		}
		return
	}
	var result any = changes.states
	if wanted {
		result = map[string]any{"changed_states": changes.states, "service_response": got}
	}
	if f.closeMidway {
		b := mustJSON(result)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(b[:len(b)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	h.answer(w, http.StatusOK, result)
}

// changesOf collects the states that a context has made.
type changesOf struct {
	id     string
	states []*State
}

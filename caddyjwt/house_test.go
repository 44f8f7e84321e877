package caddyjwt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// house is a home in memory behind a Caddy within this process: ha.house.test is Home
// Assistant with hass_login, svc.house.test a service with hass_jwt.
type house struct {
	t       *testing.T
	home    *hasstest.Home
	addr    string // of Caddy
	ha, svc string // origins
	dir     string
	body    string // of the Caddyfile
	client  *http.Client

	// between may answer in the place of Home Assistant.
	between atomic.Pointer[func(w http.ResponseWriter, r *http.Request, home http.Handler)]
	// service answers behind hass_jwt.
	service atomic.Pointer[http.HandlerFunc]
}

const (
	ownerPass    = "owner-pass-1"
	residentPass = "resident-pass-1"
)

// newHouse starts it. login and guard are the words within hass_login and hass_jwt.
func newHouse(t *testing.T, login, guard string) *house {
	h := &house{t: t, home: hasstest.New(hasstest.WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8"))), dir: t.TempDir(), addr: freeport.Addr(t)}
	t.Cleanup(h.home.Close)
	_, port, _ := net.SplitHostPort(h.addr)
	h.ha, h.svc = "http://ha.house.test:"+port, "http://svc.house.test:"+port

	inside, err := url.Parse(h.home.URL())
	if err != nil {
		t.Fatal(err)
	}
	straight := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(inside)
		r.Out.Host = r.In.Host
		for name, values := range r.In.Header {
			if strings.HasPrefix(name, "X-Forwarded-") {
				r.Out.Header[name] = values
			}
		}
	}}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := h.between.Load(); f != nil {
			(*f)(w, r, straight)
			return
		}
		straight.ServeHTTP(w, r)
	}))
	upstream.Config.SetKeepAlivesEnabled(false) // idle connections of former configurations are Caddy's own
	t.Cleanup(upstream.Close)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := h.service.Load(); f != nil {
			(*f)(w, r)
			return
		}
		fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("X-Who"), r.Header.Get("X-Roles"), r.Header.Get("Cookie"))
	}))
	service.Config.SetKeepAlivesEnabled(false)
	t.Cleanup(service.Close)
	t.Setenv("HOUSE_TOKEN", h.home.Token())
	if guard == "" {
		guard = "login " + h.ha
	}
	h.body = fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	storage file_system %[1]s/storage
	log {
		output file %[1]s/caddy.log
		level DEBUG
	}
	servers {
		trusted_proxies static 127.0.0.0/8
	}
	hass {
		url %[2]s
		token {env.HOUSE_TOKEN}
	}
}
%[3]s {
	hass_login {
		%[4]s
	}
	reverse_proxy %[5]s
}
%[6]s {
	hass_jwt {
		%[7]s
	}
	reverse_proxy %[8]s {
		header_up X-Who {http.auth.user.id}
		header_up X-Roles {http.auth.user.roles}
	}
}
`, h.dir, h.home.URL(), h.ha, login, strings.TrimPrefix(upstream.URL, "http://"), h.svc, strings.ReplaceAll(guard, "HA", h.ha), strings.TrimPrefix(service.URL, "http://"))
	h.load()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	h.client = &http.Client{
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, h.addr)
		}, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}
	t.Cleanup(h.client.CloseIdleConnections)
	until(t, "the users are known", func() bool { return h.realm().accounts.Load() != nil })
	return h
}

func (h *house) load() {
	h.t.Helper()
	config, err := adapt(h.t, h.body)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		h.t.Fatal(err)
	}
	if h.client != nil {
		h.client.CloseIdleConnections() // Caddy has closed them
	}
}

// restart is another process, as far as memory goes.
func (h *house) restart() {
	h.t.Helper()
	if err := caddy.Stop(); err != nil {
		h.t.Fatal(err)
	}
	h.load()
	h.client.CloseIdleConnections()
	until(h.t, "the users are known", func() bool { return h.realm().accounts.Load() != nil })
}

func (h *house) realm() *realm {
	app, err := caddy.ActiveContext().AppIfConfigured("hass_login")
	if err != nil {
		h.t.Fatal(err)
	}
	held, err := app.(*LoginApp).hold("default")
	if err != nil {
		h.t.Fatal(err)
	}
	return held.realm
}

// reply is an answer that has been read.
type reply struct {
	*http.Response
	text string
}

// cookie is the token that an answer sets; "-": it clears it; "": neither.
func (r reply) cookie() string {
	for _, c := range r.Cookies() {
		if c.Name == "jwt_access_token" {
			if c.Value == "" && c.MaxAge < 0 {
				return "-"
			}
			return c.Value
		}
	}
	return ""
}

// send sends a request with header fields given as "Name: value".
func (h *house) send(method, address, body string, fields ...string) reply {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	res, err := h.client.Do(r)
	for try := 0; (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)) && try < 5; try++ {
		// Caddy ends connections that it has accepted, and not yet served, when it reloads.
		r.Body = io.NopCloser(strings.NewReader(body))
		res, err = h.client.Do(r)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply{res, string(text)}
}

const urlencoded = "Content-Type: application/x-www-form-urlencoded"

func multipartForm(t *testing.T, form url.Values) (body, field string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name := range form {
		if err := w.WriteField(name, form.Get(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), "Content-Type: " + w.FormDataContentType()
}

// code goes through Home Assistant's login flow.
func (h *house) code(user, pass, clientID string, more map[string]any, fields ...string) string {
	h.t.Helper()
	post := func(path string, m map[string]any) map[string]any {
		h.t.Helper()
		r := h.send("POST", h.ha+path, mustJSON(h.t, m), append(fields, "Content-Type: application/json")...)
		var out map[string]any
		if err := json.Unmarshal([]byte(r.text), &out); err != nil {
			h.t.Fatalf("%s: %d %s", path, r.StatusCode, r.text)
		}
		return out
	}
	start := map[string]any{"client_id": clientID, "handler": []any{"homeassistant", nil}, "redirect_uri": redirectOf(clientID)}
	for k, v := range more {
		start[k] = v
	}
	flow := post("/auth/login_flow", start)
	done := post("/auth/login_flow/"+flow["flow_id"].(string), map[string]any{"client_id": clientID, "username": user, "password": pass})
	code, ok := done["result"].(string)
	if !ok {
		h.t.Fatalf("%s cannot log in: %v", user, done)
	}
	return code
}

func redirectOf(clientID string) string {
	if officialApps[clientID] {
		return "homeassistant://auth-callback"
	}
	return strings.TrimSuffix(clientID, "/") + "/?auth_callback=1"
}

// login logs in as the frontend does.
func (h *house) login(user, pass string, fields ...string) (cookie string, t tokens) {
	h.t.Helper()
	id := h.ha + "/"
	body, kind := multipartForm(h.t, url.Values{
		"client_id": {id}, "grant_type": {"authorization_code"}, "code": {h.code(user, pass, id, nil, fields...)},
	})
	r := h.send("POST", h.ha+"/auth/token", body, append(fields, kind, "Origin: "+h.ha, "Sec-Fetch-Site: same-origin")...)
	if err := json.Unmarshal([]byte(r.text), &t); err != nil || r.StatusCode != 200 {
		h.t.Fatalf("/auth/token: %d %s", r.StatusCode, r.text)
	}
	return r.cookie(), t
}

func (h *house) refreshForm(t tokens) string {
	return url.Values{"client_id": {h.ha + "/"}, "grant_type": {"refresh_token"}, "refresh_token": {t.Refresh}}.Encode()
}

// open asks the service with a cookie.
func (h *house) open(cookie string, fields ...string) reply {
	h.t.Helper()
	return h.send("GET", h.svc+"/", "", append(fields, "Cookie: jwt_access_token="+cookie)...)
}

func (h *house) in(what, cookie string, fields ...string) {
	h.t.Helper()
	if r := h.open(cookie, fields...); r.StatusCode != 200 {
		h.t.Fatalf("%s: %d, want to be in", what, r.StatusCode)
	}
}

func (h *house) out(what, cookie string, fields ...string) {
	h.t.Helper()
	if r := h.open(cookie, fields...); r.StatusCode != 401 {
		h.t.Fatalf("%s: %d, want to be out", what, r.StatusCode)
	}
}

// eventuallyOut is for what the home tells.
func (h *house) eventuallyOut(what, cookie string) {
	h.t.Helper()
	until(h.t, what, func() bool { return h.open(cookie).StatusCode == 401 })
}

func (h *house) logs() string {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, "caddy.log"))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

// claimsOf reads a token without checking it.
func claimsOf(t testing.TB, token string) (header map[string]any, c map[string]any) {
	t.Helper()
	m := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, m)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Header, m
}

// later moves the clock of this package for the rest of a test.
func later(t testing.TB, d time.Duration) {
	t.Helper()
	clockAhead.Add(int64(d))
	t.Cleanup(func() { clockAhead.Add(-int64(d)) })
}

// guard is the hass_jwt of the configuration that runs.
func (h *house) guard() *HassJWT {
	h.t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		h.t.Fatal(err)
	}
	var find func(caddyhttp.RouteList) *HassJWT
	find = func(routes caddyhttp.RouteList) *HassJWT {
		for _, route := range routes {
			for _, handler := range route.Handlers {
				switch one := handler.(type) {
				case *HassJWT:
					return one
				case *caddyhttp.Subroute:
					if found := find(one.Routes); found != nil {
						return found
					}
				}
			}
		}
		return nil
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		if found := find(server.Routes); found != nil {
			return found
		}
	}
	h.t.Fatal("there is no hass_jwt")
	return nil
}

// serveStreams makes the service answer with streams that never end by themselves.
func (h *house) serveStreams() {
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, begun)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	h.service.Store(&stream)
}

const begun = "data: begun\n\n"

// stream opens a stream with a header and waits until it has begun.
func (h *house) stream(header, value string) (ended chan struct{}) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), "GET", h.svc+"/events", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set(header, value)
	client := *h.client
	client.Timeout = 0
	res, err := client.Do(r)
	if err != nil || res.StatusCode != 200 {
		h.t.Fatal(err, res)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, len(begun))); err != nil {
		h.t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}()
	return ended
}

// ends waits until a stream has.
func (h *house) ends(what string, ended chan struct{}) {
	h.t.Helper()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		h.t.Fatalf("%s: it goes on", what)
	}
}

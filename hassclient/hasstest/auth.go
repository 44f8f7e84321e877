package hasstest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// codeLife is how long a code of the login flow can be turned into tokens.
const codeLife = 10 * time.Minute

type loginFlow struct {
	redirectURI, challenge string
	remote                 netip.Addr
}

type authCode struct {
	user                *user
	clientID, challenge string
	created             time.Time
}

// maxBody is the most that the home reads of a request to log in.
const maxBody = 64 << 10

func (h *Home) serveAuth(w http.ResponseWriter, r *http.Request, from origin) {
	if origin := r.Header.Get("Origin"); origin != "" && (r.URL.Path == "/auth/token" || r.URL.Path == "/auth/revoke") {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "POST")
			return
		}
	}
	flowID, isFlow := strings.CutPrefix(r.URL.Path, "/auth/login_flow/")
	switch {
	case r.URL.Path == "/auth/providers" && r.Method == http.MethodGet:
		h.answer(w, http.StatusOK, map[string]any{
			"providers":             []any{map[string]any{"name": "Home Assistant Local", "id": nil, "type": "homeassistant"}},
			"preselect_remember_me": isLocal(from.remote),
		})
	case r.URL.Path == "/auth/authorize" && r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, authorizePage)
	case r.URL.Path == "/auth/login_flow" && r.Method == http.MethodPost:
		h.beginLogin(w, r, from)
	case isFlow && r.Method == http.MethodPost:
		h.continueLogin(w, r, from, flowID)
	case isFlow && r.Method == http.MethodDelete:
		h.mu.Lock()
		_, ok := h.flows[flowID]
		delete(h.flows, flowID)
		h.mu.Unlock()
		if !ok {
			h.message(w, http.StatusNotFound, "Invalid flow specified")
			return
		}
		h.message(w, http.StatusOK, "Flow aborted")
	case isFlow:
		h.message(w, http.StatusNotFound, "Invalid flow specified")
	case r.URL.Path == "/auth/token" && r.Method == http.MethodPost:
		h.serveToken(w, r, from)
	case r.URL.Path == "/auth/revoke" && r.Method == http.MethodPost:
		form, _ := readForm(r)
		h.serveRevoke(w, form)
	case slices.Contains([]string{"/auth/providers", "/auth/login_flow", "/auth/token", "/auth/revoke"}, r.URL.Path):
		plain(w, http.StatusMethodNotAllowed)
	default:
		plain(w, http.StatusNotFound)
	}
}

const authorizePage = `<!DOCTYPE html><html><head><title>Home Assistant</title></head><body>
<form method="post"><input name="username" autocomplete="username"><input name="password" type="password">
<button>Log in</button></form>
<script>
const q = new URLSearchParams(location.search), form = document.forms[0];
form.onsubmit = async (event) => {
	event.preventDefault();
	const post = async (path, body) => (await fetch(path, {method: "POST", body: JSON.stringify(body)})).json();
	const start = {client_id: q.get("client_id"), handler: ["homeassistant", null], redirect_uri: q.get("redirect_uri")};
	if (q.get("code_challenge")) {
		start.code_challenge = q.get("code_challenge");
		start.code_challenge_method = q.get("code_challenge_method");
	}
	const flow = await post("/auth/login_flow", start);
	const done = await post("/auth/login_flow/" + flow.flow_id, {
		client_id: q.get("client_id"), username: form.username.value, password: form.password.value,
	});
	if (done.type === "create_entry") {
		const to = new URL(q.get("redirect_uri"));
		to.searchParams.set("code", done.result);
		if (q.get("state")) to.searchParams.set("state", q.get("state"));
		location.assign(to);
	}
};
</script></body></html>`

// readMessage reads a JSON body and checks it; false: it has answered.
func (h *Home) readMessage(w http.ResponseWriter, r *http.Request, required []string, check func(map[string]any) string) (map[string]any, bool) {
	var m map[string]any
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || json.Unmarshal(b, &m) != nil {
		h.message(w, http.StatusBadRequest, "Invalid JSON.")
		return nil, false
	}
	msg := check(m)
	for _, k := range required {
		if _, ok := m[k]; !ok && msg == "" {
			msg = "required key not provided at '" + k + "'"
		}
	}
	if msg != "" {
		h.message(w, http.StatusBadRequest, "Message format incorrect: "+msg)
		return nil, false
	}
	return m, true
}

var challengeRE = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

func checkLoginStart(m map[string]any) string {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		switch k {
		case "client_id", "redirect_uri", "code_challenge_method", "response_type", "type":
			if _, ok := m[k].(string); !ok {
				return "expected str at '" + k + "'"
			}
		case "code_challenge":
			if s, ok := m[k].(string); !ok || !challengeRE.MatchString(s) {
				return "does not match the expected pattern at 'code_challenge'"
			}
		case "handler":
			list, ok := m[k].([]any)
			switch {
			case !ok:
				return "expected a list at 'handler'"
			case len(list) < 2:
				return "length of value must be at least 2 at 'handler'"
			case len(list) > 2:
				return "length of value must be at most 2 at 'handler'"
			}
		default:
			return "not a valid option at '" + k + "'"
		}
	}
	return ""
}

func (h *Home) beginLogin(w http.ResponseWriter, r *http.Request, from origin) {
	m, ok := h.readMessage(w, r, []string{"client_id", "handler", "redirect_uri"}, checkLoginStart)
	if !ok {
		return
	}
	challenge, method := text(m["code_challenge"]), text(m["code_challenge_method"])
	handler := m["handler"].([]any)
	switch {
	case !validClientID(text(m["client_id"]), from):
		h.message(w, http.StatusBadRequest, "Invalid client id")
	case m["response_type"] != nil && m["response_type"] != "code":
		h.message(w, http.StatusBadRequest, "Response type not supported")
	case method != "" && challenge == "":
		h.message(w, http.StatusBadRequest, "code_challenge required when code_challenge_method is provided")
	case challenge != "" && method != "S256":
		h.message(w, http.StatusBadRequest, "Transform algorithm not supported")
	case handler[0] != "homeassistant" || handler[1] != nil:
		h.message(w, http.StatusNotFound, "Invalid handler specified")
	default:
		id := newID()
		h.mu.Lock()
		if len(h.flows) >= keep { // nobody logs in so often: it is a scanner
			clear(h.flows)
		}
		h.flows[id] = &loginFlow{redirectURI: text(m["redirect_uri"]), challenge: challenge, remote: from.remote}
		h.mu.Unlock()
		h.answer(w, http.StatusOK, loginForm(id, map[string]any{}))
	}
}

func loginForm(id string, errors map[string]any) map[string]any {
	return map[string]any{
		"type": "form", "flow_id": id, "handler": []any{"homeassistant", nil}, "step_id": "init",
		"data_schema": []any{
			map[string]any{"type": "string", "name": "username", "required": true},
			map[string]any{"type": "string", "name": "password", "required": true},
		},
		"errors": errors, "description_placeholders": nil, "last_step": nil, "preview": nil,
	}
}

func (h *Home) continueLogin(w http.ResponseWriter, r *http.Request, from origin, id string) {
	m, ok := h.readMessage(w, r, []string{"client_id"}, func(m map[string]any) string {
		if v, ok := m["client_id"]; ok {
			if _, ok := v.(string); !ok {
				return "expected str at 'client_id'"
			}
		}
		return ""
	})
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	clientID := text(m["client_id"])
	flow := h.flows[id]
	username, ok1 := m["username"].(string)
	password, ok2 := m["password"].(string)
	switch {
	case !validClientID(clientID, from):
		h.message(w, http.StatusBadRequest, "Invalid client id")
		return
	case flow == nil:
		h.message(w, http.StatusNotFound, "Invalid flow specified")
		return
	case flow.remote != from.remote:
		h.message(w, http.StatusBadRequest, "IP address changed")
		return
	case !ok1 || !ok2 || len(m) != 3:
		h.message(w, http.StatusBadRequest, "User input malformed")
		return
	}
	u := h.checkPassword(username, password)
	if u == nil {
		h.answer(w, http.StatusOK, loginForm(id, map[string]any{"base": "invalid_auth"}))
		return
	}
	delete(h.flows, id)
	if !validRedirect(clientID, flow.redirectURI) {
		h.message(w, http.StatusForbidden, "Invalid redirect URI")
		return
	}
	why := u.shutOut(from)
	if !u.active {
		why = "User is not active"
	}
	if why != "" {
		h.message(w, http.StatusForbidden, "Login blocked: "+why)
		return
	}
	code := newID()
	h.codes[code] = authCode{user: u, clientID: clientID, challenge: flow.challenge, created: h.clock.Now()}
	h.answer(w, http.StatusOK, map[string]any{
		"type": "create_entry", "flow_id": id, "handler": []any{"homeassistant", nil}, "description": nil,
		"description_placeholders": nil, "result": code,
	})
}

// shutOut says why a user may not log in; "": they may.
func (u *user) shutOut(from origin) string {
	if u.LocalOnly && !isLocal(from.remote) {
		return "User cannot authenticate remotely"
	}
	return ""
}

// readForm reads a form, urlencoded or multipart; false: a parameter comes
// twice.
func readForm(r *http.Request) (map[string]string, bool) {
	r.Body = http.MaxBytesReader(nil, r.Body, maxBody)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		_ = r.ParseMultipartForm(maxBody)
	} else {
		_ = r.ParseForm()
	}
	form := map[string]string{}
	for k, v := range r.PostForm {
		if len(v) != 1 {
			return nil, false
		}
		form[k] = v[0]
	}
	if r.MultipartForm != nil && len(r.MultipartForm.File) > 0 {
		return nil, false
	}
	return form, true
}

func (h *Home) serveToken(w http.ResponseWriter, r *http.Request, from origin) {
	form, ok := readForm(r)
	refuse := func(status int, code, description string) {
		m := map[string]any{"error": code}
		if description != "" {
			m["error_description"] = description
		}
		h.answer(w, status, m)
	}
	if !ok {
		refuse(http.StatusBadRequest, "invalid_request", "")
		return
	}
	if form["action"] == "revoke" {
		h.serveRevoke(w, form)
		return
	}
	clientID, hasClient := form["client_id"]
	h.mu.Lock()
	defer h.mu.Unlock()
	switch form["grant_type"] {
	case "authorization_code":
		code, ok := h.codes[form["code"]]
		verifier, hasVerifier := form["code_verifier"]
		if !hasClient || !validClientID(clientID, from) {
			refuse(http.StatusBadRequest, "invalid_request", "Invalid client id")
			return
		}
		if !ok || code.clientID != clientID {
			refuse(http.StatusBadRequest, "invalid_request", "Invalid code")
			return
		}
		delete(h.codes, form["code"])
		switch {
		case h.clock.Now().Sub(code.created) >= codeLife:
			refuse(http.StatusBadRequest, "invalid_request", "Invalid code")
		case code.challenge != "" && verifier == "":
			refuse(http.StatusBadRequest, "invalid_request", "Code verifier required")
		case code.challenge != "" && !verified(verifier, code.challenge):
			refuse(http.StatusBadRequest, "invalid_grant", "Invalid code verifier")
		case code.challenge == "" && hasVerifier:
			refuse(http.StatusBadRequest, "invalid_request", "Code verifier provided but no code challenge was present")
		case !code.user.active:
			refuse(http.StatusForbidden, "access_denied", "User is not active")
		case code.user.shutOut(from) != "":
			refuse(http.StatusForbidden, "access_denied", code.user.shutOut(from))
		default:
			t := h.newRefreshToken(code.user, clientID, "")
			h.grant(w, t, map[string]any{"refresh_token": t.token, "ha_auth_provider": "homeassistant"})
		}
	case "refresh_token":
		token, ok := form["refresh_token"]
		t := h.refreshTokenNamed(token)
		switch {
		case hasClient && !validClientID(clientID, from):
			refuse(http.StatusBadRequest, "invalid_request", "Invalid client id")
		case !ok:
			refuse(http.StatusBadRequest, "invalid_request", "")
		case t == nil:
			refuse(http.StatusBadRequest, "invalid_grant", "")
		case t.clientID != clientID:
			refuse(http.StatusBadRequest, "invalid_request", "")
		case t.user.shutOut(from) != "":
			refuse(http.StatusForbidden, "access_denied", t.user.shutOut(from))
		default:
			h.grant(w, t, nil)
		}
	default:
		refuse(http.StatusBadRequest, "unsupported_grant_type", "")
	}
}

func (h *Home) grant(w http.ResponseWriter, t *refreshToken, more map[string]any) {
	m := map[string]any{
		"access_token": h.accessToken(t, accessTokenLife), "token_type": "Bearer", "expires_in": int(accessTokenLife.Seconds()),
	}
	maps.Copy(m, more)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	h.answer(w, http.StatusOK, m)
}

func (h *Home) serveRevoke(w http.ResponseWriter, form map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.refreshTokenNamed(form["token"]); t != nil {
		h.revoke(t)
	}
	w.WriteHeader(http.StatusOK)
}

var verifierRE = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// verified checks a PKCE verifier by S256, RFC 7636 section 4.6.
func verified(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return verifierRE.MatchString(verifier) && base64.RawURLEncoding.EncodeToString(sum[:]) == challenge
}

// validClientID says whether a client_id may be one: a URL of a named host, of
// a local address, or of the address that the request went to.
func validClientID(id string, from origin) bool {
	u, err := url.Parse(id)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" || u.User != nil {
		return false
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err != nil || isLocal(addr) || u.Scheme == from.scheme && u.Host == from.host
}

func validRedirect(clientID, redirect string) bool {
	c, err1 := url.Parse(clientID)
	u, err2 := url.Parse(redirect)
	if err1 != nil || err2 != nil {
		return false
	}
	if c.Scheme == u.Scheme && strings.EqualFold(c.Host, u.Host) {
		return true
	}
	app := clientID == "https://home-assistant.io/iOS" || clientID == "https://home-assistant.io/android"
	return app && redirect == "homeassistant://auth-callback"
}

func isLocal(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

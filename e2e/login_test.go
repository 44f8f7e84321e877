package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/caddy-hass/caddy-hass/internal/freeport"
	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// front is Home Assistant and a service, each at a host name of its own.
type front struct {
	ha, svc string // origins
}

// withLogin adds the sites of hass_login and hass_jwt to a Caddy.
func withLogin(t *testing.T, s *server, scheme string) front {
	t.Helper()
	_, port, _ := net.SplitHostPort(freeport.Addr(t))
	f := front{scheme + "://ha.home.localhost:" + port, scheme + "://svc.home.localhost:" + port}
	service := newService(t)
	tls := ""
	if scheme == "https" {
		tls = "tls internal"
	}
	s.sites = fmt.Sprintf(`
%[1]s {
	bind 127.0.0.1
	%[5]s
	hass_login {
		domain home.localhost
	}
	reverse_proxy %[2]s
}
%[3]s {
	bind 127.0.0.1
	%[5]s
	hass_jwt {
		login %[1]s
		allow roles user
	}
	reverse_proxy %[4]s {
		header_up X-Who {http.auth.user.name}
		header_up X-Roles {http.auth.user.roles}
	}
}
`, f.ha, strings.TrimPrefix(s.homeURL, "http://"), f.svc, service, tls)
	return f
}

// startWithLogin is a Caddy of the real home that runs, with nothing but these sites.
func startWithLogin(t *testing.T, scheme string) (*home, *server, front) {
	t.Helper()
	h := realHome(t)
	s := newServer(t, h)
	f := withLogin(t, s, scheme)
	s.start()
	s.awaitHome()
	return h, s, f
}

// newService starts a service that knows no login of its own and says who Caddy says it is: in
// pages, in an event stream, and in a WebSocket. Its page /live lives by these. It returns its address.
func newService(t *testing.T) string {
	t.Helper()
	who := func(r *http.Request) string {
		return strings.TrimSpace(r.Header.Get("X-Who") + " " + r.Header.Get("X-Roles") + r.Header.Get("X-Webauth-User"))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<title>service</title><p id=who>%s</p>", who(r))
	})
	mux.HandleFunc("/live", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<title>live</title><p id=socket></p><p id=events></p><script>
const say = (id, text) => { document.getElementById(id).textContent = text; };
const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/socket");
socket.onopen = () => socket.send("hello");
socket.onmessage = (e) => say("socket", e.data);
socket.onclose = () => say("socket", "ended");
const events = new EventSource("/events");
events.onmessage = (e) => say("events", e.data);
events.onerror = () => say("events", "ended");
</script>`)
	})
	mux.HandleFunc("/panel", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<title>panel</title><script>parent.postMessage(%q, '*');</script>", who(r))
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: begun by %s\n\n", who(r))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, text, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, append(text, " "+who(r)...)) != nil {
				return
			}
		}
	})
	service := httptest.NewServer(mux)
	t.Cleanup(func() {
		service.CloseClientConnections()
		service.Close()
	})
	return strings.TrimPrefix(service.URL, "http://")
}

// deep finds an element through shadow roots, of which Home Assistant's frontend
// is made.
const deep = `(s => { const find = root => { const e = root.querySelector(s); if (e) return e;
	for (const x of root.querySelectorAll("*")) if (x.shadowRoot) { const e = find(x.shadowRoot); if (e) return e; } return null; }; return find(document); })`

// keys types as people do.
func (p *phone) keys(text string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(text))
}

// homeLogin logs in on Home Assistant's own login page, by the keyboard alone.
func (p *phone) homeLogin(name, password string) {
	p.t.Helper()
	p.until("Home Assistant's login page", `!!`+deep+`('input[name="username"]')`)
	p.eval(deep + `('input[name="username"]').focus()`)
	p.keys(name)
	p.eval(deep + `('input[name="password"]').focus()`)
	p.keys(password + "\r")
}

func (p *phone) at(address string) {
	p.t.Helper()
	p.until("at "+address, `location.href === `+quote(address)+` && document.readyState === "complete"`)
}

func (p *phone) seesWho(who string) {
	p.t.Helper()
	p.until("the service knows "+who, `document.querySelector("#who")?.textContent === `+quote(who))
}

func TestLoginOnceAndBeInEverywhere(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			_, _, f := startWithLogin(t, scheme)
			p := newPhone(t, browser(t), true)
			p.do(pagetest.Call(security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}))

			// A stranger is sent to Home Assistant's login page, and comes back by it.
			p.open(f.svc + "/d/1?a=b")
			p.homeLogin("owner", "owner-pass-1")
			p.at(f.svc + "/d/1?a=b")
			p.seesWho("Owner admin,user")

			// "Keep me logged in" is on, for those in the local network: by what the frontend
			// then keeps in this browser, one comes back without the cookie.
			p.open(f.ha + "/auth/jwt_cookie/return.css")
			if p.eval(`JSON.parse(localStorage.getItem("hassTokens"))?.clientId`) != f.ha+"/" {
				t.Error("Home Assistant's frontend is not logged in")
			}
			p.eval(`fetch("/auth/jwt_cookie/logout", {method: "POST"}).then(r => document.title = r.status), ""`)
			p.until("logged out of services", `document.title === "204"`)
			p.open(f.svc + "/again")
			p.at(f.svc + "/again")
			p.seesWho("Owner admin,user")
		})
	}
}

// Logged in at Home Assistant itself, one is in at the service; logged out there, one is
// out; and comes back without a click as long as Home Assistant is logged in to.
func TestLogInAndOutAtHomeAssistant(t *testing.T) {
	_, _, f := startWithLogin(t, "http")
	p := newPhone(t, browser(t), true)

	p.open(f.ha + "/")
	p.homeLogin("resident", "resident-pass-1")
	p.until("Home Assistant's frontend", `location.pathname !== "/auth/authorize" && localStorage.getItem("hassTokens") !== null`)
	p.open(f.svc + "/")
	p.seesWho("Resident user")

	// Only the cookie goes: the frontend's own login brings it back.
	p.open(f.ha + "/auth/jwt_cookie/return.css")
	if p.eval(`localStorage.getItem("hassTokens") !== null`) != "true" {
		t.Fatal("the frontend keeps nothing")
	}
	p.eval(`fetch("/auth/jwt_cookie/logout", {method: "POST"}).then(r => document.title = r.status), ""`)
	p.until("our logout", `document.title === "204"`)
	p.open(f.svc + "/again")
	p.at(f.svc + "/again")
	p.seesWho("Resident user")

	// Home Assistant's own logout.
	p.open(f.ha + "/auth/jwt_cookie/return.css")
	p.eval(`(async () => { const body = new FormData(); body.append("token", JSON.parse(localStorage.hassTokens).refresh_token);
		const r = await fetch("/auth/revoke", {method: "POST", credentials: "same-origin", body}); localStorage.removeItem("hassTokens"); document.title = "out " + r.status; })(), ""`)
	p.until("logged out", `document.title === "out 200"`)
	p.open(f.svc + "/")
	p.until("Home Assistant's login page", `location.pathname === "/auth/authorize" && !!`+deep+`('input[name="username"]')`)
}

// ask asks the home as an administrator.
func (h *home) ask(typ string, fields map[string]any, out any) {
	h.t.Helper()
	if err := h.client.Query(h.within(15*time.Second), typ, fields, out); err != nil {
		h.t.Fatal(err)
	}
}

const lodgersPassword = "pass-1-of-lodger"

// lodger makes a user of one of Home Assistant's groups, for the length of the test.
func (h *home) lodger(group string) (id, name string) {
	h.t.Helper()
	name = fmt.Sprintf("lodger%d", time.Now().UnixNano())
	var made struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	h.ask("config/auth/create", map[string]any{"name": name, "group_ids": []string{group}}, &made)
	h.t.Cleanup(func() {
		_ = h.client.Query(h.within(15*time.Second), "config/auth/delete", map[string]any{"user_id": made.User.ID}, nil) // the test may have done it
	})
	h.ask("config/auth_provider/homeassistant/create", map[string]any{"user_id": made.User.ID, "username": name, "password": lodgersPassword}, nil)
	return made.User.ID, name
}

// A deactivated user's open connections end within 5 s.
func TestDeactivatedUserIsOutAtOnce(t *testing.T) {
	h, _, f := startWithLogin(t, "http")
	client := &http.Client{CheckRedirect: noRedirects}

	id, name := h.lodger("system-users")
	cookie := httpLogin(t, client, f, name, lodgersPassword)
	get := func(path string) *http.Response {
		t.Helper()
		r := must(http.NewRequest("GET", local(f.svc)+path, nil))
		r.Host = strings.TrimPrefix(f.svc, "http://")
		r.Header.Set("Cookie", cookie)
		return must(client.Do(r))
	}
	res := get("/")
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatalf("logged in, but %d", res.StatusCode)
	}
	stream := get("/events")
	defer stream.Body.Close()
	must(io.ReadFull(stream.Body, make([]byte, len("data: begun"))))
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, stream.Body)
		close(ended)
	}()
	h.ask("config/auth/update", map[string]any{"user_id": id, "is_active": false}, nil)
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("an event stream goes on")
	}
	eventually(t, 5*time.Second, "out", func() bool {
		res := get("/")
		res.Body.Close()
		return res.StatusCode == 401
	})
}

// local is the address of an origin below localhost, for those who do not resolve it.
func local(origin string) string {
	return "http://127.0.0.1:" + origin[strings.LastIndexByte(origin, ':')+1:]
}

// httpLogin logs in as the frontend does and returns the cookie.
func httpLogin(t *testing.T, client *http.Client, f front, name, password string) string {
	t.Helper()
	cookie, _ := httpTokens(t, client, f, name, password)
	return cookie
}

// httpTokens returns what the frontend keeps, too.
func httpTokens(t *testing.T, client *http.Client, f front, name, password string) (cookie, refreshToken string) {
	t.Helper()
	host := strings.TrimPrefix(f.ha, "http://")
	post := func(path, kind, body string) (string, http.Header) {
		t.Helper()
		r := must(http.NewRequest("POST", local(f.ha)+path, strings.NewReader(body)))
		r.Host = host
		r.Header.Set("Content-Type", kind)
		res := must(client.Do(r))
		defer res.Body.Close()
		return string(must(io.ReadAll(res.Body))), res.Header
	}
	member := func(text, name string) string {
		_, text, _ = strings.Cut(text, `"`+name+`":"`)
		text, _, _ = strings.Cut(text, `"`)
		return text
	}
	id := f.ha + "/"
	flow, _ := post("/auth/login_flow", "application/json", `{"client_id":"`+id+`","handler":["homeassistant",null],"redirect_uri":"`+id+`"}`)
	done, _ := post("/auth/login_flow/"+member(flow, "flow_id"), "application/json", `{"client_id":"`+id+`","username":"`+name+`","password":"`+password+`"}`)
	answer, header := post("/auth/token", "application/x-www-form-urlencoded", "grant_type=authorization_code&client_id="+id+"&code="+member(done, "result"))
	cookie, _, _ = strings.Cut(header.Get("Set-Cookie"), ";")
	if !strings.HasPrefix(cookie, "jwt_access_token=ey") {
		t.Fatalf("no cookie: %s %v %s", done, header, answer)
	}
	return cookie, member(answer, "refresh_token")
}

// A page within one of the phone apps gets an access token from the app, which is played
// here as the apps' documentation describes them: nothing is kept in the page's storage,
// and nobody types or taps.
func TestPhoneAppsHandOverTheirLogin(t *testing.T) {
	h, s, f := startWithLogin(t, "http")
	for name, app := range map[string]string{
		"Android": `window.externalApp = {getExternalAuth: (m) => setTimeout(() => window[JSON.parse(m).callback](true, {access_token: TOKEN, expires_in: 1800}), 50)}`,
		"iOS":     `window.webkit = {messageHandlers: {getExternalAuth: {postMessage: (m) => setTimeout(() => window[m.callback](true, {access_token: TOKEN, expires_in: 1800}), 50)}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPhone(t, browser(t), true)
			p.do(pagetest.Call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: strings.ReplaceAll(app, "TOKEN", quote(h.user))}))
			p.open(f.svc + "/app")
			p.at(f.svc + "/app")
			p.seesWho("Resident user")
		})
	}
	if log := s.file("caddy.log"); strings.Contains(log, h.user) {
		t.Error("the app's token is in the log")
	}
}

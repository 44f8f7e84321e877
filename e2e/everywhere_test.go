package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"

	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// anyCertificate takes Caddy's own certificates, in WebSockets and everywhere.
var anyCertificate = chromedp.Flag("ignore-certificate-errors", true)

// bySchemes runs a test on http and on https.
func bySchemes(t *testing.T, test func(t *testing.T, scheme string)) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) { test(t, scheme) })
	}
}

// focused is the element that the keyboard writes to.
const focused = `(() => { let e = document.activeElement; while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement; return e; })()`

// tabTo presses Tab until an element has the focus.
func (p *phone) tabTo(what, is string) {
	p.t.Helper()
	for range 40 {
		if p.eval(`(e => !!e && !!(`+is+`))(`+focused+`)`) == "true" {
			return
		}
		p.keys(kb.Tab)
	}
	p.t.Fatal("Tab does not lead to ", what)
}

// Nobody touches a mouse: the keyboard leads through Home Assistant's own login page, and whoever then opens
// a service is in.
func TestKeyboardIsEnough(t *testing.T) {
	bySchemes(t, func(t *testing.T, scheme string) {
		_, _, f := startWithLogin(t, scheme)
		chromium, _ := browserOf(t, t.TempDir(), anyCertificate)
		p := newPhone(t, chromium, true)
		p.open(f.ha + "/")
		p.loginPage()
		p.tabTo("the user name", `e.name === "username"`)
		p.keys("resident")
		p.keys(kb.Tab)
		p.tabTo("the password", `e.name === "password"`)
		p.keys("resident-pass-1")
		p.keys(kb.Tab)
		p.tabTo(`"Keep me logged in"`, `e.type === "checkbox"`)
		if p.eval(focused+`.checked`) != "true" {
			p.keys(" ")
		}
		p.tabTo("the button", `(() => { for (; e; e = e.getRootNode().host) if (e.textContent.trim() === "Log in") return true; })()`)
		p.keys(kb.Enter)
		p.inside()
		p.open(f.svc + "/d/1")
		p.at(f.svc + "/d/1")
		p.seesWho("Resident user")
	})
}

// The browser is closed, and opened again days later: with "Keep me logged in" nobody clicks, whether the
// cookie is still there or only what Home Assistant's frontend keeps.
func TestBrowserClosedAndOpenedAgain(t *testing.T) {
	bySchemes(t, func(t *testing.T, scheme string) {
		_, _, f := startWithLogin(t, scheme)
		profile := t.TempDir()
		chromium, quit := browserOf(t, profile, anyCertificate)
		p := newPhone(t, chromium, true)
		p.open(f.ha + "/")
		p.homeLogin("resident", "resident-pass-1")
		p.homeKnows()
		quit()

		chromium, quit = browserOf(t, profile, anyCertificate)
		p = newPhone(t, chromium, true)
		p.open(f.svc + "/next-day")
		p.at(f.svc + "/next-day")
		p.seesWho("Resident user")
		quit()

		// The cookie is gone: its session is over, say.
		chromium, _ = browserOf(t, profile, anyCertificate)
		p = newPhone(t, chromium, true)
		p.do(pagetest.Call(network.ClearBrowserCookies, cdp.Empty{}))
		p.open(f.svc + "/next-month")
		p.at(f.svc + "/next-month")
		p.seesWho("Resident user")
	})
}

// homeKnows waits until Home Assistant's frontend keeps the login in this browser.
func (p *phone) homeKnows() {
	p.t.Helper()
	p.until("Home Assistant's frontend keeps the login", `location.pathname !== "/auth/authorize" && localStorage.getItem("hassTokens") !== null`)
}

// logOut is what the button on the profile page does.
func (p *phone) logOut() {
	p.t.Helper()
	p.eval(`(document.querySelector("home-assistant").dispatchEvent(new CustomEvent("hass-logout", {bubbles: true, composed: true})), "")`)
	p.loginPage()
}

// live waits until the WebSocket and the event stream of the service's page live.
func (p *phone) live(address, who string) {
	p.t.Helper()
	p.open(address)
	p.until("the WebSocket lives", `document.querySelector("#socket")?.textContent === `+quote("hello "+who))
	p.until("the event stream lives", `document.querySelector("#events")?.textContent === `+quote("begun by "+who))
}

// cutOff waits until both have ended.
func (p *phone) cutOff() {
	p.t.Helper()
	eventually(p.t, 5*time.Second, "WebSocket and event stream have ended", func() bool { return p.streams() == "ended, ended" })
}

// streams says what has become of both.
func (p *phone) streams() string {
	p.t.Helper()
	return p.eval(`document.querySelector("#socket").textContent + ", " + document.querySelector("#events").textContent`)
}

// A service lives by a WebSocket and an event stream. Both work for a resident, and end within 5 s when the resident
// logs out of Home Assistant, or is deactivated there; somebody else's stay.
func TestWhatIsOpenEndsWithTheLogin(t *testing.T) {
	bySchemes(t, func(t *testing.T, scheme string) {
		h, _, f := startWithLogin(t, scheme)
		id, name := h.lodger("system-users")
		login := func(name, password string) (service, homeAssistant *phone) {
			t.Helper()
			chromium, _ := browserOf(t, t.TempDir(), anyCertificate)
			homeAssistant = newPhone(t, chromium, true)
			homeAssistant.open(f.ha + "/")
			homeAssistant.homeLogin(name, password)
			homeAssistant.homeKnows()
			service = newPhone(t, chromium, true)
			return service, homeAssistant
		}
		stays, _ := login(name, lodgersPassword)
		stays.live(f.svc+"/live", name+" user")
		leaves, ha := login("resident", "resident-pass-1")
		leaves.live(f.svc+"/live", "Resident user")
		ha.inside()
		ha.logOut()
		leaves.cutOff()
		leaves.open(f.svc + "/")
		leaves.loginPage()

		if state := stays.streams(); strings.Contains(state, "ended") {
			t.Errorf("somebody else has been cut off: %s", state)
		}
		h.ask("config/auth/update", map[string]any{"user_id": id, "is_active": false}, nil)
		stays.cutOff()
		stays.open(f.svc + "/")
		stays.loginPage()
	})
}

// Without a login, a WebSocket is refused before the service hears of it, whatever the page it comes from.
func TestWebSocketOfAStranger(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	f := withLogin(t, s, "http")
	s.start()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, cookie := range []string{"", "jwt_access_token=e30.e30.e30"} {
		c, res, err := websocket.Dial(ctx, strings.Replace(local(f.svc), "http", "ws", 1)+"/socket", &websocket.DialOptions{
			Host: strings.TrimPrefix(f.svc, "http://"), HTTPHeader: http.Header{"Cookie": {cookie}},
		})
		if err == nil {
			c.CloseNow()
		}
		if res == nil || res.StatusCode != 401 || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("cookie %q: %v %v", cookie, res, err)
		}
	}
}

// Who has a cookie of the integration jwt_cookie, of a key that counts no more, gets one of ours on the next page,
// without a click; ours takes its place.
func TestComingFromJWTCookie(t *testing.T) {
	h, _, f := startWithLogin(t, "http")
	p := newPhone(t, browser(t), true)
	p.open(f.ha + "/")
	p.homeLogin("resident", "resident-pass-1")
	p.homeKnows()
	p.do(pagetest.Call(network.ClearBrowserCookies, cdp.Empty{}))
	old := newSigningKey(t).cookie(t, h.resident("resident").ID, "user")
	p.cookie(f.ha, old)
	if p.eval(`document.cookie.includes("jwt_access_token=")`) != "true" {
		t.Fatal("there is no old cookie")
	}
	p.open(f.svc + "/d/1")
	p.at(f.svc + "/d/1")
	p.seesWho("Resident user")
	if p.eval(`document.cookie.includes("jwt_access_token=")`) == "true" {
		t.Error("the old cookie is still there") // ours is HttpOnly
	}
}

// A service as a webpage panel: within Home Assistant opened under the cookie's domain one is in; within a page from
// elsewhere there is no cookie, and no redirect either.
func TestServiceWithinAnotherPage(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	f := withLogin(t, s, "https")
	elsewhere := "https://other.localhost" + f.ha[strings.LastIndexByte(f.ha, ':'):]
	s.sites += elsewhere + " {\nbind 127.0.0.1\ntls internal\nreverse_proxy " + newService(t) + "\n}\n"
	s.start()
	s.awaitHome()
	chromium, _ := browserOf(t, t.TempDir(), anyCertificate)
	p := newPhone(t, chromium, true)
	p.open(f.svc + "/")
	p.homeLogin("resident", "resident-pass-1")
	p.at(f.svc + "/")
	framed := func(page string) string {
		t.Helper()
		p.open(page)
		p.eval(`(() => { document.title = "";
			addEventListener("message", (e) => { if (e.origin === "` + f.svc + `") document.title = "in as " + e.data; });
			const f = document.createElement("iframe"); f.src = "` + f.svc + `/panel";
			f.onload = () => setTimeout(() => { document.title ||= "not in"; }, 500); document.body.append(f); return ""; })()`)
		p.until("the frame is there", `document.title !== ""`)
		return p.eval(`document.title`)
	}
	if got := framed(f.ha + "/auth/jwt_cookie/return.css"); got != "in as Resident user" {
		t.Errorf("under the cookie's domain: %s", got)
	}
	if got := framed(elsewhere + "/"); got != "not in" {
		t.Errorf("from elsewhere: %s", got)
	}
}

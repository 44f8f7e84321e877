package caddyjwt

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestThreat16_RedirectsThatAreRefused(t *testing.T) {
	own := mustURL(t, "https://ha.example.com")
	all := &targets{domain: "example.com"}
	for _, bad := range []string{
		"", "//evil.com", `/\evil.com`, `\\evil.com`, `/\/evil.com`, "https:evil.com", "https:/evil.com", "https:///evil.com", "http:evil.com",
		"https://ha.example.com@evil.com", "https://user@grafana.example.com", "https://user:pass@grafana.example.com", "https://@grafana.example.com",
		"https://example.com.evil.com", "https://evilexample.com", "https://example.comevil", "https://evil.com/example.com", "https://evil.com?example.com", "https://evil.com#.example.com",
		"https://evil.com\\.example.com", "https://evil.com%2f.example.com", "https://evil.com%00.example.com", "https://grafana.example.com%40evil.com",
		"javascript:alert(1)", "JavaScript://example.com/%0aalert(1)", "data:text/html,x", "vbscript:x", "blob:https://ha.example.com/x", "ftp://grafana.example.com", "homeassistant://x",
		"https://grafana.example.com/\r\nSet-Cookie: a=b", "https://grafana.example.com/\n", "\thttps://grafana.example.com", " https://grafana.example.com", "https://grafana.example.com\t",
		"https://grafana.example.com:8443", "https://grafana.example.com:", "https://grafana.example.com:0443", "https://grafana.example.com:99999", "https://grafana.example.com:x", "https://ha.example.com:8443",
		"https://grafána.example.com", "https://example。com", "https://grafana.example.com\u2028", "https://grafana.example.com.", "https://.example.com", "https://-.example.com",
		"http://grafana.example.com", "http://ha.example.com", "grafana.example.com", "?x", "#x", "evil", "https://[::1]", "https://127.0.0.1",
		"https://grafana.example.com/" + strings.Repeat("x", maxTarget),
	} {
		if u, err := all.check(bad, own); err == nil {
			t.Errorf("%q is let pass as %s", bad, u)
		}
	}
	for good, want := range map[string]string{
		"https://grafana.example.com/d/1?a=b&c=%20d#e": "https://grafana.example.com/d/1?a=b&c=%20d#e",
		"https://example.com":                          "https://example.com",
		"https://a.b.example.com:443/":                 "https://a.b.example.com:443/",
		"HTTPS://Grafana.Example.COM/":                 "https://Grafana.Example.COM/",
		"https://ha.example.com/lovelace/0":            "https://ha.example.com/lovelace/0",
		"/":                                            "https://ha.example.com/",
		"/lovelace/0?x=1":                              "https://ha.example.com/lovelace/0?x=1",
		"https://xn--grafna-6ta.example.com/":          "https://xn--grafna-6ta.example.com/",
	} {
		u, err := all.check(good, own)
		if err != nil || u.String() != want {
			t.Errorf("%q: %v %v, want %s", good, u, err, want)
		}
	}

	// Where there are patterns, they say it all but the own host.
	some := &targets{domain: "example.com"}
	for _, s := range []string{"grafana.example.com", "*.other.example", "nas.example.com:5001"} {
		p, err := parseHostPattern(s)
		if err != nil {
			t.Fatal(err)
		}
		some.patterns = append(some.patterns, p)
	}
	for s, ok := range map[string]bool{
		"https://grafana.example.com/": true, "https://x.grafana.example.com/": false, "https://photos.example.com/": false, "https://ha.example.com/x": true,
		"https://a.other.example/": true, "https://a.b.other.example/": true, "https://other.example/": false, "https://another.example/": false,
		"https://nas.example.com:5001/": true, "https://nas.example.com/": false, "https://nas.example.com:5002/": false,
	} {
		if _, err := some.check(s, own); (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
	// On a port of its own, that port counts, too; without a domain, only the own host.
	if _, err := all.check("http://svc.example.com:8080/", mustURL(t, "http://ha.example.com:8080")); err != nil {
		t.Error(err)
	}
	alone := new(targets)
	if _, err := alone.check("https://svc.example.com/", own); err == nil {
		t.Error("another host without a domain")
	}
	if _, err := alone.check("https://ha.example.com/x", own); err != nil {
		t.Error(err)
	}
}

func TestThreat16_RefusedWithAPage(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	cookie, _ := h.login("owner", ownerPass)
	for _, query := range []string{
		"redirect_url=" + url.QueryEscape("https://evil.example/?secret=1"), "redirect_url=//evil.example", "redirect_url=" + url.QueryEscape(h.svc) + "&redirect_url=//evil.example",
		"redirect_url=%zz", "redirect_url=",
	} {
		for _, field := range []string{"Cookie: jwt_access_token=" + cookie, "X-Nobody: 1"} {
			r := h.send("GET", h.ha+"/auth/jwt_cookie?"+query, "", field)
			if r.StatusCode != 400 || r.Header.Get("Location") != "" || !strings.Contains(r.text, "somewhere else") || strings.Contains(r.text, "evil") {
				t.Errorf("%s: %d %s %s", query, r.StatusCode, r.Header.Get("Location"), r.text)
			}
		}
	}
	if strings.Contains(h.logs(), `"to":"https://evil.example/?secret`) {
		t.Error("the rest of the address is in the log")
	}
}

var attribute = regexp.MustCompile(`data-(\w+)="([^"]*)"`)

// attributes are what a page hands to its script.
func attributes(page string) map[string]string {
	found := make(map[string]string)
	for _, m := range attribute.FindAllStringSubmatch(page, -1) {
		found[m[1]] = html.UnescapeString(m[2])
	}
	return found
}

func (h *house) returnTo(target string, fields ...string) reply {
	h.t.Helper()
	return h.send("GET", h.ha+"/auth/jwt_cookie?redirect_url="+url.QueryEscape(target), "", fields...)
}

func setCookie(r reply, name string) *http.Cookie {
	for _, c := range r.Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func TestSilentReturn(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	target := h.svc + "/d/1?a=b&c=d"

	// Where hass_jwt sends people is where they are sent on from.
	r := h.send("GET", target, "", "Accept: text/html")
	if want := h.ha + "/auth/jwt_cookie?redirect_url=" + url.QueryEscape(target); r.StatusCode != 302 || r.Header.Get("Location") != want {
		t.Fatalf("%d %s", r.StatusCode, r.Header.Get("Location"))
	}
	cookie, _ := h.login("owner", ownerPass)
	r = h.returnTo(target, "Cookie: jwt_access_token="+cookie)
	if r.StatusCode != 302 || r.Header.Get("Location") != target || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("with a cookie: %d %v", r.StatusCode, r.Header)
	}
	later(t, 40*time.Minute)
	r = h.returnTo(target, "Cookie: jwt_access_token="+cookie)
	if r.StatusCode != 302 || r.cookie() == "" {
		t.Fatalf("with an expired cookie of a session that lives: %d %v", r.StatusCode, r.Header)
	}

	// Otherwise a page that does it, in the visitor's language, without inline code.
	for language, want := range map[string]string{"de-AT,en;q=0.5": "Sie werden angemeldet", "fr-CA": "Connexion en cours.", "ar": `dir="rtl"`, "sr": "You are being logged in", "": "You are being logged in", "%%": "You are being logged in"} {
		r = h.returnTo(target, "Accept-Language: "+language)
		if r.StatusCode != 200 || !strings.Contains(r.text, want) {
			t.Errorf("%q: %d %s", language, r.StatusCode, r.text)
		}
	}
	policy := r.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'self'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %q", policy)
	}
	if regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\son\w+=|style=`).MatchString(r.text) {
		t.Errorf("inline code: %s", r.text)
	}
	if r.Header.Get("Referrer-Policy") != "no-referrer" || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", r.Header)
	}
	data := attributes(r.text)
	if data["again"] != "/auth/jwt_cookie?redirect_url="+url.QueryEscape(target) {
		t.Errorf("again: %s", data["again"])
	}
	authorize := mustURL(t, data["authorize"])
	query := authorize.Query()
	if authorize.Host != "" || authorize.Path != "/auth/authorize" || query.Get("client_id") != h.ha+"/" || query.Get("redirect_uri") != h.ha+"/auth/jwt_cookie/callback" ||
		query.Get("response_type") != "code" {
		t.Errorf("authorize: %s", data["authorize"])
	}
	for _, name := range []string{"return.js", "return.css"} {
		if r := h.send("GET", h.ha+"/auth/jwt_cookie/"+name, ""); r.StatusCode != 200 || len(r.text) < 500 {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
}

func TestThreat17_WayBackIsSignedShortLivedAndOfThisBrowser(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	target := h.svc + "/x"
	begin := func() (state string, browser *http.Cookie) {
		t.Helper()
		r := h.returnTo(target)
		browser = setCookie(r, "jwt_access_token_state")
		if browser == nil || browser.Path != "/auth/jwt_cookie" || !browser.HttpOnly || browser.SameSite != http.SameSiteLaxMode || browser.MaxAge != 600 || browser.Domain != "" {
			t.Fatalf("%v", r.Header)
		}
		return mustURL(t, attributes(r.text)["authorize"]).Query().Get("state"), browser
	}
	back := func(state string, browser *http.Cookie) reply {
		t.Helper()
		var fields []string
		if browser != nil {
			fields = append(fields, "Cookie: "+browser.Name+"="+browser.Value)
		}
		return h.send("GET", h.ha+"/auth/jwt_cookie/callback?code=c0de&state="+url.QueryEscape(state), "", fields...)
	}
	refused := func(what string, r reply) {
		t.Helper()
		if r.StatusCode != 400 || attributes(r.text)["do"] != "" || r.cookie() != "" {
			t.Errorf("%s: %d %s", what, r.StatusCode, r.text)
		}
	}
	state, browser := begin()
	other, otherBrowser := begin()
	refused("without the browser's cookie", back(state, nil))
	refused("in another browser", back(state, otherBrowser))
	refused("without a state", back("", browser))
	refused("without a signature", back(strings.Split(state, ".")[0]+".", browser))
	refused("another's signature", back(strings.Split(state, ".")[0]+"."+strings.Split(other, ".")[1], browser))
	for i := 0; i < len(state); i += 7 {
		changed := []byte(state)
		changed[i] ^= 1
		refused("changed", back(string(changed), browser))
	}

	r := back(state, browser)
	data := attributes(r.text)
	if r.StatusCode != 200 || data["do"] != "exchange" || data["again"] != "/auth/jwt_cookie?redirect_url="+url.QueryEscape(target) {
		t.Fatalf("%d %s", r.StatusCode, r.text)
	}
	if strings.Contains(r.text, "c0de") {
		t.Error("the code is in the page")
	}
	refused("a second time", back(state, browser))
	h.load()
	refused("a second time after a reload", back(state, browser))

	later(t, stateLife)
	refused("too late", back(other, otherBrowser))
}

func TestLoopEndsAfterTheThirdRound(t *testing.T) {
	h := newHouse(t, "", "")
	cookie, _ := h.login("owner", ownerPass)
	own := h.ha + "/grafana"
	go3 := func(target string, fields ...string) reply {
		t.Helper()
		var kept string
		for round := range 3 {
			r := h.returnTo(target, append(fields, "Cookie: "+kept)...)
			if r.StatusCode != 302 && r.StatusCode != 200 {
				t.Fatalf("round %d: %d %s", round, r.StatusCode, r.text)
			}
			c := setCookie(r, "jwt_access_token_returns")
			kept = c.Name + "=" + c.Value
			if c.MaxAge != 30 || c.Path != "/auth/jwt_cookie" {
				t.Errorf("%v", c)
			}
		}
		if r := h.returnTo(h.ha+"/other", append(fields, "Cookie: "+kept)...); r.StatusCode == 400 {
			t.Error("another place is refused as well")
		}
		return h.returnTo(target, append(fields, "Cookie: "+kept)...)
	}
	refusals.note("ha.house.test", "key")
	t.Cleanup(func() { refusals.note("ha.house.test", "") })
	r := go3(own, "Cookie: jwt_access_token="+cookie)
	if r.StatusCode != 400 || !strings.Contains(r.text, "another key") || r.Header.Get("Location") != "" {
		t.Errorf("%d %s", r.StatusCode, r.text)
	}
	if c := setCookie(r, "jwt_access_token_returns"); c == nil || c.MaxAge >= 0 {
		t.Error("trying again does not begin anew")
	}
	r = go3(own)
	if r.StatusCode != 400 || !strings.Contains(r.text, "does not keep the login") {
		t.Errorf("no cookie: %d %s", r.StatusCode, r.text)
	}
	if !strings.Contains(h.logs(), `"reason":"key"`) || !strings.Contains(h.logs(), `"reason":"cookie"`) {
		t.Error("the log does not say why")
	}
}

func TestLoopPageKnowsTheCookiesDomain(t *testing.T) {
	h := newHouse(t, "redirect_to svc.house.test", "")
	cookie, _ := h.login("owner", ownerPass)
	kept := ""
	var r reply
	for range 4 {
		r = h.returnTo(h.svc+"/", "Cookie: jwt_access_token="+cookie, "Cookie: "+kept)
		if c := setCookie(r, "jwt_access_token_returns"); c != nil {
			kept = c.Name + "=" + c.Value
		}
	}
	if r.StatusCode != 400 || !strings.Contains(r.text, "needs a domain") || !strings.Contains(h.logs(), `"reason":"domain"`) {
		t.Errorf("%d %s", r.StatusCode, r.text)
	}
}

func TestAppBridge(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	_, own := h.login("resident", residentPass)
	form := func(token string) string { return url.Values{"access_token": {token}}.Encode() }
	ask := func(token string, fields ...string) reply {
		t.Helper()
		return h.send("POST", h.ha+"/auth/jwt_cookie/session", form(token), append(fields, urlencoded)...)
	}
	r := ask(own.Access, "Origin: "+h.ha)
	if r.StatusCode != 204 || r.cookie() == "" {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	h.in("the app's page", r.cookie())
	for name, fields := range map[string][]string{
		"unsaid": nil, "sibling": {"Origin: " + h.svc}, "cross-site": {"Sec-Fetch-Site: cross-site"},
	} {
		if r := ask(own.Access, fields...); r.StatusCode != 403 || r.cookie() != "" {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	if r := ask("", "Origin: "+h.ha); r.StatusCode != 400 {
		t.Errorf("no token: %d", r.StatusCode)
	}
	// Good ones do not count; after a few wrong ones the home is not asked any more.
	for range 2 * limitTries {
		if r := ask(own.Access, "Origin: "+h.ha); r.StatusCode != 204 {
			t.Fatalf("a good one: %d", r.StatusCode)
		}
	}
	for range limitTries {
		if r := ask(own.Access+"x", "Origin: "+h.ha); r.StatusCode != 403 || r.cookie() != "" {
			t.Fatalf("a wrong one: %d", r.StatusCode)
		}
	}
	if r := ask(own.Access+"x", "Origin: "+h.ha); r.StatusCode != 429 || r.Header.Get("Retry-After") == "" {
		t.Errorf("too many: %d", r.StatusCode)
	}
	if r := ask(own.Access, "Origin: "+h.ha, "X-Forwarded-For: 203.0.113.4"); r.StatusCode != 204 {
		t.Errorf("another client: %d", r.StatusCode)
	}
}

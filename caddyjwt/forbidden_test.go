package caddyjwt

import (
	"crypto/elliptic"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestForbiddenPage(t *testing.T) {
	k := newEC(t, elliptic.P256())
	claims := with(claimsAt(noon), map[string]any{"name": "Anna <b>B</b>", "roles": []string{"user"}})
	token := mint(t, k, claims)
	guard := func(change func(*HassJWT)) *HassJWT {
		h := &HassJWT{Allow: []Rule{{"roles", []string{"admin"}}}, Login: loginSite, Key: &KeyConfig{JWKS: loginSite + "/auth/jwt_cookie/jwks.json"}}
		if change != nil {
			change(h)
		}
		return newHandler(t, h, k)
	}
	ask := func(h *HassJWT, fields ...string) result {
		t.Helper()
		return serve(t, h, get("https://nas.example.com/a?b=c", append(fields, "Cookie: jwt_access_token="+token)...))
	}
	pageView := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}

	res := ask(guard(nil), pageView...)
	body := res.Body.String()
	if res.err != nil || res.Code != 403 || res.passed != nil || !strings.Contains(body, "Anna &lt;b&gt;B&lt;/b&gt;") || strings.Contains(body, "Anna <b>") {
		t.Fatalf("%d %v\n%s", res.Code, res.err, body)
	}
	if link := `href="https://ha.example.com/auth/jwt_cookie/switch?redirect_url=https%3A%2F%2Fnas.example.com%2Fa%3Fb%3Dc"`; !strings.Contains(body, link) {
		t.Errorf("no link %s in\n%s", link, body)
	}
	policy := res.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q lacks %s", policy, part)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(body, "<script") {
		t.Errorf("the page may run something: %q", policy)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Language": "en",
		"WWW-Authenticate": `Bearer error="insufficient_scope"`,
	} {
		if got := res.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if placeholder(t, res, "id") != "" || strings.Contains(body, token) {
		t.Error("who is not allowed has an identity, or the token is in the page")
	}
	if res := ask(guard(nil), append(pageView, "Accept-Language: de-AT, en;q=0.5")...); !strings.Contains(res.Body.String(), `lang="de"`) || !strings.Contains(res.Body.String(), "Hier dürfen Sie nicht hinein") {
		t.Errorf("in German:\n%s", res.Body)
	}

	// In a frame, a link that opens in its own tab.
	framed := ask(guard(nil), "Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")
	if framed.Code != 403 || !strings.Contains(framed.Body.String(), `target="_blank"`) || strings.Contains(framed.Header().Get("Content-Security-Policy"), "frame-ancestors") {
		t.Errorf("in a frame: %d %v\n%s", framed.Code, framed.Header(), framed.Body)
	}

	// Another login has no such page, and where there is none there is no link.
	elsewhere := ask(guard(func(h *HassJWT) { h.Key = &KeyConfig{File: "x"} }), pageView...)
	if body := elsewhere.Body.String(); !strings.Contains(body, `href="https://ha.example.com/"`) || strings.Contains(body, "/switch") {
		t.Errorf("with a login of somebody else's:\n%s", body)
	}
	if body := ask(guard(func(h *HassJWT) { h.Login = "" }), pageView...).Body.String(); strings.Contains(body, "<a ") || !strings.Contains(body, "Anna") {
		t.Errorf("without a login:\n%s", body)
	}

	// Without a name, by what there is.
	nameless := mint(t, k, with(claims, map[string]any{"name": nil}))
	if res := serve(t, guard(nil), get("/", append(pageView, "Cookie: jwt_access_token="+nameless)...)); !strings.Contains(res.Body.String(), claims["sub"].(string)) {
		t.Errorf("nameless:\n%s", res.Body)
	}

	// Programs get what they got before.
	for _, fields := range [][]string{
		{"Accept: application/json"}, {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Accept: text/html"},
		{"Upgrade: websocket", "Connection: Upgrade", "Accept: text/html"}, nil,
	} {
		if res := ask(guard(nil), fields...); res.err == nil || res.status() != 403 || res.Body.Len() > 0 {
			t.Errorf("%v: %d %v", fields, res.status(), res.err)
		}
	}
	post := request(http.MethodPost, "/", append(pageView, "Cookie: jwt_access_token="+token)...)
	if res := serve(t, guard(nil), post); res.err == nil || res.status() != 403 {
		t.Errorf("POST: %d", res.status())
	}
	head := request(http.MethodHead, "/", append(pageView, "Cookie: jwt_access_token="+token)...)
	if res := serve(t, guard(nil), head); res.Code != 403 || res.Body.Len() > 0 || res.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d", res.Code)
	}
}

func TestForbiddenInASite(t *testing.T) {
	k := newEC(t, elliptic.P256())
	token := mint(t, k, claimsAt(time.Now()))
	guard := "hass_jwt {\nkey file " + tempPEM(t, k) + "\ndeny name Anna\n}\nreverse_proxy SERVICE\n"
	s, _ := startCaddy(t, "", guard)
	res := s.get(t, "/public/x", "Accept: text/html", "Cookie: jwt_access_token="+token)
	if res.StatusCode != 403 || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	log := readLog(t, s)
	if !strings.Contains(log, `"uri":"/public/x"`) || !strings.Contains(log, `"status":403`) || strings.Contains(log, token) {
		t.Errorf("the log of it: %s", log)
	}

	// A site's own error pages are its own.
	own, _ := startCaddy(t, "", guard+"handle_errors {\nrespond \"mine {err.status_code}\"\n}\n")
	if res := own.get(t, "/", "Accept: text/html", "Cookie: jwt_access_token="+token); res.StatusCode != 403 || res.ContentLength != int64(len("mine 403")) {
		t.Errorf("with handle_errors: %d, %d bytes", res.StatusCode, res.ContentLength)
	}
}

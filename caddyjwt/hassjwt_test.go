package caddyjwt

import (
	"crypto/elliptic"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const loginSite = "https://ha.example.com"

func TestIdentityGoesToPlaceholders(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, new(HassJWT), k)
	c := with(claimsAt(noon), map[string]any{
		"id": "someone-else", "age": 41, "home": true, "groups": []string{"a"}, "address": map[string]any{"id": "x"}, "none": nil,
	})
	res := serve(t, h, get("/", "Cookie: jwt_access_token="+mint(t, k, c)))
	if res.passed == nil {
		t.Fatalf("did not pass: %v", res.err)
	}
	for name, want := range map[string]string{
		"id": c["sub"].(string), "name": "Anna", "roles": "admin,user", "sub": c["sub"].(string), "age": "41", "home": "true",
		"groups": "", "address": "", "none": "", "nothing": "", "": "",
	} {
		if got := placeholder(t, res, name); got != want {
			t.Errorf("{%s%s} is %q, want %q", userPrefix, name, got, want)
		}
	}
	if got := res.repl.ReplaceKnown("{http.auth.user.id} {http.auth.user.nothing}|{http.auth.other}", ""); got != c["sub"].(string)+" |{http.auth.other}" {
		t.Errorf("replaced: %q", got)
	}
}

func TestOptionalLetsStrangersThroughWithoutIdentity(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, &HassJWT{Optional: true, Login: loginSite}, k)
	expired := mint(t, k, with(claimsAt(noon), map[string]any{"exp": noon.Unix() - 60}))
	for name, r := range map[string]*http.Request{
		"no token": get("/", "Accept: text/html"),
		"expired":  get("/", "Cookie: a=b; jwt_access_token="+expired, "Accept: text/html"),
		"garbage":  get("/", "Cookie: jwt_access_token=x", "Authorization: Bearer y"),
	} {
		res := serve(t, h, r)
		if res.passed == nil {
			t.Fatalf("%s: did not pass: %v", name, res.err)
		}
		if id := placeholder(t, res, "id"); id != "" {
			t.Errorf("%s: passed as %q", name, id)
		}
		if strings.Contains(res.passed.Header.Get("Cookie"), "jwt_access_token") {
			t.Errorf("%s: the cookie went on", name)
		}
	}
	if res := serve(t, h, get("/", "Cookie: jwt_access_token="+mint(t, k, claimsAt(noon)))); placeholder(t, res, "id") == "" {
		t.Error("a resident passed as a stranger")
	}
}

func TestAllowAndDeny(t *testing.T) {
	k := newEC(t, elliptic.P256())
	resident := claimsAt(noon)
	roles := func(r ...string) map[string]any { return with(resident, map[string]any{"roles": r}) }
	for name, c := range map[string]struct {
		allow, deny []Rule
		claims      map[string]any
		want        int
	}{
		"no rules":                {nil, nil, roles(), 200},
		"allowed":                 {[]Rule{{"roles", []string{"admin"}}}, nil, roles("admin", "user"), 200},
		"one of the values":       {[]Rule{{"roles", []string{"admin", "user"}}}, nil, roles("user"), 200},
		"not allowed":             {[]Rule{{"roles", []string{"admin"}}}, nil, roles("user"), 403},
		"any allow":               {[]Rule{{"roles", []string{"admin"}}, {"name", []string{"Anna"}}}, nil, roles("user"), 200},
		"denied though allowed":   {[]Rule{{"roles", []string{"user"}}}, []Rule{{"name", []string{"Anna"}}}, roles("user"), 403},
		"denied without allow":    {nil, []Rule{{"roles", []string{"guest"}}}, roles("guest"), 403},
		"deny of something else":  {nil, []Rule{{"roles", []string{"guest"}}}, roles("user"), 200},
		"no such claim":           {[]Rule{{"groups", []string{"x"}}}, nil, roles("x"), 403},
		"a role with a comma":     {[]Rule{{"roles", []string{"admin"}}}, nil, roles("user,admin"), 403},
		"a part of a role":        {[]Rule{{"roles", []string{"admin"}}}, nil, roles("administrator"), 403},
		"another case":            {[]Rule{{"roles", []string{"admin"}}}, nil, roles("Admin"), 403},
		"a role as a string":      {[]Rule{{"roles", []string{"admin"}}}, nil, with(resident, map[string]any{"roles": "admin"}), 200},
		"a number":                {[]Rule{{"floor", []string{"3"}}}, nil, with(resident, map[string]any{"floor": 3}), 200},
		"a boolean":               {[]Rule{{"adult", []string{"true"}}}, nil, with(resident, map[string]any{"adult": true}), 200},
		"null is not its name":    {[]Rule{{"x", []string{"null"}}}, nil, roles("user"), 403},
		"an object has no values": {[]Rule{{"x", []string{"admin"}}}, nil, with(resident, map[string]any{"x": map[string]any{"admin": "admin"}}), 403},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, &HassJWT{Allow: c.allow, Deny: c.deny, Login: loginSite}, k)
			token := mint(t, k, c.claims)
			for range 2 { // new and seen before
				res := serve(t, h, get("/", "Accept: text/html", "Cookie: jwt_access_token="+token))
				if res.status() != c.want || (res.passed != nil) != (c.want == 200) {
					t.Fatalf("got %d, want %d", res.status(), c.want)
				}
				if c.want == 403 && placeholder(t, res, "id") != "" {
					t.Error("who is not allowed has an identity")
				}
			}
		})
	}
}

func TestHomeChoosesIssuerAndCookie(t *testing.T) {
	k := newEC(t, elliptic.P256())
	cabin := mint(t, k, with(claimsAt(noon), map[string]any{"iss": "homeassistant/cabin"}))
	main := mint(t, k, claimsAt(noon))
	for _, c := range []struct {
		home, cookie, token string
		want                int
	}{
		{"", "jwt_access_token", main, 200}, {"default", "jwt_access_token", main, 200},
		{"cabin", "jwt_access_token_cabin", cabin, 200}, {"cabin", "jwt_access_token", cabin, 401},
		{"cabin", "jwt_access_token_cabin", main, 401}, {"", "jwt_access_token", cabin, 401}, {"", "jwt_access_token_cabin", main, 401},
	} {
		h := newHandler(t, &HassJWT{Home: c.home}, k)
		if got := serve(t, h, get("/", "Cookie: "+c.cookie+"="+c.token)).status(); got != c.want {
			t.Errorf("home %q, cookie %s: %d, want %d", c.home, c.cookie, got, c.want)
		}
	}
	h := newHandler(t, &HassJWT{Home: "cabin", Cookie: "c", Issuer: "homeassistant", Audience: []string{"x", "homeassistant"}}, k)
	if got := serve(t, h, get("/", "Cookie: c="+main)).status(); got != 200 {
		t.Errorf("cookie and issuer do not come before home's: %d", got)
	}
}

func TestThreat11_TwoCookiesOfTheSameName(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, new(HassJWT), k)
	good := mint(t, k, claimsAt(noon))
	other := mint(t, k, with(claimsAt(noon), map[string]any{"sub": "other"}))
	for _, c := range []struct {
		cookies []string
		who     string
	}{
		{[]string{"jwt_access_token=bad; jwt_access_token=" + good}, "5d3bd0a4f1a64e6d9b1b5a2f0c6c7a11"},
		{[]string{"jwt_access_token=" + good + "; jwt_access_token=bad"}, "5d3bd0a4f1a64e6d9b1b5a2f0c6c7a11"},
		{[]string{"jwt_access_token=" + other + "; jwt_access_token=" + good}, "other"},
		{[]string{"jwt_access_token=; a=b", "c=d; jwt_access_token=" + good}, "5d3bd0a4f1a64e6d9b1b5a2f0c6c7a11"},
		{[]string{`jwt_access_token="` + good + `"`}, "5d3bd0a4f1a64e6d9b1b5a2f0c6c7a11"},
		{[]string{"JWT_ACCESS_TOKEN=" + good}, ""},
		{[]string{"xjwt_access_token=" + good + "; jwt_access_token2=" + good}, ""},
		{[]string{"a=jwt_access_token=" + good}, ""},
	} {
		r := get("/")
		r.Header["Cookie"] = c.cookies
		res := serve(t, h, r)
		if got := placeholder(t, res, "id"); got != c.who || (res.passed != nil) != (c.who != "") {
			t.Errorf("%.60q: %q, want %q", c.cookies, got, c.who)
		}
	}
	// Only so many are looked at: each may cost a verification.
	flood := strings.Repeat("jwt_access_token="+mint(t, newEC(t, elliptic.P256()), claimsAt(noon))+"; ", maxTries)
	serve(t, h, get("/", "Cookie: "+flood+"jwt_access_token="+good))
	if n := h.keys.(*fixedKeys).refreshed; n > maxTries {
		t.Errorf("%d tokens of one request were verified", n)
	}
}

func TestThreat11_TheTokenIsTakenOutAndTheRestStays(t *testing.T) {
	k := newEC(t, elliptic.P256())
	token := mint(t, k, claimsAt(noon))
	for before, after := range map[string]string{
		"T":                               "",
		"a=1; T":                          "a=1",
		"T; a=1":                          "a=1",
		"a=1; T; b=2":                     "a=1; b=2",
		"a=1;T;b=2":                       "a=1;b=2",
		"a=1;  b = \"x y\" ;T; c":         "a=1;  b = \"x y\" ; c",
		"T; T; a=ü; b=%3B;":               "a=ü; b=%3B;",
		"a=jwt_access_token; T":           "a=jwt_access_token",
		"JWT_ACCESS_TOKEN=1; T; =;;":      "JWT_ACCESS_TOKEN=1; =;;",
		"a=1; T; jwt_access_token=old":    "a=1",
		"T; jwt_access_token":             "",
		"jwt_access_token_rounds=2;T;a=b": "a=b",
		"a=1, b=2; T; a=1":                "a=1, b=2; a=1",
	} {
		h := newHandler(t, new(HassJWT), k)
		r := get("/", "Cookie: "+strings.ReplaceAll(before, "T", "jwt_access_token="+token), "Accept-Language: de", "X-Other: 1")
		if strings.HasPrefix(before, "JWT") {
			r.Header.Set("Cookie", "JWT_ACCESS_TOKEN=1; jwt_access_token="+token+"; =;;")
		}
		held := slices.Clone(r.Header["Cookie"])
		shared := r.Header["Cookie"]
		res := serve(t, h, r)
		if res.passed == nil {
			t.Fatalf("%q: %v", before, res.err)
		}
		got, there := strings.Join(res.passed.Header["Cookie"], "|"), res.passed.Header["Cookie"] != nil
		if got != after || there != (after != "") {
			t.Errorf("%q went on as %q, want %q", before, got, after)
		}
		if len(res.passed.Header) != 2+map[bool]int{true: 1}[there] {
			t.Errorf("other fields changed: %v", res.passed.Header)
		}
		if !slices.Equal(held, shared) {
			t.Errorf("the fields that others may hold were written to: %q", shared)
		}
	}
	keep := newHandler(t, &HassJWT{KeepToken: true}, k)
	res := serve(t, keep, get("/", "Cookie: a=1; jwt_access_token="+token, "Authorization: Bearer "+token))
	if res.passed.Header.Get("Cookie") != "a=1; jwt_access_token="+token || res.passed.Header.Get("Authorization") != "Bearer "+token {
		t.Errorf("keep_token did not keep it: %v", res.passed.Header)
	}
	// What is refused does not go on to an error page's service, either.
	r := get("/", "Cookie: a=1; jwt_access_token="+mint(t, newEC(t, elliptic.P256()), claimsAt(noon)))
	if serve(t, newHandler(t, new(HassJWT), k), r); r.Header.Get("Cookie") != "a=1" {
		t.Errorf("left in a refused request: %q", r.Header.Get("Cookie"))
	}
}

func TestThreat11_Bearer(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, new(HassJWT), k)
	token := mint(t, k, claimsAt(noon))
	other := mint(t, k, with(claimsAt(noon), map[string]any{"sub": "other"}))
	foreign := mint(t, newEC(t, elliptic.P256()), claimsAt(noon))
	const me = "5d3bd0a4f1a64e6d9b1b5a2f0c6c7a11"
	for _, c := range []struct {
		name, authorization, cookie string
		who, left                   string
	}{
		{"alone", "Bearer " + token, "", me, ""},
		{"scheme in any case", "bEaReR " + token, "", me, ""},
		{"more space", "Bearer   " + token, "", me, ""},
		{"before the cookie", "Bearer " + token, other, me, ""},
		{"a service's own, with a cookie", "Bearer glsa_abc", token, me, "Bearer glsa_abc"},
		{"a JWT of another, with a cookie", "Bearer " + foreign, token, me, "Bearer " + foreign},
		{"a service's own, without", "Bearer glsa_abc", "", "", "Bearer glsa_abc"},
		{"Basic, with a cookie", "Basic YTpi", token, me, "Basic YTpi"},
		{"Basic with the token", "Basic " + token, "", "", "Basic " + token},
		{"no scheme", token, "", "", token},
		{"empty", "Bearer ", token, me, "Bearer "},
		{"no space", "Bearer", token, me, "Bearer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := get("/", "Authorization: "+c.authorization)
			if c.cookie != "" {
				r.Header.Set("Cookie", "jwt_access_token="+c.cookie)
			}
			res := serve(t, h, r)
			if got := placeholder(t, res, "id"); got != c.who {
				t.Errorf("taken for %q, want %q (%v)", got, c.who, res.err)
			}
			if got := r.Header.Get("Authorization"); got != c.left {
				t.Errorf("Authorization went on as %q, want %q", got, c.left)
			}
			if strings.Contains(r.Header.Get("Cookie"), "jwt_access_token") {
				t.Error("the cookie went on")
			}
		})
	}
}

func TestThreat12_ClaimsWithControlCharactersAndCommas(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, new(HassJWT), k)
	pass := func(changes map[string]any) result {
		return serve(t, h, get("/", "Cookie: jwt_access_token="+mint(t, k, with(claimsAt(noon), changes))))
	}
	res := pass(map[string]any{
		"name": "Anna\r\nX-Admin: 1\x00\u0085", "email": "a\nb@example.com", "roles": []string{"user", "x,admin", "y\r\nadmin", "z\x00", "guest"},
	})
	for name, want := range map[string]string{"name": "Anna  X-Admin: 1  ", "email": "a b@example.com", "roles": "user,guest"} {
		if got := placeholder(t, res, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, sub := range []string{"a\r\nX: 1", "a\x00", "\n"} {
		if res := pass(map[string]any{"sub": sub}); res.status() != 401 {
			t.Errorf("sub %q: %d, want 401", sub, res.status())
		}
	}
	if res := pass(map[string]any{"sub": "a,b", "name": "Smith, Anna"}); placeholder(t, res, "id") != "a,b" || placeholder(t, res, "name") != "Smith, Anna" {
		t.Error("a comma outside of roles is nothing special")
	}
	// What is refused for its sub does not break a line of the log.
	_, err := h.verify(mint(t, k, with(claimsAt(noon), map[string]any{"sub": "a\nb"})))
	if why, ok := err.(*refusal); !ok || strings.Contains(why.subject, "\n") {
		t.Errorf("got %v", err)
	}
}

func TestThreat13_ForwardedHeadersCountFromTrustedProxiesOnly(t *testing.T) {
	h := newHandler(t, &HassJWT{Login: loginSite}, newEC(t, elliptic.P256()))
	fields := []string{"Accept: text/html", "X-Forwarded-Proto: ftp, https", "X-Forwarded-Host: evil.example", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "X-Forwarded-Port: 1", "Forwarded: host=evil"}
	for trusted, want := range map[bool]string{false: "http://grafana.example.com/d?x=1", true: "https://evil.example/d?x=1"} {
		r := withCaddy(get("http://grafana.example.com/d?x=1", fields...))
		caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, trusted)
		if got := backTo(t, serve(t, h, r)); got != want {
			t.Errorf("trusted %t: sent back to %q, want %q", trusted, got, want)
		}
	}
	r := withCaddy(get("http://grafana.example.com/", "Accept: text/html", "X-Forwarded-Proto: javascript", "X-Forwarded-Host: evil/@x"))
	caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, true)
	if got := backTo(t, serve(t, h, r)); got != "http://grafana.example.com/" {
		t.Errorf("sent back to %q", got)
	}
}

// backTo returns the redirect_url of a redirect to the login.
func backTo(t *testing.T, res result) string {
	t.Helper()
	if res.Code != http.StatusFound {
		t.Fatalf("got %d, want 302 (%v)", res.Code, res.err)
	}
	u, err := url.Parse(res.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if base := *u; base.Host != "ha.example.com" || base.Path != "/auth/jwt_cookie" || base.Scheme != "https" || len(u.Query()) != 1 {
		t.Fatalf("sent to %q", u)
	}
	return u.Query().Get("redirect_url")
}

func TestThreat14_TheAddressToComeBackToIsTheOneAskedFor(t *testing.T) {
	h := newHandler(t, &HassJWT{Login: loginSite + "/"}, newEC(t, elliptic.P256()))
	for asked, want := range map[string]string{
		"/":                              "http://a.example.com/",
		"/public/..%2fadmin":             "http://a.example.com/public/..%2fadmin",
		"//admin":                        "http://a.example.com//admin",
		"//evil.example/x":               "http://a.example.com//evil.example/x",
		"/admin%5c":                      "http://a.example.com/admin%5c",
		"/a b":                           "",
		"/ü?q=ü&r=%20#f":                 "",
		"/x?redirect_url=https://e/&b=1": "http://a.example.com/x?redirect_url=https://e/&b=1",
		"/x?a=1&a=2;c":                   "http://a.example.com/x?a=1&a=2;c",
		"http://a.example.com/absolute":  "http://a.example.com/absolute",
	} {
		if want == "" {
			continue // no request line can hold it
		}
		r := get(asked, "Accept: text/html")
		r.Host = "a.example.com"
		if got := backTo(t, serve(t, h, r)); got != want {
			t.Errorf("%q: back to %q, want %q", asked, got, want)
		}
	}
	// handle_path and rewrites work on the path that we see, not on the one asked for.
	r := withCaddy(get("http://a.example.com/grafana/d/1?x=%2F", "Accept: text/html"))
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = "/d/1", "", ""
	if got := backTo(t, serve(t, h, r)); got != "http://a.example.com/grafana/d/1?x=%2F" {
		t.Errorf("back to %q", got)
	}
}

func TestThreat15_PageViewsAreSentToTheLoginAndTheRestIsAnswered401(t *testing.T) {
	k := newEC(t, elliptic.P256())
	fetch := func(mode, dest string) []string {
		return []string{"Accept: text/html,*/*", "Sec-Fetch-Mode: " + mode, "Sec-Fetch-Dest: " + dest, "Sec-Fetch-Site: same-origin"}
	}
	cases := map[string]struct {
		method string
		fields []string
		want   string // 302, 401 or page
	}{
		"page":                       {"GET", fetch("navigate", "document"), "302"},
		"page, HEAD":                 {"HEAD", fetch("navigate", "document"), "302"},
		"page on http":               {"GET", []string{"Accept: text/html,application/xhtml+xml"}, "302"},
		"page on http, HEAD":         {"HEAD", []string{"Accept: text/html"}, "302"},
		"form":                       {"POST", fetch("navigate", "document"), "401"},
		"form on http":               {"POST", []string{"Accept: text/html"}, "401"},
		"PUT":                        {"PUT", []string{"Accept: text/html"}, "401"},
		"iframe":                     {"GET", fetch("navigate", "iframe"), "page"},
		"frame":                      {"GET", fetch("navigate", "frame"), "page"},
		"embed":                      {"GET", fetch("navigate", "embed"), "page"},
		"object":                     {"GET", fetch("navigate", "object"), "page"},
		"form in an iframe":          {"POST", fetch("navigate", "iframe"), "401"},
		"fetch":                      {"GET", fetch("cors", "empty"), "401"},
		"fetch, same origin":         {"GET", fetch("same-origin", "empty"), "401"},
		"XHR on http":                {"GET", []string{"Accept: */*"}, "401"},
		"API":                        {"GET", []string{"Accept: application/json"}, "401"},
		"curl":                       {"GET", nil, "401"},
		"image":                      {"GET", fetch("no-cors", "image"), "401"},
		"script":                     {"GET", fetch("cors", "script"), "401"},
		"style":                      {"GET", fetch("no-cors", "style"), "401"},
		"worker":                     {"GET", fetch("same-origin", "worker"), "401"},
		"manifest":                   {"GET", fetch("cors", "manifest"), "401"},
		"EventSource":                {"GET", []string{"Accept: text/event-stream", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, "401"},
		"WebSocket":                  {"GET", []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-Fetch-Mode: websocket", "Sec-Fetch-Dest: websocket"}, "401"},
		"WebSocket on http":          {"GET", []string{"Connection: Upgrade", "Upgrade: websocket", "Accept: text/html"}, "401"},
		"WebSocket over HTTP/2":      {"CONNECT", fetch("websocket", "empty"), "401"},
		"CORS preflight":             {"OPTIONS", []string{"Origin: https://x.example.com", "Access-Control-Request-Method: GET", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, "401"},
		"page with a foreign Bearer": {"GET", append(fetch("navigate", "document"), "Authorization: Bearer x"), "302"},
		"navigation without a place": {"GET", []string{"Sec-Fetch-Mode: navigate"}, "302"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, &HassJWT{Login: loginSite}, k)
			res := serve(t, h, request(c.method, "http://a.example.com/x", c.fields...))
			if res.passed != nil {
				t.Fatal("let through")
			}
			switch c.want {
			case "302":
				if got := backTo(t, res); got != "http://a.example.com/x" {
					t.Errorf("back to %q", got)
				}
				if res.Header().Get("Cache-Control") != "no-store" {
					t.Error("the redirect may be stored")
				}
			case "page":
				body := res.Body.String()
				if res.Code != 401 || !strings.Contains(body, `href="http://a.example.com/x" target="_blank"`) {
					t.Errorf("%d %s", res.Code, body)
				}
				csp := res.Header().Get("Content-Security-Policy")
				if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "frame-ancestors") || strings.Contains(body, "<script") || strings.Contains(body, "style=") {
					t.Errorf("policy %q for %s", csp, body)
				}
				if res.Header().Get("Cache-Control") != "no-store" || res.Header().Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("header %v", res.Header())
				}
			case "401":
				want := "Bearer"
				if slices.ContainsFunc(c.fields, func(f string) bool { return strings.HasPrefix(f, "Authorization") }) {
					want = `Bearer error="invalid_token"`
				}
				if res.status() != 401 || res.err == nil || res.Header().Get("WWW-Authenticate") != want || res.Header().Get("Location") != "" {
					t.Errorf("%d %v %v", res.status(), res.err, res.Header())
				}
			}
			without := serve(t, newHandler(t, new(HassJWT), k), request(c.method, "http://a.example.com/x", c.fields...))
			if without.status() != 401 || without.err == nil || !strings.HasPrefix(without.Header().Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("without login: %d %v", without.status(), without.Header())
			}
			c.fields = append(slices.Clone(c.fields), "Cookie: jwt_access_token="+mint(t, k, claimsAt(noon)))
			if res := serve(t, h, request(c.method, "http://a.example.com/x", c.fields...)); res.passed == nil {
				t.Errorf("a resident is not let through: %d %v", res.status(), res.err)
			}
		})
	}
}

func TestThreat15_401SaysInvalidTokenOnlyWhereOneWasShown(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, &HassJWT{Allow: []Rule{{"roles", []string{"nobody"}}}}, k)
	for want, fields := range map[string][]string{
		`Bearer`: {"Cookie: a=b; jwt_access_token="}, `Bearer error="invalid_token"`: {"Cookie: jwt_access_token=x"},
		`Bearer error="insufficient_scope"`: {"Authorization: Bearer " + mint(t, k, claimsAt(noon))},
	} {
		if got := serve(t, h, get("/", fields...)).Header().Get("WWW-Authenticate"); got != want {
			t.Errorf("%.40q: %q, want %q", fields, got, want)
		}
	}
}

func TestThreat15_NoRedirectLoop(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, &HassJWT{Login: loginSite}, k)

	// In front of the login itself by mistake.
	for path, want := range map[string]int{"/auth/jwt_cookie?redirect_url=x": 401, "/auth/jwt_cookie/key.pem": 401, "/auth/jwt_cookies": 302, "/": 302} {
		if got := serve(t, h, get("https://ha.example.com"+path, "Accept: text/html")).status(); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}

	// A browser that comes back at once, each time with a new cookie that is refused again.
	var jar []*http.Cookie
	redirects := 0
	for ; redirects < 20; redirects++ {
		r := get("https://a.example.com/x", "Accept: text/html", "Cookie: jwt_access_token="+mint(t, newEC(t, elliptic.P256()), claimsAt(noon)))
		for _, c := range jar {
			r.AddCookie(c)
		}
		res := serve(t, h, r)
		if res.Code != http.StatusFound {
			if res.Code != 401 || !strings.Contains(res.Body.String(), "not accepted here") || !strings.Contains(res.Body.String(), `href="https://ha.example.com/auth/jwt_cookie?redirect_url=https%3A%2F%2Fa.example.com%2Fx"`) {
				t.Errorf("%d %s", res.Code, res.Body)
			}
			break
		}
		jar = res.Result().Cookies()
		if len(jar) != 1 || jar[0].MaxAge != roundsAge || !jar[0].HttpOnly || !jar[0].Secure {
			t.Fatalf("cookies: %v", jar)
		}
	}
	if redirects != maxRounds {
		t.Errorf("%d redirects before it stopped, want %d", redirects, maxRounds)
	}
	for _, value := range []string{"-5", "x", "99999999999999999999"} {
		r := get("https://a.example.com/", "Accept: text/html", "Cookie: jwt_access_token=x; jwt_access_token_rounds="+value)
		if got := serve(t, h, r).status(); got != http.StatusFound {
			t.Errorf("count %q: %d", value, got)
		}
	}
	// Who has no cookie at all is no loop, and gets none to count.
	if res := serve(t, h, get("https://a.example.com/", "Accept: text/html")); len(res.Result().Cookies()) > 0 {
		t.Errorf("set %v", res.Result().Cookies())
	}
}

func TestLoginTakesPlaceholdersOfRequests(t *testing.T) {
	h := newHandler(t, &HassJWT{Login: "https://ha.{http.request.host}"}, newEC(t, elliptic.P256()))
	res := serve(t, h, get("https://example.com/", "Accept: text/html"))
	if got := res.Header().Get("Location"); !strings.HasPrefix(got, "https://ha.example.com/auth/jwt_cookie?") {
		t.Errorf("sent to %q", got)
	}
	h = newHandler(t, &HassJWT{Login: "{http.request.header.Nothing}"}, newEC(t, elliptic.P256()))
	if res := serve(t, h, get("https://example.com/", "Accept: text/html")); res.status() != 401 {
		t.Errorf("a login that comes to nothing: %d, want 401", res.status())
	}
}

// TestSeveralHandlersInOneRequest is a site for residents with a part for some.
func TestSeveralHandlersInOneRequest(t *testing.T) {
	k := newEC(t, elliptic.P256())
	site := newHandler(t, new(HassJWT), k)
	part := newHandler(t, &HassJWT{Allow: []Rule{{"roles", []string{"admin"}}}}, k)
	cabin := newHandler(t, &HassJWT{Home: "cabin", Optional: true}, k)
	for roles, want := range map[string]int{"admin": 200, "user": 403} {
		token := mint(t, k, with(claimsAt(noon), map[string]any{"roles": roles}))
		for _, field := range []string{"Cookie: jwt_access_token=" + token, "Authorization: Bearer " + token} {
			r := withCaddy(get("/", field))
			if first := serve(t, site, r); first.passed == nil {
				t.Fatal(first.err)
			}
			second := serve(t, part, r)
			if second.status() != want {
				t.Errorf("%s: %d, want %d", roles, second.status(), want)
			}
			if id := placeholder(t, second, "id"); (id != "") != (want == 200) {
				t.Errorf("%s: known as %q", roles, id)
			}
			if want == 200 && placeholder(t, serve(t, cabin, r), "id") == "" {
				t.Error("an optional handler for another home took the identity away")
			}
		}
	}
}

// TestOneIdentityAtATime: a resident is not mixed up with whom basic_auth found before.
func TestOneIdentityAtATime(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, &HassJWT{Optional: true}, k)
	r := withCaddy(get("/", "Cookie: jwt_access_token="+mint(t, k, claimsAt(noon))))
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.auth.user.id", "basic")
	repl.Set("http.auth.user.groups", "wheel")
	res := serve(t, h, r)
	if placeholder(t, res, "id") == "basic" || placeholder(t, res, "groups") != "" {
		t.Error("mixed with another identity")
	}
	r = withCaddy(get("/"))
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", "basic")
	if res := serve(t, h, r); placeholder(t, res, "id") != "basic" {
		t.Error("without a token, an optional handler took the identity of another away")
	}
}

func TestUnknownKeyMakesTheSourceLookAgain(t *testing.T) {
	old, new1 := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	h := newHandler(t, new(HassJWT), old)
	source := h.keys.(*fixedKeys)
	r := func(token string) int { return serve(t, h, get("/", "Cookie: jwt_access_token="+token)).status() }
	token := mint(t, new1, claimsAt(noon))
	if got := r(token); got != 401 || source.refreshed != 1 {
		t.Fatalf("%d after %d looks", got, source.refreshed)
	}
	source.next = keySet(t, new1)
	if got := r(token); got != 200 || source.refreshed != 2 {
		t.Fatalf("%d after %d looks", got, source.refreshed)
	}
	if got := r(mint(t, new1, with(claimsAt(noon), map[string]any{"exp": 1}))); got != 401 || source.refreshed != 2 {
		t.Errorf("%d; an expired token is no reason to look for keys (%d)", got, source.refreshed)
	}
}

func TestSeenTokens(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, new(HassJWT), k)
	now := noon
	h.checks.now = func() time.Time { return now }
	status := func(token string) int { return serve(t, h, get("/", "Cookie: jwt_access_token="+token)).status() }
	token := mint(t, k, claimsAt(noon))
	seen := func() int { return len(h.verifier.Load().seen.tokens) }

	status(token)
	status(token)
	if seen() != 1 {
		t.Fatalf("%d remembered, want 1", seen())
	}
	// The same signature under other claims is another token.
	forged := mint(t, newEC(t, elliptic.P256()), with(claimsAt(noon), map[string]any{"sub": "admin"}))
	forged = forged[:strings.LastIndex(forged, ".")] + token[strings.LastIndex(token, "."):]
	if got := status(forged); got != 401 {
		t.Errorf("a forged one: %d", got)
	}
	now = noon.Add(30*time.Minute + 29*time.Second)
	if got := status(token); got != 200 {
		t.Errorf("within the leeway: %d", got)
	}
	now = now.Add(time.Second)
	if got := status(token); got != 401 {
		t.Errorf("after its end: %d", got)
	}
	now = noon
	h.keys.(*fixedKeys).set = keySet(t, newEC(t, elliptic.P256()))
	if got := status(token); got != 401 || seen() != 0 {
		t.Errorf("after its key was gone: %d, %d remembered", got, seen())
	}

	var c cache
	for i := range 3 * maxSeen {
		c.put(fmt.Sprint(i), &identity{expires: noon.Add(time.Hour)}, noon)
	}
	if len(c.tokens) != maxSeen {
		t.Errorf("%d remembered, want %d at most", len(c.tokens), maxSeen)
	}
	if c.get(fmt.Sprint(3*maxSeen-1)) == nil {
		t.Error("the last one is not remembered")
	}
}

func TestConfigurationErrors(t *testing.T) {
	minus := caddy.Duration(-1)
	for want, h := range map[string]*HassJWT{
		"jwks":       {Key: &KeyConfig{JWKS: "ftp://ha.example.com"}},
		"either":     {Key: &KeyConfig{JWKS: "https://ha.example.com", File: "x"}},
		"login":      {Login: "ha.example.com"},
		"host name":  {Login: "https:///x"},
		"else":       {Login: "https://a:b@ha.example.com"},
		"//":         {Login: "ftp://ha.example.com"},
		"cookie":     {Cookie: "a b"},
		"home":       {Home: "a;b"},
		"leeway":     {Leeway: &minus},
		"allow":      {Allow: []Rule{{"roles", nil}}},
		"claim":      {Deny: []Rule{{"", []string{"x"}}}},
		"issuer":     {Issuer: "{env.THIS_IS_NOT_SET_ANYWHERE}"},
		"audience":   {Audience: []string{"{nonsense}"}},
		"nonsense.x": {Deny: []Rule{{"roles", []string{"{nonsense.x}"}}}},
	} {
		if h.Key == nil {
			h.Key = &KeyConfig{File: tempPEM(t, newEC(t, elliptic.P256()))}
		}
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		err := h.Provision(ctx)
		if err == nil {
			err = h.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
		if err := h.Cleanup(); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// BenchmarkCookie measures the handler itself, with one request that is put back to
// what it was before: in a server, too, the request has just been read by the same processor.
func BenchmarkCookie(b *testing.B) {
	k := newEC(b, elliptic.P256())
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	run := func(b *testing.B, tokens []string, with ...func(*HassJWT)) {
		h := newHandler(b, &HassJWT{Allow: []Rule{{"roles", []string{"user"}}}}, k)
		h.checks.now = time.Now
		for _, f := range with {
			f(h)
		}
		w := httptest.NewRecorder()
		r := withCaddy(get("https://grafana.example.com/d/1", "Accept: text/html"))
		cookies := make([][]string, len(tokens))
		for i, token := range tokens {
			cookies[i] = []string{"theme=dark; jwt_access_token=" + token}
		}
		vars := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
		repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		fresh := *repl
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			r.Header["Cookie"] = cookies[n%len(cookies)]
			n++
			delete(vars, visitorVar)
			*repl = fresh
			if err := h.ServeHTTP(w, r, next); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("seen", func(b *testing.B) {
		run(b, []string{mint(b, k, claimsAt(time.Now()))})
	})
	// With hass_login's keys each request is also followed, so that it ends with its session.
	b.Run("session", func(b *testing.B) {
		c := with(claimsAt(time.Now()), map[string]any{"sid": newSessionID("x"), "auth_time": time.Now().Unix()})
		run(b, []string{mint(b, k, c)}, func(h *HassJWT) {
			r := new(realm)
			m := &Minter{realm: r, cookie: h.cookie, issuer: h.checks.issuer, domain: "example.com", session: time.Hour}
			h.realm = &heldRealm{realm: r, minters: []*Minter{m}}
		})
	})
	b.Run("new", func(b *testing.B) {
		tokens := make([]string, 64)
		for i := range tokens {
			tokens[i] = mint(b, k, with(claimsAt(time.Now()), map[string]any{"jti": i}))
		}
		run(b, tokens, func(h *HassJWT) {
			// Forgotten after each, which is nothing beside a signature.
			next = func(http.ResponseWriter, *http.Request) error {
				if v := h.verifier.Load(); v != nil {
					clear(v.seen.tokens)
				}
				return nil
			}
		})
	})
}

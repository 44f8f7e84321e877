package caddyjwt

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Whatever a browser sends in an address, the login lets people come back to it.
func TestOddQueriesComeBack(t *testing.T) {
	h := newHandler(t, &HassJWT{Login: "https://ha.example.com"}, newP256(t))
	own := &url.URL{Scheme: "https", Host: "ha.example.com"}
	allowed := targets{domain: "example.com"}
	for uri, want := range map[string]string{
		`/d/1?expr=a\d+`:           `https://grafana.example.com/d/1?expr=a%5Cd+`,
		"/?q=k\xc3\xbcche":         "https://grafana.example.com/?q=k%C3%BCche",
		"/?q='<>{}|^`%20":          "https://grafana.example.com/?q='<>{}|^`%20",
		"/k%C3%BCche/a%2Fb?x;y&=1": "https://grafana.example.com/k%C3%BCche/a%2Fb?x;y&=1",
		"//evil.example/x":         "https://grafana.example.com//evil.example/x",
	} {
		r := get("https://grafana.example.com/", "Accept: text/html")
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			t.Fatal(err)
		}
		u.Scheme, u.Host = "https", "grafana.example.com"
		r.URL = u
		res := serve(t, h, r)
		to, err := url.Parse(res.Header().Get("Location"))
		if err != nil || res.Code != http.StatusFound {
			t.Fatalf("%s: %d %v", uri, res.Code, err)
		}
		back, err := allowed.check(to.Query().Get("redirect_url"), own)
		if err != nil || back.String() != want {
			t.Errorf("%s: comes back to %v, %v", uri, back, err)
		}
	}
}

func TestThreat15_ScriptsOfOldAreNoPages(t *testing.T) {
	h := newHandler(t, &HassJWT{Login: "https://ha.example.com"}, newP256(t))
	for field, want := range map[string]int{"X-Requested-With: XMLHttpRequest": 401, "X-Requested-With: io.homeassistant.companion.android": 302} {
		if got := serve(t, h, get("http://svc.example.com/", "Accept: text/html, */*; q=0.01", field)).status(); got != want {
			t.Errorf("%s: %d, want %d", field, got, want)
		}
	}
}

// Another proxy may ask whether a request may pass, and people come back to what they asked that one for.
func TestForwardAuthComesBackToWhatWasAskedFor(t *testing.T) {
	h := newHandler(t, &HassJWT{Login: "https://ha.example.com"}, newP256(t))
	ask := func(trusted bool, method, uri string) result {
		r := withCaddy(get("http://check.example.com/verify?x", "Accept: text/html",
			"X-Forwarded-Host: grafana.example.com", "X-Forwarded-Proto: https", "X-Forwarded-Method: "+method, "X-Forwarded-Uri: "+uri))
		caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, trusted)
		return serve(t, h, r)
	}
	back := func(r result) string {
		u, err := url.Parse(r.Header().Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get("redirect_url")
	}
	for _, c := range []struct {
		trusted     bool
		method, uri string
		status      int
		back        string
	}{
		{true, "GET", "/d/1?a=b", 302, "https://grafana.example.com/d/1?a=b"},
		{true, "GET", "//evil.example/", 302, "https://grafana.example.com//evil.example/"},
		{true, "GET", "https://evil.example/", 302, "https://grafana.example.com/verify?x"},
		{true, "POST", "/d/1", 401, ""},
		{false, "GET", "/d/1?a=b", 302, "http://check.example.com/verify?x"},
	} {
		if r := ask(c.trusted, c.method, c.uri); r.status() != c.status || back(r) != c.back {
			t.Errorf("%+v: %d to %s", c, r.status(), back(r))
		}
	}
}

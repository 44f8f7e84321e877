package caddyjwt

import (
	"net/url"
	"strings"
	"testing"
)

func TestSwitchPage(t *testing.T) {
	h := newHouse(t, "domain house.test", "login HA\nallow roles admin")
	resident, _ := h.login("resident", residentPass)
	r := h.open(resident, "Accept: text/html")
	link := h.ha + loginPath + switchPath + "?redirect_url=" + url.QueryEscape(h.svc+"/")
	if r.StatusCode != 403 || !strings.Contains(r.text, `href="`+strings.ReplaceAll(link, "+", "&#43;")+`"`) || !strings.Contains(r.text, "Resident") {
		t.Fatalf("%d\n%s", r.StatusCode, r.text)
	}

	// Looking at it ends nothing.
	p := h.send("GET", link, "", "Cookie: jwt_access_token="+resident, "Accept: text/html")
	if p.StatusCode != 200 || !strings.Contains(p.text, "Resident") || !strings.Contains(p.text, `data-do="switch"`) || p.cookie() == "-" {
		t.Errorf("%d %v\n%s", p.StatusCode, p.Header, p.text)
	}
	if policy := p.Header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy: %q", policy)
	}
	if r := h.open(resident); r.StatusCode != 403 {
		t.Errorf("after looking: %d", r.StatusCode)
	}

	// Who is nobody logs in, and nobody is sent anywhere else.
	if r := h.send("GET", link, ""); r.StatusCode != 302 || !strings.HasPrefix(r.Header.Get("Location"), loginPath+"?redirect_url=") {
		t.Errorf("a stranger: %d %v", r.StatusCode, r.Header)
	}
	for _, target := range []string{"https://evil.example/", "//evil.example", "javascript:alert(1)"} {
		r := h.send("GET", h.ha+loginPath+switchPath+"?redirect_url="+url.QueryEscape(target), "", "Cookie: jwt_access_token="+resident)
		if r.StatusCode != 400 || strings.Contains(r.text, "evil") || strings.Contains(r.text, "javascript:") {
			t.Errorf("%s: %d\n%s", target, r.StatusCode, r.text)
		}
	}
	if r := h.send("POST", link, ""); r.StatusCode != 405 {
		t.Errorf("POST: %d", r.StatusCode)
	}
}

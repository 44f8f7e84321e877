package caddyjwt

import (
	"crypto/elliptic"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestThreat12_IdentityHeadersOfServices(t *testing.T) {
	k := newEC(t, elliptic.P256())
	body := ""
	services := []string{"grafana", "frigate", "jellyfin", "Remote-User"}
	for _, service := range services {
		for path, more := range map[string]string{"in": "", "open": "optional\n", "named": ""} {
			claim := ""
			if path == "named" {
				claim = " username"
			}
			body += "handle /" + path + "/" + service + " {\nhass_jwt {\nkey file " + tempPEM(t, k) + "\nidentity " + service + claim + "\n" + more + "}\nreverse_proxy SERVICE\n}\n"
		}
	}
	s, _ := startCaddy(t, "", body)
	owner := with(claimsAt(time.Now()), map[string]any{"username": "anna", "email": "anna@example.com"})
	id := owner["sub"].(string)
	boss := mint(t, k, owner)
	kid := mint(t, k, with(claimsAt(time.Now()), map[string]any{"roles": []string{"user"}, "name": nil, "username": nil}))

	forged := ""
	names := []string{
		"X-Webauth-User", "X-Webauth-Name", "X-Webauth-Role", "X-Webauth-Groups", "X-Webauth-Email", "X-Webauth-Anything",
		"X-Forwarded-User", "X-Forwarded-Groups", "X-Forwarded-Role", "X-Forwarded-Preferred-Username", "X-Authentik-Username",
		"Remote-User", "Remote-Name", "Remote-Groups", "Remote-Email", "Remote-Role",
	}
	for _, name := range names {
		forged += name + ": admin\n" + strings.ToLower(name) + ": root\n" + strings.ReplaceAll(name, "-", "_") + ": admin\n" + strings.Replace(strings.ToUpper(name), "-", "_", 1) + ": admin\n"
	}
	trailers := "Trailer: X-Other, " + strings.Join(names, ", ") + ", Remote_User\nTransfer-Encoding: chunked\n"
	ending := "\n1\na\n0\nX-Other: kept\n"
	for _, name := range append(slices.Clone(names), "Remote_User", "X_Webauth_User", "X_Forwarded_User") {
		ending += name + ": trailer\n"
	}
	// send forges whatever can be forged, and returns the fields that the service distrusts no longer.
	send := func(path, token string) (*http.Request, map[string]string) {
		t.Helper()
		cookie := ""
		if token != "" {
			cookie = "Cookie: jwt_access_token=" + token + "\n"
		}
		status, _ := s.raw(t, "POST "+path+" HTTP/1.1\nHost: "+s.addr+"\n"+cookie+forged+"Connection: close, "+strings.Join(names, ", ")+", X-Hop, remote_user\nX-Hop: 1\n"+trailers+ending+"\n")
		r := s.got()
		if status != 200 || r == nil {
			t.Fatalf("%s: %d", path, status)
		}
		if r.Header.Get("X-Hop") != "" {
			t.Errorf("%s: what else is named in Connection came through", path)
		}
		if r.Trailer.Get("X-Other") != "kept" {
			t.Errorf("%s: trailers %v", path, r.Trailer)
		}
		service := identityServices[strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])]
		for name := range r.Trailer {
			if service.distrusts(name) {
				t.Errorf("%s: the trailer %s came through", path, name)
			}
		}
		got := make(map[string]string)
		for name, values := range r.Header {
			if service.distrusts(name) {
				got[name] = strings.Join(values, "+")
			}
		}
		return r, got
	}
	for _, c := range []struct {
		path, token string
		want        map[string]string
	}{
		{"/in/grafana", boss, map[string]string{
			"X-Webauth-User": id, "X-Webauth-Name": "Anna", "X-Webauth-Role": "Admin", "X-Webauth-Groups": "admin,user", "X-Webauth-Email": "anna@example.com",
		}},
		{"/in/grafana", kid, map[string]string{"X-Webauth-User": id, "X-Webauth-Role": "Viewer", "X-Webauth-Groups": "user"}},
		{"/in/frigate", boss, map[string]string{"X-Forwarded-User": id, "X-Forwarded-Groups": "admin,user"}},
		{"/in/frigate", kid, map[string]string{"X-Forwarded-User": id, "X-Forwarded-Groups": "user,viewer"}},
		{"/in/jellyfin", kid, map[string]string{"X-Forwarded-User": id}},
		{"/in/Remote-User", boss, map[string]string{"Remote-User": id, "Remote-Name": "Anna", "Remote-Groups": "admin,user", "Remote-Email": "anna@example.com"}},
		{"/named/grafana", boss, map[string]string{
			"X-Webauth-User": "anna", "X-Webauth-Name": "Anna", "X-Webauth-Role": "Admin", "X-Webauth-Groups": "admin,user", "X-Webauth-Email": "anna@example.com",
		}},
		{"/named/jellyfin", boss, map[string]string{"X-Forwarded-User": "anna"}},
	} {
		if _, got := send(c.path, c.token); !equalMaps(got, c.want) {
			t.Errorf("%s: the service is told %v, want %v", c.path, got, c.want)
		}
	}
	for _, service := range services {
		if _, got := send("/open/"+service, ""); len(got) > 0 {
			t.Errorf("%s: a stranger is let through as %v", service, got)
		}
		if _, got := send("/open/"+service, boss); len(got) == 0 {
			t.Errorf("%s: a resident is let through as nobody", service)
		}
		// Who has no user name has no account, and never the id in its place.
		if _, got := send("/named/"+service, kid); len(got) > 0 {
			t.Errorf("%s: who has no user name is let through as %v", service, got)
		}
	}

	odd := mint(t, k, with(owner, map[string]any{"name": "A\r\nX-Webauth-Role: Admin\x00", "roles": []string{"user", "x,admin"}, "email": "a\nb"}))
	if r, got := send("/in/grafana", odd); got["X-Webauth-Role"] != "Viewer" || got["X-Webauth-Groups"] != "user" || strings.ContainsAny(got["X-Webauth-Name"]+got["X-Webauth-Email"], "\r\n\x00") {
		t.Errorf("claims with line breaks: %v", r.Header)
	}
}

func equalMaps(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// A WebSocket still is one.
func TestIdentityHeadersLeaveConnectionAlone(t *testing.T) {
	k := newEC(t, elliptic.P256())
	h := newHandler(t, &HassJWT{Identity: &IdentityHeaders{Service: "Remote-User"}}, k)
	r := get("/", "Cookie: jwt_access_token="+mint(t, k, claimsAt(noon)), "Connection: keep-alive, Upgrade", "Connection: remote-user", "Upgrade: websocket", "Remote: kept")
	shared := r.Header["Connection"]
	res := serve(t, h, r)
	if got := res.passed.Header["Connection"]; !slices.Equal(got, []string{"keep-alive, Upgrade"}) {
		t.Errorf("Connection is %q", got)
	}
	if !slices.Equal(shared, []string{"keep-alive, Upgrade", "remote-user"}) {
		t.Errorf("the fields that others may hold were written to: %q", shared)
	}
	if res.passed.Header.Get("Remote") != "kept" || res.passed.Header.Get("Remote-User") == "" {
		t.Errorf("%v", res.passed.Header)
	}
	// What is refused does not go on to an error page's service, either.
	refused := get("/", "Remote-User: admin", "Remote_User: admin")
	if serve(t, h, refused); len(refused.Header) > 0 {
		t.Errorf("left in a refused request: %v", refused.Header)
	}
}

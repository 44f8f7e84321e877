package caddyjwt

import (
	"testing"
	"time"
)

// A matcher of hass_jwt lets some requests past it, to the same service: they are nobody's.
func TestThreat12_IdentityIsStrippedFromWhatAMatcherLeavesOut(t *testing.T) {
	k := newP256(t)
	pem := tempPEM(t, k)
	guard := func(matcher, service string) string {
		return "hass_jwt " + matcher + " {\nkey file " + pem + "\nidentity " + service + "\n}\n"
	}
	token := mint(t, k, claimsAt(time.Now()))
	const id = "5d3bd0a4f1a64e6d9b1b5a2f0c6c7a11"
	for name, body := range map[string]string{
		"sorted": "@in path /in/* /both/*\n" + guard("@in", "grafana") + guard("/both/*", "Remote-User") + "reverse_proxy SERVICE\n",
		"route":  "route {\n@in path /in/* /both/*\n" + guard("@in", "grafana") + guard("/both/*", "Remote-User") + "reverse_proxy SERVICE\n}\n",
	} {
		s, _ := startCaddy(t, "", body)
		for _, c := range []struct{ path, grafana, generic string }{
			{"/in/x", id, ""},
			{"/both/x", id, id},
			{"/out", "", ""},
			{"/IN/../out", "", ""},
			{"//out", "", ""},
		} {
			res := s.get(t, c.path, "Cookie: jwt_access_token="+token, "X-Webauth-User: root", "X-Webauth-Role: Admin", "Remote-User: root", "Remote-Groups: admin")
			if res.StatusCode != 200 {
				t.Fatalf("%s %s: %d", name, c.path, res.StatusCode)
			}
			got := s.got().Header
			if got.Get("X-Webauth-User") != c.grafana || got.Get("Remote-User") != c.generic || c.grafana == "" && got.Get("X-Webauth-Role") != "" || c.generic == "" && got.Get("Remote-Groups") != "" {
				t.Errorf("%s %s: the service is told %v", name, c.path, got)
			}
		}
	}
}

package hasscmd

import (
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime/host"
)

// What hosts see in their browser is what the command says.
func TestDashboardFindsWhatTheDoctorDoes(t *testing.T) {
	c := startCaddy(t, serve(t, dashboard("")))
	c.waitForHome()
	report, _ := c.examine()
	found, err := examine(t.Context())
	if err != nil || len(found.List) != len(report.Findings) {
		t.Fatalf("%d findings, and the command has %d: %v", len(found.List), len(report.Findings), err)
	}
	if !slices.ContainsFunc(found.List, func(f host.Finding) bool {
		return f.Check == "dashboard" && f.Level == "warn" && f.Text != "" && f.Advice != ""
	}) {
		t.Errorf("%+v", found.List)
	}
}

// A way in for credentials alone has no login in front of it, and needs none.
func TestDoctorKnowsTheWayInForCredentials(t *testing.T) {
	for pattern, want := range map[string]int{"Bearer chk_*": 0, "Bearer *": 1} {
		startCaddy(t, serve(t, object{
			"match":  []object{{"path": []string{"/host/api/*"}, "header": object{"Authorization": []string{pattern}}}},
			"handle": []object{{"handler": "subroute", "routes": []object{{"handle": []object{{"handler": "hass_onetime_dashboard"}}}}}},
		}))
		if n := len(findRoutes(caddy.ActiveContext()).dashboards); n != want {
			t.Errorf("%s: %d dashboards are looked at, want %d", pattern, n, want)
		}
	}
}

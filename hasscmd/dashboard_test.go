package hasscmd

import (
	"slices"
	"testing"

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

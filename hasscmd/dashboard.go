package hasscmd

import (
	"context"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/host"
	"github.com/caddy-hass/caddy-hass/hasscmd/doctor"
)

func init() { caddyonetime.RegisterDoctor(examine) }

// examine is what `caddy hass doctor` finds, for the host's side.
func examine(ctx context.Context) (*host.Findings, error) {
	subject, letGo := subjectOf(ctx, caddy.ActiveContext())
	defer letGo()
	report := doctor.Examine(ctx, subject)
	found := &host.Findings{At: report.At}
	for _, f := range report.Findings {
		found.List = append(found.List, host.Finding{
			Check: f.Check, Subject: f.Subject, Level: string(f.Level), Text: f.Text, Advice: f.Advice,
			Said: f.Said, Advised: f.Advised, Mistakes: f.Mistakes,
		})
	}
	return found, nil
}

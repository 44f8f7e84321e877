package caddyonetime

import (
	"context"
	"sync/atomic"

	"github.com/caddy-hass/caddy-hass/caddyonetime/host"
)

// Examine examines the configuration that runs and the homes it serves.
type Examine func(ctx context.Context) (*host.Findings, error)

var examine atomic.Pointer[Examine]

// RegisterDoctor lets dashboards show what fn finds. The commands' package calls
// it; in a build without that, dashboards have no such page.
func RegisterDoctor(fn Examine) { examine.Store(&fn) }

// doctor is what was registered, or nil.
func doctor() Examine {
	if fn := examine.Load(); fn != nil {
		return *fn
	}
	return nil
}

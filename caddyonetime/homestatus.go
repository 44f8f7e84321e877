package caddyonetime

import (
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/homes"
	"github.com/caddy-hass/caddy-hass/caddyonetime/host"
	"github.com/caddy-hass/caddy-hass/caddyonetime/pick"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// homeStatus says how the homes of the configuration are.
func (a *App) homeStatus() []host.HomeStatus {
	app := a.settings.homes
	if app == nil {
		return nil
	}
	var all []host.HomeStatus
	for _, name := range app.Names() {
		client, release, err := app.Acquire(name)
		if err != nil {
			all = append(all, host.HomeStatus{Name: name, Problem: err.Error()})
			continue
		}
		status := client.Status()
		release()
		all = append(all, host.HomeStatus{
			Name:      name,
			Connected: status.State == hassclient.StateConnected,
			Refused:   status.State == hassclient.StateRefused,
			Problem:   problemOf(status),
			TimeZone:  zoneOf(status),
		})
	}
	return all
}

func problemOf(s hassclient.Status) string {
	switch {
	case s.State == hassclient.StateConnected:
		return ""
	case s.Err != nil:
		return s.Err.Error()
	}
	return "the connection is being opened"
}

func zoneOf(s hassclient.Status) *time.Location {
	if s.Config == nil {
		return nil
	}
	zone, err := time.LoadLocation(s.Config.TimeZone)
	if err != nil {
		return nil
	}
	return zone
}

// picker chooses from the configuration's homes; nil where it has none.
func (a *App) picker() pick.Picker {
	if a.settings.homes == nil {
		return nil
	}
	return homes.NewPicker(a.settings.homes.Acquire)
}

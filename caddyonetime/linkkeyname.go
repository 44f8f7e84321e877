package caddyonetime

import "context"

// LinkKeyName is the key in Caddy's storage under which the store's link key is
// kept: for the doctor.
func (a *App) LinkKeyName(ctx context.Context) (string, error) {
	e, release, err := a.hold(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return linkKeyName(e.store.ID()), nil
}

package homes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// Ready implements onetime.Home. Home Assistant reports success for a lock whose
// battery is flat, so the states of all targets are looked at first. They are
// kept up to date by the connection: where targets are named by their entity ids,
// nothing is asked.
//
// A home that is just starting is waited for, where it makes a difference: what
// is missing may come yet, and a script runs into services that are not there.
func (h *home) Ready(ctx context.Context, d *onetime.Definition) *onetime.NotReady {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := h.connected(ctx); err != nil {
		return notReachable(err)
	}
	n := h.ready(ctx, d)
	if n == nil && !runsScripts(d) || n != nil && n.Cause != onetime.CauseUnavailable {
		return n
	}
	if h.started(ctx) {
		return n
	}
	return h.ready(ctx, d)
}

// runsScripts reports whether more is done than the definition says.
func runsScripts(d *onetime.Definition) bool {
	return d.Single == nil || d.Single.Domain == "script"
}

// started waits a while for a home that is starting. It reports false where
// there was something to wait for.
func (h *home) started(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, h.startPatience)
	defer cancel()
	for waited := false; ; waited = true {
		changed := h.client.Changed()
		config, ok := h.client.Home()
		if !ok || !config.Starting() || !h.client.Connected() {
			return !waited
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (h *home) ready(ctx context.Context, d *onetime.Definition) *onetime.NotReady {
	var entities []string
	aimed := false // some call says what it acts on
	for i := range d.Calls {
		c := &d.Calls[i]
		t, err := h.resolve(ctx, c)
		if err != nil {
			return notReachable(err)
		}
		if t.open {
			return nil
		}
		aimed = aimed || len(t.entities) > 0 || !c.Target.IsZero()
		for _, e := range t.entities {
			if !slices.Contains(entities, e) {
				entities = append(entities, e)
			}
		}
	}
	if !aimed {
		return nil
	}
	if len(entities) == 0 {
		return &onetime.NotReady{
			Cause: onetime.CauseUnavailable, Code: "no_target",
			Message: "nothing in the home is what this action acts on: its area, device, floor or label holds no such entity now",
		}
	}
	states, err := h.client.States(ctx, entities...)
	if err != nil {
		var ce *hassclient.CommandError
		if errors.As(err, &ce) {
			return nil // not for this token: nobody can tell
		}
		return notReachable(err)
	}
	var why []string
	for _, e := range entities {
		s, ok := states[e]
		switch {
		case ok && s.Available():
			return nil
		case ok:
			why = append(why, e+" is unavailable")
		case domainOf(e) == "script":
			return nil // it may have been renamed, and is called by its old name
		default:
			why = append(why, e+" does not exist in Home Assistant")
		}
	}
	if config, ok := h.client.Home(); ok && !config.Running() {
		why = append(why, "Home Assistant is still starting")
	}
	return &onetime.NotReady{Cause: onetime.CauseUnavailable, Code: "unavailable", Message: strings.Join(why, ", ")}
}

func notReachable(err error) *onetime.NotReady {
	n := &onetime.NotReady{Cause: onetime.CauseUnreachable, Code: hassclient.CodeNotConnected, Message: err.Error()}
	if errors.Is(err, context.DeadlineExceeded) {
		n.Code = hassclient.CodeTimeout
		n.Message = fmt.Sprintf("the home is connected, but did not answer within %v", readyTimeout)
	}
	return n
}

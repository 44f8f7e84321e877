package hasscmd

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-hass/caddy-hass/caddyonetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassapp"
	"github.com/caddy-hass/caddy-hass/hasscmd/doctor"
)

// doctor examines this Caddy.
func (a *Admin) doctor(w http.ResponseWriter, r *http.Request) {
	subject, letGo := subjectOf(r.Context(), caddy.ActiveContext())
	defer letGo()
	subject.SendTest = r.URL.Query().Get("send_test") == "true"
	writeJSON(w, http.StatusOK, doctor.Examine(r.Context(), subject))
}

// subjectOf is what the doctor examines: the configuration that runs. letGo is
// to be called when the examination is over.
func subjectOf(ctx context.Context, caddyCtx caddy.Context) (s doctor.Subject, letGo func()) {
	var release []func()
	letGo = func() {
		for _, f := range release {
			f()
		}
	}
	routes := findRoutes(caddyCtx)
	s.Hosts = routes.hosts
	s.Dashboards = routes.dashboards

	if app, err := caddyCtx.AppIfConfigured("hass"); err == nil {
		homes := app.(*hassapp.App)
		for _, name := range homes.Names() {
			h := doctor.Home{Name: name, URL: homes.URL(name)}
			client, done, err := homes.Acquire(name)
			if err != nil {
				h.Err = err
			} else {
				h.Client = client
				release = append(release, done)
			}
			h.Proxied = routes.proxies(h.URL)
			s.Homes = append(s.Homes, h)
		}
	}
	if app, err := caddyCtx.AppIfConfigured("hass_onetime"); err == nil {
		s.OneTime = linksOf(ctx, caddyCtx, app.(*caddyonetime.App), routes.guests)
	}
	return s, letGo
}

func linksOf(ctx context.Context, caddyCtx caddy.Context, app *caddyonetime.App, served bool) *doctor.OneTime {
	o := &doctor.OneTime{StorePath: app.StorePath(), PublicURL: app.PublicURL()}
	svc, err := app.Service(ctx)
	if err != nil {
		o.Err = err
		return o
	}
	o.Actions = svc.Actions
	o.CheckAction = svc.CheckAction
	o.Proof = guest.Proof
	o.GuestsServed = served
	o.Notify = func(ctx context.Context, send bool) ([]doctor.Notification, error) {
		return notifiers(ctx, app, svc, send)
	}

	storage := caddyCtx.Storage()
	o.LinkKey.Find = func(ctx context.Context) (bool, error) {
		name, err := app.LinkKeyName(ctx)
		if err != nil {
			return false, err
		}
		return storage.Exists(ctx, name), nil
	}
	if files, ok := storage.(*certmagic.FileStorage); ok {
		o.LinkKey.Path = func(ctx context.Context) (string, error) {
			name, err := app.LinkKeyName(ctx)
			if err != nil {
				return "", err
			}
			return files.Filename(name), nil
		}
	}
	return o
}

// notifiers checks those who are told of presses: as an action that does the
// same would be checked.
func notifiers(ctx context.Context, app *caddyonetime.App, svc *onetime.Service, send bool) ([]doctor.Notification, error) {
	var sent []error
	if send {
		var err error
		if sent, err = app.TestNotifiers(ctx); err != nil {
			return nil, err
		}
	}
	var out []doctor.Notification
	for i, n := range app.Notifiers() {
		found := doctor.Notification{Name: n.Name}
		switch {
		case send && i < len(sent):
			found.Sent, found.Err = sent[i] == nil, sent[i]
		case n.Home != "":
			found.Err = checkNotifier(ctx, svc, n)
		}
		out = append(out, found)
	}
	return out, nil
}

func checkNotifier(ctx context.Context, svc *onetime.Service, n caddyonetime.Notifier) error {
	step := map[string]any{"action": n.Action, "data": map[string]any{"title": "test", "message": "test"}}
	if len(n.Target) > 0 {
		step["target"] = map[string]any{"entity_id": n.Target}
	}
	// JSON is YAML.
	definition, err := json.Marshal(step)
	if err != nil {
		return err
	}
	warnings, err := svc.CheckAction(ctx, &onetime.Action{Name: "notify", Title: "notify", Home: n.Home, Definition: string(definition)})
	var bad *onetime.BadInput
	if errors.As(err, &bad) {
		return errors.New(bad.Message)
	}
	if err == nil && len(warnings) > 0 {
		return errors.New(strings.Join(warnings.Texts(), " "))
	}
	return err
}

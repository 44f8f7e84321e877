package homes

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// targets checks that what a call acts on exists, and that the service can act on it.
func (c *check) targets(ctx context.Context, call *onetime.Call, svc hassclient.Service) error {
	if _, ok := call.Script(); ok {
		return nil // the script is the target, and its service is there
	}
	var ids []string
	for _, e := range call.Target.Entities {
		if entityID.MatchString(e) {
			ids = append(ids, e)
		}
	}
	states := map[string]hassclient.State{}
	if len(ids) > 0 {
		var err error
		if states, err = c.home.client.States(ctx, ids...); err != nil {
			return err
		}
	}
	for _, e := range ids {
		s, ok := states[e]
		if !ok {
			return c.noEntity(ctx, call, e)
		}
		if err := c.canAct(call, svc, s); err != nil {
			return err
		}
	}
	indirect, ok := indirectTarget(call)
	if !ok {
		return nil
	}
	found, err := c.home.client.ExtractFromTarget(ctx, indirect)
	var ce *hassclient.CommandError
	if errors.As(err, &ce) {
		return nil // an older home cannot tell
	} else if err != nil {
		return err
	}
	for _, m := range []struct {
		registry
		ids []string
	}{
		{registry{"device", "device_id", "id"}, found.MissingDevices},
		{registry{"area", "area_id", "area_id"}, found.MissingAreas},
		{registry{"floor", "floor_id", "floor_id"}, found.MissingFloors},
		{registry{"label", "label_id", "label_id"}, found.MissingLabels},
	} {
		for _, id := range m.ids {
			if id != "none" {
				return c.notRegistered(ctx, call, m.registry, id)
			}
		}
	}
	t, err := c.home.resolve(ctx, call)
	if err != nil {
		return err
	}
	if len(t.entities) == 0 && !t.open && takesTarget(svc) {
		return bad(call.Line, "the target of `%s` holds nothing that it acts on%s", call.Name(), ofDomains(svc)).Says("holds_nothing", "action", call.Name())
	}
	return c.availableIn(ctx, call, t.entities)
}

// availableIn warns where nothing of what an area, device, floor or label holds
// is available now.
func (c *check) availableIn(ctx context.Context, call *onetime.Call, entities []string) error {
	states, err := c.home.client.States(ctx, entities...)
	if err != nil {
		return err
	}
	for _, e := range entities {
		if states[e].State != "" && states[e].Available() {
			return nil
		}
	}
	if len(entities) > 0 {
		c.warn(call.Line, "nothing of what it acts on is available right now").Says("all_away")
	}
	return nil
}

func (c *check) noEntity(ctx context.Context, call *onetime.Call, id string) error {
	var states []struct {
		EntityID string `json:"entity_id"`
	}
	if err := c.home.client.Query(ctx, "get_states", nil, &states); err != nil {
		return err
	}
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = s.EntityID
	}
	return said(bad(call.LineOf(id), "this home has no entity `%s`%s", id, didYouMean(id, names)), "no_entity", alike(id, names), "name", id)
}

// canAct refuses an entity that the service would pass over in silence, or never do.
func (c *check) canAct(call *onetime.Call, svc hassclient.Service, s hassclient.State) error {
	line, domain := call.LineOf(s.EntityID), domainOf(s.EntityID)
	if domains := targetDomains(svc); domains != nil && domain != "group" && !slices.Contains(domains, domain) {
		return said(bad(line, "`%s` does nothing to `%s`%s", call.Name(), s.EntityID, ofDomains(svc)), "does_nothing", nil, "action", call.Name(), "entity", s.EntityID)
	}
	if !s.Available() {
		c.warn(line, "`"+s.EntityID+"` is unavailable right now: a press is not sent until it is back").Says("away", "name", s.EntityID)
		return nil
	}
	if !supports(svc, s) {
		return said(bad(line, "`%s` cannot do `%s`", s.EntityID, call.Name()), "cannot", nil, "entity", s.EntityID, "action", call.Name())
	}
	if format, _ := s.Attributes["code_format"].(string); format != "" && domain == "lock" && call.Domain == "lock" {
		if _, ok := call.Data["code"]; !ok {
			c.warn(line, "`"+s.EntityID+"` asks for a code: without `code` in `data:` it may refuse").Says("code", "name", s.EntityID, "word", "code")
		}
	}
	return nil
}

func (c *check) warn(line int, text string) *onetime.BadInput {
	odd := &onetime.BadInput{Field: "definition", Line: line, Message: text}
	c.warnings = append(c.warnings, odd)
	return odd
}

// supports reports whether an entity has one of the features that the filters of
// its domain ask for.
func supports(svc hassclient.Service, s hassclient.State) bool {
	has, known := s.Attributes["supported_features"].(float64)
	filters, ok := targetFilters(svc)
	if !ok || !known {
		return true
	}
	asked := false
	for _, f := range filters {
		if !slices.Contains(f.Domain, domainOf(s.EntityID)) || len(f.Features) == 0 {
			return true
		}
		for _, feature := range f.Features {
			bits, ok := feature.(float64)
			if !ok {
				return true // several at once, or a newer form
			}
			asked = true
			if int(has)&int(bits) != 0 {
				return true
			}
		}
	}
	return !asked
}

func ofDomains(svc hassclient.Service) string {
	domains := targetDomains(svc)
	if len(domains) == 0 {
		return ""
	}
	return ": it acts on entities of `" + strings.Join(domains, "`, `") + "`"
}

// registry is one of Home Assistant's registries that targets are named from.
type registry struct{ kind, word, id string }

// notRegistered says that a device, area, floor or label does not exist. Who wrote
// its name in place of its id is told the id.
func (c *check) notRegistered(ctx context.Context, call *onetime.Call, r registry, id string) error {
	var list []map[string]any
	if err := c.home.client.Query(ctx, "config/"+r.kind+"_registry/list", nil, &list); err != nil {
		var ce *hassclient.CommandError
		if !errors.As(err, &ce) {
			return err
		}
	}
	var ids []string
	for _, item := range list {
		itemID, _ := item[r.id].(string)
		ids = append(ids, itemID)
		for _, key := range []string{"name", "name_by_user"} {
			if name, _ := item[key].(string); name != "" && strings.EqualFold(name, id) {
				return bad(call.LineOf(id), "`%s` is the name of a%s: its `%s` is `%s`", id, article(r.kind), r.word, itemID).Says("id_of", "name", id, "id", itemID)
			}
		}
	}
	return bad(call.LineOf(id), "this home has no %s `%s`%s", r.kind, id, didYouMean(id, ids)).Says("no_entity", "name", id)
}

func article(kind string) string {
	if kind == "area" {
		return "n area"
	}
	return " " + kind
}

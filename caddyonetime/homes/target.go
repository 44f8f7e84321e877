package homes

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// resolvedFor is how long it is remembered which entities an area, a device, a
// floor or a label stands for: long enough for a guest's second press, short
// enough for a host who moves things.
const resolvedFor = 30 * time.Second

// maxResolved bounds how many targets are remembered.
const maxResolved = 256

var (
	entityID   = regexp.MustCompile(`^[a-z0-9][a-z0-9_]*\.[a-z0-9_]*[a-z0-9]$`)
	registryID = regexp.MustCompile(`^[0-9a-f]{32}$`) // of an entity, in Home Assistant's own store
)

// targets are the entities that a call acts on.
type targets struct {
	entities []string

	// open says that there may be others, which cannot be told before: a
	// template, `all`, or an entity by its id in the registry.
	open bool
}

// several reports whether the call may act on more than one entity.
func (t targets) several() bool { return t.open || len(t.entities) > 1 }

// resolve finds the entities that a call acts on. It asks the home only about
// devices, areas, floors and labels, and remembers the answer for a while.
func (h *home) resolve(ctx context.Context, c *onetime.Call) (targets, error) {
	if name, ok := c.Script(); ok {
		return targets{entities: []string{"script." + name}}, nil
	}
	t := targets{open: c.Templated}
	for _, e := range c.Target.Entities {
		switch {
		case e == "none":
		case entityID.MatchString(e):
			t.entities = append(t.entities, e)
		default:
			t.open = true
		}
	}
	indirect, ask := indirectTarget(c)
	if !ask {
		return t, nil
	}
	key := cacheKey(c, indirect)
	more, ok := h.resolved.get(key, h.now())
	if !ok {
		found, err := h.client.ExtractFromTarget(ctx, indirect)
		if err != nil {
			var ce *hassclient.CommandError
			if errors.As(err, &ce) { // an older home: nobody can tell
				t.open = true
				return t, nil
			}
			return t, err
		}
		services, err := h.client.Services(ctx)
		if err != nil {
			return t, err
		}
		svc, _ := services.Lookup(c.Domain, c.Service)
		domains := targetDomains(svc)
		for _, e := range found.Entities {
			if domains == nil || slices.Contains(domains, domainOf(e)) {
				more = append(more, e)
			}
		}
		slices.Sort(more)
		h.resolved.put(key, more, h.now())
	}
	for _, e := range more {
		if !slices.Contains(t.entities, e) {
			t.entities = append(t.entities, e)
		}
	}
	return t, nil
}

// indirectTarget is the part of a call's target that only the home can resolve.
func indirectTarget(c *onetime.Call) (map[string]any, bool) {
	m := map[string]any{}
	for key, ids := range map[string][]string{
		"device_id": c.Target.Devices, "area_id": c.Target.Areas,
		"floor_id": c.Target.Floors, "label_id": c.Target.Labels,
	} {
		// `none` is a word of Home Assistant's for nothing at all.
		if len(ids) > 0 && !slices.Equal(ids, []string{"none"}) {
			m[key] = ids
		}
	}
	if len(m) == 0 {
		return nil, false
	}
	if exclude, ok := c.RawTarget["exclude"]; ok {
		m["exclude"] = exclude
	}
	return m, true
}

func cacheKey(c *onetime.Call, target map[string]any) string {
	b, _ := json.Marshal(target) // its keys are sorted
	return c.Name() + " " + string(b)
}

// targetDomains are the domains of entities that a service acts on; nil: any.
func targetDomains(svc hassclient.Service) []string {
	filters, ok := targetFilters(svc)
	if !ok {
		return nil
	}
	var domains []string
	for _, f := range filters {
		if len(f.Domain) == 0 {
			return nil
		}
		domains = append(domains, f.Domain...)
	}
	return domains
}

// targetFilter is one of the filters of a service's target, of which an entity has
// to pass one (helpers/selector.py, EntityFilterSelectorConfig).
type targetFilter struct {
	Domain   oneOrMore `json:"domain"`
	Features []any     `json:"supported_features"` // an entity needs one of these
}

// takesTarget reports whether a service can be aimed.
func takesTarget(svc hassclient.Service) bool {
	return len(svc.Target) > 0 && string(svc.Target) != "null"
}

func targetFilters(svc hassclient.Service) ([]targetFilter, bool) {
	if !takesTarget(svc) {
		return nil, false
	}
	var target struct {
		Entity json.RawMessage `json:"entity"`
	}
	if json.Unmarshal(svc.Target, &target) != nil || len(target.Entity) == 0 {
		return nil, false
	}
	var many []targetFilter
	if json.Unmarshal(target.Entity, &many) == nil {
		return many, len(many) > 0
	}
	var one targetFilter
	if json.Unmarshal(target.Entity, &one) == nil {
		return []targetFilter{one}, true
	}
	return nil, false
}

// oneOrMore is a string or a list of them.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*o = oneOrMore{s}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

func domainOf(entity string) string {
	domain, _, _ := strings.Cut(entity, ".")
	return domain
}

// resolveCache remembers what targets stand for.
type resolveCache struct {
	mu      sync.Mutex
	entries map[string]resolvedEntry
}

type resolvedEntry struct {
	entities []string
	until    time.Time
}

func (rc *resolveCache) get(key string, now time.Time) ([]string, bool) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	e, ok := rc.entries[key]
	if !ok || !now.Before(e.until) {
		return nil, false
	}
	return e.entities, true
}

func (rc *resolveCache) put(key string, entities []string, now time.Time) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.entries == nil || len(rc.entries) >= maxResolved {
		rc.entries = map[string]resolvedEntry{}
	}
	rc.entries[key] = resolvedEntry{entities, now.Add(resolvedFor)}
}

func (rc *resolveCache) forget() {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.entries = nil
}

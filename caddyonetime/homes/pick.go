package homes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/pick"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

const (
	// pickTimeout bounds what a host waits for who looks for something.
	pickTimeout = 10 * time.Second

	// pickFresh is how long the things of a home are kept for somebody who is
	// typing what they look for.
	pickFresh = 3 * time.Second
)

// NewPicker returns a way to choose from the homes that acquire knows, which is
// (*hassapp.App).Acquire. An ordinary user's token suffices.
func NewPicker(acquire func(name string) (*hassclient.Client, func(), error)) pick.Picker {
	return &picker{acquire: acquire, now: time.Now, kept: map[string]*things{}}
}

type picker struct {
	acquire func(name string) (*hassclient.Client, func(), error)
	now     func() time.Time

	mu   sync.Mutex
	kept map[string]*things // by home
}

// things are what a home was found to have.
type things struct {
	client   *hassclient.Client
	at       time.Time
	entities []pick.Entity
	states   map[string]hassState
}

// hassState is a state as get_states has it.
type hassState struct {
	EntityID   string         `json:"entity_id"`
	State      string         `json:"state"`
	Attributes map[string]any `json:"attributes"`
}

func (s *hassState) text(attribute string) string {
	text, _ := s.Attributes[attribute].(string)
	return text
}

// Entities implements pick.Picker.
func (p *picker) Entities(ctx context.Context, home string) ([]pick.Entity, error) {
	ctx, cancel := context.WithTimeout(ctx, pickTimeout)
	defer cancel()
	client, release, err := p.hold(ctx, home)
	if err != nil {
		return nil, err
	}
	defer release()
	t, err := p.things(ctx, client, home)
	if err != nil {
		return nil, unreachable(err)
	}
	return slices.Clone(t.entities), nil
}

// hold acquires a home's client and waits a moment for a first connection.
func (p *picker) hold(ctx context.Context, name string) (*hassclient.Client, func(), error) {
	client, release, err := p.acquire(name)
	if err != nil {
		if !errors.Is(err, onetime.ErrNoHome) {
			err = fmt.Errorf("%w: %w", onetime.ErrNoHome, err)
		}
		return nil, nil, err
	}
	if err := (&home{client: client}).connected(ctx); err != nil {
		release()
		return nil, nil, unreachable(err)
	}
	return client, release, nil
}

// things asks what the home has, unless that was asked a moment ago.
func (p *picker) things(ctx context.Context, client *hassclient.Client, home string) (*things, error) {
	p.mu.Lock()
	t := p.kept[home]
	p.mu.Unlock()
	if age := p.now().Sub(timeOf(t)); t != nil && t.client == client && age >= 0 && age < pickFresh && client.Connected() {
		return t, nil
	}
	t, err := look(ctx, client)
	if err != nil {
		return nil, err
	}
	t.at = p.now()
	p.mu.Lock()
	p.kept[home] = t
	p.mu.Unlock()
	return t, nil
}

func timeOf(t *things) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.at
}

// look asks the home for all that can be made to do something.
func look(ctx context.Context, client *hassclient.Client) (*things, error) {
	services, err := client.Services(ctx)
	if err != nil {
		return nil, err
	}
	var states []hassState
	if err := client.Query(ctx, "get_states", nil, &states); err != nil {
		return nil, err
	}
	reg, err := readRegistry(ctx, client)
	if err != nil {
		return nil, err
	}
	able := ableDomains(services)
	t := &things{client: client, states: make(map[string]hassState, len(states))}
	for _, s := range states {
		listed := reg.entities[s.EntityID]
		if !able[domainOf(s.EntityID)] || listed.Hidden {
			continue
		}
		t.states[s.EntityID] = s
		e := pick.Entity{
			ID: s.EntityID, Name: cmp.Or(s.text("friendly_name"), listed.Name, words(s.EntityID[strings.IndexByte(s.EntityID, '.')+1:])),
			Area: reg.area(listed), State: s.State, Available: s.State != "unavailable", Minor: listed.Category != nil,
		}
		if unit := s.text("unit_of_measurement"); unit != "" && e.Available {
			e.State += " " + unit
		}
		if device, ok := reg.devices[listed.Device]; ok {
			e.Device = cmp.Or(device.ByUser, device.Name)
		}
		t.entities = append(t.entities, e)
	}
	pick.Sort(t.entities)
	return t, nil
}

// ableDomains are the domains whose entities can be made to do something.
func ableDomains(services hassclient.Services) map[string]bool {
	able := map[string]bool{}
	for domain, list := range services {
		if domain == "homeassistant" || domain == "notify" {
			continue
		}
		for _, svc := range list {
			if !takesTarget(svc) {
				continue
			}
			domains := targetDomains(svc)
			if domains == nil {
				domains = []string{domain}
			}
			for _, d := range domains {
				able[d] = true
			}
		}
	}
	return able
}

// registries is what a home writes down about its entities.
type registries struct {
	entities map[string]listedEntity
	devices  map[string]listedDevice
	areas    map[string]string
}

// listedEntity is one of config/entity_registry/list_for_display.
type listedEntity struct {
	ID       string `json:"ei"`
	Name     string `json:"en"`
	Device   string `json:"di"`
	Area     string `json:"ai"`
	Hidden   bool   `json:"hb"`
	Category *int   `json:"ec"`
}

type listedDevice struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	ByUser string `json:"name_by_user"`
	Area   string `json:"area_id"`
}

// readRegistry reads it. An older home, which does not know a list, goes without.
func readRegistry(ctx context.Context, client *hassclient.Client) (*registries, error) {
	var (
		entities struct {
			Entities []listedEntity `json:"entities"`
		}
		devices []listedDevice
		areas   []struct {
			ID   string `json:"area_id"`
			Name string `json:"name"`
		}
	)
	for typ, out := range map[string]any{
		"config/entity_registry/list_for_display": &entities,
		"config/device_registry/list":             &devices,
		"config/area_registry/list":               &areas,
	} {
		var ce *hassclient.CommandError
		if err := client.Query(ctx, typ, nil, out); err != nil && !errors.As(err, &ce) {
			return nil, err
		}
	}
	r := &registries{entities: map[string]listedEntity{}, devices: map[string]listedDevice{}, areas: map[string]string{}}
	for _, e := range entities.Entities {
		r.entities[e.ID] = e
	}
	for _, d := range devices {
		r.devices[d.ID] = d
	}
	for _, a := range areas {
		r.areas[a.ID] = a.Name
	}
	return r, nil
}

// area is the name of where an entity is: its own area, else its device's.
func (r *registries) area(e listedEntity) string {
	return r.areas[cmp.Or(e.Area, r.devices[e.Device].Area)]
}

// Choices implements pick.Picker.
func (p *picker) Choices(ctx context.Context, home, entity, language string) (*pick.Entity, []pick.Choice, error) {
	ctx, cancel := context.WithTimeout(ctx, pickTimeout)
	defer cancel()
	client, release, err := p.hold(ctx, home)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	t, err := p.things(ctx, client, home)
	if err != nil {
		return nil, nil, unreachable(err)
	}
	i := slices.IndexFunc(t.entities, func(e pick.Entity) bool { return e.ID == entity })
	if i < 0 {
		return nil, nil, onetime.ErrNotFound
	}
	services, err := client.Services(ctx)
	if err != nil {
		return nil, nil, unreachable(err)
	}
	names, err := able(ctx, client, services, t.states[entity])
	if err != nil {
		return nil, nil, unreachable(err)
	}
	said, err := translations(ctx, client, language, names)
	if err != nil {
		return nil, nil, unreachable(err)
	}
	user, _ := client.User()
	var choices []pick.Choice
	for _, name := range names {
		domain, service, _ := strings.Cut(name, ".")
		svc, ok := services.Lookup(domain, service)
		if !ok || !user.IsAdmin && adminOnly(domain, service) || svc.Response != nil && !svc.Response.Optional {
			continue
		}
		choices = append(choices, choiceOf(domain, service, svc, t.states[entity], said))
	}
	pick.SortChoices(choices)
	e := t.entities[i]
	return &e, choices, nil
}

// able are the names of the services that an entity has, a script's own among
// them.
func able(ctx context.Context, client *hassclient.Client, services hassclient.Services, s hassState) ([]string, error) {
	domain := domainOf(s.EntityID)
	if name, ok := strings.CutPrefix(s.EntityID, "script."); ok {
		if _, ok := services.Lookup("script", name); ok {
			return []string{s.EntityID}, nil
		}
	}
	var names []string
	err := client.Query(ctx, "get_services_for_target", map[string]any{"target": map[string]any{"entity_id": []string{s.EntityID}}}, &names)
	var ce *hassclient.CommandError
	if errors.As(err, &ce) { // an older home
		for d, list := range services {
			for service, svc := range list {
				if takesTarget(svc) && suits(svc, s, d) {
					names = append(names, d+"."+service)
				}
			}
		}
	} else if err != nil {
		return nil, err
	}
	// What every entity has is for those that have nothing of their own.
	own := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return domainOf(n) == "homeassistant" && domain != "homeassistant" })
	if len(own) == 0 {
		own = names
	}
	slices.Sort(own)
	return own, nil
}

// suits reports whether a service's target takes the entity.
func suits(svc hassclient.Service, s hassState, domain string) bool {
	filters, ok := targetFilters(svc)
	if !ok {
		return domain == domainOf(s.EntityID)
	}
	return slices.ContainsFunc(filters, func(f targetFilter) bool {
		return (len(f.Domain) == 0 || slices.Contains(f.Domain, domainOf(s.EntityID))) && hasFeature(s, f.Features)
	})
}

// hasFeature reports whether an entity has one of the features: numbers whose
// bits have to be all there.
func hasFeature(s hassState, features []any) bool {
	if len(features) == 0 {
		return true
	}
	has, _ := s.Attributes["supported_features"].(float64)
	return slices.ContainsFunc(features, func(f any) bool {
		n, ok := f.(float64)
		return ok && int64(has)&int64(n) == int64(n)
	})
}

// translations are the home's own words for its services and their fields
// (frontend/get_translations), by key. A home that has none goes without.
func translations(ctx context.Context, client *hassclient.Client, language string, names []string) (map[string]string, error) {
	domains := map[string]bool{}
	for _, n := range names {
		domains[domainOf(n)] = true
	}
	all := map[string]string{}
	for _, category := range []string{"services", "selector"} {
		var out struct {
			Resources map[string]string `json:"resources"`
		}
		err := client.Query(ctx, "frontend/get_translations", map[string]any{
			"language": language, "category": category, "integration": slices.Sorted(maps.Keys(domains)),
		}, &out)
		var ce *hassclient.CommandError
		if err != nil && !errors.As(err, &ce) {
			return nil, err
		}
		maps.Copy(all, out.Resources)
	}
	return all, nil
}

// words makes words of a name: "color_temp_kelvin" is "Color temp kelvin".
func words(name string) string {
	text := strings.TrimSpace(strings.ReplaceAll(name, "_", " "))
	if text == "" {
		return name
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func choiceOf(domain, service string, svc hassclient.Service, s hassState, said map[string]string) pick.Choice {
	key := "component." + domain + ".services." + service + "."
	c := pick.Choice{
		Action:      domain + "." + service,
		Title:       cmp.Or(svc.Name, said[key+"name"], words(service)),
		Description: cmp.Or(svc.Description, said[key+"description"]),
		Fields:      []pick.Field{},
		Untargeted:  domain == "script" && s.EntityID == "script."+service,
	}
	for _, name := range fieldNames(svc.Fields) {
		f, _ := svc.Field(name)
		if !applies(name, f, s) {
			continue
		}
		pf := fieldOf(domain, f.Selector, said)
		pf.Name, pf.Required = name, f.Required
		pf.Title = cmp.Or(f.Name, said[key+"fields."+name+".name"], words(name))
		pf.Description = cmp.Or(f.Description, said[key+"fields."+name+".description"])
		if name == "code" || name == "password" || name == "pin" {
			pf.Kind = pick.Secret
		}
		c.Fields = append(c.Fields, pf)
	}
	slices.SortStableFunc(c.Fields, func(a, b pick.Field) int {
		if a.Required == b.Required {
			return 0
		}
		if a.Required {
			return -1
		}
		return 1
	})
	return c
}

// applies reports whether the field means anything to the entity.
func applies(name string, f hassclient.ServiceField, s hassState) bool {
	if d := domainOf(s.EntityID); name == "code" && (d == "lock" || d == "alarm_control_panel") {
		return s.text("code_format") != "" // else it asks for none
	}
	if len(f.Filter) == 0 || string(f.Filter) == "null" {
		return true
	}
	var filter struct {
		Features  []any            `json:"supported_features"`
		Attribute map[string][]any `json:"attribute"`
	}
	if json.Unmarshal(f.Filter, &filter) != nil {
		return true
	}
	if len(filter.Features) > 0 && hasFeature(s, filter.Features) {
		return true
	}
	for attribute, values := range filter.Attribute {
		has, list := s.Attributes[attribute].([]any)
		if !list {
			has = []any{s.Attributes[attribute]}
		}
		for _, v := range has {
			if slices.ContainsFunc(values, func(want any) bool { return fmt.Sprint(want) == fmt.Sprint(v) }) {
				return true
			}
		}
	}
	return len(filter.Features) == 0 && len(filter.Attribute) == 0
}

// fieldOf makes a way to ask for a value of a selector (helpers/selector.py).
func fieldOf(domain string, selector json.RawMessage, said map[string]string) pick.Field {
	var kinds map[string]json.RawMessage
	json.Unmarshal(selector, &kinds)
	var f pick.Field
	f.Kind = pick.YAML
	for kind, raw := range kinds { // there is one
		var o struct {
			Multiline      bool            `json:"multiline"`
			Type           string          `json:"type"`
			Multiple       bool            `json:"multiple"`
			Min            *float64        `json:"min"`
			Max            *float64        `json:"max"`
			Step           json.RawMessage `json:"step"`
			Unit           string          `json:"unit_of_measurement"`
			Custom         bool            `json:"custom_value"`
			TranslationKey string          `json:"translation_key"`
			Options        []any           `json:"options"`
		}
		json.Unmarshal(raw, &o) // null: the defaults
		switch kind {
		case "text", "template":
			f.Kind = pick.Text
			switch {
			case o.Multiple:
				f.Kind = pick.YAML
			case o.Type == "password":
				f.Kind = pick.Secret
			case o.Multiline || kind == "template":
				f.Kind = pick.Lines
			}
		case "icon", "entity", "area", "device", "theme", "state", "attribute", "language", "country", "conversation_agent", "media_source":
			f.Kind = pick.Text
			if o.Multiple {
				f.Kind = pick.YAML
			}
		case "number", "color_temp":
			f.Kind, f.Min, f.Max, f.Unit = pick.Number, o.Min, o.Max, o.Unit
			if step, err := strconv.ParseFloat(string(o.Step), 64); err == nil && step > 0 {
				f.Step = &step
			} else if kind == "color_temp" {
				f.Unit = "K"
			}
		case "boolean":
			f.Kind = pick.Boolean
		case "constant":
			f.Kind = pick.YAML
		case "select":
			f.Kind, f.Multiple, f.Custom = pick.Select, o.Multiple, o.Custom
			for _, option := range o.Options {
				switch v := option.(type) {
				case string:
					label := said["component."+domain+".selector."+o.TranslationKey+".options."+v]
					f.Options = append(f.Options, pick.Option{Value: v, Label: cmp.Or(label, v)})
				case map[string]any:
					value, _ := v["value"].(string)
					label, _ := v["label"].(string)
					f.Options = append(f.Options, pick.Option{Value: value, Label: cmp.Or(label, value)})
				}
			}
		case "date":
			f.Kind = pick.Date
		case "time":
			f.Kind = pick.Time
		case "datetime":
			f.Kind = pick.DateTime
		case "duration":
			f.Kind = pick.Duration
		case "color_rgb":
			f.Kind = pick.Colour
		}
	}
	return f
}

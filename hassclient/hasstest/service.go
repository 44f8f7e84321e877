package hasstest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// failure is an error of Home Assistant's: a code and a message, and perhaps
// the key of a translation.
type failure struct {
	code, message string
	// validation: it is a ServiceValidationError, whose message call_service
	// prefixes, where execute_script does not.
	validation   bool
	key          string
	placeholders map[string]any
	translations string // the integration that has it; "": homeassistant
	missing      string // the service that was not found: "lock.nope"
	// config: the error ends a script even under continue_on_error.
	config bool
}

func (f *failure) Error() string { return f.code + ": " + f.message }

// json renders the failure as the "error" of a result.
func (f *failure) json() map[string]any {
	m := map[string]any{"code": f.code, "message": f.message}
	if f.key != "" {
		m["translation_key"] = f.key
		m["translation_placeholders"] = f.placeholders
		m["translation_domain"] = "homeassistant"
		if f.translations != "" {
			m["translation_domain"] = f.translations
		}
	}
	return m
}

func homeError(format string, args ...any) *failure {
	return &failure{code: "home_assistant_error", message: fmt.Sprintf(format, args...)}
}

func invalidData(format string, args ...any) *failure {
	return &failure{code: "invalid_format", message: fmt.Sprintf(format, args...), config: true}
}

func serviceNotFound(domain, name string) *failure {
	return &failure{
		code: "service_validation_error", validation: true, config: true,
		message: fmt.Sprintf("Action %s.%s not found", domain, name), missing: domain + "." + name,
		key: "service_not_found", placeholders: map[string]any{"domain": domain, "service": name},
	}
}

// validation makes a ServiceValidationError.
func validation(key string, placeholders map[string]any, format string, args ...any) *failure {
	return &failure{
		code: "service_validation_error", validation: true, config: true,
		message: fmt.Sprintf(format, args...), key: key, placeholders: placeholders,
	}
}

// response says whether a service returns data.
type response int

const (
	responseNone response = iota
	responseOptional
	responseOnly
)

// service is one action of the home.
type service struct {
	domain, name string
	description  json.RawMessage

	fields    map[string]field // nil: any data
	response  response
	admin     bool // administrators only
	ofEntity  bool // acts on entities of its domain; needs a target
	anyDomain bool // acts on entities of every domain
	features  int  // supported_features that an entity needs
	slow      bool // may wait; otherwise it is carried out at once

	act func(*call, *entity) (any, *failure) // for each entity
	run func(*call) (any, *failure)          // where it is not of entities
}

// field is one member of a service's data.
type field struct {
	required bool
	check    func(v any) string // a message, or ""
}

// call is one call of a service on its way.
type call struct {
	home     *Home
	power    context.Context
	ctx      Context
	user     *user // nil: the home itself
	service  *service
	data     map[string]any
	response bool
	blocked  func() // called before the first wait
}

// wait lets d pass.
func (c *call) wait(d time.Duration) *failure {
	if d > 0 {
		c.blocked()
	}
	if !c.home.wait(c.power, d) {
		return homeError("Home Assistant is stopping")
	}
	return nil
}

// set changes an entity on behalf of the call.
func (c *call) set(e *entity, state string, attributes map[string]any) {
	c.home.mu.Lock()
	defer c.home.mu.Unlock()
	c.home.update(c.ctx, e.shown.EntityID, state, attributes)
}

func (c *call) stateOf(e *entity) string {
	c.home.mu.Lock()
	defer c.home.mu.Unlock()
	return e.state
}

func (c *call) attribute(e *entity, name string) any {
	c.home.mu.Lock()
	defer c.home.mu.Unlock()
	return e.attributes[name]
}

// lookup finds a service; names are not case-sensitive.
func (h *Home) lookup(domain, name string) *service {
	if s := h.services[domain][name]; s != nil {
		return s
	}
	return h.services[strings.ToLower(domain)][strings.ToLower(name)]
}

// callService carries a call out. data is changed.
func (h *Home) callService(c call, domain, name string, data, target map[string]any) (any, *failure) {
	h.mu.Lock()
	s := h.lookup(domain, name)
	faults, healed := h.faults, h.healed
	h.mu.Unlock()
	if s == nil {
		return nil, serviceNotFound(strings.ToLower(domain), strings.ToLower(name))
	}
	placeholders := map[string]any{"return_response": "return_response=True"}
	switch {
	case c.response && s.response == responseNone:
		return nil, validation("service_does_not_support_response", placeholders,
			"An action which does not return responses can't be called with return_response=True")
	case !c.response && s.response == responseOnly:
		return nil, validation("service_lacks_response_request", placeholders,
			"The action requires responses and must be called with return_response=True")
	}
	if data == nil {
		data = map[string]any{}
	}
	maps.Copy(data, target)
	if f := s.check(data); f != nil {
		return nil, f
	}
	h.fireCall(s, data, c.ctx)
	if s.admin && c.user != nil && !c.user.admin {
		return nil, homeError("Unauthorized")
	}
	c.service, c.data = s, data

	id := s.domain + "." + s.name
	if s.ofEntity {
		return c.actOnEntities(id, faults, healed)
	}
	if err := c.begin(id, faults, healed); err != nil {
		return nil, err
	}
	return s.run(&c)
}

// begin counts a run and applies the faults of the service.
func (c *call) begin(id string, f faults, healed <-chan struct{}) *failure {
	c.home.ran(id)
	if f.hanging[id] {
		c.blocked()
		select {
		case <-healed:
		case <-c.power.Done():
			return homeError("Home Assistant is stopping")
		}
	}
	if failing := f.failing[id]; failing != nil {
		return failing
	}
	return nil
}

func (c *call) actOnEntities(id string, f faults, healed <-chan struct{}) (any, *failure) {
	h, s := c.home, c.service
	h.mu.Lock()
	found, explicit := h.targets(c.data)
	var entities []*entity
	for _, entityID := range found {
		e := h.entities[entityID]
		if e == nil || !e.reachable || !s.anyDomain && domainOf(entityID) != s.domain {
			continue
		}
		// The gate is unavailable by its template, the others by their flag.
		if e.shown.State == unavailable {
			continue
		}
		if !e.supports(s.features) {
			if explicit[entityID] {
				h.mu.Unlock()
				return nil, validation("service_not_supported",
					map[string]any{"domain": s.domain, "service": s.name, "entity_id": entityID},
					"Entity %s does not support action %s.%s", entityID, s.domain, s.name)
			}
			continue
		}
		entities = append(entities, e)
	}
	h.mu.Unlock()
	if len(entities) == 0 {
		if c.response {
			return nil, homeError("Service call requested response data but did not match any entities")
		}
		return nil, nil
	}
	if err := c.begin(id, f, healed); err != nil {
		return nil, err
	}
	answers := make(map[string]any, len(entities))
	if len(entities) == 1 || !s.slow {
		for _, e := range entities {
			answer, err := s.act(c, e)
			if err != nil {
				return nil, err
			}
			answers[e.shown.EntityID] = answer
		}
		return answers, nil
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first *failure
	)
	for _, e := range entities {
		wg.Go(func() {
			answer, err := s.act(c, e)
			mu.Lock()
			defer mu.Unlock()
			answers[e.shown.EntityID] = answer
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	return answers, first
}

// targetKeys are the members of a target, in Home Assistant's order.
var targetKeys = []string{"entity_id", "device_id", "area_id", "floor_id", "label_id"}

// check looks at a call's data as Home Assistant's schema of the service does.
func (s *service) check(data map[string]any) *failure {
	if s.fields == nil && !s.ofEntity {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if s.ofEntity && slices.Contains(targetKeys, key) {
			if key == "entity_id" {
				if msg := checkEntityIDs(data[key]); msg != "" {
					return invalidData("%s at 'entity_id'", msg)
				}
			}
			continue
		}
		f, known := s.fields[key]
		if !known {
			return invalidData("not a valid option at '%s'", key)
		}
		if f.check != nil {
			if msg := f.check(data[key]); msg != "" {
				return invalidData("%s at '%s'", msg, key)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.fields)) {
		if _, ok := data[key]; s.fields[key].required && !ok {
			return invalidData("required key not provided at '%s'", key)
		}
	}
	if s.ofEntity && !slices.ContainsFunc(targetKeys, func(k string) bool { _, ok := data[k]; return ok }) {
		return invalidData("at least one of ['entity_id', 'device_id', 'area_id', 'floor_id', 'label_id'] is required")
	}
	return nil
}

// listOf reads what may be one string, several with commas, or a list.
func listOf(v any) []string {
	switch v := v.(type) {
	case string:
		var list []string
		for s := range strings.SplitSeq(v, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		return list
	case []any:
		var list []string
		for _, s := range v {
			if s, ok := s.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}

// targets returns the entities a target means, and which of them it names
// itself. h.mu is held.
func (h *Home) targets(data map[string]any) (found []string, explicit map[string]bool) {
	if data["entity_id"] == "all" {
		return slices.Clone(h.order), nil
	}
	explicit = map[string]bool{}
	add := func(id string) {
		if !slices.Contains(found, id) {
			found = append(found, id)
		}
	}
	for _, id := range listOf(data["entity_id"]) {
		if id != "none" {
			id = strings.ToLower(id)
			explicit[id] = true
			add(id)
		}
	}
	devices, areas := listOf(data["device_id"]), listOf(data["area_id"])
	for _, id := range h.order {
		e := h.entities[id]
		if e.deviceID != "" && slices.Contains(devices, e.deviceID) || e.areaID != "" && slices.Contains(areas, e.areaID) {
			add(id)
		}
	}
	return found, explicit
}

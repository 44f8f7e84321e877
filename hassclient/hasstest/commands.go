package hasstest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// command is one of the WebSocket API's.
type command struct {
	rules  map[string]rule
	admin  bool                                           // administrators only
	handle func(c *conn, id int, msg map[string]any) bool // false: close the connection
}

var commands map[string]command

func init() { // here: some of them refer to each other
	selection := map[string]rule{
		"target": {required: true, check: isSelection}, "expand_group": {check: isBool}, "primary_entities_only": {check: isBool},
	}
	commands = map[string]command{
		"ping": {handle: func(c *conn, id int, _ map[string]any) bool {
			c.send(mustJSON(map[string]any{"id": id, "type": "pong"}))
			return true
		}},
		"supported_features": {rules: map[string]rule{"features": {required: true, check: isMap}}, handle: supportedFeatures},
		"auth/current_user":  {handle: query((*conn).currentUser)},
		"get_config":         {handle: query((*conn).getConfig)},
		"get_states":         {handle: query((*conn).getStates)},
		"get_services":       {handle: query((*conn).getServices)},
		"call_service": {rules: map[string]rule{
			"domain": {required: true, check: isString}, "service": {required: true, check: isString}, "target": {check: isTarget},
			"service_data": {check: isMap}, "return_response": {check: isBool},
		}, handle: handleCallService},
		"execute_script": {admin: true, rules: map[string]rule{
			"sequence": {required: true, check: checkActions}, "variables": {check: isMap},
		}, handle: handleExecuteScript},
		"fire_event": {admin: true, rules: map[string]rule{
			"event_type": {required: true, check: isString}, "event_data": {check: isMap},
		}, handle: handleFireEvent},
		"validate_config":                         {rules: map[string]rule{"actions": {}, "conditions": {}, "triggers": {}}, handle: validateConfig},
		"subscribe_events":                        {rules: map[string]rule{"event_type": {check: isString}}, handle: subscribeEvents},
		"subscribe_entities":                      {rules: map[string]rule{"entity_ids": {check: isEntityIDs}}, handle: subscribeEntities},
		"unsubscribe_events":                      {rules: map[string]rule{"subscription": {required: true, check: isNumber}}, handle: unsubscribeEvents},
		"extract_from_target":                     {rules: selection, handle: extractFromTarget},
		"get_services_for_target":                 {rules: selection, handle: servicesForTarget},
		"config/auth/list":                        {admin: true, handle: query((*conn).listUsers)},
		"config/entity_registry/list":             {handle: query((*conn).listEntities)},
		"config/entity_registry/list_for_display": {handle: query((*conn).listForDisplay)},
		"config/entity_registry/update": {admin: true, rules: map[string]rule{
			"entity_id": {required: true, check: isString}, "area_id": {},
		}, handle: updateEntity},
		"config/device_registry/list": {handle: query((*conn).listDevices)},
		"config/area_registry/list":   {handle: query((*conn).listAreas)},
		"config/floor_registry/list":  {handle: query(func(*conn) any { return []any{} })},
		"config/label_registry/list":  {handle: query(func(*conn) any { return []any{} })},
		"http/config":                 {admin: true, handle: query((*conn).httpConfig)},
		"trace/list": {admin: true, rules: map[string]rule{
			"domain": {required: true, check: isString}, "item_id": {check: isString},
		}, handle: traceList},
		"trace/get": {admin: true, rules: map[string]rule{
			"domain": {required: true, check: isString}, "item_id": {required: true, check: isString}, "run_id": {required: true, check: isString},
		}, handle: traceGet},
		"trace/contexts": {admin: true, rules: map[string]rule{
			"domain": {check: isString}, "item_id": {check: isString},
		}, handle: traceContexts},
		"auth/long_lived_access_token": {rules: map[string]rule{
			"client_name": {required: true, check: isString}, "client_icon": {check: isString}, "lifespan": {required: true, check: isNumber},
		}, handle: longLivedToken},
	}
}

// query is a command that only reads; fn is called with home.mu held.
func query(fn func(*conn) any) func(*conn, int, map[string]any) bool {
	return func(c *conn, id int, _ map[string]any) bool {
		c.home.mu.Lock()
		v := fn(c)
		b := mustJSON(v)
		c.home.mu.Unlock()
		c.result(id, json.RawMessage(b))
		return true
	}
}

func supportedFeatures(c *conn, id int, msg map[string]any) bool {
	features := msg["features"].(map[string]any)
	c.mu.Lock()
	_, c.coalesce = features["coalesce_messages"]
	c.mu.Unlock()
	c.result(id, nil)
	return true
}

func (c *conn) currentUser() any {
	return map[string]any{
		"id": c.user.id, "name": orNil(c.user.Name), "is_owner": c.user.Owner, "is_admin": c.user.admin,
		"credentials": []any{map[string]any{"auth_provider_type": "homeassistant", "auth_provider_id": nil}},
		"mfa_modules": []any{map[string]any{"id": "totp", "name": "Authenticator app", "enabled": false}},
	}
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (c *conn) getConfig() any {
	if !c.user.LocalOnly {
		return c.home.config
	}
	config := maps.Clone(c.home.config)
	delete(config, "external_url")
	return config
}

func (c *conn) getStates() any { return c.home.states() }

func (h *Home) states() []*State {
	list := make([]*State, 0, len(h.order))
	for _, id := range h.order {
		list = append(list, &h.entities[id].shown)
	}
	return list
}

func (c *conn) getServices() any { return c.home.descriptions() }

func (h *Home) descriptions() map[string]map[string]json.RawMessage {
	all := map[string]map[string]json.RawMessage{}
	for domain, services := range h.services {
		all[domain] = map[string]json.RawMessage{}
		for name, s := range services {
			all[domain][name] = s.description
		}
	}
	return all
}

// perform carries out what may take time: before the next message of the
// connection is read it has begun, and its answer comes when it is done.
func (c *conn) perform(slow bool, do func(blocked func()) []byte) bool {
	f, _ := c.home.fault()
	if f.closeBeforeCall {
		c.drop()
		return false
	}
	finish := func(answer []byte) {
		if f.closeAfterCall {
			c.drop()
			return
		}
		c.send(answer)
	}
	if !slow && f.hanging == nil {
		finish(do(func() {}))
		return true
	}
	begun := make(chan struct{}, 1)
	blocked := func() {
		select {
		case begun <- struct{}{}:
		default:
		}
	}
	c.home.wg.Go(func() {
		finish(do(blocked))
		blocked()
	})
	<-begun
	return true
}

func success(id int, result any) []byte {
	return mustJSON(struct {
		ID      int    `json:"id"`
		Type    string `json:"type"`
		Success bool   `json:"success"`
		Result  any    `json:"result"`
	}{id, "result", true, result})
}

func failed(id int, f *failure) []byte {
	return mustJSON(map[string]any{"id": id, "type": "result", "success": false, "error": f.json()})
}

func handleCallService(c *conn, id int, msg map[string]any) bool {
	h := c.home
	domain, name := msg["domain"].(string), msg["service"].(string)
	data, _ := msg["service_data"].(map[string]any)
	target, _ := msg["target"].(map[string]any)
	response, _ := msg["return_response"].(bool)
	ctx := h.newContext(c.user)
	h.mu.Lock()
	s, power := h.lookup(domain, name), h.power
	h.mu.Unlock()
	all := maps.Clone(data)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, target)
	h.record(Call{Command: "call_service", Domain: domain, Service: name, Data: all, UserID: c.user.id, Context: ctx})
	return c.perform(s == nil || s.slow || s.run != nil && s.domain == "homeassistant", func(blocked func()) []byte {
		got, err := h.callService(call{home: h, power: power, ctx: ctx, user: c.user, response: response, blocked: blocked}, domain, name, data, target)
		if err != nil {
			return failed(id, err.ofCall(domain, name))
		}
		result := map[string]any{"context": ctx}
		if response {
			result["response"] = got
		}
		return success(id, result)
	})
}

// ofCall is the failure as call_service words it.
func (f *failure) ofCall(domain, name string) *failure {
	g := *f
	switch {
	case f.missing == strings.ToLower(domain)+"."+strings.ToLower(name):
		g.code, g.message = "not_found", "Service "+f.missing+" not found."
	case f.missing != "":
		childDomain, child, _ := strings.Cut(f.missing, ".")
		g.code = "home_assistant_error"
		g.message = "Service " + f.missing + " called service " + domain + "." + name + " which was not found."
		g.key, g.translations = "child_service_not_found", "websocket_api"
		g.placeholders = map[string]any{"domain": domain, "service": name, "child_domain": childDomain, "child_service": child}
	case f.validation:
		g.message = "Validation error: " + f.message
	}
	return &g
}

func handleExecuteScript(c *conn, id int, msg map[string]any) bool {
	h := c.home
	ctx := h.newContext(c.user)
	variables, _ := msg["variables"].(map[string]any)
	sequence := ensureList(msg["sequence"])
	power := h.running()
	h.record(Call{Command: "execute_script", Sequence: sequence, UserID: c.user.id, Context: ctx})
	return c.perform(true, func(blocked func()) []byte {
		answer, err := h.executeScript(&call{home: h, power: power, ctx: ctx, user: c.user, blocked: blocked}, sequence, variables)
		if err != nil {
			if err.code == "invalid_format" {
				// Home Assistant words it as if the message itself were wrong.
				worded := *err
				bad := invalid{message: err.message}
				if !strings.Contains(err.message, " at '") {
					bad.got = msg
				}
				worded.message = bad.humanized()
				err = &worded
			}
			return failed(id, err)
		}
		return success(id, map[string]any{"context": ctx, "response": answer})
	})
}

func handleFireEvent(c *conn, id int, msg map[string]any) bool {
	h := c.home
	ctx := h.newContext(c.user)
	data, _ := msg["event_data"].(map[string]any)
	eventType := msg["event_type"].(string)
	h.record(Call{Command: "fire_event", Event: eventType, Data: data, UserID: c.user.id, Context: ctx})
	return c.perform(false, func(func()) []byte {
		h.fireEvent(eventType, data, ctx)
		return success(id, map[string]any{"context": ctx})
	})
}

func validateConfig(c *conn, id int, msg map[string]any) bool {
	result := map[string]any{}
	for _, key := range []string{"triggers", "conditions", "actions"} {
		v, ok := msg[key]
		if !ok {
			continue
		}
		verdict := map[string]any{"valid": true, "error": nil}
		if key == "actions" {
			if bad := checkActions(v, ""); bad != nil {
				verdict = map[string]any{"valid": false, "error": bad.plain()}
			}
		}
		result[key] = verdict
	}
	c.result(id, result)
	return true
}

func subscribeEvents(c *conn, id int, msg map[string]any) bool {
	eventType := everyEvent
	if v, ok := msg["event_type"].(string); ok {
		eventType = v
	}
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	if !openEvents[eventType] && !c.user.admin {
		c.fail(id, &failure{code: "unauthorized", message: "Unauthorized"})
		return true
	}
	c.subscriptions[id] = &subscription{kind: subscribedEvents, event: eventType}
	c.result(id, nil)
	return true
}

func subscribeEntities(c *conn, id int, msg map[string]any) bool {
	s := &subscription{kind: subscribedEntities}
	for _, entityID := range listOf(msg["entity_ids"]) {
		if s.entities == nil {
			s.entities = map[string]bool{}
		}
		s.entities[strings.ToLower(entityID)] = true
	}
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	c.subscriptions[id] = s
	c.result(id, nil)
	added := map[string]any{}
	for _, entityID := range h.order {
		if s.entities == nil || s.entities[entityID] {
			added[entityID] = h.entities[entityID].shown.compressed()
		}
	}
	c.send(eventMessage(id, mustJSON(map[string]any{"a": added})))
	return true
}

func unsubscribeEvents(c *conn, id int, msg map[string]any) bool {
	n, _ := msg["subscription"].(json.Number).Int64()
	h := c.home
	h.mu.Lock()
	_, ok := c.subscriptions[int(n)]
	delete(c.subscriptions, int(n))
	h.mu.Unlock()
	if !ok {
		c.fail(id, &failure{code: "not_found", message: "Subscription not found."})
		return true
	}
	c.result(id, nil)
	return true
}

func extractFromTarget(c *conn, id int, msg map[string]any) bool {
	target := msg["target"].(map[string]any)
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	found, _ := h.targets(target)
	devices, areas := listOf(target["device_id"]), listOf(target["area_id"])
	missing := func(ids []string, known func(string) bool) []string {
		return list(slices.DeleteFunc(slices.Clone(ids), known))
	}
	c.result(id, map[string]any{
		"referenced_entities": list(found), "referenced_devices": list(devices), "referenced_areas": list(areas),
		"missing_devices": missing(devices, func(id string) bool {
			return slices.ContainsFunc(h.order, func(e string) bool { return h.entities[e].deviceID == id })
		}),
		"missing_areas": missing(areas, func(id string) bool {
			return slices.ContainsFunc(h.areas, func(a area) bool { return a.id == id })
		}),
		"missing_floors": list(listOf(target["floor_id"])), "missing_labels": list(listOf(target["label_id"])),
	})
	return true
}

// list is never nil, so that JSON has [] and not null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func servicesForTarget(c *conn, id int, msg map[string]any) bool {
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	names := []string{}
	found, _ := h.targets(msg["target"].(map[string]any))
	for _, entityID := range found {
		e := h.entities[entityID]
		if e == nil || e.platform == "" && e.device == "" && domainOf(entityID) == "zone" {
			continue
		}
		for domain, services := range h.services {
			for name, s := range services {
				general := domain == "homeassistant" && (name == "turn_on" || name == "turn_off" || name == "toggle")
				if general || s.ofEntity && domain == domainOf(entityID) && e.supports(s.features) {
					if full := domain + "." + name; !slices.Contains(names, full) {
						names = append(names, full)
					}
				}
			}
		}
	}
	c.result(id, names)
	return true
}

func (c *conn) listUsers() any {
	list := []any{map[string]any{
		"id": c.home.contentUser, "username": nil, "name": "Home Assistant Content", "is_owner": false, "is_active": true, "local_only": false,
		"system_generated": true, "group_ids": []string{"system-read-only"}, "credentials": []any{},
	}}
	for _, u := range c.home.users {
		group := "system-users"
		if u.admin {
			group = "system-admin"
		}
		list = append(list, map[string]any{
			"id": u.id, "username": orNil(u.Username), "name": orNil(u.Name), "is_owner": u.Owner, "is_active": u.active,
			"local_only": u.LocalOnly, "system_generated": false, "group_ids": []string{group},
			"credentials": []any{map[string]any{"type": "homeassistant"}},
		})
	}
	return list
}

func (c *conn) listEntities() any {
	list := []any{}
	for _, id := range c.home.order {
		if e := c.home.entities[id]; e.uniqueID != "" {
			list = append(list, e.registered())
		}
	}
	return list
}

// registered is the entity as the entity registry has it.
func (e *entity) registered() map[string]any {
	return map[string]any{
		"area_id": orNil(e.areaID), "categories": map[string]any{}, "config_entry_id": nil, "config_subentry_id": nil,
		"created_at": timestamp(e.shown.LastChanged), "device_id": orNil(e.deviceID), "disabled_by": nil, "entity_category": nil,
		"entity_id": e.shown.EntityID, "hidden_by": nil, "icon": nil, "id": e.uniqueID, "labels": []string{},
		"modified_at": timestamp(e.shown.LastChanged), "name": nil, "next_name_part": nil,
		"options":       map[string]any{"conversation": map[string]any{"should_expose": false}},
		"original_name": orNil(e.original), "platform": e.platform, "translation_key": nil, "unique_id": e.uniqueID,
	}
}

// updateEntity puts an entity into an area; nothing else of an entity can be
// changed here.
func updateEntity(c *conn, id int, msg map[string]any) bool {
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entities[msg["entity_id"].(string)]
	if e == nil || e.uniqueID == "" {
		c.fail(id, &failure{code: "not_found", message: "Entity not found"})
		return true
	}
	if areaID, ok := msg["area_id"]; ok {
		e.areaID = text(areaID)
	}
	c.result(id, map[string]any{"entity_entry": e.registered()})
	return true
}

func (c *conn) listForDisplay() any {
	list := []any{}
	for _, id := range c.home.order {
		e := c.home.entities[id]
		if e.uniqueID == "" {
			continue
		}
		m := map[string]any{"ei": id, "pl": e.platform, "lb": []string{}}
		if e.original != "" {
			m["en"] = e.original
		}
		if e.deviceID != "" {
			m["di"], m["np"] = e.deviceID, "device"
		}
		if e.areaID != "" {
			m["ai"] = e.areaID
		}
		list = append(list, m)
	}
	return map[string]any{"entity_categories": map[string]any{"0": "config", "1": "diagnostic"}, "entities": list}
}

func (c *conn) listDevices() any {
	list := []any{}
	for _, id := range c.home.order {
		e := c.home.entities[id]
		if e.deviceID == "" {
			continue
		}
		at := timestamp(e.shown.LastChanged)
		list = append(list, map[string]any{
			"area_id": orNil(e.areaID), "configuration_url": nil, "config_entries": []string{}, "config_entries_subentries": map[string]any{},
			"config_entry_id": nil, "config_subentry_id": nil, "connections": []any{}, "created_at": at, "disabled_by": nil, "entry_type": nil,
			"hw_version": nil, "id": e.deviceID, "identifiers": []any{[]string{e.platform, e.uniqueID}}, "labels": []string{},
			"manufacturer": nil, "model": nil, "model_id": nil, "modified_at": at, "name_by_user": nil, "name": e.device, "next_name_part": nil,
			"parent_device_id": nil, "primary_config_entry": nil, "serial_number": nil, "sw_version": nil, "via_device_id": nil,
		})
	}
	return list
}

func (c *conn) listAreas() any {
	list := []any{}
	for _, a := range c.home.areas {
		list = append(list, map[string]any{
			"aliases": []string{}, "area_id": a.id, "floor_id": nil, "humidity_entity_id": nil, "icon": a.icon, "labels": []string{},
			"name": a.name, "picture": nil, "temperature_entity_id": nil, "created_at": 0, "modified_at": 0,
		})
	}
	return list
}

func (c *conn) httpConfig() any {
	base := func() map[string]any {
		return map[string]any{
			"server_port": 8123, "cors_allowed_origins": []string{"https://cast.home-assistant.io"}, "login_attempts_threshold": -1,
			"ip_ban_enabled": true, "ssl_profile": "intermediate_v6", "use_x_frame_options": true,
			"created_at": isoTime(c.home.clock.Now()), "error": nil, "error_message": nil,
		}
	}
	stable := base()
	if len(c.home.proxies) > 0 {
		proxies := []string{}
		for _, p := range c.home.proxies {
			proxies = append(proxies, p.String())
		}
		stable["use_x_forwarded_for"], stable["trusted_proxies"] = true, proxies
	}
	return map[string]any{"stable": stable, "pending": nil, "revert_at": nil, "active_config_type": "stable", "default": base()}
}

func longLivedToken(c *conn, id int, msg map[string]any) bool {
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	name := msg["client_name"].(string)
	for _, t := range h.refresh {
		if t.user == c.user && t.clientName == name {
			c.fail(id, &failure{code: "unknown_error", message: "Unknown error"})
			return true
		}
	}
	c.result(id, h.longLived(c.user, name, number(msg["lifespan"])))
	return true
}

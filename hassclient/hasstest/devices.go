package hasstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The garden gate is a template lock: it is what two switches say.
const (
	gardenGate  = "lock.garden_gate"
	gateOpen    = "input_boolean.gate_open"
	gateBattery = "input_boolean.gate_battery"
	doorOpens   = "counter.door_opens"
)

const (
	lockDelay = 2 * time.Second  // that the demo integration's locks take to turn
	dockDelay = 30 * time.Second // that its vacuums take to come home
)

// A Notification is one that the home shows: persistent_notification.create.
type Notification struct {
	ID, Title, Message string
	Time               time.Time
}

func (h *Home) addServices() {
	var described map[string]map[string]json.RawMessage
	if err := json.Unmarshal(servicesJSON, &described); err != nil {
		panic("hasstest: services.json: " + err.Error())
	}
	h.services = map[string]map[string]*service{}
	for _, s := range deviceServices() {
		s.description = described[s.domain][s.name]
		if s.description == nil {
			panic("hasstest: services.json does not describe " + s.domain + "." + s.name)
		}
		h.addService(s)
	}
}

func (h *Home) addService(s *service) {
	if h.services[s.domain] == nil {
		h.services[s.domain] = map[string]*service{}
	}
	if s.domain == "lock" && h.noDelays {
		s.slow = false
	}
	h.services[s.domain][s.name] = s
}

func deviceServices() []*service {
	code := map[string]field{"code": {check: checkString}}
	message := map[string]field{"message": {required: true, check: checkString}, "title": {check: checkString}}
	noticeID := map[string]field{"notification_id": {required: true, check: checkString}}
	notify := map[string]field{"message": {required: true}, "title": {}, "target": {}, "data": {}}
	turnOn, turnOff, toggle := switchTo("on"), switchTo("off"), switchTo("")

	list := []*service{
		{domain: "lock", name: "lock", ofEntity: true, slow: true, fields: code, act: turnLock("locking", "locked")},
		{domain: "lock", name: "unlock", ofEntity: true, slow: true, fields: code, act: turnLock("unlocking", "unlocked")},
		{domain: "lock", name: "open", ofEntity: true, slow: true, features: 1, fields: code, act: turnLock("opening", "open")},

		{domain: "light", name: "turn_on", ofEntity: true, fields: lightFields, act: lightOn},
		{domain: "light", name: "turn_off", ofEntity: true, fields: lightFields, act: lightOff},
		{domain: "light", name: "toggle", ofEntity: true, fields: lightFields, act: func(c *call, e *entity) (any, *failure) {
			if c.stateOf(e) == "on" {
				return lightOff(c, e)
			}
			return lightOn(c, e)
		}},

		{domain: "cover", name: "open_cover", ofEntity: true, features: 1, act: moveCover("open")},
		{domain: "cover", name: "close_cover", ofEntity: true, features: 2, act: moveCover("closed")},
		{domain: "cover", name: "toggle", ofEntity: true, features: 3, act: func(c *call, e *entity) (any, *failure) {
			if c.stateOf(e) == "open" {
				return moveCover("closed")(c, e)
			}
			return moveCover("open")(c, e)
		}},

		{domain: "vacuum", name: "start", ofEntity: true, features: 8192, act: setTo("cleaning")},
		{domain: "vacuum", name: "pause", ofEntity: true, features: 4, act: setTo("paused")},
		{domain: "vacuum", name: "stop", ofEntity: true, features: 8, act: setTo("idle")},
		{domain: "vacuum", name: "locate", ofEntity: true, features: 512, act: setTo("idle")},
		{domain: "vacuum", name: "return_to_base", ofEntity: true, features: 16, act: returnToBase},
		{domain: "vacuum", name: "set_fan_speed", ofEntity: true, features: 32,
			fields: map[string]field{"fan_speed": {required: true, check: checkString}}, act: setFanSpeed},

		{domain: "switch", name: "turn_on", ofEntity: true, act: turnOn},
		{domain: "switch", name: "turn_off", ofEntity: true, act: turnOff},
		{domain: "switch", name: "toggle", ofEntity: true, act: toggle},
		{domain: "input_boolean", name: "turn_on", ofEntity: true, act: turnOn},
		{domain: "input_boolean", name: "turn_off", ofEntity: true, act: turnOff},
		{domain: "input_boolean", name: "toggle", ofEntity: true, act: toggle},
		{domain: "input_boolean", name: "reload", admin: true, fields: map[string]field{}, run: nothing},

		{domain: "counter", name: "increment", ofEntity: true, act: count(+1)},
		{domain: "counter", name: "decrement", ofEntity: true, act: count(-1)},
		{domain: "counter", name: "reset", ofEntity: true, act: func(c *call, e *entity) (any, *failure) {
			c.set(e, strconv.Itoa(number(c.attribute(e, "initial"))), nil)
			return nil, nil
		}},
		{domain: "counter", name: "set_value", ofEntity: true,
			fields: map[string]field{"value": {required: true, check: checkInt}}, act: func(c *call, e *entity) (any, *failure) {
				c.set(e, strconv.Itoa(number(c.data["value"])), nil)
				return nil, nil
			}},

		{domain: "homeassistant", name: "turn_on", run: relay("turn_on", "open_cover")},
		{domain: "homeassistant", name: "turn_off", run: relay("turn_off", "close_cover")},
		{domain: "homeassistant", name: "toggle", run: relay("toggle", "toggle")},
		{domain: "homeassistant", name: "update_entity", run: nothing},
		{domain: "homeassistant", name: "check_config", admin: true, run: nothing},

		{domain: "notify", name: "send_message", ofEntity: true, fields: message, act: sendMessage},
		{domain: "notify", name: "notify", fields: notify, run: nothing},
		{domain: "notify", name: "persistent_notification", fields: notify, run: notice},
		{domain: "persistent_notification", name: "create", fields: map[string]field{
			"message": {required: true, check: checkString}, "title": {check: checkString}, "notification_id": {check: checkString},
		}, run: notice},
		{domain: "persistent_notification", name: "dismiss", fields: noticeID, run: func(c *call) (any, *failure) {
			c.home.dismiss(func(n Notification) bool { return n.ID == text(c.data["notification_id"]) })
			return nil, nil
		}},
		{domain: "persistent_notification", name: "dismiss_all", fields: map[string]field{}, run: func(c *call) (any, *failure) {
			c.home.dismiss(func(Notification) bool { return true })
			return nil, nil
		}},

		{domain: "script", name: "turn_on", ofEntity: true, fields: map[string]field{"variables": {}}, act: scriptOn},
		{domain: "script", name: "turn_off", ofEntity: true, act: scriptOff},
		{domain: "script", name: "toggle", ofEntity: true, act: func(c *call, e *entity) (any, *failure) {
			if c.stateOf(e) == "on" {
				return scriptOff(c, e)
			}
			return scriptOn(c, e)
		}},
		{domain: "script", name: "reload", fields: map[string]field{}, run: nothing},

		{domain: "weather", name: "get_forecasts", ofEntity: true, response: responseOnly,
			fields: map[string]field{"type": {required: true, check: checkForecast}}, act: forecast},
	}
	return list
}

func nothing(*call) (any, *failure) { return nil, nil }

// setTo is an action that leaves the entity in a state.
func setTo(state string) func(*call, *entity) (any, *failure) {
	return func(c *call, e *entity) (any, *failure) {
		c.set(e, state, nil)
		return nil, nil
	}
}

// switchTo turns on or off; "": to the other.
func switchTo(state string) func(*call, *entity) (any, *failure) {
	return func(c *call, e *entity) (any, *failure) {
		to := state
		if to == "" {
			to = "on"
			if c.stateOf(e) == "on" {
				to = "off"
			}
		}
		c.set(e, to, nil)
		return nil, nil
	}
}

func turnLock(moving, arrived string) func(*call, *entity) (any, *failure) {
	return func(c *call, e *entity) (any, *failure) {
		id, end := e.shown.EntityID, arrived
		if id == gardenGate {
			return turnGate(c, arrived)
		}
		if id == "lock.poorly_installed_door" && arrived == "locked" {
			end = "jammed"
		}
		c.set(e, moving, nil)
		if !c.home.noDelays {
			if err := c.wait(lockDelay); err != nil {
				return nil, err
			}
		}
		c.set(e, end, nil)
		return nil, nil
	}
}

func turnGate(c *call, arrived string) (any, *failure) {
	h := c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	if arrived == "locked" {
		h.ran("input_boolean.turn_off")
		h.update(c.ctx, gateOpen, "off", nil)
		return nil, nil
	}
	h.ran("input_boolean.turn_on")
	h.update(c.ctx, gateOpen, "on", nil)
	h.ran("counter.increment")
	h.count(c.ctx, h.entities[doorOpens], +1)
	return nil, nil
}

// updateGate brings the template lock in line with its switches. h.mu is held.
func (h *Home) updateGate(ctx Context) {
	gate, open, battery := h.entities[gardenGate], h.entities[gateOpen], h.entities[gateBattery]
	if gate == nil || open == nil || battery == nil {
		return
	}
	gate.state = "locked"
	if open.state == "on" {
		gate.state = "unlocked"
	}
	gate.reachable = battery.state == "on"
	h.show(ctx, gate)
}

func count(by int) func(*call, *entity) (any, *failure) {
	return func(c *call, e *entity) (any, *failure) {
		c.home.mu.Lock()
		defer c.home.mu.Unlock()
		c.home.count(c.ctx, e, by)
		return nil, nil
	}
}

// count moves a counter by so many of its steps. h.mu is held.
func (h *Home) count(ctx Context, e *entity, by int) {
	if e == nil {
		return
	}
	n, _ := strconv.Atoi(e.state)
	h.update(ctx, e.shown.EntityID, strconv.Itoa(n+by*number(e.attributes["step"])), nil)
}

var lightFields = map[string]field{
	"transition": {}, "brightness": {check: checkInt}, "brightness_pct": {check: checkPercent}, "brightness_step": {check: checkInt},
	"brightness_step_pct": {}, "color_name": {check: checkString}, "color_temp_kelvin": {check: checkInt}, "rgb_color": {},
	"rgbw_color": {}, "rgbww_color": {}, "hs_color": {}, "xy_color": {}, "white": {}, "profile": {check: checkString}, "flash": {},
	"effect": {check: checkString},
}

func lightOn(c *call, e *entity) (any, *failure) {
	brightness := 180
	if c.stateOf(e) == "on" {
		brightness = number(c.attribute(e, "brightness"))
	}
	if v, ok := c.data["brightness"]; ok {
		brightness = min(max(number(v), 0), 255)
	}
	if v, ok := c.data["brightness_pct"]; ok {
		brightness = (number(v)*255 + 50) / 100
	}
	if brightness == 0 {
		return lightOff(c, e)
	}
	attributes := map[string]any{"brightness": brightness}
	if c.attribute(e, "color_mode") == nil {
		attributes["color_mode"] = "color_temp"
	}
	c.set(e, "on", attributes)
	return nil, nil
}

func lightOff(c *call, e *entity) (any, *failure) {
	c.set(e, "off", map[string]any{"brightness": nil, "color_mode": nil})
	return nil, nil
}

func moveCover(state string) func(*call, *entity) (any, *failure) {
	return func(c *call, e *entity) (any, *failure) {
		c.set(e, state, map[string]any{"is_closed": state == "closed"})
		return nil, nil
	}
}

func returnToBase(c *call, e *entity) (any, *failure) {
	c.set(e, "returning", nil)
	arrived := c.home.clock.After(dockDelay)
	c.home.wg.Go(func() {
		select {
		case <-arrived:
			c.set(e, "docked", nil)
		case <-c.power.Done():
		}
	})
	return nil, nil
}

func setFanSpeed(c *call, e *entity) (any, *failure) {
	speed := text(c.data["fan_speed"])
	if speeds, _ := c.attribute(e, "fan_speed_list").([]any); slices.Contains(speeds, any(speed)) {
		c.set(e, c.stateOf(e), map[string]any{"fan_speed": speed})
	}
	return nil, nil
}

func sendMessage(c *call, e *entity) (any, *failure) {
	c.set(e, isoTime(c.home.clock.Now()), nil)
	data := map[string]any{"message": text(c.data["message"])}
	if title, ok := c.data["title"]; ok {
		data["title"] = text(title)
	}
	c.home.mu.Lock()
	defer c.home.mu.Unlock()
	c.home.fire("notify", func() any { return data }, c.ctx)
	return nil, nil
}

func notice(c *call) (any, *failure) {
	h := c.home
	n := Notification{ID: text(c.data["notification_id"]), Title: text(c.data["title"]), Message: text(c.data["message"]), Time: h.clock.Now()}
	if n.ID == "" {
		n.ID = newID()
	}
	h.dismiss(func(old Notification) bool { return old.ID == n.ID })
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.notices) == keep {
		h.notices = slices.Delete(h.notices, 0, keep/10)
	}
	h.notices = append(h.notices, n)
	return nil, nil
}

func (h *Home) dismiss(which func(Notification) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notices = slices.DeleteFunc(h.notices, which)
}

// Notifications returns the persistent notifications that the home shows,
// oldest first.
func (h *Home) Notifications() []Notification {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.notices)
}

// relay is homeassistant.turn_on and its like: each entity's own domain acts.
func relay(name, coverName string) func(*call) (any, *failure) {
	return func(c *call) (any, *failure) {
		h := c.home
		h.mu.Lock()
		found, _ := h.targets(c.data)
		byDomain := map[string][]any{}
		for _, id := range found {
			byDomain[domainOf(id)] = append(byDomain[domainOf(id)], id)
		}
		h.mu.Unlock()
		for _, domain := range slices.Sorted(maps.Keys(byDomain)) {
			service := name
			if domain == "cover" {
				service = coverName
			}
			h.mu.Lock()
			s := h.lookup(domain, service)
			h.mu.Unlock()
			if s == nil {
				continue
			}
			inner := *c
			inner.response = false
			if _, err := h.callService(inner, domain, service, map[string]any{"entity_id": byDomain[domain]}, nil); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
}

func forecast(c *call, e *entity) (any, *failure) {
	day := c.home.clock.Now().UTC().Truncate(24 * time.Hour)
	var list []any
	for i, condition := range []string{"rainy", "rainy", "cloudy", "sunny", "partlycloudy"} {
		list = append(list, map[string]any{
			"datetime": day.AddDate(0, 0, i+1).Format(time.RFC3339), "condition": condition,
			"temperature": 22 - 3*i, "templow": 12 - 2*i, "precipitation": 0, "precipitation_probability": 60 - 15*i,
		})
	}
	return map[string]any{"forecast": list}, nil
}

func checkForecast(v any) string {
	if s, ok := v.(string); !ok || s != "daily" && s != "hourly" && s != "twice_daily" {
		return "value must be one of ['daily', 'hourly', 'twice_daily']"
	}
	return ""
}

func checkString(v any) string {
	switch v.(type) {
	case nil:
		return "string value is None"
	case map[string]any, []any:
		return "value should be a string"
	}
	return ""
}

func asInt(v any) (int, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return int(f), err == nil
	case float64:
		return int(v), true
	case int:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		n, err := strconv.Atoi(strings.TrimSpace(v))
		return n, err == nil
	}
	return 0, false
}

func number(v any) int {
	n, _ := asInt(v)
	return n
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return fmt.Sprint(v)
}

func checkInt(v any) string {
	if _, ok := asInt(v); !ok {
		return "expected int"
	}
	return ""
}

func checkPercent(v any) string {
	if n, ok := asInt(v); !ok || n < 0 || n > 100 {
		return "expected a percentage between 0 and 100"
	}
	return ""
}

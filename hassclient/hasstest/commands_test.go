package hasstest_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// commandCases are commands of the WebSocket API, in order, on one connection
// for each of administrator and ordinary user. What the real home answered
// stands in testdata/commands.json.
var commandCases = []struct {
	name    string
	as      string // "user"; "": the administrator
	command string
	pick    func(result any) any // what of a long result is compared
}{
	{name: "ping", command: `{"type":"ping"}`},
	{name: "unknown command", command: `{"type":"nope"}`},
	{name: "member that nobody knows", command: `{"type":"ping","extra":1}`, pick: nil},
	{name: "current_user", command: `{"type":"auth/current_user"}`},
	{name: "current_user as user", as: "user", command: `{"type":"auth/current_user"}`},
	{name: "get_config", command: `{"type":"get_config"}`, pick: pickConfig},
	{name: "get_config as user", as: "user", command: `{"type":"get_config"}`, pick: pickConfig},
	{name: "supported_features", as: "user", command: `{"type":"supported_features","features":{}}`},

	// Services that do something. The door first: it takes its time.
	{name: "battery", command: `{"type":"call_service","domain":"input_boolean","service":"turn_on","target":{"entity_id":"input_boolean.gate_battery"}}`},
	{name: "gate shut", command: `{"type":"call_service","domain":"lock","service":"lock","target":{"entity_id":"lock.garden_gate"}}`},
	{name: "unlock", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"lock.front_door"}}`},
	{name: "unlock as user", as: "user", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"lock.front_door"}}`},
	{name: "capital letters", command: `{"type":"call_service","domain":"Lock","service":"Unlock","target":{"entity_id":"lock.garden_gate"}}`},
	{name: "target in service_data", command: `{"type":"call_service","domain":"lock","service":"lock","service_data":{"entity_id":"lock.garden_gate","code":12}}`},
	{name: "open", command: `{"type":"call_service","domain":"lock","service":"open","target":{"entity_id":"lock.openable_lock"}}`},
	{name: "several targets", command: `{"type":"call_service","domain":"light","service":"toggle","target":{"entity_id":["light.bed_light","light.kitchen_lights"]}}`},
	{name: "light with data", command: `{"type":"call_service","domain":"light","service":"turn_on","target":{"entity_id":"light.bed_light"},"service_data":{"brightness_pct":50}}`},
	{name: "cover", command: `{"type":"call_service","domain":"cover","service":"open_cover","target":{"entity_id":"cover.garage_door"}}`},
	{name: "vacuum", command: `{"type":"call_service","domain":"vacuum","service":"start","target":{"entity_id":"vacuum.demo_vacuum_0_ground_floor"}}`},
	{name: "notify.send_message", command: `{"type":"call_service","domain":"notify","service":"send_message","target":{"entity_id":"notify.notifier"},"service_data":{"message":"hello","title":"T"}}`},
	{name: "notify.send_message without message", command: `{"type":"call_service","domain":"notify","service":"send_message","target":{"entity_id":"notify.notifier"}}`},
	{name: "persistent notification", as: "user", command: `{"type":"call_service","domain":"persistent_notification","service":"create","service_data":{"message":"hello","notification_id":"x"}}`},
	{name: "persistent notification without message", command: `{"type":"call_service","domain":"persistent_notification","service":"create","service_data":{"title":"hello"}}`},
	{name: "persistent notification with data", command: `{"type":"call_service","domain":"persistent_notification","service":"create","service_data":{"message":"hello","data":{}}}`},
	{name: "homeassistant.turn_on without target", command: `{"type":"call_service","domain":"homeassistant","service":"turn_on"}`},

	// A target that is not there is a success.
	{name: "missing target", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"lock.nope"}}`},
	{name: "target of another domain", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"light.bed_light"}}`},
	{name: "missing area", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"area_id":"nope"}}`},
	{name: "no target", command: `{"type":"call_service","domain":"lock","service":"unlock"}`},
	{name: "empty target", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{}}`},
	{name: "target none", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"none"}}`},
	{name: "target no id", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"Not An Id"}}`},
	{name: "target misspelt", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity":"lock.front_door"}}`},
	{name: "target unknown", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"foo":"lock.front_door"}}`},
	{name: "target no map", command: `{"type":"call_service","domain":"lock","service":"unlock","target":"lock.front_door"}`},

	// What is refused.
	{name: "missing service", command: `{"type":"call_service","domain":"lock","service":"nope","target":{"entity_id":"lock.front_door"}}`},
	{name: "missing domain", as: "user", command: `{"type":"call_service","domain":"nope","service":"nope"}`},
	{name: "missing script", command: `{"type":"call_service","domain":"script","service":"nope"}`},
	{name: "unknown data", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"lock.front_door"},"service_data":{"nope":1}}`},
	{name: "wrong data", command: `{"type":"call_service","domain":"light","service":"turn_on","target":{"entity_id":"light.bed_light"},"service_data":{"brightness":"x"}}`},
	{name: "data out of range", command: `{"type":"call_service","domain":"light","service":"turn_on","target":{"entity_id":"light.bed_light"},"service_data":{"brightness_pct":500}}`},
	{name: "service_data no map", command: `{"type":"call_service","domain":"lock","service":"unlock","service_data":[1]}`},
	{name: "extra member", command: `{"type":"call_service","domain":"lock","service":"unlock","extra":1}`},
	{name: "no service", command: `{"type":"call_service","domain":"lock"}`},
	{name: "domain a number", command: `{"type":"call_service","domain":5,"service":"unlock"}`},
	{name: "unsupported", command: `{"type":"call_service","domain":"lock","service":"open","target":{"entity_id":"lock.front_door"}}`},
	{name: "no response to have", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"lock.front_door"},"return_response":true}`},
	{name: "response not wanted", command: `{"type":"call_service","domain":"weather","service":"get_forecasts","target":{"entity_id":"weather.demo_weather_south"},"service_data":{"type":"daily"}}`},
	{name: "response", command: `{"type":"call_service","domain":"weather","service":"get_forecasts","target":{"entity_id":"weather.demo_weather_south"},"service_data":{"type":"daily"},"return_response":true}`, pick: pickShape},
	{name: "response of nobody", command: `{"type":"call_service","domain":"weather","service":"get_forecasts","target":{"entity_id":"weather.nope"},"service_data":{"type":"daily"},"return_response":true}`},
	{name: "administrators' service as user", as: "user", command: `{"type":"call_service","domain":"homeassistant","service":"check_config"}`},
	{name: "reload as user", as: "user", command: `{"type":"call_service","domain":"input_boolean","service":"reload"}`},

	// Scripts. One that stops with an error is a success, seen from outside.
	{name: "script", command: `{"type":"call_service","domain":"script","service":"open_front_door"}`},
	{name: "script as user", as: "user", command: `{"type":"call_service","domain":"script","service":"open_front_door"}`},
	{name: "script with response", command: `{"type":"call_service","domain":"script","service":"open_front_door","return_response":true}`},
	{name: "script.turn_on", command: `{"type":"call_service","domain":"script","service":"turn_on","target":{"entity_id":"script.open_front_door"}}`},
	{name: "broken script", command: `{"type":"call_service","domain":"script","service":"broken_door"}`},
	{name: "broken notifier", command: `{"type":"call_service","domain":"script","service":"notify_broken"}`},
	{name: "notifier", command: `{"type":"call_service","domain":"script","service":"notify_host","service_data":{"title":"a","message":"b"}}`},
	{name: "trace of the broken script", command: `{"type":"trace/list","domain":"script","item_id":"broken_door"}`, pick: pickLastTrace},
	{name: "traces as user", as: "user", command: `{"type":"trace/list","domain":"script"}`},

	// Sequences.
	{name: "sequence", command: `{"type":"execute_script","sequence":[{"action":"counter.increment","target":{"entity_id":"counter.door_opens"}},{"delay":{"milliseconds":1}},{"event":"x_ev","event_data":{"a":1}}]}`},
	{name: "sequence as user", as: "user", command: `{"type":"execute_script","sequence":[]}`},
	{name: "empty sequence", command: `{"type":"execute_script","sequence":[]}`},
	{name: "sequence of one", command: `{"type":"execute_script","sequence":{"service":"counter.increment","target":{"entity_id":"counter.door_opens"}}}`},
	{name: "sequence with variables", command: `{"type":"execute_script","sequence":[{"action":"{{ svc }}","target":{"entity_id":"counter.door_opens"}}],"variables":{"svc":"counter.increment"}}`},
	{name: "sequence with response", command: `{"type":"execute_script","sequence":[{"variables":{"a":{"b":5}}},{"stop":"x","response_variable":"a"}]}`},
	{name: "sequence with condition", command: `{"type":"execute_script","sequence":[{"condition":"state","entity_id":"lock.front_door","state":"nope"},{"action":"nope.nope"}]}`},
	{name: "sequence stopped by error", command: `{"type":"execute_script","sequence":[{"stop":"jammed","error":true}]}`},
	{name: "sequence with broken script", command: `{"type":"execute_script","sequence":[{"action":"script.broken_door"}]}`},
	{name: "sequence with missing service", command: `{"type":"execute_script","sequence":[{"action":"nope.nope"}]}`},
	{name: "sequence without target", command: `{"type":"execute_script","sequence":[{"action":"lock.unlock"}]}`},
	{name: "sequence with missing target", command: `{"type":"execute_script","sequence":[{"action":"light.turn_on","target":{"entity_id":"light.nope"}}]}`},
	{name: "sequence with unknown data", command: `{"type":"execute_script","sequence":[{"action":"lock.unlock","target":{"entity_id":"lock.front_door"},"data":{"x":1}}]}`},
	{name: "sequence unsupported", command: `{"type":"execute_script","sequence":[{"action":"lock.open","target":{"entity_id":"lock.front_door"}}]}`},
	{name: "sequence going on after an error", command: `{"type":"execute_script","sequence":[{"action":"light.turn_on","continue_on_error":true,"target":{"entity_id":"light.bed_light"},"data":{"brightness_pct":500}}]}`},
	{name: "sequence without response_variable", command: `{"type":"execute_script","sequence":[{"action":"weather.get_forecasts","target":{"entity_id":"weather.demo_weather_south"},"data":{"type":"daily"}}]}`},
	{name: "no sequence", command: `{"type":"execute_script"}`},
	{name: "sequence with an empty step", command: `{"type":"execute_script","sequence":{}}`},
	{name: "sequence with an unknown step", command: `{"type":"execute_script","sequence":[{"nope":1}]}`},
	{name: "sequence with no service's name", command: `{"type":"execute_script","sequence":[{"action":"noservice"}]}`},
	{name: "sequence with a broken template", command: `{"type":"execute_script","sequence":[{"action":"light.turn_on","target":{"entity_id":"light.bed_light"},"data":{"brightness_pct":"{{ nope( }}"}}]}`},

	// Syntax.
	{name: "valid", as: "user", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","target":{"entity_id":"lock.front_door"}}]}`},
	{name: "valid: one", command: `{"type":"validate_config","actions":{"action":"lock.unlock","target":{"entity_id":"lock.front_door"}}}`},
	{name: "valid: missing service", command: `{"type":"validate_config","actions":[{"action":"nope.nope"}]}`},
	{name: "valid: nothing", command: `{"type":"validate_config","actions":[]}`},
	{name: "valid: null", command: `{"type":"validate_config","actions":null}`},
	{name: "valid: not asked", command: `{"type":"validate_config"}`},
	{name: "valid: data no map", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","data":5}]}`},
	{name: "valid: template", command: `{"type":"validate_config","actions":[{"action":"{{ x }}.y"}]}`},
	{name: "valid: capital letters", command: `{"type":"validate_config","actions":[{"action":"lock.unlock"},{"action":"Lock.Unlock"}]}`},
	{name: "valid: old spelling", command: `{"type":"validate_config","actions":[{"service":"lock.unlock","entity_id":"lock.front_door"}]}`},
	{name: "valid: every kind", command: `{"type":"validate_config","actions":[{"wait_template":"{{ true }}"},{"choose":[]},{"parallel":[]},{"repeat":{"count":2,"sequence":[]}},{"event":"x"},{"variables":{}},{"sequence":[]},{"if":[],"then":[]},{"delay":"00:01"},{"condition":"state","entity_id":"a.b","state":"on"}]}`},
	{name: "invalid: no service", command: `{"type":"validate_config","actions":[{"action":"noservice"}]}`},
	{name: "invalid: no action", as: "user", command: `{"type":"validate_config","actions":[{"nope":1}]}`},
	{name: "invalid: second step", command: `{"type":"validate_config","actions":[{"delay":1},{"nope":1}]}`},
	{name: "invalid: delay", command: `{"type":"validate_config","actions":[{"delay":"x"}]}`},
	{name: "invalid: misspelt target", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","target":{"entity":"x"}}]}`},
	{name: "invalid: no entity", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","target":{"entity_id":"Foo Bar"}}]}`},
	{name: "invalid: unknown member", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","foo":5}]}`},
	{name: "invalid: error no boolean", command: `{"type":"validate_config","actions":[{"stop":"x","error":"maybe"}]}`},
	{name: "invalid: text", command: `{"type":"validate_config","actions":"x"}`},
	{name: "invalid: number", command: `{"type":"validate_config","actions":5}`},
	{name: "invalid: template", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","data":{"code":"{{ nope( }}"}}]}`},
	{name: "invalid: both spellings", command: `{"type":"validate_config","actions":[{"service":"lock.unlock","action":"lock.unlock"}]}`},
	{name: "invalid: inner sequence", command: `{"type":"validate_config","actions":[{"sequence":[{"nope":1}]}]}`},

	// Targets.
	{name: "extract", as: "user", command: `{"type":"extract_from_target","target":{"entity_id":["lock.front_door","lock.nope"]}}`},
	{name: "extract: nothing there", command: `{"type":"extract_from_target","target":{"area_id":"kitchen","device_id":"nope","floor_id":"f","label_id":"l"}}`},
	{name: "extract: missing area", command: `{"type":"extract_from_target","target":{"area_id":"nope"}}`},
	{name: "extract: all", command: `{"type":"extract_from_target","target":{"entity_id":"all"}}`},
	{name: "extract: empty", command: `{"type":"extract_from_target","target":{}}`},
	{name: "extract: no id", command: `{"type":"extract_from_target","target":{"entity_id":"Foo Bar"}}`},
	{name: "extract: unknown", command: `{"type":"extract_from_target","target":{"foo":"Foo Bar"}}`},
	{name: "extract: no target", command: `{"type":"extract_from_target"}`},
	{name: "services for a lock", as: "user", command: `{"type":"get_services_for_target","target":{"entity_id":"lock.front_door"}}`},
	{name: "services for an openable lock", command: `{"type":"get_services_for_target","target":{"entity_id":"lock.openable_lock"}}`},
	{name: "services for a cover", command: `{"type":"get_services_for_target","target":{"entity_id":"cover.garage_door"}}`},
	{name: "services for a light", command: `{"type":"get_services_for_target","target":{"entity_id":"light.bed_light"}}`},
	{name: "services for a script", command: `{"type":"get_services_for_target","target":{"entity_id":"script.open_front_door"}}`},
	{name: "services for a counter", command: `{"type":"get_services_for_target","target":{"entity_id":"counter.door_opens"}}`},
	{name: "services for a notifier", command: `{"type":"get_services_for_target","target":{"entity_id":"notify.notifier"}}`},
	{name: "services for nobody", command: `{"type":"get_services_for_target","target":{"entity_id":"lock.nope"}}`},

	{name: "into an area", command: `{"type":"config/entity_registry/update","entity_id":"lock.garden_gate","area_id":"kitchen"}`, pick: pickArea},
	{name: "into an area as user", as: "user", command: `{"type":"config/entity_registry/update","entity_id":"lock.garden_gate","area_id":"kitchen"}`},
	{name: "into an area: nobody", command: `{"type":"config/entity_registry/update","entity_id":"lock.nope","area_id":"kitchen"}`},
	{name: "extract: area", as: "user", command: `{"type":"extract_from_target","target":{"area_id":"kitchen"}}`},
	{name: "a lock by its area", command: `{"type":"call_service","domain":"lock","service":"lock","target":{"area_id":"kitchen"}}`},
	{name: "what no lock of the area can", command: `{"type":"call_service","domain":"lock","service":"open","target":{"area_id":"kitchen"}}`},
	{name: "out of the area", command: `{"type":"config/entity_registry/update","entity_id":"lock.garden_gate","area_id":null}`, pick: pickArea},

	// Events and subscriptions.
	{name: "fire", command: `{"type":"fire_event","event_type":"x"}`},
	{name: "fire as user", as: "user", command: `{"type":"fire_event","event_type":"x"}`},
	{name: "fire nothing", command: `{"type":"fire_event"}`},
	{name: "fire a list", command: `{"type":"fire_event","event_type":"x","event_data":[]}`},
	{name: "subscribe to events as user", as: "user", command: `{"type":"subscribe_events","event_type":"x"}`},
	{name: "subscribe to all events as user", as: "user", command: `{"type":"subscribe_events"}`},
	{name: "subscribe to services as user", as: "user", command: `{"type":"subscribe_events","event_type":"service_registered"}`},
	{name: "subscribe to no entity", command: `{"type":"subscribe_entities","entity_ids":["nope"]}`},
	{name: "unsubscribe from nothing", command: `{"type":"unsubscribe_events","subscription":9999}`},
	{name: "unsubscribe", command: `{"type":"unsubscribe_events"}`},

	// The corners.
	{name: "call lock.unlock {'entity_id': null}", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":null}}`},
	{name: "call lock.unlock {'entity_id': []}", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":[]}}`},
	{name: "call lock.unlock {'entity_id': 5}", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":5}}`},
	{name: "call lock.unlock {'entity_id': ['lock.garden_gate', 5]}", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":["lock.garden_gate",5]}}`},
	{name: "call lock.unlock null", command: `{"type":"call_service","domain":"lock","service":"unlock","target":null}`},
	{name: "call lock.unlock {'area_id': null}", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"area_id":null}}`},
	{name: "call lock.unlock {'area_id': 5}", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"area_id":5}}`},
	{name: "call lock.unlock {'entity_id': 'lock.garden_gate,lock.nope'}", command: `{"type":"call_service","domain":"lock","service":"unlock","target":{"entity_id":"lock.garden_gate,lock.nope"}}`},
	{name: "call lock.unlock {'entity_id': null}", command: `{"type":"call_service","domain":"lock","service":"unlock","service_data":{"entity_id":null}}`},
	{name: "call lock.unlock {'entity_id': '{{ x }}'}", command: `{"type":"call_service","domain":"lock","service":"unlock","service_data":{"entity_id":"{{ x }}"}}`},
	{name: "valid? {'action': 'lock.unlock', 'target': {'entity_id': null}}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","target":{"entity_id":null}}]}`},
	{name: "valid? {'action': 'lock.unlock', 'target': {'entity_id': '{{ x }}'}}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","target":{"entity_id":"{{ x }}"}}]}`},
	{name: "valid? {'action': 'lock.unlock', 'target': '{{ x }}'}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","target":"{{ x }}"}]}`},
	{name: "valid? {'action': 'lock.unlock', 'target': 'x'}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","target":"x"}]}`},
	{name: "valid? {'action': 'lock.unlock', 'target': []}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","target":[]}]}`},
	{name: "valid? {'action': 'lock.unlock', 'target': {}}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","target":{}}]}`},
	{name: "valid? {'action': null}", command: `{"type":"validate_config","actions":[{"action":null}]}`},
	{name: "valid? {'action': 5}", command: `{"type":"validate_config","actions":[{"action":5}]}`},
	{name: "valid? {'action': ''}", command: `{"type":"validate_config","actions":[{"action":""}]}`},
	{name: "valid? {'action': 'lock.unlock', 'data': {'a': [{'b': '{{ x'}]}}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","data":{"a":[{"b":"{{ x"}]}}]}`},
	{name: "valid? {'delay': null}", command: `{"type":"validate_config","actions":[{"delay":null}]}`},
	{name: "valid? {'delay': {'minutes': 1, 'foo': 2}}", command: `{"type":"validate_config","actions":[{"delay":{"minutes":1,"foo":2}}]}`},
	{name: "valid? {'delay': {'minutes': 'x'}}", command: `{"type":"validate_config","actions":[{"delay":{"minutes":"x"}}]}`},
	{name: "valid? {'delay': -5}", command: `{"type":"validate_config","actions":[{"delay":-5}]}`},
	{name: "valid? {'event': 5}", command: `{"type":"validate_config","actions":[{"event":5}]}`},
	{name: "valid? {'event': 'x', 'event_data': []}", command: `{"type":"validate_config","actions":[{"event":"x","event_data":[]}]}`},
	{name: "valid? {'stop': 5}", command: `{"type":"validate_config","actions":[{"stop":5}]}`},
	{name: "valid? {'action': 'lock.unlock', 'alias': 5}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","alias":5}]}`},
	{name: "valid? {'action': 'lock.unlock', 'enabled': 'x'}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","enabled":"x"}]}`},
	{name: "valid? {'action': 'lock.unlock', 'response_variable': 'r'}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","response_variable":"r"}]}`},
	{name: "valid? {'action': 'a.b.c'}", command: `{"type":"validate_config","actions":[{"action":"a.b.c"}]}`},
	{name: "valid? {'action': 'lock.unlock', 'data': 'x'}", command: `{"type":"validate_config","actions":[{"action":"lock.unlock","data":"x"}]}`},
	{name: "extract {'target': {'entity_id': null}}", command: `{"type":"extract_from_target","target":{"entity_id":null}}`},
	{name: "subscribe {'entity_ids': null}", command: `{"type":"subscribe_entities","entity_ids":null}`},
	{name: "sequence {'sequence': [{'action': 'script.notify_broken'}, {'action': 'lock.unlock', 'target': {'entity_id': 'lock.garden_gate'}}]}", command: `{"type":"execute_script","sequence":[{"action":"script.notify_broken"},{"action":"lock.unlock","target":{"entity_id":"lock.garden_gate"}}]}`},
	{name: "call notify.send_message {'message': null}", command: `{"type":"call_service","domain":"notify","service":"send_message","target":{"entity_id":"notify.notifier"},"service_data":{"message":null}}`},
	{name: "call notify.send_message {'message': ['a']}", command: `{"type":"call_service","domain":"notify","service":"send_message","target":{"entity_id":"notify.notifier"},"service_data":{"message":["a"]}}`},
	{name: "call notify.send_message {'message': 'a', 'data': {'x': 1}}", command: `{"type":"call_service","domain":"notify","service":"send_message","target":{"entity_id":"notify.notifier"},"service_data":{"message":"a","data":{"x":1}}}`},
	{name: "call notify.notify {'message': 'a', 'foo': 1}", command: `{"type":"call_service","domain":"notify","service":"notify","service_data":{"message":"a","foo":1}}`},
	{name: "call persistent_notification.create {'message': 5}", command: `{"type":"call_service","domain":"persistent_notification","service":"create","service_data":{"message":5}}`},
	{name: "call counter.set_value {'value': -1}", command: `{"type":"call_service","domain":"counter","service":"set_value","target":{"entity_id":"counter.door_opens"},"service_data":{"value":-1}}`},
	{name: "call counter.set_value {'value': 'x'}", command: `{"type":"call_service","domain":"counter","service":"set_value","target":{"entity_id":"counter.door_opens"},"service_data":{"value":"x"}}`},
	{name: "call vacuum.set_fan_speed {'entity_id': 'vacuum.demo_vacuum_0_ground_floor'}", command: `{"type":"call_service","domain":"vacuum","service":"set_fan_speed","target":{"entity_id":"vacuum.demo_vacuum_0_ground_floor"}}`},

	// What the home has.
	{name: "states", as: "user", command: `{"type":"get_states"}`, pick: pickStates},
	{name: "services", as: "user", command: `{"type":"get_services"}`, pick: pickServices},
	{name: "entity registry", as: "user", command: `{"type":"config/entity_registry/list"}`, pick: pickEntities("entity_id")},
	{name: "entity registry for display", as: "user", command: `{"type":"config/entity_registry/list_for_display"}`, pick: pickDisplay},
	{name: "device registry", as: "user", command: `{"type":"config/device_registry/list"}`, pick: pickDevice},
	{name: "area registry", as: "user", command: `{"type":"config/area_registry/list"}`},
	{name: "users", command: `{"type":"config/auth/list"}`, pick: pickUsers},
	{name: "users as user", as: "user", command: `{"type":"config/auth/list"}`},
	{name: "http", command: `{"type":"http/config"}`, pick: pickHTTP},
	{name: "http as user", as: "user", command: `{"type":"http/config"}`},
}

func TestCommands(t *testing.T) {
	both(t, func(t *testing.T, h aHome) {
		g := openGolden(t, h, "commands")
		sockets := map[string]*socket{"": h.login(t, ""), "user": h.login(t, "user")}
		for _, c := range commandCases {
			t.Run(c.name, func(t *testing.T) {
				s := sockets[c.as]
				s.t = t
				s.ws.SetReadLimit(-1)
				answer, _ := s.ask(c.command)
				if c.pick != nil && answer["success"] == true {
					answer["result"] = c.pick(answer["result"])
				}
				g.check(t, c.name, answer)
			})
		}
	})
}

func pickConfig(v any) any {
	m := v.(map[string]any)
	for _, k := range []string{"config_dir", "allowlist_external_dirs", "whitelist_external_dirs"} {
		if m[k] != nil {
			m[k] = "<varies>"
		}
	}
	has := map[string]any{}
	for _, c := range m["components"].([]any) {
		if c == "script" || c == "lock" || c == "http" {
			has[c.(string)] = true
		}
	}
	m["components"] = has
	return m
}

// pickShape keeps names and types.
func pickShape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = pickShape(x)
		}
		return out
	case []any:
		if len(v) > 0 {
			return []any{pickShape(v[0])}
		}
		return v
	case string:
		return "<text>"
	case float64:
		return "<number>"
	}
	return v
}

// shared says whether both homes have an entity.
func shared(id string) bool {
	domain, _, _ := strings.Cut(id, ".")
	switch domain {
	case "script", "lock", "light", "vacuum", "switch", "counter", "notify", "input_boolean":
		return true
	}
	return id == "cover.garage_door" || id == "weather.demo_weather_south" || id == "zone.home"
}

func pickStates(v any) any {
	out := map[string]any{}
	for _, s := range v.([]any) {
		m := s.(map[string]any)
		id := m["entity_id"].(string)
		if !shared(id) {
			continue
		}
		attributes := m["attributes"].(map[string]any)
		lasting := map[string]any{}
		for _, k := range []string{"friendly_name", "supported_features", "device_class", "mode", "max", "step", "editable"} {
			if x, ok := attributes[k]; ok {
				lasting[k] = x
			}
		}
		delete(m, "state")
		m["attributes"] = lasting
		m["context"] = pickShape(map[string]any{"id": m["context"].(map[string]any)["id"]})
		out[id] = m
	}
	return out
}

func pickServices(v any) any {
	out := map[string]any{}
	for domain, services := range v.(map[string]any) {
		for name, s := range services.(map[string]any) {
			if memoryServices[domain+"."+name] || domain == "script" {
				out[domain+"."+name] = withoutProse(s)
			}
		}
	}
	return out
}

// memoryServices are the services that the home in memory has.
var memoryServices = func() map[string]bool {
	var described map[string]map[string]any
	b, err := os.ReadFile("services.json")
	if err == nil {
		err = json.Unmarshal(b, &described)
	}
	if err != nil {
		panic(err)
	}
	names := map[string]bool{}
	for domain, services := range described {
		for name := range services {
			names[domain+"."+name] = true
		}
	}
	return names
}()

func withoutProse(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, x := range m {
		if _, text := x.(string); k == "example" || k == "description" || k == "name" && text || k == "advanced" {
			continue
		}
		out[k] = withoutProse(x)
	}
	return out
}

// pickEntities keeps what says which entity it is.
func pickEntities(key string) func(v any) any {
	return func(v any) any {
		out := map[string]any{}
		for _, e := range v.([]any) {
			m := e.(map[string]any)
			id := m[key].(string)
			if !shared(id) {
				continue
			}
			kept := map[string]any{"members": keys(m)}
			for _, k := range []string{"platform", "unique_id", "original_name", "name", "disabled_by"} {
				kept[k] = m[k]
			}
			out[id] = kept
		}
		return out
	}
}

func pickDisplay(v any) any {
	m := v.(map[string]any)
	out := map[string]any{}
	for _, e := range m["entities"].([]any) {
		entity := e.(map[string]any)
		if id := entity["ei"].(string); shared(id) {
			delete(entity, "tk") // translations are not kept
			out[id] = entity
		}
	}
	m["entities"] = out
	return m
}

func pickArea(v any) any {
	return v.(map[string]any)["entity_entry"].(map[string]any)["area_id"]
}

func pickDevice(v any) any {
	for _, d := range v.([]any) {
		m := d.(map[string]any)
		if m["name"] == "Garage Door" {
			return map[string]any{"members": keys(m), "identifiers": m["identifiers"], "area_id": m["area_id"]}
		}
	}
	return nil
}

func pickUsers(v any) any {
	out := []any{}
	for _, u := range v.([]any) {
		switch u.(map[string]any)["name"] {
		case "Owner", "Resident", "Home Assistant Content":
			out = append(out, u)
		}
	}
	return out
}

func pickHTTP(v any) any {
	for _, k := range []string{"stable", "default"} {
		m := v.(map[string]any)[k].(map[string]any)
		delete(m, "server_port")
		delete(m, "server_host")
	}
	return v
}

func pickLastTrace(v any) any {
	list := v.([]any)
	return list[len(list)-1]
}

func keys(m map[string]any) []any {
	list := []any{}
	for k := range m {
		list = append(list, k)
	}
	return list
}

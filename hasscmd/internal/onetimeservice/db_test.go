package onetimeservice

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Files as the versions of One Time Service write them.
const (
	version01 = `{
    "macros": {
        "Open the door": {
            "service": "lock.unlock",
            "data": {
                "entity_id": "lock.front_door"
            }
        }
    },
    "tokens": {
        "kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi": {
            "macro_name": "Open the door",
            "created": "2022-08-20T15:04:05.123456789+02:00",
            "expires": null,
            "comment": null
        }
    }
}`
	version02 = `{
    "macros": {
        "Open the door": {
            "service": "lock.unlock",
            "data": {
                "entity_id": "lock.front_door"
            }
        }
    },
    "tokens": {
        "kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi": {
            "macro_name": "Open the door",
            "created": "2023-08-20T15:04:05.123456789+02:00",
            "expires": "2027-01-01T11:00:00Z",
            "uses_max": 5,
            "uses_left": 3,
            "comment": "For Svenja"
        }
    }
}`
	version04 = `{
    "service_calls": {
        "Open the door": {
            "service": "lock.unlock",
            "data": {
                "code": "0815",
                "entity_id": [
                    "lock.front_door"
                ]
            }
        },
        "Vacuum": {
            "service": "vacuum.start",
            "data": {
                "area_id": "hall"
            }
        },
        "Welcome": {
            "service": "script.welcome",
            "data": {}
        }
    },
    "tokens": {
        "ZbtyMXwNCSrfhGjeWqARTikUovLIdpQa": {
            "service_call_name": "Vacuum",
            "created": "2025-08-21T15:04:05+02:00",
            "expires": null,
            "uses_max": 2,
            "uses_left": 0,
            "comment": null
        },
        "kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi": {
            "service_call_name": "Open the door",
            "created": "2025-08-20T15:04:05.123456789+02:00",
            "expires": "2027-01-01T11:00:00.000Z",
            "uses_max": 5,
            "uses_left": 3,
            "comment": "For Svenja"
        }
    }
}`
)

func read(t *testing.T, text string) onetime.Batch {
	t.Helper()
	b, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVersions(t *testing.T) {
	expires := time.Date(2027, 1, 1, 11, 0, 0, 0, time.UTC)
	created := func(year int) time.Time { return time.Date(year, 8, 20, 13, 4, 5, 123456789, time.UTC) }
	const door = "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"
	for _, c := range []struct {
		name, text string
		definition string
		token      onetime.BatchToken
	}{
		{"0.1", version01, door, onetime.BatchToken{Created: created(2022), UsesMax: 1, UsesLeft: 1}},
		{"0.2", version02, door, onetime.BatchToken{Created: created(2023), Expires: &expires, UsesMax: 5, UsesLeft: 3, Comment: "For Svenja"}},
		{"0.4", version04, "action: lock.unlock\ntarget:\n  entity_id:\n    - lock.front_door\ndata:\n  code: \"0815\"\n",
			onetime.BatchToken{Created: created(2025), Expires: &expires, UsesMax: 5, UsesLeft: 3, Comment: "For Svenja"}},
		{"0.4 with a mark", "\uFEFF" + version04, "action: lock.unlock\ntarget:\n  entity_id:\n    - lock.front_door\ndata:\n  code: \"0815\"\n",
			onetime.BatchToken{Created: created(2025), Expires: &expires, UsesMax: 5, UsesLeft: 3, Comment: "For Svenja"}},
	} {
		b := read(t, c.text)
		if b.Class != onetime.ClassOneTimeService || b.By.ID != "one-time-service import" {
			t.Errorf("%s: %+v", c.name, b)
		}
		if a := b.Actions[0]; a.Name != "Open the door" || a.Refused != "" || a.Definitions[0] != c.definition {
			t.Errorf("%s: %+v", c.name, a)
		}
		got := b.Tokens[0]
		c.token.Code, c.token.Action = "kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi", "Open the door"
		got.Created = got.Created.UTC()
		if !reflect.DeepEqual(got, c.token) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.token)
		}
	}

	b := read(t, version04)
	if got := b.Actions[1].Definitions; len(got) != 2 || got[0] != "action: vacuum.start\ntarget:\n  area_id: hall\n" || got[1] != "action: vacuum.start\ndata:\n  area_id: hall\n" {
		t.Errorf("got %q", got)
	}
	if got := b.Actions[2].Definitions; len(got) != 1 || got[0] != "action: script.welcome\n" {
		t.Errorf("got %q", got)
	}
	if got := b.Tokens[1]; got.Action != "Vacuum" || got.UsesLeft != 0 || got.UsesMax != 2 {
		t.Errorf("got %+v", got)
	}
	if b := read(t, `{ "service_calls": {}, "tokens": {} }`); len(b.Actions)+len(b.Tokens) != 0 {
		t.Errorf("a new file: %+v", b)
	}
	if b := read(t, `{ "service_calls": null, "tokens": null }`); len(b.Actions)+len(b.Tokens) != 0 {
		t.Errorf("an emptied file: %+v", b)
	}
}

// What Home Assistant is asked is what One Time Service has asked it.
func TestDataIsKept(t *testing.T) {
	const data = `{"entity_id":"light.hall","a":"on","b":true,"c":255,"d":0.5,"e":9007199254740993,"f":"0x1F","g":"12:30:00","h":null,
		"i":[1,"1",{"x":["no"]}],"j":"two\nlines\n","k":"# no comment","l":"2026-01-01","m":"","n":"1e3","o":"~","p":"ümläut 🚪","q":"1_000","r":" x ","s":{}}`
	b := read(t, `{"service_calls":{"a":{"service":"light.turn_on","data":`+data+`}},"tokens":{}}`)
	def, err := onetime.Parse(b.Actions[0].Definitions[0])
	if err != nil {
		t.Fatal(err, b.Actions[0].Definitions[0])
	}
	got := map[string]any{}
	for k, v := range def.Single.Data {
		got[k] = v
	}
	if !reflect.DeepEqual(def.Single.Target.Entities, []string{"light.hall"}) {
		t.Errorf("got %+v", def.Single.Target)
	}
	delete(got, "entity_id")
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var back, want map[string]any
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(data), &want); err != nil {
		t.Fatal(err)
	}
	delete(want, "entity_id")
	if !reflect.DeepEqual(back, want) {
		t.Errorf("got  %v\nwant %v\n%s", back, want, b.Actions[0].Definitions[0])
	}
	if !strings.Contains(string(text), "9007199254740993") {
		t.Error("a large number lost digits")
	}
}

// One odd thing does not keep the others out.
func TestOddThings(t *testing.T) {
	b := read(t, `{"service_calls":{
		"a":null, "b":{"data":{}}, "c":{"service":"light.turn_on","data":[1]}, "d":{"service":"light.turn_on"}},
	"tokens":{
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":null,
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb":{"service_call_name":"d","expires":"tomorrow","uses_max":1,"uses_left":1},
		"cccccccccccccccccccccccccccccccc":{"uses_max":1,"uses_left":1},
		"dddddddddddddddddddddddddddddddd":{"service_call_name":"d","created":"then","uses_max":1},
		"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee":{"service_call_name":"d","created":"then","uses_max":-3,"uses_left":-4},
		"ffffffffffffffffffffffffffffffff":{"service_call_name":"d","uses_max":9223372036854775807,"uses_left":9223372036854775807}}}`)
	for i, refused := range []bool{true, true, true, false} {
		if a := b.Actions[i]; (a.Refused != "") != refused || refused == (len(a.Definitions) > 0) {
			t.Errorf("%+v", a)
		}
	}
	for i, refused := range []bool{true, true, true, true, false, false} {
		if tok := b.Tokens[i]; (tok.Refused != "") != refused {
			t.Errorf("%+v", tok)
		}
	}
	if tok := b.Tokens[4]; tok.UsesMax != 0 || tok.UsesLeft != 0 {
		t.Errorf("%+v", tok)
	}
	if tok := b.Tokens[5]; tok.UsesMax != onetime.MaxUses {
		t.Errorf("%+v", tok)
	}
}

// What cannot be read is refused whole, and no error quotes it.
func TestUnreadable(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "empty"},
		"blank":         {" \n", "empty"},
		"cut off":       {version04[:700], "cut off"},
		"no JSON":       {"{\n  \"tokens\": kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi\n}", "line 2"},
		"a list":        {"[]", "JSON object"},
		"something":     {`{"version":1}`, "not the database"},
		"tokens only":   {`{"tokens":{}}`, "not the database"},
		"tokens a map":  {"{\"macros\":{},\n\"tokens\":{\"kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi\":{\"uses_max\":\"many\"}}}", "line 2"},
		"tokens a list": {`{"macros":{},"tokens":["kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi"]}`, "JSON object"},
		"too large":     {strings.Repeat(" ", MaxSize+1), "MiB"},
	} {
		_, err := Read(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "kUov") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

package hassclient

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestEnvelopes(t *testing.T) {
	read := func(b string) (list []envelope, err error) {
		err = eachMessage([]byte(b), func(env *envelope) { list = append(list, *env) })
		return list, err
	}
	for b, want := range map[string][]envelope{
		` {"id" : 7 , "type":"result","success":true , "result":{"a":"}]\"","b":[1,{"c":"\\"}]} } `: {
			{ID: 7, Type: "result", Success: true, Result: json.RawMessage(`{"a":"}]\"","b":[1,{"c":"\\"}]}`)},
		},
		`{"type":"event","event":{"a":{}},"id":18446744073709551615}`: {
			{ID: 1<<64 - 1, Type: "event", Event: json.RawMessage(`{"a":{}}`)},
		},
		`{"id":null,"type":"result","success":false,"error":{"code":"x"}}`: {
			{Type: "result", Error: json.RawMessage(`{"code":"x"}`)},
		},
		"[\n{\"id\":1,\"type\":\"result\",\"success\":true,\"result\":null}\t,\r\n {\"type\":\"pong\",\"id\":2,\"x\":[[],{}]} ]": {
			{ID: 1, Type: "result", Success: true, Result: json.RawMessage(`null`)}, {ID: 2, Type: "pong"},
		},
		`[]`: nil,
		`{"type":"auth_invalid","message":"say \"please\" ü"}`: {{Type: "auth_invalid", Message: `say "please" ü`}},
		`{"type":"auth_ok","ha_version":"2026.11.0"}`:          {{Type: "auth_ok", Version: "2026.11.0"}},
	} {
		got, err := read(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", b, got, err)
		}
	}
	for _, b := range []string{
		"", " ", "null", "1", `"x"`, "{}", `{"type":7}`, `{"id":1.5,"type":"x"}`, `{"id":"1","type":"x"}`, `{"id":-1,"type":"x"}`,
		`{"id":99999999999999999999,"type":"x"}`, `{"id":1,"type":"result"}`, `{"id":1,"type":"result","success":1}`,
		`[{"type":"x"},null]`, `[[{"type":"x"}]]`, `{"type":"x"}{"type":"x"}`, `{"type":"x"`, "\xff", strings.Repeat("[", 1<<20),
	} {
		if got, err := read(b); err == nil {
			t.Errorf("%.40q is read as %+v", b, got)
		}
	}
}

// Whatever a home sends: no panic, and what is read is what encoding/json reads.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"type":"result","success":true,"result":{"context":{"id":"01X","user_id":null},"response":{"a":[1,2]}}}`,
		`[{"id":1,"type":"result","success":false,"error":{"code":"not_found","message":"Service \"x\" not found."}}]`,
		`{"id":2,"type":"event","event":{"a":{"lock.a":{"s":"locked","a":{"n":1},"c":"01","lc":1.5}},"c":{"lock.a":{"+":{"s":"x"},"-":{"a":["n"]}}},"r":["x"]}}`,
		"\x00\xff{\"id\":1,]<html>", ` [ ] `, `{"":"\\\""}`, `{"type":"auth_required","ha_version":"2026.11.0"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		states := map[string]State{"lock.a": {EntityID: "lock.a", State: "on"}}
		first := true
		err := eachMessage(b, func(env *envelope) {
			for _, raw := range []json.RawMessage{env.Result, env.Error, env.Event} {
				if raw != nil && !json.Valid(raw) {
					t.Fatalf("a part is cut wrongly: %q of %q", raw, b)
				}
			}
			commandError(env.Error)
			_ = unquote(member(member(env.Result, "context"), "id"))
			var ev stateEvent
			if json.Unmarshal(env.Event, &ev) == nil {
				ev.apply(states)
			}
			var object map[string]json.RawMessage
			if first && json.Unmarshal(b, &object) == nil && strings.Count(string(b), `"result"`) < 2 && !strings.Contains(string(b), `\`) {
				if want, got := string(object["result"]), string(env.Result); want != got && strings.Count(string(b), "result") < 2 {
					t.Fatalf("result is %q, want %q", got, want)
				}
			}
			first = false
		})
		if err == nil && !json.Valid(b) {
			t.Fatalf("taken for JSON: %q", b)
		}
		for id, s := range states {
			if s.EntityID != id {
				t.Fatalf("%q is at %q", s.EntityID, id)
			}
		}
	})
}

func FuzzServiceCall(f *testing.F) {
	f.Add("lock", "unlock", "entity_id", "lock.front_door")
	f.Add("a\"b", "\\", "\x00", "</script>\u2028\xff")
	f.Fuzz(func(t *testing.T, domain, service, key, value string) {
		sc := ServiceCall{Domain: domain, Service: service, Data: map[string]any{key: value}}
		b, err := sc.encode()
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			ID              int
			Type            string
			Domain, Service string
			Data            map[string]string `json:"service_data"`
		}
		if err := json.Unmarshal(append([]byte(`{"id":1,`), b...), &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		clean := func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
		if got.Type != "call_service" || len(got.Data) != 1 || len(clean(got.Domain)) != len(got.Domain) {
			t.Fatalf("%q: %+v", b, got)
		}
		if clean(domain) == domain && got.Domain != domain || clean(service) == service && got.Service != service {
			t.Fatalf("%q: %+v", b, got)
		}
	})
}

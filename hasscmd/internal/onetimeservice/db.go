// Package onetimeservice reads the database of One Time Service, an app (add-on)
// of Home Assistant for one-time tokens: the file db.json, in the format of each
// of its versions from 0.1.0 to 0.4.0.
//
//	version  actions under   a token names its action by  counts of uses
//	0.1      macros          macro_name                   none: it works once
//	0.2      macros          macro_name                   uses_max, uses_left
//	0.3, 0.4 service_calls   service_call_name            uses_max, uses_left
//
// A token's key is its code: 32 letters.
package onetimeservice

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// MaxSize is the largest file that Read takes, in bytes.
const MaxSize = 16 << 20

// By is who is said to have made what comes from such a file.
var By = onetime.Person{ID: "one-time-service import", Name: "One Time Service (import)"}

type database struct {
	ServiceCalls map[string]*serviceCall `json:"service_calls"`
	Macros       map[string]*serviceCall `json:"macros"`
	Tokens       map[string]*token       `json:"tokens"`
}

type serviceCall struct {
	Service string `json:"service"`
	Data    any    `json:"data"`
}

// token has pointers where a version may lack the member. Times are read one by
// one, so that a bad one spoils one token only.
type token struct {
	ServiceCallName *string `json:"service_call_name"`
	MacroName       *string `json:"macro_name"`
	Created         *string `json:"created"`
	Expires         *string `json:"expires"`
	Comment         *string `json:"comment"`
	UsesMax         *int64  `json:"uses_max"`
	UsesLeft        *int64  `json:"uses_left"`
}

// Read reads a db.json. Actions are sorted by name, tokens by when they were
// made. Errors say what is wrong with the file, and never name a code.
func Read(r io.Reader) (onetime.Batch, error) {
	batch := onetime.Batch{Class: onetime.ClassOneTimeService, By: By}
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return batch, err
	}
	if len(text) > MaxSize {
		return batch, fmt.Errorf("it is larger than %d MiB", MaxSize>>20)
	}
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // editors on Windows write it
	db, err := parse(text)
	if err != nil {
		return batch, err
	}

	calls := maps.Clone(db.Macros)
	if calls == nil {
		calls = make(map[string]*serviceCall)
	}
	maps.Copy(calls, db.ServiceCalls)
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		batch.Actions = append(batch.Actions, action(name, calls[name]))
	}
	for code, t := range db.Tokens {
		batch.Tokens = append(batch.Tokens, t.batchToken(code))
	}
	slices.SortFunc(batch.Tokens, func(a, b onetime.BatchToken) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Code, b.Code))
	})
	return batch, nil
}

func parse(text []byte) (*database, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("it is empty")
	}
	// Which members there are tells whether it is such a file at all.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, notJSON(text, err)
	}
	_, calls := members["service_calls"]
	_, macros := members["macros"]
	if _, tokens := members["tokens"]; !tokens || !calls && !macros {
		return nil, errors.New(`it has no "tokens" and "service_calls" (or "macros"): it is not the database of One Time Service, which is share/one-time-service/db.json`)
	}
	db := new(database)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // large numbers keep their digits
	if err := decoder.Decode(db); err != nil {
		return nil, notJSON(text, err)
	}
	return db, nil
}

// notJSON says where the file ceases to be readable, without a word of it: what
// stands there may be a code.
func notJSON(text []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
		if int(syntax.Offset) >= len(text) {
			return fmt.Errorf("it is cut off: the file ends in line %d, in the middle of it", line)
		}
		return fmt.Errorf("it is not JSON: line %d cannot be read", line)
	case errors.As(err, &kind):
		line := 1 + bytes.Count(text[:min(int(kind.Offset), len(text))], []byte("\n"))
		return fmt.Errorf("line %d is not as One Time Service writes it: %s instead of %s", line, kind.Value, kindName(kind))
	}
	return errors.New("it is not JSON")
}

func kindName(e *json.UnmarshalTypeError) string {
	switch name := e.Type.String(); {
	case strings.HasPrefix(name, "int"):
		return "whole number"
	case name == "string":
		return "string"
	}
	return "JSON object"
}

// targetWords are the members that Home Assistant keeps under target. One Time
// Service moved them into data, since the REST API knows no target.
var targetWords = []string{"entity_id", "device_id", "area_id", "floor_id", "label_id"}

func action(name string, call *serviceCall) onetime.BatchAction {
	a := onetime.BatchAction{Name: name}
	if call == nil || call.Service == "" {
		a.Refused = "it says no service"
		return a
	}
	var data map[string]any
	switch d := plainNumbers(call.Data).(type) {
	case nil:
	case map[string]any:
		data = d
	default:
		a.Refused = "its data is not a mapping"
		return a
	}
	target, rest := map[string]any{}, map[string]any{}
	for key, value := range data {
		if slices.Contains(targetWords, key) {
			target[key] = value
		} else {
			rest[key] = value
		}
	}
	definition := func(target, data map[string]any) {
		text, err := write(call.Service, target, data)
		if err != nil {
			a.Refused = "its data cannot be written as YAML: " + err.Error()
			return
		}
		a.Definitions = append(a.Definitions, text)
	}
	definition(target, rest)
	if len(target) > 0 {
		// A few services have a field of that name, and no target.
		definition(nil, data)
	}
	return a
}

// write writes an action as Home Assistant's developer tools show it.
func write(service string, target, data map[string]any) (string, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	type step struct {
		Action string         `yaml:"action"`
		Target map[string]any `yaml:"target,omitempty"`
		Data   map[string]any `yaml:"data,omitempty"`
	}
	err := enc.Encode(step{service, target, data})
	return out.String(), errors.Join(err, enc.Close())
}

// plainNumbers makes numbers of JSON those that YAML writes.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case map[string]any:
		for k, e := range v {
			v[k] = plainNumbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plainNumbers(e)
		}
	}
	return v
}

func (t *token) batchToken(code string) onetime.BatchToken {
	b := onetime.BatchToken{Code: code}
	if t == nil {
		b.Refused = "it is empty"
		return b
	}
	b.Comment = text(t.Comment)
	b.Action = cmp.Or(text(t.ServiceCallName), text(t.MacroName))
	var ok bool
	if b.Created, ok = when(text(t.Created)); !ok {
		b.Created = time.Time{} // it is only shown
	}
	if expires := text(t.Expires); expires != "" {
		at, ok := when(expires)
		if !ok {
			b.Refused = "when it expires cannot be read: " + strconv.Quote(expires[:min(len(expires), 40)])
		}
		b.Expires = &at
	}
	switch {
	case b.Action == "":
		b.Refused = "it names no action"
	case t.UsesMax == nil && t.UsesLeft == nil:
		b.UsesMax, b.UsesLeft = 1, 1 // 0.1: deleted as soon as it was used
	case t.UsesLeft == nil:
		b.Refused = "it does not say how many uses are left"
	default:
		b.UsesLeft = count(*t.UsesLeft)
		if t.UsesMax != nil {
			b.UsesMax = count(*t.UsesMax)
		}
	}
	return b
}

// count keeps a number within what a link can have.
func count(n int64) int { return int(min(max(n, 0), onetime.MaxUses)) }

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// when reads a time as Go's JSON writes it.
func when(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

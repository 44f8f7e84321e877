package hassclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// envelope is what all of a home's messages have in common. The raw parts lie in
// the message's buffer: who keeps them copies them.
type envelope struct {
	ID      uint64
	Type    string
	Success bool
	Result  json.RawMessage
	Error   json.RawMessage
	Event   json.RawMessage
	Message string // of auth_invalid
	Version string // of auth_required and auth_ok
}

var errNotAMessage = errors.New("not a message of Home Assistant's")

// eachMessage reads one WebSocket message: a JSON object, or, where coalesced, a
// list of them. It looks at each byte twice and builds nothing but envelopes.
func eachMessage(b []byte, fn func(*envelope)) error {
	if !json.Valid(b) {
		return fmt.Errorf("%w: not JSON", errNotAMessage)
	}
	var env envelope
	switch i := skipSpace(b, 0); b[i] {
	case '{':
		if err := env.parse(b[i:]); err != nil {
			return err
		}
		fn(&env)
		return nil
	case '[':
		for i = skipSpace(b, i+1); b[i] != ']'; {
			end := skipValue(b, i)
			if b[i] != '{' {
				return errNotAMessage
			}
			if err := env.parse(b[i:end]); err != nil {
				return err
			}
			fn(&env)
			if i = skipSpace(b, end); b[i] == ',' {
				i = skipSpace(b, i+1)
			}
		}
		return nil
	}
	return errNotAMessage
}

// parse reads a valid JSON object.
func (env *envelope) parse(b []byte) error {
	*env = envelope{}
	var err error
	var judged bool
	eachMember(b, func(key, value []byte) {
		switch string(key) {
		case `"id"`:
			if string(value) == "null" { // an answer to what it could not read
				return
			}
			id, e := strconv.ParseUint(string(value), 10, 64)
			if e != nil {
				err = fmt.Errorf("%w: its id is not a number", errNotAMessage)
			}
			env.ID = id
		case `"type"`:
			env.Type = messageType(value)
		case `"success"`:
			env.Success = string(value) == "true"
			judged = env.Success || string(value) == "false"
		case `"result"`:
			env.Result = value
		case `"error"`:
			env.Error = value
		case `"event"`:
			env.Event = value
		case `"message"`:
			env.Message = unquote(value)
		case `"ha_version"`:
			env.Version = unquote(value)
		}
	})
	switch {
	case err != nil:
		return err
	case env.Type == "":
		return fmt.Errorf("%w: it has no type", errNotAMessage)
	case env.Type == "result" && !judged:
		return fmt.Errorf("%w: a result of neither success nor failure", errNotAMessage)
	}
	return nil
}

// messageType is unquote without allocating for the usual two.
func messageType(value []byte) string {
	switch string(value) {
	case `"result"`:
		return "result"
	case `"event"`:
		return "event"
	}
	return unquote(value)
}

// member returns the named member of a valid JSON value; nil where it is not an
// object or has no such member.
func member(b []byte, name string) (found json.RawMessage) {
	eachMember(b, func(key, value []byte) {
		if string(key[1:len(key)-1]) == name {
			found = value
		}
	})
	return found
}

// eachMember calls fn for the members of a valid JSON object, with the key still
// in its quotes. Any other value has none.
func eachMember(b []byte, fn func(key, value []byte)) {
	if len(b) == 0 {
		return
	}
	i := skipSpace(b, 0)
	if b[i] != '{' {
		return
	}
	for i = skipSpace(b, i+1); b[i] != '}'; {
		end := skipValue(b, i)
		key := b[i:end]
		i = skipSpace(b, end) // at the colon
		i = skipSpace(b, i+1)
		end = skipValue(b, i)
		fn(key, b[i:end:end])
		if i = skipSpace(b, end); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// skipValue returns where the value ends that begins at i, in valid JSON.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; ; {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// unquote reads a JSON string; anything else is empty.
func unquote(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	if inner := value[1 : len(value)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(value, &s) // valid, as the whole message is
	return s
}

// commandError reads the error of a result.
func commandError(b []byte) *CommandError {
	e := &CommandError{Code: unquote(member(b, "code")), Message: unquote(member(b, "message"))}
	if e.Code == "" {
		e.Code = CodeUnknownError
	}
	return e
}

// command encodes a command as it follows its id: `"type":"…",…}`.
func command(typ string, fields map[string]any) ([]byte, error) {
	b, err := json.Marshal(typ)
	if err != nil {
		return nil, err
	}
	b = append([]byte(`"type":`), b...)
	for key, value := range fields {
		if key == "id" || key == "type" {
			continue
		}
		if b, err = appendMember(b, key, value); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendMember(b []byte, key string, value any) ([]byte, error) {
	v, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	b = append(b, ',')
	b = appendString(b, key)
	b = append(b, ':')
	return append(b, v...), nil
}

// appendString appends a JSON string; the names of services need no more than
// the quotes.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, _ := json.Marshal(s) // a string always encodes
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

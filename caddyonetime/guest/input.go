package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// maxBody is how much of a request's body is read, in bytes.
const maxBody = 64 << 10

// maxRevision is more than any revision is long, in bytes.
const maxRevision = 64

// input is what a POST says.
type input struct{ action, key, seen string }

// readInput reads the body and the Idempotency-Key header.
func readInput(r *request) (in input, p *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return in, &problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
			Detail: fmt.Sprintf("The body is longer than %d bytes.", maxBody)}
	case err != nil:
		return in, badInput("", "The body cannot be read.")
	}
	fields, p := parseBody(r.Header.Get("Content-Type"), body)
	if p != nil {
		return in, p
	}
	in.action = fields["action"]
	if action, ok := fields["action"]; ok && !onetime.ValidActionName(action) {
		return in, badInput("action", "That is no action's name.")
	}
	if in.seen = fields["revision"]; len(in.seen) > maxRevision {
		return in, badInput("revision", fmt.Sprintf("A revision has at most %d characters.", maxRevision))
	}
	key, ok := fields["nonce"]
	if ok {
		if p := checkKey("nonce", key); p != nil {
			return in, p
		}
		in.key = key
	}
	if headers := r.Header.Values("Idempotency-Key"); len(headers) > 0 {
		if len(headers) > 1 {
			return in, badInput("Idempotency-Key", "Send one Idempotency-Key.")
		}
		if p := checkKey("Idempotency-Key", headers[0]); p != nil {
			return in, p
		}
		if ok && key != headers[0] {
			return in, badInput("nonce", "nonce and Idempotency-Key differ: send one of them.")
		}
		in.key = headers[0]
	}
	return in, nil
}

func checkKey(field, key string) *problem {
	if key == "" || len(key) > onetime.MaxKey {
		return badInput(field, fmt.Sprintf("A key has 1 to %d printable characters.", onetime.MaxKey))
	}
	for i := 0; i < len(key); i++ {
		if key[i] < ' ' || key[i] > '~' {
			return badInput(field, fmt.Sprintf("A key has 1 to %d printable ASCII characters.", onetime.MaxKey))
		}
	}
	return nil
}

func badInput(field, detail string) *problem {
	return &problem{Status: http.StatusUnprocessableEntity, Code: "bad_input", Field: field, Detail: detail}
}

// member reports whether it is one of the names that a body may have.
func member(name string) bool { return name == "action" || name == "nonce" || name == "revision" }

// parseBody reads a form or a JSON object. What it does not know is refused
// rather than ignored: a member spelled wrong would open another door than the
// guest meant.
func parseBody(contentType string, body []byte) (map[string]string, *problem) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, badInput("", "The body's Content-Type is missing or wrong: send a form or application/json.")
	}
	switch {
	case kind == "application/x-www-form-urlencoded":
		return parseForm(body)
	case kind == "multipart/form-data":
		return parseMultipart(body, params["boundary"])
	case kind == "application/json", strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"):
		return parseJSON(body)
	}
	return nil, badInput("", "The body is of a type that is not understood: send a form or application/json.")
}

func parseForm(body []byte) (map[string]string, *problem) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badInput("", "The form cannot be read.")
	}
	return single(values)
}

func parseMultipart(body []byte, boundary string) (map[string]string, *problem) {
	form, err := multipart.NewReader(bytes.NewReader(body), boundary).ReadForm(maxBody)
	if err != nil {
		return nil, badInput("", "The form cannot be read.")
	}
	defer form.RemoveAll()
	for name := range form.File {
		return nil, badInput(shown(name), "A file is not understood here.")
	}
	return single(form.Value)
}

func single(values map[string][]string) (map[string]string, *problem) {
	fields := make(map[string]string, len(values))
	for name, v := range values {
		switch {
		case !member(name):
			return nil, unknownMember(name)
		case len(v) != 1:
			return nil, badInput(shown(name), "It is there more than once.")
		case !utf8.ValidString(v[0]):
			return nil, badInput(shown(name), "It is not UTF-8.")
		}
		fields[name] = v[0]
	}
	return fields, nil
}

// parseJSON reads one object, token by token: encoding/json by itself takes the
// last of two members of one name.
func parseJSON(body []byte) (map[string]string, *problem) {
	if !utf8.Valid(body) {
		return nil, badInput("", "The JSON is not UTF-8.")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, badInput("", "The body is not a JSON object.")
	}
	fields := make(map[string]string)
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, badInput("", "The body is not valid JSON.")
		}
		if !member(name) {
			return nil, unknownMember(name)
		}
		if _, twice := fields[name]; twice {
			return nil, badInput(name, "It is there more than once.")
		}
		t, err = dec.Token()
		if err != nil {
			return nil, badInput("", "The body is not valid JSON.")
		}
		value, ok := t.(string)
		if !ok {
			return nil, badInput(name, "It has to be a string.")
		}
		fields[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, badInput("", "The body is not valid JSON.")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, badInput("", "There is something behind the JSON object.")
	}
	return fields, nil
}

func unknownMember(name string) *problem {
	name = shown(name)
	return badInput(name, fmt.Sprintf("%q is not known here: there are action, nonce and revision.", name))
}

// shown bounds what an answer repeats of what was sent.
func shown(name string) string {
	if len(name) > 64 {
		name = name[:64]
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

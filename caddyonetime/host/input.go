package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// maxBody is the largest request taken: a definition and all the texts of an
// action, each of their characters escaped.
const maxBody = 640 << 10

// members are the members of a JSON object that a client has sent. The methods
// that read one return the zero value and remember the first mistake, which
// end returns.
type members struct {
	raw  map[string]json.RawMessage
	read []string
	err  error
}

func badField(field, format string, args ...any) *onetime.BadInput {
	return &onetime.BadInput{Field: field, Message: fmt.Sprintf(format, args...)}
}

// body reads the JSON object that is the request's body. Where optional, no
// body is an empty object.
func (r *request) body(optional bool) (*members, error) {
	b, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
			Detail: fmt.Sprintf("The request is larger than %d KiB.", maxBody>>10)}
	case err != nil:
		return nil, malformed("The request ended early.")
	}
	if optional && len(bytes.TrimSpace(b)) == 0 {
		return &members{}, nil
	}
	if ct := r.Header.Get("Content-Type"); ct != "" {
		mt, _, err := mime.ParseMediaType(ct)
		if err != nil || mt != "application/json" && !(strings.HasPrefix(mt, "application/") && strings.HasSuffix(mt, "+json")) {
			r.w.Header().Set("Accept", "application/json")
			return nil, &problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
				Detail: "Send JSON, and say so: Content-Type: application/json."}
		}
	}
	return parseMembers(b)
}

func malformed(detail string) *problem {
	return &problem{Status: http.StatusBadRequest, Code: "malformed", Detail: detail}
}

func parseMembers(b []byte) (*members, error) {
	if !utf8.Valid(b) {
		return nil, malformed("The request is not UTF-8.")
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, malformed("The request has no body; a JSON object belongs there.")
	}
	if !json.Valid(b) {
		var v any
		return nil, malformed("The request is not JSON: " + json.Unmarshal(b, &v).Error() + ".")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, _ := d.Token(); t != json.Delim('{') {
		return nil, malformed("The request is JSON, but not an object.")
	}
	m := &members{raw: map[string]json.RawMessage{}}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, malformed("The request is not JSON: " + err.Error() + ".")
		}
		name := t.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, malformed("The request is not JSON: " + err.Error() + ".")
		}
		if _, twice := m.raw[name]; twice {
			return nil, badField(name, "is there twice; send it once.")
		}
		m.raw[name] = raw
	}
	return m, nil
}

func (m *members) get(name string) (json.RawMessage, bool) {
	m.read = append(m.read, name)
	raw, ok := m.raw[name]
	return raw, ok && m.err == nil
}

// ignore lets members pass that count for nothing.
func (m *members) ignore(names ...string) {
	for _, name := range names {
		delete(m.raw, name)
	}
}

func (m *members) wrong(name, format string, args ...any) {
	if m.err == nil {
		m.err = badField(name, format, args...)
	}
}

// end returns the first mistake, a member that nobody has asked for included.
func (m *members) end() error {
	if m.err != nil {
		return m.err
	}
	var unknown []string
	for name := range m.raw {
		if !slices.Contains(m.read, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	known := slices.Clone(m.read)
	slices.Sort(known)
	if len(known) == 0 {
		return badField(unknown[0], "is not a member of this request, which has none.")
	}
	return badField(unknown[0], "is not a member of this request. There are: %s.", strings.Join(known, ", "))
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// text reads a string of at most limit bytes.
func (m *members) text(name string, limit int) (s string, present bool) {
	raw, ok := m.get(name)
	if !ok {
		return "", false
	}
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		m.wrong(name, "must be a string.")
		return "", false
	}
	if len(s) > limit {
		if m.err == nil {
			m.err = badField(name, "is too long: %d bytes, where %d is the most.", len(s), limit).Says("too_long")
		}
		return "", false
	}
	return s, true
}

// texts reads a list of strings.
func (m *members) texts(name string) (list []string, present bool) {
	raw, ok := m.get(name)
	if !ok {
		return nil, false
	}
	var items []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		m.wrong(name, "must be a list of names.")
		return nil, false
	}
	list = make([]string, 0, len(items))
	for _, item := range items {
		var s string
		if item[0] != '"' || json.Unmarshal(item, &s) != nil {
			m.wrong(name, "must be a list of names, and nothing else.")
			return nil, false
		}
		list = append(list, s)
	}
	return list, true
}

// boolean reads true or false.
func (m *members) boolean(name string) (b, present bool) {
	raw, ok := m.get(name)
	if !ok {
		return false, false
	}
	if json.Unmarshal(raw, &b) != nil || isNull(raw) {
		m.wrong(name, "must be true or false.")
		return false, false
	}
	return b, true
}

// count reads a whole number between least and most. Where null is allowed, it
// is nil.
func (m *members) count(name string, least, most int, null bool) (n *int, present bool) {
	raw, ok := m.get(name)
	if !ok {
		return nil, false
	}
	if null && isNull(raw) {
		return nil, true
	}
	or := ""
	if null {
		or = ", or null for any number"
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) {
		m.wrong(name, "must be a whole number%s.", or)
		return nil, false
	}
	if f < float64(least) || f > float64(most) {
		m.wrong(name, "must be between %d and %d%s.", least, most, or)
		return nil, false
	}
	i := int(f)
	return &i, true
}

// time reads a moment as RFC 3339 writes it, or null: none.
func (m *members) time(name string) (t *time.Time, present bool) {
	raw, ok := m.get(name)
	if !ok {
		return nil, false
	}
	if isNull(raw) {
		return nil, true
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		m.wrong(name, "must be a time as RFC 3339 writes it, such as 2026-11-22T18:00:00+01:00, or null for none.")
		return nil, false
	}
	parsed, err := parseTime(s)
	if err != nil {
		m.wrong(name, "must be a time as RFC 3339 writes it, such as 2026-11-22T18:00:00+01:00, or null for none.")
		return nil, false
	}
	// Beyond the year 9999, and before the year 1 in UTC, RFC 3339 has no
	// way to write it in an answer.
	if y := parsed.UTC().Year(); y < 1970 || y > 9999 {
		m.wrong(name, "must lie between the years 1970 and 9999.")
		return nil, false
	}
	parsed = parsed.UTC()
	return &parsed, true
}

// parseTime reads all that RFC 3339 lets people write: its T and Z may be small,
// and a space may stand between day and time, as Home Assistant's templates have it.
func parseTime(s string) (time.Time, error) {
	b := []byte(s)
	if len(b) > len(time.DateOnly) {
		if c := &b[len(time.DateOnly)]; *c == 't' || *c == ' ' {
			*c = 'T'
		}
		if c := &b[len(b)-1]; *c == 'z' {
			*c = 'Z'
		}
	}
	return time.Parse(time.RFC3339, string(b))
}

// query are the parameters of an address, each of which may be there once.
type query struct {
	values url.Values
	read   []string
	err    error
}

func (r *request) query() *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.err = malformed("The parameters of the address are not well-formed.")
	}
	return q
}

func (q *query) text(name string) string {
	q.read = append(q.read, name)
	v := q.values[name]
	if len(v) > 1 && q.err == nil {
		q.err = badField(name, "is there twice; send it once.")
	}
	if len(v) == 0 {
		return ""
	}
	if !utf8.ValidString(v[0]) || len(v[0]) > 200 {
		if q.err == nil {
			q.err = badField(name, "must be UTF-8 of at most 200 bytes.")
		}
		return ""
	}
	return v[0]
}

func (q *query) number(name string, least, most uint64) uint64 {
	s := q.text(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if (err != nil || n < least || n > most) && q.err == nil {
		q.err = badField(name, "must be a whole number between %d and %d.", least, most)
	}
	return n
}

func (q *query) boolean(name string) *bool {
	s := q.text(name)
	switch s {
	case "":
		return nil
	case "true", "false":
		b := s == "true"
		return &b
	}
	if q.err == nil {
		q.err = badField(name, "must be true or false.")
	}
	return nil
}

func (q *query) end() error {
	if q.err != nil {
		return q.err
	}
	var unknown []string
	for name := range q.values {
		if !slices.Contains(q.read, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return badField(unknown[0], "is not a parameter of this address.")
}

// none refuses every parameter.
func (r *request) noQuery() error { return r.query().end() }

package caddyjwt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// claims is what a token says, read strictly: a claim that has not the type
// RFC 7519 section 4.1 gives it makes the whole token unacceptable, and names
// are compared byte by byte.
type claims struct {
	all map[string]json.RawMessage

	issuer    string
	subject   string
	audience  []string
	expires   *jwt.NumericDate
	notBefore *jwt.NumericDate
	issued    *jwt.NumericDate
	roles     []string
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *claims) UnmarshalJSON(text []byte) error {
	all, err := decodeObject(text)
	if err != nil {
		return err
	}
	*c = claims{all: all}
	for _, part := range []struct {
		name string
		read func(json.RawMessage) error
	}{
		{"iss", func(v json.RawMessage) error { return decodeString(v, &c.issuer) }},
		{"sub", func(v json.RawMessage) error { return decodeString(v, &c.subject) }},
		{"aud", func(v json.RawMessage) error { return decodeStrings(v, &c.audience) }},
		{"exp", func(v json.RawMessage) error { return decodeDate(v, &c.expires) }},
		{"nbf", func(v json.RawMessage) error { return decodeDate(v, &c.notBefore) }},
		{"iat", func(v json.RawMessage) error { return decodeDate(v, &c.issued) }},
		{"roles", func(v json.RawMessage) error {
			if isNull(v) {
				return nil // nobody's roles
			}
			return decodeStrings(v, &c.roles)
		}},
	} {
		v, ok := all[part.name]
		if !ok {
			continue
		}
		if err := part.read(v); err != nil {
			return fmt.Errorf("claim %q: %w", part.name, err)
		}
	}
	return nil
}

// Validate implements jwt.ClaimsValidator with what no option of the parser does.
func (c *claims) Validate() error {
	if c.subject == "" {
		return fmt.Errorf("%w: sub", jwt.ErrTokenRequiredClaimMissing)
	}
	if hasControl(c.subject) {
		return fmt.Errorf("%w: control characters in sub", jwt.ErrTokenInvalidSubject)
	}
	return nil
}

// values returns a claim as the strings that allow and deny compare with: the
// text of a scalar, or of each scalar of a list.
func (c *claims) values(name string) []string {
	raw, ok := c.all[name]
	if !ok {
		return nil
	}
	if s, ok := scalar(raw); ok {
		return []string{s}
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var found []string
	for _, item := range list {
		if s, ok := scalar(item); ok {
			found = append(found, s)
		}
	}
	return found
}

// The methods of jwt.Claims.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.expires, nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.issued, nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return c.notBefore, nil }
func (c *claims) GetIssuer() (string, error)                   { return c.issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return c.subject, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return c.audience, nil }

// decodeObject reads the members of exactly one JSON object. Names that occur
// twice, which others may read differently, and invalid UTF-8 are errors.
func decodeObject(text []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("invalid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	members := make(map[string]json.RawMessage)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, errors.New("invalid JSON")
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("invalid JSON")
		}
		if _, twice := members[name]; twice {
			return nil, errors.New("a name occurs twice")
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, errors.New("invalid JSON")
		}
		members[name] = v
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("invalid JSON")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("data after the JSON object")
	}
	return members, nil
}

func isNull(v json.RawMessage) bool { return string(v) == "null" }

func decodeString(v json.RawMessage, s *string) error {
	if len(v) == 0 || v[0] != '"' {
		return errors.New("not a string")
	}
	return json.Unmarshal(v, s)
}

// decodeStrings reads a string or a list of strings.
func decodeStrings(v json.RawMessage, list *[]string) error {
	if len(v) > 0 && v[0] == '"' {
		*list = make([]string, 1)
		return json.Unmarshal(v, &(*list)[0])
	}
	var items []json.RawMessage
	if isNull(v) || json.Unmarshal(v, &items) != nil {
		return errors.New("neither a string nor a list of strings")
	}
	*list = make([]string, len(items))
	for i, item := range items {
		if decodeString(item, &(*list)[i]) != nil {
			return errors.New("neither a string nor a list of strings")
		}
	}
	return nil
}

// lastDate is the end of the year 9999: what is later is no date.
const lastDate = 253402300799

// decodeDate reads a NumericDate, a number of seconds since 1970 UTC
// (RFC 7519 section 2). Parts of a second are dropped.
func decodeDate(v json.RawMessage, date **jwt.NumericDate) error {
	var seconds float64
	if isNull(v) || json.Unmarshal(v, &seconds) != nil {
		return errors.New("not a number of seconds")
	}
	if !(seconds >= 0 && seconds <= lastDate) {
		return errors.New("not a date of our days")
	}
	*date = &jwt.NumericDate{Time: time.Unix(int64(math.Floor(seconds)), 0)}
	return nil
}

// scalar returns the text of a string, number or boolean.
func scalar(v json.RawMessage) (string, bool) {
	if len(v) == 0 {
		return "", false
	}
	switch v[0] {
	case '"':
		var s string
		err := json.Unmarshal(v, &s)
		return s, err == nil
	case '{', '[', 'n':
		return "", false
	}
	return string(v), true
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// oneLine replaces control characters (CR, LF, NUL, …) by spaces, so that a value
// can stand in a header field.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// Interface guards
var (
	_ jwt.Claims          = (*claims)(nil)
	_ jwt.ClaimsValidator = (*claims)(nil)
	_ json.Unmarshaler    = (*claims)(nil)
)

package words

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// message is one entry of a catalogue: a pattern for each plural form that it
// tells apart, and always one for plural.Other.
type message struct {
	forms  [plural.Many + 1]pattern
	plural bool
}

var formNames = map[string]plural.Form{
	"zero": plural.Zero, "one": plural.One, "two": plural.Two,
	"few": plural.Few, "many": plural.Many, "other": plural.Other,
}

func parseMessage(raw json.RawMessage) (message, error) {
	var m message
	var text string
	if json.Unmarshal(raw, &text) == nil {
		p, err := parsePattern(text)
		m.forms[plural.Other] = p
		return m, err
	}
	var forms map[string]string
	if err := json.Unmarshal(raw, &forms); err != nil {
		return m, errors.New("neither a text nor an object of plural forms")
	}
	m.plural = true
	for name, text := range forms {
		form, ok := formNames[name]
		if !ok {
			return m, fmt.Errorf("%q is no plural form", name)
		}
		p, err := parsePattern(text)
		if err != nil {
			return m, err
		}
		m.forms[form] = p
	}
	if m.forms[plural.Other] == nil {
		return m, errors.New(`the form "other" is missing`)
	}
	return m, nil
}

// form is the pattern for n.
func (m *message) form(tag language.Tag, n int) pattern {
	if m.plural {
		if p := m.forms[plural.Cardinal.MatchPlural(tag, abs(n), 0, 0, 0, 0)]; p != nil {
			return p
		}
	}
	return m.forms[plural.Other]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// pattern is a text cut at its placeholders: literals at even places, names at
// odd ones. An empty text is a pattern of one empty literal.
type pattern []string

var placeholder = regexp.MustCompile(`\{([a-z_][a-z0-9_]*)\}`)

func parsePattern(text string) (pattern, error) {
	var p pattern
	last := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(text, -1) {
		p = append(p, text[last:at[0]], text[at[2]:at[3]])
		last = at[1]
	}
	p = append(p, text[last:])
	for i := 0; i < len(p); i += 2 {
		if strings.ContainsAny(p[i], "{}<>&") {
			return nil, fmt.Errorf("%q: braces only around the name of a value, no markup", text)
		}
	}
	return p, nil
}

// names are the placeholders in it.
func (p pattern) names() []string {
	var names []string
	for i := 1; i < len(p); i += 2 {
		names = append(names, p[i])
	}
	return names
}

// fill puts the values of args, pairs of name and value, in their places, and
// writes numbers in the digits, unless there are none.
func (p pattern) fill(args []any, digits []rune) string {
	if len(p) == 1 {
		return p[0]
	}
	var b strings.Builder
	for i, part := range p {
		if i%2 == 0 {
			b.WriteString(part)
			continue
		}
		if !writeValue(&b, part, args, digits) {
			b.WriteString("{" + part + "}")
		}
	}
	return b.String()
}

func writeValue(b *strings.Builder, name string, args []any, digits []rune) bool {
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] != name {
			continue
		}
		switch v := args[i+1].(type) {
		case string:
			b.WriteString(v)
		case int:
			b.WriteString(number(v, digits))
		default:
			fmt.Fprint(b, v)
		}
		return true
	}
	return false
}

// number writes n in the digits.
func number(n int, digits []rune) string { return inDigits(strconv.Itoa(n), digits) }

// inDigits writes a text with the digits in the place of 0 to 9.
func inDigits(text string, digits []rune) string {
	if len(digits) == 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return r
		}
		return digits[r-'0']
	}, text)
}

package words

import (
	"encoding/json"
	"strings"
)

// marked are the languages whose texts have marks around them.
var marked = make(map[string]bool)

// MarkBegin and MarkEnd stand around what has been looked up in a marked language.
const (
	MarkBegin = "⟦"
	MarkEnd   = "⟧"
)

// Mark puts marks around every text of a language, but not around the values in
// its places, for tests of pages: letters outside of marks were not looked up. A
// test calls it from its init function, since texts are read only once.
func Mark(tag string) { marked[tag] = true }

// mark does so with the file of a language.
func mark(raw []byte) ([]byte, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	return json.Marshal(markIn("", v))
}

func markIn(key string, v any) any {
	switch v := v.(type) {
	case string:
		if key != "name" && key != "dir" && key != "digits" && key != "decimal" {
			return markText(v)
		}
	case []any:
		for i := range v {
			v[i] = markIn("", v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = markIn(k, v[k])
		}
	}
	return v
}

func markText(text string) string {
	var b strings.Builder
	literal := func(s string) {
		if s != "" {
			b.WriteString(MarkBegin + s + MarkEnd)
		}
	}
	last := 0
	for _, at := range placeholder.FindAllStringIndex(text, -1) {
		literal(text[last:at[0]])
		b.WriteString(text[at[0]:at[1]])
		last = at[1]
	}
	literal(text[last:])
	return b.String()
}

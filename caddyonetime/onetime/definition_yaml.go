package onetime

import (
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of a definition's YAML: what no action of a home comes near to.
const (
	maxYAMLDepth  = 64
	maxYAMLValues = 10_000 // with each alias counted in full
)

// node is a value of YAML with its lines, in the types of JSON.
type node struct {
	kind   nodeKind
	line   int
	scalar any // nil, bool, int64, uint64, float64 or string

	items []*node // of a list

	keys   []string // of a mapping, in order
	fields map[string]*node
	lines  map[string]int // of the keys

	size   int // values in it
	height int // levels in it
}

type nodeKind int

const (
	kindScalar nodeKind = iota
	kindList
	kindMap
)

// get is the value of a key; nil where n is nil, no mapping, or has no such key.
func (n *node) get(key string) *node {
	if n == nil || n.kind != kindMap {
		return nil
	}
	return n.fields[key]
}

// empty reports whether it is null, an empty list or an empty mapping.
func (n *node) empty() bool {
	switch n.kind {
	case kindList:
		return len(n.items) == 0
	case kindMap:
		return len(n.keys) == 0
	}
	return n.scalar == nil
}

// text is the string that it is.
func (n *node) text() (string, bool) {
	if n == nil || n.kind != kindScalar {
		return "", false
	}
	s, ok := n.scalar.(string)
	return s, ok
}

// templated reports whether any string in it is a template.
func (n *node) templated() bool {
	if s, ok := n.text(); ok {
		return isTemplate(s)
	}
	if slices.ContainsFunc(n.items, (*node).templated) {
		return true
	}
	for k, f := range n.fields {
		if isTemplate(k) || f.templated() {
			return true
		}
	}
	return false
}

// find is the first line in it where a string, or a number written so, stands as a value.
func (n *node) find(value string) int {
	if n.kind == kindScalar && n.scalar != nil && fmt.Sprint(n.scalar) == value {
		return n.line
	}
	for _, item := range n.items {
		if line := item.find(value); line > 0 {
			return line
		}
	}
	for _, k := range n.keys {
		if line := n.fields[k].find(value); line > 0 {
			return line
		}
	}
	return 0
}

// value is what json.Marshal takes.
func (n *node) value() any {
	switch n.kind {
	case kindList:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.value()
		}
		return list
	case kindMap:
		m := make(map[string]any, len(n.keys))
		for k, f := range n.fields {
			m[k] = f.value()
		}
		return m
	}
	return n.scalar
}

// readYAML reads one document.
func readYAML(text string) (*node, error) {
	if len(text) > MaxDefinition {
		return nil, badDefinition(0, "it is too long: %d bytes, and %d are allowed", len(text), MaxDefinition).Says("too_long")
	}
	text = newlines.Replace(strings.TrimPrefix(text, "\uFEFF"))
	for i, line := range strings.Split(text, "\n") {
		if !utf8.ValidString(line) {
			return nil, badDefinition(i+1, "this line is not text in UTF-8").Says("unreadable")
		}
		if j := strings.IndexFunc(line, isControl); j >= 0 {
			r, _ := utf8.DecodeRuneInString(line[j:])
			return nil, badDefinition(i+1, "this line holds an invisible character (%U): take it out", r).Says("unreadable")
		}
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, badDefinition(0, "it is empty: it needs `action:`, as in `action: lock.unlock`").Says("empty", "example", "action: lock.unlock")
	case err != nil:
		return nil, syntaxError(text, err)
	}
	switch err := d.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntaxError(text, err)
	default:
		return nil, badDefinition(more.Line, "a second document begins here (`---`): several actions are a list, each after a dash").Says("second")
	}
	r := yamlReader{done: map[*yaml.Node]*node{}}
	root, err := r.read(&doc, 0)
	if err != nil {
		return nil, err
	}
	if root.kind == kindScalar && root.scalar == nil {
		return nil, badDefinition(0, "it is empty: it needs `action:`, as in `action: lock.unlock`").Says("empty", "example", "action: lock.unlock")
	}
	return root, nil
}

var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// isControl finds what YAML forbids, or takes for the end of a line where
// nobody sees one.
func isControl(r rune) bool {
	return r < ' ' && r != '\t' || r >= 0x7F && r < 0xA0 || r == '\u2028' || r == '\u2029' || r == '\uFEFF'
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

var unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)

// fromZero finds the errors whose lines the parser counts from 0.
var fromZero = regexp.MustCompile(`^did not find expected (key|node content|<|',' or|'-' indicator)`)

// syntaxError says where and why a text is no YAML.
func syntaxError(text string, err error) *BadInput {
	m := yamlError.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if m == nil {
		return badDefinition(0, "it cannot be read as YAML: %v", err).Says("yaml", "why", err.Error())
	}
	line := 1 // which the parser does not say
	if m[1] != "" {
		line, _ = strconv.Atoi(m[1])
	}
	if anchor := unknownAnchor.FindStringSubmatch(m[2]); anchor != nil {
		before, _, _ := strings.Cut(text, "*"+anchor[1])
		return badDefinition(1+strings.Count(before, "\n"), "`*%s` repeats what is marked `&%s`, and nothing is", anchor[1], anchor[1]).Says("repeats", "name", "*"+anchor[1])
	}
	if fromZero.MatchString(m[2]) {
		line++
	}
	lines := strings.Split(text, "\n")
	line = min(line, len(lines))
	for i, l := range lines {
		indent := l[:len(l)-len(strings.TrimLeft(l, " \t"))]
		if strings.Contains(indent, "\t") && strings.TrimSpace(l) != "" {
			return badDefinition(i+1, "this line is indented by a tab: YAML wants spaces").Says("tab")
		}
	}
	return badDefinition(line, "it cannot be read as YAML: %s", m[2]).Says("yaml", "why", m[2])
}

// yamlReader turns the parser's nodes into ours. A value that aliases share is
// read once and counted each time.
type yamlReader struct {
	done map[*yaml.Node]*node // nil while it is being read
}

func (r *yamlReader) read(y *yaml.Node, depth int) (*node, error) {
	if depth > maxYAMLDepth {
		return nil, tooDeep(y)
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) != 1 {
			return nil, badDefinition(0, "it is empty: it needs `action:`, as in `action: lock.unlock`").Says("empty", "example", "action: lock.unlock")
		}
		return r.read(y.Content[0], depth)
	case yaml.AliasNode:
		if n, ok := r.done[y.Alias]; ok {
			if n == nil {
				return nil, badDefinition(y.Line, "`*%s` stands inside of what it repeats", y.Value).Says("repeats", "name", "*"+y.Value)
			}
			return n, nil
		}
		return r.read(y.Alias, depth)
	}
	if n, ok := r.done[y]; ok && n != nil {
		return n, nil
	}
	r.done[y] = nil
	n, err := r.fresh(y, depth)
	if err != nil {
		return nil, err
	}
	if n.size > maxYAMLValues {
		return nil, badDefinition(y.Line, "it holds too many values: %d are allowed", maxYAMLValues).Says("too_much")
	}
	if n.height > maxYAMLDepth {
		return nil, tooDeep(y)
	}
	r.done[y] = n
	return n, nil
}

func (r *yamlReader) fresh(y *yaml.Node, depth int) (*node, error) {
	n := &node{line: y.Line, size: 1}
	if err := checkTag(y); err != nil {
		return nil, err
	}
	switch y.Kind {
	case yaml.ScalarNode:
		v, err := scalar(y)
		n.scalar = v
		return n, err
	case yaml.SequenceNode:
		n.kind = kindList
		for _, c := range y.Content {
			item, err := r.read(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
			n.grow(item)
		}
		return n, nil
	}
	n.kind = kindMap
	n.fields, n.lines = map[string]*node{}, map[string]int{}
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			return nil, badDefinition(k.Line, "this is not a name: a template needs quotes around it, as in \"{{ … }}\"").Says("template")
		}
		if err := checkTag(k); err != nil {
			return nil, err
		}
		field, err := r.read(v, depth+1)
		if err != nil {
			return nil, err
		}
		if k.ShortTag() == "!!merge" {
			from := []*node{field}
			if field.kind == kindList {
				from = field.items
			}
			for _, f := range from {
				if f.kind != kindMap {
					return nil, badDefinition(k.Line, "`<<` takes in a mapping, and this is none").Says("mapping", "word", "<<")
				}
			}
			merged = append(merged, from...)
			continue
		}
		if first, ok := n.lines[k.Value]; ok {
			return nil, badDefinition(k.Line, "`%s` stands here for the second time; the first is in line %d", k.Value, first).Says("twice", "name", k.Value)
		}
		n.set(k.Value, field, k.Line)
	}
	for _, m := range merged {
		for _, k := range m.keys {
			if _, ok := n.fields[k]; !ok {
				n.set(k, m.fields[k], m.lines[k])
			}
		}
	}
	return n, nil
}

func (n *node) set(key string, v *node, line int) {
	n.keys = append(n.keys, key)
	n.fields[key] = v
	n.lines[key] = line
	n.grow(v)
}

// grow counts what was put into n. Counting ends above the limit, so that
// aliases of aliases cannot make it overflow.
func (n *node) grow(by *node) {
	n.size = min(n.size+by.size, maxYAMLValues+1)
	n.height = max(n.height, by.height+1)
}

func tooDeep(y *yaml.Node) *BadInput {
	return badDefinition(y.Line, "it is nested too deeply here: %d levels are allowed", maxYAMLDepth).Says("too_much")
}

// checkTag refuses what only Home Assistant's own files, or nobody, can read.
func checkTag(y *yaml.Node) error {
	if y.Style&yaml.TaggedStyle == 0 {
		return nil
	}
	switch tag := y.ShortTag(); tag {
	case "!", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!timestamp":
		return nil
	case "!secret", "!env_var":
		return badDefinition(y.Line, "`%s` works only in Home Assistant's own files: write the value here or use a script", tag).Says("tag", "tag", tag)
	case "!input":
		return badDefinition(y.Line, "`%s` works only in Home Assistant's own blueprints: write the value here or use a script", tag).Says("tag", "tag", tag)
	default:
		if strings.HasPrefix(tag, "!include") {
			return badDefinition(y.Line, "`%s` works only in Home Assistant's own files: write here what the file says or use a script", tag).Says("tag", "tag", tag)
		}
		return badDefinition(y.Line, "the tag `%s` means nothing to Home Assistant here: take it out", tag).Says("tag", "tag", tag)
	}
}

var (
	yamlInt     = regexp.MustCompile(`^[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)$`)
	yamlFloat   = regexp.MustCompile(`^[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?$`)
	leadingZero = regexp.MustCompile(`^[-+]?0[0-9_]+$`)
)

// scalar is a scalar's value, by the core schema of YAML 1.2: what Home
// Assistant's editors read. Dates and times stay as they are written.
func scalar(y *yaml.Node) (any, error) {
	tag := ""
	if y.Style&yaml.TaggedStyle != 0 {
		tag = y.ShortTag()
	}
	s := y.Value
	plain := y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch {
	case tag == "!!str" || tag == "!" || tag == "!!timestamp" || !plain && tag == "":
		return s, nil
	case tag == "!!map" || tag == "!!seq":
		return nil, badDefinition(y.Line, "`%s` stands before something else", tag).Says("tag", "tag", tag)
	}
	v, err := plainScalar(y, s)
	if err != nil {
		return nil, err
	}
	ok := true
	switch tag {
	case "!!int":
		switch v.(type) {
		case int64, uint64:
		default:
			ok = false
		}
	case "!!float":
		switch n := v.(type) {
		case int64:
			v = float64(n)
		case uint64:
			v = float64(n)
		case float64:
		default:
			ok = false
		}
	case "!!bool":
		_, ok = v.(bool)
	case "!!null":
		ok = v == nil
	}
	if !ok {
		return nil, badDefinition(y.Line, "%q is not what `%s` says", s, tag).Says("value", "value", s)
	}
	return v, nil
}

func plainScalar(y *yaml.Node, s string) (any, error) {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nil, nil
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	}
	switch l := strings.ToLower(strings.TrimLeft(s, "+-")); {
	case l == ".inf" || s == ".nan" || s == ".NaN" || s == ".NAN":
		return nil, badDefinition(y.Line, "`%s` is not a number that Home Assistant takes", s).Says("value", "value", s)
	case leadingZero.MatchString(s):
		return nil, badDefinition(y.Line, "put quotes around %s: as a number it would lose its leading zero", s).Says("quotes", "value", s)
	case yamlInt.MatchString(s):
		digits := strings.ReplaceAll(s, "_", "")
		if i, err := strconv.ParseInt(digits, 0, 64); err == nil {
			return i, nil
		}
		if u, err := strconv.ParseUint(strings.TrimPrefix(digits, "+"), 0, 64); err == nil {
			return u, nil
		}
		return nil, badDefinition(y.Line, "put quotes around %s: it is too large for a number", s).Says("quotes", "value", s)
	case yamlFloat.MatchString(s):
		f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
		if err != nil || math.IsInf(f, 0) {
			return nil, badDefinition(y.Line, "put quotes around %s: it is too large for a number", s).Says("quotes", "value", s)
		}
		return f, nil
	}
	return s, nil
}

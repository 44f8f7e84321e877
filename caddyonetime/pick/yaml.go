package pick

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Definition is the action's YAML that a choice comes to. values are what was
// typed for each field; an empty one is left out. What cannot be is a
// *onetime.BadInput whose Field is the field's name.
func Definition(c *Choice, entity string, values map[string][]string) (string, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	add(root, "action", scalar(c.Action))
	if !c.Untargeted {
		target := &yaml.Node{Kind: yaml.MappingNode}
		add(target, "entity_id", scalar(entity))
		add(root, "target", target)
	}
	data := &yaml.Node{Kind: yaml.MappingNode}
	for i := range c.Fields {
		f := &c.Fields[i]
		given := slices.DeleteFunc(slices.Clone(values[f.Name]), func(s string) bool { return strings.TrimSpace(s) == "" })
		if len(given) == 0 {
			if f.Required {
				return "", wrong(f, "is needed").Says("needed")
			}
			continue
		}
		node, err := f.value(given)
		if err != nil {
			return "", err
		}
		add(data, f.Name, node)
	}
	if len(data.Content) > 0 {
		add(root, "data", data)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return "", err
	}
	return b.String(), nil
}

func add(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, scalar(key), value)
}

// scalar is a string, quoted where YAML would read something else.
func scalar(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	// YAML 1.1, which Home Assistant reads, has more words for booleans, and
	// numbers with colons in them.
	if n.Style == 0 && (yaml11(s)) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func yaml11(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~":
		return true
	}
	return s != "" && strings.Trim(s, "0123456789:_.+-") == ""
}

func wrong(f *Field, format string, args ...any) *onetime.BadInput {
	return &onetime.BadInput{Field: f.Name, Message: fmt.Sprintf(format, args...)}
}

func (f *Field) value(given []string) (*yaml.Node, error) {
	if f.Multiple {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, s := range given {
			if f.Kind == Select && !f.Custom && !f.offers(s) {
				return nil, wrong(f, "%q is none of the choices", s).Says("choose")
			}
			list.Content = append(list.Content, scalar(s))
		}
		return list, nil
	}
	s := strings.ReplaceAll(given[0], "\r\n", "\n")
	switch f.Kind {
	case Number:
		return f.number(strings.TrimSpace(s))
	case Boolean:
		switch s {
		case "true", "false":
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: s}, nil
		}
		return nil, wrong(f, "must be yes or no").Says("choose")
	case Select:
		if !f.Custom && !f.offers(s) {
			return nil, wrong(f, "%q is none of the choices", s).Says("choose")
		}
	case Date:
		s = strings.TrimSpace(s)
	case Time:
		if s = strings.TrimSpace(s); len(s) == len("15:04") {
			s += ":00"
		}
	case DateTime:
		if s = strings.Replace(strings.TrimSpace(s), "T", " ", 1); len(s) == len("2006-01-02 15:04") {
			s += ":00"
		}
	case Colour:
		n, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 16, 32)
		if err != nil || len(s) != len("#rrggbb") {
			return nil, wrong(f, "must be a colour such as #ff8800").Says("colour", "example", "#ff8800")
		}
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, c := range []uint64{n >> 16, n >> 8 & 255, n & 255} {
			list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatUint(c, 10)})
		}
		return list, nil
	case YAML:
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(s), &doc); err != nil {
			return nil, wrong(f, "is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: ")).Says("yaml", "why", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if len(doc.Content) != 1 {
			return nil, wrong(f, "is not YAML").Says("needed")
		}
		return doc.Content[0], nil
	}
	return scalar(s), nil
}

func (f *Field) offers(value string) bool {
	return slices.ContainsFunc(f.Options, func(o Option) bool { return o.Value == value })
}

func (f *Field) number(s string) (*yaml.Node, error) {
	s = strings.Replace(s, ",", ".", 1)
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(n) || math.IsInf(n, 0):
		return nil, wrong(f, "must be a number").Says("number")
	case f.Min != nil && n < *f.Min:
		return nil, wrong(f, "must be at least %v", *f.Min).Says("least", "min", *f.Min)
	case f.Max != nil && n > *f.Max:
		return nil, wrong(f, "must be at most %v", *f.Max).Says("most", "max", *f.Max)
	}
	tag := "!!float"
	text := strconv.FormatFloat(n, 'f', -1, 64)
	if n == math.Trunc(n) {
		tag = "!!int"
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}, nil
}

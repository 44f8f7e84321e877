package pagetest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/caddy-hass/caddy-hass/internal/words"
)

// Unmarked returns what people can read on a page, or a script can show them,
// that stands in no catalogue of languages. The page is in a language that
// words.Mark has marked. data is what hosts have written: names, titles,
// addresses. What stands in a bdi, code, pre or textarea element or in Unicode's
// isolates is data, and so is what says itself which language it is in.
func Unmarked(page string, data ...string) []string {
	root, err := html.ParseWithOptions(strings.NewReader(page), html.ParseOptionEnableScripting(false))
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	look := func(where, text string) {
		if rest := unmarked(text, data); rest != "" {
			found = append(found, where+": "+rest)
		}
	}
	var visit func(n *html.Node)
	visit = func(n *html.Node) {
		if n.Type == html.ElementNode {
			switch n.DataAtom {
			case atom.Script, atom.Style, atom.Svg, atom.Bdi, atom.Code, atom.Pre, atom.Textarea:
				return
			}
			for _, a := range n.Attr {
				switch {
				case a.Key == "lang" && n.DataAtom != atom.Html:
					return
				case readAttributes[a.Key], strings.HasPrefix(a.Key, "data-") && a.Key != "data-events" && strings.Contains(strings.TrimSpace(a.Val), " "),
					a.Key == "value" && (n.DataAtom == atom.Button || n.DataAtom == atom.Input) && isButton(n):
					look("<"+n.Data+" "+a.Key+">", a.Val)
				case a.Key == "content" && n.DataAtom == atom.Meta && isAbout(n):
					look("<meta>", a.Val)
				}
			}
		}
		if n.Type == html.TextNode && n.Parent != nil {
			look("<"+n.Parent.Data+">", n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			visit(c)
		}
	}
	visit(root)
	return found
}

// readAttributes are those that are shown or read out.
var readAttributes = map[string]bool{
	"title": true, "alt": true, "placeholder": true, "label": true,
	"aria-label": true, "aria-description": true, "aria-roledescription": true, "aria-valuetext": true,
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// isButton reports whether an input shows its value as a button does. A button
// element shows its content instead.
func isButton(n *html.Node) bool {
	return n.DataAtom == atom.Input && slices.Contains([]string{"submit", "button", "reset"}, attribute(n, "type"))
}

// isAbout reports whether a meta element has text for people.
func isAbout(n *html.Node) bool {
	name := attribute(n, "name") + attribute(n, "property")
	return name == "description" || name == "og:title" || name == "og:description" || name == "apple-mobile-web-app-title"
}

// UnmarkedJSON is Unmarked for the texts of a JSON value: what a script is given
// to show. keys are the members that hold something else.
func UnmarkedJSON(raw []byte, data []string, keys ...string) []string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return []string{err.Error()}
	}
	var found []string
	var visit func(where string, v any)
	visit = func(where string, v any) {
		switch v := v.(type) {
		case string:
			if rest := unmarked(v, data); rest != "" {
				found = append(found, where+": "+rest)
			}
		case []any:
			for _, e := range v {
				visit(where, e)
			}
		case map[string]any:
			for key, e := range v {
				if !slices.Contains(keys, key) {
					visit(where+"."+key, e)
				}
			}
		}
	}
	visit("", v)
	slices.Sort(found)
	return found
}

var (
	inMarks      = regexp.MustCompile("(?s)" + words.MarkBegin + ".*?" + words.MarkEnd)
	isolated     = regexp.MustCompile("(?s)\u2068[^\u2068\u2069]*\u2069")
	placeholders = regexp.MustCompile(`\{[a-z_0-9]+\}`)
)

// unmarked is what is left of a text without what is marked and what is data, or
// nothing where no letter is.
func unmarked(text string, data []string) string {
	rest := placeholders.ReplaceAllString(inMarks.ReplaceAllString(text, " "), " ")
	rest = isolated.ReplaceAllString(rest, " ")
	data = slices.Clone(data)
	slices.SortFunc(data, func(a, b string) int { return len(b) - len(a) }) // no part of another before it
	for _, d := range data {
		if d != "" {
			rest = strings.ReplaceAll(rest, d, " ")
		}
	}
	if !strings.ContainsFunc(rest, unicode.IsLetter) {
		return ""
	}
	return strings.Join(strings.Fields(rest), " ")
}

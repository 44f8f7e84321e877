// Package syntax reads what stands behind the words of our Caddyfile blocks. A
// mistake is told with the way to write it, not with its place alone.
package syntax

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Wrong is the error for too many or too few arguments. usage is how the word at
// which the dispenser stands is written, such as "contact <name> <address>".
func Wrong(d *caddyfile.Dispenser, usage string) error {
	return d.Errf("wrong argument count: write `%s`, and what has spaces in it in quotes", usage)
}

// One reads the only argument.
func One(d *caddyfile.Dispenser, usage string) (string, error) {
	args, err := Args(d, 1, 1, usage)
	if err != nil {
		return "", err
	}
	return args[0], nil
}

// Args reads all arguments, of which the first at least are needed and most at most
// allowed; most 0: any number. None of them is empty.
func Args(d *caddyfile.Dispenser, least, most int, usage string) ([]string, error) {
	args := d.RemainingArgs()
	if len(args) < least || most > 0 && len(args) > most {
		return nil, Wrong(d, usage)
	}
	for _, arg := range args {
		if arg == "" {
			return nil, Wrong(d, usage)
		}
	}
	return args, nil
}

// None makes sure that a word stands alone.
func None(d *caddyfile.Dispenser, usage string) error {
	if d.NextArg() {
		return Wrong(d, usage)
	}
	return nil
}

// Unknown is the error for a word that the block of directive does not have; known
// are those that it has.
func Unknown(d *caddyfile.Dispenser, directive, known string) error {
	if d.Val() == "{" {
		return d.Errf("unrecognized subdirective '{': no block belongs here in %s", directive)
	}
	return d.Errf("unrecognized subdirective '%s': %s takes %s", d.Val(), directive, known)
}

// HasPlaceholder reports whether a value is known only when it is used.
func HasPlaceholder(s string) bool {
	return strings.Contains(s, "{")
}

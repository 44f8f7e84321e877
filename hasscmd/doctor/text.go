package doctor

import (
	"fmt"
	"strings"
)

// String writes a report for people: a line for each finding, and under it what
// to do.
func (r Report) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		name := f.Check
		if f.Subject != "" {
			name += " " + f.Subject
		}
		fmt.Fprintf(&b, "%-5s %s: %s\n", f.Level, name, f.Text)
		if f.Advice != "" {
			fmt.Fprintf(&b, "      → %s\n", f.Advice)
		}
	}
	return b.String()
}

package hasscmd

import (
	"io"
	"os"

	"golang.org/x/term"
)

// isTerminal reports whether v is a terminal: somebody looks at it, or types
// into it.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// hasColour reports whether colours may be written to w (https://no-color.org).
func hasColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

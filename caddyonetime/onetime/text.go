package onetime

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// checkText refuses what no page could show: bytes that are no text, control
// characters, and more than max bytes. lines allows line breaks and tabs.
func checkText(field, s string, max int, lines bool) error {
	if len(s) > max {
		return (&BadInput{Field: field, Message: fmt.Sprintf("is too long: at most %d bytes", max)}).Says("too_long")
	}
	if !utf8.ValidString(s) {
		return (&BadInput{Field: field, Message: "is not valid UTF-8 text"}).Says("unreadable")
	}
	for _, r := range s {
		if lines && (r == '\n' || r == '\r' || r == '\t') {
			continue
		}
		if unicode.IsControl(r) {
			return (&BadInput{Field: field, Message: "has a control character in it"}).Says("unreadable")
		}
	}
	return nil
}

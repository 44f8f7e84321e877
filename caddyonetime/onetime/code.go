package onetime

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths of a link's last segment, in characters of Crockford's base32.
const (
	idLength     = 6
	secretLength = 18
	codeLength   = idLength + secretLength
)

// alphabet is Crockford's base32: no I, L, O, U.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// linkLabel separates the use of the link key here from any other.
const linkLabel = "caddy-hass one-time link 1\x00"

// LinkKeyLength is the length of a link key in bytes.
const LinkKeyLength = 32

// Signer makes and checks the secret half of links: the first 90 bits of
// HMAC-SHA-256 over a fixed label and the token's id, with the link key.
type Signer struct{ key []byte }

// NewSigner returns a Signer with a link key of LinkKeyLength bytes.
func NewSigner(key []byte) *Signer { return &Signer{key: key} }

// Code returns the last segment of the link of the token with this id.
func (s *Signer) Code(id string) string { return id + s.secret(id) }

func (s *Signer) secret(id string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(linkLabel))
	mac.Write([]byte(id))
	return encode(mac.Sum(nil), secretLength)
}

// Verify returns the id in a code that Normalize has returned, and whether its
// secret is genuine. It takes the same time for every wrong secret.
func (s *Signer) Verify(code string) (id string, ok bool) {
	if len(code) != codeLength {
		return "", false
	}
	id = code[:idLength]
	return id, subtle.ConstantTimeCompare([]byte(s.secret(id)), []byte(code[idLength:])) == 1
}

// markLabel separates marks from links.
const markLabel = "caddy-hass action 1\x00"

// mark is 80 bits that are the same for the same parts and tell nobody anything
// about them.
func (s *Signer) mark(parts ...string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(markLabel))
	for _, part := range parts {
		mac.Write(binary.AppendUvarint(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return encode(mac.Sum(nil), 16)
}

// encode writes the first 5·n bits of b in n characters.
func encode(b []byte, n int) string {
	var out strings.Builder
	out.Grow(n)
	var acc, bits uint
	for i := 0; out.Len() < n; {
		if bits < 5 {
			acc = acc<<8 | uint(b[i])
			bits += 8
			i++
		}
		bits -= 5
		out.WriteByte(alphabet[acc>>bits&31])
	}
	return out.String()
}

// Normalize reads a code as people write and type it: any case, O for 0, I and
// L for 1, spaces and dashes anywhere, those too that phones and word processors
// put in the place of plain ones.
//
// ok says whether it is a whole code. shaped says whether somebody tried one:
// a few characters more or fewer are a slip or a guess, while anything else,
// such as "favicon.ico", is no try at all.
func Normalize(s string) (code string, ok, shaped bool) {
	if len(s) > 3*codeLength {
		return "", false, false
	}
	out := make([]byte, 0, codeLength)
	for _, r := range s {
		if between(r) {
			continue
		}
		if r >= utf8.RuneSelf {
			return "", false, false
		}
		c := byte(r)
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		switch c {
		case 'O':
			c = '0'
		case 'I', 'L':
			c = '1'
		}
		if strings.IndexByte(alphabet, c) < 0 {
			return "", false, false
		}
		out = append(out, c)
	}
	return string(out), len(out) == codeLength, len(out) > codeLength-5 && len(out) < codeLength+5
}

// between reports whether r only stands between the characters of a code.
func between(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '-' || r == ' ' || r == '+' || '\t' <= r && r <= '\r'
	}
	return unicode.In(r, unicode.Pd, unicode.Zs, unicode.Cf) || r == '\u2212' // the minus sign
}

package guest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/caddy-hass/caddy-hass/internal/words"
)

// assetPrefix is the only reserved name below the prefix.
const assetPrefix = "-/"

//go:embed assets/guest.css
var style string

//go:embed assets/guest.js
var script string

//go:embed assets/icon.svg
var favicon string

// asset is a file with a hash of its content in its name: it never changes.
type asset struct {
	name        string
	contentType string
	plain       []byte
	small       func() []byte // compressed
}

var (
	styleAsset = newAsset("guest", "css", "text/css; charset=utf-8", lean(style))
	iconAsset  = newAsset("icon", "svg", "image/svg+xml", favicon)
	leanScript = lean(script)
)

// scripts has a script for each language, made when the first page in it is asked for.
var scripts = func() map[*words.Language]func() *asset {
	m := make(map[*words.Language]func() *asset)
	for _, l := range words.All() {
		m[l] = sync.OnceValue(func() *asset { return newScript(l) })
	}
	return m
}()

// newScript makes the script of a language: the words that it says by itself,
// and the code.
func newScript(l *words.Language) *asset {
	said := make(map[string]any, len(scriptWords)+1)
	for name, key := range scriptWords {
		said[name] = l.T(key)
	}
	said["spoken"] = [2]string{l.N("scheduled.spoken_minutes", 1), l.N("scheduled.spoken_minutes", 10)}
	said["in"] = l.DurationPatterns()
	if digits := l.Digits(); digits != "" {
		said["digits"] = digits
	}
	said["away"] = Icon("-away")
	var encoded bytes.Buffer
	enc := json.NewEncoder(&encoded)
	enc.SetEscapeHTML(false) // it is a file of its own
	if err := enc.Encode(said); err != nil {
		panic(err) // texts
	}
	return newAsset(scriptPrefix+l.Tag(), "js", "text/javascript; charset=utf-8", "const W="+encoded.String()+leanScript)
}

const scriptPrefix = "guest-"

// assetNamed returns the asset of that name, or nil.
func assetNamed(name string) *asset {
	for _, a := range []*asset{styleAsset, iconAsset} {
		if a.name == name {
			return a
		}
	}
	for l, script := range scripts {
		if strings.HasPrefix(name, scriptPrefix+l.Tag()+"-") {
			if a := script(); a.name == name {
				return a
			}
		}
	}
	return nil
}

// scriptWords are the messages that the script says by itself.
var scriptWords = map[string]string{
	"moment":   "working.title",
	"working":  "working.button",
	"some":     "working.some",
	"wait":     "working.wait",
	"now":      "ready.now",
	"again":    "again.in",
	"go_on":    "code.continue_in",
	"offline":  "offline.before",
	"trying":   "offline.trying",
	"lost":     "offline.title",
	"unsure":   "offline.text",
	"press":    "press_again",
	"changed":  "changed",
	"on_phone": "phone_time",
}

// comment is a line that is nothing but a comment.
var comment = regexp.MustCompile(`(?m)^\s*(//.*|/\*[^*]*\*/)$`)

// lean drops what only readers of the source need: comments on lines of their
// own, indentation, empty lines.
func lean(source string) string {
	var b strings.Builder
	for line := range strings.Lines(comment.ReplaceAllString(source, "")) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func newAsset(name, ext, contentType, content string) *asset {
	sum := sha256.Sum256([]byte(content))
	return &asset{
		name:        name + "-" + hex.EncodeToString(sum[:6]) + "." + ext,
		contentType: contentType,
		plain:       []byte(content),
		small: sync.OnceValue(func() []byte {
			var small bytes.Buffer
			z, _ := gzip.NewWriterLevel(&small, gzip.BestCompression) // the level is valid
			z.Write([]byte(content))                                  // into memory
			z.Close()
			return small.Bytes()
		}),
	}
}

func serveAsset(r *request, name string) {
	a := assetNamed(name)
	if a == nil {
		// A page of an older version asks for assets that are gone.
		writeProblem(r, &problem{Status: http.StatusNotFound, Code: "not_found", Detail: "There is no such file."})
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		options(r, "GET, HEAD, OPTIONS")
		return
	default:
		r.w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		writeProblem(r, &problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "This address takes GET, HEAD, OPTIONS."})
		return
	}
	header := r.w.Header()
	body := a.plain
	header.Set("Vary", "Accept-Encoding")
	if AcceptsGzip(r.Request) {
		header.Set("Content-Encoding", "gzip")
		body = a.small()
	}
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		r.w.Write(body)
	}
}

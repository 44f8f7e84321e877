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

	"github.com/caddy-hass/caddy-hass/caddyonetime/words"
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
	contentType  string
	plain, small []byte
}

var (
	assets      = make(map[string]*asset)
	styleName   = addAsset("guest", "css", "text/css; charset=utf-8", lean(style))
	faviconName = addAsset("icon", "svg", "image/svg+xml", favicon)
	scriptNames = addScripts()
)

// addScripts makes a script for each language: the words that it says by
// itself, and the code.
func addScripts() map[*words.Language]string {
	names := make(map[*words.Language]string)
	for _, l := range words.All() {
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
		names[l] = addAsset("guest-"+l.Tag(), "js", "text/javascript; charset=utf-8",
			"const W="+encoded.String()+lean(script))
	}
	return names
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

func addAsset(name, ext, contentType, content string) string {
	sum := sha256.Sum256([]byte(content))
	name += "-" + hex.EncodeToString(sum[:6]) + "." + ext
	var small bytes.Buffer
	z, _ := gzip.NewWriterLevel(&small, gzip.BestCompression) // the level is valid
	z.Write([]byte(content))                                  // into memory
	z.Close()
	assets[name] = &asset{contentType: contentType, plain: []byte(content), small: small.Bytes()}
	return name
}

func serveAsset(r *request, name string) {
	a := assets[name]
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
	if q, named := quality(r.Header.Get("Accept-Encoding"), "gzip", ""); named && q > 0 {
		header.Set("Content-Encoding", "gzip")
		body = a.small
	}
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		r.w.Write(body)
	}
}

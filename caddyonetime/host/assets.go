package host

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strconv"
	"sync"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// assetVersion changes with any of the assets, so that browsers may keep them.
var assetVersion = func() string {
	sum := sha256.New()
	entries, _ := assetFiles.ReadDir("assets")
	for _, e := range entries {
		b, _ := assetFiles.ReadFile("assets/" + e.Name())
		sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}()

// smallAssets are the assets that are text, compressed when the first is asked for.
var smallAssets = sync.OnceValue(func() map[string][]byte {
	small := map[string][]byte{}
	entries, _ := assetFiles.ReadDir("assets")
	for _, e := range entries {
		if path.Ext(e.Name()) == ".png" {
			continue // is compressed already
		}
		content, _ := assetFiles.ReadFile("assets/" + e.Name())
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
		z.Write(content)                                      // into memory
		z.Close()
		small[e.Name()] = b.Bytes()
	}
	return small
})

// asset serves what pages load.
func (r *request) asset() error {
	name := r.params["asset"]
	b, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		return onetime.ErrNotFound
	}
	header := r.w.Header()
	header.Set("Vary", "Accept-Encoding")
	if small := smallAssets()[name]; small != nil && guest.AcceptsGzip(r.Request) {
		header.Set("Content-Encoding", "gzip")
		b = small
	}
	contentType := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".js" {
		contentType = "text/javascript; charset=utf-8"
	}
	header.Set("Content-Type", contentType)
	if r.URL.Query().Get("v") == assetVersion {
		header.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	header.Set("Content-Length", strconv.Itoa(len(b)))
	r.w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		r.w.Write(b)
	}
	return nil
}

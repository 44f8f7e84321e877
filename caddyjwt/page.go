package caddyjwt

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// answerPage answers with a page in a language (its tag). policy is what it may
// load, and vary which header fields of the request it depends on.
func answerPage(w http.ResponseWriter, r *http.Request, status int, page *template.Template, data any, language, policy, vary string) error {
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("page: %w", err))
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", policy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	header.Set("Content-Language", language)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex")
	header.Set("Vary", vary)
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(b.Bytes())
	return err
}

package host

import (
	_ "embed"
	"net/http"
	"strconv"
)

// openAPIDocument describes the API. It is kept by hand, and the tests hold
// the API to it.
//
//go:embed openapi.json
var openAPIDocument []byte

func (r *request) openAPI() error {
	r.w.Header().Set("Content-Type", "application/json")
	r.w.Header().Set("Content-Length", strconv.Itoa(len(openAPIDocument)))
	r.w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		r.w.Write(openAPIDocument)
	}
	return nil
}

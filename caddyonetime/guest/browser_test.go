package guest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// step is one thing that a browser does.
type step = pagetest.Step

// newBrowser starts a browser without a window and ends it with the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	return pagetest.Browser(t)
}

// serve mounts the handler below a prefix, as handle_path does.
func (w *world) serve(t *testing.T) string {
	mux := http.NewServeMux()
	mux.Handle("/g/", http.StripPrefix("/g", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && w.failPosts.Load() {
			panic(http.ErrAbortHandler) // the line breaks
		}
		if w.noStyle && strings.HasSuffix(r.URL.Path, ".css") {
			http.NotFound(rw, r)
			return
		}
		if w.lang != "" {
			r.Header.Set("Accept-Language", w.lang)
		}
		if r.Method == http.MethodPost && w.loseAnswers.Add(-1) >= 0 {
			w.handler.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		w.handler.ServeHTTP(rw, r)
	})))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/g/"
}

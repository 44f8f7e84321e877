package guest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// step is one thing that a browser does.
type step = chromedp.Action[chromedp.Void]

// call is a step that is a command of the DevTools protocol.
func call[P, R any](command cdp.Command[P, R], params P) step {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, command, params)
		return err
	})
}

// chromium finds a browser, or skips the test with the reason.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium in PATH")
	return ""
}

// newBrowser starts a browser without a window and ends it with the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("hide-scrollbars", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("Chromium does not start: ", err)
	}
	return ctx
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

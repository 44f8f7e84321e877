package pagetest

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// Step is one thing that a browser does.
type Step = chromedp.Action[chromedp.Void]

// Call is a step that is a command of the DevTools protocol.
func Call[P, R any](command cdp.Command[P, R], params P) Step {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, command, params)
		return err
	})
}

const (
	startsWithin = time.Minute // on a machine that does a lot besides
	endsWithin   = 10 * time.Second
)

// Browser starts a Chromium without a window, or skips the test where there is none.
func Browser(t testing.TB) context.Context {
	t.Helper()
	ctx, found := Start(t, t.TempDir())
	if !found {
		t.Skip("no Chromium in PATH")
	}
	return ctx
}

// Start starts one with a profile, which outlives it. It ends with the test.
func Start(t testing.TB, profile string, more ...chromedp.ExecAllocatorOption) (ctx context.Context, found bool) {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		return nil, false
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(profile), chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	ctx, cancelAll := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			cancel()
			cancelAll()
		}()
		select {
		case <-ended:
		case <-time.After(endsWithin):
			t.Log("Chromium does not end")
		}
	})
	late := time.AfterFunc(startsWithin, cancelAll)
	defer late.Stop()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("Chromium does not start: ", err)
	}
	return ctx, true
}

package hassapp

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// provision makes an app of its JSON, as a configuration would.
func provision(t *testing.T, homes map[string]any) (*App, error) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"homes": homes})
	if err != nil {
		t.Fatal(err)
	}
	off := false
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		AppsRaw: caddy.ModuleMap{"hass": raw},
	})
	if err != nil {
		return nil, err
	}
	app, err := ctx.App("hass")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.(*App).Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return app.(*App), nil
}

func start(t *testing.T, homes map[string]any) *App {
	t.Helper()
	app, err := provision(t, homes)
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	return app
}

// connected acquires a home and waits for its connection.
func connected(t *testing.T, app *App, name string) (*hassclient.Client, func()) {
	t.Helper()
	client, release, err := app.Acquire(name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := client.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return client, release
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestConnectionIsOpenedAtStartAndSharedOverReloads(t *testing.T) {
	home := hasstest.New()
	defer home.Close()
	t.Setenv("HASS_TOKEN", home.Token())
	homes := map[string]any{
		"default": map[string]any{"url": home.URL(), "token": "{env.HASS_TOKEN}"},
		"again":   map[string]any{"url": home.URL() + "/", "token": "{env.HASS_TOKEN}"},
	}
	if _, err := provision(t, homes); err != nil {
		t.Fatal(err)
	}
	if n := home.Connections(); n != 0 {
		t.Fatalf("%d connections before the start", n)
	}

	before := start(t, homes)
	client, release := connected(t, before, "default")
	same, releaseSame := connected(t, before, "again")
	if client != same || home.Connections() != 1 {
		t.Errorf("two connections to one home: %d", home.Connections())
	}
	releaseSame()

	// A reload: the next starts, then this one goes.
	after := start(t, homes)
	if err := before.Cleanup(); err != nil {
		t.Fatal(err)
	}
	kept, releaseKept := connected(t, after, "default")
	if kept != client || home.Connections() != 1 {
		t.Errorf("the connection was not kept: %d", home.Connections())
	}
	releaseKept()

	// A reload without it: a redemption under way keeps its connection.
	if err := after.Cleanup(); err != nil {
		t.Fatal(err)
	}
	if !client.Connected() {
		t.Error("closed while it is held")
	}
	release()
	release() // twice does no harm
	if s := client.Status().State; s != hassclient.StateClosed {
		t.Errorf("still %s when nobody holds it", s)
	}
	eventually(t, "the home sees it close", func() bool { return home.Connections() == 0 })
}

func TestAnotherTokenIsAnotherConnection(t *testing.T) {
	home := hasstest.New()
	defer home.Close()
	app := start(t, map[string]any{
		"admin": map[string]any{"url": home.URL(), "token": home.Token()},
		"user":  map[string]any{"url": home.URL(), "token": home.UserToken()},
	})
	for name, admin := range map[string]bool{"admin": true, "user": false} {
		client, release := connected(t, app, name)
		defer release()
		if user, _ := client.User(); user.IsAdmin != admin {
			t.Errorf("%s: %+v", name, user)
		}
	}
	if got := app.Names(); len(got) != 2 || got[0] != "admin" || app.URL("admin") != home.URL() || app.URL("x") != "" {
		t.Errorf("%v", got)
	}
	if _, _, err := app.Acquire("cabin"); !errors.Is(err, ErrNoHome) || !strings.Contains(err.Error(), "cabin") {
		t.Errorf("got %v", err)
	}
}

// A token's file that appears or changes is read at the next connection.
func TestTokenIsReadBeforeEachConnection(t *testing.T) {
	home := hasstest.New()
	defer home.Close()
	file := filepath.Join(t.TempDir(), "token")
	app := start(t, map[string]any{"default": map[string]any{"url": home.URL(), "token": "{file." + file + "}"}})
	client, release, err := app.Acquire("default")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	eventually(t, "it says what is missing", func() bool {
		s := client.Status()
		return s.Err != nil && strings.Contains(s.Err.Error(), file)
	})
	if err := os.WriteFile(file, []byte(home.UserToken()+"\r\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client.Retry()
	_, again := connected(t, app, "default")
	again()
	if err := os.WriteFile(file, []byte(home.Token()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	home.DropConnections()
	eventually(t, "the new token is used", func() bool {
		user, ok := client.User()
		return ok && user.IsAdmin
	})
}

// A home that has refused its token is asked again when Caddy is reloaded.
func TestReloadAsksAgainAfterARefusal(t *testing.T) {
	home := hasstest.New()
	defer home.Close()
	home.Fault(hasstest.RejectTokens)
	t.Setenv("HASS_TOKEN", home.Token())
	homes := map[string]any{"default": map[string]any{"url": home.URL(), "token": "{env.HASS_TOKEN}"}}
	app := start(t, homes)
	client, release, err := app.Acquire("default")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	eventually(t, "refused", func() bool { return client.Status().State == hassclient.StateRefused })
	home.Heal()
	start(t, homes)
	eventually(t, "connected", client.Connected)
}

func TestTLS(t *testing.T) {
	home := hasstest.New()
	defer home.Close()
	server := httptest.NewUnstartedServer(home)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{}
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	pool := map[string]any{"provider": "file", "pem_files": []string{ca}}
	for name, c := range map[string]struct {
		tls map[string]any
		ok  bool
	}{
		"nothing said":       {nil, false},
		"trust pool":         {map[string]any{"ca": pool}, true},
		"another name in it": {map[string]any{"ca": pool, "server_name": "example.com"}, true},
		"a name that is not": {map[string]any{"ca": pool, "server_name": "example.org"}, false},
		"anybody":            {map[string]any{"insecure_skip_verify": true}, true},
	} {
		settings := map[string]any{"url": server.URL, "token": home.Token()}
		if c.tls != nil {
			settings["tls"] = c.tls
		}
		app := start(t, map[string]any{"default": settings})
		client, release, err := app.Acquire("default")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, name, func() bool {
			s := client.Status()
			return s.State == hassclient.StateConnected || s.Err != nil
		})
		if got := client.Connected(); got != c.ok {
			t.Errorf("%s: %v, %v", name, got, client.Status().Err)
		}
		release()
	}
}

func TestProvisionRefuses(t *testing.T) {
	for want, home := range map[string]any{
		"has no settings":        nil,
		"url is missing":         map[string]any{"token": "x"},
		"token is missing":       map[string]any{"url": "http://a"},
		"is no address":          map[string]any{"url": "a:8123", "token": "x"},
		"name and password":      map[string]any{"url": "http://a:b@c", "token": "x"},
		"after ? and #":          map[string]any{"url": "http://a?b", "token": "x"},
		"{env.NO_SUCH_VARIABLE}": map[string]any{"url": "http://{env.NO_SUCH_VARIABLE}", "token": "x"},
		"timeout":                map[string]any{"url": "http://a", "token": "x", "timeout": -1},
		"tls_trust_pool":         map[string]any{"url": "http://a", "token": "x", "tls": map[string]any{"ca": map[string]any{"provider": "file", "pem_files": []string{"/no/such/file"}}}},
		"unknown field":          map[string]any{"url": "http://a", "token": "x", "port": 1},
		"tls_server_name":        map[string]any{"url": "http://a", "token": "x", "tls": map[string]any{"server_name": "{env.NO_SUCH_VARIABLE}"}},
	} {
		if _, err := provision(t, map[string]any{"default": home}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := provision(t, map[string]any{"a:b": map[string]any{"url": "http://a", "token": "x"}}); err == nil {
		t.Error("a home is called a:b")
	}
}

// A token that cannot be read is told without what was read.
func TestReadToken(t *testing.T) {
	t.Setenv("EMPTY", "")
	t.Setenv("SPLIT", "eyJsecret\nX-Injected: 1")
	t.Setenv("GOOD", "  eyJsecret\n")
	for raw, want := range map[string]string{
		"{env.EMPTY}":            "{env.EMPTY}",
		"{env.NO_SUCH_VARIABLE}": "{env.NO_SUCH_VARIABLE}",
		"{file./no/such/file}":   "{file./no/such/file}",
		"{no.such.placeholder}":  "{no.such.placeholder}",
		"{env.SPLIT}":            "line breaks",
		" ":                      "empty",
	} {
		if token, err := readToken(raw); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "eyJsecret") {
			t.Errorf("%s: %q, %v", raw, token, err)
		}
	}
	if token, err := readToken("{env.GOOD}"); token != "eyJsecret" || err != nil {
		t.Errorf("%q, %v", token, err)
	}
}

// The key of a connection has the token only as its hash.
func TestConnectionKeyHoldsNoToken(t *testing.T) {
	app, err := provision(t, map[string]any{"default": map[string]any{"url": "http://a", "token": "eyJsecret"}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(io.Writer(&b), "%#v", app.Homes["default"].keyOf())
	if strings.Contains(b.String(), "eyJsecret") {
		t.Error(b.String())
	}
}

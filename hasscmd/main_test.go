package hasscmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/spf13/cobra"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// asCaddy makes the test binary a caddy: for tests that need a process.
const asCaddy = "HASSCMD_TEST_AS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// testCaddy is a Caddy in this process, with its admin endpoint at a socket,
// and a home.
type testCaddy struct {
	t       *testing.T
	dir     string
	address string // of the admin endpoint
	home    *hasstest.Home
}

type object = map[string]any

// startCaddy starts a Caddy that ends with the test. change may change its
// configuration.
func startCaddy(t *testing.T, change func(c *testCaddy, cfg object)) *testCaddy {
	t.Helper()
	dir, err := os.MkdirTemp("", "hc") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &testCaddy{t: t, dir: dir, address: "unix/" + filepath.Join(dir, "admin.sock"), home: hasstest.New(hasstest.WithoutDelays())}
	t.Cleanup(c.home.Close)
	c.load(change)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	return c
}

func (c *testCaddy) load(change func(c *testCaddy, cfg object)) {
	c.t.Helper()
	tokenFile := filepath.Join(c.dir, "token")
	if err := os.WriteFile(tokenFile, []byte(c.home.Token()), 0o600); err != nil {
		c.t.Fatal(err)
	}
	cfg := object{
		"admin":   object{"listen": c.address, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "FATAL"}}},
		"storage": object{"module": "file_system", "root": filepath.Join(c.dir, "storage")},
		"apps": object{
			"tls":  object{"disable_storage_clean": true},
			"hass": object{"homes": object{"default": object{"url": c.home.URL(), "token": "{file." + tokenFile + "}"}}},
			"hass_onetime": object{
				"public_url": "https://guests.example.com",
				"store":      object{"module": "bbolt", "path": filepath.Join(c.dir, "onetime.db")},
			},
		},
	}
	if change != nil {
		change(c, cfg)
	}
	b, err := json.Marshal(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := caddy.Load(b, true); err != nil {
		c.t.Fatalf("starting Caddy: %v", err)
	}
}

// result is what a command has come to.
type result struct {
	out, err string
	failed   error
}

// run runs "caddy hass …" against this Caddy.
func (c *testCaddy) run(stdin string, args ...string) result {
	c.t.Helper()
	return runCommand(stdin, append(args, "--address", c.address)...)
}

func runCommand(stdin string, args ...string) result {
	root := &cobra.Command{Use: "hass", SilenceUsage: true}
	root.AddCommand(commands()...)
	var out, errOut bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errOut)
	root.SetArgs(args)
	err := root.Execute()
	return result{out: out.String(), err: errOut.String(), failed: err}
}

// must is run, for commands that must succeed.
func (c *testCaddy) must(stdin string, args ...string) string {
	c.t.Helper()
	r := c.run(stdin, args...)
	if r.failed != nil {
		c.t.Fatalf("caddy hass %s: %v\n%s", strings.Join(args, " "), r.failed, r.err)
	}
	return r.out
}

// fails is run, for commands that must fail and say so.
func (c *testCaddy) fails(want string, args ...string) {
	c.t.Helper()
	wantFailure(c.t, c.run("", args...), want)
}

func wantFailure(t *testing.T, r result, want string) {
	t.Helper()
	if r.failed == nil || !strings.Contains(r.failed.Error(), want) {
		t.Errorf("error is %v, want one with %q", r.failed, want)
	}
}

const doorYAML = "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"

// connected waits until the home can be asked: it is right after the start of
// Caddy that it cannot.
func (c *testCaddy) defineDoor() {
	c.t.Helper()
	c.waitForHome()
	c.must(doorYAML, "action", "set", "front_door", "--title", "Open the front door", "--file", "-")
}

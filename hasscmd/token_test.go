package hasscmd

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassapp"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// waitForHome waits until Caddy is connected to its home.
func (c *testCaddy) waitForHome() {
	c.t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("hass")
	if err != nil {
		c.t.Fatal(err)
	}
	client, release, err := app.(*hassapp.App).Acquire("default")
	if err != nil {
		c.t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	if err := client.Wait(ctx); err != nil {
		c.t.Fatal(err)
	}
}

func (c *testCaddy) service() *onetime.Service {
	c.t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("hass_onetime")
	if err != nil {
		c.t.Fatal(err)
	}
	svc, err := app.(*caddyonetime.App).Service(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return svc
}

const linkPrefix = "https://guests.example.com/"

// press redeems a link as a guest.
func (c *testCaddy) press(link string) (*onetime.Redemption, error) {
	return c.service().Redeem(c.t.Context(), onetime.RedeemRequest{Code: strings.TrimPrefix(link, linkPrefix)})
}

// A link made at the command line turns the lock, as often as it says; listed,
// it says who made it; revoked, it opens nothing.
func TestTokenCreateListRevoke(t *testing.T) {
	t.Setenv("SUDO_USER", "anna")
	c := startCaddy(t, nil)
	c.defineDoor()

	link := strings.TrimSpace(c.must("", "token", "create", "--action", "front_door", "--guest", "Tom", "--comment", "Hello", "--uses", "2", "--expires", "2h"))
	if !strings.HasPrefix(link, linkPrefix) || len(link) != len(linkPrefix)+24 {
		t.Fatalf("printed %q, and not a link alone", link)
	}
	if r, err := c.press(link); err != nil || r.Outcome != onetime.OutcomeDone {
		t.Fatalf("pressing: %+v, %v", r, err)
	}
	if got := c.home.State("lock.front_door"); got != "unlocked" {
		t.Errorf("the door is %s", got)
	}

	id := link[len(linkPrefix):][:6]
	list := c.must("", "token", "list")
	for _, want := range []string{id, "ready", "Tom", "front_door", "1 of 2", "anna"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list has no %q:\n%s", want, list)
		}
	}
	code := link[len(linkPrefix):]
	if strings.Contains(list, code) {
		t.Errorf("the list shows a link that nobody has asked for:\n%s", list)
	}
	if asJSON := c.must("", "token", "list", "--json"); strings.Contains(asJSON, code) {
		t.Errorf("the list shows a link that nobody has asked for:\n%s", asJSON)
	}
	if with := c.must("", "token", "list", "--links"); !strings.Contains(with, link) {
		t.Errorf("the list lacks the link that was asked for:\n%s", with)
	}

	// A link is as good as its id for saying which one is meant.
	if out := c.must("", "token", "revoke", strings.ToLower(link)); out != id+" revoked\n" {
		t.Errorf("revoking printed %q", out)
	}
	if _, err := c.press(link); err == nil {
		t.Error("a revoked link still opens the door")
	}
	if list := c.must("", "token", "list"); strings.Contains(list, id) {
		t.Errorf("a revoked link is listed as live:\n%s", list)
	}
	if list := c.must("", "token", "list", "--all"); !strings.Contains(list, "revoked") {
		t.Errorf("--all does not list a revoked link:\n%s", list)
	}
}

func TestTokenCreateJSON(t *testing.T) {
	t.Setenv("SUDO_USER", "anna")
	c := startCaddy(t, nil)
	c.defineDoor()
	var got struct {
		ID        string         `json:"id"`
		URL       string         `json:"url"`
		UsesMax   *int           `json:"uses_max"`
		NotBefore time.Time      `json:"not_before"`
		Expires   *time.Time     `json:"expires"`
		CreatedBy onetime.Person `json:"created_by"`
	}
	out := c.must("", "token", "create", "--action", "front_door", "--any", "--not-before", "2030-01-02T03:04:05+01:00", "--json")
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if got.ID == "" || !strings.HasPrefix(got.URL, linkPrefix+got.ID) || got.UsesMax != nil || got.Expires != nil {
		t.Errorf("got %s", out)
	}
	if want := time.Date(2030, 1, 2, 2, 4, 5, 0, time.UTC); !got.NotBefore.Equal(want) {
		t.Errorf("it begins %v, want %v", got.NotBefore, want)
	}
	if want := (onetime.Person{ID: "command line:anna", Name: "anna (command line)"}); got.CreatedBy != want {
		t.Errorf("it was made by %+v, want %+v", got.CreatedBy, want)
	}
}

func TestTokenCreateQR(t *testing.T) {
	c := startCaddy(t, nil)
	c.defineDoor()
	out := c.must("", "token", "create", "--action", "front_door", "--qr")
	link, drawn, _ := strings.Cut(out, "\n")
	if !strings.HasPrefix(link, linkPrefix) || strings.Count(drawn, "\n") < 15 || !strings.ContainsRune(drawn, '▀') {
		t.Errorf("printed:\n%s", out)
	}
}

// What is wrong is said, and nothing is made.
func TestTokenCreateRefused(t *testing.T) {
	c := startCaddy(t, nil)
	c.fails("make one by caddy hass action set", "token", "create")
	c.defineDoor()
	c.fails("front_door (Open the front door)", "token", "create")
	c.fails("actions", "token", "create", "--action", "back_door")
	c.fails("--expires", "token", "create", "--action", "front_door", "--expires", "tomorrow")
	c.fails("not ahead", "token", "create", "--action", "front_door", "--expires", "-2h")
	c.fails("uses_max", "token", "create", "--action", "front_door", "--uses", "0")
	c.fails("none of the others can be", "token", "create", "--action", "front_door", "--uses", "2", "--any")
	c.fails("no link with the id ABCDEF", "token", "revoke", "ABCDEF")
	c.fails("neither the id", "token", "revoke", "ABC")
	if list := c.must("", "token", "list", "--all", "--json"); !strings.Contains(list, `"tokens": []`) {
		t.Errorf("something was made:\n%s", list)
	}
}

func TestNoPublicURL(t *testing.T) {
	c := startCaddy(t, func(_ *testCaddy, cfg object) { delete(cfg["apps"].(object)["hass_onetime"].(object), "public_url") })
	c.defineDoor()
	c.fails("public_url https://", "token", "create", "--action", "front_door")
	if list := c.must("", "token", "list", "--all", "--json"); !strings.Contains(list, `"tokens": []`) {
		t.Errorf("a token was made that has no link:\n%s", list)
	}
}

func TestNotConfigured(t *testing.T) {
	c := startCaddy(t, func(_ *testCaddy, cfg object) { delete(cfg["apps"].(object), "hass_onetime") })
	for _, args := range [][]string{
		{"token", "create", "--action", "x"}, {"token", "list"}, {"token", "revoke", "ABCDEF"},
		{"action", "list"}, {"backup", "-o", "-"},
	} {
		c.fails("has no hass_onetime", args...)
	}
}

func TestNoCaddy(t *testing.T) {
	for _, address := range []string{"localhost:1", "unix//nowhere/admin.sock"} {
		r := runCommand("", "token", "list", "--address", address)
		wantFailure(t, r, "no Caddy answers at "+address)
	}
}

// A Caddy without this module answers 404, as any other does.
func TestCaddyWithoutModule(t *testing.T) {
	c := &client{address: "localhost:2019"}
	err := c.explain(errorString("caddy responded with error: HTTP 404: 404 page not found\n"))
	if !strings.Contains(err.Error(), "built without caddy-hass") {
		t.Errorf("got %v", err)
	}
}

type errorString string

func (e errorString) Error() string { return string(e) }

// Where the admin endpoint is can be read from a configuration, too.
func TestAddressFromConfig(t *testing.T) {
	c := startCaddy(t, nil)
	config := writeFile(t, "caddy.json", `{"admin": {"listen": "`+c.address+`"}}`)
	if r := runCommand("", "action", "list", "--config", config); r.failed != nil {
		t.Error(r.failed)
	}
}

// The endpoint has Caddy's own checks in front: a page of another origin gets
// nothing out of it.
func TestForeignOrigin(t *testing.T) {
	c := startCaddy(t, func(c *testCaddy, cfg object) {
		c.address = freeport.Addr(t)
		cfg["admin"].(object)["listen"] = c.address
	})
	c.defineDoor() // by TCP this time
	for _, header := range []http.Header{
		{"Origin": {"https://evil.example.com"}},
		{"Sec-Fetch-Mode": {"no-cors"}},
	} {
		req, err := http.NewRequest(http.MethodGet, "http://"+c.address+"/hass/backup", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("%v: HTTP %d", header, resp.StatusCode)
		}
	}
}

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"2h":                        now.Add(2 * time.Hour),
		"7d":                        now.Add(7 * 24 * time.Hour),
		"2026-11-22T18:00:00+01:00": time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC),
	} {
		if got, err := parseWhen(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0s", "-1h", "18:00", "2026-11-22", "2026-11-22T18:00:00"} {
		if got, err := parseWhen(s, now); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Setenv("TZ", "UTC")
	one, three := 1, 3
	at := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	door := token{Actions: []struct {
		Name     string `json:"name"`
		Title    string `json:"title"`
		UsesLeft *int   `json:"uses_left"`
	}{{Title: "Open the front door"}}}
	for want, change := range map[string]func(*token){
		`Tom may press "Open the front door" once, until ` + shortTime(at):              func(t *token) { t.Guest, t.UsesMax, t.Expires = "Tom", &one, &at },
		`whoever has it may press "Open the front door" 3 times, from ` + shortTime(at): func(t *token) { t.UsesMax, t.NotBefore = &three, &at },
		`whoever has it may press "Open the front door" any number of times, for ever`:  func(*token) {},
	} {
		tok := door
		change(&tok)
		if got := describe(&tok, at.Add(-time.Hour)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	if got := plain("Tom\x1b[31m\n\u202eevil"); got != "Tom [31m  evil" {
		t.Errorf("got %q", got)
	}
}

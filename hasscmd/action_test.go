package hasscmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestActionSetAndList(t *testing.T) {
	c := startCaddy(t, nil)
	c.waitForHome()
	if out := c.must("", "action", "set", "front_door", "--title", "Open the front door", "--file", writeFile(t, "door.yaml", doorYAML)); out != "front_door saved: \"Open the front door\"\n" {
		t.Errorf("printed %q", out)
	}
	const want = "NAME        TITLE                HOME\nfront_door  Open the front door  default\n"
	if got := c.must("", "action", "list"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}

	// What is not given stays.
	before, err := c.service().Action(t.Context(), "front_door")
	if err != nil {
		t.Fatal(err)
	}
	before.Translations = map[string]onetime.Translation{"de": {Title: "Haustür öffnen", Done: "Fest drücken."}}
	if _, _, err := c.service().SaveAction(t.Context(), onetime.Person{ID: "anna"}, before, 0); err != nil {
		t.Fatal(err)
	}
	c.must("", "action", "set", "front_door", "--done", "Push hard.", "--confirm", "tap")
	c.must("", "action", "set", "front_door", "--title", "Open up")
	a, err := c.service().Action(t.Context(), "front_door")
	if err != nil {
		t.Fatal(err)
	}
	if a.Title != "Open up" || a.Done != "Push hard." || a.Confirm != "tap" || a.Definition != doorYAML || a.Home != "default" ||
		a.Translations["de"] != before.Translations["de"] {
		t.Errorf("after two changes it is %+v", a)
	}
	if out := c.must("", "action", "list", "--json"); !strings.Contains(out, `"name": "front_door"`) {
		t.Errorf("printed:\n%s", out)
	}
}

// An action whose confirmation follows from its definition stays so.
func TestActionSetKeepsDerived(t *testing.T) {
	c := startCaddy(t, nil)
	c.defineDoor()
	c.must("", "action", "set", "front_door", "--title", "Open up")
	a, err := c.service().Action(t.Context(), "front_door")
	if err != nil {
		t.Fatal(err)
	}
	if a.Confirm != "" {
		t.Errorf("a confirmation that nobody has chosen was written down: %q", a.Confirm)
	}
}

func TestActionSetRefused(t *testing.T) {
	c := startCaddy(t, nil)
	c.waitForHome()
	c.fails("say by --file", "action", "set", "front_door", "--title", "x")
	c.fails("no such file", "action", "set", "front_door", "--file", "/nowhere/x.yaml")
	for _, tt := range []struct{ yaml, want string }{
		{"action: lock.unlock\ntarget: [", "line "},
		{"action: lock.nope\ntarget:\n  entity_id: lock.front_door\n", "lock.nope"},
		{"action: lock.unlock\ntarget:\n  entity_id: lock.back_door\n", "lock.back_door"},
	} {
		r := c.run(tt.yaml, "action", "set", "front_door", "--title", "x", "--file", "-")
		wantFailure(t, r, "definition")
		wantFailure(t, r, tt.want)
	}
	c.fails("name", "action", "set", "Front-Door", "--title", "x", "--file", writeFile(t, "door.yaml", doorYAML))
	if out := c.must("", "action", "list"); strings.Count(out, "\n") != 1 {
		t.Errorf("something was saved:\n%s", out)
	}
}

func TestActionSetWarns(t *testing.T) {
	c := startCaddy(t, nil)
	c.waitForHome()
	c.home.FlatBattery("lock.front_door")
	r := c.run(doorYAML, "action", "set", "front_door", "--title", "Open the front door", "--file", "-")
	if r.failed != nil || !strings.Contains(r.err, "Warning: ") || !strings.Contains(r.err, "lock.front_door") {
		t.Errorf("got %v, %q", r.failed, r.err)
	}
}

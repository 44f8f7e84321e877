package caddyhass_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every word of the Caddyfile is explained.
func TestEveryWordIsDocumented(t *testing.T) {
	cases := regexp.MustCompile(`(?m)^\t+case ("[a-z_]+"(?:, "[a-z_]+")*):$`)
	for source, page := range map[string]string{
		"hassapp/caddyfile.go":               "docs/caddyfile.md",
		"caddyonetime/app_caddyfile.go":      "docs/caddyfile.md",
		"caddyonetime/handlers_caddyfile.go": "docs/caddyfile.md",
		"caddyjwt/caddyfile.go":              "docs/hass_jwt.md",
		"caddyjwt/logincaddyfile.go":         "docs/hass_login.md",
		"caddyjwt/certificatecaddyfile.go":   "docs/hass_login.md",
	} {
		text, found := read(t, page), 0
		for _, m := range cases.FindAllStringSubmatch(read(t, source), -1) {
			for _, word := range strings.Split(m[1], ", ") {
				found++
				if word = strings.Trim(word, `"`); !regexp.MustCompile("`(key )?" + word + "\\b").MatchString(text) {
					t.Errorf("%s has %s, which is not in %s", source, word, page)
				}
			}
		}
		if found == 0 {
			t.Errorf("no words were found in %s", source)
		}
	}
}

// Every command and option is explained.
func TestEveryCommandIsDocumented(t *testing.T) {
	text := read(t, "docs/commands.md")
	root := new(cobra.Command)
	caddycmd.Commands()["hass"].CobraFunc(root)
	found := 0
	var look func(name string, cmd *cobra.Command)
	look = func(name string, cmd *cobra.Command) {
		if !cmd.HasSubCommands() {
			found++
			if !regexp.MustCompile(`(?m)^` + name + `\b`).MatchString(text) {
				t.Errorf("%q is missing", name)
			}
		}
		section := text[max(0, strings.Index(text, "\n## "+strings.Join(strings.Fields(name + " x")[:3], " "))):]
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(section, "--"+f.Name) && !strings.Contains(text, "`--"+f.Name) &&
				!(f.Shorthand != "" && strings.Contains(section, "-"+f.Shorthand+" ")) {
				t.Errorf("%s: --%s is missing", name, f.Name)
			}
		})
		for _, sub := range cmd.Commands() {
			look(name+" "+sub.Name(), sub)
		}
	}
	look("caddy hass", root)
	if found < 10 {
		t.Errorf("only %d commands were found", found)
	}
}

// Every request that the API takes is there, with all its parameters.
func TestEveryRequestIsDocumented(t *testing.T) {
	var description struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(read(t, "caddyonetime/host/openapi.json")), &description); err != nil {
		t.Fatal(err)
	}
	text, found := read(t, "docs/api.md"), 0
	for path, methods := range description.Paths {
		for method, raw := range methods {
			if method == "parameters" {
				continue
			}
			found++
			if request := strings.ToUpper(method) + " " + path; !strings.Contains(text, "`"+request+"`") {
				t.Errorf("%s is missing", request)
			}
			var operation struct {
				Parameters []struct{ Name, In string }
			}
			if err := json.Unmarshal(raw, &operation); err != nil {
				t.Fatal(err)
			}
			for _, p := range operation.Parameters {
				if p.In == "query" && !strings.Contains(text, "?"+p.Name+"=") {
					t.Errorf("%s: ?%s= is missing", path, p.Name)
				}
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d requests were found", found)
	}
}

// Every metric and every event is there.
func TestEveryNameIsDocumented(t *testing.T) {
	for _, c := range []struct{ source, pattern, before, page string }{
		{"caddyonetime/metrics.go", `vec\("(\w+)"`, "caddy_hass_onetime_", "docs/caddyfile.md"},
		{"caddyonetime/homeevents.go", `Event += "(caddy_hass_\w+)"`, "", "docs/home-assistant-automations.md"},
		{"caddyonetime/homeevents.go", "json:\"([b-z]\\w+)", "`", "docs/home-assistant-automations.md"},
		{"caddyonetime/events.go", `EventType = "(\w+)"`, "", "docs/home-assistant.md"},
		{"caddyonetime/events.go", "json:\"(\\w+)", "`", "docs/home-assistant.md"},
	} {
		found := regexp.MustCompile(c.pattern).FindAllStringSubmatch(read(t, c.source), -1)
		if len(found) == 0 {
			t.Errorf("nothing like %s was found in %s", c.pattern, c.source)
		}
		for _, m := range found {
			if !strings.Contains(read(t, c.page), c.before+m[1]) {
				t.Errorf("%s: %s is missing", c.page, m[1])
			}
		}
	}
}

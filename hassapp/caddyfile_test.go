package hassapp

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// adapt returns the JSON of the app in a Caddyfile with these global options.
func adapt(t *testing.T, options string) (string, error) {
	t.Helper()
	body, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\n"+options+"\n}\n"), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	var config struct {
		Apps struct {
			Hass json.RawMessage `json:"hass"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(body, &config); err != nil {
		t.Fatal(err)
	}
	return string(config.Apps.Hass), nil
}

func TestAdapt(t *testing.T) {
	for name, c := range map[string]struct{ options, want string }{
		"one home": {
			"hass {\nurl http://192.168.1.10:8123\ntoken {env.HASS_TOKEN}\n}",
			`{"homes":{"default":{"url":"http://192.168.1.10:8123","token":"{env.HASS_TOKEN}"}}}`,
		},
		"everything": {
			"hass cabin {\nurl https://10.0.0.2/core\ntoken {file./run/secrets/t}\ntimeout 3s\ntls_server_name my.duckdns.org\n" +
				"tls_trust_pool file /etc/ca.pem\ntls_insecure_skip_verify\n}",
			`{"homes":{"cabin":{"url":"https://10.0.0.2/core","token":"{file./run/secrets/t}","timeout":3000000000,` +
				`"tls":{"server_name":"my.duckdns.org","ca":{"pem_files":["/etc/ca.pem"],"provider":"file"},"insecure_skip_verify":true}}}}`,
		},
		"two homes": {
			"hass {\nurl http://a\ntoken {env.A}\n}\nhass cabin {\nurl http://b\ntoken {env.B}\n}",
			`{"homes":{"cabin":{"url":"http://b","token":"{env.B}"},"default":{"url":"http://a","token":"{env.A}"}}}`,
		},
		"a placeholder for the address": {
			"hass {\nurl {env.HASS_URL}\ntoken {env.A}\n}",
			`{"homes":{"default":{"url":"{env.HASS_URL}","token":"{env.A}"}}}`,
		},
	} {
		got, err := adapt(t, c.options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// What is wrong is told with the file and the line.
func TestAdaptRefuses(t *testing.T) {
	for options, want := range map[string][2]string{
		"hass {\nurl http://a\ntoken x\nport 8123\n}":                                          {"unrecognized subdirective 'port': hass takes url, token,", ":5"},
		"hass {\nurl http://a\nurl http://b\ntoken x\n}":                                       {"url stands here twice", ":4"},
		"hass {\nurl http://a\ntoken x\ntoken y\n}":                                            {"token stands here twice", ":5"},
		"hass {\nurl http://a\ntoken x\ntls_insecure_skip_verify\ntls_insecure_skip_verify\n}": {"twice", ":6"},
		"hass {\nurl http://a\ntoken x\ntls_insecure_skip_verify yes\n}":                       {"wrong argument count", ":5"},
		"hass {\nurl http://a\ntoken x\ntls_server_name\n}":                                    {"wrong argument count", ":5"},
		"hass {\nurl http://a\ntoken x\ntls_trust_pool nobody\n}":                              {"tls.ca_pool.source.nobody", ":5"},
		"hass {\nurl http://a\ntoken x\ntls_trust_pool /etc/home.pem\n}":                       {"write `tls_trust_pool file <pem>`", ":5"},
		"hass {\nurl http://a\ntoken {$CADDY_HASS_NOT_SET}\n}":                                 {"token is empty: write {env.HASS_TOKEN}", ":4"},
		"hass {\nurl http://a\ntoken a b\n}":                                                   {"write `token <placeholder>`", ":4"},
		"hass {\nurl http://a\ntoken x\ntimeout soon\n}":                                       {"no time above zero", ":5"},
		"hass {\nurl http://a\ntoken x\ntimeout 0\n}":                                          {"no time above zero", ":5"},
		"hass {\nurl http://a\ntoken x\ntimeout -5s\n}":                                        {"no time above zero", ":5"},
		"hass {\nurl 192.168.1.10:8123\ntoken x\n}":                                            {"no address", ":3"},
		"hass {\nurl ws://192.168.1.10:8123\ntoken x\n}":                                       {"begins with http://", ":3"},
		"hass {\nurl http://u:p@a\ntoken x\n}":                                                 {"name and password", ":3"},
		"hass {\nurl http://a?x=1\ntoken x\n}":                                                 {"after ?", ":3"},
		"hass {\nurl http://a http://b\ntoken x\n}":                                            {"wrong argument count", ":3"},
		"hass {\nurl http://a\n}":                                                              {"needs a token", ":4"},
		"hass {\ntoken x\n}":                                                                   {"needs a url", ":4"},
		"hass Cabin {\nurl http://a\ntoken x\n}":                                               {"no name for a home", ":2"},
		"hass cabin hut {\nurl http://a\ntoken x\n}":                                           {"wrong argument count", ":2"},
		"hass {\nurl http://a\ntoken x\n}\nhass {\nurl http://b\ntoken y\n}":                   {"needs a name", ":6"},
		"hass hut {\nurl http://a\ntoken x\n}\nhass hut {\nurl http://b\ntoken y\n}":           {`home "hut" already`, ":6"},
	} {
		_, err := adapt(t, options)
		if err == nil {
			t.Errorf("taken:\n%s", options)
			continue
		}
		if !strings.Contains(err.Error(), want[0]) || !strings.Contains(err.Error(), "Caddyfile"+want[1]) {
			t.Errorf("%s\n got %v\nwant %q at Caddyfile%s", options, err, want[0], want[1])
		}
	}
}

// A token that is a placeholder is never replaced in the configuration.
func TestAdaptKeepsPlaceholders(t *testing.T) {
	t.Setenv("HASS_TOKEN", "eyJsecret")
	got, err := adapt(t, "hass {\nurl http://a\ntoken {env.HASS_TOKEN}\n}")
	if err != nil || strings.Contains(got, "eyJsecret") {
		t.Errorf("%s, %v", got, err)
	}
}

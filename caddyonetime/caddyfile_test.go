package caddyonetime

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func adapt(t *testing.T, caddyfile string) ([]byte, error) {
	t.Helper()
	body, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	return body, err
}

// appJSON is the app's JSON in a Caddyfile with these global options.
func appJSON(t *testing.T, options string) (string, error) {
	t.Helper()
	body, err := adapt(t, "{\n"+options+"\n}\n")
	if err != nil {
		return "", err
	}
	var config struct {
		Apps struct {
			App json.RawMessage `json:"hass_onetime"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(body, &config); err != nil {
		t.Fatal(err)
	}
	return string(config.Apps.App), nil
}

func TestAdaptApp(t *testing.T) {
	for name, c := range map[string]struct{ options, want string }{
		"nothing": {"hass_onetime", `{}`},
		"as in the contract": {
			"hass_onetime {\npublic_url https://guests.example.com\nhouse \"12 Hill Street\"\ncontact Anna tel:+4930123456\n" +
				"notify notify.send_message {\ntarget notify.annas_phone\n}\n}",
			`{"public_url":"https://guests.example.com","house":"12 Hill Street","contacts":[{"name":"Anna","url":"tel:+4930123456"}],` +
				`"notify":[{"action":"notify.send_message","target":["notify.annas_phone"]}]}`,
		},
		"everything": {
			"hass_onetime {\npublic_url https://example.com/door/\nstore bbolt /srv/onetime.db\n" +
				"contact Anna tel:+4930123456\ncontact Tom mailto:tom@example.com\ncontact Eve https://wa.me/4930\ncontact Ian sms:+4930123456\n" +
				"notify cabin:notify.mobile_app_x {\ntarget notify.a notify.b\ndata priority high\ndata ttl 0\ndata sticky true\n}\n" +
				"notify script.tell\nretention 1y30d\naddresses short\n}",
			`{"public_url":"https://example.com/door/","store":{"module":"bbolt","path":"/srv/onetime.db"},` +
				`"contacts":[{"name":"Anna","url":"tel:+4930123456"},{"name":"Tom","url":"mailto:tom@example.com"},{"name":"Eve","url":"https://wa.me/4930"},{"name":"Ian","url":"sms:+4930123456"}],` +
				`"notify":[{"home":"cabin","action":"notify.mobile_app_x","target":["notify.a","notify.b"],"data":{"priority":"high","sticky":true,"ttl":0}},{"action":"script.tell"}],` +
				`"retention":34128000000000000,"addresses":"short"}`,
		},
		"no events":                {"hass_onetime {\nevents off\n}", `{"events_off":true}`},
		"nobody is told":           {"hass_onetime {\nnotify off\n}", `{"notify_off":true}`},
		"a store with its default": {"hass_onetime {\nstore bbolt\n}", `{"store":{"module":"bbolt"}}`},
	} {
		got, err := appJSON(t, c.options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// What is wrong is told with the file and the line.
func TestAdaptAppRefuses(t *testing.T) {
	for block, want := range map[string]string{
		"colour green": "unrecognized subdirective 'colour'",
		"public_url https://a\npublic_url https://b":   "public_url stands here twice",
		"house a\nhouse b":                             "house stands here twice",
		"house 12 Hill Street":                         "wrong argument count",
		"store bbolt\nstore bbolt":                     "store stands here twice",
		"store postgres":                               "hass_onetime.stores.postgres",
		"store bbolt a b":                              "wrong argument count",
		"retention 1y\nretention 2y":                   "retention stands here twice",
		"retention forever":                            "no time of at least an hour",
		"addresses":                                    "wrong argument count",
		"addresses half":                               `"half" is none of full, short and none`,
		"addresses none\naddresses none":               "addresses stands here twice",
		"events on":                                    "unless it says off",
		"events off\nevents off":                       "events stands here twice",
		"retention 1s":                                 "no time of at least an hour",
		"retention 99999999999999999999y":              "no time of at least an hour",
		"public_url guests.example.com":                "is no address",
		"public_url ftp://guests.example.com":          "is no address",
		"public_url https://":                          "is no address",
		"public_url https://a?x=1":                     "after ?",
		"public_url https://u:p@a":                     "name and password",
		"contact Anna":                                 "wrong argument count",
		"contact Anna Hill tel:+4930123456":            "write `contact <name> <tel:|sms:|mailto:|https:…>`, and what has spaces in it in quotes",
		"notify notify.send_message notify.annas":      "{ target <entity…> }",
		"store /data/onetime.db":                       "write `store bbolt [<path>]`",
		"retention 6 months":                           "write `retention <duration>`",
		"contact Anna +4930123456":                     "no way to reach Anna",
		"contact Anna javascript:alert(1)":             "no way to reach Anna",
		"contact Anna data:text/html,x":                "no way to reach Anna",
		"contact Anna http://example.com":              "no way to reach Anna",
		"contact Anna https://":                        "no way to reach Anna",
		"contact Anna tel:":                            "no way to reach Anna",
		"contact Anna mailto:nobody":                   "no way to reach Anna",
		"contact \"\" tel:+4930123456":                 "a name is missing",
		"notify":                                       "wrong argument count",
		"notify telephone":                             "no action",
		"notify :notify.x":                             "name is missing",
		"notify notify.x\nnotify off":                  "notify is off",
		"notify off\nnotify notify.x":                  "notify is off",
		"notify off {\ntarget a.b\n}":                  "notify off takes no",
		"notify notify.x {\nto a.b\n}":                 "unrecognized subdirective 'to': notify takes target and data",
		"notify notify.x {\ntarget\n}":                 "wrong argument count",
		"notify notify.x {\ntarget anna\n}":            "no entity",
		"notify notify.x {\ntarget a.b\ntarget a.c\n}": "target stands here twice",
		"notify notify.x {\ndata k\n}":                 "wrong argument count",
		"notify notify.x {\ndata k v\ndata k w\n}":     "data k stands here twice",
	} {
		_, err := appJSON(t, "hass_onetime {\n"+block+"\n}")
		if err == nil {
			t.Errorf("taken: %s", block)
			continue
		}
		// The line of the last word in the block, or of the one before it.
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%s\n got %v\nwant %q", block, err, want)
		}
	}
	for options, want := range map[string][2]string{
		"hass_onetime\nhass_onetime":             {"stands here twice", "Caddyfile:3"},
		"hass_onetime dashboard":                 {"wrong argument count", "Caddyfile:2"},
		"hass_onetime {\nhouse a\n\ncolour b\n}": {"colour", "Caddyfile:5"},
	} {
		_, err := appJSON(t, options)
		if err == nil || !strings.Contains(err.Error(), want[0]) || !strings.Contains(err.Error(), want[1]) {
			t.Errorf("%s\n got %v\nwant %q", options, err, want)
		}
	}
}

// handlers are the handlers of a site, as JSON, in their order.
func handlers(t *testing.T, site string) (string, error) {
	t.Helper()
	body, err := adapt(t, "http://:8080 {\n"+site+"\n}\n")
	if err != nil {
		return "", err
	}
	var config struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct{ Routes json.RawMessage }
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(body, &config); err != nil {
		t.Fatal(err)
	}
	return string(config.Apps.HTTP.Servers["srv0"].Routes), nil
}

func TestAdaptDirective(t *testing.T) {
	for name, c := range map[string]struct{ site, want string }{
		"guests":    {"hass_onetime", `[{"handle":[{"handler":"hass_onetime"}]}]`},
		"hosts":     {"hass_onetime dashboard", `[{"handle":[{"handler":"hass_onetime_dashboard"}]}]`},
		"a matcher": {"hass_onetime /door/*", `[{"match":[{"path":["/door/*"]}],"handle":[{"handler":"hass_onetime"}]}]`},
		"a matcher and hosts": {"@a method GET\nhass_onetime @a dashboard",
			`[{"match":[{"method":["GET"]}],"handle":[{"handler":"hass_onetime_dashboard"}]}]`},
		"all of the dashboard": {"hass_onetime dashboard {\nmanage roles admin owner\nuser {http.request.header.Remote-User}\nframe_ancestors https://ha.example.com 'self'\n}",
			`[{"handle":[{"frame_ancestors":["https://ha.example.com","'self'"],"handler":"hass_onetime_dashboard","manage":{"claim":"roles","values":["admin","owner"]},"user":"{http.request.header.Remote-User}"}]}]`},
		"before reverse_proxy": {"reverse_proxy 127.0.0.1:1\nhass_onetime",
			`[{"handle":[{"handler":"hass_onetime"},{"handler":"reverse_proxy","upstreams":[{"dial":"127.0.0.1:1"}]}]}]`},
		"after basic_auth": {"hass_onetime dashboard\nbasic_auth {\na $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n}",
			`[{"handle":[{"handler":"authentication","providers":{"http_basic":{"accounts":[{"password":"$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG","username":"a"}],"hash":{"algorithm":"bcrypt"},"hash_cache":{}}}},{"handler":"hass_onetime_dashboard"}]}]`},
		"handle_path": {"handle_path /door/* {\nhass_onetime\n}",
			`[{"match":[{"path":["/door/*"]}],"handle":[{"handler":"subroute","routes":[{"handle":[{"handler":"rewrite","strip_path_prefix":"/door"}]},{"handle":[{"handler":"hass_onetime"}]}]}]}]`},
		"route": {"route {\nhass_onetime dashboard\n}",
			`[{"handle":[{"handler":"subroute","routes":[{"handle":[{"handler":"hass_onetime_dashboard"}]}]}]}]`},
	} {
		got, err := handlers(t, c.site)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestAdaptDirectiveRefuses(t *testing.T) {
	for site, want := range map[string][2]string{
		"hass_onetime guests":                                                      {`no "guests"`, ":2"},
		"hass_onetime {\nhouse a\n}":                                               {`no "house" here`, ":3"},
		"hass_onetime dashboard now":                                               {"wrong argument count", ":2"},
		"hass_onetime dashboard {\nadmin a\n}":                                     {"unrecognized subdirective 'admin': hass_onetime dashboard takes manage,", ":3"},
		"hass_onetime dashboard {\nmanage roles\n}":                                {"write `manage <claim> <value…>`", ":3"},
		"hass_onetime dashboard {\nmanage roles \"\"\n}":                           {"at least one value", ":3"},
		"hass_onetime dashboard {\nmanage roles a\nmanage roles b\n}":              {"twice", ":4"},
		"hass_onetime dashboard {\nuser anna\n}":                                   {"no placeholder", ":3"},
		"hass_onetime dashboard {\nuser {a} {b}\n}":                                {"wrong argument count", ":3"},
		"hass_onetime dashboard {\nuser {a}\nuser {b}\n}":                          {"twice", ":4"},
		"hass_onetime dashboard {\nframe_ancestors\n}":                             {"wrong argument count", ":3"},
		"hass_onetime dashboard {\nframe_ancestors ha.example.com\n}":              {"no origin", ":3"},
		"hass_onetime dashboard {\nframe_ancestors https://a/b\n}":                 {"no origin", ":3"},
		"hass_onetime dashboard {\nframe_ancestors \"https://a; script-src *\"\n}": {"no origin", ":3"},
		"hass_onetime dashboard {\nframe_ancestors *\n}":                           {"no origin", ":3"},
		"hass_onetime dashboard {\nmanage roles a {\nb\n}\n}":                      {"takes no block", ":4"},
	} {
		_, err := handlers(t, site)
		if err == nil {
			t.Errorf("taken:\n%s", site)
			continue
		}
		if !strings.Contains(err.Error(), want[0]) || !strings.Contains(err.Error(), "Caddyfile"+want[1]) {
			t.Errorf("%s\n got %v\nwant %q at Caddyfile%s", site, err, want[0], want[1])
		}
	}
}

func TestParseRetention(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"1y": 365 * 24 * time.Hour, "2y12h": 730*24*time.Hour + 12*time.Hour, "90d": 90 * 24 * time.Hour,
	} {
		if got, err := parseRetention(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}

// What the Caddyfile refuses, JSON does not let through either.
func TestProvisionRefusesRetention(t *testing.T) {
	for retention, ok := range map[time.Duration]bool{-time.Hour: false, time.Second: false, 0: true, minRetention: true} {
		raw, err := json.Marshal(map[string]any{
			"retention": retention,
			"store":     map[string]string{"module": "bbolt", "path": filepath.Join(t.TempDir(), "onetime.db")},
		})
		if err != nil {
			t.Fatal(err)
		}
		err = caddy.Validate(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, AppsRaw: caddy.ModuleMap{"hass_onetime": raw}})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "no time of at least an hour") {
			t.Errorf("%v: %v", retention, err)
		}
	}
}

package demo

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/caddyserver/caddy/v2"

	// What the configuration below is made of.
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"

	"github.com/caddy-hass/caddy-hass/hassapp"
)

// Where things are. Links stand at the root.
const (
	hostPrefix  = "/host"
	housePrefix = "/house"
	enterPath   = "enter/"
)

const houseName = "Demo house"

// settings are what differs between demos.
type settings struct {
	port      int
	base      string // the address that phones use
	dir       string
	secret    string // makes its bearer the host
	home      string
	tokenFile string
	house     string // "127.0.0.1:1234"
}

type object = map[string]any

// config is a Caddy that writes nowhere but into its own folder, has no admin
// endpoint and saves no configuration.
func config(s settings) (*caddy.Config, error) {
	// Cookies know no ports: two demos on one machine need two names.
	cookie := fmt.Sprintf("caddy_hass_demo_%d", s.port)
	isHost := `(?:^|;\s*)` + regexp.QuoteMeta(cookie+"="+s.secret) + `(?:;|$)`

	storage := filepath.Join(s.dir, "storage")
	cfg := object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "ERROR"}}},
		"storage": object{"module": "file_system", "root": storage},
		"apps": object{
			"hass": object{"homes": object{
				hassapp.DefaultHome: object{"url": s.home, "token": "{file." + s.tokenFile + "}"},
			}},
			"hass_onetime": object{
				"public_url": s.base,
				"store":      object{"module": "bbolt", "path": filepath.Join(s.dir, "onetime.db")},
				"house":      houseName,
				// A number that is reserved for fiction.
				"contacts":   []object{{"name": person.Name, "url": "tel:+12025550123"}},
				"notify_off": true,
			},
			// Cleaning storage would leave an instance.uuid in Caddy's data folder.
			"tls": object{"disable_storage_clean": true},
			"http": object{
				"grace_period": "1s",
				"servers": object{"demo": object{
					"listen":          []string{fmt.Sprintf(":%d", s.port)},
					"automatic_https": object{"disable": true},
					"routes": []object{
						{
							"match": []object{{"path": []string{hostPrefix + "/" + enterPath + s.secret}}},
							"handle": []object{{"handler": "static_response", "status_code": 303, "headers": object{
								"Set-Cookie":      []string{cookie + "=" + s.secret + "; Path=" + hostPrefix + "; HttpOnly; SameSite=Lax"},
								"Location":        []string{hostPrefix + "/"},
								"Referrer-Policy": []string{"no-referrer"},
								"Cache-Control":   []string{"no-store"},
							}}},
							"terminal": true,
						},
						withSlash(hostPrefix),
						withSlash(housePrefix),
						{
							"match": []object{{
								"path":          []string{hostPrefix + "/*"},
								"header_regexp": object{"Cookie": object{"pattern": isHost}},
							}},
							"handle": []object{
								{"handler": "vars", "demo_host": person.ID},
								{"handler": "rewrite", "strip_path_prefix": hostPrefix},
								{"handler": "hass_onetime_dashboard", "user": "{http.vars.demo_host}"},
							},
							"terminal": true,
						},
						{
							"match": []object{{"path": []string{hostPrefix + "/*"}}},
							"handle": []object{{"handler": "static_response", "status_code": 403,
								"headers": object{"Content-Type": []string{"text/plain; charset=utf-8"}},
								"body":    "This is the host's side. Open the link for the host that the demo has printed in its terminal.\n"}},
							"terminal": true,
						},
						{
							"match": []object{{"path": []string{housePrefix + "/*"}}},
							"handle": []object{
								{"handler": "rewrite", "strip_path_prefix": housePrefix},
								{"handler": "reverse_proxy", "upstreams": []object{{"dial": s.house}}},
							},
							"terminal": true,
						},
						{
							"handle": []object{{"handler": "hass_onetime"}},
						},
					},
				}},
			},
		},
	}
	b, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	var c *caddy.Config
	return c, caddy.StrictUnmarshalJSON(b, &c)
}

// withSlash leads from a prefix to what is below it. The path that was asked for
// is not repeated: //host, which matches too, would lead to another machine.
func withSlash(prefix string) object {
	return object{
		"match":    []object{{"path": []string{prefix}}},
		"handle":   []object{{"handler": "static_response", "status_code": 308, "headers": object{"Location": []string{prefix + "/"}}}},
		"terminal": true,
	}
}

package caddyonetime

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-hass/caddy-hass/internal/syntax"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("hass_onetime", parseGlobal)
}

// parseGlobal reads the global option; see [App.UnmarshalCaddyfile].
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Err("hass_onetime stands here twice: there is one for all homes and sites")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "hass_onetime", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from the global option. Syntax:
//
//	hass_onetime {
//		public_url <address>
//		store      bbolt [<path>]
//		house      <text>
//		contact    <name> <tel:|sms:|mailto:|https:…>
//		notify     off | [<home>:]<action> {
//			target <entity…>
//			data   <key> <value>
//		}
//		retention  <duration>
//		addresses  full | short | none
//		events     off
//	}
//
// contact and notify may stand more than once, and data with several keys.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := syntax.None(d, "hass_onetime { … }"); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if seen[word] && word != "contact" && word != "notify" {
			return d.Errf("%s stands here twice", word)
		}
		seen[word] = true

		var err error
		switch word {
		case "public_url":
			if a.BaseURL, err = syntax.One(d, "public_url <address>"); err == nil && !syntax.HasPlaceholder(a.BaseURL) {
				if _, bad := checkPublicURL(a.BaseURL); bad != nil {
					err = d.Errf("public_url: %v", bad)
				}
			}
		case "store":
			err = a.parseStore(d)
		case "house":
			a.House, err = syntax.One(d, "house <text>")
		case "contact":
			err = a.parseContact(d)
		case "notify":
			err = a.parseNotify(d)
		case "events":
			var what string
			if what, err = syntax.One(d, "events off"); err == nil && what != "off" {
				err = d.Errf("events: %q: there are events unless it says off", what)
			}
			a.EventsOff = err == nil
		case "retention":
			err = a.parseRetention(d)
		case "addresses":
			if a.Addresses, err = syntax.One(d, "addresses full|short|none"); err == nil {
				if bad := checkAddresses(a.Addresses); bad != nil {
					err = d.Err(bad.Error())
				}
			}
		default:
			err = syntax.Unknown(d, "the global option hass_onetime", "public_url, store, house, contact, notify, retention, addresses and events")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	const usage = "store bbolt [<path>]"
	if !d.NextArg() {
		return syntax.Wrong(d, usage)
	}
	name := d.Val()
	if _, err := caddy.GetModule("hass_onetime.stores." + name); err != nil {
		return d.Errf("store: there is no module hass_onetime.stores.%s: write `%s`", name, usage)
	}
	unm, err := caddyfile.UnmarshalModule(d, "hass_onetime.stores."+name)
	if err != nil {
		return err
	}
	store, ok := unm.(Store)
	if !ok {
		return d.Errf("%s is no store", name)
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(store, "module", name, nil)
	return nil
}

func (a *App) parseContact(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs() // an empty name is told below
	if len(args) != 2 {
		return syntax.Wrong(d, "contact <name> <tel:|sms:|mailto:|https:…>")
	}
	if !syntax.HasPlaceholder(args[0] + args[1]) {
		if err := checkContact(args[0], args[1]); err != nil {
			return d.Errf("contact: %v", err)
		}
	}
	a.Contacts = append(a.Contacts, Contact{Name: args[0], URL: args[1]})
	return nil
}

func (a *App) parseNotify(d *caddyfile.Dispenser) error {
	what, err := syntax.One(d, "notify [<home>:]<action> { target <entity…> }")
	if err != nil {
		return err
	}
	if what == "off" && len(a.Notify) > 0 || a.NotifyOff {
		return d.Err("notify is off, and there is one, too")
	}
	if what == "off" {
		a.NotifyOff = true
		if d.NextBlock(d.Nesting()) {
			return d.Errf("notify off takes no %q", d.Val())
		}
		return nil
	}

	n := new(Notify)
	n.Action = what
	if home, action, ok := strings.Cut(what, ":"); ok {
		n.Home, n.Action = home, action
		if home == "" {
			return d.Errf("notify: a home's name is missing before the colon of %q", what)
		}
	}
	if !actionShape.MatchString(n.Action) {
		return d.Errf("notify: %q is no action: write it as notify.send_message", n.Action)
	}
	seenTarget := false
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch word := d.Val(); word {
		case "target":
			if seenTarget {
				return d.Err("target stands here twice: write all entities behind one")
			}
			seenTarget = true
			if n.Target, err = syntax.Args(d, 1, 0, "target <entity…>"); err != nil {
				return err
			}
			for _, t := range n.Target {
				if !syntax.HasPlaceholder(t) && !entityShape.MatchString(t) {
					return d.Errf("target: %q is no entity: write it as notify.annas_phone", t)
				}
			}
		case "data":
			args := d.RemainingArgs()
			if len(args) != 2 {
				return syntax.Wrong(d, "data <key> <value>")
			}
			if _, ok := n.Data[args[0]]; ok {
				return d.Errf("data %s stands here twice", args[0])
			}
			if n.Data == nil {
				n.Data = make(map[string]any)
			}
			n.Data[args[0]] = dataValue(args[1])
		default:
			return syntax.Unknown(d, "notify", "target and data")
		}
	}
	a.Notify = append(a.Notify, n)
	return nil
}

// dataValue reads JSON where a value is JSON, such as a number, true, or a list
// of actions; anything else is a string.
func dataValue(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) == nil {
		return v
	}
	return s
}

var years = regexp.MustCompile(`(\d+)y`)

func (a *App) parseRetention(d *caddyfile.Dispenser) error {
	arg, err := syntax.One(d, "retention <duration>")
	if err != nil {
		return err
	}
	retention, err := parseRetention(arg)
	if err != nil || retention < minRetention {
		return d.Errf("retention: %q is no time of at least an hour, such as 1y, 90d or 12h", arg)
	}
	a.Retention = caddy.Duration(retention)
	return nil
}

// parseRetention reads a duration as Caddy does, and years of 365 days beside.
func parseRetention(s string) (time.Duration, error) {
	var bad error
	inDays := years.ReplaceAllStringFunc(s, func(y string) string {
		n, err := strconv.Atoi(y[:len(y)-1])
		if err != nil || n > 200 {
			bad = strconv.ErrRange
		}
		return strconv.Itoa(n*365) + "d"
	})
	if bad != nil {
		return 0, bad
	}
	return caddy.ParseDuration(inDays)
}

// UnmarshalCaddyfile sets up the store. Syntax:
//
//	bbolt [<path>]
func (s *BoltStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		s.Path = d.Val()
	}
	if err := syntax.None(d, "store bbolt [<path>]"); err != nil {
		return err
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("store bbolt knows no %q", d.Val())
	}
	return nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*BoltStore)(nil)
)

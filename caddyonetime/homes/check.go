package homes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// needsAdmin is the refusal of what an ordinary user's token cannot run.
const needsAdmin = "Save this sequence as a script in Home Assistant and use `action: script.<name>`: no administrator needed."

// Check implements onetime.Home.
func (h *home) Check(ctx context.Context, d *onetime.Definition) (onetime.Warnings, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := h.connected(ctx); err != nil {
		return nil, unreachable(err)
	}
	if config, ok := h.client.Home(); ok && config.State != "" && !config.Running() {
		return nil, fmt.Errorf("%w: Home Assistant is still starting, and does not know all it can do yet; try again in a minute", onetime.ErrUnreachable)
	}
	user, ok := h.client.User()
	if !ok {
		return nil, unreachable(hassclient.ErrNotConnected)
	}
	if d.Single == nil && !user.IsAdmin {
		return nil, said(bad(0, needsAdmin), "needs_admin", nil, "example", "action: script.…")
	}
	h.resolved.forget() // a host looks at the home as it is now
	c := &check{home: h, d: d, admin: user.IsAdmin}
	if err := c.run(ctx); err != nil {
		var no *onetime.BadInput
		if errors.As(err, &no) {
			return nil, no
		}
		return nil, unreachable(err)
	}
	return c.warnings, nil
}

// check is one look at a definition. Its methods return a *BadInput, or an error
// of the connection.
type check struct {
	home     *home
	d        *onetime.Definition
	admin    bool
	services hassclient.Services
	warnings onetime.Warnings
}

func (c *check) run(ctx context.Context) error {
	for i := range c.d.Calls {
		if err := wellFormed(&c.d.Calls[i]); err != nil {
			return err
		}
	}
	if err := c.syntax(ctx); err != nil {
		return err
	}
	services, err := c.home.client.Services(ctx)
	if err != nil {
		return err
	}
	c.services = services
	for i := range c.d.Calls {
		call := &c.d.Calls[i]
		svc, err := c.service(call)
		if err != nil {
			return err
		}
		if err := c.targets(ctx, call, svc); err != nil {
			return err
		}
	}
	return nil
}

func bad(line int, format string, args ...any) *onetime.BadInput {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	return &onetime.BadInput{Field: "definition", Line: line, Message: message}
}

// said adds how catalogues have the message. like are the names that were perhaps
// meant.
func said(b *onetime.BadInput, key string, like []string, args ...any) *onetime.BadInput {
	b.Said = &onetime.Said{Key: key, Args: args, Like: like}
	return b
}

// wellFormed says better than Home Assistant what is no entity id.
func wellFormed(call *onetime.Call) error {
	for _, e := range call.Target.Entities {
		if e != "all" && e != "none" && !entityID.MatchString(e) && !registryID.MatchString(e) {
			return bad(call.LineOf(e), "`%s` is not an entity id: they look like `lock.front_door`", e).Says("entity_form", "name", e, "example", "lock.front_door")
		}
	}
	return nil
}

// syntax asks the home whether it can read the steps.
func (c *check) syntax(ctx context.Context) error {
	err := c.home.client.ValidateActions(ctx, c.d.Steps)
	var ce *hassclient.CommandError
	if !errors.As(err, &ce) {
		return err
	}
	if ce.Code != hassclient.CodeInvalid && ce.Code != hassclient.CodeInvalidFormat {
		return err
	}
	message, path := splitPath(ce.Message)
	if strings.HasPrefix(message, "template value should be a string") {
		message += ": a template in it has a mistake"
	}
	line := c.d.LineAt(path...)
	if path == nil {
		// Some messages only quote what is wrong: "Unknown device 'abc'".
		line = 0
		if m := quoted.FindStringSubmatch(message); m != nil {
			line = c.d.LineOf(m[1])
		}
	}
	if name, ok := lastName(path); ok {
		return bad(line, "Home Assistant says of `%s`: %s", name, message).Says("home_says_of", "name", name, "why", message)
	}
	return bad(line, "Home Assistant says: %s", message).Says("home_says", "why", message)
}

// errorPath finds the place in a message of validate_config: "… at '[0].delay'", or
// "… @ data[0]['delay']. Got 'x'" before 2026.
var (
	errorPath = regexp.MustCompile(`(?s)^(.*?)(?: at '(\[\d+\][^']*)'| for dictionary value @ data(\S+?)| @ data(\S+?))(?:\. Got .*)?$`)
	quoted    = regexp.MustCompile(`'([^']+)'`)
	pathPart  = regexp.MustCompile(`\[(\d+)\]|\['([^']*)'\]|\.?([^.\[\]']+)`)
)

// splitPath takes the place out of Home Assistant's message.
func splitPath(message string) (text string, path []any) {
	m := errorPath.FindStringSubmatch(message)
	if m == nil {
		return message, nil
	}
	for _, p := range pathPart.FindAllStringSubmatch(m[2]+m[3]+m[4], -1) {
		if p[1] != "" {
			n, _ := strconv.Atoi(p[1])
			path = append(path, n)
		} else {
			path = append(path, p[2]+p[3])
		}
	}
	return m[1], path
}

func lastName(path []any) (string, bool) {
	for _, p := range slices.Backward(path) {
		if s, ok := p.(string); ok {
			return s, true
		}
	}
	return "", false
}

// targetWords are what Home Assistant takes out of a call's data as its target.
var targetWords = []string{"entity_id", "device_id", "area_id", "floor_id", "label_id", "exclude"}

// service checks that a call's service is there, for this token, with these fields.
func (c *check) service(call *onetime.Call) (hassclient.Service, error) {
	name := call.Name()
	if name == "" {
		return hassclient.Service{}, nil
	}
	svc, ok := c.services.Lookup(call.Domain, call.Service)
	if !ok {
		return svc, c.noService(call)
	}
	if !c.admin && adminOnly(call.Domain, call.Service) {
		return svc, bad(call.Line, "Home Assistant lets only administrators call `%s`, and the token of this home is an ordinary user's: give it an administrator's, or use another action", name).Says("admin_action", "action", name)
	}
	switch {
	case svc.Response == nil && call.Response:
		return svc, bad(call.Line, "`%s` returns nothing: take out `response_variable`", name).Says("no_answer", "action", name, "word", "response_variable")
	case svc.Response != nil && !svc.Response.Optional && !call.Response:
		return svc, bad(call.Line, "`%s` only returns something: Home Assistant wants a `response_variable` with it", name).Says("answer", "action", name, "word", "response_variable")
	}
	return svc, c.fields(call, svc)
}

func (c *check) noService(call *onetime.Call) error {
	if call.Domain == "script" {
		scripts := slices.Collect(maps.Keys(c.services["script"]))
		return said(bad(call.Line, "this home has no script `%s`%s", call.Service, didYouMean(call.Service, scripts)),
			"no_script", alike(call.Service, scripts), "name", call.Service)
	}
	var names []string
	for domain, list := range c.services {
		for service := range list {
			names = append(names, domain+"."+service)
		}
	}
	hint := didYouMean(call.Name(), names)
	if hint == "" {
		if list := slices.Sorted(maps.Keys(c.services[call.Domain])); len(list) > 0 {
			hint = fmt.Sprintf(": of `%s` there are %s", call.Domain, some(list))
		}
	}
	return said(bad(call.Line, "this home has no action `%s`%s", call.Name(), hint), "no_action", alike(call.Name(), names), "name", call.Name())
}

// some lists a few names.
func some(names []string) string {
	const most = 12
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", …"
}

// freeForm are the domains whose services take more than they describe.
var freeForm = []string{"script", "python_script", "pyscript", "rest_command", "shell_command", "intent_script"}

// fields checks a call's data against what the service describes.
func (c *check) fields(call *onetime.Call, svc hassclient.Service) error {
	name := call.Name()
	known := fieldNames(svc.Fields)
	if _, older := call.Data["media_content_id"]; older && name == "media_player.play_media" {
		return nil // the form before `media`, which is still taken
	}
	if len(known) > 0 && !slices.Contains(freeForm, call.Domain) {
		for _, key := range slices.Sorted(maps.Keys(call.Data)) {
			if strings.Contains(key, "{") || takesTarget(svc) && slices.Contains(targetWords, key) {
				continue
			}
			if _, ok := svc.Field(key); !ok {
				hint := didYouMean(key, known)
				if hint == "" {
					hint = ": it has " + some(known)
				}
				return said(bad(call.LineOf(key), "`%s` has no field `%s`%s", name, key, hint), "no_field", alike(key, known), "action", name, "field", key)
			}
		}
	}
	if len(known) > 0 && !takesTarget(svc) && !slices.Contains(freeForm, call.Domain) {
		for _, key := range slices.Sorted(maps.Keys(call.RawTarget)) {
			if _, ok := svc.Field(key); !ok {
				return bad(call.Line, "`%s` takes no `target:`: it has the fields %s", name, some(known)).Says("no_target", "action", name)
			}
		}
	}
	aimed := !call.Target.IsZero() || len(call.RawTarget) > 0
	if takesTarget(svc) && !aimed && !call.Templated {
		return said(bad(call.Line, "`%s` needs a `target:` that says what it acts on, as in `entity_id: %s`", name, exampleTarget(svc)), "needs_target", nil, "action", name)
	}
	if call.Templated {
		return nil // whatever the template adds
	}
	for _, key := range known {
		if f, ok := svc.Field(key); !ok || !f.Required {
			continue
		}
		_, inData := call.Data[key]
		_, inTarget := call.RawTarget[key]
		if !inData && !inTarget {
			return said(bad(call.Line, "`%s` needs the field `%s` in its `data:`", name, key), "needs_field", nil, "action", name, "field", key)
		}
	}
	return nil
}

// fieldNames are the names of all fields, in sections too, sorted.
func fieldNames(fields map[string]hassclient.ServiceField) []string {
	var names []string
	for name, f := range fields {
		if f.Fields == nil {
			names = append(names, name)
			continue
		}
		names = append(names, fieldNames(f.Fields)...)
	}
	slices.Sort(names)
	return names
}

func exampleTarget(svc hassclient.Service) string {
	if domains := targetDomains(svc); len(domains) > 0 {
		return domains[0] + ".…"
	}
	return "lock.front_door"
}

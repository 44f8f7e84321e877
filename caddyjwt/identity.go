package caddyjwt

import (
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// userPrefix begins the placeholders that say who a request is from.
const userPrefix = "http.auth.user."

// identity is who a good token is about, and until when.
type identity struct {
	subject string
	allowed bool
	expires time.Time
	session session

	// values are those of the placeholders, by what follows userPrefix, boxed
	// once instead of for every request.
	values map[string]any
}

func newIdentity(c *claims, r rules) *identity {
	who := &identity{
		subject: c.subject,
		allowed: r.allowed(c),
		expires: c.expires.Time,
		session: sessionOf(c),
		values:  make(map[string]any, len(c.all)+3),
	}
	for name, raw := range c.all {
		if v, ok := scalar(raw); ok {
			who.values[name] = oneLine(v)
		}
	}
	// Whatever claims are called "id" or the like, these three are ours.
	name, _ := scalar(c.all["name"])
	who.values["id"] = c.subject
	who.values["name"] = oneLine(name)
	who.values["roles"] = joinRoles(c.roles)
	return who
}

// joinRoles joins with commas. A role that holds a comma or a control character
// would read as another role or more than one, so it is left out; allow and deny know it.
func joinRoles(roles []string) string {
	plain := make([]string, 0, len(roles))
	for _, role := range roles {
		if !strings.Contains(role, ",") && !hasControl(role) {
			plain = append(plain, role)
		}
	}
	return strings.Join(plain, ",")
}

// visitor is what the hass_jwt handlers of one request share: there may be
// several, such as one for a site and a stricter one for a part of it.
type visitor struct {
	who *identity // nil: nobody, as far as hass_jwt knows

	ip string // the client's address

	// The header fields as they came, before any handler took its token out.
	cookie, authorization []string

	renewed string // the token that the answer already brings as a cookie

	told []*identityService // whose header fields say who this is
}

// visitorVar is the request variable that holds the *visitor.
const visitorVar = "hass_jwt.visitor"

// visitorOf returns the visitor of a request. From then on every placeholder
// below userPrefix is known.
func visitorOf(r *http.Request, repl *caddy.Replacer) *visitor {
	vars := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	if v, ok := vars[visitorVar].(*visitor); ok {
		return v
	}
	ip, _ := vars[caddyhttp.ClientIPVarKey].(string)
	v := &visitor{ip: ip, cookie: r.Header["Cookie"], authorization: r.Header["Authorization"]}
	vars[visitorVar] = v
	repl.Map(v.placeholder)
	return v
}

func (v *visitor) placeholder(key string) (any, bool) {
	name, ok := strings.CutPrefix(key, userPrefix)
	if !ok {
		return nil, false
	}
	if v.who != nil {
		if value, ok := v.who.values[name]; ok {
			return value, true
		}
	}
	return "", true
}

// becomes makes who the one the request is from, in place of whom an earlier
// handler, such as basic_auth, may have found. Nobody is the same as nil.
func (v *visitor) becomes(who *identity, repl *caddy.Replacer) {
	repl.DeleteByPrefix(userPrefix) // values set there come before placeholder
	v.who = who
}

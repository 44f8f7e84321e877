package caddyjwt

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// IdentityHeaders says by which header fields a service learns who a request is from.
//
// Whatever a client has sent under those names is taken out first, whoever the client
// is: repeated, with `_` for `-`, as a trailer, or named in `Connection` so
// that the proxy would drop what stands there.
type IdentityHeaders struct {
	// Which fields:
	//
	//   - `grafana`: `X-WEBAUTH-USER`, `-NAME`, `-ROLE` (`Admin` or `Viewer`), `-GROUPS`, `-EMAIL`
	//   - `frigate`: `X-Forwarded-User`, `X-Forwarded-Groups`
	//   - `jellyfin`: `X-Forwarded-User`, for its plugin HttpAuth; Jellyfin itself reads none
	//   - `Remote-User`: `Remote-User`, `Remote-Name`, `Remote-Groups`, `Remote-Email`, which many read
	Service string `json:"service"`

	// The claim that names the account at the service. Default: `id`, the
	// user's id in Home Assistant, which never changes and is never given twice.
	// `username` reads better, and is known where the home's token is an
	// administrator's. Whoever has no such claim gets none of the fields. The
	// display name (`name`) is none: two people may have the same.
	Account string `json:"account,omitempty"`

	service *identityService
	account string
}

// identityService is what a service wants to be told.
type identityService struct {
	fields []identityField

	// distrust is what it may take for an identity besides: names, or with * at
	// their end all that begin so. In lower case, with dashes.
	distrust []string
}

type identityField struct {
	name  string
	value func(who *identity, account string) string
}

var identityServices = map[string]*identityService{
	// Grafana: auth.proxy. All names but the first are configured in "headers".
	"grafana": {
		fields: []identityField{
			{"X-Webauth-User", accountOf}, {"X-Webauth-Name", nameOf}, {"X-Webauth-Role", grafanaRole},
			{"X-Webauth-Groups", rolesOf}, {"X-Webauth-Email", emailOf},
		},
		distrust: []string{"x-webauth-*"},
	},
	// Frigate: proxy.header_map. These two are among the few that its nginx lets through, and
	// the others are those it lets through besides.
	"frigate": {
		fields: []identityField{{"X-Forwarded-User", accountOf}, {"X-Forwarded-Groups", frigateGroups}},
		distrust: []string{
			"x-forwarded-user", "x-forwarded-groups", "x-forwarded-role", "x-forwarded-email", "x-forwarded-preferred-username",
			"remote-user", "remote-role", "remote-groups", "remote-email", "remote-name", "x-authentik-*",
		},
	},
	"jellyfin": {
		fields:   []identityField{{"X-Forwarded-User", accountOf}},
		distrust: []string{"x-forwarded-user", "remote-user"},
	},
	"remote-user": {
		fields:   []identityField{{"Remote-User", accountOf}, {"Remote-Name", nameOf}, {"Remote-Groups", rolesOf}, {"Remote-Email", emailOf}},
		distrust: []string{"remote-*"},
	},
}

func accountOf(_ *identity, account string) string { return account }
func nameOf(who *identity, _ string) string        { return who.value("name") }
func rolesOf(who *identity, _ string) string       { return who.value("roles") }
func emailOf(who *identity, _ string) string       { return who.value("email") }

func grafanaRole(who *identity, _ string) string {
	if who.session.admin {
		return "Admin"
	}
	return "Viewer"
}

// frigateGroups are the roles, and Frigate's own word for who is no administrator.
func frigateGroups(who *identity, _ string) string {
	roles := who.value("roles")
	if who.session.admin {
		return roles
	}
	return strings.TrimPrefix(roles+",viewer", ",")
}

// value is that of a placeholder.
func (who *identity) value(name string) string {
	s, _ := who.values[name].(string)
	return s
}

// settle finds the service and checks the claim.
func (i *IdentityHeaders) settle() error {
	var ok bool
	if i.service, ok = identityServices[strings.ToLower(i.Service)]; !ok {
		return fmt.Errorf("identity %q: known are grafana, frigate, jellyfin and Remote-User; for any other service use header_up in reverse_proxy", i.Service)
	}
	i.account = i.Account
	switch i.Account {
	case "", "sub":
		i.account = "id"
	case "name":
		return errors.New("identity: a display name is no account: it may be missing, and two people may have the same. Leave it out for the user's id, " +
			"or take username, which needs an administrator's token for the home")
	case "roles", "groups":
		return fmt.Errorf("identity: %s name no single person", i.Account)
	}
	return nil
}

// strip takes everything out of a request that the service could take for an identity.
func (i *IdentityHeaders) strip(r *http.Request) {
	for name := range r.Header {
		if i.service.distrusts(name) {
			delete(r.Header, name)
		}
	}
	// A proxy drops the fields that are named here, which would be ours.
	if fields := r.Header["Connection"]; len(fields) > 0 {
		r.Header["Connection"] = i.service.withoutOptions(fields)
	}
	if len(r.Trailer) > 0 {
		i.stripTrailer(r.Trailer)
		// More may come with the end of the body.
		r.Body = &trailerStripper{ReadCloser: r.Body, strip: func() { i.stripTrailer(r.Trailer) }}
	}
}

func (i *IdentityHeaders) stripTrailer(trailer http.Header) {
	for name := range trailer {
		if i.service.distrusts(name) {
			delete(trailer, name)
		}
	}
}

// set tells the service who a request is from. missing: it has not the claim that
// names accounts.
func (i *IdentityHeaders) set(h http.Header, who *identity) (missing bool) {
	account := who.value(i.account)
	if strings.TrimSpace(account) == "" {
		return true
	}
	for _, f := range i.service.fields {
		if value := f.value(who, account); value != "" {
			h[http.CanonicalHeaderKey(f.name)] = []string{value}
		}
	}
	return false
}

// distrusts says whether a field's name is one that the service may read, as
// servers read it that make no difference between - and _.
func (s *identityService) distrusts(name string) bool {
	return slices.ContainsFunc(s.distrust, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return len(name) >= len(prefix) && sameField(name[:len(prefix)], prefix)
		}
		return sameField(name, pattern)
	})
}

// sameField compares a field's name with one in lower case with dashes.
func sameField(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// withoutOptions returns the Connection fields without the names of the service's.
func (s *identityService) withoutOptions(fields []string) []string {
	named := func(option string) bool { return s.distrusts(strings.TrimSpace(option)) }
	if !slices.ContainsFunc(fields, func(f string) bool { return slices.ContainsFunc(strings.Split(f, ","), named) }) {
		return fields
	}
	kept := make([]string, 0, len(fields)) // others may hold the old one
	for _, f := range fields {
		if options := slices.DeleteFunc(strings.Split(f, ","), named); len(options) > 0 {
			kept = append(kept, strings.Join(options, ","))
		}
	}
	return kept
}

// trailerStripper does something at the end of a body, when net/http has read the trailers.
type trailerStripper struct {
	io.ReadCloser
	strip func()
}

// Read implements io.Reader.
func (t *trailerStripper) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil {
		t.strip()
	}
	return n, err
}

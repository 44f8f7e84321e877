package caddyjwt

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Explanation says what a hass_jwt makes of a token, step by step. The token is not in it.
type Explanation struct {
	LetIn bool   `json:"let_in"`
	Why   string `json:"why"` // in one line
	Steps []Step `json:"steps"`
}

// Step is one thing that is looked at.
type Step struct {
	Check  string     `json:"check"`
	Result StepResult `json:"result"`
	Text   string     `json:"text"`
}

// StepResult is what a step comes to.
type StepResult string

// The results.
const (
	StepOK   StepResult = "ok"
	StepFail StepResult = "fail"
	StepNote StepResult = "note" // it decides nothing
)

func (e *Explanation) add(check string, result StepResult, format string, args ...any) {
	e.Steps = append(e.Steps, Step{check, result, fmt.Sprintf(format, args...)})
}

// must adds a step that is fine or not.
func (e *Explanation) must(check string, ok bool, format string, args ...any) {
	result := StepFail
	if ok {
		result = StepOK
	}
	e.add(check, result, format, args...)
}

// Explain says why a token is let in or not, at a host, as a cookie or Bearer that comes
// from an address (empty: one in the local network). Whether it is let in says the
// handler itself, so that it is what a request would meet with.
func (h *HassJWT) Explain(ctx context.Context, token, host, from string) Explanation {
	e := new(Explanation)
	if from == "" {
		from = "127.0.0.1"
	}
	if _, ok := looksLikeHomeToken(token); ok {
		h.explainHomeToken(ctx, e, token, from)
		return *e
	}
	f, err := h.read(token, host, from, true)
	switch {
	case err != nil:
		e.Why = err.Error()
	case !f.who.allowed:
		e.Why = errNotAllowed.Error()
	default:
		e.LetIn, e.Why = true, "let in as "+f.who.subject
	}
	c, genuine := h.explainToken(e, token)
	if c == nil {
		return *e
	}
	h.explainClaims(e, c, f)
	if h.realm != nil && genuine {
		explainSession(e, h.realm, sessionOf(c))
	}
	explainPlace(e, h.realm, c, from)
	h.explainRules(e, c)
	return *e
}

// explainToken is about everything but the claims; nil: there are none to be read. genuine: one of the
// keys has signed them.
func (h *HassJWT) explainToken(e *Explanation, token string) (c *claims, genuine bool) {
	switch {
	case len(token) > maxToken:
		e.add("shape", StepFail, "longer than %d bytes", maxToken)
		return nil, false
	case !looksLikeToken(token):
		e.add("shape", StepFail, "not a JSON Web Token: those are three parts in base64url with dots between them")
		return nil, false
	}
	e.add("shape", StepOK, "a JSON Web Token")
	kid, err := checkHeader(token)
	if err != nil {
		e.add("header", StepFail, "%s", plain(err.Error()))
		return nil, false
	}
	parts := strings.Split(token, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	members, _ := decodeObject(header)
	var alg string
	_ = decodeString(members["alg"], &alg)

	keys := h.keys.Keys()
	methods := keys.methods()
	slices.Sort(methods)
	methods = slices.Compact(methods)
	switch {
	case len(methods) == 0:
		e.add("key", StepFail, "there are no keys to check it with yet: %s", h.keysFrom())
	case !slices.Contains(methods, alg):
		e.add("algorithm", StepFail, "%s, but the keys here (%s) are made for %s", plain(alg), h.keysFrom(), strings.Join(methods, ", "))
	default:
		e.add("algorithm", StepOK, "%s", alg)
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	c = new(claims)
	if err == nil {
		err = c.UnmarshalJSON(payload)
	}
	if err != nil {
		c = nil
	}
	if slices.Contains(methods, alg) {
		genuine = h.explainKey(e, keys, alg, kid, parts, c)
	}
	if err != nil {
		e.add("claims", StepFail, "cannot be read: %s", plain(err.Error()))
	}
	return c, genuine
}

func (h *HassJWT) explainKey(e *Explanation, keys *KeySet, alg, kid string, parts []string, c *claims) (genuine bool) {
	named := "it names no key"
	if kid != "" {
		named = fmt.Sprintf("it names the key %s", plain(kid))
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		e.add("signature", StepFail, "not base64url")
		return false
	}
	var known []string
	for _, k := range keys.keys {
		name := "a key without a name"
		if k.id != "" {
			name = "the key " + k.id
		}
		known = append(known, name)
		if k.method.Alg() != alg || k.method.Verify(parts[0]+"."+parts[1], signature, k.public) != nil {
			continue
		}
		switch {
		case k.id != "" && kid != "" && k.id != kid:
			e.add("key", StepFail, "signed by the key %s, but %s", k.id, named)
			return false
		case !k.retired.IsZero() && (c == nil || c.issued == nil || c.issued.After(k.retired)):
			e.add("key", StepFail, "signed by %s, which counts for tokens issued until %s only", name, at(k.retired))
			return false
		}
		e.add("signature", StepOK, "by %s (%s)", name, h.keysFrom())
		return true
	}
	e.add("signature", StepFail, "by none of the keys here (%s): %s. %s", h.keysFrom(), strings.Join(known, ", "), capital(named))
	return false
}

// keysFrom says where the keys are from.
func (h *HassJWT) keysFrom() string {
	switch {
	case h.Key == nil:
		return "those of hass_login in Caddy's storage"
	case h.Key.JWKS != "":
		return "key jwks " + h.Key.JWKS
	}
	return "key file " + h.Key.File
}

func (h *HassJWT) explainClaims(e *Explanation, c *claims, f finding) {
	if err := c.Validate(); err != nil {
		e.add("sub", StepFail, "it does not say for whom it is, or not in one line")
	} else {
		name, _ := scalar(c.all["name"])
		e.add("sub", StepOK, "%s (%s)", plain(c.subject), orNone(plain(name), "no name"))
	}
	e.must("iss", c.issuer == h.checks.issuer, "%s; expected: %s", orNone(plain(c.issuer), "none"), h.checks.issuer)
	e.must("aud", slices.ContainsFunc(c.audience, func(a string) bool { return slices.Contains(h.checks.audience, a) }),
		"%s; expected: %s", orNone(plain(strings.Join(c.audience, ", ")), "none"), strings.Join(h.checks.audience, " or "))

	now, leeway := h.checks.now(), h.checks.leeway
	switch {
	case c.expires == nil:
		e.add("exp", StepFail, "none: a token without an end is not taken")
	case now.Before(c.expires.Add(leeway)):
		e.add("exp", StepOK, "good until %s", at(c.expires.Time))
	case f.renewed != "":
		e.add("exp", StepNote, "expired %s, but as a cookie it is renewed here, until its session ends %s; as Bearer it is refused", at(c.expires.Time), at(f.minter.ends(f.who.session)))
	default:
		e.add("exp", StepFail, "expired %s", at(c.expires.Time))
	}
	for _, d := range []struct {
		check string
		date  *jwt.NumericDate
	}{{"nbf", c.notBefore}, {"iat", c.issued}} {
		switch {
		case d.date == nil:
			e.add(d.check, StepOK, "none, which is fine")
		case d.date.After(now.Add(leeway)):
			e.add(d.check, StepFail, "%s is in the future: the clocks of this machine and of the one that has signed it do not agree", at(d.date.Time))
		default:
			e.add(d.check, StepOK, "%s", at(d.date.Time))
		}
	}
}

// explainSession is about what has happened since the token was made.
func explainSession(e *Explanation, r *heldRealm, s session) {
	switch {
	case r.hasEnded(s):
		e.add("session", StepFail, "it has ended: by a logout, or because the user was deactivated, demoted or removed in Home Assistant")
	case s.id == "":
		e.add("session", StepOK, "none: it is good until it expires")
	default:
		e.add("session", StepOK, "lives")
	}
	list := r.accounts.Load()
	if list == nil {
		e.add("user", StepNote, "what has become of the user is not known: the home's token is an ordinary user's, or there is no home in the configuration")
		return
	}
	a, known := list.byID[s.user]
	why := ""
	switch {
	case !known:
		why = "Home Assistant has no such user"
	case !a.Active:
		why = "deactivated in Home Assistant"
	case s.admin && !a.Admin():
		why = "no longer an administrator in Home Assistant"
	}
	switch {
	case why == "":
		e.add("user", StepOK, "active in Home Assistant")
	case s.issued.Unix() >= list.asked.Unix():
		e.add("user", StepNote, "%s, as of %s; the token is newer and counts", why, at(list.asked))
	default:
		e.add("user", StepFail, "%s", why)
	}
}

// explainPlace is about users who may only come from the local network.
func explainPlace(e *Explanation, r *heldRealm, c *claims, from string) {
	local := sessionOf(c).localOnly
	if r != nil {
		if list := r.accounts.Load(); list != nil {
			local = local || list.byID[c.subject].LocalOnly
		}
	}
	if local {
		e.must("local_only", isLocal(from), "this user is let in from the local network only; here the request comes from %s", from)
		return
	}
	e.add("local_only", StepOK, "no: let in from anywhere")
}

func (h *HassJWT) explainRules(e *Explanation, c *claims) {
	allow, deny := h.checks.rules.allow, h.checks.rules.deny
	if len(allow) == 0 {
		e.add("allow", StepOK, "there is none: every resident may come in")
	}
	any := slices.ContainsFunc(allow, func(r Rule) bool { return r.of(c) == fit })
	for _, r := range allow {
		line := "allow " + r.line()
		switch r.of(c) {
		case fit:
			e.add(line, StepOK, "fits: %s", r.seen(c))
		case unknown:
			e.add(line, either(any), "cannot be told: %s", r.seen(c))
		default:
			e.add(line, either(any), "does not fit: %s", r.seen(c))
		}
	}
	for _, r := range deny {
		line := "deny " + r.line()
		switch r.of(c) {
		case fit:
			e.add(line, StepFail, "fits: %s", r.seen(c))
		case unknown:
			e.add(line, StepFail, "may fit: %s", r.seen(c))
		default:
			e.add(line, StepOK, "does not fit: %s", r.seen(c))
		}
	}
}

// either is the result of an allow that does not fit: where another does, that is no matter.
func either(another bool) StepResult {
	if another {
		return StepNote
	}
	return StepFail
}

// line is a rule as a Caddyfile has it.
func (r Rule) line() string { return r.Claim + " " + strings.Join(r.Values, " ") }

// seen says what the rule has looked at.
func (r Rule) seen(c *claims) string {
	_, claimed := c.all[r.Claim]
	claims := []string{r.Claim}
	switch {
	case claimed:
	case r.Claim == ruleUser:
		claims = []string{"sub", claimUsername}
	case r.Claim == ruleGroup:
		claims = []string{claimGroups}
	}
	var parts []string
	for _, claim := range claims {
		if _, there := c.all[claim]; !there {
			text := "the token has no " + claim
			if claim == claimUsername || claim == claimGroups {
				text += " (hass_login adds it where the home's token is an administrator's)"
			}
			parts = append(parts, text)
			continue
		}
		parts = append(parts, claim+" is "+orNone(plain(strings.Join(c.values(claim), ", ")), "empty"))
	}
	return strings.Join(parts, "; ")
}

func (h *HassJWT) explainHomeToken(ctx context.Context, e *Explanation, token, from string) {
	e.Why = "it is one of Home Assistant's own access tokens, which are taken only with hass_tokens"
	if h.homeBearer == nil {
		e.add("shape", StepFail, "one of Home Assistant's own access tokens: these are taken only with hass_tokens")
		return
	}
	e.add("shape", StepOK, "looks like one of Home Assistant's own access tokens: taken as Bearer, not as a cookie")
	// As this machine, but not without an address: that would be all clients that have none.
	a := h.homeBearer.tokens.whose(ctx, token, from, http.Header{"X-Forwarded-For": {from}})
	if a.err != nil {
		e.Why = a.why().Error()
		e.add("home", StepFail, "%s", plain(a.why().Error()))
		return
	}
	e.add("home", StepOK, "Home Assistant says whose it is")
	c, err := h.residentClaims(a)
	if err != nil {
		e.Why = err.Error()
		e.add("home", StepFail, "%s", plain(err.Error()))
		return
	}
	name, _ := scalar(c.all["name"])
	e.add("sub", StepOK, "%s (%s)", plain(c.subject), orNone(plain(name), "no name"))
	who := newIdentity(c, h.checks.rules)
	explainSession(e, h.homeBearer.users, who.session)
	explainPlace(e, h.homeBearer.users, c, from)
	h.explainRules(e, c)
	switch why := h.homeBearer.users.judge(who.session, from); {
	case why != nil:
		e.Why = why.Error()
	case !who.allowed:
		e.Why = errNotAllowed.Error()
	default:
		e.LetIn, e.Why = true, "let in as "+who.subject
	}
}

func at(t time.Time) string { return t.Local().Format(time.RFC3339) }

func orNone(s, none string) string {
	if s == "" {
		return none
	}
	return s
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// plain makes text of a token fit for a terminal: one line, and not a long one.
func plain(s string) string {
	const most = 200
	s = oneLine(strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

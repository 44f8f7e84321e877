package caddyjwt

import (
	"regexp"
	"slices"
	"strings"
)

// A Rule names a claim and the values it is about.
type Rule struct {
	// The claim's name, such as `roles`. Two words are no claims, unless the token has
	// one that is called so: `user` is a user of Home Assistant, by id (`sub`) or user
	// name (`username`), never by display name; `group` is one of Home Assistant's groups (`groups`), such
	// as `system-users`. User names and groups are known where the home's token is an
	// administrator's. Where they are not, nobody is allowed by them, and
	// everybody is denied whom they may be about.
	Claim string `json:"claim"`

	// The rule fits where the claim is, or as a list contains, one of these.
	// Values are compared exactly; numbers and booleans as they are written.
	Values []string `json:"values"`
}

// Words of rules that are no claims, and the claims that they look at.
const (
	ruleUser      = "user"
	ruleGroup     = "group"
	claimUsername = "username"
	claimGroups   = "groups"
)

// verdict is what a rule says of somebody.
type verdict int

const (
	unfit   verdict = iota
	fit             // it is about them
	unknown         // it may be: what it looks at is not known
)

// of returns what the rule says of who has these claims.
func (r Rule) of(c *claims) verdict {
	_, claimed := c.all[r.Claim]
	switch {
	case claimed:
	case r.Claim == ruleUser:
		return r.ofUser(c)
	case r.Claim == ruleGroup:
		if _, known := c.all[claimGroups]; !known {
			return unknown
		}
		return Rule{claimGroups, r.Values}.of(c)
	}
	if slices.ContainsFunc(c.values(r.Claim), func(v string) bool { return slices.Contains(r.Values, v) }) {
		return fit
	}
	return unfit
}

// userID is what Home Assistant calls its users by. A user name of that shape
// would be somebody's attempt to be taken for another.
var userID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (r Rule) ofUser(c *claims) verdict {
	names := slices.DeleteFunc(slices.Clone(r.Values), userID.MatchString)
	if slices.Contains(r.Values, c.subject) {
		return fit
	}
	if _, known := c.all[claimUsername]; !known && len(names) > 0 {
		return unknown
	}
	// Home Assistant's own are in lower case, however people write them.
	if slices.ContainsFunc(c.values(claimUsername), func(v string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(v, name) })
	}) {
		return fit
	}
	return unfit
}

type rules struct{ allow, deny []Rule }

// allowed: any allow and no deny; without any allow, everybody.
func (r rules) allowed(c *claims) bool {
	allows := func(rule Rule) bool { return rule.of(c) == fit }
	denies := func(rule Rule) bool { return rule.of(c) != unfit }
	return (len(r.allow) == 0 || slices.ContainsFunc(r.allow, allows)) && !slices.ContainsFunc(r.deny, denies)
}

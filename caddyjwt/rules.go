package caddyjwt

import "slices"

// A Rule names a claim and the values it is about.
type Rule struct {
	// The claim's name, such as `roles`.
	Claim string `json:"claim"`

	// The rule fits where the claim is, or as a list contains, one of these.
	// Values are compared exactly; numbers and booleans as they are written.
	Values []string `json:"values"`
}

func (r Rule) fits(c *claims) bool {
	return slices.ContainsFunc(c.values(r.Claim), func(v string) bool {
		return slices.Contains(r.Values, v)
	})
}

type rules struct{ allow, deny []Rule }

// allowed: any allow and no deny; without any allow, everybody.
func (r rules) allowed(c *claims) bool {
	fits := func(rule Rule) bool { return rule.fits(c) }
	return (len(r.allow) == 0 || slices.ContainsFunc(r.allow, fits)) && !slices.ContainsFunc(r.deny, fits)
}

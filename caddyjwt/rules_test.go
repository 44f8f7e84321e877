package caddyjwt

import (
	"crypto/elliptic"
	"testing"
)

func TestRulesByUserAndGroup(t *testing.T) {
	k := newEC(t, elliptic.P256())
	id := claimsAt(noon)["sub"].(string)
	known := with(claimsAt(noon), map[string]any{"username": "anna", "groups": []string{"system-users"}})
	nameless := claimsAt(noon)
	nameless["username"], nameless["groups"] = nil, []string{"system-users"}
	user := func(v ...string) []Rule { return []Rule{{"user", v}} }
	group := func(v ...string) []Rule { return []Rule{{"group", v}} }
	for name, c := range map[string]struct {
		allow, deny []Rule
		claims      map[string]any
		want        int
	}{
		"by id":                       {user(id), nil, claimsAt(noon), 200},
		"by user name":                {user("tom", "anna"), nil, known, 200},
		"as people write it":          {user("Anna"), nil, known, 200},
		"another's":                   {user("tom"), nil, known, 403},
		"never by display name":       {user("Anna"), nil, with(known, map[string]any{"username": "tom"}), 403},
		"user name not known":         {user("anna"), nil, claimsAt(noon), 403},
		"without a user name":         {user("anna"), nil, nameless, 403},
		"an id as a user name":        {user("0123456789abcdef0123456789abcdef"), nil, with(known, map[string]any{"username": "0123456789abcdef0123456789abcdef"}), 403},
		"denied by id":                {nil, user(id), claimsAt(noon), 403},
		"denied by user name":         {nil, user("anna"), known, 403},
		"another denied":              {nil, user("tom"), known, 200},
		"another denied by id":        {nil, user("0123456789abcdef0123456789abcdef"), claimsAt(noon), 200},
		"denied, name not known":      {nil, user("tom"), claimsAt(noon), 403},
		"denied, without a user name": {nil, user("tom"), nameless, 200},
		"by group":                    {group("system-users"), nil, known, 200},
		"another group":               {group("system-admin"), nil, known, 403},
		"groups not known":            {group("system-users"), nil, claimsAt(noon), 403},
		"denied by group":             {nil, group("system-users"), known, 403},
		"another group denied":        {nil, group("system-read-only"), known, 200},
		"denied, groups not known":    {nil, group("system-read-only"), claimsAt(noon), 403},
		"a claim called user":         {user("x"), nil, with(known, map[string]any{"user": "x"}), 200},
		"another claim called user":   {user("anna"), nil, with(known, map[string]any{"user": "x"}), 403},
		"a claim called group":        {group("x"), nil, with(known, map[string]any{"group": []string{"x"}}), 200},
		"by claim":                    {[]Rule{{"username", []string{"anna"}}}, nil, known, 200},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, &HassJWT{Allow: c.allow, Deny: c.deny}, k)
			if got := serve(t, h, get("/", "Cookie: jwt_access_token="+mint(t, k, c.claims))).status(); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestRulesByWhatTheHomeKnows(t *testing.T) {
	h := newHouse(t, "", "login HA\nhass_tokens\nallow user resident\nallow group system-admin\ndeny user kid")
	resident, _ := h.login("resident", residentPass)
	owner, _ := h.login("owner", ownerPass)
	h.in("by user name", resident)
	h.in("by group", owner)
	for _, c := range []struct {
		token string
		want  int
	}{{h.home.Token(), 200}, {h.home.UserToken(), 200}} {
		if r := h.bearer(c.token); r.StatusCode != c.want {
			t.Errorf("by the home's own token: %d", r.StatusCode)
		}
	}
	_, claims := claimsOf(t, resident)
	if claims["username"] != "resident" || mustJSON(t, claims["groups"]) != `["system-users"]` {
		t.Errorf("minted: %v", claims)
	}
}

func TestThreat20_WhoMayDoLessIsOut(t *testing.T) {
	users, admins, readers := []string{"system-users"}, []string{"system-admin"}, []string{"system-read-only"}
	for _, c := range []struct {
		name          string
		before, after account
		out           bool
	}{
		{"an administrator no more", account{Active: true, Groups: admins}, account{Active: true, Groups: users}, true},
		{"only to read", account{Active: true, Groups: users}, account{Active: true, Groups: readers}, true},
		{"promoted", account{Active: true, Groups: users}, account{Active: true, Groups: admins}, false},
		{"promoted from reading", account{Active: true, Groups: readers}, account{Active: true, Groups: users}, false},
		{"another name", account{Active: true, Groups: users, Username: "a"}, account{Active: true, Groups: users, Username: "b"}, false},
		{"deactivated", account{Active: true, Groups: users}, account{Groups: users}, true},
		{"activated", account{Groups: users}, account{Active: true, Groups: users}, false},
	} {
		list := func(a account) *accounts { return &accounts{byID: map[string]account{"x": a}} }
		if out := len(whoIsOut(list(c.before), list(c.after))) > 0; out != c.out {
			t.Errorf("%s: out is %t, want %t", c.name, out, c.out)
		}
	}
}

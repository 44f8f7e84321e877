package caddyjwt

import (
	"crypto/elliptic"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// wantStep checks that a step came to a result for a reason.
func wantStep(t *testing.T, e Explanation, check string, result StepResult, text string) {
	t.Helper()
	for _, s := range e.Steps {
		if s.Check == check && s.Result == result && strings.Contains(s.Text, text) {
			return
		}
	}
	t.Errorf("no step %q: %s with %q in %s", check, result, text, mustJSON(t, e.Steps))
}

// agree checks that the steps and the verdict say the same.
func agree(t *testing.T, e Explanation, letIn bool) {
	t.Helper()
	failed := false
	for _, s := range e.Steps {
		failed = failed || s.Result == StepFail
	}
	if e.LetIn != letIn || failed == letIn || e.Why == "" {
		t.Errorf("let in: %t (%s), steps failed: %t; a request is let in: %t\n%s", e.LetIn, e.Why, failed, letIn, mustJSON(t, e.Steps))
	}
}

func TestExplainAgreesWithRequests(t *testing.T) {
	k, other := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	c := with(claimsAt(noon), map[string]any{"username": "anna"})
	es := func(header, payload string) string {
		return sign(t, jwt.SigningMethodES256, k, header, payload)
	}
	good := mustJSON(t, c)
	for name, one := range map[string]struct {
		token  string
		check  string
		result StepResult
		text   string
	}{
		"good":              {mint(t, k, c), "signature", StepOK, "key file /share/x.pem"},
		"another key":       {mint(t, other, c), "signature", StepFail, "by none of the keys here"},
		"another algorithm": {sign(t, jwt.SigningMethodHS256, []byte("x"), `{"alg":"HS256"}`, good), "algorithm", StepFail, "HS256, but the keys here (key file /share/x.pem) are made for ES256"},
		"none":              {es(`{"alg":"none"}`, good), "algorithm", StepFail, "none"},
		"crit":              {es(`{"alg":"ES256","crit":["x"]}`, good), "header", StepFail, "crit"},
		"no token":          {"hello", "shape", StepFail, "not a JSON Web Token"},
		"too long":          {strings.Repeat("a", maxToken+1), "shape", StepFail, "longer"},
		"expired":           {mint(t, k, with(c, map[string]any{"exp": noon.Unix() - 60})), "exp", StepFail, "expired 2026-11-20T"},
		"within the leeway": {mint(t, k, with(c, map[string]any{"exp": noon.Unix() - 20})), "exp", StepOK, "good until"},
		"without an end":    {mint(t, k, with(c, map[string]any{"exp": nil})), "exp", StepFail, "none"},
		"from the future":   {mint(t, k, with(c, map[string]any{"iat": noon.Unix() + 60})), "iat", StepFail, "clocks"},
		"not before":        {mint(t, k, with(c, map[string]any{"nbf": noon.Unix() + 60})), "nbf", StepFail, "clocks"},
		"another issuer":    {mint(t, k, with(c, map[string]any{"iss": "homeassistant/cabin"})), "iss", StepFail, "homeassistant/cabin; expected: homeassistant"},
		"another audience":  {mint(t, k, with(c, map[string]any{"aud": "x"})), "aud", StepFail, "x; expected: homeassistant"},
		"no subject":        {mint(t, k, with(c, map[string]any{"sub": nil})), "sub", StepFail, "for whom"},
		"malformed":         {mint(t, k, with(c, map[string]any{"roles": 7})), "claims", StepFail, "roles"},
		"not allowed":       {mint(t, k, with(c, map[string]any{"roles": []string{"guest"}})), "allow roles user admin", StepFail, "does not fit: roles is guest"},
		"another allow":     {mint(t, k, with(c, map[string]any{"roles": []string{"guest"}, "name": "Eve"})), "allow name Eve", StepOK, "fits: name is Eve"},
		"denied":            {mint(t, k, with(c, map[string]any{"username": "kid"})), "deny user kid", StepFail, "fits: "},
		"perhaps denied":    {mint(t, k, claimsAt(noon)), "deny user kid", StepFail, "the token has no username"},
		"local only":        {mint(t, k, with(c, map[string]any{"local_only": true})), "local_only", StepFail, "local network only"},
		"text in the way":   {mint(t, k, with(c, map[string]any{"iss": "a\n\x1b[31mb"})), "iss", StepFail, "a  [31mb"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, &HassJWT{
				Allow: []Rule{{"roles", []string{"user", "admin"}}, {"name", []string{"Eve"}}}, Deny: []Rule{{"user", []string{"kid"}}},
				Key: &KeyConfig{File: "/share/x.pem"},
			}, k)
			r := withCaddy(get("/", "Cookie: jwt_access_token="+one.token))
			setClientIP(r, afar)
			letIn := serve(t, h, r).passed != nil
			e := h.Explain(t.Context(), one.token, "", afar)
			agree(t, e, letIn)
			wantStep(t, e, one.check, one.result, one.text)
			text := mustJSON(t, e)
			for _, part := range strings.Split(one.token, ".") {
				if len(part) > 20 && strings.Contains(text, part) {
					t.Errorf("a part of the token is in %s", text)
				}
			}
		})
	}
}

func TestExplainSessions(t *testing.T) {
	h := newHouse(t, "domain house.test\nlifetime 5m\nsession 1h", "login HA\nhass_tokens\nallow roles admin")
	guard := h.guard()
	explain := func(token, from string) Explanation { return guard.Explain(t.Context(), token, "svc.house.test", from) }
	owner, _ := h.login("owner", ownerPass)
	resident, _ := h.login("resident", residentPass)
	agree(t, explain(owner, ""), true)
	e := explain(resident, "")
	agree(t, e, false)
	wantStep(t, e, "allow roles admin", StepFail, "roles is user")
	wantStep(t, e, "user", StepOK, "active")

	// The home's own tokens.
	e = explain(h.home.Token(), "")
	agree(t, e, true)
	wantStep(t, e, "home", StepOK, "whose it is")
	e = explain(h.home.UserToken(), "")
	agree(t, e, false)
	wantStep(t, e, "allow roles admin", StepFail, "roles is user")
	e = explain(wrongToken(t, 1), "")
	agree(t, e, false)
	wantStep(t, e, "home", StepFail, errHomeRefuses.Error())

	// A cookie that has expired is renewed while its session lives.
	later(t, 10*time.Minute)
	e = explain(owner, "")
	agree(t, e, true)
	wantStep(t, e, "exp", StepNote, "renewed")
	later(t, time.Hour)
	e = explain(owner, "")
	agree(t, e, false)
	wantStep(t, e, "exp", StepFail, "expired")

	h.home.AddUser(hasstest.User{Username: "boss", Password: "boss-pass-1", Admin: true})
	until(t, "boss is known", func() bool {
		_, known := h.realm().accounts.Load().byID[h.home.UserID("boss")]
		return known
	})
	cookie, _ := h.login("boss", "boss-pass-1")
	agree(t, explain(cookie, ""), true)
	h.home.SetLocalOnly("boss", true)
	until(t, "boss may come from the local network only", func() bool { return !explain(cookie, afar).LetIn })
	e = explain(cookie, afar)
	agree(t, e, false)
	wantStep(t, e, "local_only", StepFail, afar)
	agree(t, explain(cookie, "192.168.1.5"), true)
	h.home.SetActive("boss", false)
	until(t, "boss is out", func() bool { return !explain(cookie, "").LetIn })
	e = explain(cookie, "")
	agree(t, e, false)
	wantStep(t, e, "session", StepFail, "ended")

	var back Explanation
	if err := json.Unmarshal([]byte(mustJSON(t, e)), &back); err != nil || len(back.Steps) != len(e.Steps) {
		t.Errorf("as JSON: %v", err)
	}
}

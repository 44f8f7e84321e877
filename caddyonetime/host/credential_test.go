package host

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A program comes in with a credential alone, shares, and can do nothing else.
func TestCredentialsShareAndNothingElse(t *testing.T) {
	w := newWorld(t)
	w.actions()
	annas := w.link(anna, `{"actions":["light"],"guest":"Tom"}`)
	w.get(ben, "/credentials").want(http.StatusForbidden)
	w.do(ben, "POST", "/credentials", url.Values{"op": {"make"}, "name": {"x"}}).want(http.StatusForbidden)
	w.do(anna, "POST", "/credentials", url.Values{"op": {"make"}, "name": {" "}, "action": {"light"}}).want(http.StatusUnprocessableEntity).has(`value="light" checked`, `aria-invalid`)
	made := w.do(anna, "POST", "/credentials", url.Values{"op": {"make"}, "name": {"Automations"}, "action": {"light"}}).want(200).has("shown this once", "Switch the light on")
	secret := regexp.MustCompile(`chk_[0-9A-Z]{38}`).FindString(string(made.body))
	if secret == "" {
		t.Fatalf("no credential: %s", made.body)
	}
	w.get(anna, "/credentials").want(200).has("Automations").lacks(secret)
	bearer := []string{"Authorization", "Bearer " + secret}

	id := w.do(nob, "POST", "/api/tokens", `{"actions":["light"],"guest":"Parcel driver"}`, bearer...).want(201).json()["id"].(string)
	w.get(nob, "/api/tokens/"+id, bearer...).want(200).has(`"name":"Automations"`)
	w.do(nob, "PATCH", "/api/tokens/"+id, `{"guest":"Postman"}`, bearer...).want(200)
	w.do(nob, "POST", "/api/tokens/"+id+"/replenish", nil, bearer...).want(200)
	w.get(nob, "/api/actions", bearer...).want(200).has("light").lacks("front_door", "lock.unlock", "definition")

	for _, try := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/api/tokens", `{"actions":["front_door"]}`, 403},
		{"POST", "/api/tokens", `{"actions":["light","front_door"]}`, 403},
		{"PATCH", "/api/tokens/" + id, `{"actions":["front_door"]}`, 403},
		{"GET", "/api/actions/front_door", "", 404},
		{"GET", "/api/tokens/" + annas, "", 404},
		{"DELETE", "/api/tokens/" + annas, "", 404},
		{"GET", "/api/log?token=" + annas, "", 404},
		{"PUT", "/api/pause", `{"paused":true}`, 403},
		{"PUT", "/api/actions/light", `{"definition":"action: lock.unlock"}`, 403},
		{"POST", "/api/actions/light/run", "", 403},
		{"POST", "/api/actions/light/check", `{"definition":"action: lock.unlock"}`, 403},
		{"GET", "/credentials", "", 403}, // pages are for people
		{"GET", "/", "", 403},
	} {
		var body any
		if try.body != "" {
			body = try.body
		}
		w.do(nob, try.method, try.path, body, bearer...).want(try.status)
	}
	w.get(nob, "/api/log", bearer...).want(200).has("Postman").lacks("Tom")

	// A wrong one is no way to a login that stands in front, either.
	for _, wrong := range []string{"chk_", secret[:41] + "!", "chk_" + strings.Repeat("0", 38)} {
		for _, who := range []Visitor{nob, anna} {
			a := w.get(who, "/api/tokens", "Authorization", "Bearer "+wrong)
			if a.code(http.StatusUnauthorized, "invalid_token"); !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%v", a.Header)
			}
		}
	}
	row := regexp.MustCompile(`name="id" value="([0-9A-Z]{6})"`).FindStringSubmatch(string(w.get(anna, "/credentials").body))
	w.do(anna, "POST", "/credentials", url.Values{"op": {"revoke"}, "id": {row[1]}}).want(http.StatusSeeOther)
	w.get(nob, "/api/tokens", bearer...).code(http.StatusUnauthorized, "invalid_token")
	w.get(anna, "/credentials").want(200).has("Revoked today")
	w.get(anna, "/log").want(200).has("Credential made", "Credential revoked").lacks(secret)
	w.get(anna, "/api/tokens/"+id).want(200).has(`"status":"ready"`) // its links stay
	if strings.Contains(w.logs.String(), secret) {
		t.Error("the log has the secret")
	}
}

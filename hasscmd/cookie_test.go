package hasscmd

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyjwt"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

func TestCookieCreate(t *testing.T) {
	logFile := ""
	c := startCaddy(t, func(c *testCaddy, cfg object) {
		logFile = filepath.Join(c.dir, "caddy.log")
		cfg["logging"] = object{"logs": object{"default": object{"level": "DEBUG", "writer": object{"output": "file", "filename": logFile}}}}
		cfg["apps"].(object)["http"] = object{"servers": object{"ha": object{
			"listen": []string{"127.0.0.1:0"}, "automatic_https": object{"disable": true},
			"routes": []any{object{"handle": []any{object{"handler": "hass_login", "lifetime": "10m"}}}},
		}}}
		c.home.AddUser(hasstest.User{Name: "Gone", Username: "gone"})
		c.home.SetActive("gone", false)
	})
	c.waitForHome()
	var token string
	for token == "" { // the users are asked for once the home is connected
		r := c.run("", "cookie", "create", "--user", "Resident", "--claim", "door=garden", "--claim", "job=a", "--claim", "job=b")
		if r.failed != nil && !strings.Contains(r.failed.Error(), "users of the home are not known") {
			t.Fatal(r.failed)
		}
		token = strings.TrimSuffix(r.out, "\n")
	}
	claims := payload(t, token)
	if claims["name"] != "Resident" || claims["door"] != "garden" || claims["restricted"] != nil || claims["sid"] != nil {
		t.Errorf("claims: %v", claims)
	}
	if roles := claims["roles"].([]any); len(roles) != 1 || roles[0] != "user" {
		t.Errorf("roles: %v", roles)
	}
	if jobs := claims["job"].([]any); len(jobs) != 2 {
		t.Errorf("a claim given twice: %v", jobs)
	}
	if claims["exp"].(float64)-claims["iat"].(float64) != 600 {
		t.Errorf("lifetime: %v", claims)
	}
	var made caddyjwt.MadeToken
	if err := json.Unmarshal([]byte(c.must("", "cookie", "create", "--json", "--lifetime", "90d", "--user", claims["sub"].(string))), &made); err != nil {
		t.Fatal(err)
	}
	long := payload(t, made.Token)
	if long["exp"].(float64)-long["iat"].(float64) != 90*24*3600 || made.ID != long["jti"] || made.User != claims["sub"] {
		t.Errorf("by id, as JSON: %v", made)
	}

	c.fails("no such user", "cookie", "create", "--user", "nobody")
	c.fails("not active", "cookie", "create", "--user", "gone")
	c.fails("no such user", "cookie", "create", "--user", "")
	c.fails("400d", "cookie", "create", "--user", "resident", "--lifetime", "401d")
	c.fails("no duration", "cookie", "create", "--user", "resident", "--lifetime", "0")
	c.fails("no duration", "cookie", "create", "--user", "resident", "--lifetime", "long")
	c.fails(`"cabin"`, "cookie", "create", "--user", "resident", "--home", "cabin")
	c.fails("--claim", "cookie", "create", "--user", "resident", "--claim", "door")
	for _, own := range []string{"sub", "roles", "iss", "aud", "exp", "iat", "sid", "Roles", "username", "session_exp"} {
		c.fails("choose another name", "cookie", "create", "--user", "resident", "--claim", own+"=admin")
	}

	text, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	if log := string(text); strings.Contains(log, token) || strings.Contains(log, made.Token) || !strings.Contains(log, made.ID) {
		t.Error("the log is to say who has made a token for whom, by its id alone")
	}
}

func payload(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %q", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

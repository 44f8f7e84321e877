package hasscmd

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// residents starts a Caddy with two sites of residents and returns what signs tokens for them.
func residents(t *testing.T) (*testCaddy, func(claims jwt.MapClaims) string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	guard := func(more object) object {
		g := object{"handler": "hass_jwt", "key": object{"file": path}}
		for k, v := range more {
			g[k] = v
		}
		return g
	}
	rule := func(claim string, values ...string) []object { return []object{{"claim": claim, "values": values}} }
	c := startCaddy(t, func(_ *testCaddy, cfg object) {
		cfg["apps"].(object)["http"] = object{"servers": object{"srv": object{
			"listen": []string{"127.0.0.1:0"}, "automatic_https": object{"disable": true},
			"logs": object{},
			"routes": []any{
				object{"match": []object{{"host": []string{"grafana.example.com"}}}, "handle": []any{object{"handler": "subroute", "routes": []any{
					object{"handle": []any{guard(object{"allow": rule("roles", "user"), "deny": rule("sub", "eve")})}},
					object{"match": []object{{"path": []string{"/admin/*"}}}, "handle": []any{guard(object{"allow": rule("roles", "admin")})}},
				}}}},
				object{"match": []object{{"host": []string{"nas.example.com"}, "method": []string{"GET"}}}, "handle": []any{guard(object{"hass_tokens": true})}},
			},
		}}}
	})
	return c, func(claims jwt.MapClaims) string {
		t.Helper()
		all := jwt.MapClaims{"sub": "anna", "name": "Anna", "roles": []string{"user"}, "iss": "homeassistant", "aud": "homeassistant", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
		for k, v := range claims {
			all[k] = v
		}
		token, err := jwt.NewWithClaims(jwt.SigningMethodES256, all).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

func TestExplain(t *testing.T) {
	c, sign := residents(t)
	token := sign(nil)
	file := filepath.Join(c.dir, "token.txt")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := c.must("", "explain", file)
	for _, want := range []string{
		"grafana.example.com: let in as anna\n", "grafana.example.com /admin/*: not let in: not allowed by the rules for this site\n",
		"nas.example.com (where its other matchers fit, too): let in as anna\n",
		"allow roles user", "deny sub eve", "fail  allow roles admin", "roles is user", "ok    signature",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}

	// However it was copied.
	for _, text := range []string{"Bearer " + token, "Authorization: Bearer " + token, "Cookie: a=b; jwt_access_token=" + token + "; c=d", "jwt_access_token=" + token, `"` + token + `"`} {
		if got := c.must(text, "explain", "-"); got != out {
			t.Errorf("%.20s…:\n%s", text, got)
		}
	}
	if got := c.must(token, "explain", "-", "--site", "nas.example.com"); strings.Contains(got, "grafana") || !strings.Contains(got, "let in as anna") {
		t.Errorf("one site:\n%s", got)
	}
	wantFailure(t, c.run(token, "explain", "-", "--site", "x.example.com"), `no hass_jwt at "x.example.com"; there is at: grafana.example.com, nas.example.com`)
	if got := c.must(sign(jwt.MapClaims{"local_only": true}), "explain", "-", "--from", "203.0.113.7"); !strings.Contains(got, "fail  local_only") || strings.Contains(got, ": let in as") {
		t.Errorf("from afar:\n%s", got)
	}
	wantFailure(t, c.run(token, "explain", "-", "--from", "home"), `--from "home" is no IP address`)

	var report struct {
		Sites []struct {
			Site  string   `json:"site"`
			Paths []string `json:"paths"`
			LetIn bool     `json:"let_in"`
			Steps []struct{ Check, Result, Text string }
		} `json:"sites"`
	}
	if err := json.Unmarshal([]byte(c.must(token, "explain", "-", "--json")), &report); err != nil || len(report.Sites) != 3 || !report.Sites[0].LetIn || report.Sites[1].LetIn || len(report.Sites[1].Paths) != 1 || len(report.Sites[0].Steps) < 8 {
		t.Errorf("as JSON: %v %+v", err, report)
	}

	// The home's own tokens, only where they are taken.
	c.waitForHome()
	if got := c.must(c.home.UserToken(), "explain", "-"); strings.Count(got, "taken only with hass_tokens") < 2 {
		t.Errorf("a home's own token:\n%s", got)
	}
}

func TestExplainNeverSaysTheToken(t *testing.T) {
	c, sign := residents(t)
	token := sign(jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()})
	parts := strings.Split(token, ".")
	var all bytes.Buffer
	for _, r := range []result{
		c.run(token, "explain", "-"), c.run(token, "explain", "-", "--json"), c.run("", "explain", token), c.run("", "explain", token, "--json"),
		c.run(token+"."+parts[2], "explain", "-"), c.run(token[:len(token)-5], "explain", "-"), c.run("x"+token, "explain", "-"),
		c.run(strings.Repeat(token, 300), "explain", "-"), c.run(token, "explain", "-", "--site", "x"),
	} {
		all.WriteString(r.out + r.err)
		if r.failed != nil {
			all.WriteString(r.failed.Error())
		}
	}
	for _, part := range parts[1:] {
		if strings.Contains(all.String(), part[:30]) {
			t.Errorf("a part of the token is in\n%s", all.String())
		}
	}
	wantFailure(t, c.run("", "explain", token), "this is a token")
	wantFailure(t, c.run("", "explain", filepath.Join(c.dir, "nothing")), "no such file")
	wantFailure(t, c.run(" \n", "explain", "-"), "it is empty")
}

func TestExplainWithoutGuards(t *testing.T) {
	c := startCaddy(t, nil)
	wantFailure(t, c.run("eyJ.x.y", "explain", "-"), "no hass_jwt")
}

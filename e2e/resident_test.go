package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signingKey signs residents' cookies as the integration jwt_cookie does.
type signingKey struct {
	private *ecdsa.PrivateKey
	path    string // of the public key, as PEM
}

func newSigningKey(t *testing.T) *signingKey {
	t.Helper()
	k := &signingKey{private: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), path: filepath.Join(t.TempDir(), "public.pem")}
	k.write(t)
	return k
}

func (k *signingKey) write(t *testing.T) {
	t.Helper()
	block := &pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(&k.private.PublicKey))}
	if err := os.WriteFile(k.path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

// cookie is a resident's JWT.
func (k *signingKey) cookie(t *testing.T, id, role string) string {
	t.Helper()
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"sub": id, "name": "Resident " + id, "roles": []string{"user", role}, "aud": "homeassistant", "iss": "homeassistant",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).SignedString(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Residents' cookies guard the host's side: administrators manage, others share
// their own links, strangers are sent to log in.
func TestResidentsCookieGuardsTheHostsSide(t *testing.T) {
	h := realHome(t)
	key := newSigningKey(t)
	s := newServer(t, h)
	s.hostGuard = "hass_jwt {\nlogin https://ha.example.com\nkey file " + key.path + "\n}"
	s.start()
	s.awaitHome()
	as := func(cookie, method, path, body string) answer {
		header := []string{"Sec-Fetch-Site", "same-origin"}
		if cookie != "" {
			header = append(header, "Cookie", "jwt_access_token="+cookie)
		}
		if body != "" {
			header = append(header, "Content-Type", "application/json")
		}
		return send(http1, method, "http://"+s.hosts+path, body, header...)
	}
	admin, tom, eve := key.cookie(t, "anna", "admin"), key.cookie(t, "tom", "user"), key.cookie(t, "eve", "user")
	const action = `{"title": "Open", "definition": "action: script.open_front_door"}`
	const token = `{"actions": ["door"], "guest": "Tom"}`

	// Strangers.
	if a := as("", "GET", "/api/tokens", "").is(t, 401); !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("WWW-Authenticate: %q", a.header.Get("WWW-Authenticate"))
	}
	page := send(http1, "GET", "http://"+s.hosts+"/", "", "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document").is(t, 302)
	if to := page.header.Get("Location"); !strings.HasPrefix(to, "https://ha.example.com/auth/jwt_cookie?redirect_url=") {
		t.Errorf("sent to %q", to)
	}
	other := newSigningKey(t)
	as(other.cookie(t, "anna", "admin"), "GET", "/api/tokens", "").is(t, 401)

	// Rights.
	as(tom, "PUT", "/api/actions/door", action).is(t, 403)
	as(admin, "PUT", "/api/actions/door", action).is(t, 201)
	as(tom, "PUT", "/api/actions/door", action).is(t, 403)
	as(tom, "DELETE", "/api/actions/door", "").is(t, 403)
	as(tom, "PUT", "/api/pause", `{"paused": true}`).is(t, 403)
	as(tom, "POST", "/api/actions/door/run", "").is(t, 403)
	made := as(tom, "POST", "/api/tokens", token).is(t, 201)
	if made.CreatedBy.ID != "tom" {
		t.Errorf("made by: %s", made.body)
	}
	as(eve, "GET", "/api/tokens/"+made.ID, "").is(t, 404)
	as(eve, "DELETE", "/api/tokens/"+made.ID, "").is(t, 404)
	if list := as(eve, "GET", "/api/tokens", "").is(t, 200); strings.Contains(list.body, made.ID) {
		t.Error("eve sees tom's link")
	}
	as(admin, "GET", "/api/tokens/"+made.ID, "").is(t, 200)
	as(tom, "GET", "/api/tokens/"+made.ID, "").is(t, 200)

	// Another origin has no say, with whatever cookie.
	send(http1, "POST", "http://"+s.hosts+"/api/tokens", token, "Cookie", "jwt_access_token="+admin,
		"Content-Type", "application/json", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site").is(t, 403)

	// The same JWT as Bearer, and what tom has made opens the door.
	send(http1, "GET", "http://"+s.hosts+"/api/tokens", "", "Authorization", "Bearer "+tom).is(t, 200)
	before := h.opens()
	s.linkOf(made).press("").is(t, 200, "done")
	if n := h.opens() - before; n != 1 {
		t.Errorf("opened %d times, want 1", n)
	}

	// Threat 8: Home Assistant restarts with a new key. No reload, no gap.
	key.private = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	key.write(t)
	as(key.cookie(t, "anna", "admin"), "GET", "/api/tokens", "").is(t, 200)
}

// Threat 31: without authentication in front, the host's side is shut, and the log
// says what to do.
func TestThreat31_NothingInFront(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	s.hostGuard = ""
	s.start()
	send(http1, "GET", "http://"+s.hosts+"/", "").is(t, 403)
	send(http1, "GET", "http://"+s.hosts+"/api/tokens", "", "Authorization", "Basic YW5uYTp4").is(t, 403)
	if log := s.file("caddy.log"); !strings.Contains(log, "hass_jwt") || !strings.Contains(log, "basic_auth") {
		t.Errorf("the log does not say what to put in front: %s", tail(log, 3))
	}
}

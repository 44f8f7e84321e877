package caddyjwt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
	next int64
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newEC(t, elliptic.P256()), next: 1}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// issue issues a certificate for a client, changed by change.
func (a *authority) issue(cn string, change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	a.next++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	key := newEC(a.t, elliptic.P256())
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func fingerprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// certHouse is a house with a site for certificates.
type certHouse struct {
	*house
	certs string // origin
	addr  string
}

// newCertHouse starts it. mode is that of client_auth, words are those within
// client_certificate.
func newCertHouse(t *testing.T, a *authority, mode, words string) *certHouse {
	t.Helper()
	h := newHouse(t, "domain house.test", "")
	c := &certHouse{house: h, addr: freeport.Addr(t)}
	_, port, _ := net.SplitHostPort(c.addr)
	c.certs = "https://certs.house.test:" + port
	ca := filepath.Join(h.dir, "clients.pem")
	if err := os.WriteFile(ca, []byte(a.pem), 0o600); err != nil {
		t.Fatal(err)
	}
	pool := ""
	if mode != "request" && mode != "require" {
		pool = "trust_pool file " + ca
	}
	h.body = strings.Replace(h.body, "auto_https off", "auto_https disable_redirects\n\tskip_install_trust\n\tlocal_certs", 1) + fmt.Sprintf(`
%s {
	tls internal {
		client_auth {
			mode %s
			%s
		}
	}
	hass_login {
		domain house.test
		redirect_to *.house.test certs.house.test svc.house.test:%s
		client_certificate {
			%s
		}
	}
}
`, c.certs, mode, pool, h.svc[strings.LastIndexByte(h.svc, ':')+1:], strings.NewReplacer("CERTS", c.certs, "HA", h.ha).Replace(words))
	h.load()
	until(t, "the users are known", func() bool { return h.realm().accounts.Load() != nil })
	until(t, "Caddy has a certificate of its own", func() bool {
		conn, err := tls.Dial("tcp", c.addr, &tls.Config{ServerName: "certs.house.test", InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return c
}

// get asks the site for certificates with one, or with none.
func (c *certHouse) get(path string, cert *tls.Certificate, fields ...string) reply {
	c.t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true, // it is of Caddy's own authority
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if cert == nil {
					return new(tls.Certificate), nil
				}
				return cert, nil
			},
		},
	}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, c.addr)
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.certs+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		return reply{&http.Response{Header: http.Header{}}, err.Error()}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply{res, string(text)}
}

func TestClientCertificateIsALogin(t *testing.T) {
	a := newAuthority(t, "Hill Street")
	anna := a.issue("Anna's phone", nil)
	tablet := a.issue("Tablet", func(c *x509.Certificate) {
		c.DNSNames = []string{"tablet.house.test"}
		c.EmailAddresses = []string{"hall@House.Test"}
	})
	robot := a.issue("robot", nil)
	c := newCertHouse(t, a, "verify_if_given", `
		map fingerprint `+fingerprint(anna)+` owner
		map san hall@house.test Resident
		map cn robot resident {
			lifetime 1h
			claim door garden shed
		}
		login HA`)
	back := "/auth/jwt_cookie?redirect_url=" + url.QueryEscape(c.svc+"/d/1")
	owner := c.home.UserID("owner")

	// https does not send people to http: the cookie would be Secure.
	if r := c.get(back, &anna); r.StatusCode != http.StatusBadRequest || r.cookie() != "" {
		t.Errorf("to http: %d", r.StatusCode)
	}
	back = "/auth/jwt_cookie?redirect_url=" + url.QueryEscape("https://svc.house.test/d/1")
	r := c.get(back, &anna, "Accept: text/html")
	if r.StatusCode != http.StatusFound || r.Header.Get("Location") != "https://svc.house.test/d/1" {
		t.Fatalf("%d %s\n%s", r.StatusCode, r.Header.Get("Location"), r.text)
	}
	if set := r.Header.Values("Set-Cookie"); !strings.Contains(strings.Join(set, "\n"), "Domain=house.test; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("%s", set)
	}
	_, claims := claimsOf(t, r.cookie())
	if claims["sub"] != owner || claims["sid"] == nil || claims["local_only"] != false || claims[claimRestricted] != nil {
		t.Errorf("%v", claims)
	}
	c.in("by certificate", r.cookie())
	if got := c.open(r.cookie()); !strings.HasPrefix(got.text, owner+"|admin,user|") {
		t.Errorf("at the service: %s", got.text)
	}

	// Without an aim one is told who one is.
	r = c.get("/auth/jwt_cookie", &tablet)
	if r.StatusCode != http.StatusOK || !strings.Contains(r.text, "Resident") || r.cookie() == "" {
		t.Errorf("without an aim: %d %s", r.StatusCode, r.text)
	}
	if r := c.get("/auth/jwt_cookie", nil, "Cookie: jwt_access_token="+r.cookie()); r.StatusCode != http.StatusOK || !strings.Contains(r.text, "Resident") {
		t.Errorf("with a cookie: %d", r.StatusCode)
	}

	// For a limited time, with further claims; and no longer by renewing.
	r = c.get(back, &robot)
	limited := r.cookie()
	_, claims = claimsOf(t, limited)
	if doors := claims["door"].([]any); len(doors) != 2 || claims["sub"] != c.home.UserID("resident") || claims[claimRestricted] != true {
		t.Errorf("%v", claims)
	}
	if set := strings.Join(r.Header.Values("Set-Cookie"), "\n"); !strings.Contains(set, "Max-Age=3600;") {
		t.Errorf("limited: %s", set)
	}
	later(t, 45*time.Minute)
	renewed := c.open(limited).cookie()
	if _, claims = claimsOf(t, renewed); claims["door"] == nil || claims[claimRestricted] != true {
		t.Errorf("renewed: %v", claims)
	}
	later(t, 16*time.Minute)
	c.out("after its time", limited)
	c.out("renewed, after its time", renewed)

	// No certificate: to Home Assistant's login, with the same aim.
	r = c.get(back, nil)
	if r.StatusCode != http.StatusFound || r.Header.Get("Location") != c.ha+back || r.cookie() != "" {
		t.Errorf("none: %d %s", r.StatusCode, r.Header.Get("Location"))
	}
	// An image or a frame of somebody's page does not log anybody in.
	for _, fields := range [][]string{
		{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"},
		{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"},
		{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"},
	} {
		if r := c.get(back, &anna, fields...); r.StatusCode != http.StatusForbidden || r.cookie() != "" {
			t.Errorf("%s: %d", fields, r.StatusCode)
		}
	}
	// A place that is not allowed is refused before anything is looked at.
	if r := c.get("/auth/jwt_cookie?redirect_url=https://evil.example/", &anna); r.StatusCode != http.StatusBadRequest || r.cookie() != "" {
		t.Errorf("elsewhere: %d", r.StatusCode)
	}
}

// On Home Assistant's own site, who has no certificate logs in as always.
func TestClientCertificateWhereHomeAssistantIs(t *testing.T) {
	a := newAuthority(t, "Hill Street")
	cert, strange := a.issue("anna", nil), a.issue("carl", nil)
	c := newCertHouse(t, a, "verify_if_given", "map cn anna owner\nlogin CERTS")
	aim := "/auth/jwt_cookie?redirect_url=" + url.QueryEscape("/lovelace")
	if r := c.get(aim, nil); r.StatusCode != http.StatusOK || !strings.Contains(r.text, `data-do="return"`) {
		t.Errorf("none: %d", r.StatusCode)
	}
	if r := c.get(aim, &cert); r.StatusCode != http.StatusFound || r.Header.Get("Location") != c.certs+"/lovelace" || r.cookie() == "" {
		t.Errorf("with one: %d %s", r.StatusCode, r.Header.Get("Location"))
	}
	if r := c.get(aim, &strange); r.StatusCode != http.StatusForbidden || !strings.Contains(r.text, `href="/"`) {
		t.Errorf("with a strange one: %d", r.StatusCode)
	}
	// Without a page of their own to see it, people keep whatever login they have.
	if r := c.get(aim, &cert, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: iframe", "Sec-Fetch-Mode: navigate"); r.cookie() != "" {
		t.Errorf("in a frame: %d", r.StatusCode)
	}
}

func TestClientCertificateFollowsTheUser(t *testing.T) {
	a := newAuthority(t, "Hill Street")
	cert := a.issue("anna", nil)
	c := newCertHouse(t, a, "require_and_verify", "map cn anna anna")
	c.home.AddUser(hasstest.User{Name: "Anna", Username: "anna", Password: "x", Admin: true})
	until(t, "Anna is known", func() bool { return c.get("/auth/jwt_cookie", &cert).StatusCode == http.StatusOK })
	cookie := c.get("/auth/jwt_cookie", &cert).cookie()
	c.in("Anna", cookie)

	// Logged out, and in again by the certificate: a session of its own.
	c.send("POST", c.ha+"/auth/jwt_cookie/logout", "", "Cookie: jwt_access_token="+cookie, "Origin: "+c.ha)
	c.out("logged out", cookie)
	cookie = c.get("/auth/jwt_cookie", &cert).cookie()
	c.in("again", cookie)

	c.home.SetAdmin("anna", false)
	c.eventuallyOut("demoted", cookie)
	r := c.get("/auth/jwt_cookie", &cert)
	if _, claims := claimsOf(t, r.cookie()); len(claims["roles"].([]any)) != 1 {
		t.Errorf("roles of the home: %v", claims["roles"])
	}
	c.home.SetActive("anna", false)
	c.eventuallyOut("deactivated", r.cookie())
	if r := c.get("/auth/jwt_cookie", &cert); r.StatusCode != http.StatusForbidden || r.cookie() != "" {
		t.Errorf("deactivated: %d", r.StatusCode)
	}
	c.home.SetActive("anna", true)
	until(t, "active again", func() bool { return c.get("/auth/jwt_cookie", &cert).StatusCode == http.StatusOK })
	c.home.SetLocalOnly("anna", true)
	until(t, "only locally", func() bool {
		return c.get("/auth/jwt_cookie", &cert, "X-Forwarded-For: 203.0.113.7").StatusCode == http.StatusForbidden
	})
	if r := c.get("/auth/jwt_cookie", &cert, "X-Forwarded-For: 192.168.1.7"); r.StatusCode != http.StatusOK {
		t.Errorf("local: %d", r.StatusCode)
	}
	c.home.RemoveUser("anna")
	until(t, "removed", func() bool { return c.get("/auth/jwt_cookie", &cert).StatusCode == http.StatusForbidden })
	if log := c.logs(); !strings.Contains(log, "the home has no such user: anna") || !strings.Contains(log, fingerprint(cert)) {
		t.Error("the log does not say why")
	}
}

func TestThreat21_CertificatesThatAreNobodys(t *testing.T) {
	a, other := newAuthority(t, "Hill Street"), newAuthority(t, "Elsewhere")
	words := `
		map cn anna owner
		map cn bob resident
		map san bob@house.test resident
		map san https://house.test/anna owner
		map cn ghost nobody`
	certs := map[string]struct {
		cert tls.Certificate
		want int // 0: no connection
	}{
		"nobody's name": {a.issue("carl", nil), 403},
		"empty name":    {a.issue("", nil), 403},
		"no such user":  {a.issue("ghost", nil), 403},
		"two people":    {a.issue("anna", func(c *x509.Certificate) { c.EmailAddresses = []string{"bob@house.test"} }), 403},
		"two common names": {a.issue("", func(c *x509.Certificate) {
			c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: oidCommonName, Value: "carl"}, {Type: oidCommonName, Value: "anna"}}}
		}), 403},
		"a name of another kind": {a.issue("x", func(c *x509.Certificate) { c.DNSNames = []string{"bob@house.test"} }), 403},
		"another case":           {a.issue("Anna", nil), 403},
		"with a NUL":             {a.issue("anna\x00.evil", nil), 403},
		"expired":                {a.issue("anna", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), 0},
		"not yet valid":          {a.issue("anna", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }), 0},
		"for servers":            {a.issue("anna", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), 0},
		"another authority":      {other.issue("anna", nil), 0},
		"good":                   {a.issue("anna", nil), 200},
	}
	t.Run("verified", func(t *testing.T) {
		c := newCertHouse(t, a, "verify_if_given", words)
		for name, one := range certs {
			for _, path := range []string{"/auth/jwt_cookie", "/auth/jwt_cookie/token"} {
				r := c.get(path, &one.cert)
				if r.StatusCode != one.want || one.want != 200 && (r.cookie() != "" || strings.Contains(r.text, "eyJ")) {
					t.Errorf("%s: %s: %d %s", name, path, r.StatusCode, r.text)
				}
			}
		}
		if r := c.get("/auth/jwt_cookie", nil); r.StatusCode != 403 || !strings.Contains(r.text, "has shown none") {
			t.Errorf("none: %d", r.StatusCode)
		}
		// On a connection that is older than the certificate's end.
		good := certs["good"].cert
		state := &tls.ConnectionState{HandshakeComplete: true, ServerName: "certs.house.test", PeerCertificates: []*x509.Certificate{good.Leaf},
			VerifiedChains: [][]*x509.Certificate{{good.Leaf, a.cert}}}
		if _, err := verifiedCertificate(state, "certs.house.test", time.Now()); err != nil {
			t.Error(err)
		}
		if _, err := verifiedCertificate(state, "certs.house.test", time.Now().Add(2*time.Hour)); err != errCertDates {
			t.Errorf("expired since: %v", err)
		}
		if _, err := verifiedCertificate(state, "ha.house.test", time.Now()); err != errCertServer {
			t.Errorf("another host: %v", err)
		}
		server := *good.Leaf
		server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		state.VerifiedChains = [][]*x509.Certificate{{&server, a.cert}}
		if _, err := verifiedCertificate(state, "certs.house.test", time.Now()); err != errCertUsage {
			t.Errorf("wrong usage: %v", err)
		}
	})
	for _, mode := range []string{"request", "require"} {
		t.Run(mode, func(t *testing.T) {
			c := newCertHouse(t, a, mode, words)
			for name, one := range certs {
				for _, path := range []string{"/auth/jwt_cookie", "/auth/jwt_cookie/token"} {
					if r := c.get(path, &one.cert); r.StatusCode != 403 || r.cookie() != "" || strings.Contains(r.text, "eyJ") {
						t.Errorf("%s: %s: %d", name, path, r.StatusCode)
					}
				}
			}
			if !strings.Contains(c.logs(), "has not been verified") {
				t.Error("the log does not say why")
			}
		})
	}
}

func TestCertificateTokensForPrograms(t *testing.T) {
	a := newAuthority(t, "Hill Street")
	cert := a.issue("robot", nil)
	c := newCertHouse(t, a, "verify_if_given", "map cn robot resident\nclaim job backup\nlifetime 20m")
	bearer := func(token string) reply {
		t.Helper()
		return c.send("GET", c.svc+"/", "", "Authorization: Bearer "+token)
	}
	r := c.get("/auth/jwt_cookie/token", &cert)
	token := strings.TrimSuffix(r.text, "\n")
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/plain; charset=utf-8" || r.Header.Get("Cache-Control") != "no-store" || r.cookie() != "" {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	if got := bearer(token); got.StatusCode != 200 {
		t.Errorf("as Bearer: %d", got.StatusCode)
	}
	_, claims := claimsOf(t, token)
	if claims["job"] != "backup" || claims["sid"] != nil || claims["exp"].(float64)-claims["iat"].(float64) != 1200 {
		t.Errorf("%v", claims)
	}
	r = c.get("/auth/jwt_cookie/token?lifetime=5m", &cert, "Accept: application/json")
	var answer struct {
		Token   string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(r.text), &answer); err != nil || answer.Type != "Bearer" || answer.Expires != 300 || bearer(answer.Token).StatusCode != 200 {
		t.Errorf("%v %s", err, r.text)
	}
	if r := c.get("/auth/jwt_cookie/token?lifetime=9h", &cert, "Accept: application/json"); !strings.Contains(r.text, `"expires_in":1200}`) {
		t.Errorf("longer than allowed: %s", r.text)
	}
	for _, bad := range []string{"0", "-1h", "x", "1m&lifetime=2m"} {
		if r := c.get("/auth/jwt_cookie/token?lifetime="+bad, &cert); r.StatusCode != 400 {
			t.Errorf("lifetime=%s: %d", bad, r.StatusCode)
		}
	}
	// A browser's certificate works for nobody else's page.
	for _, fields := range [][]string{
		{"Origin: https://evil.example"}, {"Origin: " + c.svc}, {"Origin: null"},
		{"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site"}, {"Sec-Fetch-Site: none"},
	} {
		r := c.get("/auth/jwt_cookie/token", &cert, fields...)
		if r.StatusCode != 403 || strings.Contains(r.text, "eyJ") || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d", fields, r.StatusCode)
		}
	}
	if r := c.get("/auth/jwt_cookie/token", nil); r.StatusCode != 403 {
		t.Errorf("none: %d", r.StatusCode)
	}
	if r := c.send("GET", c.ha+"/auth/jwt_cookie/token", ""); r.StatusCode != 404 {
		t.Errorf("where certificates are no login: %d", r.StatusCode)
	}
	if log := c.logs(); strings.Contains(log, token) || !strings.Contains(log, claims["jti"].(string)) {
		t.Error("the log is to name a token by its id alone")
	}
}

func TestClientCertificateCaddyfile(t *testing.T) {
	digits := strings.Repeat("0a", 32)
	for words, want := range map[string]string{
		"":                                          "client_certificate needs `map",
		"map cn anna":                               "write `map fingerprint|san|cn|subject <value> <user>`",
		"map cn anna owner x":                       "wrong argument count",
		`map cn "" owner`:                           "wrong argument count",
		`map cn anna ""`:                            "wrong argument count",
		"map email a@b.c anna":                      "fingerprint, san, cn or subject",
		"map fingerprint 0a0a anna":                 "64 hexadecimal digits",
		"map cn a b\nlifetime 0":                    "no duration above zero",
		"map cn a b\nclaim sub x":                   "choose another name",
		"map cn a b\nclaim Roles x":                 "choose another name",
		"map cn a b\nclaim door":                    "wrong argument count",
		"map cn a b\nclaim 1 x":                     "claim's name",
		"map cn a b\nclaim d x\nclaim d y":          "given twice",
		"map cn a b\nlogin https://a.b\nlogin x":    "given twice",
		"map cn a b\nlogin a.b":                     "https://",
		"map cn a b\nlifetime 1h\nlifetime 2h":      "lifetime is given twice",
		"map cn a b\nmode require":                  "unrecognized subdirective 'mode': client_certificate takes map,",
		"map cn a b {\nlogin https://a.b\n}":        "unrecognized subdirective 'login'",
		"map cn a b {\nlifetime 1h\nlifetime 1h\n}": "lifetime is given twice",
	} {
		_, err := adapt(t, "x.test {\nhass_login {\nclient_certificate {\n"+words+"\n}\n}\n}")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%q: %v, want %q", words, err, want)
		}
	}
	config, err := adapt(t, "x.test {\nhass_login {\nclient_certificate {\nmap fingerprint "+digits+" anna\nmap san {env.X} bob {\nlifetime 1h\nclaim door garden\n}\nlogin https://ha.test\nclaim via cert\nlifetime 8h\n}\n}\n}")
	if err != nil {
		t.Fatal(err)
	}
	want := `"client_certificate":{"claims":{"via":["cert"]},"lifetime":28800000000000,"login":"https://ha.test","map":[{"by":"fingerprint","user":"anna","value":"` + digits +
		`"},{"by":"san","claims":{"door":["garden"]},"lifetime":3600000000000,"user":"bob","value":"{env.X}"}]}`
	var tree map[string]any
	if err := json.Unmarshal(config, &tree); err != nil {
		t.Fatal(err)
	}
	if got := mustJSON(t, tree); !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	// A placeholder that comes to nothing fits no certificate with nothing in it.
	t.Setenv("X", "")
	h := &HassLogin{ClientCertificate: &ClientCertificates{Map: []CertificateUser{{By: "san", Value: "{env.X}", User: "bob"}}}}
	if _, _, err := h.settle(); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty value: %v", err)
	}
}

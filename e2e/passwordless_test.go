package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/security"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// ownHome starts a home of the test's own, with a changed configuration: change gets the
// folder with its files, of which the home has a copy.
func ownHome(t *testing.T, change func(dir, port string)) (h *home, log func() string) {
	t.Helper()
	command := os.Getenv("HASS_HOME")
	if command == "" {
		lacking(t, "HASS_HOME does not say how to start a home")
	}
	dir := t.TempDir()
	if out, err := exec.Command("cp", "-r", filepath.Dir(command), filepath.Join(dir, "home")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("chmod", "-R", "u+w", filepath.Join(dir, "home")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, port, _ := net.SplitHostPort(freeport.Addr(t))
	change(filepath.Join(dir, "home", "config"), port)
	folder := filepath.Join(dir, "run")
	log = func() string { return string(must(os.ReadFile(filepath.Join(folder, "home.log")))) }
	run := func(args ...string) (string, error) {
		cmd := exec.Command(filepath.Join(dir, "home", "home"), args...)
		cmd.Env = append(os.Environ(), "HOME_DIR="+folder, "HOME_PORT="+port)
		cmd.Stderr = io.Discard
		out, err := cmd.Output()
		return string(out), err
	}
	t.Cleanup(func() {
		if _, err := run("down"); err != nil {
			t.Error("stopping the home: ", err)
		}
	})
	out, err := run("up")
	if err != nil {
		t.Fatalf("starting a home: %v", err)
	}
	h = &home{t: t, dir: folder}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "HASS_URL":
			h.url = value
		case "HASS_TOKEN":
			h.admin = value
		case "HASS_TOKEN_USER":
			h.user = value
		}
	}
	if h.client, err = hassclient.New(hassclient.Config{URL: h.url, Token: func() (string, error) { return h.admin, nil }}); err != nil {
		t.Fatal(err)
	}
	h.client.Start()
	t.Cleanup(func() { h.client.Close() })
	if err := h.client.Wait(h.within(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return h, log
}

// resident is a user as Home Assistant lists them.
type resident struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Username string   `json:"username"`
	Owner    bool     `json:"is_owner"`
	Groups   []string `json:"group_ids"`
	Ways     []struct {
		Type string `json:"type"`
	} `json:"credentials"`
}

func (h *home) residents() (list []resident) {
	h.t.Helper()
	if err := h.client.Query(h.within(15*time.Second), "config/auth/list", nil, &list); err != nil {
		h.t.Fatal(err)
	}
	return list
}

func (h *home) resident(username string) resident {
	h.t.Helper()
	for _, one := range h.residents() {
		if one.Username == username {
			return one
		}
	}
	h.t.Fatal("no user ", username)
	return resident{}
}

// issuer issues client certificates.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newIssuer(t *testing.T, dir string) *issuer {
	t.Helper()
	i := &issuer{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), file: filepath.Join(dir, "clients.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Hill Street"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, i.key.Public(), i.key))
	i.cert = must(x509.ParseCertificate(der))
	if err := os.WriteFile(i.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *issuer) issue(name string) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return tls.Certificate{Certificate: [][]byte{must(x509.CreateCertificate(rand.Reader, template, i.cert, key.Public(), i.key))}, PrivateKey: key}
}

// certSite adds a site for certificates and returns its origin.
func certSite(t *testing.T, s *server, f front, i *issuer, words string) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(freeport.Addr(t))
	certs := "https://certs.home.localhost:" + port
	s.sites += fmt.Sprintf(`
%s {
	bind 127.0.0.1
	tls internal {
		client_auth {
			mode verify_if_given
			trust_pool file %s
		}
	}
	hass_login {
		domain home.localhost
		redirect_to %s
		client_certificate {
			%s
		}
	}
}
`, certs, i.file, must(url.Parse(f.svc)).Host, words)
	return certs
}

// withCertificate asks a site of this machine, showing a certificate, or none.
func withCertificate(t *testing.T, address string, cert *tls.Certificate) (*http.Response, string) {
	t.Helper()
	u := must(url.Parse(address))
	config := &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true} // it is of Caddy's own authority
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: noRedirects, Timeout: 15 * time.Second}
	r := must(http.NewRequest("GET", "https://127.0.0.1:"+u.Port()+u.RequestURI(), nil))
	r.Host = u.Host
	var res *http.Response
	eventually(t, 15*time.Second, "Caddy has a certificate of its own for "+u.Host, func() (ok bool) {
		var err error
		res, err = client.Do(r)
		return err == nil
	})
	defer res.Body.Close()
	return res, string(must(io.ReadAll(res.Body)))
}

func cookieOf(res *http.Response) string {
	for _, c := range res.Cookies() {
		if c.Name == "jwt_access_token" {
			return c.Value
		}
	}
	return ""
}

// A certificate lets a program and a browser in at a service, with the roles of the home.
func TestCertificateOpensAService(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	f := withLogin(t, s, "https")
	i := newIssuer(t, s.dir)
	certs := certSite(t, s, f, i, "map cn phone owner\nmap cn tablet resident\nlogin "+f.ha)
	s.start()
	s.awaitHome()
	phone, tablet, stranger := i.issue("phone"), i.issue("tablet"), i.issue("owner")

	back := certs + "/auth/jwt_cookie?redirect_url=" + url.QueryEscape(f.svc+"/d/1")
	var res *http.Response
	eventually(t, 15*time.Second, "the users are known", func() bool {
		res, _ = withCertificate(t, back, &phone)
		return res.StatusCode != 503
	})
	if res.StatusCode != 302 || res.Header.Get("Location") != f.svc+"/d/1" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	res, _ = withCertificate(t, back, &tablet)
	p := newPhone(t, browser(t), true)
	p.trustAll()
	p.cookie(f.ha, cookieOf(res))
	p.open(f.svc + "/d/1")
	p.seesWho("Resident user")

	if res, _ := withCertificate(t, back, &stranger); res.StatusCode != 403 || cookieOf(res) != "" {
		t.Errorf("a certificate that is nobody's: %d", res.StatusCode)
	}
	if res, _ := withCertificate(t, back, nil); res.StatusCode != 302 || !strings.HasPrefix(res.Header.Get("Location"), f.ha+"/auth/jwt_cookie?redirect_url=") {
		t.Errorf("none: %d %s", res.StatusCode, res.Header.Get("Location"))
	}

	// A script gets a token by its certificate, or by command.
	_, token := withCertificate(t, certs+"/auth/jwt_cookie/token", &tablet)
	made, _, status := s.run("hass", "cookie", "create", "--user", "owner", "--lifetime", "5m", "--claim", "job=backup", "--address", s.admin)
	if status != 0 {
		t.Fatal("caddy hass cookie create")
	}
	for who, token := range map[string]string{"Resident user": token, "Owner admin,user": made} {
		u := must(url.Parse(f.svc))
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true}}}
		r := must(http.NewRequest("GET", "https://127.0.0.1:"+u.Port()+"/", nil))
		r.Host = u.Host
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
		res := must(client.Do(r))
		body := string(must(io.ReadAll(res.Body)))
		res.Body.Close()
		if res.StatusCode != 200 || !strings.Contains(body, who) {
			t.Errorf("%s: %d %s", who, res.StatusCode, body)
		}
		if log := s.file("caddy.log"); strings.Contains(log, strings.TrimSpace(token)) {
			t.Error("a token is in the log")
		}
	}
}

// cookie gives the browser a cookie for everything below home.localhost.
func (p *phone) cookie(origin, value string) {
	p.t.Helper()
	p.open(origin + "/auth/jwt_cookie/return.css")
	p.eval(`(document.cookie = "jwt_access_token=` + value + `; domain=home.localhost; path=/", document.cookie.length)`)
}

// inside waits until Home Assistant's own frontend shows that somebody is logged in, and
// returns the user's id as Home Assistant says it.
func (p *phone) inside() string {
	p.t.Helper()
	p.until("Home Assistant's frontend", `location.pathname !== "/auth/authorize" && !!document.querySelector("home-assistant")?.hass?.user?.id`)
	return p.eval(`document.querySelector("home-assistant").hass.user.id`)
}

// loginPage waits for Home Assistant's own.
func (p *phone) loginPage() {
	p.t.Helper()
	p.until("Home Assistant's own login page", `location.pathname === "/auth/authorize" && !!`+deep+`('input[name="username"]')`)
}

// Who has a cookie opens Home Assistant and is in, as the same user as by password; nobody else,
// and nobody else's application.
func TestHomeAssistantWithoutPassword(t *testing.T) {
	_, caddyPort, _ := net.SplitHostPort(freeport.Addr(t))
	ha := "http://ha.home.localhost:" + caddyPort
	h, log := ownHome(t, func(dir, port string) {
		script := must(os.ReadFile("../docs/home-assistant/caddy-login.sh"))
		if err := os.WriteFile(filepath.Join(dir, "login.sh"), script, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "configuration.yaml")
		text := string(must(os.ReadFile(path)))
		with := strings.Replace(text, "args: [/homes/8123/login.sh]", `args: [/homes/8123/login.sh, "`+ha+`"]`, 1)
		if with == text {
			t.Fatal("the home's configuration is another")
		}
		if err := os.WriteFile(path, []byte(with), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	s := newServer(t, h)
	f := withLogin(t, s, "http")
	port := f.ha[strings.LastIndexByte(f.ha, ':'):]
	s.sites = strings.ReplaceAll(s.sites, port, ":"+caddyPort)
	f = front{ha, strings.Replace(f.svc, port, ":"+caddyPort, 1)}
	s.sites = strings.Replace(s.sites, "domain home.localhost", "domain home.localhost\n\t\tpasswordless", 1)
	i := newIssuer(t, s.dir)
	certs := certSite(t, s, f, i, "map cn tablet resident\nmap cn lodger lodger\nmap cn limited resident {\nlifetime 1h\n}")
	s.start()
	s.awaitHome()
	byCertificate := func(name string) string {
		t.Helper()
		cert, cookie := i.issue(name), ""
		eventually(t, 15*time.Second, "a cookie by certificate", func() bool {
			res, _ := withCertificate(t, certs+"/auth/jwt_cookie", &cert)
			cookie = cookieOf(res)
			return cookie != ""
		})
		return cookie
	}
	open := func(cookie, path string) *phone {
		t.Helper()
		p := newPhone(t, browser(t), true)
		p.cookie(f.ha, cookie)
		p.open(f.ha + path)
		return p
	}
	before := len(h.residents())
	resident := h.resident("resident")

	// Home Assistant does not know yet: its own page, once. That is all it takes.
	p := open(byCertificate("tablet"), "/")
	p.loginPage()
	p.homeLogin("resident", "resident-pass-1")
	if id := p.inside(); id != resident.ID {
		t.Errorf("by password: %s", id)
	}
	eventually(t, 15*time.Second, "linked", func() bool {
		return strings.Contains(s.file("caddy.log"), "without password from now on")
	})

	// From now on nobody types.
	p = open(byCertificate("tablet"), "/")
	if id := p.inside(); id != resident.ID {
		t.Errorf("without password: %s, by password %s", id, resident.ID)
	}
	if n := len(h.residents()); n != before {
		t.Errorf("%d users, not %d", n, before)
	}
	if ways := h.resident("resident").Ways; len(ways) != 2 {
		t.Errorf("ways to log in: %v", ways)
	}
	p.open(f.svc + "/")
	p.seesWho("Resident user")

	// Logged out is logged out.
	p.open(f.ha + "/profile/general")
	p.inside()
	p.eval(`(document.querySelector("home-assistant").dispatchEvent(new CustomEvent("hass-logout", {bubbles: true, composed: true})), "")`)
	p.loginPage()
	p.open(f.ha + "/")
	p.loginPage()
	p.open(f.svc + "/")
	p.loginPage()

	// A cookie that is limited is no way around its limits.
	open(byCertificate("limited"), "/").loginPage()

	// What another application asks for is left alone.
	p = open(byCertificate("tablet"), "/auth/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"https://app.example/"}, "redirect_uri": {"https://app.example/cb"}, "state": {"x"},
	}.Encode())
	p.loginPage()

	for _, bad := range []string{"Login attempt", "failed to authenticate", "Banned"} {
		if text := log(); strings.Contains(text, bad) {
			t.Errorf("Home Assistant's log: %s\n%s", bad, tail(text, 20))
		}
	}

	// Nobody is made anew, unless that is configured; and nobody becomes an administrator.
	var lodger struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	ask := func(typ string, fields map[string]any, out any) {
		t.Helper()
		if err := h.client.Query(h.within(15*time.Second), typ, fields, out); err != nil {
			t.Fatal(err)
		}
	}
	ask("config/auth/create", map[string]any{"name": "Lodger", "group_ids": []string{"system-users"}}, &lodger)
	ask("config/auth_provider/homeassistant/create", map[string]any{"user_id": lodger.User.ID, "username": "lodger", "password": "pass-1-of-lodger"}, nil)
	open(byCertificate("lodger"), "/").loginPage()
	if n := len(h.residents()); n != before+1 {
		t.Errorf("%d users, not %d", n, before+1)
	}
	s.sites = strings.Replace(s.sites, "passwordless", "passwordless {\n\t\t\tcreate\n\t\t}", 1)
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	cookie := byCertificate("lodger")
	p = open(cookie, "/")
	first := p.inside()
	if first == lodger.User.ID || first == resident.ID {
		t.Errorf("a new user is %s", first)
	}
	if second := open(cookie, "/").inside(); second != first {
		t.Errorf("the second time %s, not %s", second, first)
	}
	// The new user's own cookie opens Home Assistant to the same one, too.
	p.open(f.svc + "/")
	p.seesWho("Lodger user")
	p.open(f.ha + "/auth/jwt_cookie/return.css")
	p.eval(`(localStorage.clear(), "")`)
	p.open(f.ha + "/")
	if third := p.inside(); third != first {
		t.Errorf("by the new user's cookie %s, not %s", third, first)
	}
	list := h.residents()
	if len(list) != before+2 {
		t.Errorf("%d users, not %d", len(list), before+2)
	}
	for _, one := range list {
		if one.ID == first && (one.Name != "Lodger" || one.Owner || fmt.Sprint(one.Groups) != "[system-users]") {
			t.Errorf("the new user: %+v", one)
		}
	}
	if text := s.file("caddy.log"); strings.Contains(text, cookie) {
		t.Error("a cookie is in the log")
	}

	// Where the command does not work, Home Assistant's own page is there; and it hears of
	// one failed login, not of one for each try.
	failures := func() int { return strings.Count(log(), "failed to authenticate") }
	if n := failures(); n != 0 {
		t.Errorf("%d failed logins", n)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "login.sh"), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cookie = byCertificate("tablet")
	for range 2 {
		open(cookie, "/").loginPage()
	}
	// Both write their logs a little later than they answer.
	eventually(t, 15*time.Second, "Home Assistant's log tells of a failed login", func() bool { return failures() > 0 })
	eventually(t, 15*time.Second, "Caddy's log says what may be wrong", func() bool {
		return strings.Contains(s.file("caddy.log"), "its command has not asked this Caddy")
	})
	if n := failures(); n != 1 {
		t.Errorf("%d failed logins, not one:\n%s", n, tail(log(), 20))
	}
}

// trustAll takes Caddy's own certificates.
func (p *phone) trustAll() {
	p.t.Helper()
	p.do(pagetest.Call(security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}))
}

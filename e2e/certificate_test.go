package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// keeping makes a Chromium keep a certificate in its own store, and a profile that shows it to a site
// without asking, as AutoSelectCertificateForUrls does on a wall tablet that somebody looks after.
func keeping(t *testing.T, cert tls.Certificate, site string) (profile string, home chromedp.ExecAllocatorOption) {
	t.Helper()
	for _, tool := range []string{"certutil", "pk12util", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("there is no ", tool, " in PATH: Chromium's store of certificates cannot be filled")
		}
	}
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tablet := file("tablet.pem", "CERTIFICATE", cert.Certificate[0])
	key := file("tablet.key", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(cert.PrivateKey)))
	both, store := filepath.Join(dir, "tablet.p12"), filepath.Join(dir, ".pki", "nssdb")
	profile = filepath.Join(dir, "profile")
	for _, folder := range []string{store, filepath.Join(profile, "Default")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{
		{"openssl", "pkcs12", "-export", "-in", tablet, "-inkey", key, "-out", both, "-passout", "pass:tablet"},
		{"certutil", "-N", "-d", "sql:" + store, "--empty-password"},
		{"pk12util", "-i", both, "-d", "sql:" + store, "-W", "tablet", "-K", ""},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", command, err, out)
		}
	}
	type object = map[string]any
	preferences := must(json.Marshal(object{"profile": object{"content_settings": object{"exceptions": object{
		"auto_select_certificate": object{site + ",*": object{"setting": object{"filters": []object{{}}}}},
	}}}}))
	if err := os.WriteFile(filepath.Join(profile, "Default", "Preferences"), preferences, 0o600); err != nil {
		t.Fatal(err)
	}
	return profile, chromedp.Env("HOME="+dir, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=")
}

// A wall tablet has a certificate: Chromium itself shows it, and it is in at the service, without anybody
// logging in. One without comes to Home Assistant's own login page.
func TestTabletWithACertificate(t *testing.T) {
	h := realHome(t)
	s := newServer(t, h)
	f := withLogin(t, s, "https")
	i := newIssuer(t, s.dir)
	certs := certSite(t, s, f, i, "map cn tablet resident\nlogin "+f.ha)
	s.sites = strings.Replace(s.sites, "login "+f.ha+"\n\t\tallow", "login "+certs+"\n\t\tallow", 1)
	s.start()
	s.awaitHome()
	profile, inside := keeping(t, i.issue("tablet"), certs)

	chromium, _ := browserOf(t, profile, anyCertificate, inside)
	p := newPhone(t, chromium, true)
	p.open(f.svc + "/d/1?a=b")
	p.at(f.svc + "/d/1?a=b")
	p.seesWho("Resident user")

	chromium, _ = browserOf(t, t.TempDir(), anyCertificate)
	p = newPhone(t, chromium, true)
	p.open(f.svc + "/d/1")
	p.loginPage()
	if at := p.eval(`location.origin`); at != f.ha {
		t.Errorf("without a certificate one is at %s", at)
	}
}

// The same tablet opens Home Assistant itself: once somebody has logged in there by password, nobody types any
// more. All of it on https, where Home Assistant's command trusts Caddy's own authority only.
func TestTabletOpensHomeAssistant(t *testing.T) {
	_, caddyPort, _ := net.SplitHostPort(freeport.Addr(t))
	ha := "https://ha.home.localhost:" + caddyPort
	h, log := ownHome(t, func(dir, port string) {
		script := must(os.ReadFile("../docs/home-assistant/caddy-login.sh"))
		must(0, os.WriteFile(filepath.Join(dir, "login.sh"), script, 0o700))
		path := filepath.Join(dir, "configuration.yaml")
		text := string(must(os.ReadFile(path)))
		with := strings.Replace(text, "/homes/8123/login.sh]", `/homes/8123/login.sh, "`+ha+`", "--cacert", "/homes/`+port+`/root.crt"]`, 1)
		if with == text {
			t.Fatal("the home's configuration is another")
		}
		must(0, os.WriteFile(path, []byte(with), 0o600))
	})
	s := newServer(t, h)
	f := withLogin(t, s, "https")
	port := f.ha[strings.LastIndexByte(f.ha, ':'):]
	s.sites = strings.ReplaceAll(s.sites, port, ":"+caddyPort)
	s.sites = strings.Replace(s.sites, "domain home.localhost", "domain home.localhost\n\t\tpasswordless", 1)
	f = front{ha, strings.Replace(f.svc, port, ":"+caddyPort, 1)}
	i := newIssuer(t, s.dir)
	certs := certSite(t, s, f, i, "map cn tablet resident")
	s.sites = strings.Replace(s.sites, "redirect_to ", "redirect_to "+strings.TrimPrefix(f.ha, "https://")+" ", 1)
	s.start()
	s.awaitHome()
	root := filepath.Join(s.dir, "data", "caddy", "pki", "authorities", "local", "root.crt")
	must(0, os.WriteFile(filepath.Join(h.dir, "root.crt"), must(os.ReadFile(root)), 0o644))
	resident := h.resident("resident").ID
	tablet := func() *phone {
		t.Helper()
		profile, inside := keeping(t, i.issue("tablet"), certs)
		chromium, _ := browserOf(t, profile, anyCertificate, inside)
		p := newPhone(t, chromium, true)
		p.open(certs + "/auth/jwt_cookie?redirect_url=" + url.QueryEscape(f.ha+"/"))
		return p
	}

	p := tablet()
	p.loginPage()
	p.homeLogin("resident", "resident-pass-1")
	p.inside()
	eventually(t, 15*time.Second, "linked", func() bool {
		return strings.Contains(s.file("caddy.log"), "without password from now on")
	})
	p = tablet()
	if id := p.inside(); id != resident {
		t.Errorf("without password: %s, not %s", id, resident)
	}
	p.open(f.svc + "/")
	p.seesWho("Resident user")
	for _, bad := range []string{"Login attempt", "failed to authenticate", "Banned"} {
		if text := log(); strings.Contains(text, bad) {
			t.Errorf("Home Assistant's log: %s\n%s", bad, tail(text, 20))
		}
	}
}

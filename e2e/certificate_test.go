package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
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

package caddyhass_test

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/caddyserver/certmagic"

	_ "github.com/caddy-hass/caddy-hass"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

func adapt(t *testing.T, name, text string) []byte {
	t.Helper()
	body, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": name})
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") || name == example {
			t.Errorf("%s: %v", name, w)
		}
	}
	return body
}

const example = "Caddyfile.example"

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The example is what people begin with: it adapts without a warning, and all
// its modules accept what it says, also what it offers as a comment.
func TestExampleIsValid(t *testing.T) {
	text := read(t, example)
	offered := regexp.MustCompile(`(?m)^(\s*)# ?((?:\t*)(?:hass|url|token|notify|target|addresses short|tls_\w+|\w+\.example\.com|hass_login|hass_jwt|domain|login|allow|reverse_proxy|header_up|\}).*)$`)
	pem := filepath.Join(t.TempDir(), "jwt_cookie.pem") // is not there yet, as at a first start
	for name, text := range map[string]string{
		example: text,
		"with all that is offered": strings.NewReplacer(
			"\ttoken {file./run/secrets/hass_token}", "",
			"url http://192.168.1.10:8123\n", "url https://192.168.1.10:8123\n",
			"/etc/caddy/jwt_cookie.pem", pem,
		).Replace(offered.ReplaceAllString(text, "$1$2")),
	} {
		t.Run(name, func(t *testing.T) {
			body := adapt(t, name, text)
			t.Setenv("HASS_TOKEN", "a")
			t.Setenv("CABIN_TOKEN", "b")
			var cfg caddy.Config
			if err := caddy.StrictUnmarshalJSON(body, &cfg); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Validate(&cfg); err != nil {
				t.Fatal(err)
			}
			for _, needed := range []string{`"hass_onetime"`, `"hass_onetime_dashboard"`, `"http_basic"`} {
				if !strings.Contains(string(body), needed) {
					t.Errorf("%s is missing in %s", needed, body)
				}
			}
			if name != example && (!strings.Contains(string(body), `"hass_jwt"`) || !strings.Contains(string(body), `"cabin"`) || !strings.Contains(string(body), `"short"`)) {
				t.Errorf("what stands there as a comment was not taken: %s", body)
			}
		})
	}
}

// Every Caddyfile in the documentation is one. A piece of one says behind the
// language where it belongs: "caddyfile global" or "caddyfile site".
func TestCaddyfilesOfTheDocumentation(t *testing.T) {
	fence := regexp.MustCompile("(?ms)^( *)```caddyfile([^\n]*)\n(.*?)^ *```$")
	found := 0
	for _, name := range documents(t) {
		for _, m := range fence.FindAllStringSubmatch(read(t, name), -1) {
			found++
			text := strings.ReplaceAll("\n"+m[3], "\n"+m[1], "\n")
			switch where := strings.TrimSpace(m[2]); where {
			case "":
			case "global":
				text = "{\n" + text + "}\n"
			case "site":
				text = "{\nhass {\nurl http://192.168.1.10:8123\ntoken {env.HASS_TOKEN}\n}\n}\nexample.com {\n" + text + "}\n"
			default:
				t.Errorf("%s: a Caddyfile is global, site or whole, not %q", name, where)
			}
			if strings.Contains(text, "dns ") {
				// Modules for DNS providers are not in this build.
				text = regexp.MustCompile(`(?m)^\s*dns .*$`).ReplaceAllString(text, "issuer internal")
			}
			adapt(t, name, text)
		}
	}
	if found == 0 {
		t.Errorf("no Caddyfile was found")
	}
}

// Links from one document to another, and to files, lead somewhere.
func TestLinksOfTheDocumentation(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, name := range documents(t) {
		text := regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(read(t, name), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path := name
			if target != "" {
				path = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if anchor != "" && strings.HasSuffix(path, ".md") && !hasHeading(read(t, path), anchor) {
				t.Errorf("%s: %s has no heading #%s", name, path, anchor)
			}
		}
	}
}

// hasHeading reports whether a heading has this anchor, as GitHub makes them.
func hasHeading(text, anchor string) bool {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		if slug == anchor {
			return true
		}
	}
	return false
}

func documents(t *testing.T) []string {
	t.Helper()
	names := []string{"README.md", "CHANGELOG.md"}
	err := filepath.WalkDir("docs", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What Caddy writes before a request has come to hass_onetime has no link in it
// with the snippet hass_log of the example: the redirect to https, Caddy's own
// and one that is configured, handle_path at DEBUG, and an error on the way.
func TestHassLogSnippetHidesLinks(t *testing.T) {
	text := read(t, example)
	snippet := regexp.MustCompile(`(?ms)^\(hass_log\) \{\n.*?^\}\n`).FindString(text)
	if snippet == "" {
		t.Fatal("the example has no snippet hass_log")
	}
	for _, hidden := range []bool{true, false} {
		t.Run(fmt.Sprint("hidden=", hidden), func(t *testing.T) {
			format := "import hass_log"
			if !hidden {
				format = "format json" // shows that the test would find them
			}
			// Not t.TempDir: after it has stopped, Caddy still tidies up there.
			dir, err := os.MkdirTemp(tempDir, "")
			if err != nil {
				t.Fatal(err)
			}
			http1, https1, plain := freePort(t), freePort(t), freePort(t)
			t.Setenv("HASS_TOKEN", "a")
			load(t, fmt.Sprintf(`%[1]s
{
	admin off
	persist_config off
	skip_install_trust
	http_port %[3]s
	https_port %[4]s
	storage file_system %[2]s/storage
	log {
		output file %[2]s/caddy.log
		level DEBUG
		%[6]s
	}
	hass {
		url http://127.0.0.1:1
		token {env.HASS_TOKEN}
	}
	hass_onetime {
		public_url https://guests.localhost
		store bbolt %[2]s/onetime.db
	}
}
guests.localhost {
	tls internal
	log {
		output file %[2]s/access.log
		%[6]s
	}
	hass_onetime
}
http://127.0.0.1:%[5]s {
	log {
		output file %[2]s/access.log
		%[6]s
	}
	redir /old/* https://guests.localhost{uri}
	handle_path /deep/* {
		hass_onetime
	}
	handle {
		error "no such page" 500
	}
}
`, snippet, dir, http1, https1, plain, format))

			codes := []string{
				"7K2M9PABCDEFGHJKMNPQRSTV", "7k2m9pabcdefghjkmnpqrstv", "7K2M-9PAB-CDEF-GHJK-MNPQ-RSTV",
				"7K2M%209PAB%20CDEFGHJKMNPQRSTV", "%37K2M9PABCDEFGHJKMNPQRST%56", "7K2M+9PAB+CDEFGHJKMNPQRSTV", "oil2m9pabcdefghjkmnpqrst",
				"kABovLIdpQaZbtyMXwNuCSrfhGjeWqAR", // taken over from One Time Service
			}
			client := &http.Client{
				Transport:     &http.Transport{DisableKeepAlives: true},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			}
			for _, code := range codes {
				for _, at := range []string{
					fmt.Sprintf("http://127.0.0.1:%s/%s", http1, code),
					fmt.Sprintf("http://127.0.0.1:%s/?token=%s", http1, code),
					fmt.Sprintf("http://127.0.0.1:%s/old/%s", plain, code),
					fmt.Sprintf("http://127.0.0.1:%s/deep/%s", plain, code),
					fmt.Sprintf("http://127.0.0.1:%s/%s?token=%s", plain, code, code),
				} {
					req, err := http.NewRequest(http.MethodGet, at, nil)
					if err != nil {
						t.Fatal(err)
					}
					if strings.Contains(at, http1) {
						req.Host = "guests.localhost"
					}
					req.Header.Set("Referer", "https://guests.localhost/"+code)
					req.Header.Set("X-Forwarded-Uri", "/"+code)
					resp, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
				}
			}
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}

			logs := read(t, filepath.Join(dir, "caddy.log")) + read(t, filepath.Join(dir, "access.log"))
			for _, line := range []string{"rewrote request", "no such page", "handled request", "guests.localhost/"} {
				if !strings.Contains(logs, line) {
					t.Errorf("the logs have no %q, so they show nothing:\n%s", line, logs)
				}
			}
			seen := 0
			for _, code := range codes {
				if strings.Contains(logs, code) {
					seen++
					if at := strings.Index(logs, code); hidden {
						t.Errorf("%s is in the logs: …%s…", code, logs[max(0, at-400):min(len(logs), at+100)])
					}
				}
			}
			if !hidden && seen != len(codes) {
				t.Errorf("without the snippet only %d of %d are in the logs: the test looks at the wrong lines", seen, len(codes))
			}
		})
	}
}

func load(t *testing.T, caddyfile string) {
	t.Helper()
	body := adapt(t, "Caddyfile", caddyfile)
	if err := caddy.Load(body, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(freeport.Addr(t))
	return port
}

var tempDir string // for all tests

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "caddyhass")
	if err != nil {
		panic(err)
	}
	tempDir = dir
	// Nothing of this gets into the folders of whoever runs the tests.
	caddy.DefaultStorage = &certmagic.FileStorage{Path: filepath.Join(dir, "storage")}
	caddy.ConfigAutosavePath = filepath.Join(dir, "autosave.json")
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		os.Setenv(name, dir)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

package caddyonetime

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Promise 5: links, their secret halves and the home's token are in no log at
// any level, in no configuration and in no autosave, and nothing that was given
// to a guest or a host has the home's token in it.
func TestThreat22_NoSecretAnywhere(t *testing.T) {
	r := newRig(t)
	config := r.caddyfile("contact Anna tel:+4930123456", "", "tracing_off_marker")
	config = strings.Replace(config, "tracing_off_marker", "handle_errors {\nrespond \"error {err.status_code}\"\n}", 1)
	r.run(config)
	id, code := r.link("front_door", openFrontDoor, "Tom", 2)
	secret := code[len(id):]

	spelled := strings.ToLower(code[:8] + "-" + code[8:16] + "%20" + code[16:])
	spaced := code[:8] + "%20" + code[8:16] + "%20" + code[16:]
	wrong := strings.Repeat("Z", 24)
	for _, c := range []struct {
		method, path string
		status       int
		header       []string
	}{
		{"GET", "/" + code, 200, nil},
		{"GET", "/" + code, 200, []string{"Accept", "text/html", "Referer", "http://" + r.addr + "/" + code}},
		{"GET", "/" + spelled, 200, []string{"Cookie", "seen=" + code, "X-Forwarded-Uri", "/" + code}},
		{"GET", "/" + code + "/", 200, nil},
		{"GET", "/?token=" + code, 303, []string{"Accept", "text/html"}},
		{"POST", "/" + code, 200, []string{"Idempotency-Key", "k"}},
		{"POST", "/" + code, 200, []string{"Idempotency-Key", "k"}},
		{"POST", "/" + code, 200, nil},
		{"POST", "/" + code, 410, nil},
		{"PUT", "/" + code, 405, nil},
		{"GET", "/" + code[:20] + "AAAA", 404, nil},
		{"GET", "/" + code + "/x", 404, nil},
		{"GET", "/" + code + ".", 404, nil},
		{"GET", "/x/" + code, 404, nil},
		{"GET", "/%2F" + code, 404, nil},
		{"GET", "/" + wrong, 404, nil},
		{"POST", "/" + spaced, 410, nil},
		{"POST", "/" + spaced, 303, []string{"Accept", "text/html", "Idempotency-Key", "k"}},
		{"GET", "/-/" + code, 404, nil},
		{"GET", "/", 200, []string{"Accept", "text/html", "X-Seen", "guest-" + code, "X-Original-Url", "https%3A%2F%2Fa%2F" + code}},
	} {
		if status, body := r.request(c.method, c.path, c.header...); status != c.status && c.status != 404 {
			t.Errorf("%s %s: %d, want %d: %s", c.method, strings.Replace(c.path, code, "CODE", 1), status, c.status, body)
		} else if strings.Contains(body, r.home.Token()) {
			t.Errorf("%s: the home's token is in the answer", c.path)
		}
	}
	// Reload, so that the configuration is written down.
	r.run(config)

	// What /config/ serves is what the autosave has.
	places := map[string]string{
		"autosave":   r.file("autosave.json"),
		"access log": r.file("access.log"),
		"debug log":  r.file("caddy.log"),
		"store":      r.file("onetime.db"),
	}
	for _, name := range []string{"autosave", "access log", "debug log", "store"} {
		if places[name] == "" {
			t.Fatalf("the %s is empty", name)
		}
	}
	for name, text := range places {
		for what, s := range map[string]string{"home's token": r.home.Token(), "link": code, "secret half": secret, "typed link": spelled[:17], "link in pieces": code[8:16]} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
				at := strings.Index(strings.ToLower(text), strings.ToLower(s))
				t.Errorf("the %s is in the %s: …%s…", what, name, text[max(0, at-300):min(len(text), at+60)])
			}
		}
	}
	if !strings.Contains(places["autosave"], "{env.HASS_TOKEN}") {
		t.Errorf("the placeholder is not in the autosave: %s", places["autosave"])
	}

	// The link key is in Caddy's storage alone, for this user alone.
	keys, err := filepath.Glob(filepath.Join(r.dir, "storage", linkKeys, "*"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v, %v", keys, err)
	}
	info, err := os.Stat(keys[0])
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != onetime.LinkKeyLength {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	key, err := os.ReadFile(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range places {
		if strings.Contains(text, string(key)) {
			t.Errorf("the link key is in the %s", name)
		}
	}
}

// A literal token is warned about, and not repeated in the warning.
func TestLiteralTokenIsWarnedAbout(t *testing.T) {
	r := newRig(t)
	r.run(strings.Replace(r.caddyfile("", "", ""), "{env.HASS_TOKEN}", r.home.Token(), 1))
	log := r.file("caddy.log")
	if !strings.Contains(log, "clear text") || strings.Contains(log, r.home.Token()) {
		t.Errorf("the log:\n%s", log)
	}
}

// The one line of a request is Caddy's own, but for the link.
func TestAccessLogLine(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", "handle_path /door/* {\nhass_onetime\n}"))
	id, code := r.link("front_door", openFrontDoor, "Tom", 1)

	r.request("GET", "/"+code, "Referer", "https://example.org/"+code+"?x=1", "User-Agent", "Phone/1.0")
	r.request("POST", "/door/"+code)
	r.request("POST", "/door/"+code)
	r.request("GET", "/.env?token="+code)
	r.request("GET", "/"+strings.Repeat("Z", 24))
	r.request("GET", "/keys/api/actions") // Caddy writes this one itself
	// Whatever is tried with a link, the log has its id.
	r.request("DELETE", "/"+code)
	r.request("PUT", "/door/"+strings.ToLower(code))
	r.request("OPTIONS", "/"+code)
	r.request("DELETE", "/"+strings.Repeat("Z", 24))
	r.request("DELETE", "/.env")
	lines := r.accessLines(11)
	for i, want := range []struct {
		method, uri string
		status      float64
	}{
		{"GET", "/" + id, 200},
		{"POST", "/door/" + id, 200},
		{"POST", "/door/" + id, 410},
		{"GET", "/.env", 404},
		{"GET", "/-", 404},
		{"GET", "/keys/api/actions", 200},
		{"DELETE", "/" + id, 405},
		{"PUT", "/door/" + id, 405},
		{"OPTIONS", "/" + id, 204},
		{"DELETE", "/-", 405},
		{"DELETE", "/.env", 405},
	} {
		line := lines[i]
		request, _ := line["request"].(map[string]any)
		if line["logger"] != "http.log.access.log0" || line["msg"] != "handled request" || line["level"] != "info" ||
			request["method"] != want.method || request["uri"] != want.uri || line["status"] != want.status {
			t.Errorf("line %d: %v, want %v", i, line, want)
		}
		// Every field that Caddy's own line has.
		for field := range lines[5] {
			if _, ok := line[field]; !ok {
				t.Errorf("line %d has no %s", i, field)
			}
		}
		for field := range lines[5]["request"].(map[string]any) {
			if _, ok := request[field]; !ok {
				t.Errorf("line %d: its request has no %s", i, field)
			}
		}
		if size, ok := line["size"].(float64); !ok || size == 0 && want.status != 204 {
			t.Errorf("line %d: size %v", i, line["size"])
		}
	}
	headers := lines[0]["request"].(map[string]any)["headers"].(map[string]any)
	if got := headers["Referer"].([]any)[0]; got != "https://example.org/" {
		t.Errorf("Referer %v", got)
	}
	if got := headers["User-Agent"].([]any)[0]; got != "Phone/1.0" {
		t.Errorf("User-Agent %v", got)
	}
}

// Nothing is logged where nothing would be without us.
func TestAccessLogIsOnlyWrittenWhereItIsWanted(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", "log_skip /quiet/*\nhandle_path /quiet/* {\nhass_onetime\n}\nlog_name /named/* special\nhandle_path /named/* {\nhass_onetime\n}"))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	r.request("GET", "/quiet/"+code)
	r.request("GET", "/named/"+code)
	r.request("GET", "/"+code)
	lines := r.accessLines(1)
	if uri := lines[0]["request"].(map[string]any)["uri"]; strings.HasPrefix(uri.(string), "/quiet") {
		t.Errorf("logged: %v", uri)
	}
	// The name has no output of its own in this configuration: it is in
	// Caddy's default log.
	eventually(t, "the named logger has its line", func() bool {
		return strings.Contains(r.file("caddy.log"), `"logger":"http.log.access.special"`)
	})
}

// Caddy's tracing handler has the path in its span before any other handler.
func TestSpanHasNoLink(t *testing.T) {
	const code = "ABC123DEFGHJKMNPQRSTVWXY"
	spans := tracetest.NewInMemoryExporter()
	ctx, span := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)).Tracer("").Start(t.Context(), "request",
		oteltrace.WithAttributes(attribute.String("url.path", "/"+code)))
	r := httptest.NewRequest(http.MethodGet, "/"+code, nil).WithContext(ctx)
	hideInSpan(r, "/ABC123")
	span.End()
	got := spans.GetSpans()[0].Attributes
	if len(got) != 1 || got[0].Value.AsString() != "/ABC123" {
		t.Errorf("%v", got)
	}
}

// oldLinksCode is a code as One Time Service makes them.
const oldLinksCode = "kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi"

func TestHideCodes(t *testing.T) {
	code := "ABC12" + "3" + "DEFGHJKMNPQRSTVWXY"
	for s, want := range map[string]string{
		"":                                         "",
		"/" + code:                                 "/-",
		"seen=" + code + "; a=b":                   "seen=-; a=b",
		strings.ToLower(code):                      "-",
		"/abc123-defgh+jkmnp%20qrstvwxy/":          "/-/",
		"text/html,application/xhtml":              "text/html,application/xhtml",
		"Mozilla/5.0 (X11; Linux)":                 "Mozilla/5.0 (X11; Linux)",
		"http://a/" + code + "?b=" + code:          "http://a/-?b=-",
		"Ünï" + code:                               "-",
		code[:6] + "\u2013" + code[6:]:             "-",
		code[:9] + "%E2%80%93" + code[9:]:          "-",
		code[:6] + "%0D%0A" + code[6:]:             "-",
		"Grüße aus Köln":                           "Grüße aus Köln",
		"./" + oldLinksCode:                        "./-",
		"prefix-" + code + " guest-" + code + "-x": "- -",
		"https%3A%2F%2Fa%2F" + code:                "-",
		"a%252F" + code + "%253Fb":                 "-",
		"00-4bf92f3577b3-00f067aa0ba902-01":        "00-4bf92f3577b3-00f067aa0ba902-01",
		"facebookexternalhit/1.1":                  "facebookexternalhit/1.1",
		"TelegramBot (like TwitterBot)":            "TelegramBot (like TwitterBot)",
		"WhatsApp/2.23.20.0":                       "WhatsApp/2.23.20.0",
		"q=token%3D" + oldLinksCode:                "q=-",
	} {
		if got := hideCodes(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

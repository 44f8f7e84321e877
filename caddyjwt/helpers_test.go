package caddyjwt

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
)

// noon is when the tests happen.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

func newEC(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publicPEM(t testing.TB, k crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// claimsAt are those that jwt_cookie mints.
func claimsAt(now time.Time) map[string]any {
	return map[string]any{
		"sub": "5d3bd0a4f1a64e6d9b1b5a2f0c6c7a11", "name": "Anna", "roles": []string{"admin", "user"},
		"aud": []string{"homeassistant"}, "iss": "homeassistant",
		"exp": now.Add(30 * time.Minute).Unix(), "iat": now.Unix(),
	}
}

// with returns claims changed; a nil value takes one out.
func with(c map[string]any, changes map[string]any) map[string]any {
	c = maps.Clone(c)
	for k, v := range changes {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = v
	}
	return c
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sign makes a token out of a header and a payload as they stand.
func sign(t testing.TB, method jwt.SigningMethod, k any, header, payload string) string {
	t.Helper()
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	sig, err := method.Sign(text, k)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(sig)
}

func mint(t testing.TB, k *ecdsa.PrivateKey, c map[string]any) string {
	t.Helper()
	return sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256","typ":"JWT"}`, mustJSON(t, c))
}

// fixedKeys is a KeySource whose keys the test sets.
type fixedKeys struct {
	set       *KeySet
	refreshed int
	next      *KeySet // what Refresh finds, if anything
}

func (f *fixedKeys) Keys() *KeySet { return f.set }

func (f *fixedKeys) Refresh() *KeySet {
	f.refreshed++
	if f.next != nil {
		f.set = f.next
	}
	return f.set
}

func keySet(t testing.TB, keys ...crypto.Signer) *KeySet {
	t.Helper()
	set := new(KeySet)
	for _, k := range keys {
		method, err := methodFor(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		set.keys = append(set.keys, key{method: method, public: k.Public()})
	}
	return set
}

// newHandler returns a handler at noon with fixed keys.
func newHandler(t testing.TB, h *HassJWT, keys ...crypto.Signer) *HassJWT {
	t.Helper()
	if _, err := h.settle(); err != nil {
		t.Fatal(err)
	}
	if err := h.Validate(); err != nil {
		t.Fatal(err)
	}
	h.checks.now = atNoon
	h.logger = zap.NewNop()
	h.keys = &fixedKeys{set: keySet(t, keys...)}
	return h
}

// verifierOf returns what checks the tokens of a handler.
func verifierOf(t testing.TB, keys ...crypto.Signer) *verifier {
	t.Helper()
	h := newHandler(t, new(HassJWT), keys...)
	return h.verifierFor(h.keys.Keys())
}

// result is what became of a request.
type result struct {
	*httptest.ResponseRecorder
	err    error
	passed *http.Request // as it went on; nil: it did not
	repl   *caddy.Replacer
}

// status is what the client sees.
func (r result) status() int {
	var he caddyhttp.HandlerError
	if asHandlerError(r.err, &he) {
		return he.StatusCode
	}
	return r.Code
}

func asHandlerError(err error, he *caddyhttp.HandlerError) bool {
	e, ok := err.(caddyhttp.HandlerError)
	*he = e
	return ok
}

// withCaddy gives a request the context that Caddy's server gives it.
func withCaddy(r *http.Request) *http.Request {
	original := *r
	u := *r.URL
	original.URL = &u
	ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.TrustedProxyVarKey: false})
	ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, original)
	r = r.WithContext(ctx)
	caddyhttp.NewTestReplacer(r)
	return r
}

func serve(t testing.TB, h *HassJWT, r *http.Request) result {
	t.Helper()
	if r.Context().Value(caddy.ReplacerCtxKey) == nil {
		r = withCaddy(r)
	}
	res := result{ResponseRecorder: httptest.NewRecorder()}
	res.repl = r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	res.err = h.ServeHTTP(res, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		res.passed = r
		w.WriteHeader(http.StatusOK)
		return nil
	}))
	return res
}

// get makes a request with header fields given as "Name: value".
func get(target string, fields ...string) *http.Request {
	return request(http.MethodGet, target, fields...)
}

func request(method, target string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func placeholder(t testing.TB, r result, name string) string {
	t.Helper()
	v, known := r.repl.GetString(userPrefix + name)
	if !known {
		t.Errorf("placeholder {%s%s} is unknown", userPrefix, name)
	}
	return v
}

func writeFile(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func tempPEM(t testing.TB, k crypto.Signer) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwt_cookie.pem")
	writeFile(t, path, publicPEM(t, k))
	return path
}

func ed25519Key(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// until waits for what other goroutines bring about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// setClientIP is what Caddy's server does for a request.
func setClientIP(r *http.Request, ip string) {
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, ip)
}

package caddyjwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// refused fails the test unless token is refused for that reason.
func refused(t *testing.T, v *verifier, token string, reason error) {
	t.Helper()
	who, err := v.verify(token)
	if who != nil || !errors.Is(err, reason) {
		t.Errorf("got %v, %v; want it refused: %v", who, err, reason)
	}
}

func accepted(t *testing.T, v *verifier, token string) *identity {
	t.Helper()
	who, err := v.verify(token)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return who
}

// TestJWTCookie takes a token as the jwt_cookie integration mints it.
func TestJWTCookie(t *testing.T) {
	k := newEC(t, elliptic.P256())
	who := accepted(t, verifierOf(t, k), mint(t, k, claimsAt(noon)))
	for name, want := range map[string]string{
		"id": "5d3bd0a4f1a64e6d9b1b5a2f0c6c7a11", "sub": "5d3bd0a4f1a64e6d9b1b5a2f0c6c7a11", "name": "Anna",
		"roles": "admin,user", "iss": "homeassistant", "exp": fmt.Sprint(noon.Add(30 * time.Minute).Unix()),
	} {
		if got := who.values[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestEveryKindOfKeyHasOneAlgorithm(t *testing.T) {
	keys := []struct {
		private crypto.Signer
		method  jwt.SigningMethod
	}{
		{newEC(t, elliptic.P256()), jwt.SigningMethodES256},
		{newEC(t, elliptic.P384()), jwt.SigningMethodES384},
		{newEC(t, elliptic.P521()), jwt.SigningMethodES512},
		{newRSA(t, 2048), jwt.SigningMethodRS256},
		{ed25519Key(t), jwt.SigningMethodEdDSA},
	}
	payload := mustJSON(t, claimsAt(noon))
	for _, of := range keys {
		for _, by := range keys {
			v := verifierOf(t, of.private)
			token := sign(t, by.method, by.private, fmt.Sprintf(`{"alg":%q}`, by.method.Alg()), payload)
			if of.method == by.method {
				accepted(t, v, token)
				continue
			}
			refused(t, v, token, errUnknownKey)
		}
	}
	rsaKey := keys[3].private.(*rsa.PrivateKey)
	for _, m := range []jwt.SigningMethod{jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodPS256} {
		refused(t, verifierOf(t, rsaKey), sign(t, m, rsaKey, fmt.Sprintf(`{"alg":%q}`, m.Alg()), payload), errUnknownKey)
	}
}

func TestThreat01_OnlyTheKeysOwnAlgorithm(t *testing.T) {
	k := newEC(t, elliptic.P256())
	v := verifierOf(t, k)
	payload := mustJSON(t, claimsAt(noon))

	text := publicPEM(t, k)
	block, _ := pem.Decode(text)
	stripped := strings.TrimSpace(string(text))
	bare := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(stripped, "-----BEGIN PUBLIC KEY-----"), "-----END PUBLIC KEY-----"), "\n", "")
	for name, secret := range map[string][]byte{"PEM": text, "stripped": []byte(stripped), "base64": []byte(bare), "DER": block.Bytes} {
		for _, m := range []*jwt.SigningMethodHMAC{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
			t.Run(m.Alg()+" with the public key as "+name, func(t *testing.T) {
				refused(t, v, sign(t, m, secret, fmt.Sprintf(`{"alg":%q,"typ":"JWT"}`, m.Alg()), payload), errUnknownKey)
				// The same under the name of the right algorithm.
				refused(t, v, sign(t, m, secret, `{"alg":"ES256","typ":"JWT"}`, payload), errUnknownKey)
			})
		}
	}
	good := mint(t, k, claimsAt(noon))
	sig := good[strings.LastIndex(good, ".")+1:]
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "es256", "ES256 ", "ES384", "ES512", "RS256", "HS256", "EdDSA", "ES256K"} {
		head := b64([]byte(fmt.Sprintf(`{"alg":%q}`, alg))) + "." + b64([]byte(payload)) + "."
		refused(t, v, head, errShape)
		refused(t, v, head+"AA", errUnknownKey)
		refused(t, v, head+sig, errUnknownKey)
	}
	for _, header := range []string{`{}`, `{"alg":null}`, `{"alg":["ES256"]}`, `{"alg":0}`, `{"ALG":"ES256"}`, `{"alg":"ES256","alg":"none"}`, `{"alg":"none","alg":"ES256"}`} {
		refused(t, v, sign(t, jwt.SigningMethodES256, k, header, payload), errHeader)
	}
	for _, alg := range []string{"ES384", "ES512"} { // a P-256 signature under another name
		refused(t, v, sign(t, jwt.SigningMethodES256, k, fmt.Sprintf(`{"alg":%q}`, alg), payload), errUnknownKey)
	}
	accepted(t, v, good)
}

func TestThreat02_OnlyTheOneFormOfASignature(t *testing.T) {
	k := newEC(t, elliptic.P256())
	v := verifierOf(t, k)
	good := mint(t, k, claimsAt(noon))
	dot := strings.LastIndex(good, ".") + 1
	text, encoded := good[:dot], good[dot:]
	sig, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	n := elliptic.P256().Params().N
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	raw := func(r, s *big.Int) []byte {
		b := make([]byte, 64)
		r.FillBytes(b[:32])
		s.FillBytes(b[32:])
		return b
	}
	zero, highest := new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	for name, forged := range map[string][]byte{
		"all zero": make([]byte, 64), "DER": der,
		"63 bytes": sig[:63], "65 bytes": append([]byte{0}, sig...), "65 bytes at the end": append(sig[:64:64], 0),
		"r is 0": raw(zero, s), "s is 0": raw(r, zero), "r is n": raw(n, s), "s is n": raw(r, n), "both n": raw(n, n),
		"r beyond n": raw(highest, s), "s beyond n": raw(r, highest),
		"r and s swapped": raw(s, r), "twice": append(sig[:64:64], sig...),
	} {
		t.Run(name, func(t *testing.T) { refused(t, v, text+b64(forged), errUnknownKey) })
	}

	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, encoded[len(encoded)-1])
	for bits := 1; bits < 4; bits++ { // 86 characters hold 4 bits more than 64 bytes
		refused(t, v, text+encoded[:len(encoded)-1]+string(alphabet[last|bits]), errMalformed)
	}
	std := base64.StdEncoding.EncodeToString(sig)
	for _, other := range []string{encoded + "=", encoded + "==", std, encoded + " ", encoded + "\n", encoded[:40] + "\r\n" + encoded[40:], encoded + "%3D"} {
		refused(t, v, text+other, errShape)
	}
	accepted(t, v, good)
}

func TestThreat03_TheHeaderNeverChoosesTheKey(t *testing.T) {
	k, evil := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	v := verifierOf(t, k)
	payload := mustJSON(t, claimsAt(noon))

	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer server.Close()
	point, err := evil.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, b64(point[1:33]), b64(point[33:]))
	for name, member := range map[string]string{
		"jwk": `"jwk":` + jwk, "jku": fmt.Sprintf(`"jku":%q`, server.URL), "x5u": fmt.Sprintf(`"x5u":%q`, server.URL),
		"x5c": `"x5c":["` + base64.StdEncoding.EncodeToString([]byte("certificate")) + `"]`,
	} {
		header := `{"alg":"ES256",` + member + `}`
		t.Run(name, func(t *testing.T) {
			refused(t, v, sign(t, jwt.SigningMethodES256, evil, header, payload), errUnknownKey)
			accepted(t, v, sign(t, jwt.SigningMethodES256, k, header, payload)) // ignored, not an error
		})
	}
	if asked > 0 {
		t.Errorf("%d addresses from headers were fetched", asked)
	}
	for _, crit := range []string{`["exp"]`, `[]`, `null`, `"b64"`, `["b64"]`, `{}`, `true`, `[1]`} {
		refused(t, v, sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256","b64":false,"crit":`+crit+`}`, payload), errHeader)
	}
	for _, kid := range []string{`"../../../../dev/null"`, `"/etc/passwd"`, `"x' OR 1=1"`, `""`} {
		accepted(t, v, sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256","kid":`+kid+`}`, payload))
		refused(t, v, sign(t, jwt.SigningMethodES256, evil, `{"alg":"ES256","kid":`+kid+`}`, payload), errUnknownKey)
	}
	for _, kid := range []string{`1`, `null`, `{}`, `["a"]`, `true`} {
		refused(t, v, sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256","kid":`+kid+`}`, payload), errHeader)
	}
	refused(t, v, sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256","kid":"`+strings.Repeat("k", 10_000)+`"}`, payload), errShape)
}

// TestKeyIDIsAStringToCompare is for sources whose keys have ids.
func TestKeyIDIsAStringToCompare(t *testing.T) {
	k := newEC(t, elliptic.P256())
	v := verifierOf(t, k)
	v.keys.keys[0].id = "2026"
	payload := mustJSON(t, claimsAt(noon))
	accepted(t, v, sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256","kid":"2026"}`, payload))
	accepted(t, v, sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256"}`, payload))
	refused(t, v, sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256","kid":"2026 "}`, payload), errUnknownKey)
}

func TestThreat04_ShapeAndSizeBeforeDecoding(t *testing.T) {
	k := newEC(t, elliptic.P256())
	v := verifierOf(t, k)
	good := mint(t, k, claimsAt(noon))
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"nothing": "", "one part": "abc", "two parts": parts[0] + "." + parts[1], "four parts": good + ".AA",
		"JWE": "a.b.c.d.e", "dot at the end": good + ".", "dot in front": "." + good, "empty header": "." + parts[1] + "." + parts[2],
		"empty claims": parts[0] + ".." + parts[2], "only dots": "..", "JSON": `{"payload":"` + parts[1] + `","signatures":[]}`,
		"1 MB of dots": strings.Repeat(".", 1<<20), "1 MB": good + strings.Repeat("A", 1<<20), "space": good + " ", "plus": strings.Replace(good, "-", "+", 1) + "+",
		"over 8 kB": sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256"}`, mustJSON(t, with(claimsAt(noon), map[string]any{"pad": strings.Repeat("x", 7000)}))),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, v, token, errShape)
			if n := testing.AllocsPerRun(10, func() { v.verify(token) }); n > 4 {
				t.Errorf("%v allocations, want next to none", n)
			}
		})
	}
	accepted(t, v, sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256"}`, mustJSON(t, with(claimsAt(noon), map[string]any{"pad": strings.Repeat("x", 5500)}))))
}

func TestThreat05_ClaimsOfEveryShapeHaveAnAnswer(t *testing.T) {
	k := newEC(t, elliptic.P256())
	v := verifierOf(t, k)
	rest := fmt.Sprintf(`"aud":"homeassistant","iss":"homeassistant","exp":%d,"iat":%d`, noon.Unix()+60, noon.Unix())
	payloads := func(s string) string { return strings.ReplaceAll(s, "REST", rest) }

	for name, payload := range map[string]string{
		"a name twice":            `{"sub":"a","sub":"b",REST}`,
		"a name twice, escaped":   `{"sub":"a","s\u0075b":"b",REST}`,
		"exp twice":               `{"sub":"a","exp":1,REST}`,
		"trailing data":           `{"sub":"a",REST}{"sub":"b"}`,
		"trailing brace":          `{"sub":"a",REST}}`,
		"unclosed nesting":        `{"sub":"a",REST,"x":` + strings.Repeat("[", 5000),
		"invalid UTF-8":           "{\"sub\":\"a\xff\",REST}",
		"numeric sub":             `{"sub":1,REST}`,
		"sub is null":             `{"sub":null,REST}`,
		"sub is a list":           `{"sub":["a"],REST}`,
		"no sub":                  `{REST}`,
		"sub in capitals":         `{"SUB":"a",REST}`,
		"empty sub":               `{"sub":"",REST}`,
		"roles is an object":      `{"sub":"a","roles":{"admin":true},REST}`,
		"roles holds a number":    `{"sub":"a","roles":["admin",1],REST}`,
		"roles holds a list":      `{"sub":"a","roles":[["admin"]],REST}`,
		"roles holds null":        `{"sub":"a","roles":[null],REST}`,
		"roles is a number":       `{"sub":"a","roles":5,REST}`,
		"null":                    `null`,
		"a list":                  `[{"sub":"a"}]`,
		"a string":                `"sub"`,
		"a number":                `1`,
		"nothing":                 ` `,
		"not JSON":                `{sub:a}`,
		"byte order mark":         "\ufeff{\"sub\":\"a\",REST}",
		"comma at the end":        `{"sub":"a",REST,}`,
		"control character in it": "{\"sub\":\"a\nb\",REST}",
	} {
		t.Run(name, func(t *testing.T) {
			token := sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256"}`, payloads(payload))
			if who, err := v.verify(token); who != nil || err == nil {
				t.Errorf("accepted as %v", who.values)
			}
		})
	}
	for payload, want := range map[string][2]string{ // name, roles
		`{"sub":"a","name":null,REST}`:     {"", ""},
		`{"sub":"a","name":["Anna"],REST}`: {"", ""},
		`{"sub":"a","name":7,REST}`:        {"7", ""},
		`{"sub":"a","name":"Zoë 🦊",REST}`:  {"Zoë 🦊", ""},
		`{"sub":"a","roles":"admin",REST}`: {"", "admin"},
		`{"sub":"a","roles":null,REST}`:    {"", ""},
		`{"sub":"a","x":` + strings.Repeat("[", 2500) + strings.Repeat("]", 2500) + `,REST}`: {"", ""},
		`{"sub":"a","roles":[],REST}`:                      {"", ""},
		`{"sub":"a","roles":["user","admin"],REST}`:        {"", "user,admin"},
		`{"sub":"a","ROLES":["admin"],"Name":"x",REST}`:    {"", ""},
		`{"sub":"a","id":"b","name":"n","user":{},REST}`:   {"n", ""},
		"  {\"sub\":\"a\",\n\t\"roles\":[\"user\"],REST} ": {"", "user"},
	} {
		who := accepted(t, v, sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256"}`, payloads(payload)))
		if who.values["id"] != "a" || who.values["name"] != want[0] || who.values["roles"] != want[1] {
			t.Errorf("%s: got %q", payload, who.values)
		}
	}
}

func TestThreat06_TimesAudienceIssuer(t *testing.T) {
	k := newEC(t, elliptic.P256())
	v := verifierOf(t, k)
	in := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	type change = map[string]any
	for name, c := range map[string]struct {
		change change
		reason error
	}{
		"no exp":                 {change{"exp": nil}, errMalformed},
		"exp a string":           {change{"exp": fmt.Sprint(in(time.Hour))}, errMalformed},
		"exp negative":           {change{"exp": -1}, errMalformed},
		"exp 2^63":               {change{"exp": uint64(1 << 63)}, errMalformed},
		"exp 1e300":              {change{"exp": 1e300}, errMalformed},
		"exp a list":             {change{"exp": []int64{in(time.Hour)}}, errMalformed},
		"exp true":               {change{"exp": true}, errMalformed},
		"exp over":               {change{"exp": in(-30 * time.Second)}, errExpired},
		"exp zero":               {change{"exp": 0}, errExpired},
		"nbf ahead":              {change{"nbf": in(31 * time.Second)}, errNotYet},
		"nbf a string":           {change{"nbf": "0"}, errMalformed},
		"iat ahead":              {change{"iat": in(31 * time.Second)}, errNotYet},
		"iat a string":           {change{"iat": "0"}, errMalformed},
		"aud another":            {change{"aud": "grafana"}, errAudience},
		"aud a list of others":   {change{"aud": []string{"grafana", "homeassistan"}}, errAudience},
		"aud empty":              {change{"aud": ""}, errMalformed},
		"aud an empty list":      {change{"aud": []string{}}, errMalformed},
		"aud missing":            {change{"aud": nil}, errMalformed},
		"aud an object":          {change{"aud": change{"homeassistant": true}}, errMalformed},
		"aud with a number":      {change{"aud": []any{"homeassistant", 1}}, errMalformed},
		"aud in capitals":        {change{"aud": "HomeAssistant"}, errAudience},
		"iss wrong":              {change{"iss": "homeassistant/cabin"}, errIssuer},
		"iss missing":            {change{"iss": nil}, errMalformed},
		"iss empty":              {change{"iss": ""}, errMalformed},
		"iss a list":             {change{"iss": []string{"homeassistant"}}, errMalformed},
		"iss with something on ": {change{"iss": "homeassistant "}, errIssuer},
	} {
		t.Run(name, func(t *testing.T) { refused(t, v, mint(t, k, with(claimsAt(noon), c.change)), c.reason) })
	}
	for _, change := range []change{
		{"aud": "homeassistant"}, {"aud": []string{"grafana", "homeassistant"}}, {"iat": nil}, {"exp": in(-29 * time.Second)},
		{"nbf": in(30 * time.Second)}, {"iat": in(30 * time.Second)}, {"exp": float64(in(time.Minute)) + 0.5},
	} {
		accepted(t, v, mint(t, k, with(claimsAt(noon), change)))
	}
	var why *refusal
	_, err := v.verify(mint(t, k, with(claimsAt(noon), change{"exp": in(-time.Hour)})))
	if !errors.As(err, &why) || why.subject == "" {
		t.Errorf("an expired token of a resident does not say whose it was: %v", err)
	}
	_, err = v.verify(mint(t, newEC(t, elliptic.P256()), claimsAt(noon)))
	if !errors.As(err, &why) || why.subject != "" {
		t.Errorf("a forged token names someone in the log: %v", err)
	}
}

func TestThreat07_WeakAndPrivateKeysAreConfigurationErrors(t *testing.T) {
	private, err := x509.MarshalPKCS8PrivateKey(newEC(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(newEC(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	good := string(publicPEM(t, newEC(t, elliptic.P256())))
	for name, c := range map[string]struct{ text, says string }{
		"RSA 1024":           {string(publicPEM(t, newWeakRSA(t))), "1024 bits"},
		"P-224":              {string(publicPEM(t, newEC(t, elliptic.P224()))), "P-224"},
		"private PKCS 8":     {string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), "private key"},
		"private SEC 1":      {string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})), "private key"},
		"private behind one": {good + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), "private key"},
		"certificate":        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "openssl"},
		"no PEM":             {"ssh-ed25519 AAAA me@home", "no PEM block"},
		"damaged":            {strings.Replace(good, "M", "!", 1), "damaged"},
		"damaged DER":        {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "public key"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parsePEM([]byte(c.text)); err == nil || errors.Is(err, errIncomplete) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error about %q", err, c.says)
			}
			path := t.TempDir() + "/key.pem"
			writeFile(t, path, []byte(c.text))
			_, release, err := acquireKeyFile(path)
			if err == nil {
				release()
				t.Fatal("taken as a key file")
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("does not name the file: %v", err)
			}
			if _, held := keyFiles.References(path); held {
				t.Error("the file is watched on")
			}
		})
	}
}

// newWeakRSA returns a public key of 1024 bits, which crypto/rsa no longer makes.
func newWeakRSA(*testing.T) crypto.Signer {
	n := new(big.Int).SetBit(big.NewInt(1), 1023, 1)
	return weakKey{&rsa.PublicKey{N: n, E: 65537}}
}

type weakKey struct{ public *rsa.PublicKey }

func (w weakKey) Public() crypto.PublicKey { return w.public }
func (w weakKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("cannot sign")
}

func TestSeveralKeysInOneFile(t *testing.T) {
	a, b := newEC(t, elliptic.P256()), newRSA(t, 2048)
	keys, err := parsePEM(append([]byte("# two keys\n"), append(publicPEM(t, a), publicPEM(t, b)...)...))
	if err != nil || len(keys) != 2 {
		t.Fatalf("got %d keys, %v", len(keys), err)
	}
	if pub, ok := keys[0].public.(*ecdsa.PublicKey); !ok || !pub.Equal(a.Public()) || keys[1].method != jwt.SigningMethodRS256 {
		t.Error("not the keys of the file")
	}
}

// TestHalfAFileIsNoError cuts a file of two keys at every byte.
func TestHalfAFileIsNoError(t *testing.T) {
	first := publicPEM(t, newEC(t, elliptic.P256()))
	text := append(first, publicPEM(t, newEC(t, elliptic.P256()))...)
	for n := range text {
		keys, err := parsePEM(text[:n])
		switch {
		case err == nil && len(keys) == 1 && n >= len(first)-1 && n <= len(first)+len("\n"):
		case err == nil && len(keys) == 2 && n == len(text)-1: // only the last line feed is missing
		case err == nil && len(keys) == 1 && n > len(first) && n < len(first)+len(pemBegin):
			// Nobody can tell that more is coming.
		case errors.Is(err, errIncomplete):
		default:
			t.Fatalf("cut after %d of %d bytes: %d keys, %v", n, len(text), len(keys), err)
		}
	}
}

// FuzzVerify looks for tokens that panic, or that are accepted without being the one that was signed.
func FuzzVerify(f *testing.F) {
	k := newEC(f, elliptic.P256())
	good := mint(f, k, claimsAt(noon))
	for _, seed := range []string{
		good, "", "..", "a.b.c", good + "=", strings.ToUpper(good), "eyJhbGciOiJub25lIn0.e30.AA",
		b64([]byte(`{"alg":"ES256","crit":["x"]}`)) + good[strings.Index(good, "."):],
	} {
		f.Add(seed)
	}
	h := newHandler(f, new(HassJWT), k)
	f.Fuzz(func(t *testing.T, token string) {
		v := newVerifier(h.keys.Keys(), &h.checks)
		if who, err := v.verify(token); err == nil && token != good {
			t.Errorf("forged: %q is taken for %s", token, who.subject)
		}
	})
}

// FuzzClaims signs whatever payload: no panic, and whoever is let in has an id
// that fits into a header field.
func FuzzClaims(f *testing.F) {
	k := newEC(f, elliptic.P256())
	f.Add(mustJSON(f, claimsAt(noon)))
	f.Add(`{"sub":"a\u0000","aud":["homeassistant"],"iss":"homeassistant","exp":99999999999}`)
	f.Add(`{"sub":"a","aud":"homeassistant","iss":"homeassistant","exp":9999999999,"roles":["a,b"],"x":"\r\n"}`)
	h := newHandler(f, new(HassJWT), k)
	f.Fuzz(func(t *testing.T, payload string) {
		v := newVerifier(h.keys.Keys(), &h.checks)
		who, err := v.verify(sign(t, jwt.SigningMethodES256, k, `{"alg":"ES256"}`, payload))
		if err != nil {
			return
		}
		if who.values["id"] == "" {
			t.Error("someone without an id")
		}
		for name, value := range who.values {
			if s, ok := value.(string); !ok || strings.ContainsAny(s, "\r\n\x00") {
				t.Errorf("%s is %q", name, value)
			}
		}
	})
}

// TestMutatedTokensAreRefused changes bytes of a good token at random, always the same way.
func TestMutatedTokensAreRefused(t *testing.T) {
	k := newEC(t, elliptic.P256())
	v := verifierOf(t, k)
	good := mint(t, k, claimsAt(noon))
	random := rand.New(rand.NewPCG(1, 2))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+ "
	for range 5000 {
		token := []byte(good)
		for range 1 + random.IntN(3) {
			at := random.IntN(len(token))
			switch random.IntN(4) {
			case 0:
				token = slices.Delete(token, at, at+1)
			case 1:
				token = slices.Insert(token, at, alphabet[random.IntN(len(alphabet))])
			default:
				token[at] = alphabet[random.IntN(len(alphabet))]
			}
		}
		if who, err := v.verify(string(token)); string(token) != good && err == nil {
			t.Fatalf("forged: %q is taken for %s", token, who.subject)
		}
	}
}

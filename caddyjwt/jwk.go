package caddyjwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// jwk is a public key as JSON (RFC 7517, RFC 7518 section 6, RFC 8037).
type jwk struct {
	Kty string `json:"kty"`
	Kid string `json:"kid,omitempty"`
	Use string `json:"use,omitempty"`
	Alg string `json:"alg,omitempty"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
}

type jwkSet struct {
	Keys []jwk `json:"keys"`
}

func jwkOf(k *ecdsa.PublicKey) (jwk, error) {
	point, err := k.Bytes() // 4, x, y
	if err != nil {
		return jwk{}, fmt.Errorf("public key: %w", err)
	}
	half := (len(point) - 1) / 2
	return jwk{
		Kty: "EC", Crv: k.Params().Name,
		X: base64.RawURLEncoding.EncodeToString(point[1 : 1+half]),
		Y: base64.RawURLEncoding.EncodeToString(point[1+half:]),
	}, nil
}

// parseJWKS reads a JWK Set. Keys that are for something else than signatures, or
// that cannot be used here, are passed over; a set with none left is an error.
func parseJWKS(text []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("it is not a JWK Set")
	}
	var keys []key
	for _, raw := range set.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil || j.Use != "" && j.Use != "sig" {
			continue
		}
		public, err := j.public()
		if err != nil {
			continue
		}
		method, err := methodFor(public)
		if err != nil || j.Alg != "" && j.Alg != method.Alg() {
			continue
		}
		keys = append(keys, key{id: j.Kid, method: method, public: public})
		if len(keys) > maxJWKS {
			return nil, fmt.Errorf("it has more than %d keys", maxJWKS)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it that signs tokens")
	}
	return keys, nil
}

// maxJWKS is how many keys a set may have.
const maxJWKS = 64

func (j jwk) public() (crypto.PublicKey, error) {
	decode := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return nil
		}
		return b
	}
	switch {
	case j.Kty == "EC":
		curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[j.Crv]
		if !ok {
			return nil, errors.New("unknown curve")
		}
		size := (curve.Params().BitSize + 7) / 8
		x, y := decode(j.X), decode(j.Y)
		if len(x) != size || len(y) != size {
			return nil, errors.New("not a point")
		}
		return ecdsa.ParseUncompressedPublicKey(curve, bytes.Join([][]byte{{4}, x, y}, nil))
	case j.Kty == "OKP" && j.Crv == "Ed25519":
		x := decode(j.X)
		if len(x) != ed25519.PublicKeySize {
			return nil, errors.New("not a point")
		}
		return ed25519.PublicKey(x), nil
	case j.Kty == "RSA":
		n, e := decode(j.N), decode(j.E)
		if len(n) == 0 || len(n) > 1024 || len(e) == 0 || len(e) > 4 {
			return nil, errors.New("not an RSA key")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	}
	return nil, errors.New("unknown kind of key")
}

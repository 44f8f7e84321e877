package caddyjwt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A KeySource gives the keys that tokens are checked with.
type KeySource interface {
	// Keys returns the present keys without waiting. It is never nil, and the
	// same pointer as long as the keys are the same.
	Keys() *KeySet

	// Refresh looks for new keys at once, because a token came that none of the
	// present ones has signed, and returns what there is then. It is called
	// for every such token: it is up to the source to make that cheap.
	Refresh() *KeySet
}

// A KeySet is the keys of a source at one moment. It is not changed once made.
type KeySet struct {
	keys []key
}

// key is one public key and what it may be used for.
type key struct {
	id     string            // "kid" (RFC 7517 section 4.5), empty where the source has none
	method jwt.SigningMethod // the only algorithm the key is used with
	public crypto.PublicKey

	// retired is when the key stopped signing, or zero. It is good for the
	// tokens issued before, until they expire.
	retired time.Time
}

// equal says whether k and other are the same public key.
func (k key) equal(other key) bool {
	p, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && p.Equal(other.public)
}

// methods returns the names of the algorithms that the keys are made for.
func (s *KeySet) methods() []string {
	names := make([]string, 0, len(s.keys)) // not nil: nil would allow every algorithm
	for _, k := range s.keys {
		names = append(names, k.method.Alg())
	}
	return names
}

// candidates returns the keys that may have signed a token with this algorithm,
// key id (empty: none said) and time of issue (zero: none said).
func (s *KeySet) candidates(alg, kid string, issued time.Time) []jwt.VerificationKey {
	var found []jwt.VerificationKey
	for _, k := range s.keys {
		switch {
		case k.method.Alg() != alg:
		case k.id != "" && kid != "" && k.id != kid:
		case !k.retired.IsZero() && (issued.IsZero() || issued.After(k.retired)):
		default:
			found = append(found, k.public)
		}
	}
	return found
}

// errIncomplete means that PEM text is empty or ends within a block: a file that
// is just being written.
var errIncomplete = errors.New("it is empty or not complete yet")

// minRSABits is what RFC 7518 section 3.3 demands of RS256.
const minRSABits = 2048

var (
	pemBegin = []byte("-----BEGIN ")
	pemEnd   = []byte("-----END ")
)

// parsePEM reads one or more public keys. What stands around the blocks is
// ignored, as everywhere with PEM.
func parsePEM(text []byte) ([]key, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errIncomplete
	}
	var keys []key
	rest := text
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		k, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", len(keys)+1, err)
		}
		keys = append(keys, k)
	}
	begun := bytes.Count(text, pemBegin)
	switch {
	case begun == 0 && bytes.HasPrefix(pemBegin, bytes.TrimSpace(text)):
		return nil, errIncomplete // cut within its first line
	case begun == 0:
		return nil, errors.New("there is no PEM block in it; it should begin with -----BEGIN PUBLIC KEY-----")
	case begun == len(keys):
		return keys, nil
	}
	last := text[bytes.LastIndex(text, pemBegin):]
	if end := bytes.Index(last, pemEnd); end < 0 || !bytes.Contains(last[end+len(pemEnd):], []byte("-----")) {
		return nil, errIncomplete
	}
	return nil, errors.New("a PEM block in it is damaged")
}

func parseBlock(block *pem.Block) (key, error) {
	var public any
	var err error
	switch {
	case block.Type == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return key{}, errors.New("this is a private key, which has no place here: give the public one, and make a new pair if others could read it")
	case block.Type == "CERTIFICATE":
		return key{}, errors.New("this is a certificate: take its public key out with `openssl x509 -pubkey -noout`")
	default:
		return key{}, fmt.Errorf("%q is not a public key", block.Type)
	}
	if err != nil {
		return key{}, fmt.Errorf("reading the public key: %w", err)
	}
	method, err := methodFor(public)
	if err != nil {
		return key{}, err
	}
	return key{method: method, public: public}, nil
}

// methodFor returns the one algorithm that a public key is used with.
func methodFor(public crypto.PublicKey) (jwt.SigningMethod, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return jwt.SigningMethodES256, nil
		case elliptic.P384():
			return jwt.SigningMethodES384, nil
		case elliptic.P521():
			return jwt.SigningMethodES512, nil
		}
		return nil, fmt.Errorf("the curve %s is too weak or not one of JWT: use P-256, P-384 or P-521", k.Curve.Params().Name)
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits is too weak: use %d or more", k.N.BitLen(), minRSABits)
		}
		return jwt.SigningMethodRS256, nil
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA, nil
	}
	return nil, fmt.Errorf("a key of type %T cannot sign a JWT: use an EC, RSA or Ed25519 key", public)
}

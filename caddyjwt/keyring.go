package caddyjwt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// keyRotation is how long a key signs.
	keyRotation = 90 * 24 * time.Hour

	// keyAhead is how long the next key is published before it signs, so that
	// whoever keeps a copy of the JWKS has it in time.
	keyAhead = 24 * time.Hour

	// keyAheadByHand is the same for a rotation that somebody asks for.
	keyAheadByHand = 10 * time.Minute

	// privateAfter is how long a key can still sign after the next one has
	// begun, for another Caddy whose clock is behind.
	privateAfter = time.Hour

	// publicAfter is how long a key that no longer signs is kept: expired
	// cookies of sessions that last are renewed by it. Browsers keep no cookie longer.
	publicAfter = 400 * 24 * time.Hour
)

// ringKey is a signing key in Caddy's storage.
type ringKey struct {
	// ID is the key's thumbprint (RFC 7638), which tokens name as "kid".
	ID string `json:"kid"`

	// Private is PKCS #8; empty once the key has ceased to sign.
	Private []byte `json:"private,omitempty"`

	// Public is PKIX.
	Public []byte `json:"public"`

	// Signs is when the key begins to sign, which ends the one before.
	Signs time.Time `json:"signs"`

	signer *ecdsa.PrivateKey
	public *ecdsa.PublicKey
}

// ring is the keys of a home, oldest first.
type ring struct {
	Keys []*ringKey `json:"keys"`

	// Secret signs the states of the way back from Home Assistant's login page.
	Secret []byte `json:"secret"`
}

func newRingKey(signs time.Time) (*ringKey, error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	id, err := thumbprint(&signer.PublicKey)
	if err != nil {
		return nil, err
	}
	return &ringKey{
		ID: id, Private: private, Public: public, Signs: signs.UTC().Truncate(time.Second),
		signer: signer, public: &signer.PublicKey,
	}, nil
}

// errDamagedRing says nothing of what is in it.
var errDamagedRing = errors.New("the signing keys in Caddy's storage are damaged: restore them from a backup, or remove them, and everybody logs in once more")

func parseRing(text []byte) (*ring, error) {
	r := new(ring)
	if json.Unmarshal(text, r) != nil || len(r.Keys) == 0 || len(r.Secret) < 32 {
		return nil, errDamagedRing
	}
	for _, k := range r.Keys {
		if k == nil {
			return nil, errDamagedRing
		}
		public, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return nil, errDamagedRing
		}
		var ok bool
		if k.public, ok = public.(*ecdsa.PublicKey); !ok || k.public.Curve != elliptic.P256() {
			return nil, errDamagedRing
		}
		if len(k.Private) == 0 {
			continue
		}
		private, err := x509.ParsePKCS8PrivateKey(k.Private)
		if err != nil {
			return nil, errDamagedRing
		}
		if k.signer, ok = private.(*ecdsa.PrivateKey); !ok || !k.signer.PublicKey.Equal(k.public) {
			return nil, errDamagedRing
		}
	}
	slices.SortStableFunc(r.Keys, func(a, b *ringKey) int { return a.Signs.Compare(b.Signs) })
	return r, nil
}

// advance does what is due: it makes the first key and the next one, and forgets
// old ones. It says whether anything has changed.
func (r *ring) advance(now time.Time) (changed bool, err error) {
	if len(r.Secret) == 0 {
		r.Secret = make([]byte, 32)
		_, _ = rand.Read(r.Secret) // never fails
		changed = true
	}
	if len(r.Keys) == 0 {
		return true, r.add(now)
	}
	if last := r.Keys[len(r.Keys)-1]; !now.Before(last.Signs.Add(keyRotation - keyAhead)) {
		if err := r.add(now.Add(keyAhead)); err != nil {
			return changed, err
		}
		changed = true
	}
	return r.forget(now) || changed, nil
}

// add makes another key.
func (r *ring) add(signs time.Time) error {
	k, err := newRingKey(signs)
	if err != nil {
		return err
	}
	r.Keys = append(r.Keys, k)
	return nil
}

// forget drops private keys that have ceased to sign, and public ones that
// nobody can need any more.
func (r *ring) forget(now time.Time) (changed bool) {
	kept := r.Keys[:0:0]
	for i, k := range r.Keys {
		if i+1 < len(r.Keys) {
			until := r.Keys[i+1].Signs
			if now.After(until.Add(publicAfter)) {
				changed = true
				continue
			}
			if len(k.Private) > 0 && now.After(until.Add(privateAfter)) {
				gone := *k
				gone.Private, gone.signer = nil, nil
				k, changed = &gone, true
			}
		}
		kept = append(kept, k)
	}
	r.Keys = kept
	return changed
}

// rotate makes another key that signs soon, or, where the present ones are no
// longer to be trusted, at once and alone.
func (r *ring) rotate(now time.Time, alone bool) error {
	if alone {
		r.Keys, r.Secret = nil, nil
		_, err := r.advance(now)
		return err
	}
	// A next key that has not begun to sign gives way to this one.
	r.Keys = slices.DeleteFunc(r.Keys, func(k *ringKey) bool { return k.Signs.After(now) })
	return r.add(now.Add(keyAheadByHand))
}

// signing returns the key that signs now; nil: none.
func (r *ring) signing(now time.Time) *ringKey {
	for _, k := range slices.Backward(r.Keys) {
		if k.signer != nil && !k.Signs.After(now) {
			return k
		}
	}
	return nil
}

// keySet is the public keys, to check tokens with.
func (r *ring) keySet() *KeySet {
	set := new(KeySet)
	for i, k := range r.Keys {
		one := key{id: k.ID, method: jwt.SigningMethodES256, public: k.public}
		if i+1 < len(r.Keys) {
			one.retired = r.Keys[i+1].Signs.Add(privateAfter)
		}
		set.keys = append(set.keys, one)
	}
	return set
}

// jwks is the public keys as a JWK Set (RFC 7517 section 5).
func (r *ring) jwks() ([]byte, error) {
	set := jwkSet{Keys: []jwk{}}
	for _, k := range slices.Backward(r.Keys) {
		j, err := jwkOf(k.public)
		if err != nil {
			return nil, err
		}
		j.Kid, j.Use, j.Alg = k.ID, "sig", "ES256"
		set.Keys = append(set.Keys, j)
	}
	return json.Marshal(set)
}

// pem is the public keys as PEM, the one that signs first: some read no other.
func (r *ring) pem(now time.Time) []byte {
	var text []byte
	signing := r.signing(now)
	if signing != nil {
		text = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: signing.Public})
	}
	for _, k := range slices.Backward(r.Keys) {
		if k != signing {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.Public})...)
		}
	}
	return text
}

// thumbprint is a key's JWK thumbprint (RFC 7638) by SHA-256.
func thumbprint(k *ecdsa.PublicKey) (string, error) {
	j, err := jwkOf(k)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, j.Crv, j.X, j.Y))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

package caddyjwt

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

// assertionLife is how long an assertion is good.
const assertionLife = 30 * time.Second

// assertion is what Home Assistant is told of who has shown it.
type assertion struct {
	Username  string `json:"username"`
	Name      string `json:"name,omitempty"`
	LocalOnly bool   `json:"local_only,omitempty"`
	Expires   int64  `json:"expires"` // Unix milliseconds
}

var (
	errAssertion    = errors.New("it was not made here, is for another user, too old, or has been used")
	assertionForm   = base64.RawURLEncoding
	assertionRandom = 24
)

// assert makes a secret that proves once, within 30 seconds and to whichever Caddy on
// the storage is asked, that its holder is a user. The storage holds only a digest
// of it, and what is not signed here does not even get that far.
func (r *realm) assert(ctx context.Context, a assertion) (secret string, err error) {
	ring := r.ring.Load()
	if ring == nil {
		return "", errNoKeys
	}
	ctx, cancel := context.WithTimeout(ctx, storageWithin)
	defer cancel()
	b := make([]byte, assertionRandom)
	_, _ = rand.Read(b) // never fails
	secret = assertionForm.EncodeToString(append(b, ring.assertionMAC(a.Username, b)...))
	a.Expires = now().Add(assertionLife).UnixMilli()
	text, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	r.sweepAssertions(ctx)
	name := r.assertionName(secret)
	if err := r.storage.Current().Store(ctx, name, text); err != nil {
		return "", fmt.Errorf("storing an assertion: %w", err)
	}
	return secret, nil
}

func (r *ring) assertionMAC(username string, random []byte) []byte {
	m := hmac.New(sha256.New, r.Secret)
	m.Write([]byte("caddy-hass assertion\x00" + username + "\x00"))
	m.Write(random)
	return m.Sum(nil)[:24]
}

func (r *realm) assertionName(secret string) string {
	sum := sha256.Sum256([]byte("caddy-hass assertion\x00" + secret))
	return r.name(path.Join("assertions", hex.EncodeToString(sum[:16])+".json"))
}

// redeem spends an assertion.
func (r *realm) redeem(ctx context.Context, username, secret string) (assertion, error) {
	ring := r.ring.Load()
	if ring == nil {
		return assertion{}, errNoKeys
	}
	b, err := assertionForm.Strict().DecodeString(secret)
	if err != nil || len(b) != assertionRandom+24 || !hmac.Equal(b[assertionRandom:], ring.assertionMAC(username, b[:assertionRandom])) {
		return assertion{}, errAssertion
	}
	ctx, cancel := context.WithTimeout(ctx, storageWithin)
	defer cancel()
	name, storage := r.assertionName(secret), r.storage.Current()
	if err := storage.Lock(ctx, name); err != nil {
		return assertion{}, fmt.Errorf("locking an assertion: %w", err)
	}
	defer func() { _ = storage.Unlock(context.WithoutCancel(ctx), name) }()
	text, err := storage.Load(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return assertion{}, errAssertion
	}
	if err != nil {
		return assertion{}, fmt.Errorf("reading an assertion: %w", err)
	}
	// Spent before anybody hears of it.
	if err := storage.Delete(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return assertion{}, fmt.Errorf("spending an assertion: %w", err)
	}
	var a assertion
	if json.Unmarshal(text, &a) != nil || a.Username != username || now().UnixMilli() >= a.Expires {
		return assertion{}, errAssertion
	}
	return a, nil
}

// open says whether an assertion has not been asked about.
func (r *realm) open(ctx context.Context, secret string) bool {
	ctx, cancel := context.WithTimeout(ctx, storageWithin)
	defer cancel()
	return r.storage.Current().Exists(ctx, r.assertionName(secret))
}

// sweepAssertions removes those that nobody has asked about in their time.
func (r *realm) sweepAssertions(ctx context.Context) {
	storage := r.storage.Current()
	names, err := storage.List(ctx, r.name("assertions"), false)
	if err != nil {
		return // there is no such folder yet
	}
	for _, name := range names {
		text, err := storage.Load(ctx, name)
		var a assertion
		if err == nil && strings.HasSuffix(name, ".json") && json.Unmarshal(text, &a) == nil && now().UnixMilli() >= a.Expires {
			_ = storage.Delete(ctx, name) // the next one tries again
		}
	}
}

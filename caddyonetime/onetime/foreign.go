package onetime

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ClassOneTimeService is the class of tokens taken over from One Time Service.
const ClassOneTimeService = "one-time-service"

// Foreign is the link that a token had where it was taken over from. It goes on
// working beside the token's own link. The store alone gives it away to nobody:
// what is kept of it is worth nothing without the link key.
type Foreign struct {
	// Hash finds the token: HMAC-SHA-256 of the code, with the link key.
	Hash []byte `json:"hash"`

	// Sealed is the code for the host to see again: AES-256-GCM under a key
	// derived from the link key, bound to the token's id.
	Sealed []byte `json:"sealed"`

	// At is when the token was taken over.
	At time.Time `json:"at"`

	// Ended is when a host switched the old link off. The token's own link
	// is not concerned.
	Ended *time.Time `json:"ended,omitempty"`
}

// Labels separate these uses of the link key from each other and from links.
const (
	foreignHashLabel = "caddy-hass foreign link hash 1\x00"
	foreignSealLabel = "caddy-hass foreign link seal 1\x00"
)

// Lengths of a foreign code. It is longer than anything that Normalize takes for
// a try at one of ours, so that no code can be meant as both.
const (
	minForeign = codeLength + 5
	maxForeign = 64
)

// ShapedForeign reports whether code has the shape of a link's last segment from
// elsewhere: ASCII letters and digits, more than a link of ours has. Nothing is
// normalized: case matters.
func ShapedForeign(code string) bool {
	if len(code) < minForeign || len(code) > maxForeign {
		return false
	}
	for i := 0; i < len(code); i++ {
		switch c := code[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		default:
			return false
		}
	}
	return true
}

func (s *Signer) mac(label, text string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(label))
	mac.Write([]byte(text))
	mac.Sum(sum[:0])
	return sum
}

func (s *Signer) foreignHash(code string) [sha256.Size]byte { return s.mac(foreignHashLabel, code) }

func (s *Signer) foreignSeal() (cipher.AEAD, error) {
	key := s.mac(foreignSealLabel, "")
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// foreign makes what is kept of the code of the token with this id.
func (s *Signer) foreign(id, code string, random io.Reader) (*Foreign, error) {
	seal, err := s.foreignSeal()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, seal.NonceSize())
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("sealing a link: %w", err)
	}
	hash := s.foreignHash(code)
	return &Foreign{Hash: hash[:], Sealed: seal.Seal(nonce, nonce, []byte(code), []byte(id))}, nil
}

// foreignCode opens what foreign has sealed.
func (s *Signer) foreignCode(id string, f *Foreign) (string, error) {
	seal, err := s.foreignSeal()
	if err != nil {
		return "", err
	}
	n := seal.NonceSize()
	if len(f.Sealed) < n {
		return "", errors.New("a sealed link is damaged")
	}
	code, err := seal.Open(nil, f.Sealed[:n], f.Sealed[n:], []byte(id))
	if err != nil {
		return "", errors.New("a sealed link does not belong to this token and link key")
	}
	return string(code), nil
}

// foreignIndex finds tokens by their foreign codes, so that a wrong one is told
// without the store.
type foreignIndex struct {
	mu  sync.RWMutex
	ids map[[sha256.Size]byte]string
}

// find costs nothing where no foreign link is good. What a map gives away by its
// time is a keyed hash, of which nobody outside knows a bit.
func (x *foreignIndex) find(s *Signer, code string) (id string, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.ids) == 0 || !ShapedForeign(code) {
		return "", false
	}
	id, ok = x.ids[s.foreignHash(code)]
	return id, ok
}

func (x *foreignIndex) replace(ids map[[sha256.Size]byte]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ids = ids
}

func (x *foreignIndex) add(tokens []*Token) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, t := range tokens {
		if t.Foreign != nil && t.Foreign.Ended == nil {
			if x.ids == nil {
				x.ids = make(map[[sha256.Size]byte]string)
			}
			x.ids[[sha256.Size]byte(t.Foreign.Hash)] = t.ID
		}
	}
}

func (x *foreignIndex) remove(tokens []*Token) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, t := range tokens {
		if t.Foreign != nil {
			delete(x.ids, [sha256.Size]byte(t.Foreign.Hash))
		}
	}
}

// readForeign reads the index from the store.
func readForeign(tx Tx) (map[[sha256.Size]byte]string, error) {
	ids := make(map[[sha256.Size]byte]string)
	damaged := ""
	err := tx.ForeignTokens(func(t *Token) bool {
		switch {
		case t.Foreign.Ended != nil:
		case len(t.Foreign.Hash) != sha256.Size:
			damaged = t.ID
		default:
			ids[[sha256.Size]byte(t.Foreign.Hash)] = t.ID
		}
		return damaged == ""
	})
	if err == nil && damaged != "" {
		err = &StoreError{Op: "read", Err: fmt.Errorf("the old link of token %s is damaged", damaged)}
	}
	return ids, err
}

// TakesForeign reports whether any link from elsewhere is good here. Where none
// is, what has the shape of one is no try at a link.
func (s *Service) TakesForeign() bool {
	s.foreign.mu.RLock()
	defer s.foreign.mu.RUnlock()
	return len(s.foreign.ids) > 0
}

// ForeignCode is the last segment of the link that the token had where it was
// taken over from; ok is false where it has none or it was switched off.
func (s *Service) ForeignCode(t *Token) (code string, ok bool) {
	if t.Foreign == nil || t.Foreign.Ended != nil {
		return "", false
	}
	code, err := s.signer.Load().foreignCode(t.ID, t.Foreign)
	return code, err == nil
}

// EndForeign switches the old links of tokens that were taken over off, of all of
// them where no ids are given. The tokens and their own links stay as they are.
// It returns the ids of those that had one.
func (s *Service) EndForeign(ctx context.Context, by Person, ids ...string) ([]string, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	s.restoring.RLock()
	defer s.restoring.RUnlock()
	var tokens []*Token
	err := s.store.Update(func(tx Tx) error {
		tokens = nil
		collect := func(t *Token) bool {
			if t.Foreign != nil && t.Foreign.Ended == nil {
				tokens = append(tokens, t)
			}
			return true
		}
		if len(ids) == 0 {
			if err := tx.ForeignTokens(collect); err != nil {
				return err
			}
		}
		for _, id := range ids {
			t, err := tx.Token(id)
			if err != nil {
				return err
			}
			collect(t)
		}
		now := s.now().UTC()
		for _, t := range tokens {
			t.Foreign.Ended = &now
			t.Revision++
			if err := tx.PutToken(t); err != nil {
				return err
			}
			if err := s.tokenEntry(tx, HappenedTokenChanged, by, t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.foreign.remove(tokens)
	s.follower.grown()
	ended := make([]string, len(tokens))
	for i, t := range tokens {
		ended[i] = t.ID
	}
	return ended, nil
}

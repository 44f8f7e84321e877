package caddyjwt

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxSeen is how many good tokens a verifier remembers.
const maxSeen = 4096

// cache remembers tokens whose signature and claims have been found good. Only
// those get in, so nobody without a key can fill it. It knows them by their
// SHA-256 and does not hold the tokens themselves. Its zero value is ready.
type cache struct {
	mu     sync.RWMutex
	tokens map[sum]*identity
}

type sum [sha256.Size]byte

// digest covers the whole token: a good signature under other claims is another token.
func digest(token string) sum {
	var buf [512]byte // most tokens are shorter: nothing to allocate
	return sha256.Sum256(append(buf[:0], token...))
}

func (c *cache) get(s sum) *identity {
	c.mu.RLock()
	who := c.tokens[s]
	c.mu.RUnlock()
	return who
}

// put remembers a token. Where there is no room it forgets an expired one, or
// any: verifying that again is dear, but right.
func (c *cache) put(s sum, who *identity, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = make(map[sum]*identity)
	}
	if len(c.tokens) >= maxSeen {
		c.evict(now)
	}
	c.tokens[s] = who
}

// evict makes room for one, looking at a few only: it is called for every new
// token once the cache is full.
func (c *cache) evict(now time.Time) {
	looked := 0
	var any sum
	for s, who := range c.tokens {
		if any = s; !now.Before(who.expires) {
			break
		}
		if looked++; looked == 8 {
			break
		}
	}
	delete(c.tokens, any)
}

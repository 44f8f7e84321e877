package caddyjwt

import (
	"crypto/subtle"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

// maxSeen is how many good tokens a verifier remembers.
const maxSeen = 4096

// cache remembers tokens whose signature and claims have been found good. Only
// those get in, so nobody without a key can fill it. A hash with a random seed finds a token;
// what counts is the comparison with the whole of it. Its zero value is ready.
type cache struct {
	mu     sync.RWMutex
	tokens map[uint64]seenToken
}

type seenToken struct {
	token string
	who   *identity
}

// cacheSeed keeps others from knowing which tokens share a hash.
var cacheSeed = maphash.MakeSeed()

// get returns who a token is about, or nil.
func (c *cache) get(token string) *identity {
	sum := maphash.String(cacheSeed, token)
	c.mu.RLock()
	one := c.tokens[sum]
	c.mu.RUnlock()
	if subtle.ConstantTimeCompare([]byte(one.token), []byte(token)) != 1 {
		return nil
	}
	return one.who
}

// put remembers a token. Where there is no room it forgets an expired one, or
// any: verifying that again is dear, but right.
func (c *cache) put(token string, who *identity, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = make(map[uint64]seenToken)
	}
	if len(c.tokens) >= maxSeen {
		c.evict(now)
	}
	// Its own copy: the request's holds the whole field.
	c.tokens[maphash.String(cacheSeed, token)] = seenToken{strings.Clone(token), who}
}

// evict makes room for one, looking at a few only: it is called for every new
// token once the cache is full.
func (c *cache) evict(now time.Time) {
	looked := 0
	var any uint64
	for sum, one := range c.tokens {
		if any = sum; !now.Before(one.who.expires) {
			break
		}
		if looked++; looked == 8 {
			break
		}
	}
	delete(c.tokens, any)
}

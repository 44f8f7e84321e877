package hasstest

import (
	"math/rand/v2"
	"time"
)

// Context says who caused a change, as Home Assistant's Context does: the ID
// is the key to its logbook.
type Context struct {
	ID       string  `json:"id"`
	ParentID *string `json:"parent_id"`
	UserID   *string `json:"user_id"`
}

func (h *Home) newContext(u *user) Context {
	c := Context{ID: newULID(h.clock.Now())}
	if u != nil {
		c.UserID = &u.id
	}
	return c
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// newULID returns a ULID: 48 bits of time and 80 random ones.
func newULID(t time.Time) string {
	var b [26]byte
	ms := uint64(t.UnixMilli())
	for i := 9; i >= 0; i-- {
		b[i] = crockford[ms&31]
		ms >>= 5
	}
	for i, r := 10, uint64(0); i < 26; i++ {
		if (i-10)%8 == 0 {
			r = rand.Uint64()
		}
		b[i] = crockford[r&31]
		r >>= 5
	}
	return string(b[:])
}

package caddyjwt

import (
	"sync/atomic"
	"time"
)

// clockAhead is by how much now is ahead of the computer's clock: for tests.
var clockAhead atomic.Int64

func now() time.Time { return time.Now().Add(time.Duration(clockAhead.Load())) }

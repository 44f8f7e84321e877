package onetime

import (
	"context"
	"time"
)

// Home is what the domain asks of a home. Implementations are safe for
// concurrent use and never ask the home twice by themselves.
type Home interface {
	// Reachable reports, without waiting, whether the home is connected.
	Reachable() bool

	// TimeZone is the home's; UTC while it is not known.
	TimeZone() *time.Location

	// Check looks at a definition as the home sees it: its syntax, that its
	// services, fields and targets exist, that this home's token may call
	// them. What stands in the way is returned as a *BadInput; what is only
	// odd, such as a target that is unavailable right now, as warnings. A
	// home that cannot be asked is ErrUnreachable.
	Check(ctx context.Context, d *Definition) (warnings Warnings, err error)

	// Ready reports whether asking makes sense now: nil, or a NotReady.
	Ready(ctx context.Context, d *Definition) *NotReady

	// Run asks the home, once, and waits for its answer until ctx ends.
	Run(ctx context.Context, d *Definition) Answer
}

// NotReady says why the home was not asked.
type NotReady struct {
	Cause   Cause // CauseUnreachable or CauseUnavailable
	Code    string
	Message string // for the host
}

// Answer is what the home said: an outcome other than pending and running.
// OutcomeFailed with Partial set means that part of it may have happened.
type Answer struct {
	Outcome Outcome
	Cause   Cause
	Partial bool
	Code    string
	Message string
	Context string
}

// Homes finds homes by name. The function it returns lets go of the home: until
// it is called, the home's connection stays open, whatever is reloaded.
type Homes interface {
	Acquire(name string) (Home, func(), error)
}

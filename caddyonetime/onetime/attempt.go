package onetime

import "time"

// Outcome is what came of a redemption.
type Outcome string

const (
	// OutcomePending stands in the journal between reserve and settle.
	OutcomePending Outcome = ""

	OutcomeDone     Outcome = "done"
	OutcomeNotSent  Outcome = "not_sent" // the home was not asked
	OutcomeRejected Outcome = "rejected" // refused before acting
	OutcomeFailed   Outcome = "failed"   // failed while acting
	OutcomeRunning  Outcome = "running"  // asked, no answer yet
	OutcomeUnknown  Outcome = "unknown"  // asked, and nobody knows
)

// Cause says, in a word a guest's page can act on, why an outcome is what it is.
type Cause string

const (
	CauseNone        Cause = ""
	CauseUnreachable Cause = "unreachable" // no connection to the home
	CauseUnavailable Cause = "unavailable" // every target is missing or unavailable
	CauseRejected    Cause = "rejected"
	CauseFailed      Cause = "failed"
	CausePartial     Cause = "partial" // a sequence, or several targets: part of it may have happened
	CauseNoAnswer    Cause = "no_answer"
	CauseLost        Cause = "connection_lost"
	CauseCutOff      Cause = "cut_off" // this server ended in between
)

// Attempt is one redemption in the journal.
type Attempt struct {
	// Seq numbers attempts in the order of their reservation, from 1.
	Seq uint64 `json:"seq"`

	Token  string `json:"token,omitempty"` // its id; empty when a host tries an action
	Action string `json:"action"`
	Key    string `json:"key,omitempty"` // of idempotency

	At        time.Time  `json:"at"`
	SettledAt *time.Time `json:"settled_at,omitempty"`

	Outcome Outcome `json:"outcome"`
	Cause   Cause   `json:"cause,omitempty"`

	// Spent says whether the use stays spent.
	Spent bool `json:"spent"`

	// Epoch is the use's, when it was reserved.
	Epoch int `json:"epoch,omitempty"`

	// UsesLeft and Failures are the token's, after this attempt.
	UsesLeft *int `json:"uses_left"`
	Failures int  `json:"failures,omitempty"`

	// Retry says whether pressing again can help.
	Retry bool `json:"retry"`

	// Code, Message and Context are Home Assistant's own words: for the host.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Context string `json:"context,omitempty"`

	// Client is the address it came from; By is who pressed, when not a guest.
	Client string `json:"client,omitempty"`
	By     Person `json:"by,omitzero"`
}

// Redemption is the answer to a request to redeem.
type Redemption struct {
	Attempt

	// Replayed says that this is the answer to an earlier request with the
	// same key, and nothing was done now.
	Replayed bool
}

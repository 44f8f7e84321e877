package onetime

import "time"

// Happening is what an entry of the log is about.
type Happening string

const (
	HappenedRedemption    Happening = "redemption"
	HappenedRefusal       Happening = "refusal" // a genuine link that was not good now
	HappenedTokenCreated  Happening = "token_created"
	HappenedTokenChanged  Happening = "token_changed"
	HappenedTokenRevoked  Happening = "token_revoked"
	HappenedTokenRestored Happening = "token_unrevoked"
	HappenedReplenished   Happening = "token_replenished"
	HappenedActionSaved   Happening = "action_saved"
	HappenedActionDeleted Happening = "action_deleted"
	HappenedActionTried   Happening = "action_tried"
	HappenedPaused        Happening = "paused"
	HappenedResumed       Happening = "resumed"
	HappenedBackupLoaded  Happening = "backup_restored"

	HappenedCredentialCreated Happening = "credential_created"
	HappenedCredentialRevoked Happening = "credential_revoked"
)

// Entry is one line of the append-only log. It is complete in itself: it tells
// the same after the token or the action it is about is gone. It never holds
// a link or the secret half of one.
type Entry struct {
	Seq  uint64    `json:"seq"`
	At   time.Time `json:"at"`
	What Happening `json:"what"`

	Token   string `json:"token,omitempty"` // its public id
	Maker   Person `json:"maker,omitzero"`  // who made the token
	Guest   string `json:"guest,omitempty"`
	Comment string `json:"comment,omitempty"`
	Action  string `json:"action,omitempty"`
	Title   string `json:"title,omitempty"`
	Home    string `json:"home,omitempty"`

	// Of a redemption: what came of it, how long the home took in
	// milliseconds, and how the token stands after it.
	Outcome    Outcome `json:"outcome,omitempty"`
	Cause      Cause   `json:"cause,omitempty"`
	Code       string  `json:"code,omitempty"`
	Message    string  `json:"message,omitempty"`
	Context    string  `json:"context,omitempty"`
	DurationMS int64   `json:"duration_ms,omitempty"`
	Attempt    uint64  `json:"attempt,omitempty"`
	UsesMax    *int    `json:"uses_max,omitempty"`
	UsesLeft   *int    `json:"uses_left,omitempty"`
	Failures   int     `json:"failures,omitempty"`
	Spent      bool    `json:"spent,omitempty"`
	Retry      bool    `json:"retry,omitempty"`

	// Status is why a refusal refused.
	Status Status `json:"status,omitempty"`

	Client string `json:"client,omitempty"`
	By     Person `json:"by,omitzero"`
}

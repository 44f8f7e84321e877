package hassclient

import "encoding/json"

// Outcome says what is known of a call that was to make the home do something.
type Outcome int

const (
	// NotSent: the call never left this process, so it had no effect.
	NotSent Outcome = iota
	// Rejected: Home Assistant refused the call before it acted on it.
	Rejected
	// Failed: Home Assistant began to act and reported an error.
	Failed
	// Unknown: the call may have been received, but no answer came.
	Unknown
	// Done: Home Assistant reported success.
	Done
)

// String returns the outcome's name as it stands in logs: "not_sent",
// "rejected", "failed", "unknown" or "done".
func (o Outcome) String() string {
	return [...]string{"not_sent", "rejected", "failed", "unknown", "done"}[o]
}

// Result is what came of one call to Home Assistant.
type Result struct {
	Outcome Outcome

	// Code and Message are Home Assistant's own error, as in "not_found" and
	// "Service lock.open not found."; or "not_connected", "deadline",
	// "connection_lost" of this client. Empty when Outcome is Done.
	Code    string
	Message string

	// ContextID is the id of the context in which Home Assistant acted:
	// the key to its logbook. Empty where it did not say.
	ContextID string

	// Response is what the action returned, where it returns something and
	// was asked to; otherwise nil.
	Response json.RawMessage

	// Err is the cause of NotSent and Unknown, in Go's terms.
	Err error
}

package hassclient

import (
	"errors"
	"fmt"
)

var (
	// ErrNotConnected: there is no connection to the home now, so nothing
	// was sent. Status says why.
	ErrNotConnected = errors.New("not connected to the home")

	// ErrConnectionLost: the connection broke while an answer was awaited.
	ErrConnectionLost = errors.New("the connection to the home broke before its answer came")

	// ErrBusy: too much is waiting for the home already, so nothing was sent.
	ErrBusy = errors.New("too many calls are waiting for the home")

	// ErrTooLarge: the message is larger than a home takes, so nothing was sent.
	ErrTooLarge = errors.New("the message is too large for the home")

	// ErrRefused: the home refuses the token, or this machine's address.
	ErrRefused = errors.New("refused by the home")

	// ErrClosed: the Client has been closed.
	ErrClosed = errors.New("the client is closed")
)

// Codes of Home Assistant's answers (websocket_api/const.py), and, below them,
// those that this package puts into a Result itself.
const (
	CodeNotFound           = "not_found"
	CodeInvalidFormat      = "invalid_format"
	CodeUnauthorized       = "unauthorized"
	CodeServiceValidation  = "service_validation_error"
	CodeHomeAssistantError = "home_assistant_error"
	CodeUnknownError       = "unknown_error"
	CodeUnknownCommand     = "unknown_command"
	CodeIDReuse            = "id_reuse"
	CodeTimeout            = "timeout"

	CodeNotConnected   = "not_connected"
	CodeConnectionLost = "connection_lost"
	CodeDeadline       = "deadline"
	CodeBusy           = "busy"
	CodeTooLarge       = "too_large"
	CodeInvalid        = "invalid"
)

// CommandError is a home's answer that a command failed.
type CommandError struct {
	Code    string // one of the Code constants, or a newer one of Home Assistant's
	Message string
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("Home Assistant answered %s: %s", e.Code, e.Message)
}

// unauthorized reports whether the home said that this user may not do it. A
// command says so by its code; a service does by raising Unauthorized, which
// call_service turns into home_assistant_error with just that word.
func (e *CommandError) unauthorized() bool {
	return e.Code == CodeUnauthorized || e.Code == CodeHomeAssistantError && e.Message == "Unauthorized"
}

// Unauthorized reports whether err is a home's answer that the user whose token
// this is may not do that.
func Unauthorized(err error) bool {
	var ce *CommandError
	return errors.As(err, &ce) && ce.unauthorized()
}

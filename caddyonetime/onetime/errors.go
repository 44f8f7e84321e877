package onetime

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotFound: there is no such token, action or attempt. A link with a
	// wrong secret is not told apart from one that never existed.
	ErrNotFound = errors.New("not found")

	// ErrUnreachable: the home that would have to be asked is not connected.
	ErrUnreachable = errors.New("the home cannot be reached")

	// ErrNoHome: the configuration has no home of that name.
	ErrNoHome = errors.New("no such home in the configuration")

	// ErrConflict: somebody else has changed it in between.
	ErrConflict = errors.New("it has been changed in between")

	// ErrForbidden: this person may not do that.
	ErrForbidden = errors.New("not allowed")

	// ErrClosed: the service is closed or not started yet.
	ErrClosed = errors.New("closed")
)

// BadInput is a refusal of what somebody wrote.
type BadInput struct {
	Field   string // as in the API, "definition" for instance
	Line    int    // in the definition, from 1; 0 where there is none
	Message string // what is wrong and what to do about it

	// Said is the message for people who read another language; nil where it
	// has not been said in any.
	Said *Said
}

// Said is a message as catalogues of languages have it.
type Said struct {
	Key  string
	Args []any    // pairs of a placeholder's name and its value
	Like []string // names that were perhaps meant
}

func (e *BadInput) Error() string {
	switch {
	case e.Line > 0:
		return fmt.Sprintf("%s, line %d: %s", e.Field, e.Line, e.Message)
	case e.Field != "":
		return e.Field + ": " + e.Message
	}
	return e.Message
}

// Says gives the message as catalogues of languages have it, with pairs of a
// placeholder's name and its value.
func (e *BadInput) Says(key string, args ...any) *BadInput {
	e.Said = &Said{Key: key, Args: args}
	return e
}

// Warnings are what is odd in what somebody wrote, but stands in nobody's way.
type Warnings []*BadInput

// Texts are the warnings in English.
func (w Warnings) Texts() []string {
	var texts []string
	for _, odd := range w {
		texts = append(texts, odd.Error())
	}
	return texts
}

// Refused is the answer to a press on a genuine link that is not good now.
type Refused struct {
	Status Status // never StatusReady
	Token  *Token
	Action string
}

func (e *Refused) Error() string { return "the link is " + string(e.Status) }

// Changed is the answer to a press on an action that is not any more what was
// looked at: nothing was spent, and whoever pressed is asked again.
type Changed struct{ Action string }

func (e *Changed) Error() string {
	return fmt.Sprintf("the action %q has been changed since it was looked at", e.Action)
}

// InUse is the refusal to delete an action that live tokens still run.
type InUse struct {
	Action string
	Tokens int
}

func (e *InUse) Error() string {
	return fmt.Sprintf("%d live links still use the action %q", e.Tokens, e.Action)
}

// StoreError is a store that could not do its work: nothing was spent.
type StoreError struct {
	Op  string
	Err error
	At  time.Time
}

func (e *StoreError) Error() string { return "store: " + e.Op + ": " + e.Err.Error() }
func (e *StoreError) Unwrap() error { return e.Err }

package onetime

import (
	"regexp"
	"time"
)

// DefaultHome is the name of the home that has none in the configuration.
const DefaultHome = "default"

// Action is a named, reusable Home Assistant action.
type Action struct {
	// Name is unique and matches [a-z0-9_]{1,64}.
	Name string `json:"name"`

	// Title is what the guest's button says: an imperative.
	Title string `json:"title"`

	// Home is the name of the home that runs it.
	Home string `json:"home"`

	// Definition is the host's own YAML, kept to the letter.
	Definition string `json:"definition"`

	// Done is what the guest reads after success. May be empty.
	Done string `json:"done,omitempty"`

	// Translations are Title and Done in other languages, by BCP 47 tag.
	Translations map[string]Translation `json:"translations,omitempty"`

	// Confirm is "ask" (the guest presses twice, at two places) or "tap".
	// Empty: it follows from the definition.
	Confirm Confirm `json:"confirm,omitempty"`

	// Icon is the name of one of the icons we ship. May be empty.
	Icon string `json:"icon,omitempty"`

	// Origin says what it was taken over from, such as
	// "one-time-service/Open the door". Empty: it was made here.
	Origin string `json:"origin,omitempty"`

	// Revision grows by one with each change.
	Revision uint64 `json:"revision"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy Person    `json:"updated_by"`
}

// Confirm says how deliberate a guest's press has to be.
type Confirm string

const (
	ConfirmDerived Confirm = ""
	ConfirmAsk     Confirm = "ask"
	ConfirmTap     Confirm = "tap"
)

// Kind says which words a guest reads.
type Kind string

const (
	KindDoor Kind = "door" // it moves a lock, a cover or a valve
	KindAny  Kind = "any"
)

// Person is whoever did something on the host's side.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

var actionName = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// ValidActionName reports whether name can name an action.
func ValidActionName(name string) bool { return actionName.MatchString(name) }

// Limits of what a host may write, in bytes of UTF-8.
const (
	MaxTitle      = 200
	MaxDone       = 500
	MaxDefinition = 64 << 10
	MaxGuest      = 200
	MaxComment    = 10 << 10
	MaxIcon       = 64
	MaxActions    = 16 // of one token
	MaxUses       = 1_000_000
)

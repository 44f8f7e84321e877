package caddyonetime

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// message is what a host is told.
type message struct {
	title, text string
	id          string // the same for all messages about one action of one link
	buttons     []button
}

// button is an answer that a notification offers.
type button struct {
	Action string `json:"action"` // comes back with the answer
	Title  string `json:"title"`
}

const (
	maxWho    = 80  // of a guest's name or comment, in characters
	maxReason = 300 // of Home Assistant's own words
)

// worthTelling reports whether a host is told of an entry of the log: of every
// press that was sent, or would have been but for something the host can mend.
// A home that cannot be reached could not be told, either.
func worthTelling(e onetime.Entry) bool {
	if e.What != onetime.HappenedRedemption {
		return false
	}
	switch e.Outcome {
	case onetime.OutcomeDone, onetime.OutcomeFailed, onetime.OutcomeRejected, onetime.OutcomeUnknown:
		return true
	case onetime.OutcomeNotSent:
		return e.Cause == onetime.CauseUnavailable
	}
	return false
}

// compose says in a language what happened.
func compose(e onetime.Entry, l *words.Language) message {
	who := oneLine(e.Guest, maxWho)
	if who == "" {
		who = oneLine(e.Comment, maxWho)
	}
	if who == "" {
		who = l.T("notify.somebody")
	}
	title := oneLine(e.Title, onetime.MaxTitle)
	if title == "" {
		title = e.Action
	}
	return message{
		title: who,
		text:  said(e, l, title, who),
		id:    "caddy_hass_onetime_" + strings.ToLower(e.Token) + "_" + e.Action,
	}
}

func said(e onetime.Entry, l *words.Language, title, who string) string {
	reason := strings.TrimRight(oneLine(e.Message, maxReason), ".")
	if reason == "" {
		reason = l.T("notify.no_reason")
	}
	args := []any{"title", title, "guest", who, "reason", reason}
	switch {
	case e.Outcome == onetime.OutcomeDone && (e.UsesLeft == nil || e.UsesMax == nil):
		return l.T("notify.done", args...)
	case e.Outcome == onetime.OutcomeDone && *e.UsesLeft == 0:
		return l.T("notify.done_last", args...)
	case e.Outcome == onetime.OutcomeDone:
		return l.N("notify.done_left", *e.UsesLeft, append(args, "max", *e.UsesMax)...)

	case e.Outcome == onetime.OutcomeNotSent:
		return l.T("notify.unavailable", args...)
	case e.Outcome == onetime.OutcomeRejected:
		return l.T("notify.rejected", args...)
	case e.Outcome == onetime.OutcomeUnknown:
		return l.T("notify.unknown", args...)

	case e.Cause == onetime.CausePartial:
		return l.T("notify.partial", args...)
	case e.Failures <= onetime.FailuresForgiven:
		return l.N("notify.failed", onetime.FailuresForgiven+1-e.Failures, args...)
	case e.Retry:
		return l.T("notify.third_more", args...)
	}
	return l.T("notify.third", args...)
}

// languageOf is the language of a home, as far as we have it.
func languageOf(c *hassclient.Client) *words.Language {
	home, _ := c.Home()
	return words.Match(home.Language)
}

// oneLine makes one line of a text and cuts it where it is too long.
func oneLine(s string, limit int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Event is something that happened, to be told in a line.
type Event struct {
	At   time.Time
	What string // the thing, or the guest
	How  string
}

// Follow tells how the house is, and then what happens in it and to its links,
// until ctx ends. Events are told one at a time.
func (d *Demo) Follow(ctx context.Context, tell func(Event)) error {
	for _, t := range things {
		tell(Event{At: time.Now(), What: t.Name, How: d.Home.State(t.Entity)})
	}
	before, _ := d.house.since(0)
	seen := len(before)
	var last uint64
	if newest, _, err := d.service.Log(ctx, onetime.LogQuery{Limit: 1}); err == nil && len(newest) > 0 {
		last = newest[0].Seq
	}
	for {
		// Taken before looking, so that nothing is missed in between.
		logged := d.service.Changed()
		changes, changed := d.house.since(seen)
		for _, c := range changes {
			tell(Event{At: c.At, What: c.Name, How: c.State})
		}
		seen += len(changes)

		entries, err := d.service.EntriesAfter(ctx, last, 100)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, e := range entries {
			last = e.Seq
			if text := sentence(e); text != "" {
				tell(Event{At: e.At, What: who(e), How: text})
			}
		}
		select {
		case <-changed:
		case <-logged:
		case <-ctx.Done():
			return nil
		}
	}
}

func who(e onetime.Entry) string {
	switch {
	case e.Guest != "":
		return e.Guest
	case e.By.Name != "":
		return e.By.Name
	}
	return "Somebody"
}

// sentence says what an entry of the log is about; "" for what needs no line.
func sentence(e onetime.Entry) string {
	switch e.What {
	case onetime.HappenedRedemption:
		s := fmt.Sprintf("pressed %q: %s", e.Title, e.Outcome)
		if e.UsesLeft != nil && e.UsesMax != nil {
			s += fmt.Sprintf(", %d of %d left", *e.UsesLeft, *e.UsesMax)
		}
		return s
	case onetime.HappenedRefusal:
		return fmt.Sprintf("pressed %q: refused, the link is %s", e.Title, e.Status)
	case onetime.HappenedTokenCreated:
		return "has a new link"
	case onetime.HappenedTokenRevoked:
		return "has a link no more: it was revoked"
	case onetime.HappenedPaused:
		return "paused all links"
	case onetime.HappenedResumed:
		return "let all links work again"
	}
	return ""
}

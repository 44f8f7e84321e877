package e2e

import (
	"testing"
	"time"
)

// Home Assistant pauses all links: a page that is open stops, whether its guest
// presses or looks at it again, and goes on by itself when they are let in again.
func TestPauseReachesOpenPages(t *testing.T) {
	h := realHome(t)
	s := start(t, h)
	pause := func(paused bool) {
		t.Helper()
		if err := h.client.FireEvent(h.within(15*time.Second), "caddy_hass_pause", object{"paused": paused}); err != nil {
			t.Fatal(err)
		}
	}
	l := s.link(frontDoor, 1)
	h.lock("lock.front_door")
	status := func(want string) {
		t.Helper()
		eventually(t, 20*time.Second, "the link is "+want, func() bool { return l.get().Status == want })
	}
	// Until events are heard, what is fired is lost.
	eventually(t, 20*time.Second, "events are heard", func() bool { pause(true); return l.get().Status == "paused" })
	pause(false)
	status("ready")

	p := newPhone(t, browser(t), true)
	p.open(l.url)
	p.state("ready")
	pause(true)
	status("paused")
	p.tap(".ask summary")
	p.until("the second step is open", `document.querySelector(".ask").open`)
	p.rest()
	p.tap(".ask form .go")
	p.state("paused")
	if now := h.state("lock.front_door"); now != "locked" {
		t.Errorf("the lock is %s, though all links are paused", now)
	}
	pause(false)
	p.state("ready") // by itself

	pause(true)
	status("paused")
	p.eval(`document.dispatchEvent(new Event("visibilitychange"))`)
	p.state("paused")
	pause(false)
	p.state("ready")
	p.rest()
	p.tap(".ask summary")
	p.until("the second step is open", `document.querySelector(".ask").open`)
	p.rest()
	p.tap(".ask form .go")
	p.state("done")
	h.awaitState("lock.front_door", "unlocked")
}

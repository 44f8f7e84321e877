package e2e

import (
	"strings"
	"testing"
)

// Threat 28: an action is edited while a guest has its link open. What the guest
// has read is not there any more, so nothing turns: the page says so, and asks
// again.
func TestThreat28_AnActionEditedWhileALinkToItIsOpen(t *testing.T) {
	h := realHome(t)
	chromium := browser(t)
	s := start(t, h)
	put := func(title, definition string, more object) {
		t.Helper()
		action := object{"title": title, "definition": definition}
		for k, v := range more {
			action[k] = v
		}
		if a := s.api("PUT", "/api/actions/way_in", action); a.status != 200 && a.status != 201 {
			t.Fatal(a.status, a.body)
		}
	}
	for name, script := range map[string]bool{"with a script": true, "without a script": false} {
		t.Run(name, func(t *testing.T) {
			h.lock("lock.front_door")
			h.lock("lock.garden_gate")
			put("Open the front door", frontDoor, nil)
			l := s.linkOf(s.api("POST", "/api/tokens", object{"actions": []string{"way_in"}, "uses_max": 1}).is(t, 201))
			p := newPhone(t, chromium, script)
			p.open(l.url)
			p.state("ready")
			p.tap(".ask summary")
			p.until("the second step is open", `document.querySelector(".ask").open`)
			if script {
				p.rest()
			}
			put("Open the garden gate", gardenGate, nil)
			p.tap(".ask form .go")
			p.until("it is asked again", `document.body.innerText.includes("This has changed. Please read it again.")`)
			if front, gate := h.state("lock.front_door"), h.state("lock.garden_gate"); front != "locked" || gate != "locked" {
				t.Fatalf("the front door is %s, the gate %s", front, gate)
			}
			if text := p.eval(`document.body.innerText`); !strings.Contains(text, "Open the garden gate") || strings.Contains(text, "front door") {
				t.Errorf("the page says:\n%s", text)
			}
			l.get().is(t, 200).left(t, 1)
			if script {
				p.rest()
			}
			p.tap(".ask summary")
			p.until("the second step is open", `document.querySelector(".ask").open`)
			if script {
				p.rest()
			}
			p.tap(".ask form .go")
			p.state("done")
			if front, gate := h.state("lock.front_door"), h.state("lock.garden_gate"); front != "locked" || gate != "unlocked" {
				t.Errorf("the front door is %s, the gate %s", front, gate)
			}
		})
	}

	t.Run("in the guest's language", func(t *testing.T) {
		put("Open the front door", frontDoor, object{"translations": object{"de": object{"title": "Haustür öffnen", "done": "Fest drücken."}}})
		l := s.linkOf(s.api("POST", "/api/tokens", object{"actions": []string{"way_in"}}).is(t, 201))
		send(http1, "GET", l.url, "", "Accept", "text/html", "Accept-Language", "de-AT,de;q=0.9,en;q=0.8").is(t, 200).shows(t, "Haustür öffnen")
		send(http1, "GET", l.url, "", "Accept", "text/html", "Accept-Language", "fr").is(t, 200).shows(t, "Open the front door")
	})
}

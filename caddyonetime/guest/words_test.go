package guest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/pagetest"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// markedLanguage is one that no other test here reads.
const markedLanguage = "sk"

func init() { words.Mark(markedLanguage) }

// TestEveryTextIsInTheCatalogues finds words on pages, and in what a script says
// by itself, that are the same in every language.
func TestEveryTextIsInTheCatalogues(t *testing.T) {
	for _, people := range []people{english, nobody} {
		data := []string{"Open the garden gate", "Turn on the light"}
		data = append(data, people.guest, people.title, people.done, people.house, people.host)
		data = append(data, strings.Split(people.comment, "\n")...)
		// A sentence has a title with a small letter.
		data = append(data, "open the garden gate", "turn on the light")
		for _, s := range scenes() {
			t.Run(s.name, func(t *testing.T) {
				w := newWorld(t)
				w.configure(func(c *Config) {
					c.House, c.Contacts = people.house, nil
					if people.host != "" {
						c.Contacts = []Contact{{Name: people.host, URL: "tel:+4930123456"}, {Name: people.host, URL: "sms:+4930123456"}, {Name: people.host, URL: "mailto:a@example.com"}}
					}
				})
				w.rename("front_door", people.title, people.done)
				w.action(onetime.Action{Name: "gate", Title: "Open the garden gate", Icon: "gate", Definition: "action: lock.unlock\ntarget:\n  entity_id: lock.gate\n"})
				path := s.make(w, people)
				page := w.ask("GET", "/"+path, "", "Accept", asBrowser, "Accept-Language", markedLanguage).Body.String()
				if !strings.Contains(page, words.MarkBegin) {
					t.Fatal(page)
				}
				for _, text := range pagetest.Unmarked(page, append(data, "Europe/Berlin")...) {
					t.Error(text)
				}
			})
		}
	}
	script := string(newScript(words.Get(markedLanguage)).plain)
	var said json.RawMessage
	if err := json.NewDecoder(bytes.NewReader([]byte(strings.TrimPrefix(script, "const W=")))).Decode(&said); err != nil {
		t.Fatal(err)
	}
	for _, text := range pagetest.UnmarkedJSON(said, nil, "away", "digits") {
		t.Errorf("the script says %s", text)
	}
	// What it says, it has from there.
	if own := regexp.MustCompile(`(textContent|innerHTML) = ['"` + "`" + `][^'"` + "`" + `]*\pL`).FindString(leanScript); own != "" {
		t.Errorf("the script has a text of its own: %s", own)
	}
}

package host

import (
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// Message is what is sent to a guest together with a link: what it is for, how
// often and until when it works, and the link at its end.
func Message(l *words.Language, v *onetime.View, house, link string) string {
	zone := time.UTC
	if len(v.Actions) > 0 && v.Actions[0].TimeZone != nil {
		zone = v.Actions[0].TimeZone
	}
	return termsOf(v).message(l, house, link, v.Now, zone)
}

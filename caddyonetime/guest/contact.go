package guest

import (
	"html/template"
	"strings"

	"github.com/caddy-hass/caddy-hass/internal/words"
)

// contact is a Contact as pages show it.
type contact struct {
	name string
	url  template.URL
	verb string // "call", "text" or "message": part of the messages' keys
	icon template.HTML
}

func newContacts(configured []Contact) []contact {
	var list []contact
	for _, c := range configured {
		scheme, _, _ := strings.Cut(c.URL, ":")
		// The URL is the configuration's own, of one of these schemes.
		n := contact{name: c.Name, url: template.URL(c.URL)}
		switch strings.ToLower(scheme) {
		case "tel":
			n.verb, n.icon = "call", Icon("-call")
		case "sms":
			n.verb, n.icon = "text", Icon("-text")
		case "mailto":
			n.verb, n.icon = "message", Icon("-mail")
		case "https":
			n.verb, n.icon = "message", Icon("-text")
		default:
			continue // nothing that a guest could press
		}
		list = append(list, n)
	}
	return list
}

// host is the name of whom guests can turn to, or "".
func (h *Handler) host() string {
	if len(h.contacts) == 0 {
		return ""
	}
	return h.contacts[0].name
}

// link is a contact's button.
type link struct {
	URL   template.URL
	Label template.HTML
	Icon  template.HTML
}

// contactLinks are the buttons for all contacts; what is "", "new" or "failed".
func (h *Handler) contactLinks(l *words.Language, what string) []link {
	var links []link
	for i, c := range h.contacts {
		key := "contact." + c.verb
		if i == 0 {
			switch what {
			case "new":
				key = "contact.new"
			case "failed":
				key = "contact.failed_" + c.verb
			}
		}
		links = append(links, link{URL: c.url, Icon: c.icon, Label: say(l, key, "host", c.name)})
	}
	return links
}

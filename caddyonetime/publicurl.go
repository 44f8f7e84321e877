package caddyonetime

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
)

// PublicURL is the address that links begin with, without a slash at its end; ""
// where the configuration has none.
func (a *App) PublicURL() string { return a.BaseURL }

// Link returns the whole link of a token's code. The error says that, and how,
// the public address has to be configured.
func (a *App) Link(code string) (string, error) {
	if a.BaseURL == "" {
		return "", errors.New("no link can be made before the configuration says where guests reach this Caddy: " +
			"add the global option hass_onetime { public_url https://guests.example.com }")
	}
	return a.BaseURL + "/" + code, nil
}

// provisionTexts resolves placeholders and checks what guests will read.
func (a *App) provisionTexts() error {
	repl := caddy.NewReplacer()
	var err error
	if a.BaseURL != "" {
		if a.BaseURL, err = repl.ReplaceOrErr(a.BaseURL, true, true); err != nil {
			return fmt.Errorf("public_url: %w", err)
		}
		if a.BaseURL, err = checkPublicURL(a.BaseURL); err != nil {
			return fmt.Errorf("public_url: %w", err)
		}
	}
	a.House = repl.ReplaceKnown(a.House, "")
	for i := range a.Contacts {
		c := &a.Contacts[i]
		c.Name = repl.ReplaceKnown(c.Name, "")
		c.URL = repl.ReplaceKnown(c.URL, "")
		if err := checkContact(c.Name, c.URL); err != nil {
			return fmt.Errorf("contact: %w", err)
		}
	}
	return nil
}

// checkPublicURL returns the address without a slash at its end.
func checkPublicURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", fmt.Errorf("%q is no address: it begins with https:// and a host, such as https://guests.example.com", s)
	case u.User != nil:
		return "", errors.New("leave name and password out: every guest would see them")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fmt.Errorf("%q: leave out what comes after ? and #", s)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Contact is somebody whom a guest can turn to.
type Contact struct {
	Name string `json:"name"`
	URL  string `json:"url"` // tel:, sms:, mailto: or https:
}

// guestContacts are the contacts as the pages take them.
func (a *App) guestContacts() []guest.Contact {
	var all []guest.Contact
	for _, c := range a.Contacts {
		all = append(all, guest.Contact{Name: c.Name, URL: c.URL})
	}
	return all
}

// checkContact checks a way to reach somebody that a guest's page links to.
func checkContact(name, address string) error {
	if strings.TrimSpace(name) == "" {
		return errors.New("a name is missing: contact Anna tel:+4930123456")
	}
	bad := func() error {
		return fmt.Errorf("%q is no way to reach %s: write tel:+4930123456, sms:+4930123456, mailto:anna@example.com or https://…", address, name)
	}
	u, err := url.Parse(address)
	if err != nil {
		return bad()
	}
	switch u.Scheme {
	case "tel", "sms":
		digits := 0
		for _, r := range u.Opaque {
			switch {
			case '0' <= r && r <= '9':
				digits++
			case strings.ContainsRune("+-.()*#;=", r):
			case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z': // ;ext=…
			default:
				return bad()
			}
		}
		if digits < 2 {
			return bad()
		}
	case "mailto":
		if local, domain, ok := strings.Cut(u.Opaque, "@"); !ok || local == "" || domain == "" {
			return bad()
		}
	case "https":
		if u.Hostname() == "" || u.User != nil {
			return bad()
		}
	default:
		return bad()
	}
	return nil
}

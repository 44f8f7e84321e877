package doctor

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// echo is what the guests' side answers at WellKnown.
type echo struct {
	Nonce  string `json:"nonce"`
	Client string `json:"client"` // whom Caddy takes for the client

	// Forwarded says whether the request had an X-Forwarded-For: "" for no,
	// "used", or "ignored" where Caddy does not trust who sent it.
	Forwarded string `json:"forwarded"`

	// Proof shows that it is this very process that answers.
	Proof string `json:"proof"`
}

// WellKnown is where, under the public URL, the guests' side answers a nonce.
const WellKnown = ".well-known/caddy-hass/"

// certificateWarn is how long before its end a certificate should have been
// renewed: Caddy does it when a third of its life is left, of 90 days or less.
const certificateWarn = 7 * 24 * time.Hour

func (s *Subject) publicURL(ctx context.Context) []Finding {
	o := s.OneTime
	var out []Finding
	add := func(check string, level Level, text, advice string) {
		out = append(out, Finding{Check: "public_url" + check, Level: level, Text: text, Advice: advice})
	}
	if o.PublicURL == "" {
		add("", Fail, "is missing: no link can be made", "Say in the global option hass_onetime what links begin with: public_url https://guests.example.com")
		return out
	}
	u, err := url.Parse(o.PublicURL)
	if err != nil || u.Hostname() == "" {
		add("", Fail, "is no address: "+o.PublicURL, "Write it as https://guests.example.com.")
		return out
	}

	if !o.GuestsServed {
		add(".site", Fail, "no site of this Caddy is the guests' side", "Add a site with the directive hass_onetime: "+o.PublicURL+" { hass_onetime }")
		return out
	}

	if net.ParseIP(u.Hostname()) == nil {
		lookup := s.LookupHost
		if lookup == nil {
			lookup = net.DefaultResolver.LookupHost
		}
		addresses, err := lookup(ctx, u.Hostname())
		if err != nil {
			add(".dns", Fail, fmt.Sprintf("%s cannot be looked up: %v", u.Hostname(), err),
				"Make a DNS record of that name that leads to this Caddy: the address of your router, which forwards ports 80 and 443.")
			return out
		}
		if strings.HasSuffix(u.Hostname(), ".local") {
			add(".dns", Warn, u.Hostname()+" can only be looked up in your own network, and not by every phone", "Use a name of a domain of yours.")
		} else {
			add(".dns", OK, u.Hostname()+" is "+strings.Join(addresses, ", "), "")
		}
	}

	s.comesBack(ctx, u, add)
	return out
}

// comesBack fetches a nonce by the public URL, as a guest would come.
func (s *Subject) comesBack(ctx context.Context, u *url.URL, add addFunc) {
	o := s.OneTime
	if o.Proof == nil || o.Err != nil {
		return
	}
	random := make([]byte, 16)
	rand.Read(random)
	nonce := hex.EncodeToString(random)
	at := strings.TrimRight(u.String(), "/") + "/" + WellKnown + nonce
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		add("", Fail, fmt.Sprintf("is no address: %v", err), "")
		return
	}
	resp, err := s.HTTP.Do(req)
	if err != nil {
		text, advice := explainFetch(u, err)
		add("", Fail, text, advice)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))

	switch {
	case u.Scheme == "http":
		level, advice := Warn, "Use https: on the way, anybody can read links that are sent by http, and use them."
		if ip := net.ParseIP(u.Hostname()); ip != nil && (ip.IsPrivate() || ip.IsLoopback()) {
			advice = "Fine for a try in your own network. " + advice
		}
		add(".certificate", level, "there is none: links begin with http://", advice)
	case resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0:
		end := resp.TLS.PeerCertificates[0].NotAfter
		if end.Sub(s.Now()) < certificateWarn {
			add(".certificate", Warn, "ends on "+end.UTC().Format("2 January 2006")+" and has not been renewed",
				"See the log of this Caddy for what keeps it from renewing the certificate.")
		} else {
			add(".certificate", OK, "valid until "+end.UTC().Format("2 January 2006"), "")
		}
	}

	var who echo
	_ = json.Unmarshal(body, &who) // what is no JSON has no nonce
	switch {
	case resp.StatusCode == http.StatusOK && who.Nonce == nonce && who.Proof == o.Proof(nonce):
		add("", OK, o.PublicURL+" comes back to this Caddy", "")
		clientAddress(who, add)
	case resp.StatusCode == http.StatusOK && who.Nonce == nonce:
		add("", Fail, o.PublicURL+" leads to another Caddy with guests' links, not to this one",
			"Check the DNS record and the port forwarding: which machine do they lead to?")
	case resp.StatusCode/100 == 3:
		add("", Fail, fmt.Sprintf("%s redirects to %s", o.PublicURL, plainLocation(resp.Header.Get("Location"))),
			"Give as public_url the address where the guests' side really is, and put no login in front of it.")
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		add("", Fail, fmt.Sprintf("%s asks for a login (HTTP %d)", o.PublicURL, resp.StatusCode),
			"Guests have no account: take the authentication away from the site with hass_onetime; the link is what lets them in.")
	default:
		add("", Fail, fmt.Sprintf("%s is answered by somebody else (HTTP %d)", o.PublicURL, resp.StatusCode),
			"Check that the name leads to this Caddy and that its site has the directive hass_onetime, under the path of public_url.")
	}
}

func plainLocation(l string) string {
	if u, err := url.Parse(l); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return "another path"
}

func explainFetch(u *url.URL, err error) (text, advice string) {
	var (
		wrongName x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &wrongName):
		return "the certificate is for another name", "The name leads to another server, or this Caddy has no certificate for it yet: see its log."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired", "See the log of this Caddy for what keeps it from renewing it."
	case errors.As(err, &authority), errors.As(err, &invalid):
		return "the certificate is not one that phones trust",
			"Guests would see a warning instead of the page: use a name that Caddy can get a public certificate for, not tls internal."
	case errors.Is(err, syscall.ECONNREFUSED), isTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%s://%s cannot be reached from here", u.Scheme, u.Host),
			"Forward ports 80 and 443 in your router to this Caddy. Where it works from outside and only not from here, the router cannot lead back in (hairpin NAT): let your own DNS answer with the inside address."
	}
	return fmt.Sprintf("%s://%s cannot be fetched: %v", u.Scheme, u.Host, unwrapURL(err)), "See the log of this Caddy."
}

// unwrapURL takes the address, and with it the nonce, out of the text.
func unwrapURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// clientAddress says whom Caddy takes a guest for.
func clientAddress(e echo, add addFunc) {
	if e.Forwarded == "ignored" {
		add(".client", Warn, fmt.Sprintf("another proxy (%s) stands in front of this Caddy, and every guest looks like it", e.Client),
			"Set trusted_proxies in Caddy, too: servers { trusted_proxies static "+e.Client+" } in the global options; behind a tunnel, client_ip_headers as well.")
		return
	}
	add(".client", OK, "a request from here is seen as coming from "+e.Client, "")
}

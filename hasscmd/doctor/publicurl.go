package doctor

import (
	"cmp"
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
	"strconv"
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
	add := collect(&out, "public_url", "")
	if o.PublicURL == "" {
		add("", Fail, "is missing: no link can be made", "Say in the global option hass_onetime what links begin with: public_url https://guests.example.com").
			says("missing").advises("add_global", "example", "hass_onetime { public_url https://guests.example.com }")
		return out
	}
	u, err := url.Parse(o.PublicURL)
	if err != nil || u.Hostname() == "" {
		add("", Fail, "is no address: "+o.PublicURL, "Write it as https://guests.example.com.").
			says("broken", "why", o.PublicURL).advises("write_as", "example", "https://guests.example.com")
		return out
	}

	if !o.GuestsServed {
		add(".site", Fail, "no site of this Caddy is the guests' side", "Add a site with the directive hass_onetime: "+o.PublicURL+" { hass_onetime }").
			says("missing").advises("add_site", "example", o.PublicURL+" { hass_onetime }")
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
				"Make a DNS record of that name that leads to this Caddy: the address of your router, which forwards ports 80 and 443.").
				says("dns_failed", "name", u.Hostname(), "why", err).advises("dns", "ports", ports)
			return out
		}
		if strings.HasSuffix(u.Hostname(), ".local") {
			add(".dns", Warn, u.Hostname()+" can only be looked up in your own network, and not by every phone", "Use a name of a domain of yours.").
				says("name_local", "name", u.Hostname()).advises("own_domain")
		} else {
			add(".dns", OK, u.Hostname()+" is "+strings.Join(addresses, ", "), "").
				says("dns_ok", "name", u.Hostname(), "addresses", strings.Join(addresses, ", "))
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
		add("", Fail, fmt.Sprintf("is no address: %v", err), "").says("broken", "why", err)
		return
	}
	resp, err := s.HTTP.Do(req)
	if err != nil {
		explainFetch(u, err, add)
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
		add(".certificate", level, "there is none: links begin with http://", advice).
			says("cert_none", "example", "http://").advises("https")
	case resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0:
		end := resp.TLS.PeerCertificates[0].NotAfter
		if end.Sub(s.Now()) < certificateWarn {
			add(".certificate", Warn, "ends on "+end.UTC().Format("2 January 2006")+" and has not been renewed",
				"See the log of this Caddy for what keeps it from renewing the certificate.").
				says("cert_ok", "date", end.UTC().Format(time.DateOnly)).advises("renew")
		} else {
			add(".certificate", OK, "valid until "+end.UTC().Format("2 January 2006"), "").says("cert_ok", "date", end.UTC().Format(time.DateOnly))
		}
	}

	var who echo
	_ = json.Unmarshal(body, &who) // what is no JSON has no nonce
	switch {
	case resp.StatusCode == http.StatusOK && who.Nonce == nonce && who.Proof == o.Proof(nonce):
		add("", OK, o.PublicURL+" comes back to this Caddy", "").says("url_ok", "url", o.PublicURL)
		clientAddress(who, add)
	case resp.StatusCode == http.StatusOK && who.Nonce == nonce:
		add("", Fail, o.PublicURL+" leads to another Caddy with guests' links, not to this one",
			"Check the DNS record and the port forwarding: which machine do they lead to?").
			says("url_other", "url", o.PublicURL, "status", strconv.Itoa(resp.StatusCode)).advises("url_other")
	case resp.StatusCode/100 == 3:
		to := plainLocation(resp.Header.Get("Location"))
		add("", Fail, fmt.Sprintf("%s redirects to %s", o.PublicURL, cmp.Or(to, "another path")),
			"Give as public_url the address where the guests' side really is, and put no login in front of it.").
			says("url_redirects", "url", o.PublicURL, "to", cmp.Or(to, u.Scheme+"://"+u.Host+"/…")).advises("url_login")
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		add("", Fail, fmt.Sprintf("%s asks for a login (HTTP %d)", o.PublicURL, resp.StatusCode),
			"Guests have no account: take the authentication away from the site with hass_onetime; the link is what lets them in.").
			says("url_login", "url", o.PublicURL, "status", strconv.Itoa(resp.StatusCode)).advises("url_login")
	default:
		add("", Fail, fmt.Sprintf("%s is answered by somebody else (HTTP %d)", o.PublicURL, resp.StatusCode),
			"Check that the name leads to this Caddy and that its site has the directive hass_onetime, under the path of public_url.").
			says("url_other", "url", o.PublicURL, "status", strconv.Itoa(resp.StatusCode)).advises("url_other")
	}
}

// plainLocation is where a redirect leads, without what else it says; "" where
// that is the same site.
func plainLocation(l string) string {
	if u, err := url.Parse(l); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return ""
}

// ports are those that a router forwards to Caddy.
const ports = "80, 443"

// explainFetch adds why the public URL could not be fetched.
func explainFetch(u *url.URL, err error, add addFunc) {
	var (
		wrongName x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &wrongName):
		add("", Fail, "the certificate is for another name", "The name leads to another server, or this Caddy has no certificate for it yet: see its log.").
			says("cert_bad", "why", wrongName).advises("url_other").advises("log")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		add("", Fail, "the certificate has expired", "See the log of this Caddy for what keeps it from renewing it.").
			says("cert_bad", "why", invalid).advises("renew")
	case errors.As(err, &authority), errors.As(err, &invalid):
		add("", Fail, "the certificate is not one that phones trust",
			"Guests would see a warning instead of the page: use a name that Caddy can get a public certificate for, not tls internal.").
			says("cert_bad", "why", unwrapURL(err)).advises("cert_public", "word", "tls internal")
	case errors.Is(err, syscall.ECONNREFUSED), isTimeout(err), errors.Is(err, context.DeadlineExceeded):
		add("", Fail, fmt.Sprintf("%s://%s cannot be reached from here", u.Scheme, u.Host),
			"Forward ports 80 and 443 in your router to this Caddy. Where it works from outside and only not from here, the router cannot lead back in (hairpin NAT): let your own DNS answer with the inside address.").
			says("no_connection", "url", u.Scheme+"://"+u.Host, "why", unwrapURL(err)).advises("unreached", "ports", ports)
	default:
		add("", Fail, fmt.Sprintf("%s://%s cannot be fetched: %v", u.Scheme, u.Host, unwrapURL(err)), "See the log of this Caddy.").
			says("no_connection", "url", u.Scheme+"://"+u.Host, "why", unwrapURL(err)).advises("log")
	}
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
			"Set trusted_proxies in Caddy, too: servers { trusted_proxies static "+e.Client+" } in the global options; behind a tunnel, client_ip_headers as well.").
			says("client_proxy", "address", e.Client).advises("client_proxy", "example", "servers { trusted_proxies static "+e.Client+" }")
		return
	}
	add(".client", OK, "a request from here is seen as coming from "+e.Client, "").says("client_ok", "address", e.Client)
}

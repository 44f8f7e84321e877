package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient"
)

// Home is a home of the configuration.
type Home struct {
	Name string
	URL  string // the inside address

	// Client is the connection to it, nil where Err says why there is none.
	Client Client
	Err    error

	// Proxied says that this Caddy also stands in front of it, as its reverse
	// proxy.
	Proxied bool
}

// Client is what the doctor asks of *hassclient.Client.
type Client interface {
	Wait(ctx context.Context) error
	Status() hassclient.Status
	Query(ctx context.Context, typ string, fields map[string]any, out any) error

	// ProbeForwardedFor returns what the home answers to a request with
	// X-Forwarded-For from this machine: 200, or 400 where it trusts no proxy here.
	ProbeForwardedFor(ctx context.Context) (status int, err error)
}

// minVersion is the oldest Home Assistant that takes the actions as they are
// written today ("action: lock.unlock").
const minVersion = "2024.8"

// How long a home that is not connected is waited for: one that is being tried
// for the first time longer than one whose last attempt has failed already.
const (
	waitForFirst = 5 * time.Second
	waitForNext  = time.Second
)

func (s *Subject) home(ctx context.Context, h Home) []Finding {
	var out []Finding
	add := collect(&out, "home.", h.Name)

	s.homeAddress(h, add)

	if h.Client == nil {
		add("reachable", Fail, fmt.Sprintf("there is no connection to %s: %v", h.URL, h.Err), "See the log of this Caddy.").
			says("no_connection", "url", h.URL, "why", h.Err).advises("log")
		return out
	}
	patience := waitForFirst
	if h.Client.Status().Err != nil {
		patience = waitForNext
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	err := h.Client.Wait(wait)
	cancel()
	st := h.Client.Status()
	if err != nil {
		if errors.Is(err, hassclient.ErrRefused) || st.State == hassclient.StateRefused {
			add("reachable", OK, h.URL+" answers", "").says("answers", "url", h.URL)
			add("token", Fail, "Home Assistant refuses this token",
				"Make a new one in Home Assistant: your profile (your name, bottom left), Security, Long-lived access tokens, Create. "+
					"Put it where the configuration reads it and reload Caddy; until then it is tried again only every ten minutes.").
				saysAs("host.home.refused").advises("token")
			return out
		}
		cause := st.Err
		if cause == nil {
			cause = err
		}
		text := cause.Error()
		if !strings.Contains(text, h.URL) {
			text = h.URL + " does not answer: " + text
		}
		advice, advised := homeAdvice(h.URL, cause)
		add("reachable", Fail, text, advice).says("no_connection", "url", h.URL, "why", cause).Advised = []onetime.Said{advised}
		return out
	}
	add("reachable", OK, h.URL+" answers", "").says("answers", "url", h.URL)

	switch {
	case st.Version == "":
		add("version", Warn, "Home Assistant does not say its version", "").says("unsaid")
	case older(st.Version, minVersion):
		add("version", Fail, "Home Assistant "+st.Version+" is too old",
			"Update it: "+minVersion+" is the oldest that understands actions as they are written here.").
			says("version_old", "version", st.Version).advises("update", "version", minVersion)
	default:
		add("version", OK, "Home Assistant "+st.Version, "").says("version_ok", "version", st.Version)
	}
	if st.Config != nil && !st.Config.Running() {
		add("started", Warn, "Home Assistant is still starting", "Ask again in a minute: services and devices may be missing until then.").
			says("starting").advises("wait")
	}

	homeUser(st, add)
	s.homeTime(ctx, h, st, add)
	s.homeProxy(ctx, h, st, add)
	return out
}

type addFunc func(check string, level Level, text, advice string) *Finding

// homeAddress looks at the address itself.
func (s *Subject) homeAddress(h Home, add addFunc) {
	u, err := url.Parse(h.URL)
	if err != nil {
		return // hassapp has refused it already
	}
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	for _, own := range s.Hosts {
		if hostMatches(own, name) && !isLocal(name) {
			add("address", Warn, fmt.Sprintf("%s leads through this very Caddy, which serves %s", h.URL, own),
				"Give the inside address of Home Assistant as url, such as http://192.168.1.10:8123: then links work when the router, the certificate or a login in front of it do not.").
				says("address_loop", "url", h.URL, "name", own).advises("address", "example", exampleURL)
			return
		}
	}
	if strings.HasSuffix(name, ".local") {
		add("address", Warn, name+" is a name that many machines and all containers cannot look up",
			"Give Home Assistant's IP address as url, such as http://192.168.1.10:8123, and let the router always give it the same one.").
			says("name_local", "name", name).advises("address", "example", exampleURL)
	}
}

func isLocal(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// hostMatches reports whether a site's name, which may have a wildcard for its
// first label, serves the host.
func hostMatches(site, host string) bool {
	site = strings.ToLower(site)
	if site == host {
		return true
	}
	_, rest, ok := strings.Cut(host, ".")
	return ok && site == "*."+rest
}

// exampleURL is how the address of a home looks.
const exampleURL = "http://192.168.1.10:8123"

// homeAdvice is what to do about a home that does not answer.
func homeAdvice(address string, err error) (string, onetime.Said) {
	advised := func(key string, args ...any) onetime.Said {
		return onetime.Said{Key: "doctor.advice." + key, Args: args}
	}
	u, _ := url.Parse(address)
	name := ""
	if u != nil {
		name = u.Hostname()
	}
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &dns) && strings.HasSuffix(name, ".local"):
		return "Names that end in .local cannot be looked up in containers and on many machines: give Home Assistant's IP address as url.", advised("address", "example", exampleURL)
	case errors.As(err, &dns):
		return "The name cannot be looked up here: check its spelling, or give Home Assistant's IP address as url.", advised("address", "example", exampleURL)
	case errors.As(err, &wrongName):
		return "Home Assistant's certificate is for another name: say that name by tls_server_name in the hass block.", advised("dial_name", "word", "tls_server_name")
	case errors.As(err, &authority), errors.As(err, &invalid):
		return "Home Assistant's certificate is not trusted here: name its authority by tls_trust_pool, or, in your own network only, set tls_insecure_skip_verify.",
			advised("dial_trust", "word", "tls_trust_pool", "other", "tls_insecure_skip_verify")
	case errors.As(err, &record):
		return "There is no https at that address: begin the url with http://.", advised("dial_http", "example", "http://")
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nothing listens there: is Home Assistant running, and is its port 8123? In a container, localhost is the container itself: give the machine's IP address.", advised("dial_refused")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err),
		errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "Nobody answers there: check the address, that the machine is on, and that no firewall or separate network stands between.", advised("dial_silent")
	}
	return "Open " + address + " from this machine: Home Assistant's login page must appear.", advised("dial_other", "url", address)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// homeUser says whose the token is and what that means.
func homeUser(st hassclient.Status, add addFunc) {
	u := st.User
	switch {
	case u == nil:
		add("token", Warn, "accepted, but Home Assistant does not say whose token it is", "").says("unsaid")
	case u.IsAdmin:
		add("token", OK, fmt.Sprintf("accepted; it is an administrator's (%s): everything can be done with it", userName(u)),
			"Where single actions and scripts are all you need, the token of an ordinary user is enough, and safer.").
			says("token_admin", "name", cmp.Or(u.Name, "–")).advises("token_user")
	default:
		add("token", OK, fmt.Sprintf("accepted; it is an ordinary user's (%s): single actions and scripts of Home Assistant's, no pasted sequences, no events", userName(u)), "").
			says("token_user", "name", cmp.Or(u.Name, "–"))
	}
}

func userName(u *hassclient.User) string {
	if u.Name == "" {
		return "without a name"
	}
	return u.Name
}

// Clocks that are further apart than this make links begin and end at other
// moments than the host means, and cookies invalid.
const (
	clockWarn = 5 * time.Second
	clockFail = time.Minute
)

func (s *Subject) homeTime(ctx context.Context, h Home, st hassclient.Status, add addFunc) {
	if st.Config != nil {
		if _, err := time.LoadLocation(st.Config.TimeZone); st.Config.TimeZone == "" || err != nil {
			add("time_zone", Warn, fmt.Sprintf("the home's time zone %q is not known here: guests read times in UTC", st.Config.TimeZone),
				"Set it in Home Assistant: Settings, System, General. If it is right there, this machine lacks the time zone database (tzdata).").
				says("zone_unknown", "zone", st.Config.TimeZone).advises("zone")
		} else {
			add("time_zone", OK, "guests read times in "+st.Config.TimeZone, "").says("zone", "zone", st.Config.TimeZone)
		}
	}
	ahead, err := s.clock(ctx, h.URL)
	if err != nil {
		add("clock", Warn, fmt.Sprintf("the home's clock could not be read: %v", err), "").says("unchecked", "why", err)
		return
	}
	level := OK
	switch diff := ahead.Abs(); {
	case diff > clockFail:
		level = Fail
	case diff > clockWarn:
		level = Warn
	}
	if level == OK {
		add("clock", OK, "the clocks of the home and of this machine agree", "").says("clock_ok")
		return
	}
	which := "ahead of"
	if ahead < 0 {
		which = "behind"
	}
	add("clock", level, fmt.Sprintf("the home's clock is %s %s this machine's", ahead.Abs().Round(time.Second), which),
		"Let both machines set their clocks by the network (NTP): links begin and end by this machine's.").
		says("clock_off", "time", ahead.Abs().Round(time.Second)).advises("clock")
}

// clock is how far the home's clock is ahead of this machine's, to about a
// second, by the Date of an answer over HTTP.
func (s *Subject) clock(ctx context.Context, address string) (ahead time.Duration, err error) {
	// No secret is sent and only the time is read, so the certificate does
	// not matter here: the connection to the home itself has checked it.
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(address, "/")+"/manifest.json", nil)
	if err != nil {
		return 0, err
	}
	sent := s.Now()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	got := s.Now()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, errors.New("its answer does not say what time it is")
	}
	// The header has cut off the fraction of the second: half of one is the
	// best guess.
	return date.Add(500 * time.Millisecond).Sub(sent.Add(got.Sub(sent) / 2)), nil
}

// homeProxy finds out whether the home takes requests that this Caddy passes
// on. Its own calls carry no X-Forwarded-For: they work either way.
func (s *Subject) homeProxy(ctx context.Context, h Home, st hassclient.Status, add addFunc) {
	const fix = "In Home Assistant from 2026.8: Settings, System, Network, HTTP server: switch on the reverse proxy, enter the address it sees this Caddy come from, save, and confirm within 5 minutes in a browser that still reaches Home Assistant directly. Before: http: use_x_forwarded_for: true and trusted_proxies in configuration.yaml."

	detail, described := "", []onetime.Said(nil)
	if st.User != nil && st.User.IsAdmin {
		// The command exists since 2026.8; without it the probe below knows.
		var cfg httpConfig
		if err := h.Client.Query(ctx, "http/config", nil, &cfg); err == nil {
			detail, described = cfg.describe()
			if cfg.Active == "pending" && cfg.RevertAt != nil {
				add("http_settings", Warn, "Home Assistant's new settings of its HTTP server are on trial, and go back to the old ones by themselves",
					"Confirm them: Settings, System, Network, in a browser that reaches Home Assistant directly.").
					says("settings_trial").advises("settings_trial")
			}
		}
	}
	status, err := h.Client.ProbeForwardedFor(ctx)
	switch {
	case err != nil:
		add("trusted_proxies", Warn, fmt.Sprintf("could not be found out: %v", err), "").says("unchecked", "why", err)
	case status == http.StatusOK:
		f := add("trusted_proxies", OK, "Home Assistant takes requests through this Caddy"+detail, "").says("proxy_ok")
		f.Said = append(f.Said, described...)
	case status != http.StatusBadRequest:
		add("trusted_proxies", Warn, fmt.Sprintf("could not be found out: the home answered HTTP %d", status), "").says("unchecked", "why", fmt.Sprintf("HTTP %d", status))
	case h.Proxied:
		f := add("trusted_proxies", Fail, "Home Assistant answers everything that comes through this Caddy by 400: Bad Request"+detail, fix).
			says("proxy_refused", "answer", "400: Bad Request").
			advises("proxy", "time", 5*time.Minute, "version", "2026.8", "example", "http: { use_x_forwarded_for: true, trusted_proxies: [ … ] }")
		f.Said = append(f.Said, described...)
	default:
		f := add("trusted_proxies", OK, "Home Assistant does not trust this Caddy as its proxy, which matters only where it is one"+detail, "").says("proxy_none")
		f.Said = append(f.Said, described...)
	}
}

// httpConfig is Home Assistant's answer to http/config: the settings that are
// confirmed, those on trial, and which of them are in use.
type httpConfig struct {
	Stable   *httpSettings `json:"stable"`
	Pending  *httpSettings `json:"pending"`
	Default  *httpSettings `json:"default"`
	Active   string        `json:"active_config_type"`
	RevertAt any           `json:"revert_at"`
}

type httpSettings struct {
	Use     bool     `json:"use_x_forwarded_for"`
	Trusted []string `json:"trusted_proxies"`
}

// describe says, in brackets, which proxies the home trusts; "" where it does
// not say.
func (c httpConfig) describe() (string, []onetime.Said) {
	s := map[string]*httpSettings{"stable": c.Stable, "pending": c.Pending, "default": c.Default}[c.Active]
	switch {
	case s == nil:
		return "", nil
	case !s.Use:
		return " (reverse proxy is switched off there)", []onetime.Said{{Key: "doctor.found.proxy_off"}}
	}
	trusted := strings.Join(s.Trusted, ", ")
	return " (it trusts " + trusted + ")", []onetime.Said{{Key: "doctor.found.proxy_trusts", Args: []any{"addresses", trusted}}}
}

// older reports whether Home Assistant's version a is below b, by year and
// month. What is no version is not below anything.
func older(a, b string) bool {
	ay, am, ok := yearMonth(a)
	if !ok {
		return false
	}
	by, bm, _ := yearMonth(b)
	return ay < by || ay == by && am < bm
}

func yearMonth(version string) (year, month int, ok bool) {
	y, rest, _ := strings.Cut(version, ".")
	m, _, _ := strings.Cut(rest, ".")
	year, err1 := strconv.Atoi(y)
	// "2026.11b3", "2026.12.0.dev0"
	end := strings.IndexFunc(m, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		m = m[:end]
	}
	month, err2 := strconv.Atoi(m)
	return year, month, err1 == nil && err2 == nil
}

package doctor_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
	"github.com/caddy-hass/caddy-hass/hasscmd/doctor"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// connect is a client of a home, closed with the test.
func connect(t *testing.T, url, token string) *hassclient.Client {
	t.Helper()
	c, err := hassclient.New(hassclient.Config{URL: url, Token: func() (string, error) { return token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() { c.Close() })
	return c
}

func newHome(t *testing.T, opts ...hasstest.Option) *hasstest.Home {
	t.Helper()
	h := hasstest.New(opts...)
	t.Cleanup(h.Close)
	return h
}

// TestHome is the table of what can be said about a home.
func TestHome(t *testing.T) {
	// An address where nothing listens.
	closed := "http://" + freeport.Addr(t)

	tests := []struct {
		name    string
		home    func(*testing.T) doctor.Home
		subject func(*doctor.Subject)
		want    expect
		ok      bool
	}{
		{
			name: "well, administrator",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t)
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.Token())}
			},
			want: expect{
				"home.reachable x":       {doctor.OK, "answers"},
				"home.version x":         {doctor.OK, hasstest.Version},
				"home.token x":           {doctor.OK, "administrator's (Owner)"},
				"home.time_zone x":       {doctor.OK, "Europe/Berlin"},
				"home.clock x":           {doctor.OK, "agree"},
				"home.trusted_proxies x": {doctor.OK, "takes requests through this Caddy (it trusts 127.0.0.1/32)"},
			},
			ok: true,
		},
		{
			name: "well, ordinary user",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t)
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.UserToken())}
			},
			want: expect{"home.token x": {doctor.OK, "no pasted sequences"}},
			ok:   true,
		},
		{
			name: "nothing listens",
			home: func(t *testing.T) doctor.Home {
				return doctor.Home{URL: closed, Client: connect(t, closed, "x")}
			},
			want: expect{"home.reachable x": {doctor.Fail, "Nothing listens there"}},
		},
		{
			name: "wrong token",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t)
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), "wrong")}
			},
			want: expect{
				"home.reachable x": {doctor.OK, "answers"},
				"home.token x":     {doctor.Fail, "Security, Long-lived access tokens"},
			},
		},
		{
			name: "no answer",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t)
				h.Fault(hasstest.Hang)
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.Token())}
			},
			subject: func(s *doctor.Subject) { s.Timeout = 300 * time.Millisecond },
			want:    expect{"home.reachable x": {doctor.Fail, "does not answer"}},
		},
		{
			name: "no connection at all",
			home: func(t *testing.T) doctor.Home {
				return doctor.Home{URL: "http://192.0.2.1:8123", Err: errors.New("no file")}
			},
			want: expect{"home.reachable x": {doctor.Fail, "no file"}},
		},
		{
			name: "too old",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t, hasstest.WithVersion("2023.12.4"))
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.Token())}
			},
			want: expect{"home.version x": {doctor.Fail, "2024.8"}},
		},
		{
			name: "development version",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t, hasstest.WithVersion("2026.12.0.dev0"))
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.Token())}
			},
			want: expect{"home.version x": {doctor.OK, "2026.12.0.dev0"}},
			ok:   true,
		},
		{
			name: "starting",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t)
				h.SetRunState("STARTING")
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.Token())}
			},
			want: expect{"home.started x": {doctor.Warn, "still starting"}},
			ok:   true,
		},
		{
			name: "unknown time zone",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t, hasstest.WithTimeZone("Mars/Olympus"))
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.Token())}
			},
			want: expect{"home.time_zone x": {doctor.Warn, "Mars/Olympus"}},
			ok:   true,
		},
		{
			name: "clock a little off",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t)
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.Token())}
			},
			subject: func(s *doctor.Subject) { s.Now = func() time.Time { return time.Now().Add(20 * time.Second) } },
			want:    expect{"home.clock x": {doctor.Warn, "behind this machine's"}},
			ok:      true,
		},
		{
			name: "clock far off",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t)
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.Token())}
			},
			subject: func(s *doctor.Subject) { s.Now = func() time.Time { return time.Now().Add(-time.Hour) } },
			want:    expect{"home.clock x": {doctor.Fail, "ahead of this machine's"}},
		},
		{
			name: "proxy not trusted, and it is one",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t, hasstest.WithTrustedProxies(netip.MustParsePrefix("192.0.2.0/24")))
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.UserToken()), Proxied: true}
			},
			want: expect{"home.trusted_proxies x": {doctor.Fail, "confirm within 5 minutes"}},
		},
		{
			name: "proxy not trusted, and it is none",
			home: func(t *testing.T) doctor.Home {
				h := newHome(t, hasstest.WithTrustedProxies())
				return doctor.Home{URL: h.URL(), Client: connect(t, h.URL(), h.Token())}
			},
			want: expect{"home.trusted_proxies x": {doctor.OK, "matters only where it is one (reverse proxy is switched off there)"}},
			ok:   true,
		},
		{
			name: "its address leads through this Caddy",
			home: func(t *testing.T) doctor.Home {
				return doctor.Home{URL: "https://ha.example.com", Err: errors.New("no")}
			},
			subject: func(s *doctor.Subject) { s.Hosts = []string{"*.example.com"} },
			want:    expect{"home.address x": {doctor.Warn, "inside address"}},
		},
		{
			name: "its address ends in .local",
			home: func(t *testing.T) doctor.Home {
				return doctor.Home{URL: "http://homeassistant.local:8123", Err: errors.New("no")}
			},
			want: expect{"home.address x": {doctor.Warn, "IP address"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := tt.home(t)
			h.Name = "x"
			s := doctor.Subject{Homes: []doctor.Home{h}}
			if tt.subject != nil {
				tt.subject(&s)
			}
			if r := examine(t, s, tt.want); r.OK != tt.ok {
				t.Errorf("OK is %v, want %v:\n%s", r.OK, tt.ok, r)
			}
		})
	}
}

// The finding for a home never holds the token that it refuses.
func TestNoTokenInReport(t *testing.T) {
	h := newHome(t)
	const secret = "a-token-that-nobody-may-read"
	r := doctor.Examine(t.Context(), doctor.Subject{Homes: []doctor.Home{{Name: "x", URL: h.URL(), Client: connect(t, h.URL(), secret)}}})
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), secret) {
		t.Errorf("the report holds the token: %s", b)
	}
}

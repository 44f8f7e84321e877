package hassclient_test

import (
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

func TestWhoIs(t *testing.T) {
	home := hasstest.New(hasstest.WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8")))
	defer home.Close()
	local := home.AddUser(hasstest.User{Username: "kid", Password: "x", LocalOnly: true})
	p, err := hassclient.NewProber(hassclient.Config{URL: home.URL(), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()

	u, err := p.WhoIs(t.Context(), home.Token(), nil)
	if err != nil || u.ID != home.UserID("owner") || !u.IsAdmin || !u.IsOwner || u.Name != "Owner" {
		t.Fatalf("owner: %+v %v", u, err)
	}
	afar := http.Header{"X-Forwarded-For": {"203.0.113.7"}}
	if u, err := p.WhoIs(t.Context(), home.UserToken(), afar); err != nil || u.IsAdmin || u.ID != home.UserID("resident") {
		t.Fatalf("resident: %+v %v", u, err)
	}
	if _, err := p.WhoIs(t.Context(), home.Token()+"x", afar); !errors.Is(err, hassclient.ErrRefused) {
		t.Errorf("a wrong token: %v", err)
	}
	if _, err := p.WhoIs(t.Context(), local, afar); !errors.Is(err, hassclient.ErrRefused) {
		t.Errorf("a local user from afar: %v", err)
	}
	if _, err := p.WhoIs(t.Context(), local, http.Header{"X-Forwarded-For": {"192.168.1.5"}}); err != nil {
		t.Errorf("a local user at home: %v", err)
	}
}

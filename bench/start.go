package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// measureStart compares how long it takes from exec until a site answers: this Caddy
// with a home and both sides of hass_onetime, and one of standard modules only.
func measureStart(ctx context.Context, o *options) error {
	plain, err := build(ctx, o.dir, "plaincaddy", "./bench/plaincaddy")
	if err != nil {
		return err
	}
	home := hasstest.New()
	defer home.Close()

	type side struct {
		name, binary string
		site         func(addr, dir string) string
		times        []time.Duration
	}
	sides := []*side{
		{name: "plain Caddy", binary: plain, site: func(addr, _ string) string {
			return fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n}\nhttp://%s {\n\trespond Hello\n}\n", addr)
		}},
		{name: "this Caddy", binary: o.caddy, site: func(addr, dir string) string {
			return onetimeCaddyfile(home.URL(), addr, "off", dir)
		}},
	}
	for round := range o.rounds {
		for i := range sides {
			s := sides[(i+round)%2]
			addr, err := freeAddr()
			if err != nil {
				return err
			}
			dir := filepath.Join(o.dir, "start"+strconv.Itoa(round)+strconv.Itoa((i+round)%2))
			srv, err := startServer(ctx, s.binary, dir, s.site(addr, dir), addr, "HASS_TOKEN="+home.Token())
			if err != nil {
				return err
			}
			srv.stop()
			if round > 0 {
				s.times = append(s.times, srv.ready)
			}
		}
	}
	for _, s := range sides {
		slices.Sort(s.times)
		fmt.Printf("%-12s starts in %v (from %v to %v)\n", s.name, median(s.times), s.times[0].Round(time.Millisecond), s.times[len(s.times)-1].Round(time.Millisecond))
	}
	fmt.Printf("difference: %v (goal: within 100 ms)\n", median(sides[1].times)-median(sides[0].times))
	return nil
}

func median(sorted []time.Duration) time.Duration {
	return sorted[len(sorted)/2].Round(time.Millisecond)
}

// onetimeCaddyfile is a Caddyfile with a home and both sides.
func onetimeCaddyfile(home, addr, admin, dir string) string {
	return fmt.Sprintf(`{
	admin %[3]s
	auto_https off
	log {
		level ERROR
	}
	hass {
		url %[1]s
		token {env.HASS_TOKEN}
	}
	hass_onetime {
		public_url http://%[2]s
		store bbolt %[4]s/onetime.db
		house "12 Hill Street"
		contact Anna tel:+4930123456
		notify off
	}
}
http://%[2]s {
	hass_onetime
}
`, home, addr, admin, dir)
}

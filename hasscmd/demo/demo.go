// Package demo is a Home Assistant home in memory with a Caddy in front of it:
// the whole of caddy-hass, to be tried with nothing to configure and nothing
// left behind.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// Options are what can be said about a demo.
type Options struct {
	// Port to serve on; 0: 8080, or the next that is free.
	Port int

	// Host is the name or address that phones reach this machine by. Empty:
	// its address in the local network.
	Host string

	// Resets is how long things in the house stay as a guest has made them;
	// 0: for ever.
	Resets time.Duration
}

// Demo is a demo that runs. Only one can run in a process.
type Demo struct {
	Port int
	Link string // the guest's
	Host string // opens the host's side
	View string // the house, to watch

	// Local is whether other machines cannot reach it: there is no network.
	Local bool

	// Home is the home in memory.
	Home *hasstest.Home

	claim   *claim
	running bool // Caddy
	service *onetime.Service
	house   *house
	dir     string
}

// guestUses is how often the demo's link works.
const guestUses = 3

// person is who the demo's host is.
var person = onetime.Person{ID: "demo", Name: "Anna"}

// Start starts a demo: a home, a Caddy, three actions and a link.
func Start(ctx context.Context, o Options) (d *Demo, err error) {
	d = &Demo{}
	defer func() {
		if err != nil {
			d.Close()
			d = nil
		}
	}()
	if d.claim, err = claimPort(o.Port); err != nil {
		return d, err
	}
	d.Port = d.claim.port
	host := o.Host
	if host == "" {
		if host = lanAddress(); host == "" {
			host, d.Local = "localhost", true
		}
	}
	base := "http://" + net.JoinHostPort(host, strconv.Itoa(d.Port))

	// Only its owner can look into it: link key and store are in there.
	if d.dir, err = os.MkdirTemp("", "caddy-hass-demo-*"); err != nil {
		return d, err
	}
	homeListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return d, err
	}
	d.Home = hasstest.New(hasstest.WithListener(homeListener), hasstest.WithName(houseName), hasstest.WithTimeZone(localZone()))
	furnish(d.Home)
	if d.house, err = openHouse(d.Home, o.Resets); err != nil {
		return d, err
	}
	tokenFile := filepath.Join(d.dir, "home-token")
	if err = os.WriteFile(tokenFile, []byte(d.Home.Token()), 0o600); err != nil {
		return d, err
	}

	secret := rand.Text()
	cfg, err := config(settings{
		port: d.Port, base: base, dir: d.dir, secret: secret,
		home: d.Home.URL(), tokenFile: tokenFile, house: d.house.address,
	})
	if err != nil {
		return d, err
	}
	if err = caddy.Run(cfg); err != nil {
		return d, err
	}
	d.running = true
	if err = d.prepare(ctx); err != nil {
		return d, err
	}
	d.Host = base + hostPrefix + "/" + enterPath + secret
	d.View = base + housePrefix + "/"
	return d, nil
}

// prepare defines the actions and makes the guest's link, as a host would.
func (d *Demo) prepare(ctx context.Context) error {
	app, err := caddy.ActiveContext().AppIfConfigured("hass_onetime")
	if err != nil {
		return err
	}
	links := app.(*caddyonetime.App)
	if d.service, err = links.Service(ctx); err != nil {
		return err
	}
	for _, a := range actions {
		// The home may still be connecting: it is in this process, so that
		// takes milliseconds.
		if err := d.saveAction(ctx, &a); err != nil {
			return fmt.Errorf("action %s: %w", a.Name, err)
		}
	}
	uses, expires := guestUses, time.Now().Add(12*time.Hour)
	token, err := d.service.CreateToken(ctx, person, onetime.TokenSpec{
		Actions: []string{actions[0].Name},
		Guest:   "Tom",
		Comment: "Good to have you, Tom! The cake is in the kitchen.",
		UsesMax: &uses,
		Expires: &expires,
	})
	if err != nil {
		return err
	}
	d.Link, err = links.Link(d.service.Code(token))
	return err
}

// connectWithin is how long the demo's own home may take to connect.
const connectWithin = 5 * time.Second

func (d *Demo) saveAction(ctx context.Context, a *onetime.Action) error {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	for {
		_, _, err := d.service.SaveAction(ctx, person, a, 0)
		if !errors.Is(err, onetime.ErrUnreachable) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// Close ends the demo and removes all that it has written.
func (d *Demo) Close() error {
	var errs []error
	if d.house != nil {
		// First, so that streams of events do not hold up Caddy's end.
		d.house.close()
	}
	if d.running {
		errs = append(errs, caddy.Stop())
	}
	if d.Home != nil {
		d.Home.Close()
	}
	if d.claim != nil {
		errs = append(errs, d.claim.Close())
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

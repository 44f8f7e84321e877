package caddyonetime

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func TestKeptOfAnAddress(t *testing.T) {
	for _, c := range []struct{ address, mode, want string }{
		{"203.0.113.77", "", "203.0.113.77"},
		{"203.0.113.77", "full", "203.0.113.77"},
		{"203.0.113.77", "none", ""},
		{"203.0.113.77", "short", "203.0.113.0"},
		{"::ffff:203.0.113.77", "short", "203.0.113.0"},
		{"2001:db8:12:3456:789a:bcde:f012:3456", "short", "2001:db8:12::"},
		{"fe80::1%eth0", "short", "fe80::"},
		{"2001:db8:12::", "short", "2001:db8:12::"}, // once more changes nothing
		{"", "short", ""},
		{"example", "short", ""},
	} {
		if got := kept(c.address, c.mode); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.mode, c.address, got, c.want)
		}
	}
}

// Nothing that a host reads or an automation gets says more of an address than
// the configuration wants, of what was written down before a reload as of what
// is written after it.
func TestAddressesAsConfigured(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("notify off", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 9)
	where := map[string]func() string{
		"the API":      func() string { _, body := r.request("GET", "/keys/api/log"); return body },
		"the table":    func() string { _, body := r.request("GET", "/keys/api/log?format=csv"); return body },
		"the page":     func() string { _, body := r.request("GET", "/keys/log"); return body },
		"a search":     func() string { _, body := r.request("GET", "/keys/api/log?q=127.0.0.1"); return body },
		"Caddy's log":  func() string { return redemptions(r.file("caddy.log")) },
		"the database": func() string { return r.stored() },
	}
	presses := 0
	press := func() {
		t.Helper()
		presses++
		// A reload ends connections: a key makes it safe to press again.
		if status, body := r.request("POST", "/"+code, "Idempotency-Key", fmt.Sprint(presses)); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		eventually(t, "the redemption in Caddy's log", func() bool {
			return strings.Count(redemptions(r.file("caddy.log")), "\n") == presses
		})
	}
	press()
	for name, has := range where {
		if text := has(); !strings.Contains(text, "127.0.0.1") {
			t.Errorf("full: %s does not say the address: %s", name, text)
		}
	}

	before := redemptions(r.file("caddy.log"))
	r.run(r.caddyfile("notify off\naddresses short", "", ""))
	press()
	for name, has := range where {
		text := strings.TrimPrefix(has(), before)
		if name == "the database" {
			text = text[strings.LastIndex(text, "|")+1:] // what was kept before goes with its time
		}
		if strings.Contains(text, "127.0.0.1") || name != "a search" && !strings.Contains(text, "127.0.0.0") {
			t.Errorf("short: %s says %s", name, text)
		}
	}

	before = redemptions(r.file("caddy.log"))
	r.run(r.caddyfile("notify off\naddresses none", "", ""))
	press()
	for name, has := range where {
		text := strings.TrimPrefix(has(), before)
		if name == "the database" {
			text = text[strings.LastIndex(text, "|")+1:]
		}
		if strings.Contains(text, "127.0.0") {
			t.Errorf("none: %s says %s", name, text)
		}
	}
}

// redemptions are the lines of Caddy's log about redemptions.
func redemptions(log string) string {
	var lines strings.Builder
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"msg":"redemption"`) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// stored are the addresses in the database, the newest last.
func (r *rig) stored() string {
	r.t.Helper()
	var all []string
	err := r.app().held.store.View(func(tx onetime.Tx) error {
		return tx.EntriesAfter(0, func(e *onetime.Entry) bool {
			if e.What == onetime.HappenedRedemption {
				all = append(all, e.Client)
			}
			return true
		})
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Join(all, "|")
}

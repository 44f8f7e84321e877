// Package doctor examines a running Caddy with caddy-hass in it and the homes
// it serves, and says in a line each what is well, what is odd and what is
// wrong, with what to do about it.
//
// It knows no Caddy: what it examines is handed to it as a [Subject].
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Level is how well something is.
type Level string

const (
	OK   Level = "ok"
	Warn Level = "warn" // works, but not as it should, or not for everybody
	Fail Level = "fail" // does not work
)

// Finding is what came of one check.
type Finding struct {
	// Check names the check, for programs: "home.reachable" for instance.
	Check string `json:"check"`

	// Subject is what was checked, where there are several: a home's name,
	// an action's.
	Subject string `json:"subject,omitempty"`

	Level Level `json:"level"`

	// Text is what was found; Advice is what to do about it, where there is
	// something to do.
	Text   string `json:"text"`
	Advice string `json:"advice,omitempty"`

	// Said and Advised are both for people who read another language, Mistakes
	// what is wrong with an action: Said has none of it.
	Said     []onetime.Said   `json:"-"`
	Advised  []onetime.Said   `json:"-"`
	Mistakes onetime.Warnings `json:"-"`
}

// Report is everything that was found.
type Report struct {
	At       time.Time `json:"at"`
	OK       bool      `json:"ok"` // nothing failed; warnings do not count
	Findings []Finding `json:"findings"`
}

// Subject is what is examined.
type Subject struct {
	Homes      []Home
	OneTime    *OneTime // nil where the configuration has none
	Dashboards []Dashboard

	// Hosts are the names of this Caddy's own sites.
	Hosts []string

	// SendTest says to send a notification to each of its targets.
	SendTest bool

	// HTTP fetches the public URL; its redirects must not be followed. nil: a
	// client of its own, without proxy.
	HTTP *http.Client

	// LookupHost resolves names; nil: the system's resolver.
	LookupHost func(ctx context.Context, host string) ([]string, error)

	// Now is the clock; nil: time.Now. Timeout bounds each check; 0: 15 s.
	Now     func() time.Time
	Timeout time.Duration
}

const defaultTimeout = 15 * time.Second

// check is one group of checks that belong together. It obeys ctx as far as
// what it asks does.
type check struct {
	name string
	run  func(ctx context.Context) []Finding
}

// Examine runs all checks at once and reports in a fixed order. It ends soon
// after Timeout, whatever hangs.
func Examine(ctx context.Context, s Subject) Report {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Timeout == 0 {
		s.Timeout = defaultTimeout
	}
	if s.HTTP == nil {
		s.HTTP = &http.Client{
			Transport:     &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	var checks []check
	if len(s.Homes) == 0 {
		checks = append(checks, check{"home", func(context.Context) []Finding {
			return one((&Finding{Check: "home", Level: Fail, Text: "the configuration has no home",
				Advice: "Add the global option hass { url http://192.168.1.10:8123; token {env.HASS_TOKEN} }."}).
				says("missing").advises("add_global", "example", "hass { url http://192.168.1.10:8123; token {env.HASS_TOKEN} }"))
		}})
	}
	for _, h := range s.Homes {
		checks = append(checks, check{"home", func(ctx context.Context) []Finding { return s.home(ctx, h) }})
	}
	if s.OneTime == nil {
		checks = append(checks, check{"links", func(context.Context) []Finding {
			return one((&Finding{Check: "links", Level: Warn, Text: "the configuration has no links for guests (hass_onetime)",
				Advice: "Add a site with the directive hass_onetime, and the global option hass_onetime { public_url https://… }, where you want them."}).
				says("missing").advises("add_site", "example", "hass_onetime").advises("add_global", "example", "hass_onetime { public_url https://… }"))
		}})
	} else {
		checks = append(checks,
			check{"store", s.store},
			check{"link_key", s.linkKey},
			check{"actions", s.actions},
			check{"public_url", s.publicURL},
			check{"notify", s.notify},
			check{"dashboard", s.dashboards},
		)
	}

	report := Report{At: s.Now().UTC(), OK: true, Findings: []Finding{}}
	results := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { results[i] = s.bounded(ctx, c) })
	}
	wg.Wait()
	for _, findings := range results {
		for _, f := range findings {
			report.OK = report.OK && f.Level != Fail
			report.Findings = append(report.Findings, f)
		}
	}
	return report
}

// grace is how long a check may take, after its time is over, to say so itself.
const grace = time.Second

// bounded runs a check that may hang where no context reaches, as in a file
// system whose server is gone.
func (s *Subject) bounded(ctx context.Context, c check) []Finding {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() { done <- c.run(ctx) }()
	late := time.NewTimer(s.Timeout + grace)
	defer late.Stop()
	select {
	case findings := <-done:
		return findings
	case <-late.C:
		return one((&Finding{Check: c.name, Level: Fail, Text: fmt.Sprintf("this check did not end within %s", s.Timeout+grace)}).
			says("slow", "time", s.Timeout+grace))
	}
}

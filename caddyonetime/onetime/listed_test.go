package onetime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// What a query finds by the list is what its words say of the tokens themselves,
// whatever has become of them.
func TestQueriesFindWhatTheySay(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	people := []onetime.Person{anna, {ID: "u2", Name: "Ben"}}
	names := []string{"", "Tom", "Zoë", "Mülltonne"}
	for range 120 {
		w.clock.Move(time.Second)
		now := w.clock.Now()
		spec := onetime.TokenSpec{Actions: [][]string{{"light"}, {"front_door"}, {"front_door", "light"}}[r.IntN(3)], Guest: names[r.IntN(4)], Comment: names[r.IntN(4)]}
		if n := r.IntN(3); n > 0 {
			spec.UsesMax = &n
		}
		if r.IntN(3) == 0 {
			soon := now.Add(time.Duration(1+r.IntN(60)) * time.Second)
			spec.Expires = &soon
		}
		if spec.Expires == nil && r.IntN(4) == 0 {
			later := now.Add(time.Duration(1+r.IntN(300)) * time.Second)
			spec.NotBefore = &later
		}
		tok, err := w.CreateToken(t.Context(), people[r.IntN(2)], spec)
		if err != nil {
			t.Fatal(err)
		}
		for range r.IntN(3) {
			_, _ = w.Redeem(t.Context(), onetime.RedeemRequest{Code: w.Code(tok), Action: spec.Actions[0]}) // refused, some of them
		}
		if r.IntN(6) == 0 {
			yes := true
			if _, err := w.ChangeToken(t.Context(), anna, tok.ID, onetime.TokenChange{Revoked: &yes}, 0); err != nil {
				t.Fatal(err)
			}
		}
		if r.IntN(10) == 0 {
			if _, err := w.Replenish(t.Context(), anna, tok.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	all, _, err := w.Tokens(t.Context(), onetime.TokenQuery{Limit: 1000})
	if err != nil || len(all) != 120 {
		t.Fatal(len(all), err)
	}
	for _, paused := range []bool{false, true} {
		if err := w.SetPaused(t.Context(), anna, paused); err != nil {
			t.Fatal(err)
		}
		found := 0
		for range 300 {
			q := onetime.TokenQuery{Limit: 1000}
			q.Live, q.Ended = r.IntN(4) == 0, r.IntN(6) == 0
			if r.IntN(3) == 0 {
				q.Status = []onetime.Status{onetime.StatusReady, onetime.StatusScheduled, onetime.StatusExpired, onetime.StatusUsedUp, onetime.StatusRevoked, onetime.StatusPaused}[r.IntN(6)]
			}
			if r.IntN(4) == 0 {
				q.By = people[r.IntN(2)].ID
			}
			if r.IntN(4) == 0 {
				q.Action = "light"
			}
			if r.IntN(3) == 0 {
				q.Search = []string{"ZOË", " tom ", "front door", "front_door", "tonne", all[r.IntN(120)].Token.ID, "nobody"}[r.IntN(7)]
			}
			var want []string
			for _, v := range all {
				if says(q, v.Token, w.clock.Now(), paused) {
					want = append(want, v.Token.ID)
				}
			}
			found += len(want)
			var got []string
			page := q
			page.Limit = 1 + r.IntN(50)
			for more := true; more; more = page.After != "" {
				views, next, err := w.Tokens(t.Context(), page)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range views {
					got = append(got, v.Token.ID)
				}
				page.After = next
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%+v: got %v, want %v", q, got, want)
			}
		}
		if found == 0 {
			t.Error("nothing was ever found")
		}
	}
}

// says is what a query's words mean, in the simplest terms.
func says(q onetime.TokenQuery, tok *onetime.Token, now time.Time, paused bool) bool {
	titles := map[string]string{"light": "Light", "front_door": "Front door"}
	text := tok.ID + "\n" + tok.Guest + "\n" + tok.Comment
	for _, a := range tok.Actions {
		text += "\n" + a + "\n" + titles[a]
	}
	return (!q.Live || tok.Live(now)) && (!q.Ended || !tok.Live(now)) && (q.Status == "" || tok.Status(now, paused) == q.Status) &&
		(q.By == "" || tok.CreatedBy.ID == q.By) && (q.Action == "" || tok.Has(q.Action)) &&
		strings.Contains(strings.ToLower(text), strings.ToLower(strings.TrimSpace(q.Search)))
}

// BenchmarkTokens reads a page of the list of 10,000 links, none of which is live:
//
//	go test -run - -bench Tokens -benchtime 200x ./caddyonetime/onetime
func BenchmarkTokens(b *testing.B) {
	const n = 10_000
	_, s := seeded(b, n, func(t *onetime.Token) {
		t.RevokedAt, t.Comment = &t.CreatedAt, "Push hard, the door sticks. The light is on the left."
	})
	for name, q := range map[string]onetime.TokenQuery{
		"newest": {}, "live": {Live: true}, "held": {Live: true, Held: true}, "ended": {Ended: true},
		"found": {Search: "parcel"}, "not found": {Search: "nobody"}, "nobody's": {By: "nobody"},
	} {
		b.Run(fmt.Sprintf("tokens=%d/%s", n, name), func(b *testing.B) {
			q.Limit = 20
			b.ReportAllocs()
			for range b.N {
				if _, _, err := s.Tokens(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

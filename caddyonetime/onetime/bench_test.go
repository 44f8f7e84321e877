package onetime_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime/onetimetest"
)

// BenchmarkRedeem redeems durably against a home that answers at once. Run it
// with fixed work, and point TMPDIR at the disk to measure:
//
//	go test -run - -bench Redeem -benchtime 20000x ./caddyonetime/onetime
//
// A million tokens take about a minute to make; -short leaves them out.
func BenchmarkRedeem(b *testing.B) {
	for _, tokens := range []int{10, 10_000, 1_000_000} {
		if tokens > 10_000 && testing.Short() {
			continue
		}
		codes, s := seeded(b, tokens)
		for _, guests := range []int{1, 64} {
			b.Run(fmt.Sprintf("tokens=%d/guests=%d", tokens, guests), func(b *testing.B) {
				var next atomic.Int64
				done := make(chan error, guests)
				b.ReportAllocs()
				b.ResetTimer()
				for range guests {
					go func() {
						for {
							n := next.Add(1)
							if n > int64(b.N) {
								done <- nil
								return
							}
							// Spread over the whole store, as guests are.
							code := codes[int(n*7919)%len(codes)]
							r, err := s.Redeem(context.Background(), onetime.RedeemRequest{Code: code, Key: fmt.Sprint(b.N, n)})
							if err == nil && r.Outcome != onetime.OutcomeDone {
								err = fmt.Errorf("outcome %s", r.Outcome)
							}
							if err != nil {
								done <- err
								return
							}
						}
					}()
				}
				for range guests {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "redemptions/s")
			})
		}
	}
}

// BenchmarkOpen is what a page view asks of the domain.
func BenchmarkOpen(b *testing.B) {
	codes, s := seeded(b, 10_000)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		if _, err := s.Open(context.Background(), codes[n*7919%len(codes)]); err != nil {
			b.Fatal(err)
		}
	}
}

// seeded returns a Service whose store holds n tokens without limit, or as change
// makes them.
func seeded(b *testing.B, n int, change ...func(*onetime.Token)) (codes []string, s *onetime.Service) {
	b.Helper()
	dir, err := os.MkdirTemp("", "onetime-bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	store, err := boltstore.Open(filepath.Join(dir, "onetime.db"))
	if err != nil {
		b.Fatal(err)
	}
	signer := onetime.NewSigner(key)
	s, err = onetime.New(context.Background(), onetime.Config{
		Store: store, Signer: signer, Homes: onetimetest.Homes{onetime.DefaultHome: &onetimetest.Home{}},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close(context.Background()) })
	if _, _, err := s.SaveAction(context.Background(), anna, &onetime.Action{
		Name: "front_door", Definition: "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n",
	}, 0); err != nil {
		b.Fatal(err)
	}
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	created := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for from := 0; from < n; from += 10_000 {
		err := store.Update(func(tx onetime.Tx) error {
			for i := from; i < min(n, from+10_000); i++ {
				// Ids over all the range, each once, and in order: what is written out of order
				// in large pieces leaves half of the file free, which no host's store is.
				x := uint32(uint64(i) << 30 / uint64(n))
				id := make([]byte, 6)
				for j := range id {
					id[j] = alphabet[x>>(25-5*j)&31]
				}
				t := &onetime.Token{
					ID: string(id), Actions: []string{"front_door"}, Guest: "Parcel driver",
					CreatedAt: created.Add(time.Duration(i) * time.Second), CreatedBy: anna, Revision: 1,
				}
				for _, c := range change {
					c(t)
				}
				if err := tx.PutToken(t); err != nil {
					return err
				}
				codes = append(codes, signer.Code(t.ID))
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return codes, s
}

package hassclient

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/coder/websocket"
)

// atOnce is a home that answers at once, and as cheaply as it can.
func atOnce(s *session) {
	s.letIn()
	var out []byte
	for {
		_, b, err := s.ws.Read(s.ctx)
		if err != nil {
			return
		}
		out = append(out[:0], '[')
		_ = eachMessage(b, func(env *envelope) {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, `{"id":`...)
			out = strconv.AppendUint(out, env.ID, 10)
			out = append(out, `,"type":"result","success":true,"result":`+doneResult+`}`...)
		})
		if s.ws.Write(s.ctx, websocket.MessageText, append(out, ']')) != nil {
			return
		}
	}
}

// BenchmarkCallAction is a call to a home that answers at once, over one connection
// on the loopback, with so many calls in flight.
func BenchmarkCallAction(b *testing.B) {
	for _, inFlight := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("in_flight=%d", inFlight), func(b *testing.B) {
			home := newScriptedHome(b, atOnce)
			c := newTestClient(b, home.URL, nil).connected(b)
			b.ReportAllocs()
			b.SetParallelism(inFlight)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if r := c.CallAction(context.Background(), unlock); r.Outcome != Done {
						b.Errorf("%+v", r)
						return
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

func BenchmarkReadMessage(b *testing.B) {
	msg := []byte(`{"id":1234,"type":"result","success":true,"result":` + doneResult + `}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := eachMessage(msg, func(*envelope) {}); err != nil {
			b.Fatal(err)
		}
	}
}

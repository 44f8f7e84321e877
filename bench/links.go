package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// rig is a server with links, in front of a home in memory that answers at once.
type rig struct {
	*server
	home  *hasstest.Home
	addr  string
	paths []string // of the links
}

func newRig(ctx context.Context, o *options, name string, tokens int) (*rig, error) {
	r := &rig{home: hasstest.New(hasstest.ForBenchmarks(), hasstest.WithoutDelays())}
	var admin string
	var err error
	if r.addr, err = freeAddr(); err == nil {
		admin, err = freeAddr()
	}
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.dir, name)
	r.server, err = startServer(ctx, o.caddy, dir, onetimeCaddyfile(r.home.URL(), r.addr, admin, dir), r.addr, "HASS_TOKEN="+r.home.Token())
	if err != nil {
		return nil, err
	}
	return r, r.makeLinks(ctx, "http://"+admin+"/hass/api", tokens)
}

func (r *rig) close() {
	r.stop()
	r.home.Close()
}

// makeLinks makes an action and links to it, by the admin endpoint.
func (r *rig) makeLinks(ctx context.Context, api string, n int) error {
	call := func(method, path string, body any) ([]byte, error) {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, method, api+path, bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusCreated {
			err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
		}
		return answer, err
	}
	// The home may still be connecting.
	var err error
	for range 100 {
		_, err = call(http.MethodPut, "/actions/hall_light", map[string]any{
			"title":      "Switch on the light",
			"definition": "action: light.turn_on\ntarget:\n  entity_id: light.bed_light\n",
		})
		if err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return err
	}

	r.paths = make([]string, n)
	var wg sync.WaitGroup
	failed := make([]error, 64)
	for worker := range 64 {
		wg.Go(func() {
			for i := worker; i < n && failed[worker] == nil; i += 64 {
				var t struct{ URL string }
				answer, err := call(http.MethodPost, "/tokens", map[string]any{"actions": []string{"hall_light"}, "guest": "Tom " + strconv.Itoa(i), "uses_max": nil})
				if err == nil {
					err = json.Unmarshal(answer, &t)
				}
				failed[worker] = err
				r.paths[i] = t.URL[strings.LastIndexByte(t.URL, '/')+1:]
			}
		})
	}
	wg.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// measurePages asks for guests' pages, as a browser does.
func measurePages(ctx context.Context, o *options) error {
	r, err := newRig(ctx, o, "page", 10)
	if err != nil {
		return err
	}
	defer r.close()
	return r.rates(ctx, o, "page views", 15_000, func(_, i int) []byte {
		return []byte("GET /" + r.paths[i%len(r.paths)] + " HTTP/1.1\r\nHost: " + r.addr + "\r\nUser-Agent: bench\r\nAccept: text/html\r\nAccept-Language: en\r\n\r\n")
	})
}

// measureRedemptions presses, each time with a key of its own.
func measureRedemptions(ctx context.Context, o *options) error {
	for s := range strings.SplitSeq(o.tokens, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return fmt.Errorf("-tokens: %q is no number of tokens", s)
		}
		r, err := newRig(ctx, o, "redeem"+s, n)
		if err != nil {
			return err
		}
		err = r.rates(ctx, o, fmt.Sprintf("redemptions with %d tokens", n), 3_000, func(round, i int) []byte {
			return []byte("POST /" + r.paths[(i*7919)%n] + " HTTP/1.1\r\nHost: " + r.addr + "\r\nUser-Agent: bench\r\nAccept: application/json\r\nIdempotency-Key: " +
				strconv.Itoa(round) + "-" + strconv.Itoa(i) + "\r\nContent-Length: 0\r\n\r\n")
		})
		r.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// rates does the same work in each round and prints how much of it a second takes.
func (r *rig) rates(ctx context.Context, o *options, what string, goal int, request func(round, i int) []byte) error {
	var rates []int
	before, err := r.cpu()
	if err != nil {
		return err
	}
	for round := range o.rounds {
		if round == 1 {
			if before, err = r.cpu(); err != nil {
				return err
			}
		}
		took, err := send(ctx, r.addr, o.requests, o.conns, func(i int) []byte { return request(round, i) })
		if err != nil {
			return err
		}
		if round > 0 {
			rates = append(rates, int(float64(o.requests)/took.Seconds()))
		}
	}
	after, err := r.cpu()
	if err != nil {
		return err
	}
	slices.Sort(rates)
	fmt.Printf("%s: %d a second over %d connections (rounds from %d to %d; goal: %d); the server's CPU: %v each\n",
		what, rates[len(rates)/2], o.conns, rates[0], rates[len(rates)-1], goal,
		((after - before) / time.Duration((o.rounds-1)*o.requests)).Round(100*time.Nanosecond))
	return nil
}

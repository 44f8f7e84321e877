package hassclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxWatched and maxWatches bound the entities, and the subscriptions
	// for them, that are kept: each costs the home a little at every change
	// of any state. The least recently asked for go first.
	maxWatched = 4096
	maxWatches = 128
)

// State is an entity's state.
type State struct {
	EntityID string
	State    string // "locked", "on", "unavailable", …

	// Attributes are as decoded by encoding/json. They are shared: only to
	// be read.
	Attributes map[string]any

	LastChanged time.Time
	LastUpdated time.Time
}

// Available reports whether the entity answers: its state is known to the home.
func (s State) Available() bool { return s.State != "unavailable" }

// States returns the present states of entities; one that the home does not have,
// or does not show to this user, is absent. They come from a subscription
// (subscribe_entities) to just these ids, which begins when an id is first asked for
// and is kept, so that asking again asks the home nothing.
//
// Without a connection it is ErrNotConnected at once; states of an earlier connection
// are never returned. A connection whose peer has vanished without a word is noticed
// after PingInterval + Timeout at the latest.
func (c *Client) States(ctx context.Context, entityIDs ...string) (map[string]State, error) {
	return c.states.get(ctx, entityIDs)
}

// stateCache holds a watch for each set of ids that was newly wanted.
type stateCache struct {
	client *Client

	mu      sync.Mutex
	clock   uint64 // counts uses
	watches map[*watch]struct{}
	byID    map[string]*watch
}

// watch is one subscription to the states of some entities.
type watch struct {
	cache *stateCache
	sub   *Subscription
	ids   []string
	used  uint64 // the cache's clock

	mu      sync.Mutex
	conn    *conn // that states are of; nil before the first snapshot
	states  map[string]State
	changed chan struct{} // closed when conn or err changes
	err     error
}

func (sc *stateCache) init(c *Client) {
	sc.client = c
	sc.watches = make(map[*watch]struct{})
	sc.byID = make(map[string]*watch)
}

func (sc *stateCache) get(ctx context.Context, entityIDs []string) (map[string]State, error) {
	cn := sc.client.conn.Load()
	if cn == nil {
		return nil, fmt.Errorf("states: %w", sc.client.notConnected())
	}
	for {
		out, err := sc.try(ctx, cn, entityIDs)
		switch {
		case err == nil:
			return out, nil
		case !errors.Is(err, errDropped):
			return nil, fmt.Errorf("states: %w", err)
		}
	}
}

func (sc *stateCache) try(ctx context.Context, cn *conn, entityIDs []string) (map[string]State, error) {
	watches, err := sc.watch(cn, entityIDs)
	if err != nil {
		return nil, err
	}
	out := make(map[string]State, len(entityIDs))
	for _, asked := range entityIDs {
		w := watches[strings.ToLower(asked)]
		if w == nil {
			continue // no home has an entity of such an id
		}
		s, ok, err := w.get(ctx, cn, strings.ToLower(asked))
		if err != nil {
			return nil, err
		}
		if ok {
			out[asked] = s
		}
	}
	return out, nil
}

// watch returns the watch of each id that is one, and begins one for those that
// are new.
func (sc *stateCache) watch(cn *conn, entityIDs []string) (map[string]*watch, error) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.clock++
	found := make(map[string]*watch, len(entityIDs))
	var missing []string
	for _, id := range entityIDs {
		id = strings.ToLower(id)
		if _, seen := found[id]; seen || !validEntityID(id) {
			continue
		}
		w := sc.byID[id]
		if w == nil {
			missing = append(missing, id)
		} else {
			w.used = sc.clock
		}
		found[id] = w
	}
	if len(found) > maxWatched {
		return nil, fmt.Errorf("%d entities asked for at once, at most %d", len(found), maxWatched)
	}
	if len(missing) == 0 {
		return found, nil
	}
	for len(sc.byID)+len(missing) > maxWatched || len(sc.watches) >= maxWatches {
		if !sc.evict() {
			// What is in use now is never let go of: watch all of it anew.
			for _, w := range found {
				if w != nil {
					sc.drop(w)
				}
			}
			missing = slices.Collect(maps.Keys(found))
		}
	}
	body, err := command("subscribe_entities", map[string]any{"entity_ids": missing})
	if err != nil {
		return nil, err
	}
	w := &watch{cache: sc, ids: missing, used: sc.clock, changed: make(chan struct{})}
	w.sub = sc.client.newSubscription(body)
	w.sub.inline, w.sub.refused = w.take, w.refuse
	sc.watches[w] = struct{}{}
	for _, id := range missing {
		sc.byID[id] = w
		found[id] = w
	}
	c := sc.client
	c.keep(w.sub)
	// Not within the context of who asks first: the next will want it, too. If
	// the connection breaks, the next one is given it.
	c.spawn(func() { _ = w.sub.attach(cn.ctx, cn) })
	return found, nil
}

// evict lets go of the watch that has not been used for longest, but of none that
// is being used now.
func (sc *stateCache) evict() bool {
	var oldest *watch
	for w := range sc.watches {
		if w.used < sc.clock && (oldest == nil || w.used < oldest.used) {
			oldest = w
		}
	}
	if oldest == nil {
		return false
	}
	sc.drop(oldest)
	return true
}

// errDropped: others needed the place. Who waits for it has to ask again.
var errDropped = errors.New("no longer watched")

// drop is called with the cache locked.
func (sc *stateCache) drop(w *watch) {
	delete(sc.watches, w)
	for _, id := range w.ids {
		if sc.byID[id] == w {
			delete(sc.byID, id)
		}
	}
	w.end(errDropped)
	w.sub.Unsubscribe()
}

// end tells those who wait that no more comes; the first reason counts.
func (w *watch) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		w.announce()
	}
}

// refuse: the home does not take it. Who waits is told, and the next one to ask
// tries anew.
func (w *watch) refuse(err error) {
	w.end(err)
	w.cache.mu.Lock()
	defer w.cache.mu.Unlock()
	w.cache.drop(w)
}

func (w *watch) announce() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// get waits for the first snapshot on this connection.
func (w *watch) get(ctx context.Context, cn *conn, id string) (State, bool, error) {
	for {
		w.mu.Lock()
		changed, err := w.changed, w.err
		if err == nil && w.conn == cn {
			s, ok := w.states[id]
			w.mu.Unlock()
			if cn.ctx.Err() != nil {
				return State{}, false, ErrConnectionLost
			}
			return s, ok, nil
		}
		w.mu.Unlock()
		if err != nil {
			return State{}, false, err
		}
		select {
		case <-changed:
		case <-cn.ctx.Done():
			return State{}, false, ErrConnectionLost
		case <-ctx.Done():
			return State{}, false, ctx.Err()
		}
	}
}

// take reads one event of subscribe_entities. The first on each connection holds
// all states; those after it, what has changed.
func (w *watch) take(cn *conn, event json.RawMessage) {
	var ev stateEvent
	if err := json.Unmarshal(event, &ev); err != nil {
		cn.fail(fmt.Errorf("%w: states: %w", errNotAMessage, err))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != cn {
		w.conn, w.states = cn, make(map[string]State, len(w.ids))
		defer w.announce()
	}
	ev.apply(w.states)
}

// stateEvent is an event of subscribe_entities in Home Assistant's compressed form
// (websocket_api/messages.py): added, changed and removed entities.
type stateEvent struct {
	Added   map[string]compressedState `json:"a"`
	Changed map[string]stateDiff       `json:"c"`
	Removed []string                   `json:"r"`
}

type compressedState struct {
	State       *string        `json:"s"`
	Attributes  map[string]any `json:"a"`
	LastChanged *float64       `json:"lc"` // seconds since 1970
	LastUpdated *float64       `json:"lu"` // absent where it is LastChanged
}

type stateDiff struct {
	Plus compressedState `json:"+"`
	//lint:ignore SA5008 encoding/json writes the name "-" with a comma
	Minus lostAttributes `json:"-,"`
}

type lostAttributes struct {
	Attributes []string `json:"a"`
}

// apply brings states up to date. Attributes are replaced, not changed: callers
// may hold them.
func (ev *stateEvent) apply(states map[string]State) {
	for id, added := range ev.Added {
		s := State{EntityID: id}
		added.applyTo(&s)
		s.Attributes = added.Attributes
		states[id] = s
	}
	for id, diff := range ev.Changed {
		s, ok := states[id]
		if !ok {
			continue
		}
		diff.Plus.applyTo(&s)
		if len(diff.Plus.Attributes) > 0 || len(diff.Minus.Attributes) > 0 {
			attributes := make(map[string]any, len(s.Attributes)+len(diff.Plus.Attributes))
			maps.Copy(attributes, s.Attributes)
			maps.Copy(attributes, diff.Plus.Attributes)
			for _, gone := range diff.Minus.Attributes {
				delete(attributes, gone)
			}
			s.Attributes = attributes
		}
		states[id] = s
	}
	for _, id := range ev.Removed {
		delete(states, id)
	}
}

func (cs *compressedState) applyTo(s *State) {
	if cs.State != nil {
		s.State = *cs.State
	}
	if cs.LastChanged != nil {
		s.LastChanged = unixTime(*cs.LastChanged)
		s.LastUpdated = s.LastChanged
	}
	if cs.LastUpdated != nil {
		s.LastUpdated = unixTime(*cs.LastUpdated)
	}
}

func unixTime(seconds float64) time.Time {
	whole, part := math.Modf(seconds)
	if math.Abs(whole) > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(whole), int64(part*1e9)).Round(time.Microsecond).UTC()
}

// validEntityID reports whether a home can have an entity of this id (in lower
// case); Home Assistant would refuse the whole set otherwise (core.py, VALID_ENTITY_ID).
func validEntityID(id string) bool {
	domain, object, ok := strings.Cut(id, ".")
	return ok && len(id) <= 255 && validSlug(domain) && validSlug(object) && !strings.Contains(domain, "__")
}

func validSlug(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && s[0] != '_' && s[len(s)-1] != '_'
}

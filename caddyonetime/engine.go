package caddyonetime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
	"github.com/caddy-hass/caddy-hass/caddyonetime/homes"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassapp"
	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/internal/reload"
)

// settings are what an engine takes from the configuration of the day.
type settings struct {
	homes     *hassapp.App // nil where the configuration has none
	notify    []*Notify
	retention time.Duration
	addresses string
	house     string
	link      func(code string) (string, error)
	eventsOff bool
	emitter   *emitter
	storage   certmagic.Storage
	log       *slog.Logger
}

// engine is a store and all that decides about it. One is shared by all
// configurations that name the store.
type engine struct {
	key      string
	refs     int           // guarded by engines
	ready    chan struct{} // closed when it is open, or could not be opened
	err      error         // why it could not; to be read after ready
	closed   chan struct{} // closed when the store is
	settings reload.Stack[*settings]
	log      *slog.Logger

	store   onetime.Store
	service *onetime.Service
	limiter *guest.Limiter
	outbox  *outbox
	inbox   *inbox
	linkKey linkKey
	told    told // of the observer alone

	stop context.CancelFunc // ends what runs beside requests
	idle sync.WaitGroup
}

// openStore opens the engine's store and its service.
func (e *engine) openStore(ctx context.Context, module Store, first *settings) error {
	e.settings.Push(first)()
	e.log = reload.Logger(func() *slog.Logger { return e.settings.Current().log })

	store, err := module.Open(e.key)
	if err != nil {
		return err
	}
	e.store = store
	if err := e.start(ctx, first); err != nil {
		return errors.Join(err, store.Close())
	}
	return nil
}

func (e *engine) start(ctx context.Context, first *settings) error {
	signer, err := e.linkKey.load(ctx, first.storage, e.store, e.log)
	if err != nil {
		return err
	}
	e.outbox, e.inbox = newOutbox(e.log), newInbox()
	e.limiter = guest.NewLimiter(time.Now)
	e.service, err = onetime.New(ctx, onetime.Config{
		Store:   e.store,
		Signer:  signer,
		Homes:   homes.New(e.acquire),
		Address: func(client string) string { return kept(client, e.settings.Current().addresses) },
		Observe: e.observe,
		Fault:   func(msg string, err error) { e.log.Error(msg, "error", err) },
	})
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.idle.Go(func() { e.pruneDaily(background) })
	e.idle.Go(func() { e.hear(background) })
	return nil
}

// acquire returns the connection to a home of the configuration of the day. The
// engine stays open as long as it is held, so that a redemption under way is
// written down, whatever is reloaded.
func (e *engine) acquire(name string) (*hassclient.Client, func(), error) {
	app := e.settings.Current().homes
	if app == nil {
		return nil, nil, fmt.Errorf("%w: %q", onetime.ErrNoHome, name)
	}
	client, release, err := app.Acquire(name)
	if errors.Is(err, hassapp.ErrNoHome) {
		err = fmt.Errorf("%w: %q", onetime.ErrNoHome, name)
	}
	if err != nil {
		return nil, nil, err
	}
	held := engines.holdOn(e)
	return client, sync.OnceFunc(func() {
		release()
		if held {
			engines.letGo(e)
		}
	}), nil
}

// close is called when nothing refers to the engine any more. What it waits for
// is short then: no redemption is under way.
func (e *engine) close() {
	defer close(e.closed)
	e.stop()
	e.idle.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), finishWithin)
	defer cancel()
	if err := e.service.Close(ctx); err != nil {
		e.log.Error("the store was not closed as it should", "store", e.key, "error", err)
	}
	// The last entries of the log are known now: tell of them, for a moment.
	e.outbox.close()
}

// pruneEvery is how often what is older than the retention is forgotten.
const pruneEvery = 24 * time.Hour

func (e *engine) pruneDaily(ctx context.Context) {
	for {
		if err := e.service.Prune(ctx, e.settings.Current().retention); err != nil && ctx.Err() == nil {
			e.log.Error("old entries of the log could not be removed", "store", e.key, "error", err)
		}
		timer := time.NewTimer(pruneEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

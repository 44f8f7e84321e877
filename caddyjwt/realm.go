package caddyjwt

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/internal/reload"
)

const (
	// storageFolder is where Caddy's storage has what belongs to hass_login,
	// in a folder for each home: keys.json with the signing keys,
	// ended.json with the sessions that have ended early, and login.json with how cookies
	// are minted.
	storageFolder = "hass_login"

	// storagePoll is how often the storage is asked whether another Caddy has
	// changed something: a Stat each.
	storagePoll = 2 * time.Second

	// storageWithin bounds what a storage may take. The lock of a Caddy that was killed is
	// waited for: it takes certmagic up to 11 s to see that nobody holds it any more.
	storageWithin = 20 * time.Second

	// refreshEvery is how often a token of an unknown key may ask the storage.
	refreshEvery = time.Second
)

// realms holds one realm per storage and home, shared by all handlers and over
// reloads.
var realms = caddy.NewUsagePool()

// realm is one home's residents, as all Caddys on the same storage see them:
// the keys that sign their tokens, and which of their sessions have ended.
type realm struct {
	home    string
	storage reload.Stack[certmagic.Storage]
	loggers reload.Stack[*slog.Logger]
	log     *slog.Logger

	ring atomic.Pointer[ring]   // nil: there are no keys yet
	keys atomic.Pointer[KeySet] // never nil
	sessions
	accounts  atomic.Pointer[accounts] // nil: not known
	asking    sync.Mutex               // held while they are asked for
	clients   reload.Stack[*hassclient.Client]
	elsewhere atomic.Pointer[[]*Minter] // as the storage says

	used     usedStates
	problems problems
	renewals renewals
	logins   knownLogins

	unknownLogins quota // that are said to have ended

	mu        sync.Mutex // held while the storage is read or written; guards what follows
	keysSeen  certmagic.KeyInfo
	endedSeen certmagic.KeyInfo

	elsewhereSeen certmagic.KeyInfo

	unwritten bool // something has ended that could not be written down yet

	refreshed time.Time
	complaint string
	started   bool

	stop, stopped chan struct{}
}

// storageID tells storages apart without holding their settings, which may be secret.
func storageID(s certmagic.Storage) string {
	if named, ok := s.(fmt.Stringer); ok {
		return named.String()
	}
	settings, err := json.Marshal(s)
	if err != nil {
		settings = fmt.Appendf(nil, "%p", s)
	}
	return fmt.Sprintf("%T %x", s, sha256.Sum256(settings))
}

// acquireRealm returns the realm of a home. It opens nothing: start does.
func acquireRealm(storage certmagic.Storage, home string) (r *realm, release func(), err error) {
	id := storageID(storage) + "\x00" + home
	value, _, err := realms.LoadOrNew(id, func() (caddy.Destructor, error) {
		r := &realm{home: home, stop: make(chan struct{}), stopped: make(chan struct{})}
		r.loggers.Push(slog.New(slog.DiscardHandler))
		r.log = reload.Logger(r.loggers.Current).With("home", home)
		r.keys.Store(new(KeySet))
		return r, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return value.(*realm), sync.OnceFunc(func() { _, _ = realms.Delete(id) }), nil
}

// Destruct implements caddy.Destructor.
func (r *realm) Destruct() error {
	r.mu.Lock()
	started := r.started
	r.mu.Unlock()
	if started {
		close(r.stop)
		<-r.stopped
	}
	return nil
}

func (r *realm) name(file string) string { return path.Join(storageFolder, r.home, file) }

// start reads what is in the storage of a configuration. Where make is set and
// there are no keys, it makes them.
func (r *realm) start(storage certmagic.Storage, log *slog.Logger, makeKeys bool) (stop func(), err error) {
	forgetLog, forgetStorage := r.loggers.Push(log), r.storage.Push(storage)
	letGo := func() { forgetLog(); forgetStorage() }
	defer func() {
		if err != nil {
			letGo()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), storageWithin)
	defer cancel()

	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.readEnded(ctx); err != nil {
		return nil, err
	}
	// Who mints here writes it anew.
	if err := r.readElsewhere(ctx); err != nil && !makeKeys {
		return nil, err
	}
	if err := r.readKeys(ctx); err != nil {
		return nil, err
	}
	if makeKeys && r.wantsKeys(ctx) {
		if err := r.changeKeys(ctx, func(ring *ring) (bool, error) { return ring.advance(now()) }); err != nil {
			return nil, err
		}
	}
	if !r.started {
		r.started = true
		go r.poll()
	}
	return letGo, nil
}

// wantsKeys says whether there is something to be done about the keys in the storage. As a
// rule there is not, and then nobody has to wait for their lock. r.mu is held.
func (r *realm) wantsKeys(ctx context.Context) bool {
	have := r.ring.Load()
	if have == nil || !r.storage.Current().Exists(ctx, r.name("keys.json")) {
		return true
	}
	copied := ring{Keys: slices.Clone(have.Keys), Secret: have.Secret}
	due, err := copied.advance(now())
	return due || err != nil
}

// Keys implements KeySource.
func (r *realm) Keys() *KeySet { return r.keys.Load() }

// Refresh implements KeySource: another Caddy may have made a new key.
func (r *realm) Refresh() *KeySet {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started && now().Sub(r.refreshed).Abs() >= refreshEvery {
		r.refreshed = now()
		ctx, cancel := context.WithTimeout(context.Background(), storageWithin)
		defer cancel()
		r.complain(r.readKeys(ctx))
	}
	return r.keys.Load()
}

func (r *realm) poll() {
	defer close(r.stopped)
	ticker := time.NewTicker(storagePoll)
	defer ticker.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
			r.look()
		}
	}
}

// look takes over what other Caddys have changed, and rotates keys that are due.
func (r *realm) look() {
	ctx, cancel := context.WithTimeout(context.Background(), storageWithin)
	defer cancel()
	r.mu.Lock()
	ended := r.readEnded(ctx)
	// All that has ended is known here.
	if errors.Is(ended, errDamagedEnded) || ended == nil && r.unwritten {
		if ended = r.writeEnded(ctx); ended == nil {
			r.log.Info("the sessions that have ended are in the storage again")
		}
	}
	err := errors.Join(r.readKeys(ctx), ended, r.readElsewhere(ctx))
	if have := r.ring.Load(); err == nil && have != nil {
		copied := ring{Keys: slices.Clone(have.Keys), Secret: have.Secret}
		if due, e := copied.advance(now()); e == nil && due {
			err = r.changeKeys(ctx, func(ring *ring) (bool, error) { return ring.advance(now()) })
		}
	}
	r.complain(err)
	r.mu.Unlock()
	r.sweep()
}

// complain logs what is wrong with the storage, once.
func (r *realm) complain(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != r.complaint {
		r.log.Error("cannot use Caddy's storage; keys and ended sessions stay what they were", "error", err)
	}
	r.complaint = text
}

// changed says whether a file is another than info, and what it is now. One that
// is not there is the zero KeyInfo.
func (r *realm) changed(ctx context.Context, name string, seen certmagic.KeyInfo) (certmagic.KeyInfo, bool, error) {
	info, err := r.storage.Current().Stat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, seen != certmagic.KeyInfo{}, nil
	}
	if err != nil {
		return seen, false, fmt.Errorf("%s: %w", name, err)
	}
	// The clocks of file systems are coarse: one that is just being changed
	// is read again.
	fresh := now().Sub(info.Modified).Abs() < keyFileSettled
	return info, info != seen || fresh, nil
}

// readKeys takes over the keys in the storage. r.mu is held.
func (r *realm) readKeys(ctx context.Context) error {
	name := r.name("keys.json")
	info, changed, err := r.changed(ctx, name, r.keysSeen)
	if err != nil || !changed || info == (certmagic.KeyInfo{}) {
		return err // keys that are gone go on counting until somebody makes others
	}
	text, err := r.storage.Current().Load(ctx, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	ring, err := parseRing(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.keysSeen = info
	r.publish(ring)
	return nil
}

// publish makes the keys of a ring the present ones, if they are not.
func (r *realm) publish(next *ring) {
	before := r.ring.Swap(next)
	set := next.keySet()
	if before != nil {
		old := r.keys.Load()
		same := len(old.keys) == len(set.keys)
		for i := 0; same && i < len(set.keys); i++ {
			same = old.keys[i].id == set.keys[i].id && old.keys[i].retired.Equal(set.keys[i].retired)
		}
		if same {
			return
		}
	}
	r.keys.Store(set)
}

// changeKeys changes the keys under the storage's lock. r.mu is held.
func (r *realm) changeKeys(ctx context.Context, change func(*ring) (bool, error)) error {
	name := r.name("keys.json")
	storage := r.storage.Current()
	if err := storage.Lock(ctx, name); err != nil {
		return fmt.Errorf("locking %s: %w", name, err)
	}
	defer func() { _ = storage.Unlock(context.WithoutCancel(ctx), name) }()

	held := new(ring)
	text, err := storage.Load(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Keys in use that somebody has removed are not put back: that is
		// how all cookies are made worthless.
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	default:
		if held, err = parseRing(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	changed, err := change(held)
	if err != nil {
		return err
	}
	if changed {
		if text, err = json.Marshal(held); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := storage.Store(ctx, name, text); err != nil {
			return fmt.Errorf("storing %s: %w", name, err)
		}
		r.log.Info("the keys that sign cookies have changed", "keys", len(held.Keys))
	}
	r.publish(held)
	return nil
}

// readEnded takes over what has ended elsewhere. r.mu is held.
func (r *realm) readEnded(ctx context.Context) error {
	name := r.name("ended.json")
	info, changed, err := r.changed(ctx, name, r.endedSeen)
	if err != nil || !changed || info == (certmagic.KeyInfo{}) {
		return err
	}
	var stored endings
	if err := r.load(ctx, name, &stored); err != nil {
		return err
	}
	r.endedSeen = info
	if r.sessions.end(stored, now()) {
		r.unwritten = true // somebody has begun a new list
	}
	return nil
}

func (r *realm) load(ctx context.Context, name string, stored *endings) error {
	text, err := r.storage.Current().Load(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if json.Unmarshal(text, stored) != nil {
		return fmt.Errorf("%s: %w", name, errDamagedEnded)
	}
	return nil
}

var errDamagedEnded = errors.New("it is damaged; remove it, and logged-out cookies that have not expired count again")

// finish ends sessions, here at once and everywhere once it is written down.
func (r *realm) finish(ctx context.Context, what endings) error {
	r.sessions.end(what, now())
	r.sweep()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storageWithin)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.writeEnded(ctx)
	r.unwritten = err != nil
	return err
}

// writeEnded writes down what has ended. r.mu is held.
func (r *realm) writeEnded(ctx context.Context) (err error) {
	name := r.name("ended.json")
	storage := r.storage.Current()
	if storage == nil {
		return errNotStarted
	}
	if err := storage.Lock(ctx, name); err != nil {
		return fmt.Errorf("locking %s: %w", name, err)
	}
	defer func() { _ = storage.Unlock(context.WithoutCancel(ctx), name) }()
	var stored endings
	switch err := r.load(ctx, name, &stored); {
	case errors.Is(err, errDamagedEnded):
		r.log.Error("starting a new list of ended sessions", "error", err)
	case err != nil:
		return err // others may have written down what is not known here
	}
	r.sessions.end(stored, now())
	text, err := r.sessions.text(now())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := storage.Store(ctx, name, text); err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	r.unwritten = false
	return nil
}

// judge says why a session is not to be let in from an address; nil: it is.
func (r *realm) judge(s session, ip string) error {
	if r.hasEnded(s) {
		return errEnded
	}
	local := s.localOnly
	if list := r.accounts.Load(); list != nil {
		a, known := list.byID[s.user]
		// A token that is newer than the list knows better: the home has
		// just vouched for its user.
		if s.issued.Unix() < list.asked.Unix() && (!known || !a.Active || s.admin && !a.Admin()) {
			return errUser
		}
		local = local || a.LocalOnly
	}
	if local && !isLocal(ip) {
		return errAfar
	}
	return nil
}

// sweep ends the requests that are no longer to be let in.
func (r *realm) sweep() { r.sessions.sweep(r.judge) }

package caddyonetime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"sync"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// linkKeys is the folder of link keys in Caddy's storage. Each is a file of
// onetime.LinkKeyLength random bytes, named by the id of its store. Caddy's
// file storage writes 0600.
const linkKeys = "hass_onetime/link_keys"

// linkKey is the link key in use. The zero value is ready.
type linkKey struct {
	mu  sync.Mutex
	key []byte
	// lost says that a store with links had none.
	lost bool
}

// load reads the store's link key, and makes it where there is none.
func (k *linkKey) load(ctx context.Context, storage certmagic.Storage, store onetime.Store, log *slog.Logger) (*onetime.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()

	key, err := readLinkKey(ctx, storage, store.ID())
	if errors.Is(err, fs.ErrNotExist) {
		fresh := make([]byte, onetime.LinkKeyLength)
		if _, err := rand.Read(fresh); err != nil {
			return nil, fmt.Errorf("making a link key: %w", err)
		}
		var made bool
		if key, made, err = makeLinkKey(ctx, storage, store.ID(), fresh); err == nil && made {
			err = k.mourn(ctx, storage, store, log)
		}
	}
	if err != nil {
		return nil, err
	}
	k.key = key
	return onetime.NewSigner(key), nil
}

// mourn says so where there were links that the new key does not open, and where
// there was another store before: a volume that is not mounted or a file that was
// emptied looks like a beginning.
func (k *linkKey) mourn(ctx context.Context, storage certmagic.Storage, store onetime.Store, log *slog.Logger) error {
	var tokens int
	err := store.View(func(tx onetime.Tx) (err error) {
		tokens, err = tx.CountTokens()
		return err
	})
	if err != nil {
		return err
	}
	if tokens > 0 {
		k.lost = true
		log.Error("the link key of this store was not in Caddy's storage: a new one was made, and no link from before works any more. "+
			"Restore a backup (caddy hass restore) to have them back",
			"storage_key", linkKeyName(store.ID()), "links", tokens)
		return nil
	}
	keys, err := storage.List(ctx, linkKeys, false)
	switch {
	case err != nil || len(keys) < 2:
		log.Info("a new store was begun: it has no actions and no links yet", "id", store.ID())
	default:
		log.Warn("a new store was begun, and Caddy's storage has the link key of another one: "+
			"if there were links before, see that the path of store is right and its folder mounted, or restore a backup (caddy hass restore)",
			"id", store.ID())
	}
	return nil
}

// follow brings the key that is in use into the storage of a configuration that
// has come, where it has another storage than the one before.
func (k *linkKey) follow(ctx context.Context, storage certmagic.Storage, storeID string, log *slog.Logger) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, err := readLinkKey(ctx, storage, storeID)
	if errors.Is(err, fs.ErrNotExist) {
		key, _, err = makeLinkKey(ctx, storage, storeID, k.key)
	}
	if err != nil {
		return err
	}
	if string(key) != string(k.key) {
		log.Error("Caddy's storage holds another link key for this store than the one in use: "+
			"links that are made now will not work after a restart. Restart Caddy to use the one in the storage",
			"storage_key", linkKeyName(storeID))
	}
	return nil
}

// use says which key is in use from now on.
func (k *linkKey) use(key []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.key, k.lost = key, false
}

func (k *linkKey) bytes() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.key
}

// LinkKeyName is the key in Caddy's storage under which the store's link key is
// kept.
func (a *App) LinkKeyName(ctx context.Context) (string, error) {
	e, release, err := a.hold(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return linkKeyName(e.store.ID()), nil
}

// LinkKeyLost reports whether the store had links and Caddy's storage no key for
// them when the store was opened, so that those links are dead.
func (a *App) LinkKeyLost(ctx context.Context) (bool, error) {
	e, release, err := a.hold(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	e.linkKey.mu.Lock()
	defer e.linkKey.mu.Unlock()
	return e.linkKey.lost, nil
}

func linkKeyName(storeID string) string { return path.Join(linkKeys, storeID) }

// readLinkKey returns the key of a store, or an error that is fs.ErrNotExist.
func readLinkKey(ctx context.Context, storage certmagic.Storage, storeID string) ([]byte, error) {
	name := linkKeyName(storeID)
	key, err := storage.Load(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("reading the link key %s from Caddy's storage: %w", name, err)
	}
	if len(key) != onetime.LinkKeyLength {
		return nil, fmt.Errorf("the link key %s in Caddy's storage has %d bytes instead of %d: restore it from a backup, or remove it to make a new one, with which no old link works",
			name, len(key), onetime.LinkKeyLength)
	}
	return key, nil
}

// storeLinkKey puts a key of a store into the storage, in place of any other, and
// returns what puts back how it was.
func storeLinkKey(ctx context.Context, storage certmagic.Storage, storeID string, key []byte) (undo func() error, err error) {
	name := linkKeyName(storeID)
	put := func(key []byte) error {
		if err := storage.Lock(ctx, name); err != nil {
			return fmt.Errorf("locking the link key in Caddy's storage: %w", err)
		}
		defer func() { _ = storage.Unlock(context.WithoutCancel(ctx), name) }()
		if key == nil {
			return storage.Delete(ctx, name)
		}
		if err := storage.Store(ctx, name, key); err != nil {
			return fmt.Errorf("storing the link key in Caddy's storage: %w", err)
		}
		return nil
	}
	before, err := storage.Load(ctx, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the link key %s from Caddy's storage: %w", name, err)
	}
	return func() error { return put(before) }, put(key)
}

// makeLinkKey stores a key for a store that has none, and returns the one that
// is stored: that of another Caddy, if it came first.
func makeLinkKey(ctx context.Context, storage certmagic.Storage, storeID string, fresh []byte) (key []byte, made bool, err error) {
	name := linkKeyName(storeID)
	if err := storage.Lock(ctx, name); err != nil {
		return nil, false, fmt.Errorf("locking the link key in Caddy's storage: %w", err)
	}
	defer func() { _ = storage.Unlock(context.WithoutCancel(ctx), name) }()

	key, err = readLinkKey(ctx, storage, storeID)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if err := storage.Store(ctx, name, fresh); err != nil {
		return nil, false, fmt.Errorf("storing the link key in Caddy's storage: %w", err)
	}
	return fresh, true, nil
}

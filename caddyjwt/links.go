package caddyjwt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// commandLine is the type of Home Assistant's auth provider that asks a command.
const commandLine = "command_line"

// links says by which user name of Home Assistant's command_line provider a user logs in,
// by the user's id. It is what this login has linked itself.
type links map[string]string

// readLinks reads them from Caddy's storage: it is seldom that somebody wants to know.
func (r *realm) readLinks(ctx context.Context) (links, error) {
	ctx, cancel := context.WithTimeout(ctx, storageWithin)
	defer cancel()
	l := make(links)
	text, err := r.storage.Current().Load(ctx, r.name("links.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("links.json: %w", err)
	}
	if json.Unmarshal(text, &l) != nil {
		return nil, errors.New("links.json: it is damaged; remove it, and who logs in by password is linked again")
	}
	return l, nil
}

// link writes down that a user logs in by a user name.
func (r *realm) link(ctx context.Context, user, username string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storageWithin)
	defer cancel()
	name, storage := r.name("links.json"), r.storage.Current()
	if err := storage.Lock(ctx, name); err != nil {
		return fmt.Errorf("locking %s: %w", name, err)
	}
	defer func() { _ = storage.Unlock(context.WithoutCancel(ctx), name) }()
	l, err := r.readLinks(ctx)
	if err != nil {
		return err
	}
	if users := r.accounts.Load(); users != nil {
		for id := range l {
			if _, known := users.byID[id]; !known {
				delete(l, id)
			}
		}
	}
	l[user] = username
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := storage.Store(ctx, name, text); err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	return nil
}

// usernameOf is by which user name a user logs in; linked: Home Assistant knows of it. A user
// whom nobody has linked would be somebody new to it.
func (l links) usernameOf(a account) (username string, linked bool) {
	username, linked = l[a.ID]
	if !linked {
		return a.ID, false
	}
	// Home Assistant has forgotten it, as after a restored backup.
	linked = slices.ContainsFunc(a.Credentials, func(c credential) bool { return c.Type == commandLine })
	return username, linked
}

package caddyjwt

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
)

// account is a user as Home Assistant tells its administrators (config/auth/list).
type account struct {
	ID        string   `json:"id"`
	Username  string   `json:"username"`
	Name      string   `json:"name"`
	Owner     bool     `json:"is_owner"`
	Active    bool     `json:"is_active"`
	LocalOnly bool     `json:"local_only"`
	Groups    []string `json:"group_ids"`
	System    bool     `json:"system_generated"` // Home Assistant's own, for its services

	// Credentials are the ways to log in that the user has.
	Credentials []credential `json:"credentials"`
}

type credential struct {
	Type string `json:"type"` // of the auth provider
}

// Admin is what Home Assistant takes for an administrator.
func (a account) Admin() bool { return a.Owner || slices.Contains(a.Groups, "system-admin") }

// demotedTo says whether somebody may do less than before.
func (a account) demotedTo(later account) bool {
	const users = "system-users"
	return a.Admin() && !later.Admin() ||
		slices.Contains(a.Groups, users) && !slices.Contains(later.Groups, users) && !later.Admin()
}

// accounts is a home's users at one moment.
type accounts struct {
	asked time.Time
	byID  map[string]account
}

const (
	// accountsEvery is how often the users are asked for although nothing
	// is known to have happened.
	accountsEvery = time.Minute

	// accountsRetry is the same after it went wrong.
	accountsRetry = 2 * time.Second
)

// watch follows a home's users until ctx ends: who is deactivated, demoted or
// removed is out. It needs an administrator's token.
func (r *realm) watch(ctx context.Context, client *hassclient.Client) {
	told := make(chan struct{}, 1)
	var subs []*hassclient.Subscription
	defer func() {
		for _, s := range subs {
			s.Unsubscribe()
		}
	}()
	said := false
	for ctx.Err() == nil {
		changed := client.Changed()
		wait := accountsEvery
		user, connected := client.User()
		switch {
		case !connected:
			// Who was known last is still who is known.
		case !user.IsAdmin:
			r.accounts.Store(nil)
			if !said {
				said = true
				r.log.Info("the home's token is an ordinary user's: who is deactivated, demoted or removed in Home Assistant is out when the cookie expires, not at once, and " +
					"whether a user may only log in from the local network is not known. An administrator's token changes that")
			}
		default:
			said = false
			var err error
			if len(subs) == 0 {
				subs, err = subscribeUsers(ctx, client, told)
			}
			if err == nil {
				err = r.readAccounts(ctx, client)
			}
			if err != nil {
				wait = accountsRetry
				if ctx.Err() == nil && !errors.Is(err, hassclient.ErrNotConnected) && !errors.Is(err, hassclient.ErrConnectionLost) {
					r.log.Warn("cannot read the users of the home", "error", err)
				}
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-told:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func subscribeUsers(ctx context.Context, client *hassclient.Client, told chan<- struct{}) (subs []*hassclient.Subscription, err error) {
	for _, event := range []string{"user_added", "user_updated", "user_removed"} {
		s, err := client.Subscribe(ctx, map[string]any{"type": "subscribe_events", "event_type": event}, func(json.RawMessage) {
			select {
			case told <- struct{}{}:
			default:
			}
		})
		if err != nil {
			for _, s := range subs {
				s.Unsubscribe()
			}
			return nil, err
		}
		subs = append(subs, s)
	}
	return subs, nil
}

// freshAccounts asks the home who its users are now.
func (r *realm) freshAccounts(ctx context.Context) (*accounts, error) {
	client := r.clients.Current()
	if client == nil {
		return nil, errNoUsers
	}
	if user, connected := client.User(); !connected || !user.IsAdmin {
		return nil, errNoUsers
	}
	if err := r.readAccounts(ctx, client); err != nil {
		return nil, err
	}
	return r.accounts.Load(), nil
}

func (r *realm) readAccounts(ctx context.Context, client *hassclient.Client) error {
	r.asking.Lock() // an older answer is not to come after a newer one
	defer r.asking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, storageWithin)
	defer cancel()
	var list []account
	asked := now()
	if err := client.Query(ctx, "config/auth/list", nil, &list); err != nil {
		return err
	}
	next := &accounts{asked: asked, byID: make(map[string]account, len(list))}
	for _, a := range list {
		next.byID[a.ID] = a
	}
	before := r.accounts.Swap(next)
	if out := whoIsOut(before, next); len(out) > 0 {
		what := endings{Users: make(map[string]int64, len(out))}
		for _, id := range out {
			// Mint may have dated a token one second after the last time.
			what.Users[id] = max(now().Unix(), r.lastEnd(id)+1)
			r.log.Info("a user has been deactivated, demoted or removed in Home Assistant: sessions end", "user", id)
		}
		if err := r.finish(ctx, what); err != nil {
			r.log.Error("sessions have ended here, but it could not be written down", "error", err)
		}
	}
	r.sweep()
	return nil
}

// whoIsOut lists the users whose sessions end with a change of the accounts.
func whoIsOut(before, after *accounts) (out []string) {
	if before == nil {
		return nil // judge compares with what tokens say
	}
	for id, old := range before.byID {
		a, known := after.byID[id]
		if !known || old.Active && !a.Active || old.demotedTo(a) {
			out = append(out, id)
		}
	}
	return out
}

// describe says in claims what only administrators know of a user: the user name,
// null where there is none, and the groups. Where the users are not known, neither
// claim is there.
func (r *realm) describe(c map[string]any, id string) {
	delete(c, claimUsername)
	delete(c, claimGroups)
	list := r.accounts.Load()
	if list == nil {
		return
	}
	if a, known := list.byID[id]; known {
		c[claimUsername], c[claimGroups] = textOrNull(a.Username), append([]string{}, a.Groups...)
	}
}

// textOrNull is a claim that may be missing.
func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

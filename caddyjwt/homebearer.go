package caddyjwt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/hassapp"
)

// homeBearer is how a hass_jwt takes its home's own access tokens.
type homeBearer struct {
	tokens  *homeTokens
	users   *heldRealm // who has been deactivated, demoted or removed
	release func()
}

func (h *HassJWT) provisionHomeTokens(ctx caddy.Context, home string) error {
	app, err := ctx.App("hass_login")
	if err != nil {
		return err
	}
	login := app.(*LoginApp)
	if login.homes == nil {
		return errors.New("hass_tokens: there is no home to ask: add the global option hass { url …; token … }")
	}
	config, ok := login.homes.ClientConfig(home)
	if !ok {
		return fmt.Errorf("hass_tokens: home %q: %w: add the global option hass { … } for it", home, hassapp.ErrNoHome)
	}
	users, err := login.hold(home)
	if err != nil {
		return err
	}
	tokens, release, err := acquireHomeTokens(home, config)
	if err != nil {
		return fmt.Errorf("hass_tokens: %w", err)
	}
	h.homeBearer = &homeBearer{tokens: tokens, users: users, release: release}
	return nil
}

// homeTokenOf returns the first Bearer token that looks like one of a home's own, or "".
func homeTokenOf(authorization []string) string {
	for i, field := range authorization {
		if i == maxTries {
			break
		}
		if token, ok := bearerToken(field); ok {
			if _, ok := looksLikeHomeToken(token); ok {
				return token
			}
		}
	}
	return ""
}

// lookAtHome is look where the home's own tokens are taken, too. Like any Bearer token, one that
// is not good does not lock out who has a good cookie; but no service gets to see it.
func (h *HassJWT) lookAtHome(r *http.Request, v *visitor, host string) finding {
	token := homeTokenOf(v.authorization)
	if token == "" {
		return h.look(v, host, true)
	}
	f := h.readHomeToken(r, v, token)
	if !h.KeepToken {
		removeBearer(r.Header, token)
	}
	if f.who != nil {
		return f
	}
	if other := h.look(v, host, true); other.who != nil {
		return other
	}
	return f
}

func (h *HassJWT) readHomeToken(r *http.Request, v *visitor, token string) finding {
	f := finding{shown: true}
	var header http.Header
	// Where the user has been demoted since, say, the home knows better than what it said before.
	for range 2 {
		if header == nil {
			header = forwardedFor(r)
		}
		a := h.homeBearer.tokens.whose(r.Context(), token, v.ip, header)
		if a.err != nil {
			f.err = a.why()
			return f
		}
		h.homeBearer.meet(r.Context(), a)
		who, err := h.resident(a)
		if err == nil {
			if why := h.homeBearer.users.judge(who.session, v.ip); why != nil {
				err = &refusal{reason: why, subject: who.subject}
			}
		}
		if err == nil {
			f.who, f.bearer, f.answer = who, token, a
			return f
		}
		f.err = err
		if errors.Is(err, errAfar) {
			return f
		}
		h.homeBearer.tokens.forget(token, v.ip, a)
	}
	return f
}

// meet asks for the users anew where the home has vouched for one who is not among them yet.
func (b *homeBearer) meet(ctx context.Context, a *homeAnswer) {
	list := b.users.accounts.Load()
	if list == nil || !list.asked.Before(a.asked) {
		return
	}
	if _, known := list.byID[a.user.ID]; !known {
		_, _ = b.users.freshAccounts(ctx) // without, rules by name deny
	}
}

// resident says who a token of the home's is about.
func (h *HassJWT) resident(a *homeAnswer) (*identity, error) {
	c, err := h.residentClaims(a)
	if err != nil {
		return nil, err
	}
	return newIdentity(c, h.checks.rules), nil
}

// residentClaims are those that hass_login would give them.
func (h *HassJWT) residentClaims(a *homeAnswer) (*claims, error) {
	roles := []string{roleUser}
	if a.user.IsAdmin {
		roles = []string{roleAdmin, roleUser}
	}
	all := map[string]any{
		"sub": a.user.ID, "name": textOrNull(a.user.Name), "roles": roles, "is_owner": a.user.IsOwner,
		"iss": h.checks.issuer, "aud": h.checks.audience, "iat": a.asked.Unix(), "exp": a.expires.Unix(),
	}
	h.homeBearer.users.describe(all, a.user.ID)
	if list := h.homeBearer.users.accounts.Load(); list != nil {
		if account, known := list.byID[a.user.ID]; known {
			all["local_only"] = account.LocalOnly
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	c := new(claims)
	if err := c.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	return c, c.Validate()
}

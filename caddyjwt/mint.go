package caddyjwt

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-hass/caddy-hass/hassclient"
)

// officialApps are the client ids of Home Assistant's own phone apps
// (homeassistant/components/auth/indieauth.py).
var officialApps = map[string]bool{
	"https://home-assistant.io/iOS":     true,
	"https://home-assistant.io/android": true,
}

// serveToken lets Home Assistant answer a request for tokens, and adds the cookie
// where it has let a resident in.
func (h *HassLogin) serveToken(w http.ResponseWriter, r *http.Request, v *visitor, next caddyhttp.Handler) error {
	form, err := readForm(r)
	if err == nil && form.Get("action") == "revoke" {
		h.revoke(w, r, v, form.Get("token"))
		return h.pass(w, r, next)
	}
	if err != nil || !h.mints(r, form) {
		return h.pass(w, r, next)
	}
	// An answer in the clear. Without the field, Go's transport would ask for gzip.
	r.Header.Set("Accept-Encoding", "identity")
	asked := forwardedFor(r)
	origin, host, ip := originOf(r), hostOf(r), clientIP(r)

	held := hold(w)
	if err := h.pass(held, r, next); err != nil {
		held.release(nil)
		return err
	}
	header, body, began, ok := held.whole()
	if !ok {
		held.release(nil)
		return nil
	}
	ctx, cancel := context.WithDeadline(r.Context(), time.Now().Add(heldFor-now().Sub(began)))
	defer cancel()
	answer, err := readTokens(header, body)
	if err == nil {
		refresh := answer.Refresh
		if refresh == "" {
			refresh = form.Get("refresh_token")
		}
		var (
			token string
			who   Resident
		)
		if token, who, err = h.mint(ctx, answer.Access, refresh, asked, v, host, ip); err == nil {
			held.release(func(header http.Header) {
				h.minter.setCookie(header, token, host, origin.Scheme == "https", h.minter.session)
			})
			h.loggedIn(who, answer, v, host, asked)
			return nil
		}
	}
	held.release(nil)
	h.noCookie(host, err)
	return nil
}

// noCookie says why somebody has logged in without getting a cookie.
func (h *HassLogin) noCookie(host string, err error) {
	h.realm.problems.note("mint "+host, problemOf(err))
	h.logger.Warn("Home Assistant has let somebody in, but there is no cookie for it: the home did not say in time who it is, or there is no key",
		zap.Error(err))
}

// mints says whether a request for tokens is one of residents: by Home Assistant's own
// frontend or apps, and not planted by another site. Any site may send it: Home Assistant allows every origin.
func (h *HassLogin) mints(r *http.Request, form url.Values) bool {
	switch form.Get("grant_type") {
	case "authorization_code", "refresh_token":
	default:
		return false
	}
	own := originOf(r)
	if same, _ := sameOrigin(r, own); !same {
		return false
	}
	id := form.Get("client_id")
	return officialApps[id] || isOrigin(id, own)
}

// tokens is Home Assistant's answer (RFC 6749 section 5.1).
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`

	Provider string `json:"ha_auth_provider"` // the type of what the user logged in by
}

var errAnswer = errors.New("the home's answer has no access token in it")

func readTokens(header http.Header, body []byte) (t tokens, err error) {
	switch header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return t, errAnswer
		}
		if body, err = io.ReadAll(io.LimitReader(z, maxHeld)); err != nil {
			return t, errAnswer
		}
	default:
		return t, errAnswer
	}
	if json.Unmarshal(body, &t) != nil || t.Access == "" {
		return t, errAnswer
	}
	return t, nil
}

// mint asks the home whose access token it is, and makes that resident's token.
func (h *HassLogin) mint(ctx context.Context, access, refresh string, header http.Header, v *visitor, host, ip string) (token string, who Resident, err error) {
	select {
	case <-h.app.started:
	default:
		return "", who, errNotStarted
	}
	began := now()
	user, err := h.prober.WhoIs(ctx, access, header)
	if err != nil {
		return "", who, err
	}
	who = Resident{ID: user.ID, Name: user.Name, Admin: user.IsAdmin, Owner: user.IsOwner}
	if list := h.realm.accounts.Load(); list != nil {
		if a, known := list.byID[user.ID]; known {
			who.LocalOnly = &a.LocalOnly
		} else {
			// Somebody new: the list is about to say.
			who.LocalOnly = new(bool)
		}
	}
	h.warnOfDomain(host)
	h.realm.problems.note("mint "+host, "")
	token, err = h.minter.Mint(who, h.sessionFor(v, refresh, user.ID, host), began, nil, h.minter.lifetime)
	return token, who, err
}

// sessionFor goes on with the browser's session of the same login, so that logging out
// ends all of it.
func (h *HassLogin) sessionFor(v *visitor, refresh, user, host string) string {
	if found := h.reader.find(v, host); found.who != nil && found.who.subject == user {
		s := found.who.session
		if s.id != "" && (refresh == "" || loginOf(s.id) == loginID(refresh)) {
			return s.id
		}
	}
	return newSessionID(refresh)
}

// warnOfDomain says that Home Assistant is opened at a host whose cookies cannot be for the
// domain.
func (h *HassLogin) warnOfDomain(host string) {
	if h.minter.domain == "" || h.minter.covers(host) {
		return
	}
	if _, said := h.foreign.LoadOrStore(host, true); !said {
		h.logger.Warn("Home Assistant is opened at a host that is not under the cookie's domain: the cookie is for this host only",
			zap.String("host", host), zap.String("domain", h.minter.domain))
	}
}

// serveBridge mints for a page in one of the phone apps, which gets an access token
// from the app and none that it could refresh.
func (h *HassLogin) serveBridge(w http.ResponseWriter, r *http.Request, v *visitor) error {
	if same, told := sameOrigin(r, originOf(r)); !same || !told {
		return caddyhttp.Error(http.StatusForbidden, errors.New("only for pages of this site"))
	}
	form, err := readForm(r)
	if err != nil || form.Get("access_token") == "" || len(form.Get("access_token")) > maxToken {
		return caddyhttp.Error(http.StatusBadRequest, errors.New("access_token is missing"))
	}
	// Home Assistant bans an address that is wrong too often.
	if !h.bridge.allow(clientIP(r), now()) {
		w.Header().Set("Retry-After", "60")
		return caddyhttp.Error(http.StatusTooManyRequests, errors.New("too many tries"))
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*heldFor)
	defer cancel()
	host := hostOf(r)
	token, _, err := h.mint(ctx, form.Get("access_token"), "", forwardedFor(r), v, host, clientIP(r))
	switch {
	case errors.Is(err, hassclient.ErrRefused):
		return caddyhttp.Error(http.StatusForbidden, errors.New("the home does not take this token"))
	case err != nil:
		h.noCookie(host, err)
		return caddyhttp.Error(http.StatusBadGateway, errors.New("the home did not say in time whose token this is"))
	}
	h.bridge.forgive(clientIP(r))
	h.minter.setCookie(w.Header(), token, host, originOf(r).Scheme == "https", h.minter.session)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

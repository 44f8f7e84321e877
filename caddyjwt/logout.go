package caddyjwt

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// revoke ends the sessions that a request of Home Assistant's own logout is about: all of
// that login's, and the one whose cookie comes with it.
func (h *HassLogin) revoke(w http.ResponseWriter, r *http.Request, v *visitor, refreshToken string) {
	what := endings{Sessions: make(map[string]int64)}
	until := h.remember()
	// Home Assistant says 200 to any token. What nobody knows would fill the storage, so that a
	// client may only send a few of those, and all clients together some more.
	if id := loginID(refreshToken); refreshToken != "" && (h.realm.logins.has(id) || h.revokes.allow(clientIP(r), now()) && h.mayBeLogin()) {
		what.Sessions[id] = until
	}
	if same, _ := sameOrigin(r, originOf(r)); same {
		h.endCookies(v, &what, until)
		h.minter.clearCookie(w.Header(), hostOf(r), originOf(r).Scheme == "https")
	}
	h.write(r, what)
}

// mayBeLogin says whether one more login may be written down as ended that nobody here knows.
func (h *HassLogin) mayBeLogin() bool {
	ok, said := h.realm.unknownLogins.take(now())
	if !ok && !said {
		h.logger.Warn("many logouts of logins that are not known here: for an hour, more of them are not written down. Somebody may be trying to fill the storage",
			zap.Int("in_an_hour", maxUnknownLogins))
	}
	return ok
}

// remember is until when (Unix seconds) an ended session has to be remembered.
func (h *HassLogin) remember() int64 {
	longest := h.realm.longest() + h.minter.lifetime + defaultLeeway
	return now().Add(longest).Unix()
}

// endCookies adds the sessions of a request's cookies, good or expired.
func (h *HassLogin) endCookies(v *visitor, what *endings, until int64) {
	tries := 0
	for token := range cookiesNamed(v.cookie, h.minter.cookie) {
		if tries++; tries > maxTries {
			return
		}
		if c, err := h.reader.late(token); err == nil {
			if s := sessionOf(c); s.id != "" {
				what.Sessions[s.id] = until
			}
		}
	}
}

func (h *HassLogin) write(r *http.Request, what endings) {
	if len(what.Sessions) == 0 {
		return
	}
	if err := h.realm.finish(r.Context(), what); err != nil {
		h.logger.Error("a session has ended here, but it could not be written down: it would live again after a restart", zap.Error(err))
	}
}

// serveLogout ends the session of the cookie.
func (h *HassLogin) serveLogout(w http.ResponseWriter, r *http.Request, v *visitor) error {
	own := originOf(r)
	if same, _ := sameOrigin(r, own); !same {
		return caddyhttp.Error(http.StatusForbidden, errTarget)
	}
	what := endings{Sessions: make(map[string]int64)}
	h.endCookies(v, &what, h.remember())
	h.minter.clearCookie(w.Header(), hostOf(r), own.Scheme == "https")
	h.write(r, what)
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		return h.writePage(w, r, http.StatusOK, loginPage{Title: "out.title", Text: "out.text", Link: "/", LinkText: "out.link"})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

package caddyjwt

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

const (
	// maxReturns is after how many rounds to the same place somebody is told
	// what is wrong, within returnsAge seconds.
	maxReturns = 3
	returnsAge = 30
)

// target is where a request wants to go back to.
func (h *HassLogin) target(r *http.Request) (*url.URL, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errTarget
	}
	values := query["redirect_url"]
	if len(values) == 0 {
		values = []string{"/"}
	}
	if len(values) > 1 {
		return nil, errTarget
	}
	return h.targets.check(values[0], originOf(r))
}

func (h *HassLogin) refuseTarget(w http.ResponseWriter, r *http.Request) error {
	if c := h.logger.Check(zap.InfoLevel, "refused to send somebody on"); c != nil {
		asked := r.URL.Query().Get("redirect_url")
		if u, err := url.Parse(asked); err == nil {
			asked = u.Scheme + "://" + u.Host // what follows may be a secret
		}
		c.Write(zap.String("to", oneLine(asked)), zap.String("client_ip", clientIP(r)))
	}
	return h.writePage(w, r, http.StatusBadRequest, loginPage{
		Title: "target.title", Text: "target.text", Link: "/", LinkText: "target.link",
	})
}

// serveReturn sends a browser back where it came from, with a cookie.
func (h *HassLogin) serveReturn(w http.ResponseWriter, r *http.Request, v *visitor) error {
	target, err := h.target(r)
	if err != nil {
		return h.refuseTarget(w, r)
	}
	own, host := originOf(r), hostOf(r)
	found := h.reader.find(v, host)
	rounds := h.rounds(v, target)
	if found.who == nil && h.certificates != nil {
		if done, err := h.certificateReturn(w, r, target, rounds); done {
			return err
		}
	}
	if found.who != nil {
		if rounds.sent++; rounds.sent > maxReturns {
			return h.loopPage(w, r, target, h.whyRefused(target, own))
		}
		h.keepRounds(w, rounds, own)
		if found.renewed != "" {
			w = h.reader.renewing(w, r, found)
		}
		if h.stays(r, own) {
			return h.insidePage(w, r, fmt.Sprint(found.who.values["name"]))
		}
		w.Header().Set("Location", target.String())
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.WriteHeader(http.StatusFound)
		return nil
	}
	if rounds.asked++; rounds.asked > maxReturns {
		return h.loopPage(w, r, target, h.whyNoCookie(found, host))
	}
	h.keepRounds(w, rounds, own)

	ring := h.realm.ring.Load()
	if ring == nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, errNoKeys)
	}
	secret := h.browserSecret(v)
	if secret == "" {
		secret = randomID()
	}
	h.setOwn(w, h.stateCookie(), secret, int(stateLife.Seconds()), own)
	st, err := ring.newState(target.String(), secret, now())
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	again := h.returnPath(target)
	return h.writePage(w, r, http.StatusOK, loginPage{
		Title: "return.title", Text: "return.text", Link: again, LinkText: "return.link",
		Do: "return", Again: again,
		Authorize: "/auth/authorize?" + url.Values{
			"response_type": {"code"},
			"client_id":     {own.String() + "/"},
			"redirect_uri":  {own.String() + loginPath + "/callback"},
			"state":         {st},
		}.Encode(),
	})
}

// serveCallback is where Home Assistant's own login page sends people to.
func (h *HassLogin) serveCallback(w http.ResponseWriter, r *http.Request, v *visitor) error {
	ring := h.realm.ring.Load()
	if ring == nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, errNoKeys)
	}
	query := r.URL.Query()
	st, err := ring.readState(query.Get("state"), h.browserSecret(v), now())
	again := loginPath
	var target *url.URL
	if st != nil {
		var bad error
		if target, bad = h.targets.check(st.Target, originOf(r)); bad != nil {
			return h.refuseTarget(w, r) // it was one when the state was made
		}
		again = h.returnPath(target)
	}
	if err == nil && !h.realm.used.use(st, now()) {
		err = errStateUsed
	}
	if err != nil || query.Get("code") == "" {
		if err == nil {
			err = errors.New("there is no code")
		}
		h.logger.Info("somebody came back from Home Assistant's login page, but not as sent there", zap.Error(err), zap.String("client_ip", clientIP(r)))
		return h.writePage(w, r, http.StatusBadRequest, loginPage{
			Title: "state.title", Text: "state.text", Link: again, LinkText: "state.link",
		})
	}
	return h.writePage(w, r, http.StatusOK, loginPage{
		Title: "return.title", Text: "return.text", Link: again, LinkText: "return.link",
		Do: "exchange", Again: again,
	})
}

func (h *HassLogin) returnPath(target *url.URL) string {
	return loginPath + "?redirect_url=" + url.QueryEscape(target.String())
}

func (h *HassLogin) stateCookie() string  { return h.minter.cookie + "_state" }
func (h *HassLogin) roundsCookie() string { return h.minter.cookie + "_returns" }

// browserSecret is what the browser keeps so that a way back is its own.
func (h *HassLogin) browserSecret(v *visitor) string {
	for value := range cookiesNamed(v.cookie, h.stateCookie()) {
		if len(value) == len(randomID()) {
			return value
		}
	}
	return ""
}

// setOwn sets a cookie that only the login itself gets.
func (h *HassLogin) setOwn(w http.ResponseWriter, name, value string, age int, own *url.URL) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: loginPath, MaxAge: age,
		Secure: own.Scheme == "https", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// rounds counts how often a browser was here lately on its way to one place: how often it was
// sent on with a cookie, and how often it had none.
type rounds struct {
	target      string
	sent, asked int
}

func (h *HassLogin) rounds(v *visitor, target *url.URL) rounds {
	sum := sha256.Sum256([]byte(target.String()))
	n := rounds{target: base64.RawURLEncoding.EncodeToString(sum[:9])}
	for value := range cookiesNamed(v.cookie, h.roundsCookie()) {
		text, ok := strings.CutPrefix(value, n.target+".")
		if !ok {
			continue
		}
		if _, err := fmt.Sscanf(text, "%1d.%1d", &n.sent, &n.asked); err != nil {
			n.sent, n.asked = 0, 0
		}
	}
	return n
}

func (h *HassLogin) keepRounds(w http.ResponseWriter, n rounds, own *url.URL) {
	h.setOwn(w, h.roundsCookie(), fmt.Sprintf("%s.%d.%d", n.target, n.sent, n.asked), returnsAge, own)
}

// whyRefused is why a place sends people back who have a cookie.
func (h *HassLogin) whyRefused(target, own *url.URL) string {
	host := strings.ToLower(target.Hostname())
	if host != strings.ToLower(own.Hostname()) && (!h.minter.covers(host) || !h.minter.covers(strings.ToLower(own.Hostname()))) {
		return "domain"
	}
	if why := refusals.of(host); why != "" {
		return why
	}
	return "other"
}

// whyNoCookie is why somebody has none after logging in.
func (h *HassLogin) whyNoCookie(found finding, host string) string {
	switch {
	case found.shown:
		return problemOf(found.err)
	case h.realm.problems.of("mint "+host) != "":
		return "home"
	}
	return "cookie"
}

// loopPage ends going round in circles.
func (h *HassLogin) loopPage(w http.ResponseWriter, r *http.Request, target *url.URL, why string) error {
	h.logger.Warn("somebody is sent to and fro between the login and a site that does not let them in",
		zap.String("site", target.Host), zap.String("reason", why), zap.String("cookie_domain", h.minter.domain), zap.String("client_ip", clientIP(r)))
	h.setOwn(w, h.roundsCookie(), "", -1, originOf(r)) // the link below begins anew
	return h.writePage(w, r, http.StatusBadRequest, loginPage{
		Title: "loop.title", Text: "loop.text", Detail: "why." + why, Link: h.returnPath(target), LinkText: "loop.link",
	})
}

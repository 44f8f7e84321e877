package caddyjwt

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// certificateReturn answers `GET /auth/jwt_cookie` for who has no good cookie, where
// certificates are a login. done: it has.
func (h *HassLogin) certificateReturn(w http.ResponseWriter, r *http.Request, target *url.URL, n rounds) (done bool, err error) {
	own := originOf(r)
	here := h.loginHere(own)
	if r.Header.Get("Sec-Fetch-Site") != "" && viewOf(r) != viewPage {
		// A certificate comes with every request, whoever makes the browser
		// send it: it is to log in by a page that people see.
		if here {
			return false, nil
		}
		return true, caddyhttp.Error(http.StatusForbidden, errors.New("only as a page of its own"))
	}
	token, who, age, err := h.mintByCertificate(r, 0, true)
	if err != nil {
		switch {
		case errors.Is(err, errNoCertificate) && here:
			return false, nil
		case errors.Is(err, errNoCertificate) && h.certificates.login != nil:
			w.Header().Set("Location", h.elsewhere(r))
			w.Header().Set("Referrer-Policy", "no-referrer")
			w.WriteHeader(http.StatusFound)
			return true, nil
		}
		return true, h.certificatePage(w, r, target, here, err)
	}
	if n.sent++; n.sent > maxReturns {
		return true, h.loopPage(w, r, target, h.whyRefused(target, own))
	}
	h.keepRounds(w, n, own)
	h.warnOfDomain(hostOf(r))
	h.minter.setCookie(w.Header(), token, hostOf(r), own.Scheme == "https", age)
	if h.stays(r, own) {
		return true, h.insidePage(w, r, who.Name)
	}
	w.Header().Set("Location", target.String())
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusFound)
	return true, nil
}

// mintByCertificate makes a token of the user whose certificate a request comes with: one of a
// session, or one that ends with its lifetime (0: the usual one). age is how long somebody is let
// in by it.
func (h *HassLogin) mintByCertificate(r *http.Request, lifetime time.Duration, session bool) (token string, who account, age time.Duration, err error) {
	entry, who, leaf, err := h.byCertificate(r)
	fields := []zap.Field{zap.String("client_ip", clientIP(r))}
	if leaf != nil {
		sum := sha256.Sum256(leaf.Raw)
		fields = append(fields, zap.String("subject", oneLine(leaf.Subject.String())), zap.String("fingerprint", hex.EncodeToString(sum[:])))
	}
	if err != nil {
		if !errors.Is(err, errNoCertificate) {
			h.logger.Info("a client certificate lets nobody in", append(fields, zap.Error(err))...)
		}
		return "", who, 0, err
	}
	at := now()
	claims, age := entry.limits(h.minter.session, at)
	sid := ""
	if session {
		sid = newSessionID("")
	}
	if lifetime == 0 || lifetime > h.minter.lifetime {
		lifetime = h.minter.lifetime
	}
	lifetime = min(lifetime, age)
	token, err = h.minter.Mint(residentOf(who), sid, at, claims, lifetime)
	if err != nil {
		return "", who, 0, err
	}
	if !session {
		age = lifetime
	}
	h.logger.Info("somebody is let in by a client certificate", append(fields,
		zap.String("user", who.ID), zap.String("jti", tokenID(token)), zap.Duration("for", age))...)
	return token, who, age, nil
}

// loginHere says whether Home Assistant's own login is on this site, too.
func (h *HassLogin) loginHere(own *url.URL) bool {
	login := h.certificates.login
	return login != nil && isOrigin(login.Scheme+"://"+login.Host, own)
}

// stays says whether somebody has come to this address itself, and not on the way
// somewhere.
func (h *HassLogin) stays(r *http.Request, own *url.URL) bool {
	return h.certificates != nil && !h.loginHere(own) && !r.URL.Query().Has("redirect_url")
}

// elsewhere is where people without certificate log in.
func (h *HassLogin) elsewhere(r *http.Request) string {
	u := *h.certificates.login
	u.Path += loginPath
	if u.RawPath != "" {
		u.RawPath += loginPath
	}
	u.RawQuery = r.URL.RawQuery
	return u.String()
}

// certificatePage says why a certificate, or none, lets nobody in.
func (h *HassLogin) certificatePage(w http.ResponseWriter, r *http.Request, target *url.URL, here bool, why error) error {
	p := loginPage{Title: "cert.title", Text: "cert.unknown"}
	status := http.StatusForbidden
	switch {
	case errors.Is(why, errNoCertificate):
		p.Title, p.Text = "cert.none.title", "cert.none"
	case errors.Is(why, errAfar):
		p.Text = "why.afar"
	case errors.Is(why, errCertDates):
		p.Text = "cert.dates"
	case errors.Is(why, errNoUsers), errors.Is(why, errNoKeys):
		p.Title, p.Text, status = "cert.later.title", "why.home", http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "10")
		h.logger.Warn("nobody can be let in by a client certificate now", zap.Error(why))
	}
	switch {
	case here:
		// By password, at Home Assistant's login page on this site.
		p.Link, p.LinkText = "/", "target.link"
	case h.certificates.login != nil:
		p.Link, p.LinkText = h.elsewhere(r), "cert.link"
	}
	return h.writePage(w, r, status, p)
}

// insidePage is for who has come to log in and nothing else.
func (h *HassLogin) insidePage(w http.ResponseWriter, r *http.Request, name string) error {
	return h.writePage(w, r, http.StatusOK, loginPage{Title: "in.title", Text: "in.text", Who: name})
}

// serveCertificateToken hands a program with a certificate a token that it can send
// as Bearer.
func (h *HassLogin) serveCertificateToken(w http.ResponseWriter, r *http.Request, _ *visitor) error {
	// Nobody else's page may have the browser's certificate used for it.
	if same, _ := sameOrigin(r, originOf(r)); !same {
		return caddyhttp.Error(http.StatusForbidden, errors.New("only for programs"))
	}
	lifetime, err := lifetimeOf(r)
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	token, _, age, err := h.mintByCertificate(r, lifetime, false)
	switch {
	case errors.Is(err, errNoUsers), errors.Is(err, errNoKeys):
		w.Header().Set("Retry-After", "10")
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	case err != nil:
		return caddyhttp.Error(http.StatusForbidden, err)
	}
	header := w.Header()
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Vary", "Accept")
	kind, text := "text/plain; charset=utf-8", token+"\n"
	if strings.Contains(strings.ToLower(r.Header.Get("Accept")), "json") {
		// As RFC 6749 section 5.1 has it. What is in a token needs no escapes.
		kind = "application/json"
		text = `{"access_token":"` + token + `","token_type":"Bearer","expires_in":` + strconv.FormatInt(int64(age/time.Second), 10) + "}\n"
	}
	header.Set("Content-Type", kind)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	if r.Method == http.MethodHead {
		return nil
	}
	_, err = w.Write([]byte(text))
	return err
}

// lifetimeOf is what a request says of how long a token is to be good; 0: nothing.
func lifetimeOf(r *http.Request) (time.Duration, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	values := query["lifetime"]
	if err != nil || len(values) > 1 {
		return 0, errors.New("lifetime is given twice, or the query cannot be read")
	}
	if len(values) == 0 {
		return 0, nil
	}
	d, err := caddy.ParseDuration(values[0])
	if err != nil || d < time.Second {
		return 0, errors.New("lifetime is no duration of a second or more, such as 10m")
	}
	return d, nil
}

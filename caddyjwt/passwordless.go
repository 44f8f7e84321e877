package caddyjwt

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-hass/caddy-hass/hassclient"
)

// Passwordless logs who has a good cookie in to Home Assistant itself, without typing: by its
// auth provider `command_line`, whose command asks this Caddy about a secret
// that is good once and for 30 seconds (see docs/home-assistant).
//
// Home Assistant has to know that the user of the cookie is who logs in so: it is told
// (`/auth/link_user`) when that user next logs in here by password, or their browser
// refreshes its login. Until then they see Home Assistant's own login page. The home's token has to be
// an administrator's, for nobody else is told who the users are.
//
// Only Home Assistant's own frontend is logged in to so. What another application asks
// for (`client_id` of another origin, the phone apps' too) is left to Home Assistant's own page, and so
// is who has a cookie that is limited (see `client_certificate`).
type Passwordless struct {
	// Whether who is not linked gets a new user in Home Assistant, who is never an
	// administrator. Default: they see Home Assistant's own login page.
	Create bool `json:"create,omitempty"`

	// The id of the auth provider, where `configuration.yaml` gives it one.
	Provider string `json:"provider,omitempty"`
}

const (
	// authorizePath is Home Assistant's login page.
	authorizePath = "/auth/authorize"

	// ownPage in the query of authorizePath asks for Home Assistant's page itself.
	ownPage = "hass_login"

	// entryPause is how long somebody is left to Home Assistant's own page after it
	// did not take an assertion: it counts that as a failed login.
	entryPause = 5 * time.Minute

	// linkPause is the same for linking.
	linkPause = 24 * time.Hour

	// entryWindow and maxEntries bound how many assertions a user gets.
	entryWindow = time.Minute
	maxEntries  = 10

	// createdWithin is how soon after an assertion a user has logged in whom Home Assistant has
	// made for it.
	createdWithin = time.Minute
)

var errRestricted = errors.New("the cookie is limited, and a login to Home Assistant would not be")

// entries is what is known of logging in without a password. The zero value is ready.
type entries struct {
	mu     sync.Mutex
	byUser map[string]*entry
}

type entry struct {
	began  time.Time // of the window
	n      int
	last   time.Time // when the last assertion was made
	paused time.Time // until when
	said   bool      // that the user is not linked

	linking  bool
	unlinked time.Time // until when linking is not tried again
}

func (e *entries) of(user string) *entry {
	one := e.byUser[user]
	if one == nil {
		if e.byUser == nil {
			e.byUser = make(map[string]*entry)
		}
		one = new(entry)
		e.byUser[user] = one
	}
	return one
}

// may says whether a user may try now.
func (e *entries) may(user string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !now.Before(e.of(user).paused)
}

// count counts a try.
func (e *entries) count(user string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	one := e.of(user)
	if now.Sub(one.began).Abs() >= entryWindow {
		one.began, one.n = now, 0
	}
	if one.n++; one.n > maxEntries {
		return false
	}
	one.last = now
	return true
}

func (e *entries) pause(user string, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.of(user).paused = until
}

func (e *entries) triedSince(user string, at time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.of(user).last.After(at)
}

// say says whether it is the first time that a user is not linked.
func (e *entries) say(user string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	one := e.of(user)
	said := one.said
	one.said = true
	return !said
}

// provider is what a login goes by.
func (p *Passwordless) provider() hassclient.Provider {
	return hassclient.Provider{Type: commandLine, ID: p.Provider}
}

// serveAuthorize answers for Home Assistant's login page where it can be done without; done: it
// has.
func (h *HassLogin) serveAuthorize(w http.ResponseWriter, r *http.Request, v *visitor) (done bool, err error) {
	if viewOf(r) != viewPage || !ownAuthorize(r) {
		return false, nil
	}
	found := h.reader.find(v, hostOf(r))
	if found.who == nil {
		return false, nil
	}
	s := found.who.session
	if _, _, err := h.entrant(r.Context(), s, h.realm.accounts.Load()); err != nil {
		level := zap.DebugLevel
		if errors.Is(err, errNotLinked) && h.entries.say(s.user) {
			level = zap.InfoLevel
		}
		h.logger.Log(level, "somebody with a cookie sees Home Assistant's own login page", zap.Error(err), zap.String("user", s.user))
		return false, nil
	}
	query := r.URL.Query()
	query.Set(ownPage, "no")
	return true, h.writePage(w, r, http.StatusOK, loginPage{
		Title: "return.title", Text: "return.text", Link: authorizePath + "?" + query.Encode(), LinkText: "enter.link",
		Do: "enter", Again: authorizePath + "?" + query.Encode(), Provider: h.Passwordless.Provider,
	})
}

// ownAuthorize says whether somebody is asked to log in by Home Assistant's own frontend: client and
// way back are both this site.
func ownAuthorize(r *http.Request) bool {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || query.Has(ownPage) {
		return false
	}
	for _, values := range query {
		if len(values) != 1 {
			return false
		}
	}
	own := originOf(r)
	back, err := new(targets).check(query.Get("redirect_uri"), own)
	if err != nil || !isOrigin(back.Scheme+"://"+back.Host, own) || !strings.HasPrefix(query.Get("redirect_uri"), "http") {
		return false
	}
	kind := query.Get("response_type")
	return isOrigin(query.Get("client_id"), own) && (kind == "" || kind == "code")
}

var errNotLinked = errors.New("not linked yet: Home Assistant is told when they next log in by password")

// entrant returns the user of a session who may log in to Home Assistant by it, and by
// what user name.
func (h *HassLogin) entrant(ctx context.Context, s session, users *accounts) (account, string, error) {
	switch {
	case s.id == "" || s.restricted:
		return account{}, "", errRestricted
	case users == nil:
		return account{}, "", errNoUsers
	case !h.entries.may(s.user, now()):
		return account{}, "", errors.New("the last time it did not work")
	}
	a, known := users.byID[s.user]
	switch {
	case !known || a.System:
		return account{}, "", errNoUser
	case !a.Active:
		return account{}, "", errInactive
	}
	list, err := h.realm.readLinks(ctx)
	if err != nil {
		return account{}, "", err
	}
	username, linked := list.usernameOf(a)
	if !linked && !h.Passwordless.Create {
		return account{}, "", errNotLinked
	}
	return a, username, nil
}

// serveAssertion hands the page at Home Assistant's login an assertion of the cookie's
// user.
func (h *HassLogin) serveAssertion(w http.ResponseWriter, r *http.Request, v *visitor) error {
	if same, told := sameOrigin(r, originOf(r)); !same || !told {
		return caddyhttp.Error(http.StatusForbidden, errors.New("only for pages of this site"))
	}
	found := h.reader.find(v, hostOf(r))
	if found.who == nil {
		return caddyhttp.Error(http.StatusUnauthorized, found.err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*heldFor)
	defer cancel()
	s := found.who.session
	// What the home says now, not a minute ago.
	users, err := h.realm.freshAccounts(ctx)
	if err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	if err := h.realm.judge(s, clientIP(r)); err != nil {
		return caddyhttp.Error(http.StatusUnauthorized, err)
	}
	a, username, err := h.entrant(ctx, s, users)
	if err != nil {
		return caddyhttp.Error(http.StatusForbidden, err)
	}
	if !h.entries.count(s.user, now()) {
		w.Header().Set("Retry-After", "60")
		return caddyhttp.Error(http.StatusTooManyRequests, errors.New("too many tries"))
	}
	secret, err := h.realm.assert(ctx, assertion{Username: username, Name: a.Name, LocalOnly: a.LocalOnly})
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]string{"username": username, "password": secret})
}

// serveUntaken hears from the page that Home Assistant did not take an assertion.
func (h *HassLogin) serveUntaken(w http.ResponseWriter, r *http.Request, v *visitor) error {
	if same, told := sameOrigin(r, originOf(r)); !same || !told {
		return caddyhttp.Error(http.StatusForbidden, errors.New("only for pages of this site"))
	}
	found := h.reader.find(v, hostOf(r))
	form, err := readForm(r)
	if found.who == nil || err != nil {
		return caddyhttp.Error(http.StatusBadRequest, errors.New("nobody said so"))
	}
	h.entries.pause(found.who.session.user, now().Add(entryPause))
	h.untaken(h.realm.open(r.Context(), form.Get("password")), found.who.session.user)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// untaken says what may be wrong.
func (h *HassLogin) untaken(unasked bool, user string) {
	why := "its command has asked, and Home Assistant did something else with the answer; its log says what"
	if unasked {
		why = "its command has not asked this Caddy: see that `command` and `args` in auth_providers name the script, and that Home Assistant's machine reaches the address in it"
	}
	h.logger.Warn("Home Assistant did not let somebody in without password", zap.String("user", user), zap.String("reason", why))
}

// maxAsked bounds what Home Assistant's command sends: user name and password.
const maxAsked = 4 << 10

// serveCheck answers Home Assistant's command: whether an assertion is good, with what
// Home Assistant is to know of a new user. Nobody needs to be known to ask, for the answer is worth
// nothing without an assertion, and each is good once.
func (h *HassLogin) serveCheck(w http.ResponseWriter, r *http.Request, _ *visitor) error {
	if _, told := sameOrigin(r, originOf(r)); told {
		return caddyhttp.Error(http.StatusForbidden, errors.New("not for browsers"))
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsked))
	if err != nil {
		return caddyhttp.Error(http.StatusForbidden, errAssertion)
	}
	username, secret, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), "\n")
	a, err := h.realm.redeem(r.Context(), username, secret)
	if err != nil {
		if !errors.Is(err, errAssertion) {
			return caddyhttp.Error(http.StatusServiceUnavailable, err)
		}
		if c := h.logger.Check(zap.InfoLevel, "Home Assistant was asked to let somebody in who has no assertion of ours"); c != nil {
			c.Write(zap.String("client_ip", clientIP(r)))
		}
		return caddyhttp.Error(http.StatusForbidden, errAssertion)
	}
	// The first line is a comment to Home Assistant. It tells the command that nobody
	// else has answered it.
	var b strings.Builder
	b.WriteString("# caddy-hass lets in " + username + "\n")
	if name := strings.TrimSpace(oneLine(a.Name)); name != "" {
		b.WriteString("name = " + name + "\n")
	}
	// Without a group, a new user would be an administrator.
	b.WriteString("group = system-users\n")
	b.WriteString("local_only = " + strconv.FormatBool(a.LocalOnly) + "\n")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = io.WriteString(w, b.String())
	return err
}

// loggedIn links whom Home Assistant has just let in, so that they need not type the next
// time. It needs their access token, and is done when the answer has gone out.
func (h *HassLogin) loggedIn(who Resident, answer tokens, v *visitor, host string, header http.Header) {
	if h.Passwordless == nil {
		return
	}
	before := ""
	if found := h.reader.find(v, host); found.who != nil {
		before = found.who.subject
	}
	h.background.Go(func() {
		ctx, cancel := context.WithTimeout(h.ending, 30*time.Second)
		defer cancel()
		if err := h.linkNow(ctx, who.ID, before, answer, header); err != nil {
			h.logger.Warn("Home Assistant could not be told that a resident logs in without password, so they go on typing it", zap.String("user", who.ID), zap.Error(err))
		}
	})
}

func (h *HassLogin) linkNow(ctx context.Context, user, before string, answer tokens, header http.Header) error {
	done, may := h.entries.link(user, now())
	if !may {
		return nil
	}
	defer done()
	list, err := h.realm.readLinks(ctx)
	if err != nil {
		return err
	}
	// Home Assistant has made a user for the one of the cookie: they are to log in as that
	// user from now on.
	if h.Passwordless.Create && answer.Provider == commandLine && before != "" && before != user && h.entries.triedSince(before, now().Add(-createdWithin)) {
		username := list[before]
		if username == "" {
			username = before
		}
		return h.realm.link(ctx, user, username)
	}
	users := h.realm.accounts.Load()
	if users == nil {
		return nil
	}
	a, known := users.byID[user]
	if !known { // somebody new
		if users, err = h.realm.freshAccounts(ctx); err != nil {
			return nil
		}
		if a, known = users.byID[user]; !known {
			return nil
		}
	}
	username, linked := list.usernameOf(a)
	if linked || a.System || !a.Active {
		return nil
	}
	secret, err := h.realm.assert(ctx, assertion{Username: username, Name: a.Name, LocalOnly: a.LocalOnly})
	if err != nil {
		return err
	}
	err = h.prober.Link(ctx, answer.Access, h.Passwordless.provider(), map[string]string{"username": username, "password": secret}, header)
	if err != nil {
		switch {
		case errors.Is(err, hassclient.ErrNoProvider):
			h.entries.pauseLinking(user, now().Add(entryPause))
		case errors.Is(err, hassclient.ErrRefused):
			// Home Assistant may have counted it as a failed login.
			h.entries.pauseLinking(user, now().Add(linkPause))
			h.untaken(h.realm.open(ctx, secret), user)
		}
		return err
	}
	if err := h.realm.link(ctx, user, username); err != nil {
		return err
	}
	h.logger.Info("a resident can log in to Home Assistant without password from now on", zap.String("user", user))
	_, _ = h.realm.freshAccounts(ctx) // or within a minute
	return nil
}

// link says whether a user may be linked now. Nobody else does it until done.
func (e *entries) link(user string, now time.Time) (done func(), may bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	one := e.of(user)
	if one.linking || now.Before(one.unlinked) {
		return nil, false
	}
	one.linking = true
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		one.linking = false
	}, true
}

func (e *entries) pauseLinking(user string, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.of(user).unlinked = until
}

// ownPageFresh keeps browsers from showing Home Assistant's page again from memory, where ours
// would be due.
func ownPageFresh(w http.ResponseWriter) http.ResponseWriter {
	return &renewingWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		add:                   func(h http.Header) { h.Set("Cache-Control", "no-store") },
	}
}

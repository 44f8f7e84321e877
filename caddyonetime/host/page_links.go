package host

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/caddyonetime/words"
)

const (
	linksPerPage = 25
	maxTiles     = 6
)

// linksView is the first page: what a guest may do, and the links there are.
type linksView struct {
	Paused  bool
	Trouble []trouble
	Homes   []HomeStatus
	Tiles   []*onetime.Action
	Links   []*linkView

	Ended  bool // shows those that have ended
	Search string
	Next   string // address of the next page
	First  bool   // nothing was ever made
	Found  bool

	Undo  *linkView // has just been switched off
	Query string    // of this address, to come back to
}

// trouble is a press that came to nothing and waits for the host.
type trouble struct {
	ID     string
	Text   string
	Detail string
	Held   bool
}

func (r *request) linksPage() error {
	v := r.URL.Query()
	ctx := r.Context()
	l := r.lang()

	ended := v.Get("show") == "ended"
	search := strings.TrimSpace(v.Get("q"))
	if len(search) > 200 {
		search = ""
	}
	live := !ended
	views, next, err := r.tokens(tokenFilter{live: &live, search: search}, strings.ToUpper(v.Get("after")), linksPerPage)
	if err != nil {
		return err
	}
	actions, err := r.svc.Actions(ctx)
	if err != nil {
		return err
	}
	paused, err := r.svc.Paused(ctx)
	if err != nil {
		return err
	}
	d := &linksView{Paused: paused, Ended: ended, Search: search, Query: r.URL.RawQuery}
	for _, hs := range r.h.cfg.Homes() {
		if !hs.Connected {
			d.Homes = append(d.Homes, hs)
		}
	}
	for _, view := range views {
		d.Links = append(d.Links, r.linkView(l, view))
	}
	if next != "" {
		q := url.Values{"after": {next}}
		if ended {
			q.Set("show", "ended")
		}
		if search != "" {
			q.Set("q", search)
		}
		d.Next = "?" + q.Encode()
	}
	if v.Get("after") == "" && search == "" {
		if !ended {
			d.Tiles = tiles(actions, views)
		}
		if d.Trouble, err = r.troubles(l); err != nil {
			return err
		}
	}
	if len(views) == 0 && search == "" && !ended && v.Get("after") == "" {
		some, _, err := r.svc.Tokens(ctx, onetime.TokenQuery{Limit: 1, By: r.mine()})
		if err != nil {
			return err
		}
		d.First = len(some) == 0
	}
	if id := v.Get("off"); id != "" {
		if view, err := r.token(id); err == nil && view.Token.RevokedAt != nil {
			d.Undo = r.linkView(l, view)
		}
	}
	return r.render(http.StatusOK, "links.html", r.makePage("links", l.T("host.links.title"), d))
}

// tiles are the actions to make a link from, most used first.
func tiles(actions []*onetime.Action, views []*onetime.View) []*onetime.Action {
	uses := map[string]int{}
	for _, v := range views {
		for _, name := range v.Token.Actions {
			uses[name]++
		}
	}
	sorted := slices.Clone(actions)
	slices.SortStableFunc(sorted, func(a, b *onetime.Action) int { return uses[b.Name] - uses[a.Name] })
	return sorted[:min(len(sorted), maxTiles)]
}

const (
	troubleEntries = 300
	troubleAge     = 7 * 24 * time.Hour
	maxTroubles    = 5
)

// troubles looks in the newest part of the log for links whose last word is
// that a guest could not get in.
func (r *request) troubles(l *words.Language) ([]trouble, error) {
	entries, _, err := r.svc.Log(r.Context(), onetime.LogQuery{Limit: troubleEntries, By: r.mine()})
	if err != nil {
		return nil, err
	}
	now := r.h.cfg.Now()
	var list []trouble
	seen := map[string]bool{}
	for _, e := range entries {
		if len(list) == maxTroubles || now.Sub(e.At) > troubleAge {
			break
		}
		if e.Token == "" || seen[e.Token] {
			continue
		}
		switch e.What {
		case onetime.HappenedTokenRevoked, onetime.HappenedReplenished, onetime.HappenedTokenChanged:
			seen[e.Token] = true
			continue
		case onetime.HappenedRedemption:
		default:
			continue
		}
		seen[e.Token] = true
		needsHost := e.Outcome == onetime.OutcomeUnknown || e.Outcome == onetime.OutcomeRejected ||
			e.Outcome == onetime.OutcomeFailed && (e.Spent || !e.Retry)
		if !needsHost {
			continue
		}
		v, err := r.svc.Token(r.Context(), e.Token)
		if isNotFound(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		if v.Status == onetime.StatusRevoked || v.Status == onetime.StatusExpired {
			continue
		}
		kind := onetime.KindAny
		for _, a := range v.Actions {
			if a.Action.Name == e.Action {
				kind = a.Kind
			}
		}
		who := isolate(nameOf(l, v.Token))
		if v.Token.Guest == "" {
			who = l.T("host.somebody", "id", v.Token.ID)
		}
		list = append(list, trouble{
			ID: v.Token.ID, Detail: e.Message,
			Text: l.T("host.trouble."+string(e.Outcome)+"."+string(kind),
				"who", who, "title", isolate(e.Title), "at", l.At(e.At, now, r.viewZone(v))),
		})
	}
	// Restored from a backup, they wait to be let in.
	live := true
	held, _, err := r.tokens(tokenFilter{live: &live, status: onetime.StatusPaused}, "", linksPerPage)
	if err != nil {
		return nil, err
	}
	for _, v := range held {
		if v.Token.Held && len(list) < 2*maxTroubles {
			list = append(list, trouble{ID: v.Token.ID, Held: true, Text: l.T("host.trouble.held", "who", isolate(nameOf(l, v.Token)))})
		}
	}
	return list, nil
}

// linksForm does what the buttons of the first page say.
func (r *request) linksForm() error {
	if err := r.form(); err != nil {
		return err
	}
	back := []string{}
	if q, err := url.ParseQuery(r.PostForm.Get("back")); err == nil {
		for _, name := range []string{"show", "q", "after"} {
			back = append(back, name, q.Get(name))
		}
	}
	op := r.PostForm.Get("op")
	switch op {
	case "pause", "resume":
		if !r.visitor.Manage {
			return errNotManager
		}
		if err := r.svc.SetPaused(r.Context(), r.visitor.Person, op == "pause"); err != nil {
			return err
		}
		return r.redirect("./", back...)
	}
	v, err := r.token(r.PostForm.Get("id"))
	if err != nil {
		return err
	}
	if err := r.tokenOp(v, op); err != nil {
		return err
	}
	if op == "revoke" {
		back = append(back, "off", v.Token.ID)
	}
	return r.redirect("./", back...)
}

// tokenOp does what a button says that stands beside a link.
func (r *request) tokenOp(v *onetime.View, op string) error {
	ctx, by, id := r.Context(), r.visitor.Person, v.Token.ID
	switch op {
	case "revoke", "unrevoke":
		revoked := op == "revoke"
		_, err := r.svc.ChangeToken(ctx, by, id, onetime.TokenChange{Revoked: &revoked}, 0)
		return err
	case "replenish":
		_, err := r.svc.Replenish(ctx, by, id, nil)
		return err
	case "again":
		_, err := r.svc.Replenish(ctx, by, id, oneMore(v))
		return err
	case "clear":
		// What is left stays; that somebody has looked is written down.
		left := mostLeft(v)
		if left != nil && *left == 0 {
			_, err := r.svc.ChangeToken(ctx, by, id, onetime.TokenChange{Guest: &v.Token.Guest}, 0)
			return err
		}
		_, err := r.svc.Replenish(ctx, by, id, left)
		return err
	}
	return badField("op", "is not one of the buttons.")
}

// mostLeft is what is left of the action that has most left; nil is any number.
func mostLeft(v *onetime.View) *int {
	if v.Token.UsesMax == nil {
		return nil
	}
	most := 0
	for _, a := range v.Actions {
		most = max(most, *a.Left)
	}
	return &most
}

// oneMore lets a guest try once where nothing is left, and takes nothing away.
func oneMore(v *onetime.View) *int {
	most := mostLeft(v)
	if most == nil {
		return nil
	}
	n := max(1, min(*most+1, *v.Token.UsesMax))
	return &n
}

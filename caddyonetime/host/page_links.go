package host

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/guest"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

const (
	linksPerPage = 20
	maxTiles     = 6

	// Links that were used up so recently stay in the list of live ones, so that their
	// host sees that they were pressed: so many at most.
	justUsed    = 12 * time.Hour
	maxJustUsed = 5

	// recentTokens is how many of the newest links say which actions are used
	// most, who makes links, and whom for.
	recentTokens = 200
)

// linksView is the first page: what a guest may do, and the links there are.
type linksView struct {
	Trouble []trouble
	Homes   []homeNotice
	Tiles   []tile
	Links   []*linkView

	Ended   bool // shows those that have ended
	Search  string
	Action  string
	Maker   string
	Actions []*onetime.Action // to filter by
	Makers  []onetime.Person
	Filter  bool // any of the filters is on

	Select     bool // several at once
	LiveAt     string
	EndedAt    string
	SelectAt   string
	UnselectAt string
	ClearAt    string

	Next  string // address of the next page
	First bool   // nothing was ever made

	Undo  *undo
	Query string // of this address, to come back to
}

// tile is an action to make a link for, with the icon that its guest sees.
type tile struct {
	Name, Title string
	Icon        template.HTML
}

// undo is what has just been switched off.
type undo struct {
	Text string
	IDs  []string
}

// trouble is a press that came to nothing and waits for the host.
type trouble struct {
	ID     string
	Text   string
	Detail string
	Held   bool
}

// listQuery are the parameters of the first page that say which links it shows.
var listQuery = []string{"show", "q", "action", "by", "after", "select"}

// listAddress is the address of the first page with these parameters changed,
// pairs of name and value. It begins anew: after is not kept.
func listAddress(q url.Values, change ...string) string {
	to := url.Values{}
	for _, name := range listQuery {
		if v := q.Get(name); v != "" && name != "after" {
			to.Set(name, v)
		}
	}
	for i := 0; i+1 < len(change); i += 2 {
		if to.Set(change[i], change[i+1]); change[i+1] == "" {
			to.Del(change[i])
		}
	}
	if len(to) == 0 {
		return "./"
	}
	return "./?" + to.Encode()
}

func (r *request) linksPage() error {
	q := r.URL.Query()
	ctx := r.Context()
	l := r.lang()

	d := &linksView{
		Ended: q.Get("show") == "ended", Search: strings.TrimSpace(q.Get("q")),
		Action: q.Get("action"), Select: q.Get("select") != "", Query: r.URL.RawQuery,
		LiveAt: listAddress(q, "show", ""), EndedAt: listAddress(q, "show", "ended"),
		SelectAt: listAddress(q, "select", "1"), UnselectAt: listAddress(q, "select", ""),
		ClearAt: listAddress(q, "q", "", "action", "", "by", ""),
	}
	if r.visitor.Manage {
		d.Maker = q.Get("by")
	}
	if len(d.Search) > 200 {
		d.Search = ""
	}
	d.Filter = d.Search != "" || d.Action != "" || d.Maker != ""
	plain := !d.Filter && q.Get("after") == ""

	live, yes := !d.Ended, true
	f := tokenFilter{live: &live, search: d.Search, action: d.Action, maker: d.Maker}
	views, next, err := r.tokens(f, strings.ToUpper(q.Get("after")), linksPerPage)
	if err != nil {
		return err
	}
	if next != "" {
		d.Next = listAddress(q, "after", next)
	}
	d.Homes = r.homeNotices()
	recent, _, err := r.svc.Tokens(ctx, onetime.TokenQuery{Limit: recentTokens, By: r.mine()})
	if err != nil {
		return err
	}
	shown := views
	if plain && !d.Ended && !d.Select {
		shown = withJustUsed(views, recent, r.h.cfg.Now())
	}
	for _, view := range shown {
		d.Links = append(d.Links, r.linkView(l, view))
	}
	d.First = len(recent) == 0
	if d.Actions, err = r.svc.Actions(ctx); err != nil {
		return err
	}
	if plain && !d.Ended && !d.Select {
		sorted := byUse(d.Actions, recent)
		for _, a := range sorted[:min(len(sorted), maxTiles)] {
			kind, _ := r.svc.Describe(a)
			d.Tiles = append(d.Tiles, tile{a.Name, a.Title, guest.IconOf(a, kind)})
		}
	}
	if plain {
		held := views
		if d.Ended || next != "" {
			if held, _, err = r.tokens(tokenFilter{live: &yes, held: true}, "", linksPerPage); err != nil {
				return err
			}
		}
		if d.Trouble, err = r.troubles(l, held); err != nil {
			return err
		}
	}
	if r.visitor.Manage {
		d.Makers = makers(recent, d.Maker)
	}
	d.Undo = r.undoOf(l, q.Get("off"))
	return r.render(http.StatusOK, "links.html", r.makePage("links", l.T("host.links.title"), d))
}

// withJustUsed adds to live links those that were used up a moment ago, newest first.
func withJustUsed(live, recent []*onetime.View, now time.Time) []*onetime.View {
	var added []*onetime.View
	for _, v := range recent {
		if v.Status == onetime.StatusUsedUp && now.Sub(lastUse(v)) < justUsed && !slices.ContainsFunc(live, func(o *onetime.View) bool { return o.Token.ID == v.Token.ID }) {
			added = append(added, v)
		}
	}
	slices.SortStableFunc(added, func(a, b *onetime.View) int { return lastUse(b).Compare(lastUse(a)) })
	all := append(added[:min(len(added), maxJustUsed)], live...)
	slices.SortStableFunc(all, func(a, b *onetime.View) int { return b.Token.CreatedAt.Compare(a.Token.CreatedAt) })
	return all
}

// lastUse is when a link was pressed last; the zero time for one that never was.
func lastUse(v *onetime.View) (last time.Time) {
	for _, a := range v.Actions {
		if at := a.Use.LastAt; at != nil && at.After(last) {
			last = *at
		}
	}
	return last
}

// tiles are the actions that the visitor may share, most used first.
func (r *request) tiles() ([]*onetime.Action, error) {
	actions, err := r.svc.Actions(r.Context())
	if err != nil {
		return nil, err
	}
	recent, _, err := r.svc.Tokens(r.Context(), onetime.TokenQuery{Limit: recentTokens, By: r.mine()})
	if err != nil {
		return nil, err
	}
	return byUse(actions, recent), nil
}

// byUse sorts actions by how many of the recent links have them.
func byUse(actions []*onetime.Action, recent []*onetime.View) []*onetime.Action {
	uses := map[string]int{}
	for _, v := range recent {
		for _, name := range v.Token.Actions {
			uses[name]++
		}
	}
	sorted := slices.Clone(actions)
	slices.SortStableFunc(sorted, func(a, b *onetime.Action) int { return uses[b.Name] - uses[a.Name] })
	return sorted
}

// makers are the people who made the recent links, if they are several, and
// the one who is asked for.
func makers(recent []*onetime.View, asked string) []onetime.Person {
	var list []onetime.Person
	has := func(id string) bool {
		return slices.ContainsFunc(list, func(p onetime.Person) bool { return p.ID == id })
	}
	for _, v := range recent {
		if by := v.Token.CreatedBy; by.ID != "" && !has(by.ID) {
			list = append(list, by)
		}
	}
	if asked != "" && !has(asked) {
		list = append(list, onetime.Person{ID: asked})
	}
	if len(list) < 2 && asked == "" {
		return nil
	}
	slices.SortFunc(list, func(a, b onetime.Person) int {
		return strings.Compare(strings.ToLower(cmp.Or(a.Name, a.ID)), strings.ToLower(cmp.Or(b.Name, b.ID)))
	})
	return list
}

// undoOf says what has just been switched off: the ids, joined by commas.
func (r *request) undoOf(l *words.Language, off string) *undo {
	u := &undo{}
	var name string
	for i, id := range strings.Split(off, ",") {
		if i == linksPerPage {
			break
		}
		if v, err := r.token(id); id != "" && err == nil && v.Token.RevokedAt != nil {
			u.IDs = append(u.IDs, v.Token.ID)
			name = nameOf(l, v.Token)
		}
	}
	switch len(u.IDs) {
	case 0:
		return nil
	case 1:
		u.Text = l.T("host.was_revoked", "name", isolate(name))
	default:
		u.Text = l.N("host.links.were_revoked", len(u.IDs))
	}
	return u
}

const (
	troubleEntries = 300
	troubleAge     = 7 * 24 * time.Hour
	maxTroubles    = 5
)

// troubles looks in the newest part of the log for links whose last word is
// that a guest could not get in. Of the live ones it takes those that wait.
func (r *request) troubles(l *words.Language, live []*onetime.View) ([]trouble, error) {
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
	for _, v := range live {
		if v.Token.Held && len(list) < 2*maxTroubles {
			list = append(list, trouble{ID: v.Token.ID, Held: true, Text: l.T("host.trouble.held", "who", isolate(nameOf(l, v.Token)))})
		}
	}
	return list, nil
}

// linksForm does what the buttons of the first page say, with one link or with
// several.
func (r *request) linksForm() error {
	if err := r.form(); err != nil {
		return err
	}
	back := []string{}
	if q, err := url.ParseQuery(r.PostForm.Get("back")); err == nil {
		for _, name := range listQuery {
			back = append(back, name, q.Get(name))
		}
	}
	op, ids := r.PostForm.Get("op"), r.PostForm["id"]
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
	if len(ids) > linksPerPage {
		return badField("id", "names more links than one page shows.").Says("too_many", "n", linksPerPage)
	}
	if len(ids) == 0 && r.PostForm.Get("several") != "" {
		return r.redirect("./", back...)
	}
	// All of them are looked at before the first is changed.
	views := make([]*onetime.View, max(1, len(ids)))
	for i := range views {
		id := ""
		if len(ids) > 0 {
			id = ids[i]
		}
		var err error
		if views[i], err = r.token(id); err != nil {
			return err
		}
	}
	var off []string
	for _, v := range views {
		if op == "extend" && v.Token.Expires == nil {
			continue // it has no end to put off
		}
		if err := r.tokenOp(v, op); err != nil {
			return err
		}
		off = append(off, v.Token.ID)
	}
	if op == "revoke" {
		back = append(back, "off", strings.Join(off, ","))
	}
	return r.redirect("./", back...)
}

// tokenOp does what a button says that stands beside a link.
func (r *request) tokenOp(v *onetime.View, op string) error {
	ctx, by, id := r.Context(), r.visitor.Person, v.Token.ID
	switch op {
	case "revoke", "unrevoke":
		revoked := op == "revoke"
		if err := r.mayRevoke(v.Token, revoked); err != nil {
			return err
		}
		_, err := r.svc.ChangeToken(ctx, by, id, onetime.TokenChange{Revoked: &revoked}, 0)
		return err
	case "replenish":
		_, err := r.svc.Replenish(ctx, by, id, nil)
		return err
	case "extend":
		return r.extend(v, r.PostForm.Get("by"))
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
	return badField("op", "is not one of the buttons.").Says("choose")
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

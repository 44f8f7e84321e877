package host

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// logPerPage is how many entries a page of the log has.
const logPerPage = 50

// logView is a page of the log.
type logView struct {
	Rows   []logRow
	Q      string
	Token  string
	Name   string // of the token's guest
	Next   string // address of the next page
	Newest string // of the first page
	Follow bool   // the page goes on with what happens next
	Last   uint64 // seq of the newest entry there is
	Events string // what the stream calls all that can happen
	CSV    string
	JSON   string
}

// logRow is an entry in the words of the visitor's language.
type logRow struct {
	Seq      uint64
	At       string
	DateTime string
	Icon     string
	Amber    bool // somebody should look
	Text     string
	Who      string // the guest
	Token    string
	Detail   string
	Took     string
	Address  string
	By       string
}

func (r *request) logPage() error {
	l, v := r.lang(), r.URL.Query()
	d := &logView{Q: v.Get("q"), Token: strings.ToUpper(v.Get("token"))}
	before, _ := strconv.ParseUint(v.Get("before"), 10, 64)
	lq, err := r.logQuery(before, d.Token)
	if err != nil {
		return err
	}
	// Before reading, so that what happens meanwhile comes as news.
	last, err := r.svc.LastEntry(r.Context())
	if err != nil {
		return err
	}
	entries, next, err := r.entries(r.Context(), lq, d.Q, logPerPage)
	if err != nil {
		return err
	}
	now := r.h.cfg.Now()
	for i := range entries {
		row := r.logRow(l, &entries[i], now)
		d.Rows = append(d.Rows, row)
		if d.Token != "" && d.Name == "" {
			d.Name = row.Who
		}
	}
	filter := url.Values{}
	if d.Q != "" {
		filter.Set("q", d.Q)
	}
	if d.Token != "" {
		filter.Set("token", d.Token)
	}
	d.JSON = "api/log?" + with(filter, "limit", "1000")
	d.CSV = "api/log?" + with(filter, "format", "csv")
	if next != 0 {
		d.Next = "log?" + with(filter, "before", strconv.FormatUint(next, 10))
	}
	if before != 0 {
		d.Newest = "log"
		if len(filter) > 0 {
			d.Newest += "?" + filter.Encode()
		}
	} else {
		d.Follow, d.Last, d.Events = true, last, happenings
	}
	return r.render(http.StatusOK, "log.html", r.makePage("log", l.T("log.title"), d))
}

// happenings are the names of all events of the stream.
var happenings = strings.Join([]string{
	string(onetime.HappenedRedemption), string(onetime.HappenedRefusal), string(onetime.HappenedTokenCreated), string(onetime.HappenedTokenChanged),
	string(onetime.HappenedTokenRevoked), string(onetime.HappenedTokenRestored), string(onetime.HappenedReplenished), string(onetime.HappenedActionSaved),
	string(onetime.HappenedActionDeleted), string(onetime.HappenedActionTried), string(onetime.HappenedPaused), string(onetime.HappenedResumed),
	string(onetime.HappenedBackupLoaded), string(onetime.HappenedCredentialCreated), string(onetime.HappenedCredentialRevoked),
}, " ")

// with is a query with one more parameter.
func with(v url.Values, name, value string) string {
	more := url.Values{name: {value}}
	for n := range v {
		more[n] = v[n]
	}
	return more.Encode()
}

var logIcons = map[onetime.Happening]string{
	onetime.HappenedRefusal:       "question",
	onetime.HappenedTokenCreated:  "link",
	onetime.HappenedTokenRevoked:  "off",
	onetime.HappenedTokenRestored: "check",
	onetime.HappenedReplenished:   "plus",
	onetime.HappenedPaused:        "pause",
	onetime.HappenedActionSaved:   "bolt",
	onetime.HappenedActionDeleted: "off",
}

func (r *request) logRow(l *words.Language, e *onetime.Entry, now time.Time) logRow {
	zone := r.zone(e.Home)
	row := logRow{
		Seq: e.Seq, At: l.Time(e.At, now, zone), DateTime: e.At.In(zone).Format(time.RFC3339),
		Icon: cmp.Or(logIcons[e.What], "clock"), Detail: e.Message, Token: e.Token, Address: e.Client, By: cmp.Or(e.By.Name, e.By.ID),
	}
	if e.Token != "" {
		row.Who = cmp.Or(shorten(e.Guest, 60), shorten(e.Comment, 60), l.T("host.link_id", "id", e.Token))
	}
	title := isolate(cmp.Or(e.Title, e.Action))
	switch e.What {
	case onetime.HappenedRedemption, onetime.HappenedActionTried:
		row.Text = l.T("host.event.redemption", "title", title, "outcome", l.T("host.outcome."+outcomeKey(e.Outcome)))
		if e.What == onetime.HappenedActionTried {
			row.Who = l.T("log.tried")
		}
		switch e.Outcome {
		case onetime.OutcomeDone:
			row.Icon = "check"
		case onetime.OutcomeRunning, onetime.OutcomePending:
			row.Icon = "clock"
		default:
			row.Icon, row.Amber = "alert", true
		}
		if e.DurationMS > 0 {
			row.Took = l.T("log.took", "s", l.Decimal(float64(e.DurationMS)/1000))
		}
	case onetime.HappenedRefusal:
		row.Text = l.T("host.event.refusal", "status", l.T("host.status."+string(e.Status)))
	default:
		row.Text = strings.ReplaceAll(string(e.What), "_", " ")
		for _, key := range []string{"host.event.", "log.event."} {
			if key += string(e.What); l.Has(key) {
				row.Text = l.T(key, "title", title)
			}
		}
	}
	return row
}

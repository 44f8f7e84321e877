package host

import (
	"cmp"
	"context"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// logBatch is how many entries are read at a time where all are looked through.
const logBatch = 1000

func (r *request) log() error {
	q := r.query()
	before := q.number("before", 1, 1<<63-1)
	limit := int(q.number("limit", 1, maxPage))
	token := strings.ToUpper(q.text("token"))
	search := q.text("q")
	format := q.text("format")
	if err := q.end(); err != nil {
		return err
	}
	if format != "" && format != "json" && format != "csv" {
		return badField("format", "must be json or csv.")
	}
	lq, err := r.logQuery(before, token)
	if err != nil {
		return err
	}
	if format == "csv" {
		return r.logCSV(lq, search, limit)
	}
	entries, next, err := r.entries(r.Context(), lq, search, cmp.Or(limit, defaultPage))
	if err != nil {
		return err
	}
	if entries == nil {
		entries = []onetime.Entry{}
	}
	var more *uint64
	if next != 0 {
		more = &next
	}
	return r.reply(http.StatusOK, map[string]any{"entries": entries, "next": more})
}

// logQuery is what the visitor may see of the log.
func (r *request) logQuery(before uint64, token string) (onetime.LogQuery, error) {
	lq := onetime.LogQuery{Before: before, Token: token, By: r.mine()}
	if token != "" && !r.visitor.Manage {
		if _, err := r.token(token); err != nil {
			return lq, err
		}
		lq.By = "" // all of one's own link, whoever did it
	}
	return lq, nil
}

// entries reads up to limit entries in which every word of search occurs. next
// is where the next page begins, 0 at the end.
func (r *request) entries(ctx context.Context, lq onetime.LogQuery, search string, limit int) (found []onetime.Entry, next uint64, err error) {
	words := strings.Fields(strings.ToLower(search))
	if len(words) == 0 {
		lq.Limit = limit
		return r.svc.Log(ctx, lq)
	}
	lq.Limit = logBatch
	for {
		batch, more, err := r.svc.Log(ctx, lq)
		if err != nil {
			return nil, 0, err
		}
		for i := range batch {
			if !mentions(&batch[i], words) {
				continue
			}
			if len(found) == limit {
				return found, found[limit-1].Seq, nil
			}
			found = append(found, batch[i])
		}
		if more == 0 {
			return found, 0, nil
		}
		lq.Before = more
	}
}

// mentions reports whether every word occurs in an entry.
func mentions(e *onetime.Entry, words []string) bool {
	text := strings.ToLower(strings.Join([]string{
		e.Guest, e.Comment, e.Action, e.Title, e.Token, e.Client, e.By.Name, e.By.ID, string(e.What), string(e.Outcome),
		string(e.Status), e.Message, e.Home, e.At.UTC().Format(time.DateOnly),
	}, "\n"))
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

var logColumns = []string{"seq", "time", "what", "guest", "action", "title", "outcome", "status", "duration_ms", "address",
	"token", "uses_left", "home", "comment", "by", "code", "message"}

// logCSV sends the log as a table (RFC 4180); without a limit, all of it.
func (r *request) logCSV(lq onetime.LogQuery, search string, limit int) error {
	first, next, err := r.entries(r.Context(), lq, search, min(cmp.Or(limit, logBatch), logBatch))
	if err != nil {
		return err
	}
	r.w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	r.w.Header().Set("Content-Disposition", `attachment; filename="log.csv"`)
	r.w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	table := csv.NewWriter(r.w)
	table.UseCRLF = true
	table.Write(logColumns)
	for {
		for i := range first {
			table.Write(logRecord(&first[i]))
		}
		table.Flush()
		if table.Error() != nil {
			return nil // nobody is left to tell
		}
		if next == 0 || limit > 0 {
			return nil
		}
		lq.Before = next
		if first, next, err = r.entries(r.Context(), lq, search, logBatch); err != nil {
			// The answer has begun: it ends early, visibly.
			panic(http.ErrAbortHandler)
		}
	}
}

func logRecord(e *onetime.Entry) []string {
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	left := ""
	if e.UsesLeft != nil {
		left = strconv.Itoa(*e.UsesLeft)
	}
	record := []string{
		strconv.FormatUint(e.Seq, 10), e.At.UTC().Format(time.RFC3339), string(e.What), e.Guest, e.Action, e.Title, string(e.Outcome), string(e.Status),
		number(e.DurationMS), e.Client, e.Token, left, e.Home, e.Comment, cmp.Or(e.By.Name, e.By.ID), e.Code, e.Message,
	}
	for i := range record {
		record[i] = inert(record[i])
	}
	return record
}

// inert keeps a text from being taken for a formula by what opens the table.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(s)[0]) {
		return "'" + s
	}
	return s
}

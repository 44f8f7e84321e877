package host

import (
	"net/http"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func (r *request) log() error {
	q := r.query()
	before := q.number("before", 1, 1<<63-1)
	limit := int(q.number("limit", 1, maxPage))
	token := strings.ToUpper(q.text("token"))
	if err := q.end(); err != nil {
		return err
	}
	if limit == 0 {
		limit = defaultPage
	}
	lq := onetime.LogQuery{Before: before, Limit: limit, Token: token, By: r.mine()}
	if token != "" && !r.visitor.Manage {
		if _, err := r.token(token); err != nil {
			return err
		}
		lq.By = "" // all of one's own link, whoever did it
	}
	entries, next, err := r.svc.Log(r.Context(), lq)
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

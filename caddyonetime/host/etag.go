package host

import (
	"strconv"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// A revision is an entity tag: "7".

func (r *request) setETag(revision uint64) {
	r.w.Header().Set("ETag", `"`+strconv.FormatUint(revision, 10)+`"`)
}

// ifMatch returns the revision that the request wants to change, 0 where it
// does not say (RFC 9110, section 13.1.1). current looks up the present one.
func (r *request) ifMatch(current func() (uint64, error)) (uint64, error) {
	fields := r.Header.Values("If-Match")
	if len(fields) == 0 {
		return 0, nil
	}
	now, err := current()
	if err == onetime.ErrNotFound {
		return 0, onetime.ErrConflict // there is none that could match
	} else if err != nil {
		return 0, err
	}
	for tag := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || tag == `"`+strconv.FormatUint(now, 10)+`"` {
			return now, nil
		}
	}
	return 0, onetime.ErrConflict
}

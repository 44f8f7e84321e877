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

// ifNoneMatch reports whether the request wants to make what is not there yet
// (RFC 9110, section 13.1.2).
func (r *request) ifNoneMatch() (absent bool, err error) {
	fields := r.Header.Values("If-None-Match")
	switch {
	case len(fields) == 0:
		return false, nil
	case len(fields) > 1 || strings.TrimSpace(fields[0]) != "*":
		return false, badField("If-None-Match", "is only understood as *: the request makes something new.")
	case len(r.Header.Values("If-Match")) > 0:
		return false, onetime.ErrConflict // nothing is there and not there
	}
	return true, nil
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

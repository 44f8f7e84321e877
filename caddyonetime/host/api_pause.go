package host

import "net/http"

func (r *request) getPause() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	paused, err := r.svc.Paused(r.Context())
	if err != nil {
		return err
	}
	return r.reply(http.StatusOK, map[string]bool{"paused": paused})
}

func (r *request) putPause() error {
	if err := r.noQuery(); err != nil {
		return err
	}
	in, err := r.body(false)
	if err != nil {
		return err
	}
	paused, given := in.boolean("paused")
	if err := in.end(); err != nil {
		return err
	}
	if !given {
		return badField("paused", "is missing: true or false.")
	}
	if err := r.svc.SetPaused(r.Context(), r.visitor.Person, paused); err != nil {
		return err
	}
	return r.reply(http.StatusOK, map[string]bool{"paused": paused})
}

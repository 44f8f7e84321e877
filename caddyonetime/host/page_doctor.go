package host

import (
	"net/http"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Findings are what an examination has come to.
type Findings struct {
	At   time.Time
	List []Finding
}

// Finding is what came of one check.
type Finding struct {
	Check   string
	Subject string
	Level   string // "ok", "warn" or "fail"
	Text    string
	Advice  string
}

// doctorView are the findings, the worst first.
type doctorView struct {
	At               string
	Fail, Warn, Good []doctorFinding
}

// doctorFinding is a finding under the name of its check.
type doctorFinding struct {
	Finding
	Title string
}

func (r *request) doctorPage() error {
	if r.h.cfg.Doctor == nil {
		return onetime.ErrNotFound
	}
	found, err := r.h.cfg.Doctor(r.Context())
	if err != nil {
		return err
	}
	l := r.lang()
	d := &doctorView{At: l.Time(found.At, r.h.cfg.Now(), r.zone(onetime.DefaultHome))}
	for _, finding := range found.List {
		f := doctorFinding{Finding: finding}
		if key := "doctor.check." + f.Check; l.Has(key) {
			f.Title = l.T(key)
		}
		switch f.Level {
		case "ok":
			d.Good = append(d.Good, f)
		case "warn":
			d.Warn = append(d.Warn, f)
		default:
			d.Fail = append(d.Fail, f)
		}
	}
	return r.render(http.StatusOK, "doctor.html", r.makePage("log", l.T("doctor.title"), d))
}

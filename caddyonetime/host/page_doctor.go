package host

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
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

	// Said and Advised are Text and Advice for people who read another language,
	// by whole keys of catalogues; Mistakes what is wrong with an action.
	Said     []onetime.Said
	Advised  []onetime.Said
	Mistakes onetime.Warnings
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

	// TextEnglish and AdviceEnglish say that they have not been said in the
	// language of the page.
	TextEnglish, AdviceEnglish bool
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
		f.translate(l)
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

// translate says text and advice in the language of the page, where they have
// been said in it. English says a little more as it is.
func (f *doctorFinding) translate(l *words.Language) {
	if l.Tag() == "en" {
		return
	}
	text, ok := said(l, f.Said)
	for _, m := range f.Mistakes {
		if text != "" {
			text += " "
		}
		text += warningText(l, m)
	}
	if f.TextEnglish = !ok || text == ""; !f.TextEnglish {
		f.Text = text
	}
	advice, ok := said(l, f.Advised)
	switch {
	case ok && (advice != "" || !f.TextEnglish):
		f.Advice = advice // where the text says it all, there is none
	default:
		f.AdviceEnglish = true
	}
}

// said is what has been said, in the language; not ok where it has no word for it.
func said(l *words.Language, all []onetime.Said) (text string, ok bool) {
	var texts []string
	for _, s := range all {
		if !l.Has(s.Key) {
			return "", false
		}
		args := slices.Clone(s.Args)
		for i := 1; i < len(args); i += 2 {
			switch v := args[i].(type) {
			case time.Duration:
				args[i] = strings.ReplaceAll(l.Duration(v), " ", "\u00a0")
			case string:
				args[i] = isolate(v)
			default:
				args[i] = isolate(fmt.Sprint(v)) // an error, as it is
			}
		}
		texts = append(texts, l.T(s.Key, args...))
	}
	return strings.Join(texts, " "), true
}

package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// OneTime is the links of the configuration.
type OneTime struct {
	// Err is why the service does not run; nothing below but the paths is
	// asked then.
	Err error

	Actions     func(ctx context.Context) ([]*onetime.Action, error)
	CheckAction func(ctx context.Context, a *onetime.Action) (warnings onetime.Warnings, err error)

	StorePath string // empty: not in a file
	LinkKey   LinkKey

	PublicURL string
	// Proof is what the guests' side of this process adds when it repeats a
	// nonce at .well-known/caddy-hass/<nonce>; nil: it is not served here.
	Proof func(nonce string) string

	// GuestsServed says that a site of this Caddy has the guests' side.
	GuestsServed bool

	// Notify checks the targets of notifications, and sends each a test where
	// send is true.
	Notify func(ctx context.Context, send bool) ([]Notification, error)
}

func (s *Subject) actions(ctx context.Context) []Finding {
	o := s.OneTime
	if o.Err != nil {
		return nil // the store's check has said so
	}
	all, err := o.Actions(ctx)
	if err != nil {
		return one((&Finding{Check: "actions", Level: Fail, Text: fmt.Sprintf("the actions could not be read: %v", err)}).says("unchecked", "why", err))
	}
	if len(all) == 0 {
		return one((&Finding{Check: "actions", Level: OK, Text: "there are none yet",
			Advice: "Define what guests may do on the host's side, or by caddy hass action set."}).saysAs("host.actions.none"))
	}
	var out []Finding
	unreachable := map[string]int{}
	for _, a := range all {
		f := Finding{Check: "action", Subject: a.Name, Level: OK}
		warnings, err := o.CheckAction(ctx, a)
		var bad *onetime.BadInput
		switch {
		case errors.Is(err, onetime.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
			unreachable[a.Home]++
			continue
		case errors.Is(err, onetime.ErrNoHome):
			f.Level, f.Text = Fail, fmt.Sprintf("its home %q is not in the configuration", a.Home)
			f.Advice = "Add it as hass " + a.Home + " { … }, or give the action another home."
			f.saysAs("check.no_home", "name", a.Home).advises("add_global", "example", "hass "+a.Home+" { … }")
		case errors.As(err, &bad):
			f.Level, f.Text = Fail, bad.Error()
			f.Advice = "Change the action on the host's side, or by caddy hass action set " + a.Name + "."
			f.Mistakes = onetime.Warnings{bad}
			f.advises("action")
		case err != nil:
			f.Level, f.Text = Fail, fmt.Sprintf("could not be checked: %v", err)
			f.says("unchecked", "why", err)
		case len(warnings) > 0:
			f.Level, f.Text = Warn, strings.Join(warnings.Texts(), " ")
			f.Mistakes = warnings
		default:
			f.Text = fmt.Sprintf("%q can be done now", a.Title)
			f.saysAs("host.action.good")
		}
		out = append(out, f)
	}
	for _, h := range s.Homes {
		if n := unreachable[h.Name]; n > 0 {
			f := Finding{Check: "actions", Subject: h.Name, Level: Warn, Text: fmt.Sprintf("%d not checked: the home cannot be asked now", n)}
			out = append(out, *f.says("away"))
		}
	}
	return out
}

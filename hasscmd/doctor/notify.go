package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Notification is one way by which the host is told.
type Notification struct {
	Name string // as in the configuration: "notify.send_message"
	Err  error  // why it does not work
	Sent bool   // a test was sent
}

func (s *Subject) notify(ctx context.Context) []Finding {
	o := s.OneTime
	if o.Err != nil || o.Notify == nil {
		return nil
	}
	all, err := o.Notify(ctx, s.SendTest)
	if err != nil {
		return one((&Finding{Check: "notify", Level: Warn, Text: fmt.Sprintf("could not be checked: %v", err)}).says("unchecked", "why", err))
	}
	if len(all) == 0 {
		return one((&Finding{Check: "notify", Level: OK, Text: "switched off: nobody is told what guests do"}).says("notify_off"))
	}
	var out []Finding
	for _, n := range all {
		f := Finding{Check: "notify", Subject: n.Name, Level: OK, Text: "exists"}
		switch {
		case errors.Is(n.Err, onetime.ErrUnreachable):
			f.Level, f.Text = Warn, "not checked: the home cannot be asked now"
			f.says("away")
		case n.Err != nil:
			f.Level, f.Text = Fail, n.Err.Error()
			f.Advice = "Correct notify in the global option hass_onetime: the action and its targets as Home Assistant's developer tools show them."
			f.says("broken", "why", n.Err).advises("notify", "word", "notify")
		case n.Sent:
			f.Text = "a test was sent: it should have arrived"
			f.saysAs("doctor.good")
		default:
			f.saysAs("doctor.good")
		}
		out = append(out, f)
	}
	return out
}

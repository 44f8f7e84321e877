package caddyonetime

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counted for the whole process, whatever is reloaded: each
// configuration has a registry of its own, and takes them in. Their labels are
// words of ours, so there are few of them, and nobody's names.
var metrics = newMetrics()

type counters struct {
	redemptions   *prometheus.CounterVec
	refusals      *prometheus.CounterVec
	notifications *prometheus.CounterVec
}

func newMetrics() counters {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "hass_onetime", Name: name, Help: help,
		}, []string{label})
	}
	return counters{
		redemptions:   vec("redemptions_total", "Redemptions by what came of them.", "outcome"),
		refusals:      vec("refusals_total", "Presses on genuine links that were not good then, by the link's status.", "status"),
		notifications: vec("notifications_total", "Notifications to hosts, by whether they arrived.", "result"),
	}
}

func (c counters) register(r *prometheus.Registry) error {
	for _, vec := range []prometheus.Collector{c.redemptions, c.refusals, c.notifications} {
		var already prometheus.AlreadyRegisteredError
		if err := r.Register(vec); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}

package hasstest

// WithPhone gives the home a phone with Home Assistant's app: the service
// notify.mobile_app_<name>. What its owner presses in a notification comes with
// [Home.FireEventBy].
func WithPhone(name string) Option {
	return func(h *Home) {
		h.extra = append(h.extra, func() {
			s := *h.services["notify"]["notify"]
			s.name = "mobile_app_" + name
			h.addService(&s)
		})
	}
}

package caddyjwt

import (
	"net/http"
)

// switchPath is where, below loginPath, somebody logs out to come back as somebody else.
const switchPath = "/switch"

// serveSwitch offers to log out of Home Assistant and of everything behind hass_jwt in this
// browser, and to come back to a service by Home Assistant's login page. Only a press does that: a mere
// link to here from elsewhere does nothing.
func (h *HassLogin) serveSwitch(w http.ResponseWriter, r *http.Request, v *visitor) error {
	target, err := h.target(r)
	if err != nil {
		return h.refuseTarget(w, r)
	}
	found := h.reader.find(v, hostOf(r))
	if found.who == nil {
		w.Header().Set("Location", h.returnPath(target))
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.WriteHeader(http.StatusFound)
		return nil
	}
	return h.writePage(w, r, http.StatusOK, loginPage{
		Title: "switch.title", Text: "forbidden.text", Who: nameFor(found.who), Detail: "switch.text",
		Link: "/", LinkText: "switch.link", Do: "switch", Again: h.returnPath(target),
	})
}

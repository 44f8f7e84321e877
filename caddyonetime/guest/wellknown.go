package guest

import (
	"net/http"
)

const wellKnownPrefix = ".well-known/caddy-hass/"

// wellKnown says a nonce again and from where it came, so that the doctor
// finds out whether the public URL leads to this very server.
func (h *Handler) wellKnown(r *request, nonce string) {
	if !isNonce(nonce) {
		writeProblem(r, &problem{Status: http.StatusNotFound, Code: "not_found", Detail: "There is nothing here."})
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		options(r, "GET, HEAD, OPTIONS")
		return
	default:
		h.methodNotAllowed(r, "GET, HEAD, OPTIONS")
		return
	}
	answer := struct {
		Nonce     string `json:"nonce"`
		Client    string `json:"client"`
		Forwarded string `json:"forwarded,omitempty"`
		Proof     string `json:"proof"`
	}{Nonce: nonce, Forwarded: h.forwarded(r.Request), Proof: Proof(nonce)}
	if addr := h.cfg.ClientIP(r.Request); addr.IsValid() {
		answer.Client = addr.Unmap().String()
	}
	writeJSON(r, http.StatusOK, "application/json", answer)
}

// isNonce reports whether s is 16 to 64 hexadecimal digits.
func isNonce(s string) bool {
	if len(s) < 16 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}

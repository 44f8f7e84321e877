package guest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// proofKey is this process's own, and forgotten with it.
var proofKey = func() (key [32]byte) {
	rand.Read(key[:]) // never fails
	return key
}()

// Proof is what this process adds when it repeats a nonce to the doctor: that
// asks in the same process whether the public URL leads to it, and not to some
// other that would repeat a nonce as well.
func Proof(nonce string) string {
	mac := hmac.New(sha256.New, proofKey[:])
	mac.Write([]byte(nonce))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// forwarded says what becomes of a request's X-Forwarded-For: "" where there is
// none, "used", or "ignored" where Caddy does not trust the proxy in front of it
// and takes it for the client.
func (h *Handler) forwarded(r *http.Request) string {
	switch {
	case r.Header.Get("X-Forwarded-For") == "":
		return ""
	case h.cfg.ClientIP(r).Unmap() == remoteIP(r).Unmap():
		return "ignored"
	}
	return "used"
}

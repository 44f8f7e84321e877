package caddyjwt

import (
	"crypto/elliptic"
	"net/http"
	"testing"
)

// While the integration jwt_cookie is still installed, it sets a cookie of that name in the same answer: the last
// one is ours, which is the one that browsers keep. One that is for Home Assistant's host alone stays beside ours, and is
// passed over.
func TestBesideJWTCookie(t *testing.T) {
	h := newHouse(t, "domain house.test", "")
	_, own := h.login("owner", ownerPass)
	theirs := mint(t, newEC(t, elliptic.P256()), claimsAt(now()))
	f := func(w http.ResponseWriter, r *http.Request, home http.Handler) {
		http.SetCookie(w, &http.Cookie{Name: "jwt_access_token", Value: theirs, Path: "/", Domain: "house.test", HttpOnly: true})
		home.ServeHTTP(w, r)
	}
	h.between.Store(&f)
	r := h.send("POST", h.ha+"/auth/token", h.refreshForm(own), urlencoded)
	cookies := r.Cookies()
	if len(cookies) != 2 || cookies[0].Value != theirs || cookies[1].Name != "jwt_access_token" || cookies[1].Value == theirs {
		t.Fatalf("%d %v", r.StatusCode, r.Header["Set-Cookie"])
	}
	ours := cookies[1]
	if ours.Path != cookies[0].Path || ours.Domain != cookies[0].Domain {
		t.Errorf("it does not take the other's place: %v", r.Header["Set-Cookie"])
	}
	h.in("ours", ours.Value)
	h.out("theirs", theirs)
	h.in("theirs before ours", theirs+"; jwt_access_token="+ours.Value)
}

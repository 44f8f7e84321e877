package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// Two homes behind one Caddy, with users of the same names: a resident of one is a stranger at the other,
// with whatever is shown there, until they log in there, too; and logging out of one leaves the other alone.
func TestResidentOfOneHomeIsAStrangerAtTheOther(t *testing.T) {
	h := realHome(t)
	cabin, _ := ownHome(t, func(string, string) {})
	s := newServer(t, h)
	s.homes = "hass cabin {\nurl " + cabin.url + "\ntoken {env.HASS_E2E_CABIN}\n}"
	s.env = []string{"HASS_E2E_CABIN=" + cabin.admin}
	_, port, _ := net.SplitHostPort(freeport.Addr(t))
	origin := func(name string) string { return "http://" + name + ".home.localhost:" + port }
	f := front{origin("ha"), origin("svc")}
	other := front{origin("cabin"), origin("sauna")}
	site := func(f front, h *home, words string) string {
		return fmt.Sprintf(`
%[1]s {
	bind 127.0.0.1
	hass_login {
		domain home.localhost
		%[3]s
	}
	reverse_proxy %[2]s
}
%[4]s {
	bind 127.0.0.1
	hass_jwt {
		login %[1]s
		allow roles user
		hass_tokens
		%[3]s
	}
	reverse_proxy %[5]s {
		header_up X-Who {http.auth.user.name}
		header_up X-Roles {http.auth.user.roles}
	}
}
`, f.ha, strings.TrimPrefix(h.url, "http://"), words, f.svc, newService(t))
	}
	s.sites = site(f, h, "") + site(other, cabin, "home cabin")
	s.start()
	s.awaitHome()

	// Programs.
	cookie := httpLogin(t, &http.Client{CheckRedirect: noRedirects}, f, "owner", "owner-pass-1")
	token := strings.TrimPrefix(cookie, "jwt_access_token=")
	asks := func(f front, name, value string) int {
		t.Helper()
		r := must(http.NewRequest("GET", local(f.svc)+"/", nil))
		r.Host = strings.TrimPrefix(f.svc, "http://")
		r.Header.Set(name, value)
		res := must(http.DefaultClient.Do(r))
		res.Body.Close()
		return res.StatusCode
	}
	for what, header := range map[string][2]string{
		"the cookie":                        {"Cookie", cookie},
		"the cookie under the other's name": {"Cookie", "jwt_access_token_cabin=" + token},
		"the token as Bearer":               {"Authorization", "Bearer " + token},
		"the home's own token":              {"Authorization", "Bearer " + h.admin},
	} {
		if status := asks(other, header[0], header[1]); status != 401 {
			t.Errorf("%s, at the other home's service: %d", what, status)
		}
		if status := asks(f, header[0], header[1]); (status == 200) != (what != "the cookie under the other's name") {
			t.Errorf("%s, at its own home's service: %d", what, status)
		}
	}
	eventually(t, 30*time.Second, "the cabin's own token opens the cabin's service", func() bool {
		return asks(other, "Authorization", "Bearer "+cabin.admin) == 200
	})
	if status := asks(f, "Authorization", "Bearer "+cabin.admin); status != 401 {
		t.Errorf("the cabin's token at the first home's service: %d", status)
	}

	// People.
	chromium := browser(t)
	p := newPhone(t, chromium, true)
	p.open(f.svc + "/")
	p.homeLogin("resident", "resident-pass-1")
	p.at(f.svc + "/")
	p.seesWho("Resident user")
	p.open(other.svc + "/stove")
	p.loginPage()
	if at := p.eval(`location.origin`); at != other.ha {
		t.Errorf("sent to log in at %s", at)
	}
	p.homeLogin("owner", "owner-pass-1")
	p.at(other.svc + "/stove")
	p.seesWho("Owner admin,user")
	p.open(f.svc + "/")
	p.seesWho("Resident user")

	p.open(other.ha + "/")
	p.inside()
	p.logOut()
	p.open(other.svc + "/")
	p.loginPage()
	p.open(f.svc + "/")
	p.seesWho("Resident user")
}

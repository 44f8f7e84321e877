package demo_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
	"github.com/caddy-hass/caddy-hass/hasscmd/demo"
)

// start starts a demo in folders of its own, which must be empty when it has
// ended.
func start(t *testing.T, o demo.Options) *demo.Demo {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	o.Host = "localhost"
	d, err := demo.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("ending the demo: %v", err)
		}
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return d
}

func newClient(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
}

// ask asks for JSON and reads it into out.
func ask(t *testing.T, c *http.Client, method, url string, out any) int {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil && json.Unmarshal(b, out) != nil {
		t.Fatalf("%s %s: %s", method, url, b)
	}
	return resp.StatusCode
}

// The link turns the lock of the house, three times and not once more.
func TestLink(t *testing.T) {
	d := start(t, demo.Options{})
	c := newClient(t)
	var token struct {
		Status   string `json:"status"`
		UsesLeft int    `json:"uses_left"`
		Home     string `json:"home"`
	}
	if status := ask(t, c, "GET", d.Link, &token); status != 200 || token.Status != "ready" || token.UsesLeft != 3 || token.Home != "reachable" {
		t.Fatalf("the link is %d %+v", status, token)
	}
	for left := 2; left >= 0; left-- {
		d.Home.SetState("lock.front_door", "locked", nil)
		var r struct {
			Outcome  string `json:"outcome"`
			UsesLeft int    `json:"uses_left"`
		}
		if status := ask(t, c, "POST", d.Link, &r); status != 200 || r.Outcome != "done" || r.UsesLeft != left {
			t.Fatalf("pressing: %d %+v, want %d left", status, r, left)
		}
		if got := d.Home.State("lock.front_door"); got != "unlocked" {
			t.Errorf("the door is %s", got)
		}
	}
	d.Home.SetState("lock.front_door", "locked", nil)
	if status := ask(t, c, "POST", d.Link, nil); status != 410 {
		t.Errorf("pressing a fourth time: %d", status)
	}
	if got := d.Home.State("lock.front_door"); got != "locked" {
		t.Errorf("after the fourth press the door is %s", got)
	}
}

// The host's link makes its bearer the host, and nobody else.
func TestHostsSide(t *testing.T) {
	d := start(t, demo.Options{})
	base, _, _ := strings.Cut(d.Host, "enter/")
	var list struct {
		Actions []struct{ Name string } `json:"actions"`
	}
	stranger := newClient(t)
	for _, path := range []string{"", "api/actions", "enter/", "enter/x"} {
		if status := ask(t, stranger, "GET", base+path, nil); status != 403 {
			t.Errorf("a stranger gets %d for /host/%s", status, path)
		}
	}
	req, _ := http.NewRequest("GET", base+"api/actions", nil)
	req.Header.Set("Cookie", "caddy_hass_demo_1=x; caddy_hass_demo=x")
	if resp, err := stranger.Do(req); err != nil || resp.StatusCode != 403 {
		t.Errorf("a made-up cookie gets %v, %v", resp, err)
	}

	host := newClient(t)
	if status := ask(t, host, "GET", d.Host, nil); status != 200 {
		t.Fatalf("the host gets %d", status)
	}
	if status := ask(t, host, "GET", base+"api/actions", &list); status != 200 || len(list.Actions) != 3 {
		t.Fatalf("the host gets %d %+v", status, list)
	}
	for entity, action := range map[string]string{"lock.front_door": "front_door", "light.hall": "hall_light", "vacuum.robbie": "vacuum"} {
		before := d.Home.State(entity)
		if status := ask(t, host, "POST", base+"api/actions/"+action+"/run", nil); status != 200 {
			t.Errorf("trying %s: %d", action, status)
		}
		if now := d.Home.State(entity); now == before {
			t.Errorf("after %s, %s is still %s", action, entity, now)
		}
	}
}

// The house shows what happens in it, with and without JavaScript.
func TestHouse(t *testing.T) {
	d := start(t, demo.Options{})
	c := newClient(t)
	page := func() string {
		t.Helper()
		resp, err := c.Get(d.View)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if !strings.Contains(page(), `data-entity="lock.front_door" data-state="locked"`) {
		t.Errorf("the page is:\n%s", page())
	}

	resp, err := c.Get(d.View + "events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := json.NewDecoder(dataLines(resp.Body))
	var states map[string]string
	if err := events.Decode(&states); err != nil || states["light.hall"] != "off" {
		t.Fatalf("the first event is %v, %v", states, err)
	}
	d.Home.SetState("light.hall", "on", nil)
	for states["light.hall"] != "on" {
		if err := events.Decode(&states); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"house.css", "house.js"} {
		if status := ask(t, c, "GET", d.View+name, nil); status != 200 {
			t.Errorf("%s: %d", name, status)
		}
	}
}

// dataLines is what is said in a stream of server-sent events.
func dataLines(r io.Reader) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			// The demo writes an event in one piece.
			if _, werr := pw.Write([]byte(strings.ReplaceAll(string(buf[:n]), "data: ", ""))); werr != nil {
				return
			}
			if err != nil {
				pw.CloseWithError(err)
				return
			}
		}
	}()
	return pr
}

// What a guest has changed goes back to rest, so that it can be changed again.
func TestResets(t *testing.T) {
	d := start(t, demo.Options{Resets: time.Millisecond})
	changed := make(chan string, 10)
	stop := d.Home.Watch(func(c hasstest.Change) {
		if c.EntityID == "light.hall" {
			changed <- c.New.State
		}
	})
	defer stop()
	d.Home.SetState("light.hall", "on", nil)
	for _, want := range []string{"on", "off"} {
		if got := <-changed; got != want {
			t.Fatalf("the light is %s, want %s", got, want)
		}
	}
}

func TestPortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = demo.Start(t.Context(), demo.Options{Port: ln.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("got %v", err)
	}
}

// An address that begins with two slashes is never one to be sent to.
func TestThreat16_PrefixesLeadNowhereElse(t *testing.T) {
	d := start(t, demo.Options{})
	u, err := url.Parse(d.Link)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, prefix := range []string{"host", "house"} {
		for _, slashes := range []string{"/", "//", "///"} {
			resp, err := c.Get("http://" + u.Host + slashes + prefix)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusPermanentRedirect || got != "/"+prefix+"/" {
				t.Errorf("%s%s: %d to %q", slashes, prefix, resp.StatusCode, got)
			}
		}
	}
}

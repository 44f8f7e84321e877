package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// noRedirects follows nothing.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// http1 has a connection for each request under way, as 50 phones have.
var http1 = &http.Client{Timeout: 60 * time.Second, CheckRedirect: noRedirects, Transport: &http.Transport{
	MaxIdleConnsPerHost: 100, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}},
}}

// admin keeps no connection: a reload ends those to the admin endpoint, too.
var admin = &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// http2 has one connection for all.
var http2 = &http.Client{Timeout: 60 * time.Second, CheckRedirect: noRedirects, Transport: &http.Transport{
	ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
}}

// answer is what a request was answered, or why it was not.
type answer struct {
	err    error
	status int
	proto  string
	header http.Header
	body   string

	// Of redemptions, and of tokens.
	Outcome   string     `json:"outcome"`
	Code      string     `json:"code"`
	Detail    string     `json:"detail"`
	Field     string     `json:"field"`
	UsesLeft  *int       `json:"uses_left"`
	UsesMax   *int       `json:"uses_max"`
	At        *time.Time `json:"at"`
	Replayed  bool       `json:"replayed"`
	Retry     bool       `json:"retry"`
	ID        string     `json:"id"`
	URL       string     `json:"url"`
	Status    string     `json:"status"`
	Home      string     `json:"home"`
	House     string     `json:"house"`
	Host      string     `json:"host"`
	Guest     string     `json:"guest"`
	Warnings  []string   `json:"warnings"`
	CreatedBy struct {
		ID string `json:"id"`
	} `json:"created_by"`
	Actions []struct {
		Name     string `json:"name"`
		Title    string `json:"title"`
		UsesLeft *int   `json:"uses_left"`
	} `json:"actions"`
	Entries []struct {
		What    string `json:"what"`
		Token   string `json:"token"`
		Outcome string `json:"outcome"`
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"entries"`
}

// send sends a request; header is names and values in turn.
func send(client *http.Client, method, address, body string, header ...string) (a answer) {
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	a = answer{err: err, status: res.StatusCode, proto: res.Proto, header: res.Header, body: string(b)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") {
		// A problem's status is the number that the answer has anyway.
		var members map[string]json.RawMessage
		if json.Unmarshal(b, &members) == nil && res.StatusCode >= 400 {
			delete(members, "status")
			b, _ = json.Marshal(members)
		}
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(&a); err != nil && a.err == nil {
			a.err = err
		}
	}
	return a
}

// is complains unless the answer has a status and, where given, an outcome.
func (a answer) is(t *testing.T, status int, outcome ...string) answer {
	t.Helper()
	if a.err != nil || a.status != status || len(outcome) > 0 && a.Outcome != outcome[0] {
		t.Errorf("answered %d %q (%v), want %d %q: %s", a.status, a.Outcome, a.err, status, outcome, a.body)
	}
	return a
}

// left complains unless so many uses are left.
func (a answer) left(t *testing.T, n int) answer {
	t.Helper()
	if a.UsesLeft == nil || *a.UsesLeft != n {
		t.Errorf("uses_left is not %d: %s", n, a.body)
	}
	return a
}

// link is a link that a host has made.
type link struct {
	s             *server
	id, code, url string
}

// get asks what the link can do, as JSON.
func (l link) get() answer { return send(http1, "GET", l.url, "", "Accept", "application/json") }

// page gets the page of the link.
func (l link) page() answer {
	return asRead(send(http1, "GET", l.url, "", "Accept", "text/html"))
}

// submit presses as the page's form does, and returns the page that follows.
func (l link) submit(nonce string) answer {
	a := send(http1, "POST", l.url, url.Values{"nonce": {nonce}}.Encode(),
		"Accept", "text/html", "Content-Type", "application/x-www-form-urlencoded")
	if a.status == http.StatusSeeOther {
		to, err := must(url.Parse(l.url)).Parse(a.header.Get("Location"))
		if err != nil {
			return answer{err: err}
		}
		a = send(http1, "GET", to.String(), "", "Accept", "text/html")
	}
	return asRead(a)
}

// asRead is a page with its texts as they are read.
func asRead(a answer) answer {
	a.body = html.UnescapeString(strings.NewReplacer("<bdi>", "", "</bdi>", "").Replace(a.body))
	return a
}

// press redeems once; key may be empty.
func (l link) press(key string) answer { return l.pressBy(http1, l.url, key) }

// persist presses as a page does on a bad line: the same press again, until there is
// an answer. A reload ends connections that are idle or that Caddy has not taken yet.
func (l link) persist(key string) answer {
	a := l.press(key)
	for try := 0; a.err != nil && try < 20; try++ {
		a = l.press(key)
	}
	return a
}

func (l link) pressBy(client *http.Client, address, key string) answer {
	header := []string{"Accept", "application/json"}
	if key != "" {
		header = append(header, "Idempotency-Key", key)
	}
	return send(client, "POST", address, "", header...)
}

// secureURL is the link on the site that speaks HTTP/2.
func (l link) secureURL() string {
	return "https://localhost:" + l.s.secure[strings.LastIndexByte(l.s.secure, ':')+1:] + "/" + l.code
}

// api calls the host's API as anna.
func (s *server) api(method, path string, body any, header ...string) answer {
	b := ""
	if body != nil {
		b = string(must(json.Marshal(body)))
		header = append(header, "Content-Type", "application/json")
	}
	return send(http1, method, "http://"+s.hosts+path, b, append(header, "Authorization", "Basic "+basicAuth())...)
}

type object = map[string]any

// put defines an action.
func (s *server) put(name, definition string) answer {
	return s.api("PUT", "/api/actions/"+name, object{"title": "Open the front door", "definition": definition})
}

// link defines an action, if it is not there, and makes a link for so many uses
// of it; 0 is any number.
func (s *server) link(definition string, uses int, more ...object) link {
	s.t.Helper()
	name := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r == '_' {
			return r
		}
		return '_'
	}, strings.ToLower(definition)), "_")
	name = name[:min(64, len(name))]
	if a := s.api("GET", "/api/actions/"+name, nil); a.status == http.StatusNotFound {
		if a := s.put(name, definition); a.status != http.StatusCreated {
			s.t.Fatalf("PUT action: %d %s", a.status, a.body)
		}
	}
	token := object{"actions": []string{name}, "guest": "Tom", "uses_max": uses}
	if uses == 0 {
		token["uses_max"] = nil
	}
	for _, m := range more {
		for k, v := range m {
			token[k] = v
		}
	}
	a := s.api("POST", "/api/tokens", token)
	if a.status != http.StatusCreated {
		s.t.Fatalf("POST token: %d %v %s", a.status, a.err, a.body)
	}
	return s.linkOf(a)
}

func (s *server) linkOf(a answer) link {
	s.t.Helper()
	u, err := url.Parse(a.URL)
	if err != nil || !strings.HasPrefix(a.URL, "http://"+s.guests+"/") || len(u.Path) != 25 || u.Path[1:7] != a.ID {
		s.t.Fatalf("%q is no link of %s: %v", a.URL, a.ID, err)
	}
	return link{s: s, id: a.ID, code: u.Path[1:], url: a.URL}
}

// shows complains about each text that is not there.
func (a answer) shows(t *testing.T, texts ...string) answer {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("%q is not in the answer %d %v:\n%s", text, a.status, a.err, a.body)
		}
	}
	return a
}

// report is what the doctor says.
type report struct {
	OK       bool
	Findings []struct{ Check, Subject, Level, Text, Advice string }
}

// level is what the doctor says of a check; empty where it says nothing.
func (r report) level(check string) string {
	for _, f := range r.Findings {
		if f.Check == check {
			return f.Level
		}
	}
	return ""
}

// examine asks the doctor.
func (s *server) examine() (r report) {
	s.t.Helper()
	res, err := admin.Post("http://"+s.admin+"/hass/doctor", "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

const (
	openFrontDoor = "action: script.open_front_door"
	slowDoor      = "action: script.slow_door"
	openAndRelock = "action: script.open_and_relock"
	brokenDoor    = "action: script.broken_door"
	frontDoor     = "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"
	gardenGate    = "action: lock.unlock\ntarget:\n  entity_id: lock.garden_gate\n"
	openableLock  = "action: lock.open\ntarget:\n  entity_id: lock.openable_lock\n"
)

// basicAuth is anna's name and password, as a header has them.
func basicAuth() string { return base64.StdEncoding.EncodeToString([]byte("anna:" + password)) }

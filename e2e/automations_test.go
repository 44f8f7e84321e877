package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/hassclient"
	"github.com/caddy-hass/caddy-hass/internal/freeport"
)

// fenced are the blocks of a language in a page of the documentation.
func fenced(t *testing.T, page, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// documented is what docs/home-assistant-automations.md tells people to write, with
// their names and addresses replaced by the test's.
func documented(t *testing.T, keys string) (caddyfile string, files map[string]string) {
	t.Helper()
	blocks := fenced(t, "home-assistant-automations.md", "caddyfile")
	if len(blocks) != 1 {
		t.Fatalf("%d Caddyfiles", len(blocks))
	}
	caddyfile = strings.Replace(blocks[0], "keys.example.com {", "http://"+keys+" {", 1)
	caddyfile = regexp.MustCompile(`hass_jwt \{[^}]*\}`).ReplaceAllLiteralString(caddyfile, "basic_auth {\nanna "+string(passwordHash)+"\n}")
	files = make(map[string]string)
	for i, block := range fenced(t, "home-assistant-automations.md", "yaml") {
		block = strings.ReplaceAll(block, "https://keys.example.com", "http://"+keys)
		block = strings.ReplaceAll(block, "light.hall", "light.bed_light")
		name := fmt.Sprintf("documented_%d.yaml", i)
		if strings.HasPrefix(block, "caddy_hass:") {
			name = "secrets.yaml"
		}
		if strings.HasPrefix(block, "recorder:") {
			continue // this home writes nothing down
		}
		files[name] = block
	}
	// Whole automations, as Home Assistant's editor shows them.
	var automations strings.Builder
	for _, block := range fenced(t, "home-assistant.md", "yaml") {
		if !strings.HasPrefix(block, "alias:") {
			continue
		}
		block = strings.ReplaceAll(block, "light.hall", "light.bed_light")
		// By day, too.
		block = regexp.MustCompile(`conditions:\n(  .*\n)+`).ReplaceAllString(block, "")
		automations.WriteString("  - " + strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n    ") + "\n")
	}
	files["automations.yaml"] = "automation:\n" + automations.String()
	if len(files) < 6 || files["secrets.yaml"] == "" {
		t.Fatalf("the page has only %d blocks that this finds", len(files))
	}
	return caddyfile, files
}

// What the documentation tells people to write works as it stands there, in a real
// home: links by rest_command and a credential, by event, the switch that pauses,
// the answer on a phone.
func TestAutomationsAsDocumented(t *testing.T) {
	keys := freeport.Addr(t)
	site, files := documented(t, keys)
	h, dir := homeWith(t, files)

	s := newServer(t, h)
	s.oneTime = "notify script.notify_host"
	s.sites = "\n" + site
	s.start()
	s.awaitHome()
	s.put("front_door", openFrontDoor).is(t, 201)
	s.put("light", "action: light.turn_off\ntarget:\n  entity_id: light.bed_light\n").is(t, 201)

	// The credential is made on the dashboard, and Home Assistant reads its
	// secrets again without a restart, as the page says.
	a := send(http1, "POST", "http://"+s.hosts+"/credentials", url.Values{"op": {"make"}, "name": {"Automations"}, "action": {"front_door"}}.Encode(),
		"Authorization", "Basic "+basicAuth(), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	secret := regexp.MustCompile(`chk_[0-9A-Z]{38}`).FindString(a.body)
	if secret == "" {
		t.Fatalf("no credential: %d %s", a.status, a.body)
	}
	text := regexp.MustCompile(`chk_[0-9A-Z]+`).ReplaceAllString(files["secrets.yaml"], secret)
	if err := os.WriteFile(filepath.Join(dir, "secrets.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h.call("rest_command.reload", "")
	calls := h.listen("call_service")
	notices := func(title string) (messages []string) {
		for _, e := range calls.all() {
			var data struct {
				Domain string
				Data   struct{ Title, Message string } `json:"service_data"`
			}
			if json.Unmarshal(e.Data, &data) == nil && data.Domain == "persistent_notification" && data.Data.Title == title {
				messages = append(messages, data.Data.Message)
			}
		}
		return messages
	}
	run := func(action string, data object) (response struct{ Response struct{ Status int } }) {
		t.Helper()
		domain, service, _ := strings.Cut(action, ".")
		r := h.client.CallAction(h.within(15*time.Second), hassclient.ServiceCall{Domain: domain, Service: service, Data: data, ReturnResponse: domain == "rest_command"})
		if r.Outcome != hassclient.Done {
			t.Fatalf("%s: %v %s", action, r.Outcome, r.Message)
		}
		if err := json.Unmarshal(append(append([]byte(`{"Response":`), r.Response...), '}'), &response); len(r.Response) > 0 && err != nil {
			t.Fatal(err)
		}
		return response
	}

	t.Run("by rest_command", func(t *testing.T) {
		run("script.send_guest_link", nil)
		eventually(t, 20*time.Second, "the link is sent", func() bool { return len(notices("A link for Parcel driver")) == 1 })
		l := linkAt(t, s, notices("A link for Parcel driver")[0])
		made := s.api("GET", "/api/tokens/"+l.id, nil).is(t, 200).left(t, 1)
		if !strings.HasPrefix(made.CreatedBy.ID, "credential:") || !strings.Contains(made.body, `"expires":"`) {
			t.Errorf("%s", made.body)
		}
		before := h.opens()
		l.press("").is(t, 200, "done")
		if n := h.opens() - before; n != 1 {
			t.Errorf("opened %d times", n)
		}
		run("script.send_guest_link", nil)
		eventually(t, 20*time.Second, "another link", func() bool { return len(notices("A link for Parcel driver")) == 2 })
		l = linkAt(t, s, notices("A link for Parcel driver")[1])
		if r := run("rest_command.end_guest_link", object{"id": l.id}); r.Response.Status != 204 {
			t.Errorf("ended with %d", r.Response.Status)
		}
		if a := l.press("").is(t, 410); a.Code != "revoked" {
			t.Errorf("%s", a.body)
		}
		// Only what was chosen, and nothing of others.
		if r := run("rest_command.guest_link", object{"name": "light"}); r.Response.Status != 403 {
			t.Errorf("an action that was not chosen: %d", r.Response.Status)
		}
		other := s.api("POST", "/api/tokens", object{"actions": []string{"front_door"}})
		if r := run("rest_command.end_guest_link", object{"id": other.ID}); r.Response.Status != 404 {
			t.Errorf("somebody else's link: %d", r.Response.Status)
		}
		if a := send(http1, "GET", "http://"+keys+"/api/log", "", "Authorization", "Bearer "+secret); a.status != 200 || strings.Contains(a.body, other.ID) {
			t.Errorf("the log: %d %s", a.status, a.body)
		}
		for _, path := range []string{"/api/pause", "/api/actions/front_door/run", "/"} {
			if a := send(http1, "POST", "http://"+keys+path, "{}", "Authorization", "Bearer "+secret); a.status < 400 {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	})

	t.Run("by event", func(t *testing.T) {
		told := h.listen("host_notified")
		created, refused := h.listen("caddy_hass_token_created"), h.listen("caddy_hass_token_refused")
		run("script.ask_for_a_guest_link", nil)
		eventually(t, 20*time.Second, "the link is made and sent", func() bool { return len(created.all()) == 1 && len(told.notified()) == 1 })
		l := linkAt(t, s, told.notified()[0].Message)
		if created.count(l.code[6:]) > 0 || created.count(`"request_id":"parcel"`)+created.count(`"request_id": "parcel"`) != 1 || created.count(l.id) != 1 {
			t.Errorf("%v", created.all())
		}
		eventually(t, 20*time.Second, "the automation says which", func() bool {
			for _, m := range notices("A link for Parcel driver") {
				if m == "It is "+l.id+" on the hosts' page." {
					return true
				}
			}
			return false
		})
		l.press("").is(t, 200, "done")
		l.press("").is(t, 410)

		if err := h.client.FireEvent(h.within(15*time.Second), "caddy_hass_create_token", object{"actions": []string{"back_door"}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "the automation says why not", func() bool {
			all := notices("No link was made")
			return len(all) == 1 && strings.Contains(all[0], "back_door")
		})
		if refused.count(`"bad_input"`) != 1 {
			t.Errorf("%v", refused.all())
		}
	})

	t.Run("the switch", func(t *testing.T) {
		const entity = "switch.guest_links_paused"
		l := s.link(openFrontDoor, 3)
		for _, c := range []struct {
			how    string
			paused bool
			do     func()
		}{
			{"the switch", true, func() { h.call("switch.turn_on", entity) }},
			{"the switch", false, func() { h.call("switch.turn_off", entity) }},
			{"the script", true, func() { run("script.pause_guest_links", nil) }},
			{"the dashboard", false, func() { s.api("PUT", "/api/pause", object{"paused": false}).is(t, 200) }},
			{"the dashboard", true, func() { s.api("PUT", "/api/pause", object{"paused": true}).is(t, 200) }},
			{"the switch", false, func() { h.call("switch.turn_off", entity) }},
		} {
			c.do()
			state, status := "off", "ready"
			if c.paused {
				state, status = "on", "paused"
			}
			eventually(t, 20*time.Second, fmt.Sprintf("%s: paused %v", c.how, c.paused), func() bool {
				return h.state(entity) == state && l.get().Status == status
			})
		}
	})

	t.Run("what guests do", func(t *testing.T) {
		h.call("light.turn_off", "light.bed_light")
		a := s.api("POST", "/api/tokens", object{"actions": []string{"front_door"}}).is(t, 201)
		s.linkOf(a).press("").is(t, 200, "done")
		h.awaitState("light.bed_light", "on")
		revoked := s.linkOf(s.api("POST", "/api/tokens", object{"actions": []string{"front_door"}, "guest": "Eve"}).is(t, 201))
		s.api("DELETE", "/api/tokens/"+revoked.id, nil).is(t, 204)
		revoked.press("").is(t, 410)
		eventually(t, 20*time.Second, "the host is told of the old link", func() bool {
			return calls.count("Eve tried a link that was switched off.") == 1
		})
	})

	t.Run("on a phone", func(t *testing.T) {
		host, neighbour := h.app("Annas phone", h.admin), h.app("Bens phone", h.user)
		eventually(t, 20*time.Second, "the phone has its service", func() bool {
			services, err := h.client.Services(h.within(15 * time.Second))
			_, ok := services.Lookup("notify", "mobile_app_annas_phone")
			return err == nil && ok
		})
		s.oneTime = "notify notify.mobile_app_annas_phone"
		if err := s.load(); err != nil {
			t.Fatal(err)
		}
		s.awaitHome()
		l := s.link(brokenDoor, 1)
		for range 3 {
			l.press("").is(t, 502, "failed")
		}
		l.press("").is(t, 410)
		var answer string
		eventually(t, 20*time.Second, "the message with its button", func() bool {
			m := regexp.MustCompile(`caddy_hass_again_\w+`).FindString(host.shown())
			answer = m
			return m != ""
		})
		if !strings.Contains(host.shown(), "Let them try again") || strings.Contains(host.shown(), l.code[6:]) {
			t.Errorf("the phone shows %s", host.shown())
		}
		host.fire("mobile_app_notification_action", object{"action": answer})
		eventually(t, 20*time.Second, "the guest may try again", func() bool { return l.get().Status == "ready" })
		if log := s.api("GET", "/api/log?token="+l.id+"&limit=1", nil); !strings.Contains(log.body, `"token_replenished"`) || !strings.Contains(log.body, `"name":"Owner"`) {
			t.Errorf("the log: %s", log.body)
		}

		// Any phone may fire any event; what is not its owner's to do comes to nothing.
		refused := h.listen("caddy_hass_token_refused")
		neighbour.fire("caddy_hass_pause", object{"paused": true})
		neighbour.fire("caddy_hass_create_token", object{"actions": []string{"front_door"}})
		eventually(t, 20*time.Second, "it is refused", func() bool { return refused.count(`"forbidden"`) == 1 })
		if a := l.get(); a.Status != "ready" {
			t.Errorf("a phone of somebody who is no administrator has paused the links: %s", a.body)
		}
	})
}

// linkAt finds a link at the end of a message.
func linkAt(t *testing.T, s *server, message string) link {
	t.Helper()
	i := strings.LastIndex(message, "http://"+s.guests+"/")
	if i < 0 {
		t.Fatalf("there is no link in %q", message)
	}
	address := message[i:]
	return s.linkOf(answer{URL: address, ID: address[len("http://"+s.guests+"/"):][:6]})
}

// app is Home Assistant's app on somebody's phone.
type app struct {
	h       *home
	webhook string

	mu     sync.Mutex
	pushed strings.Builder
}

// app registers a phone as its app does, for the owner of a token, and takes the
// messages that are sent to it.
func (h *home) app(name, token string) *app {
	h.t.Helper()
	registration := must(json.Marshal(object{
		"device_id": name, "app_id": "test", "app_name": "Test", "app_version": "1", "device_name": name, "manufacturer": "Test",
		"model": "Test", "os_name": "Test", "os_version": "1", "supports_encryption": false, "app_data": object{"push_websocket_channel": true},
	}))
	a := send(http1, "POST", h.url+"/api/mobile_app/registrations", string(registration), "Authorization", "Bearer "+token, "Content-Type", "application/json")
	var made struct {
		Webhook string `json:"webhook_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || made.Webhook == "" {
		h.t.Fatalf("registering a phone: %d %s", a.status, a.body)
	}
	p := &app{h: h, webhook: made.Webhook}
	c, err := hassclient.New(hassclient.Config{URL: h.url, Token: func() (string, error) { return token, nil }})
	if err != nil {
		h.t.Fatal(err)
	}
	c.Start()
	h.t.Cleanup(func() { c.Close() })
	eventually(h.t, 20*time.Second, "messages come to "+name, func() bool {
		_, err := c.Subscribe(h.within(15*time.Second), map[string]any{"type": "mobile_app/push_notification_channel", "webhook_id": made.Webhook}, func(raw json.RawMessage) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.pushed.Write(raw)
		})
		return err == nil
	})
	return p
}

// shown is what the phone has shown so far.
func (p *app) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pushed.String()
}

// fire fires an event as the app does when something is pressed.
func (p *app) fire(eventType string, data object) {
	p.h.t.Helper()
	body := must(json.Marshal(object{"type": "fire_event", "data": object{"event_type": eventType, "event_data": data}}))
	if a := send(http1, "POST", p.h.url+"/api/webhook/"+p.webhook, string(body), "Content-Type", "application/json"); a.status != 200 {
		p.h.t.Fatalf("firing an event: %d %s", a.status, a.body)
	}
}

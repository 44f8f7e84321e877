package caddyonetime

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/hassclient/hasstest"
)

// listens waits until events of the home are heard: what is fired before that is
// lost. It asks for links that cannot be made, until it is told so.
func (r *rig) listens() {
	r.t.Helper()
	answered := func(id string) bool {
		for _, e := range r.home.Events(TokenRefusedEvent) {
			if e.Data["request_id"] == id {
				return true
			}
		}
		return false
	}
	ask := func() string {
		id := fmt.Sprintf("probe %d", len(r.home.Events(CreateTokenEvent)))
		r.home.FireEvent(CreateTokenEvent, map[string]any{"request_id": id})
		return id
	}
	eventually(r.t, "events are heard", func() bool {
		id := ask()
		time.Sleep(20 * time.Millisecond) // between one and the next
		return answered(id)
	})
	// One comes after the other: with the last, all are answered.
	last := ask()
	eventually(r.t, "all of them are answered", func() bool { return answered(last) })
}

func (r *rig) door() {
	r.t.Helper()
	r.link("front_door", openFrontDoor, "", 1)
}

// answers waits for the n answers to what a test has fired.
func (r *rig) answers(n int) (created, refused []map[string]any) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d answers", n), func() bool {
		created, refused = nil, nil
		for _, e := range r.home.Events(TokenCreatedEvent) {
			created = append(created, e.Data)
		}
		for _, e := range r.home.Events(TokenRefusedEvent) {
			if id, _ := e.Data["request_id"].(string); !strings.HasPrefix(id, "probe") {
				refused = append(refused, e.Data)
			}
		}
		return len(created)+len(refused) >= n
	})
	return created, refused
}

func TestCreateByEvent(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile(`house "12 Hill Street"`, "", ""))
	r.door()
	r.listens()

	until := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Second)
	r.home.FireEvent(CreateTokenEvent, map[string]any{
		"actions": []any{"front_door"}, "guest": "Tom", "comment": "Push hard.", "uses_max": 2,
		"expires": until.Format(time.RFC3339), "request_id": "from my automation",
	})
	created, refused := r.answers(1)
	if len(created) != 1 || len(refused) != 0 {
		t.Fatalf("created %v, refused %v", created, refused)
	}
	got := created[0]
	id, _ := got["id"].(string)
	requests := r.home.Events(CreateTokenEvent)
	request := requests[len(requests)-1]
	if got["request_id"] != "from my automation" || got["context"] != request.Context.ID || got["guest"] != "Tom" || fmt.Sprint(got["uses_max"]) != "2" {
		t.Errorf("%v", got)
	}
	v, err := r.service().Token(t.Context(), id)
	if err != nil || v.Token.CreatedBy != (onetime.Person{ID: "automation", Name: "Home Assistant"}) || !v.Token.Expires.Equal(until) ||
		v.Token.Comment != "Push hard." || *v.Token.UsesMax != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	link := "http://" + r.addr + "/" + r.service().Code(v.Token)
	var n hasstest.Notification
	eventually(t, "the link is sent", func() bool {
		for _, n = range r.home.Notifications() {
			if strings.Contains(n.Message, link) {
				return true
			}
		}
		return false
	})
	if n.Title != "Tom" || !strings.HasPrefix(n.Message, "Here is your link for 12 Hill Street: Open the front door. ") || !strings.HasSuffix(n.Message, " "+link) {
		t.Errorf("%+v", n)
	}
	// It opens the door, and no event has it.
	if status, body := r.request("POST", "/"+r.service().Code(v.Token)); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	eventually(t, "the event of the press", func() bool {
		for _, e := range r.home.Events(EventType) {
			if e.Data["what"] == "redemption" {
				return true
			}
		}
		return false
	})
	for _, what := range []string{CreateTokenEvent, TokenCreatedEvent, EventType} {
		for _, e := range r.home.Events(what) {
			if all, _ := json.Marshal(e.Data); strings.Contains(string(all), r.service().Code(v.Token)[len(id):]) {
				t.Errorf("the link is in %s", all)
			}
		}
	}
	if strings.Contains(r.file("caddy.log"), r.service().Code(v.Token)[len(id):]) {
		t.Error("the link is in Caddy's log")
	}
}

// What cannot be made is answered with the reason, and nothing is made.
func TestCreateByEventRefuses(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	r.door()
	r.listens()
	for i, c := range []struct {
		data        map[string]any
		code, field string
	}{
		{map[string]any{}, "bad_input", "actions"},
		{map[string]any{"actions": "front_door"}, "bad_input", "actions"},
		{map[string]any{"actions": []any{"back_door"}}, "bad_input", "actions"},
		{map[string]any{"actions": []any{"front_door"}, "uses_max": 0}, "bad_input", "uses_max"},
		{map[string]any{"actions": []any{"front_door"}, "expires": "tomorrow"}, "bad_input", "expires"},
		{map[string]any{"actions": []any{"front_door"}, "expires": "2020-01-01T00:00:00Z"}, "bad_input", "expires"},
		{map[string]any{"actions": []any{"front_door"}, "colour": "green"}, "bad_input", "colour"},
		{map[string]any{"actions": []any{"front_door"}, "request_id": []any{}}, "bad_input", "request_id"},
		{map[string]any{"actions": []any{"front_door"}, "request_id": strings.Repeat("x", 201)}, "bad_input", "request_id"},
	} {
		r.home.FireEvent(CreateTokenEvent, c.data)
		created, refused := r.answers(i + 1)
		if len(created) != 0 || len(refused) != i+1 {
			t.Fatalf("%v: created %v", c.data, created)
		}
		if got := refused[i]; got["code"] != c.code || got["field"] != c.field || got["reason"] == "" || got["context"] == "" {
			t.Errorf("%v: %v", c.data, got)
		}
	}
	if all, _, _ := r.service().Tokens(t.Context(), onetime.TokenQuery{}); len(all) != 1 {
		t.Errorf("%d links", len(all))
	}
}

func TestCreateByEventNeedsSomebodyToSendItTo(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("notify off", "", ""))
	r.door()
	r.listens()
	r.home.FireEvent(CreateTokenEvent, map[string]any{"actions": []any{"front_door"}})
	if _, refused := r.answers(1); len(refused) != 1 || refused[0]["code"] != "no_notifier" {
		t.Errorf("%v", refused)
	}
}

// Every phone with the app may fire any event, whoever holds it. What comes from
// outside counts only from an administrator; what a script fires is what an
// administrator wrote, and belongs to who has run it.
func TestWhoMayFire(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	r.door()
	r.listens()
	ask := map[string]any{"actions": []any{"front_door"}}
	for i, c := range []struct {
		user   string
		remote bool
		by     string // "": refused
	}{
		{"resident", true, ""},
		{"owner", true, "owner"},
		{"resident", false, "resident"},
		{"owner", false, "owner"},
	} {
		r.home.FireEventBy(c.user, c.remote, CreateTokenEvent, ask)
		created, refused := r.answers(i + 1)
		if c.by == "" {
			if len(refused) != 1 || refused[0]["code"] != "forbidden" {
				t.Errorf("%+v: %v", c, refused)
			}
			continue
		}
		v, err := r.service().Token(t.Context(), created[len(created)-1]["id"].(string))
		if err != nil || v.Token.CreatedBy.ID != r.home.UserID(c.by) || v.Token.CreatedBy.Name == "" {
			t.Errorf("%+v: %+v, %v", c, v, err)
		}
	}

	paused := func() bool { p, err := r.service().Paused(t.Context()); return err == nil && p }
	if err := r.service().SetPaused(t.Context(), onetime.Person{ID: "anna"}, true); err != nil {
		t.Fatal(err)
	}
	r.home.FireEventBy("resident", true, PauseEvent, map[string]any{"paused": false})
	eventually(t, "the refusal in the log", func() bool { return strings.Contains(r.file("caddy.log"), "neither paused") })
	if !paused() {
		t.Error("somebody's phone has let all guests in")
	}
	r.home.FireEventBy("owner", true, PauseEvent, map[string]any{"paused": false})
	eventually(t, "the administrator's takes effect", func() bool { return !paused() })
}

func TestPauseByEvent(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("notify off", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	r.listens()
	said := func() (all []any) {
		for _, e := range r.home.Events(EventType) {
			if what := e.Data["what"]; what == "paused" || what == "resumed" {
				all = append(all, what)
			}
		}
		return all
	}
	for i, c := range []struct {
		data map[string]any
		what string
	}{
		{map[string]any{"paused": true}, "paused"},
		{map[string]any{"paused": true}, "paused"}, // as it is: said again
		{map[string]any{"paused": false}, "resumed"},
		{map[string]any{"paused": false}, "resumed"},
	} {
		r.home.FireEvent(PauseEvent, c.data)
		eventually(t, "the answer", func() bool { return len(said()) == i+1 })
		if got := said()[i]; got != c.what {
			t.Errorf("%v: %v", c.data, got)
		}
		status, body := r.request("POST", "/"+code, "Idempotency-Key", fmt.Sprint(i))
		if c.what == "paused" && (status != 403 || !strings.Contains(body, `"paused"`)) {
			t.Errorf("%d %s", status, body)
		}
	}
	entries, _, err := r.service().Log(t.Context(), onetime.LogQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	switches := 0
	for _, e := range entries {
		if e.What == onetime.HappenedPaused || e.What == onetime.HappenedResumed {
			switches++
			if e.By.Name != "Home Assistant" {
				t.Errorf("%+v", e)
			}
		}
	}
	if switches != 2 {
		t.Errorf("%d switches in the log", switches)
	}
	for _, bad := range []map[string]any{{}, {"paused": "yes"}, {"paused": nil}} {
		r.home.FireEvent(PauseEvent, bad)
	}
	eventually(t, "the refusals in the log", func() bool { return strings.Count(r.file("caddy.log"), "neither paused") == 3 })
}

// The dashboard's switch is heard in the home, too.
func TestPauseIsAnEvent(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	if err := r.service().SetPaused(t.Context(), onetime.Person{ID: "u1", Name: "Anna"}, true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event", func() bool { return len(r.home.Events(EventType)) == 1 })
	if got := r.home.Events(EventType)[0].Data; got["what"] != "paused" || got["by"] != "Anna" || got["at"] == nil {
		t.Errorf("%v", got)
	}
}

func TestEventsOff(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("events off\nnotify off", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	if status, body := r.request("POST", "/"+code); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	// The log is followed in order: when it tells of the refusal, what there was to say
	// about the redemption has been said.
	r.request("POST", "/"+code)
	eventually(t, "the refusal", func() bool { return strings.Contains(r.file("caddy.log"), `"msg":"refusal"`) })
	r.home.FireEvent(PauseEvent, map[string]any{"paused": true})
	e := r.app().held
	e.hearSafely(t.Context(), heard{"default", json.RawMessage(`{"event_type":"caddy_hass_pause","origin":"LOCAL","data":{"paused":true}}`)})
	r.run(r.caddyfile("notify off", "", ""))
	r.listens()
	for _, e := range r.home.Events(EventType) {
		if e.Data["what"] != "refusal" { // which may be told under either configuration
			t.Errorf("%v", e.Data)
		}
	}
	if paused, err := r.service().Paused(t.Context()); paused || err != nil {
		t.Error("paused by an event", err)
	}
}

// Over a reload that keeps the connection, over a connection that breaks and over
// one that another takes the place of, each event counts once.
func TestEventsOverReloadsAndReconnects(t *testing.T) {
	r := newRig(t)
	r.run(r.caddyfile("", "", ""))
	r.door()
	r.listens()
	count := 0
	ask := func(when string) {
		t.Helper()
		count++
		name := fmt.Sprint(count)
		r.home.FireEvent(CreateTokenEvent, map[string]any{"actions": []any{"front_door"}, "guest": name})
		created, _ := r.answers(count)
		if len(created) != count || created[count-1]["guest"] != name {
			t.Fatalf("%s: %v", when, created)
		}
	}
	ask("at first")
	r.run(r.caddyfile("", "", "")) // the same
	r.listens()
	ask("after a reload")
	r.home.DropConnections()
	r.listens()
	ask("after a break")
	// Another token is another connection: for a while there are two.
	t.Setenv("HASS_TOKEN", r.home.AddUser(hasstest.User{Username: "second", Admin: true}))
	r.run(r.caddyfile("", "", ""))
	r.listens()
	ask("after a change of the token")
	if all, _, _ := r.service().Tokens(t.Context(), onetime.TokenQuery{}); len(all) != count+1 {
		t.Errorf("%d links of %d events", len(all)-1, count)
	}
}

func TestInboxTakesEachEventOnce(t *testing.T) {
	b := newInbox()
	for i := range 3 * seenSize {
		raw := json.RawMessage(fmt.Sprint(i))
		if !b.first(raw) || b.first(raw) {
			t.Fatalf("event %d", i)
		}
	}
	if len(b.seen) > seenSize || len(b.order) > seenSize {
		t.Errorf("%d are remembered", len(b.seen))
	}
	at := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	for i := range linksPerMinute + 5 {
		if b.mayMake(at) != (i < linksPerMinute) {
			t.Errorf("link %d", i)
		}
	}
	if !b.mayMake(at.Add(time.Minute)) || !b.mayMake(at.Add(-time.Hour)) {
		t.Error("a minute never ends")
	}
}

// Nothing is asked of a home that would not let us.
func TestNoListeningForAnOrdinaryUser(t *testing.T) {
	r := newRig(t)
	t.Setenv("HASS_TOKEN", r.home.UserToken())
	r.run(r.caddyfile("notify off", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	if status, body := r.request("POST", "/"+code); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if strings.Contains(r.file("caddy.log"), "are not heard") {
		t.Error("it was asked, and the log is full of it")
	}
}

// "Let them try again" in the notification on a host's phone.
func TestAnswerToANotification(t *testing.T) {
	r := newRig(t, hasstest.WithPhone("annas_phone"))
	r.home.Fault(hasstest.FailService("script.open_front_door", "home_assistant_error", "the motor is jammed"))
	r.run(r.caddyfile("notify notify.mobile_app_annas_phone {\ndata actions `[{\"action\":\"URI\",\"title\":\"Camera\"}]`\ndata ttl 0\n}\n"+
		"notify notify.notify", "", ""))
	_, code := r.link("front_door", openFrontDoor, "Tom", 1)
	r.listens()
	for range 3 {
		if status, body := r.request("POST", "/"+code); status != 502 {
			t.Fatalf("%d %s", status, body)
		}
	}
	eventually(t, "three messages", func() bool { return len(r.home.CallsTo("notify.mobile_app_annas_phone")) == 3 })
	var answer string
	for i, call := range r.home.CallsTo("notify.mobile_app_annas_phone") {
		data := call.Data["data"].(map[string]any)
		actions := data["actions"].([]any)
		if data["ttl"] == nil || actions[len(actions)-1].(map[string]any)["title"] != "Camera" || len(actions) != map[bool]int{false: 1, true: 2}[i == 2] {
			t.Errorf("message %d: %v", i+1, data)
		}
		if i == 2 {
			first := actions[0].(map[string]any)
			answer = first["action"].(string)
			if first["title"] != "Let them try again" || strings.Contains(answer, code[6:]) {
				t.Errorf("%v", first)
			}
		}
	}
	eventually(t, "who has no buttons is told as well", func() bool { return len(r.home.CallsTo("notify.notify")) == 3 })
	for _, call := range r.home.CallsTo("notify.notify") {
		if call.Data["data"] != nil {
			t.Errorf("%v", call.Data)
		}
	}

	r.home.Heal()
	if status, _ := r.request("POST", "/"+code); status != 410 {
		t.Fatalf("%d after the third", status)
	}
	// Others' answers, and made-up ones, do nothing; the phone's own does, once.
	for _, other := range []string{"OPEN_GARAGE", answer[:len(answer)-1] + "0", "caddy_hass_again_"} {
		r.home.FireEventBy("resident", true, "mobile_app_notification_action", map[string]any{"action": other})
	}
	eventually(t, "made-up answers are refused", func() bool {
		return strings.Count(r.file("caddy.log"), "came to nothing") >= 1
	})
	if status, _ := r.request("POST", "/"+code); status != 410 {
		t.Fatalf("%d after made-up answers", status)
	}
	for range 2 {
		r.home.FireEventBy("resident", true, "mobile_app_notification_action", map[string]any{"action": answer})
	}
	eventually(t, "the guest may try again", func() bool {
		status, _ := r.request("GET", "/"+code)
		_, body := r.request("GET", "/"+code)
		return status == 200 && strings.Contains(body, `"status":"ready"`)
	})
	if status, body := r.request("POST", "/"+code); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := r.request("POST", "/"+code); status != 410 {
		t.Error("one answer gave more than one use")
	}
	entries, _, err := r.service().Log(t.Context(), onetime.LogQuery{Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	var by []string
	for _, e := range entries {
		if e.What == onetime.HappenedReplenished {
			by = append(by, e.By.ID)
		}
	}
	if len(by) != 1 || by[0] != r.home.UserID("resident") {
		t.Errorf("the log says it was %v", by)
	}
}

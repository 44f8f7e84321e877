package hasscmd

import (
	"encoding/json"
	"errors"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// oldDatabase is the database of One Time Service as its version 0.4.0 has it.
type oldDatabase struct {
	ServiceCalls map[string]oldCall  `json:"service_calls"`
	Tokens       map[string]oldToken `json:"tokens"`
}

type oldCall struct {
	Service string `json:"service"`
	Data    any    `json:"data"`
}

type oldToken struct {
	ServiceCallName string     `json:"service_call_name"`
	Created         time.Time  `json:"created"`
	Expires         *time.Time `json:"expires"`
	UsesMax         int        `json:"uses_max"`
	UsesLeft        int        `json:"uses_left"`
	Comment         *string    `json:"comment"`
}

// oldCode draws a code as One Time Service does: letters, not hard to guess.
func oldCode(r *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	b := make([]byte, 32)
	for i := range b {
		b[i] = letters[r.Intn(len(letters))]
	}
	return string(b)
}

// write writes the database into a new file.
func (db *oldDatabase) write(t *testing.T) (name string) {
	t.Helper()
	text, err := json.MarshalIndent(db, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(t.TempDir(), "db.json")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// aHouse is a database with an action of each kind and tokens in each state.
func aHouse() (db *oldDatabase, svenja, parcel, past, gone string) {
	r := rand.New(rand.NewSource(4))
	now := time.Now()
	hourAgo, tomorrow := now.Add(-time.Hour), now.Add(24*time.Hour)
	svenja, parcel, past, gone = oldCode(r), oldCode(r), oldCode(r), oldCode(r)
	return &oldDatabase{
		ServiceCalls: map[string]oldCall{
			"Haustür öffnen": {"lock.unlock", map[string]any{"entity_id": "lock.front_door"}},
			"Light, please!": {"light.turn_on", map[string]any{"entity_id": []string{"light.bed_light"}, "brightness": 200}},
			"Old shed":       {"lock.unlock", map[string]any{"entity_id": "lock.shed"}},
		},
		Tokens: map[string]oldToken{
			svenja: {"Haustür öffnen", hourAgo.Add(-time.Hour), nil, 3, 2, new("For Svenja")},
			parcel: {"Light, please!", hourAgo, &tomorrow, 1, 1, nil},
			past:   {"Haustür öffnen", hourAgo.Add(-2 * time.Hour), &hourAgo, 1, 1, new("For the painter")},
			gone:   {"Old shed", hourAgo.Add(-3 * time.Hour), nil, 1, 1, new("Shed")},
		},
	}, svenja, parcel, past, gone
}

// A host moves in: first to look, then for good. Guests' links open what they
// opened before, as often as was left.
func TestImportOneTimeService(t *testing.T) {
	t.Setenv("SUDO_USER", "anna")
	c := startCaddy(t, nil)
	c.waitForHome()
	db, svenja, parcel, past, gone := aHouse()
	file := db.write(t)

	r := c.run("", "import", "one-time-service", file, "--dry-run")
	if r.failed != nil {
		t.Fatal(r.failed)
	}
	for _, want := range []string{"haustur_offnen", "Haustür öffnen", "light_please", "2 of 3", "expired", "REFUSED",
		"nothing was changed", "would take over 2 actions and 3 links", "Refused: 1 action and 1 link"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("the dry run says nothing of %q:\n%s", want, r.out)
		}
	}
	for _, want := range []string{`action "Old shed": definition, line 3: this home has no entity`, `token "Shed"`} {
		if !strings.Contains(r.err, want) {
			t.Errorf("the dry run does not warn of %q:\n%s", want, r.err)
		}
	}
	if list := c.must("", "action", "list"); strings.Contains(list, "haustur") {
		t.Errorf("the dry run made something:\n%s", list)
	}
	if _, err := c.press(svenja); err == nil {
		t.Error("the dry run let a link in")
	}

	r = c.run("", "import", "one-time-service", file, "--links")
	if r.failed != nil {
		t.Fatal(r.failed)
	}
	if !strings.Contains(r.out, "Taken over: 2 actions and 3 links. Refused: 1 action and 1 link.") {
		t.Errorf("printed\n%s", r.out)
	}
	for _, code := range []string{svenja, parcel, past, gone} {
		if strings.Contains(r.out+r.err, code) {
			t.Error("an old link was printed")
		}
	}
	link := regexp.MustCompile(`For Svenja .*(https://\S+)`).FindStringSubmatch(r.out)
	if link == nil {
		t.Fatalf("no new link for Svenja:\n%s", r.out)
	}

	// The old link and the new one share what was left.
	if r, err := c.press(svenja); err != nil || r.Outcome != onetime.OutcomeDone || *r.UsesLeft != 1 {
		t.Fatalf("the old link: %+v, %v", r, err)
	}
	if got := c.home.State("lock.front_door"); got != "unlocked" {
		t.Errorf("the door is %s", got)
	}
	if r, err := c.press(link[1]); err != nil || *r.UsesLeft != 0 {
		t.Errorf("the new link: %+v, %v", r, err)
	}
	if _, err := c.press(svenja); err == nil {
		t.Error("a third time")
	}
	if r, err := c.press(parcel); err != nil || r.Outcome != onetime.OutcomeDone {
		t.Errorf("%+v, %v", r, err)
	}
	var refused *onetime.Refused
	if _, err := c.press(past); !errors.As(err, &refused) || refused.Status != onetime.StatusExpired {
		t.Errorf("an expired one: %v", err)
	}
	if _, err := c.press(gone); err == nil {
		t.Error("the link of an action that was refused works")
	}

	// Again: nothing is done, and no use comes back.
	entries := c.lastEntry()
	out := c.must("", "import", "one-time-service", file)
	if !strings.Contains(out, "Taken over: no actions and no links. There already, and left as they are: 2 actions and 3 links.") {
		t.Errorf("printed\n%s", out)
	}
	if _, err := c.press(svenja); err == nil {
		t.Error("a use came back")
	}
	if now := c.lastEntry(); now != entries { // nor is the same refusal logged twice in a minute
		t.Errorf("the log grew by %d", now-entries)
	}

	list := c.must("", "token", "list", "--all", "--json")
	for _, code := range []string{svenja, parcel, past} {
		if strings.Contains(list, code) {
			t.Error("the list shows an old link that nobody has asked for")
		}
	}
}

func TestImportJSON(t *testing.T) {
	c := startCaddy(t, nil)
	c.waitForHome()
	db, svenja, _, _, _ := aHouse()
	file := db.write(t)
	var report struct {
		DryRun  bool `json:"dry_run"`
		Actions []struct{ Result, From, Name, Definition, Reason string }
		Tokens  []struct {
			Result, ID, From, Action, Comment, Status, Reason, URL string
			UsesMax                                                *int       `json:"uses_max"`
			UsesLeft                                               *int       `json:"uses_left"`
			Expires                                                *time.Time `json:"expires"`
			OldLink                                                bool       `json:"old_link"`
			OldURL                                                 string     `json:"old_url"`
		}
	}
	if err := json.Unmarshal([]byte(c.must("", "import", "one-time-service", file, "--json", "--links")), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Actions) != 3 || report.Actions[0].Definition != "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n" || report.Actions[2].Reason == "" {
		t.Errorf("%+v", report.Actions)
	}
	// In the order in which they were made.
	if got := report.Tokens[2]; len(report.Tokens) != 4 || got.ID == "" || got.Comment != "For Svenja" || *got.UsesMax != 3 || *got.UsesLeft != 2 ||
		!got.OldLink || got.OldURL != linkPrefix+svenja || !strings.HasPrefix(got.URL, linkPrefix+got.ID) {
		t.Errorf("%+v", report.Tokens)
	}

	// Without --links, no link is told.
	again := c.must("", "import", "one-time-service", file, "--json")
	if strings.Contains(again, linkPrefix) || strings.Contains(again, svenja) {
		t.Errorf("links nobody has asked for:\n%s", again)
	}
}

// A home that refuses, a home that is away, and a host who knows better.
func TestImportSkipCheck(t *testing.T) {
	c := startCaddy(t, func(c *testCaddy, cfg object) {
		cfg["apps"].(object)["hass"] = object{"homes": object{
			"default": object{"url": "http://127.0.0.1:9", "token": "x", "timeout": "200ms"},
			"cabin":   object{"url": c.home.URL(), "token": "{file." + filepath.Join(c.dir, "token") + "}"},
		}}
	})
	db, _, _, _, gone := aHouse()
	file := db.write(t)
	c.fails("--skip-check", "import", "one-time-service", file)
	c.fails(`no home "attic"`, "import", "one-time-service", file, "--home", "attic")
	if list := c.must("", "action", "list", "--json"); strings.Contains(list, "haustur") {
		t.Errorf("something was taken over:\n%s", list)
	}
	out := c.must("", "import", "one-time-service", file, "--skip-check", "--home", "cabin")
	if !strings.Contains(out, "Taken over: 3 actions and 4 links.") {
		t.Errorf("printed\n%s", out)
	}
	if _, err := c.service().Open(t.Context(), gone); err != nil {
		t.Error(err)
	}
}

func TestImportBadFiles(t *testing.T) {
	c := startCaddy(t, nil)
	c.waitForHome()
	dir := t.TempDir()
	file := func(text string) string {
		name := filepath.Join(dir, "db.json")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	c.fails("no such file", "import", "one-time-service", filepath.Join(dir, "none"))
	c.fails("is a folder", "import", "one-time-service", dir)
	c.fails("empty", "import", "one-time-service", file(""))
	c.fails("not the database of One Time Service", "import", "one-time-service", file(`{"version": 1}`))
	c.fails("cut off", "import", "one-time-service", file(`{"tokens": {`))
	if r := c.run(`{"macros": {}, "tokens": {}}`, "import", "one-time-service", "-"); r.failed != nil || r.out != "Taken over: no actions and no links.\n" {
		t.Errorf("%+v", r)
	}
}

// Once guests have the new links, the old ones are switched off.
func TestEndOldLinks(t *testing.T) {
	c := startCaddy(t, nil)
	c.waitForHome()
	db, svenja, parcel, _, _ := aHouse()
	c.must("", "import", "one-time-service", db.write(t))
	c.fails("--all", "import", "end-old-links")
	c.fails("--all", "import", "end-old-links", "ABC123", "--all")
	c.fails("no link's", "import", "end-old-links", "000000")
	view, err := c.service().Open(t.Context(), svenja)
	if err != nil {
		t.Fatal(err)
	}
	id := view.Token.ID
	if out := c.must("", "import", "end-old-links", strings.ToLower(id)); !strings.HasPrefix(out, id+":") || strings.Count(out, "\n") != 1 {
		t.Errorf("printed %q", out)
	}
	if _, err := c.press(svenja); err == nil {
		t.Error("it still opens the door")
	}
	if _, err := c.service().Open(t.Context(), parcel); err != nil {
		t.Error("another's:", err)
	}
	if out := c.must("", "import", "end-old-links", "--all"); strings.Count(out, "\n") != 2 {
		t.Errorf("printed %q", out)
	}
	if _, err := c.press(parcel); err == nil {
		t.Error("it still works")
	}
	if _, err := c.service().Redeem(t.Context(), onetime.RedeemRequest{Code: c.service().Code(view.Token)}); err != nil {
		t.Error("the new link:", err)
	}
}

func (c *testCaddy) lastEntry() uint64 {
	c.t.Helper()
	seq, err := c.service().LastEntry(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return seq
}

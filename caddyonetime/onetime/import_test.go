package onetime_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Codes as One Time Service makes them.
const (
	oldCode  = "kUovLIdpQaZbtyMXwNCSrfhGjeWqARTi"
	oldCode2 = "ZbtyMXwNCSrfhGjeWqARTikUovLIdpQa"
)

const doorYAML = "action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"

func oldBatch() onetime.Batch {
	created := start.Add(-48 * time.Hour)
	return onetime.Batch{
		Class: onetime.ClassOneTimeService,
		By:    onetime.Person{ID: "old"},
		Actions: []onetime.BatchAction{
			{Name: "Haustür öffnen", Definitions: []string{doorYAML}},
		},
		Tokens: []onetime.BatchToken{
			{Code: oldCode, Action: "Haustür öffnen", Comment: "For Svenja", Created: created, UsesMax: 3, UsesLeft: 2},
		},
	}
}

func (w *world) mustImport(b onetime.Batch, o onetime.ImportOptions) *onetime.ImportReport {
	w.t.Helper()
	report, err := w.Import(w.t.Context(), anna, b, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// everything is all that a store holds that hosts see.
func (w *world) everything() string {
	w.t.Helper()
	var all []any
	err := w.store.View(func(tx onetime.Tx) error {
		actions, err := tx.Actions()
		if err != nil {
			return err
		}
		all = append(all, actions)
		if err := tx.Tokens("", func(t *onetime.Token) bool { all = append(all, t); return true }); err != nil {
			return err
		}
		return tx.Entries(0, func(e *onetime.Entry) bool { all = append(all, e); return true })
	})
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := json.Marshal(all)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *world) pressOld(code, key string) (*onetime.Redemption, error) {
	return w.Redeem(w.t.Context(), onetime.RedeemRequest{Code: code, Key: key})
}

func TestImportTakesOver(t *testing.T) {
	w := newWorld(t)
	report := w.mustImport(oldBatch(), onetime.ImportOptions{})
	a := report.Actions[0]
	if a.Result != onetime.ImportedNow || a.Name != "haustur_offnen" || a.Title != "Haustür öffnen" {
		t.Errorf("got %+v", a)
	}
	tok := report.Tokens[0].Token
	if report.Tokens[0].Result != onetime.ImportedNow || tok.Class != onetime.ClassOneTimeService || tok.Comment != "For Svenja" ||
		*tok.UsesMax != 3 || *tok.Left("haustur_offnen") != 2 || tok.Expires != nil || !tok.CreatedAt.Equal(start.Add(-48*time.Hour)) || tok.CreatedBy.ID != "old" {
		t.Errorf("got %+v", tok)
	}
	made := w.observed(onetime.HappenedTokenCreated, 1)[0]
	if made.Token != tok.ID || made.By != anna || made.Maker.ID != "old" {
		t.Errorf("the log says %+v", made)
	}

	// The old link and the new one are two ways to the same uses.
	if r, err := w.pressOld(oldCode, "k"); err != nil || r.Outcome != onetime.OutcomeDone || *r.UsesLeft != 1 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if r := w.mustPress(tok, "k2"); *r.UsesLeft != 0 {
		t.Errorf("got %+v", r)
	}
	_, err := w.pressOld(oldCode, "k3")
	refusedAs(t, err, onetime.StatusUsedUp)
	if code, ok := w.ForeignCode(tok); !ok || code != oldCode {
		t.Errorf("the host sees %q, %t", code, ok)
	}

	// So it is after a restart, too.
	w.reopen()
	if v, err := w.Open(t.Context(), oldCode); err != nil || v.Token.ID != tok.ID || v.Status != onetime.StatusUsedUp {
		t.Errorf("after a restart: %+v, %v", v, err)
	}
	if _, err := w.Replenish(t.Context(), anna, tok.ID, nil); err != nil {
		t.Fatal(err)
	}
	if r, err := w.pressOld(oldCode, "k4"); err != nil || r.Outcome != onetime.OutcomeDone {
		t.Errorf("replenished: %+v, %v", r, err)
	}
}

// An old link works exactly as it was written, and in no other way.
func TestForeignLinksAreExact(t *testing.T) {
	w := newWorld(t)
	w.mustImport(oldBatch(), onetime.ImportOptions{})
	for _, code := range []string{
		strings.ToLower(oldCode), strings.ToUpper(oldCode), oldCode[:31], oldCode + "a", oldCode[:8] + "-" + oldCode[8:], " " + oldCode,
		"K" + oldCode[1:], oldCode2,
	} {
		if _, err := w.Open(t.Context(), code); !errors.Is(err, onetime.ErrNotFound) {
			t.Errorf("%q: got %v", code, err)
		}
	}
	if _, err := w.Open(t.Context(), oldCode); err != nil {
		t.Error(err)
	}
}

// Promise 1 holds for old links: both together run it once.
func TestPromise1_OldAndNewLinkAtOnceRunOnce(t *testing.T) {
	w := newWorld(t)
	b := oldBatch()
	b.Tokens[0].UsesLeft = 1
	tok := w.mustImport(b, onetime.ImportOptions{}).Tokens[0].Token
	codes := []string{oldCode, w.Code(tok)}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { _, _ = w.pressOld(codes[i%2], fmt.Sprint(i)) })
	}
	wg.Wait()
	if w.home.Ran() != 1 {
		t.Errorf("the home was asked %d times", w.home.Ran())
	}
}

// Promise 4: the store holds nothing by which somebody could open a door, and
// nothing of it opens one with another link key.
func TestPromise4_OldLinksAreNotInTheStore(t *testing.T) {
	w := newWorld(t)
	tok := w.mustImport(oldBatch(), onetime.ImportOptions{}).Tokens[0].Token
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 8; n <= len(oldCode); n += 8 {
		if bytes.Contains(file, []byte(oldCode[n-8:n])) {
			t.Error("the store holds the old link, or a part of it")
		}
	}
	w.open()
	moved := *tok
	moved.ID = "000000"
	if code, ok := w.ForeignCode(&moved); ok {
		t.Errorf("it was moved to another token: %q", code)
	}
}

// Promise 4: a forged old link is turned away without touching the store.
func TestPromise4_ForgedOldLinksNeverReachTheStore(t *testing.T) {
	w, store := newFullWorld(t)
	w.mustImport(oldBatch(), onetime.ImportOptions{})
	before := store.views.Load()
	for _, code := range []string{oldCode2, strings.ToLower(oldCode), oldCode[:31]} {
		if _, err := w.pressOld(code, ""); !errors.Is(err, onetime.ErrNotFound) {
			t.Errorf("%q: got %v", code, err)
		}
	}
	if n := store.views.Load() - before; n != 0 {
		t.Errorf("the store was read %d times", n)
	}
}

func TestImportDryRunChangesNothing(t *testing.T) {
	w := newWorld(t)
	before := w.everything()
	dry := w.mustImport(oldBatch(), onetime.ImportOptions{DryRun: true})
	if !dry.DryRun || dry.Actions[0].Result != onetime.ImportedNow || dry.Tokens[0].Result != onetime.ImportedNow || dry.Tokens[0].Token.ID != "" {
		t.Errorf("got %+v", dry)
	}
	if after := w.everything(); after != before {
		t.Errorf("it changed\n%s\nto\n%s", before, after)
	}
	if w.TakesForeign() {
		t.Error("the old link is good")
	}
	if _, err := w.Open(t.Context(), oldCode); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	// It has said what then happens.
	done := w.mustImport(oldBatch(), onetime.ImportOptions{})
	if !reflect.DeepEqual(done.Actions, dry.Actions) {
		t.Errorf("foretold %+v, done %+v", dry.Actions, done.Actions)
	}
}

// A second run brings no spent use back, and overwrites nothing that a host has
// changed since.
func TestImportTwiceChangesNothing(t *testing.T) {
	w := newWorld(t)
	tok := w.mustImport(oldBatch(), onetime.ImportOptions{}).Tokens[0].Token
	if _, err := w.pressOld(oldCode, "k"); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.SaveAction(t.Context(), anna, &onetime.Action{Name: "haustur_offnen", Title: "Open up", Definition: doorYAML + "data: {code: '1'}\n"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ChangeToken(t.Context(), anna, tok.ID, onetime.TokenChange{Guest: new("Svenja")}, 0); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	before := w.everything()
	again := w.mustImport(oldBatch(), onetime.ImportOptions{})
	if again.Actions[0].Result != onetime.ImportedBefore || again.Actions[0].Title != "Open up" ||
		again.Tokens[0].Result != onetime.ImportedBefore || again.Tokens[0].Token.ID != tok.ID {
		t.Errorf("got %+v", again)
	}
	if after := w.everything(); after != before {
		t.Errorf("it changed\n%s\nto\n%s", before, after)
	}

	// What is new in the file is taken over, with what is there already.
	b := oldBatch()
	b.Tokens = append(b.Tokens, onetime.BatchToken{Code: oldCode2, Action: "Haustür öffnen", UsesMax: 1, UsesLeft: 1})
	more := w.mustImport(b, onetime.ImportOptions{})
	if more.Tokens[1].Result != onetime.ImportedNow || more.Tokens[1].Token.Actions[0] != "haustur_offnen" {
		t.Errorf("got %+v", more.Tokens[1])
	}
}

func TestImportRefusesTogether(t *testing.T) {
	w := newWorld(t)
	w.home.Find(nil, &onetime.BadInput{Field: "definition", Line: 3, Message: "this home has no entity `lock.front_door`"})
	before := w.everything()
	report := w.mustImport(oldBatch(), onetime.ImportOptions{})
	if a := report.Actions[0]; a.Result != onetime.ImportRefused || !strings.Contains(a.Reason, "no entity") {
		t.Errorf("got %+v", a)
	}
	if tok := report.Tokens[0]; tok.Result != onetime.ImportRefused || !strings.Contains(tok.Reason, "Haustür öffnen") {
		t.Errorf("got %+v", tok)
	}
	if after := w.everything(); after != before {
		t.Error("something of it was taken over")
	}

	// Unless the host says that it will do.
	report = w.mustImport(oldBatch(), onetime.ImportOptions{SkipCheck: true})
	if report.Actions[0].Result != onetime.ImportedNow || report.Tokens[0].Result != onetime.ImportedNow {
		t.Errorf("got %+v", report)
	}

	// What is no action at all is refused then, too.
	b := onetime.Batch{Class: "x", Actions: []onetime.BatchAction{{Name: "odd", Definitions: []string{"action: nothing"}}}}
	if report := w.mustImport(b, onetime.ImportOptions{SkipCheck: true}); report.Actions[0].Result != onetime.ImportRefused {
		t.Errorf("got %+v", report.Actions[0])
	}
}

// A home that cannot be asked, or is not there: nothing is taken over.
func TestImportNeedsTheHome(t *testing.T) {
	w := newWorld(t)
	w.home.Find(nil, onetime.ErrUnreachable)
	before := w.everything()
	if _, err := w.Import(t.Context(), anna, oldBatch(), onetime.ImportOptions{}); !errors.Is(err, onetime.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	var bad *onetime.BadInput
	for _, skip := range []bool{false, true} {
		if _, err := w.Import(t.Context(), anna, oldBatch(), onetime.ImportOptions{Home: "cabin", SkipCheck: skip}); !errors.As(err, &bad) || bad.Field != "home" {
			t.Errorf("got %v", err)
		}
	}
	if after := w.everything(); after != before {
		t.Error("something was taken over")
	}
	if r := w.mustImport(oldBatch(), onetime.ImportOptions{SkipCheck: true}); r.Tokens[0].Result != onetime.ImportedNow {
		t.Errorf("without asking: %+v", r)
	}
}

func TestImportedUsesAndTimes(t *testing.T) {
	w := newWorld(t)
	past, future := start.Add(-time.Hour), start.Add(time.Hour)
	token := func(max, left int, expires *time.Time) onetime.BatchToken {
		return onetime.BatchToken{Action: "Haustür öffnen", UsesMax: max, UsesLeft: left, Expires: expires, Created: past}
	}
	b := oldBatch()
	b.Tokens = nil
	cases := []struct {
		token      onetime.BatchToken
		result     onetime.Imported
		status     onetime.Status
		limit, use int
	}{
		{token(1, 1, nil), onetime.ImportedNow, onetime.StatusReady, 1, 1},
		{token(5, 2, &future), onetime.ImportedNow, onetime.StatusReady, 5, 2},
		{token(5, 0, nil), onetime.ImportedNow, onetime.StatusUsedUp, 5, 0},
		{token(5, 5, &past), onetime.ImportedNow, onetime.StatusExpired, 5, 5},
		{token(2, 7, nil), onetime.ImportedNow, onetime.StatusReady, 7, 7},
		{token(0, 0, nil), onetime.ImportedNow, onetime.StatusUsedUp, 1, 0},
		{token(-1, -1, nil), onetime.ImportedNow, onetime.StatusUsedUp, 1, 0},
		{token(1<<40, 1<<40, nil), onetime.ImportedNow, onetime.StatusReady, onetime.MaxUses, onetime.MaxUses},
		{token(1, 1, new(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))), onetime.ImportRefused, "", 0, 0},
		{onetime.BatchToken{Action: "Gone", UsesMax: 1, UsesLeft: 1}, onetime.ImportRefused, "", 0, 0},
		{onetime.BatchToken{Action: "Haustür öffnen", Refused: "odd"}, onetime.ImportRefused, "", 0, 0},
	}
	for i, c := range cases {
		c.token.Code = oldCode[:30] + string(rune('A'+i)) + "x"
		b.Tokens = append(b.Tokens, c.token)
	}
	b.Tokens = append(b.Tokens, onetime.BatchToken{Code: "letmein", Action: "Haustür öffnen", UsesMax: 1, UsesLeft: 1})
	report := w.mustImport(b, onetime.ImportOptions{})
	for i, c := range cases {
		got := report.Tokens[i]
		if got.Result != c.result || got.Status != c.status {
			t.Errorf("%d: %+v", i, got)
			continue
		}
		if got.Token == nil {
			if got.Reason == "" {
				t.Errorf("%d: refused without a reason", i)
			}
			continue
		}
		if *got.Token.UsesMax != c.limit || *got.Token.Left("haustur_offnen") != c.use {
			t.Errorf("%d: %d of %d", i, *got.Token.Left("haustur_offnen"), *got.Token.UsesMax)
		}
	}
	if last := report.Tokens[len(cases)]; last.Result != onetime.ImportRefused || strings.Contains(last.Reason, "letmein") {
		t.Errorf("a code made by hand: %+v", last)
	}

	// What had ended before it came is not forgotten the next day.
	w.clock.Move(24 * time.Hour)
	if err := w.Prune(t.Context(), time.Hour*24*365); err != nil {
		t.Fatal(err)
	}
	if v, err := w.Open(t.Context(), oldCode[:30]+"Cx"); err != nil || v.Status != onetime.StatusUsedUp {
		t.Errorf("got %+v, %v", v, err)
	}
}

// Long used up, imported today: there for as long as it would be if it had ended
// today. Then it is gone, its link and its id with it.
func TestPruneForgetsImportedTokens(t *testing.T) {
	w := newWorld(t)
	b := oldBatch()
	b.Tokens[0].Created, b.Tokens[0].UsesLeft = start.AddDate(-3, 0, 0), 0
	tok := w.mustImport(b, onetime.ImportOptions{}).Tokens[0].Token
	if err := w.Prune(t.Context(), 365*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open(t.Context(), oldCode); err != nil {
		t.Error("forgotten at once:", err)
	}
	w.clock.Move(400 * 24 * time.Hour)
	if err := w.Prune(t.Context(), 365*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{oldCode, w.Code(tok)} {
		if _, err := w.Open(t.Context(), code); !errors.Is(err, onetime.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	}
	w.reopen()
	if w.TakesForeign() {
		t.Error("its old link is still known")
	}
}

func TestEndForeign(t *testing.T) {
	w := newWorld(t)
	b := oldBatch()
	b.Tokens = append(b.Tokens, onetime.BatchToken{Code: oldCode2, Action: "Haustür öffnen", UsesMax: 2, UsesLeft: 2})
	report := w.mustImport(b, onetime.ImportOptions{})
	first, second := report.Tokens[0].Token, report.Tokens[1].Token
	if _, err := w.EndForeign(t.Context(), anna, "000000"); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("an unknown token: %v", err)
	}
	if ids, err := w.EndForeign(t.Context(), anna, first.ID); err != nil || len(ids) != 1 || ids[0] != first.ID {
		t.Fatal(ids, err)
	}
	check := func() {
		t.Helper()
		if _, err := w.Open(t.Context(), oldCode); !errors.Is(err, onetime.ErrNotFound) {
			t.Errorf("the old link still works: %v", err)
		}
		if _, err := w.Open(t.Context(), w.Code(first)); err != nil {
			t.Errorf("the new link: %v", err)
		}
		if _, err := w.Open(t.Context(), oldCode2); err != nil {
			t.Errorf("the other old link: %v", err)
		}
		v, err := w.Token(t.Context(), first.ID)
		if err != nil {
			t.Fatal(err)
		}
		if code, ok := w.ForeignCode(v.Token); ok {
			t.Errorf("the host still sees %q", code)
		}
	}
	check()
	w.reopen()
	check()
	// It does not come back by importing once more.
	if again := w.mustImport(b, onetime.ImportOptions{}); again.Tokens[0].Result != onetime.ImportedBefore {
		t.Errorf("got %+v", again.Tokens[0])
	}
	check()

	if ids, err := w.EndForeign(t.Context(), anna); err != nil || len(ids) != 1 || ids[0] != second.ID {
		t.Error(ids, err)
	}
	if w.TakesForeign() {
		t.Error("an old link is left")
	}
	if ids, err := w.EndForeign(t.Context(), anna); err != nil || len(ids) != 0 {
		t.Error(ids, err)
	}
}

// A backup brings old links back with its own link key, waiting like others.
func TestThreat28_RestoredOldLinksWait(t *testing.T) {
	w := newWorld(t)
	tok := w.mustImport(oldBatch(), onetime.ImportOptions{}).Tokens[0].Token
	var backup bytes.Buffer
	if err := w.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	file := backup.Bytes()

	// Into another store, with another link key and another old link.
	other := newWorld(t)
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	other.open()
	b := oldBatch()
	b.Tokens[0].Code = oldCode2
	other.mustImport(b, onetime.ImportOptions{})
	if err := other.Restore(t.Context(), anna, bytes.NewReader(file), onetime.NewSigner(key)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(t.Context(), oldCode2); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("a link of the store that was replaced: %v", err)
	}
	_, err := other.pressOld(oldCode, "k")
	refusedAs(t, err, onetime.StatusPaused)
	if code, ok := other.ForeignCode(tok); !ok || code != oldCode {
		t.Errorf("the host sees %q, %t", code, ok)
	}
	if _, err := other.Replenish(t.Context(), anna, tok.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := other.pressOld(oldCode, "k"); err != nil {
		t.Error(err)
	}

	// With a link key that is not the backup's, nothing of it opens.
	if err := other.Restore(t.Context(), anna, bytes.NewReader(file), onetime.NewSigner(bytes.Repeat([]byte{9}, 32))); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(t.Context(), oldCode); !errors.Is(err, onetime.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestImportNames(t *testing.T) {
	w := newWorld(t)
	b := onetime.Batch{Class: "x"}
	want := map[string]string{
		"Open the front door!":    "open_the_front_door",
		"open-the front  door":    "open_the_front_door_2",
		"Front_door":              "front_door_2", // taken by an action that does something else
		"Straße №5 Œuvre":         "strasse_no5_oeuvre",
		"ДВЕРЬ":                   "action",
		"🚪":                       "action_2",
		"light":                   "light_2",
		strings.Repeat("ab ", 40): strings.TrimRight(strings.Repeat("ab_", 22)[:64], "_"),
	}
	for name := range want {
		b.Actions = append(b.Actions, onetime.BatchAction{Name: name, Definitions: []string{"action: vacuum.start\ntarget: {entity_id: vacuum.one}\n"}})
	}
	// Names follow the order of the batch.
	order := []string{"Open the front door!", "open-the front  door", "ДВЕРЬ", "🚪"}
	rank := func(name string) int {
		for i, n := range order {
			if n == name {
				return i
			}
		}
		return len(order)
	}
	slices.SortFunc(b.Actions, func(a, b onetime.BatchAction) int { return rank(a.Name) - rank(b.Name) })
	for _, a := range w.mustImport(b, onetime.ImportOptions{}).Actions {
		if a.Name != want[a.From] || !onetime.ValidActionName(a.Name) {
			t.Errorf("%q is %q, want %q", a.From, a.Name, want[a.From])
		}
		if a.Title != strings.TrimSpace(a.From) {
			t.Errorf("%q has the title %q", a.From, a.Title)
		}
	}

	// One that a host has made to do the same, under the same name, is it.
	same := onetime.Batch{Class: "x", Actions: []onetime.BatchAction{{Name: "Front door",
		Definitions: []string{"action: lock.unlock\ntarget:\n  entity_id: lock.front_door\n"}}}}
	if a := w.mustImport(same, onetime.ImportOptions{}).Actions[0]; a.Result != onetime.ImportedBefore || a.Name != "front_door" {
		t.Errorf("got %+v", a)
	}
}

// A text that no page could show is made one that can be shown.
func TestImportCleansTexts(t *testing.T) {
	w := newWorld(t)
	b := oldBatch()
	b.Actions[0].Name = "Open\x00 \xffit " + strings.Repeat("ü", onetime.MaxTitle)
	b.Tokens[0].Action = b.Actions[0].Name
	b.Tokens[0].Comment = "Hello\x1b[2J" + strings.Repeat("ü", onetime.MaxComment)
	report := w.mustImport(b, onetime.ImportOptions{})
	if a := report.Actions[0]; !strings.HasPrefix(a.Title, "Open  \uFFFDit") || len(a.Title) > onetime.MaxTitle {
		t.Errorf("got %q", a.Title)
	}
	tok := report.Tokens[0]
	if tok.Result != onetime.ImportedNow || tok.Changed == "" || strings.ContainsRune(tok.Token.Comment, 0x1b) || len(tok.Token.Comment) > onetime.MaxComment {
		t.Errorf("got %+v", tok)
	}
}

// The first form that the home takes is kept.
func TestImportChoosesADefinition(t *testing.T) {
	w := newWorld(t)
	b := onetime.Batch{Class: "x", Actions: []onetime.BatchAction{
		{Name: "a", Definitions: []string{"nothing: 1\n", doorYAML}},
		{Name: "b", Definitions: []string{"\n\nfirst: 1\n", "second: 1\n"}},
	}}
	report := w.mustImport(b, onetime.ImportOptions{})
	if a := report.Actions[0]; a.Result != onetime.ImportedNow || a.Definition != doorYAML {
		t.Errorf("got %+v", a)
	}
	if a := report.Actions[1]; a.Result != onetime.ImportRefused || !strings.Contains(a.Reason, "line 3") {
		t.Errorf("got %+v", a)
	}
}

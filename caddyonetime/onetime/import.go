package onetime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Batch is what is taken over from elsewhere in one step.
type Batch struct {
	// Class is the class of the tokens; with the name of an action, it makes
	// the action's Origin.
	Class string

	// By is who is said to have made the tokens.
	By Person

	Actions []BatchAction
	Tokens  []BatchToken
}

// BatchAction is an action as it was called there.
type BatchAction struct {
	Name string // any text: it becomes the title

	// Definitions say the same in different forms. The first one that the
	// home takes is kept.
	Definitions []string

	// Refused says why it cannot be taken over at all. Empty: it can.
	Refused string
}

// BatchToken is a token as it was there.
type BatchToken struct {
	Code    string // of its link
	Action  string // the Name of its BatchAction
	Comment string
	Created time.Time  // zero: not known
	Expires *time.Time // nil: never

	UsesMax, UsesLeft int

	// Refused says why it cannot be taken over at all. Empty: it can.
	Refused string
}

// ImportOptions say how to take a Batch over.
type ImportOptions struct {
	Home      string // that the actions are for; empty: DefaultHome
	DryRun    bool   // change nothing
	SkipCheck bool   // do not ask the home whether it can do the actions
}

// Imported is what has become of one thing of a Batch.
type Imported string

const (
	ImportedNow    Imported = "imported"
	ImportedBefore Imported = "present" // an earlier import, and perhaps changed since
	ImportRefused  Imported = "refused"
)

// ImportReport tells of everything in a Batch, in its order.
type ImportReport struct {
	DryRun  bool
	Actions []ActionImport
	Tokens  []TokenImport
}

// ActionImport is what has become of an action.
type ActionImport struct {
	Result     Imported
	From       string // its name there
	Name       string
	Title      string
	Definition string
	Reason     string   // why it was refused
	Warnings   []string // of the home
}

// TokenImport is what has become of a token.
type TokenImport struct {
	Result  Imported
	Batch   BatchToken
	Token   *Token // nil where it was refused
	Status  Status
	Reason  string // why it was refused
	Changed string // what had to be changed to take it over
}

// errDryRun rolls everything back.
var errDryRun = errors.New("dry run")

// Import takes a Batch over, all in one step. What an earlier import has taken
// over is left alone, however it was changed since: uses that were spent do not
// come back. An action that the home refuses is left out, together with its
// tokens; an error means that nothing was taken over. Errors: *BadInput for the
// home's name, ErrUnreachable where it could not be asked, *StoreError.
func (s *Service) Import(ctx context.Context, by Person, b Batch, o ImportOptions) (*ImportReport, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if o.Home == "" {
		o.Home = DefaultHome
	}
	checked, err := s.checkBatch(ctx, &b, o)
	if err != nil {
		return nil, err
	}

	s.restoring.RLock()
	defer s.restoring.RUnlock()
	var report *ImportReport
	err = s.store.Update(func(tx Tx) error {
		report = &ImportReport{DryRun: o.DryRun}
		actions := make(map[string]*ActionImport)
		for i, a := range b.Actions {
			done, err := s.importAction(tx, by, &b, a, checked[i], o)
			if err != nil {
				return err
			}
			report.Actions = append(report.Actions, *done)
			actions[a.Name] = done
		}
		for _, t := range b.Tokens {
			done, err := s.importToken(tx, by, &b, t, actions[t.Action])
			if err != nil {
				return err
			}
			report.Tokens = append(report.Tokens, *done)
		}
		if o.DryRun {
			return errDryRun
		}
		return nil
	})
	if o.DryRun && errors.Is(err, errDryRun) {
		for _, t := range report.Tokens {
			if t.Result == ImportedNow {
				t.Token.ID = "" // nobody got it
			}
		}
		return report, nil
	}
	if err != nil {
		return nil, err
	}
	var tokens []*Token
	for _, t := range report.Tokens {
		if t.Result == ImportedNow {
			tokens = append(tokens, t.Token)
		}
	}
	s.foreign.add(tokens)
	s.follower.grown()
	return report, nil
}

// checked is what the home says of an action of a Batch.
type checked struct {
	definition string
	refused    string
	warnings   Warnings
}

// checkBatch asks the home about the actions that are not here yet.
func (s *Service) checkBatch(ctx context.Context, b *Batch, o ImportOptions) ([]checked, error) {
	_, release, err := s.homes.Acquire(o.Home)
	if errors.Is(err, ErrNoHome) {
		return nil, noSuchHome(o.Home)
	}
	if err != nil {
		return nil, err
	}
	release()
	here, err := s.Actions(ctx)
	if err != nil {
		return nil, err
	}
	found := make([]checked, len(b.Actions))
	for i, a := range b.Actions {
		if a.Refused != "" {
			found[i].refused = a.Refused
			continue
		}
		if presentAction(here, b, a, o.Home) != nil {
			continue
		}
		for j, definition := range a.Definitions {
			next := a.action(b, definition, o.Home)
			next.Name = "checked" // which one it gets is decided later
			var warnings Warnings
			if o.SkipCheck {
				_, err = next.written()
			} else {
				warnings, err = s.CheckAction(ctx, next)
			}
			var bad *BadInput
			if err != nil && !errors.As(err, &bad) {
				return nil, err
			}
			if err == nil {
				found[i] = checked{definition: definition, warnings: warnings}
				break
			}
			if j == 0 {
				found[i].refused = bad.Error()
			}
		}
	}
	return found, nil
}

func (a BatchAction) action(b *Batch, definition, home string) *Action {
	return &Action{Title: cleanText(a.Name, MaxTitle, false), Home: home, Definition: definition, Origin: b.Class + "/" + a.Name}
}

// presentAction is the action that an earlier import has made of a, or one that
// somebody has made to do the same under the name that it would get.
func presentAction(here []*Action, b *Batch, a BatchAction, home string) *Action {
	origin, name := b.Class+"/"+a.Name, Slug(a.Name)
	var same *Action
	for _, h := range here {
		switch {
		case h.Origin == origin && h.Home == home:
			return h
		case h.Origin == "" && h.Name == name && h.Home == home && slices.Contains(a.Definitions, h.Definition):
			same = h
		}
	}
	return same
}

func (s *Service) importAction(tx Tx, by Person, b *Batch, a BatchAction, c checked, o ImportOptions) (*ActionImport, error) {
	here, err := tx.Actions()
	if err != nil {
		return nil, err
	}
	if p := presentAction(here, b, a, o.Home); p != nil {
		return &ActionImport{Result: ImportedBefore, From: a.Name, Name: p.Name, Title: p.Title, Definition: p.Definition}, nil
	}
	if c.definition == "" {
		if c.refused == "" {
			c.refused = "it was deleted in this moment: import again"
		}
		return &ActionImport{Result: ImportRefused, From: a.Name, Reason: c.refused}, nil
	}
	next := a.action(b, c.definition, o.Home)
	next.Name = freeName(here, Slug(a.Name))
	if next.Title == "" {
		next.Title = titleOf(next.Name)
	}
	now := s.now().UTC()
	next.Revision, next.CreatedAt, next.UpdatedAt, next.UpdatedBy = 1, now, now, by
	if err := tx.PutAction(next); err != nil {
		return nil, err
	}
	err = tx.AppendEntry(&Entry{
		At: now, What: HappenedActionSaved,
		Action: next.Name, Title: next.Title, Home: next.Home, By: by,
	})
	return &ActionImport{
		Result: ImportedNow, From: a.Name, Name: next.Name, Title: next.Title,
		Definition: next.Definition, Warnings: c.warnings.Texts(),
	}, err
}

func (s *Service) importToken(tx Tx, by Person, b *Batch, bt BatchToken, a *ActionImport) (*TokenImport, error) {
	done := &TokenImport{Result: ImportRefused, Batch: bt, Reason: bt.Refused}
	switch {
	case done.Reason != "":
		return done, nil
	case !ShapedForeign(bt.Code):
		done.Reason = fmt.Sprintf("its code is not one of %d to %d letters and digits: it was made by hand, and may be guessed", minForeign, maxForeign)
		return done, nil
	}
	now := s.now().UTC()
	hash := s.signer.Load().foreignHash(bt.Code)
	switch id, err := tx.Foreign(hash[:]); {
	case err == nil:
		t, err := tx.Token(id)
		if err != nil {
			return nil, err
		}
		done.Result, done.Token, done.Status = ImportedBefore, t, t.Status(now, false)
		return done, nil
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	switch {
	case a == nil:
		done.Reason = fmt.Sprintf("its action %q is not in the file", bt.Action)
	case a.Result == ImportRefused:
		done.Reason = fmt.Sprintf("its action %q is not taken over", bt.Action)
	}
	if done.Reason != "" {
		return done, nil
	}

	t := &Token{
		Class: b.Class, Actions: []string{a.Name}, CreatedAt: bt.Created.UTC(), CreatedBy: b.By,
		Expires: utc(bt.Expires), Revision: 1,
	}
	if bt.Created.IsZero() || t.CreatedAt.Year() < 2000 || t.CreatedAt.After(now) {
		t.CreatedAt = now
	}
	if t.Comment = cleanText(bt.Comment, MaxComment, true); t.Comment != strings.TrimSpace(bt.Comment) {
		done.Changed = "what no page could show was taken out of its comment"
	}
	// Counts that make no sense are read as the fewest uses they can mean.
	limit := min(max(bt.UsesMax, bt.UsesLeft, 1), MaxUses)
	t.UsesMax = &limit
	if left := min(max(bt.UsesLeft, 0), limit); left < limit {
		t.setUse(a.Name, ActionUse{Used: limit - left})
	}
	if err := t.check(tx); err != nil {
		var bad *BadInput
		if errors.As(err, &bad) {
			done.Reason = bad.Error()
			return done, nil
		}
		return nil, err
	}
	var err error
	if t.ID, err = s.newID(tx); err != nil {
		return nil, err
	}
	if t.Foreign, err = s.signer.Load().foreign(t.ID, bt.Code, s.rand); err != nil {
		return nil, err
	}
	t.Foreign.At = now
	if err := tx.PutToken(t); err != nil {
		return nil, err
	}
	done.Result, done.Token, done.Status = ImportedNow, t, t.Status(now, false)
	return done, s.tokenEntry(tx, HappenedTokenCreated, by, t)
}

// Slug makes an action's name of a title, "Haustür öffnen" is "haustur_offnen".
// What has no letters that a name may have is "action".
func Slug(title string) string {
	var out strings.Builder
	gap := false
	for _, r := range norm.NFKD.String(title) {
		if unicode.Is(unicode.Mn, r) { // an accent, which belongs to the letter before
			continue
		}
		word := plainLetters[unicode.ToLower(r)]
		if word == "" {
			if r = unicode.ToLower(r); 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
				word = string(r)
			}
		}
		if word == "" {
			gap = out.Len() > 0
			continue
		}
		if gap {
			out.WriteByte('_')
			gap = false
		}
		out.WriteString(word)
	}
	name := out.String()
	if len(name) > maxActionName {
		name = strings.TrimRight(name[:maxActionName], "_")
	}
	if name == "" {
		return "action"
	}
	return name
}

const maxActionName = 64

// plainLetters are those that Unicode does not take apart.
var plainLetters = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ı': "i",
}

// freeName is name, or what comes nearest and is not taken.
func freeName(here []*Action, name string) string {
	taken := func(name string) bool {
		return slices.ContainsFunc(here, func(a *Action) bool { return a.Name == name })
	}
	free := name
	for n := 2; taken(free); n++ {
		suffix := fmt.Sprintf("_%d", n)
		free = name[:min(len(name), maxActionName-len(suffix))] + suffix
	}
	return free
}

// cleanText makes somebody else's text one that checkText takes.
func cleanText(s string, max int, lines bool) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case lines && (r == '\n' || r == '\r' || r == '\t'):
			return r
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if len(s) > max {
		for max > 0 && !utf8.RuneStart(s[max]) {
			max--
		}
		s = s[:max]
	}
	return s
}

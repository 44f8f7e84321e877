package guest

import (
	"context"
	"image"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/pagetest"
)

// scene is a state of the guest's page and the way there.
type scene struct {
	name string
	make func(w *world, p people) string // returns the path
	then []step                          // only with a script
}

// people are what hosts write, in one language or another.
type people struct {
	guest, comment, title, done, house, host string
}

var (
	english  = people{"Tom", "Keys for the bikes are in the blue box.\nEnjoy!", "Open the front door", "Push hard, the door sticks.", "12 Hill Street", "Anna"}
	german   = people{"Familie Schmidtbauer-Wollersheim", strings.Repeat("Die Haustür klemmt ein wenig, bitte kräftig drücken. Der Fahrradkellerschlüssel hängt hinter der Garderobe. ", 2), "Haustür im Erdgeschoss aufschließen", "Bitte kräftig drücken, die Tür klemmt.", "Donaudampfschifffahrtsgasse 128, Hinterhaus", "Anna-Katharina"}
	arabic   = people{"فاطمة الزهراء بنت محمد", strings.Repeat("Welcome to our home! The lift is on the left; the flat is on the third floor. ", 8)[:600], "Open the front door", "", "12 Hill Street", "Anna"}
	arabs    = people{"فاطمة الزهراء", "المفاتيح في الصندوق الأزرق.\nأهلًا بك!", "افتح الباب الأمامي", "ادفع بقوة.", "شارع التل ١٢", "ليلى"}
	hebrew   = people{"יעל כהן", "המפתחות בקופסה הכחולה.", "לפתוח את דלת הכניסה", "דחפו חזק.", "רחוב הגבעה 12", "Anna"}
	japanese = people{"田中", "自転車の鍵は青い箱に入っています。", "玄関を開ける", "強く押してください。", "丘通り12", "佐藤"}
	russian  = people{"Екатерина Константиновна", "Ключи в синем ящике.", "Открыть входную дверь", "Толкните сильнее.", "Улица Холмистая, 12", "Анна"}
	finnish  = people{"Tuomas Virtanen", "Avaimet ovat sinisessä laatikossa.", "Avaa etuovi", "Työnnä kovaa.", "Mäkikatu 12", "Anna"}
	greek    = people{"Νίκος Παπαδόπουλος", "Τα κλειδιά είναι στο μπλε κουτί.", "Άνοιγμα της εξώπορτας", "Σπρώξτε δυνατά.", "Οδός Λόφου 12", "Άννα"}
	nobody   = people{"", "", "Open the front door", "", "", ""}
)

func scenes() []scene {
	answer := func(a onetime.Answer, uses int) func(*world, people) string {
		return func(w *world, p people) string {
			code, _ := w.link(p.spec(w, uses))
			w.home.Answer(a)
			location, _ := w.press(code, "")
			return strings.TrimPrefix(location, "./")
		}
	}
	notReady := func(cause onetime.Cause) func(*world, people) string {
		return func(w *world, p people) string {
			code, _ := w.link(p.spec(w, 1))
			w.home.NotReady(&onetime.NotReady{Cause: cause})
			location, _ := w.press(code, "")
			return strings.TrimPrefix(location, "./")
		}
	}
	ready := func(w *world, p people) string {
		code, _ := w.link(p.spec(w, 1))
		return code
	}
	tap := chromedp.Click(chromedp.CSS(".ask summary"))
	yes := []step{tap, chromedp.Sleep(800 * time.Millisecond), chromedp.Click(chromedp.CSS(".ask form .go"))}
	return []scene{
		{name: "ready", make: ready},
		{name: "ready-step-2", make: ready, then: []step{tap, chromedp.Sleep(300 * time.Millisecond)}},
		{name: "ready-any", make: func(w *world, p people) string {
			spec := p.spec(w, 3)
			spec.Actions = []string{"light"}
			code, _ := w.link(spec)
			return code
		}},
		{name: "ready-unreachable", make: func(w *world, p people) string {
			code, _ := w.link(p.spec(w, 3))
			w.home.NotReady(&onetime.NotReady{Cause: onetime.CauseUnreachable})
			return code
		}},
		{name: "ready-several", make: func(w *world, p people) string {
			spec := p.spec(w, 3)
			spec.Actions = []string{"gate", "front_door", "light"}
			code, _ := w.link(spec)
			for range 3 {
				w.press(code, "action=gate")
			}
			return code
		}},
		{name: "scheduled", make: func(w *world, p people) string {
			spec := p.spec(w, 1)
			spec.NotBefore = w.in(72 * time.Minute)
			code, _ := w.link(spec)
			return code
		}},
		{name: "working", make: func(w *world, p people) string {
			ended := make(chan struct{})
			w.t.(*testing.T).Cleanup(func() { close(ended) })
			w.home.OnRun = func(context.Context, *onetime.Definition) { <-ended }
			return ready(w, p)
		}, then: append(yes[:3:3], chromedp.Sleep(3500*time.Millisecond))},
		{name: "running", make: func(w *world, p people) string {
			ended, began := make(chan struct{}), make(chan struct{})
			w.t.(*testing.T).Cleanup(func() { close(ended) })
			w.home.OnRun = func(context.Context, *onetime.Definition) { close(began); <-ended }
			code := ready(w, p)
			go w.ask("POST", "/"+code, "")
			<-began
			return code + "?r=1"
		}},
		{name: "done", make: answer(onetime.Answer{Outcome: onetime.OutcomeDone}, 1)},
		{name: "done-left", make: answer(onetime.Answer{Outcome: onetime.OutcomeDone}, 3), then: []step{chromedp.Sleep(3200 * time.Millisecond)}},
		{name: "done-replayed", make: func(w *world, p people) string {
			code, _ := w.link(p.spec(w, 1))
			w.press(code, "nonce=k")
			w.clock.Move(time.Minute)
			location, _ := w.press(code, "nonce=k")
			return strings.TrimPrefix(location, "./")
		}},
		{name: "not-sent-unreachable", make: notReady(onetime.CauseUnreachable)},
		{name: "not-sent-unavailable", make: notReady(onetime.CauseUnavailable)},
		{name: "failed", make: answer(onetime.Answer{Outcome: onetime.OutcomeFailed}, 1)},
		{name: "rejected", make: answer(onetime.Answer{Outcome: onetime.OutcomeRejected}, 1)},
		{name: "stopped", make: func(w *world, p people) string {
			code, _ := w.link(p.spec(w, 1))
			for range 3 {
				w.home.Answer(onetime.Answer{Outcome: onetime.OutcomeFailed})
				w.press(code, "")
			}
			return code
		}},
		{name: "partial", make: answer(onetime.Answer{Outcome: onetime.OutcomeFailed, Partial: true}, 3)},
		{name: "unknown-left", make: answer(onetime.Answer{Outcome: onetime.OutcomeUnknown}, 3)},
		{name: "unknown", make: answer(onetime.Answer{Outcome: onetime.OutcomeUnknown}, 1)},
		{name: "expired", make: func(w *world, p people) string {
			code := ready(w, p)
			w.clock.Move(26 * time.Hour)
			return code
		}},
		{name: "used-up", make: func(w *world, p people) string {
			code, _ := w.link(p.spec(w, 1))
			w.press(code, "")
			w.clock.Move(time.Hour)
			return code
		}},
		{name: "revoked", make: func(w *world, p people) string {
			code, tok := w.link(p.spec(w, 1))
			yes := true
			w.service.ChangeToken(context.Background(), anna, tok.ID, onetime.TokenChange{Revoked: &yes}, 0)
			return code
		}},
		{name: "paused", make: func(w *world, p people) string {
			w.service.SetPaused(context.Background(), anna, true)
			return ready(w, p)
		}},
		{name: "lost", make: func(w *world, p people) string {
			w.failPosts.Store(true)
			return ready(w, p)
		}, then: append(yes[:3:3], chromedp.Sleep(22*time.Second))},
		{name: "trouble", make: func(w *world, p people) string {
			code := ready(w, p)
			w.store.fail(&onetime.StoreError{Op: "read", Err: errDiskFull}, nil)
			return code
		}},
		{name: "front", make: func(w *world, p people) string { return "" }},
		{name: "unknown-link", make: func(w *world, p people) string { return "000000000000000000000000" }},
		{name: "too-many", make: func(w *world, p people) string {
			for range wrongBurst {
				w.cfg.Limiter.Allow(netip.MustParseAddr("127.0.0.1"))
			}
			return "000000000000000000000000"
		}},
	}
}

func (p people) spec(w *world, uses int) onetime.TokenSpec {
	return onetime.TokenSpec{Actions: []string{"front_door"}, Guest: p.guest, Comment: p.comment, UsesMax: &uses, Expires: w.in(25 * time.Hour)}
}

// look is a way to look at the pages.
type look struct {
	pagetest.Look
	people  people
	noStyle bool
	only    string // scenes, separated by spaces; all when empty
}

// mainScenes are those most guests see, for a look in many languages.
const mainScenes = "ready ready-step-2 ready-several scheduled done-left not-sent-unavailable failed unknown-left expired used-up paused unknown-link too-many"

var looks = []look{
	{Look: pagetest.Look{Name: "412-light-en", Width: 412, Height: 732, Lang: "en"}, people: english},
	{Look: pagetest.Look{Name: "412-dark-en", Width: 412, Height: 732, Dark: true, Lang: "en"}, people: english},
	{Look: pagetest.Look{Name: "320-light-en", Width: 320, Height: 480, Lang: "en"}, people: english},
	{Look: pagetest.Look{Name: "320-dark-de", Width: 320, Height: 480, Dark: true, Lang: "de"}, people: german},
	{Look: pagetest.Look{Name: "1280-light-en", Width: 1280, Height: 800, Lang: "en"}, people: english},
	{Look: pagetest.Look{Name: "1280-dark-de", Width: 1280, Height: 800, Dark: true, Lang: "de"}, people: german},
	{Look: pagetest.Look{Name: "412-light-arabic", Width: 412, Height: 800, Lang: "en"}, people: arabic, only: "ready ready-step-2 ready-several scheduled done"},
	{Look: pagetest.Look{Name: "412-lang-ar", Width: 412, Height: 732, Lang: "ar"}, people: arabs},
	{Look: pagetest.Look{Name: "320-lang-ar", Width: 320, Height: 480, Lang: "ar"}, people: arabs, only: mainScenes},
	{Look: pagetest.Look{Name: "320-lang-he", Width: 320, Height: 480, Lang: "he"}, people: hebrew, only: mainScenes},
	{Look: pagetest.Look{Name: "360-lang-ja", Width: 360, Height: 640, Lang: "ja"}, people: japanese, only: mainScenes},
	{Look: pagetest.Look{Name: "320-lang-ru", Width: 320, Height: 480, Lang: "ru"}, people: russian, only: mainScenes},
	{Look: pagetest.Look{Name: "320-lang-fi", Width: 320, Height: 480, Lang: "fi"}, people: finnish, only: mainScenes},
	{Look: pagetest.Look{Name: "320-lang-el", Width: 320, Height: 480, Lang: "el"}, people: greek, only: mainScenes},
	{Look: pagetest.Look{Name: "360-light-nobody", Width: 360, Height: 640, Lang: "en"}, people: nobody, only: "ready ready-any done-left not-sent-unavailable stopped unknown expired used-up revoked paused trouble"},
	{Look: pagetest.Look{Name: "360-noscript", Width: 360, Height: 640, Lang: "en", NoScript: true}, people: english, only: "ready ready-any scheduled done-left not-sent-unreachable too-many"},
	{Look: pagetest.Look{Name: "360-nostyle", Width: 360, Height: 640, Lang: "en"}, people: english, noStyle: true, only: "ready ready-any ready-several scheduled done failed unknown-link"},
	{Look: pagetest.Look{Name: "412-forced", Width: 412, Height: 732, Dark: true, Lang: "en", Forced: true}, people: english, only: mainScenes},
	{Look: pagetest.Look{Name: "1280-text400", Width: 1280, Height: 800, Lang: "en", Text: 400}, people: english, only: mainScenes},
	{Look: pagetest.Look{Name: "2160p-light-en", Width: 3840, Height: 2160, Lang: "en"}, people: english, only: "ready ready-several done unknown-link"},
}

// TestScreenshots writes a picture of every state, and sheets of each look.
func TestScreenshots(t *testing.T) {
	album := pagetest.NewAlbum(t, "guests")
	browser := newBrowser(t)
	for _, l := range looks {
		var pictures []image.Image
		for _, s := range scenes() {
			name := l.Name + "-" + s.name
			if l.only != "" && !strings.Contains(" "+l.only+" ", " "+s.name+" ") || !pagetest.Wanted(name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				tab := openScene(t, browser, l, s, nil)
				pictures = append(pictures, album.Shoot(t, tab, name))
			})
		}
		album.Sheet(t, l.Name, pictures)
	}
}

// TestEveryPage examines every state on a narrow phone and at a desk.
func TestEveryPage(t *testing.T) {
	axe := pagetest.Axe(t)
	browser := newBrowser(t)
	for _, l := range []look{
		{Look: pagetest.Look{Name: "phone", Width: 320, Height: 480, Lang: "de"}, people: german},
		{Look: pagetest.Look{Name: "desk", Width: 1280, Height: 800, Dark: true, Lang: "ar"}, people: arabs},
	} {
		for _, s := range scenes() {
			name := l.Name + "-" + s.name
			// One state that takes half a minute to get to is enough.
			if !pagetest.Wanted(name) || s.name == "lost" && l.Name != "phone" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				var e *pagetest.Examiner
				openScene(t, browser, l, s, func(tab context.Context) { e = pagetest.Examine(t, tab) })
				e.Check(t, axe)
				if n := e.Bytes(); n > maxPageBytes {
					t.Errorf("it weighs %d bytes", n)
				}
			})
		}
	}
}

// openScene opens a tab on a scene; watch, where there is one, gets the tab before.
func openScene(t *testing.T, browser context.Context, l look, s scene, watch func(tab context.Context)) context.Context {
	t.Helper()
	w := newWorld(t)
	w.configure(func(c *Config) {
		c.House = l.people.house
		c.Contacts = nil
		if l.people.host != "" {
			c.Contacts = []Contact{{Name: l.people.host, URL: "tel:+4930123456"}}
		}
	})
	w.rename("front_door", l.people.title, l.people.done)
	w.action(onetime.Action{Name: "gate", Title: "Open the garden gate", Icon: "gate", Definition: "action: lock.unlock\ntarget:\n  entity_id: lock.gate\n"})
	w.lang, w.noStyle = l.Lang, l.noStyle
	address := w.serve(t) + s.make(w, l.people)
	tab, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	tab, cancel = context.WithTimeout(tab, 3*time.Minute)
	t.Cleanup(cancel)
	do := func(steps ...step) {
		t.Helper()
		if err := chromedp.Do(tab, steps...); err != nil {
			t.Fatal(err)
		}
	}
	do(l.Steps()...)
	if watch != nil {
		watch(tab)
	}
	do(chromedp.Navigate(address), chromedp.Sleep(250*time.Millisecond))
	if !l.NoScript {
		do(s.then...)
	}
	return tab
}

// rename gives an action another title.
func (w *world) rename(name, title, done string) {
	w.t.Helper()
	a, err := w.service.Action(context.Background(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	a.Title, a.Done = title, done
	w.action(*a)
}

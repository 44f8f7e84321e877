package guest

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
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
	name          string
	width, height int64
	dark          bool
	lang          string
	people        people
	zone          string // the phone's; the home's when empty
	noScript      bool
	noStyle       bool
	only          string // scenes, separated by spaces; all when empty
}

// mainScenes are those most guests see, for a look in many languages.
const mainScenes = "ready ready-step-2 ready-several scheduled done-left not-sent-unavailable failed unknown-left expired used-up paused unknown-link too-many"

var looks = []look{
	{name: "360-light-en", width: 360, height: 640, lang: "en", people: english},
	{name: "360-dark-en", width: 360, height: 640, dark: true, lang: "en", people: english},
	{name: "320-light-de", width: 320, height: 480, lang: "de", people: german},
	{name: "320-light-en", width: 320, height: 480, lang: "en", people: english},
	{name: "412-dark-de", width: 412, height: 800, dark: true, lang: "de", people: german},
	{name: "412-light-arabic", width: 412, height: 800, lang: "en", people: arabic, only: "ready ready-step-2 ready-several scheduled done"},
	{name: "360-lang-ar", width: 360, height: 640, lang: "ar", people: arabs, only: mainScenes},
	{name: "320-lang-ar", width: 320, height: 480, lang: "ar", people: arabs, only: mainScenes},
	{name: "320-lang-he", width: 320, height: 480, lang: "he", people: hebrew, only: mainScenes},
	{name: "360-lang-ja", width: 360, height: 640, lang: "ja", people: japanese, only: mainScenes},
	{name: "320-lang-ru", width: 320, height: 480, lang: "ru", people: russian, only: mainScenes},
	{name: "320-lang-fi", width: 320, height: 480, lang: "fi", people: finnish, only: mainScenes},
	{name: "320-lang-el", width: 320, height: 480, lang: "el", people: greek, only: mainScenes},
	{name: "360-light-nobody", width: 360, height: 640, lang: "en", people: nobody, only: "ready ready-any done-left not-sent-unavailable stopped unknown expired used-up revoked paused trouble"},
	{name: "1280-light-en", width: 1280, height: 800, lang: "en", people: english, only: "ready ready-step-2 ready-several scheduled done failed used-up front"},
	{name: "1280-dark-de", width: 1280, height: 800, dark: true, lang: "de", people: german, only: "ready ready-step-2 done failed"},
	{name: "360-noscript", width: 360, height: 640, lang: "en", people: english, noScript: true, only: "ready ready-any scheduled done-left not-sent-unreachable too-many"},
	{name: "360-nostyle", width: 360, height: 640, lang: "en", people: english, noStyle: true, only: "ready ready-any ready-several scheduled done failed unknown-link"},
}

// TestScreenshots writes a picture of every state into the folder that
// GUEST_SCREENSHOTS names, and a sheet of each look with all its states.
// GUEST_SCREENSHOTS_ONLY picks looks by the beginning of their names.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("GUEST_SCREENSHOTS")
	if dir == "" {
		t.Skip("GUEST_SCREENSHOTS names no folder to write to")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	browser := newBrowser(t)
	for _, l := range looks {
		if !strings.HasPrefix(l.name, os.Getenv("GUEST_SCREENSHOTS_ONLY")) {
			continue
		}
		var sheet []image.Image
		for _, s := range scenes() {
			if l.only != "" && !strings.Contains(" "+l.only+" ", " "+s.name+" ") {
				continue
			}
			t.Run(l.name+"/"+s.name, func(t *testing.T) {
				shot := shoot(t, browser, l, s)
				if err := os.WriteFile(filepath.Join(dir, l.name+"-"+s.name+".png"), shot, 0o644); err != nil {
					t.Fatal(err)
				}
				picture, err := png.Decode(bytes.NewReader(shot))
				if err != nil {
					t.Fatal(err)
				}
				sheet = append(sheet, picture)
			})
		}
		writeSheet(t, filepath.Join(dir, "sheet-"+l.name+".png"), sheet)
	}
}

func shoot(t *testing.T, browser context.Context, l look, s scene) []byte {
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
	w.lang, w.noStyle = l.lang, l.noStyle
	address := w.serve(t) + s.make(w, l.people)
	tab, cancel := chromedp.NewContext(browser)
	defer cancel()
	tab, cancel = context.WithTimeout(tab, time.Minute)
	defer cancel()
	steps := l.steps()
	steps = append(steps, chromedp.Navigate(address), chromedp.Sleep(250*time.Millisecond))
	if !l.noScript {
		steps = append(steps, s.then...)
	}
	if err := chromedp.Do(tab, steps...); err != nil {
		t.Fatal(err)
	}
	shot, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	return shot
}

// steps set a tab up.
func (l look) steps() []step {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	zone := "Europe/Berlin"
	if l.zone != "" {
		zone = l.zone
	}
	return []step{
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.width < 600}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
		call(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.noScript}),
	}
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

// writeSheet puts pictures side by side, a few in each row.
func writeSheet(t *testing.T, path string, pictures []image.Image) {
	if len(pictures) == 0 {
		return
	}
	size, gap := pictures[0].Bounds(), 16
	perRow := max(1, 2400/(size.Dx()+gap))
	rows := (len(pictures) + perRow - 1) / perRow
	for row := range rows {
		part := pictures[row*perRow : min(len(pictures), (row+1)*perRow)]
		sheet := image.NewRGBA(image.Rect(0, 0, gap+len(part)*(size.Dx()+gap), size.Dy()+2*gap))
		draw.Draw(sheet, sheet.Bounds(), image.NewUniform(color.RGBA{120, 130, 140, 255}), image.Point{}, draw.Src)
		for i, p := range part {
			at := image.Pt(gap+i*(size.Dx()+gap), gap)
			draw.Draw(sheet, image.Rectangle{at, at.Add(p.Bounds().Size())}, p, p.Bounds().Min, draw.Src)
		}
		var out bytes.Buffer
		if err := png.Encode(&out, sheet); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s-%d.png", strings.TrimSuffix(path, ".png"), row+1)
		if err := os.WriteFile(name, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

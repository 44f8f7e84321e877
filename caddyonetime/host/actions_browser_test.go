package host

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// truly waits until an expression of the page is true, whichever page it is when
// one leads to the next.
func truly(expression string) step {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		for {
			_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression))
			if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "context") && !strings.Contains(err.Error(), "navigated") {
				return err
			}
		}
	})
}

// TestBrowserPicksWritesAndFollows goes from an empty list of actions to the log
// that shows a press in the moment it happens.
func TestBrowserPicksWritesAndFollows(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser := newBrowser(t)
	w := newWorld(t)
	w.pickable()
	w.browse(anna, "en")
	ctx := tab(t, browser, 412, 900, chromedp.Navigate(w.srv.URL+"/actions"),
		press(".dock a.primary"), chromedp.WaitVisible(chromedp.CSS("#q")),
		// Found while it is typed.
		chromedp.SendKeys(chromedp.CSS("#q"), "hallway nuki"),
		truly(`document.querySelectorAll("#found li").length === 1`),
		press("#found a"), truly(`!!document.querySelector("a[href*='do=lock.unlock']")`),
		press(`a[href*="do=lock.unlock"]`), chromedp.WaitVisible(chromedp.CSS("#definition")),
		truly(`document.getElementById("definition").value.includes("entity_id: lock.front_door")`))

	// Checked while it is written: the line is marked, and the mark goes.
	w.home.Find(nil, &onetime.BadInput{Field: "definition", Line: 3, Message: "lock.front_doo does not exist."})
	write := func(text string) step {
		return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Run(ctx, chromedp.Evaluate[any]("(d => { d.value = "+text+"; d.dispatchEvent(new Event('input')) })(document.getElementById('definition'))"))
			return err
		})
	}
	err := chromedp.Do(ctx,
		write("'action: lock.unlock\\ntarget:\\n  entity_id: lock.front_doo\\n'"),
		truly(`document.querySelector(".numbers .wrong")?.textContent === "3" && !document.querySelector(".mark").hidden`),
		truly(`document.getElementById("verdict").textContent.includes("Line 3: lock.front_doo does not exist.")`),
		truly(`document.getElementById("definition").getAttribute("aria-invalid") === "true"`))
	if err != nil {
		t.Fatal(err)
	}
	w.home.Find([]string{"lock.front_door is unavailable right now."}, nil)
	err = chromedp.Do(ctx,
		write("'action: lock.unlock\\ntarget:\\n  entity_id: lock.front_door\\n'"),
		truly(`document.getElementById("verdict").textContent.includes("is unavailable right now.") && document.querySelector(".mark").hidden`),
		press("#edit button[value=save]"),
		truly(`location.search.includes("saved=1")`))
	if err != nil {
		t.Fatal(err)
	}
	w.home.Find(nil, nil)
	list, err := w.svc.Actions(t.Context())
	if err != nil || len(list) != 1 || list[0].Title != "Unlock: Front door" {
		t.Fatalf("%+v %v", list, err)
	}

	// A press comes into the log by itself.
	id := w.link(anna, `{"actions":["`+list[0].Name+`"],"guest":"Tom"}`)
	if err := chromedp.Do(ctx, chromedp.Navigate(w.srv.URL+"/log"), truly(`!document.getElementById("follows").hidden && !document.querySelector("#follows.lost")`)); err != nil {
		t.Fatal(err)
	}
	w.press(id)
	if err := chromedp.Do(ctx, truly(`/Unlock: Front door.*done/.test(document.querySelector("#rows li.fresh")?.textContent)`)); err != nil {
		t.Fatal(err)
	}
	// The guest's page inside ours is drawn, and its policy is kept.
	if err := chromedp.Do(ctx, chromedp.Navigate(w.srv.URL+"/look?name="+list[0].Name),
		truly(`document.querySelector("iframe").contentDocument?.querySelector(".go") && getComputedStyle(document.querySelector("iframe").contentDocument.querySelector(".go")).backgroundColor === "rgb(11, 90, 55)"`)); err != nil {
		t.Fatal(err)
	}
}

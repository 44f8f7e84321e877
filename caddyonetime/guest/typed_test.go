package guest

import (
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// A link that was typed with spaces, or with dashes of all kinds, leads on to an
// address without any: the log of answers' headers would have it in pieces, none
// of which looks like a link.
func TestThreat22_ATypedLinkLeadsOnWithoutSpaces(t *testing.T) {
	w := newWorld(t)
	code, tok := w.link(onetime.TokenSpec{})
	typed := code[:6] + "%20" + code[6:12] + "%E2%80%93" + code[12:18] + "-" + strings.ToLower(code[18:])
	location, page := w.press(typed, "nonce=k")
	if location != "./"+code+"?r=1" {
		t.Errorf("it leads to %q", location)
	}
	if !strings.Contains(page, `data-state="done"`) {
		t.Error("and that is not the result")
	}
	if w.last.Path != "/"+tok.ID {
		t.Errorf("the log has %q", w.last.Path)
	}
}

// Only what is an asset may stand in the log as one.
func TestThreat22_ALinkBelowTheAssetsIsHidden(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{})
	for _, path := range []string{"/-/" + code, "/-/-/" + code, "/-/" + code + ".js"} {
		w.ask("GET", path, "")
		if strings.Contains(w.last.Path, code[6:]) {
			t.Errorf("%s stands in the log", strings.Replace(path, code, "CODE", 1))
		}
	}
	w.ask("GET", "/-/"+styleAsset.name, "")
	if w.last.Path != "/-/"+styleAsset.name {
		t.Errorf("the style sheet is called %q", w.last.Path)
	}
}

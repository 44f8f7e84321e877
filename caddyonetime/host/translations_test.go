package host

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func TestAPITranslations(t *testing.T) {
	w := newWorld(t)
	w.api = newDescription(t)
	put := func(translations string) *answer {
		return w.do(anna, "PUT", "/api/actions/front_door", `{"title":"Open the front door","definition":"`+strings.ReplaceAll(doorYAML, "\n", `\n`)+`"`+translations+`}`)
	}
	if j := put("").want(http.StatusCreated).json(); fmt.Sprint(j["translations"]) != "map[]" {
		t.Errorf("%v", j["translations"])
	}
	put(`,"translations":{"DE":{"title":"Haustür öffnen","done":"Fest drücken."},"pt-br":{"title":"Abrir"}}`).want(http.StatusOK)
	const want = "map[de:map[done:Fest drücken. title:Haustür öffnen] pt-BR:map[title:Abrir]]"
	for _, who := range []Visitor{anna, ben} {
		if j := w.get(who, "/api/actions/front_door").want(200).json(); fmt.Sprint(j["translations"]) != want {
			t.Errorf("%s: %v", who.Name, j["translations"])
		}
	}
	for in, field := range map[string]string{
		`[]`:                                 "translations",
		`null`:                               "translations",
		`"de"`:                               "translations",
		`{"de":"x"}`:                         "translations.de",
		`{"de":null}`:                        "translations.de",
		`{"de":{}}`:                          "translations.de",
		`{"english":{"title":"x"}}`:          "translations",
		`{"de":{"title":1}}`:                 "translations.de.title",
		`{"de":{"title":"x","icon":"door"}}`: "translations.de.icon",
		`{"de":{"title":"x","title":"y"}}`:   "translations.de.title",
		`{"de":{"title":"x"},"de":{"title":"y"}}`:                          "translations.de",
		`{"de":{"title":"x"},"DE":{"title":"y"}}`:                          "translations",
		`{"de":{"done":"` + strings.Repeat("x", onetime.MaxDone+1) + `"}}`: "translations.de.done",
		`{"de":{"title":"a\u0000b"}}`:                                      "translations.de.title",
	} {
		put(`,"translations":` + in).field(field)
	}
	if j := w.get(anna, "/api/actions/front_door").json(); fmt.Sprint(j["translations"]) != want || j["revision"] != 2.0 {
		t.Errorf("what was refused has changed it: %v", j)
	}
	// A PUT replaces all of it.
	if j := put("").want(200).json(); fmt.Sprint(j["translations"]) != "map[]" {
		t.Errorf("%v", j["translations"])
	}
	w.do(anna, "POST", "/api/actions/new/check", `{"definition":"x","translations":{"xx":{"title":"x"}}}`).want(200).has(`"field":"translations"`)
}

// Two hosts make the same thing at once, or one deletes what the other edits.
func TestThreat32_MakingAndDeletingAtOnce(t *testing.T) {
	w := newWorld(t)
	w.api = newDescription(t)
	put := func(body map[string]any, header ...string) *answer {
		return w.do(anna, "PUT", "/api/actions/front_door", body, header...)
	}
	body := map[string]any{"definition": doorYAML}
	put(body, "If-None-Match", "*").want(http.StatusCreated)
	if m := put(body, "If-None-Match", "*").code(http.StatusPreconditionFailed, "conflict"); !strings.Contains(m["detail"].(string), "already") {
		t.Error(m)
	}
	put(body, "If-None-Match", `"1"`).field("If-None-Match")
	put(body, "If-None-Match", "*", "If-Match", "*").code(http.StatusPreconditionFailed, "conflict")
	w.do(anna, "DELETE", "/api/actions/front_door", nil, "If-Match", `"1"`).want(http.StatusNoContent)
	put(body, "If-None-Match", "*").want(http.StatusCreated)
	put(map[string]any{"title": "Up", "definition": doorYAML}).want(http.StatusOK)
	w.do(anna, "DELETE", "/api/actions/front_door", nil, "If-Match", `"1"`).code(http.StatusPreconditionFailed, "conflict")
	if j := w.get(anna, "/api/actions/front_door").want(200).json(); j["title"] != "Up" {
		t.Error(j)
	}
}

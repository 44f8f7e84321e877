package caddyjwt

import (
	"net/http/httptest"
	"testing"

	"github.com/caddy-hass/caddy-hass/internal/pagetest"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// markedLanguage is one that no other test here reads.
const markedLanguage = "sk"

func init() { words.Mark(markedLanguage) }

// TestEveryTextIsInTheCatalogues finds words on pages that are the same in every
// language.
func TestEveryTextIsInTheCatalogues(t *testing.T) {
	scenes := pageScenes(t)
	for _, name := range names(scenes) {
		r := httptest.NewRequest("GET", "https://ha.example.com/", nil)
		r.Header.Set("Accept-Language", markedLanguage)
		w := httptest.NewRecorder()
		if err := scenes[name](w, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range pagetest.Unmarked(w.Body.String()) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

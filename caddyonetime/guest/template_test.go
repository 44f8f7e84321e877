package guest

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
	"github.com/caddy-hass/caddy-hass/internal/words"
)

// TestPageKeyHasEverything changes each field of a page, one after the other:
// a field that the key lacks would show one guest another's page.
func TestPageKeyHasEverything(t *testing.T) {
	fresh := func() *page {
		return &page{static: statics[words.Get("en")](), Lines: make([]line, 1), Quote: &quote{}, Items: make([]item, 1), Code: &codeForm{}, Links: make([]link, 1)}
	}
	key := func(p *page) string {
		var b bytes.Buffer
		p.key(&b)
		return b.String()
	}
	base := key(fresh())
	var try func(path string, field func(*page) reflect.Value)
	try = func(path string, field func(*page) reflect.Value) {
		v := field(fresh())
		if path == ".Now" || path == ".static" {
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			try(path, func(p *page) reflect.Value { return field(p).Elem() })
			p := fresh()
			field(p).SetZero()
			if key(p) == base {
				t.Errorf("%s: nil is not in the key", path)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				try(path+"."+v.Type().Field(i).Name, func(p *page) reflect.Value { return field(p).Field(i) })
			}
		case reflect.Slice:
			try(path+"[0]", func(p *page) reflect.Value { return field(p).Index(0) })
			p := fresh()
			field(p).SetLen(0)
			if key(p) == base {
				t.Errorf("%s: its length is not in the key", path)
			}
		default:
			p := fresh()
			switch f := field(p); f.Kind() {
			case reflect.String:
				f.SetString("x")
			case reflect.Int64:
				f.SetInt(1)
			case reflect.Bool:
				f.SetBool(true)
			default:
				t.Fatalf("%s: a %s", path, f.Kind())
			}
			if key(p) == base {
				t.Errorf("%s is not in the key", path)
			}
		}
	}
	try("", func(p *page) reflect.Value { return reflect.ValueOf(p).Elem() })
	if key(&page{static: statics[words.Get("de")]()}) == key(&page{static: statics[words.Get("en")]()}) {
		t.Error("the language is not in the key")
	}
}

// TestEveryFormHasAKeyOfItsOwn also where the page was rendered before.
func TestEveryFormHasAKeyOfItsOwn(t *testing.T) {
	w := newWorld(t)
	code, _ := w.link(onetime.TokenSpec{Actions: []string{"front_door", "light"}, Comment: nowHere[:16]})
	seen := map[string]bool{}
	for i := range 3 {
		page := w.page("/" + code)
		if !strings.Contains(page, fmt.Sprintf(`data-now="%d"`, w.clock.Now().UnixMilli())) {
			t.Error("the clock is not in its place")
		}
		for _, part := range strings.Split(page, `name="nonce" value="`)[1:] {
			seen[part[:nonceSize]] = true
		}
		if len(seen) != 2*(i+1) {
			t.Fatal(seen)
		}
		w.clock.Move(1)
	}
}

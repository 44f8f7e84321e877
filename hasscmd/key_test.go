package hasscmd

import (
	"strings"
	"testing"
)

func TestKeyCommands(t *testing.T) {
	c := startCaddy(t, func(_ *testCaddy, cfg object) {
		cfg["apps"].(object)["http"] = object{"servers": object{"ha": object{
			"listen": []string{"127.0.0.1:0"}, "automatic_https": object{"disable": true},
			"routes": []any{object{"handle": []any{object{"handler": "hass_login"}}}},
		}}}
	})
	blocks := func() int { return strings.Count(c.must("", "key", "export"), "-----BEGIN PUBLIC KEY-----") }
	if n := blocks(); n != 1 {
		t.Fatalf("%d keys at first", n)
	}
	first := c.must("", "key", "export")
	out := c.must("", "key", "rotate")
	id, _, _ := strings.Cut(out, " ")
	if !strings.Contains(out, "signs from 20") || !strings.HasPrefix(c.must("", "key", "export"), first) || blocks() != 2 {
		t.Errorf("rotated: %s", out)
	}
	if set := c.must("", "key", "export", "--jwks"); !strings.Contains(set, `"kid":"`+id+`"`) || strings.Contains(set, `"d"`) {
		t.Errorf("JWK Set: %s", set)
	}
	if out := c.must("", "key", "rotate", "--now"); !strings.Contains(out, "from now on") || blocks() != 1 || strings.Contains(c.must("", "key", "export"), first) {
		t.Errorf("alone: %s", out)
	}
	c.fails(`"cabin"`, "key", "rotate", "--home", "cabin")
}

func TestKeyCommandsWithoutLogin(t *testing.T) {
	c := startCaddy(t, nil)
	c.fails("no hass_login", "key", "export")
}

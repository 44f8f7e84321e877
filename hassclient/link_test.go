package hassclient

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestLink(t *testing.T) {
	const providers = `{"providers":[{"type":"homeassistant","id":null},{"type":"command_line","id":null},{"type":"command_line","id":"two"}],"preselect_remember_me":true}`
	command := Provider{Type: "command_line"}
	type answers map[string]string // by path; "-": 400
	good := answers{
		"/auth/providers": providers, "/auth/login_flow": `{"type":"form","flow_id":"f1"}`,
		"/auth/login_flow/f1": `{"type":"create_entry","result":"c1"}`, "/auth/link_user": `{"message":"User linked"}`,
	}
	with := func(path, answer string) answers {
		a := answers{path: answer}
		for p, text := range good {
			if p != path {
				a[p] = text
			}
		}
		return a
	}
	for name, c := range map[string]struct {
		provider Provider
		answers  answers
		asked    int // requests
		want     error
	}{
		"good":              {command, good, 4, nil},
		"by id":             {Provider{"command_line", "two"}, good, 4, nil},
		"an old home":       {command, with("/auth/providers", `[{"type":"command_line","id":null}]`), 4, nil},
		"no such provider":  {Provider{Type: "trusted_networks"}, good, 1, ErrNoProvider},
		"no such id":        {Provider{"command_line", "three"}, good, 1, ErrNoProvider},
		"garbage":           {command, with("/auth/providers", `<html>`), 1, errNotAMessage},
		"no form":           {command, with("/auth/login_flow", `{"type":"abort"}`), 2, errNotAMessage},
		"not taken":         {command, with("/auth/login_flow/f1", `{"type":"form","errors":{"base":"invalid_auth"}}`), 3, ErrRefused},
		"blocked":           {command, with("/auth/login_flow/f1", "-"), 3, ErrRefused},
		"linked to another": {command, with("/auth/link_user", "-"), 4, ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			var paths []string
			home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				paths = append(paths, r.URL.Path)
				b, _ := io.ReadAll(r.Body)
				var m map[string]any
				_ = json.Unmarshal(b, &m)
				if r.Header.Get("X-Forwarded-For") != "192.0.2.7" {
					t.Errorf("%s: whom it is for is not said", r.URL.Path)
				}
				if (r.Header.Get("Authorization") == "Bearer access") != (r.URL.Path == "/auth/link_user") {
					t.Errorf("%s: Authorization is %q", r.URL.Path, r.Header.Get("Authorization"))
				}
				switch {
				case r.URL.Path == "/auth/login_flow" && (m["client_id"] != "http://"+r.Host+"/" || m["redirect_uri"] != m["client_id"]),
					r.URL.Path == "/auth/login_flow/f1" && (m["username"] != "u" || m["password"] != "p"),
					r.URL.Path == "/auth/link_user" && m["code"] != "c1":
					t.Errorf("%s: %s", r.URL.Path, b)
				}
				text := c.answers[r.URL.Path]
				if text == "-" {
					w.WriteHeader(http.StatusBadRequest)
				}
				_, _ = io.WriteString(w, text)
			}))
			defer home.Close()
			p, err := NewProber(Config{URL: home.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			err = p.Link(context.Background(), "access", c.provider, map[string]string{"username": "u", "password": "p"}, http.Header{"X-Forwarded-For": {"192.0.2.7"}})
			if !errors.Is(err, c.want) || len(paths) != c.asked {
				t.Errorf("%v after %d requests (%v), want %v after %d", err, len(paths), paths, c.want, c.asked)
			}
			if err != nil && (strings.Contains(err.Error(), "access") || slices.Contains(strings.Fields(err.Error()), "p")) {
				t.Errorf("a secret in %q", err)
			}
		})
	}
}

package onetime

import (
	"bytes"
	"testing"
)

const wantSecret = "WQ08NSNYEX88355BV7"

func TestCode(t *testing.T) {
	s := NewSigner(bytes.Repeat([]byte{1}, LinkKeyLength))
	code := s.Code("0ABCDE")
	// Computed with Python's hmac and base64 modules.
	if want := "0ABCDE" + wantSecret; code != want {
		t.Errorf("got %s, want %s", code, want)
	}
	if id, ok := s.Verify(code); !ok || id != "0ABCDE" {
		t.Errorf("its own code: %s, %v", id, ok)
	}
	for i := range code {
		wrong := []byte(code)
		wrong[i] = alphabet[(bytes.IndexByte([]byte(alphabet), wrong[i])+1)%32]
		if _, ok := s.Verify(string(wrong)); ok {
			t.Errorf("verified with a wrong character at %d", i)
		}
	}
	if _, ok := NewSigner(bytes.Repeat([]byte{2}, LinkKeyLength)).Verify(code); ok {
		t.Error("verified with another key")
	}
}

func TestNormalize(t *testing.T) {
	const code = "0ABCDE1111111111111111ZZ"
	for in, want := range map[string]struct{ ok, shaped bool }{
		code:                            {true, true},
		"0abcde1111111111111111zz":      {true, true},
		"oabcdeilILiI1111111111zz":      {true, true},
		"0ABC DE11-1111-1111 1111-11ZZ": {true, true},
		// As phones and word processors make them: en dash, minus, no-break and
		// narrow spaces, an invisible one at the end.
		"0ABCDE\u20131111\u22121111\u00a01111\u202f1111\u2011ZZ\u200b": {true, true},
		"\t0ABCDE1111111111111111ZZ\r\n":                               {true, true},
		"0ABCDE1111111111111111Z\u0417":                                {false, false},
		code[:23]:                                                      {false, true},
		code + "0":                                                     {false, true},
		code[:12]:                                                      {false, false},
		"":                                                             {false, false},
		"favicon.ico":                                                  {false, false},
		".env":                                                         {false, false},
		"wp-login.php":                                                 {false, false},
		"0ABCDE1111111111111111Z!":                                     {false, false},
		"0ABCDE1111111111111111ZÜ":                                     {false, false},
		"UUUUUUUUUUUUUUUUUUUUUUUU":                                     {false, false},
	} {
		got, ok, shaped := Normalize(in)
		if ok != want.ok || shaped != want.shaped {
			t.Errorf("%q: ok %v, shaped %v", in, ok, shaped)
		}
		if ok && got != code {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("0ABC-DE11 oil")
	f.Fuzz(func(t *testing.T, s string) {
		code, ok, shaped := Normalize(s)
		if ok && (len(code) != codeLength || !shaped) {
			t.Errorf("%q: %q", s, code)
		}
		if again, _, _ := Normalize(code); again != code {
			t.Errorf("%q: %q is not normal: %q", s, code, again)
		}
	})
}

package termqr_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/boombuler/barcode/qr"

	"github.com/caddy-hass/caddy-hass/hasscmd/internal/termqr"
)

// What is drawn, read back cell by cell, is the code module by module.
func TestWrite(t *testing.T) {
	const text = "http://192.168.1.20:8080/ABC123DEF456GHJ789KMN012"
	code, err := qr.Encode(text, qr.L, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	for _, colour := range []bool{false, true} {
		var out strings.Builder
		if err := termqr.Write(&out, text, colour); err != nil {
			t.Fatal(err)
		}
		drawn := out.String()
		if colour != strings.Contains(drawn, "\x1b[") {
			t.Errorf("colour %v: escape sequences are wrong", colour)
		}
		drawn = strings.NewReplacer("\x1b[97;40m", "", "\x1b[0m", "").Replace(drawn)
		lines := strings.Split(strings.TrimSuffix(drawn, "\n"), "\n")
		size := code.Bounds().Dx()
		if got, want := len(lines), (size+4+1)/2; got != want {
			t.Fatalf("%d lines, want %d", got, want)
		}
		for i, line := range lines {
			if n := utf8.RuneCountInString(line); n != size+4 {
				t.Fatalf("line %d is %d cells wide, want %d", i, n, size+4)
			}
			for x, cell := range []rune(line) {
				for half, light := range []bool{cell == '█' || cell == '▀', cell == '█' || cell == '▄'} {
					mx, my := x-2, 2*i+half-2
					if my >= size+2 {
						continue
					}
					want := true
					if mx >= 0 && my >= 0 && mx < size && my < size {
						r, _, _, _ := code.At(mx, my).RGBA()
						want = r > 0x7fff
					}
					if light != want {
						t.Fatalf("module %d,%d is drawn light=%v, want %v", mx, my, light, want)
					}
				}
			}
		}
	}
}

func TestWriteTooLong(t *testing.T) {
	if err := termqr.Write(&strings.Builder{}, strings.Repeat("x", 4000), false); err == nil {
		t.Error("a text that no QR code holds was drawn")
	}
}

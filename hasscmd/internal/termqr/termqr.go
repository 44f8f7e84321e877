// Package termqr draws QR codes in a terminal.
package termqr

import (
	"bufio"
	"fmt"
	"image/color"
	"io"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

// quiet is the width of the light border that readers need, in modules. The
// standard asks for four; every phone reads two, and narrow terminals are many.
const quiet = 2

// Write draws text as a QR code, two modules to a character cell, by half
// blocks. With colour, dark modules are black on white whatever the terminal's
// own colours are; without it, light modules are drawn in the terminal's
// foreground, which is right where light text stands on a dark ground.
func Write(w io.Writer, text string, colour bool) error {
	code, err := qr.Encode(text, qr.L, qr.Auto)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	out := bufio.NewWriter(w)
	size := code.Bounds().Dx()
	for y := -quiet; y < size+quiet; y += 2 {
		if colour {
			out.WriteString("\x1b[97;40m")
		}
		for x := -quiet; x < size+quiet; x++ {
			// An odd number of lines leaves half a line of the terminal below
			// the border.
			upper, lower := light(code, x, y), y+1 < size+quiet && light(code, x, y+1)
			switch {
			case upper && lower:
				out.WriteString("█")
			case upper:
				out.WriteString("▀")
			case lower:
				out.WriteString("▄")
			default:
				out.WriteString(" ")
			}
		}
		if colour {
			out.WriteString("\x1b[0m")
		}
		out.WriteByte('\n')
	}
	return out.Flush()
}

// light reports whether the module at x, y is light. Everything around the
// code is.
func light(code barcode.Barcode, x, y int) bool {
	size := code.Bounds().Dx()
	if x < 0 || y < 0 || x >= size || y >= size {
		return true
	}
	return color.GrayModel.Convert(code.At(x, y)).(color.Gray).Y > 127
}

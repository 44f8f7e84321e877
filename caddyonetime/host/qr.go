package host

import (
	"fmt"
	"image/color"
	"net/http"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// qrMargin is the quiet zone around a code, in modules (ISO/IEC 18004).
const qrMargin = 4

// qrSVG draws a text as a QR code: one path of the dark modules, on white, so
// that it can be read from a dark page as well.
func qrSVG(text string) (string, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", err
	}
	size := code.Bounds().Dx()
	var path strings.Builder
	for y := range size {
		for x := 0; x < size; {
			run := 0
			for x+run < size && code.At(x+run, y) == color.Black {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+qrMargin, y+qrMargin, run, run)
			}
			x += run + 1
		}
	}
	side := size + 2*qrMargin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`, side, side, side, side, path.String()), nil
}

func (r *request) qr() error {
	v, err := r.token(r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	link, err := r.h.cfg.Link(r.svc.Code(v.Token))
	if err != nil {
		return &problem{Status: http.StatusServiceUnavailable, Code: "no_public_url", Detail: err.Error()}
	}
	svg, err := qrSVG(link)
	if err != nil {
		return err
	}
	r.w.Header().Set("Content-Type", "image/svg+xml")
	r.w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		fmt.Fprint(r.w, svg)
	}
	return nil
}

package host

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
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

// linkOfID is the token that the query names, and its link.
func (r *request) linkOfID() (*onetime.View, string, error) {
	v, err := r.token(r.URL.Query().Get("id"))
	if err != nil {
		return nil, "", err
	}
	link, err := r.link(v)
	return v, link, err
}

// qr answers with the code of a link, to be shown.
func (r *request) qr() error {
	_, link, err := r.linkOfID()
	if err != nil {
		return err
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

// qrScale is how many pixels wide a module of a picture is: sharp on paper, and
// still a small file.
const qrScale = 12

// qrPNG answers with the code of a link as a file, for programs that know no
// SVG.
func (r *request) qrPNG() error {
	v, link, err := r.linkOfID()
	if err != nil {
		return err
	}
	code, err := qr.Encode(link, qr.M, qr.Auto)
	if err != nil {
		return err
	}
	size := code.Bounds().Dx()
	side := (size + 2*qrMargin) * qrScale
	img := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range size {
		for x := range size {
			if code.At(x, y) == color.Black {
				at := image.Pt(x+qrMargin, y+qrMargin).Mul(qrScale)
				for py := range qrScale {
					row := img.Pix[(at.Y+py)*img.Stride+at.X:][:qrScale]
					for i := range row {
						row[i] = 1
					}
				}
			}
		}
	}
	r.w.Header().Set("Content-Type", "image/png")
	r.w.Header().Set("Content-Disposition", `attachment; filename="link-`+v.Token.ID+`.png"`)
	r.w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if err := png.Encode(r.w, img); err != nil {
		panic(http.ErrAbortHandler) // whoever asked has hung up
	}
	return nil
}

// longAgo is a moment from which every date is far: what is printed or kept in a
// calendar cannot say "today".
var longAgo = time.Unix(0, 0)

// paperView is a link to be held in front of a camera, or printed.
type paperView struct {
	ID, Code, Address string
	Titles, Sentence  string
	Guest, Comment    string
}

func (r *request) paper(name, title string) error {
	v, link, err := r.linkOfID()
	if err != nil {
		return err
	}
	l, ts := r.lang(), termsOf(v)
	d := paperView{
		ID: v.Token.ID, Guest: v.Token.Guest, Comment: v.Token.Comment,
		Titles: join(l, ts.sent(l)), Sentence: ts.works(l, longAgo, r.viewZone(v)),
	}
	// Typed from paper, a code is easier in groups; dashes do not matter.
	code := r.svc.Code(v.Token)
	d.Address = strings.TrimSuffix(link, code)
	for len(code) > 6 {
		d.Code, code = d.Code+code[:6]+"-", code[6:]
	}
	d.Code += code
	return r.render(http.StatusOK, name, r.makePage("links", l.T(title), d))
}

// qrPage shows the code as large as the screen.
func (r *request) qrPage() error { return r.paper("qr.html", "host.link.qr") }

// cardPage is a card to print.
func (r *request) cardPage() error { return r.paper("card.html", "host.link.card") }

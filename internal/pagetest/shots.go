package pagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// Album is a folder of pictures.
type Album struct{ dir string }

// NewAlbum makes a folder below the one that SCREENSHOTS names, or skips the test.
func NewAlbum(t *testing.T, name string) *Album {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		t.Skip("SCREENSHOTS names no folder to write to")
	}
	dir = filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &Album{dir}
}

// Shoot takes a picture of what the tab shows, and one of the whole page where it is
// longer. It returns what the tab shows.
func (a *Album) Shoot(t *testing.T, tab context.Context, name string) image.Image {
	t.Helper()
	// A screenshot of more than is seen lays the page out anew: what is seen goes first.
	seen, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	whole, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(seen))
	if err != nil {
		t.Fatal(err)
	}
	err = os.WriteFile(filepath.Join(a.dir, name+".png"), seen, 0o644)
	if size, sizeErr := png.DecodeConfig(bytes.NewReader(whole)); sizeErr == nil && size.Height > picture.Bounds().Dy() {
		err = errors.Join(err, os.WriteFile(filepath.Join(a.dir, name+"-whole.png"), whole, 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// Sheet writes pictures of one look side by side, a few on each sheet.
func (a *Album) Sheet(t *testing.T, look string, pictures []image.Image) {
	t.Helper()
	if len(pictures) == 0 {
		return
	}
	const gap = 16
	size := pictures[0].Bounds()
	columns := max(1, 2400/(size.Dx()+gap))
	perSheet := columns * max(1, 1700/(size.Dy()+gap))
	for n := 0; n*perSheet < len(pictures); n++ {
		part := pictures[n*perSheet : min(len(pictures), (n+1)*perSheet)]
		rows := (len(part) + columns - 1) / columns
		sheet := image.NewRGBA(image.Rect(0, 0, gap+min(columns, len(part))*(size.Dx()+gap), gap+rows*(size.Dy()+gap)))
		draw.Draw(sheet, sheet.Bounds(), image.NewUniform(color.RGBA{120, 130, 140, 255}), image.Point{}, draw.Src)
		for i, p := range part {
			at := image.Pt(gap+i%columns*(size.Dx()+gap), gap+i/columns*(size.Dy()+gap))
			draw.Draw(sheet, image.Rectangle{at, at.Add(p.Bounds().Size())}, p, p.Bounds().Min, draw.Src)
		}
		var out bytes.Buffer
		if err := png.Encode(&out, sheet); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(a.dir, fmt.Sprintf("sheet-%s-%d.png", look, n+1)), out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

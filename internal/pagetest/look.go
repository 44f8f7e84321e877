package pagetest

import (
	"os"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
)

// Look is a way to look at a page.
type Look struct {
	Name          string
	Width, Height int64
	Dark          bool
	Lang          string
	NoScript      bool
	Forced        bool   // forced colours, as in Windows' high contrast
	Text          int64  // the size of text in per cent; 100 when 0
	Zone          string // the device's; Europe/Berlin when empty
}

// Steps set a tab up.
func (l Look) Steps() []Step {
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}
	if l.Dark {
		features[0].Value = "dark"
	}
	if l.Forced {
		features = append(features, &emulation.MediaFeature{Name: "forced-colors", Value: "active"})
	}
	zone := l.Zone
	if zone == "" {
		zone = "Europe/Berlin"
	}
	steps := []Step{
		Call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.Width, Height: l.Height, DeviceScaleFactor: 1, Mobile: l.Width < 600}),
		Call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}),
		Call(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone}),
		Call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.NoScript}),
	}
	if l.Text != 0 {
		steps = append(steps, Call(page.SetFontSizes, page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: 16 * l.Text / 100, Fixed: 13 * l.Text / 100}}))
	}
	return steps
}

// Wanted says whether PAGES wants what has this name; without it everything is.
func Wanted(name string) bool {
	only := strings.FieldsFunc(os.Getenv("PAGES"), func(r rune) bool { return r == ',' || r == ' ' })
	for _, part := range only {
		if strings.Contains("-"+name+"-", part) {
			return true
		}
	}
	return len(only) == 0
}

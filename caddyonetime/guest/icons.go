package guest

import (
	"html/template"
	"maps"
	"slices"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// icons are drawn on a field of 24 by 24 with a round pen of 2: paths only.
var icons = map[string]string{
	// What an action can choose from.
	"bell":    "M6 16v-5a6 6 0 0 1 12 0v5l2 2H4zM10 21h4M12 3v2",
	"blind":   "M4 4h16M6 4v9h12V4M6 8.5h12M12 13v6M10.5 19h3",
	"camera":  "M4 8h3l2-3h6l2 3h3v11H4zM12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7",
	"car":     "M4 16v-4l2-6h12l2 6v4zM4 12h16M7 16v3M17 16v3",
	"door":    "M6 21V4a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1v17M3 21h18M14.5 12v.5",
	"fan":     "M12 12c-3-1-4-9 0-9s3 5 0 9c-1 3-9 4-9 0s5-3 9 0c3 1 4 9 0 9s-3-5 0-9c1-3 9-4 9 0s-5 3-9 0",
	"garage":  "M3 21V9l9-6 9 6v12M7 21v-9h10v9M7 15h10M7 18h10",
	"gate":    "M3 21V5M21 21V5M3 9c5 0 9-1 9-4 0 3 4 4 9 4M3 18h18M7.5 8.5V18M12 5v13M16.5 8.5V18",
	"heat":    "M12 3c1 4 6 6 6 11a6 6 0 0 1-12 0c0-2 1-4 2-5 0 2 1 3 2 3 1-3 0-6 2-9",
	"key":     "M8 11a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M11.2 12.3 20 3.5M16 7.5l3 3",
	"light":   "M9 18h6M10 21h4M9 18c0-3-3-4-3-8.5a6 6 0 0 1 12 0c0 4.5-3 5.5-3 8.5",
	"lock":    "M5 11h14v10H5zM8 11V7a4 4 0 0 1 8 0v4M12 15v2",
	"parcel":  "M3 8l9-5 9 5v9l-9 5-9-5zM3 8l9 5 9-5M12 13v9M7.5 5.5l9 5",
	"play":    "M7 4l13 8-13 8z",
	"power":   "M12 3v9M6.5 6.5a8 8 0 1 0 11 0",
	"socket":  "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M9 10v2M15 10v2M12 15v1",
	"star":    "M12 3l2.7 5.8 6.3.7-4.7 4.3 1.3 6.2-5.6-3.2L6.4 20l1.3-6.2L3 9.5l6.3-.7z",
	"unlock":  "M5 11h14v10H5zM8 11V7a4 4 0 0 1 7.7-1.5M12 15v2",
	"vacuum":  "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M5 17h14",
	"water":   "M12 3c4 5 6 7.5 6 11a6 6 0 0 1-12 0c0-3.5 2-6 6-11",
	"wifi":    "M2.5 9a14 14 0 0 1 19 0M6 13a9 9 0 0 1 12 0M9.5 16.5a4 4 0 0 1 5 0M12 20v.1",
	"window":  "M4 3h16v18H4zM12 3v18M4 12h16",
	"bicycle": "M6 13a4 4 0 1 0 0 8 4 4 0 0 0 0-8M18 13a4 4 0 1 0 0 8 4 4 0 0 0 0-8M6 17l4-9h5l3 9M9 8H7M10.5 17 15 8l-1-3h3",
	"house":   "M3 11l9-8 9 8M5.5 9v12h13V9M10 21v-6h4v6",

	// Of the pages themselves.
	"-away":  "M3 11l9-8 9 8M5.5 9v12h13V9M9.5 13l5 5M14.5 13l-5 5",
	"-ask":   "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.3-1.5 2.3M12 18.5v.1M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19",
	"-call":  "M5 3h4l2 5-2.5 1.5a11 11 0 0 0 6 6L16 13l5 2v4a2 2 0 0 1-2 2A16 16 0 0 1 3 5a2 2 0 0 1 2-2",
	"-check": "M4.5 12.5l5 5 10-11",
	"-clock": "M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19M12 7v5l3.5 2",
	"-end":   "M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19M8 12h8",
	"-link":  "M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 6 6l1-1",
	"-mail":  "M3 5h18v14H3zM3 6l9 7 9-7",
	"-pause": "M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19M10 9v6M14 9v6",
	"-text":  "M4 4h16v12h-9l-4 4v-4H4zM8 10h.1M12 10h.1M16 10h.1",
	"-tool":  "M20 6.5a5 5 0 0 1-6.5 6.5L7 19.5a2.1 2.1 0 0 1-3-3L10.5 10A5 5 0 0 1 17 3.5L14 6.5l.5 3 3 .5z",
}

// Icons are the names that an action's icon may have.
func Icons() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(icons)) {
		if name[0] != '-' {
			names = append(names, name)
		}
	}
	return names
}

// Icon is an icon as an element of SVG that needs no style, or "" for a name
// that is none.
func Icon(name string) template.HTML { return drawn[name] }

// IconOf is the icon of an action's button: the one that its host has chosen, or that
// of its kind.
func IconOf(a *onetime.Action, kind onetime.Kind) template.HTML {
	if name := a.Icon; name != "" && name[0] != '-' && drawn[name] != "" {
		return drawn[name]
	}
	if kind == onetime.KindDoor {
		return drawn["door"]
	}
	return drawn["power"]
}

var drawn = func() map[string]template.HTML {
	m := make(map[string]template.HTML, len(icons))
	for name, path := range icons {
		m[name] = template.HTML(`<svg viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor"` +
			` stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="` + path + `"/></svg>`)
	}
	return m
}()

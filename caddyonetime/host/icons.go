package host

import (
	"html/template"
)

// icons are drawn with strokes in a square of 24.
var icons = map[string]string{
	"link":     `<path d="M10 14a4 4 0 0 0 5.7 0l3.6-3.6a4 4 0 0 0-5.7-5.7L12 6.3"/><path d="M14 10a4 4 0 0 0-5.7 0l-3.6 3.6a4 4 0 0 0 5.7 5.7l1.6-1.6"/>`,
	"bolt":     `<path d="M13 3 5 13.5h6L10 21l9-11h-6.5z"/>`,
	"plus":     `<path d="M12 5v14M5 12h14"/>`,
	"check":    `<path d="m5 12.5 4.5 4.5L19 7.5"/>`,
	"clock":    `<circle cx="12" cy="12" r="8.5"/><path d="M12 7.5V12l3 2"/>`,
	"pause":    `<path d="M9 6v12M15 6v12"/>`,
	"off":      `<circle cx="12" cy="12" r="8.5"/><path d="m6.5 6.5 11 11"/>`,
	"used":     `<circle cx="12" cy="12" r="8.5"/><path d="m8.5 12.2 2.5 2.5 4.5-5"/>`,
	"ended":    `<path d="M7 4h10M7 20h10M8 4c0 4.5 3 5.5 4 8-1 2.5-4 3.500-4 8M16 4c0 4.500-3 5.500-4 8 1 2.500 4 3.500 4 8"/>`,
	"alert":    `<path d="M12 4 2.8 19.500h18.400z"/><path d="M12 10v4.500M12 17v.2"/>`,
	"copy":     `<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15V6a2 2 0 0 1 2-2h8"/>`,
	"share":    `<path d="M12 15V4M8 7.500 12 3.500l4 4"/><path d="M6 12v6a2 2 0 0 0 2 2h8a2 2 0 0 0 2-2v-6"/>`,
	"chat":     `<path d="M20 11.500a7.500 7.500 0 0 1-11 6.600L4.500 19.500 6 15.300A7.500 7.500 0 1 1 20 11.500z"/>`,
	"sms":      `<path d="M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7l-4.500 3.500V17H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z"/><path d="M8 11h.1M12 11h.1M16 11h.1"/>`,
	"mail":     `<rect x="3" y="5.500" width="18" height="13" rx="2"/><path d="m4 7 8 6 8-6"/>`,
	"qr":       `<rect x="4" y="4" width="6" height="6" rx="1"/><rect x="14" y="4" width="6" height="6" rx="1"/><rect x="4" y="14" width="6" height="6" rx="1"/><path d="M14 14h2v2M20 14v2M14 20h2M20 20v-1"/>`,
	"eye":      `<path d="M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12z"/><circle cx="12" cy="12" r="2.800"/>`,
	"door":     `<path d="M6 21V4.500A1.500 1.500 0 0 1 7.500 3h9A1.500 1.500 0 0 1 18 4.500V21M3.500 21h17M14.500 12v.5"/>`,
	"home":     `<path d="m4 11 8-7 8 7M6 9.500V20h12V9.500"/>`,
	"search":   `<circle cx="10.500" cy="10.500" r="6.500"/><path d="m15.500 15.500 5 5"/>`,
	"card":     `<rect x="3" y="5" width="18" height="14" rx="2"/><path d="M7 10h4v4H7zM14.500 10H17M14.500 14H17"/>`,
	"calendar": `<rect x="4" y="5.500" width="16" height="14.500" rx="2"/><path d="M4 10h16M8.500 3v4M15.500 3v4"/>`,
	"chevron":  `<path d="m9 5 7 7-7 7"/>`,
	"question": `<circle cx="12" cy="12" r="8.500"/><path d="M9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.400-1 .8-1 1.700M12 16.500v.2"/>`,
}

// Icon is what an action's icon is called, or its name where it is none of ours.
func (p page) Icon(name string) string {
	if key := "host.icon." + name; p.Has(key) {
		return p.T(key)
	}
	return name
}

// icon draws one of the icons; always beside a word that says the same.
func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">` + icons[name] + `</svg>`)
}

// iconOfDomain is what an action has for an icon that is made for a thing of a domain
// of Home Assistant's; those that open and close have the door of their kind.
var iconOfDomain = map[string]string{
	"button": "power", "camera": "camera", "climate": "heat", "fan": "fan", "input_boolean": "power",
	"input_button": "power", "light": "light", "scene": "star", "script": "play", "siren": "bell",
	"switch": "socket", "vacuum": "vacuum", "valve": "water", "water_heater": "heat",
}

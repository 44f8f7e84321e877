package words

// names are what the languages are called by those who read them.
var names = map[string]string{
	"ar": "العربية", "cs": "Čeština", "da": "Dansk", "de": "Deutsch", "el": "Ελληνικά", "en": "English", "es": "Español", "fi": "Suomi",
	"fr": "Français", "he": "עברית", "hu": "Magyar", "it": "Italiano", "ja": "日本語", "ko": "한국어", "nb": "Norsk bokmål", "nl": "Nederlands",
	"pl": "Polski", "pt": "Português", "ro": "Română", "ru": "Русский", "sk": "Slovenčina", "sv": "Svenska", "tr": "Türkçe", "uk": "Українська", "zh": "中文",
}

// Name is what the language is called by those who read it: "Deutsch".
func (l *Language) Name() string { return NameOf(l.name) }

// NameOf is the name of the language of a tag, or the tag where no page is in
// that language.
func NameOf(tag string) string {
	if name, ok := names[tag]; ok {
		return name
	}
	return tag
}

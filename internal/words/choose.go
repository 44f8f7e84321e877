package words

import (
	"strings"

	"golang.org/x/text/language"
)

// Choose returns the one of tags, BCP 47 tags of the languages that a text is
// there in, that suits a reader best: the language that an Accept-Language
// header asks for first, or else that of the page around the text. It returns
// "" where the text as it stands suits as well.
//
// A language that is asked for last is no reason to choose it: the reader may
// well have asked before it for the one that the text as it stands is in.
func Choose(acceptLanguage string, page *Language, tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	if len(acceptLanguage) > maxHeader {
		acceptLanguage = ""
	}
	key := acceptLanguage + "\x00" + page.name + "\x00" + strings.Join(tags, "\x00")
	chosen.RLock()
	tag, known := chosen.m[key]
	chosen.RUnlock()
	if known {
		return tag
	}
	tag = choose(acceptLanguage, page, tags)
	chosen.Lock()
	defer chosen.Unlock()
	if chosen.m == nil || len(chosen.m) >= maxMatched {
		chosen.m = make(map[string]string)
	}
	chosen.m[key] = tag
	return tag
}

// chosen remembers what Choose found.
var chosen memory[string]

func choose(acceptLanguage string, page *Language, tags []string) string {
	there := make([]language.Tag, 1, len(tags)+1) // the first stands for none of them
	for _, tag := range tags {
		there = append(there, language.Make(tag))
	}
	matcher := language.NewMatcher(there)
	wishes := []language.Tag{page.tag}
	if first, _, err := language.ParseAcceptLanguage(acceptLanguage); err == nil && len(first) > 0 {
		wishes = []language.Tag{first[0], page.tag}
	}
	for _, wish := range wishes {
		if _, i, confidence := matcher.Match(wish); i > 0 && confidence >= language.High {
			return tags[i-1]
		}
	}
	return ""
}

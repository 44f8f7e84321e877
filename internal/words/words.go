// Package words has every sentence that people read, in their language.
//
// A language is a folder under locales, named by its BCP 47 tag. It holds
// locale.json, which says what the language is called and how it writes dates,
// times and numbers, and catalogues from key to message, which are merged:
//
//   - guest.json: the pages of guests
//   - host.json: the pages of hosts
//   - login.json: the pages of residents who log in, or may not go in
//   - notify.json: what hosts are sent
//   - problems.json: what hosts are told is wrong, in what they wrote or elsewhere
//   - doctor.json: what hosts are told that the doctor has found
//
// What a language lacks is said in English. Adding a language is adding a folder.
//
// A message is a string, or an object from CLDR plural form ("one", "few",
// "other", …) to string. "{name}" in it is a place for a value. Messages are
// plain text without markup: they never contain <, > or &.
package words

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed locales
var locales embed.FS

// catalogues are the files of a language that hold messages.
var catalogues = []string{"guest.json", "host.json", "login.json", "notify.json", "problems.json", "doctor.json"}

// fallback is the language that has every message.
const fallback = "en"

// Language is one language. It never changes and is safe for concurrent use.
type Language struct {
	tag  language.Tag
	name string
	base *Language // says what this one lacks; nil for English

	// Its files are read when they are needed for the first time: a home needs
	// two languages or three.
	locale   func() *locale
	messages func() map[string]message
}

// set is all languages, English first.
type set struct {
	list    []*Language
	byTag   map[string]*Language
	matcher language.Matcher
}

var all = sync.OnceValue(func() *set { return must(list(locales)) })

// list finds the languages in the folder "locales" of fsys.
func list(fsys fs.FS) (*set, error) {
	dirs, err := fs.ReadDir(fsys, "locales")
	if err != nil {
		return nil, err
	}
	s := &set{byTag: make(map[string]*Language)}
	for _, dir := range dirs {
		if !dir.IsDir() {
			continue
		}
		name := dir.Name()
		tag, err := language.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("words: language %s: %w", name, err)
		}
		l := &Language{
			tag: tag, name: name,
			locale:   sync.OnceValue(func() *locale { return must(readLocale(fsys, name)) }),
			messages: sync.OnceValue(func() map[string]message { return must(readMessages(fsys, name)) }),
		}
		s.list = append(s.list, l)
		s.byTag[name] = l
	}
	base := s.byTag[fallback]
	if base == nil {
		return nil, fmt.Errorf("words: no language %q to fall back to", fallback)
	}
	slices.SortStableFunc(s.list, func(a, b *Language) int {
		switch {
		case a == base:
			return -1
		case b == base:
			return 1
		}
		return 0
	})
	tags := make([]language.Tag, len(s.list))
	for i, l := range s.list {
		tags[i] = l.tag
		if l != base {
			l.base = base
		}
	}
	s.matcher = language.NewMatcher(tags)
	return s, nil
}

// must panics where a file cannot be read: the files are part of the program,
// and the tests read them.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func readLocale(fsys fs.FS, name string) (*locale, error) {
	raw, err := readFile(fsys, name, "locale.json")
	if err != nil {
		return nil, fmt.Errorf("words: language %s: %w", name, err)
	}
	c := new(locale)
	if err := c.parse(raw); err != nil {
		return nil, fmt.Errorf("words: language %s: locale.json: %w", name, err)
	}
	return c, nil
}

func readMessages(fsys fs.FS, name string) (map[string]message, error) {
	messages := make(map[string]message)
	for _, file := range catalogues {
		raw, err := readFile(fsys, name, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // each is optional
		}
		var entries map[string]json.RawMessage
		if err == nil {
			err = json.Unmarshal(raw, &entries)
		}
		if err != nil {
			return nil, fmt.Errorf("words: language %s: %s: %w", name, file, err)
		}
		for key, raw := range entries {
			if _, ok := messages[key]; ok {
				return nil, fmt.Errorf("words: language %s: %s: %q is in another catalogue, too", name, file, key)
			}
			if messages[key], err = parseMessage(raw); err != nil {
				return nil, fmt.Errorf("words: language %s: %s: %q: %w", name, file, key, err)
			}
		}
	}
	return messages, nil
}

func readFile(fsys fs.FS, name, file string) ([]byte, error) {
	raw, err := fs.ReadFile(fsys, path.Join("locales", name, file))
	if err == nil && marked[name] {
		raw, err = mark(raw)
	}
	return raw, err
}

// All returns every language, English first.
func All() []*Language { return slices.Clone(all().list) }

// Get returns the language of a tag such as "de" or "de-AT", or English.
func Get(tag string) *Language {
	s := all()
	if l, ok := s.byTag[tag]; ok {
		return l
	}
	return Match(tag)
}

// memory remembers what was matched: people's browsers send few different
// headers, and matching is slow.
type memory[T any] struct {
	sync.RWMutex
	m map[string]T
}

// matched remembers what Match found.
var matched memory[*Language]

// Bounds of what is remembered.
const (
	maxMatched = 256
	maxHeader  = 256 // bytes of an Accept-Language header that are read
)

// Match returns the language that suits an Accept-Language header best
// (RFC 9110, section 12.5.4), or English.
func Match(acceptLanguage string) *Language {
	s := all()
	if acceptLanguage == "" || len(acceptLanguage) > maxHeader {
		return s.list[0]
	}
	matched.RLock()
	l := matched.m[acceptLanguage]
	matched.RUnlock()
	if l != nil {
		return l
	}
	l = s.match(acceptLanguage)
	matched.Lock()
	defer matched.Unlock()
	if matched.m == nil || len(matched.m) >= maxMatched {
		matched.m = make(map[string]*Language)
	}
	matched.m[acceptLanguage] = l
	return l
}

func (s *set) match(header string) *Language {
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(tags) == 0 {
		return s.list[0]
	}
	_, i, confidence := s.matcher.Match(tags...)
	if confidence == language.No {
		return s.list[0]
	}
	return s.list[i]
}

// Tag is the language's BCP 47 tag, for lang attributes.
func (l *Language) Tag() string { return l.name }

// Name is what the language is called by those who read it: "Deutsch".
func (l *Language) Name() string { return l.locale().Name }

// NameOf is the name of the language of a tag, or the tag where no page is in
// that language.
func NameOf(tag string) string {
	if l, ok := all().byTag[tag]; ok {
		return l.Name()
	}
	return tag
}

// Dir is the direction it is written in: "ltr" or "rtl".
func (l *Language) Dir() string { return l.locale().Dir }

// Has reports whether there is a message for the key, in this language or in
// English.
func (l *Language) Has(key string) bool {
	_, ok := l.lookup(key)
	return ok
}

// Keys are the keys of the language's messages that begin with the prefix.
func (l *Language) Keys(prefix string) []string {
	var keys []string
	for key := range l.messages() {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (l *Language) lookup(key string) (message, bool) {
	if m, ok := l.messages()[key]; ok {
		return m, true
	}
	if l.base != nil {
		return l.base.lookup(key)
	}
	return message{}, false
}

// T returns the message of the key. args are pairs of a placeholder's name and
// its value. A key that no language has is returned as it is, and a
// placeholder without a value stays: both are mistakes that tests find.
func (l *Language) T(key string, args ...any) string {
	m, ok := l.lookup(key)
	if !ok {
		return key
	}
	return m.forms[plural.Other].fill(args, l.locale().digits)
}

// N returns the message of the key in the plural form for n, with n in the
// place of {n}.
func (l *Language) N(key string, n int, args ...any) string {
	m, ok := l.messages()[key]
	if !ok {
		if l.base != nil {
			return l.base.N(key, n, args...)
		}
		return key
	}
	return m.form(l.tag, n).fill(append([]any{"n", n}, args...), l.locale().digits)
}

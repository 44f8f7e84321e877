package doctor

import "github.com/caddy-hass/caddy-hass/caddyonetime/onetime"

// says gives the text of a finding as catalogues of languages have it, with
// pairs of a placeholder's name and its value; a second one stands behind it.
func (f *Finding) says(key string, args ...any) *Finding {
	f.Said = append(f.Said, onetime.Said{Key: "doctor.found." + key, Args: args})
	return f
}

// saysAs does so by a message that pages have already.
func (f *Finding) saysAs(key string, args ...any) *Finding {
	f.Said = append(f.Said, onetime.Said{Key: key, Args: args})
	return f
}

// advises does so with the advice.
func (f *Finding) advises(key string, args ...any) *Finding {
	f.Advised = append(f.Advised, onetime.Said{Key: "doctor.advice." + key, Args: args})
	return f
}

func one(f *Finding) []Finding { return []Finding{*f} }

// collect puts findings of a group of checks in a list.
func collect(list *[]Finding, group, subject string) addFunc {
	return func(check string, level Level, text, advice string) *Finding {
		*list = append(*list, Finding{Check: group + check, Subject: subject, Level: level, Text: text, Advice: advice})
		return &(*list)[len(*list)-1]
	}
}

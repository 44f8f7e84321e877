package words

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// locale is how a language writes dates, times and durations: locale.json.
// Patterns of times know {h} (1 to 12), {h24} (0 to 23), {hh} (00 to 23), {mm}
// and {ampm}.
// Patterns of moments know {clock}, {weekday}, {day}, {month} and {year}.
type locale struct {
	Name  string `json:"name"` // what its readers call it
	Dir   string `json:"dir"`  // "ltr" or "rtl"
	Clock string `json:"clock"`
	AM    string `json:"am"`
	PM    string `json:"pm"`

	// Digits are the ten digits from zero, where they are not 0 to 9. Decimal
	// stands before fractions, where that is not a full stop.
	Digits  string `json:"digits"`
	Decimal string `json:"decimal"`

	// A moment by itself: "today 6:00 pm".
	Yesterday string `json:"yesterday"`
	Today     string `json:"today"`
	Tomorrow  string `json:"tomorrow"`
	Date      string `json:"date"`
	DateYear  string `json:"date_year"`

	// A moment at which something happens, in a sentence: "at 6:00 pm".
	AtYesterday string `json:"at_yesterday"`
	AtToday     string `json:"at_today"`
	AtTomorrow  string `json:"at_tomorrow"`
	AtDate      string `json:"at_date"`
	AtDateYear  string `json:"at_date_year"`

	// A moment behind "from" or "until", where that differs from the moment by
	// itself: "до 18:00 завтра". All or none of them.
	BoundYesterday string `json:"bound_yesterday"`
	BoundToday     string `json:"bound_today"`
	BoundTomorrow  string `json:"bound_tomorrow"`
	BoundDate      string `json:"bound_date"`
	BoundDateYear  string `json:"bound_date_year"`

	// A stretch of time: of {d}, {h}, {m} and {s}. Days have plural forms.
	Seconds      string          `json:"seconds"`
	Minutes      string          `json:"minutes"`
	Hours        string          `json:"hours"`
	HoursMinutes string          `json:"hours_minutes"`
	Days         json.RawMessage `json:"days"`
	DaysHours    string          `json:"days_hours"`

	// Names of days from Sunday, of months from January, in the form that a
	// date takes. Where the weekday changes behind "on", or behind "from" and
	// "until", those forms, with a preposition that depends on it.
	Weekdays      [7]string  `json:"weekdays"`
	WeekdaysAt    *[7]string `json:"weekdays_at"`
	WeekdaysBound *[7]string `json:"weekdays_bound"`
	Months        [12]string `json:"months"`

	patterns map[string]pattern // every pattern above by its text
	days     message
	digits   []rune
}

// optional are the fields that a language may lack.
var optional = map[string]bool{
	"digits": true, "decimal": true, "bound_yesterday": true, "bound_today": true, "bound_tomorrow": true, "bound_date": true, "bound_date_year": true,
}

func (l *locale) parse(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(l); err != nil {
		return err
	}
	l.patterns = make(map[string]pattern)
	v := reflect.ValueOf(*l)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch f.Type.Kind() {
		case reflect.String:
			text := v.Field(i).String()
			if text == "" {
				if name := f.Tag.Get("json"); !optional[name] {
					return fmt.Errorf("%q is missing", name)
				}
				continue
			}
			p, err := parsePattern(text)
			if err != nil {
				return err
			}
			l.patterns[text] = p
		case reflect.Pointer:
			if names := v.Field(i).Interface().(*[7]string); names != nil && slices.Contains(names[:], "") {
				return fmt.Errorf("%q: a name is missing", f.Tag.Get("json"))
			}
		case reflect.Array:
			for j := range v.Field(i).Len() {
				if v.Field(i).Index(j).String() == "" {
					return fmt.Errorf("%q: a name is missing", f.Tag.Get("json"))
				}
			}
		}
	}
	var err error
	if l.days, err = parseMessage(l.Days); err != nil {
		return fmt.Errorf(`"days": %w`, err)
	}
	if l.digits = []rune(l.Digits); len(l.digits) != 0 && len(l.digits) != 10 {
		return fmt.Errorf(`"digits" are %d, not ten`, len(l.digits))
	}
	bounds := 0
	for _, text := range []string{l.BoundYesterday, l.BoundToday, l.BoundTomorrow, l.BoundDate, l.BoundDateYear} {
		if text != "" {
			bounds++
		}
	}
	if bounds != 0 && bounds != 5 {
		return errors.New(`of "bound_yesterday" to "bound_date_year" some are missing`)
	}
	if l.Dir != "ltr" && l.Dir != "rtl" {
		return fmt.Errorf(`"dir" is %q, neither "ltr" nor "rtl"`, l.Dir)
	}
	return nil
}

func (l *locale) fill(text string, args ...any) string {
	return l.patterns[text].fill(args, l.digits)
}

// Clock writes the time of day in the zone: "6:00 pm", "18:00 Uhr".
func (l *Language) Clock(t time.Time, zone *time.Location) string {
	t = t.In(zone)
	h, half := t.Hour()%12, l.locale().AM
	if h == 0 {
		h = 12
	}
	if t.Hour() >= 12 {
		half = l.locale().PM
	}
	return l.locale().fill(l.locale().Clock,
		"h", h, "h24", t.Hour(), "hh", l.locale().twoDigits(t.Hour()), "mm", l.locale().twoDigits(t.Minute()), "ampm", half)
}

// Time writes a moment by itself, as people near now in the zone say it:
// "today 6:00 pm", "tomorrow 9:00 am", "Sunday 22 November, 6:00 pm".
func (l *Language) Time(t, now time.Time, zone *time.Location) string {
	c := l.locale()
	return l.moment(t, now, zone, nil, c.Yesterday, c.Today, c.Tomorrow, c.Date, c.DateYear)
}

// At writes a moment as a part of a sentence that says what happens then:
// "at 6:00 pm", "tomorrow at 9:00 am", "on Sunday 22 November at 6:00 pm".
func (l *Language) At(t, now time.Time, zone *time.Location) string {
	c := l.locale()
	return l.moment(t, now, zone, c.WeekdaysAt, c.AtYesterday, c.AtToday, c.AtTomorrow, c.AtDate, c.AtDateYear)
}

// Bound writes a moment as a sentence takes it behind its "from" or "until".
// In many languages that is Time; in some it asks for another case.
func (l *Language) Bound(t, now time.Time, zone *time.Location) string {
	c := l.locale()
	if c.BoundToday == "" {
		return l.Time(t, now, zone)
	}
	return l.moment(t, now, zone, c.WeekdaysBound, c.BoundYesterday, c.BoundToday, c.BoundTomorrow, c.BoundDate, c.BoundDateYear)
}

func (l *Language) moment(t, now time.Time, zone *time.Location, weekdays *[7]string, yesterday, today, tomorrow, date, dateYear string) string {
	if zone == nil {
		zone = time.UTC
	}
	t, now = t.In(zone), now.In(zone)
	clock := l.Clock(t, zone)
	switch days(t) - days(now) {
	case -1:
		return l.locale().fill(yesterday, "clock", clock)
	case 0:
		return l.locale().fill(today, "clock", clock)
	case 1:
		return l.locale().fill(tomorrow, "clock", clock)
	}
	if weekdays == nil {
		weekdays = &l.locale().Weekdays
	}
	text := date
	if t.Year() != now.Year() {
		text = dateYear
	}
	return l.locale().fill(text, "clock", clock,
		"weekday", weekdays[t.Weekday()], "day", t.Day(),
		"month", l.locale().Months[t.Month()-1], "year", t.Year())
}

// days counts calendar days, whatever daylight saving makes of their length.
func days(t time.Time) int64 {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// Duration writes a stretch of time in at most two units: "40 s", "12 min",
// "1 h 12 min", "2 days 3 h". From a minute on it rounds up to whole minutes,
// so that nobody comes too early.
func (l *Language) Duration(d time.Duration) string {
	c := l.locale()
	if d < time.Minute {
		return c.fill(c.Seconds, "s", max(0, int((d+time.Second-1)/time.Second)))
	}
	m := int((d + time.Minute - 1) / time.Minute)
	switch h := m / 60; {
	case m < 60:
		return c.fill(c.Minutes, "m", m)
	case h >= 24:
		text := c.days.form(l.tag, h/24).fill([]any{"d", h / 24}, c.digits)
		if h%24 == 0 {
			return text
		}
		return c.fill(c.DaysHours, "days", text, "h", h%24)
	case m%60 == 0:
		return c.fill(c.Hours, "h", h)
	default:
		return c.fill(c.HoursMinutes, "h", h, "m", m%60)
	}
}

// DurationPatterns are the patterns of Duration below a day, for pages that
// count down by themselves: seconds, minutes, hours, hours and minutes.
func (l *Language) DurationPatterns() [4]string {
	c := l.locale()
	return [4]string{c.Seconds, c.Minutes, c.Hours, c.HoursMinutes}
}

// Digits are the ten digits of the language in a row, for pages that count by
// themselves, or nothing where they are 0 to 9.
func (l *Language) Digits() string { return l.locale().Digits }

// Decimal writes a number with one digit of its fraction: "1.5", "1,5".
func (l *Language) Decimal(f float64) string {
	c := l.locale()
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(f, 'f', 1, 64), ".")
	return inDigits(whole, c.digits) + cmp.Or(c.Decimal, ".") + inDigits(fraction, c.digits)
}

func (l *locale) twoDigits(n int) string {
	if n < 10 {
		return number(0, l.digits) + number(n, l.digits)
	}
	return number(n, l.digits)
}

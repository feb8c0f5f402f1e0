package ui

import (
	"fmt"
	"strings"
	"time"

	"postern/internal/disclosure"
)

// Say fills a text's verbs (%s, %d).
func Say(text string, args ...any) string { return fmt.Sprintf(text, args...) }

// TabTitle is a page's title in the browser's tab and history: it names the
// page, never a case, a release or a code.
func TabTitle(what, room string) string {
	if room == "" {
		return what
	}
	return what + " · " + room
}

// SpanWords writes a promise's length for people.
func (t *Texts) SpanWords(s disclosure.Span) string {
	c := t.Common
	switch {
	case s.WorkingDays != 0:
		return count(s.WorkingDays, c.WorkingDay, c.WorkingDays)
	case s.Days != 0:
		return count(s.Days, c.Day, c.Days)
	}
	return count(s.Hours, c.Hour, c.Hours)
}

func count(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return Say(many, n)
}

// Stamp writes an instant in UTC: "Tue 3 Feb 2026, 15:00 UTC".
func (t *Texts) Stamp(at time.Time) string {
	at = at.UTC()
	return t.Date(at) + at.Format(", 15:04 UTC")
}

// Date writes a day in the zone of at: "Tue 3 Feb 2026".
func (t *Texts) Date(at time.Time) string {
	return Say("%s %d %s %d", t.Common.Weekdays[at.Weekday()], at.Day(), t.Common.Months[at.Month()-1], at.Year())
}

// Own writes an instant in the reader's zone, beside the UTC it follows: the
// day is said only where it differs. Empty when the zone says the same as UTC.
func (t *Texts) Own(at time.Time, zone *time.Location) string {
	if zone == nil {
		return ""
	}
	own, utc := at.In(zone), at.UTC()
	if own.Format("2006-01-02 15:04") == utc.Format("2006-01-02 15:04") {
		return ""
	}
	text := own.Format("15:04 ") + t.Common.YourTime
	if own.YearDay() != utc.YearDay() {
		text = t.Common.Weekdays[own.Weekday()] + " " + text
	}
	return text
}

// Relative writes how far at is from now: "in 6 days", "3 hours ago".
func (t *Texts) Relative(at, now time.Time) string {
	d := at.Sub(now)
	if d > -time.Minute && d < time.Minute {
		return t.Common.Now
	}
	if d < 0 {
		return Say(t.Common.Ago, t.Length(-d))
	}
	return Say(t.Common.InTime, t.Length(d))
}

// Length writes a length of time in its largest unit, rounded down as people
// do: "6 days", "47 hours", "5 minutes". Hours go up to two days.
func (t *Texts) Length(d time.Duration) string {
	c := t.Common
	switch {
	case d >= 48*time.Hour:
		return count(int(d.Hours()/24), c.Day, c.Days)
	case d >= time.Hour:
		return count(int(d.Hours()), c.Hour, c.Hours)
	case d >= time.Minute:
		return count(int(d.Minutes()), c.Minute, c.Minutes)
	}
	return c.Minute
}

// Size writes a number of bytes: "512 bytes", "20 KiB", "1.5 MiB".
func (t *Texts) Size(n int64) string {
	switch {
	case n < 1<<10:
		return Say(t.Common.Bytes, n)
	case n < 10<<10:
		return Say("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<20:
		return Say("%d KiB", n>>10)
	case n < 10<<20 && n%(1<<20) != 0:
		return Say("%.1f MiB", float64(n)/(1<<20))
	}
	return Say("%d MiB", n>>20)
}

// Groups cuts hex digits into groups of four, for reading aloud.
func Groups(hex string) []string {
	var groups []string
	digits := strings.ToUpper(strings.Join(strings.Fields(hex), ""))
	for len(digits) > 4 {
		groups = append(groups, digits[:4])
		digits = digits[4:]
	}
	if digits != "" {
		groups = append(groups, digits)
	}
	return groups
}

// Grouped is the fingerprint as one line.
func Grouped(hex string) string { return strings.Join(Groups(hex), " ") }

// Join lists words as a sentence does: "a, b and c".
func (t *Texts) Join(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + t.Common.And + " " + words[len(words)-1]
}

// Paragraphs cuts a text at its empty lines.
func Paragraphs(text string) []string {
	var all []string
	for _, p := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, p)
		}
	}
	return all
}

// FaultOf is the text of the faults of one field; empty: it has none.
func FaultOf(faults []disclosure.Fault, id string) string {
	var texts []string
	for _, f := range faults {
		if f.Field == id {
			texts = append(texts, f.Text)
		}
	}
	return strings.Join(texts, " ")
}

// percent is where now stands between start and end, 0 to 100.
func percent(start, end, now time.Time) int {
	whole := end.Sub(start)
	if whole <= 0 || !now.Before(end) {
		return 100
	}
	if now.Before(start) {
		return 0
	}
	return int(100 * now.Sub(start) / whole)
}

// Urgency says in one word of style how near a promise is: "calm", "soon"
// (four fifths gone) or "over"; it never stands without a text.
func Urgency(c disclosure.Clock, now time.Time) string {
	switch {
	case c.Breached(now):
		return "over"
	case percent(c.Started, c.Due, now) >= 80:
		return "soon"
	}
	return "calm"
}

// Visible is a stranger's text as it may be shown: characters that turn the
// direction of text around, and control characters, are written out, so that
// "gpj.exe" cannot read as something else. Line ends and tabs stay.
func Visible(text string) string {
	if !strings.ContainsFunc(text, invisible) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if invisible(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func invisible(r rune) bool {
	switch {
	case r == '\n' || r == '\r' || r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r >= 0xe0000 && r <= 0xe007f:
		return true
	}
	return false
}

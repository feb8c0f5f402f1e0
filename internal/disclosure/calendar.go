package disclosure

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // zones are part of the rules: a bare machine must know them too
)

// IsZero reports whether nothing is promised.
func (s Span) IsZero() bool { return s.Hours == 0 && s.Days == 0 && s.WorkingDays == 0 }

// String writes the span as a policy file has it: "48h", "7d", "3wd".
func (s Span) String() string {
	switch {
	case s.WorkingDays != 0:
		return fmt.Sprintf("%dwd", s.WorkingDays)
	case s.Days != 0:
		return fmt.Sprintf("%dd", s.Days)
	}
	return fmt.Sprintf("%dh", s.Hours)
}

// Words writes the span for people: "48 hours", "3 working days".
func (s Span) Words() string {
	switch {
	case s.WorkingDays != 0:
		return plural(s.WorkingDays, "working day")
	case s.Days != 0:
		return plural(s.Days, "day")
	}
	return plural(s.Hours, "hour")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// After is t plus the span. Hours are elapsed time. Days are dates in the
// calendar's zone: the same time of day, whatever a change of the clocks does
// in between. Working days are dates too, of which only working ones count; a
// span that begins on a day off begins with the next working day.
func (s Span) After(t time.Time, cal Calendar) time.Time { return s.step(t, cal, 1) }

// Before is t minus the span, counted as After does.
func (s Span) Before(t time.Time, cal Calendar) time.Time { return s.step(t, cal, -1) }

func (s Span) step(t time.Time, cal Calendar, sign int) time.Time {
	switch {
	case s.WorkingDays != 0:
		local := t.In(cal.location())
		// Bounded: a calendar without working days must not hang anybody.
		for left, tries := s.WorkingDays, 0; left > 0 && tries < 40*s.WorkingDays+400; tries++ {
			local = local.AddDate(0, 0, sign)
			if cal.IsWorking(local) {
				left--
			}
		}
		return sameTimeOfDay(t.In(cal.location()), local).UTC()
	case s.Days != 0:
		return t.In(cal.location()).AddDate(0, 0, sign*s.Days).UTC()
	}
	return t.Add(time.Duration(sign*s.Hours) * time.Hour).UTC()
}

// sameTimeOfDay is the date of day with the time of day of from. Stepping over
// a gap of the clocks day by day would keep the shifted hour otherwise.
func sameTimeOfDay(from, day time.Time) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), from.Hour(), from.Minute(), from.Second(), from.Nanosecond(), from.Location())
}

// IsWorking reports whether the date of t, in t's own zone, is a working day.
// A calendar that names no working days has Monday to Friday.
func (c Calendar) IsWorking(t time.Time) bool {
	if len(c.Working) == 0 {
		if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
			return false
		}
	} else if !slices.Contains(c.Working, t.Weekday()) {
		return false
	}
	return !slices.Contains(c.Holidays, t.Format(time.DateOnly))
}

// in is the calendar with another zone, for a release that has its own.
func (c Calendar) in(zone string) Calendar {
	if zone != "" {
		c.Zone = zone
	}
	return c
}

func (c Calendar) location() *time.Location { return location(c.Zone) }

// location falls back to UTC: policies and releases check a zone before they
// keep it, and a wrong one must not turn a date into a panic.
func location(zone string) *time.Location {
	loc, err := LoadZone(zone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// LoadZone finds an IANA time zone; empty is UTC. "Local" is no zone: it would
// mean another one on every machine.
func LoadZone(zone string) (*time.Location, error) {
	switch zone {
	case "", "UTC":
		return time.UTC, nil
	case "Local":
		return nil, fmt.Errorf("no time zone is called %q", zone)
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("no time zone is called %q", zone)
	}
	return loc, nil
}

// Supported lists the series that have security support on the day of at, in
// the policy's order.
func (p *Policy) Supported(at time.Time) []Series {
	var list []Series
	for _, s := range p.Series {
		if p.supports(s, at) {
			list = append(list, s)
		}
	}
	return list
}

// supports counts the last day in: "until 2027-04-01" ends when that day does.
func (p *Policy) supports(s Series, at time.Time) bool {
	if !s.Supported {
		return false
	}
	if s.Until == "" || at.IsZero() {
		return true
	}
	return at.In(p.Calendar.location()).Format(time.DateOnly) <= s.Until
}

// series finds one by name.
func (p *Policy) series(name string) (Series, bool) {
	for _, s := range p.Series {
		if s.Name == name {
			return s, true
		}
	}
	return Series{}, false
}

// orEmpty is what a thing without a loaded policy runs under: nothing promised.
func (p *Policy) orEmpty() *Policy {
	if p == nil {
		return &Policy{}
	}
	return p
}

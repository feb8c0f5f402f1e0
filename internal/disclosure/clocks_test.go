package disclosure_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	. "postern/internal/disclosure"
)

func TestFirstAnswerClock(t *testing.T) {
	at := func(d time.Duration) time.Time { return day0.Add(d) }
	h := func(hours, minutes int) time.Duration {
		return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	}
	for _, test := range []struct {
		name     string
		by       string // whose acknowledgment counts
		ack      string // who acknowledges at once; empty: nobody
		answer   string
		now      time.Duration
		breached bool
	}{
		{"due", "member", "", "", h(47, 59), false},
		{"to the second", "member", "", "", h(48, 0), false},
		{"breached", "member", "", "", h(48, 1), true},
		{"an automatic answer does not stop it", "member", "work", "forbidden", h(48, 1), true},
		{"a releaser alone is no triager", "member", "releaser", "forbidden", h(48, 1), true},
		{"a member stops it", "member", "triager", "done", h(48, 1), false},
		{"where anything counts, work stops it", "any", "work", "done", h(48, 1), false},
	} {
		p := testPolicy()
		p.Ack.By = test.by
		c := newCase(1, p)
		c.Alerts()
		if test.ack != "" {
			if got := answer(c.Acknowledge(who[test.ack], at(time.Minute))); got != test.answer {
				t.Errorf("%s: Acknowledge by %s = %s, want %s", test.name, test.ack, got, test.answer)
			}
		}
		clock := c.Clocks()[0]
		if clock.Breached(at(test.now)) != test.breached {
			t.Errorf("%s: Breached at %v = %v, want %v", test.name, test.now, !test.breached, test.breached)
		}
		c.Tick(at(test.now))
		alerted := false
		for _, a := range c.Alerts() {
			alerted = alerted || a.Kind == AlertBreach
		}
		if alerted != test.breached {
			t.Errorf("%s: Tick alerted of a breach: %v, want %v", test.name, alerted, test.breached)
		}
		if due := c.Due(); test.answer != "done" && !due.Equal(at(h(48, 0))) || test.answer == "done" && !due.IsZero() {
			t.Errorf("%s: Due = %v", test.name, due)
		}
	}
}

func TestEachStageIsToldOnce(t *testing.T) {
	c := newCase(7, testPolicy())
	if got, want := c.Alerts(), []Alert{{Kind: AlertReport, Ref: "/cases/7"}}; !cmp.Equal(got, want) {
		t.Errorf("a new case alerts %v, want %v", got, want)
	}
	var told []AlertKind
	var wakes []time.Duration
	for n := 0; !c.Wake().IsZero() && n < 10; n++ {
		now := c.Wake()
		wakes = append(wakes, now.Sub(day0).Round(time.Second))
		c.Tick(now)
		c.Tick(now) // a second time says nothing
		for _, a := range c.Alerts() {
			told = append(told, a.Kind)
		}
	}
	if want := []AlertKind{AlertHalf, AlertFourFifths, AlertBreach}; !cmp.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if want := []time.Duration{24 * time.Hour, 38*time.Hour + 24*time.Minute, 48 * time.Hour}; !cmp.Equal(wakes, want) {
		t.Errorf("woken at %v, want %v", wakes, want)
	}
	if c.Due().IsZero() {
		t.Error("a breached promise lost its deadline")
	}

	late := newCase(8, testPolicy())
	late.Alerts()
	late.Tick(day0.AddDate(0, 0, 30))
	if got := late.Alerts(); len(got) != 1 || got[0].Kind != AlertBreach {
		t.Errorf("after a month asleep Tick alerted %v, want the breach alone", got)
	}
	must(t, late.Close(Spam, "", "", all, day0.AddDate(0, 0, 31)))
	if !late.Due().IsZero() || !late.Wake().IsZero() {
		t.Errorf("a closed case has due %v and wake %v", late.Due(), late.Wake())
	}
}

func TestDetailClock(t *testing.T) {
	p := testPolicy()
	p.Ack.Detail = Span{Days: 10}
	c := newCase(1, p)
	must(t, c.Acknowledge(all, day0.Add(time.Hour)))
	if want := day0.AddDate(0, 0, 10); !c.Due().Equal(want) {
		t.Errorf("Due after the first answer = %v, want %v", c.Due(), want)
	}
	must(t, c.Accept(all, day0.Add(2*time.Hour)))
	if !c.Due().IsZero() {
		t.Errorf("Due after the decision = %v, want none", c.Due())
	}
}

func TestSpans(t *testing.T) {
	when := func(zone, s string) time.Time {
		loc, err := LoadZone(zone)
		must(t, err)
		at, err := time.ParseInLocation("2006-01-02 15:04", s, loc)
		must(t, err)
		return at
	}
	for _, test := range []struct {
		name, zone string
		span       Span
		from, to   string // local
		back       bool
		holidays   []string
	}{
		{"hours over New York's spring", "America/New_York", Span{Hours: 48}, "2026-03-07 12:00", "2026-03-09 13:00", false, nil},
		{"days over New York's spring", "America/New_York", Span{Days: 2}, "2026-03-07 12:00", "2026-03-09 12:00", false, nil},
		{"days back over New York's spring", "America/New_York", Span{Days: 7}, "2026-03-10 11:00", "2026-03-03 11:00", true, nil},
		{"days back over New York's spring, in UTC", "UTC", Span{Days: 7}, "2026-03-10 15:00", "2026-03-03 15:00", true, nil},
		{"days over New York's autumn", "America/New_York", Span{Days: 1}, "2026-10-31 12:00", "2026-11-01 12:00", false, nil},
		{"days over Berlin's spring", "Europe/Berlin", Span{Days: 1}, "2026-03-28 15:00", "2026-03-29 15:00", false, nil},
		{"an hour that does not exist moves on", "Europe/Berlin", Span{Days: 1}, "2026-03-28 02:30", "2026-03-29 03:30", false, nil},
		{"working days over that hour keep the time", "Europe/Berlin", Span{WorkingDays: 1}, "2026-03-27 02:30", "2026-03-30 02:30", false, nil},
		{"a working day over a weekend", "UTC", Span{WorkingDays: 1}, "2026-03-06 10:00", "2026-03-09 10:00", false, nil},
		{"from a Saturday", "UTC", Span{WorkingDays: 1}, "2026-03-07 10:00", "2026-03-09 10:00", false, nil},
		{"three working days with a holiday", "UTC", Span{WorkingDays: 3}, "2026-12-23 10:00", "2026-12-29 10:00", false, []string{"2026-12-25"}},
		{"five working days back", "UTC", Span{WorkingDays: 5}, "2026-03-10 15:00", "2026-03-03 15:00", true, nil},
		{"leap day", "UTC", Span{Days: 1}, "2028-02-28 10:00", "2028-02-29 10:00", false, nil},
	} {
		cal := Calendar{Zone: test.zone, Holidays: test.holidays}
		from, want := when(test.zone, test.from), when(test.zone, test.to)
		got := test.span.After(from, cal)
		if test.back {
			got = test.span.Before(from, cal)
		}
		if !got.Equal(want) {
			t.Errorf("%s: %s from %s = %s, want %s", test.name, test.span, test.from, got.In(want.Location()).Format("2006-01-02 15:04"), test.to)
		}
	}
	never := Calendar{Working: []time.Weekday{time.Monday}}
	for d := day0; d.Year() < 2030; d = d.AddDate(0, 0, 1) {
		never.Holidays = append(never.Holidays, d.Format(time.DateOnly))
	}
	if got := (Span{WorkingDays: 2}).After(day0, never); got.Before(day0) {
		t.Errorf("a calendar without working days gave %v", got)
	}
}

// New York's change on March 8 must not move an hour planned in UTC, and must
// keep the local hour of one planned in New York.
func TestLeadCountsInTheReleasesZone(t *testing.T) {
	for _, test := range []struct{ zone, at, sendAt string }{
		{"UTC", "2026-03-12T15:00:00Z", "2026-03-05T15:00:00Z"},
		{"America/New_York", "2026-03-12T15:00:00Z", "2026-03-05T16:00:00Z"}, // 11:00 in New York on both days
	} {
		p := testPolicy()
		r, err := NewRelease("r", "spring", p, all, day0)
		must(t, err)
		must(t, r.Gather(accepted(t, 1, p), all, day0))
		at, _ := time.Parse(time.RFC3339, test.at)
		must(t, r.Plan(at, test.zone, "", all, day0))
		must(t, r.DraftNotices(all, day0))
		if got := notice(r, ToDistributors).SendAt.Format(time.RFC3339); got != test.sendAt || !r.At.Equal(at) {
			t.Errorf("planned for %s in %s: told at %s, at %v; want %s", test.at, test.zone, got, r.At, test.sendAt)
		}
		if !notice(r, ToDistributors).Deadline.Equal(at) {
			t.Errorf("the advance notice is void at %v, want the hour", notice(r, ToDistributors).Deadline)
		}
	}
}

func TestReleaseClocks(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	r.Alerts()
	if want := r.At.AddDate(0, 0, -7); !r.Due().Equal(want) {
		t.Errorf("Due = %v, want the advance notice at %v", r.Due(), want)
	}
	count := map[AlertKind]int{}
	var last time.Time
	for n := 0; !r.Wake().IsZero() && n < 50; n++ {
		now := r.Wake()
		if now.Before(last) {
			t.Fatalf("Wake went back from %v to %v", last, now)
		}
		last = now
		r.Tick(now)
		r.Tick(now)
		for _, a := range r.Alerts() {
			count[a.Kind]++
			if a.Ref != "/releases/"+string(r.ID) {
				t.Errorf("alert %s refers to %s", a.Kind, a.Ref)
			}
		}
	}
	want := map[AlertKind]int{AlertHalf: 3, AlertFourFifths: 3, AlertBreach: 3, AlertHour: 1}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("alerts of three advance notices and the hour (-want +got):\n%s", diff)
	}
	for _, a := range []Audience{ToAnnounceAhead, ToDistributors, ToReporters} {
		if n := notice(r, a); n != nil {
			t.Errorf("after the hour the notice to %s is %s, want it void", a, n.State)
		}
	}
	if r.State != Scheduled {
		t.Errorf("the hour alone made the release %s", r.State)
	}
	if !r.Due().Equal(r.At) {
		t.Errorf("Due after the hour = %v, want it to stay %v", r.Due(), r.At)
	}
}

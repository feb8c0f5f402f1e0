package disclosure

import (
	"time"
)

// At is when the stage of a clock is reached; zero for StageNone.
func (c Clock) At(s Stage) time.Time {
	length := c.Due.Sub(c.Started)
	switch s {
	case StageHalf:
		return c.Started.Add(length / 2)
	case StageFourFifths:
		return c.Started.Add(length / 5 * 4)
	case StageBreach:
		return c.Due
	}
	return time.Time{}
}

// Reached is the last stage reached at now. The due moment itself still keeps
// the promise.
func (c Clock) Reached(now time.Time) Stage {
	switch {
	case now.After(c.Due):
		return StageBreach
	case !now.Before(c.At(StageFourFifths)):
		return StageFourFifths
	case !now.Before(c.At(StageHalf)):
		return StageHalf
	}
	return StageNone
}

// Clocks are the promises running, or once kept, for the case.
func (c *Case) Clocks() []Clock {
	p := c.Policy.orEmpty()
	var clocks []Clock
	if !p.Ack.Within.IsZero() {
		clocks = append(clocks, Clock{
			Name: "ack", Words: "first answer", Started: c.Received,
			Due: p.Ack.Within.After(c.Received, p.Calendar), Kept: c.Acknowledged,
		})
	}
	if !p.Ack.Detail.IsZero() {
		clocks = append(clocks, Clock{
			Name: "detail", Words: "our decision", Started: c.Received,
			Due: p.Ack.Detail.After(c.Received, p.Calendar), Kept: c.Decided,
		})
	}
	if c.State == Embargoed && c.Release != nil && !c.Release.At.IsZero() {
		clocks = append(clocks, Clock{Name: "hour", Words: "publication", Started: c.Received, Due: c.Release.At})
	}
	return clocks
}

// own leaves out the hour, which the case's release watches.
func (c *Case) own() []Clock {
	clocks := c.Clocks()
	if n := len(clocks); n > 0 && clocks[n-1].Name == "hour" {
		clocks = clocks[:n-1]
	}
	return clocks
}

// Over reports whether nothing is to be done about the case any more.
func (c *Case) Over() bool { return c.State == Closed || c.State == Disclosed }

// Tick tells members of what came due since they were last told. Each stage of
// each clock is told once; a stage slept through is skipped, not made up for.
func (c *Case) Tick(now time.Time) {
	if c.Over() {
		return
	}
	if c.Alerted == nil {
		c.Alerted = map[string]Stage{}
	}
	c.tick(c.own(), c.Alerted, c.ref(), now)
}

// tick notes in alerted what it told, and records a breach in the history.
func (ch *changes) tick(clocks []Clock, alerted map[string]Stage, ref string, now time.Time) {
	for _, clock := range clocks {
		reached := clock.Reached(now)
		if !clock.Running() || !clock.Due.After(clock.Started) || reached <= alerted[clock.Name] {
			continue // due when it was planned: whoever planned it knows
		}
		alerted[clock.Name] = reached
		switch reached {
		case StageHalf:
			ch.alert(AlertHalf, ref)
		case StageFourFifths:
			ch.alert(AlertFourFifths, ref)
		case StageBreach:
			ch.alert(AlertBreach, ref)
			ch.record(EventClock, System("clock"), now, "Overdue since %s: %s", clock.Due.UTC().Format("2006-01-02 15:04 UTC"), clock.Words)
		}
	}
}

// Wake is when work must look at the case again; zero: never. It may lie in
// the past: then at once.
func (c *Case) Wake() time.Time {
	if c.Over() {
		return time.Time{}
	}
	return wake(c.own(), c.Alerted)
}

// Due is the deadline of the nearest unkept promise, which stays when it is
// breached; zero when nothing is promised any more.
func (c *Case) Due() time.Time {
	if c.Over() {
		return time.Time{}
	}
	return due(c.Clocks())
}

func wake(clocks []Clock, alerted map[string]Stage) time.Time {
	var first time.Time
	for _, clock := range clocks {
		if next := alerted[clock.Name] + 1; clock.Running() && clock.Due.After(clock.Started) && next <= StageBreach {
			at := clock.At(next)
			if next == StageBreach {
				at = at.Add(time.Microsecond) // due itself is still in time; the database keeps microseconds
			}
			first = earlier(first, at)
		}
	}
	return first
}

func due(clocks []Clock) time.Time {
	var first time.Time
	for _, clock := range clocks {
		if clock.Running() {
			first = earlier(first, clock.Due)
		}
	}
	return first
}

// earlier treats zero as never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Clocks are the promises of a release: each advance notice in time, and the hour.
func (r *Release) Clocks() []Clock {
	if r.State == Draft || r.State == CalledOff {
		return nil
	}
	clocks := r.leads()
	return append(clocks, Clock{Name: "hour", Words: "publication", Started: r.PlannedAt, Due: r.At, Kept: r.DisclosedAt})
}

// leads are the clocks of the advance notices. One planned for the moment of
// planning itself has no length, and is due at once.
func (r *Release) leads() []Clock {
	var clocks []Clock
	for _, n := range r.Notices {
		if !n.Audience.Ahead() || n.State == NoticeCanceled || n.SendAt.IsZero() {
			continue // nothing is promised
		}
		clocks = append(clocks, Clock{
			Name: "lead:" + string(n.Audience), Words: "notice to " + n.Audience.Words(),
			Started: earlier(r.PlannedAt, n.SendAt), Due: n.SendAt, Kept: n.SentAt,
		})
	}
	return clocks
}

// Tick tells members of what came due, and voids advance notices whose
// deadline passed before they were sent.
func (r *Release) Tick(now time.Time) {
	if r.State == Draft || r.State == Published || r.State == CalledOff {
		return
	}
	if r.Alerted == nil {
		r.Alerted = map[string]Stage{}
	}
	ref := r.ref()
	r.tick(r.leads(), r.Alerted, ref, now)
	if !now.Before(r.At) && r.Alerted["hour"] < StageBreach {
		r.Alerted["hour"] = StageBreach
		r.alert(AlertHour, ref)
		r.record(EventClock, System("clock"), now, "The hour has come. Nothing is public until a releaser publishes.")
	}
	for _, n := range r.Notices {
		if r.voidAt(n, now) {
			n.State = NoticeCanceled
			r.record(EventClock, System("clock"), now, "Notice to %s is void: its deadline passed before it was sent", n.Audience.Words())
		}
	}
}

// voidAt leaves alone what is being sent: its deliveries expire one by one.
func (r *Release) voidAt(n *Notice, now time.Time) bool {
	waiting := n.State == NoticeDraft || n.State == NoticeFrozen || n.State == NoticeApproved
	return waiting && !n.Deadline.IsZero() && now.After(n.Deadline)
}

// Wake is when work must look at the release again; zero: never.
func (r *Release) Wake() time.Time {
	if r.State == Draft || r.State == Published || r.State == CalledOff {
		return time.Time{}
	}
	first := wake(r.leads(), r.Alerted)
	if r.Alerted["hour"] < StageBreach {
		first = earlier(first, r.At)
	}
	for _, n := range r.Notices {
		if !n.Deadline.IsZero() && r.voidAt(n, n.Deadline.Add(time.Second)) {
			first = earlier(first, n.Deadline.Add(time.Microsecond))
		}
	}
	return first
}

// Due is the nearest unkept promise: a notice to send, else the hour. It stays
// when it is breached; zero in draft and when the release is over.
func (r *Release) Due() time.Time {
	if r.State == Published || r.State == CalledOff {
		return time.Time{}
	}
	return due(r.Clocks())
}

// Words names the audience in a sentence.
func (a Audience) Words() string {
	switch a {
	case ToAnnounceAhead:
		return "the announcement list, ahead of the day"
	case ToDistributors:
		return "the distributors"
	case ToReporters:
		return "the reporters"
	case ToAnnounce:
		return "the announcement list"
	case ToOSS:
		return "oss-security"
	}
	return string(a)
}

package disclosure

import "time"

// Stage is how far a clock is, as far as members are told of it.
type Stage int

const (
	StageNone Stage = iota
	StageHalf
	StageFourFifths
	StageBreach
)

// Clock is a promise running for one thing. Clocks are computed from facts,
// never stored; only what members were told of is kept.
type Clock struct {
	Name    string // "ack", "lead", "hour", …
	Words   string // "first answer"
	Started time.Time
	Due     time.Time
	Kept    time.Time // zero: not yet
}

// Running reports whether the promise is neither kept nor void.
func (c Clock) Running() bool { return c.Kept.IsZero() }

// Breached reports whether the promise was broken at now, or was kept late.
func (c Clock) Breached(now time.Time) bool {
	if !c.Kept.IsZero() {
		return c.Kept.After(c.Due)
	}
	return now.After(c.Due)
}

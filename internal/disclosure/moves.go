package disclosure

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// caseArrow is one way a case can go: who may take it, and what must hold.
type caseArrow struct {
	role    Roles  // the least a caller must hold
	label   string // of the button, and of the arrow in docs/lifecycle.md
	release bool   // only together with a release
	usual   bool   // the recommended next step
	guard   func(*Case) []Fault
}

type caseWay struct{ from, to CaseState }

// caseArrows is the whole life of a case. docs/lifecycle.md is made from it.
var caseArrows = map[caseWay]caseArrow{
	{Received, Triage}:     {role: Triager, label: "Acknowledge", usual: true},
	{Triage, Accepted}:     {role: Triager, label: "Accept as a vulnerability", usual: true},
	{Accepted, Embargoed}:  {role: Releaser, label: "Set the date of its release", release: true, guard: mayBeEmbargoed},
	{Embargoed, Accepted}:  {role: Releaser, label: "Take out of its release", release: true},
	{Embargoed, Disclosed}: {role: Releaser, label: "Publish its release", release: true},
	{Received, Closed}:     {role: Triager, label: "Close with a verdict", guard: mayClose},
	{Triage, Closed}:       {role: Triager, label: "Close with a verdict", guard: mayClose},
	{Accepted, Closed}:     {role: Triager, label: "Close with a verdict", guard: mayCloseAccepted},
	{Closed, Triage}:       {role: Triager, label: "Reopen", guard: mayReopen},
}

// Move takes the arrow from the case's state to another and records it. Arrows
// that need more than a caller are refused with the step to use instead:
// closing needs a verdict (Close), and what happens with a release happens
// through it. A case the caller may not see is ErrNotFound, a missing role
// ErrForbidden, and what a guard objects to a *Refusal.
func (c *Case) Move(to CaseState, by Caller, now time.Time) error { return c.move(to, by, now, false) }

func (c *Case) move(to CaseState, by Caller, now time.Time, byRelease bool) error {
	if !c.VisibleTo(by) {
		return ErrNotFound
	}
	arrow, ok := caseArrows[caseWay{c.State, to}]
	if !ok {
		return Refuse("state", noCaseWay(c.State, to))
	}
	if err := c.mayTake(arrow, c.State, by); err != nil {
		return err
	}
	if arrow.release && !byRelease {
		return Refuse("state", throughRelease(c.State, to))
	}
	if arrow.guard != nil {
		if faults := arrow.guard(c); len(faults) > 0 {
			return &Refusal{faults}
		}
	}
	from := c.State
	c.State = to
	c.entered(from, by, now)
	c.record(EventMoved, by, now, "%s → %s", from, to)
	return nil
}

// mayTake checks the role. Work decides nothing about a case: the one arrow it
// may take is a first answer where the policy lets anything count as one, and
// there a releaser may give it, too.
func (c *Case) mayTake(arrow caseArrow, from CaseState, by Caller) error {
	anybody := from == Received && arrow.usual && c.Policy.orEmpty().Ack.By == "any"
	if by.IsSystem() {
		if anybody {
			return nil
		}
		return ErrForbidden
	}
	if !by.Can(arrow.role) && !(anybody && by.Can(Releaser)) {
		return ErrForbidden
	}
	return nil
}

// entered keeps the facts that are equivalent to states.
func (c *Case) entered(from CaseState, by Caller, now time.Time) {
	if from == Received {
		c.acknowledge(by, now)
	}
	if c.Decided.IsZero() && (c.State == Accepted || c.State == Closed) {
		c.Decided = now
	}
	switch c.State {
	case Accepted:
		if c.PublicName == "" {
			c.PublicName = newPublicName(c.Policy.orEmpty().Project.Prefix, now)
		}
	case Closed:
		c.ClosedAt = now
	case Disclosed:
		c.DisclosedAt = now
	}
	if from == Closed {
		c.Verdict, c.VerdictNote, c.DuplicateOf, c.ClosedAt = "", "", "", time.Time{}
	}
}

func (c *Case) acknowledge(by Caller, now time.Time) {
	if !c.Acknowledged.IsZero() {
		return
	}
	c.Acknowledged, c.AcknowledgedBy = now, by.Name
	c.record(EventAcknowledged, by, now, "Acknowledged by %s", by.Name)
}

// Acknowledge says that somebody has seen the report; it stops the clock of
// the first answer. A second acknowledgment is refused.
func (c *Case) Acknowledge(by Caller, now time.Time) error { return c.Move(Triage, by, now) }

// Accept says that it is a vulnerability. The public name is reserved now.
func (c *Case) Accept(by Caller, now time.Time) error { return c.Move(Accepted, by, now) }

// Close ends a case with a verdict. Closing an unacknowledged case is an
// acknowledgment too. The note stays in the team; duplicateOf is wanted for
// Duplicate and refused otherwise.
func (c *Case) Close(verdict Verdict, note string, duplicateOf CaseID, by Caller, now time.Time) error {
	if !c.VisibleTo(by) {
		return ErrNotFound
	}
	var r *Refusal
	note = clean(&r, "note", note, maxNote)
	if err := r.Err(); err != nil {
		return err
	}
	before := *c
	c.Verdict, c.VerdictNote, c.DuplicateOf = verdict, note, duplicateOf
	if err := c.move(Closed, by, now, false); err != nil {
		c.Verdict, c.VerdictNote, c.DuplicateOf = before.Verdict, before.VerdictNote, before.DuplicateOf
		return err
	}
	c.record(EventMoved, by, now, "Verdict: %s%s", verdict.Words(), cited(c.Cited))
	return nil
}

func cited(page string) string {
	if page == "" {
		return ""
	}
	return ", by " + page
}

// Reopen brings a closed case back to triage and forgets its verdict; the
// history keeps it.
func (c *Case) Reopen(by Caller, now time.Time) error {
	if c.State != Closed && c.VisibleTo(by) {
		return Refuse("state", "Only a closed case can be reopened; this one is "+string(c.State)+".")
	}
	return c.Move(Triage, by, now)
}

func mayBeEmbargoed(c *Case) []Fault {
	switch c.Track {
	case PublicFix:
		return []Fault{{"track", c.Name() + " is fixed in public, so there is nothing to embargo. Change its track first, or close it as fixed in public."}}
	case Infrastructure:
		return []Fault{{"track", c.Name() + " concerns infrastructure and has no release. Change its track first, or close it as resolved."}}
	}
	return nil
}

func mayClose(c *Case) []Fault {
	var r *Refusal
	known := false
	for _, v := range Verdicts {
		known = known || v == c.Verdict
	}
	switch {
	case c.Verdict == "":
		return []Fault{{"verdict", "Choose a verdict: it is why the case is closed."}}
	case !known:
		return []Fault{{"verdict", fmt.Sprintf("No verdict is called %q.", string(c.Verdict))}}
	}
	switch {
	case c.Verdict == Duplicate && c.DuplicateOf == "":
		r = r.Add("duplicate", "Name the case this one is a duplicate of.")
	case c.Verdict == Duplicate && c.DuplicateOf == c.ID:
		r = r.Add("duplicate", "A case is no duplicate of itself.")
	case c.Verdict != Duplicate && c.DuplicateOf != "":
		r = r.Add("duplicate", "Only a duplicate names another case.")
	}
	if c.Verdict == Resolved && c.Track != Infrastructure {
		r = r.Add("verdict", "Only a case about infrastructure is closed as resolved. Change its track, or choose another verdict.")
	}
	if c.Verdict == FixedInPublic {
		for _, name := range c.releasedSeries() {
			r = r.Add("affected", fmt.Sprintf("Fixed in public is for the development branch alone, but %s is marked affected or unknown.", name))
		}
	}
	if r == nil {
		return nil
	}
	return r.Faults
}

func mayCloseAccepted(c *Case) []Fault {
	faults := mayClose(c)
	if c.Release != nil {
		faults = append(faults, Fault{"release", "Take " + c.Name() + " out of its release before closing it."})
	}
	return faults
}

func mayReopen(c *Case) []Fault {
	if c.Merged != "" {
		return []Fault{{"state", "This case was merged into another one. Split it off there, then it is open again."}}
	}
	return nil
}

// releasedSeries lists the supported series with releases that are affected,
// or may be.
func (c *Case) releasedSeries() []string {
	p := c.Policy.orEmpty()
	var names []string
	for _, a := range c.Affected {
		s, known := p.series(a.Series)
		if a.Effect != Unaffected && (!known || s.Supported && !s.Branch) {
			names = append(names, a.Series)
		}
	}
	return names
}

func noCaseWay(from, to CaseState) string {
	switch {
	case from == to:
		return fmt.Sprintf("The case is %s already.", from)
	case from == Disclosed:
		return "The case is disclosed, which cannot be undone. Errata and withdrawal are versions of its advisory."
	case from == Embargoed && to == Closed:
		return "The case is under embargo. Take it out of its release first."
	case to == Disclosed:
		return "A case is disclosed by publishing its release. Put it into one first."
	case to == Embargoed && from != Closed:
		return "Only an accepted case can be embargoed. Decide on it first."
	case from == Closed:
		return "The case is closed. Reopen it first."
	case from == Received:
		return "The case has not been acknowledged. Do that first."
	}
	return fmt.Sprintf("A case does not go from %s to %s.", from, to)
}

func throughRelease(from, to CaseState) string {
	switch {
	case to == Embargoed:
		return "A case is embargoed by its release: put it into one and set the release's date."
	case to == Disclosed:
		return "A case is disclosed by publishing its release."
	}
	return "A case leaves its embargo with its release: take it out there, or call the release off."
}

// Steps lists the arrows the caller's roles allow from here, the usual one
// first, so that a page can show only steps that exist. What a guard still
// objects to is named with each.
func (c *Case) Steps(by Caller) []CaseStep {
	if !c.VisibleTo(by) {
		return nil
	}
	var steps []CaseStep
	for _, to := range CaseStates {
		arrow, ok := caseArrows[caseWay{c.State, to}]
		if !ok || arrow.release || c.mayTake(arrow, c.State, by) != nil {
			continue
		}
		step := CaseStep{To: to, Label: arrow.label, Recommended: arrow.usual, Verdict: to == Closed}
		switch {
		case to == Closed && c.State == Accepted && (c.Track == PublicFix || c.Track == Infrastructure):
			step.Recommended = true
		case arrow.guard != nil && to != Closed:
			step.Faults = arrow.guard(c)
		}
		if to == Closed && c.Release != nil {
			step.Faults = append(step.Faults, Fault{"release", "Take " + c.Name() + " out of its release before closing it."})
		}
		if step.Recommended {
			steps = append([]CaseStep{step}, steps...)
		} else {
			steps = append(steps, step)
		}
	}
	return steps
}

// Verdicts lists those the case could be closed with as it stands; the usual
// one of its track comes first.
func (c *Case) Verdicts() []Verdict {
	var list []Verdict
	for _, v := range Verdicts {
		switch {
		case v == Resolved && c.Track != Infrastructure:
		case v == FixedInPublic && len(c.releasedSeries()) > 0:
		case v == Resolved, v == FixedInPublic && c.Track == PublicFix:
			list = append([]Verdict{v}, list...)
		default:
			list = append(list, v)
		}
	}
	return list
}

// nameLetters has no vowels, so that no word comes out, and nothing that is
// read as something else.
const nameLetters = "23456789bcdfghjkmnpqrstvwxyz"

// newPublicName is PREFIX-YEAR-xxxx. The four random signs tell nobody how
// many there are; the database refuses to publish one that exists already.
func newPublicName(prefix string, now time.Time) string {
	if prefix == "" {
		prefix = "ADVISORY"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s-%d-", prefix, now.UTC().Year())
	for range 4 {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(nameLetters))))
		if err != nil { // crypto/rand aborts the program before it fails
			continue
		}
		b.WriteByte(nameLetters[n.Int64()])
	}
	return b.String()
}

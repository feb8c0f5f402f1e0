package disclosure

import (
	"fmt"
	"time"
)

// releaseArrow is one way a release can go.
type releaseArrow struct {
	role  Roles
	label string
	by    string // the method that takes it; empty: Move itself
	usual bool
}

type releaseWay struct{ from, to ReleaseState }

// releaseArrows is the whole life of a release. docs/lifecycle.md is made from it.
var releaseArrows = map[releaseWay]releaseArrow{
	{Draft, Scheduled}:     {role: Releaser, label: "Set the date", by: "plan", usual: true},
	{Scheduled, Notified}:  {role: system, label: "The first advance notice has left", usual: true},
	{Scheduled, Releasing}: {role: Releaser, label: "Begin the day"},
	{Notified, Releasing}:  {role: Releaser, label: "Begin the day", usual: true},
	{Releasing, Scheduled}: {role: Releaser, label: "Postpone, nobody was told", by: "plan"},
	{Releasing, Notified}:  {role: Releaser, label: "Postpone", by: "plan"},
	{Scheduled, Published}: {role: Releaser, label: "Publish", by: "publish"},
	{Notified, Published}:  {role: Releaser, label: "Publish", by: "publish"},
	{Releasing, Published}: {role: Releaser, label: "Publish", by: "publish", usual: true},
	{Draft, CalledOff}:     {role: Releaser, label: "Call off", by: "call-off"},
	{Scheduled, CalledOff}: {role: Releaser, label: "Call off", by: "call-off"},
	{Notified, CalledOff}:  {role: Releaser, label: "Call off", by: "call-off"},
	{Releasing, CalledOff}: {role: Releaser, label: "Call off", by: "call-off"},
}

// Move takes the arrow from the release's state to another, along with its
// cases, and records it. Arrows that need a date, a reason or a second factor
// are refused with the step to use instead: Plan, CallOff, Publish.
func (r *Release) Move(to ReleaseState, by Caller, now time.Time) error {
	return r.move(to, by, now, "")
}

func (r *Release) move(to ReleaseState, by Caller, now time.Time, method string) error {
	if !r.VisibleTo(by) {
		return ErrNotFound
	}
	arrow, ok := releaseArrows[releaseWay{r.State, to}]
	if !ok {
		return Refuse("state", noReleaseWay(r.State, to))
	}
	if !mayTakeRelease(arrow, by) {
		return ErrForbidden
	}
	if arrow.by != method {
		return Refuse("state", map[string]string{
			"plan":     "This happens by setting the release's date.",
			"call-off": "This happens by calling the release off, with a reason.",
			"publish":  "This happens on the page for publishing, with a fresh second factor.",
		}[arrow.by])
	}
	if to == Notified && method == "" && !r.left() {
		return Refuse("state", "No advance notice has left yet.")
	}
	if err := r.takeCases(to, by, now); err != nil {
		return err
	}
	from := r.State
	r.State = to
	switch to {
	case Notified:
		if r.NotifiedAt.IsZero() {
			r.NotifiedAt = now
		}
		r.ReleasingAt = time.Time{}
	case Scheduled:
		r.ReleasingAt = time.Time{}
	case Releasing:
		r.ReleasingAt = now
		if len(r.Steps) == 0 {
			for _, name := range r.Policy.orEmpty().Publish.Steps {
				r.Steps = append(r.Steps, Step{Name: name})
			}
		}
	case Published:
		r.DisclosedAt = now
	case CalledOff:
		r.CalledOffAt = now
		if r.At.IsZero() {
			r.At = now
		}
	}
	r.stampCases()
	if from != to {
		r.record(EventMoved, by, now, "%s → %s", from, to)
	}
	return nil
}

// mayTakeRelease: work notes that a notice has left, and decides nothing.
func mayTakeRelease(arrow releaseArrow, by Caller) bool {
	if arrow.role == system {
		return by.IsSystem()
	}
	return !by.IsSystem() && by.Can(arrow.role)
}

// left reports whether somebody may know of the release by one of its notices.
func (r *Release) left() bool {
	for _, n := range r.Notices {
		if n.Audience.Ahead() && n.Left() {
			return true
		}
	}
	return false
}

// Left reports whether somebody may have the notice already.
func (n *Notice) Left() bool {
	return n.State == NoticeSent || n.Tally[Delivered] > 0 || n.Tally[Uncertain] > 0 || n.Tally[Sending] > 0
}

// takeCases moves every case or none.
func (r *Release) takeCases(to ReleaseState, by Caller, now time.Time) error {
	target := map[ReleaseState]CaseState{Scheduled: Embargoed, Published: Disclosed, CalledOff: Accepted}[to]
	if target == "" {
		return nil
	}
	var refusal *Refusal
	for _, c := range r.Cases {
		if c.State == target {
			continue
		}
		arrow, ok := caseArrows[caseWay{c.State, target}]
		switch {
		case !ok:
			refusal = refusal.Add(caseField(c, "state"), fmt.Sprintf("%s is %s: %s", c.Name(), c.State, noCaseWay(c.State, target)))
		case arrow.guard != nil:
			for _, f := range arrow.guard(c) {
				refusal = refusal.Add(caseField(c, f.Field), f.Text)
			}
		}
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	for _, c := range r.Cases {
		if c.State == target {
			continue
		}
		if err := c.move(target, by, now, true); err != nil {
			return fmt.Errorf("move %s: %w", c.Name(), err)
		}
	}
	return nil
}

// stampCases tells the cases what they must know of their release. A called
// off release lets go of them: it keeps its list, they forget it.
func (r *Release) stampCases() {
	for _, c := range r.Cases {
		if r.State == CalledOff {
			c.Release = nil
			c.forgetDate()
			continue
		}
		c.Release = &CaseRelease{ID: r.ID, State: r.State, Generation: r.Generation, At: r.At}
	}
}

// caseField names where a case is mended: "cases/42/public.title".
func caseField(c *Case, part string) string { return fmt.Sprintf("cases/%d/%s", c.Number, part) }

func (r *Release) ref() string { return "/releases/" + string(r.ID) }

// VisibleTo reports whether the release exists for the caller: only when each
// of its cases does, since nearly everything about it tells of them.
func (r *Release) VisibleTo(by Caller) bool {
	if !by.IsSystem() && by.Roles&(Triager|Releaser|Admin) == 0 {
		return false
	}
	for _, c := range r.Cases {
		if !c.VisibleTo(by) {
			return false
		}
	}
	return true
}

func noReleaseWay(from, to ReleaseState) string {
	switch {
	case from == to:
		return fmt.Sprintf("The release is %s already.", from)
	case from == Published:
		return "The release is disclosed, which cannot be undone."
	case from == CalledOff:
		return "The release was called off. Gather its cases in a new one."
	case from == Draft:
		return "The release has no date. Set one first."
	case to == Draft:
		return "A release keeps a date once it has one. Set another, or call it off."
	}
	return fmt.Sprintf("A release does not go from %s to %s.", from, to)
}

// Next lists the steps the caller's roles allow from here, the usual one
// first. What preflight still objects to publishing is named with it; the
// second factor is not asked here.
func (r *Release) Next(by Caller, now time.Time) []ReleaseStep {
	if !r.VisibleTo(by) {
		return nil
	}
	var steps []ReleaseStep
	for _, to := range ReleaseStates {
		arrow, ok := releaseArrows[releaseWay{r.State, to}]
		if !ok || arrow.role == system || !mayTakeRelease(arrow, by) {
			continue
		}
		if r.State == Releasing && arrow.by == "plan" && (to == Notified) != !r.NotifiedAt.IsZero() {
			continue // postponing leads to one of two states, by who was told
		}
		step := ReleaseStep{To: to, Name: arrow.by, Label: arrow.label, Recommended: arrow.usual}
		switch arrow.by {
		case "":
			step.Name = "begin"
		case "publish":
			step.Faults = r.Missing(ToPublish, "", Facts{}, now)
		}
		if r.State == Scheduled && to == Releasing && !r.TellsPrivately() {
			step.Recommended = true
		}
		if step.Recommended {
			steps = append([]ReleaseStep{step}, steps...)
		} else {
			steps = append(steps, step)
		}
	}
	return steps
}

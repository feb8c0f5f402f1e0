package disclosure

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	maxCases     = 50
	maxPatches   = 500
	maxVersions  = 100
	maxArtefacts = 50
	// maxAhead keeps a slip of the year from becoming a plan.
	maxAhead = 2 * 365 * 24 * time.Hour
)

// NewRelease begins one: a draft without cases or date, in the policy's zone.
func NewRelease(id ReleaseID, title string, policy *Policy, by Caller, now time.Time) (*Release, error) {
	if by.IsSystem() || !by.Can(Releaser) {
		return nil, ErrForbidden
	}
	p := policy.orEmpty()
	r := &Release{ID: id, State: Draft, Generation: 1, Zone: p.Publish.Zone, Policy: policy, PolicyVersion: p.Version, Alerted: map[string]Stage{}}
	if r.Zone == "" {
		r.Zone = "UTC"
	}
	if err := r.SetTitle(title, by, now); err != nil {
		return nil, err
	}
	return r, nil
}

// may checks what every step of a release asks first.
func (r *Release) may(by Caller) error {
	if !r.VisibleTo(by) {
		return ErrNotFound
	}
	if by.IsSystem() || !by.Can(Releaser) {
		return ErrForbidden
	}
	return nil
}

// mayPrepare is may, while the release can still change.
func (r *Release) mayPrepare(by Caller) error {
	if err := r.may(by); err != nil {
		return err
	}
	switch r.State {
	case Published:
		return Refuse("state", "The release is disclosed; it cannot change any more.")
	case CalledOff:
		return Refuse("state", "The release was called off. Gather its cases in a new one.")
	}
	return nil
}

// mayChange is mayPrepare for what a notice tells: not while one is on its
// way, since half of the readers would be told something else.
func (r *Release) mayChange(by Caller) error {
	if err := r.mayPrepare(by); err != nil {
		return err
	}
	for _, n := range r.Notices {
		if n.State == NoticeSending {
			return Refuse("notices/"+string(n.Audience), "The notice to "+n.Audience.Words()+" is being sent. Stop it first, or wait until it is sent.")
		}
	}
	return nil
}

// SetTitle names the release inside; publishing asks to type it.
func (r *Release) SetTitle(title string, by Caller, now time.Time) error {
	if err := r.mayPrepare(by); err != nil {
		return err
	}
	var refusal *Refusal
	title = cleanLine(&refusal, "title", title)
	if title == "" {
		refusal = refusal.Add("title", "Name the release; publishing will ask to type the name.")
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	r.Title = title
	r.record(EventEdited, by, now, "Name: %s", title)
	return nil
}

// writtenOut is how pages show a character that nobody can see or type.
var writtenOut = regexp.MustCompile(`⟨U\+[0-9A-F]{4,6}⟩`)

// Named reports whether the release's name was typed. What cannot be seen of
// it need not be, nor what a page wrote for it.
func (r *Release) Named(typed string) bool {
	seen := func(s string) string {
		s = strings.Map(func(c rune) rune {
			if unicode.In(c, unicode.Cf, unicode.Cc) {
				return -1
			}
			return c
		}, writtenOut.ReplaceAllString(s, ""))
		return strings.TrimSpace(s)
	}
	return seen(r.Title) != "" && seen(typed) == seen(r.Title)
}

// SetUrgent lets the lead shrink down to nothing, with a reason.
func (r *Release) SetUrgent(urgent bool, reason string, by Caller, now time.Time) error {
	if err := r.mayPrepare(by); err != nil {
		return err
	}
	var refusal *Refusal
	reason = clean(&refusal, "reason", reason, maxNote)
	if urgent && reason == "" {
		refusal = refusal.Add("reason", "Say why it is urgent.")
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	r.Urgent = urgent
	if urgent {
		r.Reason = reason
		r.record(EventEdited, by, now, "Urgent: %s", reason)
	} else {
		r.record(EventEdited, by, now, "Not urgent any more")
	}
	return nil
}

// Gather puts an accepted case into the release. Once the release has a date
// the case is embargoed at once, and what was frozen is a draft again. After
// the first advance notice has left nothing is added: it would tell of less
// than is coming.
func (r *Release) Gather(c *Case, by Caller, now time.Time) error {
	if err := r.mayChange(by); err != nil {
		return err
	}
	if !c.VisibleTo(by) {
		return ErrNotFound
	}
	var refusal *Refusal
	switch {
	case r.State != Draft && r.State != Scheduled || r.left():
		refusal = refusal.Add("cases", "A notice of this release has left already. Put the case into another release, or call this one off.")
	case c.Release != nil && c.Release.ID != r.ID:
		refusal = refusal.Add("cases", c.Name()+" is in another release. Take it out there first.")
	case c.Release != nil:
		refusal = refusal.Add("cases", c.Name()+" is in this release already.")
	case c.State != Accepted:
		refusal = refusal.Add("cases", fmt.Sprintf("%s is %s; only an accepted case goes into a release.", c.Name(), c.State))
	case len(r.Cases) >= maxCases:
		refusal = refusal.Add("cases", fmt.Sprintf("A release has at most %d cases.", maxCases))
	}
	for _, f := range mayBeEmbargoed(c) {
		refusal = refusal.Add("cases", f.Text)
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	if r.State == Scheduled {
		if err := c.move(Embargoed, by, now, true); err != nil {
			return err
		}
	}
	r.Cases = append(r.Cases, c)
	slices.SortFunc(r.Cases, func(a, b *Case) int { return cmp.Compare(a.Number, b.Number) })
	r.void(by, now)
	r.stampCases()
	r.record(EventEdited, by, now, "%s gathered", c.Name())
	c.record(EventEdited, by, now, "Put into a release")
	return nil
}

// Drop takes a case out of the release, back to accepted. Dropped
// holds it, so that it is saved although the release no longer does.
func (r *Release) Drop(id CaseID, by Caller, now time.Time) error {
	if err := r.mayChange(by); err != nil {
		return err
	}
	i := slices.IndexFunc(r.Cases, func(c *Case) bool { return c.ID == id })
	if i < 0 {
		return ErrNotFound
	}
	if len(r.Cases) == 1 && r.State != Draft {
		return Refuse("cases", "This is the release's last case. Call the release off instead.")
	}
	c := r.Cases[i]
	if c.State == Embargoed {
		if err := c.move(Accepted, by, now, true); err != nil {
			return err
		}
	}
	c.Release = nil
	c.forgetDate()
	r.Cases = slices.Delete(slices.Clone(r.Cases), i, i+1)
	for i := range r.Patches {
		if r.Patches[i].Case == id {
			r.Patches[i].Case = "" // bytes stay until a releaser drops them
		}
	}
	r.void(by, now)
	r.stampCases()
	r.record(EventEdited, by, now, "%s taken out", c.Name())
	c.record(EventEdited, by, now, "Taken out of its release")
	r.dropped = append(r.dropped, c)
	return nil
}

// Dropped returns and forgets the cases taken out since loading; whoever saves
// the release saves them too.
func (r *Release) Dropped() []*Case { d := r.dropped; r.dropped = nil; return d }

// Plan sets date, hour and zone, and plans the notices again: those frozen or
// approved are drafts again, those being sent are canceled, and who was told
// another hour is told anew. A lead shorter than the policy's needs a reason;
// at is an instant, and zone says whose dates the lead's days are.
func (r *Release) Plan(at time.Time, zone, reason string, by Caller, now time.Time) error {
	if err := r.mayPrepare(by); err != nil {
		return err
	}
	p := r.Policy.orEmpty()
	var refusal *Refusal
	reason = clean(&refusal, "reason", reason, maxNote)
	if zone == "" {
		zone = r.Zone
	}
	if _, err := LoadZone(zone); err != nil {
		refusal = refusal.Add("zone", fmt.Sprintf("No time zone is called %q. Write it as in Europe/Berlin or UTC.", zone))
	}
	at = at.UTC().Truncate(time.Minute)
	switch {
	case len(r.Cases) == 0:
		refusal = refusal.Add("cases", "Gather at least one accepted case first.")
	case !at.After(now):
		refusal = refusal.Add("at", "This hour has passed. Choose one to come.")
	case at.Sub(now) > maxAhead:
		refusal = refusal.Add("at", "This is more than two years away. Look at the year again.")
	case r.short(at, zone, now) && reason == "" && !(r.urgent() && r.Reason != ""):
		refusal = refusal.Add("reason", fmt.Sprintf("The policy promises a lead of at least %s; this hour is nearer. Say why, or choose a later one.", p.Lead.Min.Words()))
	case r.NotifiedAt.IsZero():
	case reason == "":
		refusal = refusal.Add("reason", "Somebody was told another hour already. Say why it moves.")
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	to := r.State
	switch {
	case r.State == Draft, r.State == Releasing && r.NotifiedAt.IsZero():
		to = Scheduled
	case r.State == Releasing:
		to = Notified
	}
	if to != r.State {
		if err := r.move(to, by, now, "plan"); err != nil {
			return err
		}
	}
	was := r.At
	r.At, r.Zone, r.PlannedAt = at, zone, now
	if !was.Equal(at) {
		for _, c := range r.Cases {
			c.forgetDate()
		}
	}
	if reason != "" {
		r.Reason = reason
	}
	r.Alerted = map[string]Stage{}
	r.replan(was, ChangeMoved, by, now)
	r.stampCases()
	r.record(EventPlanned, by, now, "%s (%s)%s", at.Format("2006-01-02 15:04 UTC"), zone, because(reason))
	return nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// short reports whether a hour leaves less than the policy's least lead to
// somebody who is to be told ahead.
func (r *Release) short(at time.Time, zone string, now time.Time) bool {
	p := r.Policy.orEmpty()
	if p.Lead.Min.IsZero() || !r.TellsPrivately() && !p.Announce.Ahead || r.allTold() {
		return false
	}
	return now.After(p.Lead.Min.Before(at, p.Calendar.in(zone)))
}

// allTold: a postponement after everybody was told takes no lead again.
func (r *Release) allTold() bool { return !r.NotifiedAt.IsZero() }

// urgent: the release was called so, or one of its cases is.
func (r *Release) urgent() bool {
	return r.Urgent || slices.ContainsFunc(r.Cases, func(c *Case) bool { return c.Track == Urgent })
}

// quiet reports whether every case is on a track without private notices.
func (r *Release) quiet() bool {
	return len(r.Cases) > 0 && !slices.ContainsFunc(r.Cases, func(c *Case) bool { return c.Track != Upstream && c.Track != NoFix })
}

// TellsPrivately reports whether distributors are told before the day.
func (r *Release) TellsPrivately() bool { return r.Policy.orEmpty().Distributors.Tell && !r.quiet() }

// sendAt is when an audience is to be told: the lead before the hour, counted
// in dates of the release's zone, but not before the plan was made.
func (r *Release) sendAt(a Audience, now time.Time) time.Time {
	if !a.Ahead() {
		return r.At
	}
	p := r.Policy.orEmpty()
	if p.Lead.Target.IsZero() {
		return now
	}
	at := p.Lead.Target.Before(r.At, p.Calendar.in(r.Zone))
	if at.Before(now) {
		return now
	}
	return at
}

// deadline is when a notice is void: one ahead of the day at its hour.
func (r *Release) deadline(a Audience) time.Time {
	if a.Ahead() {
		return r.At
	}
	return time.Time{}
}

// replan moves what was not sent, and drafts what tells of a change to those
// who know something else.
func (r *Release) replan(was time.Time, change Change, by Caller, now time.Time) {
	r.void(by, now)
	for _, n := range slices.Clone(r.Notices) {
		if n.State == NoticeSending {
			n.State = NoticeCanceled
			r.record(EventDelivery, by, now, "Notice to %s stopped", n.Audience.Words())
		}
		switch {
		case n.State == NoticeDraft && change == ChangeCalledOff:
			n.State = NoticeCanceled
		case n.State == NoticeDraft:
			n.SendAt, n.Deadline = r.sendAt(n.Audience, now), r.deadline(n.Audience)
			if n.Change != FirstNotice {
				n.SendAt = now
			}
		case n.State == NoticeSent || n.State == NoticeCanceled:
			r.tellAnew(n, was, change, now)
		}
	}
	r.sortNotices()
}

// tellAnew drafts a notice of the change for whom an earlier one reached, and
// a first one again for whom it was stopped before anybody got it.
func (r *Release) tellAnew(told *Notice, was time.Time, change Change, now time.Time) {
	if !told.Audience.Ahead() || r.hasPending(told.Audience) {
		return
	}
	n := r.draft(told.Audience, now)
	if r.reached(told.Audience) {
		n.Change, n.Was, n.SendAt = change, was, now
		if change == ChangeCalledOff {
			n.Deadline = time.Time{}
		}
	} else if change == ChangeCalledOff {
		return
	}
	r.Notices = append(r.Notices, n)
}

func (r *Release) hasPending(a Audience) bool {
	return slices.ContainsFunc(r.Notices, func(n *Notice) bool {
		return n.Audience == a && n.State != NoticeSent && n.State != NoticeCanceled
	})
}

// reached reports whether somebody of the audience may have been told.
func (r *Release) reached(a Audience) bool {
	return slices.ContainsFunc(r.Notices, func(n *Notice) bool { return n.Audience == a && n.Left() })
}

// void raises the generation, which takes back every approval, confirmation
// and permission to send, and makes drafts of what was frozen. Before
// anything was frozen or confirmed there is nothing to take back.
func (r *Release) void(by Caller, now time.Time) {
	stale := len(r.Confirms) > 0
	for _, n := range r.Notices {
		switch n.State {
		case NoticeFrozen, NoticeApproved:
			n.thaw()
			stale = true
		case NoticeSending, NoticeSent:
			stale = true
		}
	}
	if stale {
		r.Generation++
		r.Confirms = nil
		r.stampCases()
		r.record(EventEdited, by, now, "Approvals taken back; what was frozen is a draft again")
	}
}

// CallOff ends the release. Its cases return to accepted, what is being sent
// stops, and who was told is to be told: a draft for each such audience.
func (r *Release) CallOff(reason string, by Caller, now time.Time) error {
	if err := r.may(by); err != nil {
		return err
	}
	var refusal *Refusal
	reason = clean(&refusal, "reason", reason, maxNote)
	if reason == "" {
		refusal = refusal.Add("reason", "Say why it is called off.")
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	was := r.At
	if err := r.move(CalledOff, by, now, "call-off"); err != nil {
		return err
	}
	r.Reason = reason
	r.replan(was, ChangeCalledOff, by, now)
	r.record(EventPlanned, by, now, "Called off: %s", reason)
	return nil
}

// Begin starts the day's runbook.
func (r *Release) Begin(by Caller, now time.Time) error { return r.Move(Releasing, by, now) }

// StepDone ticks a line of the runbook, counted from 0; a line only after
// those above it. The link says where it can be seen, and may be empty.
func (r *Release) StepDone(index int, link string, by Caller, now time.Time) error {
	if err := r.may(by); err != nil {
		return err
	}
	link = strings.TrimSpace(link)
	switch {
	case r.State != Releasing:
		return Refuse("steps", "The day has not begun.")
	case index < 0 || index >= len(r.Steps):
		return ErrNotFound
	case !r.Steps[index].Done.IsZero():
		return Refuse("steps", fmt.Sprintf("%q is done already.", r.Steps[index].Name))
	case index > 0 && r.Steps[index-1].Done.IsZero():
		return Refuse("steps", fmt.Sprintf("%q comes first.", r.Steps[index-1].Name))
	case link != "" && !isWebAddress(link):
		return Refuse("link", "This is no web address.")
	}
	s := &r.Steps[index]
	s.Done, s.By, s.Link = now, by.Name, link
	r.record(EventEdited, by, now, "Done: %s", s.Name)
	return nil
}

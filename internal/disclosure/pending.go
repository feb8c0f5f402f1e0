package disclosure

import "time"

// CaseStep is an arrow a caller could take now.
type CaseStep struct {
	To          CaseState
	Label       string  // of the button
	Recommended bool    // the usual next one; at most one is
	Verdict     bool    // takes a verdict: use Close
	Faults      []Fault // what still keeps it from being taken; empty: it can be
}

// ReleaseStep is a step a caller could take now.
type ReleaseStep struct {
	To          ReleaseState
	Name        string // "plan", "begin", "publish", "call-off"
	Label       string
	Recommended bool
	Faults      []Fault
}

// Preflight says what is about to be done.
type Preflight string

const (
	ToFreeze  Preflight = "freeze"
	ToSend    Preflight = "send"
	ToPublish Preflight = "publish"
)

// Facts are what a preflight must be told, since a release does not hold it.
type Facts struct {
	Recipients []Recipient // of the audience about to be told, as they stand now
	Unusable   []Fault     // each unusable key; Field "distributors/<id>"
}

// NewCase; Number, Policy and Reporters[0] are filled by the caller.
func NewCase(id CaseID, number int, channel Channel, protection Protection, received time.Time, policy *Policy) *Case {
	panic("being written")
}

func (c *Case) Move(to CaseState, by Caller, now time.Time) error { panic("being written") }
func (c *Case) Acknowledge(by Caller, now time.Time) error        { panic("being written") }
func (c *Case) Accept(by Caller, now time.Time) error             { panic("being written") }
func (c *Case) Close(verdict Verdict, note string, duplicateOf CaseID, by Caller, now time.Time) error {
	panic("being written")
}
func (c *Case) Reopen(by Caller, now time.Time) error { panic("being written") }
func (c *Case) Steps(by Caller) []CaseStep            { panic("being written") }
func (c *Case) Assign(member MemberID, name string, by Caller, now time.Time) error {
	panic("being written")
}
func (c *Case) SetTitle(title string, by Caller, now time.Time) error    { panic("being written") }
func (c *Case) SetSeverity(s Severity, by Caller, now time.Time) error   { panic("being written") }
func (c *Case) SetClass(class string, by Caller, now time.Time) error    { panic("being written") }
func (c *Case) SetAffected(a []Affected, by Caller, now time.Time) error { panic("being written") }
func (c *Case) SetCVE(id string, by Caller, now time.Time) error         { panic("being written") }
func (c *Case) SetPublic(t Text, by Caller, now time.Time) error         { panic("being written") }
func (c *Case) SetCredit(id ReporterID, wish CreditWish, text string, by Caller, now time.Time) error {
	panic("being written")
}
func (c *Case) SetTrack(t Track, by Caller, now time.Time) error            { panic("being written") }
func (c *Case) Restrict(allowed []MemberID, by Caller, now time.Time) error { panic("being written") }
func (c *Case) Unrestrict(by Caller, now time.Time) error                   { panic("being written") }
func (c *Case) AddReporter(r Reporter, by Caller, now time.Time) error      { panic("being written") }
func (c *Case) AddFile(f File, by Caller, now time.Time) error              { panic("being written") }
func (c *Case) NoteArrival(from string, channel Channel, by Caller, now time.Time) error {
	panic("being written")
}
func (c *Case) SetAttention(why string, by Caller, now time.Time) error { panic("being written") }
func (c *Case) Merge(other *Case, by Caller, now time.Time) error       { panic("being written") }
func (c *Case) Split(other *Case, by Caller, now time.Time) error       { panic("being written") }
func (c *Case) Clocks() []Clock                                         { panic("being written") }
func (c *Case) Tick(now time.Time)                                      { panic("being written") }
func (c *Case) Wake() time.Time                                         { panic("being written") }
func (c *Case) Due() time.Time                                          { panic("being written") }

func NewRelease(id ReleaseID, title string, policy *Policy, by Caller, now time.Time) (*Release, error) {
	panic("being written")
}

func (r *Release) Move(to ReleaseState, by Caller, now time.Time) error  { panic("being written") }
func (r *Release) Gather(c *Case, by Caller, now time.Time) error        { panic("being written") }
func (r *Release) Drop(id CaseID, by Caller, now time.Time) error        { panic("being written") }
func (r *Release) SetTitle(title string, by Caller, now time.Time) error { panic("being written") }
func (r *Release) SetUrgent(urgent bool, reason string, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) Plan(at time.Time, zone, reason string, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) SetVersion(series, number string, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) SetNoPatch(series, reason string, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) AddArtefact(series string, a Artefact, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) AddPatch(p Patch, by Caller, now time.Time) error      { panic("being written") }
func (r *Release) DropPatch(id FileID, by Caller, now time.Time) error   { panic("being written") }
func (r *Release) CallOff(reason string, by Caller, now time.Time) error { panic("being written") }
func (r *Release) Begin(by Caller, now time.Time) error                  { panic("being written") }
func (r *Release) StepDone(index int, link string, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) Notice(id NoticeID) *Notice                  { panic("being written") }
func (r *Release) DraftNotices(by Caller, now time.Time) error { panic("being written") }
func (r *Release) EditNotice(id NoticeID, subject, text string, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) Freeze(id NoticeID, frozen []byte, facts Facts, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) SignNotice(id NoticeID, signature []byte, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) Thaw(id NoticeID, by Caller, now time.Time) error { panic("being written") }
func (r *Release) Approve(id NoticeID, list string, tag []byte, by Caller, now time.Time) error {
	panic("being written")
}
func (r *Release) StartSending(id NoticeID, facts Facts, by Caller, now, wall time.Time) error {
	panic("being written")
}
func (r *Release) NoticeSent(id NoticeID, by Caller, now time.Time) error   { panic("being written") }
func (r *Release) CancelNotice(id NoticeID, by Caller, now time.Time) error { panic("being written") }
func (r *Release) Missing(what Preflight, audience Audience, facts Facts, now time.Time) []Fault {
	panic("being written")
}
func (r *Release) ConfirmPublishing(by Caller, now, wall time.Time) error     { panic("being written") }
func (r *Release) Publishable(by Caller, now, wall time.Time) error           { panic("being written") }
func (r *Release) Publish(typed string, by Caller, now, wall time.Time) error { panic("being written") }
func (r *Release) Advisories(now time.Time) []Advisory                        { panic("being written") }
func (r *Release) Brief(a Audience) Brief                                     { panic("being written") }
func (r *Release) BriefFor(c CaseID, a Audience) Brief                        { panic("being written") }
func (r *Release) Next(by Caller, now time.Time) []ReleaseStep               { panic("being written") }
func (r *Release) Clocks() []Clock                                            { panic("being written") }
func (r *Release) Tick(now time.Time)                                         { panic("being written") }
func (r *Release) Wake() time.Time                                            { panic("being written") }
func (r *Release) Due() time.Time                                             { panic("being written") }

func (s Span) After(t time.Time, cal Calendar) time.Time  { panic("being written") }
func (s Span) Before(t time.Time, cal Calendar) time.Time { panic("being written") }
func (s Span) IsZero() bool                               { panic("being written") }
func (s Span) String() string                             { panic("being written") }
func (s Span) Words() string                              { panic("being written") }

func (p *Policy) Supported(at time.Time) []Series { panic("being written") }
func Lifecycle() string                           { panic("being written") }

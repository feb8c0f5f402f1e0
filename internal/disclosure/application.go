package disclosure

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ApplicationID names an application. When it turns out to be a report, its
// case has the same id.
type ApplicationID string

// ApplicationState is where an application stands; each constant says what is
// still to do.
type ApplicationState string

const (
	ApplicationReceived ApplicationState = "received" // an admin has to decide and answer
	ApplicationAnswered ApplicationState = "answered" // nothing; the reason says how it was decided
	ApplicationReport   ApplicationState = "report"   // nothing here: it was a report after all, and goes on as a case
)

// ApplicationStates in the order of an application's life.
var ApplicationStates = []ApplicationState{ApplicationReceived, ApplicationAnswered, ApplicationReport}

// Application is somebody's wish to be told in advance. It is no case: it has
// no part in the promise of a first answer and is not counted among reports.
// Who may enroll distributors sees it; for everybody else it does not exist.
type Application struct {
	ID            ApplicationID
	Number        int // of applications, apart from cases
	State         ApplicationState
	Channel       Channel
	Protection    Protection // of the first message
	Received      time.Time
	PolicyVersion int
	Version       int     // raised by every save; for ErrStale
	Policy        *Policy // the version it runs under; set by the loader, never saved

	// sealed
	Title     string
	Applicant Reporter // who asks, and how to reach them: the case's reporter, should it become one
	Files     []File   // never saved with it; they have a table of their own
	Attention string   // why a person has to look; empty: nothing
	Unread    bool     // something came since a member last did something
	Reason    string   // why it was set aside
	Decided   time.Time
	DecidedBy string
	Case      int              // number of the case it became; 0: none
	Alerted   map[string]Stage // clock name → last stage members were told of

	changes
}

// NewApplication begins one under the policy it came under.
func NewApplication(id ApplicationID, number int, channel Channel, p Protection, received time.Time, policy *Policy) *Application {
	a := &Application{ID: id, Number: number, State: ApplicationReceived, Channel: channel, Protection: p, Received: received,
		Policy: policy, Unread: true, Alerted: map[string]Stage{}}
	if policy != nil {
		a.PolicyVersion = policy.Version
	}
	a.record(EventArrived, System("intake"), received, "Came %s", channel.Word())
	a.alert(AlertApplication, a.ref())
	return a
}

// ref is the application's path at the desk, made of the number alone.
func (a *Application) ref() string { return fmt.Sprintf("/applications/%d", a.Number) }

// Lane is the one conversation with the applicant.
func (a *Application) Lane() Lane { return Lane{Kind: LaneApplicant, ID: string(a.Applicant.ID)} }

// SeesApplications reports whether applications exist for the caller: for who
// may enroll distributors.
func SeesApplications(by Caller) bool { return by.Can(Admin) }

func (a *Application) may(by Caller) error {
	if !SeesApplications(by) {
		return ErrNotFound
	}
	return nil
}

// Over reports whether nothing is to be done about it any more.
func (a *Application) Over() bool { return a.State != ApplicationReceived }

// SetApplicant says who asks. A name or address that cannot be used as one is
// refused, and nothing is changed.
func (a *Application) SetApplicant(r Reporter) error {
	var refusal *Refusal
	r.Name = cleanLine(&refusal, "name", r.Name)
	r.Address = cleanLine(&refusal, "address", r.Address)
	if r.Address != "" && !isAddress(r.Address) {
		refusal = refusal.Add("address", "This is no mail address.")
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	a.Applicant = r
	return nil
}

// NoteArrival records that the applicant wrote again, and tells who decides.
func (a *Application) NoteArrival(channel Channel, by Caller, now time.Time) error {
	if err := a.may(by); err != nil {
		return err
	}
	a.Unread = true
	a.record(EventArrived, by, now, "%s added something (%s)", a.Applicant.Label(), channel.Word())
	a.alert(AlertMessage, a.ref())
	return nil
}

// SetAttention says why a person has to look; empty: somebody has.
func (a *Application) SetAttention(why string, by Caller, now time.Time) error {
	if err := a.may(by); err != nil {
		return err
	}
	var r *Refusal
	why = clean(&r, "attention", why, maxNote)
	if err := r.Err(); err != nil {
		return err
	}
	if a.Attention != why && why != "" {
		a.record(EventNote, by, now, "Needs attention: %s", why)
		a.alert(AlertAttention, a.ref())
	}
	a.Attention = why
	return nil
}

// SetAside says how it was decided. That keeps the promise of a decision;
// telling the applicant is an answer of its own.
func (a *Application) SetAside(reason string, by Caller, now time.Time) error {
	if err := a.may(by); err != nil {
		return err
	}
	var r *Refusal
	reason = clean(&r, "reason", reason, maxNote)
	if strings.TrimSpace(reason) == "" {
		r = r.Add("reason", "Say how it was decided, in a sentence. Only those who decide read it.")
	}
	if a.State != ApplicationReceived {
		r = r.Add("", "It was set aside already. Take it up again first.")
	}
	if err := r.Err(); err != nil {
		return err
	}
	a.State, a.Reason, a.Decided, a.DecidedBy, a.Attention = ApplicationAnswered, reason, now, by.Name, ""
	a.record(EventMoved, by, now, "Set aside as answered: %s", reason)
	return nil
}

// TakeUp undoes SetAside: it has to be decided anew, by the old date.
func (a *Application) TakeUp(by Caller, now time.Time) error {
	if err := a.may(by); err != nil {
		return err
	}
	if a.State != ApplicationAnswered {
		return Refuse("", "Only what was set aside can be taken up again.")
	}
	a.State, a.Reason, a.Decided, a.DecidedBy = ApplicationReceived, "", time.Time{}, ""
	a.record(EventMoved, by, now, "Taken up again")
	return nil
}

// BecomeReport notes that it was a report after all, and makes the case it
// goes on as: with its own time of arrival, so that the promises to reporters
// count from there. The caller stores both.
func (a *Application) BecomeReport(number int, policy *Policy, by Caller, now time.Time) (*Case, error) {
	if err := a.may(by); err != nil {
		return nil, err
	}
	if a.State == ApplicationReport {
		return nil, Refuse("", fmt.Sprintf("It is a case already: #%d.", a.Case))
	}
	c := NewCase(CaseID(a.ID), number, a.Channel, a.Protection, a.Received, policy)
	work := System("intake")
	if err := c.SetTitle(a.Title, work, now); err != nil {
		c.Title = "Report by " + a.Channel.Word()
	}
	r := a.Applicant
	r.Case = c.ID
	if err := c.AddReporter(r, work, now); err != nil {
		return nil, err
	}
	if a.Attention != "" {
		if err := c.SetAttention(a.Attention, work, now); err != nil {
			return nil, err
		}
	}
	c.record(EventArrived, by, now, "Came as application %d, and is a report: made a case by %s", a.Number, by.Name)
	a.State, a.Case, a.Decided, a.DecidedBy, a.Attention = ApplicationReport, number, now, by.Name, ""
	a.record(EventMoved, by, now, "A report: goes on as case #%d", number)
	return c, nil
}

// SetKey accepts a key of the applicant's.
func (a *Application) SetKey(certificate []byte, fingerprint string, by Caller, now time.Time) error {
	if err := a.may(by); err != nil {
		return err
	}
	if len(certificate) == 0 {
		return Refuse("key", "Give the applicant's armored public key.")
	}
	a.Applicant.Key, a.Applicant.KeyPrint = slices.Clone(certificate), fingerprint
	a.record(EventEdited, by, now, "Key of %s: %s", a.Applicant.Label(), fingerprint)
	return nil
}

// MailboxStatus is what an applicant reads of it in a mailbox: nothing of who
// is on the list, nor why.
func (a *Application) MailboxStatus(now time.Time) MailboxItem {
	text := "We have your application. The team decides, and answers here."
	if a.State == ApplicationAnswered {
		text = "The team has decided about your application."
	}
	return MailboxItem{Kind: ItemStatus, At: now, Text: text}
}

// Note records a line of history that no rule makes.
func (a *Application) Note(kind EventKind, by Caller, now time.Time, text string) {
	a.record(kind, by, now, "%s", text)
}

// Clocks are the promises running, or once kept: that of a decision, where the
// policy makes it. One that became a case keeps none here.
func (a *Application) Clocks() []Clock {
	p := a.Policy.orEmpty()
	if p.Membership.Decide.IsZero() || a.State == ApplicationReport {
		return nil
	}
	return []Clock{{Name: "decision", Words: "our decision", Started: a.Received,
		Due: p.Membership.Decide.After(a.Received, p.Calendar), Kept: a.Decided}}
}

// Tick tells who decides of what came due; each stage once.
func (a *Application) Tick(now time.Time) {
	if a.Over() {
		return
	}
	if a.Alerted == nil {
		a.Alerted = map[string]Stage{}
	}
	a.tick(a.Clocks(), a.Alerted, a.ref(), now)
}

// Wake is when work must look at it again; zero: never.
func (a *Application) Wake() time.Time {
	if a.Over() {
		return time.Time{}
	}
	return wake(a.Clocks(), a.Alerted)
}

// Due is the deadline of the decision while it is open; it stays when it is
// breached.
func (a *Application) Due() time.Time {
	if a.Over() {
		return time.Time{}
	}
	return due(a.Clocks())
}

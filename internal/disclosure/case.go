package disclosure

import (
	"fmt"
	"strings"
	"time"
)

// CaseState is where a case stands; each constant says what is still to do.
type CaseState string

const (
	Received  CaseState = "received"  // a member has to acknowledge it
	Triage    CaseState = "triage"    // the team has to decide whether it is a vulnerability
	Accepted  CaseState = "accepted"  // it has to be fixed and put into a release
	Embargoed CaseState = "embargoed" // it waits for the hour of its release
	Disclosed CaseState = "disclosed" // nothing; the advisory is public
	Closed    CaseState = "closed"    // nothing; the verdict says why
)

// CaseStates in the order of a case's life.
var CaseStates = []CaseState{Received, Triage, Accepted, Embargoed, Disclosed, Closed}

// Track changes arrows and steps.
type Track string

const (
	Standard       Track = "standard"
	PublicFix      Track = "public-fix"     // development branch only: fixed in public
	Infrastructure Track = "infrastructure" // without versions, patches, release
	Urgent         Track = "urgent"         // lead down to zero, with a reason
	Upstream       Track = "upstream"       // a release because of an upstream's
	NoFix          Track = "no-fix"         // an advisory without a patch
)

var Tracks = []Track{Standard, PublicFix, Infrastructure, Urgent, Upstream, NoFix}

// Verdict is why a case is closed.
type Verdict string

const (
	NotVulnerability Verdict = "not-a-vulnerability"
	Duplicate        Verdict = "duplicate"
	FilePublicly     Verdict = "file-publicly"   // does not count as rejected
	FixedInPublic    Verdict = "fixed-in-public" // development branch only
	OutOfScope       Verdict = "out-of-scope"
	ThirdParty       Verdict = "third-party"
	Unsupported      Verdict = "unsupported"
	Resolved         Verdict = "resolved" // infrastructure
	Withdrawn        Verdict = "withdrawn"
	Spam             Verdict = "spam"
)

var Verdicts = []Verdict{NotVulnerability, Duplicate, FilePublicly, FixedInPublic, OutOfScope, ThirdParty, Unsupported, Resolved, Withdrawn, Spam}

// Words is the verdict as pages and letters print it.
func (v Verdict) Words() string {
	switch v {
	case NotVulnerability:
		return "not a vulnerability"
	case Duplicate:
		return "duplicate of another report"
	case FilePublicly:
		return "please file publicly"
	case FixedInPublic:
		return "fixed in public"
	case OutOfScope:
		return "out of scope"
	case ThirdParty:
		return "in third-party software"
	case Unsupported:
		return "only unsupported versions are affected"
	}
	return string(v)
}

// Rejects reports whether the verdict tells the reporter no. To be asked to
// file publicly is none, nor is what was fixed, known or taken back.
func (v Verdict) Rejects() bool {
	switch v {
	case NotVulnerability, OutOfScope, ThirdParty, Unsupported, Spam:
		return true
	}
	return false
}

// Effect is what a case means for one series.
type Effect string

const (
	EffectUnknown Effect = "unknown" // not investigated; never printed as safe
	Affects       Effect = "affected"
	Unaffected    Effect = "unaffected"
)

// Affected says what a case means for one series.
type Affected struct {
	Series   string
	Effect   Effect
	Versions string // free text, "before 4.2.10"; may be empty
}

// Severity as the policy's scheme has it; every field may be empty.
type Severity struct {
	Level  string // one of the policy's levels
	Vector string // CVSS vector
	Reason string
}

// CreditWish is a reporter's answer; unset is no.
type CreditWish string

const (
	CreditUnset CreditWish = ""
	CreditYes   CreditWish = "yes"
	CreditNo    CreditWish = "no"
)

// Credit is a wish with the exact text to print; the history is in the events.
type Credit struct {
	Wish CreditWish
	Text string // printed as it stands when Wish is yes
	By   string // who recorded it
	At   time.Time
}

// Reporter is one person who told us of a case.
type Reporter struct {
	ID        ReporterID
	Case      CaseID
	Origins   []CaseID  // cases it was merged from, the last one last; Split takes it back there
	Arrival   ArrivalID // the first one
	Received  time.Time
	Channel   Channel
	Name      string // as given; may be empty
	Address   string // mail address; empty when reached by mailbox alone
	Mailbox   MailboxID
	Credit    Credit
	Key       []byte // own OpenPGP certificate, binary; may be nil
	KeyPrint  string // its fingerprint, as shown; may be empty
	Protected Protection
	Language  string // BCP 47, of letters to this reporter; empty: the project's
	Withdrawn time.Time
	ToldDate  time.Time // the planned date this reporter was last told; zero: none
}

// Reachable reports whether an answer has a way to go.
func (r Reporter) Reachable() bool { return r.Mailbox != "" || r.Address != "" }

// Label names the reporter on buttons and lanes: a name, else an address,
// else "the reporter".
func (r Reporter) Label() string {
	switch {
	case r.Name != "":
		return r.Name
	case r.Address != "":
		return r.Address
	}
	return "the reporter"
}

// File is what is known of an attachment without opening it.
type File struct {
	ID     FileID
	Label  string // cleaned file name, for show only
	Type   string // as claimed; never used to serve it
	Size   int64
	SHA256 string // hex
	Added  time.Time
	By     string
}

// Text is what the public will read about a case, in Markdown where long.
type Text struct {
	Title       string // one line, public; the case's own Title stays inside
	Summary     string
	Description string
	Impact      string
	Remedy      string
	Workaround  string
	References  []string // URLs, one a line on the form
}

// CaseRelease is what a case must know of the release it is in.
type CaseRelease struct {
	ID         ReleaseID
	State      ReleaseState
	Generation int
	At         time.Time
}

// Case is the team's record of one suspected vulnerability. It holds what a
// rule may ask and is bounded; threads, bytes and history have queries of
// their own. Change it only through its methods inside UpdateCase.
type Case struct {
	ID            CaseID
	Number        int // #42, inside only
	State         CaseState
	Track         Track
	Restricted    bool
	Allowed       []MemberID // who may see a restricted case
	Owner         MemberID
	OwnerName     string
	Channel       Channel
	Protection    Protection // of the first message
	Received      time.Time
	PolicyVersion int
	Release       *CaseRelease // nil: in none
	Version       int          // raised by every save; for ErrStale
	Policy        *Policy      // the version it runs under; set by the loader, never saved

	// sealed
	Title          string
	Acknowledged   time.Time
	AcknowledgedBy string
	Decided        time.Time // first time the team said what it is; stays when reopened
	Attention      string    // why it needs attention (an arrival that could not be read); empty: nothing
	Severity       Severity
	Class          string // CWE id or the policy's class
	Affected       []Affected
	CVE            string
	PublicName     string // LANTERN-2026-k7qd; reserved when accepted, public only with the advisory
	Public         Text
	Reporters      []Reporter
	Files          []File
	Verdict        Verdict
	VerdictNote    string
	Cited          string // the page of the documentation that the verdict rests on; may be empty
	DuplicateOf    CaseID
	ClosedAt       time.Time
	DisclosedAt    time.Time
	Alerted        map[string]Stage // clock name → last stage members were told of
	Merged         CaseID           // into which case this one was merged

	changes
}

// changes is what an aggregate gathers to be saved with it.
type changes struct {
	events []Event
	alerts []Alert
}

// Events returns and forgets what was recorded since loading.
func (c *changes) Events() []Event { e := c.events; c.events = nil; return e }

// Alerts returns and forgets what members are to be told.
func (c *changes) Alerts() []Alert { a := c.alerts; c.alerts = nil; return a }

func (c *changes) record(kind EventKind, by Caller, now time.Time, text string, args ...any) {
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	c.events = append(c.events, Event{Kind: kind, By: by.Name, Member: by.Member, At: now, Text: text})
}

func (c *changes) alert(kind AlertKind, ref string) {
	c.alerts = append(c.alerts, Alert{Kind: kind, Ref: ref})
}

// Name is what the inside calls a case when no title may be said.
func (c *Case) Name() string { return fmt.Sprintf("#%d", c.Number) }

// VisibleTo reports whether the case exists for the caller: a restricted one
// does so only for those named, its owner, and work. An auditor who is nothing
// else reads the log, not the cases.
func (c *Case) VisibleTo(by Caller) bool {
	if by.IsSystem() {
		return true
	}
	if by.Roles&(Triager|Releaser|Admin) == 0 {
		return false
	}
	if !c.Restricted || c.Owner == by.Member {
		return true
	}
	for _, m := range c.Allowed {
		if m == by.Member {
			return true
		}
	}
	return false
}

// Reporter finds one of the case's reporters; nil when there is none such.
func (c *Case) Reporter(id ReporterID) *Reporter {
	for i := range c.Reporters {
		if c.Reporters[i].ID == id {
			return &c.Reporters[i]
		}
	}
	return nil
}

// Credits lists the texts of those who want to be named, in order of arrival.
func (c *Case) Credits() []string {
	var texts []string
	for _, r := range c.Reporters {
		if r.Credit.Wish == CreditYes && strings.TrimSpace(r.Credit.Text) != "" {
			texts = append(texts, strings.TrimSpace(r.Credit.Text))
		}
	}
	return texts
}

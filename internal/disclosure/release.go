package disclosure

import (
	"time"
)

// ReleaseState is where a release stands; each constant says what is still to do.
type ReleaseState string

const (
	Draft     ReleaseState = "draft"      // a date has to be set
	Scheduled ReleaseState = "scheduled"  // notices have to be frozen, approved and sent
	Notified  ReleaseState = "notified"   // the hour has to come; distributors know
	Releasing ReleaseState = "releasing"  // the day's runbook is under way
	Published ReleaseState = "disclosed"  // nothing; the documents are public
	CalledOff ReleaseState = "called off" // nothing; its cases went back to accepted
)

var ReleaseStates = []ReleaseState{Draft, Scheduled, Notified, Releasing, Published, CalledOff}

// Version is what a release brings for one series.
type Version struct {
	Series    string
	Number    string // "4.2.10"; empty while not known
	NoPatch   string // why this series gets no patch, said explicitly; empty: one is expected
	Artefacts []Artefact
}

// Artefact is one thing the public can fetch, and where.
type Artefact struct {
	Kind   string // "pypi", "website", "git-tag", …
	URL    string
	SHA256 string
}

// Patch is one uploaded file, byte for byte, for one series.
type Patch struct {
	File   File
	Series string
	Name   string // [A-Za-z0-9][A-Za-z0-9._-]*, as attached
	Case   CaseID // empty: for all of the release

	// Replace says that the releaser was asked: one of the same name for the
	// same series goes. It is said when adding, and not kept.
	Replace bool `json:"-"`
}

// Step is one line of the day's runbook, in order.
type Step struct {
	Name string
	Done time.Time
	By   string
	Link string
}

// Release is a coordinated security release: its cases, one hour, a runbook.
// Change it only through its methods inside UpdateRelease.
type Release struct {
	ID            ReleaseID
	State         ReleaseState
	At            time.Time // the planned hour, UTC; zero exactly in draft (called off from draft: when that was)
	PlannedAt     time.Time // when the hour was last set; zero in draft
	Zone          string    // IANA name; lead days are counted in it
	Generation    int       // raised by every change that voids approvals and sends
	PolicyVersion int
	Version       int
	DisclosedAt   time.Time
	CalledOffAt   time.Time
	ReleasingAt   time.Time
	NotifiedAt    time.Time

	// sealed
	Title    string // inside only
	Reason   string // why the lead is outside the policy, or why it moved
	Urgent   bool
	Cases    []*Case // ordered by number; loaded and locked with the release
	Versions []Version
	Patches  []Patch
	Notices  []*Notice // ordered by SendAt, then audience
	Steps    []Step
	Alerted  map[string]Stage
	Confirms []Confirm // who agreed to publishing, beside the one who does it

	Policy  *Policy // the version it runs under; set by the loader
	Alone   bool    // nobody but the caller could agree to publishing; set by the loader
	dropped []*Case
	changes
}

// Confirm is a member's agreement to publishing, where the policy asks for two.
type Confirm struct {
	Member     MemberID
	Name       string
	At         time.Time
	Generation int
	Shown      string // [Release.Shown] of what was agreed to
}

// Audience is who is told.
type Audience string

const (
	ToAnnounceAhead Audience = "pre-announcement" // the public list: date and severities only
	ToDistributors  Audience = "distributors"     // everything, signed and encrypted
	ToReporters     Audience = "reporters"        // the date
	ToAnnounce      Audience = "announcement"     // the public list, on the day
	ToOSS           Audience = "oss-security"     // on the day, full text
)

// Private reports whether the audience is told before the day what the public is not.
func (a Audience) Private() bool { return a == ToDistributors || a == ToReporters }

// Ahead reports whether the audience is told before the documents are public.
func (a Audience) Ahead() bool {
	return a == ToAnnounceAhead || a == ToDistributors || a == ToReporters
}

// NoticeState is where a notice stands; each constant says what is still to do.
type NoticeState string

const (
	NoticeDraft    NoticeState = "draft"    // the text has to be frozen
	NoticeFrozen   NoticeState = "frozen"   // a releaser has to approve bytes and list
	NoticeApproved NoticeState = "approved" // it has to be sent
	NoticeSending  NoticeState = "sending"  // deliveries are being worked off
	NoticeSent     NoticeState = "sent"     // nothing; every delivery has an outcome
	NoticeCanceled NoticeState = "canceled" // nothing
)

var NoticeStates = []NoticeState{NoticeDraft, NoticeFrozen, NoticeApproved, NoticeSending, NoticeSent, NoticeCanceled}

// Signer says whose signature a notice carries.
type Signer string

const (
	SignedByTeam     Signer = "team"     // the vault's signing subkey
	SignedByReleaser Signer = "releaser" // a person's registered key
	SignedByNobody   Signer = "nobody"
)

// Change says what became different for an audience that was told before.
type Change string

const (
	FirstNotice     Change = ""
	ChangeMoved     Change = "moved"      // there is another date
	ChangeCalledOff Change = "called off" // there is none
)

// Notice is one text for one audience of one release.
type Notice struct {
	ID         NoticeID
	Release    ReleaseID
	Audience   Audience
	State      NoticeState
	Generation int       // of the release when it was frozen
	SendAt     time.Time // planned; zero: when a releaser sends it
	Deadline   time.Time // void after it
	Signer     Signer
	SentAt     time.Time

	// sealed
	Subject   string
	Text      string
	Frozen    []byte // the signed bytes, once frozen
	Signature []byte // a releaser's packet; nil when the team signs
	FrozenAt  time.Time
	Digest    string // SHA-256 of Frozen, hex
	Approvals []Approval
	Change    Change    // of the plan, when this audience was told before
	Was       time.Time // the hour it was told then; zero for a first notice
	Basis     []Fact    // what the text was made from; empty: not known
	Edited    bool      // by a member, since it was drafted: it follows the release no more

	unwritten string // why Follow could not write the text; never stored

	Tally map[DeliveryState]int // how its deliveries stand
}

// Approval binds a member's yes to the bytes and to the list.
type Approval struct {
	Member     MemberID
	Name       string
	At         time.Time
	Generation int
	Digest     string // of the frozen bytes
	List       string // digest of recipients with addresses and key fingerprints
	Tag        []byte // under the desk key; made and checked by package postgres
}

// Recipient is one reader of a notice, as it stands now.
type Recipient struct {
	Distributor DistributorID // empty for a public list and for reporters
	Reporter    ReporterID    // of a reporter alone
	Name        string
	Address     string
	Keys        [][]byte // certificates, binary; each gets a key packet
	Prints      []string // their fingerprints, sorted
	ClearText   bool     // enrolled without a key and accepted by name
}

// DeliveryState is where one notice to one recipient stands.
type DeliveryState string

const (
	Queued    DeliveryState = "queued"    // work has to send it
	Sending   DeliveryState = "sending"   // a worker has committed an attempt
	Delivered DeliveryState = "sent"      // nothing; the server took it
	Deferred  DeliveryState = "deferred"  // work tries again; known unsent
	Rejected  DeliveryState = "rejected"  // a person has to look: the server refused it
	Uncertain DeliveryState = "uncertain" // a person has to decide: the server may have it
	Canceled  DeliveryState = "canceled"  // nothing
	Expired   DeliveryState = "expired"   // nothing; its deadline passed
)

var DeliveryStates = []DeliveryState{Queued, Sending, Delivered, Deferred, Rejected, Uncertain, Canceled, Expired}

// Over reports whether no worker will touch it again by itself.
func (s DeliveryState) Over() bool { return s != Queued && s != Sending && s != Deferred }

// Words explains the state to somebody reading the ledger.
func (s DeliveryState) Words() string {
	switch s {
	case Queued:
		return "waiting to be sent"
	case Sending:
		return "being sent"
	case Delivered:
		return "sent"
	case Deferred:
		return "not sent yet: the server asked to try again"
	case Rejected:
		return "refused by the server"
	case Uncertain:
		return "uncertain: the server may have it; ask, or send again"
	case Canceled:
		return "canceled before it was sent"
	case Expired:
		return "not sent: its deadline passed"
	}
	return string(s)
}

// Delivery is one notice to one recipient, with its journal.
type Delivery struct {
	ID        DeliveryID
	Notice    NoticeID
	Release   ReleaseID
	State     DeliveryState
	Attempt   int
	NextAt    time.Time
	Updated   time.Time
	Recipient Recipient // keys left out in lists
	MessageID string    // fixed before the first attempt; without angle brackets
	Token     string    // of its return path and Reply-To; in Outgoing alone
	Digest    string    // SHA-256 of what was handed to the server, once sent
	Reply     string    // the server's last words
	Answered  time.Time // a reply acknowledged it
}

// Outcome is what a sender found.
type Outcome struct {
	State  DeliveryState // Delivered, Deferred, Rejected, Uncertain, Canceled
	Text   string        // the server's words or our reason
	Digest string        // SHA-256 of the bytes handed over
}

// Distributor is on the private list, by an enrollment.
type Distributor struct {
	ID       DistributorID
	Name     string
	Address  string // the one address notices go to
	Group    string
	Keys     []RecipientKey
	ClearOK  string // who accepted by name that this one is written to in clear; empty: never
	Note     string // for deciders only
	Enrolled time.Time
	Revoked  time.Time // zero: on the list
	Version  int
}

// RecipientKey is one registered key of a distributor.
type RecipientKey struct {
	Fingerprint string
	Certificate []byte // binary
	Added       time.Time
	AddedBy     string
	Problem     string // why it cannot be used now; empty: it can; computed by the loader's caller
}

// Outgoing is what a delivery's sender is given, inside the transaction that
// holds the go-ahead.
type Outgoing struct {
	Delivery  Delivery
	Notice    *Notice
	Recipient Recipient // as it stands now, checked against the approval
	From      string
	InReplyTo string // Message-ID of the release's first mail to this recipient; empty: this is the first
	Deadline  time.Time
	// Confirm asks once more, before the final dot; an error cancels.
	Confirm func() error
}

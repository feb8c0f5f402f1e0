// Package desk has the pages of the team's door. A page is a function of its
// view; views are filled by pure functions of the desk from what the database
// and the rules said. Nothing here decides anything.
package desk

import (
	"time"

	"postern/internal/disclosure"
	"postern/web/ui"
)

// SignInView is GET and POST /sign-in: name, password and code together.
type SignInView struct {
	ui.Desk
	Name     string // as typed
	Next     string // path to go on to; hidden field
	DemoCode string // the current TOTP code, marked DEMO; empty outside the demo
}

// InviteView is GET and POST /invite/{token}, and the same after a reset.
type InviteView struct {
	ui.Desk
	Action   string // where the form goes: the path with its token
	Name     string // of who is invited
	Roles    disclosure.Roles
	Secret   string // TOTP secret, base32
	OTPAuth  string // otpauth:// URL of it
	Gone     bool   // used, expired or never there: nothing but a sentence
	DemoCode string
}

// UnlockView is GET and POST /unlock. It shows no data at all.
type UnlockView struct {
	ui.Desk
	Since time.Time // zero: not said
}

// StepUpView is GET and POST /step-up.
type StepUpView struct {
	ui.Desk
	Purpose  string // what it is for, "to send the notice"; empty: not said
	Next     string
	DemoCode string
	Then     string      // where a form that waits goes on to; empty: none does
	Kept     []KeptField // that form
}

// KeptField is one field of a form that waits for a second factor.
type KeptField struct{ Name, Value string }

// InboxView is the list of cases by the nearest promise.
type InboxView struct {
	ui.Desk
	Tabs    []ui.Tab
	Rows    []CaseRow
	Filters InboxFilters
	Owners  []ui.Option // members, for the filter
	Levels  []string    // the policy's; empty: no filter by severity
	Pager   ui.Pager
	// Refresh is the URL of the list's fragment (InboxList); empty: none.
	Refresh string
	GateURL string // for the empty page: where reports come in
}

// InboxFilters is what the URL asks for.
type InboxFilters struct {
	State, Owner, Channel, Level, Query string
}

// Active reports whether anything but the state narrows the list.
func (f InboxFilters) Active() bool {
	return f.Owner != "" || f.Channel != "" || f.Level != "" || f.Query != ""
}

// CaseRow is one line of the inbox.
type CaseRow struct {
	Number     int
	Title      string
	State      disclosure.CaseState
	Verdict    disclosure.Verdict // of a closed one
	Owner      string             // name; empty: nobody
	Channel    disclosure.Channel
	Protection disclosure.Protection
	Received   time.Time
	Clock      *disclosure.Clock // the nearest promise not kept; nil: none
	Level      string
	Unread     bool
	Restricted bool
	Attention  string
}

// Way is how what a member writes will travel.
type Way string

const (
	WayMailbox   Way = "mailbox"   // sealed into the reader's mailbox
	WayEncrypted Way = "encrypted" // mail, encrypted to the reader's key
	WayClear     Way = "clear"     // mail, unencrypted, on record
	WayNone      Way = ""          // nothing can be sent; NoWay says why
)

// LaneView is one lane of a case page.
type LaneView struct {
	Lane   disclosure.Lane
	Reader string // who reads what is sent here: a name, an address, "the reporter"
	Way    Way
	NoWay  string // why nothing can be sent
	Draft  string // what was typed and not taken, or a letter filled in

	Letter      string      // the letter Draft was filled from; empty: typed
	Letters     []ui.Option // letters to begin from
	Unencrypted bool        // mail to this reader would travel in clear
	Safe        bool        // Letter may go in clear, word for word
	Offers      bool        // a key can be asked for, and a mailbox offered
	Messages    []MessageView
	Count       int
}

// MessageView is one entry of a lane.
type MessageView struct {
	disclosure.Message
	Reader       string            // of the lane it is in
	CaseFiles    []disclosure.File // those of Message.Files
	CanOpenWith  bool              // a passphrase would open it, and CanOpenAgain
	CanOpenAgain bool              // it could not be opened, and this member may do something about it
	CanTakeBack  bool              // waiting, and by this member or the owner
	OriginalHref string            // of what came from outside
	Offered      []OfferedKey      // public keys that came with it

	Number     int    // of the case; 0: an application, whose files are only downloaded
	FilesAt    string // of an application: path in front of a file's id
	TakeBackAt string // where the form goes that takes it back
}

// CaseView is the page of one case.
type CaseView struct {
	ui.Desk
	Case   *disclosure.Case
	Clocks []disclosure.Clock
	Lanes  []LaneView // the team's first
	Once   string     // for FieldOnce
	// Lane is the one shown; the zero Lane shows all, in order of time.
	Lane     disclosure.Lane
	Events   []disclosure.Event // newest first
	Members  []ui.Option        // value: member id
	Steps    []CaseStep         // the arrows from here
	NextStep CaseStep           // what to do next; Do empty: nothing
	Series   []string           // of the policy
	Levels   []string           // empty: severity is not asked
	CVSS     bool               // the policy's scheme is cvss
	CanSee   []string           // names, of a restricted case; else empty: every member
	Waits    time.Time          // time at which the nearest waiting reply leaves; zero: none
	Releases []ui.Option        // drafts and scheduled ones it could be added to; value: release id
	// Refresh is the URL of the conversation's fragment; empty: none.
	Refresh string
	// ReadOnly: this caller may look, but change nothing.
	ReadOnly bool

	Likely     []LikelyCase
	Earlier    []EarlierCase
	MergedInto int         // number; 0: it is not merged
	MergedHere []int       // numbers of cases that are part of this one
	Reasons    []ui.Option // canned reasons of the policy; value: name
}

// LikelyCase is an open case that may be the same.
type LikelyCase struct {
	Number int
	Title  string
	Why    []string // words they have in common
}

// EarlierCase is another case of the same sender, or of the same bytes.
type EarlierCase struct {
	Number   int
	Title    string
	State    disclosure.CaseState
	Verdict  disclosure.Verdict
	Received time.Time
	Same     bool   // the very same bytes came
	Who      string // of this case's reporters, who sent it; empty: the bytes alone are the same
}

// CaseStep is one arrow of the case's life, or another single button.
type CaseStep struct {
	Do     string // CaseAcknowledge, CaseMove, CaseClose, CaseReopen, CaseAssign; or "link"
	To     disclosure.CaseState
	Label  string // the button, a verb
	Href   string // of "link"
	Why    string // why it cannot be taken now; empty: it can
	Hint   string // one sentence beside the button
	Member string // of CaseAssign: the member id to assign
}

// CaseFileView shows a text file, escaped.
type CaseFileView struct {
	ui.Desk
	Number int
	Title  string // of the case
	File   disclosure.File
	Text   string
	TooBig bool // over 256 KiB, or not text: only the download is offered
}

// ReleasesView is the list of releases, the nearest hour first.
type ReleasesView struct {
	ui.Desk
	Rows    []ReleaseRow
	Cases   []ui.Option // accepted cases in no release, for a new draft; value: number
	Form    ReleaseDraftForm
	CanPlan bool // the caller is a releaser
}

// ReleaseDraftForm is what was typed.
type ReleaseDraftForm struct {
	Title string
	Cases []string
}

// ReleaseRow is one line of the list.
type ReleaseRow struct {
	ID      disclosure.ReleaseID
	Title   string
	State   disclosure.ReleaseState
	At      time.Time
	Zone    string
	Cases   int
	Missing int // things that block
}

// ReleaseView is the page of one release.
type ReleaseView struct {
	ui.Desk
	Replace    bool // typed: the patch replaces another
	Release    *disclosure.Release
	Line       []Mark
	Missing    []Missing
	Notices    []NoticeRow
	Clocks     []disclosure.Clock
	Candidates []ui.Option // accepted cases in no release; value: number
	Series     []string    // supported ones of the policy
	Ledger     []LedgerRow // all notices', newest first
	Events     []disclosure.Event
	NextStep   CaseStep // Do "link" or a Release… constant
	CanRelease bool     // the caller is a releaser
	Form       PlanForm
	Refresh    string // of the ledger's fragment; empty: none
}

// PlanForm is what was typed for date, hour, zone and reason.
type PlanForm struct {
	At, Zone, Reason string
	Urgent           bool
	Typed            string
}

// Mark is one point on a release's line of time.
type Mark struct {
	At    time.Time
	Words string
	Href  string
	Done  bool
	Late  bool
	Hour  bool // the hour of the release itself
}

// Missing is one thing a release lacks.
type Missing struct {
	Text   string
	Href   string // where it is mended
	Link   string // the link's words: "Set the version of 4.2"
	Blocks string // what it blocks: "sending", "publishing"; empty: nothing, it is advice
}

// NoticeRow is a notice in a release's list.
type NoticeRow struct {
	ID       disclosure.NoticeID
	Audience disclosure.Audience
	State    disclosure.NoticeState
	SendAt   time.Time
	SentAt   time.Time
	Deadline time.Time
	Tally    map[disclosure.DeliveryState]int
	Missing  bool // the policy wants one, none is drafted yet: a button offers it
}

// LedgerRow is one delivery in words.
type LedgerRow struct {
	ID       disclosure.DeliveryID
	Notice   disclosure.NoticeID
	Audience disclosure.Audience
	Name     string // the recipient's; empty before step-up: "recipient 3"
	Place    int    // from 1, for unnamed ones
	State    disclosure.DeliveryState
	Updated  time.Time
	Answered time.Time
	Reply    string
	Attempt  int
}

// NoticeView is the page of one notice: edit while a draft, then freeze,
// approve, send, and the ledger.
type NoticeView struct {
	ui.Desk
	Release    *disclosure.Release
	Notice     *disclosure.Notice
	Form       NoticeDraftForm
	Problems   []Missing // preflight: unusable keys by name, and what else blocks
	Recipients []RecipientRow
	Count      int                 // of recipients
	List       string              // digest of the recipients; an approval binds to it
	Outdated   []string            // what the text was made from and is another now; empty: nothing
	Untold     []disclosure.Untold // reporters this notice cannot reach
	Listed     bool                // this caller may read the list
	Named      bool                // stepped up: Recipients carry names
	Sign       *SignView           // a person has to sign, or has signed, the frozen bytes
	Needed     int                 // approvals the policy asks for
	Approved   bool                // by this caller, for these bytes and this list
	CanRelease bool
	Ledger     []LedgerRow
	Refresh    string
}

// SignView is how a releaser signs the frozen bytes.
type SignView struct {
	Command string // to paste
	File    string // name of the file that NoticeRaw sends
	Signed  bool
}

// NoticeDraftForm is what was typed.
type NoticeDraftForm struct {
	Subject, Text, SendAt string
}

// RecipientRow is one reader of a notice.
type RecipientRow struct {
	Name    string
	Address string
	Prints  []string
	Clear   bool   // in clear, accepted by name
	Problem string // why it cannot be written to
}

// PreviewView shows a notice byte for byte.
type PreviewView struct {
	ui.Desk
	Release *disclosure.Release
	Notice  *disclosure.Notice
	Bytes   string // the signed bytes: headers and text; long attachments cut with a mark
	Cut     bool
	Digest  string // SHA-256 of the whole
	Size    int64
	Patches []disclosure.PatchBrief
	For     string // of a single copy: the recipient's name; empty: the same for all
}

// SendView is the page of its own from which a notice leaves.
type SendView struct {
	ui.Desk
	Release    *disclosure.Release
	Notice     *disclosure.Notice
	Count      int
	Recipients []RecipientRow // filled after step-up
	Named      bool
	ClearCount int // of them, written to in clear
	Bytes      string
	Cut        bool
	Digest     string
	Size       int64
	Name       string // what has to be typed
	Problems   []Missing
	Typed      string
	StepUp     string // where to step up first; empty: done
	DemoCode   string
}

// PublishView is the page of its own on which a release becomes public.
type PublishView struct {
	ui.Desk
	Release    *disclosure.Release
	Documents  []DocumentRow
	Mails      []MailRow // what is queued by it
	Problems   []Missing
	Digest     string // of what is listed, as disclosure.Release.Shown
	Name       string // what has to be typed
	Typed      string
	StepUp     string
	DemoCode   string
	Second     string // a second member has to confirm: who has, or that nobody has; empty: one is enough
	CanAgree   bool   // this caller may agree, and has not
	CanPublish bool   // the caller is a releaser
	Credits    []string
}

// DocumentRow is one path that becomes public or changes.
type DocumentRow struct {
	Path  string
	What  string
	New   bool
	Page  ui.SafeHTML // what stands on it, as it will be served; empty: not shown
	Title string
}

// MailRow is one mail queued by publishing.
type MailRow struct {
	To      string
	Subject string
	Text    string
}

// PostponeView moves a release's hour.
type PostponeView struct {
	ui.Desk
	Release *disclosure.Release
	Form    PlanForm
	Told    []string // who has been told the old date and will be told the new one
	Queued  int      // deliveries that will be canceled
}

// CallOffView calls a release off.
type CallOffView struct {
	ui.Desk
	Release *disclosure.Release
	Form    PlanForm
	Told    []string
	Queued  int
	Name    string // what has to be typed
}

// DistributorsView is the private list; it is behind a step-up.
type DistributorsView struct {
	ui.Desk
	Rows    []DistributorRow
	Revoked []DistributorRow
	StepUp  string // where to step up first; then Rows are empty and Count says how many
	Count   int
}

// DistributorRow is one of the list.
type DistributorRow struct {
	ID       disclosure.DistributorID
	Name     string
	Address  string
	Group    string
	Keys     int
	Problem  string
	Clear    bool
	Enrolled time.Time
	Revoked  time.Time
}

// DistributorView edits one, or enrolls a new one (ID empty).
type DistributorView struct {
	ui.Desk
	Distributor disclosure.Distributor
	KeyText     string // typed, and not taken
	Groups      []string
	Live        []string // releases in which something was or will be sent to it
	Typed       string
}

// OutboxView lists what was written while there is no relay, and what waits.
type OutboxView struct {
	ui.Desk
	Rows  []MailFile
	Relay string // "" : no relay, mail is kept here; else its host, and only what waits is listed
	Pager ui.Pager
}

// MailFile is one kept mail.
type MailFile struct {
	Name    string // of the file; random
	At      time.Time
	To      string
	Subject string
	Size    int64
}

// MailView shows one kept mail as it stands.
type MailView struct {
	ui.Desk
	Mail MailFile
	Text string // escaped; cut at 256 KiB
	Cut  bool
}

// MembersView lists the members; admins may change them.
type MembersView struct {
	ui.Desk
	Rows     []MemberRow
	CanAdmin bool
	Form     InviteForm
	Link     string // the one-time link just made; shown once
	LinkFor  string
	LinkEnds time.Time

	Recipient *RecipientView // nil: the policy tells everybody who wants to be told
}

// RecipientView is the one person whom new reports go to.
type RecipientView struct {
	Member, Delegate string // ids
	From, Until      string // as typed, in the member's zone
	Members          []ui.Option
	Now              string // who it is now; empty: nobody, so everybody is told
	CanSet           bool
}

// MemberRow is one member.
type MemberRow struct {
	ID       disclosure.MemberID
	Name     string
	Address  string
	Roles    disclosure.Roles
	Disabled bool
	Invited  bool // has not accepted yet
	LastSeen time.Time
	Key      string   // fingerprint for notifications; empty: none
	Signing  []string // fingerprints of the certificates notices are signed with
	You      bool
}

// InviteForm is what was typed.
type InviteForm struct {
	Name, Address string
	Roles         disclosure.Roles
}

// LogView is the log, newest first.
type LogView struct {
	ui.Desk
	Rows    []LogRow
	Actors  []ui.Option
	Kinds   []ui.Option
	Filters LogFilters
	Pager   ui.Pager
	Whole   string // what the last check of the chain said; empty: not said
}

// LogFilters is what the URL asks for.
type LogFilters struct{ Actor, Kind, About string }

// LogRow is one line.
type LogRow struct {
	Number int64
	At     time.Time
	Actor  string
	Kind   string // in words
	About  string // "case #42"
	Href   string
	Text   string
}

// HealthView is what doctor finds.
type HealthView struct {
	ui.Desk
	Findings []Finding
	Checked  time.Time
	Held     *HeldView // not nil while held
}

// Finding is one thing doctor looked at.
type Finding struct {
	Level string // "ok", "warning", "fault"
	What  string
	Why   string
	Mend  string // the command
}

// HeldView says why the instance is held and what letting go would do.
type HeldView struct {
	Since   time.Time
	Reason  string
	Would   []string
	CanLet  bool   // the caller may let go
	Confirm string // what has to be typed
}

// AccountView is the member's own page.
type AccountView struct {
	ui.Desk
	Name     string
	Address  string
	Zone     string
	Zones    []string // IANA names, for the list beside the field
	Key      string   // fingerprint; empty: none
	KeyText  string   // typed, and not taken
	Alerts   []AlertChoice
	Sessions []SessionRow
}

// AlertChoice is one kind of mail a member may want.
type AlertChoice struct {
	Kind   disclosure.AlertKind
	Label  string
	Wanted bool
}

// SessionRow is one signed-in browser.
type SessionRow struct {
	ID      string
	Since   time.Time
	Seen    time.Time
	Agent   string
	Current bool
}

// PolicyView shows the policy and takes a new one.
type PolicyView struct {
	ui.Desk
	Version  int
	Since    time.Time
	By       string
	Text     string // what was typed, else the one in force
	Checked  bool   // it was checked and has no faults; Changes say what applying it does
	Changes  []string
	CanApply bool
	Paused   string // public notice while intake is paused; empty: open
	Presets  []ui.Option
}

// VaultView lists the slots.
type VaultView struct {
	ui.Desk
	Slots       []SlotRow
	Fingerprint string      // of the vault's public half
	Members     []ui.Option // who can hold a slot
	Member      string      // chosen
	Holder      string      // typed
	CanAdmin    bool
	Recovery    string // a recovery phrase just made; shown once
}

// SlotRow is one way to unlock.
type SlotRow struct {
	ID    string
	Kind  string // "passphrase", "recovery phrase", "machine"
	Label string // the holder
	// Member is the id of the member whose it is; empty: nobody's of the team.
	Member     string
	MemberName string
	Made       time.Time
	Last       bool // it is the only one: it cannot be removed
}

// NotFoundView is the one answer to whatever is not there, for this caller.
type NotFoundView struct{ ui.Desk }

// ErrorView is the answer to what went wrong, or is not allowed.
type ErrorView struct {
	ui.Desk
	Status    int // 400, 403, 405, 409, 413, 429, 500, 503
	Text      string
	RequestID string
	Back      string // path to go back to; empty: the inbox
}

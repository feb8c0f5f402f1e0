// Package public has the pages of the gate: the policy as a readable document,
// the report form, the receipt, the mailbox, and what is published. A page is
// a function of its view; views are filled by the gate and by package publish.
package public

import (
	"time"

	"postern/internal/disclosure"
	"postern/web/ui"
)

// Key is the team's public key as pages show it.
type Key struct {
	Fingerprint string // 40 hex digits, any case, with or without spaces
	UserID      string // "Lantern security team <security@lantern.example>"; may be empty
	Expires     time.Time
}

// HomeView is the policy in force, as a document. It is rendered into the set
// of documents, so Now of its page is zero.
type HomeView struct {
	ui.Gate
	Policy       *disclosure.Policy
	Roster       []string // names of the members, where the policy wants them public
	Key          Key
	Applications bool // the policy takes applications to the private list
}

// ReportView is GET and POST /report.
type ReportView struct {
	ui.Gate
	Readers  string          // Contact.Readers of the policy
	Answer   disclosure.Span // Ack.Within
	Next     string          // Intake.Next; empty: a general sentence
	Key      Key
	MaxBytes int64
	Asks     []string // Intake.Asks
	Mails    bool     // that a mailbox has something new may be mailed in clear

	Idempotency string // for FieldKey
	Form        ReportForm
	Faults      []disclosure.Fault
	// Note stands above the form: why nothing was stored, or what is different
	// just now. Empty: nothing.
	Note string
	// NotStored: the database did not answer; the page says so on top, with
	// the text kept and the button again. Files must be chosen again.
	NotStored bool
	// SecretKey: a private key was pasted. The form comes back empty (Form must
	// be the zero value) with a warning.
	SecretKey bool
	// Browser: the OpenPGP library is in this binary (ui.HasVendor()).
	Browser bool
}

// ReportForm is what was typed, for showing it again.
type ReportForm struct {
	Description, Versions, Reproduce, Impact string
	Address, Name, OwnKey                    string
	Asks                                     map[string]string // by ask
}

// ReceiptView answers a stored report. It is shown once.
type ReceiptView struct {
	ui.Gate
	Code       []string // eight words
	At         string   // where the mailbox is, in full; empty: not said
	Received   time.Time
	Digest     string // hex SHA-256
	DigestOf   DigestOf
	Files      []FileDigest
	Protection disclosure.Protection
	InBrowser  bool // it was encrypted by encrypt.js (FieldArmored)
	Readers    string
	Answer     disclosure.Span
	Next       string
}

// DigestOf says what a receipt's digest is a digest of.
type DigestOf string

const (
	DigestOfMessage     DigestOf = "message"     // the armored bytes as sent
	DigestOfDescription DigestOf = "description" // the description as UTF-8 with LF
)

// FileDigest is one file of a typed form.
type FileDigest struct {
	Name   string
	Size   int64
	SHA256 string
}

// MailboxEnterView is GET /mailbox, and the page that comes back when a code
// has a slip. Code is what was typed (never of a link).
type MailboxEnterView struct {
	ui.Gate
	Code   string
	Faults []disclosure.Fault
}

// MailboxView is POST /mailbox. Found false: nothing has been read yet, or no
// such code; adding works all the same.
type MailboxView struct {
	ui.Gate
	Code  string // words with one blank between; goes into hidden fields
	Found bool

	Status    string    // in words, one sentence; empty: none
	Planned   time.Time // of the release; zero: none that may be said
	Items     []MailboxItem
	Credit    disclosure.Credit
	OwnKey    string // fingerprint; empty: none given
	Withdrawn time.Time

	Idempotency string
	Form        MailboxForm
	Faults      []disclosure.Fault
	Added       *MailboxItem // just added: its time, size and digest are said on top
	Done        string       // what else just happened, one sentence; empty: nothing
	NotStored   bool
	MaxBytes    int64
	Key         Key
	Browser     bool
}

// MailboxInviteView is GET /mailbox?invite=…, and what its form leads to.
type MailboxInviteView struct {
	ui.Gate
	Token       string
	Idempotency string
	Code        []string // words; empty: not made yet
	NotStored   bool
}

// MailboxFile is a file of one entry.
type MailboxFile struct {
	Name   string // cleaned
	Size   int64
	Digest string // hex SHA-256; of their own
}

// MailboxItem is one entry of the conversation. Of their own messages only
// time, size and digest are known here.
type MailboxItem struct {
	ID       string
	FileList []MailboxFile
	Receipt  bool // of ours: a text the team's key signed

	Ours      bool // from the team
	At        time.Time
	Text      string // of ours
	Encrypted bool   // Text is an armored message to the owner's key, and so are the files
	Size      int64
	Digest    string // hex SHA-256
	Files     int
	Asked     []string // of the owner's own: what it asked for, a sentence each
}

// MailboxForm is what was typed, for showing it again.
type MailboxForm struct {
	Text, CreditWish, CreditText, OwnKey, Reason string
}

// UpcomingView lists the sent pre-announcements, word for word.
type UpcomingView struct {
	ui.Gate
	Items []disclosure.UpcomingText
}

// AdvisoriesView is the index; newest first.
type AdvisoriesView struct {
	ui.Gate
	Items []disclosure.Advisory
	// Announce is the public list's address; empty: none.
	Announce string
}

// AdvisoryView is one advisory.
type AdvisoryView struct {
	ui.Gate
	Advisory disclosure.Advisory
	Body     AdvisoryBody
	Timeline []TimelineItem // only what is public
}

// AdvisoryBody is the advisory's text, rendered and sanitized by publish; each
// may be empty.
type AdvisoryBody struct {
	Summary, Description, Impact, Remedy, Workaround ui.SafeHTML
}

// TimelineItem is one line of an advisory's history.
type TimelineItem struct {
	At   time.Time
	Text string
}

// PausedView answers /report while intake is paused; Gate.Paused is the notice.
type PausedView struct {
	ui.Gate
	Key Key
}

// NotFoundView is the one answer to whatever is not there.
type NotFoundView struct{ ui.Gate }

// ErrorView is the answer to what went wrong on our side, or is refused.
type ErrorView struct {
	ui.Gate
	Status    int    // 400, 403, 405, 413, 429, 500, 503: chooses title and text
	Text      string // instead of the status's own text; empty: that
	RequestID string
	Retry     time.Duration // of 429 and 503; zero: not said
}

// RequestView is /notifications/request, where the policy takes applications.
type RequestView struct {
	ui.Gate
	Groups      []ui.Option
	Announce    string // for those whom the date is enough
	Answer      disclosure.Span
	Idempotency string
	Note        string // why nothing was stored; empty: nothing went wrong
	Form        RequestForm
	Faults      []disclosure.Fault
}

// RequestedView is the answer to an application that was stored; the code is
// shown once.
type RequestedView struct {
	ui.Gate
	Code     []string
	Received time.Time
	Answer   disclosure.Span
}

// RequestForm is what was typed, for showing it again.
type RequestForm struct {
	Name, Organization, Role, Group, Criterion, Why string
	Address, ListAddress, Reviewers, Automated, Key string
}

// addressHint says what mail comes to an address that is left.
func addressHint(v ReportView) string {
	if v.Mails {
		return v.Words().Report.AddressHint
	}
	return v.Words().Report.AddressSealed
}

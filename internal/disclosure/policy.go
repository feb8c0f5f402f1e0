package disclosure

import (
	"slices"
	"time"
)

// Policy is what the project promises, as data. Package policy parses it from
// TOML and refuses what it does not know; the database keeps every version.
type Policy struct {
	Version   int    // given by the database; 0: not applied
	ID        string // "django-2019"
	Effective string // date, as written

	Project      Project
	Contact      Contact
	Intake       Intake
	Ack          Ack
	Calendar     Calendar
	Series       []Series
	Severity     SeverityScheme
	Lead         Lead
	Announce     AnnouncePolicy
	Distributors DistributorPolicy
	Membership   MembershipPolicy
	Publish      PublishPolicy
	Reporter     ReporterPolicy
	Reasons      []Reason
}

// Project is who the policy belongs to.
type Project struct {
	Name        string
	URL         string
	Prefix      string // of public advisory names: LANTERN
	Description string // one sentence for the policy page
	Language    string // BCP 47; default "en"
}

// Contact is where people reach the team.
type Contact struct {
	Address string   // security@…
	Readers string   // who reads reports, in words: "the five members of the security team"
	Roster  bool     // the names of the team's members are public
	Domains []string // mail domains the listener accepts for; default: Address's
}

// Intake is what may be reported and what the form asks.
type Intake struct {
	Scope      []string // paragraphs: what to report
	OutOfScope []string // paragraphs: what is not a vulnerability
	Asks       []string // extra questions: "threat-model", "ai-use", "exploited", "public", "deadline"
	MaxBytes   int64    // of one report; default 25 MiB
	Paused     string   // public notice while intake is paused; empty: open
	Next       string   // what happens next, in words
	SafeHarbor string
	Recipients string // of new reports: "all" members who want to be told, or one "person"
}

// Reason is a canned reason of a verdict, in the project's own words.
type Reason struct {
	Name    string
	Verdict Verdict
	Text    string // goes into the letter that closes a case
}

// Ack is the promise of a first answer, and of a second with our decision.
type Ack struct {
	Within Span
	By     string // "member": only a triager's acknowledgment stops it; "any": work's does too
	Detail Span   // from receipt to our decision; zero: not promised
}

// Span is a length of time as a policy says it: elapsed hours, dates or
// working days. Exactly one field is set.
type Span struct {
	Hours       int
	Days        int
	WorkingDays int
}

// Calendar says what a working day is.
type Calendar struct {
	Zone     string // IANA; default UTC
	Working  []time.Weekday
	Holidays []string // dates, 2006-01-02
}

// Series is a supported line of versions; "main" is one too.
type Series struct {
	Name      string
	Supported bool
	Until     string // date; empty: no end set
	Branch    bool   // a development branch: has no releases
}

// SeverityScheme says which levels there are; none: severity is neither shown nor required.
type SeverityScheme struct {
	Scheme string // "none", "levels", "cvss"
	Levels []string
}

// Lead is how long before the hour the private notice goes out.
type Lead struct {
	Target, Min, Max Span
}

// AnnouncePolicy is where the public is told.
type AnnouncePolicy struct {
	Address string // public list; mail on the day goes here
	Ahead   bool   // a public pre-announcement with date and severities
	Signer  Signer
	OSS     string // oss-security; empty: not told
}

// DistributorPolicy is how the private list is told.
type DistributorPolicy struct {
	Signer   Signer
	Encrypt  string // "required", "if_key"
	Sharing  string // what recipients may share, in words; printed in the notice
	Tell     bool   // false: the project has no private list
	Reminder Span
}

// MembershipPolicy is how somebody asks to be told in advance.
type MembershipPolicy struct {
	Apply   []string // "mail", "form"; empty: the list takes no applications
	Subject string   // of a mail that is an application and no report
	Decide  Span     // from the application to our answer; zero: not promised
	Groups  []string // whom the list is for; the form asks which one fits
}

// TakesApplications reports whether one may apply this way, "mail" or "form".
func (p *Policy) TakesApplications(way string) bool {
	return p != nil && p.Distributors.Tell && slices.Contains(p.Membership.Apply, way)
}

// PublishPolicy is how the day goes.
type PublishPolicy struct {
	Steps   []string // ordered runbook, before publishing
	Members int      // how many members publishing takes: 1 or 2
	Zone    string   // default zone of hours
	Hour    string   // "15:00"; default hour of releases
}

// ReporterPolicy is what reporters may expect.
type ReporterPolicy struct {
	ToldDate  string   // "with_first_notice", "optional"
	Credit    string   // "ask"
	ClearMail string   // what may be mailed in clear: "never", only what is "safe", or after a member was asked ("ask")
	Safe      []string // names of letters that give nothing away and may go in clear, word for word
}

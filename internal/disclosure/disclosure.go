// Package disclosure is what the program is about: cases, releases, notices,
// distributors, promises, and who may do what. It holds the rules and nothing
// else: no SQL, no HTTP, no OpenPGP, only the standard library. A value is
// loaded by package postgres, changed by a method here, and saved together
// with the events and alerts the method gathered.
package disclosure

import (
	"crypto/rand"
	"encoding/hex"
)

// Identifiers are 128 random bits in hex, made before anything is sealed.
// They mean nothing and cannot be guessed or counted.
type (
	ArrivalID     string
	CaseID        string
	ReporterID    string
	MessageID     string
	FileID        string
	MailboxID     string
	MemberID      string
	ReleaseID     string
	NoticeID      string
	DeliveryID    string
	DistributorID string
	PartnerID     string
)

// NewID returns 128 random bits in hex, for any of the identifier types.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b[:])
}

// Channel is the way an arrival came.
type Channel string

const (
	ByForm    Channel = "form"
	ByAPI     Channel = "api"
	ByMail    Channel = "mail"    // the listener or a pipe
	ByFetch   Channel = "fetch"   // fetched from an IMAP mailbox
	ByMailbox Channel = "mailbox" // added to an existing mailbox
	ByMember  Channel = "member"  // entered at the desk
)

// Word is the channel as pages print it.
func (c Channel) Word() string {
	switch c {
	case ByForm:
		return "web form"
	case ByAPI:
		return "API"
	case ByMail, ByFetch:
		return "mail"
	case ByMailbox:
		return "mailbox"
	case ByMember:
		return "desk"
	}
	return string(c)
}

// Package ui holds what the pages of both doors share: the frames, the small
// pieces (times, errors, fields, protection, code words), and texts.go, which
// has every text of every page in one struct a language.
//
// It promises that a page needs no script to work, that no color speaks alone,
// and that everything shown is escaped: the only way to raw HTML is the type
// SafeHTML, which package publish alone makes.
package ui

import (
	"time"

	"postern/internal/disclosure"
)

// Page is what every page of either door knows. The zero value of each field
// is usable.
type Page struct {
	T       *Texts         // nil: English
	Now     time.Time      // zero: a finished document; no relative times are printed
	Zone    *time.Location // the reader's, beside UTC; nil: left to time.js
	Project disclosure.Project
	Contact string // the team's mail address; for pages that have to say where else to turn
	Demo    bool   // marks the page DEMO
}

// Words is the page's language.
func (p Page) Words() *Texts {
	if p.T == nil {
		return &English
	}
	return p.T
}

// Gate is a page of the public's door. Current is one of the Nav constants.
type Gate struct {
	Page
	Current string
	// Paused is the policy's public notice while intake is paused; empty: open.
	Paused string
}

// What a page's navigation marks as current, at either door.
const (
	NavHome         = "home"
	NavReport       = "report"
	NavMailbox      = "mailbox"
	NavUpcoming     = "upcoming"
	NavAdvisories   = "advisories"
	NavInbox        = "inbox"
	NavReleases     = "releases"
	NavDistributors = "distributors"
	NavApplications = "applications"
	NavOutbox       = "outbox"
	NavHealth       = "health"
	NavMembers      = "members"
	NavLog          = "log"
	NavPolicy       = "policy"
	NavVault        = "vault"
	NavAccount      = "account"
)

// Desk is a page of the team's door.
type Desk struct {
	Page
	Current string
	Member  string // name of who is signed in; empty on sign-in, invite and unlock pages: no bar is shown
	Roles   disclosure.Roles
	Strips  []Strip
	Flash   string // what just happened, one sentence; empty: nothing
	// Faults are listed on top with links; a field shows its own again. Field
	// of a fault is the name of a form field of the page.
	Faults []disclosure.Fault
	// Applications is how many wait for a decision; below 0: the bar has no
	// link to them.
	Applications int
	// MoveTime offers the demo's form POST /demo/time (field "step": 1h, 1d,
	// 7d, or to; the last with "to": a date and time in UTC, 2006-01-02T15:04).
	MoveTime bool
	Here     string // path of the page, which that form comes back to
}

// StripKind says why the strip across the top is there.
type StripKind string

const (
	StripLocked StripKind = "locked"
	StripHeld   StripKind = "held"
	StripPaused StripKind = "paused"
)

// Strip is the line across the top of a desk page while something is wrong.
type Strip struct {
	Kind   StripKind
	Since  time.Time // of Locked; zero: not said
	Count  int       // of Locked: reports that wait; 0: not said
	Reason string    // of Held: "the database was restored"; of Paused: the notice
	Href   string    // where it is mended; empty: nowhere
}

// SafeHTML was sanitized by package publish; it is printed as it stands.
// Headings in it begin at h3.
type SafeHTML string

// Option is one choice of a select or a group of radio buttons.
type Option struct {
	Value string
	Label string
}

// Tab is one of a row of views over the same list. Count below 0 is not shown.
type Tab struct {
	Label   string
	Href    string
	Count   int
	Current bool
}

// Pager leads through a list by keys; an empty link is not shown.
type Pager struct {
	Newer string
	Older string
}

package desk

import (
	"fmt"
	"time"

	"postern/internal/disclosure"
	"postern/web/ui"
)

// PathApplications is GET /applications: who asks to be told in advance.
const PathApplications = "/applications"

// ApplicationPattern is the route of one and, with more behind it, of its parts.
const ApplicationPattern = PathApplications + "/{application}"

// ApplicationPath is GET /applications/{n}; ?letter= fills in an answer.
func ApplicationPath(number int) string { return fmt.Sprintf("%s/%d", PathApplications, number) }

// ApplicationForm is where a form goes: POST /applications/{n}/{do}.
func ApplicationForm(number int, do string) string { return ApplicationPath(number) + "/" + do }

// The forms of an application's page.
const (
	ApplicationAnswer   = "answer"    // text, clear, letter
	ApplicationTakeBack = "take-back" // message
	ApplicationSetAside = "set-aside" // version, reason
	ApplicationTakeUp   = "take-up"   // version
	ApplicationReport   = "report"    // version
	ApplicationKey      = "key"       // version, key (armored)
)

// ApplicationOriginal is GET /applications/{n}/originals/{arrival}.
func ApplicationOriginal(number int, id disclosure.ArrivalID) string {
	return ApplicationPath(number) + "/originals/" + string(id)
}

// EnrollApplicant is the empty form of a distributor with an applicant filled in.
func EnrollApplicant(number int) string {
	return fmt.Sprintf("%s?application=%d", DistributorPath(""), number)
}

// ApplicationRow is one line of the list.
type ApplicationRow struct {
	Number     int
	Who        string
	Address    string
	State      disclosure.ApplicationState
	Channel    disclosure.Channel
	Protection disclosure.Protection
	Received   time.Time
	Clock      *disclosure.Clock // nil: none
	Unread     bool
	Attention  string
	Reason     string // of one that was set aside
	Case       int    // of one that was a report
}

// ApplicationsView is the list, nearest date first.
type ApplicationsView struct {
	ui.Desk
	Open, Over []ApplicationRow
	MailTo     string // "": none come by mail
	Subject    string
	FormURL    string // "": none come by form
}

// ApplicationView is the page of one.
type ApplicationView struct {
	ui.Desk
	Application *disclosure.Application
	Clocks      []disclosure.Clock
	Lane        LaneView           // the one conversation, with how an answer travels
	Events      []disclosure.Event // newest first
	Answered    bool               // an answer was sent, or waits to leave
	Reason      string             // typed, and not taken
	Once        string             // for FieldOnce
}

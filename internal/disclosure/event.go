package disclosure

import "time"

// EventKind names a line of a case's or release's history. The text is sealed;
// the kind is what the log shows.
type EventKind string

const (
	EventMoved        EventKind = "moved"
	EventAcknowledged EventKind = "acknowledged"
	EventAssigned     EventKind = "assigned"
	EventEdited       EventKind = "edited"
	EventCredit       EventKind = "credit"
	EventNote         EventKind = "note"
	EventReply        EventKind = "reply"
	EventTakenBack    EventKind = "taken-back"
	EventArrived      EventKind = "arrived"
	EventMerged       EventKind = "merged"
	EventSplit        EventKind = "split"
	EventRestricted   EventKind = "restricted"
	EventPlanned      EventKind = "planned"
	EventFrozen       EventKind = "frozen"
	EventApproved     EventKind = "approved"
	EventSent         EventKind = "sent"
	EventDelivery     EventKind = "delivery"
	EventPublished    EventKind = "published"
	EventClock        EventKind = "clock"
)

// Event is one line of history.
type Event struct {
	Kind   EventKind
	By     string
	Member MemberID // empty: work
	At     time.Time
	Text   string
}

// AlertKind is why members are mailed. The mail is a fixed text with an id and
// a link; nothing of a case.
type AlertKind string

const (
	AlertReport     AlertKind = "new-report"
	AlertMessage    AlertKind = "new-message"
	AlertHalf       AlertKind = "clock-half"
	AlertFourFifths AlertKind = "clock-four-fifths"
	AlertBreach     AlertKind = "clock-breach"
	AlertHeld       AlertKind = "held"
	AlertLocked     AlertKind = "locked"
	AlertDelivery   AlertKind = "delivery" // one needs a person
	AlertHour       AlertKind = "hour"     // the hour of a release has come
	AlertAttention  AlertKind = "attention"

	AlertApplication AlertKind = "new-application" // somebody asks to be told in advance
)

// Alert is one thing to tell members. Ref is the path at the desk, made of ids
// alone ("/cases/42").
type Alert struct {
	Kind   AlertKind
	Ref    string
	To     MemberID // empty: every member who wants this kind and may see Ref
	Number int      // of reports waiting, for AlertLocked
}

// LaneKind is who hears a message.
type LaneKind string

const (
	LaneTeam        LaneKind = "team"
	LaneReporter    LaneKind = "reporter"
	LanePartner     LaneKind = "partner"
	LaneDistributor LaneKind = "distributor"
	LaneApplicant   LaneKind = "applicant" // who asks to be told in advance
)

// Lane is one conversation; lanes are never mixed.
type Lane struct {
	Kind LaneKind
	ID   string // ReporterID, PartnerID, DistributorID; empty for the team
}

// MessageState is how far an outgoing message is.
type MessageState string

const (
	MessageNote    MessageState = "note"    // stays in the team
	MessageIn      MessageState = "in"      // came from outside
	MessageWaiting MessageState = "waiting" // leaves when its 30 seconds are over
	MessageOut     MessageState = "out"     // lies in the reader's mailbox, or was mailed
	MessageBack    MessageState = "back"    // taken back in time; nobody outside saw it
	MessageFailed  MessageState = "failed"  // could not be mailed; somebody has to look
)

// TakeBack is how long an outgoing message can be taken back.
const TakeBack = 30 * time.Second

// Message is one entry of a lane.
type Message struct {
	ID         MessageID
	Case       CaseID
	Lane       Lane
	State      MessageState
	At         time.Time
	LeavesAt   time.Time // of a waiting one
	Author     string    // member's name, or the outside party's label
	Member     MemberID  // empty: from outside
	Text       string
	Files      []FileID
	Arrival    ArrivalID  // the original, when it came from outside
	Protection Protection // of what came; of what leaves: how it will travel
	Letter     string     // name of the template it was made from; empty: typed
	Checked    []string   // what the mail server named in the configuration found: "dkim=pass header.d=example.org". It decides nothing
	Supplied   *Supplied  // nil: nobody supplied its text
}

// Supplied is what a member says a message says that we could not open.
type Supplied struct {
	Text string
	By   string // the member's name
	At   time.Time
}

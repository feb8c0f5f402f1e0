package postgres

// What is declared here is being written; each moves to the file of its noun.

import (
	"context"
	"io"
	"time"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

const beingWritten = "being written"

// arrivals.go

// Arrival is one arrival being opened, inside the transaction that stores
// what is found. It is good only until the callback returns.
type Arrival struct {
	ID       disclosure.ArrivalID
	Kind     disclosure.ArrivalKind
	Channel  disclosure.Channel
	Received time.Time
	Header   disclosure.ArrivalHeader
	Body     io.ReadSeeker        // the bytes as received; chunks are opened as they are read
	From     *disclosure.Reporter // who owns the mailbox it was added to, or the lane Claim found; nil: unknown
}

// Claim looks a token of a reply address or return path up.
func (a *Arrival) Claim(ctx context.Context, token string) (Claim, error) { panic(beingWritten) }

// AddFile seals a file into the case the arrival will belong to.
func (a *Arrival) AddFile(ctx context.Context, label, mediaType string, r io.Reader) (disclosure.File, error) {
	panic(beingWritten)
}

// Claim says whose a token is.
type Claim struct {
	Known       bool
	Lane        disclosure.Lane
	Case        disclosure.CaseID
	Release     disclosure.ReleaseID
	Delivery    disclosure.DeliveryID
	Distributor disclosure.DistributorID
}

// Opened is what a callback found in an arrival.
type Opened struct {
	Title       string // suggested, for a new case
	Text        string
	Protection  disclosure.Protection
	Name        string // of the sender; empty: as the header says
	Address     string
	Key         []byte // the sender's certificate, binary, if one came along
	Attention   string // why a person has to look; empty: nothing
	Application bool   // somebody asks to be told in advance: no case is made
	Bounce      *Bounce
}

// Bounce says what a delivery status notification told.
type Bounce struct {
	Delivery disclosure.DeliveryID // as Claim or DeliveryByMessageID found it
	Failed   bool                  // final, not only late
	Text     string                // the server's words
}

func (db *DB) WaitingArrivals(ctx context.Context) (n int, oldest time.Time, err error) {
	panic(beingWritten)
}
func (db *DB) NextArrival(ctx context.Context, by disclosure.Caller, open func(context.Context, *Arrival) (Opened, error)) (found bool, err error) {
	panic(beingWritten)
}
func (db *DB) Original(ctx context.Context, by disclosure.Caller, id disclosure.ArrivalID, w io.Writer) error {
	panic(beingWritten)
}
func (db *DB) MayAcknowledge(ctx context.Context, by disclosure.Caller, address string) (bool, error) {
	panic(beingWritten)
}

// cases.go

// CaseDraft is a case a member enters, of what was told by telephone or found.
type CaseDraft struct {
	Title    string
	Text     string // first note
	Received time.Time
	Name     string // of the reporter; empty with Address: no reporter
	Address  string
}

func (db *DB) CreateCase(ctx context.Context, by disclosure.Caller, d CaseDraft) (disclosure.CaseID, int, error) {
	panic(beingWritten)
}
func (db *DB) Case(ctx context.Context, by disclosure.Caller, id disclosure.CaseID) (*disclosure.Case, error) {
	panic(beingWritten)
}
func (db *DB) CaseByNumber(ctx context.Context, by disclosure.Caller, number int) (*disclosure.Case, error) {
	panic(beingWritten)
}
func (db *DB) UpdateCase(ctx context.Context, by disclosure.Caller, id disclosure.CaseID, change func(*disclosure.Case) error) error {
	panic(beingWritten)
}
func (db *DB) Timeline(ctx context.Context, by disclosure.Caller, id disclosure.CaseID) ([]disclosure.Event, error) {
	panic(beingWritten)
}
func (db *DB) MergeCases(ctx context.Context, by disclosure.Caller, from, into disclosure.CaseID) error {
	panic(beingWritten)
}
func (db *DB) SplitCases(ctx context.Context, by disclosure.Caller, from, into disclosure.CaseID) error {
	panic(beingWritten)
}

// loadCase loads a case and, when lock is set, locks its row. The caller's
// right to see it is not checked: use Case.VisibleTo. Its key stays in t.
func (t *tx) loadCase(ctx context.Context, id disclosure.CaseID, lock bool) (*disclosure.Case, error) {
	panic(beingWritten)
}

// loadCasesOf loads a release's cases, locked by id, ordered by number.
func (t *tx) loadCasesOf(ctx context.Context, release disclosure.ReleaseID, lock bool) ([]*disclosure.Case, error) {
	panic(beingWritten)
}

// saveCase writes the case, its events, alerts, statuses and log rows.
func (t *tx) saveCase(ctx context.Context, c *disclosure.Case) error { panic(beingWritten) }

// saveEvents seals events of a case or of a release under its key.
func (t *tx) saveEvents(ctx context.Context, c disclosure.CaseID, r disclosure.ReleaseID, key vault.Key, events []disclosure.Event) error {
	panic(beingWritten)
}

// alertMembers makes one row per member who wants the kind and may see the case.
func (t *tx) alertMembers(ctx context.Context, alerts []disclosure.Alert, c disclosure.CaseID) error {
	panic(beingWritten)
}

// mayLeave is disclosure.ErrHeld while the instance is held.
func (t *tx) mayLeave(ctx context.Context) error { panic(beingWritten) }

// tokenMAC is what is stored of a reply or return-path token.
func (db *DB) tokenMAC(token string) ([]byte, error) { panic(beingWritten) }

// inbox.go

type InboxTab string

const (
	TabOpen InboxTab = ""    // neither disclosed nor closed
	TabAll  InboxTab = "all" // every state; the others are the states' own names
)

type InboxQuery struct {
	Tab        InboxTab            // or a CaseState
	Owner      disclosure.MemberID // empty: anybody's
	Unowned    bool
	Channel    disclosure.Channel
	Encryption disclosure.Encryption // of the first message
	Overdue    bool
	After      string // cursor of the page before; empty: the first page
	Limit      int    // 0: 50; at most 200
}

type InboxRow struct {
	ID         disclosure.CaseID
	Number     int
	Title      string
	State      disclosure.CaseState
	Restricted bool
	Owner      disclosure.MemberID
	OwnerName  string
	Channel    disclosure.Channel
	Protection disclosure.Protection
	Received   time.Time
	Due        time.Time // zero: nothing is promised any more
	Promise    string    // words of the nearest unkept promise: "first answer"
	Attention  bool
	Severity   string
	Release    disclosure.ReleaseID
}

type InboxPage struct {
	Rows    []InboxRow
	Next    string // cursor; empty: this is the last page
	Tallies map[disclosure.CaseState]int
}

func (db *DB) Inbox(ctx context.Context, by disclosure.Caller, q InboxQuery) (InboxPage, error) {
	panic(beingWritten)
}
func (db *DB) FoldTallies(ctx context.Context) error { panic(beingWritten) }

// messages.go

type ReplyDraft struct {
	ID     disclosure.MessageID // made by the caller: the same one again changes nothing
	Case   disclosure.CaseID
	Lane   disclosure.Lane
	Text   string
	Files  []disclosure.FileID // stored before with StoreFile
	Letter string
	Clear  bool // a member decided that it may travel unencrypted by mail; on record
}

// Outbound is a reply that has to be mailed.
type Outbound struct {
	Message   disclosure.Message
	Number    int // of the case; never in the mail's clear part
	To        string
	Name      string
	Key       []byte // the reporter's certificate; nil: none
	Language  string
	Clear     bool   // may travel unencrypted
	Token     string // for Reply-To
	MessageID string // the local part of the mail's Message-ID; the same at every attempt
	InReplyTo string // Message-ID of the reporter's last mail; may be empty
	Files     []disclosure.File
	OpenFile  func(id disclosure.FileID, w io.Writer) error
}

func (db *DB) Thread(ctx context.Context, by disclosure.Caller, id disclosure.CaseID) ([]disclosure.Message, error) {
	panic(beingWritten)
}
func (db *DB) AddNote(ctx context.Context, by disclosure.Caller, c disclosure.CaseID, id disclosure.MessageID, text string, files []disclosure.FileID) error {
	panic(beingWritten)
}
func (db *DB) Reply(ctx context.Context, by disclosure.Caller, d ReplyDraft) error {
	panic(beingWritten)
}
func (db *DB) TakeBack(ctx context.Context, by disclosure.Caller, id disclosure.MessageID) error {
	panic(beingWritten)
}
func (db *DB) SendDue(ctx context.Context, by disclosure.Caller, send func(context.Context, Outbound) error) (bool, error) {
	panic(beingWritten)
}

// files.go

func (db *DB) StoreFile(ctx context.Context, by disclosure.Caller, c disclosure.CaseID, r disclosure.ReleaseID, label, mediaType string, body io.Reader) (disclosure.File, error) {
	panic(beingWritten)
}
func (db *DB) OpenFile(ctx context.Context, by disclosure.Caller, id disclosure.FileID, begin func(disclosure.File) (io.Writer, error)) error {
	panic(beingWritten)
}

// alerts.go

type DueAlert struct {
	ID          string
	Kind        disclosure.AlertKind
	Ref         string
	Number      int
	Made        time.Time
	Attempt     int
	MessageID   string
	Address     string
	Name        string
	Certificate []byte // nil: the fixed text goes in clear
}

func (db *DB) DueAlerts(ctx context.Context, limit int) ([]DueAlert, error) { panic(beingWritten) }
func (db *DB) AlertSent(ctx context.Context, id string) error               { panic(beingWritten) }
func (db *DB) AlertFailed(ctx context.Context, id string) error             { panic(beingWritten) }
func (db *DB) AlertLocked(ctx context.Context) error                        { panic(beingWritten) }

// logs.go

type LogQuery struct {
	Member disclosure.MemberID
	Object string
	Type   string // a prefix: "case."
	Before int64  // rows older than this number; 0: the newest
	Limit  int    // 0: 100; at most 500
}

type LogRow struct {
	N       int64
	At      time.Time
	Actor   string
	Member  disclosure.MemberID
	Type    string
	Object  string
	Details string // JSON of what was noted; empty: nothing
}

type LogCheck struct {
	Rows   int64
	Broken int64  // number of the first row that does not fit; 0: none
	Why    string // what does not fit
}

func (db *DB) Log(ctx context.Context, by disclosure.Caller, q LogQuery) ([]LogRow, error) {
	panic(beingWritten)
}
func (db *DB) VerifyLog(ctx context.Context) (LogCheck, error) { panic(beingWritten) }

// held.go

type Held struct {
	Since   time.Time // zero: not held
	Because []string
}

func (db *DB) Held(ctx context.Context) (Held, error) { panic(beingWritten) }
func (db *DB) Hold(ctx context.Context, by disclosure.Caller, reason string) error {
	panic(beingWritten)
}
func (db *DB) LetGo(ctx context.Context, by disclosure.Caller) error { panic(beingWritten) }

// CheckHeld compares the cluster, the journal mark and the time with what was noted.
func (db *DB) CheckHeld(ctx context.Context, mark int64) (Held, error) { panic(beingWritten) }

// Beat notes that a process is alive and returns the mark to keep beside the data.
func (db *DB) Beat(ctx context.Context, mark int64) (int64, error) { panic(beingWritten) }
func (db *DB) MoveTime(ctx context.Context, by disclosure.Caller, d time.Duration) error {
	panic(beingWritten)
}

// ticks.go

func (db *DB) WakeCases(ctx context.Context, by disclosure.Caller, limit int) (int, error) {
	panic(beingWritten)
}

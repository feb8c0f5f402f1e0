package postgres

import (
	"context"
	"io"
	"time"

	"postern/internal/disclosure"
)

// ReleaseCard is a release as lists show it.
type ReleaseCard struct {
	ID         disclosure.ReleaseID
	State      disclosure.ReleaseState
	At         time.Time
	Zone       string
	Title      string
	Urgent     bool
	Cases      int
	Generation int
	Due        time.Time // of its nearest promise; zero: none
	Created    time.Time
}

// CreateRelease makes a release in draft under the current policy, with its
// go-ahead closed, and gathers the cases into it.
func (db *DB) CreateRelease(ctx context.Context, by disclosure.Caller, title string, cases []disclosure.CaseID) (disclosure.ReleaseID, error) {
	panic("being written")
}

// Release loads a release with its cases, and its notices with approvals and
// tallies. Reading it is logged.
func (db *DB) Release(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID) (*disclosure.Release, error) {
	panic("being written")
}

// Releases lists those the caller may see, nearest promise first.
func (db *DB) Releases(ctx context.Context, by disclosure.Caller) ([]ReleaseCard, error) {
	panic("being written")
}

// UpdateRelease locks the release with its cases, lets change act on it, and
// saves everything it gathered. change may run more than once and must touch
// nothing outside the value it is given. What voids sending (a new generation,
// a sending notice canceled) closes the go-ahead first and returns once no
// mail is in flight any more.
func (db *DB) UpdateRelease(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, change func(*disclosure.Release) error) error {
	panic("being written")
}

// GatherCases adds accepted cases to a release, in one transaction.
func (db *DB) GatherCases(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, cases []disclosure.CaseID) error {
	panic("being written")
}

// WakeReleases lets every release whose time has come tick, at most limit of
// them, and says how many there were. Work calls it.
func (db *DB) WakeReleases(ctx context.Context, limit int) (int, error) { panic("being written") }

// AddPatch stores a patch byte for byte, sealed as it streams, and adds it to
// the release. series and name are checked by the release's rule; case may be
// empty.
func (db *DB) AddPatch(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, p disclosure.Patch, src io.Reader) (disclosure.Patch, error) {
	panic("being written")
}

// Patch returns a patch and its bytes as they were uploaded.
func (db *DB) Patch(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, file disclosure.FileID) (disclosure.Patch, []byte, error) {
	panic("being written")
}

// NoticeWork is what a step on a notice is given inside its transaction. It is
// for looking at; what is changed in it is not kept.
type NoticeWork struct {
	Release    *disclosure.Release
	Notice     *disclosure.Notice
	Recipients []disclosure.Recipient // as they stand now
	Patch      func(disclosure.FileID) ([]byte, error)
}

// Recipients are the readers of a notice as they stand now, in order of name.
// Digest of them: ListDigest.
func (db *DB) Recipients(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID) ([]disclosure.Recipient, error) {
	panic("being written")
}

// FreezeNotice fixes the bytes that will be signed. freeze makes them from the
// notice as it is locked, and names each recipient's unusable key (Field
// "distributors/<id>").
func (db *DB) FreezeNotice(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID, freeze func(NoticeWork) (frozen []byte, unusable []disclosure.Fault, err error)) error {
	panic("being written")
}

// SignNotice keeps a releaser's signature over the frozen bytes. check looks
// at it and returns the one packet to keep, or says why not.
func (db *DB) SignNotice(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID, check func(NoticeWork) (packet []byte, err error)) error {
	panic("being written")
}

// ApproveNotice binds the caller's yes to what was seen: the digest of the
// frozen bytes and the digest of the list (ListDigest). disclosure.ErrStale
// when either is another now.
func (db *DB) ApproveNotice(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID, digest, list string) error {
	panic("being written")
}

// StartSending queues one delivery for each recipient and opens the go-ahead.
// unusable names each recipient's unusable key, as for FreezeNotice; nil: none.
func (db *DB) StartSending(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID, unusable func(NoticeWork) []disclosure.Fault) error {
	panic("being written")
}

// ResumeSending opens the go-ahead again for a notice whose sending was
// stopped and never went on, after a crash.
func (db *DB) ResumeSending(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID) error {
	panic("being written")
}

// SendingNotices lists the notices work has to send from now: those being sent
// with deliveries due at the program's time.
func (db *DB) SendingNotices(ctx context.Context) ([]disclosure.NoticeID, error) {
	panic("being written")
}

// Deliver works off what is due of a notice, one mail a transaction, until
// nothing is due, the go-ahead is closed or ctx ends, and says how many
// deliveries are not over yet. Call it from as many goroutines as there may be
// connections; each has one mail in flight. send is given what to send and
// returns what became of it; it must call Outgoing.Confirm after the last byte
// of the body and before the final dot, and give up when that fails.
// now is the moved time. disclosure.ErrHeld while the instance is held.
func (db *DB) Deliver(ctx context.Context, id disclosure.NoticeID, now func() time.Time, send func(context.Context, disclosure.Outgoing) disclosure.Outcome) (left int, err error) {
	panic("being written")
}

// SweepDeliveries turns deliveries whose worker is past its deadline into
// uncertain ones, lets those past their own deadline expire, and writes the
// log rows that are still missing. It says how many it changed.
func (db *DB) SweepDeliveries(ctx context.Context) (int, error) { panic("being written") }

// Ledger lists a notice's deliveries in order of the recipients' names.
func (db *DB) Ledger(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID) ([]disclosure.Delivery, error) {
	panic("being written")
}

// Resend queues an uncertain or rejected delivery again, with the Message-ID
// it had.
func (db *DB) Resend(ctx context.Context, by disclosure.Caller, id disclosure.DeliveryID) error {
	panic("being written")
}

// Resolve settles an uncertain delivery as a person found it: sent or not.
func (db *DB) Resolve(ctx context.Context, by disclosure.Caller, id disclosure.DeliveryID, sent bool) error {
	panic("being written")
}

// DeliveryByToken finds the delivery a return path or a reply names; token is
// the local part's, as ReturnToken made it. disclosure.ErrNotFound for any other.
func (db *DB) DeliveryByToken(ctx context.Context, token string) (disclosure.Delivery, error) {
	panic("being written")
}

// Bounced notes that a delivery came back after the server had taken it.
func (db *DB) Bounced(ctx context.Context, id disclosure.DeliveryID, text string) error {
	panic("being written")
}

// Answered notes that the recipient replied, in any wording.
func (db *DB) Answered(ctx context.Context, id disclosure.DeliveryID) error { panic("being written") }

// Enroll puts a distributor on the private list. Every key's Fingerprint and
// Certificate are the caller's to have checked. Only an admin may.
func (db *DB) Enroll(ctx context.Context, by disclosure.Caller, d disclosure.Distributor) (disclosure.DistributorID, error) {
	panic("being written")
}

// EditDistributor lets change set name, address, group, note and ClearOK; the
// rest is not kept. version is of what was shown: disclosure.ErrStale when
// somebody changed it meanwhile.
func (db *DB) EditDistributor(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, version int, change func(*disclosure.Distributor) error) error {
	panic("being written")
}

// AddKey registers one more key of a distributor.
func (db *DB) AddKey(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, fingerprint string, certificate []byte) error {
	panic("being written")
}

// RemoveKey takes a key away; the next mail is not encrypted to it.
func (db *DB) RemoveKey(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, fingerprint string) error {
	panic("being written")
}

// Revoke takes a distributor off the list. It returns once no mail to anybody
// is in flight, and nothing leaves to this one afterwards.
func (db *DB) Revoke(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, why string) error {
	panic("being written")
}

// Distributors reads the directory, in order of name, revoked ones last.
// Reading it is logged.
func (db *DB) Distributors(ctx context.Context, by disclosure.Caller) ([]disclosure.Distributor, error) {
	panic("being written")
}

// Distributor reads one entry of the directory. Reading it is logged.
func (db *DB) Distributor(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID) (disclosure.Distributor, error) {
	panic("being written")
}

// Publish makes a release public in one transaction: change takes the step on
// the release, its advisories become public, render is given the new edition
// and returns every document there is from now on, announcements are queued,
// and the gates are woken. Nothing is public before the commit, and what
// render leaves out is gone with it.
func (db *DB) Publish(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, change func(*disclosure.Release) error, render func(disclosure.Edition) ([]disclosure.Document, error)) error {
	panic("being written")
}

// PublishSite renders the documents again without a release: after a policy
// was applied, a key changed, a renewal.
func (db *DB) PublishSite(ctx context.Context, by disclosure.Caller, render func(disclosure.Edition) ([]disclosure.Document, error)) error {
	panic("being written")
}

// DocumentsDue reports whether there is no document yet, one has to be renewed
// at the program's time, or one was rendered by another version than given.
func (db *DB) DocumentsDue(ctx context.Context, version string) (bool, error) { panic("being written") }

// Documents lists what is public, by path, with its bytes.
func (db *DB) Documents(ctx context.Context) ([]disclosure.Document, error) { panic("being written") }

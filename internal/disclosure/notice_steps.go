package disclosure

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxFrozen bounds the signed bytes of one notice, patches included.
const maxFrozen = 25 << 20

// noticeArrow is one way a notice can go, and which step takes it.
type noticeArrow struct {
	role  Roles
	label string
}

type noticeWay struct{ from, to NoticeState }

// noticeArrows is the whole life of a notice. docs/lifecycle.md is made from it.
var noticeArrows = map[noticeWay]noticeArrow{
	{NoticeDraft, NoticeFrozen}:      {Releaser, "Freeze"},
	{NoticeFrozen, NoticeDraft}:      {Releaser, "Edit again"},
	{NoticeFrozen, NoticeApproved}:   {Releaser, "Approve bytes and list"},
	{NoticeApproved, NoticeDraft}:    {Releaser, "Edit again"},
	{NoticeApproved, NoticeSending}:  {Releaser, "Send"},
	{NoticeSending, NoticeSent}:      {system, "Every delivery has an outcome"},
	{NoticeDraft, NoticeCanceled}:    {Releaser, "Cancel"},
	{NoticeFrozen, NoticeCanceled}:   {Releaser, "Cancel"},
	{NoticeApproved, NoticeCanceled}: {Releaser, "Cancel"},
	{NoticeSending, NoticeCanceled}:  {Releaser, "Stop"},
}

// Notice finds one of the release's notices; nil when there is none such.
func (r *Release) Notice(id NoticeID) *Notice {
	for _, n := range r.Notices {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// take finds the notice and checks that the caller may bring it to a state.
func (r *Release) take(id NoticeID, to NoticeState, by Caller) (*Notice, error) {
	if !r.VisibleTo(by) {
		return nil, ErrNotFound
	}
	n := r.Notice(id)
	if n == nil {
		return nil, ErrNotFound
	}
	arrow, ok := noticeArrows[noticeWay{n.State, to}]
	switch {
	case !ok:
		return nil, Refuse("state", noNoticeWay(n.State, to))
	case arrow.role == system && !by.IsSystem(), arrow.role != system && (by.IsSystem() || !by.Can(arrow.role)):
		return nil, ErrForbidden
	}
	return n, nil
}

func noNoticeWay(from, to NoticeState) string {
	switch {
	case from == to:
		return fmt.Sprintf("The notice is %s already.", from)
	case from == NoticeSent:
		return "The notice was sent; it cannot change any more."
	case from == NoticeCanceled:
		return "The notice was canceled."
	case from == NoticeSending:
		return "The notice is being sent. Stop it first."
	case to == NoticeSending:
		return "A releaser has to approve bytes and list first."
	case to == NoticeApproved:
		return "Freeze the text first."
	case to == NoticeSent:
		return "The notice has not been sent."
	}
	return fmt.Sprintf("A notice does not go from %s to %s.", from, to)
}

// draft makes an empty notice for an audience, planned and signed as the
// policy has it. Its text is written by letters, or typed.
func (r *Release) draft(a Audience, now time.Time) *Notice {
	n := &Notice{ID: NoticeID(NewID()), Release: r.ID, Audience: a, State: NoticeDraft, Generation: r.Generation, Signer: r.Policy.orEmpty().signer(a)}
	if !r.At.IsZero() {
		n.SendAt, n.Deadline = r.sendAt(a, now), r.deadline(a)
	}
	return n
}

func (p *Policy) signer(a Audience) Signer {
	if a == ToDistributors {
		return cmp.Or(p.Distributors.Signer, SignedByTeam)
	}
	return cmp.Or(p.Announce.Signer, SignedByTeam)
}

// Audiences lists who is to be told of this release by its policy, in the
// order of the day.
func (r *Release) Audiences() []Audience {
	p := r.Policy.orEmpty()
	var list []Audience
	if p.Announce.Ahead && p.Announce.Address != "" && !r.quiet() {
		list = append(list, ToAnnounceAhead)
	}
	if r.TellsPrivately() {
		list = append(list, ToDistributors)
	}
	if p.Reporter.ToldDate == "with_first_notice" && r.anyReporter() {
		list = append(list, ToReporters)
	}
	if p.Announce.Address != "" {
		list = append(list, ToAnnounce)
	}
	if p.Announce.OSS != "" {
		list = append(list, ToOSS)
	}
	return list
}

func (r *Release) anyReporter() bool {
	return slices.ContainsFunc(r.Cases, func(c *Case) bool {
		return slices.ContainsFunc(c.Reporters, func(rep Reporter) bool { return rep.Reachable() && rep.Withdrawn.IsZero() })
	})
}

// DraftNotices makes the notices the policy asks for that do not exist yet.
// Repeated, it does nothing. Their texts are empty.
func (r *Release) DraftNotices(by Caller, now time.Time) error {
	if err := r.mayPrepare(by); err != nil {
		return err
	}
	if r.At.IsZero() {
		return Refuse("at", "Set the release's date first: it stands in every notice.")
	}
	for _, a := range r.Audiences() {
		exists := slices.ContainsFunc(r.Notices, func(n *Notice) bool { return n.Audience == a && n.State != NoticeCanceled })
		if !exists {
			r.Notices = append(r.Notices, r.draft(a, now))
		}
	}
	r.sortNotices()
	return nil
}

func (r *Release) sortNotices() {
	slices.SortStableFunc(r.Notices, func(a, b *Notice) int {
		return cmp.Or(a.SendAt.Compare(b.SendAt), cmp.Compare(audienceOrder(a.Audience), audienceOrder(b.Audience)), cmp.Compare(a.Generation, b.Generation))
	})
}

func audienceOrder(a Audience) int {
	return slices.Index([]Audience{ToAnnounceAhead, ToDistributors, ToReporters, ToAnnounce, ToOSS}, a)
}

// EditNotice changes the text. What was frozen is a draft again and its
// approvals are gone.
func (r *Release) EditNotice(id NoticeID, subject, text string, by Caller, now time.Time) error {
	if err := r.may(by); err != nil {
		return err
	}
	n := r.Notice(id)
	if n == nil {
		return ErrNotFound
	}
	if n.State == NoticeSending || n.State == NoticeSent || n.State == NoticeCanceled {
		return Refuse("state", noNoticeWay(n.State, NoticeDraft))
	}
	var refusal *Refusal
	subject = cleanLine(&refusal, "subject", subject)
	text = clean(&refusal, "text", text, maxText)
	if err := refusal.Err(); err != nil {
		return err
	}
	if n.Subject == subject && n.Text == text {
		return nil
	}
	n.Subject, n.Text, n.Edited = subject, text, true
	if len(n.Basis) == 0 {
		n.Basis = r.Basis(n.Audience)
	}
	n.thaw()
	r.record(EventEdited, by, now, "Notice to %s edited", n.Audience.Words())
	return nil
}

func (n *Notice) thaw() {
	n.State = NoticeDraft
	n.Frozen, n.Signature, n.Digest, n.Approvals, n.FrozenAt = nil, nil, "", nil, time.Time{}
}

// Thaw makes a draft of a frozen or approved notice.
func (r *Release) Thaw(id NoticeID, by Caller, now time.Time) error {
	n, err := r.take(id, NoticeDraft, by)
	if err != nil {
		return err
	}
	n.thaw()
	r.record(EventEdited, by, now, "Notice to %s is a draft again", n.Audience.Words())
	return nil
}

// Freeze fixes the exact bytes that will be signed and sent; their SHA-256 is
// the notice's digest. Preflight must find nothing missing.
func (r *Release) Freeze(id NoticeID, frozen []byte, facts Facts, by Caller, now time.Time) error {
	n, err := r.take(id, NoticeFrozen, by)
	if err != nil {
		return err
	}
	faults := r.missingFor(ToFreeze, n, facts, now)
	if len(frozen) == 0 {
		faults = append(faults, Fault{"text", "There is nothing to freeze."})
	}
	if len(frozen) > maxFrozen {
		faults = append(faults, Fault{"patches", fmt.Sprintf("The notice has %d bytes with its patches; %d are the limit.", len(frozen), maxFrozen)})
	}
	if len(faults) > 0 {
		return &Refusal{faults}
	}
	sum := sha256.Sum256(frozen)
	n.Frozen, n.Digest = bytes.Clone(frozen), hex.EncodeToString(sum[:])
	n.State, n.FrozenAt, n.Generation = NoticeFrozen, now, r.Generation
	n.Approvals, n.Signature = nil, nil
	r.record(EventFrozen, by, now, "Notice to %s frozen, SHA-256 %s", n.Audience.Words(), n.Digest)
	return nil
}

// SignNotice keeps a releaser's signature packet over the frozen bytes. That
// it is a good one was checked before (package pgp).
func (r *Release) SignNotice(id NoticeID, signature []byte, by Caller, now time.Time) error {
	n, err := r.take(id, NoticeApproved, by)
	if err != nil {
		return err
	}
	switch {
	case n.Signer != SignedByReleaser:
		return Refuse("signature", "This notice is not signed by a person.")
	case len(signature) == 0 || len(signature) > 64<<10:
		return Refuse("signature", "This is no signature.")
	}
	n.Signature = bytes.Clone(signature)
	r.record(EventFrozen, by, now, "Notice to %s signed by %s", n.Audience.Words(), by.Name)
	return nil
}

// Approve is a releaser's yes to the frozen bytes and to the list, which is
// the digest of the recipients with their addresses and key fingerprints. The
// tag is made by who keeps it.
func (r *Release) Approve(id NoticeID, list string, tag []byte, by Caller, now time.Time) error {
	n, err := r.take(id, NoticeApproved, by)
	if err != nil {
		return err
	}
	var refusal *Refusal
	if n.Generation != r.Generation || n.Digest == "" {
		refusal = refusal.Add("state", "The release changed since this notice was frozen. Freeze it again.")
	}
	if n.Signer == SignedByReleaser && len(n.Signature) == 0 {
		refusal = refusal.Add("signature", "A releaser has to sign the frozen bytes first.")
	}
	if list == "" {
		refusal = refusal.Add("recipients", "There is no list to approve.")
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	n.State = NoticeApproved
	n.Approvals = append(n.Approvals, Approval{
		Member: by.Member, Name: by.Name, At: now, Generation: r.Generation, Digest: n.Digest, List: list, Tag: bytes.Clone(tag),
	})
	r.record(EventApproved, by, now, "Notice to %s approved", n.Audience.Words())
	return nil
}

// Approved finds the approval that holds for the bytes and the generation as
// they stand; nil when none does.
func (n *Notice) Approved() *Approval {
	for i := range n.Approvals {
		if a := &n.Approvals[i]; a.Generation == n.Generation && a.Digest == n.Digest && n.Digest != "" {
			return a
		}
	}
	return nil
}

// StartSending lets work send an approved notice. It needs a fresh second
// factor (wall is wall time), the day for what is told on the day, and the
// policy's lead for what is told ahead, unless a reason is on record.
func (r *Release) StartSending(id NoticeID, facts Facts, by Caller, now, wall time.Time) error {
	n, err := r.take(id, NoticeSending, by)
	if err != nil {
		return err
	}
	if !by.SteppedUp(wall) {
		return ErrStepUp
	}
	faults := r.missingFor(ToSend, n, facts, now)
	if n.Generation != r.Generation || n.Approved() == nil {
		faults = append(faults, Fault{"notices/" + string(n.Audience), "The approval does not hold any more. Freeze and approve it again."})
	}
	if len(faults) > 0 {
		return &Refusal{faults}
	}
	n.State = NoticeSending
	r.record(EventSent, by, now, "Sending to %s begun", n.Audience.Words())
	return nil
}

// sendFaults are the guards of time.
func (r *Release) sendFaults(n *Notice, now time.Time) []Fault {
	p := r.Policy.orEmpty()
	cal := p.Calendar.in(r.Zone)
	field := "notices/" + string(n.Audience)
	switch {
	case !n.Audience.Ahead():
		if r.State != Published {
			return []Fault{{field, "This notice leaves when the release is published."}}
		}
		return nil
	case n.Change == ChangeCalledOff:
		if r.State != CalledOff {
			return []Fault{{field, "The release is not called off."}}
		}
		return nil
	case r.State != Scheduled && r.State != Notified && r.State != Releasing:
		return []Fault{{field, fmt.Sprintf("The release is %s; nobody is told ahead of the day.", r.State)}}
	case !n.Deadline.IsZero() && now.After(n.Deadline):
		return []Fault{{field, "The notice is void: its deadline has passed."}}
	case r.Reason != "" || n.Change == ChangeMoved:
		return nil
	case !p.Lead.Max.IsZero() && now.Before(p.Lead.Max.Before(r.At, cal)):
		return []Fault{{"at", fmt.Sprintf("This is earlier than the policy's longest lead of %s. Wait, or plan the release again with a reason.", p.Lead.Max.Words())}}
	case !p.Lead.Min.IsZero() && now.After(p.Lead.Min.Before(r.At, cal)):
		return []Fault{{"at", fmt.Sprintf("This is later than the policy's least lead of %s. Plan the release again, with another hour or with a reason.", p.Lead.Min.Words())}}
	}
	return nil
}

// NoticeSent notes that every delivery of a notice has an outcome. Work calls
// it; the first advance notice that reached somebody makes the release notified.
func (r *Release) NoticeSent(id NoticeID, by Caller, now time.Time) error {
	n, err := r.take(id, NoticeSent, by)
	if err != nil {
		return err
	}
	n.State, n.SentAt = NoticeSent, now
	r.record(EventSent, by, now, "Notice to %s sent", n.Audience.Words())
	mailboxesAlone := n.Audience == ToReporters && len(n.Tally) == 0
	if r.State == Scheduled && n.Audience.Ahead() && (n.Tally[Delivered] > 0 || mailboxesAlone) {
		return r.Move(Notified, by, now)
	}
	return nil
}

// CancelNotice gives a notice up, or stops it while it is being sent; what has
// left has left.
func (r *Release) CancelNotice(id NoticeID, by Caller, now time.Time) error {
	n, err := r.take(id, NoticeCanceled, by)
	if err != nil {
		return err
	}
	n.State = NoticeCanceled
	r.record(EventDelivery, by, now, "Notice to %s canceled", n.Audience.Words())
	return nil
}

// AddNotice drafts one for an audience the policy does not tell by itself.
func (r *Release) AddNotice(a Audience, by Caller, now time.Time) (*Notice, error) {
	if err := r.mayPrepare(by); err != nil {
		return nil, err
	}
	p := r.Policy.orEmpty()
	var refusal *Refusal
	switch {
	case audienceOrder(a) < 0:
		refusal = refusal.Add("audience", fmt.Sprintf("No audience is called %q.", string(a)))
	case r.At.IsZero():
		refusal = refusal.Add("at", "Set the release's date first: it stands in every notice.")
	case r.hasPending(a):
		refusal = refusal.Add("audience", "There is a notice to "+a.Words()+" already that has not been sent.")
	case a == ToDistributors && !p.Distributors.Tell:
		refusal = refusal.Add("audience", "The policy has no private list.")
	case (a == ToAnnounce || a == ToAnnounceAhead) && p.Announce.Address == "":
		refusal = refusal.Add("audience", "The policy names no announcement list.")
	case a == ToOSS && p.Announce.OSS == "":
		refusal = refusal.Add("audience", "The policy names no address of oss-security.")
	}
	if err := refusal.Err(); err != nil {
		return nil, err
	}
	n := r.draft(a, now)
	r.Notices = append(r.Notices, n)
	r.sortNotices()
	r.record(EventEdited, by, now, "Notice to %s drafted", a.Words())
	return n, nil
}

// NextNotices lists where the caller may bring a notice from here.
func (r *Release) NextNotices(n *Notice, by Caller) []NoticeState {
	var list []NoticeState
	for _, to := range NoticeStates {
		if _, err := r.take(n.ID, to, by); err == nil {
			list = append(list, to)
		}
	}
	return list
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

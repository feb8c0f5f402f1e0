package disclosure

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Early is how long before its hour a release may be published without being
// called urgent.
const Early = 15 * time.Minute

// LonePause is what one member waits who confirms publishing alone where the
// policy asks for two and nobody else could agree.
const LonePause = 15 * time.Minute

// Missing names all that keeps the release from a step, each with the field
// where it is mended: "cases/42/public.title", "versions/4.2", "patches/4.2",
// "notices/distributors", "steps", "at". The audience is whose notice is to be
// frozen or sent, and is not looked at for ToPublish.
func (r *Release) Missing(what Preflight, audience Audience, facts Facts, now time.Time) []Fault {
	if what != ToPublish {
		for _, n := range r.Notices {
			if n.Audience == audience && n.State != NoticeSent && n.State != NoticeCanceled {
				return r.missingFor(what, n, facts, now)
			}
		}
		return []Fault{{"notices/" + string(audience), "There is no notice to " + audience.Words() + "."}}
	}
	var faults []Fault
	if len(r.Cases) == 0 {
		faults = append(faults, Fault{"cases", "The release has no case."})
	}
	faults = append(faults, r.contentFaults()...)
	faults = append(faults, r.dayFaults(now)...)
	for _, a := range r.Audiences() {
		if !a.Ahead() {
			faults = append(faults, r.readyFault(a)...)
		}
	}
	return faults
}

// missingFor is the preflight of one notice.
func (r *Release) missingFor(what Preflight, n *Notice, facts Facts, now time.Time) []Fault {
	var faults []Fault
	field := "notices/" + string(n.Audience)
	if r.At.IsZero() {
		faults = append(faults, Fault{"at", "Set the release's date first: it stands in every notice."})
	}
	if blank(n.Subject) {
		faults = append(faults, Fault{field + "/subject", "The notice has no subject."})
	}
	if blank(n.Text) {
		faults = append(faults, Fault{field + "/text", "The notice has no text."})
	}
	switch {
	case n.Change == ChangeCalledOff:
	case n.Audience == ToReporters:
		// told the date alone: nothing of the contents has to stand yet
	case n.Audience == ToAnnounceAhead:
		faults = append(faults, r.severityFaults()...)
	default:
		faults = append(faults, r.contentFaults()...)
	}
	faults = append(faults, r.textFaults(n)...)
	faults = append(faults, facts.Unusable...)
	if what == ToSend {
		if len(facts.Recipients) == 0 && n.Audience != ToReporters { // who may all be reached by mailbox alone
			faults = append(faults, Fault{field + "/recipients", "There is nobody to send it to."})
		}
		faults = append(faults, r.sendFaults(n, now)...)
	}
	if n.Audience == ToDistributors {
		faults = append(faults, r.clearFaults(facts)...)
	}
	return faults
}

// clearFaults: a recipient without a key is told in clear only where the
// policy says so and somebody accepted it by name.
func (r *Release) clearFaults(facts Facts) []Fault {
	var faults []Fault
	for _, rec := range facts.Recipients {
		field := "distributors/" + string(rec.Distributor)
		switch {
		case len(rec.Keys) > 0 || len(rec.Prints) > 0:
		case r.Policy.orEmpty().Distributors.Encrypt != "if_key":
			faults = append(faults, Fault{field, fmt.Sprintf("%s has no key, and the policy asks for encryption.", rec.Name)})
		case !rec.ClearText:
			faults = append(faults, Fault{field, fmt.Sprintf("%s has no key, and nobody accepted writing in clear.", rec.Name)})
		}
	}
	return faults
}

func (r *Release) severityFaults() []Fault {
	if !r.Policy.orEmpty().Severity.Shown() {
		return nil
	}
	var faults []Fault
	for _, c := range r.Cases {
		if c.Severity.Level == "" {
			faults = append(faults, Fault{caseField(c, "severity"), c.Name() + " has no severity."})
		}
	}
	return faults
}

// contentFaults is what an advisory, and so a full notice, cannot do without.
func (r *Release) contentFaults() []Fault {
	var faults []Fault
	for _, c := range r.Cases {
		if blank(c.Public.Title) {
			faults = append(faults, Fault{caseField(c, "public.title"), c.Name() + " has no title for the public."})
		}
		if blank(c.Public.Description) {
			faults = append(faults, Fault{caseField(c, "public.description"), c.Name() + " has no description for the public."})
		}
		if blank(c.Public.Remedy) && c.Track != Upstream {
			faults = append(faults, Fault{caseField(c, "public.remedy"), c.Name() + " does not say how to remedy it."})
		}
		if needsSeries(c) && !slices.ContainsFunc(c.Affected, func(a Affected) bool { return a.Effect == Affects }) {
			faults = append(faults, Fault{caseField(c, "affected"), "No series is marked as affected by " + c.Name() + "."})
		}
		if c.PublicName == "" {
			faults = append(faults, Fault{caseField(c, "state"), c.Name() + " has no public name: it was never accepted."})
		}
	}
	faults = append(faults, r.severityFaults()...)
	for _, s := range r.mended() {
		v := r.version(s.Name)
		if !s.Branch && (v == nil || v.Number == "") {
			faults = append(faults, Fault{"versions/" + s.Name, "Set the version that mends " + s.Name + "."})
		}
		if (v == nil || v.NoPatch == "") && !slices.ContainsFunc(r.Patches, func(p Patch) bool { return p.Series == s.Name }) {
			faults = append(faults, Fault{"patches/" + s.Name, "Upload the patch for " + s.Name + ", or say that there is none."})
		}
	}
	return faults
}

// needsSeries: what concerns configuration, or follows an upstream, may have
// no series, patch or artefact.
func needsSeries(c *Case) bool { return c.Track == Standard || c.Track == Urgent || c.Track == "" }

// mended lists the supported series for which somebody expects a patch.
func (r *Release) mended() []Series {
	p := r.Policy.orEmpty()
	var list []Series
	for _, c := range r.Cases {
		if !needsSeries(c) {
			continue
		}
		for _, a := range c.Affected {
			s, known := p.series(a.Series)
			if !known {
				s = Series{Name: a.Series, Supported: len(p.Series) == 0}
			}
			if a.Effect == Affects && p.supports(s, r.At) && !slices.ContainsFunc(list, func(x Series) bool { return x.Name == s.Name }) {
				list = append(list, s)
			}
		}
	}
	return list
}

// dayFaults are those of the runbook, the hour and the notices sent ahead.
func (r *Release) dayFaults(now time.Time) []Fault {
	var faults []Fault
	urgent := r.urgent()
	switch {
	case r.State == Draft:
		faults = append(faults, Fault{"at", "Set the release's date first."})
	case !urgent && r.TellsPrivately() && !r.reached(ToDistributors):
		faults = append(faults, Fault{"notices/" + string(ToDistributors), "The distributors were not told. Send their notice, or say that the release is urgent."})
	}
	if !r.At.IsZero() && now.Before(r.At.Add(-Early)) && !urgent {
		faults = append(faults, Fault{"at", fmt.Sprintf("The hour is %s. Wait, plan another one, or say that the release is urgent.", r.At.UTC().Format("2006-01-02 15:04 UTC"))})
	}
	if urgent {
		return faults
	}
	if steps := r.Policy.orEmpty().Publish.Steps; r.State != Releasing && len(steps) > 0 {
		faults = append(faults, Fault{"steps", "Begin the day: the policy has steps to take before publishing."})
	}
	for _, s := range r.Steps {
		if r.State == Releasing && s.Done.IsZero() {
			faults = append(faults, Fault{"steps", fmt.Sprintf("Not done yet: %s.", strings.TrimSuffix(s.Name, "."))})
		}
	}
	return faults
}

// readyFault: what is to leave with publishing must be approved before.
func (r *Release) readyFault(a Audience) []Fault {
	field := "notices/" + string(a)
	for _, n := range r.Notices {
		if n.Audience != a || n.State == NoticeCanceled {
			continue
		}
		if n.State == NoticeApproved && n.Generation == r.Generation && n.Approved() != nil {
			return r.textFaults(n)
		}
		return append(n.unwrittenFault(field+"/text"), Fault{field, fmt.Sprintf("The notice to %s is %s. Freeze and approve it, or cancel it.", a.Words(), asNoun(n.State))})
	}
	if slices.ContainsFunc(r.Notices, func(n *Notice) bool { return n.Audience == a }) {
		return nil // canceled by somebody, on record
	}
	return []Fault{{field, fmt.Sprintf("There is no notice to %s. Draft it first.", a.Words())}}
}

func asNoun(s NoticeState) string {
	if s == NoticeDraft {
		return "a draft"
	}
	return string(s)
}

// ConfirmPublishing is a member's agreement, where the policy asks for two.
func (r *Release) ConfirmPublishing(by Caller, now, wall time.Time) error {
	if !r.VisibleTo(by) {
		return ErrNotFound
	}
	if by.IsSystem() || !by.Can(Triager) && !by.Can(Releaser) {
		return ErrForbidden
	}
	if !by.SteppedUp(wall) {
		return ErrStepUp
	}
	if r.State != Scheduled && r.State != Notified && r.State != Releasing {
		return Refuse("state", fmt.Sprintf("The release is %s.", r.State))
	}
	if slices.ContainsFunc(r.Agreed(), func(c Confirm) bool { return c.Member == by.Member }) {
		return Refuse("confirm", "You have agreed already.")
	}
	r.Confirms = append(r.Agreed(), Confirm{Member: by.Member, Name: by.Name, At: now, Generation: r.Generation, Shown: r.Shown()})
	r.record(EventApproved, by, now, "Publishing agreed to")
	return nil
}

// Agreed are the agreements to what would become public now: one given before
// the plan or a text changed counts no more.
func (r *Release) Agreed() []Confirm {
	shown := r.Shown()
	return slices.DeleteFunc(slices.Clone(r.Confirms), func(c Confirm) bool { return c.Generation != r.Generation || c.Shown != shown })
}

// Shown is a digest of what publishing makes public, SHA-256 in hex: the
// advisories, and the announcements that leave with them. The hour of
// publishing is not part of it.
func (r *Release) Shown() string {
	var notices []string
	for _, n := range r.Notices {
		if !n.Audience.Ahead() && n.State != NoticeCanceled {
			notices = append(notices, string(n.ID)+" "+n.Digest)
		}
	}
	b, err := json.Marshal(struct {
		Advisories []Advisory
		Notices    []string
	}{r.Advisories(time.Time{}), notices})
	if err != nil {
		return "" // which StillShows refuses
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// StillShows refuses what was decided on another text than the one that would
// become public now. digest is [Release.Shown] of the page that was read.
func (r *Release) StillShows(digest string) error {
	if digest == "" || digest != r.Shown() {
		return Refuse("shown", "What would become public was changed since this page was opened. Read it again below, then decide.")
	}
	return nil
}

// confirmed: another member agreed; or nobody else could, and the only one did
// and has slept on it.
func (r *Release) confirmed(by Caller, now time.Time) bool {
	if r.Policy.orEmpty().Publish.Members < 2 {
		return true
	}
	return slices.ContainsFunc(r.Agreed(), func(c Confirm) bool {
		return c.Member != by.Member || r.Alone && !now.Before(c.At.Add(LonePause))
	})
}

// unconfirmed is what to do about it.
func (r *Release) unconfirmed() Fault {
	if r.Alone {
		return Fault{"confirm", "The policy asks for a second member, and there is none: agree yourself, and wait a quarter of an hour."}
	}
	return Fault{"confirm", "The policy asks for a second member: let another triager or releaser read this and agree."}
}

// Publishable says whether the caller may publish now, and else all that is in
// the way. wall is wall time, for the second factor.
func (r *Release) Publishable(by Caller, now, wall time.Time) error {
	if !r.VisibleTo(by) {
		return ErrNotFound
	}
	arrow, ok := releaseArrows[releaseWay{r.State, Published}]
	if !ok {
		return Refuse("state", noReleaseWay(r.State, Published))
	}
	if !mayTakeRelease(arrow, by) {
		return ErrForbidden
	}
	if !by.SteppedUp(wall) {
		return ErrStepUp
	}
	faults := r.Missing(ToPublish, "", Facts{}, now)
	if !r.confirmed(by, now) {
		faults = append(faults, r.unconfirmed())
	}
	if len(faults) > 0 {
		return &Refusal{faults}
	}
	return nil
}

// Publish makes the release and its cases disclosed, lets its approved
// announcements leave, and cancels what was to be told ahead. typed is the
// release's name, typed by the releaser. It belongs in the transaction that
// stores the documents.
func (r *Release) Publish(typed string, by Caller, now, wall time.Time) error {
	if err := r.Publishable(by, now, wall); err != nil {
		return err
	}
	if !r.Named(typed) {
		return Refuse("name", "Type the release's name exactly as it stands above.")
	}
	if err := r.move(Published, by, now, "publish"); err != nil {
		return err
	}
	for _, n := range r.Notices {
		switch {
		case n.Audience.Ahead() && n.State != NoticeSent && n.State != NoticeCanceled:
			n.State = NoticeCanceled
		case n.State == NoticeApproved:
			n.State = NoticeSending
			r.record(EventSent, by, now, "Sending to %s begun", n.Audience.Words())
		}
	}
	r.record(EventPublished, by, now, "Published")
	return nil
}

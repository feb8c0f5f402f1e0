package disclosure

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Fact is one thing a notice's text was made from.
type Fact struct {
	Name  string `json:"n"` // in words: "the hour", "the patch 0001.patch for 4.2"
	Value string `json:"v"` // short; a digest where it is long
}

// Basis is what a text for the audience is made from, as it stands now: the
// facts of its brief, one by one, so that what changed since can be named.
func (r *Release) Basis(a Audience) []Fact {
	b := r.Brief(a)
	facts := []Fact{{"the hour", hourWords(b.At)}, {"the time zone", b.Zone}, {"the number of issues", fmt.Sprint(b.Count)}}
	add := func(name, value string) { facts = append(facts, Fact{name, value}) }
	if len(b.Issues) == 0 { // told of the number and severities alone
		add("the severities", strings.Join(b.Severities, ", "))
	}
	for k, i := range b.Issues {
		c := r.Cases[k].Name()
		add("the text of "+c, digestOf(i.Text))
		add("the severity of "+c, i.Severity.Level+" "+i.Severity.Vector)
		add("what "+c+" affects", digestOf(i.Affected))
		add("the names of "+c, i.PublicName+" "+i.CVE+" "+i.Class)
		add("the credit of "+c, strings.Join(i.Credits, "; "))
	}
	for _, v := range b.Versions {
		add("the version of "+v.Series, strings.TrimSpace(v.Number+" "+v.NoPatch))
		if len(v.Artefacts) > 0 {
			add("where "+v.Series+" can be fetched", digestOf(v.Artefacts))
		}
	}
	for _, p := range b.Patches {
		add("the patch "+p.Name+forSeries(p.Series), p.SHA256)
	}
	if a == ToDistributors {
		add("whether it is urgent", fmt.Sprint(b.Urgent))
		add("the reason", b.Reason)
	}
	add("the project or the policy", digestOf([]any{b.Project, b.Contact, b.Sharing}))
	return facts
}

func hourWords(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04 UTC")
}

func forSeries(series string) string {
	if series == "" {
		return ""
	}
	return " for " + series
}

func digestOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return NewID() // never equal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// Outdated says in words what the notice's text was made from and is another
// now, each as "the hour (was 2026-02-03 15:00 UTC, is …)". Empty: nothing, or
// the notice tells that the release was called off and so of nothing else.
// Where a version can be fetched is no part of it: that is told on the day,
// when nothing is approved anew.
func (r *Release) Outdated(n *Notice) []string {
	if n.Change == ChangeCalledOff || len(n.Basis) == 0 {
		return nil
	}
	now := r.Basis(n.Audience)
	var words []string
	for _, f := range now {
		i := slices.IndexFunc(n.Basis, func(g Fact) bool { return g.Name == f.Name })
		switch {
		case f.ofTheDay():
		case i < 0:
			words = append(words, f.Name+" (new)")
		case n.Basis[i].Value != f.Value:
			words = append(words, f.Name+changed(f.Name, n.Basis[i].Value, f.Value))
		}
	}
	for _, f := range n.Basis {
		if !f.ofTheDay() && !slices.ContainsFunc(now, func(g Fact) bool { return g.Name == f.Name }) {
			words = append(words, f.Name+" (gone)")
		}
	}
	return words
}

func (f Fact) ofTheDay() bool { return strings.HasPrefix(f.Name, "where ") }

// changed shows both values where they are for people to read.
func changed(name, was, is string) string {
	if name != "the hour" && !strings.HasPrefix(name, "the version of ") {
		return ""
	}
	return fmt.Sprintf(" (was %s, is %s)", cmp.Or(was, "not set"), cmp.Or(is, "not set"))
}

// DraftText gives a notice the text that was made for it from the release as
// it stands. Until somebody edits it, it follows the release (see Follow).
func (r *Release) DraftText(id NoticeID, subject, text string, by Caller, now time.Time) error {
	n := r.Notice(id)
	if n != nil && n.State != NoticeDraft {
		return Refuse("state", noNoticeWay(n.State, NoticeDraft))
	}
	if err := r.EditNotice(id, subject, text, by, now); err != nil {
		return err
	}
	n.Basis, n.Edited = r.Basis(n.Audience), false
	return nil
}

// ConfirmText is a member's word that an edited text still holds, although
// what it was made from changed. outdated is what the member was shown
// (Outdated, joined by line ends): ErrStale when it is something else now.
func (r *Release) ConfirmText(id NoticeID, outdated string, by Caller, now time.Time) error {
	if err := r.may(by); err != nil {
		return err
	}
	n := r.Notice(id)
	switch {
	case n == nil:
		return ErrNotFound
	case n.State != NoticeDraft:
		return Refuse("state", noNoticeWay(n.State, NoticeDraft))
	}
	list := r.Outdated(n)
	if strings.Join(list, "\n") != strings.ReplaceAll(strings.TrimSpace(outdated), "\r\n", "\n") {
		return ErrStale
	}
	n.Basis = r.Basis(n.Audience)
	r.record(EventEdited, by, now, "Text of the notice to %s confirmed: %s", n.Audience.Words(), strings.Join(list, "; "))
	return nil
}

// Follow writes every draft that nobody edited again, where what it is made
// from changed, or has no text yet. An edited one stays: Outdated names what
// changed under it. write makes a text, and decides nothing. A text that cannot
// be made, or is none a notice can have, stays as it was, and Missing says why:
// whatever else was to be done with the release goes on.
func (r *Release) Follow(write func(*Notice) (subject, text string, err error), by Caller, now time.Time) {
	for _, n := range r.Notices {
		n.unwritten = ""
		blankYet := n.Subject == "" && n.Text == ""
		if n.State != NoticeDraft || !blankYet && (n.Edited || slices.Equal(n.Basis, r.Basis(n.Audience))) {
			continue
		}
		if !blankYet && len(n.Basis) == 0 {
			continue // typed, or written before texts were followed: a person's
		}
		subject, text, err := write(n)
		var refusal *Refusal
		subject, text = cleanLine(&refusal, "subject", subject), clean(&refusal, "text", text, maxText)
		if err == nil {
			err = refusal.Err()
		}
		if err != nil {
			n.unwritten = shortWords(err.Error())
			continue
		}
		if !blankYet && (subject != n.Subject || text != n.Text) {
			r.record(EventEdited, by, now, "Notice to %s written again: %s", n.Audience.Words(), strings.Join(r.Outdated(n), "; "))
		}
		n.Subject, n.Text, n.Basis, n.Edited = subject, text, r.Basis(n.Audience), false
	}
}

// shortWords is an error on one line, as long as a page has room for.
func shortWords(s string) string {
	words := []rune(strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), "?"))
	return strings.TrimSuffix(string(words[:min(len(words), 300)]), ".")
}

// Essentials are the lines no text for the audience does without: the day, the
// versions, and of patches that go with it the digests.
func (r *Release) Essentials(a Audience) string {
	b := r.Brief(a)
	lines := []string{"On " + r.At.UTC().Format("2 January 2006") + "."}
	for _, v := range b.Versions {
		if v.Number != "" {
			lines = append(lines, v.Number)
		}
	}
	for _, p := range b.Patches {
		lines = append(lines, p.SHA256+"  "+p.Name)
	}
	return strings.Join(lines, "\n") + "\n"
}

// Open reports whether the notice may still be sent, and none of it has left.
func (n *Notice) Open() bool {
	return n.State == NoticeDraft || n.State == NoticeFrozen || n.State == NoticeApproved
}

var digestForm = regexp.MustCompile(`\b[0-9A-Fa-f]{64}\b`)

// textFaults compares what a text says with the release: the day of those told
// ahead, the versions, and the digests of the patches, which the signature is
// to cover.
func (r *Release) textFaults(n *Notice) []Fault {
	field := "notices/" + string(n.Audience) + "/text"
	faults := n.unwrittenFault(field)
	if changed := r.Outdated(n); len(changed) > 0 && n.Open() {
		then := "Draft it again, or confirm that it holds."
		if n.State != NoticeDraft {
			then = "Edit it again, and freeze it anew."
		}
		faults = append(faults, Fault{field, "The release has changed since this text was written: " + strings.Join(changed, "; ") + ". " + then})
	}
	if n.Change == ChangeCalledOff || blank(n.Text) {
		return faults
	}
	all := n.Subject + "\n" + n.Text
	if n.Audience.Ahead() && !r.At.IsZero() {
		faults = append(faults, r.dayFaultsOf(all, n, field)...)
	}
	if n.Audience == ToReporters || n.Audience == ToAnnounceAhead {
		return faults
	}
	for _, v := range r.Versions {
		if v.Number != "" && !names(all, v.Number) {
			faults = append(faults, Fault{field, fmt.Sprintf("The text does not name version %s of %s.", v.Number, v.Series)})
		}
	}
	return append(faults, r.digestFaults(n, field)...)
}

// unwrittenFault says why Follow could not write the text.
func (n *Notice) unwrittenFault(field string) []Fault {
	if n.unwritten == "" || n.State != NoticeDraft {
		return nil
	}
	return []Fault{{field, "The text could not be written: " + n.unwritten + ". Write it by hand, shorten what it is made from, or mend the template."}}
}

// names reports whether a text holds a version as a word of its own: "4.2.1"
// does not stand in "4.2.10".
func names(text, version string) bool {
	for rest := text; ; {
		i := strings.Index(rest, version)
		if i < 0 {
			return false
		}
		before, after := rest[:i], rest[i+len(version):]
		inside := len(before) > 0 && alphanumeric(before[len(before)-1]) && (len(before) < 2 || before[len(before)-1] != 'v')
		goesOn := len(after) > 0 && (alphanumeric(after[0]) || len(after) > 1 && strings.IndexByte(".-+~_", after[0]) >= 0 && after[1] >= '0' && after[1] <= '9')
		if !inside && !goesOn {
			return true
		}
		rest = after
	}
}

func alphanumeric(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// dayForms are the ways a day is written in a letter.
var dayForms = []string{"2006-01-02", "2 January 2006", "2 Jan 2006", "02 January 2006", "January 2, 2006", "January 2 2006", "2. 1. 2006", "02.01.2006", "2.1.2006", "2006/01/02"}

var embargoedForm = regexp.MustCompile(`EMBARGOED until (\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)`)

func (r *Release) dayFaultsOf(text string, n *Notice, field string) []Fault {
	days := []time.Time{r.At.UTC()}
	if loc, err := LoadZone(r.Zone); err == nil {
		days = append(days, r.At.In(loc))
	}
	named := false
	for _, day := range days {
		for _, form := range dayForms {
			named = named || strings.Contains(text, day.Format(form))
		}
	}
	var faults []Fault
	if !named {
		faults = append(faults, Fault{field, "The text does not name the day, " + r.At.UTC().Format("2 January 2006") + "."})
	}
	for _, m := range embargoedForm.FindAllStringSubmatch(text, -1) {
		if at, err := time.Parse(time.RFC3339, m[1]); err != nil || !at.Equal(r.At) {
			faults = append(faults, Fault{field, fmt.Sprintf("The text says embargoed until %s, and the hour is %s.", m[1], r.At.UTC().Format(time.RFC3339))})
		}
	}
	return faults
}

// digestFaults: a text that goes with patches names the SHA-256 of each, and
// no text names a digest of something that does not exist.
func (r *Release) digestFaults(n *Notice, field string) []Fault {
	var faults []Fault
	known := map[string]bool{}
	for _, v := range r.Versions {
		for _, a := range v.Artefacts {
			known[a.SHA256] = true
		}
	}
	text := strings.ToLower(n.Text)
	for _, p := range r.PatchBriefs() {
		known[p.SHA256] = true
		if n.Audience == ToDistributors && !strings.Contains(text, p.SHA256) {
			faults = append(faults, Fault{field, fmt.Sprintf("The text does not name the SHA-256 of the patch %s%s, which goes with it.", p.Name, forSeries(p.Series))})
		}
	}
	for _, c := range r.Cases { // an advisory may speak of other files
		for _, d := range digestForm.FindAllString(strings.ToLower(strings.Join([]string{c.Public.Summary, c.Public.Description, c.Public.Impact, c.Public.Remedy, c.Public.Workaround}, "\n")), -1) {
			known[d] = true
		}
	}
	for _, d := range digestForm.FindAllString(text, -1) {
		if !known[d] {
			known[d] = true
			faults = append(faults, Fault{field, fmt.Sprintf("The text names the SHA-256 %s…, which is of no patch of this release.", d[:16])})
		}
	}
	return faults
}

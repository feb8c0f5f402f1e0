package disclosure

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of what a member types, in bytes.
const (
	maxLine      = 300
	maxNote      = 10_000
	maxText      = 100_000
	maxReporters = 100
	maxFiles     = 500
)

// clean trims a text and makes its line ends LF; what is too long, not UTF-8
// or holds control characters is a fault.
func clean(r **Refusal, field, text string, limit int) string {
	text = strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"))
	switch {
	case !utf8.ValidString(text):
		*r = (*r).Add(field, "This text is not valid UTF-8.")
	case len(text) > limit:
		*r = (*r).Add(field, fmt.Sprintf("This text is too long: it has %d bytes, and %d are the limit.", len(text), limit))
	case strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\t' }):
		*r = (*r).Add(field, "This text holds control characters. Remove them.")
	}
	return text
}

// cleanLine is clean for what must stand on one line.
func cleanLine(r **Refusal, field, text string) string {
	text = clean(r, field, text, maxLine)
	if strings.ContainsAny(text, "\n\t\u2028\u2029") {
		*r = (*r).Add(field, "This must be one line.")
	}
	return text
}

// may checks what every step of a case asks first.
func (c *Case) may(role Roles, by Caller) error {
	if !c.VisibleTo(by) {
		return ErrNotFound
	}
	if !by.Can(role) {
		return ErrForbidden
	}
	if c.Merged != "" {
		return Refuse("state", "This case was merged into another one. Work on that one, or split this one off again.")
	}
	return nil
}

// mayEdit is may for what the public will read: it is settled once disclosed.
func (c *Case) mayEdit(by Caller) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	if c.State == Disclosed {
		return Refuse("state", "The advisory is public. Publish an erratum instead of changing the case.")
	}
	return nil
}

// NewCase is a case as it begins: received, unacknowledged, on the standard
// track. The caller fills Number and what is known of the first reporter.
func NewCase(id CaseID, number int, channel Channel, protection Protection, received time.Time, policy *Policy) *Case {
	c := &Case{
		ID: id, Number: number, State: Received, Track: Standard, Channel: channel, Protection: protection,
		Received: received, Policy: policy, Alerted: map[string]Stage{},
	}
	if policy != nil {
		c.PolicyVersion = policy.Version
	}
	c.alert(AlertReport, c.ref())
	return c
}

// ref is the case's path at the desk. It is made of the number alone.
func (c *Case) ref() string { return fmt.Sprintf("/cases/%d", c.Number) }

// Assign gives the case an owner; an empty member takes it back.
func (c *Case) Assign(member MemberID, name string, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	if c.Restricted && member != "" && member != c.Owner && !slices.Contains(c.Allowed, member) {
		return Refuse("owner", "The case is restricted, and this member is not among those who may see it. Allow them first.")
	}
	if c.Restricted && c.Owner != "" && !slices.Contains(c.Allowed, c.Owner) {
		c.Allowed = append(c.Allowed, c.Owner) // who saw it as owner goes on seeing it
	}
	c.Owner, c.OwnerName = member, name
	if member == "" {
		c.OwnerName = ""
		c.record(EventAssigned, by, now, "Nobody owns it")
		return nil
	}
	c.record(EventAssigned, by, now, "Owner: %s", name)
	return nil
}

// SetTitle sets the title the team uses; it is never public.
func (c *Case) SetTitle(title string, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	var r *Refusal
	title = cleanLine(&r, "title", title)
	if title == "" {
		r = r.Add("title", "A case needs a title, if only a provisional one.")
	}
	if err := r.Err(); err != nil {
		return err
	}
	c.Title = title
	c.record(EventEdited, by, now, "Title: %s", title)
	return nil
}

var vectorForm = regexp.MustCompile(`^(CVSS:(3\.[01]|4\.0)/)?[A-Za-z]{1,3}:[A-Za-z0-9]{1,6}(/[A-Za-z]{1,3}:[A-Za-z0-9]{1,6}){3,40}$`)

// SetSeverity sets level, vector and reason as the policy's scheme has them.
// Whether a CVSS vector is complete is checked where advisories are made.
func (c *Case) SetSeverity(s Severity, by Caller, now time.Time) error {
	if err := c.mayEdit(by); err != nil {
		return err
	}
	scheme := c.Policy.orEmpty().Severity
	var r *Refusal
	s.Level = cleanLine(&r, "level", s.Level)
	s.Vector = cleanLine(&r, "vector", s.Vector)
	s.Reason = clean(&r, "reason", s.Reason, maxNote)
	switch {
	case !scheme.Shown() && (s.Level != "" || s.Vector != ""):
		r = r.Add("level", "The policy has no severities, so none is kept.")
	case scheme.Shown() && s.Level != "" && !slices.Contains(scheme.Levels, s.Level):
		r = r.Add("level", fmt.Sprintf("The policy has no severity %q; it has %s.", s.Level, strings.Join(scheme.Levels, ", ")))
	case s.Vector != "" && scheme.Scheme != "cvss":
		r = r.Add("vector", "The policy rates without CVSS vectors.")
	case s.Vector != "" && !vectorForm.MatchString(s.Vector):
		r = r.Add("vector", "This is no CVSS vector, such as CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N.")
	}
	if err := r.Err(); err != nil {
		return err
	}
	c.Severity = s
	if s.Level == "" {
		c.record(EventEdited, by, now, "Severity removed")
	} else {
		c.record(EventEdited, by, now, "Severity: %s", s.Level)
	}
	return nil
}

// Shown reports whether severities are shown and required.
func (s SeverityScheme) Shown() bool { return s.Scheme != "" && s.Scheme != "none" }

// SetClass names the kind of weakness: a CWE id or a class of the policy.
func (c *Case) SetClass(class string, by Caller, now time.Time) error {
	if err := c.mayEdit(by); err != nil {
		return err
	}
	var r *Refusal
	class = cleanLine(&r, "class", class)
	if err := r.Err(); err != nil {
		return err
	}
	c.Class = class
	c.record(EventEdited, by, now, "Class: %s", class)
	return nil
}

// SetAffected says what the case means for each series. A series left out is
// unknown, which is never printed as safe. Series out of support may be named;
// notices leave them out.
func (c *Case) SetAffected(list []Affected, by Caller, now time.Time) error {
	if err := c.mayEdit(by); err != nil {
		return err
	}
	p := c.Policy.orEmpty()
	var r *Refusal
	kept := make([]Affected, 0, len(list))
	var words []string
	for _, a := range list {
		field := "affected/" + a.Series
		a.Series = cleanLine(&r, "affected", a.Series)
		a.Versions = cleanLine(&r, field, a.Versions)
		if a.Effect == "" {
			a.Effect = EffectUnknown
		}
		switch {
		case a.Series == "":
			r = r.Add("affected", "Name the series.")
		case slices.ContainsFunc(kept, func(k Affected) bool { return k.Series == a.Series }):
			r = r.Add(field, fmt.Sprintf("Series %s is named twice.", a.Series))
		case a.Effect != Affects && a.Effect != Unaffected && a.Effect != EffectUnknown:
			r = r.Add(field, fmt.Sprintf("A series is affected, unaffected or unknown, not %q.", string(a.Effect)))
		}
		if _, known := p.series(a.Series); !known && len(p.Series) > 0 && a.Series != "" {
			r = r.Add(field, fmt.Sprintf("The policy has no series %q.", a.Series))
		}
		kept = append(kept, a)
		words = append(words, a.Series+" "+string(a.Effect))
	}
	if len(list) > 200 {
		r = r.Add("affected", "200 series are the limit.")
	}
	if err := r.Err(); err != nil {
		return err
	}
	c.Affected = kept
	c.record(EventEdited, by, now, "Affected: %s", strings.Join(words, ", "))
	return nil
}

var cveForm = regexp.MustCompile(`^CVE-(19|20)[0-9]{2}-[0-9]{4,19}$`)

// SetCVE notes the CVE id; empty removes it. It is kept in capitals.
func (c *Case) SetCVE(id string, by Caller, now time.Time) error {
	if err := c.mayEdit(by); err != nil {
		return err
	}
	id = strings.ToUpper(strings.TrimSpace(id))
	if id != "" && !cveForm.MatchString(id) {
		return Refuse("cve", "This is no CVE id, such as CVE-2026-12345.")
	}
	c.CVE = id
	if id == "" {
		c.record(EventEdited, by, now, "CVE id removed")
	} else {
		c.record(EventEdited, by, now, "CVE id: %s", id)
	}
	return nil
}

// SetPublic sets what the public will read. Everything may be empty while it
// is being written; what is missing is named by the release's preflight.
func (c *Case) SetPublic(t Text, by Caller, now time.Time) error {
	if err := c.mayEdit(by); err != nil {
		return err
	}
	var r *Refusal
	t.Title = cleanLine(&r, "public.title", t.Title)
	t.Summary = clean(&r, "public.summary", t.Summary, maxNote)
	for _, f := range []struct {
		name string
		text *string
	}{{"description", &t.Description}, {"impact", &t.Impact}, {"remedy", &t.Remedy}, {"workaround", &t.Workaround}} {
		*f.text = clean(&r, "public."+f.name, *f.text, maxText)
	}
	refs := make([]string, 0, len(t.References))
	for _, ref := range t.References {
		ref = strings.TrimSpace(ref)
		if ref == "" {
			continue
		}
		if !isWebAddress(ref) {
			r = r.Add("public.references", fmt.Sprintf("%q is no web address beginning with https:// or http://.", ref))
		}
		refs = append(refs, ref)
	}
	if len(refs) > 100 {
		r = r.Add("public.references", "100 references are the limit.")
	}
	if err := r.Err(); err != nil {
		return err
	}
	t.References = refs
	c.Public = t
	c.record(EventEdited, by, now, "Text for the public changed")
	return nil
}

func isWebAddress(s string) bool {
	if len(s) > 2000 || strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune("<>\"", c)
	}) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// SetCredit records a reporter's answer. Yes needs the exact text to print;
// anything else forgets it. Unset is no, wherever names are printed.
func (c *Case) SetCredit(id ReporterID, wish CreditWish, text string, by Caller, now time.Time) error {
	if err := c.mayEdit(by); err != nil {
		return err
	}
	reporter := c.Reporter(id)
	if reporter == nil {
		return ErrNotFound
	}
	var r *Refusal
	text = creditLine(&r, text)
	switch {
	case wish != CreditYes && wish != CreditNo && wish != CreditUnset:
		r = r.Add("wish", "The answer is yes, no, or not given yet.")
	case wish == CreditYes && text == "":
		r = r.Add("credit", "Write the credit exactly as it is to be printed.")
	}
	if err := r.Err(); err != nil {
		return err
	}
	if wish != CreditYes {
		text = ""
	}
	reporter.Credit = Credit{Wish: wish, Text: text, By: by.Name, At: now}
	switch wish {
	case CreditYes:
		c.record(EventCredit, by, now, "%s wishes to be credited as: %s", reporter.Label(), text)
	case CreditNo:
		c.record(EventCredit, by, now, "%s does not wish to be named", reporter.Label())
	default:
		c.record(EventCredit, by, now, "Credit wish of %s forgotten", reporter.Label())
	}
	return nil
}

// CleanCredit is a credit text as it may be printed, or a *Refusal.
func CleanCredit(text string) (string, error) {
	var r *Refusal
	text = creditLine(&r, text)
	return text, r.Err()
}

func creditLine(r **Refusal, text string) string {
	text = cleanLine(r, "credit", text)
	if strings.ContainsFunc(text, hidden) {
		*r = (*r).Add("credit", "This text holds control or direction signs. Remove them.")
	}
	return text
}

// hidden says whether a character steers what is shown instead of being shown.
// The two joiners, which names of some languages are written with, do not.
func hidden(c rune) bool {
	return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) && c != '\u200c' && c != '\u200d'
}

// Hidden says whether a text holds characters that must not stand in a single
// line: controls, line ends, and what changes the direction of writing.
func Hidden(text string) bool { return strings.ContainsFunc(text, hidden) }

// ShowLine is a text without what Hidden finds in it.
func ShowLine(text string) string {
	return strings.Map(func(c rune) rune {
		if hidden(c) {
			return -1
		}
		return c
	}, text)
}

// SetTrack chooses the path. An embargoed case cannot leave for a track that
// has no embargo, and a path does not change once the case is over.
func (c *Case) SetTrack(t Track, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	switch {
	case !slices.Contains(Tracks, t):
		return Refuse("track", fmt.Sprintf("No track is called %q.", string(t)))
	case c.State == Disclosed || c.State == Closed:
		return Refuse("track", fmt.Sprintf("The case is %s; its track cannot change any more.", c.State))
	case c.Release != nil && (t == PublicFix || t == Infrastructure):
		return Refuse("track", "The case is in a release. Take it out first.")
	}
	c.Track = t
	c.record(EventEdited, by, now, "Track: %s", t)
	return nil
}

// Restrict lets only the named members, the owner and the caller see the case.
// To others it does not exist from then on.
func (c *Case) Restrict(allowed []MemberID, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	list := slices.Clone(allowed)
	if by.Member != "" {
		list = append(list, by.Member) // nobody locks themselves out by a slip
	}
	slices.Sort(list)
	c.Restricted, c.Allowed = true, slices.DeleteFunc(slices.Compact(list), func(m MemberID) bool { return m == "" })
	c.record(EventRestricted, by, now, "Restricted to %s", plural(len(c.Allowed), "member"))
	return nil
}

// Unrestrict shows the case to the whole team again.
func (c *Case) Unrestrict(by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	if !c.Restricted {
		return Refuse("restricted", "The case is not restricted.")
	}
	c.Restricted, c.Allowed = false, nil
	c.record(EventRestricted, by, now, "No longer restricted")
	return nil
}

// AddReporter adds somebody who told us; the first one makes the case's
// beginning. ID and Case are filled when empty. Work may do this.
func (c *Case) AddReporter(rep Reporter, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	var r *Refusal
	rep.Name = cleanLine(&r, "name", rep.Name)
	rep.Address = cleanLine(&r, "address", rep.Address)
	if rep.Address != "" && !isAddress(rep.Address) {
		r = r.Add("address", "This is no mail address.")
	}
	if len(c.Reporters) >= maxReporters {
		r = r.Add("reporters", fmt.Sprintf("A case has at most %d reporters.", maxReporters))
	}
	if err := r.Err(); err != nil {
		return err
	}
	if rep.ID == "" {
		rep.ID = ReporterID(NewID())
	}
	if c.Reporter(rep.ID) != nil {
		return Refuse("reporters", "This reporter is in the case already.")
	}
	rep.Case = c.ID
	if rep.Received.IsZero() {
		rep.Received = now
	}
	c.Reporters = append(c.Reporters, rep)
	c.record(EventArrived, by, now, "Reported by %s (%s)", rep.Label(), rep.Channel.Word())
	return nil
}

// isAddress takes a bare address, name@host, without display name or comment.
func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

// AddFile notes an attachment by what is known without opening it.
func (c *Case) AddFile(f File, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	if len(c.Files) >= maxFiles {
		return Refuse("files", fmt.Sprintf("A case has at most %d files.", maxFiles))
	}
	if f.ID == "" {
		f.ID = FileID(NewID())
	}
	f.Label = CleanLabel(f.Label)
	if f.Added.IsZero() {
		f.Added = now
	}
	c.Files = append(c.Files, f)
	return nil
}

// CleanLabel makes a file name safe to show and to offer: the last part of a
// path, without control, format or direction signs, at most 120 bytes.
func CleanLabel(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || unicode.Is(unicode.Zl, c) || unicode.Is(unicode.Zp, c) || c == utf8.RuneError {
			return -1
		}
		return c
	}, name)
	name = strings.Trim(name, " .")
	for len(name) > 120 {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if name == "" {
		return "file"
	}
	return name
}

// NoteArrival records that something more came for the case, and tells members.
func (c *Case) NoteArrival(from string, channel Channel, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	c.record(EventArrived, by, now, "%s added something (%s)", from, channel.Word())
	c.alert(AlertMessage, c.ref())
	return nil
}

// SetAttention says why a person must look (an arrival that could not be
// read); empty: somebody has.
func (c *Case) SetAttention(why string, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	var r *Refusal
	why = clean(&r, "attention", why, maxNote)
	if err := r.Err(); err != nil {
		return err
	}
	if c.Attention == why {
		return nil
	}
	c.Attention = why
	if why == "" {
		c.record(EventNote, by, now, "Looked after")
		return nil
	}
	c.record(EventNote, by, now, "Needs attention: %s", why)
	c.alert(AlertAttention, c.ref())
	return nil
}

// Merge takes the reporters of other into c and closes other as a duplicate.
// Each keeps thread, mailbox, credit wish and time of arrival. Split undoes it.
func (c *Case) Merge(other *Case, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	if err := other.may(Triager, by); err != nil {
		return err
	}
	var r *Refusal
	switch {
	case c.ID == other.ID:
		r = r.Add("into", "A case is not merged with itself.")
	case c.State == Disclosed || c.State == Closed:
		r = r.Add("into", fmt.Sprintf("%s is %s. Merge into an open case.", c.Name(), c.State))
	case len(c.Reporters)+len(other.Reporters) > maxReporters:
		r = r.Add("into", fmt.Sprintf("A case has at most %d reporters.", maxReporters))
	case other.Restricted && !c.Restricted:
		r = r.Add("into", other.Name()+" is restricted. Restrict "+c.Name()+" first, so that merging shows it to nobody else.")
	}
	if err := r.Err(); err != nil {
		return err
	}
	if err := other.Close(Duplicate, "", c.ID, by, now); err != nil {
		return err
	}
	other.Merged = c.ID
	for _, rep := range other.Reporters {
		rep.Origins = append(slices.Clone(rep.Origins), other.ID)
		rep.Case = c.ID
		c.Reporters = append(c.Reporters, rep)
	}
	other.Reporters = nil
	c.record(EventMerged, by, now, "%s merged into this one", other.Name())
	other.record(EventMerged, by, now, "Merged into %s", c.Name())
	return nil
}

// Split undoes Merge: other takes its reporters back, with what they have said
// and wished since, and is open again.
func (c *Case) Split(other *Case, by Caller, now time.Time) error {
	if err := c.may(Triager, by); err != nil {
		return err
	}
	if !other.VisibleTo(by) {
		return ErrNotFound
	}
	if other.Merged != c.ID {
		return Refuse("split", other.Name()+" was not merged into "+c.Name()+".")
	}
	if c.Merged != "" { // its reporters are elsewhere, and those of other with them
		return Refuse("split", c.Name()+" was merged itself. Undo that first.")
	}
	other.Merged = ""
	if err := other.Reopen(by, now); err != nil {
		other.Merged = c.ID
		return err
	}
	var stay []Reporter
	for _, rep := range c.Reporters {
		last := len(rep.Origins) - 1
		if last < 0 || rep.Origins[last] != other.ID {
			stay = append(stay, rep)
			continue
		}
		rep.Case, rep.Origins, rep.ToldDate = other.ID, rep.Origins[:last:last], time.Time{} // other is in no release
		other.Reporters = append(other.Reporters, rep)
	}
	c.Reporters = stay
	c.record(EventSplit, by, now, "%s split off again", other.Name())
	other.record(EventSplit, by, now, "Split off %s", c.Name())
	return nil
}

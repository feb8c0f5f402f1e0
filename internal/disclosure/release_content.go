package disclosure

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

var versionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,63}$`)

// SetVersion says which version the release brings for a series; an empty
// number removes it.
func (r *Release) SetVersion(series, number string, by Caller, now time.Time) error {
	if err := r.mayChange(by); err != nil {
		return err
	}
	series, number = strings.TrimSpace(series), strings.TrimSpace(number)
	var refusal *Refusal
	refusal = r.checkSeries(refusal, series)
	if number != "" && !versionForm.MatchString(number) {
		refusal = refusal.Add("versions/"+series, "A version is written with letters, digits and . + ~ _ - , such as 4.2.10.")
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	if v := r.version(series); v == nil && number != "" {
		if len(r.Versions) >= maxVersions {
			return Refuse("versions", fmt.Sprintf("A release has at most %d versions.", maxVersions))
		}
		r.Versions = append(r.Versions, Version{Series: series, Number: number})
	} else if v != nil && v.Number == number {
		return nil
	} else if v != nil {
		v.Number = number
		r.Versions = slices.DeleteFunc(r.Versions, Version.empty)
	}
	r.void(by, now)
	r.record(EventEdited, by, now, "Version of %s: %s", series, cmp.Or(number, "removed"))
	return nil
}

func (v Version) empty() bool { return v.Number == "" && v.NoPatch == "" && len(v.Artefacts) == 0 }

// SetNoPatch says explicitly that a series gets no patch, and why; an empty
// reason takes it back.
func (r *Release) SetNoPatch(series, reason string, by Caller, now time.Time) error {
	if err := r.mayChange(by); err != nil {
		return err
	}
	series = strings.TrimSpace(series)
	var refusal *Refusal
	refusal = r.checkSeries(refusal, series)
	reason = cleanLine(&refusal, "versions/"+series, reason)
	if err := refusal.Err(); err != nil {
		return err
	}
	v := r.version(series)
	if v == nil && reason != "" {
		r.Versions = append(r.Versions, Version{Series: series, NoPatch: reason})
	} else if v != nil {
		v.NoPatch = reason
		r.Versions = slices.DeleteFunc(r.Versions, Version.empty)
	}
	r.void(by, now)
	r.record(EventEdited, by, now, "No patch for %s: %s", series, cmp.Or(reason, "taken back"))
	return nil
}

func (r *Release) version(series string) *Version {
	for i := range r.Versions {
		if r.Versions[i].Series == series {
			return &r.Versions[i]
		}
	}
	return nil
}

func (r *Release) checkSeries(refusal *Refusal, series string) *Refusal {
	p := r.Policy.orEmpty()
	if series == "" {
		return refusal.Add("series", "Name the series.")
	}
	if _, known := p.series(series); !known && len(p.Series) > 0 {
		return refusal.Add("series", fmt.Sprintf("The policy has no series %q.", series))
	}
	return refusal
}

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// AddArtefact says where the public will get a version. It changes no notice:
// distributors are told of patches, and the public of artefacts on the day.
func (r *Release) AddArtefact(series string, a Artefact, by Caller, now time.Time) error {
	if err := r.mayPrepare(by); err != nil {
		return err
	}
	field := "versions/" + series
	var refusal *Refusal
	a.Kind = cleanLine(&refusal, field, a.Kind)
	a.URL = strings.TrimSpace(a.URL)
	a.SHA256 = strings.ToLower(strings.TrimSpace(a.SHA256))
	v := r.version(strings.TrimSpace(series))
	switch {
	case v == nil:
		refusal = refusal.Add("series", "Set the version of this series first.")
	case len(v.Artefacts) >= maxArtefacts:
		refusal = refusal.Add(field, fmt.Sprintf("A version has at most %d artefacts.", maxArtefacts))
	}
	if a.Kind == "" {
		refusal = refusal.Add(field, "Say what it is: pypi, website, git-tag, …")
	}
	if !isWebAddress(a.URL) {
		refusal = refusal.Add(field, "Give the web address it can be fetched from.")
	}
	if a.SHA256 != "" && !sha256Form.MatchString(a.SHA256) {
		refusal = refusal.Add(field, "A SHA-256 has 64 hexadecimal digits.")
	}
	if err := refusal.Err(); err != nil {
		return err
	}
	v.Artefacts = append(v.Artefacts, a)
	r.record(EventEdited, by, now, "Artefact of %s: %s", series, a.Kind)
	return nil
}

// patchForm is what linux-distros asks of attachments, and mail survives.
var patchForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// AddPatch notes an uploaded file. Its bytes are kept as they came; size and
// SHA-256 are what the signed text will name. A series has each name once: the
// same one again is refused unless p says that it replaces.
func (r *Release) AddPatch(p Patch, by Caller, now time.Time) error {
	if err := r.mayChange(by); err != nil {
		return err
	}
	var refusal *Refusal
	if !patchForm.MatchString(p.Name) {
		refusal = refusal.Add("name", "A patch's name has letters, digits and . _ - only, and begins with a letter or digit.")
	}
	if p.Series != "" {
		refusal = r.checkSeries(refusal, p.Series)
	} else {
		refusal = refusal.Add("series", "Say which series the patch is for.")
	}
	if !sha256Form.MatchString(p.File.SHA256) || p.File.Size <= 0 {
		refusal = refusal.Add("file", "The file is empty.")
	}
	if p.Case != "" && !slices.ContainsFunc(r.Cases, func(c *Case) bool { return c.ID == p.Case }) {
		refusal = refusal.Add("case", "This case is not in the release.")
	}
	i := slices.IndexFunc(r.Patches, func(q Patch) bool { return q.Series == p.Series && strings.EqualFold(q.Name, p.Name) })
	if i < 0 && len(r.Patches) >= maxPatches {
		refusal = refusal.Add("patches", fmt.Sprintf("A release has at most %d patches.", maxPatches))
	}
	if i >= 0 && !p.Replace {
		refusal = refusal.Add("name", fmt.Sprintf("There is a patch %s for %s already. Say that the new file replaces it, or give it another name.", r.Patches[i].Name, p.Series))
	}
	p.Replace = false
	if err := refusal.Err(); err != nil {
		return err
	}
	if p.File.ID == "" {
		p.File.ID = FileID(NewID())
	}
	if p.File.Added.IsZero() {
		p.File.Added, p.File.By = now, by.Name
	}
	if i >= 0 {
		r.Patches[i] = p
	} else {
		r.Patches = append(r.Patches, p)
	}
	r.void(by, now)
	r.record(EventEdited, by, now, "Patch %s (%d bytes, SHA-256 %s)", p.Name, p.File.Size, p.File.SHA256)
	return nil
}

// PatchBriefs are the release's patches as texts name them and mail carries
// them. git gives the same names on each branch: a name that several series
// have begins with the series. No two have one name, nor one publicName.
func (r *Release) PatchBriefs() []PatchBrief {
	list := make([]PatchBrief, len(r.Patches))
	uses := map[string]int{}
	for _, p := range r.Patches {
		uses[strings.ToLower(p.Name)]++
	}
	taken := map[string]bool{}
	for i, p := range r.Patches {
		b := PatchBrief{Name: p.Name, Series: p.Series, Size: p.File.Size, SHA256: p.File.SHA256}
		if uses[strings.ToLower(p.Name)] > 1 {
			b.Name = seriesPrefix(p.Series) + p.Name
		}
		b.Name = shortened(b.Name)
		stem := b.Name
		for n := 2; taken[publicName(b.Name)]; n++ {
			b.Name = shortened(fmt.Sprintf("%d-%s", n, stem))
		}
		taken[publicName(b.Name)] = true
		list[i] = b
	}
	return list
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func seriesPrefix(series string) string {
	s := strings.Trim(notInNames.ReplaceAllString(series, "-"), "._-")
	if len(s) > 20 {
		s = s[:20]
	}
	if s == "" {
		return ""
	}
	return s + "-"
}

// shortened keeps a name within what patchForm allows, and its ending.
func shortened(name string) string {
	if len(name) <= 100 {
		return name
	}
	return name[:50] + name[len(name)-50:]
}

// DropPatch removes one.
func (r *Release) DropPatch(id FileID, by Caller, now time.Time) error {
	if err := r.mayChange(by); err != nil {
		return err
	}
	i := slices.IndexFunc(r.Patches, func(p Patch) bool { return p.File.ID == id })
	if i < 0 {
		return ErrNotFound
	}
	name := r.Patches[i].Name
	r.Patches = slices.Delete(r.Patches, i, i+1)
	r.void(by, now)
	r.record(EventEdited, by, now, "Patch %s removed", name)
	return nil
}

package disclosure

import (
	"slices"
	"strings"
	"time"
)

// Brief is what an audience may know of the release, and nothing else: a
// template given it cannot print the rest. The public learns the date, the
// number and the severities ahead of the day; reporters the date; distributors
// everything but what stays in the team; and everybody the advisory on the day.
// URL is left to whoever knows where the gate is.
func (r *Release) Brief(a Audience) Brief {
	p := r.Policy.orEmpty()
	b := Brief{Audience: a, Project: p.Project, Contact: p.Contact.Address, At: r.At, Zone: r.Zone}
	if r.State == CalledOff {
		b.At = time.Time{} // there is no hour any more
	}
	switch a {
	case ToReporters:
		return b
	case ToAnnounceAhead:
		b.Count = len(r.Cases)
		b.Severities = r.severities()
		for _, v := range r.Versions {
			if v.Number != "" {
				b.Versions = append(b.Versions, Version{Series: v.Series, Number: v.Number})
			}
		}
		return b
	case ToDistributors:
		b.Sharing = p.Distributors.Sharing
		b.Urgent, b.Reason = r.urgent(), r.Reason
	case ToAnnounce, ToOSS:
	default:
		return Brief{Audience: a} // an audience nobody decided about learns nothing
	}
	b.Release = r.ID
	b.Count = len(r.Cases)
	b.Severities = r.severities()
	for _, c := range r.Cases {
		b.Issues = append(b.Issues, r.issue(c))
	}
	for _, v := range r.Versions {
		kept := Version{Series: v.Series, Number: v.Number, NoPatch: v.NoPatch}
		if !a.Ahead() {
			kept.Artefacts = slices.Clone(v.Artefacts)
		}
		b.Versions = append(b.Versions, kept)
	}
	b.Patches = append(b.Patches, r.PatchBriefs()...)
	return b
}

// BriefFor is the brief of one case's audience: a reporter's of the case, or
// what the page of a single advisory needs.
func (r *Release) BriefFor(id CaseID, a Audience) Brief {
	b := r.Brief(a)
	b.Issues, b.Patches, b.Severities, b.Count = nil, nil, nil, 0
	for _, c := range r.Cases {
		if c.ID != id || a == ToReporters || a == ToAnnounceAhead {
			continue
		}
		b.Count = 1
		b.Issues = []Issue{r.issue(c)}
		if r.Policy.orEmpty().Severity.Shown() && c.Severity.Level != "" {
			b.Severities = []string{c.Severity.Level}
		}
		b.Patches = r.patchesOf(c)
	}
	return b
}

// severities lists one level per issue, the policy's highest first.
func (r *Release) severities() []string {
	scheme := r.Policy.orEmpty().Severity
	if !scheme.Shown() {
		return nil
	}
	var list []string
	for _, c := range r.Cases {
		if c.Severity.Level != "" {
			list = append(list, c.Severity.Level)
		}
	}
	slices.SortStableFunc(list, func(a, b string) int { return rank(scheme.Levels, a) - rank(scheme.Levels, b) })
	return list
}

// rank puts what the policy does not know last.
func rank(levels []string, level string) int {
	if i := slices.Index(levels, level); i >= 0 {
		return i
	}
	return len(levels)
}

// issue is a case as those may read it who may read it at all.
func (r *Release) issue(c *Case) Issue {
	i := Issue{PublicName: c.PublicName, CVE: c.CVE, Text: c.Public, Class: c.Class, Credits: c.Credits(), Affected: r.supportedOf(c)}
	i.Text.References = slices.Clone(c.Public.References)
	if r.Policy.orEmpty().Severity.Shown() {
		i.Severity = Severity{Level: c.Severity.Level, Vector: c.Severity.Vector} // our reasons stay inside
	}
	return i
}

// supportedOf leaves out series without support on the day of disclosure.
func (r *Release) supportedOf(c *Case) []Affected {
	p := r.Policy.orEmpty()
	day := r.At
	if !r.DisclosedAt.IsZero() {
		day = r.DisclosedAt
	}
	var list []Affected
	for _, a := range c.Affected {
		s, known := p.series(a.Series)
		if known && p.supports(s, day) || len(p.Series) == 0 {
			list = append(list, a)
		}
	}
	return list
}

// patchesOf lists those of one case, and those of the whole release.
func (r *Release) patchesOf(c *Case) []PatchBrief {
	var list []PatchBrief
	for i, b := range r.PatchBriefs() {
		if p := r.Patches[i]; p.Case == c.ID || p.Case == "" {
			list = append(list, b)
		}
	}
	return list
}

// Advisories are what the public reads once the release is published: one for
// each case, version 1, as of now.
func (r *Release) Advisories(now time.Time) []Advisory {
	p := r.Policy.orEmpty()
	var list []Advisory
	for _, c := range r.Cases {
		a := Advisory{
			Name: c.PublicName, Version: 1, Issue: r.issue(c), Patches: publicPatches(c.PublicName, r.patchesOf(c)),
			Published: now, Updated: now, Release: r.ID, Project: p.Project,
		}
		for _, v := range r.Versions {
			v.Artefacts = slices.Clone(v.Artefacts)
			a.Versions = append(a.Versions, v)
		}
		list = append(list, a.printable())
	}
	return list
}

// publicPatches says where the public fetches each.
func publicPatches(advisory string, list []PatchBrief) []PatchBrief {
	for i, p := range list {
		list[i].Path = "/advisories/" + advisory + "/" + withEnding(p.Name)
	}
	return list
}

// withEnding is the file name of a patch below its advisory's address.
func withEnding(name string) string {
	if low := strings.ToLower(name); strings.HasSuffix(low, ".patch") || strings.HasSuffix(low, ".diff") {
		return name
	}
	return name + ".patch"
}

// publicName is what may be there once only: on some disks and for some people
// Fix.patch and fix.patch are one.
func publicName(name string) string { return strings.ToLower(withEnding(name)) }

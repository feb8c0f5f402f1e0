package desk

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"postern/internal/disclosure"
	pages "postern/web/desk"
	"postern/web/ui"
)

// caseView loads what the page of a case shows.
func (d *Desk) caseView(v *visit, c *disclosure.Case) (pages.CaseView, error) {
	view := pages.CaseView{Desk: d.frame(v, ui.NavInbox), Case: c, Clocks: c.Clocks(), Once: disclosure.NewID(), Lane: laneOf(v.URL.Query().Get("lane")),
		ReadOnly: v.by.Roles&(disclosure.Triager|disclosure.Releaser) == 0}
	thread, err := d.c.DB.Thread(v.Context(), v.by, c.ID)
	if err != nil {
		return view, err
	}
	if view.Events, err = d.c.DB.Timeline(v.Context(), v.by, c.ID); err != nil {
		return view, err
	}
	slices.Reverse(view.Events)
	if view.Members, err = d.memberOptions(v); err != nil {
		return view, err
	}
	policy, err := d.c.DB.Policy(v.Context(), c.PolicyVersion)
	if err != nil {
		return view, err
	}
	for _, s := range policy.Supported(d.c.DB.Now()) {
		view.Series = append(view.Series, s.Name)
	}
	if policy.Severity.Shown() {
		view.Levels, view.CVSS = policy.Severity.Levels, policy.Severity.Scheme == "cvss"
	}
	if c.State == disclosure.Accepted && v.by.Roles.Has(disclosure.Releaser) {
		cards, err := d.c.DB.Releases(v.Context(), v.by)
		if err != nil {
			return view, err
		}
		for _, r := range cards {
			if r.State == disclosure.Draft || r.State == disclosure.Scheduled {
				view.Releases = append(view.Releases, ui.Option{Value: string(r.ID), Label: r.Title})
			}
		}
	}
	view.Lanes = lanes(c, thread, v.by)
	if err := d.ways(v, c, &view); err != nil {
		return view, err
	}
	view.Steps, view.NextStep = caseArrows(c, v.by)
	view.CanSee = canSee(c, view.Members)
	view.Waits = waits(thread)
	view.Refresh = pages.CaseFragment(c.Number, "conversation")
	if view.Lane.Kind != "" {
		view.Refresh += "?lane=" + url.QueryEscape(v.URL.Query().Get("lane"))
	}
	return view, nil
}

// laneOf reads "team" or "reporter:<id>"; the empty lane shows all.
func laneOf(text string) disclosure.Lane {
	kind, id, _ := strings.Cut(text, ":")
	switch k := disclosure.LaneKind(kind); k {
	case disclosure.LaneTeam, disclosure.LaneReporter, disclosure.LanePartner, disclosure.LaneDistributor:
		return disclosure.Lane{Kind: k, ID: id}
	}
	return disclosure.Lane{}
}

// lanes sorts the thread by who hears it: the team's lane first, then one per
// reporter in order of arrival.
func lanes(c *disclosure.Case, thread []disclosure.Message, by disclosure.Caller) []pages.LaneView {
	all := []pages.LaneView{{Lane: disclosure.Lane{Kind: disclosure.LaneTeam}, Reader: "the team"}}
	for _, r := range c.Reporters {
		lane := pages.LaneView{Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(r.ID)}, Reader: r.Label()}
		all = append(all, lane)
	}
	for _, m := range thread {
		i := slices.IndexFunc(all, func(l pages.LaneView) bool { return l.Lane == m.Lane })
		if i < 0 {
			all = append(all, pages.LaneView{Lane: m.Lane, Reader: m.Author, NoWay: "This reader is not part of the case any more."})
			i = len(all) - 1
		}
		all[i].Messages = append(all[i].Messages, messageView(c, m, all[i].Reader, by))
		all[i].Count++
	}
	return all
}

func messageView(c *disclosure.Case, m disclosure.Message, reader string, by disclosure.Caller) pages.MessageView {
	view := pages.MessageView{Message: m, Reader: reader}
	for _, id := range m.Files {
		for _, f := range c.Files {
			if f.ID == id {
				view.CaseFiles = append(view.CaseFiles, f)
			}
		}
	}
	view.CanTakeBack = m.State == disclosure.MessageWaiting && by.Roles.Has(disclosure.Triager)
	view.CanOpenAgain = m.State == disclosure.MessageIn && m.Arrival != "" && m.Protection.Encryption == disclosure.Unopened &&
		by.Roles.Has(disclosure.Triager)
	view.CanOpenWith = view.CanOpenAgain && needsPassphrase(m)
	if m.Arrival != "" {
		view.OriginalHref = pages.OriginalPath(c.Number, m.Arrival)
	}
	return view
}

// caseArrows turns the rules' steps into buttons, the recommended one apart.
func caseArrows(c *disclosure.Case, by disclosure.Caller) ([]pages.CaseStep, pages.CaseStep) {
	var all []pages.CaseStep
	var first pages.CaseStep
	for _, s := range c.Steps(by) {
		step := pages.CaseStep{Do: pages.CaseMove, To: s.To, Label: s.Label}
		switch {
		case s.To == disclosure.Triage && c.State == disclosure.Received:
			step.Do = pages.CaseAcknowledge
		case s.To == disclosure.Triage && c.State == disclosure.Closed:
			step.Do = pages.CaseReopen
		case s.Verdict:
			step.Do = pages.CaseClose
		case s.To == disclosure.Embargoed || s.To == disclosure.Disclosed:
			step.Do, step.Href = "link", pages.PathReleases
		}
		if c.Release != nil && step.Do == "link" {
			step.Href = pages.ReleasePath(c.Release.ID)
		}
		for i, f := range s.Faults {
			if i > 0 {
				step.Why += " "
			}
			step.Why += f.Text
		}
		if s.Recommended {
			first = step
		}
		all = append(all, step)
	}
	if first.Do == "" {
		first = caseNext(c, by)
	}
	return all, first
}

func canSee(c *disclosure.Case, members []ui.Option) []string {
	if !c.Restricted {
		return nil
	}
	var names []string
	for _, m := range members {
		if c.Owner == disclosure.MemberID(m.Value) || slices.Contains(c.Allowed, disclosure.MemberID(m.Value)) {
			names = append(names, m.Label)
		}
	}
	return names
}

// waits is when the nearest waiting answer leaves.
func waits(thread []disclosure.Message) time.Time {
	var first time.Time
	for _, m := range thread {
		if m.State == disclosure.MessageWaiting && (first.IsZero() || m.LeavesAt.Before(first)) {
			first = m.LeavesAt
		}
	}
	return first
}

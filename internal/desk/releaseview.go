package desk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/internal/disclosure"
	pages "postern/web/desk"
	"postern/web/ui"
)

// releaseView gathers what a release's page shows.
func (d *Desk) releaseView(v *visit, r *disclosure.Release) (pages.ReleaseView, error) {
	now := d.c.DB.Now()
	view := pages.ReleaseView{
		Desk: d.frame(v, ui.NavReleases), Release: r, Line: line(r, now), Missing: missing(r, now), Notices: noticeRows(r),
		Clocks: r.Clocks(), Series: series(r), NextStep: releaseNext(r, v.by, now), CanRelease: v.by.Can(disclosure.Releaser), Form: hourOf(r, now),
	}
	var err error
	if view.Events, err = d.c.DB.ReleaseTimeline(v.Context(), v.by, r.ID); err != nil {
		return view, err
	}
	slices.Reverse(view.Events)
	if view.CanRelease && (r.State == disclosure.Draft || r.State == disclosure.Scheduled) {
		if view.Candidates, err = d.freeCases(v); err != nil {
			return view, err
		}
	}
	if view.CanRelease || v.by.Can(disclosure.Admin) {
		for i := len(r.Notices) - 1; i >= 0; i-- {
			rows, err := d.ledger(v, r.Notices[i])
			if err != nil {
				return view, err
			}
			view.Ledger = append(view.Ledger, rows...)
			if r.Notices[i].State == disclosure.NoticeSending {
				view.Refresh = pages.ReleaseForm(r.ID, pages.ReleaseLedger)
			}
		}
	}
	return view, nil
}

// ledger is a notice's deliveries; the private list's names stay hidden until
// a step-up.
func (d *Desk) ledger(v *visit, n *disclosure.Notice) ([]pages.LedgerRow, error) {
	if len(n.Tally) == 0 {
		return nil, nil
	}
	list, err := d.c.DB.Ledger(v.Context(), v.by, n.ID)
	if err != nil {
		return nil, err
	}
	return ledgerRows(n, list, v.by.SteppedUp(d.c.DB.Wall())), nil
}

func ledgerRows(n *disclosure.Notice, list []disclosure.Delivery, named bool) []pages.LedgerRow {
	rows := make([]pages.LedgerRow, len(list))
	for i, x := range list {
		rows[i] = pages.LedgerRow{ID: x.ID, Notice: n.ID, Audience: n.Audience, Place: i + 1, State: x.State, Updated: x.Updated,
			Answered: x.Answered, Attempt: x.Attempt}
		if named || !n.Audience.Private() {
			rows[i].Name, rows[i].Reply = x.Recipient.Name, x.Reply // a server's words may name the recipient
		}
	}
	return rows
}

// series are those with support at the hour.
func series(r *disclosure.Release) []string {
	var names []string
	for _, s := range r.Policy.Supported(r.At) {
		names = append(names, s.Name)
	}
	return names
}

// hourOf fills the form for the hour: the planned one, else what the policy
// has in mind, in the release's zone.
func hourOf(r *disclosure.Release, now time.Time) pages.PlanForm {
	f := pages.PlanForm{Zone: r.Zone, Urgent: r.Urgent}
	loc, err := disclosure.LoadZone(r.Zone)
	if err != nil {
		loc = time.UTC
	}
	at := r.At.In(loc)
	if r.At.IsZero() {
		cal := r.Policy.Calendar
		cal.Zone = cmp.Or(r.Zone, cal.Zone)
		day := r.Policy.Lead.Target.After(now, cal).In(loc).AddDate(0, 0, 1)
		h, err := time.Parse("15:04", r.Policy.Publish.Hour)
		if err != nil {
			h = time.Date(1, 1, 1, 15, 0, 0, 0, time.UTC)
		}
		at = time.Date(day.Year(), day.Month(), day.Day(), h.Hour(), h.Minute(), 0, 0, loc)
	}
	f.At = at.Format(hourForm)
	return f
}

// line is the way from here to the hour.
func line(r *disclosure.Release, now time.Time) []pages.Mark {
	if r.At.IsZero() || r.State == disclosure.CalledOff {
		return nil
	}
	var marks []pages.Mark
	for _, n := range r.Notices {
		if n.State == disclosure.NoticeCanceled || n.SendAt.IsZero() && n.SentAt.IsZero() {
			continue
		}
		m := pages.Mark{At: n.SendAt, Words: "Notice to " + n.Audience.Words(), Href: pages.NoticePath(r.ID, n.ID), Done: n.State == disclosure.NoticeSent}
		if m.Done {
			m.At = n.SentAt
		}
		m.Late = !m.Done && n.State != disclosure.NoticeSending && now.After(m.At)
		marks = append(marks, m)
	}
	hour := pages.Mark{At: r.At, Words: "The hour", Hour: true, Done: r.State == disclosure.Published}
	hour.Late = !hour.Done && now.After(r.At)
	marks = append(marks, hour)
	slices.SortStableFunc(marks, func(a, b pages.Mark) int { return a.At.Compare(b.At) })
	return marks
}

// missing is what has to be done still: for each notice ahead, and for
// publishing. That the hour has not come, and that the day has not begun, is
// no work of anybody's.
func missing(r *disclosure.Release, now time.Time) []pages.Missing {
	if r.State == disclosure.Published || r.State == disclosure.CalledOff {
		return nil
	}
	var list []pages.Missing
	add := func(blocks string, faults []disclosure.Fault) {
		for _, f := range faults {
			if f.Field == "at" && !r.At.IsZero() || f.Field == "steps" && r.State != disclosure.Releasing {
				continue
			}
			if !slices.ContainsFunc(list, func(m pages.Missing) bool { return m.Text == f.Text }) {
				list = append(list, mend(r, f, blocks))
			}
		}
	}
	for _, n := range r.Notices {
		if n.Audience.Ahead() && (n.State == disclosure.NoticeDraft || n.State == disclosure.NoticeFrozen || n.State == disclosure.NoticeApproved) {
			add("sending", r.Missing(disclosure.ToFreeze, n.Audience, disclosure.Facts{}, now))
		}
	}
	add("publishing", r.Missing(disclosure.ToPublish, "", disclosure.Facts{}, now))
	return list
}

// problems are the faults of a preflight with the places where they are mended.
func problems(r *disclosure.Release, faults []disclosure.Fault, blocks string) []pages.Missing {
	var list []pages.Missing
	for _, f := range faults {
		list = append(list, mend(r, f, blocks))
	}
	return list
}

// mend says where a fault of a preflight is mended, from its field.
func mend(r *disclosure.Release, f disclosure.Fault, blocks string) pages.Missing {
	m := pages.Missing{Text: f.Text, Blocks: blocks}
	page := pages.ReleasePath(r.ID)
	what, rest, _ := strings.Cut(f.Field, "/")
	switch what {
	case "cases":
		number, part, _ := strings.Cut(rest, "/")
		if number == "" {
			m.Href, m.Link = page+"#cases", "Choose the cases"
			break
		}
		anchor := map[string]string{"public.title": "#edit-text", "public.description": "#edit-text", "public.remedy": "#edit-text",
			"affected": "#edit-affected", "severity": "#edit-severity"}[part]
		m.Href, m.Link = "/cases/"+number+anchor, "Open case #"+number
	case "versions":
		m.Href, m.Link = page+"#versions", "Set the version of "+rest
	case "patches":
		m.Href, m.Link = page+"#patches", strings.TrimSpace("Upload a patch "+forWhat(rest))
	case "notices":
		audience, _, _ := strings.Cut(rest, "/")
		m.Href, m.Link = page+"#notices", "Go to the notices"
		for _, n := range r.Notices {
			if string(n.Audience) == audience && n.State != disclosure.NoticeCanceled {
				m.Href, m.Link = pages.NoticePath(r.ID, n.ID), "Open the notice"
			}
		}
	case "distributors":
		m.Href, m.Link = pages.DistributorPath(disclosure.DistributorID(rest)), "Open the distributor"
	case "at":
		m.Href, m.Link = pages.ReleaseForm(r.ID, pages.ReleasePostpone), "Move the hour"
		if r.State == disclosure.Draft {
			m.Href, m.Link = page+"#form-plan", "Set the date"
		}
	case "steps":
		m.Href, m.Link = page+"#runbook", "Go to the runbook"
		if r.State != disclosure.Releasing {
			m.Href, m.Link = page+"#form-begin", "Begin the day"
		}
	case "confirm":
		m.Href, m.Link = pages.ReleaseForm(r.ID, pages.ReleasePublish)+"#second-title", "See who agreed"
	}
	return m
}

func forWhat(name string) string {
	if name == "" {
		return ""
	}
	return "for " + name
}

// noticeRows are the notices there are, and those the policy wants besides.
func noticeRows(r *disclosure.Release) []pages.NoticeRow {
	var rows []pages.NoticeRow
	for _, n := range r.Notices {
		rows = append(rows, pages.NoticeRow{ID: n.ID, Audience: n.Audience, State: n.State, SendAt: n.SendAt, SentAt: n.SentAt, Deadline: n.Deadline, Tally: n.Tally})
	}
	if r.At.IsZero() || r.State == disclosure.Published || r.State == disclosure.CalledOff {
		return rows
	}
	for _, a := range r.Audiences() {
		if !slices.ContainsFunc(r.Notices, func(n *disclosure.Notice) bool { return n.Audience == a }) {
			rows = append(rows, pages.NoticeRow{Audience: a, Missing: true})
		}
	}
	return rows
}

// releaseNext is the one thing to do next.
func releaseNext(r *disclosure.Release, by disclosure.Caller, now time.Time) pages.CaseStep {
	link := func(href, label, hint string) pages.CaseStep {
		return pages.CaseStep{Do: "link", Href: href, Label: label, Hint: hint}
	}
	page := pages.ReleasePath(r.ID)
	switch {
	case !by.Can(disclosure.Releaser):
		return pages.CaseStep{Hint: "Releasers plan, send and publish."}
	case r.State == disclosure.Draft && len(r.Cases) == 0:
		return link(page+"#cases", "Add a case", "")
	case r.State == disclosure.Draft:
		return link(page+"#form-plan", "Set the date", "Its cases are embargoed with it, and the notices are drafted.")
	}
	for _, n := range r.Notices {
		href := pages.NoticePath(r.ID, n.ID)
		switch {
		case n.State == disclosure.NoticeDraft && len(r.Missing(disclosure.ToFreeze, n.Audience, disclosure.Facts{}, now)) > 0:
			return link("#missing", "Mend what is missing", "")
		case n.State == disclosure.NoticeDraft:
			return link(href, "Write and freeze a notice", "To "+n.Audience.Words()+".")
		case n.State == disclosure.NoticeFrozen:
			return link(href, "Approve a notice", "To "+n.Audience.Words()+".")
		case n.State == disclosure.NoticeApproved && n.Audience.Ahead():
			return link(pages.NoticeForm(r.ID, n.ID, pages.NoticeSend), "Send a notice", "To "+n.Audience.Words()+".")
		case n.State == disclosure.NoticeSending:
			return link(href, "Watch it being sent", "")
		}
	}
	undone := slices.ContainsFunc(r.Steps, func(s disclosure.Step) bool { return s.Done.IsZero() })
	near := !now.Before(r.At.Add(-24 * time.Hour))
	switch {
	case r.State == disclosure.Published || r.State == disclosure.CalledOff:
		return pages.CaseStep{}
	case r.State == disclosure.Releasing && undone:
		return link(page+"#runbook", "Go on with the runbook", "")
	case r.State != disclosure.Releasing && len(r.Policy.Publish.Steps) > 0 && near:
		return pages.CaseStep{Do: pages.ReleaseBegin, Label: "Begin the day", Hint: "Shows the runbook, in order."}
	case !now.Before(r.At.Add(-disclosure.Early)):
		return link(pages.ReleaseForm(r.ID, pages.ReleasePublish), "Go to the publish page", "")
	}
	return pages.CaseStep{Hint: "Wait for the hour."}
}

// told says who knows of the hour, and how many deliveries a change cancels.
func told(r *disclosure.Release) (who []string, queued int) {
	for _, n := range r.Notices {
		if n.State != disclosure.NoticeSent && n.State != disclosure.NoticeSending {
			continue
		}
		queued += n.Tally[disclosure.Queued] + n.Tally[disclosure.Deferred]
		if reached := n.Tally[disclosure.Delivered] + n.Tally[disclosure.Uncertain] + n.Tally[disclosure.Sending]; n.Audience.Ahead() && reached > 0 {
			who = append(who, fmt.Sprintf("%s (%d)", n.Audience.Words(), reached))
		}
	}
	return who, queued
}

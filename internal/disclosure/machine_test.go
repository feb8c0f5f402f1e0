package disclosure_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	. "postern/internal/disclosure"
)

// machine takes random steps on two releases and their cases, as anybody and
// at any time, and looks at what must always hold.
type machine struct {
	t        *rapid.T
	p        *Policy
	now      time.Time
	cases    []*Case
	releases []*Release
	gen      map[ReleaseID]int
	public   map[CaseID]bool
	sent     map[NoticeID]bool
}

func (m *machine) caller() Caller {
	names := []string{"all", "all", "all", "triager", "releaser", "admin", "auditor", "nobody", "work"}
	c := who[rapid.SampledFrom(names).Draw(m.t, "caller")]
	if rapid.Bool().Draw(m.t, "verified") {
		c.Verified = m.now
	}
	return c
}

func (m *machine) step() {
	c := m.cases[rapid.IntRange(0, len(m.cases)-1).Draw(m.t, "case")]
	r := m.releases[rapid.IntRange(0, len(m.releases)-1).Draw(m.t, "release")]
	by := m.caller()
	var n *Notice
	if len(r.Notices) > 0 {
		n = r.Notices[rapid.IntRange(0, len(r.Notices)-1).Draw(m.t, "notice")]
	}
	steps := []func(){
		func() { m.now = m.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(m.t, "hours")) * time.Hour) },
		func() { _ = c.Move(rapid.SampledFrom(CaseStates).Draw(m.t, "to"), by, m.now) },
		func() { _ = c.Accept(by, m.now) },
		func() { _ = c.Close(rapid.SampledFrom(Verdicts).Draw(m.t, "verdict"), "", "", by, m.now) },
		func() { _ = c.SetTrack(rapid.SampledFrom(Tracks).Draw(m.t, "track"), by, m.now) },
		func() { _ = c.SetSeverity(Severity{Level: "low"}, by, m.now) },
		func() { _ = c.SetAffected([]Affected{{Series: "4.2", Effect: Affects}}, by, m.now) },
		func() { _ = c.SetPublic(Text{Title: "t", Description: "d", Remedy: "r"}, by, m.now) },
		func() { _ = r.Gather(c, by, m.now) },
		func() { _ = r.Gather(c, by, m.now) },
		func() { _ = r.Drop(c.ID, by, m.now) },
		func() {
			at := m.now.AddDate(0, 0, rapid.IntRange(-1, 20).Draw(m.t, "days"))
			_ = r.Plan(at, "", rapid.SampledFrom([]string{"", "because"}).Draw(m.t, "reason"), by, m.now)
		},
		func() { _ = r.Move(rapid.SampledFrom(ReleaseStates).Draw(m.t, "to"), by, m.now) },
		func() { _ = r.SetVersion("4.2", "4.2.1", by, m.now) },
		func() { _ = r.SetNoPatch("4.2", "none", by, m.now) },
		func() { _ = r.SetUrgent(true, "exploited", by, m.now) },
		func() { _ = r.DraftNotices(by, m.now) },
		func() { r.Tick(m.now); c.Tick(m.now) },
		func() {
			if rapid.IntRange(0, 9).Draw(m.t, "really") == 0 {
				_ = r.CallOff("why not", by, m.now)
			}
		},
		func() { _ = r.Publish(r.Title, by, m.now, m.now) },
	}
	if n != nil {
		steps = append(steps,
			func() { _ = r.EditNotice(n.ID, "s", "t", by, m.now) },
			func() {
				_ = r.DraftText(n.ID, "s", essentials(r, n.Audience), all, m.now)
				_ = r.Freeze(n.ID, []byte("x"), Facts{}, by, m.now)
			},
			func() { _ = r.Approve(n.ID, "l", nil, by, m.now) },
			func() { _ = r.StartSending(n.ID, twoRecipients, by, m.now, m.now) },
			func() {
				if n.State == NoticeSending {
					n.Tally = map[DeliveryState]int{Delivered: 1}
				}
				_ = r.NoticeSent(n.ID, by, m.now)
			},
			func() { _ = r.CancelNotice(n.ID, by, m.now) },
			func() { m.hurry(r, n) },
			func() { m.hurry(r, n) },
		)
	}
	steps[rapid.IntRange(0, len(steps)-1).Draw(m.t, "step")]()
}

// hurry takes a notice as far as the guards let it, and the day with it, since
// chance alone seldom finds five steps in a row.
func (m *machine) hurry(r *Release, n *Notice) {
	me := verified(all, m.now)
	_ = r.DraftText(n.ID, "s", essentials(r, n.Audience), me, m.now)
	_ = r.Freeze(n.ID, []byte("x"), Facts{}, me, m.now)
	_ = r.Approve(n.ID, "l", nil, me, m.now)
	_ = r.StartSending(n.ID, twoRecipients, me, m.now, m.now)
	if n.State == NoticeSending {
		n.Tally = map[DeliveryState]int{Delivered: 2}
		_ = r.NoticeSent(n.ID, who["work"], m.now)
	}
	_ = r.Publish(r.Title, me, m.now, m.now)
}

func (m *machine) check() {
	t := m.t
	in := map[*Case]*Release{}
	for _, r := range m.releases {
		over := r.State == CalledOff
		if (r.State == Draft) != r.At.IsZero() {
			t.Fatalf("release %s at %v", r.State, r.At)
		}
		if (r.State == Published) != !r.DisclosedAt.IsZero() || over != !r.CalledOffAt.IsZero() || (r.State == Releasing) && r.ReleasingAt.IsZero() || r.State == Notified && r.NotifiedAt.IsZero() {
			t.Fatalf("release %s disclosed %v, called off %v, notified %v, releasing %v", r.State, r.DisclosedAt, r.CalledOffAt, r.NotifiedAt, r.ReleasingAt)
		}
		if r.Generation < m.gen[r.ID] {
			t.Fatalf("generation went back from %d to %d", m.gen[r.ID], r.Generation)
		}
		m.gen[r.ID] = r.Generation
		if r.State != Draft && !over && len(r.Cases) == 0 {
			t.Fatalf("release %s without cases", r.State)
		}
		for _, c := range r.Cases {
			if over {
				continue
			}
			if in[c] != nil {
				t.Fatalf("%s is in two releases", c.Name())
			}
			in[c] = r
			want := Embargoed
			switch r.State {
			case Draft:
				want = Accepted
			case Published:
				want = Disclosed
			}
			if c.State != want || c.Release == nil || c.Release.ID != r.ID || c.Release.State != r.State || c.Release.Generation != r.Generation || !c.Release.At.Equal(r.At) {
				t.Fatalf("%s is %s with %+v in a release %s of generation %d", c.Name(), c.State, c.Release, r.State, r.Generation)
			}
		}
		pending := map[Audience]int{}
		for _, n := range r.Notices {
			frozen := n.State == NoticeFrozen || n.State == NoticeApproved
			if frozen && (n.Digest == "" || n.Generation != r.Generation) || n.State == NoticeDraft && (n.Digest != "" || len(n.Approvals) > 0) {
				t.Fatalf("notice %s: digest %q, generation %d of %d", n.State, n.Digest, n.Generation, r.Generation)
			}
			if (n.State == NoticeApproved || n.State == NoticeSending || n.State == NoticeSent) && n.Approved() == nil {
				t.Fatalf("notice %s without an approval that holds", n.State)
			}
			if n.State == NoticeSending && n.Generation != r.Generation {
				t.Fatalf("a notice of generation %d is being sent in %d", n.Generation, r.Generation)
			}
			if !n.Audience.Ahead() && (n.State == NoticeSending || n.State == NoticeSent) && r.State != Published {
				t.Fatalf("the notice to %s is %s while the release is %s", n.Audience, n.State, r.State)
			}
			if (n.State == NoticeSent) != !n.SentAt.IsZero() || m.sent[n.ID] && n.State != NoticeSent {
				t.Fatalf("notice %s, sent at %v", n.State, n.SentAt)
			}
			m.sent[n.ID] = n.State == NoticeSent
			if n.State != NoticeSent && n.State != NoticeCanceled {
				if pending[n.Audience]++; pending[n.Audience] > 1 {
					t.Fatalf("two notices to %s wait", n.Audience)
				}
			}
		}
		trial := *r
		if wake := trial.Wake(); !wake.IsZero() && wake.Before(m.now.AddDate(-1, 0, 0)) {
			t.Fatalf("Wake = %v at %v", wake, m.now)
		}
	}
	for _, c := range m.cases {
		if in[c] == nil && (c.Release != nil || c.State == Embargoed || c.State == Disclosed) {
			t.Fatalf("%s is %s with %+v, but in no release", c.Name(), c.State, c.Release)
		}
		if (c.State == Closed) != !c.ClosedAt.IsZero() || (c.State == Closed) != (c.Verdict != "") || (c.State == Disclosed) != !c.DisclosedAt.IsZero() {
			t.Fatalf("%s is %s: closed %v as %q, disclosed %v", c.Name(), c.State, c.ClosedAt, c.Verdict, c.DisclosedAt)
		}
		if (c.State == Received) != c.Acknowledged.IsZero() {
			t.Fatalf("%s is %s, acknowledged %v", c.Name(), c.State, c.Acknowledged)
		}
		if (c.State == Accepted || c.State == Embargoed || c.State == Disclosed) && c.PublicName == "" {
			t.Fatalf("%s is %s without a public name", c.Name(), c.State)
		}
		if m.public[c.ID] && c.State != Disclosed {
			t.Fatalf("%s was disclosed and is %s", c.Name(), c.State)
		}
		m.public[c.ID] = c.State == Disclosed
		if over := c.State == Closed || c.State == Disclosed; over && (!c.Due().IsZero() || !c.Wake().IsZero()) {
			t.Fatalf("%s is %s and still waits", c.Name(), c.State)
		}
	}
}

func TestMachine(t *testing.T) {
	reached := map[ReleaseState]int{}
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{t: rt, p: testPolicy(), now: day0, gen: map[ReleaseID]int{}, public: map[CaseID]bool{}, sent: map[NoticeID]bool{}}
		for i := range 3 {
			m.cases = append(m.cases, newCase(i+1, m.p))
		}
		for _, title := range []string{"one", "two"} {
			r, err := NewRelease(ReleaseID(NewID()), title, m.p, all, m.now)
			if err != nil {
				rt.Fatal(err)
			}
			m.releases = append(m.releases, r)
		}
		if rapid.Bool().Draw(rt, "ready") { // else most runs never get far
			for _, c := range m.cases {
				_ = c.Acknowledge(all, m.now)
				_ = c.Accept(all, m.now)
				_ = c.SetSeverity(Severity{Level: "low"}, all, m.now)
				_ = c.SetAffected([]Affected{{Series: "main", Effect: Affects}}, all, m.now)
				_ = c.SetPublic(Text{Title: "t", Description: "d", Remedy: "r"}, all, m.now)
			}
			for _, r := range m.releases {
				_ = r.SetNoPatch("main", "none", all, m.now)
			}
			_ = m.releases[0].Gather(m.cases[0], all, m.now)
			_ = m.releases[0].Plan(m.now.AddDate(0, 0, 8), "", "", all, m.now)
			_ = m.releases[0].DraftNotices(all, m.now)
		}
		for range rapid.IntRange(20, 120).Draw(rt, "steps") {
			m.step()
			m.check()
		}
		for _, r := range m.releases {
			reached[r.State]++
		}
	})
	if reached[Notified] == 0 || reached[Scheduled] == 0 {
		t.Errorf("the runs did not get far enough to show anything: releases ended as %v", reached)
	}
}

package disclosure_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	. "postern/internal/disclosure"
)

func TestPlanTakesTheCasesAlong(t *testing.T) {
	p := testPolicy()
	a, b := accepted(t, 2, p), accepted(t, 1, p)
	r := planned(t, p, a, b)
	if r.State != Scheduled || r.At.IsZero() || r.Cases[0] != b {
		t.Fatalf("planned release: state %s at %v, first case %s", r.State, r.At, r.Cases[0].Name())
	}
	for _, c := range r.Cases {
		if c.State != Embargoed || c.Release == nil || !c.Release.At.Equal(r.At) || c.Release.State != Scheduled {
			t.Errorf("%s is %s with %+v", c.Name(), c.State, c.Release)
		}
	}
	var told []Audience
	for _, n := range r.Notices {
		told = append(told, n.Audience)
	}
	if want := []Audience{ToAnnounceAhead, ToDistributors, ToReporters, ToAnnounce}; !slices.Equal(told, want) {
		t.Errorf("notices drafted for %v, want %v", told, want)
	}
	must(t, r.DraftNotices(all, day0))
	if len(r.Notices) != 4 {
		t.Errorf("drafting twice made %d notices", len(r.Notices))
	}
}

func TestPlanRefuses(t *testing.T) {
	now := day0
	for _, test := range []struct {
		name, zone, reason, field string
		at                        time.Time
	}{
		{"the past", "UTC", "", "at", now.Add(-time.Hour)},
		{"now", "UTC", "", "at", now},
		{"another century", "UTC", "", "at", now.AddDate(100, 0, 0)},
		{"no such zone", "Mars/Olympus", "", "zone", now.AddDate(0, 0, 10)},
		{"four days without a reason", "UTC", "", "reason", now.AddDate(0, 0, 4)},
		{"four days with one", "UTC", "exploited", "", now.AddDate(0, 0, 4)},
		{"ten days", "", "", "", now.AddDate(0, 0, 10)},
	} {
		p := testPolicy()
		r, err := NewRelease("r", "one", p, all, now)
		must(t, err)
		must(t, r.Gather(accepted(t, 1, p), all, now))
		err = r.Plan(test.at, test.zone, test.reason, all, now)
		if test.field == "" {
			must(t, err)
			continue
		}
		refusedAt(t, "Plan for "+test.name, err, test.field)
		if r.State != Draft || !r.At.IsZero() || r.Cases[0].State != Accepted {
			t.Errorf("a refused Plan (%s) left %s at %v, case %s", test.name, r.State, r.At, r.Cases[0].State)
		}
	}
	empty, err := NewRelease("r", "one", testPolicy(), all, now)
	must(t, err)
	refusedAt(t, "Plan without cases", empty.Plan(now.AddDate(0, 0, 10), "", "", all, now), "cases")
}

func TestPostponingTakesApprovalsBack(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	now := r.At.AddDate(0, 0, -7)
	n := approve(t, r, ToDistributors, now)
	before := r.Generation
	must(t, r.Plan(r.At.AddDate(0, 0, 1), "", "", all, now))
	if r.Generation != before+1 || n.State != NoticeDraft || len(n.Approvals) > 0 || n.Digest != "" || !strings.Contains(n.Text, "4.2.11") {
		t.Errorf("after postponing: generation %d → %d, notice %s, %d approvals, text %q", before, r.Generation, n.State, len(n.Approvals), n.Text)
	}
	if want := r.At.AddDate(0, 0, -7); !n.SendAt.Equal(want) {
		t.Errorf("told at %v, want %v", n.SendAt, want)
	}
}

func TestPostponingTellsWhoWasTold(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	now := r.At.AddDate(0, 0, -7)
	was := r.At
	sent := send(t, r, ToDistributors, now)
	if r.State != Notified || !r.NotifiedAt.Equal(now) {
		t.Fatalf("after the first advance notice the release is %s", r.State)
	}
	refusedAt(t, "Plan without a reason", r.Plan(was.AddDate(0, 0, 2), "", "", all, now), "reason")
	must(t, r.Plan(was.AddDate(0, 0, 2), "", "upstream asked", all, now))
	if r.State != Notified || sent.State != NoticeSent {
		t.Errorf("postponed: release %s, sent notice %s", r.State, sent.State)
	}
	change := notice(r, ToDistributors)
	if change == sent || change.Change != ChangeMoved || !change.Was.Equal(was) || !change.SendAt.Equal(now) {
		t.Errorf("notice of the change: %+v", change)
	}
	if ahead := notice(r, ToAnnounceAhead); ahead.Change != FirstNotice {
		t.Errorf("who was not told yet gets %q", ahead.Change)
	}
	refusedAt(t, "Gather after the first notice", r.Gather(accepted(t, 9, p), all, now), "cases")
}

func TestPostponingStopsWhatIsBeingSent(t *testing.T) {
	for _, reached := range []bool{true, false} {
		p := testPolicy()
		r := planned(t, p, accepted(t, 1, p))
		now := r.At.AddDate(0, 0, -7)
		n := approve(t, r, ToDistributors, now)
		must(t, r.StartSending(n.ID, twoRecipients, verified(all, now), now, now))
		if reached {
			n.Tally = map[DeliveryState]int{Delivered: 1, Queued: 1}
		}
		before := r.Generation
		must(t, r.Plan(r.At.AddDate(0, 0, 1), "", "later", all, now))
		next := notice(r, ToDistributors)
		if n.State != NoticeCanceled || r.Generation == before || next == nil || (next.Change == ChangeMoved) != reached {
			t.Errorf("reached %v: notice %s, generation %d → %d, next %+v", reached, n.State, before, r.Generation, next)
		}
	}
}

func TestCallOff(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	now := r.At.AddDate(0, 0, -7)
	send(t, r, ToDistributors, now)
	refusedAt(t, "CallOff without a reason", r.CallOff(" ", all, now), "reason")
	must(t, r.CallOff("not a vulnerability after all", all, now))
	c := r.Cases[0]
	if r.State != CalledOff || c.State != Accepted || c.Release != nil {
		t.Errorf("called off: release %s, case %s in %+v", r.State, c.State, c.Release)
	}
	n := notice(r, ToDistributors)
	if n.Change != ChangeCalledOff || n.State != NoticeDraft || notice(r, ToAnnounceAhead) != nil || notice(r, ToAnnounce) != nil {
		t.Errorf("notices after calling off: %+v", r.Notices)
	}
	must(t, r.EditNotice(n.ID, "Called off", "There is no release.", all, now))
	must(t, r.Freeze(n.ID, []byte("x"), Facts{}, all, now))
	must(t, r.Approve(n.ID, "l", nil, all, now))
	must(t, r.StartSending(n.ID, twoRecipients, verified(all, now), now, now))
	if !r.Wake().IsZero() || !r.Due().IsZero() {
		t.Error("a release that was called off still waits for something")
	}
	if b := r.Brief(ToDistributors); !b.At.IsZero() {
		t.Errorf("the brief of a release called off names the hour %v", b.At)
	}
}

func TestDrop(t *testing.T) {
	p := testPolicy()
	a, b := accepted(t, 1, p), accepted(t, 2, p)
	r := planned(t, p, a, b)
	n := approve(t, r, ToDistributors, r.At.AddDate(0, 0, -8))
	must(t, r.Drop(a.ID, all, day0))
	if got := r.Dropped(); len(got) != 1 || got[0] != a || a.State != Accepted || a.Release != nil || n.State != NoticeDraft {
		t.Errorf("dropped %v: %s in %+v, notice %s", got, a.State, a.Release, n.State)
	}
	refusedAt(t, "Drop of the last case", r.Drop(b.ID, all, day0), "cases")
	if err := r.Drop("none", all, day0); answer(err) != "not found" {
		t.Errorf("Drop of a stranger = %v", err)
	}
}

func TestSendingGuards(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	early, ok := r.At.AddDate(0, 0, -10), r.At.AddDate(0, 0, -7)
	n := approve(t, r, ToDistributors, early)
	me := verified(all, ok)

	if err := r.StartSending(n.ID, twoRecipients, all, ok, ok); answer(err) != "step up" {
		t.Errorf("StartSending without a second factor = %v", err)
	}
	if err := r.StartSending(n.ID, twoRecipients, me, ok, ok.Add(StepUpLasts)); answer(err) != "step up" {
		t.Errorf("StartSending with an old second factor = %v", err)
	}
	refusedAt(t, "StartSending too early", r.StartSending(n.ID, twoRecipients, me, early.Add(-time.Hour), ok), "at")
	refusedAt(t, "StartSending too late", r.StartSending(n.ID, twoRecipients, me, r.At.AddDate(0, 0, -4), ok), "at")
	refusedAt(t, "StartSending to nobody", r.StartSending(n.ID, Facts{}, me, ok, ok), "notices/distributors/recipients")
	bare := Facts{Recipients: []Recipient{{Distributor: "d1", Name: "A"}}}
	refusedAt(t, "StartSending in clear", r.StartSending(n.ID, bare, me, ok, ok), "distributors/d1")
	p.Distributors.Encrypt = "if_key"
	refusedAt(t, "StartSending in clear, accepted by nobody", r.StartSending(n.ID, bare, me, ok, ok), "distributors/d1")
	broken := Facts{Recipients: twoRecipients.Recipients, Unusable: []Fault{{Field: "distributors/d2", Text: "The key of B has expired."}}}
	refusedAt(t, "StartSending with a broken key", r.StartSending(n.ID, broken, me, ok, ok), "distributors/d2")
	must(t, r.StartSending(n.ID, twoRecipients, me, ok, ok))

	day := approve(t, r, ToAnnounce, ok)
	refusedAt(t, "announcing before the day", r.StartSending(day.ID, twoRecipients, me, ok, ok), "notices/announcement")
}

func TestReleaserSigns(t *testing.T) {
	p := testPolicy()
	p.Distributors.Signer = SignedByReleaser
	r := planned(t, p, accepted(t, 1, p))
	n := notice(r, ToDistributors)
	now := day0.AddDate(0, 0, 1)
	must(t, r.EditNotice(n.ID, "s", essentials(r, n.Audience), all, now))
	must(t, r.Freeze(n.ID, []byte("bytes"), Facts{}, all, now))
	refusedAt(t, "Approve without the signature", r.Approve(n.ID, "l", nil, all, now), "signature")
	must(t, r.SignNotice(n.ID, []byte{1}, all, now))
	must(t, r.Approve(n.ID, "l", nil, all, now))
	must(t, r.EditNotice(n.ID, "s", "other", all, now))
	if n.State != NoticeDraft || n.Signature != nil || n.Approved() != nil {
		t.Errorf("an edited notice is %s with signature %v", n.State, n.Signature)
	}
}

func TestPreflightNamesWhatIsMissing(t *testing.T) {
	p := testPolicy()
	c := newCase(4, p)
	must(t, c.Acknowledge(all, day0))
	must(t, c.Accept(all, day0))
	r, err := NewRelease("r", "one", p, all, day0)
	must(t, err)
	must(t, r.Gather(c, all, day0))
	must(t, r.Plan(day0.AddDate(0, 0, 10), "", "", all, day0))
	must(t, r.DraftNotices(all, day0))
	missing := func() []string {
		var list []string
		for _, f := range r.Missing(ToFreeze, ToDistributors, Facts{}, day0) {
			list = append(list, f.Field)
		}
		return list
	}
	check := func(want ...string) {
		t.Helper()
		if got := missing(); !slices.Equal(got, want) {
			t.Errorf("Missing = %v, want %v", got, want)
		}
	}
	check("notices/distributors/subject", "notices/distributors/text", "cases/4/public.title", "cases/4/public.description", "cases/4/public.remedy", "cases/4/affected", "cases/4/severity")
	n := notice(r, ToDistributors)
	redraft := func() { must(t, r.DraftText(n.ID, "s", essentials(r, n.Audience), all, day0)) }
	redraft()
	must(t, c.SetPublic(Text{Title: "a", Description: "b", Remedy: "c"}, all, day0))
	must(t, c.SetSeverity(Severity{Level: "low"}, all, day0))
	must(t, c.SetAffected([]Affected{{Series: "main", Effect: Affects}, {Series: "4.2", Effect: Affects}, {Series: "3.2", Effect: Affects}}, all, day0))
	check("patches/main", "versions/4.2", "patches/4.2", "notices/distributors/text")
	redraft()
	check("patches/main", "versions/4.2", "patches/4.2")
	must(t, r.SetVersion("4.2", "4.2.11", all, day0))
	must(t, r.SetNoPatch("main", "fixed there since May", all, day0))
	check("patches/4.2", "notices/distributors/text", "notices/distributors/text")
	must(t, r.AddPatch(Patch{Series: "4.2", Name: "a.patch", File: File{Size: 1, SHA256: digest64}}, all, day0))
	redraft()
	check()
}

func TestPublish(t *testing.T) {
	p := testPolicy()
	p.Publish.Steps = []string{"Apply the patches", "Publish the versions"}
	r := planned(t, p, accepted(t, 1, p))
	lead, hour := r.At.AddDate(0, 0, -7), r.At
	me := verified(all, hour)

	err := r.Publish("spring", me, hour, hour)
	for _, field := range []string{"notices/distributors", "notices/announcement", "steps"} {
		refusedAt(t, "Publish with nothing done", err, field)
	}
	send(t, r, ToDistributors, lead)
	announcement := approve(t, r, ToAnnounce, lead)
	must(t, r.Begin(all, lead))
	refusedAt(t, "the second step first", r.StepDone(1, "", all, hour), "steps")
	must(t, r.StepDone(0, "https://example.org/commit", all, hour))
	refusedAt(t, "Publish with a step to do", r.Publishable(me, hour, hour), "steps")
	must(t, r.StepDone(1, "", all, hour))
	refusedAt(t, "Publish before the hour", r.Publishable(me, hour.Add(-Early-time.Minute), hour), "at")
	if err := r.Publishable(all, hour, hour); answer(err) != "step up" {
		t.Errorf("Publishable without a second factor = %v", err)
	}
	if err := r.Publishable(verified(who["triager"], hour), hour, hour); answer(err) != "forbidden" {
		t.Errorf("Publishable by a triager = %v", err)
	}
	refusedAt(t, "Publish under another name", r.Publish("summer", me, hour, hour), "name")
	if r.State != Releasing || r.Cases[0].State != Embargoed {
		t.Fatalf("refused, and yet %s", r.State)
	}
	must(t, r.Publish(" spring ", me, hour, hour))
	c := r.Cases[0]
	if r.State != Published || c.State != Disclosed || !c.DisclosedAt.Equal(hour) || announcement.State != NoticeSending {
		t.Errorf("published: %s, case %s at %v, announcement %s", r.State, c.State, c.DisclosedAt, announcement.State)
	}
	if n := notice(r, ToAnnounceAhead); n != nil {
		t.Errorf("the pre-announcement that never left is %s", n.State)
	}
	if list := r.Advisories(hour); len(list) != 1 || list[0].Name != c.PublicName || len(list[0].Issue.Affected) != 1 || len(list[0].Patches) != 1 {
		t.Errorf("Advisories = %+v", list)
	}
	refusedAt(t, "changing a disclosed case", c.SetPublic(Text{}, all, hour), "state")
	refusedAt(t, "publishing twice", r.Publishable(me, hour, hour), "state")
}

func TestUrgentPublishesFromScheduled(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	now := day0.AddDate(0, 0, 1)
	approve(t, r, ToAnnounce, now)
	refusedAt(t, "SetUrgent without a reason", r.SetUrgent(true, "", all, now), "reason")
	must(t, r.SetUrgent(true, "exploited", all, now))
	must(t, r.Publish("spring", verified(all, now), now, now))
}

func TestTwoMembers(t *testing.T) {
	p := testPolicy()
	p.Publish.Members = 2
	r := planned(t, p, accepted(t, 1, p))
	now := day0.AddDate(0, 0, 1)
	approve(t, r, ToAnnounce, now)
	must(t, r.SetUrgent(true, "exploited", all, now))
	me := verified(all, now)
	refusedAt(t, "Publish alone", r.Publishable(me, now, now), "confirm")
	must(t, r.ConfirmPublishing(me, now, now))
	refusedAt(t, "Publish alone at once", r.Publishable(me, now, now), "confirm")
	refusedAt(t, "Publish alone where others could agree", r.Publishable(me, now.Add(LonePause), now), "confirm")
	r.Alone = true
	must(t, r.Publishable(me, now.Add(LonePause), now))
	r.Alone = false
	other := verified(who["triager"], now)
	must(t, r.ConfirmPublishing(other, now, now))
	must(t, r.Publishable(me, now, now))
	page := r.Shown()
	must(t, r.StillShows(page))
	refusedAt(t, "a page of nothing", r.StillShows(""), "shown")
	text := r.Cases[0].Public
	r.Cases[0].Public.Description += " And more."
	refusedAt(t, "Publish after a text was edited", r.Publishable(me, now, now), "confirm")
	refusedAt(t, "Publish with an announcement of the text before", r.Publishable(me, now, now), "notices/announcement/text")
	refusedAt(t, "a page of the text before", r.StillShows(page), "shown")
	again := func() {
		must(t, r.Thaw(notice(r, ToAnnounce).ID, all, now))
		approve(t, r, ToAnnounce, now)
	}
	again()
	must(t, r.ConfirmPublishing(other, now, now))
	must(t, r.Publishable(me, now, now))
	r.Cases[0].Public = text
	again()
	refusedAt(t, "Publish the text before, agreed to no more", r.Publishable(me, now, now), "confirm")
	must(t, r.ConfirmPublishing(other, now, now))
	must(t, r.Publishable(me, now, now))
	must(t, r.SetVersion("5.1", "5.1.2", all, now))
	refusedAt(t, "Publish after a change", r.Publishable(me, now.Add(LonePause), now), "confirm")
}

func TestPatchNames(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	for name, ok := range map[string]bool{"a.patch": true, "CVE-2026-1-4.2.patch": true, "../a": false, ".a": false, "a b": false, "a\n": false, "": false, "ä.patch": false, "-a": false} {
		err := r.AddPatch(Patch{Series: "4.2", Name: name, File: File{Size: 1, SHA256: digest64}}, all, day0)
		if ok {
			must(t, err)
		} else {
			refusedAt(t, "AddPatch "+name, err, "name")
		}
	}
	before := len(r.Patches)
	again := Patch{Series: "4.2", Name: "A.patch", File: File{Size: 2, SHA256: digest64}}
	refusedAt(t, "AddPatch of a name the series has", r.AddPatch(again, all, day0), "name")
	again.Replace = true
	must(t, r.AddPatch(again, all, day0))
	if len(r.Patches) != before {
		t.Errorf("the same name again made %d patches of %d", len(r.Patches), before)
	}
}

// TestNoticeThatReachedNobodyMovesNothing: every mail was refused.
func TestNoticeThatReachedNobodyMovesNothing(t *testing.T) {
	p := testPolicy()
	p.Lead = Lead{}
	r := planned(t, p, accepted(t, 1, p))
	now := day0.Add(3 * time.Hour)
	n := approve(t, r, ToDistributors, now)
	must(t, r.StartSending(n.ID, twoRecipients, verified(all, now), now, now))
	n.Tally = map[DeliveryState]int{Rejected: 2}
	must(t, r.NoticeSent(n.ID, who["work"], now))
	if r.State != Scheduled {
		t.Errorf("NoticeSent() with every delivery rejected: the release is %s, want %s", r.State, Scheduled)
	}
}

// TestToldDateEndsWithItsPlan: a date that reporters were told belongs to that
// plan alone, wherever the case goes on.
func TestToldDateEndsWithItsPlan(t *testing.T) {
	p := testPolicy()
	now := day0.Add(3 * time.Hour)
	for _, x := range []struct {
		name  string
		stays bool
		do    func(r *Release, c *Case) (*Case, error) // whose first reporter is asked
	}{
		{"taken out", false, func(r *Release, c *Case) (*Case, error) { return c, r.Drop(c.ID, all, now) }},
		{"called off", false, func(r *Release, c *Case) (*Case, error) { return c, r.CallOff("not ours", all, now) }},
		{"postponed", false, func(r *Release, c *Case) (*Case, error) {
			return c, r.Plan(r.At.AddDate(0, 0, 3), r.Zone, "later", all, now)
		}},
		{"planned for the same hour again", true, func(r *Release, c *Case) (*Case, error) { return c, r.Plan(r.At, r.Zone, "zone", all, now) }},
		{"another case taken out", true, func(r *Release, c *Case) (*Case, error) { return c, r.Drop(r.Cases[1].ID, all, now) }},
		{"split off", false, func(r *Release, c *Case) (*Case, error) {
			other := newCase(9, p)
			other.Reporters = []Reporter{{ID: "o", Case: other.ID}}
			if err := c.Merge(other, all, now); err != nil {
				return nil, err
			}
			c.Reporter("o").ToldDate = r.At
			return other, c.Split(other, all, now)
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := planned(t, p, accepted(t, 1, p), accepted(t, 2, p))
			c := r.Cases[0]
			told := r.At
			c.Reporters[0].ToldDate = told
			if got := c.MailboxStatus(c.Reporters[0], now); !got.Planned.Equal(told) {
				t.Fatalf("MailboxStatus before = planned %s, want %s", got.Planned, told)
			}
			left, err := x.do(r, c)
			must(t, err)
			if len(left.Reporters) != 1 {
				t.Fatalf("the case has %d reporters, want 1", len(left.Reporters))
			}
			want := time.Time{}
			if x.stays {
				want = told
			}
			if got := left.Reporters[0].ToldDate; !got.Equal(want) {
				t.Errorf("ToldDate = %s, want %s", got, want)
			}
			if x.stays || left.State != Accepted {
				return
			}
			next := planned(t, p, left) // nobody was told of this one yet
			if got := left.MailboxStatus(left.Reporters[0], now); left.Release == nil || left.Release.ID != next.ID || !got.Planned.IsZero() {
				t.Errorf("MailboxStatus in the next release = planned %s, want none", got.Planned)
			}
		})
	}
}

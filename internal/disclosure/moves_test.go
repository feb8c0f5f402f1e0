package disclosure_test

import (
	"regexp"
	"testing"
	"time"

	. "postern/internal/disclosure"
)

// Written down beside the map, on purpose: what Move may do by itself, and for
// whom. "!" marks arrows that exist, but need another step than Move.
var caseMoves = map[string]string{
	"received>triage": "triager", "triage>accepted": "triager", "closed>triage": "triager",
	"received>closed": "!triager", "triage>closed": "!triager", "accepted>closed": "!triager",
	"accepted>embargoed": "!releaser", "embargoed>accepted": "!releaser", "embargoed>disclosed": "!releaser",
}

var releaseMoves = map[string]string{
	"draft>scheduled": "!releaser", "scheduled>notified": "work",
	"scheduled>releasing": "releaser", "notified>releasing": "releaser",
	"releasing>scheduled": "!releaser", "releasing>notified": "!releaser",
	"scheduled>disclosed": "!releaser", "notified>disclosed": "!releaser", "releasing>disclosed": "!releaser",
	"draft>called off": "!releaser", "scheduled>called off": "!releaser", "notified>called off": "!releaser", "releasing>called off": "!releaser",
}

var noticeMoves = map[string]string{
	"draft>frozen": "releaser", "frozen>draft": "releaser", "frozen>approved": "releaser", "approved>draft": "releaser",
	"approved>sending": "releaser", "sending>sent": "work",
	"draft>canceled": "releaser", "frozen>canceled": "releaser", "approved>canceled": "releaser", "sending>canceled": "releaser",
}

// expected says what a caller is to get for an arrow.
func expected(moves map[string]string, way, caller string) string {
	if caller == "nobody" || caller == "auditor" {
		return "not found"
	}
	role, exists := moves[way]
	if !exists {
		return "refused"
	}
	needsMore := role[0] == '!'
	if needsMore {
		role = role[1:]
	}
	switch {
	case caller != role && !(caller == "all" && role != "work"):
		return "forbidden"
	case needsMore:
		return "refused"
	}
	return "done"
}

func TestEveryCaseMove(t *testing.T) {
	for _, from := range CaseStates {
		for _, to := range CaseStates {
			for name, by := range who {
				c := newCase(1, testPolicy())
				c.State = from
				c.Events()
				way := string(from) + ">" + string(to)
				got, want := answer(c.Move(to, by, day0)), expected(caseMoves, way, name)
				if got != want {
					t.Errorf("Move %s by %s = %s, want %s", way, name, got, want)
				}
				events := len(c.Events())
				if (c.State != from) != (want == "done" && from != to) || (events > 0) != (want == "done") {
					t.Errorf("Move %s by %s left state %s and %d events", way, name, c.State, events)
				}
			}
		}
	}
}

func TestEveryReleaseMove(t *testing.T) {
	for _, from := range ReleaseStates {
		for _, to := range ReleaseStates {
			for name, by := range who {
				r := &Release{ID: "r", State: from, At: day0, Policy: testPolicy()}
				r.Notices = []*Notice{{Audience: ToDistributors, State: NoticeSent}}
				way := string(from) + ">" + string(to)
				got, want := answer(r.Move(to, by, day0)), expected(releaseMoves, way, name)
				if got != want {
					t.Errorf("Move %s by %s = %s, want %s", way, name, got, want)
				}
				if (r.State != from) != (want == "done") {
					t.Errorf("Move %s by %s left state %s", way, name, r.State)
				}
			}
		}
	}
}

func TestEveryNoticeMove(t *testing.T) {
	for _, from := range NoticeStates {
		for _, to := range NoticeStates {
			for name, by := range who {
				p := testPolicy()
				p.Lead = Lead{}
				r := planned(t, p, accepted(t, 1, p))
				n := notice(r, ToDistributors)
				n.State, n.Subject, n.Text = from, "s", essentials(r, n.Audience)
				n.Generation, n.Digest = r.Generation, "d"
				n.Approvals = []Approval{{Generation: n.Generation, Digest: "d"}}
				now := day0.Add(3 * time.Hour)
				steps := map[NoticeState]func() error{
					NoticeDraft:    func() error { return r.Thaw(n.ID, by, now) },
					NoticeFrozen:   func() error { return r.Freeze(n.ID, []byte("x"), Facts{}, by, now) },
					NoticeApproved: func() error { return r.Approve(n.ID, "l", nil, by, now) },
					NoticeSending:  func() error { return r.StartSending(n.ID, twoRecipients, verified(by, now), now, now) },
					NoticeSent:     func() error { return r.NoticeSent(n.ID, by, now) },
					NoticeCanceled: func() error { return r.CancelNotice(n.ID, by, now) },
				}
				way := string(from) + ">" + string(to)
				err := steps[to]()
				got, want := answer(err), expected(noticeMoves, way, name)
				if got != want {
					t.Errorf("%s by %s = %s (%v), want %s", way, name, got, err, want)
				}
				if (n.State != from) != (want == "done") {
					t.Errorf("%s by %s left state %s", way, name, n.State)
				}
			}
		}
	}
}

func TestRestrictedCaseDoesNotExist(t *testing.T) {
	c := newCase(1, testPolicy())
	must(t, c.Restrict(nil, who["triager"], day0))
	if err := c.SetTitle("x", all, day0); answer(err) != "not found" {
		t.Errorf("SetTitle by one who is not allowed = %v, want ErrNotFound", err)
	}
	if steps := c.Steps(all); steps != nil {
		t.Errorf("Steps for one who is not allowed = %v, want none", steps)
	}
	must(t, c.SetTitle("x", who["triager"], day0))
	r := &Release{ID: "r", State: Draft, Cases: []*Case{c}}
	if err := r.SetTitle("x", all, day0); answer(err) != "not found" {
		t.Errorf("a step on a release with a restricted case = %v, want ErrNotFound", err)
	}
	refusedAt(t, "Assign to one who may not see it", c.Assign("m9", "Nine", who["triager"], day0), "owner")
}

func TestPublicName(t *testing.T) {
	c := accepted(t, 1, testPolicy())
	if !regexp.MustCompile(`^LANTERN-2026-[2-9b-df-hjkmnp-tv-z]{4}$`).MatchString(c.PublicName) {
		t.Errorf("PublicName = %q", c.PublicName)
	}
	name := c.PublicName
	must(t, c.Close(OutOfScope, "", "", all, day0))
	must(t, c.Reopen(all, day0))
	must(t, c.Accept(all, day0))
	if c.PublicName != name {
		t.Errorf("accepted again the name is %q, want %q as before", c.PublicName, name)
	}
}

func TestClose(t *testing.T) {
	p := testPolicy()
	tests := []struct {
		name    string
		prepare func(c *Case)
		verdict Verdict
		of      CaseID
		field   string // empty: closes
	}{
		{"plain", func(*Case) {}, NotVulnerability, "", ""},
		{"no verdict", func(*Case) {}, "", "", "verdict"},
		{"unknown verdict", func(*Case) {}, "boring", "", "verdict"},
		{"duplicate of nothing", func(*Case) {}, Duplicate, "", "duplicate"},
		{"duplicate of itself", func(c *Case) { c.ID = "x" }, Duplicate, "x", "duplicate"},
		{"duplicate", func(*Case) {}, Duplicate, "other", ""},
		{"spam of another", func(*Case) {}, Spam, "other", "duplicate"},
		{"resolved, standard", func(*Case) {}, Resolved, "", "verdict"},
		{"resolved, infrastructure", func(c *Case) { c.Track = Infrastructure }, Resolved, "", ""},
		{"fixed in public, main alone", func(c *Case) { c.Affected = []Affected{{"main", Affects, ""}, {"4.2", Unaffected, ""}} }, FixedInPublic, "", ""},
		{"fixed in public, 4.2 too", func(c *Case) { c.Affected = []Affected{{"main", Affects, ""}, {"4.2", Affects, ""}} }, FixedInPublic, "", "affected"},
		{"fixed in public, 4.2 unknown", func(c *Case) { c.Affected = []Affected{{"4.2", EffectUnknown, ""}} }, FixedInPublic, "", "affected"},
		{"fixed in public, unsupported", func(c *Case) { c.Affected = []Affected{{"3.2", Affects, ""}} }, FixedInPublic, "", ""},
	}
	for _, test := range tests {
		c := newCase(1, p)
		test.prepare(c)
		err := c.Close(test.verdict, "note", test.of, all, day0)
		if test.field != "" {
			refusedAt(t, test.name, err, test.field)
			if c.State != Received || c.Verdict != "" || c.VerdictNote != "" {
				t.Errorf("%s: a refused Close changed the case: %s %q %q", test.name, c.State, c.Verdict, c.VerdictNote)
			}
			continue
		}
		if err != nil || c.State != Closed || c.Acknowledged.IsZero() || c.ClosedAt.IsZero() {
			t.Errorf("%s: Close = %v; state %s, acknowledged %v", test.name, err, c.State, c.Acknowledged)
		}
	}
}

func TestTracks(t *testing.T) {
	for _, track := range Tracks {
		p := testPolicy()
		c := accepted(t, 1, p)
		must(t, c.SetTrack(track, all, day0))
		r, err := NewRelease("r", "one", p, all, day0)
		must(t, err)
		err = r.Gather(c, all, day0)
		if outside := track == PublicFix || track == Infrastructure; outside {
			refusedAt(t, "Gather on track "+string(track), err, "cases")
			continue
		}
		must(t, err)
		must(t, r.Plan(day0.AddDate(0, 0, 20), "", "", all, day0))
		if want := track != Upstream && track != NoFix; r.TellsPrivately() != want {
			t.Errorf("TellsPrivately on track %s = %v, want %v", track, r.TellsPrivately(), want)
		}
		refusedAt(t, "leaving the embargo by track", c.SetTrack(PublicFix, all, day0), "track")
	}
}

func TestStepsAreThoseThatWork(t *testing.T) {
	for _, from := range CaseStates {
		for name, by := range who {
			c := newCase(1, testPolicy())
			c.State = from
			offered := map[CaseState]bool{}
			recommended := 0
			for _, s := range c.Steps(by) {
				offered[s.To] = true
				if s.Recommended {
					recommended++
				}
			}
			if recommended > 1 {
				t.Errorf("Steps from %s recommends %d", from, recommended)
			}
			for _, to := range CaseStates {
				trial := *c
				err := trial.Move(to, by, day0)
				if to == Closed {
					trial = *c
					err = trial.Close(Spam, "", "", by, day0)
				}
				if works := err == nil; works != offered[to] {
					t.Errorf("Steps from %s for %s offers %s: %v, but taking it works: %v (%v)", from, name, to, offered[to], works, err)
				}
			}
		}
	}
}

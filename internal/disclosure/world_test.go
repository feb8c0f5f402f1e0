package disclosure_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	. "postern/internal/disclosure"
)

var day0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) // a Monday

// who are the callers every rule is asked with.
var who = map[string]Caller{
	"nobody":   {Member: "m0", Name: "Nil"},
	"triager":  {Member: "m1", Name: "Tria", Roles: Triager},
	"releaser": {Member: "m2", Name: "Rela", Roles: Releaser},
	"admin":    {Member: "m3", Name: "Adma", Roles: Admin},
	"auditor":  {Member: "m4", Name: "Audi", Roles: Auditor},
	"all":      {Member: "m5", Name: "Alla", Roles: Triager | Releaser | Admin | Auditor},
	"work":     System("work"),
}

// verified is a caller with a fresh second factor at wall.
func verified(c Caller, wall time.Time) Caller { c.Verified = wall; return c }

var all = who["all"]

func testPolicy() *Policy {
	return &Policy{
		Version:  3,
		Project:  Project{Name: "Lantern", URL: "https://lantern.example/", Prefix: "LANTERN", Language: "en"},
		Contact:  Contact{Address: "security@lantern.example"},
		Ack:      Ack{Within: Span{Hours: 48}, By: "member"},
		Calendar: Calendar{Zone: "UTC"},
		Series: []Series{
			{Name: "main", Supported: true, Branch: true}, {Name: "5.1", Supported: true},
			{Name: "4.2", Supported: true, Until: "2028-04-30"}, {Name: "3.2"},
		},
		Severity:     SeverityScheme{Scheme: "levels", Levels: []string{"high", "moderate", "low"}},
		Lead:         Lead{Target: Span{Days: 7}, Min: Span{Days: 5}, Max: Span{Days: 9}},
		Announce:     AnnouncePolicy{Address: "announce@lists.example", Ahead: true, Signer: SignedByTeam},
		Distributors: DistributorPolicy{Tell: true, Signer: SignedByTeam, Encrypt: "required", Sharing: "with nobody"},
		Publish:      PublishPolicy{Members: 1, Zone: "UTC", Hour: "15:00"},
		Reporter:     ReporterPolicy{ToldDate: "with_first_notice", Credit: "ask", ClearMail: "never"},
	}
}

func newCase(number int, p *Policy) *Case {
	c := NewCase(CaseID(NewID()), number, ByForm, Protection{Encryption: OnArrival}, day0, p)
	c.Title = "inside title"
	return c
}

// accepted is a case that lacks nothing for its release.
func accepted(t *testing.T, number int, p *Policy) *Case {
	t.Helper()
	c := newCase(number, p)
	now := day0.Add(time.Hour)
	must(t, c.Acknowledge(all, now))
	must(t, c.Accept(all, now))
	must(t, c.SetPublic(Text{Title: "Lamp oil leaks", Description: "It leaks.", Remedy: "Upgrade."}, all, now))
	must(t, c.SetAffected([]Affected{{Series: "4.2", Effect: Affects}, {Series: "3.2", Effect: Affects}}, all, now))
	must(t, c.SetSeverity(Severity{Level: "high"}, all, now))
	must(t, c.AddReporter(Reporter{ID: ReporterID(NewID()), Name: "Rita", Address: "rita@example.org", Channel: ByForm}, all, now))
	return c
}

const digest64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// planned is a release of the cases, dated ten days on, with version and patch.
func planned(t *testing.T, p *Policy, cases ...*Case) *Release {
	t.Helper()
	now := day0.Add(2 * time.Hour)
	r, err := NewRelease(ReleaseID(NewID()), "spring", p, all, now)
	must(t, err)
	for _, c := range cases {
		must(t, r.Gather(c, all, now))
	}
	must(t, r.SetVersion("4.2", "4.2.11", all, now))
	must(t, r.AddPatch(Patch{Series: "4.2", Name: "4.2.patch", File: File{Size: 10, SHA256: digest64}}, all, now))
	must(t, r.Plan(day0.AddDate(0, 0, 10).Add(6*time.Hour), "UTC", "", all, now))
	must(t, r.DraftNotices(all, now))
	return r
}

func notice(r *Release, a Audience) *Notice {
	for _, n := range slices.Backward(r.Notices) {
		if n.Audience == a && n.State != NoticeCanceled {
			return n
		}
	}
	return nil
}

var twoRecipients = Facts{Recipients: []Recipient{{Name: "A", Address: "a@example.net", Prints: []string{"F1"}}, {Name: "B", Address: "b@example.net", Prints: []string{"F2"}}}}

// essentials is a text with what preflight looks for.
func essentials(r *Release, a Audience) string {
	b := r.Brief(a)
	text := "On " + r.At.UTC().Format("2 January 2006") + ":\n"
	for _, v := range b.Versions {
		text += v.Number + "\n"
	}
	for _, p := range b.Patches {
		text += p.SHA256 + "  " + p.Name + "\n"
	}
	return text
}

// approve brings the current notice of an audience to approved.
func approve(t *testing.T, r *Release, a Audience, now time.Time) *Notice {
	t.Helper()
	n := notice(r, a)
	if n == nil {
		t.Fatalf("no notice to %s", a)
	}
	must(t, r.DraftText(n.ID, "Subject", essentials(r, a), all, now))
	must(t, r.Freeze(n.ID, []byte("frozen"), Facts{}, all, now))
	must(t, r.Approve(n.ID, "list-1", []byte("tag"), all, now))
	return n
}

func send(t *testing.T, r *Release, a Audience, now time.Time) *Notice {
	t.Helper()
	n := approve(t, r, a, now)
	must(t, r.StartSending(n.ID, twoRecipients, verified(all, now), now, now))
	n.Tally = map[DeliveryState]int{Delivered: 2}
	must(t, r.NoticeSent(n.ID, who["work"], now))
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer sorts an error by what a caller of a rule acts on.
func answer(err error) string {
	var refusal *Refusal
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, ErrNotFound):
		return "not found"
	case errors.Is(err, ErrForbidden):
		return "forbidden"
	case errors.Is(err, ErrStepUp):
		return "step up"
	case errors.As(err, &refusal):
		return "refused"
	}
	return "error: " + err.Error()
}

// fields lists where a refusal says something is to be mended.
func fields(err error) []string {
	var refusal *Refusal
	var list []string
	if errors.As(err, &refusal) {
		for _, f := range refusal.Faults {
			list = append(list, f.Field)
		}
	}
	return list
}

func refusedAt(t *testing.T, what string, err error, field string) {
	t.Helper()
	if answer(err) != "refused" || !slices.Contains(fields(err), field) {
		t.Errorf("%s = %v (%v), want a refusal at %q", what, err, fields(err), field)
	}
	if err != nil && !strings.HasSuffix(err.Error(), ".") {
		t.Errorf("%s was refused with %q, which is no sentence", what, err)
	}
}

package disclosure_test

import (
	"slices"
	"strings"
	"testing"

	. "postern/internal/disclosure"
)

func TestStepsSayAllThatIsWrong(t *testing.T) {
	long := strings.Repeat("x", 400)
	steps := map[string]struct {
		take  func(c *Case) error
		field string // empty: done
	}{
		"title":              {func(c *Case) error { return c.SetTitle("  a title ", all, day0) }, ""},
		"empty title":        {func(c *Case) error { return c.SetTitle(" ", all, day0) }, "title"},
		"title of two lines": {func(c *Case) error { return c.SetTitle("a\nb", all, day0) }, "title"},
		"long title":         {func(c *Case) error { return c.SetTitle(long, all, day0) }, "title"},
		"not UTF-8":          {func(c *Case) error { return c.SetTitle("a\xff", all, day0) }, "title"},
		"control characters": {func(c *Case) error { return c.SetTitle("a\x1b[31m", all, day0) }, "title"},
		"severity":           {func(c *Case) error { return c.SetSeverity(Severity{Level: "low"}, all, day0) }, ""},
		"unknown severity":   {func(c *Case) error { return c.SetSeverity(Severity{Level: "dire"}, all, day0) }, "level"},
		"vector elsewhere":   {func(c *Case) error { return c.SetSeverity(Severity{Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N"}, all, day0) }, "vector"},
		"cve":                {func(c *Case) error { return c.SetCVE(" cve-2026-12345 ", all, day0) }, ""},
		"short cve":          {func(c *Case) error { return c.SetCVE("CVE-2026-123", all, day0) }, "cve"},
		"cve and more":       {func(c *Case) error { return c.SetCVE("CVE-2026-12345\nx", all, day0) }, "cve"},
		"affected":           {func(c *Case) error { return c.SetAffected([]Affected{{Series: "4.2", Effect: Affects}}, all, day0) }, ""},
		"affected twice":     {func(c *Case) error { return c.SetAffected([]Affected{{Series: "4.2"}, {Series: "4.2"}}, all, day0) }, "affected/4.2"},
		"affected nowhere":   {func(c *Case) error { return c.SetAffected([]Affected{{Series: "9.9"}}, all, day0) }, "affected/9.9"},
		"affected maybe":     {func(c *Case) error { return c.SetAffected([]Affected{{Series: "4.2", Effect: "maybe"}}, all, day0) }, "affected/4.2"},
		"reference": {func(c *Case) error {
			return c.SetPublic(Text{References: []string{"", "https://a.example/b"}}, all, day0)
		}, ""},
		"script reference":   {func(c *Case) error { return c.SetPublic(Text{References: []string{"javascript:alert(1)"}}, all, day0) }, "public.references"},
		"track":              {func(c *Case) error { return c.SetTrack("scenic", all, day0) }, "track"},
		"reporter":           {func(c *Case) error { return c.AddReporter(Reporter{Address: "a@example.org"}, all, day0) }, ""},
		"reporter's address": {func(c *Case) error { return c.AddReporter(Reporter{Address: "A <a@example.org>"}, all, day0) }, "address"},
		"unrestrict":         {func(c *Case) error { return c.Unrestrict(all, day0) }, "restricted"},
	}
	for name, step := range steps {
		c := newCase(1, testPolicy())
		c.Events()
		err := step.take(c)
		if step.field != "" {
			refusedAt(t, name, err, step.field)
			if c.Events() != nil {
				t.Errorf("%s: a refused step recorded an event", name)
			}
			continue
		}
		if err != nil || len(c.Events()) != 1 {
			t.Errorf("%s = %v, want it done with one event", name, err)
		}
	}
	err := newCase(1, testPolicy()).SetPublic(Text{Title: "a\nb", Description: "\x00", References: []string{"x"}}, all, day0)
	if got, want := fields(err), []string{"public.title", "public.description", "public.references"}; !slices.Equal(got, want) {
		t.Errorf("SetPublic names faults at %v, want %v", got, want)
	}
	c := newCase(1, testPolicy())
	must(t, c.SetCVE("cve-2026-12345", all, day0))
	if c.CVE != "CVE-2026-12345" {
		t.Errorf("CVE kept as %q", c.CVE)
	}
}

func TestStepsAskForTheRole(t *testing.T) {
	for name, want := range map[string]string{"nobody": "not found", "auditor": "not found", "releaser": "forbidden", "admin": "forbidden", "triager": "done", "all": "done", "work": "done"} {
		c := newCase(1, testPolicy())
		if got := answer(c.SetTitle("x", who[name], day0)); got != want {
			t.Errorf("SetTitle by %s = %s, want %s", name, got, want)
		}
	}
}

func TestCreditNeedsConsent(t *testing.T) {
	c := accepted(t, 1, testPolicy())
	id := c.Reporters[0].ID
	credits := func(want ...string) {
		t.Helper()
		if got := c.Credits(); !slices.Equal(got, want) {
			t.Errorf("Credits = %v, want %v", got, want)
		}
	}
	credits() // unset is no, although the name is known
	refusedAt(t, "yes without a text", c.SetCredit(id, CreditYes, " ", all, day0), "credit")
	must(t, c.SetCredit(id, CreditYes, "Rita of Example", all, day0))
	credits("Rita of Example")
	must(t, c.SetCredit(id, CreditNo, "Rita of Example", all, day0))
	credits()
	if err := c.SetCredit("nobody", CreditNo, "", all, day0); answer(err) != "not found" {
		t.Errorf("SetCredit of a stranger = %v", err)
	}
}

func TestMergeAndSplit(t *testing.T) {
	p := testPolicy()
	a, b, c := accepted(t, 1, p), accepted(t, 2, p), newCase(3, p)
	must(t, c.AddReporter(Reporter{ID: "r3", Name: "Third", Received: day0.Add(5), Channel: ByMail}, all, day0))
	must(t, c.SetCredit("r3", CreditYes, "Third", all, day0))

	must(t, b.Merge(c, all, day0))
	must(t, a.Merge(b, all, day0))
	if len(a.Reporters) != 3 || len(b.Reporters) != 0 || b.State != Closed || b.Verdict != Duplicate || b.DuplicateOf != a.ID {
		t.Fatalf("merged: %d and %d reporters, %s as %s", len(a.Reporters), len(b.Reporters), b.State, b.Verdict)
	}
	if r := a.Reporter("r3"); r == nil || r.Case != a.ID || r.Credit.Text != "Third" || !r.Received.Equal(day0.Add(5)) {
		t.Errorf("merged reporter: %+v", r)
	}
	refusedAt(t, "a step on a merged case", b.SetTitle("x", all, day0), "state")
	refusedAt(t, "reopening a merged case", b.Move(Triage, all, day0), "state")
	refusedAt(t, "merging with itself", a.Merge(a, all, day0), "into")
	refusedAt(t, "splitting off a stranger", a.Split(c, all, day0), "split")

	must(t, a.SetCredit("r3", CreditNo, "", all, day0))
	must(t, a.Split(b, all, day0))
	must(t, b.Split(c, all, day0))
	if len(a.Reporters) != 1 || len(b.Reporters) != 1 || len(c.Reporters) != 1 || b.State != Triage || c.State != Triage {
		t.Errorf("split: %d, %d, %d reporters; %s, %s", len(a.Reporters), len(b.Reporters), len(c.Reporters), b.State, c.State)
	}
	if r := c.Reporter("r3"); r == nil || r.Case != c.ID || r.Credit.Wish != CreditNo || len(r.Origins) != 0 {
		t.Errorf("reporter after the split: %+v", r)
	}

	must(t, c.Restrict(nil, all, day0))
	refusedAt(t, "merging a restricted case into an open one", a.Merge(c, all, day0), "into")
}

func TestCleanLabel(t *testing.T) {
	for in, want := range map[string]string{
		"a.txt": "a.txt", "../../etc/passwd": "passwd", `C:\x\y.doc`: "y.doc", "": "file", "..": "file",
		"a\u202etxt.exe": "atxt.exe", "a\x00b\n": "ab", "\xffa": "a", strings.Repeat("ä", 100): strings.Repeat("ä", 60),
	} {
		if got := CleanLabel(in); got != want {
			t.Errorf("CleanLabel(%q) = %q, want %q", in, got, want)
		}
	}
}

package disclosure_test

import (
	"testing"

	. "postern/internal/disclosure"
)

// TestNextOfACase: an accepted case is not done with, whatever is missing.
func TestNextOfACase(t *testing.T) {
	p := testPolicy()
	c := newCase(1, p)
	check := func(when string, want CaseNext) {
		t.Helper()
		if got := c.Next(); got != want {
			t.Errorf("%s: Next = %q, want %q", when, got, want)
		}
	}
	check("just received", NextNothing) // its own arrow is next
	must(t, c.Acknowledge(all, day0))
	must(t, c.Accept(all, day0))
	check("accepted without a text", NextText)
	must(t, c.SetPublic(Text{Title: "t", Description: "d", Remedy: "r"}, all, day0))
	check("accepted in no release", NextGather)
	r, err := NewRelease("r", "one", p, all, day0)
	must(t, err)
	must(t, r.Gather(c, all, day0))
	check("in a draft of a release", NextRelease)
	must(t, r.Plan(day0.AddDate(0, 0, 10), "", "", all, day0))
	check("embargoed", NextRelease)
	must(t, r.CallOff("no", all, day0))
	check("called off", NextGather)
	c.Track = PublicFix
	check("fixed in public", NextNothing)
}

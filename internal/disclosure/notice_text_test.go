package disclosure_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	. "postern/internal/disclosure"
)

// plain writes drafts as letters would: from the brief.
func plain(r *Release) func(*Notice) (string, string, error) {
	return func(n *Notice) (string, string, error) { return "Subject", essentials(r, n.Audience), nil }
}

// TestUneditedDraftsFollow: date first, then version and patch, as the form
// asks for them.
func TestUneditedDraftsFollow(t *testing.T) {
	p := testPolicy()
	c := accepted(t, 1, p)
	r, err := NewRelease("r", "one", p, all, day0)
	must(t, err)
	must(t, r.Gather(c, all, day0))
	must(t, r.Plan(day0.AddDate(0, 0, 10), "", "", all, day0))
	must(t, r.DraftNotices(all, day0))
	r.Follow(plain(r), all, day0)
	n := notice(r, ToDistributors)
	if strings.Contains(n.Text, digest64) || n.Text == "" {
		t.Fatalf("first draft = %q, want one without a patch", n.Text)
	}
	must(t, r.SetVersion("4.2", "4.2.11", all, day0))
	must(t, r.AddPatch(Patch{Series: "4.2", Name: "a.patch", File: File{Size: 1, SHA256: digest64}}, all, day0))
	refusedAt(t, "Freeze of the text before", r.Freeze(n.ID, []byte("x"), Facts{}, all, day0), "notices/distributors/text")
	r.Follow(plain(r), all, day0)
	if !strings.Contains(n.Text, digest64) || !strings.Contains(n.Text, "4.2.11") || n.Edited {
		t.Errorf("draft after version and patch = %q, want both in it", n.Text)
	}
	if left := r.Outdated(n); len(left) > 0 {
		t.Errorf("Outdated of a text just written = %q", left)
	}
	must(t, r.SetNoPatch("main", "fixed there", all, day0))
	r.Follow(plain(r), all, day0)
	must(t, r.Freeze(n.ID, []byte("x"), Facts{}, all, day0))
}

// TestEditedDraftIsMarked: it stays as it is, says what changed, and blocks
// freezing until a member confirms it or drafts it again.
func TestEditedDraftIsMarked(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	r.Follow(plain(r), all, day0)
	n := notice(r, ToDistributors)
	must(t, r.EditNotice(n.ID, "Subject", n.Text+"\nMind the wick.\n4.2.12", all, day0))
	was := n.Text
	must(t, r.SetVersion("4.2", "4.2.12", all, day0))
	r.Follow(plain(r), all, day0)
	if n.Text != was {
		t.Errorf("an edited draft was written again: %q", n.Text)
	}
	words := strings.Join(r.Outdated(n), "\n")
	if want := "the version of 4.2 (was 4.2.11, is 4.2.12)"; words != want {
		t.Errorf("Outdated = %q, want %q", words, want)
	}
	refusedAt(t, "Freeze of a text from before", r.Freeze(n.ID, []byte("x"), Facts{}, all, day0), "notices/distributors/text")
	if err := r.ConfirmText(n.ID, "something else", all, day0); err != ErrStale {
		t.Errorf("ConfirmText of what was not shown = %v, want ErrStale", err)
	}
	must(t, r.ConfirmText(n.ID, words, all, day0))
	must(t, r.Freeze(n.ID, []byte("x"), Facts{}, all, day0))

	// Under frozen bytes it blocks sending, since nothing writes them again.
	r.Cases[0].Public.Description += " More."
	refusedAt(t, "StartSending", r.StartSending(n.ID, twoRecipients, verified(all, day0), day0, day0), "state")
	must(t, r.Approve(n.ID, "l", nil, all, day0))
	refusedAt(t, "StartSending", r.StartSending(n.ID, twoRecipients, verified(all, day0), day0, day0), "notices/distributors/text")
}

// TestUnwrittenDraftLocksNothing: what generates no text is skipped and named;
// everything else goes on, and so does the notice once it is written by hand.
func TestUnwrittenDraftLocksNothing(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		err        error
		want       string
	}{
		{"too long", strings.Repeat("long ", 30_000), nil, "could not be written"},
		{"a template that fails", "", errors.New("no field Wick\nin the template."), "could not be written: no field Wick in the template. Write"},
	} {
		p := testPolicy()
		r := planned(t, p, accepted(t, 1, p))
		r.Follow(plain(r), all, day0)
		n, other := notice(r, ToDistributors), notice(r, ToAnnounce)
		before := n.Text
		must(t, r.SetVersion("4.2", "4.2.12", all, day0))
		bad := func(x *Notice) (string, string, error) {
			if x == n {
				return "Subject", tt.text, tt.err
			}
			return plain(r)(x)
		}
		r.Follow(bad, all, day0)
		if n.Text != before || !strings.Contains(other.Text, "4.2.12") {
			t.Errorf("%s: texts after Follow = %.80q and %.80q, want the first as it was, the other written", tt.name, n.Text, other.Text)
		}
		if said := fmt.Sprint(r.Missing(ToFreeze, ToDistributors, Facts{}, day0)); !strings.Contains(said, tt.want) {
			t.Errorf("%s: Missing = %s, want %q", tt.name, said, tt.want)
		}
		must(t, r.EditNotice(n.ID, "Subject", essentials(r, ToDistributors), all, day0))
		r.Follow(bad, all, day0)
		if said := fmt.Sprint(r.Missing(ToFreeze, ToDistributors, Facts{}, day0)); strings.Contains(said, "could not be written") {
			t.Errorf("%s: Missing of a text written by hand = %s", tt.name, said)
		}
		must(t, r.CancelNotice(n.ID, all, day0))
	}
}

func TestTextIsComparedWithTheRelease(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	other := strings.Repeat("f", 64)
	good := essentials(r, ToDistributors)
	for _, tt := range []struct{ name, text, want string }{
		{"good", good, ""},
		{"without the digest", strings.ReplaceAll(good, digest64, ""), "SHA-256 of the patch 4.2.patch"},
		{"with another's digest", good + "\n" + other, "ffffffffffffffff…"},
		{"with a longer version", strings.ReplaceAll(good, "4.2.11", "4.2.110"), "version 4.2.11"},
		{"without the day", strings.ReplaceAll(good, "12 March 2026", "13 March 2026"), "12 March 2026"},
		{"with the day in figures", strings.ReplaceAll(good, "12 March 2026", "2026-03-12"), ""},
		{"with another embargo", "EMBARGOED until 2026-03-11T15:00:00Z\n" + good, "2026-03-11T15:00:00Z"},
	} {
		n := notice(r, ToDistributors)
		must(t, r.DraftText(n.ID, "s", tt.text, all, day0))
		var said []string
		for _, f := range r.Missing(ToFreeze, ToDistributors, Facts{}, day0) {
			if strings.HasSuffix(f.Field, "/text") {
				said = append(said, f.Text)
			}
		}
		switch all := strings.Join(said, " "); {
		case tt.want == "" && all != "":
			t.Errorf("%s: %q, want nothing", tt.name, all)
		case len(said) > 1 || !strings.Contains(all, tt.want):
			t.Errorf("%s: %q, want one fault with %q", tt.name, said, tt.want)
		}
	}
}

// TestPatchesOfTwoSeries: git format-patch gives the same names on each branch.
func TestPatchesOfTwoSeries(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	other := strings.Repeat("e", 64)
	for series, sum := range map[string]string{"4.2": digest64, "5.1": other} {
		must(t, r.AddPatch(Patch{Series: series, Name: "0001-fix.patch", File: File{Size: 1, SHA256: sum}}, all, day0))
	}
	got := map[string]string{}
	for _, b := range r.PatchBriefs() {
		got[b.Name] = b.SHA256
	}
	if len(got) != 3 || got["4.2-0001-fix.patch"] != digest64 || got["5.1-0001-fix.patch"] != other || got["4.2.patch"] != digest64 {
		t.Errorf("PatchBriefs = %v, want each name once, with its series where two have it", got)
	}
	// A name made so may be taken already.
	must(t, r.AddPatch(Patch{Series: "3.2", Name: "4.2-0001-fix.patch", File: File{Size: 1, SHA256: digest64}}, all, day0))
	names := map[string]bool{}
	for _, b := range r.PatchBriefs() {
		names[b.Name] = true
		if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`).MatchString(b.Name) {
			t.Errorf("attached name %q", b.Name)
		}
	}
	if len(names) != len(r.Patches) {
		t.Errorf("attached names %v of %d patches", names, len(r.Patches))
	}
}

// TestOneRuleForMailInClear goes through what the policy may say.
func TestOneRuleForMailInClear(t *testing.T) {
	for _, tt := range []struct {
		mode, letter string
		asked        bool
		want         ClearAnswer
	}{
		{"", "ask-key", true, ClearNever},
		{"never", "ask-key", true, ClearNever},
		{"safe", "ask-key", false, ClearMay},
		{"safe", "", true, ClearSafe},
		{"safe", "reporters", true, ClearSafe},
		{"ask", "", false, ClearAsk},
		{"ask", "", true, ClearMay},
		{"ask", "ask-key", false, ClearMay},
	} {
		p := &Policy{Reporter: ReporterPolicy{ClearMail: tt.mode, Safe: []string{"ask-key"}}}
		if got := p.InClear(tt.letter, tt.asked); got != tt.want {
			t.Errorf("InClear(%q, %v) under %q = %q, want %q", tt.letter, tt.asked, tt.mode, got, tt.want)
		}
	}
	for _, mode := range []string{"never", "safe", "ask"} {
		p := &Policy{Reporter: ReporterPolicy{ClearMail: mode, Safe: []string{"ask-key"}}}
		for name, x := range map[string]struct {
			Reporter
			want bool
		}{
			"an address":            {Reporter{Address: "a@example.org"}, false},
			"a key":                 {Reporter{Address: "a@example.org", Key: []byte("k")}, true},
			"a mailbox and address": {Reporter{Address: "a@example.org", Mailbox: "m"}, false},
			"a mailbox and key":     {Reporter{Address: "a@example.org", Mailbox: "m", Key: []byte("k")}, false},
		} {
			if got := x.ByMail(p); got != x.want {
				t.Errorf("under %q, %s: a notice goes by mail = %v, want %v", mode, name, got, x.want)
			}
		}
	}
}

// TestPublicPathsAreUnique: whatever names came, each patch of an advisory has
// an address of its own, or publishing would fail.
func TestPublicPathsAreUnique(t *testing.T) {
	p := testPolicy()
	r := planned(t, p, accepted(t, 1, p))
	front, end := strings.Repeat("a", 50), strings.Repeat("b", 46)
	for _, x := range []struct{ series, name string }{
		{"4.2", "fix"}, {"4.2", "fix.patch"}, {"5.1", "FIX.Patch"}, {"4.2", "2-fix.patch"}, {"5.1", "fix.diff"},
		{"4.2", front + end}, {"5.1", front + end}, // begin with the series, and are shortened
		{"4.2", "4.2-" + front[4:] + end[4:] + "bbbb"}, {"5.1", "5.1-" + front[:46] + end + "bbbb"},
	} {
		must(t, r.AddPatch(Patch{Series: x.series, Name: x.name, File: File{Size: 1, SHA256: digest64}}, all, day0))
	}
	seen := map[string]bool{}
	for _, a := range r.Advisories(day0) {
		if len(a.Patches) != len(r.Patches) {
			t.Errorf("advisory %s has %d patches, want %d", a.Name, len(a.Patches), len(r.Patches))
		}
		for _, x := range a.Patches {
			if low := strings.ToLower(x.Path); seen[low] {
				t.Errorf("%s is the address of two patches", x.Path)
			} else {
				seen[low] = true
			}
			if len(x.Name) > 100 {
				t.Errorf("%s has %d characters, want at most 100", x.Name, len(x.Name))
			}
		}
	}
}

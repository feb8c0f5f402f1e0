package letters

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/disclosure"
)

var update = flag.Bool("update", false, "write the golden letters again")

func brief(a disclosure.Audience) disclosure.Brief {
	b := disclosure.Brief{
		Audience: a, Project: disclosure.Project{Name: "Lantern"}, Contact: "security@lantern.example",
		Release: "0123456789abcdef0123456789abcdef", At: time.Date(2026, 2, 3, 15, 0, 0, 0, time.UTC), Zone: "America/New_York",
		Count: 2, Severities: []string{"high", "low"}, URL: "https://gate.lantern.example",
		Versions: []disclosure.Version{{Series: "5.0", Number: "5.0.2", Artefacts: []disclosure.Artefact{{Kind: "source", URL: "https://lantern.example/5.0.2.tar.gz", SHA256: strings.Repeat("ab", 32)}}}, {Series: "4.2", Number: "4.2.10"}},
	}
	if a == disclosure.ToAnnounceAhead || a == disclosure.ToReporters {
		return b
	}
	b.Sharing = "the date and the version numbers, nothing else"
	b.Issues = []disclosure.Issue{
		{PublicName: "LANTERN-2026-k7qd", CVE: "CVE-2026-12345", Text: disclosure.Text{Title: "Wick overflow in the parser",
			Description: "A crafted wick overflows.\n\n    keep  this   spacing", Impact: "Code execution.", Remedy: "Upgrade.", Workaround: "Turn the parser off."},
			Severity: disclosure.Severity{Level: "high"}, Affected: []disclosure.Affected{{Series: "5.0", Effect: disclosure.Affects, Versions: "before 5.0.2"}, {Series: "4.2", Effect: disclosure.EffectUnknown}},
			Credits: []string{"Rae Porter"}},
		{PublicName: "LANTERN-2026-m2xp", Text: disclosure.Text{Title: "Lamp name leaks", Description: "It leaks."}, Severity: disclosure.Severity{Level: "low"}},
	}
	if a == disclosure.ToDistributors {
		b.Patches = []disclosure.PatchBrief{{Name: "CVE-2026-12345-5.0.patch", Series: "5.0", Size: 812, SHA256: strings.Repeat("cd", 32)}}
	}
	return b
}

// TestNotices compares every audience's letter with what was read and found good.
func TestNotices(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []disclosure.Audience{disclosure.ToAnnounceAhead, disclosure.ToDistributors, disclosure.ToReporters, disclosure.ToAnnounce, disclosure.ToOSS} {
		t.Run(string(a), func(t *testing.T) {
			letter, err := l.Notice("en", brief(a))
			if err != nil {
				t.Fatalf("Notice(%s): %v", a, err)
			}
			got := "Subject: " + letter.Subject + "\n\n" + letter.Text
			file := filepath.Join("testdata", string(a)+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("Notice(%s) (-want +got):\n%s", a, diff)
			}
		})
	}
}

// TestAheadSaysNothing: the public's letter before the day has date, hour,
// number and severities, and no word of an issue, even if a brief held them.
func TestAheadSaysNothing(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := brief(disclosure.ToDistributors)
	b.Audience = disclosure.ToAnnounceAhead
	letter, err := l.Notice("en", b)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"Wick", "CVE-2026", "LANTERN-2026", "Rae", ".patch", "leak", "overflow"} {
		if strings.Contains(letter.Subject+letter.Text, secret) {
			t.Errorf("the pre-announcement says %q:\n%s", secret, letter.Text)
		}
	}
	for _, want := range []string{"Tuesday, 3 February 2026", "15:00 UTC", "two security defects", "one high and one low", "5.0.2 and 4.2.10"} {
		if !strings.Contains(letter.Text, want) {
			t.Errorf("the pre-announcement lacks %q:\n%s", want, letter.Text)
		}
	}
}

// TestNotificationsAreFixed: a member's mail holds a kind, a link and a number.
func TestNotificationsAreFixed(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, k := range []disclosure.AlertKind{disclosure.AlertReport, disclosure.AlertMessage, disclosure.AlertHalf, disclosure.AlertFourFifths,
		disclosure.AlertBreach, disclosure.AlertHeld, disclosure.AlertLocked, disclosure.AlertDelivery, disclosure.AlertHour, disclosure.AlertAttention, disclosure.AlertApplication} {
		n := Notification{Project: "Lantern", Kind: k, Link: "https://desk.example/cases/42", Number: 3, Since: time.Date(2026, 2, 3, 3, 12, 0, 0, time.UTC)}
		letter, err := l.Notification("en", n)
		if err != nil {
			t.Fatalf("Notification(%s): %v", k, err)
		}
		if !strings.Contains(letter.Text, n.Link) || strings.Contains(letter.Subject, "something happened") {
			t.Errorf("Notification(%s) = %q, %q: want the link and words of its own", k, letter.Subject, letter.Text)
		}
		if seen[letter.Subject] {
			t.Errorf("Notification(%s): the subject %q stands for another kind too", k, letter.Subject)
		}
		seen[letter.Subject] = true
	}
}

// TestEveryLetterRenders: each verdict has a closing, each answer a text.
func TestEveryLetterRenders(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range disclosure.Verdicts {
		letter, err := l.Closing("de", Answer{Project: disclosure.Project{Name: "Lantern"}, Member: "Ada", Verdict: v, URL: "https://gate"}) // no German yet: English
		if err != nil || !strings.Contains(letter.Text, "Ada") {
			t.Errorf("Closing(%s) = %q, %v", v, letter.Text, err)
		}
	}
	for _, name := range Answers {
		if letter, err := l.Answer("en", name, Answer{Project: disclosure.Project{Name: "Lantern"}, Member: "Ada"}); err != nil || letter.Subject == "" {
			t.Errorf("Answer(%s) = %+v, %v", name, letter, err)
		}
	}
}

// TestOverride: a team's own template replaces ours, and faults of all files
// are reported at once.
func TestOverride(t *testing.T) {
	own := fstest.MapFS{"en/reporters.txt": {Data: []byte("Subject: Date\n\nIt is {{day .At}}.\n")}}
	l, err := New(own)
	if err != nil {
		t.Fatal(err)
	}
	letter, err := l.Notice("en", brief(disclosure.ToReporters))
	if err != nil || letter.Text != "It is Tuesday, 3 February 2026.\n" {
		t.Errorf("Notice = %q, %v; want the team's own", letter.Text, err)
	}
	bad := fstest.MapFS{"en/a.txt": {Data: []byte("no subject")}, "en/b.txt": {Data: []byte("Subject: x\n\n{{.Broken")}}
	if _, err := New(bad); err == nil || !strings.Contains(err.Error(), "a.txt") || !strings.Contains(err.Error(), "b.txt") {
		t.Errorf("New(two bad files) = %v; want both named", err)
	}
}

func TestNoticeJSON(t *testing.T) {
	b, err := NoticeJSON(brief(disclosure.ToDistributors))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := NoticeJSON(brief(disclosure.ToDistributors))
	if !bytes.Equal(b, again) {
		t.Error("NoticeJSON gave other bytes for the same brief")
	}
	var n struct {
		Format, TLP string
		Public      string `json:"public_at"`
		Patches     []struct{ Name, SHA256 string }
	}
	if err := json.Unmarshal(b, &n); err != nil {
		t.Fatal(err)
	}
	if n.Format != "postern-notice/1" || n.TLP != "TLP:AMBER+STRICT" || n.Public != "2026-02-03T15:00:00Z" || len(n.Patches) != 1 {
		t.Errorf("NoticeJSON = %s", b)
	}
	for _, key := range regexp.MustCompile(`"([^"]*)":`).FindAllStringSubmatch(string(b), -1) {
		if key[1] != strings.ToLower(key[1]) {
			t.Errorf("NoticeJSON has a key %q, want all in lower case", key[1])
		}
	}
	if !bytes.Contains(b, []byte(`"series": `)) || !bytes.Contains(b, []byte(`"effect": `)) {
		t.Errorf("NoticeJSON does not say which series are affected:\n%s", b)
	}
}

// TestSeveritiesRead well for one issue and for many.
func TestSeveritiesRead(t *testing.T) {
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, levels := range map[string][]string{
		"It will fix one security defect of severity high.":                                   {"high"},
		"It will fix three security defects, by severity: one high and two low.":              {"high", "low", "low"},
		"It will fix two security defects.":                                                   nil,
		"It will fix four security defects, by severity: one high, one moderate and two low.": {"high", "moderate", "low", "low"},
	} {
		b := brief(disclosure.ToAnnounceAhead)
		if b.Severities, b.Count = levels, len(levels); levels == nil {
			b.Count = 2
		}
		letter, err := l.Notice("en", b)
		if err != nil || !strings.Contains(letter.Text, want) {
			t.Errorf("Notice of %v = %v, want %q in\n%s", levels, err, want, letter.Text)
		}
	}
}

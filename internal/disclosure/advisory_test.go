package disclosure

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAdvisoryPrintable: no control character reaches what is published, and
// nothing else is lost.
func TestAdvisoryPrintable(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	of := func(text, credit string) Advisory {
		return Advisory{Name: "LANTERN-2026-k7qd", Version: 2, Published: at, Updated: at, Release: "r",
			Issue: Issue{PublicName: "LANTERN-2026-k7qd", Text: Text{Title: text, Summary: text}, Credits: []string{credit}}}
	}
	plain := "a\tb\nc \\u0000 \\ \" <é\u00a0\u2028> \u200d \U0001f3ee"
	if diff := cmp.Diff(of(plain, "Robin"), of(plain, "Robin").printable()); diff != "" {
		t.Errorf("a plain advisory changed:\n%s", diff)
	}
	got := of("x\x00\x01\x1b\r\b\f\x7f\u0085"+plain, "Ro\x00bin").printable()
	if diff := cmp.Diff(of("x"+plain, "Robin"), got); diff != "" {
		t.Errorf("an advisory with control characters:\n%s", diff)
	}
}

func TestCleanCredit(t *testing.T) {
	for text, ok := range map[string]bool{
		"Robin of Lantern": true, "": true, "می\u200cخواهم": true, "Ro\x00bin": false, "Robin\u202egnp": false, "two\nlines": false,
	} {
		if _, err := CleanCredit(text); (err == nil) != ok {
			t.Errorf("CleanCredit(%+q) = %v, want taken: %t", text, err, ok)
		}
	}
	if _, err := ParseReportJSON([]byte(`{"description":"It leaks.","credit":"yes","credit_text":"Ro\u0000bin"}`)); err == nil {
		t.Error("ParseReportJSON takes a credit with U+0000")
	}
}

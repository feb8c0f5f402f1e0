package work

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFirstLine(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"Hello team,\n\n# SQL injection in search\nmore", "SQL injection in search"},
		{"> you wrote\n\n---\nIt crashes.", "It crashes."},
		{"\n\n \n", ""},
		{"Dear friends of security\nnext", "next"},
		{"Dear maintainers, the following request crashes every worker at once\n", "Dear maintainers, the following request crashes every worker at once"},
		{"a\u202eb\x07c\u200b", "abc"},
		{strings.Repeat("word ", 60), strings.TrimRight(strings.Repeat("word ", 23), " ") + "…"},
	} {
		got := firstLine(tt.text)
		if got != tt.want {
			t.Errorf("firstLine(%q) = %q, want %q", tt.text, got, tt.want)
		}
		if n := utf8.RuneCountInString(got); n > maxTitle {
			t.Errorf("firstLine(%q) has %d characters", tt.text, n)
		}
	}
}

func TestMeaningfulSubject(t *testing.T) {
	for subject, want := range map[string]string{
		"Re: Fwd: XSS in admin": "XSS in admin", "...": "", "[...]": "", "Encrypted Message": "", "AW: re:  a  b": "a b",
		"CVE: overflow": "CVE: overflow", "Re:": "", "": "",
	} {
		if got := meaningfulSubject(subject); got != want {
			t.Errorf("meaningfulSubject(%q) = %q, want %q", subject, got, want)
		}
	}
}

func FuzzFirstLine(f *testing.F) {
	for _, s := range []string{"", "Hello,\nx", "\xff\xfe", "re: re: re:", strings.Repeat("é", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{firstLine(s), meaningfulSubject(s), cleanTitle(s)} {
			if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxTitle || strings.ContainsAny(got, "\r\n\x00\u202e") {
				t.Errorf("title of %q is %q", s, got)
			}
		}
	})
}

package mail

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/pgp"
)

// TestMoreLimits is about the limits of looking for armor, of what is held, and
// of time.
func TestMoreLimits(t *testing.T) {
	c := newCast(t)
	clear, err := pgp.ClearSign([]byte("words\n"), c.alice, noon)
	if err != nil {
		t.Fatal(err)
	}
	block := pgp.Inspect(clear).Block
	long := func(marks int) string {
		return strings.Repeat("PGP ", marks) + strings.Repeat("words of a line\n", (1<<20)/16+1)
	}
	for _, x := range []struct {
		name string
		text string
		set  func(*Limits, bool) // to be met, or passed by one
		code Code
	}{
		{"Inspect", "PGP " + strings.Repeat("x", 996), func(l *Limits, over bool) { l.Inspect = 1000 - int64(btoi(over)) }, ProblemOpens},
		{"Marks", long(20), func(l *Limits, over bool) { l.Marks = 20 - btoi(over) }, ProblemOpens},
		{"Held", string(block), func(l *Limits, over bool) { l.Held = int64(len(block) - btoi(over)) }, ProblemSignatureForm},
		{"Time", strings.Repeat("words\n", 100<<10), func(l *Limits, over bool) {
			l.Time = map[bool]time.Duration{false: time.Hour, true: -1}[over]
		}, ProblemTime},
	} {
		t.Run(x.name, func(t *testing.T) {
			for _, over := range []bool{false, true} {
				limits := DefaultLimits
				x.set(&limits, over)
				m, err := Read(context.Background(), []byte(outerHeader+"Content-Type: text/plain\r\n\r\n"+x.text), c.ring, noon, limits)
				if err != nil {
					t.Fatal(err)
				}
				if got := slices.ContainsFunc(m.Problems, func(f Finding) bool { return f.Code == x.code }); got != over {
					t.Errorf("over the limit %v: %s, want %s %v", over, truncate(short(m), 300), x.code, over)
				}
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// FuzzHeader has a header alone read, which is what stands before every decision.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{
		outerHeader, "From: a@b.example, c@d.example\r\n", "From: =?utf-8?q?=0D=0ABcc=3A?= <a@b.example>\r\n", "Subject: =?utf-8?b?AAAA?=\r\n =?x?q??=\r\n",
		"From : a@b.example\r\n", "\tx\r\n", ": x\r\n", "From: \"a@b.example\" <c@d.example>\r\nFrom: x\r\n", "References: <a@b> <c@d>\r\n", "Content-Type: a/b; c*0=\"x\"; c*1*=utf-8''%0a\r\n",
		"From: a@b.example\x00\r\n", "From: g:a@b.example;\r\n", "Date: Mon, 06 Jan 2025 10:00:00 +0000\r\n", strings.Repeat("X: y\r\n", 300),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		h := parseHeaderLimited(head, DefaultLimits)
		if len(h.fields) > DefaultLimits.Fields {
			t.Errorf("%d fields, want %d at most", len(h.fields), DefaultLimits.Fields)
		}
		in := h.interpret()
		for _, s := range []string{in.FromAddress, in.ReplyToAddress, in.MessageID, in.Subject, in.From} {
			if strings.ContainsAny(s, "\r\n\x00") {
				t.Errorf("a field reads as %q: a line end or NUL in it", s)
			}
		}
		if in.FromAddress != "" {
			if _, err := ParseAddress(in.FromAddress); err != nil {
				t.Errorf("FromAddress is %q, which cannot be written to: %v", in.FromAddress, err)
			}
		}
		contentType(h.first("content-type"), "text/plain")
	})
}

package mail

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"postern/internal/pgp"
)

// TestLimits has each limit of a message met exactly, and passed by one.
func TestLimits(t *testing.T) {
	c := newCast(t)
	parts := func(n int) string { // and the multipart itself is one
		return "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", n-1) + "--b--\r\n"
	}
	nested := func(n int) string { // n entities inside the message
		s := "Content-Type: text/plain\r\n\r\nx\r\n"
		for i := range n {
			s = mixed("multipart/mixed", fmt.Sprint("b", i), s)
		}
		return s
	}
	armor := c.seal(t, "x", c.team, nil)
	for _, x := range []struct {
		name  string
		limit int
		set   func(*Limits, int)
		raw   func(int) string
		code  Code
	}{
		{"Message", 5000, func(l *Limits, n int) { l.Message = int64(n) },
			func(n int) string {
				return part("text/plain", strings.Repeat("x", n-len(outerHeader+part("text/plain", ""))))
			}, ProblemTooLarge},
		{"Header", DefaultLimits.Header, nil, func(n int) string {
			rest := "Content-Type: text/plain\r\nX: \r\n"
			return "Content-Type: text/plain\r\nX: " + strings.Repeat("y", n-len(outerHeader+rest)) + "\r\n\r\nx"
		}, ProblemHeaderLimit},
		{"Fields", DefaultLimits.Fields, nil, func(n int) string {
			return strings.Repeat("X: y\r\n", n-strings.Count(outerHeader, "\r\n")) + "\r\nx"
		}, ProblemHeaderLimit},
		{"Parts", DefaultLimits.Parts, nil, parts, ProblemParts},
		{"Depth", DefaultLimits.Depth, nil, nested, ProblemDepth},
		{"Opens", DefaultLimits.Opens, nil, func(n int) string { return part("text/plain", strings.Repeat(armor+"\n", n)) }, ProblemOpens},
		{"Layers", DefaultLimits.Layers, nil, func(n int) string {
			s := "x"
			for range n {
				s = c.seal(t, s, c.team, nil)
			}
			return part("text/plain", s)
		}, ProblemNotOpened},
		{"Opened", 300, func(l *Limits, n int) { l.Opened = int64(n) },
			func(n int) string { return part("text/plain", c.seal(t, strings.Repeat("x", n), c.team, nil)) }, ProblemNotOpened},
		{"Text", 4000, func(l *Limits, n int) { l.Text = n }, func(n int) string { return part("text/plain", strings.Repeat("x", n)) }, ProblemTextCut},
		{"Texts", 4000, func(l *Limits, n int) { l.Texts = n }, func(n int) string {
			return mixed("multipart/mixed", "m", part("text/plain", strings.Repeat("x", 2000)), part("text/plain", strings.Repeat("x", n-2000)))
		}, ProblemTextCut},
		{"HTML", 4000, func(l *Limits, n int) { l.HTML = n }, func(n int) string { return part("text/html", "<p>"+strings.Repeat("x", n-3)) }, ProblemTextCut},
		{"Spooled", 4096, func(l *Limits, n int) { l.Spooled = int64(n) },
			func(n int) string { return part("text/plain", c.seal(t, strings.Repeat("x", n), c.team, nil)) }, ProblemBudget},
	} {
		t.Run(x.name, func(t *testing.T) {
			limits := DefaultLimits
			if x.set != nil {
				x.set(&limits, x.limit)
			}
			for n, want := range map[int]bool{x.limit: false, x.limit + 1: true} {
				m, err := Read(context.Background(), []byte(outerHeader+x.raw(n)), c.ring, noon, limits)
				if err != nil {
					t.Fatal(err)
				}
				over := false
				for _, p := range m.Problems {
					over = over || p.Code == x.code
				}
				if over != want {
					t.Errorf("%d where %d are allowed: %s; over the limit %v, want %v", n, x.limit, truncate(short(m), 300), over, want)
				}
			}
		})
	}
}

// TestReadPanics: whatever breaks inside, what was read so far is there, and a
// person is asked to look.
func TestReadPanics(t *testing.T) {
	c := newCast(t)
	ring := c.ring
	ring.Known = func(uint64) []pgp.Known { panic("broken") }
	raw := outerHeader + mixed("multipart/mixed", "m", part("text/plain", "first\n"), signedMIME(c, t, part("text/plain", "signed\n"), c.alice))
	m, err := Read(context.Background(), []byte(raw), ring, noon, DefaultLimits)
	if err != nil || !m.NeedsAttention() && m.Protection.Signature != pgp.SignatureUnverifiable || len(m.Pieces) == 0 || m.Pieces[0].Text != "first\n" {
		t.Errorf("Read = %s, %v; want the first text, and that somebody looks", short(m), err)
	}
}

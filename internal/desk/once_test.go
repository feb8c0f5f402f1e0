package desk_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"postern/internal/disclosure"
)

var onceField = regexp.MustCompile(`name="once" value="([0-9a-f]+)"`)

// TestSentTwiceIsSaidOnce: a double click, or a page sent again, repeats no
// message; other words from the same page are another message.
func TestSentTwiceIsSaidOnce(t *testing.T) {
	h := newHouse(t)
	id, _ := h.Case(t, "It leaks")
	c, err := h.DB.Case(t.Context(), h.Tri, id)
	h.must(err)
	b := h.as(h.Tri)
	page := b.page(at(c))
	m := onceField.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("the page of a case has no field that tells its showing")
	}
	count := func(text string) (n int) {
		list, err := h.DB.Thread(t.Context(), h.Tri, id)
		h.must(err)
		for _, x := range list {
			if x.Text == text {
				n++
			}
		}
		return n
	}
	reply := form("lane", "reporter", "lane_id", string(c.Reporters[0].ID), "text", "Thank you.", "once", m[1])
	note := form("text", "Thank you.", "once", m[1])
	first, second := b.post(at(c)+"/reply", reply), b.post(at(c)+"/reply", reply)
	if first.code != http.StatusSeeOther || second.code != first.code || second.location != first.location {
		t.Errorf("the same answer twice = %d to %q, then %d to %q, want the same", first.code, first.location, second.code, second.location)
	}
	if n := count("Thank you."); n != 1 {
		t.Errorf("an answer sent twice stands there %d times", n)
	}
	b.done(at(c)+"/note", note)
	b.done(at(c)+"/note", note)
	if n := count("Thank you."); n != 2 {
		t.Errorf("answer and note with the same words, each twice, stand there %d times, want 2", n)
	}
	reply.Set("text", "And one thing more.")
	b.done(at(c)+"/reply", reply)
	if n := count("And one thing more."); n != 1 {
		t.Errorf("other words from the same page stand there %d times, want 1", n)
	}
	list, err := h.DB.Thread(t.Context(), h.Tri, id)
	h.must(err)
	for _, x := range list {
		if x.State == disclosure.MessageWaiting && x.Text == "And one thing more." {
			b.done(at(c)+"/take-back", form("message", string(x.ID)))
		}
	}
	if a := b.post(at(c)+"/reply", reply); a.code != http.StatusUnprocessableEntity || !strings.Contains(a.body, "You took back this very answer") {
		t.Errorf("an answer sent again after it was taken back = %d, want it refused in words", a.code)
	}
}

// TestUsedLink: a link that was used and one that never was get one answer.
func TestUsedLink(t *testing.T) {
	h := newHouse(t)
	used := strings.TrimPrefix(h.desk.Link(t.Context(), h.Ada.Member), "http://desk.example")
	h.stranger().get(used)
	for _, path := range []string{used, "/enter/never"} {
		if a := h.stranger().get(path); a.code != http.StatusGone || !strings.Contains(a.body, "The next start of the demo prints another") {
			t.Errorf("GET %s = %d, want the words for a used link", path, a.code)
		}
	}
}

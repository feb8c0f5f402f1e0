package desk_test

import (
	"net/url"
	"strings"
	"testing"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
)

// TestInboxFindsWords: the words of a message, the reporter's name and a CVE id
// find an open case; a restricted one by its title alone, and only for who sees it.
func TestInboxFindsWords(t *testing.T) {
	h := newHouse(t)
	a := h.Arrive(t, postgrestest.Sent{Header: disclosure.ArrivalHeader{Title: "A plain title", Name: "Robin Reporter"},
		Parts: []postgrestest.Part{{Kind: disclosure.PartText, Bytes: []byte("the frobnicator overflows in chunked mode")}}})
	h.OpenAll(t)
	id := h.CaseOf(t, a)
	h.Case(t, "Quite another")
	c, err := h.DB.Case(t.Context(), h.Tri, id)
	h.must(err)
	h.must(h.DB.UpdateCase(t.Context(), h.Ada, id, func(c *disclosure.Case) error { return c.SetCVE("CVE-2026-4242", h.Ada, h.DB.Now()) }))
	b := h.as(h.Tri)
	finds := func(b *browser, words string) bool {
		return strings.Contains(b.page("/inbox?q="+url.QueryEscape(words)), at(c)+`"`)
	}
	for words, want := range map[string]bool{
		"plain": true, "frobnicator": true, "cve-2026-4242": true, "CVE-2026-4242 plain": true, "robin frobnicator": true,
		"frobnicator another": false, "cve-2026-4243": false, "zebra": false,
	} {
		if got := finds(b, words); got != want {
			t.Errorf("the inbox finds the case by %q: %t, want %t", words, got, want)
		}
	}
	h.must(h.DB.UpdateCase(t.Context(), h.Ada, id, func(c *disclosure.Case) error {
		return c.Restrict([]disclosure.MemberID{h.Ada.Member}, h.Ada, h.DB.Now())
	}))
	ada := h.as(h.Ada)
	if finds(ada, "frobnicator") || !finds(ada, "plain") {
		t.Error("a restricted case is found by its text, or not by its title")
	}
	if finds(b, "plain") || finds(b, "frobnicator") {
		t.Error("a restricted case is found by who may not see it")
	}
}

// TestOneRowAView: looking at a case again writes no further row, and what it
// is compared with is one row that says which.
func TestOneRowAView(t *testing.T) {
	h := newHouse(t)
	id, _ := h.Case(t, "It leaks")
	other, _ := h.Case(t, "It leaks as well")
	c, err := h.DB.Case(t.Context(), h.Ada, id)
	h.must(err)
	rows := func() (mine, all []postgres.LogRow) {
		all, err := h.DB.Log(t.Context(), h.Ada, postgres.LogQuery{Limit: 500})
		h.must(err)
		for _, r := range all {
			if r.Member == h.Ada.Member {
				mine = append(mine, r)
			}
		}
		return mine, all
	}
	ada := h.as(h.Ada)
	ada.page(at(c))
	before, _ := rows()
	ada.page(at(c))
	if after, _ := rows(); len(after) != len(before) {
		t.Errorf("a second look wrote %+v", after[:len(after)-len(before)])
	}
	h.must(h.DB.UpdateCase(t.Context(), h.Ada, other, func(c *disclosure.Case) error {
		return c.Restrict([]disclosure.MemberID{h.Ada.Member}, h.Ada, h.DB.Now())
	}))
	ada.page(at(c))
	after, _ := rows()
	if after[0].Type != "search.read" || after[0].Object != string(id) || !strings.Contains(after[0].Details, "2") {
		t.Errorf("comparing with a restricted case left %+v, want a row that names it", after[0])
	}
	if page := ada.page("/log"); !strings.Contains(page, "arrival in case #1") {
		t.Error("the log does not say of which case an arrival is")
	}
}

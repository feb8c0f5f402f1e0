package desk_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestApplicantIsAnsweredOnce: a double click repeats no answer.
func TestApplicantIsAnsweredOnce(t *testing.T) {
	h := newHouseWith(t, func(toml string) string { return strings.Replace(toml, `clear_mail = "safe"`, `clear_mail = "ask"`, 1) })
	n := h.applied("vendor@harbor.example", "We ship it.", "list.txt")
	at := fmt.Sprintf("/applications/%d", n)
	ada := h.as(h.Ada)
	once := func(page string) string {
		t.Helper()
		m := onceField.FindStringSubmatch(page)
		if m == nil {
			t.Fatal("the page of an application has no field that tells its showing")
		}
		return m[1]
	}
	send := form("text", "No.", "clear", "yes", "once", once(ada.page(at)))
	count := func() int {
		a, err := h.DB.Application(t.Context(), h.Ada, n)
		h.must(err)
		return len(a.Messages)
	}
	before := count()
	for range 2 {
		if a := ada.post(at+"/answer", send); a.code != http.StatusSeeOther {
			t.Fatalf("answer: %d %s", a.code, faultBox.FindString(a.body))
		}
	}
	if got := count() - before; got != 1 {
		t.Errorf("an answer sent twice stands there %d times, want once", got)
	}
	send.Set("once", once(ada.page(at)))
	ada.post(at+"/answer", send)
	if got := count() - before; got != 2 {
		t.Errorf("the same words from another showing of the page: %d answers, want 2", got)
	}
}

package intake

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/e2e/world"
)

// TestPauseKeepsMailInOrder: an admin pauses intake at the desk. The form says
// why and stores nothing; mail goes on being taken, and is opened in the order
// in which it came.
func TestPauseKeepsMailInOrder(t *testing.T) {
	w := newTeam(t, world.Config{})
	const notice = "We are flooded; back on Monday."
	ada := w.SignedIn("Ada")
	ada.Get("/policy").OK().SubmitTo("/policy/pause", []world.Field{{Name: "do", Value: "pause"}, {Name: "notice", Value: notice}})
	w.Ready()
	w.Visit(w.GateURL).Get("/report").OK().Has(notice)
	before := w.arrivals()
	for i := range 8 {
		must(t, w.try("finn@finder.example", address, plain("finn@finder.example", fmt.Sprintf("number %d", i+1), secret)))
	}
	if n := w.arrivals() - before; n != 8 {
		t.Fatalf("%d of 8 mails are kept while intake is paused", n)
	}
	w.Settle()
	for i := range 8 {
		c, err := w.DB.CaseByNumber(t.Context(), w.Member("Ada"), i+1)
		if err != nil || c.Title != fmt.Sprintf("number %d", i+1) {
			t.Errorf("case #%d is %v, %v; want the mails in order", i+1, c, err)
		}
	}
	ada.Get("/policy").OK().SubmitTo("/policy/pause", []world.Field{{Name: "do", Value: "resume"}})
	w.Ready()
	page := w.Visit(w.GateURL).Get("/report").OK()
	if strings.Contains(page.Text(), notice) {
		t.Error("after resuming the form still shows the notice")
	}
	page.Submit("form-report", []world.Field{{Name: "description", Value: "After the pause."}})
	if f := w.newest(); f.c == nil || f.c.Title != "After the pause." {
		t.Errorf("after resuming a report became %+v", f)
	}
}

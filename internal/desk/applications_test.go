package desk_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
)

// applied is the number of an application that came with a file.
func (h *house) applied(address, text, file string) int {
	h.t.Helper()
	arrival := h.Arrive(h.t, postgrestest.Sent{Kind: disclosure.ArrivalApplication, Header: disclosure.ArrivalHeader{Address: address},
		Parts: []postgrestest.Part{{Bytes: []byte(text)}}})
	found, err := h.DB.NextArrival(h.t.Context(), disclosure.System("arrivals"), func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
		if _, err := a.AddFile(ctx, file, "text/plain", strings.NewReader("who they are")); err != nil {
			return postgres.Opened{}, err
		}
		return postgrestest.PlainText(ctx, a)
	})
	if err != nil || !found {
		h.t.Fatalf("open the application: %t, %v", found, err)
	}
	var n int
	h.must(h.DB.Pool().QueryRow(h.t.Context(), `SELECT x.number FROM application x JOIN arrival a ON a.application = x.id WHERE a.id = $1`, string(arrival)).Scan(&n))
	return n
}

func (h *house) asked(n int) *disclosure.Application {
	h.t.Helper()
	a, err := h.DB.Application(h.t.Context(), h.Ada, n)
	h.must(err)
	return a.Application
}

// TestApplicationIsDecided: seen by admins alone, answered by the rules for
// reporters, set aside with a reason, taken up again.
func TestApplicationIsDecided(t *testing.T) {
	h := newHouseWith(t, func(toml string) string { return strings.Replace(toml, `clear_mail = "safe"`, `clear_mail = "ask"`, 1) })
	n := h.applied("vendor@harbor.example", "Harbor OS ships Lantern to 40,000 machines.", "list.txt")
	at := fmt.Sprintf("/applications/%d", n)
	ada := h.as(h.Ada)
	if page := ada.page("/inbox"); !strings.Contains(page, "Applications (1)") || strings.Contains(page, "40,000") {
		t.Error("an admin's inbox does not count the application in the bar, or shows it among the cases")
	}
	if page := h.as(h.Tri).page("/inbox"); strings.Contains(page, "Applications") {
		t.Error("a triager's bar speaks of applications")
	}
	if list := ada.page("/applications"); !strings.Contains(list, "vendor@harbor.example") || !strings.Contains(list, at+`"`) {
		t.Errorf("the list does not name who asks:\n%s", list)
	}
	page := ada.page(at)
	for _, want := range []string{"40,000 machines", "list.txt", "/download", "our decision", "Sealed on arrival"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}

	if a := ada.post(at+"/answer", form("text", "No, and here is why.")); a.code != http.StatusUnprocessableEntity || !strings.Contains(a.body, "No, and here is why.") {
		t.Errorf("an answer in clear without a word: %d, want 422 and the text kept", a.code)
	}
	if a := ada.post(at+"/answer", form("text", "No, and here is why.", "clear", "yes")); a.code != http.StatusSeeOther {
		t.Errorf("an answer in clear on record: %d %s", a.code, faultBox.FindString(a.body))
	}
	if draft := ada.page(at + "?letter=application-declined"); !strings.Contains(draft, "announce@lists.lantern.example") {
		t.Error("declining does not point to the list for announcements")
	}

	version := fmt.Sprint(h.asked(n).Version)
	if a := ada.post(at+"/set-aside", form("version", version, "reason", " ")); a.code != http.StatusUnprocessableEntity {
		t.Errorf("set aside without a reason: %d, want 422", a.code)
	}
	if a := ada.post(at+"/set-aside", form("version", "1", "reason", "Too small.")); a.code != http.StatusUnprocessableEntity {
		t.Errorf("set aside what somebody changed meanwhile: %d, want 422", a.code)
	}
	if a := ada.post(at+"/set-aside", form("version", version, "reason", "Too small.")); a.code != http.StatusSeeOther || h.asked(n).State != disclosure.ApplicationAnswered {
		t.Errorf("set aside: %d, state %s", a.code, h.asked(n).State)
	}
	if page := ada.page("/inbox"); strings.Contains(page, "Applications (") {
		t.Error("the bar counts what was decided")
	}
	if a := ada.post(at+"/take-up", form("version", fmt.Sprint(h.asked(n).Version))); a.code != http.StatusSeeOther || h.asked(n).State != disclosure.ApplicationReceived {
		t.Errorf("take up again: %d, state %s", a.code, h.asked(n).State)
	}
	if page := ada.page(fmt.Sprintf("/distributors/new?application=%d", n)); !strings.Contains(page, `value="vendor@harbor.example"`) {
		t.Error("the form to enroll lacks the applicant's address")
	}
}

// TestApplicationBecomesCase: with all that was said, its files, its original
// and its time; what was promised reporters counts from there.
func TestApplicationBecomesCase(t *testing.T) {
	h := newHouse(t)
	n := h.applied("finn@finder.example", "Tokens can be guessed.", "proof.txt")
	was := h.asked(n)
	h.must(h.DB.MoveTime(t.Context(), disclosure.System("test"), 30*time.Hour))
	ada := h.as(h.Ada)
	a := ada.post(fmt.Sprintf("/applications/%d/report", n), form())
	if a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, "/cases/") {
		t.Fatalf("make it a case: %d to %q %s", a.code, a.location, faultBox.FindString(a.body))
	}
	c := h.caseOf(disclosure.CaseID(was.ID))
	clocks := c.Clocks()
	if !c.Received.Equal(was.Received) || len(clocks) == 0 || !clocks[0].Due.Equal(was.Received.Add(48*time.Hour)) {
		t.Errorf("the case came at %s with clocks %+v, want %s and 48 hours from it", c.Received, clocks, was.Received)
	}
	if len(c.Files) != 1 || len(c.Reporters) != 1 || c.Reporters[0].Address != "finn@finder.example" {
		t.Errorf("the case has files %v and reporters %v", c.Files, c.Reporters)
	}
	tri := h.as(h.Tri)
	page := tri.page(a.location)
	if !strings.Contains(page, "Tokens can be guessed.") {
		t.Error("the case's page lacks what was said")
	}
	thread, err := h.DB.Thread(t.Context(), h.Tri, c.ID)
	h.must(err)
	for _, path := range []string{fmt.Sprintf("%s/originals/%s", a.location, thread[0].Arrival), fmt.Sprintf("%s/files/%s/download", a.location, c.Files[0].ID)} {
		if got := tri.do("GET", path, "", nil); got.code != http.StatusOK {
			t.Errorf("GET %s: %d, want what came", path, got.code)
		}
	}
	lane := disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}
	if thread[0].Lane != lane {
		t.Errorf("it lies in lane %+v, want the reporter's %+v", thread[0].Lane, lane)
	}
	if a := ada.post(fmt.Sprintf("/applications/%d/report", n), form()); a.code != http.StatusUnprocessableEntity {
		t.Errorf("make it a case twice: %d, want 422", a.code)
	}
	if page := ada.page(fmt.Sprintf("/applications/%d", n)); !strings.Contains(page, a.location) {
		t.Error("the application does not lead to its case")
	}
}

package work_test

import (
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/vault"
)

// TestNewsOfAnApplication: who answers the letter about the mailbox of an
// application writes to the application, and to the case once it is one.
func TestNewsOfAnApplication(t *testing.T) {
	h := newHouse(t)
	const fay = "finn@finder.example"
	box := vault.NewCode().Mailbox(h.DB.Instance())
	h.Arrive(t, said(disclosure.ArrivalApplication, disclosure.ByForm, disclosure.ArrivalHeader{
		Mailbox: disclosure.MailboxID(box.ID()), MailboxPublic: box.Public(), Address: fay}, "We package Lantern.\n"))
	h.once()
	asked := func() postgres.ApplicationThread {
		t.Helper()
		a, err := h.DB.Application(t.Context(), h.Ada, 1)
		h.must(err)
		return a
	}
	h.must(h.DB.AnswerApplication(t.Context(), h.Ada, 1, postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Text: "canary"}))
	h.Advance(t, time.Minute)
	h.once()
	letters := h.to(fay)
	if len(letters) != 1 {
		t.Fatalf("%d letters to the applicant, want 1", len(letters))
	}
	reply := func(text string) {
		t.Helper()
		h.Arrive(t, mailed(plainMail("Re: news", text, "X-N: "+disclosure.NewID()+"\n"), letters[0].From))
		h.once()
	}
	cases := func() int {
		t.Helper()
		page, err := h.DB.Inbox(t.Context(), h.Ada, inboxAll)
		h.must(err)
		return len(page.Rows)
	}
	reply("One.\n")
	if n := len(asked().Messages); n != 3 || cases() != 0 {
		t.Fatalf("an answer to the letter from %s: %d messages of the application and %d cases, want 3 and none", letters[0].From, n, cases())
	}
	exec := func(query string, args ...any) {
		t.Helper()
		tag, err := h.DB.Pool().Exec(t.Context(), query, args...)
		h.must(err)
		if tag.RowsAffected() != 1 {
			t.Fatalf("%s: %d rows, want 1", query, tag.RowsAffected())
		}
	}
	exec(`UPDATE reply_token SET lane = 'reporter' WHERE application IS NOT NULL`) // as letters before had it
	reply("Two.\n")
	if n := len(asked().Messages); n != 4 || cases() != 0 {
		t.Fatalf("an answer to an older letter: %d messages of the application and %d cases, want 4 and none", n, cases())
	}

	was := asked()
	_, err := h.DB.MakeReport(t.Context(), h.Ada, 1)
	h.must(err)
	var left int
	h.must(h.DB.Pool().QueryRow(t.Context(), `SELECT count(*) FROM mailbox_news WHERE application IS NOT NULL`).Scan(&left))
	if left != 0 {
		t.Errorf("%d letters are still due of an application that is a case", left)
	}
	// A token read just before the application became a case names that still.
	exec(`UPDATE reply_token SET application = case_id, case_id = NULL, lane = 'applicant'`)
	reply("Three.\n")
	_, thread := h.read(disclosure.CaseID(was.ID))
	if len(thread) != 5 || thread[4].Lane.Kind != disclosure.LaneReporter || cases() != 1 {
		t.Errorf("an answer on the way while it became a case: %d messages of the case and %d cases, want 5 and 1", len(thread), cases())
	}
}

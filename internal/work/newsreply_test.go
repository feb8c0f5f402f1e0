package work_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/smtp"
	"postern/internal/vault"
	"postern/internal/work"
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

// TestNewsIsLeased: a mail server that hangs locks no row of the letter's, and
// every attempt has the same Message-ID, whatever came meanwhile.
func TestNewsIsLeased(t *testing.T) {
	h := newHouse(t)
	h.Conf.Sender = refuses{h.Conf.Sender, "fay@finder.example"}
	h.Work = work.New(h.Conf)
	id, _ := h.posted("fay@finder.example", nil)
	h.answer(id, "one", false) // the first attempt
	begun := func() (at time.Time) {
		t.Helper()
		h.must(h.DB.Pool().QueryRow(t.Context(), `SELECT begun FROM mailbox_news`).Scan(&at))
		return at
	}
	first := begun()
	h.answer(id, "two", false)
	h.Advance(t, time.Hour)
	var got postgres.News
	tried := 0
	send := func(ctx context.Context, n postgres.News) error {
		got, tried = n, tried+1
		_, err := h.DB.Pool().Exec(ctx, `SELECT FROM mailbox_news FOR UPDATE NOWAIT`)
		h.must(err)
		if found, err := h.DB.NewsDue(ctx, disclosure.System("other"), func(context.Context, postgres.News) error { return nil }); found || err != nil {
			t.Errorf("NewsDue while the letter is on its way: %t, %v; want nothing due", found, err)
		}
		return nil
	}
	found, err := h.DB.NewsDue(t.Context(), disclosure.System("test"), send)
	if want := fmt.Sprintf(".%d", first.Unix()); !found || err != nil || tried != 1 || !strings.HasSuffix(got.MessageID, want) {
		t.Errorf("NewsDue = %t, %v, tried %d times with Message-ID %q, want once with the first attempt's %q", found, err, tried, got.MessageID, want)
	}
	if found, err := h.DB.NewsDue(t.Context(), disclosure.System("test"), send); found || err != nil {
		t.Errorf("NewsDue after it was sent: %t, %v; want nothing due", found, err)
	}
}

// refuses takes nothing to one address, for now.
type refuses struct {
	smtp.Sender
	to string
}

func (r refuses) Send(ctx context.Context, e smtp.Envelope, body func(io.Writer) error, confirm func(context.Context) error) smtp.Outcome {
	if e.To == r.to {
		return smtp.Outcome{State: smtp.Deferred, Text: "451 later"}
	}
	return r.Sender.Send(ctx, e, body, confirm)
}

// TestNewsNeverInClearToWhoGaveAKey: not where the key cannot be used either;
// the history says that nobody was told.
func TestNewsNeverInClearToWhoGaveAKey(t *testing.T) {
	h := newHouse(t)
	id, _ := h.posted("fay@finder.example", nil)
	h.must(h.DB.UpdateCase(t.Context(), h.Ada, id, func(c *disclosure.Case) error {
		return c.SetReporterKey(c.Reporters[0].ID, []byte("no key"), "AAAA", h.Ada, h.DB.Now())
	}))
	h.answer(id, "canary", false)
	if n := len(h.to("fay@finder.example")); n != 0 {
		t.Errorf("%d letters to who gave a key that cannot be used, want none", n)
	}
	list, err := h.DB.Timeline(t.Context(), h.Ada, id)
	h.must(err)
	said := 0
	for _, e := range list {
		if strings.HasPrefix(e.Text, "No letter says that the mailbox holds something new") {
			said++
		}
	}
	if said != 1 {
		t.Errorf("the history says %d times that nobody was told, want once: %+v", said, list)
	}
}

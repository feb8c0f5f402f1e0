package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
	"postern/internal/vault"
)

func TestCaseIsSavedWhole(t *testing.T) {
	w := postgrestest.New(t)
	id, code := w.Case(t, "Leak in the lamp")
	now := w.DB.Now()
	err := w.DB.UpdateCase(ctx, w.Tri, id, func(c *disclosure.Case) error {
		return errors.Join(c.Acknowledge(w.Tri, now), c.Assign(w.Tri.Member, "Tri", w.Tri, now), c.SetTitle("Lamp leaks oil", w.Tri, now),
			c.Accept(w.Tri, now))
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.DB.CaseByNumber(ctx, w.Rel, 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.State != disclosure.Accepted || c.Owner != w.Tri.Member || c.OwnerName != "Tri" || c.Title != "Lamp leaks oil" || c.AcknowledgedBy != "Tri" ||
		!c.Acknowledged.Equal(now) || c.PublicName == "" || c.Version != 2 || len(c.Reporters) != 1 {
		t.Errorf("the case is %+v", c)
	}
	events, err := w.DB.Timeline(ctx, w.Rel, id)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []disclosure.EventKind
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	if !slices.IsSortedFunc(events, func(a, b disclosure.Event) int { return a.At.Compare(b.At) }) || kinds[len(kinds)-1] != disclosure.EventMoved ||
		!slices.Contains(kinds, disclosure.EventAcknowledged) || !slices.Contains(kinds, disclosure.EventAssigned) {
		t.Errorf("the history is %v", kinds)
	}
	items := mailbox(t, w, code)
	if last := items[len(items)-1]; last.Kind != disclosure.ItemStatus || last.Status != disclosure.Accepted || last.Text == "" {
		t.Errorf("the mailbox says %+v, want accepted", last)
	}
	failed := errors.New("no")
	if err := w.DB.UpdateCase(ctx, w.Tri, id, func(c *disclosure.Case) error { c.Title = "gone"; return failed }); !errors.Is(err, failed) {
		t.Errorf("UpdateCase() = %v, want the change's error", err)
	}
	if c, _ := w.DB.Case(ctx, w.Tri, id); c.Title != "Lamp leaks oil" || c.Version != 2 {
		t.Errorf("a refused change was saved: %+v", c)
	}
	if err := w.DB.UpdateCase(ctx, w.Tri, id, func(c *disclosure.Case) error { c.State = disclosure.Embargoed; return nil }); !isRefusal(err, "state") {
		t.Errorf("UpdateCase() to embargoed = %v, want a refusal", err)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	w := postgrestest.New(t)
	id, _ := w.Case(t, "One")
	c, err := w.DB.Case(ctx, w.Ada, id)
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.DB.StoreFile(ctx, w.Tri, id, "", "a.txt", "text/plain", strings.NewReader("a"))
	if err != nil {
		t.Fatal(err)
	}
	adm := w.Member(t, "Adm", disclosure.Admin)
	lane := disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}
	to := func(b *bytes.Buffer) func(disclosure.File) (io.Writer, error) {
		return func(disclosure.File) (io.Writer, error) { return b, nil }
	}
	all := []disclosure.Caller{w.Tri, w.Rel, adm, w.Aud, work}
	// In the order of all: t triager, r releaser, a admin, u auditor, w work.
	calls := []struct {
		name string
		may  string
		call func(by disclosure.Caller) error
	}{
		{"Case", "traw", func(by disclosure.Caller) error { _, err := w.DB.Case(ctx, by, id); return err }},
		{"Thread", "traw", func(by disclosure.Caller) error { _, err := w.DB.Thread(ctx, by, id); return err }},
		{"Timeline", "traw", func(by disclosure.Caller) error { _, err := w.DB.Timeline(ctx, by, id); return err }},
		{"Inbox", "traw", func(by disclosure.Caller) error {
			_, err := w.DB.Inbox(ctx, by, postgres.InboxQuery{})
			return err
		}},
		{"Original", "traw", func(by disclosure.Caller) error {
			return w.DB.Original(ctx, by, c.Reporters[0].Arrival, new(bytes.Buffer))
		}},
		{"OpenFile", "traw", func(by disclosure.Caller) error { return w.DB.OpenFile(ctx, by, f.ID, to(new(bytes.Buffer))) }},
		{"StoreFile", "tw", func(by disclosure.Caller) error {
			_, err := w.DB.StoreFile(ctx, by, id, "", "x", "", strings.NewReader("x"))
			return err
		}},
		{"AddNote", "traw", func(by disclosure.Caller) error {
			return w.DB.AddNote(ctx, by, id, disclosure.MessageID(disclosure.NewID()), "n", nil)
		}},
		{"Reply", "tw", func(by disclosure.Caller) error {
			return w.DB.Reply(ctx, by, postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: id, Lane: lane, Text: "hello"})
		}},
		{"SetTitle", "tw", func(by disclosure.Caller) error {
			return w.DB.UpdateCase(ctx, by, id, func(c *disclosure.Case) error { return c.SetTitle("Two", by, w.DB.Now()) })
		}},
		{"CreateCase", "tw", func(by disclosure.Caller) error {
			_, _, err := w.DB.CreateCase(ctx, by, postgres.CaseDraft{Title: "by telephone"})
			return err
		}},
		{"Members", "trauw", func(by disclosure.Caller) error { _, err := w.DB.Members(ctx, by); return err }},
		{"Invite", "aw", func(by disclosure.Caller) error {
			_, err := w.DB.Invite(ctx, by, "X", disclosure.NewID()+"@x.example", disclosure.Triager, []byte(disclosure.NewID()), w.DB.Wall())
			return err
		}},
		{"SetRoles", "aw", func(by disclosure.Caller) error { return w.DB.SetRoles(ctx, by, w.Rel.Member, disclosure.Releaser) }},
		{"Slots", "aw", func(by disclosure.Caller) error { _, err := w.DB.Slots(ctx, by); return err }},
		{"StoreTeamKey", "aw", func(by disclosure.Caller) error { return w.DB.StoreTeamKey(ctx, by, "F", []byte("c"), []byte("s")) }},
		{"TeamKeys", "traw", func(by disclosure.Caller) error { _, err := w.DB.TeamKeys(ctx, by); return err }},
		{"Log", "auw", func(by disclosure.Caller) error { _, err := w.DB.Log(ctx, by, postgres.LogQuery{}); return err }},
		{"Hold", "raw", func(by disclosure.Caller) error { return w.DB.Hold(ctx, by, "because") }},
		{"LetGo", "ra", func(by disclosure.Caller) error {
			if err := w.DB.Hold(ctx, work, "again"); err != nil {
				return err
			}
			return w.DB.LetGo(ctx, by)
		}},
		{"NextArrival", "w", func(by disclosure.Caller) error {
			_, err := w.DB.NextArrival(ctx, by, postgrestest.PlainText)
			return err
		}},
		{"WakeCases", "w", func(by disclosure.Caller) error { _, err := w.DB.WakeCases(ctx, by, 10); return err }},
		{"MoveTime", "aw", func(by disclosure.Caller) error { return w.DB.MoveTime(ctx, by, time.Second) }},
	}
	for _, x := range calls {
		for i, by := range all {
			err := x.call(by)
			if may := strings.Contains(x.may, "trauw"[i:i+1]); may && err != nil {
				t.Errorf("%s by %s = %v, want it done", x.name, by.Roles, err)
			} else if !may && !errors.Is(err, disclosure.ErrForbidden) && !errors.Is(err, disclosure.ErrNotFound) {
				t.Errorf("%s by %s = %v, want it forbidden", x.name, by.Roles, err)
			}
		}
	}
}

func TestRestrictedDoesNotExistForOthers(t *testing.T) {
	w := postgrestest.New(t)
	bob := w.Member(t, "Bob", disclosure.Triager|disclosure.Admin)
	id, _ := w.Case(t, "Hush")
	open, _ := w.Case(t, "Open")
	c, err := w.DB.Case(ctx, w.Tri, id)
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.DB.StoreFile(ctx, w.Tri, id, "", "a.txt", "", strings.NewReader("a"))
	if err != nil {
		t.Fatal(err)
	}
	err = w.DB.UpdateCase(ctx, w.Tri, id, func(c *disclosure.Case) error {
		return c.Restrict([]disclosure.MemberID{w.Tri.Member, w.Ada.Member}, w.Tri, w.DB.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	sees := func(by disclosure.Caller) []error {
		_, a := w.DB.Case(ctx, by, id)
		_, b := w.DB.CaseByNumber(ctx, by, c.Number)
		_, d := w.DB.Thread(ctx, by, id)
		_, e := w.DB.Timeline(ctx, by, id)
		g := w.DB.Original(ctx, by, c.Reporters[0].Arrival, new(bytes.Buffer))
		h := w.DB.OpenFile(ctx, by, f.ID, func(disclosure.File) (io.Writer, error) { return new(bytes.Buffer), nil })
		i := w.DB.AddNote(ctx, by, id, disclosure.MessageID(disclosure.NewID()), "n", nil)
		return []error{a, b, d, e, g, h, i}
	}
	for i, err := range sees(bob) {
		if !errors.Is(err, disclosure.ErrNotFound) {
			t.Errorf("way %d to it for Bob = %v, want ErrNotFound", i, err)
		}
	}
	if err := w.DB.MergeCases(ctx, bob, open, id); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("MergeCases() into it by Bob = %v, want ErrNotFound", err)
	}
	for i, err := range sees(w.Tri) {
		if err != nil {
			t.Errorf("way %d to it for Tri = %v", i, err)
		}
	}
	for _, x := range []struct {
		by   disclosure.Caller
		want int
	}{{bob, 1}, {w.Rel, 1}, {w.Tri, 2}, {w.Ada, 2}, {work, 2}} {
		page, err := w.DB.Inbox(ctx, x.by, postgres.InboxQuery{})
		if err != nil || len(page.Rows) != x.want || page.Tallies[disclosure.Received] != x.want {
			t.Errorf("Inbox() of %s = %d rows, tallies %v, %v; want %d", x.by.Name, len(page.Rows), page.Tallies, err, x.want)
		}
	}
	for _, by := range []disclosure.Caller{bob, w.Aud} {
		rows, err := w.DB.Log(ctx, by, postgres.LogQuery{Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Object == string(id) || r.Object == string(f.ID) || r.Object == string(c.Reporters[0].Arrival) {
				t.Errorf("%s finds %s of the restricted case in the log", by.Name, r.Type)
			}
		}
	}
	if rows, err := w.DB.Log(ctx, w.Ada, postgres.LogQuery{Object: string(id)}); err != nil || len(rows) == 0 {
		t.Errorf("Log() for one who may see it = %d, %v", len(rows), err)
	}
}

func TestAlertsReachWhoMaySee(t *testing.T) {
	w := postgrestest.New(t)
	id, code := w.Case(t, "Hush")
	drain(t, w)
	err := w.DB.UpdateCase(ctx, w.Tri, id, func(c *disclosure.Case) error {
		return c.Restrict([]disclosure.MemberID{w.Tri.Member}, w.Tri, w.DB.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	box := code.Mailbox(w.DB.Instance())
	w.Arrive(t, postgrestest.Sent{Kind: disclosure.ArrivalMessage, Channel: disclosure.ByMailbox,
		Header: disclosure.ArrivalHeader{Mailbox: disclosure.MailboxID(box.ID())}})
	w.OpenAll(t)
	due, err := w.DB.DueAlerts(ctx, 10)
	if err != nil || len(due) != 1 || due[0].Kind != disclosure.AlertMessage || due[0].Name != "Tri" {
		t.Fatalf("DueAlerts() = %+v, %v; want one, for Tri", due, err)
	}
	if again, _ := w.DB.DueAlerts(ctx, 10); len(again) != 0 {
		t.Errorf("an alert that is being sent came again: %+v", again)
	}
	w.Advance(t, 2*time.Minute)
	again, err := w.DB.DueAlerts(ctx, 10)
	if err != nil || len(again) != 1 || again[0].Attempt != 2 || again[0].MessageID != due[0].MessageID {
		t.Fatalf("an alert not noted as sent: %+v, %v; want it again with its Message-ID", again, err)
	}
	if err := w.DB.AlertSent(ctx, again[0].ID); err != nil {
		t.Fatal(err)
	}
	w.Advance(t, 24*time.Hour)
	for _, a := range drain(t, w) {
		if a.ID == due[0].ID {
			t.Error("a sent alert came again")
		}
	}
}

func drain(t *testing.T, w *postgrestest.World) []postgres.DueAlert {
	t.Helper()
	list, err := w.DB.DueAlerts(ctx, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if err := w.DB.AlertSent(ctx, a.ID); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func TestClocksWakeCases(t *testing.T) {
	w := postgrestest.New(t)
	id, _ := w.Case(t, "Slow")
	drain(t, w)
	for _, step := range []struct {
		by   time.Duration
		want disclosure.AlertKind
	}{{25 * time.Hour, disclosure.AlertHalf}, {14 * time.Hour, disclosure.AlertFourFifths}, {10 * time.Hour, disclosure.AlertBreach}} {
		w.Advance(t, step.by)
		if n, err := w.DB.WakeCases(ctx, work, 10); n != 1 || err != nil {
			t.Fatalf("WakeCases() after %v = %d, %v; want one", step.by, n, err)
		}
		if n, err := w.DB.WakeCases(ctx, work, 10); n != 0 || err != nil {
			t.Fatalf("WakeCases() again = %d, %v; want none", n, err)
		}
		if due := drain(t, w); len(due) == 0 || due[0].Kind != step.want {
			t.Errorf("after %v members are told %+v, want %s", step.by, due, step.want)
		}
	}
	page, err := w.DB.Inbox(ctx, w.Tri, postgres.InboxQuery{Overdue: true})
	if err != nil || len(page.Rows) != 1 || page.Rows[0].ID != id || page.Rows[0].Clock == nil || page.Rows[0].Clock.Name != "ack" {
		t.Errorf("Inbox(overdue) = %+v, %v; want the case with its broken promise", page.Rows, err)
	}
}

func TestMergeAndSplitMoveLanes(t *testing.T) {
	w := postgrestest.New(t)
	a, codeA := w.Case(t, "First")
	b, _ := w.Case(t, "Second")
	if err := w.DB.MergeCases(ctx, w.Tri, b, a); err != nil {
		t.Fatal(err)
	}
	c, err := w.DB.Case(ctx, w.Tri, a)
	if err != nil || len(c.Reporters) != 2 {
		t.Fatalf("Case() = %+v, %v; want two reporters", c, err)
	}
	if thread, err := w.DB.Thread(ctx, w.Tri, a); err != nil || len(thread) != 2 || thread[0].Lane == thread[1].Lane {
		t.Fatalf("Thread() = %+v, %v; want two lanes", thread, err)
	}
	if x, err := w.DB.Case(ctx, w.Tri, b); err != nil || x.State != disclosure.Closed || x.Merged != a || len(x.Reporters) != 0 {
		t.Fatalf("the merged case is %+v, %v", x, err)
	}
	if err := w.DB.SplitCases(ctx, w.Tri, b, a); err != nil {
		t.Fatal(err)
	}
	for _, id := range []disclosure.CaseID{a, b} {
		c, err := w.DB.Case(ctx, w.Tri, id)
		thread, err2 := w.DB.Thread(ctx, w.Tri, id)
		if err != nil || err2 != nil || len(c.Reporters) != 1 || len(thread) != 1 || c.State == disclosure.Closed {
			t.Errorf("after the split: %+v, %d messages, %v, %v", c, len(thread), err, err2)
		}
	}
	if len(mailbox(t, w, codeA)) == 0 {
		t.Error("a mailbox went away")
	}
}

func TestReplies(t *testing.T) {
	w := postgrestest.New(t)
	id, code := w.Case(t, "One")
	c, _ := w.DB.Case(ctx, w.Tri, id)
	f, err := w.DB.StoreFile(ctx, w.Tri, id, "", "try.patch", "text/x-diff", strings.NewReader("--- a\n+++ b\n"))
	if err != nil {
		t.Fatal(err)
	}
	lane := disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}
	draft := postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: id, Lane: lane, Text: "Thank you.", Files: []disclosure.FileID{f.ID}}
	for range 2 { // pressed twice
		if err := w.DB.Reply(ctx, w.Tri, draft); err != nil {
			t.Fatal(err)
		}
	}
	second := draft
	second.ID, second.Text = disclosure.MessageID(disclosure.NewID()), "Ooops"
	if err := w.DB.Reply(ctx, w.Tri, second); err != nil {
		t.Fatal(err)
	}
	before := len(mailbox(t, w, code))
	mail := func(context.Context, postgres.Outbound) error { t.Error("a mailbox was mailed"); return nil }
	if found, err := w.DB.SendDue(ctx, work, mail); found || err != nil {
		t.Fatalf("SendDue() at once = %v, %v; want none", found, err)
	}
	if err := w.DB.TakeBack(ctx, w.Tri, second.ID); err != nil {
		t.Fatal(err)
	}
	w.Advance(t, 31*time.Second)
	if err := w.DB.Hold(ctx, w.Rel, "a look first"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.SendDue(ctx, work, mail); !errors.Is(err, disclosure.ErrHeld) {
		t.Errorf("SendDue() while held = %v, want ErrHeld", err)
	}
	if err := w.DB.LetGo(ctx, w.Rel); err != nil {
		t.Fatal(err)
	}
	if found, err := w.DB.SendDue(ctx, work, mail); !found || err != nil {
		t.Fatalf("SendDue() = %v, %v; want one", found, err)
	}
	if found, err := w.DB.SendDue(ctx, work, mail); found || err != nil {
		t.Fatalf("SendDue() again = %v, %v; want none: one was taken back", found, err)
	}
	items := mailbox(t, w, code)
	if len(items) != before+1 {
		t.Fatalf("%d items more, want one", len(items)-before)
	}
	last := items[len(items)-1]
	if last.Kind != disclosure.ItemReply || last.Text != "Thank you." || len(last.Files) != 1 || fileBytes(t, w, code, last.Files[0].Item) != "--- a\n+++ b\n" {
		t.Errorf("the reply is %+v", last)
	}
	if err := w.DB.TakeBack(ctx, w.Tri, draft.ID); !isRefusal(err, "") {
		t.Errorf("TakeBack() of what has left = %v, want a refusal", err)
	}
	thread, _ := w.DB.Thread(ctx, w.Tri, id)
	states := map[disclosure.MessageState]int{}
	for _, m := range thread {
		states[m.State]++
	}
	if fmt.Sprint(states) != "map[back:1 in:1 out:1]" {
		t.Errorf("states are %v", states)
	}
}

func TestRepliesByMail(t *testing.T) {
	w := postgrestest.New(t)
	id := w.Arrive(t, postgrestest.Sent{Kind: disclosure.ArrivalMail, Channel: disclosure.ByMail, Header: disclosure.ArrivalHeader{Address: "robin@example.org"}})
	if _, err := w.DB.NextArrival(ctx, work, func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
		o, err := postgrestest.PlainText(ctx, a)
		o.MailID = "<1@example.org>"
		return o, err
	}); err != nil {
		t.Fatal(err)
	}
	c, err := w.DB.Case(ctx, w.Tri, w.CaseOf(t, id))
	if err != nil {
		t.Fatal(err)
	}
	draft := postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: c.ID, Text: "Thanks",
		Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}}
	if err := w.DB.Reply(ctx, w.Tri, draft); !isRefusal(err, "clear") {
		t.Fatalf("Reply() without a key = %v, want a refusal", err)
	}
	draft.Safe, draft.Letter = true, "acknowledgment"
	if err := w.DB.Reply(ctx, w.Tri, draft); err != nil {
		t.Fatal(err)
	}
	w.Advance(t, time.Minute)
	var seen []postgres.Outbound
	fail := errors.New("relay is away")
	if found, err := w.DB.SendDue(ctx, work, func(_ context.Context, o postgres.Outbound) error { seen = append(seen, o); return fail }); !found || err != nil {
		t.Fatalf("SendDue() = %v, %v", found, err)
	}
	w.Advance(t, 10*time.Minute)
	if found, err := w.DB.SendDue(ctx, work, func(_ context.Context, o postgres.Outbound) error { seen = append(seen, o); return nil }); !found || err != nil {
		t.Fatalf("SendDue() = %v, %v", found, err)
	}
	if len(seen) != 2 || seen[0].MessageID != seen[1].MessageID || seen[0].Token != seen[1].Token || seen[1].To != "robin@example.org" ||
		!seen[1].Clear || seen[1].InReplyTo != "<1@example.org>" || seen[1].Message.Text != "Thanks" {
		t.Fatalf("what was mailed: %d, %q, %q", len(seen), seen[0].MessageID, seen[0].Token)
	}
	// The reporter answers by the token.
	answer := w.Arrive(t, postgrestest.Sent{Kind: disclosure.ArrivalMail, Channel: disclosure.ByMail})
	if _, err := w.DB.NextArrival(ctx, work, func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
		if c, err := a.Claim(ctx, "nonsense"); c.Known || err != nil {
			t.Errorf("Claim(nonsense) = %+v, %v", c, err)
		}
		if c, err := a.Claim(ctx, strings.ToUpper(seen[0].Token)); !c.Known || err != nil || a.From == nil {
			t.Errorf("Claim() = %+v, %v", c, err)
		}
		return postgrestest.PlainText(ctx, a)
	}); err != nil {
		t.Fatal(err)
	}
	if got := w.CaseOf(t, answer); got != c.ID {
		t.Errorf("the answer is in case %s, want %s", got, c.ID)
	}
}

func TestSealedColumnsAreBound(t *testing.T) {
	w := postgrestest.New(t)
	a, _ := w.Case(t, "First")
	b, _ := w.Case(t, "Second")
	owner := ownerConn(t, w)
	exec(t, owner, `UPDATE cases SET body = (SELECT body FROM cases WHERE id = $2), card = (SELECT card FROM cases WHERE id = $2),
		wrapped_key = (SELECT wrapped_key FROM cases WHERE id = $2) WHERE id = $1`, string(a), string(b))
	if _, err := w.DB.Case(ctx, w.Tri, a); !errors.Is(err, vault.ErrOpen) {
		t.Errorf("Case() with another case's columns = %v, want vault.ErrOpen", err)
	}
	f, err := w.DB.StoreFile(ctx, w.Tri, b, "", "f", "", bytes.NewReader(bytes.Repeat([]byte("f"), 200_000)))
	if err != nil {
		t.Fatal(err)
	}
	exec(t, owner, `DELETE FROM file_chunk WHERE file = $1 AND n = (SELECT max(n) FROM file_chunk WHERE file = $1)`, string(f.ID))
	err = w.DB.OpenFile(ctx, w.Tri, f.ID, func(disclosure.File) (io.Writer, error) { return io.Discard, nil })
	if !errors.Is(err, vault.ErrOpen) {
		t.Errorf("OpenFile() cut off = %v, want vault.ErrOpen", err)
	}
}

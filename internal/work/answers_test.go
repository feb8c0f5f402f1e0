package work_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
	"postern/internal/vault"
)

// policy changes the demo's policy, which all cases then run under.
func (h *house) policy(pairs ...string) {
	h.t.Helper()
	text, err := policy.Preset("demo")
	h.must(err)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			h.t.Fatalf("the demo's policy has no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	p, err := h.DB.ApplyPolicy(h.t.Context(), h.Ada, []byte(text))
	h.must(err)
	if _, err := h.DB.Pool().Exec(h.t.Context(), `UPDATE cases SET policy_version = $1`, p.Version); err != nil {
		h.t.Fatal(err)
	}
}

// TestD7ClearMailPolicy: what may travel unencrypted to a reporter by mail
// without a key, in each mode of the policy.
func TestD7ClearMailPolicy(t *testing.T) {
	h := newHouse(t)
	first := h.Arrive(t, mailed(plainMail("It leaks", report)))
	h.once()
	id := h.CaseOf(t, first)
	c, _ := h.read(id)
	lane := disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}
	for _, test := range []struct {
		mode               string
		typed, safe, onRec bool // what is taken: typed text, a safe letter, typed text on record
	}{{"never", false, false, false}, {"safe", false, true, false}, {"ask", false, true, true}} {
		h.policy(`clear_mail = "safe"`, `clear_mail = "`+test.mode+`"`)
		try := func(d postgres.ReplyDraft) bool {
			d.ID, d.Case, d.Lane = disclosure.MessageID(disclosure.NewID()), id, lane
			err := h.DB.Reply(t.Context(), h.Ada, d)
			var refused *disclosure.Refusal
			if err != nil && !errors.As(err, &refused) {
				t.Fatalf("Reply under %s: %v", test.mode, err)
			}
			return err == nil
		}
		if got := try(postgres.ReplyDraft{Text: "typed"}); got != test.typed {
			t.Errorf("typed text in clear under %q: taken %t, want %t", test.mode, got, test.typed)
		}
		if got := try(postgres.ReplyDraft{Text: "letter", Letter: "acknowledgment", Safe: true}); got != test.safe {
			t.Errorf("a safe letter under %q: taken %t, want %t", test.mode, got, test.safe)
		}
		if got := try(postgres.ReplyDraft{Text: "letter", Letter: "accepted", Safe: true}); got {
			t.Errorf("a letter with detail went in clear under %q", test.mode)
		}
		if got := try(postgres.ReplyDraft{Text: "typed", Clear: true}); got != test.onRec {
			t.Errorf("typed text in clear on record under %q: taken %t, want %t", test.mode, got, test.onRec)
		}
	}
	h.Advance(t, time.Minute)
	h.once()
	sent := h.to("finn@finder.example")
	reply := 0
	for _, m := range sent {
		if text := string(m.Data); strings.Contains(text, "Reply-To: ") && (strings.Contains(text, "\r\nletter") || strings.Contains(text, "\r\ntyped")) {
			reply++
		}
	}
	if reply != 3 {
		t.Errorf("%d answers with a Reply-To were mailed of %d mails, want 3", reply, len(sent))
	}
}

// TestD7MailboxInvitation: a reporter by mail makes a mailbox by a single-use
// link; what is answered then lies there, and the link works no more.
func TestD7MailboxInvitation(t *testing.T) {
	h := newHouse(t)
	first := h.Arrive(t, mailed(plainMail("It leaks", report)))
	h.once()
	id := h.CaseOf(t, first)
	c, _ := h.read(id)
	r := c.Reporters[0]
	token, _, err := h.DB.InviteToMailbox(t.Context(), h.Tri, id, r.ID)
	h.must(err)
	follow := func() (disclosure.ArrivalID, *vault.Mailbox) {
		code := vault.NewCode()
		box := code.Mailbox(h.DB.Instance())
		arrival := h.Arrive(t, sent(disclosure.ArrivalMessage, disclosure.ByMailbox, disclosure.ArrivalHeader{
			Mailbox: disclosure.MailboxID(box.ID()), MailboxPublic: box.Public(),
			Answers: []disclosure.Answer{{Ask: disclosure.AnswerInvite, Text: token}}}))
		h.once()
		return arrival, box
	}
	arrival, box := follow()
	if got := h.CaseOf(t, arrival); got != id {
		t.Fatalf("the invitation led to case %s, want %s", got, id)
	}
	c, _ = h.read(id)
	if got := c.Reporters[0].Mailbox; got != disclosure.MailboxID(box.ID()) || len(c.Reporters) != 1 {
		t.Fatalf("the reporter has mailbox %q, want the one just made", got)
	}
	m := h.answer(id, "canary: the details", false)
	if got := h.state(id, m); got != disclosure.MessageOut {
		t.Fatalf("the reply is %s, want out", got)
	}
	for _, m := range h.Sink.Messages() {
		if strings.Contains(string(m.Data), "canary") {
			t.Error("what lies in the mailbox was mailed as well")
		}
	}
	cases := func() (n int) {
		t.Helper()
		h.must(h.DB.Pool().QueryRow(t.Context(), "SELECT count(*) FROM cases").Scan(&n))
		return n
	}
	before := cases()
	empty, _ := follow() // a second time, and nothing else
	if got := cases(); got != before {
		t.Errorf("a used invitation alone made %d cases, want none", got-before)
	}
	var kept, noted bool
	h.must(h.DB.Pool().QueryRow(t.Context(), `SELECT opened IS NOT NULL AND case_id IS NULL,
		EXISTS (SELECT FROM log WHERE type = 'arrival.invitation-unknown' AND object = $1) FROM arrival WHERE id = $1`, empty).Scan(&kept, &noted))
	if !kept || !noted {
		t.Errorf("the arrival of an unknown invitation: kept %t, noted %t; want both", kept, noted)
	}
	words := h.Arrive(t, postgrestest.Sent{Kind: disclosure.ArrivalMessage, Channel: disclosure.ByMailbox, // with a text, it is a report
		Header: disclosure.ArrivalHeader{Answers: []disclosure.Answer{{Ask: disclosure.AnswerInvite, Text: "bogus"}}}})
	h.once()
	if _, thread := h.read(h.CaseOf(t, words)); !strings.Contains(thread[0].Text, "an invitation that is unknown or used") {
		t.Errorf("an unknown invitation with words reads %q", thread[0].Text)
	}
	c, _ = h.read(id)
	if got := c.Reporters[0].Mailbox; got != disclosure.MailboxID(box.ID()) {
		t.Errorf("a second use changed the mailbox to %q", got)
	}
}

// TestC10OnePerson: a new report is told to the one named person, in an absence
// to who stands in, and the clock is the same.
func TestC10OnePerson(t *testing.T) {
	h := newHouse(t)
	h.policy("[intake]", "[intake]\nrecipients = \"person\"")
	told := func() map[disclosure.MemberID]int {
		t.Helper()
		before := map[disclosure.MemberID]int{}
		first := h.Arrive(t, mailed(plainMail("It leaks", report+disclosure.NewID())))
		h.once()
		c, _ := h.read(h.CaseOf(t, first))
		if due := c.Due(); !due.Equal(c.Received.Add(48 * time.Hour)) {
			t.Errorf("the first answer is due at %s, want 48 hours after %s", due, c.Received)
		}
		rows, err := h.DB.Pool().Query(context.Background(), `SELECT member FROM alert WHERE kind = 'new-report' AND ref = $1`, "/cases/"+itoa(c.Number))
		h.must(err)
		defer rows.Close()
		for rows.Next() {
			var m disclosure.MemberID
			h.must(rows.Scan(&m))
			before[m]++
		}
		return before
	}
	if got := told(); len(got) < 3 {
		t.Errorf("with nobody named %d members were told, want everybody", len(got))
	}
	h.must(h.DB.SetIntakeRecipient(t.Context(), h.Ada, postgres.Recipient{Member: h.Tri.Member}))
	if got := told(); len(got) != 1 || got[h.Tri.Member] != 1 {
		t.Errorf("told %v, want Tri alone", got)
	}
	now := h.DB.Now()
	h.must(h.DB.SetIntakeRecipient(t.Context(), h.Tri, postgres.Recipient{Member: h.Tri.Member, Delegate: h.Ada.Member,
		From: now.Add(-time.Hour), Until: now.Add(7 * 24 * time.Hour)}))
	if got := told(); len(got) != 1 || got[h.Ada.Member] != 1 {
		t.Errorf("during the absence told %v, want Ada alone", got)
	}
	h.Advance(t, 8*24*time.Hour)
	if got := told(); len(got) != 1 || got[h.Tri.Member] != 1 {
		t.Errorf("after the absence told %v, want Tri alone", got)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func sent(kind disclosure.ArrivalKind, channel disclosure.Channel, h disclosure.ArrivalHeader) postgrestest.Sent {
	return postgrestest.Sent{Kind: kind, Channel: channel, Header: h, Parts: []postgrestest.Part{{Bytes: []byte{}}}}
}

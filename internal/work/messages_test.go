package work_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/postgres"
)

// answer replies to the case's reporter as Ada, and lets its 30 seconds pass.
func (h *house) answer(id disclosure.CaseID, text string, clear bool) disclosure.MessageID {
	h.t.Helper()
	c, _ := h.read(id)
	m := disclosure.MessageID(disclosure.NewID())
	h.must(h.DB.Reply(h.t.Context(), h.Ada, postgres.ReplyDraft{ID: m, Case: id, Clear: clear, Text: text,
		Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}}))
	h.once()
	if n := len(h.to("finn@finder.example")); n > 1 {
		h.t.Errorf("%d mails to the reporter before the 30 seconds were over", n)
	}
	h.Advance(h.t, time.Minute)
	h.once()
	return m
}

func (h *house) state(id disclosure.CaseID, m disclosure.MessageID) disclosure.MessageState {
	h.t.Helper()
	_, thread := h.read(id)
	for _, x := range thread {
		if x.ID == m {
			return x.State
		}
	}
	h.t.Fatalf("message %s is not in the thread", m)
	return ""
}

// TestEncryptedReply goes there and back: a signed and encrypted mail, our
// answer to the key it brought, and the reporter's answer to that.
func TestEncryptedReply(t *testing.T) {
	h := newHouse(t)
	finn := key(t, h.DB.Now(), "Finn", "finn@finder.example")
	armor := h.encrypt(crlf("Content-Type: multipart/mixed; boundary=\"=_b\"\n\n--=_b\nContent-Type: text/plain\n\n"+report+
		"\n--=_b\nContent-Type: application/pgp-keys\nContent-Disposition: attachment; filename=key.asc\n\n"+string(finn.Certificate().Armored())+"\n--=_b--\n"), finn)
	first := h.Arrive(t, mailed(pgpMIME("Finn <finn@finder.example>", "security@lantern.example", "...", armor)))
	h.once()
	id := h.CaseOf(t, first)
	if c, _ := h.read(id); len(c.Reporters[0].Key) == 0 || c.Reporters[0].Name != "Finn" {
		t.Fatalf("the reporter is %+v, want Finn with a key", c.Reporters[0].Label())
	}
	m := h.answer(id, "canary: thank you for the details", false)
	if got := h.state(id, m); got != disclosure.MessageOut {
		t.Fatalf("the reply is %s, want out", got)
	}
	got := h.to("finn@finder.example")
	last := got[len(got)-1]
	if bytes.Contains(last.Data, []byte("canary")) {
		t.Fatal("the reply travelled in clear")
	}
	letter := h.opened(last, finn)
	if body, _ := letter.Body(); !strings.Contains(body.Text, "canary") || letter.Protection.Signature != pgp.SignatureValidKnown {
		t.Errorf("the reporter reads %q, %s", body.Text, letter.Protection)
	}
	if len(letter.InReplyTo) != 1 || letter.InReplyTo[0] != "<m1@finder.example>" {
		t.Errorf("In-Reply-To is %q, want the reporter's own mail", letter.InReplyTo)
	}
	again := mailed(pgpMIME("Finn <finn@finder.example>", last.From, "Re: [...]", h.encrypt([]byte("One more thing\n"), finn)), last.From)
	second := h.Arrive(t, again)
	h.once()
	if other := h.CaseOf(t, second); other != id {
		t.Fatalf("the answer made case %s, want it in %s", other, id)
	}
	_, thread := h.read(id)
	p := thread[len(thread)-1].Protection
	if p.Signature != disclosure.SignedKnown || p.Encryption != disclosure.ToCurrentKey {
		t.Errorf("the second message is %s, want it signed by a key we know", p.Sentence())
	}
}

// TestNeverInClearByItself: without a key and without a member's decision
// nothing travels.
func TestNeverInClearByItself(t *testing.T) {
	h := newHouse(t)
	first := h.Arrive(t, mailed(plainMail("It leaks", "badly\n")))
	h.once()
	id := h.CaseOf(t, first)
	c, _ := h.read(id)
	err := h.DB.Reply(t.Context(), h.Ada, postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: id, Text: "canary",
		Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}})
	var refused *disclosure.Refusal
	if !errors.As(err, &refused) {
		t.Errorf("Reply without key and decision gives %v, want a refusal", err)
	}
	h.policy(`clear_mail = "safe"`, `clear_mail = "ask"`)
	m := h.answer(id, "We have your report and will answer.", true)
	if got := h.state(id, m); got != disclosure.MessageOut {
		t.Fatalf("the reply is %s, want out", got)
	}
	got := h.to("finn@finder.example")
	letter := h.opened(got[len(got)-1], nil)
	if letter.Protection.Signature != pgp.SignatureValidKnown || letter.Subject != "Your report to Lantern" {
		t.Errorf("the clear reply has subject %q, %s", letter.Subject, letter.Protection)
	}
	if strings.Contains(string(got[len(got)-1].Data), "It leaks") {
		t.Error("the reply quotes the report")
	}
}

// TestMailboxReply: who has a mailbox finds the answer there, and gets no mail.
func TestMailboxReply(t *testing.T) {
	h := newHouse(t)
	id, code := h.Case(t, "Overflow")
	m := h.answer(id, "Thank you.", false)
	if got := h.state(id, m); got != disclosure.MessageOut {
		t.Fatalf("the reply is %s, want out", got)
	}
	items, err := h.Gate.MailboxRead(t.Context(), disclosure.MailboxID(code.Mailbox(h.DB.Instance()).ID()), "")
	h.must(err)
	replies := 0
	for _, i := range items {
		if i.Kind == disclosure.ItemReply {
			replies++
		}
	}
	if replies != 1 {
		t.Errorf("%d replies lie in the mailbox, want 1", replies)
	}
	for _, m := range h.Sink.Messages() {
		if !strings.HasSuffix(m.To[0], "@lantern.example") {
			t.Errorf("a mail left to %s", m.To)
		}
	}
}

// TestManyBadOnesStopNobody: what cannot be read costs nobody else a report.
func TestManyBadOnesStopNobody(t *testing.T) {
	h := newHouse(t)
	for i := range 30 {
		h.Arrive(t, form(disclosure.PartOpenPGP, bytes.Repeat([]byte{byte(i), '-', 0xff}, 1000*i)))
	}
	good := h.Arrive(t, form(disclosure.PartText, []byte(report)))
	h.once()
	if c, _ := h.read(h.CaseOf(t, good)); c.Attention != "" {
		t.Errorf("the good one needs attention: %s", c.Attention)
	}
	if n, _, _ := h.DB.WaitingArrivals(t.Context()); n != 0 {
		t.Errorf("%d arrivals wait, want none", n)
	}
}

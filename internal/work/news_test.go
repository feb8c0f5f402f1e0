package work_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres/postgrestest"
	"postern/internal/vault"
)

func said(kind disclosure.ArrivalKind, channel disclosure.Channel, h disclosure.ArrivalHeader, text string) postgrestest.Sent {
	s := sent(kind, channel, h)
	s.Parts = []postgrestest.Part{{Kind: disclosure.PartText, Bytes: []byte(text)}}
	return s
}

// posted has a reporter come by the form with an address, and maybe a key.
func (h *house) posted(address string, key []byte) (disclosure.CaseID, disclosure.MailboxID) {
	h.t.Helper()
	box := vault.NewCode().Mailbox(h.DB.Instance())
	a := h.Arrive(h.t, said(disclosure.ArrivalReport, disclosure.ByForm, disclosure.ArrivalHeader{
		Mailbox: disclosure.MailboxID(box.ID()), MailboxPublic: box.Public(), Address: address, Key: key},
		"canary: it leaks\n"))
	h.once()
	return h.CaseOf(h.t, a), disclosure.MailboxID(box.ID())
}

// TestNewsOfTheMailbox: an address that came with the form is told that there
// is something new, once until a day has passed or its owner wrote, and no word
// of what.
func TestNewsOfTheMailbox(t *testing.T) {
	h := newHouse(t)
	const fay = "fay@finder.example"
	id, box := h.posted(fay, nil)
	if n := len(h.to(fay)); n != 0 {
		t.Fatalf("%d mails before anybody answered", n)
	}
	told := func(when string, want int) {
		t.Helper()
		if got := len(h.to(fay)); got != want {
			t.Errorf("%s: %d letters, want %d", when, got, want)
		}
	}
	h.answer(id, "canary: the answer", false)
	told("after an answer", 1)
	letter := h.to(fay)[0]
	text := string(letter.Data)
	if !strings.Contains(text, "\r\nhttps://gate.example/mailbox\r\n") || !strings.Contains(text, "Auto-Submitted: auto-generated") {
		t.Errorf("the letter is\n%s", text)
	}
	for _, word := range []string{"canary", "leaks", "#1", string(id), string(box)} {
		if strings.Contains(text, word) {
			t.Errorf("the letter says %q:\n%s", word, text)
		}
	}
	h.answer(id, "canary: another", false)
	told("after another answer on the same day", 1)
	h.Advance(t, 25*time.Hour)
	h.once()
	told("a day later", 2)
	h.Advance(t, 25*time.Hour)
	h.once()
	told("with nothing new", 2)

	h.answer(id, "canary: a third", false)
	told("after a third answer", 3)
	h.Advance(t, time.Minute)
	h.Arrive(t, said(disclosure.ArrivalMessage, disclosure.ByMailbox, disclosure.ArrivalHeader{Mailbox: box}, "seen\n"))
	h.once()
	h.answer(id, "canary: a fourth", false)
	told("answered at once, since the reporter had written", 4)
}

// TestNewsByPolicy: nothing goes in clear where the policy lets nothing go; who
// gave a key is told all the same, encrypted to it.
func TestNewsByPolicy(t *testing.T) {
	h := newHouse(t)
	h.policy(`clear_mail = "safe"`, `clear_mail = "never"`)
	robin := key(t, h.DB.Now(), "Robin", "robin@finder.example")
	one, _ := h.posted("fay@finder.example", nil)
	two, _ := h.posted("robin@finder.example", robin.Certificate().Binary())
	h.answer(one, "canary", false)
	h.answer(two, "canary", false)
	if n := len(h.to("fay@finder.example")); n != 0 {
		t.Errorf("%d letters in clear under never", n)
	}
	got := h.to("robin@finder.example")
	if len(got) != 1 || bytes.Contains(got[0].Data, []byte("mailbox")) {
		t.Fatalf("%d letters to who gave a key, want one, encrypted", len(got))
	}
	if body, _ := h.opened(got[0], robin).Body(); !strings.Contains(body.Text, "https://gate.example/mailbox") {
		t.Errorf("the letter reads %q", body.Text)
	}
}

// TestTitleOfLittle: what begins with a greeting and says no more is called by
// that, and never by a heading of ours.
func TestTitleOfLittle(t *testing.T) {
	h := newHouse(t)
	for text, want := range map[string]string{"hello name": "hello name", "Hi team,\nit leaks": "it leaks", "": "Affected versions"} {
		s := said(disclosure.ArrivalReport, disclosure.ByForm, disclosure.ArrivalHeader{
			Answers: []disclosure.Answer{{Ask: "versions", Text: "1.0"}, {Ask: "reproduce", Text: "run it"}}}, text)
		a := h.Arrive(t, s)
		h.once()
		c, thread := h.read(h.CaseOf(t, a))
		if !strings.HasPrefix(c.Title, want) {
			t.Errorf("a report that says %q is called %q, want %q", text, c.Title, want)
		}
		if !strings.Contains(thread[0].Text, "Affected versions:\n1.0") || !strings.Contains(thread[0].Text, "How to reproduce:\nrun it") {
			t.Errorf("the answers read %q", thread[0].Text)
		}
	}
}

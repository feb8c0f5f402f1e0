package intake

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
)

// TestD6OnlyAMembersAnswerStopsTheClock: at 47:59 the first answer is due, at
// 48:01 it is overdue and members are told; the automatic receipt changes
// nothing, a member's acknowledgment does.
func TestD6OnlyAMembersAnswerStopsTheClock(t *testing.T) {
	w := newTeam(t, world.Config{})
	f := w.post("finn@finder.example", plain("finn@finder.example", "Tokens", "Tokens.\n"))
	w.Settle()
	if n := len(w.to("finn@finder.example")); n != 1 {
		t.Fatalf("%d automatic receipts, want 1", n)
	}
	told := func(word string) (n int) {
		for _, m := range w.Sink.Messages() {
			if strings.HasPrefix(m.To[0], "tove@") && strings.Contains(strings.ToLower(string(m.Data)), word) {
				n++
			}
		}
		return n
	}
	ack := func() disclosure.Clock {
		t.Helper()
		clocks := w.look(f).c.Clocks()
		i := slices.IndexFunc(clocks, func(c disclosure.Clock) bool { return c.Name == "ack" })
		if i < 0 {
			t.Fatalf("the case has no clock for the first answer: %+v", clocks)
		}
		return clocks[i]
	}
	if c := ack(); !c.Due.Equal(f.c.Received.Add(48 * time.Hour)) {
		t.Errorf("the first answer is due at %s, want 48 hours after %s", c.Due, f.c.Received)
	}
	until := func(age time.Duration) {
		t.Helper()
		w.Advance(f.c.Received.Add(age).Sub(w.DB.Now()))
		w.Settle()
	}
	until(47*time.Hour + 59*time.Minute)
	if c := ack(); !c.Running() || c.Breached(w.DB.Now()) || told("overdue") != 0 {
		t.Errorf("at 47:59 the clock is %+v, %d mails say overdue; want it due and running", c, told("overdue"))
	}
	until(48*time.Hour + time.Minute)
	if c := ack(); !c.Running() || !c.Breached(w.DB.Now()) || told("overdue") == 0 {
		t.Errorf("at 48:01 the clock is %+v, %d mails say overdue; want it breached, and members told", c, told("overdue"))
	}
	if strings.Contains(string(w.SignedIn("Ravi").Get(casePath(f)).OK().Body), `/acknowledge"`) {
		t.Error("a releaser is offered the first answer, which is a triager's under this policy")
	}
	tove := w.SignedIn("Tove")
	tove.Get(casePath(f)).OK().SubmitTo("/acknowledge", nil).OK()
	if c := ack(); c.Running() || w.look(f).c.AcknowledgedBy != "Tove" {
		t.Errorf("after Tove's answer the clock is %+v", c)
	}
}

// TestC13AnonymousReporterAnswers, and D7's other half: who left nothing but
// the code they were given reads the team's question in the mailbox and answers
// there; the answer is in the same case and lane, and the thread is kept at
// both ends.
func TestC13AnonymousReporterAnswers(t *testing.T) {
	w := cryptoTeam(t)
	tove := w.SignedIn("Tove")
	f, code := w.byForm(world.Field{Name: "description", Value: "Tokens can be guessed."})
	if r := f.c.Reporters[0]; r.Address != "" || r.Name != "" {
		t.Fatalf("the reporter is %+v, want nobody known", r)
	}
	w.mailbox(code)
	ask := func(text string) {
		t.Helper()
		tove.Get(casePath(f)).OK().Submit("form-reply-"+string(f.c.Reporters[0].ID), []world.Field{{Name: "text", Value: text}}).OK()
		w.Advance(31 * time.Second)
		w.Settle()
	}
	ask("Which version did you try?")
	w.mailbox(code).Has("Which version did you try?").Submit("form-add", []world.Field{{Name: "text", Value: "The newest one, 45.0."}},
		world.File{Field: "files", Name: "run.log", Bytes: []byte("token 1\ntoken 2\n")}).OK()
	got := w.newest()
	if got.id != f.id || got.message(t).Lane != (disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(f.c.Reporters[0].ID)}) || w.cases() != 1 {
		t.Errorf("the answer is in case %s, lane %+v, of %d cases; want the first one's", got.id, got.message(t).Lane, w.cases())
	}
	tove.Get(casePath(f)).OK().Has("Which version did you try?", "The newest one, 45.0.", "run.log")
	ask("Thank you. We can see it.")
	w.mailbox(code).Has("Which version did you try?", "Thank you. We can see it.", "run.log")
	// By mail as well: the reply to our question is in the same case.
	finn := person(t, w.DB.Now(), "Finn", "finn@finder.example")
	mailed := w.post("finn@finder.example", multipart("Finn <finn@finder.example>", "Another leak", "multipart/mixed",
		part("text/plain", "It leaks.\n"), part("application/pgp-keys", string(finn.Certificate().Armored()))))
	w.Sink.Reset()
	tove.Get(casePath(mailed)).OK().Submit("form-reply-"+string(mailed.c.Reporters[0].ID), []world.Field{{Name: "text", Value: "Where?"}}).OK()
	w.Advance(31 * time.Second)
	w.Settle()
	sent := w.to("finn@finder.example")
	if len(sent) != 1 {
		t.Fatalf("%d mails to the reporter, want our question", len(sent))
	}
	must(t, w.try("finn@finder.example", replyTo(t, sent[0]), plain("finn@finder.example", "Re: ...", "Below the lid.\n")))
	if got := w.newest(); got.id != mailed.id || !strings.Contains(got.message(t).Text, "Below the lid.") {
		t.Errorf("the reply by mail is in case %s, want %s", got.id, mailed.id)
	}
	// Somebody without the code reads nothing of either.
	if p := w.Visit(w.GateURL).Get("/mailbox").OK().Submit("form-mailbox", []world.Field{{Name: "code", Value: "lantern lantern lantern lantern lantern lantern lantern lantern"}}); strings.Contains(p.Text(), "version") {
		t.Errorf("a wrong code reads %s", p.Text())
	}
}

// TestC10OneNamedPersonAndWhoStandsIn: a report goes to the one person named at
// the desk, for a week to who stands in, then to the person again; the promise
// to the reporter is the same all the time.
func TestC10OneNamedPersonAndWhoStandsIn(t *testing.T) {
	w := cryptoTeam(t)
	report := func(when string, names ...string) {
		t.Helper()
		w.Sink.Reset()
		f := w.post("finn@finder.example", plain("finn@finder.example", when, "Report "+when+".\n"))
		w.Settle()
		list := w.exactly(when, names...)
		for _, m := range list {
			if !strings.Contains(string(m[0].Data), fmt.Sprintf("%s/cases/%d", w.DeskURL, f.c.Number)) {
				t.Errorf("%s, the mail does not lead to the case:\n%s", when, m[0].Data)
			}
		}
		if due := f.c.Due(); !due.Equal(f.c.Received.Add(48 * time.Hour)) {
			t.Errorf("%s, the first answer is due at %s, want 48 hours after %s", when, due, f.c.Received)
		}
	}
	recipient := func(v *world.Visitor, fields ...world.Field) {
		t.Helper()
		v.Get("/members").OK().Submit("form-recipient", fields).OK()
	}
	id := func(name string) string { return string(w.Member(name).Member) }
	recipient(w.SignedIn("Ada"), world.Field{Name: "recipient", Value: id("Tove")})
	report("with Tove named", "Tove")
	now := w.DB.Now()
	at := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04") }
	recipient(w.SignedIn("Tove"), world.Field{Name: "recipient", Value: id("Tove")}, world.Field{Name: "delegate", Value: id("Ada")},
		world.Field{Name: "away_from", Value: at(now)}, world.Field{Name: "away_until", Value: at(now.AddDate(0, 0, 7))})
	report("during the absence", "Ada")
	w.Advance(6 * 24 * time.Hour)
	report("on its last day", "Ada")
	w.Advance(2 * 24 * time.Hour)
	report("after the absence", "Tove")
}

// TestC12AnybodysAnswerStopsTheClock: under this policy an acknowledgment by
// any role is the first answer.
func TestC12AnybodysAnswerStopsTheClock(t *testing.T) {
	w := cryptoTeam(t)
	w.Visit(w.GateURL).Get("/").OK().Has("48 hours")
	f, _ := w.byForm(world.Field{Name: "description", Value: "It leaks."})
	w.SignedIn("Ravi").Get(casePath(f)).OK().SubmitTo("/acknowledge", nil).OK()
	if c := w.look(f).c.Clocks(); len(c) == 0 || c[0].Running() {
		t.Errorf("after a releaser's answer the clocks are %+v, want the first one kept", c)
	}
}

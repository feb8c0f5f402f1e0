package intake

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/instance"
	"postern/internal/mail"
	"postern/internal/postgres"
)

// TestD2OneShortWay: a mail to the one address and the web form make the same
// kind of case, at once.
func TestD2OneShortWay(t *testing.T) {
	w := newTeam(t, world.Config{})
	page := w.Visit(w.GateURL).Get("/").OK()
	page.Has(address)
	w.Visit(w.GateURL).Get("/report").OK().Submit("form-report", []world.Field{{Name: "description", Value: "One sentence."}})
	form := w.newest()
	mailed := w.post("finn@finder.example", plain("finn@finder.example", "", "One sentence.\n"))
	for _, f := range []found{form, mailed} {
		if f.c == nil || f.c.State != disclosure.Received || f.c.Title != "One sentence." || f.c.Track != disclosure.Standard {
			t.Errorf("the case is %+v; want a received one titled by its sentence", f.c)
		}
	}
	if len(form.c.Clocks()) != len(mailed.c.Clocks()) || len(form.c.Clocks()) == 0 {
		t.Errorf("the form's case has %d clocks, the mail's %d; want the same and at least one", len(form.c.Clocks()), len(mailed.c.Clocks()))
	}
	w.SignedIn("Tove").Get("/inbox").OK().Has("One sentence.")
}

// TestD4OneSentenceIsEnough, TestC4: no account, no proof, no score, no second
// field, by any way.
func TestD4OneSentenceIsEnough(t *testing.T) {
	w := newTeam(t, world.Config{})
	p := w.Visit(w.GateURL).Get("/report").OK().Submit("form-report", []world.Field{{Name: "description", Value: "Tokens can be guessed."}})
	if p.Status != 200 && p.Status != 201 {
		t.Fatalf("the form answered %d: %s", p.Status, p.Text())
	}
	if f := w.newest(); f.c == nil || f.message(t).Text != "Tokens can be guessed." {
		t.Errorf("the form's case is %+v", f)
	}
	if f := w.post("anybody@finder.example", crlf("\nTokens can be guessed.\n")); f.c == nil || !strings.Contains(f.message(t).Text, "Tokens can be guessed.") {
		t.Errorf("a mail of one sentence without any header became %+v", f)
	}
}

// TestC7UnclearMailIsPrivateCase: what nobody can name is taken as a report.
func TestC7UnclearMailIsPrivateCase(t *testing.T) {
	w := newTeam(t, world.Config{})
	for _, raw := range [][]byte{
		crlf("From: a@finder.example\nMessage-ID: <x1@finder.example>\n\nis this bad?\n"), // no subject
		crlf("From: a@finder.example\nSubject: \nMessage-ID: <x2@finder.example>\n\n\n"),  // nothing at all
		plain("a@finder.example", "CHEAP WATCHES", "Buy.\n", "Precedence: bulk\n"),
	} {
		f := w.post("a@finder.example", raw)
		if f.c == nil || f.c.State != disclosure.Received {
			t.Errorf("%q became %+v, want a received case", raw, f.c)
		}
	}
	for _, path := range []string{"/", "/upcoming", "/advisories", "/feed.atom"} {
		if text := w.Visit(w.GateURL).Get(path).Text(); strings.Contains(text, "WATCHES") || strings.Contains(text, "is this bad") {
			t.Errorf("%s shows a word of a report", path)
		}
	}
}

// TestD7ReplyByMailLandsInTheSameCase, C13: the answer carries a token, the
// reply to it lands in the lane; a forged In-Reply-To does not.
func TestD7ReplyByMailLandsInTheSameCase(t *testing.T) {
	w := newTeam(t, world.Config{})
	finn := person(t, w.DB.Now(), "Finn", "finn@finder.example")
	first := w.post("finn@finder.example", multipart("Finn <finn@finder.example>", "Shutter tokens", "multipart/mixed",
		part("text/plain", "Tokens can be guessed.\n"), part("application/pgp-keys", string(finn.Certificate().Armored()))))
	if len(first.c.Reporters) != 1 || len(first.c.Reporters[0].Key) == 0 {
		t.Fatalf("reporters are %+v, want one with a key", first.c.Reporters)
	}
	tove := w.Member("Tove")
	lane := disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(first.c.Reporters[0].ID)}
	must(t, w.DB.Reply(t.Context(), tove, postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: first.id, Lane: lane, Text: "Which version?"}))
	w.Sink.Reset()
	w.Advance(31 * time.Second)
	sent := w.to("finn@finder.example")
	if len(sent) != 1 {
		t.Fatalf("%d mails left for the reporter, want our answer", len(sent))
	}
	ours, token := mail.ReadHeader(sent[0].Data), replyTo(t, sent[0])
	if _, ok := mail.FindToken(token); !ok || sent[0].From != token {
		t.Errorf("Reply-To is %q and the return path %q; want one token address for both", token, sent[0].From)
	}
	must(t, w.try("finn@finder.example", token, plain("finn@finder.example", "Re: whatever", "5.1, I think.\n")))
	if got := w.newest(); got.id != first.id || got.message(t).Lane != lane {
		t.Errorf("the reply is in case %q, lane %+v; want %q, %+v", got.id, got.message(t).Lane, first.id, lane)
	}
	forged := w.post("mallory@elsewhere.example", plain("finn@finder.example", "Re: [...]", "Publish it now.\n",
		"In-Reply-To: "+ours.MessageID+"\nReferences: "+ours.MessageID+"\n"))
	if forged.id == first.id || forged.c == nil {
		t.Error("a forged In-Reply-To put words into another's case")
	}
	guessed := strings.Replace(token, "+", "+a", 1)
	must(t, w.try("mallory@elsewhere.example", guessed, plain("finn@finder.example", "Re: [...]", "Publish it now.\n")))
	if got := w.newest(); got.id == first.id {
		t.Error("another token put words into the case")
	}

	// The answer comes back: by the token, and by nothing but our Message-ID.
	for name, b := range map[string]struct {
		to  string
		raw []byte
	}{
		"token":      {token, dsn("mailer-daemon@relay.example", token, "")},
		"message id": {address, dsn("mailer-daemon@relay.example", address, ours.MessageID)},
	} {
		before := w.cases()
		must(t, w.DB.UpdateCase(t.Context(), tove, first.id, func(c *disclosure.Case) error { return c.SetAttention("", tove, w.DB.Now()) }))
		must(t, w.try("", b.to, b.raw))
		w.Settle()
		if got := w.look(first); !strings.Contains(got.c.Attention, "came back") || w.cases() != before {
			t.Errorf("a bounce by %s: attention %q, %d new cases; want the case to say that the answer came back", name, got.c.Attention, w.cases()-before)
		}
	}
	if n := len(w.to("mailer-daemon@relay.example")); n != 0 {
		t.Errorf("%d answers to a bounce", n)
	}
}

// dsn is a delivery status notification (RFC 3464).
func dsn(from, to, returned string) []byte {
	parts := []string{part("text/plain", "It could not be delivered.\n"),
		part("message/delivery-status", "Reporting-MTA: dns; relay.example\n\nFinal-Recipient: rfc822; finn@finder.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no such user\n")}
	if returned != "" {
		parts = append(parts, part("text/rfc822-headers", "Message-ID: "+returned+"\nSubject: [...]\n"))
	}
	raw := multipart(from, "Undelivered", "multipart/report; report-type=delivery-status", parts...)
	return bytes.Replace(raw, []byte("To: "+address), []byte("To: "+to), 1)
}

// TestNothingAutomaticIsAnswered: not the null sender, not lists, not
// absence notes, not our own mail.
func TestNothingAutomaticIsAnswered(t *testing.T) {
	w := newTeam(t, world.Config{})
	for i, more := range []string{"Auto-Submitted: auto-replied\n", "Precedence: bulk\n", "List-Id: <x.list.example>\n", "X-Auto-Response-Suppress: All\n", "Auto-Submitted: auto-generated\n"} {
		from := fmt.Sprintf("robot%d@list.example", i)
		w.post(from, plain(from, "hello", "hello\n", more))
	}
	must(t, w.try("", address, plain("nobody@finder.example", "hello", "hello\n")))
	w.post(address, plain(address, "hello", "hello\n"))
	for _, m := range w.Sink.Messages() {
		if !strings.HasSuffix(m.To[0], "@lantern.example") || m.To[0] == address {
			t.Errorf("a mail left for %s:\n%s", m.To, m.Data)
		}
	}
	if f := w.newest(); f.c == nil {
		t.Error("an automatic mail was not kept as a case")
	}
}

const smallPolicy = `id = "small-1"
[project]
name = "Lantern"
prefix = "LANTERN"
[contact]
address = "security@lantern.example"
[ack]
within = "48h"
`

// TestAuthenticationResultsAreShown: those of the one server named, and they
// change nothing.
func TestAuthenticationResultsAreShown(t *testing.T) {
	w := newTeam(t, world.Config{Change: func(c *instance.Config) { c.MailAuthServ = "mx.lantern.example" }})
	f := w.post("finn@finder.example", plain("finn@finder.example", "Tokens", "Tokens.\n",
		"Authentication-Results: mx.lantern.example; dkim=pass header.d=finder.example; spf=fail smtp.mailfrom=finder.example; dmarc=fail\n",
		"Authentication-Results: mx.evil.example; dmarc=pass header.from=finder.example\n"))
	want := []string{"dkim=pass header.d=finder.example", "spf=fail smtp.mailfrom=finder.example", "dmarc=fail"}
	if got := f.message(t).Checked; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("Checked = %q, want %q", got, want)
	}
	if f.c.State != disclosure.Received || f.c.Attention != "" {
		t.Errorf("the case is %s, attention %q; want an ordinary one", f.c.State, f.c.Attention)
	}
	w.SignedIn("Tove").Get(fmt.Sprintf("/cases/%d", f.c.Number)).OK().Has("dmarc=fail", "decides nothing")
}

// TestLMTP: the same, one answer for each recipient.
func TestLMTP(t *testing.T) {
	w := newTeam(t, world.Config{Change: func(c *instance.Config) { c.MailLMTP = true }})
	conn, err := net.Dial("tcp", w.at)
	must(t, err)
	c := textproto.NewConn(conn)
	defer c.Close()
	for _, x := range []struct {
		line string
		want int
	}{{"", 220}, {"LHLO mx.lantern.example", 250}, {"MAIL FROM:<finn@finder.example>", 250}, {"RCPT TO:<" + address + ">", 250},
		{"RCPT TO:<anything+x@lantern.example>", 250}, {"RCPT TO:<a@elsewhere.example>", 550}, {"DATA", 354},
		{string(plain("finn@finder.example", "Tokens", "By LMTP.")) + "\r\n.", 250}, {"", 250}} {
		if x.line != "" {
			must(t, c.PrintfLine("%s", x.line))
		}
		if _, got, err := c.ReadResponse(x.want); err != nil {
			t.Fatalf("%.40q: %v %s, want %d", x.line, err, got, x.want)
		}
	}
	if f := w.newest(); f.c == nil || f.c.Title != "Tokens" || w.arrivals() != 1 {
		t.Errorf("the case is %+v, %d arrivals; want one", f.c, w.arrivals())
	}
}

// TestDatabaseGone: 4xx, nothing half stored, and the same mail is taken
// once the database is back.
func TestDatabaseGone(t *testing.T) {
	w := newTeam(t, world.Config{})
	raw := plain("finn@finder.example", "Tokens", strings.Repeat("A long report.\n", 100_000))
	before := w.arrivals()
	w.noDatabase(func() {
		err := w.try("finn@finder.example", address, raw)
		if err == nil || !strings.HasPrefix(err.Error(), "4") {
			t.Errorf("without a database the listener answered %v, want 4xx", err)
		}
	})
	var chunks int
	must(t, w.DB.Pool().QueryRow(t.Context(), `SELECT count(*) FROM arrival_chunk`).Scan(&chunks))
	if w.arrivals() != before || chunks != 0 {
		t.Errorf("%d arrivals and %d chunks are stored of a mail that was not taken", w.arrivals()-before, chunks)
	}
	if f := w.post("finn@finder.example", raw); f.c == nil || f.c.Title != "Tokens" {
		t.Errorf("afterwards the mail became %+v", f.c)
	}
}

// noDatabase has the database refuse the body of each mail while f runs.
func (w *team) noDatabase(f func()) {
	w.t.Helper()
	owner := w.owner()
	defer owner.Close(context.Background())
	run := func(sql string) {
		w.t.Helper()
		_, err := owner.Exec(context.Background(), sql)
		must(w.t, err)
	}
	run(`REVOKE INSERT (arrival, n, final, sealed) ON arrival_chunk FROM postern_gate`) // fails in the middle of the transaction
	defer run(`GRANT INSERT (arrival, n, final, sealed) ON arrival_chunk TO postern_gate`)
	f()
}

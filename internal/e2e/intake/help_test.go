// Package intake tests every way a report can come in, against a running
// instance: what a member finds in the case, and what a stranger is told.
package intake

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/smtp"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/mail"
	"postern/internal/pgp"
	sink "postern/internal/smtp"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m)) }

// team is a world seen by somebody who sends to it.
type team struct {
	*world.World
	t    *testing.T
	Cert *pgp.Certificate // the team's, as published
	at   string           // where mail is taken
}

const address = "security@lantern.example"

func newTeam(t *testing.T, c world.Config) *team {
	t.Helper()
	w := &team{World: world.New(t, c), t: t}
	certs, err := pgp.ParseCertificates(w.Visit(w.GateURL).Get("/key.asc").OK().Body)
	must(t, err)
	w.Cert = certs[0]
	w.Until("the mail listener", func() bool { w.at = w.MailListening(); return w.at != "" })
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// person is somebody's key, made by us: gpg's own are in the matrix.
func person(t testing.TB, now time.Time, name, address string) *pgp.Secret {
	t.Helper()
	s, _, err := pgp.NewTeam(name, address, now.Add(-time.Hour))
	must(t, err)
	return s
}

func (w *team) encrypt(plain []byte, signer *pgp.Secret, to ...*pgp.Certificate) []byte {
	w.t.Helper()
	ready, err := pgp.PrepareUnsigned(plain)
	if signer != nil {
		ready, err = pgp.Prepare(plain, signer, w.DB.Now())
	}
	must(w.t, err)
	if len(to) == 0 {
		to = []*pgp.Certificate{w.Cert}
	}
	var b bytes.Buffer
	must(w.t, ready.Encrypt(&b, to, w.DB.Now()))
	return b.Bytes()
}

// try hands a mail to the listener; the error is the server's.
func (w *team) try(from, to string, raw []byte) error {
	w.t.Helper()
	return smtp.SendMail(w.at, nil, from, []string{to}, raw)
}

// post is try that must be taken.
func (w *team) post(from string, raw []byte) found {
	w.t.Helper()
	must(w.t, w.try(from, address, raw))
	return w.newest()
}

// found is what became of the newest arrival.
type found struct {
	arrival disclosure.ArrivalID
	opened  bool
	id      disclosure.CaseID
	c       *disclosure.Case // nil: no case
	thread  []disclosure.Message
}

// newest opens what came, and looks what became of the last of it.
func (w *team) newest() found {
	w.t.Helper()
	w.Settle()
	var f found
	must(w.t, w.DB.Pool().QueryRow(w.t.Context(), `SELECT id, opened IS NOT NULL, coalesce(case_id, '') FROM arrival
		ORDER BY received DESC, id DESC LIMIT 1`).Scan(&f.arrival, &f.opened, &f.id))
	return w.look(f)
}

func (w *team) look(f found) found {
	w.t.Helper()
	f.c, f.thread = nil, nil
	if f.id == "" {
		return f
	}
	var err error
	ada := w.Member("Ada")
	f.c, err = w.DB.Case(w.t.Context(), ada, f.id)
	must(w.t, err)
	all, err := w.DB.Thread(w.t.Context(), ada, f.id)
	must(w.t, err)
	f.thread = all
	return f
}

// message is the entry that the arrival made; the test fails without.
func (f found) message(t testing.TB) disclosure.Message {
	t.Helper()
	for _, m := range f.thread {
		if m.Arrival == f.arrival {
			return m
		}
	}
	t.Fatalf("the arrival %s made no message; its case has %d", f.arrival, len(f.thread))
	return disclosure.Message{}
}

func (w *team) file(f disclosure.File) string {
	w.t.Helper()
	var b bytes.Buffer
	must(w.t, w.DB.OpenFile(w.t.Context(), w.Member("Ada"), f.ID, func(disclosure.File) (io.Writer, error) { return &b, nil }))
	return b.String()
}

func (w *team) original(id disclosure.ArrivalID) []byte {
	w.t.Helper()
	var b bytes.Buffer
	must(w.t, w.DB.Original(w.t.Context(), w.Member("Ada"), id, &b))
	return b.Bytes()
}

func (w *team) cases() (n int) {
	w.t.Helper()
	must(w.t, w.DB.Pool().QueryRow(w.t.Context(), `SELECT count(*) FROM cases`).Scan(&n))
	return n
}

func (w *team) arrivals() (n int) {
	w.t.Helper()
	must(w.t, w.DB.Pool().QueryRow(w.t.Context(), `SELECT count(*) FROM arrival`).Scan(&n))
	return n
}

// to finds the mails that left for an address.
func (w *team) to(address string) (list []sink.SinkMessage) {
	for _, m := range w.Sink.Messages() {
		if len(m.To) == 1 && strings.EqualFold(m.To[0], address) {
			list = append(list, m)
		}
	}
	return list
}

// replyTo is the address somebody answers a mail of ours to.
func replyTo(t testing.TB, m sink.SinkMessage) string {
	t.Helper()
	h := mail.ReadHeader(m.Data)
	if h.ReplyToAddress == "" {
		t.Fatalf("the mail has no Reply-To:\n%s", m.Data)
	}
	return h.ReplyToAddress
}

func crlf(s string) []byte {
	return []byte(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n"))
}

var mails int

// head is the header of a mail; more fields, each ending in \n, may follow.
func head(from, subject string, more ...string) string {
	mails++
	return "From: " + from + "\nTo: " + address + "\nSubject: " + subject + "\nDate: Mon, 06 Jan 2025 10:00:00 +0000\n" +
		fmt.Sprintf("Message-ID: <m%d@finder.example>\nMIME-Version: 1.0\n", mails) + strings.Join(more, "")
}

func plain(from, subject, text string, more ...string) []byte {
	return crlf(head(from, subject, more...) + "Content-Type: text/plain; charset=utf-8\n\n" + text)
}

// multipart is a mail of parts, each with its own header.
func multipart(from, subject, kind string, parts ...string) []byte {
	return crlf(head(from, subject) + "Content-Type: " + kind + "; boundary=\"=_m\"\n\n" + body("=_m", parts...))
}

func body(boundary string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--" + boundary + "\n" + p + "\n")
	}
	return b.String() + "--" + boundary + "--\n"
}

func part(kind, text string) string { return "Content-Type: " + kind + "\n\n" + text }

func pgpMIME(from, subject string, armor []byte) []byte {
	return multipart(from, subject, `multipart/encrypted; protocol="application/pgp-encrypted"`,
		part("application/pgp-encrypted", "Version: 1\n"), part("application/octet-stream", string(armor)))
}

// entity is text and a file in one MIME entity, as mail programs encrypt it.
func entity(text, name, content string) []byte {
	return crlf("Content-Type: multipart/mixed; boundary=\"=_e\"\n\n" + body("=_e", part("text/plain; charset=utf-8", text),
		"Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\""+name+"\"\nContent-Transfer-Encoding: base64\n\n"+
			base64.StdEncoding.EncodeToString([]byte(content))))
}

// owner is a connection that may change the schema.
func (w *team) owner() *pgx.Conn {
	w.t.Helper()
	c, err := pgx.Connect(w.t.Context(), w.Owner)
	must(w.t, err)
	return c
}

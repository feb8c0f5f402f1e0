package work_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres/postgrestest"
	"postern/internal/smtp"
	"postern/internal/work"
)

// house is a world with a team key, work, and a real SMTP server that takes
// its mail.
type house struct {
	*postgrestest.World
	t    *testing.T
	Work *work.Work
	Conf work.Config
	Sink *smtp.Sink
	Key  *pgp.Secret
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{World: postgrestest.New(t), t: t}
	h.Key = key(t, h.DB.Now(), "Lantern security team", h.Policy.Contact.Address)
	cert := h.Key.Certificate()
	h.must(h.DB.StoreTeamKey(t.Context(), disclosure.System("init"), cert.Fingerprint(), cert.Binary(), h.Key.Bytes()))
	var err error
	h.Sink, err = smtp.NewSink(smtp.SinkConfig{})
	h.must(err)
	t.Cleanup(func() { h.Sink.Close() })
	relay, err := smtp.NewRelay(smtp.RelayConfig{URL: h.Sink.URL()})
	h.must(err)
	t.Cleanup(func() { relay.Close() })
	texts, err := letters.New(nil)
	h.must(err)
	h.Conf = work.Config{
		DB: h.DB, Sender: relay, Letters: texts, DeskURL: "https://desk.example", GateURL: "https://gate.example",
		Version: "test", Data: t.TempDir(), Workers: 4,
	}
	h.Work = work.New(h.Conf)
	return h
}

func key(t *testing.T, now time.Time, name, address string) *pgp.Secret {
	t.Helper()
	s, _, err := pgp.NewTeam(name, address, now.Add(-time.Minute))
	if err != nil {
		t.Fatalf("make a key for %s: %v", name, err)
	}
	return s
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// once drains what is due.
func (h *house) once() {
	h.t.Helper()
	if _, err := h.Work.Once(h.t.Context()); err != nil {
		h.t.Fatalf("Once: %v", err)
	}
}

// encrypt writes an armored message to the team, signed by signer where there
// is one.
func (h *house) encrypt(plain []byte, signer *pgp.Secret, to ...*pgp.Certificate) []byte {
	h.t.Helper()
	ready, err := pgp.PrepareUnsigned(plain)
	if signer != nil {
		ready, err = pgp.Prepare(plain, signer, h.DB.Now())
	}
	h.must(err)
	if len(to) == 0 {
		to = []*pgp.Certificate{h.Key.Certificate()}
	}
	var b bytes.Buffer
	h.must(ready.Encrypt(&b, to, h.DB.Now()))
	return b.Bytes()
}

// read opens a case and its thread as Ada.
func (h *house) read(id disclosure.CaseID) (*disclosure.Case, []disclosure.Message) {
	h.t.Helper()
	c, err := h.DB.Case(h.t.Context(), h.Ada, id)
	h.must(err)
	thread, err := h.DB.Thread(h.t.Context(), h.Ada, id)
	h.must(err)
	return c, thread
}

// file reads a file of a case.
func (h *house) file(id disclosure.FileID) string {
	h.t.Helper()
	var b bytes.Buffer
	h.must(h.DB.OpenFile(h.t.Context(), h.Ada, id, func(disclosure.File) (io.Writer, error) { return &b, nil }))
	return b.String()
}

// to finds the mails the sink took for an address.
func (h *house) to(address string) []smtp.SinkMessage {
	var list []smtp.SinkMessage
	for _, m := range h.Sink.Messages() {
		if len(m.To) == 1 && strings.EqualFold(m.To[0], address) {
			list = append(list, m)
		}
	}
	return list
}

// opened reads a mail as its recipient would, knowing the team's key.
func (h *house) opened(m smtp.SinkMessage, with *pgp.Secret) *mail.Message {
	h.t.Helper()
	ring := pgp.Ring{Known: func(uint64) []pgp.Known {
		return []pgp.Known{{Certificate: h.Key.Certificate(), Label: "the team"}}
	}}
	if with != nil {
		ring.Secrets = []*pgp.Secret{with}
	}
	got, err := mail.Read(context.Background(), m.Data, ring, h.DB.Now(), mail.DefaultLimits)
	h.must(err)
	return got
}

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func (h *house) unlock() {
	h.t.Helper()
	if _, err := h.DB.Vault().Unlock(postgrestest.Passphrase); err != nil {
		h.t.Fatal(err)
	}
}

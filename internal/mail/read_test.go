package mail

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/pgp"
)

// cast is who the tests' messages are from and to.
type cast struct {
	team, retired, alice, stranger *pgp.Secret
	ring                           pgp.Ring
}

var theCast = sync.OnceValues(func() (*cast, error) {
	c := &cast{}
	for _, p := range []struct {
		to   **pgp.Secret
		name string
	}{{&c.team, "team"}, {&c.retired, "retired"}, {&c.alice, "alice"}, {&c.stranger, "stranger"}} {
		s, err := testKey(p.name)
		if err != nil {
			return nil, err
		}
		*p.to = s
	}
	c.ring = pgp.Ring{Secrets: []*pgp.Secret{c.team}, Retired: []*pgp.Secret{c.retired}, Known: func(uint64) []pgp.Known {
		return []pgp.Known{{Certificate: c.alice.Certificate(), Label: "Alice"}}
	}}
	return c, nil
})

func newCast(t testing.TB) *cast {
	t.Helper()
	c, err := theCast()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// testKey reads a key that nobody uses but these tests. They are fixed, so that what the fuzzer
// keeps can still be opened in its next run. With -update a missing one is made.
func testKey(name string) (*pgp.Secret, error) {
	file := filepath.Join("testdata", name+".key")
	b, err := os.ReadFile(file)
	if err == nil {
		return pgp.ParseSecret(b, nil)
	}
	if !*update {
		return nil, err
	}
	s, _, err := pgp.NewTeam(name, name+"@x.example", noon.AddDate(0, -1, 0))
	if err != nil {
		return nil, err
	}
	return s, os.WriteFile(file, s.Bytes(), 0o600)
}

// seal encrypts entity to one of the cast, signed by signer if there is one.
func (c *cast) seal(t testing.TB, entity string, to, signer *pgp.Secret) string {
	t.Helper()
	prepared, err := pgp.PrepareUnsigned([]byte(entity))
	if signer != nil {
		prepared, err = pgp.Prepare([]byte(entity), signer, noon)
	}
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := prepared.Encrypt(&b, []*pgp.Certificate{to.Certificate()}, noon); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (c *cast) sign(t testing.TB, entity string, signer *pgp.Secret) string {
	t.Helper()
	sig, _, err := pgp.DetachSign([]byte(entity), signer, noon)
	if err != nil {
		t.Fatal(err)
	}
	return string(sig)
}

func (c *cast) clearSign(t testing.TB, text string, signer *pgp.Secret) string {
	t.Helper()
	b, err := pgp.ClearSign([]byte(text), signer, noon)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (c *cast) read(t testing.TB, raw string) *Message {
	t.Helper()
	m, err := Read(context.Background(), []byte(raw), c.ring, noon, DefaultLimits)
	if err != nil {
		t.Fatalf("Read = %v", err)
	}
	limits := DefaultLimits
	limits.Held = 32 // the same, read where it lies
	if strings.Contains(raw, "BEGIN PGP SIGNED") {
		limits.Held = 4096 // which only what is held can be checked
	}
	long, err := Read(context.Background(), []byte(raw), c.ring, noon, limits)
	if got, want := short(long), short(m); err != nil || got != want {
		t.Errorf("Read without holding texts = %s, %v\nholding them    %s", got, err, want)
	}
	return m
}

const outerHeader = "From: Alice <alice@x.example>\r\nTo: security@team.example\r\nSubject: outer\r\nDate: Tue, 3 Mar 2026 12:00:00 +0000\r\nMessage-ID: <r1@x.example>\r\nMIME-Version: 1.0\r\n"

const report = "The lantern explodes.\n"

// crlf makes test messages out of readable text.
func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

func mixed(typ, boundary string, parts ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Content-Type: %s; boundary=\"%s\"\r\n\r\n", typ, boundary)
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\n%s\r\n", boundary, p)
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.String()
}

func part(typ, body string) string {
	return "Content-Type: " + typ + "\r\n\r\n" + crlf(body)
}

func pgpMIME(armored string) string {
	return mixed(`multipart/encrypted; protocol="application/pgp-encrypted"`, "enc",
		part("application/pgp-encrypted", "Version: 1\n"), part("application/octet-stream", armored))
}

func signedMIME(c *cast, t testing.TB, entity string, by *pgp.Secret) string {
	entity = crlf(entity)
	return mixed(`multipart/signed; micalg="pgp-sha512"; protocol="application/pgp-signature"`, "sig",
		entity, part("application/pgp-signature", c.sign(t, entity, by)))
}

// short says what matters of a message in a few words.
func short(m *Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s/%s", m.Protection.Encryption, m.Protection.Signature, m.Protection.Integrity)
	for _, p := range m.Pieces {
		fmt.Fprintf(&b, " | %s", p.Kind)
		if p.Alternative {
			b.WriteString("*")
		}
		if p.Label != "" {
			fmt.Fprintf(&b, " %q", p.Label)
		}
		if p.Kind == KindText || p.Kind == KindHTML {
			fmt.Fprintf(&b, " %q", truncate(p.Text, 60))
		}
		if e, s := p.Protection.Encryption, p.Protection.Signature; p.Kind != KindSignature && (e != m.Protection.Encryption || s != m.Protection.Signature) {
			fmt.Fprintf(&b, " (%s/%s)", e, s)
		}
	}
	for _, f := range m.Repairs {
		fmt.Fprintf(&b, " +%s", f.Code)
	}
	for _, f := range m.Problems {
		fmt.Fprintf(&b, " !%s", f.Code)
	}
	return b.String()
}

// TestSameReportEveryShape sends one report in every shape a person's program may give it, and
// finds the same text under the right protection.
func TestSameReportEveryShape(t *testing.T) {
	c := newCast(t)
	text := part("text/plain; charset=utf-8", report)
	b64 := func(s string) string {
		return "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(s)) + "\r\n"
	}
	file := func(name, armored string) string {
		return "Content-Type: application/octet-stream; name=\"" + name + "\"\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n\r\n" + crlf(armored)
	}
	for _, test := range []struct{ name, raw, want string }{
		{"plain", text, `none/none/whole | text "The lantern explodes.\n"`},
		{"base64", b64(report), `none/none/whole | text "The lantern explodes.\n"`},
		{"inline", part("text/plain", c.seal(t, report, c.team, nil)), `current/none/whole | text "The lantern explodes.\n"`},
		{"inline, signed", part("text/plain", c.seal(t, report, c.team, c.alice)), `current/valid-known/whole | text "The lantern explodes.\n"`},
		{"PGP/MIME", pgpMIME(c.seal(t, text, c.team, nil)), `current/none/whole | text "The lantern explodes.\n"`},
		{"PGP/MIME, signed", pgpMIME(c.seal(t, text, c.team, c.alice)), `current/valid-known/whole | text "The lantern explodes.\n"`},
		{"PGP/MIME, multipart/signed inside", pgpMIME(c.seal(t, signedMIME(c, t, text, c.alice), c.team, nil)), `current/valid-known/whole | text "The lantern explodes.\n" | signature`},
		{"PGP/MIME to a retired key", pgpMIME(c.seal(t, text, c.retired, nil)), `retired/none/whole | text "The lantern explodes.\n"`},
		{"PGP/MIME by a stranger", pgpMIME(c.seal(t, text, c.team, c.stranger)), `current/unverifiable/whole | text "The lantern explodes.\n"`},
		{"encrypted file beside text", mixed("multipart/mixed", "m", part("text/plain", "see file\n"), file("report.txt.gpg", c.seal(t, report, c.team, nil))),
			`current/none/part | text "see file\n" (none/none) | text "report.txt" "The lantern explodes.\n" !part-only`},
		{"encrypted file alone", mixed("multipart/mixed", "m", file("msg.asc", c.seal(t, report, c.team, c.alice))), `current/valid-known/whole | text "msg" "The lantern explodes.\n"`},
		{"signed", signedMIME(c, t, text, c.alice), `none/valid-known/whole | text "The lantern explodes.\n" | signature`},
		{"clear-signed", part("text/plain", c.clearSign(t, report, c.alice)), `none/valid-known/whole | text "The lantern explodes.\n"`},
		{"Exchange mixed-up", mixed("multipart/mixed", "m", part("text/plain", "\n"), part("application/pgp-encrypted", "Version: 1\n"), file("encrypted.asc", c.seal(t, text, c.team, c.alice))),
			`current/valid-known/whole | text "The lantern explodes.\n" +mixed-up`},
		{"PGP/MIME with armor inside", pgpMIME(c.seal(t, c.seal(t, report, c.team, c.alice), c.team, nil)), `current/valid-known/whole | text "The lantern explodes.\n" +bare-armor`},
		{"PGP/MIME without MIME inside", pgpMIME(c.seal(t, report, c.team, nil)), `current/none/whole | text "The lantern explodes.\n" +bare-armor`},
		{"html only", part("text/html", "<html><head><title>no</title></head><body><p>The <b>lantern</b><br>explodes.</p><img src='http://evil.example/x'></body>"),
			`none/none/whole | html "The lantern\nexplodes.\n"`},
		{"alternative", mixed("multipart/alternative", "a", text, part("text/html", "<p>The lantern explodes.</p>")),
			`none/none/whole | text "The lantern explodes.\n" | html* "The lantern explodes.\n"`},
		{"armor in html", part("text/html", "<pre>"+c.seal(t, report, c.team, nil)+"</pre>"), `current/none/whole | text "The lantern explodes.\n" +from-html`},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, ends := range []string{"\r\n", "\n"} {
				m := c.read(t, strings.ReplaceAll(crlf(outerHeader+test.raw), "\r\n", ends))
				got := strings.ReplaceAll(short(m), " +line-ends", "")
				if diff := cmp.Diff(got, test.want); diff != "" {
					t.Errorf("Read, lines ended by %q (-got +want):\n%s", ends, diff)
				}
				if m.FromAddress != "alice@x.example" || m.Subject != "outer" || m.MessageID != "<r1@x.example>" || !m.Date.Equal(noon) {
					t.Errorf("header = %+v", m.Header)
				}
			}
		})
	}
}

func TestReadOwnFrozen(t *testing.T) {
	c := newCast(t)
	frozen, err := Freeze(sampleFrozen())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteEncrypted(&b, sampleOuter(), func(w io.Writer) error {
		_, err := io.WriteString(w, c.seal(t, string(frozen), c.team, c.alice))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	m := c.read(t, b.String())
	if got, want := short(m), `current/valid-known/whole | text "Audience: distributors\nRelease: Lantern 4.2.1\nEmbargo ends: " | attachment "0001-fix-the-lantern.patch" | attachment "notice.json"`; got != want {
		t.Errorf("Read = %s\nwant   %s", got, want)
	}
	if m.Subject != sampleFrozen().Subject || m.Outer.Subject != HiddenSubject || m.Protected == nil {
		t.Errorf("Subject = %q, outer %q", m.Subject, m.Outer.Subject)
	}
	if len(m.Pieces) == 3 && !bytes.Equal(octets(t, m.Pieces[1]), []byte(samplePatch)) {
		t.Error("the patch changed")
	}
	if m.ReplyToAddress != "security+k7qdk7qdk7qdk7qd@team.example" {
		t.Errorf("ReplyToAddress = %q", m.ReplyToAddress)
	}
}

func TestReadPosted(t *testing.T) {
	c := newCast(t)
	entity := mixed(`multipart/mixed; hp="cipher"`, "m", part("text/plain", report),
		"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"poc.py\"\r\n\r\nprint()\r\n")
	entity = "Subject: A lantern\r\n" + entity
	for name, test := range map[string]struct{ body, want string }{
		"typed":           {report, `none/none/whole | text "The lantern explodes.\n"`},
		"pasted":          {c.seal(t, report, c.team, nil), `current/none/whole | text "The lantern explodes.\n"`},
		"from a browser":  {c.seal(t, entity, c.team, nil), `current/none/whole | text "The lantern explodes.\n" | attachment "poc.py"`},
		"text and armor":  {"hello\n" + c.seal(t, report, c.team, nil), `current/none/part | text "hello\n" (none/none) | text "The lantern explodes.\n" !part-only`},
		"two armors":      {c.seal(t, "one\n", c.team, nil) + "\n" + c.seal(t, "two\n", c.team, nil), `current/none/whole | text "one\n" | text "two\n"`},
		"words of armor":  {"I cannot send a -----BEGIN PGP MESSAGE----- to you\n", `none/none/whole | text "I cannot send a -----BEGIN PGP MESSAGE----- to you\n"`},
		"to somebody":     {c.seal(t, report, c.stranger, nil), `none/none/whole | unopened "message.pgp" !not-opened`},
		"a public key":    {string(c.alice.Certificate().Armored()), `none/none/whole | key "key.asc"`},
		"text and a key":  {"my key:\n" + string(c.alice.Certificate().Armored()), `none/none/whole | text "my key:\n" | key "key.asc"`},
		"damaged message": {strings.Replace(c.seal(t, report, c.team, nil), "\n=", "\n", 1)[:200], `none/none/whole | text "-----BEGIN PGP MESSAGE-----\n\n`},
	} {
		m, err := ReadPosted(context.Background(), []byte(test.body), c.ring, noon, DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		if got := short(m); name == "damaged message" && (!strings.HasPrefix(got, `none/none/whole | text "-----BEGIN PGP MESSAGE-----`) || !m.NeedsAttention()) || name != "damaged message" && got != test.want {
			t.Errorf("%s: ReadPosted = %s\nwant %s", name, got, test.want)
		}
		if name == "from a browser" && m.Subject != "A lantern" {
			t.Errorf("Subject = %q, want the protected one", m.Subject)
		}
	}
}

func TestPrivateKeyIsNotKept(t *testing.T) {
	c := newCast(t)
	secret, err := c.stranger.Export([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"in text":       part("text/plain", "oops\n"+string(secret)),
		"as a file":     part(`application/octet-stream; name="secret.asc"`, string(secret)),
		"as a .txt":     "Content-Disposition: attachment; filename=x.txt\r\n" + part("text/plain", string(secret)),
		"in html":       part("text/html", "<pre>"+string(secret)+"</pre>"),
		"in both forms": mixed("multipart/alternative", "a", part("text/plain", "x"), part("text/html", "<pre>"+string(secret)+"</pre>")),
		"in encryption": pgpMIME(c.seal(t, part("text/plain", string(secret)), c.team, nil)),
	} {
		m := c.read(t, outerHeader+raw)
		found := false
		for _, p := range m.Pieces {
			found = found || p.Kind == KindPrivateKey
			if strings.Contains(p.Text, "PRIVATE KEY") || bytes.Contains(octets(t, p), []byte("PRIVATE KEY")) {
				t.Errorf("%s: the key is in piece %s", name, p.Path)
			}
		}
		if !found || !m.NeedsAttention() {
			t.Errorf("%s: Read = %s", name, short(m))
		}
	}
}

func TestProtectedHeaders(t *testing.T) {
	c := newCast(t)
	inner := func(fields string) string {
		return fields + "Content-Type: text/plain; hp=\"cipher\"\r\n\r\n" + crlf(report)
	}
	from := "From: Alice <alice@x.example>\r\n"
	for _, test := range []struct{ name, raw, subject, problems string }{
		{"as meant", pgpMIME(c.seal(t, inner(from+"Subject: real\r\n"), c.team, nil)), "real", ""},
		{"absent", pgpMIME(c.seal(t, inner(from), c.team, nil)), "outer", ""},
		{"empty", pgpMIME(c.seal(t, inner(from+"Subject:\r\n"), c.team, nil)), "", ""},
		{"encoded", pgpMIME(c.seal(t, inner("Subject: =?utf-8?q?=C3=B6l?=\r\n"), c.team, nil)), "öl", ""},
		{"v1", pgpMIME(c.seal(t, strings.Replace(inner("Subject: real\r\n"), `hp="cipher"`, `protected-headers="v1"`, 1), c.team, nil)), "real", ""},
		{"without the parameter", pgpMIME(c.seal(t, strings.Replace(inner("Subject: real\r\n"), `; hp="cipher"`, "", 1), c.team, nil)), "outer", ""},
		{"other From", pgpMIME(c.seal(t, inner("From: mallory@x.example\r\nSubject: real\r\n"), c.team, nil)), "real", "from-differs"},
		{"phony in a plain message", inner("X: y\r\n") + "", "outer", "misplaced"},
		{"phony in an unsigned part", mixed("multipart/mixed", "m", inner("Subject: phony\r\n")), "outer", "misplaced"},
		{"misplaced inside", pgpMIME(c.seal(t, mixed("multipart/mixed", "m", inner("Subject: phony\r\n")), c.team, nil)), "outer", "misplaced"},
		{"encryption wrapped by a list", mixed("multipart/mixed", "m", pgpMIME(c.seal(t, inner("Subject: phony\r\n"), c.team, nil)), part("text/plain", "list footer\n")), "outer", "misplaced part-only"},
		{"signed", signedMIME(c, t, strings.Replace(inner("Subject: real\r\n"), "cipher", "clear", 1), c.alice), "real", ""},
		{"signed by a stranger", signedMIME(c, t, strings.Replace(inner("Subject: real\r\n"), "cipher", "clear", 1), c.stranger), "outer", ""},
	} {
		m := c.read(t, outerHeader+test.raw)
		var problems []string
		for _, p := range m.Problems {
			problems = append(problems, string(p.Code))
		}
		if m.Subject != test.subject || m.Outer.Subject != "outer" || strings.Join(problems, " ") != test.problems {
			t.Errorf("%s: Subject = %q, outer %q, problems %v; want %q, %q", test.name, m.Subject, m.Outer.Subject, problems, test.subject, test.problems)
		}
		if m.FromAddress != "alice@x.example" {
			t.Errorf("%s: FromAddress = %q, want the outer one", test.name, m.FromAddress)
		}
	}
}

func TestReadStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m, err := Read(ctx, []byte(outerHeader+part("text/plain", report)), pgp.Ring{}, noon, DefaultLimits)
	if err == nil || m == nil {
		t.Errorf("Read after cancel = %v, %v, want a message and an error", m, err)
	}
}

func TestAuthenticationResults(t *testing.T) {
	raw := "Authentication-Results: mx.team.example;\r\n\tdkim=pass (2048-bit; ok) header.d=x.example header.s=a;\r\n\tspf=fail smtp.mailfrom=x.example; dmarc=pass\r\n" +
		"Authentication-Results: evil.example; dkim=pass\r\nAuthentication-Results: mx.team.example.evil.example; spf=pass\r\nFrom: a@x.example\r\n\r\nx\r\n"
	m, err := Read(context.Background(), []byte(raw), pgp.Ring{}, time.Now(), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	want := []AuthResult{{"dkim", "pass", "header.d=x.example header.s=a"}, {"spf", "fail", "smtp.mailfrom=x.example"}, {"dmarc", "pass", ""}}
	if diff := cmp.Diff(m.AuthenticationResults("mx.team.example"), want); diff != "" {
		t.Errorf("AuthenticationResults (-got +want):\n%s", diff)
	}
	if got := m.AuthenticationResults(""); len(got) != 0 {
		t.Errorf("AuthenticationResults without a name = %v, want none", got)
	}
}

func TestIsAutomatic(t *testing.T) {
	for header, want := range map[string]bool{
		"From: a@x.example":                                  false,
		"From: a@x.example\r\nAuto-Submitted: no":            false,
		"Auto-Submitted: auto-replied (vacation)":            true,
		"AUTO-SUBMITTED: Auto-Generated; x=y":                true,
		"Precedence: bulk":                                   true,
		"List-Id: <l.x.example>":                             true,
		"Return-Path: <>":                                    true,
		"Return-Path: <a@x.example>":                         false,
		"Content-Type: multipart/report; boundary=x":         true,
		"From: Mail System <MAILER-DAEMON@x.example>":        true,
		"From: noreply@x.example":                            true,
		"From: \"postmaster@x.example\" <person@x.example>":  false,
		"X-Auto-Response-Suppress: All\r\nFrom: a@x.example": true,
	} {
		if got := IsAutomatic([]byte(header + "\r\n\r\nx")); got != want {
			t.Errorf("IsAutomatic(%q) = %v, want %v", header, got, want)
		}
	}
}

func octets(t testing.TB, p Piece) []byte {
	t.Helper()
	b, err := p.Content.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

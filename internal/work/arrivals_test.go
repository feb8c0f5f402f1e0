package work_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
)

const report = `Hello,

Path traversal in the archive module
A crafted archive writes outside its folder.
`

// entity is what our page encrypts: text and files in one message.
func entity(text, name, content string) []byte {
	return crlf("Content-Type: multipart/mixed; boundary=\"=_b\"\n\n--=_b\nContent-Type: text/plain; charset=utf-8\n\n" + text +
		"\n--=_b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"" + name + "\"\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString([]byte(content)) + "\n--=_b--\n")
}

// pgpMIME is a PGP/MIME mail.
func pgpMIME(from, to, subject string, armor []byte) []byte {
	return crlf(fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\nDate: Mon, 06 Jan 2025 10:00:00 +0000\nMessage-ID: <m1@finder.example>\nMIME-Version: 1.0\n"+
		"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"=_x\"\n\n--=_x\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n"+
		"--=_x\nContent-Type: application/octet-stream\n\n%s\n--=_x--\n", from, to, subject, armor))
}

func plainMail(subject, text string, more ...string) []byte {
	return crlf("From: Finn <finn@finder.example>\nTo: security@lantern.example\nSubject: " + subject +
		"\nDate: Mon, 06 Jan 2025 10:00:00 +0000\nMessage-ID: <m1@finder.example>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n" +
		strings.Join(more, "") + "\n" + text)
}

func mailed(raw []byte, to ...string) postgrestest.Sent {
	if len(to) == 0 {
		to = []string{"security@lantern.example"}
	}
	return postgrestest.Sent{
		Kind: disclosure.ArrivalMail, Channel: disclosure.ByMail,
		Header: disclosure.ArrivalHeader{Envelope: &disclosure.Envelope{From: "finn@finder.example", To: to}},
		Parts:  []postgrestest.Part{{Kind: disclosure.PartMail, Bytes: raw}},
	}
}

func form(kind disclosure.PartKind, body []byte) postgrestest.Sent {
	return postgrestest.Sent{Parts: []postgrestest.Part{{Kind: kind, Bytes: body}}}
}

// TestSameReportByEveryWay: whatever the shape, the case has the same title,
// text and file, and the protection that was really there.
func TestSameReportByEveryWay(t *testing.T) {
	h := newHouse(t)
	finn := key(t, h.DB.Now(), "Finn Finder", "finn@finder.example")
	encrypted := h.encrypt(entity(report, "poc.py", "print('x')\n"), nil)
	signed := h.encrypt(entity(report, "poc.py", "print('x')\n"), finn)
	asJSON, err := json.Marshal(disclosure.ReportJSON{Description: report, Files: []disclosure.FileJSON{{Name: "poc.py", Data: []byte("print('x')\n")}}})
	h.must(err)
	clear, err := pgp.ClearSign([]byte(report), finn, h.DB.Now())
	h.must(err)
	withFile := form(disclosure.PartText, []byte(report))
	withFile.Parts = append(withFile.Parts, postgrestest.Part{Kind: disclosure.PartFile, Name: "poc.py", Bytes: []byte("print('x')\n")})
	withKey := form(disclosure.PartOpenPGP, signed)
	withKey.Header.Key = finn.Certificate().Binary()
	sealed := disclosure.Protection{Encryption: disclosure.OnArrival, Signature: disclosure.Unsigned, Integrity: disclosure.Whole}
	private := sealed
	private.Encryption = disclosure.ToCurrentKey
	by := func(p disclosure.Protection, s disclosure.Signature, problem string) disclosure.Protection {
		p.Signature, p.Signer, p.Problem = s, finn.Certificate().Fingerprint(), problem
		if problem != "" { // without the certificate, only the key that signed is known
			for _, k := range finn.Subkeys(h.DB.Now()) {
				if k.CanSign {
					p.Signer = k.Fingerprint
				}
			}
		}
		return p
	}
	for _, tt := range []struct {
		name string
		sent postgrestest.Sent
		file bool
		want disclosure.Protection
	}{
		{"typed", form(disclosure.PartText, []byte(report)), false, sealed},
		{"typed with a file", withFile, true, sealed},
		{"encrypted in the form", form(disclosure.PartOpenPGP, encrypted), true, private},
		{"encrypted and signed, key along", withKey, true, by(private, disclosure.SignedUnknown, "")},
		{"encrypted and signed, key unknown", form(disclosure.PartOpenPGP, signed), true, by(private, disclosure.SignedUnchecked, "not-found")},
		{"clear-signed in the form", form(disclosure.PartText, clear), false, by(sealed, disclosure.SignedUnchecked, "not-found")},
		{"JSON", form(disclosure.PartJSON, asJSON), true, sealed},
		{"plain mail", mailed(plainMail("Path traversal in the archive module", report)), false, sealed},
		{"PGP/MIME", mailed(pgpMIME("finn@finder.example", "security@lantern.example", "...",
			h.encrypt(entity(report, "poc.py", "print('x')\n"), nil))), true, private}, // anew: the same message in a mail is noticed
		{"inline PGP in a mail", mailed(plainMail("...", string(h.encrypt([]byte(report), nil)))), false, private},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := *h
			h.t = t
			id := h.Arrive(t, tt.sent)
			h.once()
			c, thread := h.read(h.CaseOf(t, id))
			if want := "Path traversal in the archive module"; c.Title != want {
				t.Errorf("title is %q, want %q", c.Title, want)
			}
			if c.Attention != "" {
				t.Errorf("the case needs attention: %s", c.Attention)
			}
			if diff := cmp.Diff(tt.want, thread[0].Protection); diff != "" {
				t.Errorf("protection (-want +got):\n%s", diff)
			}
			if !strings.Contains(thread[0].Text, "writes outside its folder") {
				t.Errorf("text is %q", thread[0].Text)
			}
			if tt.file {
				if len(c.Files) != 1 || c.Files[0].Label != "poc.py" || h.file(c.Files[0].ID) != "print('x')\n" {
					t.Errorf("files are %+v", c.Files)
				}
			} else if len(c.Files) != 0 {
				t.Errorf("files are %+v, want none", c.Files)
			}
		})
	}
}

// TestWhatCannotBeReadIsKept: every hostile thing becomes a case that needs
// attention, with its original byte for byte.
func TestWhatCannotBeReadIsKept(t *testing.T) {
	h := newHouse(t)
	stranger := key(t, h.DB.Now(), "Somebody Else", "else@example.org")
	whole := h.encrypt([]byte(report), nil)
	private, err := stranger.Export([]byte("a passphrase of no use"))
	h.must(err)
	for _, tt := range []struct {
		name string
		sent postgrestest.Sent
		want string // in Attention
	}{
		{"to somebody else", form(disclosure.PartOpenPGP, h.encrypt([]byte(report), nil, stranger.Certificate())), "encrypted to a key we do not hold"},
		{"cut off", form(disclosure.PartOpenPGP, whole[:len(whole)/2]), "cut off or damaged"},
		{"JSON that is none", form(disclosure.PartJSON, []byte(`{"description": 5}`)), "JSON could not be read"},
		{"a private key by mail", mailed(plainMail("help", string(private))), "private key"},
		{"no mail at all", mailed([]byte("\x00\x01\x02")), "not a well-formed mail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := *h
			h.t = t
			id := h.Arrive(t, tt.sent)
			h.once()
			c, thread := h.read(h.CaseOf(t, id))
			if !strings.Contains(c.Attention, tt.want) {
				t.Errorf("attention is %q, want %q in it", c.Attention, tt.want)
			}
			if strings.Contains(thread[0].Text, "PRIVATE KEY") {
				t.Error("a private key is shown")
			}
			var original bytes.Buffer
			h.must(h.DB.Original(t.Context(), h.Ada, id, &original))
			if !bytes.Equal(original.Bytes(), tt.sent.Parts[0].Bytes) {
				t.Error("the original is not what was received")
			}
		})
	}
}

func TestLockedWaits(t *testing.T) {
	h := newHouse(t)
	h.DB.Vault().Lock()
	id := h.Arrive(t, form(disclosure.PartText, []byte(report)))
	h.once()
	if n, _, err := h.DB.WaitingArrivals(t.Context()); err != nil || n != 1 {
		t.Fatalf("WaitingArrivals = %d, %v; want 1 while locked", n, err)
	}
	told := h.to("ada@lantern.example")
	if len(told) != 1 || !bytes.Contains(told[0].Data, []byte("one report waits")) || !bytes.Contains(told[0].Data, []byte("https://desk.example/unlock")) {
		t.Fatalf("mails to Ada while locked: %d, want one that says how many wait and where to unlock", len(told))
	}
	if bytes.Contains(told[0].Data, []byte("traversal")) {
		t.Error("a word of the report was mailed")
	}
	if _, err := h.DB.Vault().Unlock(postgrestest.Passphrase); err != nil {
		t.Fatal(err)
	}
	h.once()
	if c, _ := h.read(h.CaseOf(t, id)); c.Title == "" {
		t.Error("the report was not opened after unlocking")
	}
	last := h.to("ada@lantern.example")
	if n := len(last); n != 2 || !bytes.Contains(last[1].Data, []byte("/cases/")) || bytes.Contains(last[1].Data, []byte("traversal")) {
		t.Errorf("mails to Ada after unlocking: %d, want a second one with a link and no title", n)
	}
}

// TestReceiptAtMostOnce: a flood with a victim's address gives one fixed mail.
func TestReceiptAtMostOnce(t *testing.T) {
	h := newHouse(t)
	for i := range 20 {
		h.Arrive(t, mailed(plainMail(fmt.Sprintf("secret words %d", i), "more secret words\n")))
	}
	auto := mailed(plainMail("Out of office", "I am away\n", "Auto-Submitted: auto-replied\n"))
	auto.Header.Envelope.From = "other@finder.example"
	auto.Parts[0].Bytes = bytes.ReplaceAll(auto.Parts[0].Bytes, []byte("finn@"), []byte("other@"))
	h.Arrive(t, auto)
	h.once()
	got := h.to("finn@finder.example")
	if len(got) != 1 {
		t.Fatalf("%d receipts, want 1", len(got))
	}
	if m := got[0]; m.From != "" || bytes.Contains(m.Data, []byte("secret words")) || !bytes.Contains(m.Data, []byte("Auto-Submitted: auto-replied")) {
		t.Errorf("the receipt from %q is:\n%s", m.From, m.Data)
	}
	if n := len(h.to("other@finder.example")); n != 0 {
		t.Errorf("%d answers to an automatic mail, want 0", n)
	}
}

var inboxAll = postgres.InboxQuery{Tab: postgres.TabAll}

// TestApplicationIsNoCase: it is set aside, and its receipt says what it is for.
func TestApplicationIsNoCase(t *testing.T) {
	h := newHouse(t)
	h.Arrive(t, mailed(plainMail("Re: =?utf-8?q?SECURITY_Notification_request?=", "We package Lantern.\n")))
	h.once()
	page, err := h.DB.Inbox(t.Context(), h.Ada, inboxAll)
	h.must(err)
	open, _, err := h.DB.Applications(t.Context(), h.Ada, 10)
	h.must(err)
	if len(page.Rows) != 0 || len(open) != 1 {
		t.Fatalf("%d cases and %d applications, want one application", len(page.Rows), len(open))
	}
	again := mailed(plainMail("Re: =?utf-8?q?SECURITY_Notification_request?=", "We package Lantern.\n"))
	h.Arrive(t, again)
	h.once()
	if open, _, err = h.DB.Applications(t.Context(), h.Ada, 10); err != nil || len(open) != 1 {
		t.Errorf("the same mail a second time: %d applications, %v; want one still", len(open), err)
	}
	if open[0].Title != "We package Lantern." {
		t.Errorf("it is called %q, want its first line: the subject is everybody's", open[0].Title)
	}
}

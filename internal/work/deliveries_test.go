package work_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/smtp"
)

// distributor is one on the list with the key that opens what is sent.
type distributor struct {
	name, address string
	id            disclosure.DistributorID
	key           *pgp.Secret
}

func (h *house) distributors(n int) []distributor {
	h.t.Helper()
	list := make([]distributor, n)
	for i := range list {
		d := distributor{name: fmt.Sprintf("Distribution %d", i), address: fmt.Sprintf("security@d%d.example", i)}
		d.key = key(h.t, h.DB.Now(), d.name, d.address)
		cert := d.key.Certificate()
		var err error
		d.id, err = h.DB.Enroll(h.t.Context(), h.Ada, disclosure.Distributor{Name: d.name, Address: d.address,
			Keys: []disclosure.RecipientKey{{Fingerprint: cert.Fingerprint(), Certificate: cert.Binary()}}})
		h.must(err)
		list[i] = d
	}
	return list
}

const patch = "From 0000 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] fix \n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a \n+b\n"

// release makes a release with one case and one patch, scheduled in a week.
func (h *house) release() disclosure.ReleaseID {
	h.t.Helper()
	ctx, now := h.t.Context(), h.DB.Now()
	id, _, err := h.DB.CreateCase(ctx, h.Ada, postgres.CaseDraft{Title: "Overflow", Name: "Finn", Address: "finn@finder.example"})
	h.must(err)
	h.must(h.DB.UpdateCase(ctx, h.Ada, id, func(c *disclosure.Case) error {
		return first(c.Acknowledge(h.Ada, now), c.Accept(h.Ada, now),
			c.SetSeverity(disclosure.Severity{Level: "high"}, h.Ada, now),
			c.SetAffected([]disclosure.Affected{{Series: "4.2", Effect: disclosure.Affects}}, h.Ada, now),
			c.SetPublic(disclosure.Text{Title: "Lantern overflows", Summary: "It does.", Description: "It does.", Impact: "Bad.", Remedy: "Upgrade."}, h.Ada, now))
	}))
	r, err := h.DB.CreateRelease(ctx, h.Ada, "July", []disclosure.CaseID{id})
	h.must(err)
	h.must(h.DB.UpdateRelease(ctx, h.Ada, r, func(r *disclosure.Release) error {
		return first(r.Plan(now.Add(7*24*time.Hour), "UTC", "", h.Ada, now), r.SetVersion("4.2", "4.2.10", h.Ada, now),
			r.SetNoPatch("5.1", "not affected", h.Ada, now), r.SetNoPatch("main", "not affected", h.Ada, now))
	}))
	_, err = h.DB.AddPatch(ctx, h.Ada, r, disclosure.Patch{Series: "4.2", Name: "fix.patch"}, strings.NewReader(patch))
	h.must(err)
	h.must(h.DB.UpdateRelease(ctx, h.Ada, r, func(r *disclosure.Release) error {
		if err := r.DraftNotices(h.Ada, now); err != nil {
			return err
		}
		for _, n := range r.Notices {
			if err := r.EditNotice(n.ID, "Lantern ölt: canary "+string(n.Audience), "There is a hole.\nFrom here on: trailing blank \nand on\n"+r.Essentials(n.Audience), h.Ada, now); err != nil {
				return err
			}
		}
		return nil
	}))
	return r
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *house) notice(r disclosure.ReleaseID, a disclosure.Audience) *disclosure.Notice {
	h.t.Helper()
	got, err := h.DB.Release(h.t.Context(), h.Ada, r)
	h.must(err)
	for _, n := range got.Notices {
		if n.Audience == a && n.State != disclosure.NoticeCanceled {
			return n
		}
	}
	h.t.Fatalf("the release has no notice to %s", a)
	return nil
}

// start freezes, approves and starts a notice.
func (h *house) start(r disclosure.ReleaseID, a disclosure.Audience) *disclosure.Notice {
	h.t.Helper()
	ctx := h.t.Context()
	n := h.notice(r, a)
	h.must(h.DB.FreezeNotice(ctx, h.Ada, n.ID, func(w postgres.NoticeWork) ([]byte, []disclosure.Fault, error) {
		m := mail.FrozenMessage{From: "Lantern security team <" + h.Policy.Contact.Address + ">", Subject: w.Notice.Subject, Text: w.Notice.Text}
		if a == disclosure.ToDistributors {
			for _, p := range w.Release.Patches {
				b, err := w.Patch(p.File.ID)
				if err != nil {
					return nil, nil, err
				}
				m.Attachments = append(m.Attachments, mail.Part{Name: p.Name, Type: "text/x-patch", Bytes: b})
			}
		}
		b, err := mail.Freeze(m)
		return b, nil, err
	}))
	list, err := h.DB.Recipients(ctx, h.Ada, n.ID)
	h.must(err)
	h.must(h.DB.ApproveNotice(ctx, h.Ada, n.ID, h.notice(r, a).Digest, postgres.ListDigest(list)))
	h.must(h.DB.StartSending(ctx, h.SteppedUp(h.Ada), n.ID, nil))
	return h.notice(r, a)
}

func TestDistributorsAreTold(t *testing.T) {
	h := newHouse(t)
	list := h.distributors(3)
	r := h.release()
	n := h.start(r, disclosure.ToDistributors)
	h.once()
	if got := h.notice(r, disclosure.ToDistributors); got.State != disclosure.NoticeSent || got.Tally[disclosure.Delivered] != 3 {
		ledger, _ := h.DB.Ledger(t.Context(), h.Ada, n.ID)
		t.Fatalf("after Once the notice is %s with %v, want it sent to three; %+v", got.State, got.Tally, ledger)
	}
	froms := map[string]bool{}
	for i, d := range list {
		got := h.to(d.address)
		if len(got) != 1 {
			t.Fatalf("%d mails to %s, want 1", len(got), d.address)
		}
		m := got[0]
		head, _, _ := bytes.Cut(m.Data, []byte("\r\n\r\n"))
		if !bytes.Contains(head, []byte("\r\nSubject: [...]\r\n")) || !bytes.Contains(head, []byte("\r\nTo: "+d.address+"\r\n")) {
			t.Errorf("header of the mail to %s:\n%s", d.address, head)
		}
		for j, other := range list {
			if i != j && bytes.Contains(m.Data, []byte(other.address)) {
				t.Errorf("the mail to %s names %s", d.address, other.address)
			}
		}
		if token, ok := mail.FindToken(m.From); !ok || froms[m.From] {
			t.Errorf("return path %q has no token of its own", m.From)
		} else if !bytes.Contains(head, []byte("Reply-To: security+"+token+"@")) {
			t.Errorf("Reply-To is not the return path's token:\n%s", head)
		}
		froms[m.From] = true
		letter := h.opened(m, d.key)
		if letter.Subject != "Lantern ölt: canary distributors" {
			t.Errorf("subject inside is %q", letter.Subject)
		}
		if p := letter.Protection; p.Encryption != pgp.EncryptedCurrent || p.Signature != pgp.SignatureValidKnown || p.Integrity != pgp.IntegrityWhole {
			t.Errorf("protection is %s", p)
		}
		if ids := letter.Protection.Recipients; len(ids) != 1 {
			t.Errorf("key packets for %X, want one", ids)
		}
		last, err := letter.Pieces[len(letter.Pieces)-1].Content.Bytes()
		if err != nil || len(letter.Pieces) < 2 || string(last) != patch {
			t.Errorf("the patch is not there byte for byte: %d pieces", len(letter.Pieces))
		}
	}
	// Bounces and answers find their delivery by the token.
	ledger, err := h.DB.Ledger(t.Context(), h.Ada, n.ID)
	h.must(err)
	for _, d := range ledger {
		if d.Digest == "" || d.State != disclosure.Delivered {
			t.Errorf("delivery to %s is %s with digest %q", d.Recipient.Name, d.State, d.Digest)
		}
	}
	answer := mailed(plainMail("Re: [...]", "Thank you.\n"), h.to(list[1].address)[0].From)
	answer.Header.Envelope.From = list[1].address
	h.Arrive(t, answer)
	bounce := mailed(crlf("From: mailer-daemon@d2.example\nTo: x\nSubject: failed\nMIME-Version: 1.0\n"+
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nno\n"+
		"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; d2.example\n\nFinal-Recipient: rfc822; "+list[2].address+
		"\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no such user\n\n--b--\n"), h.to(list[2].address)[0].From)
	bounce.Header.Envelope.From = ""
	h.Arrive(t, bounce)
	h.once()
	ledger, err = h.DB.Ledger(t.Context(), h.Ada, n.ID)
	h.must(err)
	for _, d := range ledger {
		switch d.Recipient.Address {
		case list[1].address:
			if d.Answered.IsZero() {
				t.Error("the answer was not noted")
			}
		case list[2].address:
			if d.State != disclosure.Rejected || !strings.Contains(d.Reply, "no such user") {
				t.Errorf("after the bounce the delivery is %s: %q", d.State, d.Reply)
			}
		}
	}
	if len(h.Sink.Messages()) == 0 {
		t.Fatal("no mail at all")
	}
	for _, m := range h.Sink.Messages() {
		if bytes.Contains(m.Data, []byte("canary")) || bytes.Contains(m.Data, []byte("hole")) {
			t.Errorf("a mail to %s says in clear what is under embargo:\n%s", m.To, m.Data)
		}
	}
}

// TestGPGReadsTheNotice: each recipient's own gpg opens it with a good
// signature, and finds the very bytes that were frozen.
func TestGPGReadsTheNotice(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg not installed")
	}
	h := newHouse(t)
	list := h.distributors(2)
	r := h.release()
	n := h.start(r, disclosure.ToDistributors)
	h.once()
	for _, d := range list {
		home, err := os.MkdirTemp("/tmp", "g")
		h.must(err)
		t.Cleanup(func() {
			exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
			os.RemoveAll(home)
		})
		gpg := func(stdin []byte, args ...string) (out, errs []byte, err error) {
			c := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "of the key"}, args...)...)
			c.Stdin = bytes.NewReader(stdin)
			var o, e bytes.Buffer
			c.Stdout, c.Stderr = &o, &e
			err = c.Run()
			return o.Bytes(), e.Bytes(), err
		}
		secret, err := d.key.Export([]byte("of the key"))
		h.must(err)
		for _, k := range [][]byte{secret, h.Key.Certificate().Armored()} {
			if _, errs, err := gpg(k, "--import"); err != nil {
				t.Fatalf("gpg --import: %v\n%s", err, errs)
			}
		}
		data := h.to(d.address)[0].Data
		armor := data[bytes.Index(data, []byte("-----BEGIN PGP MESSAGE-----")):]
		file := filepath.Join(home, "m.asc")
		h.must(os.WriteFile(file, armor, 0o600))
		plain, errs, err := gpg(nil, "--status-fd", "2", "-d", file)
		if err != nil || !bytes.Contains(errs, []byte("[GNUPG:] GOODSIG")) {
			t.Fatalf("gpg -d: %v\n%s", err, errs)
		}
		if sum := sha256.Sum256(plain); hex.EncodeToString(sum[:]) != n.Digest {
			t.Errorf("%s found other bytes than were frozen", d.name)
		}
		if c := bytes.Count(errs, []byte("[GNUPG:] ENC_TO")); c != 1 {
			t.Errorf("%d key packets, want 1", c)
		}
	}
}

// TestOutcomesAreTold: what the server says ends in the ledger as it was.
func TestOutcomesAreTold(t *testing.T) {
	h := newHouse(t)
	list := h.distributors(4)
	h.Sink.Set(func(c *smtp.SinkConfig) {
		c.RcptReply = func(to string) int {
			switch to {
			case list[1].address:
				return 451
			case list[2].address:
				return 550
			}
			return 0
		}
		c.DotReply = func(to string) int {
			if to == list[3].address {
				return smtp.DropAfterDot
			}
			return 0
		}
	})
	r := h.release()
	n := h.start(r, disclosure.ToDistributors)
	h.once()
	want := []disclosure.DeliveryState{disclosure.Delivered, disclosure.Deferred, disclosure.Rejected, disclosure.Uncertain}
	ledger, err := h.DB.Ledger(t.Context(), h.Ada, n.ID)
	h.must(err)
	for i, d := range ledger { // in order of names
		if d.State != want[i] {
			t.Errorf("delivery to %s is %s (%s), want %s", d.Recipient.Name, d.State, d.Reply, want[i])
		}
	}
	h.Sink.Set(func(c *smtp.SinkConfig) { c.RcptReply, c.DotReply = nil, nil })
	h.Advance(t, 5*time.Minute)
	h.once()
	if got := len(h.to(list[1].address)); got != 1 {
		t.Errorf("the deferred mail was taken %d times after its time, want once", got)
	}
	if got := len(h.to(list[3].address)); got != 1 {
		t.Errorf("the uncertain mail was taken %d times, want once: nobody decided to send it again", got)
	}
}

// TestExpiredKeySendsNothing: no fall-back to clear text.
func TestExpiredKeySendsNothing(t *testing.T) {
	h := newHouse(t)
	list := h.distributors(1)
	r := h.release()
	n := h.start(r, disclosure.ToDistributors)
	h.AdvanceWall(400 * 24 * time.Hour) // the key is good for 13 months
	h.once()
	if got := len(h.to(list[0].address)); got != 0 {
		t.Errorf("%d mails to a key that expired, want none", got)
	}
	ledger, err := h.DB.Ledger(t.Context(), h.Ada, n.ID)
	h.must(err)
	if s := ledger[0].State; s == disclosure.Delivered || s == disclosure.Uncertain {
		t.Errorf("the delivery is %s", s)
	}
}

// TestAnnouncementOnTheDay: in clear, signed when sent, with the bytes that
// were approved.
func TestAnnouncementOnTheDay(t *testing.T) {
	h := newHouse(t)
	h.distributors(1)
	r := h.release()
	h.start(r, disclosure.ToDistributors)
	h.once()
	n := h.notice(r, disclosure.ToAnnounceAhead)
	h.start(r, disclosure.ToAnnounceAhead)
	h.once()
	got := h.to("announce@lists.lantern.example")
	if len(got) != 1 {
		t.Fatalf("%d announcements ahead, want 1 (notice %s)", len(got), n.State)
	}
	m := h.opened(got[0], nil)
	if m.Subject != "Lantern ölt: canary pre-announcement" || m.Protection.Signature != pgp.SignatureValidKnown {
		t.Errorf("subject %q, protection %s", m.Subject, m.Protection)
	}
	if body, _ := m.Body(); !strings.HasPrefix(body.Text, "There is a hole.\nFrom here on: trailing blank \nand on\nOn ") {
		t.Errorf("text is %q", body.Text)
	}
	if m.ReplyToAddress != "" {
		t.Errorf("Reply-To is %q: answers belong to the list", m.ReplyToAddress)
	}
}

func TestSiteIsRenewedInTime(t *testing.T) {
	h := newHouse(t)
	h.once()
	rendered := func() map[string]string {
		docs, err := h.DB.Documents(t.Context())
		h.must(err)
		m := map[string]string{}
		for _, d := range docs {
			m[d.Path] = string(d.Bytes)
		}
		return m
	}
	const path = "/.well-known/security.txt"
	before := rendered()
	if !strings.Contains(before[path], "BEGIN PGP SIGNED MESSAGE") || before["/"] == "" {
		t.Fatalf("after the first look there are %d documents, want the site with a signed security.txt", len(before))
	}
	h.once()
	if again := rendered(); again[path] != before[path] {
		t.Error("security.txt changed though nothing was due")
	}
	h.DB.Vault().Lock()
	h.Advance(t, 65*24*time.Hour)
	h.once()
	if locked := rendered(); locked[path] != before[path] {
		t.Errorf("security.txt changed without a key, to:\n%s", locked[path])
	}
	h.unlock()
	h.once()
	if after := rendered(); after[path] == before[path] {
		t.Error("security.txt was not renewed after seven tenths of its time")
	}
}

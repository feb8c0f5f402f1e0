package desk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/mail"
	"postern/internal/pgp"
)

const patchText = "--- a/lamp.py\n+++ b/lamp.py\n@@ -1 +1 @@ \n-leak()\n+hold() \n"

// TestWholeWay brings one release from a draft to the public, through the
// pages a releaser uses, and reads what a distributor got.
func TestWholeWay(t *testing.T) {
	h := newHouse(t)
	r := h.release("March release")
	path := "/releases/" + string(r.ID)
	b := h.as(h.Rel)

	if a := b.upload(path+"/patch", "patch", "0001-hold.patch", patchText, "series", "4.2", "case", ""); a.code != http.StatusSeeOther {
		t.Fatalf("upload a patch: %d\n%s", a.code, faultsOf(a.body))
	}
	body := b.page(path)
	b.done(path+"/versions", form("version", hidden(t, body, "version"), "series_0", "5.1", "number_0", "", "series_1", "4.2", "number_1", "4.2.9"))

	reader := newKey(t, "Distro", "security@distro.example", h.DB.Now())
	ada := h.as(h.Ada)
	ada.done("/distributors/new", form("name", "Distro", "address", "security@distro.example", "key", string(reader.Certificate().Armored())))

	digest := h.approved(b, r.ID, disclosure.ToDistributors)
	notice := noticeTo(t, h.load(string(r.ID)), disclosure.ToDistributors)
	at := path + "/notices/" + string(notice.ID)
	if raw := b.get(at + "/raw"); hexSum([]byte(raw.body)) != digest {
		t.Errorf("GET %s/raw: digest %s, want the approved %s", at, hexSum([]byte(raw.body)), digest)
	}

	send := b.page(at + "/send")
	for _, want := range []string{"security@distro.example", digest, "Send to 1 recipient", "0001-hold.patch"} {
		if !strings.Contains(send, want) {
			t.Errorf("the send page lacks %q", want)
		}
	}
	wrong := b.post(at+"/send", form("version", hidden(t, send, "version"), "digest", digest, "typed", "April release"))
	if wrong.code != http.StatusUnprocessableEntity || !strings.Contains(wrong.body, "April release") {
		t.Errorf("send with another name: %d, want 422 with what was typed", wrong.code)
	}
	b.done(at+"/send", form("version", hidden(t, send, "version"), "digest", digest, "typed", "March release"))

	entity := h.deliverTo(notice.ID, reader)
	if got := hexSum(entity); got != digest {
		t.Errorf("the decrypted mail holds bytes of digest %s, want the %s that was approved", got, digest)
	}
	ledger := b.get(at + "/ledger")
	if ledger.code != http.StatusOK || !strings.Contains(ledger.body, "Distro") || !strings.Contains(ledger.body, "sent") {
		t.Errorf("GET %s/ledger: %d, want Distro as sent", at, ledger.code)
	}
	if calm := h.calm(h.Rel).get(at + "/ledger"); strings.Contains(calm.body, "Distro") {
		t.Error("the ledger names the recipient without a step-up")
	}

	h.approved(b, r.ID, disclosure.ToAnnounce)
	h.approved(b, r.ID, disclosure.ToOSS)
	h.Advance(t, 7*24*time.Hour+time.Hour)
	publish := b.page(path + "/publish")
	name := h.load(string(r.ID)).Cases[0].PublicName
	for _, want := range []string{"/advisories/" + name, "/feed.atom", "announce@lists.lantern.example", "oss-security@lists.example", "A lantern leaks oil."} {
		if !strings.Contains(publish, want) {
			t.Errorf("the publish page lacks %q", want)
		}
	}
	version := hidden(t, publish, "version")
	if a := b.post(path+"/publish", form("version", version, "digest", hidden(t, publish, "digest"), "typed", "march release")); a.code != http.StatusUnprocessableEntity {
		t.Errorf("publish with another name: %d, want 422", a.code)
	}
	if isPublic(t, h, "/advisories/"+name) {
		t.Fatal("a refused publishing made the advisory public")
	}
	b.done(path+"/publish", form("version", version, "digest", hidden(t, publish, "digest"), "typed", "March release"))
	if !isPublic(t, h, "/advisories/"+name) {
		t.Error("the advisory is not public after publishing")
	}
	if r := h.load(string(r.ID)); r.State != disclosure.Published || noticeTo(t, r, disclosure.ToAnnounce).State != disclosure.NoticeSending {
		t.Errorf("after publishing: release %s, announcement %s; want disclosed, sending", r.State, noticeTo(t, r, disclosure.ToAnnounce).State)
	}
	b.page(path)
	b.page("/releases")
}

func isPublic(t *testing.T, h *house, path string) bool {
	t.Helper()
	docs, err := h.DB.Documents(t.Context())
	h.must(err)
	for _, d := range docs {
		if d.Path == path {
			return true
		}
	}
	return false
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// approved freezes and approves the notice to an audience through its page,
// and returns the digest its preview shows.
func (h *house) approved(b *browser, id disclosure.ReleaseID, a disclosure.Audience) string {
	h.t.Helper()
	r := h.load(string(id))
	at := "/releases/" + string(id) + "/notices/" + string(noticeTo(h.t, r, a).ID)
	b.done(at+"/redraft", form("version", hidden(h.t, b.page(at), "version")))
	before := h.digestShown(b, at)
	b.done(at+"/freeze", form("version", hidden(h.t, b.page(at), "version")))
	page := b.page(at)
	digest := h.digestShown(b, at)
	if digest != before || hidden(h.t, page, "digest") != digest {
		h.t.Errorf("digest of %s: %s before freezing, %s after, %s in the form; want one", a, before, digest, hidden(h.t, page, "digest"))
	}
	b.done(at+"/approve", form("version", hidden(h.t, page, "version"), "digest", digest, "list", hidden(h.t, page, "list")))
	return digest
}

// digestShown is what the preview says, checked against the bytes it shows.
func (h *house) digestShown(b *browser, at string) string {
	h.t.Helper()
	page := b.page(at + "/preview")
	_, rest, ok := strings.Cut(page, `id="bytes-digest"`)
	_, rest, _ = strings.Cut(rest, `<code class="digest">`)
	digest, _, _ := strings.Cut(rest, "<")
	_, shown, _ := strings.Cut(page, `<pre class="letter" id="bytes"`)
	_, shown, _ = strings.Cut(shown, ">")
	shown, _, _ = strings.Cut(shown, "</pre>")
	text := strings.ReplaceAll(html.UnescapeString(shown), "\n", "\r\n")
	if !ok || hexSum([]byte(text)) != digest {
		h.t.Fatalf("GET %s/preview: bytes of digest %s, shown as %s", at, hexSum([]byte(text)), digest)
	}
	return digest
}

// deliverTo sends a notice as work does, and opens what the reader got.
func (h *house) deliverTo(id disclosure.NoticeID, reader *pgp.Secret) (entity []byte) {
	h.t.Helper()
	mails := 0
	left, err := h.DB.Deliver(h.t.Context(), id, h.DB.Now, func(_ context.Context, o disclosure.Outgoing) disclosure.Outcome {
		mails++
		now := h.DB.Now()
		n, err := mail.PrepareNotice(o.Notice.Frozen, o.Notice.Signature, h.team, now)
		if err != nil {
			return disclosure.Outcome{State: disclosure.Rejected, Text: err.Error()}
		}
		var raw bytes.Buffer
		outer := mail.Outer{To: o.Recipient.Address, Date: now, MessageID: "<" + o.Delivery.MessageID + ">"}
		err = n.WriteEncrypted(&raw, outer, []*pgp.Certificate{reader.Certificate()}, now)
		if err == nil {
			err = o.Confirm()
		}
		if err != nil {
			return disclosure.Outcome{State: disclosure.Rejected, Text: err.Error()}
		}
		entity, err = open(raw.Bytes(), reader, h.team.Certificate(), now)
		if err != nil {
			h.t.Errorf("open the delivered mail: %v", err)
		}
		return disclosure.Outcome{State: disclosure.Delivered, Text: "250 taken"}
	})
	if err != nil || left != 0 || mails != 1 {
		h.t.Fatalf("Deliver: %d left of %d, %v; want 0 of 1", left, mails, err)
	}
	return entity
}

// open decrypts the one armored message of a mail and checks its signature.
func open(raw []byte, reader *pgp.Secret, signer *pgp.Certificate, now time.Time) ([]byte, error) {
	text := string(raw)
	i, j := strings.Index(text, "-----BEGIN PGP MESSAGE"), strings.Index(text, "-----END PGP MESSAGE-----")
	if i < 0 || j < 0 {
		return nil, fmt.Errorf("no message in %d bytes", len(raw))
	}
	ring := pgp.Ring{Secrets: []*pgp.Secret{reader}, Known: func(uint64) []pgp.Known { return []pgp.Known{{Certificate: signer, Label: "team"}} }}
	var out bytes.Buffer
	found, err := pgp.Open(context.Background(), strings.NewReader(text[i:j]+"-----END PGP MESSAGE-----\n"), ring, now, pgp.DefaultLimits, &out)
	if err != nil {
		return nil, err
	}
	if found.Signature != pgp.SignatureValidKnown || found.Integrity != pgp.IntegrityWhole {
		return nil, fmt.Errorf("judged %s", found)
	}
	return out.Bytes(), nil
}

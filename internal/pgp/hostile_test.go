package pgp

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// The hostile inputs are built from packets here, in ways no program would write them.

func pkt(tag int, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0xc0 | byte(tag), 255}, uint32(len(body))), body...)
}

func literal(s string) []byte {
	return pkt(tagLiteral, append([]byte{'b', 0, 0, 0, 0, 0}, s...))
}

func deflated(t testing.TB, inner []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteByte(1)
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(inner); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return pkt(tagCompressed, b.Bytes())
}

var testSession = bytes.Repeat([]byte{7}, 32)

func pkesk(t testing.TB, c *Certificate, hidden bool) []byte {
	t.Helper()
	k, err := c.encryptionKey(now)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := packet.SerializeEncryptedKeyAEADwithHiddenOption(&b, k.PublicKey, packet.CipherAES256, false, testSession, hidden, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func seipd(t testing.TB, inner []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := packet.SerializeSymmetricallyEncrypted(&b, packet.CipherAES256, false, packet.CipherSuite{}, testSession, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(inner); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sealed(t testing.TB, c *Certificate, inner []byte) []byte {
	t.Helper()
	return append(pkesk(t, c, false), seipd(t, inner)...)
}

func skesk(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := packet.SerializeSymmetricKeyEncryptedReuseKey(&b, testSession, []byte("pass"), &packet.Config{DefaultCipher: packet.CipherAES256}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// signedLiteral is one-pass, literal, signature by s over signed, which may differ from content.
func signedLiteral(t testing.TB, s *Secret, content, signed string, at time.Time) []byte {
	t.Helper()
	sig, raw, err := s.sign([]byte(signed), false, at)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prepare([]byte(content), sig, raw)
	if err != nil {
		t.Fatal(err)
	}
	return p.plain
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestHostile(t *testing.T) {
	ours, alice, bob := team(t), secret(t, "alice"), secret(t, "bob")
	c := ours.Certificate()
	plain := literal("hello")
	nested := plain
	for range 200 {
		nested = deflated(t, nested)
	}
	bomb := literal(strings.Repeat("\x00", 8<<20))
	bomb3 := deflated(t, deflated(t, deflated(t, literal(strings.Repeat("\x00", 80<<20)))))
	twice := sealed(t, c, sealed(t, c, plain))
	deep := plain
	for range 5 {
		deep = sealed(t, c, deep)
	}
	truncated := sealed(t, c, literal(strings.Repeat("x", 5000)))
	tampered := sealed(t, c, literal(strings.Repeat("x", 5000)))
	tampered[len(tampered)-2000] ^= 0x40
	old, err := ours.Renew(now)
	if err != nil {
		t.Fatal(err)
	}
	renewedLater := now.AddDate(0, 13, 0) // the first pair has expired, the second has not
	wildcards := bytes.Repeat(pkesk(t, alice.Certificate(), true), 3000)
	issuerless := issuerlessSignature(t, alice)
	bobRetired := Ring{Secrets: []*Secret{ours}, Retired: []*Secret{bob}}
	ring := Ring{Secrets: []*Secret{ours}, Known: known("Alice", alice.Certificate())}
	held := Ring{Secrets: []*Secret{ours}, Known: known("", alice.Certificate())}

	tests := []struct {
		name string
		msg  []byte
		ring Ring
		at   time.Time
		want Failure
		text string
		enc  Encryption
		sig  Signature
		why  SignatureProblem
		note Note
	}{
		{name: "01 plain text", msg: []byte("just words"), want: Malformed},
		{name: "02 retired secret", msg: sealed(t, bob.Certificate(), plain), ring: bobRetired, text: "hello", enc: EncryptedRetired, sig: SignatureNone},
		{name: "02 retired subkey", msg: sealed(t, c, plain), ring: Ring{Secrets: []*Secret{old}}, at: renewedLater, text: "hello", enc: EncryptedRetired, sig: SignatureNone},
		{name: "03 to a member", msg: sealed(t, alice.Certificate(), plain), want: NotForUs},
		{name: "05 passphrase only", msg: concat(skesk(t), seipd(t, plain)), want: PassphraseOnly},
		{name: "06 passphrase too", msg: concat(skesk(t), sealed(t, c, plain)), text: "hello", enc: EncryptedCurrent, sig: SignatureNone, note: NotePassphrase},
		{name: "07 hidden recipient", msg: concat(pkesk(t, alice.Certificate(), true), pkesk(t, c, true), seipd(t, plain)), text: "hello", enc: EncryptedCurrent, sig: SignatureNone, note: NoteHidden},
		{name: "08 3000 wildcards", msg: concat(wildcards, sealed(t, c, plain)), want: TooComplex},
		{name: "09 no MDC", msg: concat(pkesk(t, c, false), pkt(tagSED, make([]byte, 200))), want: NoIntegrity},
		{name: "10 tampered", msg: tampered, want: Damaged},
		{name: "11 truncated", msg: truncated[:len(truncated)-100], want: Damaged},
		{name: "11 key packets only", msg: pkesk(t, c, false), want: Damaged},
		{name: "12 trailing garbage", msg: append(sealed(t, c, plain), "garbage"...), text: "hello", enc: EncryptedCurrent, sig: SignatureNone, note: NoteTrailing},
		{name: "12 trailing message", msg: concat(sealed(t, c, plain), sealed(t, c, plain)), text: "hello", enc: EncryptedCurrent, sig: SignatureNone, note: NoteTrailing},
		{name: "12 trailing garbage after damage", msg: append(bytes.Clone(tampered), "garbage"...), want: Damaged},
		{name: "13 bomb by ratio", msg: sealed(t, c, deflated(t, bomb)), want: TooLarge},
		{name: "13 bomb, nested", msg: sealed(t, c, bomb3), want: TooLarge},
		{name: "14 200 deep", msg: sealed(t, c, nested), want: TooComplex},
		{name: "14 too many packets", msg: sealed(t, c, concat(bytes.Repeat(pkt(tagMarker, []byte("PGP")), 5000), plain)), want: TooComplex},
		{name: "15 two literals", msg: sealed(t, c, concat(plain, plain)), want: Malformed},
		{name: "15 two literals, compressed", msg: sealed(t, c, deflated(t, concat(plain, plain))), want: Malformed},
		{name: "16 unencrypted literal", msg: armored(armorMessage, plain), text: "hello", enc: EncryptedNone, sig: SignatureNone},
		{name: "17 issuer-less signature", msg: sealed(t, c, concat(issuerless, plain)), text: "hello", enc: EncryptedCurrent, sig: SignatureUnverifiable, why: SignatureBroken},
		{name: "17 issuer-less, unencrypted", msg: concat(issuerless, plain), text: "hello", enc: EncryptedNone, sig: SignatureUnverifiable, why: SignatureBroken},
		{name: "18 unknown SEIPD version", msg: concat(pkesk(t, c, false), pkt(tagSEIPD, append([]byte{9}, make([]byte, 64)...))), want: Unsupported},
		{name: "18 unknown AEAD mode", msg: concat(pkesk(t, c, false), pkt(tagSEIPD, append([]byte{2, 9, 77, 6}, make([]byte, 96)...))), want: Unsupported},
		{name: "18 unknown critical packet", msg: sealed(t, c, concat(pkt(38, []byte("x")), plain)), want: Unsupported},
		{name: "18 unknown non-critical packet", msg: sealed(t, c, concat(pkt(61, []byte("x")), plain)), text: "hello", enc: EncryptedCurrent, sig: SignatureNone},
		{name: "18 key packet of version 5", msg: concat(pkt(tagPKESK, append([]byte{5}, make([]byte, 80)...)), seipd(t, plain)), want: Unsupported},
		{name: "19 unknown signer", msg: sealed(t, c, signedLiteral(t, alice, "hello", "hello", now)), ring: Ring{Secrets: []*Secret{ours}}, text: "hello", enc: EncryptedCurrent, sig: SignatureUnverifiable, why: SignerNotFound},
		{name: "19 signer merely held", msg: sealed(t, c, signedLiteral(t, alice, "hello", "hello", now)), ring: held, text: "hello", enc: EncryptedCurrent, sig: SignatureValidUnknown},
		{name: "10 other text signed", msg: sealed(t, c, signedLiteral(t, alice, "hello", "other", now)), text: "hello", enc: EncryptedCurrent, sig: SignatureInvalid, why: SignatureMismatch},
		{name: "20 revoked signer", msg: sealed(t, c, signedLiteral(t, alice, "hello", "hello", now)), ring: Ring{Secrets: []*Secret{ours}, Known: known("Alice", revokedNow(t, "alice"))}, text: "hello", enc: EncryptedCurrent, sig: SignatureInvalid, why: SignerRevoked},
		{name: "20 expired since", msg: sealed(t, c, signedLiteral(t, secret(t, "expired"), "hello", "hello", time.Date(2020, 6, 1, 0, 0, 0, 0, time.UTC))), ring: Ring{Secrets: []*Secret{ours}, Known: known("Eve", cert(t, "expired"))}, text: "hello", enc: EncryptedCurrent, sig: SignatureValidKnown, note: NoteSignerExpired},
		{name: "20 expired when signing", msg: sealed(t, c, signedAt(t, "expired", "hello", time.Date(2022, 6, 1, 0, 0, 0, 0, time.UTC))), ring: Ring{Secrets: []*Secret{ours}, Known: known("Eve", cert(t, "expired"))}, text: "hello", enc: EncryptedCurrent, sig: SignatureInvalid, why: SignerExpired},
		{name: "34 encrypted twice", msg: twice, text: "hello", enc: EncryptedCurrent, sig: SignatureNone, note: NoteNested},
		{name: "34 encrypted five times", msg: deep, want: TooComplex},
		{name: "55 signed in two days", msg: sealed(t, c, signedLiteral(t, alice, "hello", "hello", now.AddDate(0, 0, 2))), text: "hello", enc: EncryptedCurrent, sig: SignatureInvalid, why: SignatureFuture},
		{name: "55 signed before the key", msg: sealed(t, c, signedAt(t, "alice", "hello", time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC))), text: "hello", enc: EncryptedCurrent, sig: SignatureInvalid, why: SignerNotYetValid},
		{name: "signed around encryption", msg: concat(signedLiteral(t, alice, "", "", now)[:15], sealed(t, c, plain)), want: Unsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, at := ring, now
			if tt.ring.Secrets != nil {
				r = tt.ring
			}
			if !tt.at.IsZero() {
				at = tt.at
			}
			var out bytes.Buffer
			began := time.Now()
			j, err := Open(context.Background(), bytes.NewReader(tt.msg), r, at, DefaultLimits, &out)
			if d := time.Since(began); d > 2*DefaultLimits.Time {
				t.Errorf("Open() took %v", d)
			}
			if tt.want != "" {
				if !errors.Is(err, tt.want) || out.Len() > 0 {
					t.Errorf("Open() = %d bytes, %v, want nothing and %s", out.Len(), err, string(tt.want))
				}
				return
			}
			if err != nil || out.String() != tt.text {
				t.Fatalf("Open() = %q, %v, want %q", out.String(), err, tt.text)
			}
			if j.Encryption != tt.enc || j.Signature != tt.sig || j.Problem != tt.why {
				t.Errorf("Open() judged %+v, want %s, %s, %q", j, tt.enc, tt.sig, tt.why)
			}
			if tt.note != "" && !hasNote(j, tt.note) || tt.note == "" && len(j.Notes) > 0 {
				t.Errorf("Open() notes %v, want %q", j.Notes, tt.note)
			}
		})
	}
}

func hasNote(j Judgment, n Note) bool {
	for _, x := range j.Notes {
		if x == n {
			return true
		}
	}
	return false
}

// issuerlessSignature is an old-style signature packet with empty subpacket areas.
func issuerlessSignature(t testing.TB, s *Secret) []byte {
	t.Helper()
	_, raw, err := s.sign([]byte("hello"), false, now)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _, _, err := splitPacket(raw)
	if err != nil {
		t.Fatal(err)
	}
	hashed := int(binary.BigEndian.Uint16(body[4:]))
	unhashed := int(binary.BigEndian.Uint16(body[6+hashed:]))
	b := append([]byte(nil), body[:4]...)
	b = append(b, 0, 6, 5, 2, 0x60, 0, 0, 0) // a creation time, without which nothing parses
	b = append(b, 0, 0)
	return pkt(tagSignature, append(b, body[8+hashed+unhashed:]...))
}

// signedAt signs with a key at a time when it must not.
func signedAt(t testing.TB, name, content string, at time.Time) []byte {
	return signedRaw(t, name, content, &packet.Signature{CreationTime: at, Hash: 5 /* SHA-256 */, SigType: packet.SigTypeBinary})
}

func signedRaw(t testing.TB, name, content string, sig *packet.Signature) []byte {
	t.Helper()
	s := secret(t, name)
	sig.Version, sig.PubKeyAlgo = 4, s.entity.PrivateKey.PubKeyAlgo
	sig.IssuerKeyId = &s.entity.PrivateKey.KeyId
	h := sig.Hash.New()
	h.Write([]byte(content))
	if err := sig.Sign(h, s.entity.PrivateKey, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := sig.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	p, err := prepare([]byte(content), sig, b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return p.plain
}

// TestHostileClearSigned is entries 26 and 27.
func TestHostileClearSigned(t *testing.T) {
	s := secret(t, "alice")
	k := known("Alice", s.Certificate())
	signed, err := ClearSign([]byte("pay 10\n- dash\n"), s, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		text      string
		inside    string
		sig       Signature
		integrity Integrity
		fails     Failure
	}{
		{name: "as made", text: string(signed), inside: "pay 10\n- dash\n", sig: SignatureValidKnown, integrity: IntegrityWhole},
		{name: "CRLF", text: strings.ReplaceAll(string(signed), "\n", "\r\n"), inside: "pay 10\n- dash\n", sig: SignatureValidKnown, integrity: IntegrityWhole},
		{name: "26 text outside", text: "pay 99\n\n" + string(signed) + "\npay 77\n", inside: "pay 10\n- dash\n", sig: SignatureValidKnown, integrity: IntegrityPart},
		{name: "27 trailing white space", text: strings.Replace(string(signed), "pay 10", "pay 10  \t", 1), inside: "pay 10  \t\n- dash\n", sig: SignatureValidKnown, integrity: IntegrityWhole},
		{name: "27 forged Hash header", text: strings.Replace(string(signed), "Hash: SHA512", "Hash: SHA256", 1), inside: "pay 10\n- dash\n", sig: SignatureInvalid, integrity: IntegrityWhole},
		{name: "27 text among headers", text: strings.Replace(string(signed), "Hash: SHA512", "Hash: SHA512\npay 99 to me", 1), fails: Malformed},
		{name: "27 header with text", text: strings.Replace(string(signed), "Hash: SHA512", "Hash: SHA512\nNote: pay 99 to me", 1), fails: Malformed},
		{name: "changed", text: strings.Replace(string(signed), "pay 10", "pay 99", 1), inside: "pay 99\n- dash\n", sig: SignatureInvalid, integrity: IntegrityWhole},
		{name: "cut off", text: string(signed[:len(signed)-60]), fails: Damaged},
		{name: "no signature", text: "-----BEGIN PGP SIGNED MESSAGE-----\n\nhi\n", fails: Malformed},
	} {
		inside, j, err := OpenClearSigned([]byte(tt.text), k, now)
		if tt.fails != "" {
			if !errors.Is(err, tt.fails) || inside != nil {
				t.Errorf("OpenClearSigned(%s) = %q, %v, want %s", tt.name, inside, err, string(tt.fails))
			}
			continue
		}
		if err != nil || string(inside) != tt.inside || j.Signature != tt.sig || j.Integrity != tt.integrity {
			t.Errorf("OpenClearSigned(%s) = %q, %+v, %v, want %q, %s, %s", tt.name, inside, j, err, tt.inside, tt.sig, tt.integrity)
		}
	}
}

// TestLimits shows that each of Limits holds, by making it small.
func TestLimits(t *testing.T) {
	s := team(t)
	c := s.Certificate()
	msg := sealed(t, c, deflated(t, concat(signedLiteral(t, s, strings.Repeat("x", 3000), "", now))))
	for name, tt := range map[string]struct {
		set  func(*Limits)
		want Failure
	}{
		"none":           {func(*Limits) {}, ""},
		"KeyPackets":     {func(l *Limits) { l.KeyPackets = 0 }, TooComplex},
		"KeyPacketBytes": {func(l *Limits) { l.KeyPacketBytes = 50 }, TooComplex},
		"Packets":        {func(l *Limits) { l.Packets = 4 }, TooComplex},
		"Depth":          {func(l *Limits) { l.Depth = 0 }, TooComplex},
		"Nesting":        {func(l *Limits) { l.Nesting = 1 }, TooComplex},
		"Signatures":     {func(l *Limits) { l.Signatures = 0 }, TooComplex},
		"Input":          {func(l *Limits) { l.Input = 100 }, TooLarge},
		"Unpacked":       {func(l *Limits) { l.Unpacked = 2000 }, TooLarge},
		"Output":         {func(l *Limits) { l.Output = 2000 }, TooLarge},
		"Time":           {func(l *Limits) { l.Time = -1 }, TooComplex},
	} {
		l := DefaultLimits
		tt.set(&l)
		_, err := Open(context.Background(), bytes.NewReader(msg), Ring{Secrets: []*Secret{s}}, now, l, io.Discard)
		if tt.want == "" && err != nil || tt.want != "" && !errors.Is(err, tt.want) {
			t.Errorf("Open() with small %s = %v, want %q", name, err, string(tt.want))
		}
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(canceled, bytes.NewReader(msg), Ring{Secrets: []*Secret{s}}, now, DefaultLimits, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("Open(canceled) = %v, want context.Canceled", err)
	}
	broken := errors.New("disk full")
	if _, err := Open(context.Background(), bytes.NewReader(msg), Ring{Secrets: []*Secret{s}}, now, DefaultLimits, failingWriter{broken}); !errors.Is(err, broken) || failureOf(err) != "" {
		t.Errorf("Open(failing dst) = %v, want the writer's own error", err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

// TestAEAD opens SEIPDv2 to a version 6 key of others' making, and finds a flipped bit.
func TestAEAD(t *testing.T) {
	e, err := openpgp.NewEntity("V", "", "v@example.org", &packet.Config{V6Keys: true, Algorithm: packet.PubKeyAlgoEd25519, AEADConfig: &packet.AEADConfig{}, Time: func() time.Time { return now.AddDate(0, -1, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSecret(e)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := openpgp.Encrypt(&b, []*openpgp.Entity{e}, nil, []*openpgp.Entity{e}, nil, &packet.Config{AEADConfig: &packet.AEADConfig{}, Time: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte("hi"), 5000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ring := Ring{Secrets: []*Secret{s}, Known: known("V", s.Certificate())}
	got, j, err := open(b.Bytes(), ring)
	if err != nil || len(got) != 10000 || j.Signature != SignatureValidKnown {
		t.Fatalf("Open(SEIPDv2) = %d bytes, %+v, %v", len(got), j, err)
	}
	bad := b.Bytes()
	bad[len(bad)-200] ^= 1
	if got, _, err := open(bad, ring); got != "" || !errors.Is(err, Damaged) {
		t.Errorf("Open(SEIPDv2, tampered) = %d bytes, %v, want damaged", len(got), err)
	}
	if err := s.Certificate().CanEncrypt(now); err != nil {
		t.Errorf("CanEncrypt(v6) = %v", err)
	}
	p, err := Prepare([]byte("to and from v6"), s, now)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Encrypt(&out, []*Certificate{s.Certificate()}, now); err != nil {
		t.Fatalf("Encrypt(v6) = %v", err)
	}
	if got, j, err := open(out.Bytes(), ring); err != nil || got != "to and from v6" || j.Signature != SignatureValidKnown {
		t.Errorf("Open(ours to v6) = %q, %+v, %v", got, j, err)
	}
}

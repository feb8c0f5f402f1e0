package intake

import (
	"bytes"
	"compress/flate"
	"crypto"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

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

// newEntity is a key with what package pgp does not make: a lifetime, or a
// revocation to come.
func newEntity(t testing.TB, made time.Time, life time.Duration) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("Erin", "", "erin@finder.example", &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, DefaultHash: crypto.SHA512, KeyLifetimeSecs: uint32(life / time.Second), Time: func() time.Time { return made },
	})
	must(t, err)
	return e
}

// signedPackets is a signed literal, whatever the key's state was at the time.
func signedPackets(t testing.TB, e *openpgp.Entity, at time.Time, content []byte) []byte {
	t.Helper()
	key := e.PrivateKey
	ops := &packet.OnePassSignature{Version: 3, SigType: packet.SigTypeBinary, Hash: crypto.SHA512, PubKeyAlgo: key.PubKeyAlgo, KeyId: key.KeyId, IsLast: true}
	sig := &packet.Signature{Version: key.Version, SigType: packet.SigTypeBinary, PubKeyAlgo: key.PubKeyAlgo, Hash: crypto.SHA512, CreationTime: at, IssuerKeyId: &key.KeyId, IssuerFingerprint: key.Fingerprint}
	config := &packet.Config{DefaultHash: crypto.SHA512, Time: func() time.Time { return at }}
	h, err := sig.PrepareSign(config)
	must(t, err)
	_, err = h.Write(content)
	must(t, err)
	must(t, sig.Sign(h, key, config))
	var head, tail bytes.Buffer
	must(t, ops.Serialize(&head))
	must(t, sig.Serialize(&tail))
	return joined(head.Bytes(), words(string(content)), tail.Bytes())
}

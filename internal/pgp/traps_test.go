package pgp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// The nine traps of go-crypto, each with what we do about it. Trap 5, the armor
// checksum, is also in the interop tests, where gpg's exit status shows it.

func TestTrap1UnknownSignerIsNotValid(t *testing.T) {
	s, alice := team(t), secret(t, "alice")
	msg := sealed(t, s.Certificate(), signedLiteral(t, alice, "hello", "hello", now))
	md, err := openpgp.ReadMessage(bytes.NewReader(msg), openpgp.EntityList{s.entity}, nil, &packet.Config{Time: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(md.UnverifiedBody); err != nil || !md.IsVerified {
		t.Logf("the library no longer calls it verified (%v): the trap is gone", err)
	}
	_, j, err := open(msg, Ring{Secrets: []*Secret{s}})
	if err != nil || j.Signature != SignatureUnverifiable || j.Problem != SignerNotFound {
		t.Errorf("Open(unknown signer) = %+v, %v, want unverifiable, not found", j, err)
	}
	if want := alice.Certificate().Fingerprint(); j.SignerFingerprint != want {
		t.Errorf("Open(unknown signer) names %q, want the claimed %s", j.SignerFingerprint, want)
	}
	// Somebody else's certificate under the same question is not taken for the signer's.
	j2, err := VerifyDetached(strings.NewReader("hello"), nil, known("Bob", cert(t, "bob")), now)
	if err != nil || j2.Signature != SignatureUnverifiable {
		t.Errorf("VerifyDetached(no signature) = %+v, %v, want unverifiable", j2, err)
	}
}

// Trap 2 is TestOpenNothingBeforeWhole.

func TestTrap3Bomb(t *testing.T) {
	s := team(t)
	msg := sealed(t, s.Certificate(), deflated(t, literal(strings.Repeat("\x00", 100<<20))))
	limits := DefaultLimits
	limits.Ratio = 1 << 30 // leave it to the size
	began := time.Now()
	var out bytes.Buffer
	j, err := Open(t.Context(), bytes.NewReader(msg), Ring{Secrets: []*Secret{s}}, now, limits, &out)
	if failureOf(err) != TooLarge && failureOf(err) != TooComplex || out.Len() > 0 { // too slow counts where tests are slow
		t.Errorf("Open(bomb) = %v, %d bytes, %v, want too large", j, out.Len(), err)
	}
	if d := time.Since(began); d > 2*limits.Time {
		t.Errorf("Open(bomb) took %v", d)
	}
}

// Trap 4 is entry 08 of TestHostile and "ours as the 17th" of TestAddressed.

func TestTrap5Checksum(t *testing.T) {
	s := secret(t, "bob")
	for _, text := range []string{"a", "ab", "abc"} {
		sig, _, err := DetachSign([]byte(text), s, now)
		if err != nil {
			t.Fatal(err)
		}
		clear, err := ClearSign([]byte(text), s, now)
		if err != nil {
			t.Fatal(err)
		}
		for what, b := range map[string][]byte{"DetachSign": sig, "ClearSign": clear, "Armored": s.Certificate().Armored()} {
			lines := strings.Split(strings.TrimSpace(string(b)), "\n")
			sum := lines[len(lines)-2]
			if _, err := base64.StdEncoding.DecodeString(sum[1:]); len(sum) != 5 || sum[0] != '=' || err != nil {
				t.Errorf("%s(%q) ends without a checksum:\n%s", what, text, b)
			}
		}
	}
}

// TestTrap6Concurrent is worth running with -race: one certificate, one secret
// and one prepared message for many goroutines.
func TestTrap6Concurrent(t *testing.T) {
	s := team(t)
	certs := []*Certificate{cert(t, "alice"), cert(t, "bob"), cert(t, "revoked"), s.Certificate()}
	p, err := Prepare([]byte("hello"), s, now)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, c := range certs {
				if c.CanEncrypt(now) != nil {
					continue
				}
				c.Expires(now)
				var b bytes.Buffer
				if err := p.Encrypt(&b, []*Certificate{c}, now); err != nil {
					t.Errorf("Encrypt() = %v", err)
				}
				if c != s.Certificate() {
					continue
				}
				if got, _, err := open(b.Bytes(), Ring{Secrets: []*Secret{s}, Known: known("team", c)}); got != "hello" || err != nil {
					t.Errorf("Open() = %q, %v", got, err)
				}
			}
			if _, err := ClearSign([]byte("x"), s, now); err != nil {
				t.Errorf("ClearSign() = %v", err)
			}
		})
	}
	wg.Wait()
}

// TestTrap7And8 shows that each copy stands alone: its own session key, only its
// recipient's key packets, and a signature that names nobody.
func TestTrap7And8CopiesShareNothing(t *testing.T) {
	s := team(t)
	readers := []*Secret{secret(t, "alice"), secret(t, "bob"), secret(t, "carol")}
	p, err := Prepare(bytes.Repeat([]byte("the notice\r\n"), 1000), s, now)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(p.plain, readers[0].entity.PrimaryKey.Fingerprint) {
		t.Errorf("the signed message names a recipient")
	}
	var signature []byte
	for _, r := range readers {
		var b bytes.Buffer
		if err := p.Encrypt(&b, []*Certificate{r.Certificate()}, now); err != nil {
			t.Fatal(err)
		}
		bin, err := io.ReadAll(mustDearmor(t, b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		in := Inspect(b.Bytes())
		if len(in.Recipients) != 1 || in.Recipients[0] != r.Certificate().KeyIDs()[1] {
			t.Errorf("copy for %v is to %X", r, in.Recipients)
		}
		for _, other := range readers {
			if _, _, err := open(bin, Ring{Secrets: []*Secret{other}}); (err == nil) != (other == r) {
				t.Errorf("copy for %v opened by %v: %v", r, other, err)
			}
		}
		_, _, _, data, err := splitPacket(bin)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(data, signature) {
			t.Errorf("two copies hold the same ciphertext")
		}
		signature = data
		var sig *packet.Signature
		for rest := p.plain; len(rest) > 0; {
			var h header
			var whole []byte
			if h, _, whole, rest, err = splitPacket(rest); err != nil {
				t.Fatal(err)
			}
			if h.tag == tagSignature {
				if sig, err = parseSignature(whole); err != nil {
					t.Fatal(err)
				}
			}
		}
		if sig == nil || len(sig.IntendedRecipients) != 0 {
			t.Errorf("the signature names recipients: %+v", sig)
		}
	}
	// Both keys of one recipient, in one message.
	var b bytes.Buffer
	if err := p.Encrypt(&b, []*Certificate{cert(t, "alice"), cert(t, "bob")}, now); err != nil {
		t.Fatal(err)
	}
	if in := Inspect(b.Bytes()); len(in.Recipients) != 2 {
		t.Errorf("message to two keys has recipients %X", in.Recipients)
	}
	if err := p.Encrypt(io.Discard, nil, now); err != ErrNoRecipient {
		t.Errorf("Encrypt(nobody) = %v, want ErrNoRecipient", err)
	}
}

func TestTrap9Compression(t *testing.T) {
	p, err := PrepareUnsigned(bytes.Repeat([]byte("the notice\r\n"), 5000))
	if err != nil {
		t.Fatal(err)
	}
	plainOnly, err := openpgp.NewEntity("P", "", "p@example.org", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return now.AddDate(0, -1, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	none, err := newSecret(plainOnly)
	if err != nil {
		t.Fatal(err)
	}
	size := func(to ...*Certificate) int {
		var b bytes.Buffer
		if err := p.Encrypt(&b, to, now); err != nil {
			t.Fatal(err)
		}
		return b.Len()
	}
	gpgs, ours := size(cert(t, "alice")), size(none.Certificate())
	if gpgs > 5000 {
		t.Errorf("to a key that lists ZIP: %d bytes, want it compressed", gpgs)
	}
	if ours < 60000 {
		t.Errorf("to a key that lists no compression: %d bytes, want it plain", ours)
	}
	if n := size(cert(t, "alice"), none.Certificate()); n < 60000 {
		t.Errorf("to both: %d bytes, want it plain", n)
	}
}

// TestSecretSaysNothing looks for key material in whatever way a Secret is printed.
func TestSecretSaysNothing(t *testing.T) {
	s := team(t)
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		if got := fmt.Sprintf(f, s); got != "team key "+s.Certificate().Fingerprint() {
			t.Errorf("Sprintf(%s, secret) = %.80q", f, got)
		}
	}
}

func TestRenewAndSubkeys(t *testing.T) {
	made := now.AddDate(0, -12, 0)
	s, _, err := NewTeam("Lantern Security", "security@lantern.example", made)
	if err != nil {
		t.Fatal(err)
	}
	first := s.Subkeys(now)
	if len(first) != 2 || !first[0].CanSign || !first[1].CanEncrypt || !first[0].Expires.Equal(made.AddDate(0, 13, 0)) || !first[0].Available {
		t.Errorf("Subkeys() = %+v", first)
	}
	renewed, err := s.Renew(now)
	if err != nil {
		t.Fatal(err)
	}
	if got := renewed.Subkeys(now); len(got) != 4 || got[0] != first[0] {
		t.Errorf("Subkeys() after Renew = %+v", got)
	}
	if renewed.Certificate().Fingerprint() != s.Certificate().Fingerprint() {
		t.Error("Renew() changed the primary key")
	}
	msg := sealed(t, s.Certificate(), literal("to the old one"))
	if got, j, err := open(msg, Ring{Secrets: []*Secret{renewed}}); got != "to the old one" || err != nil || j.Encryption != EncryptedCurrent {
		t.Errorf("Open(to the old subkey, not expired) = %q, %+v, %v", got, j, err)
	}
	later := now.AddDate(0, 2, 0)
	if err := s.Certificate().CanEncrypt(later); problemOf(err) != ProblemExpired {
		t.Errorf("CanEncrypt() after 14 months = %v, want expired", err)
	}
	if _, err := ClearSign([]byte("x"), s, later); problemOf(err) != ProblemExpired {
		t.Errorf("ClearSign() after 14 months = %v, want expired", err)
	}
	if err := renewed.Certificate().CanEncrypt(later); err != nil {
		t.Errorf("CanEncrypt() of the renewed key = %v", err)
	}
	for name, err := range map[string]error{"empty name": errOf(NewTeam("", "a@b.example", now)), "no address": errOf(NewTeam("A", "nobody", now)), "bracket": errOf(NewTeam("A <b", "a@b.example", now)), "line end": errOf(NewTeam("A\nB", "a@b.example", now))} {
		if err == nil {
			t.Errorf("NewTeam(%s) made a key", name)
		}
	}
}

func errOf(_ *Secret, _ []byte, err error) error { return err }

// bareEncrypt is what the benchmark compares with: the cryptography alone.
func bareEncrypt(w io.Writer, k *packet.PublicKey, stream []byte) error {
	if err := packet.SerializeEncryptedKeyAEADwithHiddenOption(w, k, packet.CipherAES256, false, testSession, false, nil); err != nil {
		return err
	}
	body, err := packet.SerializeSymmetricallyEncrypted(w, packet.CipherAES256, false, packet.CipherSuite{}, testSession, nil)
	if err != nil {
		return err
	}
	if _, err := body.Write(stream); err != nil {
		return err
	}
	return body.Close()
}

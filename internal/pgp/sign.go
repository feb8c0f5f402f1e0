package pgp

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// signConfig signs with SHA-512 and without naming recipients.
func signConfig(now time.Time) *packet.Config {
	c := strict()
	no := false
	c.DefaultHash = crypto.SHA512
	c.CheckIntendedRecipients = &no
	c.Time = func() time.Time { return now }
	return c
}

// sign makes one binary signature packet over data with the signing key that
// is good at the time. data must be in its canonical form already.
func (s *Secret) sign(data []byte, text bool, now time.Time) (*packet.Signature, []byte, error) {
	if err := s.cert.CanSign(now); err != nil {
		return nil, nil, err
	}
	cfg := signConfig(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok := s.entity.SigningKey(now, cfg)
	if !ok { // the entity may remember an answer of another time
		e, err := parseEntity(s.raw)
		if err != nil {
			return nil, nil, fmt.Errorf("parse own key: %w", err)
		}
		s.entity = e
		if key, ok = e.SigningKey(now, cfg); !ok {
			return nil, nil, &KeyError{Problem: ProblemCannotSign, Fingerprint: s.cert.fingerprint}
		}
	}
	if key.PrivateKey == nil || key.PrivateKey.Dummy() {
		return nil, nil, ErrNoSubkeys
	}
	cfg.SigningKeyId = key.PublicKey.KeyId
	var b bytes.Buffer
	params := &openpgp.SignParams{TextSig: text, Config: cfg}
	if err := openpgp.DetachSignWithParams(&b, []*openpgp.Entity{s.entity}, bytes.NewReader(data), params); err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	sig, err := parseSignature(b.Bytes())
	if err != nil {
		return nil, nil, fmt.Errorf("read own signature: %w", err)
	}
	return sig, b.Bytes(), nil
}

var errNotSignature = errors.New("not a signature packet")

// parseSignature reads the one packet that b is.
func parseSignature(b []byte) (*packet.Signature, error) {
	p, err := packet.Read(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	sig, ok := p.(*packet.Signature)
	if !ok {
		return nil, errNotSignature
	}
	return sig, nil
}

// DetachSign signs data exactly as given, and returns the signature in armor with
// its checksum and the hash's name as RFC 3156 §5 wants it in micalg
// ("pgp-sha512"). For multipart/signed, data is the first part with CRLF line ends.
func DetachSign(data []byte, s *Secret, now time.Time) ([]byte, string, error) {
	sig, b, err := s.sign(data, false, now)
	if err != nil {
		return nil, "", err
	}
	return armored(armorSignature, b), micalg(sig.Hash), nil
}

func micalg(h crypto.Hash) string {
	switch h {
	case crypto.SHA256:
		return "pgp-sha256"
	case crypto.SHA384:
		return "pgp-sha384"
	case crypto.SHA224:
		return "pgp-sha224"
	}
	return "pgp-sha512"
}

// hashHeader is the hash's name in a Hash header (RFC 9580 §6.2.2.1).
func hashHeader(h crypto.Hash) string {
	switch h {
	case crypto.SHA256:
		return "SHA256"
	case crypto.SHA384:
		return "SHA384"
	case crypto.SHA224:
		return "SHA224"
	case crypto.SHA3_256:
		return "SHA3-256"
	case crypto.SHA3_512:
		return "SHA3-512"
	}
	return "SHA512"
}

// ClearSign writes a cleartext signature (RFC 9580 §7). The framing is ours
// because the library's lacks the armor checksum, for which GnuPG 2.2 ends with
// status 2. White space at the ends of lines is taken off, as it would not be signed.
func ClearSign(text []byte, s *Secret, now time.Time) ([]byte, error) {
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimRight(lines[i], " \t\r")
	}
	sig, b, err := s.sign(bytes.Join(lines, []byte("\r\n")), true, now)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "-----BEGIN %s-----\nHash: %s\n\n", armorSigned, hashHeader(sig.Hash))
	for _, line := range lines {
		if bytes.HasPrefix(line, []byte("-")) || bytes.HasPrefix(line, []byte("From ")) {
			out.WriteString("- ")
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	out.Write(armored(armorSignature, b))
	return out.Bytes(), nil
}
